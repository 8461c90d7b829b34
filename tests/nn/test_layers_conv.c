/* test_layers_conv.c: convolution layers: names, initial values, values, gradients, refusals, threads.
 *
 * PyTorch's numbers are tests/oracle/test_oracle_layers.c; those of the ops tests/ops. Read next: layer_check.h.
 */
#include "tests/nn/layer_check.h"

#include <math.h>
#include <string.h>

LAYER_APPLY(conv2d)
LAYER_APPLY(conv_transpose2d)

static tp_var apply_conv2d_tanh(const void *layer, tp_ctx *c, tp_var x)
{
    return tp_nn_conv2d_activate(layer, c, x, TP_TANH);
}

static tp_var apply_conv_transpose2d_tanh(const void *layer, tp_ctx *c, tp_var x)
{
    return tp_nn_conv_transpose2d_activate(layer, c, x, TP_TANH);
}

/* --- making ------------------------------------------------------------------------------------- */

/* Drawn from U(±bound): none is outside, and of so many one comes close. */
static void check_bound(const tp_parameter *p, double bound)
{
    double most = 0;
    for (int64_t i = 0; i < tp_numel(&p->value); i++)
        most = fmax(most, fabs(tp_flat(&p->value, i)));
    assert_true(most <= bound && most > 0.9 * bound);
}

/* The bounds are those of PyTorch 2.13, read off its modules: fan_in = in/groups·kh·kw of Conv2d; of ConvTranspose2d
 * out/groups·kh·kw, though its inputs are on the first axis. */
static void test_new(void **state)
{
    (void)state;
    static const struct {
        int64_t groups;
        tp_shape conv, transposed;
        double conv_bound, transposed_bound;
    } rows[] = {
        {1, {4, {32, 64, 4, 3}}, {4, {64, 32, 4, 3}}, 64 * 12, 32 * 12},
        {2, {4, {32, 32, 4, 3}}, {4, {64, 16, 4, 3}}, 32 * 12, 16 * 12},
    };
    for (int i = 0; i < 2; i++) {
        tp_params ps = tp_params_make(TP_F64, 1);
        tp_nn_conv2d conv;
        tp_nn_conv_transpose2d transposed;
        tp_conv_opts opts = {.groups = rows[i].groups};
        assert_ok(tp_nn_conv2d_init(&conv, &ps, "down.0", 64, 32, 4, 3, opts));
        assert_ok(tp_nn_conv_transpose2d_init(&transposed, &ps, "up.0", 64, 32, 4, 3, opts));
        static const char *const names[] = {"down.0.weight", "down.0.bias", "up.0.weight",
                                            "up.0.bias"};
        assert_int_equal(ps.n, 4);
        assert_int_equal(ps.buffers, 0);
        for (int k = 0; k < 4; k++)
            assert_string_equal(ps.item[k]->name, names[k]);
        assert_true(tp_shape_equal(conv.weight.value.shape, rows[i].conv));
        assert_true(tp_shape_equal(transposed.weight.value.shape, rows[i].transposed));
        assert_true(tp_shape_equal(conv.bias.value.shape, TP_SHAPE(32)));
        assert_true(tp_shape_equal(transposed.bias.value.shape, TP_SHAPE(32)));
        check_bound(&conv.weight, 1 / sqrt(rows[i].conv_bound));
        check_bound(&conv.bias, 1 / sqrt(rows[i].conv_bound));
        check_bound(&transposed.weight, 1 / sqrt(rows[i].transposed_bound));
        check_bound(&transposed.bias, 1 / sqrt(rows[i].transposed_bound));
        assert_int_equal(conv.opts.stride[1], 1);
        assert_int_equal(transposed.opts.dilation[0], 1);
        tp_params_free(&ps);
    }
}

/* --- values ------------------------------------------------------------------------------------- */

enum { N = 2, IN = 4, OUT = 6, SIDE = 5 };
static const tp_conv_opts strided = {
    .stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2};

