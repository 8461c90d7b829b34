/* 08_amortize.c: z ~ N(0, 1), p(x|z) = N(e^z, σ²), six x: the best normal q(z|x) for each of them, and what encoders that
 * serve all of them lose against it. No noise anywhere: E_q[log p(x|z)] has a closed form here, and log p(x) is a sum
 * over a fine grid. Part of chapter 8, 08_variational.md. */
#include "docs/learn/parts/08_amortize.h"

#include <math.h>
#include <stdio.h>

enum { POINTS = 6 };
static const double DATA[POINTS] = {0.3, 0.7, 1.2, 2, 3, 4.5};
static const double NOISE = 0.3; /* σ */
static const double LOG_2PI = 1.8378770664093454836;

/* --- the three ways to get q(z|x) ----------------------------------------------------------------- */

typedef enum way { TABLE, LINEAR, NETWORK } way;

typedef struct guide {
    way way;
    tp_params params;
    tp_parameter mu, logvar;           /* TABLE: a row for each x */
    tp_nn_mlp body;                    /* NETWORK: x -> h; of LINEAR h is x */
    tp_nn_linear mu_head, logvar_head; /* h -> μ and log σ² */
} guide;

static tp_status guide_init(guide *g, way kind)
{
    const int64_t size[] = {1, 8};
    *g = (guide){.way = kind, .params = tp_params_make(TP_F64, 3)};
    if (kind == TABLE) {
        TP_TRY(tp_params_add(&g->params, &g->mu, "mu", TP_SHAPE(POINTS, 1)));
        return tp_params_add(&g->params, &g->logvar, "logvar", TP_SHAPE(POINTS, 1));
    }
    TP_TRY(tp_nn_mlp_init(&g->body, &g->params, "body", size, kind == NETWORK, TP_TANH, TP_TANH));
    TP_TRY(tp_nn_linear_init(&g->mu_head, &g->params, "mu", size[kind == NETWORK], 1));
    TP_TRY(tp_nn_linear_init(&g->logvar_head, &g->params, "logvar", size[kind == NETWORK], 1));
    TP_TRY(tp_init_constant(&g->mu_head.weight, 0)); /* far from where e^z is steep */
    TP_TRY(tp_init_constant(&g->logvar_head.weight, 0));
    return tp_init_constant(&g->logvar_head.bias, -3);
}

static tp_dist guide_posterior(guide *g, tp_ctx *c, tp_var x)
{
    if (g->way == TABLE)
        return tp_normal_logvar(tp_params_var(c, &g->mu), tp_params_var(c, &g->logvar));
    tp_var h = tp_nn_mlp_apply(&g->body, c, x); /* [POINTS, 1 or 8] */
    return tp_normal_logvar(tp_nn_linear_apply(&g->mu_head, c, h),
                            tp_nn_linear_apply(&g->logvar_head, c, h));
}

/* --- the bound, without sampling ------------------------------------------------------------------ */

/* E_q[log N(x; e^z, σ²)] for q = N(μ, s), by E[e^z] = e^{μ + s/2} and E[e^2z] = e^{2μ + 2s}, s the variance and not its
 * logarithm: [POINTS] */
static tp_var reconstruction(tp_dist q, tp_var x)
{
    tp_var mu = q.param[0], s = tp_dist_variance(q);
    tp_var first = tp_exp(tp_add(mu, tp_scale(s, 0.5)));
    tp_var second = tp_exp(tp_scale(tp_add(mu, s), 2));
    tp_var square = tp_add(tp_sub(tp_square(x), tp_scale(tp_mul(x, first), 2)), second);
    tp_var each = tp_affine(square, -0.5 / (NOISE * NOISE), -0.5 * (LOG_2PI + 2 * log(NOISE)));
    return tp_sum(each, TP_AXES(-1), false);
}

/* −ELBO of all six, and the ELBO of each in elbo unless that is NULL. */
static tp_var loss(guide *g, tp_tape *t, const tp_tensor *data, double *elbo)
{
    tp_ctx c = tp_ctx_eval(t, 0, 0);
    tp_var x = tp_constant(t, data); /* [POINTS, 1] */
    tp_dist q = guide_posterior(g, &c, x);
    tp_var recon = reconstruction(q, x), kl = tp_kl(q, tp_normal_standard(q.param[0]));
    tp_var bound = tp_sub(recon, kl); /* [POINTS] */
    for (int i = 0; elbo != NULL && i < POINTS && tp_value(bound) != NULL; i++)
        elbo[i] = tp_flat(tp_value(bound), i);
    return tp_negative_elbo(recon, kl, tp_elbo_defaults()).total;
}

static tp_status fit(tp_tape *t, const tp_tensor *x, way kind, double elbo[POINTS])
{
    enum { STEPS = 4000 };
    guide g;
    tp_optimizer adam;
    double norm;
    tp_adam_opts opts = tp_adam_defaults();
    TP_TRY(guide_init(&g, kind));
    TP_TRY(tp_adam_init(&adam, &g.params, opts));
    for (int i = 0; i < STEPS; i++) {
        tp_tape_reset(t);
        tp_params_zero_grad(&g.params);
        TP_TRY(tp_backward(loss(&g, t, x, NULL)));
        TP_TRY(tp_clip_grad_norm(&g.params, 1, &norm));
        adam.lr = 0.01 * (1 - (double)i / STEPS);
        TP_TRY(tp_optimizer_step(&adam));
    }
    tp_tape_reset(t);
    TP_TRY(tp_var_status(loss(&g, t, x, elbo)));
    tp_optimizer_free(&adam);
    tp_params_free(&g.params);
    return TP_OK;
}

/* --- the truth ------------------------------------------------------------------------------------ */

/* log ∫ N(z; 0, 1) N(x; e^z, σ²) dz */
static double evidence(double x)
{
    double sum = 0, h = 1e-3;
    for (int i = -8000; i <= 3000; i++) {
        double z = i * h, d = (x - exp(z)) / NOISE;
        sum += h * exp(-(z * z + d * d) / 2 - LOG_2PI - log(NOISE));
    }
    return log(sum);
}

tp_status amortize_print(tp_tape *t)
{
    double elbo[3][POINTS], mean[4] = {0};
    tp_tensor x;
    TP_TRY(tp_tensor_from(&x, TP_F64, TP_SHAPE(POINTS, 1), DATA));
    for (int kind = TABLE; kind <= NETWORK; kind++)
        TP_TRY(fit(t, &x, (way)kind, elbo[kind]));
    printf("                     KL(q ‖ p(z|x)), which is log p(x) - ELBO\n");
    printf("  x     log p(x)     best q   linear encoder   network\n");
    for (int i = 0; i < POINTS; i++) {
        double log_p = evidence(DATA[i]);
        printf("%.1f     %.4f      %.4f   %.4f           %.4f\n", DATA[i], log_p,
               log_p - elbo[TABLE][i], log_p - elbo[LINEAR][i], log_p - elbo[NETWORK][i]);
        mean[3] += log_p / POINTS;
        for (int kind = TABLE; kind <= NETWORK; kind++) {
            mean[kind] += (log_p - elbo[kind][i]) / POINTS;
            if (!(elbo[kind][i] < log_p && elbo[kind][i] < elbo[TABLE][i] + 1e-6))
                return tp_fail(TP_EVALUE, "the bound of x = %g is none", DATA[i]);
        }
    }
    printf("mean    %.4f      %.4f   %.4f           %.4f\n", mean[3], mean[TABLE], mean[LINEAR],
           mean[NETWORK]);
    tp_tensor_free(&x);
    return TP_OK;
}
