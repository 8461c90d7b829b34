/* exact_types.h: the models of tests/objective/exact.h once more, as model types: what the library computes of them is
 * compared with what is known.
 *
 * None has anything to learn, so none has a loss; their parameters are the numbers of exact.h. Posteriors are wrong on
 * purpose, but for one. Read next: test_truth.c.
 */
#ifndef TP_TESTS_MODELS_EXACT_TYPES_H
#define TP_TESTS_MODELS_EXACT_TYPES_H

#include "tests/objective/exact.h"

#include "models/uses.h"

static inline tp_status fixed(tp_params *ps, tp_parameter *p, const char *name, tp_shape shape,
                              const double *v)
{
    TP_TRY(tp_params_add(ps, p, name, shape));
    for (int64_t i = 0; i < tp_numel(&p->value); i++)
        TP_TRY(tp_set_flat(&p->value, i, v[i]));
    return TP_OK;
}

/* Rows of a table for z i64 [..] -> [.., width] */
static inline tp_var rows(tp_ctx *c, const tp_parameter *table, tp_var z)
{
    return tp_embedding(tp_params_var(c, table), z);
}

/* --- linear-Gaussian: q(z|x) = N(gain·x + shift, cov) -------------------------------------------------- */

typedef struct linear {
    tp_parameter w, b, gain, shift, cov;
} linear;

static inline tp_status linear_parts(linear *m, tp_params *ps, const double *gain,
                                     const double *shift, const double *cov)
{
    TP_TRY(fixed(ps, &m->w, "w", TP_SHAPE(NX, NZ), W));
    TP_TRY(fixed(ps, &m->b, "b", TP_SHAPE(NX), B));
    TP_TRY(fixed(ps, &m->gain, "gain", TP_SHAPE(NZ, NX), gain));
    TP_TRY(fixed(ps, &m->shift, "shift", TP_SHAPE(NZ), shift));
    return fixed(ps, &m->cov, "cov", TP_SHAPE(NZ, NZ), cov);
}

static const double GAIN[NZ * NX] = {0.4, 0.1, -0.3, -0.2, 0.5, 0.2}, SHIFT[NZ] = {0.1, -0.2},
                              SIGMA[NZ] = {0.6, 0.75};

static inline tp_status linear_wrong_init(void *self, tp_params *ps, const tp_model_config *config)
{
    (void)config;
    const double cov[] = {SIGMA[0] * SIGMA[0], 0, 0, SIGMA[1] * SIGMA[1]};
    return linear_parts(self, ps, GAIN, SHIFT, cov);
}

/* The true one: its mean is linear in x, and its covariance the inverse of LLᵀ. */
static inline tp_status linear_right_init(void *self, tp_params *ps, const tp_model_config *config)
{
    (void)config;
    double gain[NZ * NX], shift[NZ] = {0}, mean[NZ], l[NZ * NZ], cov[NZ * NZ];
    for (int i = 0; i < NX; i++) {
        double x[NX] = {B[0], B[1], B[2]};
        x[i] += 1;
        linear_posterior(x, mean, l);
        for (int k = 0; k < NZ; k++) {
            gain[k * NX + i] = mean[k];
            shift[k] -= mean[k] * B[i];
        }
    }
    for (int k = 0; k < NZ; k++) {
        double unit[NZ] = {k == 0, k == 1};
        forward(NZ, l, unit);
        backward(NZ, l, unit);
        for (int j = 0; j < NZ; j++)
            cov[j * NZ + k] = unit[j];
    }
    return linear_parts(self, ps, gain, shift, cov);
}

static inline tp_var linear_mean(const linear *m, tp_ctx *c, tp_var x)
{
    return tp_linear(x, tp_params_var(c, &m->gain), tp_params_var(c, &m->shift));
}

static inline tp_dist linear_diagonal(void *self, tp_ctx *c, tp_var x)
{
    const linear *m = self;
    tp_var mean = linear_mean(m, c, x);
    tp_var logvar = tp_log(tp_diagonal(tp_params_var(c, &m->cov), 0));
    return tp_normal_logvar(mean, tp_expand(logvar, tp_shape_of(mean)));
}

static inline tp_dist linear_full(void *self, tp_ctx *c, tp_var x)
{
    const linear *m = self;
    tp_var mean = linear_mean(m, c, x); /* [batch, NZ] */
    tp_shape each = TP_SHAPE(tp_shape_of(mean).dim[0], NZ, NZ);
    return tp_mvn_covariance(mean, tp_expand(tp_params_var(c, &m->cov), each));
}

static inline tp_dist linear_prior(void *self, tp_ctx *c)
{
    return tp_normal_standard(tp_params_var(c, &((linear *)self)->shift));
}