/* Straight from the definition: what the kernel sees, plus the bias of the channel. */
static double seen(const tp_nn_conv2d *l, const tp_tensor *x, int64_t n, int64_t o, int64_t i,
                   int64_t j)
{
    const tp_conv_opts *p = &l->opts;
    int64_t per = IN / p->groups, group = o / (OUT / p->groups);
    double sum = tp_flat(&l->bias.value, o);
    for (int64_t k = 0; k < per * 9; k++) {
        int64_t c = k / 9, u = k % 9 / 3, v = k % 3;
        int64_t row = i * p->stride[0] + u * p->dilation[0] - p->padding[0];
        int64_t column = j * p->stride[1] + v * p->dilation[1] - p->padding[1];
        if (row < 0 || row >= SIDE || column < 0 || column >= SIDE)
            continue;
        int64_t at = ((n * IN + group * per + c) * SIDE + row) * SIDE + column;
        sum += tp_flat(x, at) * tp_flat(&l->weight.value, o * per * 9 + k);
    }
    return sum;
}

/* Of 5 by 5 with this stride, padding and dilation: 3 rows, 1 column. */
static void test_conv_by_hand(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_conv2d l;
    assert_ok(tp_nn_conv2d_init(&l, &ps, "conv", IN, OUT, 3, 3, strided));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = drawn(f, TP_SHAPE(N, IN, SIDE, SIDE), 1), y = tp_nn_conv2d_apply(&l, &c, x);
    tp_var squashed = tp_nn_conv2d_activate(&l, &c, x, TP_SIGMOID);
    assert_true(tp_shape_equal(tp_shape_of(y), TP_SHAPE(N, OUT, 3, 1)));
    for (int64_t k = 0; k < N * OUT * 3; k++) {
        double want = seen(&l, tp_value(x), k / (OUT * 3), k / 3 % OUT, k % 3, 0);
        assert_close(tp_flat(tp_value(y), k), want, 1e-15, 1e-14);
        assert_close(tp_flat(tp_value(squashed), k), 1 / (1 + exp(-want)), 0, 1e-14);
    }
    tp_params_free(&ps);
    fixture_free(f);
}

/* Without their biases each is the other's adjoint: Σ y·conv(x) = Σ x·transposed(y), where both have one weight. */
static void test_transposed_is_adjoint(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_conv2d down;
    tp_nn_conv_transpose2d up;
    const tp_conv_opts half = {.stride = {2, 2}, .padding = {1, 1}};
    tp_conv_opts twice = half;
    twice.output_padding[1] = 1; /* 6 by 7 -> 3 by 3 -> 6 by 7 */
    assert_ok(tp_nn_conv2d_init(&down, &ps, "down", 2, 3, 4, 4, half));
    assert_ok(tp_nn_conv_transpose2d_init(&up, &ps, "up", 3, 2, 4, 4, twice));
    assert_ok(tp_copy(&up.weight.value, &down.weight.value));
    assert_ok(tp_init_constant(&down.bias, 0));
    assert_ok(tp_init_constant(&up.bias, 0));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = drawn(f, TP_SHAPE(2, 2, 6, 7), 1), y = drawn(f, TP_SHAPE(2, 3, 3, 3), 2);
    tp_var there = tp_nn_conv2d_apply(&down, &c, x),
           back = tp_nn_conv_transpose2d_apply(&up, &c, y);
    assert_true(tp_shape_equal(tp_shape_of(there), tp_shape_of(y)));
    assert_true(tp_shape_equal(tp_shape_of(back), tp_shape_of(x)));
    double one = tp_item_of(tp_sum(tp_mul(there, y), TP_ALL_AXES, false));
    assert_close(tp_item_of(tp_sum(tp_mul(back, x), TP_ALL_AXES, false)), one, 0, 1e-12);
    assert_ok(
        tp_init_constant(&up.bias, 3)); /* it is added once everywhere, the last column included */
    tp_tape_reset(f->tape);
    y = tp_scale(drawn(f, TP_SHAPE(2, 3, 3, 3), 2), 0);
    const tp_tensor *flat = tp_value(tp_nn_conv_transpose2d_apply(&up, &c, y));
    for (int64_t i = 0; i < tp_numel(flat); i++)
        assert_true(tp_flat(flat, i) == 3);
    tp_params_free(&ps);
    fixture_free(f);
}

