/* test_layers_parts.c: gated and masked linear layers, residual blocks, embeddings: names, values, gradients, refusals,
 * threads; and that a net of masked layers is as blind as MADE wants it.
 *
 * PyTorch's numbers are tests/oracle/test_oracle_layers.c. Read next: layer_check.h.
 */
#include "tests/nn/layer_check.h"

#include <math.h>
#include <string.h>

LAYER_APPLY(gated)
LAYER_APPLY(masked_linear)
LAYER_APPLY(residual)

static void assert_names(const tp_params *ps, int n, const char *const *names)
{
    assert_int_equal(ps->n, n);
    for (int i = 0; i < n; i++)
        assert_string_equal(ps->item[i]->name, names[i]);
}

/* --- gated and residual ------------------------------------------------------------------------- */

static void test_gated(void **state)
{
    (void)state;
    static const char *const names[] = {"up.h.weight", "up.h.bias", "up.g.weight", "up.g.bias"};
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_gated l;
    assert_ok(tp_nn_gated_init(&l, &ps, "up", 4, 3));
    assert_names(&ps, 4, names);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = drawn(f, TP_SHAPE(2, 5, 4), 1), y = tp_nn_gated_apply(&l, &c, x);
    tp_var h = tp_nn_linear_apply(&l.h, &c, x), g = tp_nn_linear_apply(&l.g, &c, x);
    assert_true(tp_shape_equal(tp_shape_of(y), TP_SHAPE(2, 5, 3)));
    for (int64_t i = 0; i < 30; i++)
        assert_close(tp_flat(tp_value(y), i),
                     tp_flat(tp_value(h), i) / (1 + exp(-tp_flat(tp_value(g), i))), 0, 1e-14);
    tp_params_free(&ps);
    fixture_free(f);
}

static void test_residual(void **state)
{
    (void)state;
    static const char *const names[] = {"block.0.weight", "block.0.bias", "block.2.weight",
                                        "block.2.bias"};
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_residual r;
    assert_ok(tp_nn_residual_init(&r, &ps, "block", 4, 7, TP_RELU));
    assert_names(&ps, 4, names);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = drawn(f, TP_SHAPE(5, 4), 1), y = tp_nn_residual_apply(&r, &c, x);
    tp_var inside = tp_relu(tp_nn_linear_apply(&r.body.layer[0], &c, x));
    tp_var want = tp_add(x, tp_nn_linear_apply(&r.body.layer[1], &c, inside));
    assert_true(same_values(tp_value(y), tp_value(want)));
    assert_ok(tp_init_constant(&r.body.layer[1].weight, 0)); /* the identity */
    assert_ok(tp_init_constant(&r.body.layer[1].bias, 0));
    assert_true(same_values(tp_value(tp_nn_residual_apply(&r, &c, x)), tp_value(x)));
    tp_params_free(&ps);
    fixture_free(f);
}

/* --- masked linear ------------------------------------------------------------------------------ */

enum { INS = 3, OUTS = 4 };
static const unsigned char mask_of[OUTS * INS] = {1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1};

static void start_masked(tp_nn_masked_linear *l, tp_params *ps)
{
    tp_tensor mask;
    *ps = tp_params_make(TP_F64, 1);
    assert_ok(tp_tensor_from(&mask, TP_U8, TP_SHAPE(OUTS, INS), mask_of));
    assert_ok(tp_nn_masked_linear_init(l, ps, "m", &mask));
    tp_tensor_free(&mask);
}

