/* test_checkpoint.c: a run that goes on from a checkpoint ends with the same bits as one that never stopped, wherever
 * it was stopped.
 *
 * What is refused: test_checkpoint_refused.c. Kills and failing disks are tests/fault. Read next: nn/checkpoint.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/models/session.h"

#include "tensor/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_resume_anywhere(void **state)
{
    (void)state;
    size_t live = tp_mem().live_bytes;
    for (int k = 0; k < 2 * KINDS; k++) { /* each kind and type, and each binarization */
        variant v = usual;
        v.kind = k % KINDS;
        v.dtype = k < KINDS ? TP_F32 : TP_F64;
        v.binarize = (tp_binarize_opts){(tp_binarization)(k % (TP_BINARIZE_DYNAMIC + 1)), 3};
        session whole;
        double losses[EPOCHS + 1] = {0};
        start(&whole, v, NULL);
        train(&whole, losses);
        assert_int_equal(whole.trainer.step, EPOCHS * STEPS_PER_EPOCH);
        for (uint64_t stop_at = 1; stop_at <= EPOCHS * STEPS_PER_EPOCH; stop_at++) {
            session first, second;
            const char *directory = fresh_directory();
            double again[EPOCHS + 1] = {0};
            start(&first, v, directory);
            first.stop_at = stop_at;
            train(&first, again);
            assert_int_equal(first.trainer.step, stop_at);
            start(&second, v, directory);
            load(&second);
            assert_true(same_state(&first, &second));
            finish(&first);
            train(&second, again);
            assert_true(same_state(&whole, &second));
            assert_memory_equal(losses, again, sizeof losses);
            finish(&second);
        }
        finish(&whole);
    }
    tp_matmul_release();
    assert_int_equal(tp_mem().live_bytes, live);
}

/* What must be in a checkpoint: each part, left out, is noticed by the comparison above. */
static void test_every_part_matters(void **state)
{
    (void)state;
    session whole, first;
    double losses[EPOCHS + 1] = {0}, other[EPOCHS + 1] = {0};
    const char *directory = fresh_directory();
    start(&whole, usual, NULL);
    train(&whole, losses);
    start(&first, usual, directory);
    first.stop_at = 12; /* in the last epoch, where the schedule says nothing any more */
    train(&first, other);
    for (int part = 0; part < 7; part++) {
        session s;
        start(&s, usual, directory);
        load(&s);
        tp_moments *m = &s.optimizer.moments[1];
        if (part == 1)
            assert_ok(tp_fill(&m->first, 0));
        else if (part == 2)
            assert_ok(tp_fill(&m->second, 0));
        else if (part == 3)
            m->step = 0;
        else if (part == 4)
            s.trainer.step--; /* its noise */
        else if (part == 5)
            s.optimizer.lr = 1e-3;
        else if (part == 6)
            s.trainer.done.loss = 0;
        memcpy(other, losses, sizeof other);
        train(&s, other);
        bool same = same_state(&whole, &s) && memcmp(losses, other, sizeof losses) == 0;
        assert_true(same == (part == 0));
        finish(&s);
    }
    finish(&first);
    finish(&whole);
}

static void test_two_are_kept(void **state)
{
    (void)state;
    session s;
    double losses[EPOCHS + 1];
    const char *directory = fresh_directory();
    start(&s, usual, directory);
    for (s.stop_at = 2; s.stop_at <= 10; s.stop_at += 4)
        train(&s, losses);
    assert_false(exists(directory, "checkpoint-2.safetensors"));
    assert_true(exists(directory, "checkpoint-6.safetensors"));
    assert_true(exists(directory, "checkpoint-10.safetensors"));

    tp_checkpoint c; /* texts come back */
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_int_equal(c.step, 10);
    assert_null(c.note);
    assert_string_equal(tp_checkpoint_text(&c, "note"), "two\nlines");
    assert_null(tp_checkpoint_text(&c, "other"));
    tp_checkpoint_close(&c);

    /* A run that is behind what the directory holds is another one. */
    s.trainer.step = 9;
    assert_status(tp_checkpoint_save(directory, &s.trainer, &s.batches, NULL), TP_EARG);
    assert_message("holds a checkpoint of step 10, this run is at step 9");
    s.trainer.step = 10;
    assert_ok(tp_checkpoint_save(directory, &s.trainer, &s.batches, NULL)); /* the same once more */
    const char *const twice[] = {"seed", "1", NULL};
    s.trainer.step = 11;
    assert_status(tp_checkpoint_save(directory, &s.trainer, &s.batches, twice), TP_EARG);
    assert_message("metadata 'seed' is given twice");
    finish(&s);
}

/* The bits are promised for one instruction set: another one is said, not refused. */
static void test_instruction_set(void **state)
{
    (void)state;
    session s;
    double losses[EPOCHS + 1];
    tp_checkpoint c;
    char level[32];
    snprintf(level, sizeof level, "%s", tp_isa());
    const char *directory = fresh_directory();
    start(&s, usual, directory);
    s.stop_at = 2;
    assert_ok(tp_set_isa("ref"));
    train(&s, losses);
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_null(c.note);
    tp_checkpoint_close(&c);
    assert_ok(tp_set_isa(level));
    if (strcmp(level, "ref") != 0) {
        assert_ok(tp_checkpoint_open(&c, directory));
        assert_non_null(strstr(c.note, "the run used instruction set ref, here it is "));
        tp_checkpoint_close(&c);
    }
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_anywhere),
        cmocka_unit_test(test_every_part_matters),
        cmocka_unit_test(test_two_are_kept),
        cmocka_unit_test(test_instruction_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
