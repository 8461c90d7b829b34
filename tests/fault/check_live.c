/* check_live.c: memory does not grow. Live bytes and their peak are the same after step 10 as after 1000 (and after
 * 100 and 5000 in the long form), for every optimizer, with the trap, segments that are computed again, evaluation,
 * checkpoints and derivations in the loop; and models made and freed lengthen nothing.
 */
#include "tests/support/check.h"

#include "models/tapir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXAMPLES = 7, WIDTH = 16, BATCH = 3 };

typedef struct run {
    tp_tape *tape;
    tp_model model;
    tp_optimizer optimizer;
    tp_trainer trainer;
    tp_dataset data;
    tp_batches batches;
    FILE *out;
    tp_tensor lost[6000]; /* of the control */
    int lost_count;

} run;

/* What happens beside every training step. */
typedef tp_status (*beside)(run *r);

static tp_status nothing(run *r)
{
    (void)r;
    return TP_OK;
}

static tp_status evaluate(run *r)
{
    tp_stats stats;
    tp_trainer t = r->trainer;
    t.on_batch = NULL;
    return r->trainer.step % 5 == 0 ? tp_evaluate(&t, &r->batches, &stats) : TP_OK;
}

static tp_status checkpoint(run *r)
{
    static char folder[512];
    if (folder[0] == '\0') {
        snprintf(folder, sizeof folder, "%s", test_tmp(""));
    }
    return r->trainer.step % 5 == 0 ? tp_checkpoint_save(folder, &r->trainer, &r->batches, NULL)
                                    : TP_OK;
}

/* The loss of the first batch. */
static tp_var batch_loss(run *r)
{
    tp_batch batch;
    bool got;
    tp_batches_rewind(&r->batches);
    if (tp_batches_next(&r->batches, &batch, &got) != TP_OK)
        return (tp_var){0};
    tp_ctx c = tp_ctx_train(r->tape, 1, 0);
    return tp_model_loss(&r->model, &c, tp_constant(r->tape, &batch.x)).total;
}

static tp_status explain(run *r)
{
    if (r->trainer.step % 5 != 0)
        return TP_OK;
    rewind(r->out);
    tp_tape_reset(r->tape);
    return tp_explain(r->out, batch_loss(r), (tp_explain_opts){.numbers = true, .check = true});
}

static tp_status recompute(run *r)
{
    tp_tape_reset(r->tape);
    tp_recompute_begin(r->tape);
    tp_var loss = batch_loss(r);
    tp_recompute_end(r->tape, 1, &loss);
    return tp_backward(loss);
}

static tp_status second_order(run *r)
{
    tp_tape_reset(r->tape);
    tp_var loss = batch_loss(r), w = tp_param(r->tape, r->model.params.item[0]), g, gg;
    TP_TRY(tp_grad(1, &loss, 1, &w, &g, (tp_grad_opts){.create_graph = true}));
    tp_var norm = tp_sum(tp_square(g), TP_ALL_AXES, false);
    return tp_grad(1, &norm, 1, &w, &gg, (tp_grad_opts){.allow_unused = true});
}

/* A failure, and going on after it. */
static tp_status fail_once(run *r)
{
    tp_tape_reset(r->tape);
    tp_var w = tp_param(r->tape, r->model.params.item[0]);
    tp_status status = tp_backward(tp_matmul(w, w));
    return status == TP_ESHAPE ? TP_OK : tp_fail(TP_EVALUE, "this product must be refused");
}

/* Another model beside the run, made, used and freed. */
static tp_status other_model(run *r)
{
    tp_model m;
    tp_tape *t;
    TP_TRY(tp_model_init(&m, &tp_model_ae, r->model.config, TP_F32, 1));
    tp_status status = tp_tape_new(&t);
    if (status == TP_OK) {
        tp_var w = tp_param(t, m.params.item[0]);
        status = tp_backward(tp_sum(w, TP_ALL_AXES, false));
        tp_tape_free(t);
    }
    tp_model_free(&m);
    return status;
}

/* The control: one block in five steps is lost. */
static tp_status lose(run *r)
{
    if (r->trainer.step % 5 != 0 || r->lost_count == (int)(sizeof r->lost / sizeof *r->lost))
        return TP_OK;
    return tp_tensor_new(&r->lost[r->lost_count++], TP_F32, TP_SHAPE(1));
}

static tp_status adam(run *r)
{
    return tp_adam_init(&r->optimizer, &r->model.params, tp_adam_defaults());
}

static tp_status sgd(run *r)
{
    return tp_sgd_init(&r->optimizer, &r->model.params, tp_sgd_defaults());
}

