/* kl.c: Kullback–Leibler divergences: the closed forms of kl.def, and the estimate for all other pairs. */
#include "nn/dist_type.h"

#include <math.h>

static const double LOG_2 = 0.69314718055994530942, LOG_2PI = 1.8378770664093454836,
                    SQRT_HALF = 0.70710678118654752440, SQRT_2_OVER_PI = 0.79788456080286535588;

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

static tp_var categorical_categorical(const tp_dist *q, const tp_dist *p)
{
    tp_var logq = tp_log_softmax(q->param[0], -1), logp = tp_log_softmax(p->param[0], -1);
    return tp_sum(tp_mul(tp_exp(logq), tp_sub(logq, logp)), TP_AXES(-1), false);
}

static tp_var laplace_laplace(const tp_dist *q, const tp_dist *p)
{
    tp_var apart = tp_abs(tp_sub(q->param[0], p->param[0])), r = tp_sub(q->param[1], p->param[1]);
    tp_var in_p = tp_mul(apart, tp_exp(tp_neg(p->param[1])));
    tp_var in_q = tp_mul(apart, tp_exp(tp_neg(q->param[1])));
    return tp_add(tp_sub(in_p, r), tp_expm1(tp_sub(r, in_q)));
}

static tp_var uniform_uniform(const tp_dist *q, const tp_dist *p)
{
    tp_var within = tp_mul(tp_greater_equal(q->param[0], p->param[0]),
                           tp_greater_equal(p->param[1], q->param[1]));
    tp_var ratio = tp_sub(p->type->entropy(p), q->type->entropy(q));
    return tp_where(within, ratio, tp_scalar(ratio.tape, tp_dtype_of(ratio), INFINITY));
}

/* The Cholesky factor of a normal distribution, diagonal or not, and the log of its diagonal. */
static tp_var factor_of(const tp_dist *d, tp_var *log_diagonal)
{
    if (d->type == &tp_dist_normal) {
        *log_diagonal = tp_scale(d->param[1], 0.5);
        return tp_diag(tp_exp(*log_diagonal));
    }
    *log_diagonal = tp_log(tp_diagonal(d->param[1], 0));
    return tp_tril(d->param[1], 0);
}

/* In the coordinates in which p is N(0, 1), q has mean d and factor A, both triangular: on the diagonal stands the KL of
 * independent normals, and each element below adds half its square. */
static tp_var mvn_mvn(const tp_dist *q, const tp_dist *p)
{
    tp_var log_q, log_p, of_q = factor_of(q, &log_q), of_p = factor_of(p, &log_p);
    tp_var apart = tp_unsqueeze(tp_sub(q->param[0], p->param[0]), -1);
    tp_var d = tp_squeeze(tp_triangular_solve(of_p, apart, false), -1);     /* [.., n] */
    tp_var below = tp_tril(tp_triangular_solve(of_p, of_q, false), -1);     /* [.., n, n] */
    tp_var diagonal = tp_gaussian_kl(d, tp_scale(tp_sub(log_q, log_p), 2)); /* [.., n] */
    tp_var rest = tp_scale(tp_sum(tp_square(below), TP_AXES(-1), false), 0.5);
    return tp_sum(tp_add(diagonal, rest), TP_AXES(-1), false);
}
#define mvn_normal mvn_mvn
#define normal_mvn mvn_mvn

/* −E_q log p − H(q), for p normal: all that counts of q is its mean and its variance. */
static tp_var any_normal(const tp_dist *q, const tp_dist *p)
{
    tp_var m = p->param[0], w = p->param[1];
    tp_var square = tp_add(q->type->variance(q), tp_square(tp_sub(q->type->mean(q), m)));
    tp_var twice = tp_add(tp_mul(square, tp_exp(tp_neg(w))), tp_shift(w, LOG_2PI));
    return tp_sub(tp_scale(twice, 0.5), q->type->entropy(q));
}
#define laplace_normal any_normal
#define uniform_normal any_normal

/* −E_q log p − H(q) for p Laplace, out of E|x − m|. */
static tp_var from_distance(const tp_dist *q, const tp_dist *p, tp_var distance)
{
    tp_var s = p->param[1];
    tp_var cross = tp_add(tp_mul(distance, tp_exp(tp_neg(s))), tp_shift(s, LOG_2));
    return tp_sub(cross, q->type->entropy(q));
}

