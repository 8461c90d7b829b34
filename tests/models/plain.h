/* plain.h: networks and densities of models in plain C: parameters by their names, loops over doubles, nothing of the
 * library between them and the result. Of models with one hidden layer of tanh and a Bernoulli likelihood.
 *
 * What a test compares must not come out of the functions that it tests. Read next: test_vamp_vae.c.
 */
#ifndef TP_TESTS_MODELS_PLAIN_H
#define TP_TESTS_MODELS_PLAIN_H

#include "tests/models/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/compose.h"
#include "models/uses.h"

enum { PLAIN_WIDTH = 32 }; /* no layer is wider */

static const double LOG_2PI = 1.8378770664093454836;

static inline tp_model_config tiny_tanh(const tp_model_type *type, int64_t latent_dim)
{
    tp_model_config config = tp_model_defaults(type), small = tiny(TP_TANH, TP_BERNOULLI);
    memcpy(small.option, config.option, sizeof small.option);
    small.latent_dim = latent_dim;
    return small;
}

static inline tp_parameter *plain_parameter(const tp_model *m, const char *layer, const char *part)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    tp_parameter *p = tp_params_find(&m->params, name);
    assert_non_null(p);
    return p;
}

/* Every element of a layer's weight and bias. */
static inline void plain_fill(const tp_model *m, const char *layer, double weight, double bias)
{
    assert_ok(tp_fill(&plain_parameter(m, layer, "weight")->value, weight));
    assert_ok(tp_fill(&plain_parameter(m, layer, "bias")->value, bias));
}

/* All parameters times a factor: what fresh ones hardly do, large ones do for all to see. */
static inline void plain_scale(const tp_model *m, double factor)
{
    for (int i = 0; i < m->params.n; i++) {
        tp_tensor *t = &m->params.item[i]->value;
        for (int64_t k = 0; k < tp_numel(t); k++)
            assert_ok(tp_set_flat(t, k, factor * tp_flat(t, k)));
    }
}

/* y = W·x + b; how many numbers that are. */
static inline int plain_linear(const tp_model *m, const char *layer, const double *x, double *y)
{
    const tp_tensor *w = &plain_parameter(m, layer, "weight")->value;
    const tp_tensor *b = &plain_parameter(m, layer, "bias")->value;
    const double *at = tp_data(w), *bias = tp_data(b);
    int out = (int)w->shape.dim[0], in = (int)w->shape.dim[1];
    assert_true(w->dtype == TP_F64 && out <= PLAIN_WIDTH);
    for (int i = 0; i < out; i++) {
        y[i] = bias[i];
        for (int k = 0; k < in; k++)
            y[i] += at[i * in + k] * x[k];
    }
    return out;
}

static inline void plain_hidden(const tp_model *m, const char *layer, const double *x, double *h)
{
    int n = plain_linear(m, layer, x, h);
    for (int i = 0; i < n; i++)
        h[i] = tanh(h[i]);
}

/* The parameters of a normal distribution, and of how many dimensions it is. */
static inline int plain_normal(const tp_model *m, const char *hidden, const char *mu_layer,
                               const char *logvar_layer, const double *x, double *mu,
                               double *logvar)
{
    double h[PLAIN_WIDTH];
    plain_hidden(m, hidden, x, h);
    plain_linear(m, logvar_layer, h, logvar);
    return plain_linear(m, mu_layer, h, mu);
}

static inline int plain_encode(const tp_model *m, const double *x, double *mu, double *logvar)
{
    return plain_normal(m, "encoder.0", "mu", "logvar", x, mu, logvar);
}

/* log N(z; mu, e^logvar), of n independent dimensions */
static inline double plain_log_normal(int n, const double *z, const double *mu,
                                      const double *logvar)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum -= 0.5 * ((z[i] - mu[i]) * (z[i] - mu[i]) / exp(logvar[i]) + logvar[i] + LOG_2PI);
    return sum;
}

