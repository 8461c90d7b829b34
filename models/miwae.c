/* miwae.c: the mean of several importance weighted bounds: between the VAE (K = 1) and the IWAE (M = 1).
 *
 * Architecture only: the bound is nn/objective/importance.c. */
#include "autograd/ops.h"
#include "models/uses.h"
#include "models/vae.h"

enum { M, K };
static const tp_model_option options[] = {
    {"m", 2, 1, 10000, "M, bounds whose mean is taken", true},
    {"k", 5, 1, 10000, "K, draws of z in each of them", true},
    {0},
};

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const double *option = ((tp_vae *)self)->option;
    int64_t m = (int64_t)option[M], k = (int64_t)option[K];
    tp_var log_w = tp_type_log_weight(&tp_model_miwae, self, c, x, m * k); /* [m·k, batch] */
    tp_scope_begin(c->tape, "log-weights");
    log_w = tp_reshape(log_w, TP_SHAPE(m, k, -1)); /* [m, k, batch] */
    tp_scope_end(c->tape);
    return tp_miwae(log_w);
}

const tp_model_type tp_model_miwae = {.name = "miwae",
                                      .summary = "mean of importance weighted bounds",
                                      .objective = "−1/M Σ_m E_q[log 1/K Σ_k w_mk], w as of iwae",
                                      .source = "Rainforth et al. 2018",
                                      .size = sizeof(tp_vae),
                                      .options = options,
                                      .scale = true,
                                      .init = tp_vae_init,
                                      .loss = loss,
                                      .posterior = tp_vae_posterior,
                                      .prior = tp_vae_prior,
                                      .decode = tp_vae_decode};
