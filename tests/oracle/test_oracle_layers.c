/* test_oracle_layers.c: layers against PyTorch's: names and values of fresh ones, then three steps in training and one
 * in eval mode: outputs, gradients of input and parameters, running statistics behind each step.
 *
 * The numbers are layers.py's. Read next: oracle.h.
 */
#include "tests/oracle/oracle.h"

#include <string.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "nn/layers.h"

ORACLE_FIXTURE("layers.safetensors");

/* --- the layers --------------------------------------------------------------------------------- */

typedef union layer {
    tp_nn_batch_norm batch_norm;
    tp_nn_layer_norm layer_norm;
    tp_nn_gated gated;
    tp_nn_masked_linear masked;
    tp_nn_residual residual;
    tp_nn_embedding embedding;
    tp_nn_conv2d conv;
    tp_nn_conv_transpose2d conv_transpose;
} layer;

static tp_status make_bn(layer *l, tp_params *ps, const char *name)
{
    return tp_nn_batch_norm_init(&l->batch_norm, ps, name, 5, (tp_nn_batch_norm_opts){0});
}

static tp_status make_bn_images(layer *l, tp_params *ps, const char *name)
{
    return tp_nn_batch_norm_init(&l->batch_norm, ps, name, 3,
                                 (tp_nn_batch_norm_opts){.eps = 1e-3, .momentum = 0.3});
}

static tp_status make_ln(layer *l, tp_params *ps, const char *name)
{
    return tp_nn_layer_norm_init(&l->layer_norm, ps, name, TP_SHAPE(6), (tp_nn_layer_norm_opts){0});
}

static tp_status make_ln_images(layer *l, tp_params *ps, const char *name)
{
    return tp_nn_layer_norm_init(&l->layer_norm, ps, name, TP_SHAPE(2, 3),
                                 (tp_nn_layer_norm_opts){.eps = 1e-2});
}

static tp_status make_gated(layer *l, tp_params *ps, const char *name)
{
    return tp_nn_gated_init(&l->gated, ps, name, 4, 3);
}

static tp_status make_masked(layer *l, tp_params *ps, const char *name)
{
    tp_tensor mask = oracle_load(&file, "masked.w.mask");
    tp_status s = tp_nn_masked_linear_init(&l->masked, ps, name, &mask);
    tp_tensor_free(&mask);
    return s;
}

static tp_status make_residual(layer *l, tp_params *ps, const char *name)
{
    return tp_nn_residual_init(&l->residual, ps, name, 4, 6, TP_TANH);
}

static tp_status make_embedding(layer *l, tp_params *ps, const char *name)
{
    return tp_nn_embedding_init(&l->embedding, ps, name, 6, 4);
}

static tp_status make_conv(layer *l, tp_params *ps, const char *name)
{
    return tp_nn_conv2d_init(&l->conv, ps, name, 3, 4, 2, 3, (tp_conv_opts){0});
}

static tp_status make_conv_groups(layer *l, tp_params *ps, const char *name)
{
    const tp_conv_opts o = {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2};
    return tp_nn_conv2d_init(&l->conv, ps, name, 4, 6, 3, 3, o);
}

static tp_status make_conv_transpose(layer *l, tp_params *ps, const char *name)
{
    return tp_nn_conv_transpose2d_init(&l->conv_transpose, ps, name, 3, 4, 2, 3, (tp_conv_opts){0});
}

static tp_status make_conv_transpose_groups(layer *l, tp_params *ps, const char *name)
{
    const tp_conv_opts o = {.stride = {2, 3},
                            .padding = {1, 2},
                            .dilation = {1, 2},
                            .groups = 2,
                            .output_padding = {1, 2}};
    return tp_nn_conv_transpose2d_init(&l->conv_transpose, ps, name, 4, 6, 3, 3, o);
}

static tp_var batch_norm(const layer *l, tp_ctx *c, tp_var x)
{
    return tp_nn_batch_norm_apply(&l->batch_norm, c, x);
}

static tp_var layer_norm(const layer *l, tp_ctx *c, tp_var x)
{
    return tp_nn_layer_norm_apply(&l->layer_norm, c, x);
}

static tp_var gated(const layer *l, tp_ctx *c, tp_var x)
{
    return tp_nn_gated_apply(&l->gated, c, x);
}

