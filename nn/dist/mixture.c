/* mixture: Σ π_k p_k(x) of n components of one family, π = softmax(logits). The logits are the last parameter, those of the
 * components come first, with the axis of the components just before the event of one. */
#include "nn/dist_type.h"

#include <math.h>

enum { LOGITS = TP_DIST_PARAMS - 1 };

/* TP_OK if logits [.., n] are the batch of the components. */
static tp_status check(tp_var logits, const tp_dist *components)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_shape l = tp_shape_of(logits), draws = tp_dist_shape(components), batch = draws;
    if (components->part != NULL || components->type->support == TP_CLASSES)
        return tp_fail(TP_EARG, "mixture: of %s distributions is not supported",
                       components->type->name);
    TP_TRY(tp_dist_check_event(components));
    batch.ndim -= components->event_dims;
    if (l.ndim > 0 && l.dim[l.ndim - 1] > 0 && tp_shape_equal(l, batch))
        return TP_OK;
    return tp_fail(
        TP_ESHAPE,
        "mixture: logits of shape %s, components of %s with %d axes of an event: [.., n] "
        "and [.., n, event…] needed",
        tp_shape_text(l, a), tp_shape_text(draws, b), components->event_dims);
}

tp_dist tp_mixture(tp_var logits, tp_dist components)
{
    tp_dist d = components;
    d.type = &tp_dist_mixture;
    d.part = components.type;
    d.part_dims = components.event_dims;
    d.standard = false;
    d.param[LOGITS] = logits;
    if (components.type == NULL || !tp_dist_valid(&d))
        return d;
    tp_status s = check(logits, &components);
    return s != TP_OK ? tp_dist_refused(d, s) : d;
}

/* Of normals of one number each: mu, logvar and logits, all [.., n]. */
static tp_dist make(const tp_var *param)
{
    tp_dist components = tp_normal_logvar(param[0], param[1]);
    components.event_dims = 0;
    return tp_mixture(param[2], components);
}

/* The axis of the components, counted from behind in what has one entry per component and element of a draw. */
static int axis_of(const tp_dist *p)
{
    return -1 - p->part_dims;
}

static tp_shape shape(const tp_dist *p)
{
    tp_dist part = tp_dist_part(p);
    tp_shape s = tp_dist_shape(&part);
    int at = s.ndim - 1 - p->part_dims;
    if (at < 0)
        return s;
    for (int i = at; i + 1 < s.ndim; i++)
        s.dim[i] = s.dim[i + 1];
    s.ndim--;
    return s;
}

/* x for every component: [.., event…] -> [.., n, event…] */
static tp_var for_each(const tp_dist *p, tp_var x)
{
    tp_dist part = tp_dist_part(p);
    return tp_expand(tp_unsqueeze(x, axis_of(p)), tp_dist_shape(&part));
}

static tp_var nll(const tp_dist *p, tp_var x)
{
    tp_var each = tp_dist_logprob(tp_dist_part(p), for_each(p, x)); /* [.., n] */
    return tp_neg(
        tp_logsumexp(tp_add(tp_log_softmax(p->param[LOGITS], -1), each), TP_AXES(-1), false));
}

/* A draw of every component, of which one is taken. */
static tp_var draw(const tp_dist *p, tp_ctx *c)
{
    tp_var all = tp_dist_sample(tp_dist_part(p), c),
           which = tp_noise_categorical(p->param[LOGITS], tp_ctx_draw(c));
    tp_shape s = tp_shape_of(all);
    for (int i = 0; i <= p->part_dims; i++)
        which = tp_unsqueeze(which, -1);
    if (s.ndim > p->part_dims)
        s.dim[s.ndim - 1 - p->part_dims] = 1;
    return tp_squeeze(tp_gather(all, tp_expand(which, s), axis_of(p)), axis_of(p));
}

/* Σ π_k y_k of something that every component has, [.., n, event…]. */
static tp_var average(const tp_dist *p, tp_var y)
{
    tp_var weight = tp_softmax(p->param[LOGITS], -1);
    for (int i = 0; i < p->part_dims; i++)
        weight = tp_unsqueeze(weight, -1);
    return tp_sum(tp_mul(weight, y), TP_AXES(axis_of(p)), false);
}

static tp_var mean(const tp_dist *p)
{
    return average(p, tp_dist_mean(tp_dist_part(p)));
}

/* Within the components and between them. */
static tp_var variance(const tp_dist *p)
{
    tp_dist part = tp_dist_part(p);
    tp_var gap = tp_sub(tp_dist_mean(part), for_each(p, mean(p)));
    return average(p, tp_add(tp_dist_variance(part), tp_square(gap)));
}

static const tp_dist_case cases[] = {
    {"a batch of two of three",
     {{TP_DIMS(2, 3), {-2, 0, 1, 3, 3.5, -1}},
      {TP_DIMS(2, 3), {-1, 0, 0.5, -2, 0, 0.3}},
      {TP_DIMS(2, 3), {0, 1, -1, 0.4, 0.3, 0}}}},
    {"two far apart",
     {{TP_DIMS(1, 2), {-3, 3}}, {TP_DIMS(1, 2), {-1, -0.5}}, {TP_DIMS(1, 2), {0.5, 0}}}},
};

static const tp_dist_value values[] = {
    {"of two equal ones",
     {{TP_DIMS(2), {0, 0}}, {TP_DIMS(2), {0, 0}}, {TP_DIMS(2), {0.3, -1}}},
     {TP_DIMS(), {3}},
     -5.41893853320467274,
     NAN},
    {"far from both",
     {{TP_DIMS(2), {0, 1}}, {TP_DIMS(2), {0, 0}}, {TP_DIMS(2), {0, 0}}},
     {TP_DIMS(), {100}},
     -4902.11208571376462,
     NAN},
    {"a component without weight",
     {{TP_DIMS(2), {0, 1}}, {TP_DIMS(2), {0, 0}}, {TP_DIMS(2), {0, -1000}}},
     {TP_DIMS(), {0}},
     -0.918938533204672742,
     NAN},
};

static const tp_dist_refusal refusals[] = {
    {"weights for other components",
     {{TP_DIMS(2, 3), {0}}, {TP_DIMS(2, 3), {0}}, {TP_DIMS(2, 2), {0}}},
     {TP_DIMS(2), {0}},
     TP_ESHAPE,
     "mixture: logits of shape [2,2], components of [2,3] with 0 axes of an event"},
    {"an x for each component",
     {{TP_DIMS(2, 3), {0}}, {TP_DIMS(2, 3), {0}}, {TP_DIMS(2, 3), {0}}},
     {TP_DIMS(2, 3), {0}},
     TP_ESHAPE,
     "one draw has [2]"},
};

TP_DEFINE_DIST(mixture, .support = TP_REALS, .params = 3, .shape = shape, .mean = mean,
               .variance = variance, .text = "log Σ π_k p_k(x), π = softmax(logits)", .source = "");
