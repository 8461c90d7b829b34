/* kl.c: Kullback–Leibler divergences: the closed forms of kl.def, and the estimate for all other pairs. */
#include "nn/dist_type.h"

/* --- closed forms, per element: the functions of kl.def ------------------------------------------------- */

/* KL does not change when both are shifted and scaled, so q is measured in units of p. */
static tp_var normal_normal(const tp_dist *q, const tp_dist *p)
{
    if (p->standard)
        return tp_gaussian_kl(q->param[0], q->param[1]);
    tp_var apart = tp_sub(q->param[0], p->param[0]);
    tp_var scale = tp_exp(tp_scale(p->param[1], -0.5));
    return tp_gaussian_kl(tp_mul(apart, scale), tp_sub(q->param[1], p->param[1]));
}

/* σ(a)·(a − b) − (softplus(a) − softplus(b)). Which value is called 1 does not matter: where q is sure of 1 both logits
 * change sign, because softplus of a large number keeps nothing of the small difference that counts. */
static tp_var bernoulli_bernoulli(const tp_dist *q, const tp_dist *p)
{
    tp_var one = tp_greater(q->param[0], tp_zeros_like(q->param[0]));
    tp_var a = tp_where(one, tp_neg(q->param[0]), q->param[0]);
    tp_var b = tp_where(one, tp_neg(p->param[0]), p->param[0]);
    tp_var cross = tp_mul(tp_sigmoid(a), tp_sub(a, b));
    return tp_sub(cross, tp_sub(tp_softplus(a), tp_softplus(b)));
}

const tp_kl_type tp_kl_types[] = {
#define TP_KL(q, p, text) {&tp_dist_##q, &tp_dist_##p, text, q##_##p},
#include "nn/kl.def"
#undef TP_KL
};
const int tp_kl_type_count = (int)(sizeof tp_kl_types / sizeof *tp_kl_types);

/* --- any pair ---------------------------------------------------------------------------------------------- */

/* Gives p the leading axes of q, if their events fit; otherwise q's tape fails. */
static tp_status fit(const tp_dist *q, tp_dist *p)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_shape mine = tp_dist_shape(q), its = tp_dist_shape(p), lead;
    if (q->event_dims != p->event_dims)
        return tp_fail(TP_ESHAPE, "KL(%s ‖ %s): events of %d and %d axes", q->type->name,
                       p->type->name, q->event_dims, p->event_dims);
    TP_TRY(tp_dist_check_event(q));
    TP_TRY(tp_dist_check_event(p));
    if (!tp_dist_leads(mine, its, &lead))
        return tp_fail(TP_ESHAPE,
                       "KL(%s ‖ %s): draws have shapes %s and %s: p may lack leading axes of q, no "
                       "others",
                       q->type->name, p->type->name, tp_shape_text(mine, a), tp_shape_text(its, b));
    *p = tp_dist_repeat(*p, lead);
    return TP_OK;
}

/* Both have parameters with values; if not, the operation that takes them says so. */
static bool usable(const tp_dist *q, const tp_dist *p)
{
    return tp_dist_valid(q) && tp_dist_valid(p);
}

static tp_var unusable(const tp_dist *q, const tp_dist *p)
{
    return tp_dist_logprob(tp_dist_valid(q) ? *p : *q, q->param[0]);
}

static const tp_kl_type *find(const tp_dist *q, const tp_dist *p)
{
    for (int i = 0; i < tp_kl_type_count; i++)
        if (tp_kl_types[i].q == q->type && tp_kl_types[i].p == p->type)
            return &tp_kl_types[i];
    tp_fail(TP_EARG,
            "no closed form of KL(%s ‖ %s) in kl.def: tp_kl_monte_carlo estimates it, with its "
            "standard error",
            q->type->name, p->type->name);
    return NULL;
}

tp_var tp_kl_elements(tp_dist q, tp_dist p)
{
    if (!usable(&q, &p))
        return unusable(&q, &p);
    const tp_kl_type *pair = find(&q, &p);
    tp_status s = pair == NULL ? TP_EARG : fit(&q, &p);
    return s != TP_OK ? tp_dist_refuse(&q, s) : pair->elements(&q, &p);
}

tp_var tp_kl(tp_dist q, tp_dist p)
{
    tp_var elements = tp_kl_elements(q, p);
    if (tp_var_status(elements) != TP_OK)
        return elements;
    int rank = q.type->rank > p.type->rank ? q.type->rank : p.type->rank;
    return tp_event_sum(elements, q.event_dims - rank);
}

/* Without draws that carry gradients only the score would be left of the gradient of E_q: noise around 0. */
static tp_var refuse_score(const tp_dist *q, const tp_dist *p)
{
    return tp_dist_refuse(
        q, tp_fail(TP_EGRAD,
                   "KL(%s ‖ %s) by sampling: no gradient flows through draws of q, and its "
                   "parameters ask for one; under tp_no_grad_begin the estimate is right",
                   q->type->name, p->type->name));
}

tp_var tp_kl_monte_carlo(tp_dist q, tp_dist p, tp_ctx *c, int64_t samples, tp_var *standard_error)
{
    tp_var unused, *error = standard_error == NULL ? &unused : standard_error;
    int least = standard_error == NULL ? 1 : 2;
    if (!usable(&q, &p))
        return *error = unusable(&q, &p);
    tp_status s = fit(&q, &p);
    if (s == TP_OK && samples < least)
        s = tp_fail(TP_EARG, "KL(%s ‖ %s) by sampling: %lld samples: %d or more needed",
                    q.type->name, p.type->name, (long long)samples, least);
    if (s != TP_OK)
        return *error = tp_dist_refuse(&q, s);
    bool pathwise = q.type->pathwise;
    tp_var z = pathwise ? tp_dist_rsample_n(q, c, samples) : tp_dist_sample_n(q, c, samples);
    tp_var logq = tp_dist_logprob(q, z), ratio = tp_sub(logq, tp_dist_logprob(p, z));
    if (!pathwise && tp_needs_grad(logq))
        return *error = refuse_score(&q, &p);
    if (standard_error != NULL) { /* ratio is [samples, batch…] */
        tp_var spread = tp_variance(tp_detach(ratio), TP_AXES(0), 1, false);
        *standard_error = tp_sqrt(tp_scale(spread, 1 / (double)samples));
    }
    return tp_mean(ratio, TP_AXES(0), false);
}