static tp_var masked(const layer *l, tp_ctx *c, tp_var x)
{
    return tp_nn_masked_linear_apply(&l->masked, c, x);
}

static tp_var residual(const layer *l, tp_ctx *c, tp_var x)
{
    return tp_nn_residual_apply(&l->residual, c, x);
}

static tp_var embedding(const layer *l, tp_ctx *c, tp_var x)
{
    return tp_nn_embedding_apply(&l->embedding, c, x);
}

static tp_var conv(const layer *l, tp_ctx *c, tp_var x)
{
    return tp_nn_conv2d_apply(&l->conv, c, x);
}

static tp_var conv_transpose(const layer *l, tp_ctx *c, tp_var x)
{
    return tp_nn_conv_transpose2d_apply(&l->conv_transpose, c, x);
}

static const struct row {
    const char *name;
    tp_status (*make)(layer *l, tp_params *ps, const char *name);
    tp_var (*apply)(const layer *l, tp_ctx *c, tp_var x);
    int steps;
    bool fresh; /* a new one holds no draws */
} rows[] = {
    {"bn", make_bn, batch_norm, 3, true},
    {"bn_images", make_bn_images, batch_norm, 3, true},
    {"ln", make_ln, layer_norm, 1, true},
    {"ln_images", make_ln_images, layer_norm, 1, true},
    {"gated", make_gated, gated, 1, false},
    {"masked", make_masked, masked, 1, false},
    {"residual", make_residual, residual, 1, false},
    {"embedding", make_embedding, embedding, 1, false},
    {"conv", make_conv, conv, 1, false},
    {"conv_groups", make_conv_groups, conv, 1, false},
    {"conv_transpose", make_conv_transpose, conv_transpose, 1, false},
    {"conv_transpose_groups", make_conv_transpose_groups, conv_transpose, 1, false},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* --- comparing ---------------------------------------------------------------------------------- */

/* "bn.running_mean" of row bn -> "bn.<what>.running_mean" */
static const char *entry(char text[ORACLE_NAME], const struct row *r, const char *what,
                         const char *name)
{
    char both[ORACLE_NAME];
    return joined(text, joined(both, r->name, what), name + strlen(r->name) + 1);
}

static void compare_named(const struct row *r, const char *what, const char *name,
                          const tp_tensor *got, double rel, double *worst)
{
    char text[ORACLE_NAME];
    tp_tensor want = oracle_load(&file, entry(text, r, what, name));
    compare(text, got, &want, rel, worst);
    tp_tensor_free(&want);
}

/* All parameters and buffers, and nothing else, stand in the file under what. */
static void each_value(const struct row *r, const tp_params *ps, const char *what, bool load,
                       double *worst)
{
    char text[ORACLE_NAME];
    int n = 0;
    for (int64_t i = 0; i < file.n; i++) {
        snprintf(text, sizeof text, "%s.%s.", r->name, what);
        n += strncmp(file.entry[i].name, text, strlen(text)) == 0;
    }
    assert_int_equal(n, ps->n + ps->buffers);
    for (int i = 0; i < ps->n + ps->buffers; i++) {
        bool learned = i < ps->n;
        const char *name = learned ? ps->item[i]->name : ps->buffer[i - ps->n]->name;
        tp_tensor *value = learned ? &ps->item[i]->value : &ps->buffer[i - ps->n]->value;
        tp_tensor want = oracle_load(&file, entry(text, r, what, name));
        if (load)
            assert_ok(tp_copy(value, &want));
        else
            compare(text, value, &want, 1e-15, worst);
        tp_tensor_free(&want);
    }
}

/* "<case>.<what><key>" */
static void compare_step(const struct row *r, const char *what, const char *key,
                         const tp_tensor *got, double rel, double *worst)
{
    char text[ORACLE_NAME];
    snprintf(text, sizeof text, "%s.%s%s", r->name, what, key);
    tp_tensor want = oracle_load(&file, text);
    compare(text, got, &want, rel, worst);
    tp_tensor_free(&want);
}

/* One step; key is its number, or "eval". */
static void check_step(const struct row *r, const layer *l, tp_params *ps, tp_tape *t,
                       const char *key, double rel, double *worst)
{
    char text[ORACLE_NAME], what[16];
    bool eval = strcmp(key, "eval") == 0, indices = r->apply == embedding;
    snprintf(what, sizeof what, "x%s", key);
    joined(text, r->name, what);
    tp_tensor x = indices ? oracle_load(&file, text) : oracle_load_as(&file, text, ps->dtype);
    snprintf(what, sizeof what, "gy%s", key);
    tp_tensor gy = oracle_load_as(&file, joined(text, r->name, what), ps->dtype);
    tp_tape_reset(t);
    tp_params_zero_grad(ps);
    tp_ctx c = eval ? tp_ctx_eval(t, 1, 0) : tp_ctx_train(t, 1, 0);
    tp_var in = indices ? tp_constant(t, &x) : tp_leaf(t, &x);
    tp_var y = r->apply(l, &c, in);
    assert_ok(tp_backward(tp_sum(tp_mul(y, tp_constant(t, &gy)), TP_ALL_AXES, false)));
    tp_params_commit(ps, t);
    compare_step(r, "y", key, tp_value(y), rel, worst);
    if (!indices)
        compare_step(r, "gx", key, tp_leaf_grad(in), rel, worst);
    snprintf(what, sizeof what, "g%s", key);
    for (int i = 0; i < ps->n; i++)
        compare_named(r, what, ps->item[i]->name, tp_parameter_grad(ps->item[i]), rel, worst);
    snprintf(what, sizeof what, "b%s", key);
    for (int i = 0; i < ps->buffers; i++)
        compare_named(r, what, ps->buffer[i]->name, &ps->buffer[i]->value, rel, worst);
    tp_tensor_free(&x);
    tp_tensor_free(&gy);
}

static void check_layer(const struct row *r, tp_dtype dtype, double rel)
{
    layer l;
    tp_tape *t;
    double worst = 0;
    tp_params ps = tp_params_make(dtype, 1);
    assert_ok(tp_tape_new(&t));
    assert_ok(r->make(&l, &ps, r->name));
    if (r->fresh)
        each_value(r, &ps, "new", false, &worst);
    each_value(r, &ps, "w", true, &worst);
    for (int k = 0; k < r->steps; k++)
        check_step(r, &l, &ps, t, (char[]){(char)('0' + k), 0}, rel, &worst);
    check_step(r, &l, &ps, t, "eval", rel, &worst);
    print_message("%s in %s: off by %.2g\n", r->name, tp_dtype_name(dtype), worst);
    tp_tape_free(t);
    tp_params_free(&ps);
}

static void test_f64(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++)
        check_layer(&rows[i], TP_F64, 1e-12);
}

