/* test_likelihood_refused.c: what likelihoods refuse, in what words: numbers of a decoder, data, configurations.
 *
 * Read next: test_likelihood.c.
 */
#include "tests/models/fixture.h"
#include "tests/models/one_tape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "autograd/sweep.h"
#include "models/nets.h"

/* --- what is refused ------------------------------------------------------------------------------------------------ */

static tp_var ones(tp_shape s)
{
    return tp_full(t, TP_F64, s, 1);
}

static tp_var grey(double v)
{
    return data(TP_F64, TP_SHAPE(2, 3), (double[]){0, 1, 0.5, 0.25, v, 0});
}

#define V(...) ones(TP_SHAPE(__VA_ARGS__))
#define P(likelihood, ...) tp_likelihood_dist(likelihood, 4, V(__VA_ARGS__))

static void too_bright(void)
{
    tp_data_logprob(P(TP_CATEGORICAL, 2, 12), grey(1.5));
}

static void too_dark(void)
{
    tp_data_logprob(P(TP_CATEGORICAL, 2, 12), grey(-0.1));
}

static void no_grey(void)
{
    tp_data_logprob(P(TP_CATEGORICAL, 2, 12), grey(NAN));
}

static void no_bit(void)
{
    tp_data_logprob(P(TP_BERNOULLI, 2, 3), grey(1.5));
}

static void levels_that_do_not_fit(void)
{
    P(TP_CATEGORICAL, 2, 9);
}

static void levels_of_one_number(void)
{
    tp_likelihood_dist(TP_CATEGORICAL, 4, ones(TP_SHAPE()));
}

static void no_levels(void)
{
    tp_likelihood_dist(TP_CATEGORICAL, 0, V(2, 9));
}

static void too_many_axes(void)
{
    P(TP_CATEGORICAL, 1, 1, 1, 1, 1, 1, 1, 4);
}

static void half_a_variance(void)
{
    P(TP_GAUSSIAN_LEARNED, 2, 5);
}

static void variance_of_one_number(void)
{
    tp_likelihood_dist(TP_GAUSSIAN_LEARNED, 4, ones(TP_SHAPE()));
}

static void another_width(void)
{
    tp_data_logprob(P(TP_GAUSSIAN, 2, 4), grey(0));
}

static void another_batch(void)
{
    tp_data_logprob(P(TP_GAUSSIAN, 5, 3, 3), grey(0));
}

static void one_example_for_all(void)
{
    tp_data_logprob(P(TP_GAUSSIAN, 5, 4, 3), V(1, 3));
}

static void one_pixel_for_all(void)
{
    tp_data_logprob(P(TP_CATEGORICAL, 5, 4, 12), V(4, 1));
}

static void no_decoder(void)
{
    tp_data_logprob((tp_dist){0}, V(2, 3));
}

static const struct {
    void (*make)(void);
    const char *says[3];
} rows[] = {
    {too_bright, {"E_VALUE categorical: a grey value is 1.5, expected 0 to 1"}},
    {too_dark, {"E_VALUE categorical: a grey value is -0.1, expected 0 to 1"}},
    {no_grey, {"E_VALUE categorical: a grey value is nan, expected 0 to 1"}},
    {no_bit, {"E_VALUE", "target 1.5 at [1,1] outside [0,1]"}},
    {levels_that_do_not_fit,
     {"E_SHAPE categorical: numbers of shape [2,9] for 4 grey levels: [.., n·levels] "}},
    {levels_of_one_number,
     {"E_SHAPE categorical: numbers of shape [] for 4 grey levels: [.., n·levels] "}},
    {no_levels, {"E_SHAPE categorical: numbers of shape [2,9] for 0 grey levels: [.., n·levels] "}},
    {too_many_axes,
     {"E_SHAPE categorical: numbers of shape [1,1,1,1,1,1,1,4] for 4 grey levels",
      "of at most 7 axes needed"}},
    {half_a_variance, {"E_SHAPE normal: mu has shape [2,2], logvar [2,3]: equal shapes needed"}},
    {variance_of_one_number, {"E_SHAPE slice", "axis -1"}},
    {another_width, {"E_SHAPE", "[2,3]", "[2,4]"}},
    {another_batch, {"E_SHAPE", "[2,3]", "[5,3,3]"}},
    {one_example_for_all, {"E_SHAPE", "[1,3]", "[5,4,3]"}},
    {one_pixel_for_all, {"E_SHAPE", "[4,1]", "[5,4,3]"}},
    {no_decoder, {"E_ARG a distribution without a type"}},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rows[i].make();
        assert_true(tp_tape_status(t) != TP_OK);
        for (int k = 0; k < 3 && rows[i].says[k] != NULL; k++)
            if (strstr(tp_tape_message(t), rows[i].says[k]) == NULL)
                fail_msg("\n  got  %s\n  want %s", tp_tape_message(t), rows[i].says[k]);
        end(NULL), begin(NULL);
    }
}

