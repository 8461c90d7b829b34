/* test_buffers_train.c: running statistics in training: they change with steps that succeed and with nothing else, and a
 * run that goes on from a checkpoint ends with the same bytes.
 *
 * Read next: test_layers_norm.c, tests/models/test_checkpoint.c.
 */
#include "tests/support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "autograd/check.h"
#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "nn/checkpoint.h"
#include "nn/layers.h"
#include "tensor/mem.h"

/* Rows [x₁ x₂ x₃ y]: linear, batch norm, tanh, linear, squared error. */
enum { ROWS = 22, FEATURES = 3, WIDTH = 4, BATCH = 5, EPOCH = 5 };

typedef enum fault { NONE, BAD_LOSS, BAD_GRADIENT, BAD_SHAPE } fault;

typedef struct run {
    tp_params ps;
    tp_nn_linear first, last;
    tp_nn_batch_norm norm;
    tp_dataset data;
    tp_batches batches;
    tp_optimizer optimizer;
    tp_trainer trainer;
    uint64_t bad_step; /* counted from 0 */
    fault how;
    bool recompute;
    uint64_t stop_at; /* steps; 0: never */
    const char *save; /* a checkpoint there when it stops, or NULL */
} run;

static tp_var spoil(fault how, tp_var total)
{
    if (how == BAD_LOSS)
        return tp_scale(total, INFINITY);
    if (how == BAD_SHAPE)
        return tp_add(total, tp_reshape(total, TP_SHAPE(2)));
    return tp_add(total, tp_sqrt(tp_scale(total, 0))); /* finite, but its slope is not */
}

static tp_objective loss(void *model, tp_ctx *c, tp_var x)
{
    run *r = model;
    tp_var features = tp_slice(x, 1, 0, FEATURES, 1), y = tp_slice(x, 1, FEATURES, WIDTH, 1);
    if (r->recompute)
        tp_recompute_begin(c->tape);
    tp_var h = tp_nn_linear_apply(&r->first, c, features);
    h = tp_tanh(tp_nn_batch_norm_apply(&r->norm, c, h));
    if (r->recompute)
        tp_recompute_end(c->tape, 1, &h);
    tp_var error = tp_square(tp_sub(tp_nn_linear_apply(&r->last, c, h), y));
    tp_var total = tp_mean(error, TP_ALL_AXES, false);
    if (c->mode == TP_TRAIN && r->how != NONE && r->trainer.step == r->bad_step)
        total = spoil(r->how, total);
    return (tp_objective){.total = total, .terms = 1, .term = {{"squared", total, 1}}};
}

static bool on_batch(void *user, const tp_stats *so_far)
{
    run *r = user;
    assert_true(so_far->batches > 0);
    if (r->trainer.step != r->stop_at)
        return true;
    if (r->save != NULL)
        assert_ok(tp_checkpoint_save(r->save, &r->trainer, &r->batches, NULL));
    return false;
}

static void start(run *r, tp_dtype dtype)
{
    *r = (run){.ps = tp_params_make(dtype, 1)};
    assert_ok(tp_nn_linear_init(&r->first, &r->ps, "first", FEATURES, 6));
    assert_ok(tp_nn_batch_norm_init(&r->norm, &r->ps, "norm", 6, (tp_nn_batch_norm_opts){0}));
    assert_ok(tp_nn_linear_init(&r->last, &r->ps, "last", 6, 1));
    assert_ok(tp_tensor_new(&r->data.x, dtype, TP_SHAPE(ROWS, WIDTH)));
    assert_ok(tp_random_normal(&r->data.x, (tp_rng_key){.seed = 3}));
    assert_ok(tp_batches_init(&r->batches, &r->data, BATCH, dtype));
    assert_ok(tp_adam_init(&r->optimizer, &r->ps, tp_adam_defaults()));
    r->trainer = (tp_trainer){.loss = loss,
                              .model = r,
                              .optimizer = &r->optimizer,
                              .seed = 9,
                              .on_batch = on_batch,
                              .user = r};
    assert_ok(tp_tape_new(&r->trainer.tape));
}

