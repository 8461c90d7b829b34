/* check_oom.c: one walk through the library (data, model, training, evaluation, files, derivation, gradients of
 * gradients, gradient check, pictures), repeated with the first, second, third … allocation failing, until
 * it succeeds. Every failure must come back as TP_ENOMEM, and no byte may stay behind. The method is
 * Lua's. */
#include "tests/support/check.h"

#include "models/tapir.h"

#include <stdio.h>
#include <stdlib.h>

static long left = -1; /* allocations until the one that fails; -1: none does */
static long calls;

static void *failing_alloc(void *user, size_t bytes)
{
    (void)user;
    calls++;
    if (left == 0)
        return NULL;
    left -= left > 0;
    return aligned_alloc(TP_ALIGN, bytes);
}

static void plain_free(void *user, void *p, size_t bytes)
{
    (void)user, (void)bytes;
    free(p);
}

typedef struct scene {
    tp_dataset data;
    tp_batches batches;
    tp_model model;
    tp_optimizer adam;
    tp_tape *tape;
    tp_tensor image, again;
    tp_dataset digits;
    FILE *sink;
} scene;

static tp_status set_up(scene *s)
{
    tp_model_config config = tp_model_defaults();
    config.data_dim = 16;
    config.hidden[0] = 8;
    config.latent_dim = 2;
    TP_TRY(tp_tensor_new(&s->data.x, TP_U8, TP_SHAPE(10, 16)));
    TP_TRY(tp_batches_init(&s->batches, &s->data, 4, TP_F32));
    TP_TRY(tp_model_init(&s->model, &tp_model_vae, config, TP_F32, 1));
    TP_TRY(tp_adam_init(&s->adam, &s->model.params, tp_adam_defaults()));
    return tp_tape_new(&s->tape);
}

static tp_status train_and_store(scene *s)
{
    tp_stats stats;
    tp_trainer trainer = {.tape = s->tape,
                          .loss = tp_model_loss,
                          .model = &s->model,
                          .optimizer = &s->adam,
                          .seed = 1,
                          .trap = true}; /* and the tape's trap stays on in what follows */
    char path[512];
    snprintf(path, sizeof path, "%s", test_tmp("oom.safetensors"));
    TP_TRY(tp_train_epoch(&trainer, &s->batches, 1, &stats));
    TP_TRY(tp_evaluate(&trainer, &s->batches, &stats));
    TP_TRY(tp_params_save(&s->model.params, path, NULL));
    return tp_params_load(&s->model.params, path);
}

static tp_status differentiate(scene *s)
{
    tp_batch batch;
    bool got;
    tp_batches_rewind(&s->batches);
    TP_TRY(tp_batches_next(&s->batches, &batch, &got));
    tp_tape_reset(s->tape);
    tp_ctx c = tp_ctx_train(s->tape, 1, 0);
    tp_var loss = tp_model_loss(&s->model, &c, tp_constant(s->tape, &batch.x)).total;
    TP_TRY(tp_explain(s->sink, loss, (tp_explain_opts){.numbers = true, .check = true}));
    tp_var g, h, w = tp_param(s->tape, s->model.params.item[0]);
    TP_TRY(tp_grad(1, &loss, 1, &w, &g, (tp_grad_opts){.create_graph = true}));
    tp_var norm = tp_sum(tp_square(g), TP_ALL_AXES, false);
    TP_TRY(tp_grad(1, &norm, 1, &w, &h, (tp_grad_opts){.allow_unused = true}));
    TP_TRY(tp_backward(loss));
    tp_recompute_begin(s->tape);
    loss = tp_model_loss(&s->model, &c, tp_constant(s->tape, &batch.x)).total;
    tp_recompute_end(s->tape, 1, &loss);
    TP_TRY(tp_backward(loss));
    TP_TRY(tp_backward(loss)); /* which the trap adds up beforehand */
    return tp_check_op(&tp_op_mul, NULL);
}

