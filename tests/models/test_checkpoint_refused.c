/* test_checkpoint_refused.c: damaged checkpoints are passed over; one of another run, or not whole, is refused, and
 * nothing changes.
 *
 * Read next: test_checkpoint.c.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/models/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void flip_byte(const char *path, long offset)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, offset, SEEK_SET), 0);
    int byte = fgetc(f);
    assert_int_equal(fseek(f, offset, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, f), byte ^ 1);
    assert_int_equal(fclose(f), 0);
}

/* A flipped bit in the newest: the one before it is taken, and the run still ends with the same bits. */
static void test_damage(void **state)
{
    (void)state;
    char path[512];
    session whole, s, again;
    double losses[EPOCHS + 1];
    tp_checkpoint c;
    const char *directory = fresh_directory();
    start(&whole, usual, NULL);
    train(&whole, losses);
    start(&s, usual, directory);
    for (s.stop_at = 4; s.stop_at <= 9; s.stop_at += 5)
        train(&s, losses);
    finish(&s);
    flip_byte(inside(directory, "checkpoint-9.safetensors", path), 4000);

    assert_ok(tp_checkpoint_open(&c, directory));
    assert_int_equal(c.step, 4);
    assert_non_null(
        strstr(c.note, "checkpoint-9.safetensors: damaged: its bytes have the checksum "));
    assert_true(exists(directory, "checkpoint-9.safetensors")); /* looking changes nothing */
    start(&again, usual, directory);
    assert_ok(tp_checkpoint_load(&c, &again.trainer, &again.batches));
    tp_checkpoint_close(&c);
    assert_false(exists(directory, "checkpoint-9.safetensors"));
    assert_true(exists(directory, "checkpoint-9.safetensors.damaged"));
    again.stop_at = 6; /* and saving goes on, where a newer one stood in the way */
    train(&again, losses);
    assert_true(exists(directory, "checkpoint-6.safetensors"));
    train(&again, losses);
    assert_true(same_state(&whole, &again));
    finish(&again);
    finish(&whole);

    flip_byte(inside(directory, "checkpoint-6.safetensors", path), 100);
    assert_int_equal(truncate(inside(directory, "checkpoint-4.safetensors", path), 500), 0);
    assert_status(tp_checkpoint_open(&c, directory), TP_EFORMAT);
    assert_message("checkpoint-6.safetensors: ");
    assert_message("; no older checkpoint is whole");
}

/* Writes the metadata of one checkpoint as another, with one value changed. */
static void save_changed(const char *from, const char *to, const char *key, const char *value)
{
    const char *metadata[128];
    int n = 0;
    tp_safetensors s;
    tp_tensor one;
    assert_ok(tp_safetensors_open(&s, from));
    for (int64_t i = 0; i < 2 * s.metadata_n; i += 2) {
        if (strcmp(s.metadata[i], TP_SAFETENSORS_CRC) == 0)
            continue; /* is written by itself */
        assert_true(n < 126);
        metadata[n++] = s.metadata[i];
        metadata[n++] = strcmp(s.metadata[i], key) == 0 ? value : s.metadata[i + 1];
    }
    metadata[n] = NULL;
    assert_ok(tp_tensor_new(&one, TP_F32, TP_SHAPE(1)));
    assert_ok(tp_safetensors_save(to, &(tp_named_tensor){"one", &one}, 1, metadata));
    tp_tensor_free(&one);
    tp_safetensors_close(&s);
}