static inline double plain_log_standard(int n, const double *z)
{
    static const double zero[PLAIN_WIDTH];
    return plain_log_normal(n, z, zero, zero);
}

/* log p(x|z) of bits x */
static inline double plain_log_decode(const tp_model *m, const double *z, const double *x)
{
    double h[PLAIN_WIDTH], y[PLAIN_WIDTH], sum = 0;
    plain_hidden(m, "decoder.0", z, h);
    int n = plain_linear(m, "decoder.2", h, y);
    for (int i = 0; i < n; i++)
        sum -= log1p(exp(x[i] > 0.5 ? -y[i] : y[i]));
    return sum;
}

/* --- samples ------------------------------------------------------------------------------------------- */

/* Pictures of three bits. */
enum { BITS = 3 };
static inline tp_tensor bits(const double *x, int64_t n)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, TP_F64, TP_SHAPE(n, BITS)));
    for (int64_t i = 0; i < n * BITS; i++)
        assert_ok(tp_set_flat(&t, i, x[i]));
    return t;
}

/* The mean of n numbers, and its standard error. */
static inline double plain_mean(const double *x, int64_t n, double *error)
{
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean) / (double)n;
    *error = sqrt(square / (double)n);
    return mean;
}

/* n log weights of one picture, into log_w. */
static inline void plain_log_weights(const tp_model *m, const double *x, int64_t n, uint64_t seed,
                                     double *log_w)
{
    tp_tape *t;
    tp_tensor one = bits(x, 1);
    assert_ok(tp_tape_new(&t));
    tp_no_grad_begin(t);
    tp_ctx c = tp_ctx_eval(t, seed, 0);
    tp_var all = tp_model_log_weight(m, &c, tp_constant(t, &one), n); /* [n, 1] */
    assert_ok(tp_var_status(all));
    assert_true(tp_shape_equal(tp_shape_of(all), TP_SHAPE(n, 1)));
    for (int64_t i = 0; i < n; i++)
        log_w[i] = tp_flat(tp_value(all), i);
    tp_no_grad_end(t);
    tp_tape_free(t);
    tp_tensor_free(&one);
}

/* The mean weight is p(x), unbiased, and the mean logarithm is not above log p(x). */
enum { WEIGHTS = SANITIZED ? 4000 : 40000 };
static inline void check_weights(const tp_model *m, const double *x, double evidence)
{
    double *w = malloc(WEIGHTS * sizeof *w), error;
    assert_non_null(w);
    plain_log_weights(m, x, WEIGHTS, 3, w);
    double bound = plain_mean(w, WEIGHTS, &error);
    assert_true(bound < evidence + 4 * error);
    for (int64_t i = 0; i < WEIGHTS; i++)
        w[i] = exp(w[i] - evidence);
    double mean = plain_mean(w, WEIGHTS, &error);
    assert_close(mean, 1, 4 * error, 0);
    assert_true(error < 10 / sqrt(WEIGHTS));
    free(w);
}

/* The weight of all terms but "recon" is beta, half of it in the middle of the warm-up, all of it behind. */
static inline void check_warmup(const tp_model_type *type)
{
    static const uint64_t step[] = {0, 5, 10};
    tp_model m;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, 4, BITS, 1);
    tp_model_config config = tiny_tanh(type, 2);
    config.beta = 0.5;
    assert_ok(tp_model_set(&config, type, "warmup", 10));
    assert_ok(tp_model_init(&m, type, config, TP_F64, 1));
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < 3; i++) {
        tp_ctx c = tp_ctx_train(t, 1, step[i]);
        tp_objective o = tp_model_loss(&m, &c, tp_constant(t, &x));
        double want = tp_item_of(o.term[0].value);
        assert_string_equal(o.term[0].name, "recon");
        for (int k = 1; k < o.terms; k++)
            want += 0.25 * i * tp_item_of(o.term[k].value);
        assert_close(tp_item_of(o.total), want, 0, 1e-14);
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

#endif
