/* likelihood.c: see likelihood.h. */
#include "models/likelihood.h"
#include "nn/dist_type.h"
#include "tensor/scan.h"

#include <math.h>

static const char *const names[] = {[TP_BERNOULLI] = "bernoulli",
                                    [TP_GAUSSIAN] = "gaussian",
                                    [TP_GAUSSIAN_LEARNED] = "gaussian_learned",
                                    [TP_CATEGORICAL] = "categorical"};

const char *tp_likelihood_name(int likelihood)
{
    return likelihood >= 0 && likelihood < TP_LIKELIHOODS ? names[likelihood] : NULL;
}

int64_t tp_likelihood_width(tp_likelihood likelihood, int64_t levels)
{
    switch (likelihood) {
    case TP_GAUSSIAN_LEARNED:
        return 2;
    case TP_CATEGORICAL:
        return levels;
    default:
        return 1;
    }
}

/* [.., n·levels] -> [.., n, levels] */
static tp_var split_levels(tp_var y, int64_t levels)
{
    char text[TP_SHAPE_TEXT];
    tp_shape s = tp_shape_of(y);
    int last = s.ndim - 1;
    if (tp_var_status(y) != TP_OK)
        return y;
    if (last < 0 || s.ndim == TP_MAX_DIMS || levels < 1 || s.dim[last] % levels != 0)
        return tp_tape_poison(
            y.tape, tp_fail(TP_ESHAPE,
                            "categorical: numbers of shape %s for %lld grey levels: [.., n·levels] "
                            "of at most %d axes needed",
                            tp_shape_text(s, text), (long long)levels, TP_MAX_DIMS - 1));
    s.dim[last] /= levels;
    s.dim[s.ndim++] = levels;
    return tp_reshape(y, s);
}

/* The variance has a floor: without one, a pixel that is black in all data would make it 0. */
static tp_dist learned(tp_var y)
{
    const double floor = -6;
    tp_shape s = tp_shape_of(y);
    int64_t n = s.ndim > 0 ? s.dim[s.ndim - 1] : 0;
    tp_var mean = tp_sigmoid(tp_slice(y, -1, 0, n / 2, 1)); /* [.., data_dim] each */
    tp_var raw = tp_slice(y, -1, n / 2, n, 1);
    return tp_normal_logvar(TP_NAME(mean), tp_logvar_above(raw, floor));
}

tp_dist tp_likelihood_dist(tp_likelihood likelihood, int64_t levels, tp_var y)
{
    tp_dist p;
    tp_var mean, logits;
    switch (likelihood) {
    case TP_GAUSSIAN:
        mean = tp_sigmoid(y);
        return tp_normal_fixed(TP_NAME(mean), 0);
    case TP_GAUSSIAN_LEARNED:
        return learned(y);
    case TP_CATEGORICAL:
        logits = split_levels(y, levels);
        p = tp_categorical_logits(TP_NAME(logits));
        p.event_dims = 1; /* a pixel each, together a picture */
        return p;
    default:
        logits = y;
        return tp_bernoulli_logits(TP_NAME(logits));
    }
}

/* --- data as a distribution wants them --------------------------------------------------------------- */

static bool has_levels(const tp_dist *p)
{
    return p->type == &tp_dist_categorical;
}

/* 0, 1, …, n − 1 as floats of like's type: [n] */
static tp_var numbers(tp_var like, int64_t n)
{
    return tp_cumsum(tp_pad(tp_full(like.tape, tp_dtype_of(like), TP_SHAPE(n - 1), 1), 0, 1, 1, n),
                     0);
}

/* Grey values -> the nearest level as a class, i64. */
static tp_var levels_of(tp_var x, int64_t n)
{
    if (tp_var_status(x) != TP_OK)
        return x;
    int64_t bad = tp_first_outside(tp_value(x), 0, 1);
    if (bad >= 0)
        return tp_tape_poison(x.tape,
                              tp_fail(TP_EVALUE, "categorical: a grey value is %g, expected 0 to 1",
                                      tp_flat(tp_value(x), bad)));
    tp_var scaled = tp_unsqueeze(tp_scale(tp_detach(x), (double)(n - 1)), -1);
    return tp_argmin(tp_abs(tp_sub(scaled, numbers(x, n))), -1, false); /* of [.., n] */
}

static tp_var logprob_of(tp_dist p, tp_var x)
{
    if (has_levels(&p))
        x = levels_of(x, tp_dist_width(&p));
    /* Along the samples only: nothing else broadcasts. */
    tp_shape draw = tp_dist_shape(&p), mine = tp_shape_of(x), samples;
    if (tp_var_status(x) == TP_OK && draw.ndim > mine.ndim && tp_dist_leads(draw, mine, &samples))
        x = tp_expand(x, draw);
    return tp_dist_logprob(p, x);
}

tp_var tp_data_logprob(tp_dist p, tp_var x)
{
    if (!tp_dist_valid(&p))
        return tp_dist_logprob(p, x);
    tp_tape *t = p.param[0].tape;
    tp_scope_begin(t, "reconstruction");
    tp_var logprob = logprob_of(p, x);
    tp_scope_end(t);
    return TP_NAME(logprob);
}

static tp_var logprob_in(const char *scope, tp_dist d, tp_var z)
{
    tp_tape *t = d.param[0].tape;
    tp_scope_begin(t, scope);
    tp_var logprob = tp_dist_logprob(d, z);
    tp_scope_end(t);
    return logprob;
}

tp_var tp_prior_logprob(tp_dist p, tp_var z)
{
    tp_var log_p = logprob_in("prior", p, z);
    return TP_NAME(log_p);
}

tp_var tp_posterior_logprob(tp_dist q, tp_var z)
{
    tp_var log_q = logprob_in("density", q, z);
    return TP_NAME(log_q);
}

tp_var tp_data_mean(tp_dist p)
{
    tp_var mean = tp_dist_mean(p);
    if (!has_levels(&p) || tp_var_status(mean) != TP_OK)
        return mean;
    int64_t n = tp_dist_width(&p);
    tp_var grey = tp_scale(numbers(mean, n), 1 / (double)(n - 1));
    return tp_sum(tp_mul(mean, grey), TP_AXES(-1), false);
}

tp_var tp_data_sample(tp_dist p, tp_ctx *c)
{
    tp_var x = tp_dist_sample(p, c);
    if (!has_levels(&p) || tp_var_status(x) != TP_OK)
        return x;
    int64_t n = tp_dist_width(&p);
    tp_var hot = tp_one_hot(x, n, tp_dtype_of(p.param[0])); /* [.., n] */
    return tp_sum(tp_mul(hot, tp_scale(numbers(hot, n), 1 / (double)(n - 1))), TP_AXES(-1), false);
}