/* Whole files of the right name that are no checkpoints all the same. */
static void test_not_checkpoints(void **state)
{
    (void)state;
    char path[512], other[512];
    session s;
    double losses[EPOCHS + 1];
    tp_checkpoint c;
    const char *directory = fresh_directory();
    start(&s, usual, directory);
    s.stop_at = 4;
    train(&s, losses);
    finish(&s);
    inside(directory, "checkpoint-4.safetensors", path);

    save_changed(path, inside(directory, "checkpoint-5.safetensors", other), "epoch_terms", "5");
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_int_equal(c.step, 4);
    assert_non_null(strstr(c.note, "checkpoint-5.safetensors: 5 terms, expected at most 4"));
    tp_checkpoint_close(&c);

    save_changed(path, inside(directory, "checkpoint-6.safetensors", other), "epoch", "one");
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_non_null(strstr(c.note, "metadata 'epoch' is missing or no whole number"));
    tp_checkpoint_close(&c);

    save_changed(path, inside(directory, "checkpoint-7.safetensors", other), "", "");
    char head[65] = {0};
    FILE *f = fopen(other, "r+b"); /* the checksum under another name is none */
    assert_non_null(f);
    assert_int_equal(fread(head, 1, 64, f), 64);
    char *name = strstr(head + 8, TP_SAFETENSORS_CRC); /* behind the length */
    assert_non_null(name);
    *name = 'T';
    rewind(f);
    assert_int_equal(fwrite(head, 1, 64, f), 64);
    assert_int_equal(fclose(f), 0);
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_non_null(strstr(c.note, "checkpoint-7.safetensors: has no checksum"));
    assert_int_equal(c.step, 4);
    tp_checkpoint_close(&c);

    save_changed(path, inside(directory, "checkpoint-8.safetensors", other), "", ""); /* renamed */
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_non_null(
        strstr(c.note, "checkpoint-8.safetensors: holds step 4, another one than its name says"));
    assert_int_equal(c.step, 4);
    tp_checkpoint_close(&c);
}

static void test_no_checkpoint(void **state)
{
    (void)state;
    char path[512];
    tp_checkpoint c;
    session s;
    const char *directory = fresh_directory();
    static const char *const names[] = {
        "checkpoint-.safetensors", "checkpoint-01.safetensors", "checkpoint-1.safetensors.tmp-1-2",
        "checkpoint-18446744073709551616.safetensors", "model.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        FILE *f = fopen(inside(directory, names[i], path), "w");
        assert_non_null(f);
        fclose(f);
    }
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_null(c.path);
    assert_null(tp_checkpoint_text(&c, "note"));
    start(&s, usual, directory);
    assert_status(tp_checkpoint_load(&c, &s.trainer, &s.batches), TP_EARG);
    finish(&s);
    tp_checkpoint_close(&c);
    assert_status(tp_checkpoint_open(&c, inside(directory, "nowhere", path)), TP_EIO);
    assert_message("nowhere: cannot open: ");

    tp_tensor t; /* a file of that name that is no checkpoint */
    assert_ok(tp_tensor_new(&t, TP_F32, TP_SHAPE(2)));
    assert_ok(tp_safetensors_save(inside(directory, "checkpoint-5.safetensors", path),
                                  &(tp_named_tensor){"t", &t}, 1, NULL));
    tp_tensor_free(&t);
    assert_status(tp_checkpoint_open(&c, directory), TP_EFORMAT);
    assert_message("metadata 'tapir.checkpoint' is missing or no whole number: no checkpoint");
}

static void test_other_runs(void **state)
{
    (void)state;
    static const struct {
        variant v;
        const char *message;
    } others[] = {
        {{ADAM, TP_F32, EXAMPLES, BATCH, 2, 8, 1},
         "seed is 7, expected 8: the run has another seed"},
        {{ADAM, TP_F32, EXAMPLES, 4, 2, 7, 1},
         "batch_size is 5, expected 4: the run has batches of another size"},
        {{ADAM, TP_F32, 21, BATCH, 2, 7, 1},
         "examples is 22, expected 21: the run has a data set of another size"},
        {{ADAM, TP_F32, EXAMPLES, BATCH, 2, 7, 2}, ": the training data have changed"},
        {{SGD, TP_F32, EXAMPLES, BATCH, 2, 7, 1}, "the optimizer was adam, expected sgd"},
        {{ADAM, TP_F32, EXAMPLES, BATCH, 3, 7, 1},
         "tensor 'mu.weight' is f32[2,9], expected f32[3,9]"},
        {{ADAM, TP_F64, EXAMPLES, BATCH, 2, 7, 1}, ": the training data have changed"},
        {{ADAM, TP_F32, EXAMPLES, BATCH, 2, 7, 1, {TP_BINARIZE_DYNAMIC, 0}},
         ": the training data have changed, or how they are binarized"},
    };
    session first;
    double losses[EPOCHS + 1];
    const char *directory = fresh_directory();
    start(&first, usual, directory);
    first.stop_at = 3;
    train(&first, losses);
    finish(&first);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_refused(others[i].v, directory, others[i].message);
}

