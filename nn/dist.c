/* dist.c: what is the same for all distributions: shapes, leading sample axes, events. The formulas are in
 * dist/<name>.c. Read next: kl.c. */
#include "nn/dist_type.h"

const tp_dist_type *const tp_dist_types[] = {
#define TP_DIST(name) &tp_dist_##name,
#include "nn/dist.def"
#undef TP_DIST
};
const int tp_dist_type_count = (int)(sizeof tp_dist_types / sizeof *tp_dist_types);

/* --- failures ---------------------------------------------------------------------------------------- */

bool tp_dist_valid(const tp_dist *d)
{
    for (int i = 0; i < TP_DIST_PARAMS; i++)
        if (d->param[i].tape != NULL && tp_var_status(d->param[i]) != TP_OK)
            return false;
    return d->type != NULL && d->param[0].tape != NULL;
}

tp_var tp_dist_refuse(const tp_dist *d, tp_status status)
{
    return d->param[0].tape == NULL ? (tp_var){0} : tp_tape_poison(d->param[0].tape, status);
}

tp_dist tp_dist_refused(tp_dist d, tp_status status)
{
    tp_var bad = tp_dist_refuse(&d, status);
    for (int i = 0; i < TP_DIST_PARAMS; i++)
        if (d.param[i].tape != NULL)
            d.param[i] = bad;
    return d;
}

tp_dist tp_dist_same_shapes(tp_dist d, const char *a, const char *b)
{
    char ta[TP_SHAPE_TEXT], tb[TP_SHAPE_TEXT];
    tp_shape first = tp_shape_of(d.param[0]), second = tp_shape_of(d.param[1]);
    if (!tp_dist_valid(&d) || tp_shape_equal(first, second))
        return d;
    return tp_dist_refused(d, tp_fail(TP_ESHAPE, "%s: %s has shape %s, %s %s: equal shapes needed",
                                      d.type->name, a, tp_shape_text(first, ta), b,
                                      tp_shape_text(second, tb)));
}

tp_dist tp_dist_part(const tp_dist *d)
{
    tp_dist part = {.type = d->part, .event_dims = d->part_dims, .temperature = d->temperature};
    for (int i = 0; d->part != NULL && i < d->part->params; i++)
        part.param[i] = d->param[i];
    return part;
}

/* Of a distribution that is not valid: an operation on its bad parameter says what is wrong with that, on the tape of
 * the other var if it has none itself. */
static tp_var pass_on(const tp_dist *d, tp_var other)
{
    int bad = 0;
    tp_tape *t = other.tape != NULL ? other.tape : d->param[0].tape;
    if (d->type == NULL && t != NULL)
        return tp_tape_poison(t, tp_fail(TP_EARG, "a distribution without a type"));
    for (int i = 0; i < TP_DIST_PARAMS; i++)
        if (d->param[i].tape != NULL && tp_var_status(d->param[i]) != TP_OK)
            bad = i;
    return other.tape != NULL ? tp_add(other, d->param[bad]) : tp_detach(d->param[bad]);
}

/* --- shapes ------------------------------------------------------------------------------------------ */

tp_var tp_event_sum(tp_var x, int dims)
{
    tp_axes axes = {dims, {0}};
    if (dims == 0) /* an empty list would mean all axes */
        return x;
    for (int i = 0; i < dims && i < TP_MAX_DIMS; i++)
        axes.axis[i] = i - dims;
    return tp_sum(x, axes, false);
}

tp_shape tp_dist_shape(const tp_dist *d)
{
    return d->type == NULL || d->type->shape == NULL ? tp_shape_of(d->param[0]) : d->type->shape(d);
}

int64_t tp_dist_width(const tp_dist *d)
{
    tp_shape s = tp_shape_of(d->param[0]);
    return s.ndim > 0 ? s.dim[s.ndim - 1] : 1;
}

bool tp_dist_has_rsample(const tp_dist *d)
{
    return d->type != NULL && d->type->pathwise;
}