/* By hand with the mask as a factor; the mask is a buffer, of the parameters' type; draws are nn.Linear's. */
static void test_masked(void **state)
{
    (void)state;
    static const char *const names[] = {"m.weight", "m.bias"};
    fixture *f = fixture_new();
    tp_params ps, plain = tp_params_make(TP_F64, 1);
    tp_nn_masked_linear l;
    tp_nn_linear linear;
    start_masked(&l, &ps);
    assert_ok(tp_nn_linear_init(&linear, &plain, "m", INS, OUTS));
    assert_names(&ps, 2, names);
    assert_true(equal_bits(&l.weight.value, &linear.weight.value));
    assert_true(equal_bits(&l.bias.value, &linear.bias.value));
    assert_ptr_equal(tp_params_find_buffer(&ps, "m.mask"), &l.mask);
    assert_int_equal(l.mask.value.dtype, TP_F64);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = drawn(f, TP_SHAPE(2, INS), 1), y = tp_nn_masked_linear_apply(&l, &c, x);
    for (int64_t i = 0; i < 2 * OUTS; i++) {
        double want = tp_flat(&l.bias.value, i % OUTS);
        for (int64_t j = 0; j < INS; j++)
            want += mask_of[i % OUTS * INS + j] * tp_flat(&l.weight.value, i % OUTS * INS + j) *
                    tp_flat(tp_value(x), i / OUTS * INS + j);
        assert_close(tp_flat(tp_value(y), i), want, 1e-15, 1e-14);
    }
    tp_params_free(&ps);
    tp_params_free(&plain);
    fixture_free(f);
}

/* The gradient of a masked weight is 0 and nothing else, even where that of its product is infinite; and what the weight
 * is does not matter, even NaN. The control: with the mask as a factor both would be NaN. */
static void test_masked_gradient(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps;
    tp_nn_masked_linear l;
    start_masked(&l, &ps);
    for (int64_t i = 0; i < OUTS * INS; i++)
        if (!mask_of[i])
            assert_ok(tp_set_flat(&l.weight.value, i, NAN));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = drawn(f, TP_SHAPE(5, INS), 1);
    tp_var steep = tp_full(f->tape, TP_F64, TP_SHAPE(5, OUTS), INFINITY);
    assert_ok(tp_backward(
        tp_sum(tp_mul(steep, tp_nn_masked_linear_apply(&l, &c, x)), TP_ALL_AXES, false)));
    const tp_tensor *g = tp_parameter_grad(&l.weight);
    for (int64_t i = 0; i < OUTS * INS; i++)
        assert_true(mask_of[i] ? tp_flat(g, i) != 0 : tp_flat(g, i) == 0);
    tp_var factor = tp_constant(f->tape, &l.mask.value), w = tp_param(f->tape, &l.weight);
    assert_true(isnan(tp_flat(tp_value(tp_mul(factor, w)), 1))); /* NaN·0 */
    tp_params_free(&ps);
    fixture_free(f);
}

/* Some outputs alone are those of the whole, and the weights of the others get nothing. */
static void test_masked_rows(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps;
    tp_nn_masked_linear l;
    start_masked(&l, &ps);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = drawn(f, TP_SHAPE(2, INS), 1), all = tp_nn_masked_linear_apply(&l, &c, x);
    tp_var some = tp_nn_masked_linear_rows(&l, &c, x, 1, 3);
    assert_true(tp_shape_equal(tp_shape_of(some), TP_SHAPE(2, 2)));
    for (int64_t i = 0; i < 4; i++)
        assert_close(tp_flat(tp_value(some), i), tp_flat(tp_value(all), i / 2 * OUTS + 1 + i % 2),
                     1e-15, 1e-15);
    assert_ok(tp_backward(tp_sum(some, TP_ALL_AXES, false)));
    const tp_tensor *g = tp_parameter_grad(&l.weight);
    for (int64_t i = 0; i < OUTS * INS; i++)
        assert_true((tp_flat(g, i) != 0) == (mask_of[i] && i / INS >= 1 && i / INS < 3));
    tp_params_free(&ps);
    fixture_free(f);
}

static void test_made_mask(void **state)
{
    (void)state;
    tp_tensor mask;
    const int64_t in[] = {1, 2, 3}, out[] = {2, 1};
    const double loose[] = {1, 1, 0, 1, 0, 0}, strict[] = {1, 0, 0, 0, 0, 0};
    assert_ok(tp_tensor_new(&mask, TP_U8, TP_SHAPE(2, 3)));
    assert_ok(tp_made_mask(&mask, in, out, false));
    assert_tensor_close(&mask, loose, 6, 0, 0);
    assert_ok(tp_made_mask(&mask, in, out, true));
    assert_tensor_close(&mask, strict, 6, 0, 0);
    mask.shape = TP_SHAPE(6);
    assert_status(tp_made_mask(&mask, in, out, true), TP_ESHAPE);
    assert_message("E_SHAPE tp_made_mask: the mask is u8[6]: a matrix [outs,ins] needed");
    mask.shape = TP_SHAPE(2, 3);
    tp_tensor_free(&mask);
}

