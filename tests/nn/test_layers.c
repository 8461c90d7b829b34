/* test_layers.c: linear layers, multilayer perceptrons, dropout: names, initial values, what they compute.
 *
 * Agreement of whole networks with PyTorch is tests/oracle. Read next: test_objective.c.
 */
#include "tests/nn/fixture.h"

#include <math.h>
#include <string.h>

#include "autograd/sweep.h"
#include "nn/layers.h"

/* --- initial values ----------------------------------------------------------------------------- */

/* torch.nn.Linear's default: uniform in ±1/√in for weights and biases. Extremes and the first two moments,
 * each within five standard errors. */
static void check_uniform(const tp_tensor *t, double bound)
{
    int64_t n = tp_numel(t);
    double sum = 0, square = 0, low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        double v = tp_flat(t, i);
        sum += v;
        square += v * v;
        low = fmin(low, v);
        high = fmax(high, v);
    }
    double variance = bound * bound / 3, root_n = sqrt((double)n);
    double most = bound * (1 + 1e-7); /* f32 rounds the bound itself */
    assert_true(low >= -most && high <= most);
    assert_true(low < -bound * (1 - 20.0 / (double)n) && high > bound * (1 - 20.0 / (double)n));
    assert_close(sum / (double)n, 0, 5 * sqrt(variance) / root_n, 0);
    /* Var[u²] = bound⁴ (1/5 − 1/9) */
    assert_close(square / (double)n, variance, 5 * bound * bound * sqrt(4.0 / 45) / root_n, 0);
}

static void test_torch_init(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        tp_params ps = tp_params_make((tp_dtype)d, 3);
        tp_nn_linear l;
        assert_ok(tp_nn_linear_init(&l, &ps, "fc", 784, 400));
        assert_int_equal(tp_params_count(&ps), 784 * 400 + 400);
        check_uniform(&l.weight.value, 1 / sqrt(784));
        check_uniform(&l.bias.value, 1 / sqrt(784));
        tp_params_free(&ps);
    }
}

/* --- linear and mlp ----------------------------------------------------------------------------- */

static void test_linear(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_linear l;
    assert_ok(tp_nn_linear_init(&l, &ps, "fc", 2, 3));
    const double w[] = {1, 2, 3, 4, 5, 6}, b[] = {10, 20, 30}, x[] = {1, -1, 2, 0};
    for (int i = 0; i < 6; i++)
        assert_ok(tp_set_flat(&l.weight.value, i, w[i]));
    for (int i = 0; i < 3; i++)
        assert_ok(tp_set_flat(&l.bias.value, i, b[i]));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var y = tp_nn_linear_apply(&l, &c, given(f, TP_SHAPE(2, 2), x));
    const double want[] = {9, 19, 29, 12, 26, 40};
    assert_tensor_close(tp_value(y), want, 6, 0, 0);
    assert_ok(tp_backward(tp_sum(y, TP_ALL_AXES, false)));
    const double gw[] = {3, -1, 3, -1, 3, -1}, gb[] = {2, 2, 2};
    assert_tensor_close(tp_parameter_grad(&l.weight), gw, 6, 0, 0);
    assert_tensor_close(tp_parameter_grad(&l.bias), gb, 3, 0, 0);
    tp_params_free(&ps);
    fixture_free(f);
}

/* torch.nn.Sequential(Linear, ReLU, Linear, ReLU, Linear) calls its layers 0, 2 and 4. */
static void test_mlp_names(void **state)
{
    (void)state;
    static const char *const names[] = {"encoder.0.weight", "encoder.0.bias",   "encoder.2.weight",
                                        "encoder.2.bias",   "encoder.4.weight", "encoder.4.bias"};
    tp_params ps = tp_params_make(TP_F32, 1);
    tp_nn_mlp m;
    const int64_t size[] = {5, 4, 3, 2};
    assert_ok(tp_nn_mlp_init(&m, &ps, "encoder", size, 3, TP_RELU, TP_IDENTITY));
    assert_int_equal(ps.n, 6);
    for (int i = 0; i < 6; i++)
        assert_string_equal(ps.item[i]->name, names[i]);
    assert_true(tp_shape_equal(ps.item[2]->value.shape, TP_SHAPE(3, 4))); /* [out, in] */
    assert_true(tp_shape_equal(ps.item[3]->value.shape, TP_SHAPE(3)));
    tp_params_free(&ps);
}

/* The last layer has an activation of its own; no layers at all give the input back. */
static void test_mlp_activations(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_mlp hidden, none;
    const int64_t size[] = {3, 4, 2};
    assert_ok(tp_nn_mlp_init(&hidden, &ps, "a", size, 2, TP_TANH, TP_SIGMOID));
    assert_ok(tp_nn_mlp_init(&none, &ps, "b", size, 0, TP_TANH, TP_TANH));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = drawn(f, TP_SHAPE(5, 3), 1);
    tp_var y = tp_nn_mlp_apply(&hidden, &c, x);
    tp_var h = tp_tanh(tp_nn_linear_apply(&hidden.layer[0], &c, x));
    tp_var logits = tp_nn_linear_apply(&hidden.layer[1], &c, h);
    assert_true(same_values(tp_value(y), tp_value(tp_sigmoid(logits))));
    assert_int_equal(tp_nn_mlp_apply(&none, &c, x).id, x.id);
    tp_params_free(&ps);
    fixture_free(f);
}