/* One image, or batches of batches: the same numbers as of a list of images. */
static void test_leading_axes(void **state)
{
    (void)state;
    static const tp_shape lead[] = {
        {3, {3, 5, 5}}, {5, {2, 2, 3, 5, 5}}, {8, {1, 2, 1, 2, 1, 3, 5, 5}}, {5, {0, 2, 3, 5, 5}}};
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_conv2d down;
    tp_nn_conv_transpose2d up;
    assert_ok(tp_nn_conv2d_init(&down, &ps, "down", 3, 2, 3, 2, (tp_conv_opts){0}));
    assert_ok(tp_nn_conv_transpose2d_init(&up, &ps, "up", 3, 2, 2, 3, (tp_conv_opts){0}));
    for (int i = 0; i < 4; i++) {
        fixture *f = fixture_new();
        tp_ctx c = tp_ctx_eval(f->tape, 1, 0);
        tp_shape many = lead[i];
        int last = many.ndim;
        tp_var x = drawn(f, many, 1);
        tp_var list = tp_reshape(x, TP_SHAPE(tp_shape_numel(many) / 75, 3, 5, 5));
        tp_var a = tp_nn_conv2d_apply(&down, &c, x), b = tp_nn_conv_transpose2d_apply(&up, &c, x);
        many.dim[last - 3] = 2, many.dim[last - 2] = 3, many.dim[last - 1] = 4;
        assert_true(tp_shape_equal(tp_shape_of(a), many));
        many.dim[last - 2] = 6, many.dim[last - 1] = 7;
        assert_true(tp_shape_equal(tp_shape_of(b), many));
        tp_shape one = tp_shape_of(a), other = tp_shape_of(b);
        assert_true(equal_bits(tp_value(a),
                               tp_value(tp_reshape(tp_nn_conv2d_apply(&down, &c, list), one))));
        assert_true(equal_bits(
            tp_value(b), tp_value(tp_reshape(tp_nn_conv_transpose2d_apply(&up, &c, list), other))));
        fixture_free(f);
    }
    tp_params_free(&ps);
}

/* --- gradients, threads ------------------------------------------------------------------------- */

/* Both layers, with and without activation and leading axes. */
static void each_layer(tp_shape x, int64_t out, tp_conv_opts opts, void (*check)(layer_case *k))
{
    static tp_var (*const apply[])(const void *layer, tp_ctx *c, tp_var x) = {
        apply_conv2d, apply_conv2d_tanh, apply_conv_transpose2d, apply_conv_transpose2d_tanh};
    int64_t in = x.dim[x.ndim - 3];
    for (int i = 0; i < 4; i++) {
        tp_params ps = tp_params_make(TP_F64, 1);
        tp_nn_conv2d down;
        tp_nn_conv_transpose2d up;
        layer_case k = {.ps = &ps, .apply = apply[i], .layer = i < 2 ? (void *)&down : &up};
        opts.output_padding[0] = i < 2 ? 0 : opts.stride[0] - 1;
        if (i < 2)
            assert_ok(tp_nn_conv2d_init(&down, &ps, "l", in, out, 3, 2, opts));
        else
            assert_ok(tp_nn_conv_transpose2d_init(&up, &ps, "l", in, out, 3, 2, opts));
        layer_case_x(&k, x);
        check(&k);
        tp_params_free(&ps);
    }
}

static void test_gradients(void **state)
{
    (void)state;
    const tp_conv_opts opts = {.stride = {2, 1}, .padding = {1, 1}, .groups = 2};
    each_layer(TP_SHAPE(2, 4, 3, 4), 2, opts, check_layer_gradients);
    each_layer(TP_SHAPE(2, 1, 2, 4, 3), 4, opts, check_layer_gradients);
}

static void test_threads(void **state)
{
    (void)state;
    each_layer(TP_SHAPE(37, 3, 13, 14), 8, (tp_conv_opts){.stride = {2, 2}}, check_layer_threads);
}

/* --- refusals ----------------------------------------------------------------------------------- */

