/* test_beginnings.c: what a configuration says of the beginning of a model and of its posterior: initial values, the output
 * bias, the scale of the encoder's second head.
 *
 * The same from the command line: tests/tool/test_validation.sh. Read next: models/model.h.
 */
#include "tests/models/plain.h"

#include "models/tapir.h"

/* --- initial values ------------------------------------------------------------------------------------- */

static void test_glorot(void **state)
{
    (void)state;
    tp_model usual, glorot;
    tp_model_config config = tiny(TP_TANH, TP_BERNOULLI);
    assert_ok(tp_model_init(&usual, &tp_model_vae, config, TP_F64, 1));
    config.init = TP_INIT_GLOROT;
    assert_ok(tp_model_init(&glorot, &tp_model_vae, config, TP_F64, 1));
    assert_int_equal(usual.params.n, glorot.params.n);
    for (int i = 0; i < glorot.params.n; i++) {
        const tp_tensor *a = &usual.params.item[i]->value, *b = &glorot.params.item[i]->value;
        for (int64_t k = 0; k < tp_numel(b); k++) {
            if (b->shape.ndim == 1) {
                assert_true(tp_flat(b, k) == 0 && tp_flat(a, k) != 0);
                continue;
            }
            /* the same draw from −1 to 1, stretched: by √(6/(in + out)), by 1/√in */
            double in = (double)b->shape.dim[1], out = (double)b->shape.dim[0];
            assert_close(tp_flat(b, k) / sqrt(6 / (in + out)), tp_flat(a, k) * sqrt(in), 1e-14, 0);
        }
    }
    tp_model_free(&usual);
    tp_model_free(&glorot);
}

/* --- the output bias ------------------------------------------------------------------------------------ */

/* A decoder whose last weights are 0 draws the mean picture, black and white ones clipped. */
static void test_output_bias(void **state)
{
    (void)state;
    static const tp_likelihood likelihoods[] = {TP_BERNOULLI, TP_GAUSSIAN, TP_GAUSSIAN_LEARNED};
    static const double mean[3] = {0.2, 0, 1}, want[3] = {0.2, 1e-3, 1 - 1e-3};
    for (int i = 0; i < 3; i++) {
        tp_model m;
        tp_tape *t;
        assert_ok(tp_model_init(&m, &tp_model_vae, tiny(TP_TANH, likelihoods[i]), TP_F64, 1));
        tp_tensor *bias = &plain_parameter(&m, "decoder.2", "bias")->value;
        double last = tp_flat(bias, tp_numel(bias) - 1);
        assert_ok(tp_model_output_bias(&m, mean));
        assert_ok(tp_fill(&plain_parameter(&m, "decoder.2", "weight")->value, 0));
        if (i == 2) /* that of a variance */
            assert_close(tp_flat(bias, tp_numel(bias) - 1), last, 0, 0);
        assert_ok(tp_tape_new(&t));
        tp_ctx c = tp_ctx_eval(t, 1, 0);
        tp_var picture = tp_data_mean(tp_model_generate(&m, &c, 1));
        assert_ok(tp_var_status(picture));
        assert_tensor_close(tp_value(picture), want, 3, 0, 1e-14);
        tp_tape_free(t);
        tp_model_free(&m);
    }
}

/* Convolutions have a bias for each channel: it begins with the channel's mean. */
static void test_output_bias_of_channels(void **state)
{
    (void)state;
    double mean[3 * 16];
    tp_model m;
    tp_model_config config = tp_model_defaults(&tp_model_conv_vae);
    config.data_dim = 3 * 16;
    config.data_shape = TP_SHAPE(3, 4, 4);
    config.hidden[0] = 4;
    for (int i = 0; i < 3 * 16; i++) /* means of 0.1, 0.2 and 0.3, uneven within the channel */
        mean[i] = 0.1 * (i / 16 + 1) * (i % 2 ? 0.5 : 1.5);
    assert_ok(tp_model_init(&m, &tp_model_conv_vae, config, TP_F64, 1));
    assert_ok(tp_model_output_bias(&m, mean));
    const tp_parameter *bias = plain_parameter(&m, "decoder.conv.2", "bias");
    for (int i = 0; i < 3; i++)
        assert_close(1 / (1 + exp(-tp_flat(&bias->value, i))), 0.1 * (i + 1), 0, 1e-14);
    tp_model_free(&m);
}

static void check_no_bias(const tp_model_type *type, tp_likelihood likelihood, const char *message)
{
    static const double mean[3] = {0.5, 0.5, 0.5};
    tp_model m;
    tp_model_config config = tp_model_defaults(type);
    config.data_dim = 3;
    config.likelihood = likelihood;
    assert_ok(tp_model_init(&m, type, config, TP_F64, 1));
    assert_status(tp_model_output_bias(&m, mean), TP_EARG);
    assert_message(message);
    tp_model_free(&m);
}

static void test_output_bias_refused(void **state)
{
    (void)state;
    check_no_bias(&tp_model_vae, TP_CATEGORICAL,
                  "E_ARG model 'vae': an output bias of the mean: of the categorical likelihood no "
                  "mean is a sigmoid of the decoder's numbers");
    check_no_bias(&tp_model_linear_vae, TP_GAUSSIAN,
                  "model 'linear_vae': an output bias of the mean: of the gaussian likelihood");
    check_no_bias(
        &tp_model_made, TP_BERNOULLI,
        "model 'made': an output bias of the mean: it has no decoder with a bias for each "
        "pixel or channel");
}

/* --- the scale of the posterior ------------------------------------------------------------------------- */