/* D inputs in an order, two hidden layers, D outputs: output i may know the inputs that come before it, and must. */
enum { D = 6, HIDDEN = 15 };

typedef struct made {
    tp_params ps;
    tp_nn_masked_linear layer[3];
} made;

static void make_made(made *m, const int64_t order[D], bool strict)
{
    int64_t hidden[HIDDEN];
    const int64_t *degree[] = {order, hidden, hidden, order};
    const int64_t size[] = {D, HIDDEN, HIDDEN, D};
    for (int i = 0; i < HIDDEN; i++)
        hidden[i] = 1 + i % (D - 1);
    m->ps = tp_params_make(TP_F64, 3);
    for (int i = 0; i < 3; i++) {
        tp_tensor mask;
        char name[8] = {(char)('a' + i), 0};
        assert_ok(tp_tensor_new(&mask, TP_U8, TP_SHAPE(size[i + 1], size[i])));
        assert_ok(tp_made_mask(&mask, degree[i], degree[i + 1], strict && i == 2));
        assert_ok(tp_nn_masked_linear_init(&m->layer[i], &m->ps, name, &mask));
        tp_tensor_free(&mask);
    }
}

static tp_var apply_made(const made *m, tp_ctx *c, tp_var x)
{
    for (int i = 0; i < 3; i++) {
        x = tp_nn_masked_linear_apply(&m->layer[i], c, x);
        x = i < 2 ? tp_tanh(x) : x;
    }
    return x;
}

/* ∂out_i/∂x_j for one row x; the caller's jacobian [i·D + j]. */
static void jacobian(fixture *f, const made *m, double jacobian[D * D])
{
    tp_tensor *data = fixture_draw(f, TP_F64, TP_SHAPE(1, D), 8, 1, 0);
    for (int i = 0; i < D; i++) {
        tp_tape_reset(f->tape);
        tp_ctx c = tp_ctx_train(f->tape, 1, 0);
        tp_var x = tp_leaf(f->tape, data);
        tp_var y = tp_slice(apply_made(m, &c, x), 1, i, i + 1, 1);
        assert_ok(tp_backward(tp_sum(y, TP_ALL_AXES, false)));
        for (int j = 0; j < D; j++)
            jacobian[i * D + j] = tp_flat(tp_leaf_grad(x), j);
    }
}

static void test_made_is_blind(void **state)
{
    (void)state;
    static const int64_t orders[2][D] = {{1, 2, 3, 4, 5, 6}, {4, 1, 6, 3, 2, 5}};
    double j[D * D];
    for (int k = 0; k < 2; k++) {
        fixture *f = fixture_new();
        made m, loose;
        make_made(&m, orders[k], true);
        make_made(&loose, orders[k], false);
        jacobian(f, &m, j);
        for (int i = 0; i < D * D; i++)
            assert_true((orders[k][i % D] < orders[k][i / D]) == (j[i] != 0));
        jacobian(f, &loose,
                 j); /* the control: <= in the last layer, and an output sees its own input */
        assert_true(j[0] != 0);
        tp_params_free(&m.ps);
        tp_params_free(&loose.ps);
        fixture_free(f);
    }
}

/* Inputs that may not be known may be anything: not one bit changes. */
static void test_made_bits(void **state)
{
    (void)state;
    static const int64_t order[D] = {1, 2, 3, 4, 5, 6};
    fixture *f = fixture_new();
    made m;
    make_made(&m, order, true);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_tensor *data = fixture_draw(f, TP_F64, TP_SHAPE(1, D), 8, 1, 0), *other;
    tp_var y = apply_made(&m, &c, tp_constant(f->tape, data));
    for (int j = 0; j < D; j++) {
        other = fixture_draw(f, TP_F64, TP_SHAPE(1, D), 8, 1, 0);
        assert_ok(tp_set_flat(other, j, -1e9));
        tp_var z = apply_made(&m, &c, tp_constant(f->tape, other));
        for (int i = 0; i < D; i++)
            assert_true((tp_flat(tp_value(y), i) == tp_flat(tp_value(z), i)) == (i <= j));
    }
    tp_params_free(&m.ps);
    fixture_free(f);
}