static void finish(run *r)
{
    tp_tape_free(r->trainer.tape);
    tp_optimizer_free(&r->optimizer);
    tp_batches_free(&r->batches);
    tp_dataset_free(&r->data);
    tp_params_free(&r->ps);
}

static bool same_state(const run *a, const run *b)
{
    bool same = a->ps.n == b->ps.n && a->ps.buffers == b->ps.buffers;
    for (int i = 0; i < a->ps.n && same; i++) {
        const tp_moments *x = &a->optimizer.moments[i], *y = &b->optimizer.moments[i];
        same = equal_bits(&a->ps.item[i]->value, &b->ps.item[i]->value) &&
               equal_bits(&x->first, &y->first) && equal_bits(&x->second, &y->second);
    }
    for (int i = 0; i < a->ps.buffers && same; i++)
        same = equal_bits(&a->ps.buffer[i]->value, &b->ps.buffer[i]->value);
    return same;
}

static double counted(const run *r)
{
    return tp_item(&r->norm.num_batches_tracked.value);
}

/* Goes on to that many steps, counted from the start of the run. */
static void train_to(run *r, uint64_t steps)
{
    tp_stats stats;
    r->stop_at = steps;
    while (r->trainer.step < steps)
        assert_ok(tp_train_rest(&r->trainer, &r->batches, &stats));
}

/* --- steps that fail ---------------------------------------------------------------------------- */

/* Whatever goes wrong, behind the layer, buffers are those of the last good step; the cause removed, the run goes on
 * as if the bad step had never been tried. */
static void test_failing_steps(void **state)
{
    (void)state;
    static const struct {
        fault how;
        tp_status status;
    } rows[] = {{BAD_LOSS, TP_ENONFINITE}, {BAD_GRADIENT, TP_ENONFINITE}, {BAD_SHAPE, TP_ESHAPE}};
    for (int i = 0; i < 6; i++) {
        run good, bad;
        tp_stats stats;
        start(&good, TP_F32);
        start(&bad, TP_F32);
        bad.how = rows[i % 3].how;
        bad.bad_step = 2;
        bad.trainer.trap = i >= 3;
        train_to(&good, 2);
        for (int tries = 0; tries < 3; tries++) {
            assert_status(tp_train_rest(&bad.trainer, &bad.batches, &stats), rows[i % 3].status);
            assert_true(same_state(&good, &bad));
            assert_true(counted(&bad) == 2);
        }
        bad.how = NONE;
        train_to(&good, 8);
        train_to(&bad, 8);
        assert_true(same_state(&good, &bad));
        assert_true(counted(&bad) == 8);
        finish(&good);
        finish(&bad);
    }
}

/* --- forward passes that are no steps ------------------------------------------------------------ */

static tp_var loss_of_check(tp_tape *t, void *user)
{
    run *r = user;
    tp_ctx c = tp_ctx_train(t, 3, 0);
    return loss(r, &c, tp_constant(t, &r->data.x)).total;
}

/* A gradient check between two steps runs the layer hundreds of times in training mode, an evaluation in eval mode; the
 * run goes on as if they had not been. */
static void test_others_leave_no_trace(void **state)
{
    (void)state;
    run a, b;
    tp_stats stats;
    start(&a, TP_F64);
    start(&b, TP_F64);
    train_to(&a, 3);
    train_to(&b, 3);
    assert_ok(tp_gradcheck(loss_of_check, &b, b.ps.n, b.ps.item, (tp_check_opts){0}, NULL));
    assert_true(same_state(&a, &b));
    assert_ok(tp_evaluate(&b.trainer, &b.batches, &stats));
    assert_true(same_state(&a, &b));
    tp_tape_reset(b.trainer.tape); /* a forward pass that nobody follows up */
    assert_true(isfinite(tp_item_of(loss_of_check(b.trainer.tape, &b))));
    train_to(&a, 12);
    train_to(&b, 12);
    assert_true(same_state(&a, &b));
    assert_true(counted(&a) == 12);
    finish(&a);
    finish(&b);
}