static void test_init_refusals(void **state)
{
    (void)state;
    static const struct {
        int64_t in, out, kh, kw;
        tp_conv_opts opts;
        tp_status status;
        const char *conv, *transposed;
    } rows[] = {
        {0,
         2,
         3,
         3,
         {.groups = 1},
         TP_ESHAPE,
         "E_SHAPE convolution 'l' from 0 to 2 channels with a kernel of 3 by 3: at least 1 of each "
         "needed",
         "E_SHAPE transposed convolution 'l' from 0 to 2 channels"},
        {2,
         2,
         3,
         0,
         {.groups = 1},
         TP_ESHAPE,
         "with a kernel of 3 by 0",
         "with a kernel of 3 by 0"},
        {2,
         2,
         3,
         3,
         {.stride = {2, 0}},
         TP_EARG,
         "E_ARG convolution 'l': stride 2,0: from 1 to 2^30 needed",
         "E_ARG transposed convolution 'l': stride 2,0: from 1 to 2^30 needed"},
        {4,
         6,
         3,
         3,
         {.groups = 4},
         TP_EARG,
         "convolution 'l': 4 input and 6 output channels in 4 groups: multiples of 4 needed",
         "transposed convolution 'l': 4 input and 6 output channels in 4 groups"},
        {2,
         2,
         3,
         3,
         {.stride = {1, 2}, .output_padding = {1, 1}},
         TP_EARG,
         "convolution 'l': output_padding 1,1: only the transposed one has any",
         "transposed convolution 'l': output_padding 1,1: less than the stride 1,2 needed"},
    };
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_conv2d down;
    tp_nn_conv_transpose2d up;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_status(tp_nn_conv2d_init(&down, &ps, "l", rows[i].in, rows[i].out, rows[i].kh,
                                        rows[i].kw, rows[i].opts),
                      rows[i].status);
        assert_message(rows[i].conv);
        assert_status(tp_nn_conv_transpose2d_init(&up, &ps, "l", rows[i].in, rows[i].out,
                                                  rows[i].kh, rows[i].kw, rows[i].opts),
                      rows[i].status);
        assert_message(rows[i].transposed);
        assert_int_equal(ps.n, 0);
    }
    char name[122];
    memset(name, 'n', 121);
    name[121] = '\0';
    assert_status(tp_nn_conv2d_init(&down, &ps, name, 2, 2, 3, 3, (tp_conv_opts){0}), TP_EARG);
    assert_message("longer than 120 bytes");
    assert_ok(tp_nn_conv2d_init(&down, &ps, "l", 2, 2, 3, 3, (tp_conv_opts){0}));
    assert_status(tp_nn_conv_transpose2d_init(&up, &ps, "l", 2, 2, 3, 3, (tp_conv_opts){0}),
                  TP_EARG);
    assert_message("two parameters are named 'l.weight'");
    tp_params_free(&ps);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        tp_shape x;
        const char *conv, *transposed;
    } rows[] = {
        {{4, {2, 3, 5, 5}},
         "encoder: convolution 'net.0': x has shape [2,3,5,5], expected [..,4,h,w]",
         "encoder: transposed convolution 'net.2': x has shape [2,3,5,5], expected [..,4,h,w]"},
        {{2, {4, 5}},
         "convolution 'net.0': x has shape [4,5], expected [..,4,h,w]",
         "transposed convolution 'net.2': x has shape [4,5], expected [..,4,h,w]"},
        {{4, {2, 4, 2, 5}}, "'net.0.weight'", NULL},
    };
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_conv2d down = {0};
    tp_nn_conv_transpose2d up = {0};
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    assert_status(tp_var_status(tp_nn_conv2d_apply(&down, &c, drawn(f, TP_SHAPE(1, 4, 5, 5), 1))),
                  TP_EARG);
    assert_message("the parameter was never made");
    assert_ok(tp_nn_conv2d_init(&down, &ps, "net.0", 4, 2, 3, 3, (tp_conv_opts){0}));
    assert_ok(tp_nn_conv_transpose2d_init(&up, &ps, "net.2", 4, 2, 3, 3, (tp_conv_opts){0}));
    for (int i = 0; i < 6; i++) {
        const char *says = i % 2 == 0 ? rows[i / 2].conv : rows[i / 2].transposed;
        if (says == NULL)
            continue;
        tp_tape_reset(f->tape);
        tp_scope_begin(f->tape, "encoder");
        tp_var x = drawn(f, rows[i / 2].x, 1);
        assert_refused(i % 2 == 0 ? tp_nn_conv2d_apply(&down, &c, TP_NAME(x))
                                  : tp_nn_conv_transpose2d_apply(&up, &c, TP_NAME(x)),
                       TP_ESHAPE, says);
        assert_message("'x'");
    }
    tp_tape_reset(f->tape);
    tp_var x = drawn(f, TP_SHAPE(1, 4, 5, 5), 1);
    tp_tape_reset(f->tape);
    assert_refused(tp_nn_conv_transpose2d_apply(&up, &c, x), TP_ESTALE, "outlived its values");
    tp_params_free(&ps);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_conv_by_hand),
        cmocka_unit_test(test_transposed_is_adjoint),
        cmocka_unit_test(test_leading_axes),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_init_refusals),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