static tp_status momentum(run *r)
{
    tp_sgd_opts o = tp_sgd_defaults();
    o.momentum = 0.9;
    return tp_sgd_init(&r->optimizer, &r->model.params, o);
}

static const struct kind {
    const char *name;
    tp_status (*optimizer)(run *r);
    beside what;
    bool trap;
} kinds[] = {
    {"Adam", adam, nothing, false},
    {"SGD", sgd, nothing, false},
    {"momentum", momentum, nothing, false},
    {"the trap", adam, nothing, true},
    {"evaluation", adam, evaluate, false},
    {"checkpoints", adam, checkpoint, false},
    {"derivations", adam, explain, false},
    {"segments computed again", adam, recompute, false},
    {"gradients of gradients", adam, second_order, false},
    {"failures", adam, fail_once, false},
    {"other models", adam, other_model, false},
};
static const struct kind control = {"a leak", adam, lose, false};

static bool one_batch(void *user, const tp_stats *so_far)
{
    (void)user, (void)so_far;
    return false; /* stop: the rest of the epoch is the next step */
}

static void start(run *r, const struct kind *k)
{
    tp_model_config c = tp_model_defaults(&tp_model_vae);
    c.data_dim = WIDTH;
    c.hidden[0] = 5;
    c.latent_dim = 2;
    assert_ok(tp_tensor_new(&r->data.x, TP_U8, TP_SHAPE(EXAMPLES, WIDTH)));
    assert_ok(tp_batches_init(&r->batches, &r->data, BATCH, TP_F32));
    assert_ok(tp_model_init(&r->model, &tp_model_vae, c, TP_F32, 1));
    assert_ok(tp_tape_new(&r->tape));
    assert_ok(k->optimizer(r));
    r->out = tmpfile();
    assert_non_null(r->out);
    r->trainer = (tp_trainer){.tape = r->tape,
                              .loss = tp_model_loss,
                              .model = &r->model,
                              .optimizer = &r->optimizer,
                              .seed = 1,
                              .trap = k->trap,
                              .on_batch = one_batch};
}

static void stop(run *r)
{
    fclose(r->out);
    tp_tape_free(r->tape);
    tp_optimizer_free(&r->optimizer);
    tp_model_free(&r->model);
    tp_batches_free(&r->batches);
    tp_dataset_free(&r->data);
    for (int i = 0; i < r->lost_count; i++)
        tp_tensor_free(&r->lost[i]);
}

/* The most bytes that were live since this was 0: tp_mem knows that of the whole process only. */
static size_t peak_bytes;

static void *alloc(void *user, size_t bytes)
{
    size_t live = tp_mem().live_bytes;
    (void)user;
    peak_bytes = live > peak_bytes ? live : peak_bytes;
    return aligned_alloc(TP_ALIGN, bytes);
}

static void release(void *user, void *p, size_t bytes)
{
    (void)user, (void)bytes;
    free(p);
}

/* The bytes that are live, and the most that were, after each of the steps at[0..n); all of them equal to the
 * first? */
static bool flat(const struct kind *k, const int *at, int n)
{
    static run r;
    memset(&r, 0, sizeof r);
    size_t live = 0, peak = 0;
    bool same = true;
    tp_set_allocator(&(tp_allocator){alloc, release, NULL});
    peak_bytes = 0;
    start(&r, k);
    for (int i = 0, step = 0; i < n; i++) {
        for (; step < at[i]; step++) {
            tp_stats stats;
            assert_ok(tp_train_rest(&r.trainer, &r.batches, &stats));
            assert_ok(k->what(&r));
        }
        size_t now = tp_mem().live_bytes, most = peak_bytes;
        if (i == 0)
            live = now, peak = most;
        if (now == live && most == peak)
            continue;
        same = false;
        if (k != &control)
            print_error(
                "%s: after step %d %zu bytes are live, %zu at most; after step %d %zu, %zu\n",
                k->name, at[0], live, peak, at[i], now, most);
    }
    stop(&r);
    tp_set_allocator(NULL);
    return same;
}

static bool full;
static const int steps[] = {10, 100, 1000, 5000};

static void test_flat(void **state)
{
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        failed += !flat(&kinds[i], steps, full ? 4 : 3);
    assert_int_equal(failed, 0);
}

static void test_control(void **state)
{
    (void)state;
    assert_false(flat(&control, steps, 2));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_control),
    };
    full = argc > 1 && strcmp(argv[1], "full") == 0;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("check-live: %d kinds of training, live and peak bytes after step 10 as after %d: %s\n",
           (int)(sizeof kinds / sizeof *kinds), steps[full ? 3 : 2],
           failed == 0 ? "equal" : "NOT equal");
    return failed != 0;
}