/* A failure that was there before passes through all of them. */
static void test_poison(void **state)
{
    (void)state;
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    for (int l = 0; l < TP_LIKELIHOODS; l++) {
        tp_var bad = tp_add(V(2), V(3));
        tp_dist p = tp_likelihood_dist((tp_likelihood)l, 3, bad);
        assert_status(tp_var_status(tp_data_logprob(p, V(2, 3))), TP_ESHAPE);
        assert_status(tp_var_status(tp_data_mean(p)), TP_ESHAPE);
        assert_status(tp_var_status(tp_data_sample(p, &c)), TP_ESHAPE);
        tp_tape_reset(t);
        p = tp_likelihood_dist((tp_likelihood)l, 3, V(2, 6)), bad = tp_add(V(2), V(3));
        assert_status(tp_var_status(tp_data_logprob(p, bad)), TP_ESHAPE);
        tp_tape_reset(t);
    }
}

/* --- in a model -------------------------------------------------------------------------------------------------------- */

/* A mean that is a sigmoid does not reach what lies outside of [0,1]: all four refuse such data. */
static void test_data_of_models(void **state)
{
    (void)state;
    const double bad[] = {1.5, -0.1, NAN};
    for (int l = 0; l < TP_LIKELIHOODS; l++)
        for (int i = 0; i < 3; i++) {
            tp_model m;
            char number[32];
            tp_model_config config = tiny(TP_RELU, (tp_likelihood)l);
            config.levels = 3;
            assert_ok(tp_model_init(&m, &tp_model_vae, config, TP_F64, 1));
            tp_ctx c = tp_ctx_train(t, 1, 0);
            tp_objective o = tp_model_loss(&m, &c, grey(bad[i]));
            assert_status(tp_backward(o.total), TP_EVALUE);
            snprintf(number, sizeof number, "%g", bad[i]);
            assert_message(number);
            if (l == TP_GAUSSIAN || l == TP_GAUSSIAN_LEARNED) {
                assert_message("model 'vae': a number of the data is ");
                assert_message(tp_likelihood_name(l));
                assert_message("likelihood has its mean in [0,1]: data from 0 to 1 needed");
            }
            for (int k = 0; k < m.params.n; k++)
                assert_null(tp_parameter_grad(m.params.item[k]));
            tp_model_free(&m);
            end(NULL), begin(NULL);
        }
}

static void refuse(const tp_model_type *type, tp_model_config config, tp_status status,
                   const char *says)
{
    tp_model m = {0};
    assert_status(tp_model_init(&m, type, config, TP_F64, 1), status);
    assert_message(says);
    assert_null(m.self);
}

static void test_too_large(void **state)
{
    (void)state;
    tp_decoder d;
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_model_config c = tiny(TP_RELU, TP_CATEGORICAL);
    c.levels = 256, c.data_dim = INT64_C(1) << 56;
    assert_status(tp_decoder_init(&d, &ps, &c, 2), TP_ESHAPE);
    assert_message("a decoder of 72057594037927936 times 256 outputs is too large");
    tp_params_free(&ps);
}

static void test_configurations(void **state)
{
    (void)state;
    const int64_t levels[] = {-1, 0, 1, 257};
    tp_model_type some = tp_model_vae;
    tp_model_config c = tiny(TP_RELU, TP_CATEGORICAL);
    for (int i = 0; i < 4; i++) {
        char says[64];
        c.levels = levels[i];
        snprintf(says, sizeof says, "%d grey levels: 2 to 256 needed", (int)levels[i]);
        refuse(&tp_model_vae, c, TP_EARG, says);
    }
    some.likelihoods = 1u << TP_GAUSSIAN | 1u << TP_CATEGORICAL;
    c = tiny(TP_RELU, TP_BERNOULLI);
    refuse(&some, c, TP_EARG,
           "model 'vae': its likelihood cannot be bernoulli, only: gaussian, categorical");
    assert_int_equal(tp_model_defaults(&some).likelihood, TP_GAUSSIAN);
    const int none[] = {-1, TP_LIKELIHOODS, 40};
    for (int i = 0; i < 3; i++) {
        char says[64];
        c.likelihood = (tp_likelihood)none[i];
        snprintf(says, sizeof says, "there is no likelihood %d", none[i]);
        refuse(&tp_model_vae, c, TP_EARG, says);
        refuse(&some, c, TP_EARG, says);
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refusals),  TEST(test_poison),         TEST(test_data_of_models),
        TEST(test_too_large), TEST(test_configurations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