/* σ = log(1 + e^r) for what the head gives, far below 0, too; logvar = r is told from it. */
static void test_softplus_scale(void **state)
{
    (void)state;
    static const double r[] = {-800, -30, 0, 3};
    tp_model_config config = tiny_tanh(&tp_model_vae, 2);
    config.posterior_scale = TP_SCALE_SOFTPLUS;
    for (int i = 0; i < 4; i++) {
        tp_model m;
        tp_tape *t;
        tp_tensor x = uniform(TP_F64, 1, 3, 1);
        assert_ok(tp_model_init(&m, &tp_model_vae, config, TP_F64, 1));
        assert_null(tp_params_find(&m.params, "logvar.weight"));
        plain_fill(&m, "scale", 0, r[i]);
        assert_ok(tp_tape_new(&t));
        tp_ctx c = tp_ctx_eval(t, 1, 0);
        tp_dist q = tp_model_posterior(&m, &c, tp_constant(t, &x));
        double logvar = r[i] < -50 ? 2 * r[i] : 2 * log(log1p(exp(r[i])));
        assert_ok(tp_var_status(q.param[1]));
        assert_close(tp_flat(tp_value(q.param[1]), 1), logvar, 0, 1e-13);
        assert_true(isfinite(evaluate(&m, &x)));
        tp_tape_free(t);
        tp_tensor_free(&x);
        tp_model_free(&m);
    }
}

/* Every type has the scale and can be trained with it, or refuses it: never that nobody looks at it. */
static void test_scale_of_every_type(void **state)
{
    (void)state;
    int have = 0;
    for (int i = 0; i < tp_model_type_count; i++) {
        const tp_model_type *type = tp_model_types[i];
        tp_model_config config = tp_model_defaults(type);
        tp_model m;
        config.data_dim = 16;
        config.hidden[0] = 4;
        config.latent_dim = 2;
        config.classes = type->labels ? 2 : 0;
        config.examples = 8;
        config.posterior_scale = TP_SCALE_SOFTPLUS;
        tp_status s = tp_model_check(type, &config);
        assert_int_equal(s, type->scale ? TP_OK : TP_EARG);
        if (s != TP_OK) {
            assert_message("posterior_scale is softplus, and it has no posterior whose scale a "
                           "head gives: logvar needed");
            continue;
        }
        have++;
        assert_ok(tp_model_init(&m, type, config, TP_F64, 1));
        assert_non_null(tp_params_find(&m.params, "scale.weight"));
        assert_null(tp_params_find(&m.params, "logvar.weight"));
        tp_model_free(&m);
        config.posterior_scale = TP_SCALE_LOGVAR;
        assert_ok(tp_model_init(&m, type, config, TP_F64, 1));
        assert_null(tp_params_find(&m.params, "scale.weight"));
        tp_model_free(&m);
    }
    assert_true(have >= 13 && have < tp_model_type_count);
}

static bool no_kinks(const tp_model *m, const tp_tensor *x, tp_check_report *report)
{
    int64_t index[4] = {0, 1, 2, 3};
    tp_tensor numbers;
    assert_ok(tp_tensor_from(&numbers, TP_I64, TP_SHAPE(4), index));
    tp_batch batch = {.x = *x, .index = numbers, .n = 4};
    tp_status s = tp_model_gradcheck(m, &batch, (tp_check_opts){0}, report);
    tp_tensor_free(&numbers);
    assert_ok(s);
    return report->skipped_kinks == 0;
}

/* Gradients of the loss through such a head, and through both levels of the textbook. */
static void test_gradients(void **state)
{
    (void)state;
    static const char *const options[] = {"unit_variance", "textbook_kl", "one_activation"};
    const tp_model_type *const types[] = {&tp_model_vae, &tp_model_hierarchical_vae};
    for (int i = 0; i < 2; i++) {
        tp_model m;
        tp_check_report report;
        tp_tensor x = uniform(TP_F64, 4, 3, 1);
        tp_model_config config = tiny_tanh(types[i], 2);
        config.posterior_scale = TP_SCALE_SOFTPLUS;
        for (int k = 0; k < 3 && i == 1; k++)
            assert_ok(tp_model_set(&config, types[i], options[k], 1));
        if (i == 1) {
            assert_ok(tp_model_set(&config, types[i], "latent2", 2));
            assert_ok(tp_model_set(&config, types[i], "hidden2", 3));
        }
        assert_ok(tp_model_init(&m, types[i], config, TP_F64, 1));
        assert_true(no_kinks(&m, &x, &report));
        assert_true(report.checked > 30);
        tp_tensor_free(&x);
        tp_model_free(&m);
    }
}

static void test_refused(void **state)
{
    (void)state;
    tp_model_config config = tp_model_defaults(&tp_model_vae);
    config.activation = (tp_activation)9;
    assert_status(tp_model_check(&tp_model_vae, &config), TP_EARG);
    assert_message("model 'vae': there is no activation 9");
    config = tp_model_defaults(&tp_model_vae);
    config.init = (tp_init_scheme)7;
    assert_status(tp_model_check(&tp_model_vae, &config), TP_EARG);
    assert_message("model 'vae': there is no way 7 to initialise");
    config = tp_model_defaults(&tp_model_vae);
    config.posterior_scale = TP_SCALE_ONE;
    assert_status(tp_model_check(&tp_model_vae, &config), TP_EARG);
    assert_message("model 'vae': there is no posterior_scale 2");
    assert_null(tp_posterior_scale_name(TP_SCALE_ONE));
    assert_string_equal(tp_posterior_scale_name(TP_SCALE_SOFTPLUS), "softplus");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glorot),
        cmocka_unit_test(test_output_bias),
        cmocka_unit_test(test_output_bias_of_channels),
        cmocka_unit_test(test_output_bias_refused),
        cmocka_unit_test(test_softplus_scale),
        cmocka_unit_test(test_scale_of_every_type),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
