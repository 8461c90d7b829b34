/* test_samplers.c: every model of the table whose posterior is normal draws from it with the variance that it says.
 *
 * Read next: test_truth.c. */
#include "tests/models/exact_types.h"

#include "nn/dist_type.h"

/* (Σ(z − μ)²/n − σ²)/standard error, of n draws in each dimension of a normal distribution [n, dims]; the largest. */
static double misfit(const double *z, const double *mu, const double *logvar, int64_t n,
                     int64_t dims, double power)
{
    double worst = 0;
    for (int64_t d = 0; d < dims; d++) {
        double sum = 0, var = exp(power * logvar[d]);
        for (int64_t i = 0; i < n; i++)
            sum += pow(z[i * dims + d] - mu[i * dims + d], 2) / (double)n;
        worst = fmax(worst, fabs(sum / var - 1) / sqrt(2 / (double)n));
    }
    return worst;
}

/* Every model of the table whose posterior is normal draws from it with the variance that it says: e^logvar, and not its
 * square, which is what comes of taking e^logvar for σ. */
static void test_variance(void **state)
{
    (void)state;
    enum { N = 5000, WIDTH = 16 };
    int found = 0;
    for (int i = 0; i < tp_model_type_count; i++) {
        const tp_model_type *type = tp_model_types[i];
        tp_model_config config = tp_model_defaults(type);
        tp_model m;
        config.data_dim = WIDTH, config.latent_dim = 4, config.hidden[0] = 8;
        config.classes = 3, config.examples = 1;
        if (type->posterior == NULL)
            continue;
        assert_ok(tp_model_init(&m, type, config, TP_F64, 2));
        for (int p = 0; p < m.params.n; p++) /* away from 0, where σ is σ² */
            for (int64_t k = 0; k < tp_numel(&m.params.item[p]->value); k++)
                assert_ok(tp_set_flat(&m.params.item[p]->value, k,
                                      tp_flat(&m.params.item[p]->value, k) * 2 - 0.3));
        fixture *f = fixture_new();
        tp_tensor *none = &f->tensor[f->n++]; /* of each example: number 0, class 0 */
        assert_ok(tp_tensor_new(none, TP_I64, TP_SHAPE(N)));
        tp_ctx c = tp_ctx_eval(f->tape, 1, 0);
        c.index = c.labels = none;
        tp_var x = tp_full(f->tape, TP_F64, TP_SHAPE(N, WIDTH), 0.5);
        tp_dist q = tp_model_posterior(&m, &c, x);
        assert_ok(tp_tape_status(f->tape));
        if (q.type == &tp_dist_normal) {
            int64_t dims = tp_numel(tp_value(q.param[0])) / N;
            const double *z = numbers(tp_dist_rsample(q, &c)), *mu = numbers(q.param[0]);
            tp_var logvar = tp_affine(q.param[1], 1, 0); /* contiguous, where it was expanded */
            double right = misfit(z, mu, numbers(logvar), N, dims, 1);
            double wrong = misfit(z, mu, numbers(logvar), N, dims, 2);
            print_message("%s: %.1f standard errors off, %.0f if e^logvar were σ\n", type->name,
                          right, wrong);
            assert_true(right <= 4.5 && wrong > 10);
            found++;
        }
        fixture_free(f);
        tp_model_free(&m);
    }
    assert_true(found >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_variance)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