enum { RELU_LAYERS = 3, RELU_RESULTS = 2 + 2 * RELU_LAYERS };

/* The value of a network, the gradient of its square by x, and those by the parameters, as copies. */
static void relu_results(fixture *f, const tp_nn_mlp *m, const tp_params *ps, const tp_tensor *data,
                         bool by_hand, tp_tensor *result)
{
    tp_tape_reset(f->tape);
    tp_params_zero_grad(ps);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = tp_leaf(f->tape, data), y = x;
    if (!by_hand)
        y = tp_nn_mlp_apply(m, &c, x);
    for (int i = 0; i < m->layers && by_hand; i++)
        y = tp_relu(tp_nn_linear_apply(&m->layer[i], &c, y));
    char text[TP_VAR_TEXT]; /* else the comparison would compare nothing */
    assert_true((strstr(tp_var_text(y, text), "linear_relu") != NULL) == !by_hand);
    assert_ok(tp_backward(tp_sum(tp_square(y), TP_ALL_AXES, false)));
    assert_ok(tp_clone(&result[0], tp_value(y)));
    assert_ok(tp_clone(&result[1], tp_leaf_grad(x)));
    for (int i = 0; i < ps->n; i++)
        assert_ok(tp_clone(&result[2 + i], tp_parameter_grad(ps->item[i])));
}

static void check_relu(fixture *f, tp_dtype dtype, int64_t batch)
{
    const int64_t size[] = {330, 50, 17, 70}; /* the first sum takes more than one block */
    tp_tensor one[RELU_RESULTS], two[RELU_RESULTS];
    tp_params ps = tp_params_make(dtype, 2);
    tp_nn_mlp m;
    assert_ok(tp_nn_mlp_init(&m, &ps, "net", size, RELU_LAYERS, TP_RELU, TP_RELU));
    const tp_tensor *x = fixture_draw(f, dtype, TP_SHAPE(batch, size[0]), 3, 1, 0);
    relu_results(f, &m, &ps, x, false, one);
    relu_results(f, &m, &ps, x, true, two);
    for (int i = 0; i < RELU_RESULTS; i++) {
        double most = 0;
        for (int64_t k = 0; k < tp_numel(&one[i]); k++)
            most = fmax(most, fabs(tp_flat(&one[i], k)));
        assert_true(most > 0);
        assert_true(equal_bits(&one[i], &two[i]));
        tp_tensor_free(&one[i]);
        tp_tensor_free(&two[i]);
    }
    tp_params_free(&ps);
}

/* relu within the product is relu after it, to the bit: the value and every gradient. */
static void test_mlp_relu(void **state)
{
    (void)state;
    static const int64_t batch[] = {1, 3, 31, 128};
    fixture *f = fixture_new();
    for (int d = TP_F32; d <= TP_F64; d++)
        for (int i = 0; i < 4; i++)
            check_relu(f, (tp_dtype)d, batch[i]);
    fixture_free(f);
}

static void test_activations(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double x[] = {-1, 0.5};
    const struct {
        tp_activation a;
        double y[2];
    } want[] = {{TP_RELU, {0, 0.5}},
                {TP_TANH, {-0.76159415595576489, 0.46211715726000976}},
                {TP_SIGMOID, {0.26894142136999512, 0.62245933120185457}},
                {TP_SOFTPLUS, {0.31326168751822284, 0.97407698418010668}},
                {TP_IDENTITY, {-1, 0.5}}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_tensor_close(tp_value(tp_activate(want[i].a, given(f, TP_SHAPE(2), x))), want[i].y,
                            2, 0, 1e-15);
    fixture_free(f);
    assert_string_equal(tp_activation_name(TP_RELU), "relu");
    assert_string_equal(tp_activation_name(TP_SIGMOID), "sigmoid");
    assert_string_equal(tp_activation_name(TP_IDENTITY), "identity");
    assert_null(tp_activation_name(TP_IDENTITY + 1));
    assert_null(tp_activation_name(-1));
}

static void test_refusals(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F32, 1);
    tp_nn_linear l;
    tp_nn_mlp m;
    const int64_t size[TP_MLP_LAYERS + 2] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    assert_status(tp_nn_linear_init(&l, &ps, "fc", 0, 3), TP_ESHAPE);
    assert_message("linear layer 'fc' of 0 inputs and 3 outputs");
    assert_status(tp_nn_linear_init(&l, &ps, "fc", 2, -1), TP_ESHAPE);
    assert_status(tp_nn_mlp_init(&m, &ps, "deep", size, TP_MLP_LAYERS + 1, TP_RELU, TP_RELU),
                  TP_EARG);
    assert_message("mlp 'deep' of 9 layers");
    assert_int_equal(ps.n, 0);
    assert_ok(tp_nn_linear_init(&l, &ps, "fc", 2, 3));
    assert_status(tp_nn_linear_init(&l, &ps, "fc", 2, 3), TP_EARG);
    assert_message("two parameters are named 'fc.weight'");
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = tp_constant(f->tape, fixture_draw(f, TP_F32, TP_SHAPE(4, 3), 1, 1, 0));
    tp_scope_begin(f->tape, "encoder");
    tp_var y = tp_nn_linear_apply(&l, &c, x);
    assert_status(tp_var_status(y), TP_ESHAPE);
    assert_message("encoder");
    assert_message("fc.weight"); /* the operand is called by its name */
    tp_params_free(&ps);
    fixture_free(f);
}