static void test_f32(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++)
        check_layer(&rows[i], TP_F32, 2e-5);
}

/* --- controls ----------------------------------------------------------------------------------- */

/* Formulas that are often written instead, on the first step of "bn": PyTorch's numbers tell them apart. */
static void test_controls(void **state)
{
    (void)state;
    tp_tensor x = oracle_load(&file, "bn.x0"), mean = oracle_load(&file, "bn.b0.running_mean"),
              variance = oracle_load(&file, "bn.b0.running_var");
    for (int64_t ch = 0; ch < 5; ch++) {
        double m = 0, ss = 0;
        for (int64_t i = 0; i < 7; i++)
            m += tp_flat(&x, 5 * i + ch) / 7;
        for (int64_t i = 0; i < 7; i++)
            ss += pow(tp_flat(&x, 5 * i + ch) - m, 2);
        assert_close(tp_flat(&mean, ch), 0.1 * m, 0, 1e-12);
        assert_close(tp_flat(&variance, ch), 0.9 + 0.1 * ss / 6, 0, 1e-12);
        assert_false(
            close_enough(0.9 * m, tp_flat(&mean, ch), 0, 1e-5)); /* momentum turned round */
        assert_false(
            close_enough(0.9 + 0.1 * ss / 7, tp_flat(&variance, ch), 0, 1e-5)); /* biased */
    }
    tp_tensor_free(&x);
    tp_tensor_free(&mean);
    tp_tensor_free(&variance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f64),
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_controls),
    };
    return cmocka_run_group_tests(tests, open_file, close_file) != 0;
}