/* --- embedding ---------------------------------------------------------------------------------- */

static tp_var apply_embedding(const void *layer, tp_ctx *c, tp_var x)
{
    static tp_storage s = {0};
    static int64_t index[] = {4, 0, 2, 4, 4, 1};
    static tp_tensor list = {.shape = {2, {3, 2}}, .stride = {2, 1}, .dtype = TP_I64};
    s.data = index, s.bytes = sizeof index;
    list.storage = &s;
    return tp_mul(tp_nn_embedding_apply(layer, c, tp_constant(c->tape, &list)), x);
}

static void test_embedding(void **state)
{
    (void)state;
    static const char *const names[] = {"table.weight"};
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_embedding e;
    assert_ok(tp_nn_embedding_init(&e, &ps, "table", 5, 3));
    assert_names(&ps, 1, names);
    assert_true(tp_shape_equal(e.weight.value.shape, TP_SHAPE(5, 3)));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    const double list[] = {4, 0, 4};
    tp_var y = tp_nn_embedding_apply(
        &e, &c, tp_constant(f->tape, fixture_tensor(f, TP_I64, TP_SHAPE(3), list)));
    assert_true(tp_shape_equal(tp_shape_of(y), TP_SHAPE(3, 3)));
    for (int64_t i = 0; i < 9; i++)
        assert_true(tp_flat(tp_value(y), i) ==
                    tp_flat(&e.weight.value, (int64_t)list[i / 3] * 3 + i % 3));
    assert_ok(tp_backward(tp_sum(y, TP_ALL_AXES, false)));
    const double g[] = {1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2};
    assert_tensor_close(tp_parameter_grad(&e.weight), g, 15, 0, 0);
    tp_params_free(&ps);
    fixture_free(f);
}

/* --- all of them -------------------------------------------------------------------------------- */

static void start_masked_of(tp_nn_masked_linear *l, tp_params *ps, int64_t in, int64_t out)
{
    tp_tensor mask;
    assert_ok(tp_tensor_new(&mask, TP_U8, TP_SHAPE(out, in)));
    for (int64_t i = 0; i < in * out; i++)
        assert_ok(tp_set_flat(&mask, i, i % 3 != 1));
    assert_ok(tp_nn_masked_linear_init(l, ps, "m", &mask));
    tp_tensor_free(&mask);
}

/* Every layer on x [batch, in]. */
static void each_layer(int64_t batch, int64_t in, int64_t out, void (*check)(layer_case *k))
{
    for (int which = 0; which < 4; which++) {
        tp_params ps = tp_params_make(TP_F64, 1);
        tp_nn_gated gated;
        tp_nn_residual residual;
        tp_nn_masked_linear masked;
        tp_nn_embedding embedding;
        layer_case k = {.ps = &ps};
        tp_shape x = TP_SHAPE(batch, in);
        switch (which) {
        case 0:
            assert_ok(tp_nn_gated_init(&gated, &ps, "l", in, out));
            k.apply = apply_gated, k.layer = &gated;
            break;
        case 1:
            assert_ok(tp_nn_residual_init(&residual, &ps, "l", in, out, TP_TANH));
            k.apply = apply_residual, k.layer = &residual;
            break;
        case 2:
            start_masked_of(&masked, &ps, in, out);
            k.apply = apply_masked_linear, k.layer = &masked;
            break;
        default:
            assert_ok(tp_nn_embedding_init(&embedding, &ps, "l", 5, in));
            k.apply = apply_embedding, k.layer = &embedding;
            x = TP_SHAPE(3, 2, in);
        }
        layer_case_x(&k, x);
        check(&k);
        tp_params_free(&ps);
    }
}

static void test_gradients(void **state)
{
    (void)state;
    each_layer(3, 4, 5, check_layer_gradients);
}