tp_status tp_dist_check_event(const tp_dist *d)
{
    char text[TP_SHAPE_TEXT];
    tp_shape s = tp_dist_shape(d);
    if (d->event_dims >= tp_dist_rank(d) && d->event_dims <= s.ndim)
        return TP_OK;
    return tp_fail(TP_ESHAPE, "%s: event_dims is %d, one draw has shape %s", d->type->name,
                   d->event_dims, tp_shape_text(s, text));
}

bool tp_dist_leads(tp_shape x, tp_shape draw, tp_shape *lead)
{
    int n = x.ndim - draw.ndim;
    *lead = (tp_shape){0};
    for (int i = 0; i < draw.ndim && n >= 0; i++)
        if (x.dim[n + i] != draw.dim[i])
            return false;
    for (int i = 0; i < n; i++)
        lead->dim[lead->ndim++] = x.dim[i];
    return n >= 0;
}

tp_dist tp_dist_repeat(tp_dist d, tp_shape lead)
{
    char text[TP_SHAPE_TEXT];
    if (lead.ndim == 0 || !tp_dist_valid(&d))
        return d;
    for (int i = 0; i < TP_DIST_PARAMS; i++) {
        tp_shape s = tp_shape_of(d.param[i]), wide = lead;
        if (d.param[i].tape == NULL)
            continue;
        if (lead.ndim + s.ndim > TP_MAX_DIMS)
            return tp_dist_refused(
                d, tp_fail(TP_ESHAPE, "%s: %d more axes before shape %s: at most %d axes",
                           d.type->name, lead.ndim, tp_shape_text(s, text), TP_MAX_DIMS));
        for (int k = 0; k < s.ndim; k++)
            wide.dim[wide.ndim++] = s.dim[k];
        d.param[i] = tp_expand(d.param[i], wide);
    }
    return d;
}

tp_dist tp_dist_detach(tp_dist d)
{
    for (int i = 0; i < TP_DIST_PARAMS; i++)
        if (d.param[i].tape != NULL)
            d.param[i] = tp_detach(d.param[i]);
    for (int f = 0; f < d.flows; f++)
        for (int i = 0; i < TP_FLOW_PARAMS; i++)
            if (d.flow[f].param[i].tape != NULL)
                d.flow[f].param[i] = tp_detach(d.flow[f].param[i]);
    return d;
}

static void enter(tp_var *param, int n, tp_tape *t)
{
    for (int i = 0; i < n; i++) {
        const tp_tensor *value = param[i].tape != NULL ? tp_value(param[i]) : NULL;
        if (value != NULL)
            param[i] = tp_constant(t, value);
        else if (param[i].tape != NULL)
            param[i] = tp_tape_poison(t, tp_var_status(param[i]));
    }
}

tp_dist tp_dist_enter(tp_dist d, tp_tape *t)
{
    enter(d.param, TP_DIST_PARAMS, t);
    for (int f = 0; f < d.flows; f++)
        enter(d.flow[f].param, TP_FLOW_PARAMS, t);
    return d;
}

/* --- what every distribution can do -------------------------------------------------------------------- */

tp_var tp_dist_logprob(tp_dist d, tp_var x)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_shape draw = tp_dist_shape(&d), lead;
    if (!tp_dist_valid(&d))
        return pass_on(&d, x);
    if (tp_var_status(x) != TP_OK)
        return tp_add(d.param[0], x); /* which says what is wrong with x */
    if (!tp_dist_leads(tp_shape_of(x), draw, &lead))
        return tp_dist_refuse(
            &d, tp_fail(TP_ESHAPE,
                        "%s log-density: x has shape %s, one draw has %s: only samples may lead, "
                        "losses do not broadcast",
                        d.type->name, tp_shape_text(tp_shape_of(x), a), tp_shape_text(draw, b)));
    if (tp_dist_check_event(&d) != TP_OK)
        return tp_dist_refuse(&d, TP_ESHAPE);
    d = tp_dist_repeat(d, lead);
    if (!tp_dist_valid(&d))
        return pass_on(&d, x);
    return tp_neg(tp_event_sum(d.type->nll(&d, x), d.event_dims - tp_dist_rank(&d)));
}

