/* uses.c: see uses.h. */
#include "models/uses.h"
#include "autograd/compose.h"
#include "nn/dist_type.h"

bool tp_model_has_code(const tp_model_type *type)
{
    return type->code != NULL || type->posterior != NULL;
}

bool tp_model_has_samples(const tp_model_type *type)
{
    return type->generate != NULL || (type->prior != NULL && type->decode != NULL);
}

bool tp_model_has_weights(const tp_model_type *type)
{
    bool parts = type->posterior != NULL && type->prior != NULL && type->decode != NULL;
    return type->densities != NULL || parts;
}

bool tp_model_has_nll(const tp_model_type *type)
{
    return type->logprob != NULL || tp_model_has_weights(type);
}

static tp_var lacks(const tp_model_type *type, tp_ctx *c, const char *what)
{
    return tp_tape_poison(c->tape, tp_fail(TP_EARG, "model '%s' has no %s", type->name, what));
}

static tp_dist lacks_dist(const tp_model_type *type, tp_ctx *c, const char *what)
{
    return tp_normal_standard(lacks(type, c, what));
}

/* --- the parts ---------------------------------------------------------------------------------------- */

tp_dist tp_model_posterior(const tp_model *m, tp_ctx *c, tp_var x)
{
    return m->type->posterior != NULL ? m->type->posterior(m->self, c, x)
                                      : lacks_dist(m->type, c, "posterior");
}

tp_dist tp_model_prior(const tp_model *m, tp_ctx *c)
{
    return m->type->prior != NULL ? m->type->prior(m->self, c) : lacks_dist(m->type, c, "prior");
}

tp_dist tp_model_decode(const tp_model *m, tp_ctx *c, tp_var z)
{
    return m->type->decode != NULL ? m->type->decode(m->self, c, z)
                                   : lacks_dist(m->type, c, "decoder");
}

/* --- pictures ----------------------------------------------------------------------------------------- */

tp_var tp_model_code(const tp_model *m, tp_ctx *c, tp_var x)
{
    if (m->type->code != NULL)
        return m->type->code(m->self, c, x);
    return tp_dist_mean(tp_model_posterior(m, c, x));
}

tp_var tp_model_reconstruct(const tp_model *m, tp_ctx *c, tp_var x)
{
    return tp_data_mean(tp_model_decode(m, c, tp_model_code(m, c, x)));
}

tp_dist tp_model_generate(const tp_model *m, tp_ctx *c, int64_t n)
{
    if (m->type->generate != NULL)
        return m->type->generate(m->self, c, n);
    return tp_model_decode(m, c, tp_dist_sample_n(tp_model_prior(m, c), c, n));
}

/* --- likelihood ---------------------------------------------------------------------------------------- */

tp_log_densities tp_type_densities(const tp_model_type *type, void *self, tp_ctx *c, tp_dist q,
                                   tp_dist p, tp_var x, int64_t k)
{
    if (type->densities != NULL)
        return type->densities(self, c, q, x, k);
    tp_log_densities d;
    tp_var z;
    if (tp_dist_has_rsample(&q)) {
        tp_scope_begin(c->tape, "repeat");
        tp_dist many = tp_dist_repeat(q, TP_SHAPE(k));
        tp_scope_end(c->tape);
        z = tp_dist_rsample_logprob(many, c, &d.log_q);
    } else {
        z = tp_dist_sample_n(q, c, k);
        d.log_q = tp_posterior_logprob(q, z);
    }
    d.logprob = tp_data_logprob(type->decode(self, c, TP_NAME(z)), x); /* [k, batch] each */
    if (p.type == NULL)
        p = type->prior(self, c);
    d.log_prior = tp_prior_logprob(p, z);
    return d;
}

tp_var tp_type_log_weight(const tp_model_type *type, void *self, tp_ctx *c, tp_var x, int64_t k)
{
    if (!tp_model_has_weights(type))
        return lacks(type, c, "posterior over a latent variable with a prior");
    tp_dist q = {0};
    if (type->posterior != NULL)
        q = type->posterior(self, c, x);
    tp_log_densities d = tp_type_densities(type, self, c, q, (tp_dist){0}, x, k);
    if (d.log_prior.tape == NULL)
        d.log_prior = tp_zeros_like(d.logprob);
    if (d.log_q.tape == NULL)
        d.log_q = tp_zeros_like(d.logprob);
    return tp_log_weight(d.logprob, d.log_prior, tp_name(d.log_q, "log_q", __FILE__, __LINE__));
}

tp_var tp_model_log_weight(const tp_model *m, tp_ctx *c, tp_var x, int64_t k)
{
    return tp_type_log_weight(m->type, m->self, c, x, k);
}

/* Both from one posterior, which may cost a search (models/infer.c). */
void tp_model_latents(const tp_model *m, tp_ctx *c, tp_var x, tp_var *code, tp_var *kl)
{
    const tp_model_type *type = m->type;
    bool mean = code != NULL && type->code == NULL;
    bool closed = type->kl == NULL && type->prior != NULL;
    tp_dist q = {0};
    *kl = (tp_var){0};
    if (type->posterior != NULL && (mean || closed))
        q = type->posterior(m->self, c, x);
    if (mean)
        *code = q.type != NULL ? tp_dist_mean(q) : (tp_var){0};
    else if (code != NULL)
        *code = type->code(m->self, c, x);
    if (type->kl != NULL) {
        *kl = type->kl(m->self, c, x);
    } else if (closed && q.type != NULL) {
        tp_dist p = type->prior(m->self, c);
        if (tp_kl_known(&q, &p))
            *kl = tp_kl_elements(q, p);
    }
}

bool tp_model_kl(const tp_model *m, tp_ctx *c, tp_var x, tp_var *kl)
{
    tp_model_latents(m, c, x, NULL, kl);
    return kl->tape != NULL;
}