static void test_threads(void **state)
{
    (void)state;
    each_layer(301, 67, 90, check_layer_threads);
}

static void test_refusals(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_gated gated;
    tp_nn_residual residual;
    tp_nn_embedding e;
    tp_nn_masked_linear m;
    assert_status(tp_nn_gated_init(&gated, &ps, "l", 0, 2), TP_ESHAPE);
    assert_message(
        "E_SHAPE linear layer 'l.h' of 0 inputs and 2 outputs: at least 1 of each needed");
    assert_status(tp_nn_residual_init(&residual, &ps, "l", 2, 0, TP_TANH), TP_ESHAPE);
    assert_message(
        "E_SHAPE linear layer 'l.0' of 2 inputs and 0 outputs: at least 1 of each needed");
    assert_status(tp_nn_embedding_init(&e, &ps, "l", 0, 2), TP_ESHAPE);
    assert_message("E_SHAPE embedding 'l' of 0 rows of 2: at least 1 of each needed");
    tp_tensor *vector = fixture_draw(f, TP_F64, TP_SHAPE(3), 1, 1, 0);
    assert_status(tp_nn_masked_linear_init(&m, &ps, "l", vector), TP_ESHAPE);
    assert_message("E_SHAPE masked linear layer 'l': the mask is f64[3]: a matrix [out,in] needed");
    tp_tensor *none = fixture_draw(f, TP_F64, TP_SHAPE(0, 2), 1, 1, 0);
    assert_status(tp_nn_masked_linear_init(&m, &ps, "l", none), TP_ESHAPE);
    const double half[] = {0, 1, 1, 0.5};
    assert_status(
        tp_nn_masked_linear_init(&m, &ps, "l", fixture_tensor(f, TP_F64, TP_SHAPE(2, 2), half)),
        TP_EVALUE);
    assert_message("E_VALUE masked linear layer 'l': mask[1,1] = 0.5: 0 or 1 needed");
    assert_int_equal(ps.n + ps.buffers, 0);
    assert_ok(tp_nn_embedding_init(&e, &ps, "table", 3, 2));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    const double list[] = {2, 3};
    tp_var index = tp_constant(f->tape, fixture_tensor(f, TP_I64, TP_SHAPE(2), list));
    assert_refused(tp_nn_embedding_apply(&e, &c, index), TP_EVALUE,
                   "tp_embedding: index[1] = 3 is outside axis 0 of f64[3,2] (size 3)");
    assert_message("'table.weight'");
    tp_tape_reset(f->tape);
    assert_ok(tp_nn_gated_init(&gated, &ps, "up", 4, 3));
    assert_refused(tp_nn_gated_apply(&gated, &c, drawn(f, TP_SHAPE(2, 3), 1)), TP_ESHAPE,
                   "'up.h.weight'");
    tp_params_free(&ps);
    fixture_free(f);
}

/* The limit on names is the layer's, whatever its parts are called. */
static void test_long_names(void **state)
{
    (void)state;
    char name[200];
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_batch_norm a, b;
    tp_nn_embedding e;
    memset(name, 'n', sizeof name);
    name[120] = '\0';
    assert_ok(tp_nn_batch_norm_init(&a, &ps, name, 2, (tp_nn_batch_norm_opts){0}));
    assert_int_equal(strlen(a.num_batches_tracked.name), 120 + strlen(".num_batches_tracked"));
    name[120] = 'n';
    name[121] = '\0';
    assert_status(tp_nn_batch_norm_init(&b, &ps, name, 2, (tp_nn_batch_norm_opts){0}), TP_EARG);
    assert_message("longer than 120 bytes");
    assert_status(tp_nn_embedding_init(&e, &ps, name, 2, 2), TP_EARG);
    assert_int_equal(ps.n, 2);
    tp_params_free(&ps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gated),         cmocka_unit_test(test_residual),
        cmocka_unit_test(test_masked),        cmocka_unit_test(test_masked_gradient),
        cmocka_unit_test(test_masked_rows),   cmocka_unit_test(test_made_mask),
        cmocka_unit_test(test_made_is_blind), cmocka_unit_test(test_made_bits),
        cmocka_unit_test(test_embedding),     cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
