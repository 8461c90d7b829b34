/* test_conv_vae.c: the VAE of pictures: sizes that come back, what sees what, where it starts, and what it refuses.
 *
 * That it is PyTorch's is tests/oracle/test_oracle_vae.c; what every model must be, test_conformance.c and its kin. Read
 * next: step.h.
 */
#include "tests/models/step.h"

#include "models/vae.h"

static const tp_model_type *const type = &tp_model_conv_vae;

/* Small networks for pictures of that shape. */
static tp_model_config pictures(int64_t channels, int64_t height, int64_t width)
{
    tp_model_config c = small(type);
    c.data_shape = TP_SHAPE(channels, height, width);
    c.data_dim = channels * height * width;
    set(&c, type, "channels1", 3);
    set(&c, type, "channels2", 2);
    return c;
}

static int64_t total_size(const tp_params *ps)
{
    int64_t n = 0;
    for (int i = 0; i < ps->n; i++)
        n += tp_numel(&ps->item[i]->value);
    return n;
}

/* --- what it is --------------------------------------------------------------------------------- */

/* The sizes, counted by hand: 1 -> 32 -> 64 channels, 7·7·64 = 3136 features, 256, 20, and back. */
static void test_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        tp_shape shape;
    } rows[] = {
        {"encoder.conv.0.weight", {4, {32, 1, 4, 4}}},
        {"encoder.conv.2.weight", {4, {64, 32, 4, 4}}},
        {"encoder.fc.0.weight", {2, {256, 3136}}},
        {"mu.weight", {2, {20, 256}}},
        {"logvar.weight", {2, {20, 256}}},
        {"decoder.fc.0.weight", {2, {256, 20}}},
        {"decoder.fc.2.weight", {2, {3136, 256}}},
        {"decoder.conv.0.weight", {4, {64, 32, 4, 4}}},
        {"decoder.conv.2.weight", {4, {32, 1, 4, 4}}},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    tp_model m;
    assert_ok(tp_model_init(&m, type, tp_model_defaults(type), TP_F32, 1));
    assert_int_equal(m.params.n, 2 * ROWS);
    for (int i = 0; i < ROWS; i++) { /* each with its bias behind */
        assert_string_equal(m.params.item[2 * i]->name, rows[i].name);
        assert_true(tp_shape_equal(m.params.item[2 * i]->value.shape, rows[i].shape));
        assert_non_null(strstr(m.params.item[2 * i + 1]->name, ".bias"));
    }
    assert_int_equal(total_size(&m.params), 1691369);
    tp_model_free(&m);
}

/* More hidden layers stand between the features and the heads, and the decoder mirrors them. */
static void test_hidden_layers(void **state)
{
    (void)state;
    tp_model_config c = pictures(1, 8, 12);
    tp_model m;
    c.hidden_layers = 2, c.hidden[0] = 9, c.hidden[1] = 7;
    assert_ok(tp_model_init(&m, type, c, TP_F32, 1));
    static const struct {
        const char *name;
        tp_shape shape;
    } rows[] = {{"encoder.fc.0.weight", {2, {9, 12}}},
                {"encoder.fc.2.weight", {2, {7, 9}}},
                {"mu.weight", {2, {2, 7}}},
                {"decoder.fc.0.weight", {2, {7, 2}}},
                {"decoder.fc.2.weight", {2, {9, 7}}},
                {"decoder.fc.4.weight", {2, {12, 9}}}};
    for (int i = 0; i < 6; i++) {
        const tp_parameter *p = tp_params_find(&m.params, rows[i].name);
        assert_non_null(p);
        assert_true(tp_shape_equal(p->value.shape, rows[i].shape));
    }
    tp_model_free(&m);
}

/* --- sizes -------------------------------------------------------------------------------------- */

/* z [3, 2, nz] -> a picture each, of the size of the data, and the same as from the list of all z. */
static void check_sizes(tp_model_config config)
{
    int64_t n = config.data_dim;
    step *s = step_new(type, config, uniform(TP_F64, 2, n, 1), 0);
    assert_ok(tp_var_finite(s->o.total));
    tp_tensor z = uniform(TP_F64, 6, 2, 3);
    tp_var list = tp_constant(s->t, &z), stack = tp_reshape(list, TP_SHAPE(3, 2, 2));
    tp_var one = tp_data_mean(tp_model_decode(&s->m, &s->c, list));
    tp_var many = tp_data_mean(tp_model_decode(&s->m, &s->c, stack));
    assert_true(tp_shape_equal(tp_shape_of(one), TP_SHAPE(6, n)));
    assert_true(tp_shape_equal(tp_shape_of(many), TP_SHAPE(3, 2, n)));
    assert_true(equal_bits(tp_value(tp_reshape(many, TP_SHAPE(6, n))), tp_value(one)));
    assert_ok(tp_tape_status(s->t));
    tp_tensor_free(&z);
    step_free(s);
}