static tp_var refuse_gradient(const tp_dist *d)
{
    return tp_dist_refuse(d, tp_fail(TP_EGRAD,
                                     "%s: no gradient flows through its draws; tp_dist_sample "
                                     "draws without one",
                                     d->type->name));
}

static tp_var draw(tp_dist d, tp_ctx *c, bool gradient)
{
    if (!tp_dist_valid(&d))
        return pass_on(&d, (tp_var){0});
    if (gradient && !d.type->pathwise)
        return refuse_gradient(&d);
    tp_tape *scoped = d.part == NULL ? c->tape : NULL; /* one made of parts: they open theirs */
    tp_scope_begin(scoped, gradient ? "reparameterize" : "sample");
    tp_var z = d.type->draw(&d, c);
    if (!gradient && d.type->pathwise)
        z = tp_detach(z);
    tp_scope_end(scoped);
    return z;
}

static tp_var draw_n(tp_dist d, tp_ctx *c, int64_t k, bool gradient)
{
    if (k < 1 && tp_dist_valid(&d))
        d = tp_dist_refused(
            d, tp_fail(TP_EARG, "%s: %lld samples: 1 or more needed", d.type->name, (long long)k));
    tp_scope_begin(c->tape, "repeat");
    d = tp_dist_repeat(d, TP_SHAPE(k));
    tp_scope_end(c->tape);
    return draw(d, c, gradient);
}

tp_var tp_dist_rsample(tp_dist d, tp_ctx *c)
{
    return draw(d, c, true);
}

tp_var tp_dist_rsample_n(tp_dist d, tp_ctx *c, int64_t k)
{
    return draw_n(d, c, k, true);
}

tp_var tp_dist_sample(tp_dist d, tp_ctx *c)
{
    return draw(d, c, false);
}

tp_var tp_dist_sample_n(tp_dist d, tp_ctx *c, int64_t k)
{
    return draw_n(d, c, k, false);
}

tp_var tp_dist_rsample_logprob(tp_dist d, tp_ctx *c, tp_var *logprob)
{
    tp_var z, nll = {0};
    if (!tp_dist_valid(&d))
        return *logprob = pass_on(&d, (tp_var){0});
    if (!d.type->pathwise)
        return *logprob = refuse_gradient(&d);
    if (tp_dist_check_event(&d) != TP_OK)
        return *logprob = tp_dist_refuse(&d, TP_ESHAPE);
    z = d.type->draw_nll != NULL ? d.type->draw_nll(&d, c, &nll) : draw(d, c, true);
    tp_scope_begin(c->tape, "density");
    if (d.type->draw_nll == NULL)
        nll = tp_var_status(z) == TP_OK ? d.type->nll(&d, z) : z;
    *logprob = tp_neg(tp_event_sum(nll, d.event_dims - tp_dist_rank(&d)));
    tp_scope_end(c->tape);
    return z;
}

/* what: "mean", …, which some rows do not have. */
static tp_var moment(tp_dist d, tp_var (*f)(const tp_dist *), const char *what)
{
    if (!tp_dist_valid(&d))
        return pass_on(&d, (tp_var){0});
    if (f == NULL)
        return tp_dist_refuse(
            &d, tp_fail(TP_EARG, "%s: its %s has no closed form", d.type->name, what));
    return f(&d);
}

tp_var tp_dist_mean(tp_dist d)
{
    return moment(d, d.type == NULL ? NULL : d.type->mean, "mean");
}

tp_var tp_dist_variance(tp_dist d)
{
    return moment(d, d.type == NULL ? NULL : d.type->variance, "variance");
}

tp_var tp_dist_entropy(tp_dist d)
{
    if (tp_dist_valid(&d) && tp_dist_check_event(&d) != TP_OK)
        return tp_dist_refuse(&d, TP_ESHAPE);
    tp_var h = moment(d, d.type == NULL ? NULL : d.type->entropy, "entropy");
    return tp_var_status(h) != TP_OK ? h : tp_event_sum(h, d.event_dims - tp_dist_rank(&d));
}