/* The trap closes in forward, in a fused rule and in a composed one. */
static tp_status divide_by_zero(scene *s)
{
    for (int where = 0; where < 3; where++) {
        tp_tape_reset(s->tape);
        tp_var w = tp_param(s->tape, s->model.params.item[0]); /* [8, 16] */
        tp_var zero = tp_scale(tp_reshape(tp_slice(w, 0, 0, 1, 1), TP_SHAPE(16, 1)), 0);
        tp_var huge = tp_full(s->tape, TP_F32, TP_SHAPE(1, 1), 3e38);
        tp_var none = tp_full(s->tape, TP_F32, TP_SHAPE(16), 0);
        tp_var y = where == 0   ? tp_log(zero)
                   : where == 1 ? tp_scale(tp_linear(huge, zero, none), 10)
                                : tp_sqrt(zero);
        if (where > 0)
            TP_TRY(tp_tape_status(s->tape)); /* forward is fine */
        tp_status status = tp_backward(tp_sum(y, TP_ALL_AXES, false));
        if (status != TP_ENONFINITE)
            return status == TP_OK ? tp_fail(TP_EVALUE, "the trap did not close") : status;
    }
    return TP_OK;
}

/* Temporaries of rows and many small nodes of compositions. */
static tp_status compose(scene *s)
{
    tp_var piece[20];
    tp_tape_reset(s->tape);
    tp_var w = tp_param(s->tape, s->model.params.item[0]); /* [8, 16] */
    tp_var order = tp_noise_permutation(s->tape, TP_SHAPE(8, 16), 0, (tp_rng_key){.seed = 1});
    tp_var hard = tp_gumbel_softmax(tp_gather(w, order, 0), 1, true, (tp_rng_key){.seed = 2});
    tp_var target = tp_noise_categorical(w, (tp_rng_key){.seed = 3});
    for (int i = 0; i < 20; i++)
        piece[i] = tp_norm(tp_scale(hard, i), TP_ALL_AXES, false);
    tp_var loss = tp_add(tp_sum(tp_cross_entropy(w, target), TP_ALL_AXES, false),
                         tp_sum(tp_stack(piece, 20, 0), TP_ALL_AXES, false));
    return tp_backward(loss);
}

static tp_status draw_and_read(scene *s)
{
    char path[512];
    tp_tensor reversed;
    TP_TRY(tp_tensor_new(&s->image, TP_F32, TP_SHAPE(4, 5, 5)));
    TP_TRY(tp_png_grid(test_tmp("oom.png"), &s->image, 2, 1, 1));
    snprintf(path, sizeof path, "%s", test_tmp("oom.npy"));
    TP_TRY(tp_view_permute(&s->image, (tp_axes){0}, &reversed));
    TP_TRY(tp_npy_save(path, &reversed));
    TP_TRY(tp_npy_load(path, &s->again));
    tp_tensor_free(&s->again);
    TP_TRY(tp_npy_load(TAPIR_SOURCE_DIR "/tests/oracle/npy/f4_2x3_fortran.npy", &s->again));
    return tp_dataset_read(&s->digits, TAPIR_SOURCE_DIR "/examples/data", "t10k");
}

static tp_status walk(FILE *sink)
{
    scene s = {.sink = sink};
    tp_status status = set_up(&s);
    if (status == TP_OK)
        status = train_and_store(&s);
    if (status == TP_OK)
        status = differentiate(&s);
    if (status == TP_OK)
        status = divide_by_zero(&s);
    if (status == TP_OK)
        status = compose(&s);
    if (status == TP_OK)
        status = draw_and_read(&s);
    tp_tape_free(s.tape);
    tp_optimizer_free(&s.adam);
    tp_model_free(&s.model);
    tp_batches_free(&s.batches);
    tp_dataset_free(&s.data);
    tp_dataset_free(&s.digits);
    tp_tensor_free(&s.image);
    tp_tensor_free(&s.again);
    tp_matmul_release();
    return status;
}

static void test_every_allocation(void **state)
{
    (void)state;
    FILE *sink = tmpfile();
    assert_non_null(sink);
    tp_set_allocator(&(tp_allocator){failing_alloc, plain_free, NULL});
    size_t before = tp_mem().live_bytes;
    assert_ok(walk(sink));
    assert_int_equal(tp_mem().live_bytes, before);
    long total = calls;
    for (long n = 0; n < total; n++) {
        left = n;
        tp_status s = walk(sink);
        left = -1;
        if (s != TP_ENOMEM)
            print_error("allocation %ld: %s: %s\n", n, tp_status_name(s), tp_last_error());
        assert_int_equal(s, TP_ENOMEM);
        assert_int_equal(tp_mem().live_bytes, before);
        rewind(sink);
    }
    assert_ok(walk(sink)); /* and nothing is broken for good */
    tp_set_allocator(NULL);
    fclose(sink);
    print_message("%ld allocations, each failed once: all clean\n", total);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
