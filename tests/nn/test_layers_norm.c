/* test_layers_norm.c: batch norm and layer norm: shapes, small cases by hand, gradients, refusals, threads.
 *
 * PyTorch's numbers are tests/oracle/test_oracle_layers.c; what becomes of running statistics when steps fail, and
 * in checkpoints, is test_buffers_train.c. Read next: layer_check.h.
 */
#include "tests/nn/layer_check.h"

#include <math.h>

LAYER_APPLY(batch_norm)
LAYER_APPLY(layer_norm)

/* --- batch norm --------------------------------------------------------------------------------- */

static void test_batch_norm_new(void **state)
{
    (void)state;
    static const char *const names[] = {"bn.weight", "bn.bias"};
    static const char *const kept[] = {"bn.running_mean", "bn.running_var",
                                       "bn.num_batches_tracked"};
    tp_params ps = tp_params_make(TP_F32, 1);
    tp_nn_batch_norm bn;
    assert_ok(tp_nn_batch_norm_init(&bn, &ps, "bn", 3, (tp_nn_batch_norm_opts){0}));
    assert_int_equal(ps.n, 2);
    assert_int_equal(ps.buffers, 3);
    for (int i = 0; i < 2; i++)
        assert_string_equal(ps.item[i]->name, names[i]);
    for (int i = 0; i < 3; i++)
        assert_string_equal(ps.buffer[i]->name, kept[i]);
    assert_int_equal(tp_params_count(&ps), 6); /* what is learned */
    assert_int_equal(bn.num_batches_tracked.value.dtype, TP_I64);
    assert_true(bn.opts.eps == 1e-5 && bn.opts.momentum == 0.1);
    const double zero[] = {0, 0, 0}, one[] = {1, 1, 1};
    assert_tensor_close(&bn.weight.value, one, 3, 0, 0);
    assert_tensor_close(&bn.bias.value, zero, 3, 0, 0);
    assert_tensor_close(&bn.running_mean.value, zero, 3, 0, 0);
    assert_tensor_close(&bn.running_var.value, one, 3, 0, 0);
    assert_true(tp_item(&bn.num_batches_tracked.value) == 0);
    tp_params_free(&ps);
}

/* Two channels, of which one is constant: variances 1 and 0, in the running ones 4/3·1 and 0. */
static void test_batch_norm_by_hand(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_batch_norm bn;
    assert_ok(tp_nn_batch_norm_init(&bn, &ps, "bn", 2,
                                    (tp_nn_batch_norm_opts){.eps = 3, .momentum = 0.25}));
    assert_ok(tp_init_constant(&bn.weight, 2));
    assert_ok(tp_init_constant(&bn.bias, 10));
    const double data[] = {4, 7, 6, 7, 4, 7, 6, 7};
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = given(f, TP_SHAPE(4, 2), data);
    const double want[] = {9, 10, 11, 10, 9, 10, 11, 10}; /* ±1/√(1 + 3)·2 + 10 */
    assert_tensor_close(tp_value(tp_nn_batch_norm_apply(&bn, &c, x)), want, 8, 0, 1e-15);
    tp_params_commit(&ps, f->tape);
    const double mean[] = {1.25, 1.75}, variance[] = {0.75 + 1.0 / 3, 0.75};
    assert_tensor_close(&bn.running_mean.value, mean, 2, 0, 1e-15);
    assert_tensor_close(&bn.running_var.value, variance, 2, 0, 1e-15);
    assert_true(tp_item(&bn.num_batches_tracked.value) == 1);
    tp_ctx eval = tp_ctx_eval(f->tape, 1, 0);
    tp_var y = tp_nn_batch_norm_apply(&bn, &eval, x);
    for (int64_t i = 0; i < 8; i++) {
        double unit = (data[i] - mean[i % 2]) / sqrt(variance[i % 2] + 3);
        assert_close(tp_flat(tp_value(y), i), 2 * unit + 10, 0, 1e-15);
    }
    tp_params_free(&ps);
    fixture_free(f);
}

/* [batch, channels], with more axes, and a batch of 1 that has enough values per channel. */
static const tp_shape batches[] = {{2, {5, 3}}, {4, {2, 3, 2, 2}}, {3, {1, 3, 4}}};

static void start_batch_norm(layer_case *k, tp_nn_batch_norm *bn, tp_params *ps, tp_shape x)
{
    *ps = tp_params_make(TP_F64, 1);
    *k = (layer_case){.apply = apply_batch_norm, .layer = bn, .ps = ps};
    assert_ok(tp_nn_batch_norm_init(bn, ps, "bn", x.dim[1], (tp_nn_batch_norm_opts){0}));
    layer_case_x(k, x);
    assert_ok(tp_random_normal(&bn->running_mean.value, (tp_rng_key){.seed = 5}));
    assert_ok(tp_random_uniform(&bn->running_var.value, (tp_rng_key){.seed = 6}));
}