static void test_every_size_comes_back(void **state)
{
    (void)state;
    for (int64_t h = 4; h < 12; h++)
        for (int64_t w = 4; w < 12; w++) {
            tp_model_config c = pictures(1 + (h + w) % 3, h, w);
            c.likelihood = (tp_likelihood)((h + 2 * w) % TP_LIKELIHOODS);
            check_sizes(c);
        }
    for (int l = 0; l < TP_LIKELIHOODS; l++) {
        tp_model_config c = pictures(3, 30, 31);
        c.likelihood = (tp_likelihood)l;
        check_sizes(c);
    }
}

static void test_gradients(void **state)
{
    (void)state;
    for (int l = 0; l < TP_LIKELIHOODS; l++) {
        tp_model_config c = pictures(2, 5, 6);
        c.likelihood = (tp_likelihood)l;
        c.levels = 3;
        step_check_gradient(step_new(type, c, uniform(TP_F64, 3, c.data_dim, 4), 0));
    }
}

/* --- what sees what ----------------------------------------------------------------------------- */

/* A feature at (i, j) sees rows 4i − 3 … 4i + 6 of the picture, of all channels, and columns likewise: 2i − 1 … 2i + 2 of
 * the layer before, twice. */
static void test_features_are_local(void **state)
{
    (void)state;
    enum { C = 2, H = 16, W = 20 };
    step *s = step_new(type, pictures(C, H, W), uniform(TP_F64, 1, C * H * W, 1), 0);
    const tp_encoder *e = &((const tp_vae *)s->m.self)->encoder;
    for (int64_t k = 0; k < 4 * 5; k++) { /* of the first channel */
        tp_tape_reset(s->t);
        tp_var x = tp_leaf(s->t, &s->x), g;
        tp_var y = tp_slice(tp_conv_down_apply(&e->down, &s->c, x), -1, k, k + 1, 1);
        y = tp_sum(y, TP_ALL_AXES, false);
        assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){0}));
        for (int64_t p = 0; p < C * H * W; p++) {
            int64_t row = p / W % H - 4 * (k / 5), column = p % W - 4 * (k % 5);
            bool seen = row >= -3 && row <= 6 && column >= -3 && column <= 6;
            assert_true((tp_flat(tp_value(g), p) != 0) == seen);
        }
    }
    step_free(s);
}

/* --- the objective ------------------------------------------------------------------------------ */

/* With all parameters zero the decoder says ½: ln 2 nats for each number, and the posterior is the prior. A fresh one is
 * not far from that. */