/* The right run, but not all of its state. */
static void test_state_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *message;
    } changes[] = {
        {"term_0", "a name of a term that is far too long",
         "metadata 'term_0' is missing or longer than 31 bytes"},
        {"", "", "tensor 'encoder.0.weight' is missing"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char path[512], other[512];
        session s;
        double losses[EPOCHS + 1];
        const char *directory = fresh_directory();
        start(&s, usual, directory);
        s.stop_at = 4;
        train(&s, losses);
        finish(&s);
        save_changed(inside(directory, "checkpoint-4.safetensors", path),
                     inside(directory, "whole", other), changes[i].key, changes[i].value);
        assert_int_equal(rename(other, path), 0);
        assert_refused(usual, directory, changes[i].message);
    }
}

/* Settings that no optimizer of the kind has are refused before anything is changed. */
static void test_settings(void **state)
{
    (void)state;
    static const struct {
        double lr, momentum;
    } broken[] = {{NAN, 0.9}, {-1, 0.9}, {INFINITY, 0.9}, {0.1, 1}, {0.1, INFINITY}};
    variant v = usual;
    v.kind = MOMENTUM;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        session s;
        const char *directory = fresh_directory();
        start(&s, v, directory);
        assert_ok(tp_checkpoint_save(directory, &s.trainer, &s.batches, NULL));
        load(&s); /* the control */
        s.optimizer.lr = broken[i].lr;
        s.optimizer.opts.sgd.momentum = broken[i].momentum;
        s.trainer.step = 1;
        assert_ok(tp_checkpoint_save(directory, &s.trainer, &s.batches, NULL));
        finish(&s);
        assert_refused(v, directory, "'optimizer.settings' holds what sgd/momentum cannot have");
    }
}

/* Of drawn pixels the seed of the draw that is kept belongs to the run, too. */
static void test_other_binarization(void **state)
{
    (void)state;
    static const tp_binarize_opts others[] = {{TP_BINARIZE_GREY, 0},
                                              {TP_BINARIZE_THRESHOLD, 3},
                                              {TP_BINARIZE_DYNAMIC, 3},
                                              {TP_BINARIZE_STATIC, 4},
                                              {TP_BINARIZE_STATIC, 3}};
    enum { OTHERS = sizeof others / sizeof *others };
    session first;
    double losses[EPOCHS + 1];
    const char *directory = fresh_directory();
    variant v = usual;
    v.binarize = others[OTHERS - 1];
    start(&first, v, directory);
    first.stop_at = 3;
    train(&first, losses);
    finish(&first);
    for (int i = 0; i < OTHERS; i++) {
        session s;
        tp_checkpoint c;
        v.binarize = others[i];
        start(&s, v, directory);
        assert_ok(tp_checkpoint_open(&c, directory));
        assert_status(tp_checkpoint_load(&c, &s.trainer, &s.batches),
                      i < OTHERS - 1 ? TP_EFORMAT : TP_OK);
        if (i < OTHERS - 1)
            assert_message(": the training data have changed, or how they are binarized");
        tp_checkpoint_close(&c);
        finish(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_not_checkpoints),
        cmocka_unit_test(test_no_checkpoint),
        cmocka_unit_test(test_other_runs),
        cmocka_unit_test(test_state_is_missing),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_other_binarization),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