/* --- dropout ------------------------------------------------------------------------------------ */

enum { N = 100000 };

/* Kept elements are divided by 1 − p, so the mean stays; the share of zeros is p. */
static void test_dropout_scaling(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double p[] = {0.1, 0.5, 0.8};
    for (int k = 0; k < 3; k++) {
        tp_tape_reset(f->tape);
        tp_ctx c = tp_ctx_train(f->tape, 1, (uint64_t)k);
        tp_var y = tp_dropout(&c, tp_full(f->tape, TP_F64, TP_SHAPE(N), 3), p[k]);
        double mean = 0, zeros = 0;
        for (int64_t i = 0; i < N; i++) {
            double v = tp_flat(tp_value(y), i);
            if (v != 0)
                assert_close(v, 3 / (1 - p[k]), 0, 1e-15);
            zeros += v == 0;
            mean += v / N;
        }
        double error = sqrt(p[k] * (1 - p[k]) / N);
        assert_close(zeros / N, p[k], 5 * error, 0);
        assert_close(mean, 3, 5 * 3 * error / (1 - p[k]), 0);
    }
    fixture_free(f);
}

/* Eval mode and p = 0 give the very same var back and draw nothing. */
static void test_dropout_modes(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var x = drawn(f, TP_SHAPE(4, 3), 1);
    tp_ctx train = tp_ctx_train(f->tape, 1, 0), eval = tp_ctx_eval(f->tape, 1, 0);
    assert_int_equal(tp_dropout(&eval, x, 0.5).id, x.id);
    assert_int_equal(tp_dropout(&train, x, 0).id, x.id);
    assert_int_equal(train.key.draw, 0);
    tp_var a = tp_dropout(&train, x, 0.5), b = tp_dropout(&train, x, 0.5);
    assert_int_equal(train.key.draw, 2);
    assert_false(same_values(tp_value(a), tp_value(b))); /* two draws of a step differ */
    tp_ctx replay = tp_ctx_train(f->tape, 1, 0), next = tp_ctx_train(f->tape, 1, 1);
    assert_true(same_values(tp_value(a), tp_value(tp_dropout(&replay, x, 0.5))));
    assert_false(same_values(tp_value(a), tp_value(tp_dropout(&next, x, 0.5))));
    fixture_free(f);
}

/* The gradient goes where the value went, with the same factor. */
static void test_dropout_gradient(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_tensor *data = fixture_draw(f, TP_F64, TP_SHAPE(40), 1, 1, 5);
    tp_var x = tp_leaf(f->tape, data);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var y = tp_dropout(&c, x, 0.25);
    assert_ok(tp_backward(tp_sum(y, TP_ALL_AXES, false)));
    for (int64_t i = 0; i < 40; i++)
        assert_close(tp_flat(tp_leaf_grad(x), i), tp_flat(tp_value(y), i) / tp_flat(data, i), 1e-15,
                     1e-15);
    fixture_free(f);
}

static void test_dropout_refusals(void **state)
{
    (void)state;
    const double p[] = {1, -0.1, 2, NAN};
    for (int k = 0; k < 4; k++) {
        fixture *f = fixture_new();
        tp_ctx c = tp_ctx_train(f->tape, 1, 0);
        tp_var y = tp_dropout(&c, drawn(f, TP_SHAPE(3), 1), p[k]);
        assert_status(tp_var_status(y), TP_EARG);
        assert_non_null(strstr(tp_tape_message(f->tape), "dropout with probability"));
        fixture_free(f);
    }
}

/* A name that would not fit is refused, not cut: two long names must not become one. */
static void test_long_names(void **state)
{
    (void)state;
    char name[200];
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_linear a, b;
    memset(name, 'n', sizeof name);
    name[120] = '\0';
    assert_ok(tp_nn_linear_init(&a, &ps, name, 1, 1));
    name[120] = 'n';
    name[121] = '\0';
    assert_status(tp_nn_linear_init(&b, &ps, name, 1, 1), TP_EARG);
    assert_message("longer than 120 bytes");
    assert_int_equal(ps.n, 2);
    tp_params_free(&ps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torch_init),       cmocka_unit_test(test_linear),
        cmocka_unit_test(test_mlp_names),        cmocka_unit_test(test_mlp_activations),
        cmocka_unit_test(test_mlp_relu),         cmocka_unit_test(test_activations),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_dropout_scaling),
        cmocka_unit_test(test_dropout_modes),    cmocka_unit_test(test_dropout_gradient),
        cmocka_unit_test(test_dropout_refusals), cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