/* Evaluation reads the running statistics: the loss of an example does not depend on its batch. */
static void test_evaluation(void **state)
{
    (void)state;
    run r;
    tp_stats one, all;
    start(&r, TP_F64);
    train_to(&r, 40);
    assert_ok(tp_evaluate(&r.trainer, &r.batches, &all));
    tp_batches_free(&r.batches);
    assert_ok(tp_batches_init(&r.batches, &r.data, 1, TP_F64));
    assert_ok(tp_evaluate(&r.trainer, &r.batches, &one));
    assert_close(one.loss, all.loss, 0, 1e-13);
    assert_ok(tp_fill(&r.norm.running_mean.value, 5));
    assert_ok(tp_evaluate(&r.trainer, &r.batches, &one));
    assert_false(close_enough(one.loss, all.loss, 0, 1e-3));
    finish(&r);
}

/* Values dropped and computed again in backward: the same bits, and every step counts once. */
static void test_recompute(void **state)
{
    (void)state;
    run a, b;
    start(&a, TP_F32);
    start(&b, TP_F32);
    b.recompute = true;
    train_to(&a, 12);
    train_to(&b, 12);
    assert_true(same_state(&a, &b));
    assert_true(counted(&b) == 12);
    finish(&a);
    finish(&b);
}

/* --- over many steps ---------------------------------------------------------------------------- */

static void test_steady_state(void **state)
{
    (void)state;
    run r;
    start(&r, TP_F32);
    train_to(&r, 10);
    size_t calls = tp_mem().calls;
    train_to(&r, 200);
    assert_int_equal(tp_mem().calls, calls);
    finish(&r);
}

static const char *fresh_directory(void)
{
    static int made;
    char name[32];
    snprintf(name, sizeof name, "run%d", made++);
    const char *path = test_tmp(name);
    assert_int_equal(mkdir(path, 0700), 0);
    return path;
}

/* The bytes of a file; the caller frees them. */
static char *contents(const char *directory, const char *name, long *n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = ftell(f);
    rewind(f);
    char *bytes = malloc((size_t)*n);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)*n, f), *n);
    fclose(f);
    return bytes;
}

static void assert_same_file(const char *a, const char *b, const char *name)
{
    long n, m;
    char *x = contents(a, name, &n), *y = contents(b, name, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static void load(run *r, const char *directory)
{
    tp_checkpoint c;
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_non_null(c.path);
    assert_non_null(tp_safetensors_find(&c.file, "norm.running_var"));
    assert_ok(tp_checkpoint_load(&c, &r->trainer, &r->batches));
    tp_checkpoint_close(&c);
}

/* Stopped after any step and gone on with in another process's place: checkpoint and weights are the same bytes. */
static void test_resume(void **state)
{
    (void)state;
    enum { STEPS = 2 * EPOCH + 3 };
    for (int d = TP_F32; d <= TP_F64; d++) {
        run whole;
        start(&whole, (tp_dtype)d);
        whole.save = fresh_directory();
        train_to(&whole, STEPS);
        char weights[512];
        snprintf(weights, sizeof weights, "%s/weights", whole.save);
        assert_ok(tp_params_save(&whole.ps, weights, NULL));
        for (uint64_t at = 1; at < STEPS; at += SANITIZED ? 4 : 1) {
            run before, after;
            const char *directory = fresh_directory();
            start(&before, (tp_dtype)d);
            before.save = directory;
            train_to(&before, at);
            finish(&before);
            start(&after, (tp_dtype)d);
            load(&after, directory);
            assert_true(counted(&after) == (double)at);
            after.save = directory;
            train_to(&after, STEPS);
            assert_true(same_state(&whole, &after));
            snprintf(weights, sizeof weights, "%s/weights", directory);
            assert_ok(tp_params_save(&after.ps, weights, NULL));
            assert_same_file(whole.save, directory, "checkpoint-13.safetensors");
            assert_same_file(whole.save, directory, "weights");
            finish(&after);
        }
        finish(&whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failing_steps), cmocka_unit_test(test_others_leave_no_trace),
        cmocka_unit_test(test_evaluation),    cmocka_unit_test(test_recompute),
        cmocka_unit_test(test_steady_state),  cmocka_unit_test(test_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