static void test_start(void **state)
{
    (void)state;
    tp_model_config c = tp_model_defaults(type);
    tp_model m;
    tp_tensor x = uniform(TP_F64, 3, 784, 1);
    assert_ok(tp_model_init(&m, type, c, TP_F64, 1));
    assert_close(evaluate(&m, &x), 784 * log(2), 0, 0.02);
    for (int i = 0; i < m.params.n; i++)
        assert_ok(tp_fill(&m.params.item[i]->value, 0));
    assert_close(evaluate(&m, &x), 543.42738955899714, 0, 1e-14);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* β·min(1, step/warmup), as of the VAE. */
static void test_warmup(void **state)
{
    (void)state;
    tp_model_config c = pictures(1, 6, 4);
    c.beta = 3;
    set(&c, type, "warmup", 10);
    for (uint64_t at = 0; at < 15; at += 5) {
        step *s = step_new(type, c, uniform(TP_F64, 4, c.data_dim, 1), at);
        double weight = 3 * fmin(1, (double)at / 10);
        assert_close(total(s), term(s, "recon") + weight * term(s, "kl"), 0, 1e-14);
        step_free(s);
    }
}

/* --- shapes ------------------------------------------------------------------------------------- */

static void test_pictures(void **state)
{
    (void)state;
    static const struct {
        int64_t data_dim;
        tp_shape shape;
        int64_t picture[3]; /* 0: refused */
    } rows[] = {
        {784, {0, {0}}, {1, 28, 28}},
        {784, {2, {14, 56}}, {1, 14, 56}},
        {2352, {3, {3, 28, 28}}, {3, 28, 28}},
        {1, {0, {0}}, {1, 1, 1}},
        {INT64_C(1) << 62, {0, {0}}, {1, INT64_C(1) << 31, INT64_C(1) << 31}},
        {(INT64_C(1) << 62) - 1, {0, {0}}, {0, 0, 0}},
        {INT64_MAX, {0, {0}}, {0, 0, 0}},
        {0, {0, {0}}, {0, 0, 0}},
        {-4, {0, {0}}, {0, 0, 0}},
        {783, {0, {0}}, {0, 0, 0}},
        {784, {1, {784}}, {0, 0, 0}},
        {784, {4, {1, 1, 28, 28}}, {0, 0, 0}},
        {784, {2, {28, 29}}, {0, 0, 0}},
        {784, {2, {-28, -28}}, {0, 0, 0}},
        /* products that are 784 modulo 2^64 are not 784 */
        {784, {3, {INT64_C(1) << 32, INT64_C(1) << 32, 784}}, {0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tp_model_config c = {.data_dim = rows[i].data_dim, .data_shape = rows[i].shape};
        int64_t picture[3];
        assert_status(tp_model_picture(&c, picture), rows[i].picture[0] > 0 ? TP_OK : TP_EARG);
        for (int k = 0; rows[i].picture[0] > 0 && k < 3; k++)
            assert_int_equal(picture[k], rows[i].picture[k]);
    }
}

/* --- refusals ----------------------------------------------------------------------------------- */

static void refused(tp_model_config config, tp_status status, const char *says)
{
    tp_model m = {0};
    assert_status(tp_model_init(&m, type, config, TP_F32, 1), status);
    assert_message("model 'conv_vae': ");
    assert_message(says);
    assert_null(m.self);
}

static void test_refusals(void **state)
{
    (void)state;
    refused(pictures(1, 3, 28), TP_EARG,
            "pictures of 3 rows and 28 columns: at least 4 each needed");
    refused(pictures(3, 28, 1), TP_EARG,
            "pictures of 28 rows and 1 columns: at least 4 each needed");
    tp_model_config c = pictures(1, 5, 6);
    c.data_shape = TP_SHAPE();
    refused(
        c, TP_EARG,
        "its examples are pictures, and 30 numbers are no square one: data_shape [height,width] "
        "or [channels,height,width] needed");
    c.data_shape = TP_SHAPE(5, 5);
    refused(c, TP_EARG,
            "pictures of shape [5,5] with 30 numbers each: [height,width] or "
            "[channels,height,width] of so many needed");
    c = pictures(1, INT64_C(1) << 31, INT64_C(1) << 31);
    set(&c, type, "channels2", 4096);
    refused(c, TP_ESHAPE, "4096 channels of 536870912 rows and 536870912 columns are too many");
    assert_status(tp_model_set(&c, type, "channels1", 2.5), TP_EARG);
    assert_message("channels1 is 2.5: a whole number needed");
    assert_status(tp_model_set(&c, type, "channels2", 0), TP_EARG);
    /* What type->init says to those who do not ask tp_model_check first. */
    tp_conv_sizes sizes;
    c = pictures(1, 9, 3);
    assert_status(tp_conv_sizes_of(&sizes, &c, (int64_t[]){1, 1}), TP_EARG);
    assert_message("pictures of 9 rows and 3 columns: at least 4 each needed");
}

static void test_another_width(void **state)
{
    (void)state;
    step *s = step_new(type, pictures(2, 4, 5), uniform(TP_F64, 3, 40, 1), 0);
    tp_tensor wide = uniform(TP_F64, 3, 41, 1);
    tp_tape_reset(s->t);
    tp_var x = tp_constant(s->t, &wide);
    assert_status(tp_var_status(tp_model_loss(&s->m, &s->c, TP_NAME(x)).total), TP_ESHAPE);
    assert_message("encoder: ");
    assert_message("x has shape [3,41], expected [..,40] for [2,4,5]");
    assert_message("'x'");
    tp_tensor_free(&wide);
    step_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_hidden_layers),
        cmocka_unit_test(test_every_size_comes_back),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_features_are_local),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_another_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