static inline tp_dist linear_decode(void *self, tp_ctx *c, tp_var z)
{
    const linear *m = self;
    return tp_normal_fixed(tp_linear(z, tp_params_var(c, &m->w), tp_params_var(c, &m->b)), LOG_S2);
}

static const tp_model_type linear_wrong = {.name = "linear_wrong",
                                           .size = sizeof(linear),
                                           .any_real = true,
                                           .init = linear_wrong_init,
                                           .posterior = linear_diagonal,
                                           .prior = linear_prior,
                                           .decode = linear_decode};
static const tp_model_type linear_right = {.name = "linear_right",
                                           .size = sizeof(linear),
                                           .any_real = true,
                                           .init = linear_right_init,
                                           .posterior = linear_full,
                                           .prior = linear_prior,
                                           .decode = linear_decode};

/* --- few states: z is one of STATES -------------------------------------------------------------------- */

typedef struct few {
    tp_parameter prior, q, a, b; /* of p(x|z): SYMBOL; CENTRE and SPREAD */
} few;

static inline tp_dist few_prior(void *self, tp_ctx *c)
{
    return tp_categorical_logits(tp_params_var(c, &((few *)self)->prior));
}

/* Symbols are the grey values 0, ½ and 1 of one pixel. */
static inline tp_status discrete_init(void *self, tp_params *ps, const tp_model_config *config)
{
    (void)config;
    few *m = self;
    states s = discrete_model(0);
    double table[STATES * SYMBOLS];
    for (int i = 0; i < STATES * SYMBOLS; i++)
        table[i] = log(SYMBOL[i / SYMBOLS][i % SYMBOLS]);
    TP_TRY(fixed(ps, &m->prior, "prior", TP_SHAPE(STATES), s.prior));
    TP_TRY(fixed(ps, &m->q, "q", TP_SHAPE(STATES), s.q));
    return fixed(ps, &m->a, "a", TP_SHAPE(STATES, SYMBOLS), table);
}

static inline tp_dist discrete_posterior(void *self, tp_ctx *c, tp_var x)
{
    tp_var times = tp_affine(x, 2, 1); /* [batch, 1] */
    return tp_categorical_logits(tp_mul(tp_params_var(c, &((few *)self)->q), times));
}

static inline tp_dist discrete_decode(void *self, tp_ctx *c, tp_var z)
{
    tp_var logits = tp_unsqueeze(rows(c, &((few *)self)->a, z), -2); /* [.., 1, SYMBOLS] */
    tp_dist p = tp_categorical_logits(logits);
    p.event_dims = 1;
    return p;
}

static inline tp_status mixture_init(void *self, tp_params *ps, const tp_model_config *config)
{
    (void)config;
    few *m = self;
    states s = mixture_model(0, 0);
    double logvar[STATES * 2];
    for (int i = 0; i < STATES * 2; i++)
        logvar[i] = SPREAD[i / 2];
    TP_TRY(fixed(ps, &m->prior, "prior", TP_SHAPE(STATES), s.prior));
    TP_TRY(fixed(ps, &m->q, "q", TP_SHAPE(STATES), s.q));
    TP_TRY(fixed(ps, &m->a, "a", TP_SHAPE(STATES, 2), CENTRE[0]));
    return fixed(ps, &m->b, "b", TP_SHAPE(STATES, 2), logvar);
}

/* The same for every x. */
static inline tp_dist mixture_posterior(void *self, tp_ctx *c, tp_var x)
{
    tp_shape each = TP_SHAPE(tp_shape_of(x).dim[0], STATES);
    return tp_categorical_logits(tp_expand(tp_params_var(c, &((few *)self)->q), each));
}

static inline tp_dist mixture_decode(void *self, tp_ctx *c, tp_var z)
{
    const few *m = self;
    return tp_normal_logvar(rows(c, &m->a, z), rows(c, &m->b, z));
}

static const tp_model_type discrete_type = {.name = "discrete",
                                            .size = sizeof(few),
                                            .discrete = true,
                                            .init = discrete_init,
                                            .posterior = discrete_posterior,
                                            .prior = few_prior,
                                            .decode = discrete_decode};
static const tp_model_type mixture_type = {.name = "mixture",
                                           .size = sizeof(few),
                                           .discrete = true,
                                           .any_real = true,
                                           .init = mixture_init,
                                           .posterior = mixture_posterior,
                                           .prior = few_prior,
                                           .decode = mixture_decode};

/* --- all of them -------------------------------------------------------------------------------------- */

static inline void exact_model(tp_model *m, const tp_model_type *type)
{
    tp_model_config c = tp_model_defaults(type);
    c.latent_dim = NZ;
    assert_ok(tp_model_init(m, type, c, TP_F64, 1));
}

#endif