static void test_batch_norm_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        layer_case k;
        tp_params ps;
        tp_nn_batch_norm bn;
        start_batch_norm(&k, &bn, &ps, batches[i]);
        check_layer_gradients(&k);
        k.mode = TP_EVAL;
        check_layer_gradients(&k);
        assert_true(tp_item(&bn.num_batches_tracked.value) == 0); /* however often it ran */
        tp_params_free(&ps);
    }
}

/* The control: whoever takes the batch's statistics for constants has another gradient, and is caught. */
static tp_var apply_severed(const void *layer, tp_ctx *c, tp_var x)
{
    const tp_nn_batch_norm *bn = layer;
    tp_axes axes = TP_AXES(0);
    tp_var mean = tp_detach(tp_mean(x, axes, true));
    tp_var root = tp_detach(tp_sqrt(tp_shift(tp_variance(x, axes, 0, true), 1e-5)));
    tp_var unit = tp_div(tp_sub(x, mean), root);
    return tp_add(tp_mul(unit, tp_param(c->tape, (tp_parameter *)&bn->weight)),
                  tp_param(c->tape, (tp_parameter *)&bn->bias));
}

static void test_batch_norm_control(void **state)
{
    (void)state;
    layer_case k;
    tp_params ps;
    tp_nn_batch_norm bn;
    start_batch_norm(&k, &bn, &ps, batches[0]);
    k.apply = apply_severed;
    assert_status(layer_gradients(&k, 1), TP_EVALUE);
    tp_params_free(&ps);
}

static void test_batch_norm_threads(void **state)
{
    (void)state;
    layer_case k;
    tp_params ps;
    tp_nn_batch_norm bn;
    start_batch_norm(&k, &bn, &ps, TP_SHAPE(301, 67));
    check_layer_threads(&k);
    k.mode = TP_EVAL;
    check_layer_threads(&k);
    tp_params_free(&ps);
}

static void test_batch_norm_refusals(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_batch_norm bn = {0}, other = {0};
    assert_status(tp_nn_batch_norm_init(&bn, &ps, "bn", 0, (tp_nn_batch_norm_opts){0}), TP_ESHAPE);
    assert_message("E_SHAPE batch norm 'bn' of 0 channels: at least 1 needed");
    const tp_nn_batch_norm_opts bad[] = {
        {.eps = -1}, {.eps = NAN}, {.eps = INFINITY}, {.momentum = -0.1}, {.momentum = 1.5},
    };
    for (int i = 0; i < 5; i++)
        assert_status(tp_nn_batch_norm_init(&bn, &ps, "bn", 2, bad[i]), TP_EARG);
    assert_message(
        "E_ARG batch norm 'bn': eps 1e-05 and momentum 1.5: eps > 0 and 0 < momentum <= 1 "
        "needed");
    assert_int_equal(ps.n + ps.buffers, 0);
    tp_ctx train = tp_ctx_train(f->tape, 1, 0), eval = tp_ctx_eval(f->tape, 1, 0);
    assert_status(tp_var_status(tp_nn_batch_norm_apply(&bn, &train, drawn(f, TP_SHAPE(4, 3), 1))),
                  TP_EARG);
    assert_message("the parameter was never made");
    assert_ok(tp_nn_batch_norm_init(&bn, &ps, "bn", 3, (tp_nn_batch_norm_opts){0}));
    assert_status(tp_nn_batch_norm_init(&other, &ps, "bn", 3, (tp_nn_batch_norm_opts){0}), TP_EARG);
    assert_message("two parameters are named 'bn.weight'");
    const struct {
        tp_shape shape;
        const char *says;
    } rows[] = {
        {{2, {4, 2}},
         "encoder: batch norm 'bn': x has shape [4,2], expected [batch,3] or more axes"},
        {{1, {3}}, "batch norm 'bn': x has shape [3], expected [batch,3] or more axes"},
        {{2, {1, 3}},
         "batch norm 'bn': x has shape [1,3]: a variance needs at least 2 values per channel in "
         "training"},
        {{2, {0, 3}}, "batch norm 'bn': x has shape [0,3]: a variance needs at least 2 values"},
    };
    for (int i = 0; i < 4; i++) {
        tp_tape_reset(f->tape);
        tp_scope_begin(f->tape, "encoder");
        tp_var x = drawn(f, rows[i].shape, 1);
        assert_refused(tp_nn_batch_norm_apply(&bn, &train, TP_NAME(x)), TP_ESHAPE, rows[i].says);
        assert_message("'x'");
    }
    tp_tape_reset(f->tape); /* one example is enough where nothing is estimated */
    tp_var x = drawn(f, TP_SHAPE(1, 3), 1);
    assert_ok(tp_var_status(tp_nn_batch_norm_apply(&bn, &eval, x)));
    tp_tape_reset(f->tape);
    assert_refused(tp_nn_batch_norm_apply(&bn, &train, x), TP_ESTALE, "outlived its values");
    tp_params_free(&ps);
    fixture_free(f);
}