static tp_var normal_laplace(const tp_dist *q, const tp_dist *p)
{
    tp_var sigma = tp_exp(tp_scale(q->param[1], 0.5)), apart = tp_sub(q->param[0], p->param[0]);
    tp_var t = tp_scale(tp_div(apart, sigma), SQRT_HALF); /* δ/σ√2 */
    tp_var spread = tp_scale(tp_mul(sigma, tp_exp(tp_neg(tp_square(t)))), SQRT_2_OVER_PI);
    return from_distance(q, p, tp_add(spread, tp_mul(apart, tp_erf(t))));
}

static tp_var uniform_laplace(const tp_dist *q, const tp_dist *p)
{
    tp_var low = tp_sub(q->param[0], p->param[0]), high = tp_sub(q->param[1], p->param[0]);
    tp_var top = tp_sub(tp_mul(high, tp_abs(high)), tp_mul(low, tp_abs(low)));
    return from_distance(q, p, tp_scale(tp_div(top, tp_sub(q->param[1], q->param[0])), 0.5));
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
    return tp_var_status(p->param[0]);
}

/* Both have parameters with values; if not, the operation that takes them says so. */
static bool usable(const tp_dist *q, const tp_dist *p)
{
    return tp_dist_valid(q) && tp_dist_valid(p);
}

static tp_var unusable(const tp_dist *q, const tp_dist *p)
{
    bool q_is_good = tp_dist_valid(q);
    return tp_dist_logprob(q_is_good ? *p : *q, (q_is_good ? q : p)->param[0]);
}

static const tp_kl_type *find(const tp_dist *q, const tp_dist *p)
{
    for (int i = 0; i < tp_kl_type_count; i++)
        if (tp_kl_types[i].q == q->type && tp_kl_types[i].p == p->type)
            return &tp_kl_types[i];
    return NULL;
}

bool tp_kl_known(const tp_dist *q, const tp_dist *p)
{
    return find(q, p) != NULL;
}

static tp_status refuse_pair(const tp_dist *q, const tp_dist *p)
{
    return tp_fail(TP_EARG,
                   "no closed form of KL(%s ‖ %s) in kl.def: tp_kl_monte_carlo estimates it, with "
                   "its standard error",
                   q->type->name, p->type->name);
}

/* Summed over the event, or not. */
static tp_var closed_form(tp_dist q, tp_dist p, bool sum)
{
    if (!usable(&q, &p))
        return unusable(&q, &p);
    tp_tape *t = q.param[0].tape;
    tp_scope_begin(t, "KL");
    const tp_kl_type *pair = find(&q, &p);
    tp_status s = pair == NULL ? refuse_pair(&q, &p) : fit(&q, &p);
    tp_var kl = s != TP_OK ? tp_dist_refuse(&q, s) : pair->elements(&q, &p);
    int mine = tp_dist_rank(&q), its = tp_dist_rank(&p), rank = mine > its ? mine : its;
    if (sum && tp_var_status(kl) == TP_OK)
        kl = tp_event_sum(kl, q.event_dims - rank);
    tp_scope_end(t);
    return kl;
}

tp_var tp_kl_elements(tp_dist q, tp_dist p)
{
    return closed_form(q, p, false);
}

tp_var tp_kl(tp_dist q, tp_dist p)
{
    return closed_form(q, p, true);
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
    tp_var unused = {0}, *error = standard_error == NULL ? &unused : standard_error;
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
    tp_dist many = tp_dist_repeat(q, TP_SHAPE(samples));
    tp_var logq, z = pathwise ? tp_dist_rsample_logprob(many, c, &logq) : tp_dist_sample(many, c);
    logq = pathwise ? logq : tp_dist_logprob(many, z);
    tp_var ratio = tp_sub(logq, tp_dist_logprob(p, z)); /* [samples, batch…] */
    if (!pathwise && tp_needs_grad(logq))
        return *error = refuse_score(&q, &p);
    if (standard_error != NULL) {
        tp_var spread = tp_variance(tp_detach(ratio), TP_AXES(0), 1, false);
        *standard_error = tp_sqrt(tp_scale(spread, 1 / (double)samples));
    }
    return tp_mean(ratio, TP_AXES(0), false);
}
