/* test_oracle_vae.c: loss, its terms and all parameter gradients of the VAE and of that of pictures, against PyTorch.
 *
 * Same weights, data and noise; decoders, activations, depths, β and the sizes of pictures vary. f64 agrees in every digit that
 * matters; in f32 the order of summation moves single elements, so gradients are compared by their norm.
 * Read next: injected.h.
 */
#include "tests/oracle/oracle.h"
#include "tests/oracle/injected.h"

#include <stdio.h>
#include <string.h>

#include "autograd/sweep.h"

typedef struct row {
    const char *name;
    tp_model_config config;
    const tp_model_type *type; /* NULL: the VAE */
} row;

/* Of pictures, with 3 and 5 channels and 6 hidden units. */
#define PICTURES(c, h, w, nz, act, like, kl_weight)                                                \
    {                                                                                              \
        .data_dim = (c) * (h) * (w), .hidden = {6}, .hidden_layers = 1, .latent_dim = nz,          \
        .activation = act, .likelihood = like, .beta = kl_weight, .levels = 3,                     \
        .option = {0, 3, 5}, .data_shape = {                                                       \
            3,                                                                                     \
            {c, h, w}                                                                              \
        }                                                                                          \
    }

static const row rows[] = {
    {"relu_bernoulli", {20, {16}, 1, 4, TP_RELU, TP_BERNOULLI, 1}},
    {"relu_gaussian", {20, {16}, 1, 4, TP_RELU, TP_GAUSSIAN, 1}},
    {"tiny_bernoulli", {3, {4}, 1, 2, TP_TANH, TP_BERNOULLI, 1}},
    {"tiny_gaussian", {3, {4}, 1, 2, TP_TANH, TP_GAUSSIAN, 4}},
    {"deep_bernoulli", {20, {12, 7}, 2, 4, TP_SOFTPLUS, TP_BERNOULLI, 0.5}},
    {"conv_bernoulli", PICTURES(1, 9, 10, 4, TP_RELU, TP_BERNOULLI, 1), &tp_model_conv_vae},
    {"conv_gaussian", PICTURES(3, 6, 7, 3, TP_TANH, TP_GAUSSIAN, 4), &tp_model_conv_vae},
    {"conv_learned", PICTURES(2, 5, 4, 2, TP_TANH, TP_GAUSSIAN_LEARNED, 1), &tp_model_conv_vae},
    {"conv_categorical", PICTURES(2, 4, 11, 2, TP_RELU, TP_CATEGORICAL, 1), &tp_model_conv_vae},
};
enum { ROWS = sizeof rows / sizeof *rows };

ORACLE_FIXTURE("vae.safetensors");

static const char *dtype_tag(tp_dtype dtype)
{
    return dtype == TP_F64 ? "f64" : "f32";
}

/* "<case>.<middle>.<last>" */
static const char *part(char text[ORACLE_NAME], const char *name, const char *middle,
                        const char *last)
{
    char both[ORACLE_NAME];
    return joined(text, joined(both, name, middle), last);
}

static void make(tp_model *m, const row *r, tp_dtype dtype)
{
    assert_ok(tp_model_init(m, r->type != NULL ? r->type : &tp_model_vae, r->config, dtype, 1));
}

static void load_weights(tp_model *m, const char *name)
{
    char text[ORACLE_NAME];
    for (int i = 0; i < m->params.n; i++) {
        tp_parameter *p = m->params.item[i];
        tp_tensor w = oracle_load(&file, part(text, name, "w", p->name));
        assert_ok(tp_copy(&p->value, &w));
        tp_tensor_free(&w);
    }
}

static void compare_terms(const row *r, tp_dtype dtype, const tp_objective *o, double rel,
                          double *worst)
{
    const char *const name[] = {"loss", "recon", "kl"};
    const tp_var value[] = {o->total, o->term[0].value, o->term[1].value};
    char text[ORACLE_NAME];
    assert_string_equal(o->term[0].name, "recon");
    assert_string_equal(o->term[1].name, "kl");
    for (int i = 0; i < 3; i++) {
        double want = oracle_item(&file, part(text, r->name, dtype_tag(dtype), name[i]));
        assert_close(tp_item_of(value[i]), want, 0, rel);
        *worst = fmax(*worst, fabs(tp_item_of(value[i]) - want) / fabs(want));
    }
}

static void compare_gradients(const row *r, const tp_model *m, tp_dtype dtype, double rel,
                              double *worst)
{
    char text[ORACLE_NAME], middle[ORACLE_NAME];
    for (int i = 0; i < m->params.n; i++) {
        const tp_parameter *p = m->params.item[i];
        part(text, r->name, joined(middle, dtype_tag(dtype), "g"), p->name);
        tp_tensor want = oracle_load(&file, text);
        const tp_tensor *got = tp_parameter_grad(p);
        assert_non_null(got);
        if (dtype == TP_F64)
            compare(text, got, &want, rel, worst);
        double deviation = norm_deviation(got, &want);
        *worst = fmax(*worst, deviation);
        if (!(deviation <= rel))
            fail_msg("%s: the gradient is off by %g of its norm", text, deviation);
        tp_tensor_free(&want);
    }
}

static void check_case(const row *r, tp_dtype dtype, double rel_loss, double rel_gradient)
{
    tp_model m;
    tp_tape *t;
    char text[ORACLE_NAME];
    double worst[2] = {0, 0};
    make(&m, r, dtype);
    assert_ok(tp_tape_new(&t));
    load_weights(&m, r->name);
    tp_tensor x = oracle_load_as(&file, joined(text, r->name, "x"), dtype);
    tp_tensor eps = oracle_load_as(&file, joined(text, r->name, "eps"), dtype);
    tp_ctx c = tp_ctx_train(t, 1, 0);
    tp_objective o = injected_loss(&m, &c, tp_constant(t, &x), tp_constant(t, &eps));
    assert_ok(tp_backward(o.total));
    compare_terms(r, dtype, &o, rel_loss, &worst[0]);
    compare_gradients(r, &m, dtype, rel_gradient, &worst[1]);
    print_message("%s in %s: loss off by %.2g, gradients by %.2g\n", r->name, dtype_tag(dtype),
                  worst[0], worst[1]);
    tp_tensor_free(&x);
    tp_tensor_free(&eps);
    tp_tape_free(t);
    tp_model_free(&m);
}

static void test_f64(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++)
        check_case(&rows[i], TP_F64, 1e-12, 1e-10);
}

static void test_f32(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++)
        check_case(&rows[i], TP_F32, 1e-5, 1e-5);
}

/* The weights in the file are all and only those of the model: names and shapes are PyTorch's. */
static void test_names(void **state)
{
    (void)state;
    for (int r = 0; r < ROWS; r++) {
        tp_model m;
        char text[ORACLE_NAME];
        int n = 0;
        snprintf(text, sizeof text, "%s.w.", rows[r].name);
        for (int64_t i = 0; i < file.n; i++)
            n += strncmp(file.entry[i].name, text, strlen(text)) == 0;
        make(&m, &rows[r], TP_F64);
        assert_int_equal(m.params.n, n);
        for (int i = 0; i < m.params.n; i++) {
            const tp_parameter *p = m.params.item[i];
            const tp_safetensors_entry *e =
                tp_safetensors_find(&file, part(text, rows[r].name, "w", p->name));
            assert_non_null(e);
            assert_true(tp_shape_equal(e->shape, p->value.shape));
        }
        tp_model_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_f64),
        cmocka_unit_test(test_f32),
    };
    return cmocka_run_group_tests(tests, open_file, close_file) != 0;
}