/* --- layer norm --------------------------------------------------------------------------------- */

static void test_layer_norm_by_hand(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_layer_norm ln;
    assert_ok(tp_nn_layer_norm_init(&ln, &ps, "ln", TP_SHAPE(2), (tp_nn_layer_norm_opts){3}));
    assert_int_equal(ps.n, 2);
    assert_int_equal(ps.buffers, 0);
    const double data[] = {4, 6, 9, 9, -1, 1}, want[] = {-0.5, 0.5, 0, 0, -0.5, 0.5};
    for (int mode = TP_TRAIN; mode <= TP_EVAL; mode++) { /* which it does not look at */
        tp_ctx c = {f->tape, (tp_mode)mode, {0}};
        tp_var y = tp_nn_layer_norm_apply(&ln, &c, given(f, TP_SHAPE(3, 2), data));
        assert_tensor_close(tp_value(y), want, 6, 0, 1e-15);
    }
    tp_params_free(&ps);
    fixture_free(f);
}

static void start_layer_norm(layer_case *k, tp_nn_layer_norm *ln, tp_params *ps, tp_shape event,
                             tp_shape x)
{
    *ps = tp_params_make(TP_F64, 1);
    *k = (layer_case){.apply = apply_layer_norm, .layer = ln, .ps = ps};
    assert_ok(tp_nn_layer_norm_init(ln, ps, "ln", event, (tp_nn_layer_norm_opts){0}));
    layer_case_x(k, x);
}

static void test_layer_norm_gradients(void **state)
{
    (void)state;
    const struct {
        tp_shape event, x;
    } rows[] = {{{1, {4}}, {2, {3, 4}}}, {{1, {4}}, {1, {4}}}, {{2, {2, 3}}, {4, {2, 2, 2, 3}}}};
    for (int i = 0; i < 3; i++) {
        layer_case k;
        tp_params ps;
        tp_nn_layer_norm ln;
        start_layer_norm(&k, &ln, &ps, rows[i].event, rows[i].x);
        check_layer_gradients(&k);
        tp_params_free(&ps);
    }
}

static void test_layer_norm_threads(void **state)
{
    (void)state;
    layer_case k;
    tp_params ps;
    tp_nn_layer_norm ln;
    start_layer_norm(&k, &ln, &ps, TP_SHAPE(67), TP_SHAPE(301, 67));
    check_layer_threads(&k);
    tp_params_free(&ps);
}

static void test_layer_norm_refusals(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_layer_norm ln;
    const tp_nn_layer_norm_opts opts = {0};
    assert_status(tp_nn_layer_norm_init(&ln, &ps, "ln", TP_SHAPE(), opts), TP_ESHAPE);
    assert_message("E_SHAPE layer norm 'ln' of shape []: at least one axis and one element needed");
    assert_status(tp_nn_layer_norm_init(&ln, &ps, "ln", TP_SHAPE(2, 0), opts), TP_ESHAPE);
    assert_status(tp_nn_layer_norm_init(&ln, &ps, "ln", TP_SHAPE(2), (tp_nn_layer_norm_opts){-1}),
                  TP_EARG);
    assert_message("E_ARG layer norm 'ln': eps -1: eps > 0 needed");
    assert_int_equal(ps.n, 0);
    assert_ok(tp_nn_layer_norm_init(&ln, &ps, "ln", TP_SHAPE(2, 3), opts));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    assert_refused(tp_nn_layer_norm_apply(&ln, &c, drawn(f, TP_SHAPE(4, 3, 2), 1)), TP_ESHAPE,
                   "layer norm 'ln': x has shape [4,3,2], expected one that ends with [2,3]");
    tp_tape_reset(f->tape);
    assert_refused(tp_nn_layer_norm_apply(&ln, &c, drawn(f, TP_SHAPE(3), 1)), TP_ESHAPE,
                   "layer norm 'ln': x has shape [3], expected one that ends with [2,3]");
    tp_params_free(&ps);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_norm_new),       cmocka_unit_test(test_batch_norm_by_hand),
        cmocka_unit_test(test_batch_norm_gradients), cmocka_unit_test(test_batch_norm_control),
        cmocka_unit_test(test_batch_norm_threads),   cmocka_unit_test(test_batch_norm_refusals),
        cmocka_unit_test(test_layer_norm_by_hand),   cmocka_unit_test(test_layer_norm_gradients),
        cmocka_unit_test(test_layer_norm_threads),   cmocka_unit_test(test_layer_norm_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
