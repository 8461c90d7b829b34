/* transformed: vectors of a base distribution sent through maps of nn/flow.h: log p(f(z)) = log p(z) − log |det ∂f/∂z|. */
#include "nn/dist_type.h"

#include <math.h>

tp_dist tp_transformed(tp_dist base, int n, const tp_flow *flow)
{
    tp_dist d = base;
    d.type = &tp_dist_transformed;
    d.part = base.type;
    d.part_dims = base.event_dims;
    d.standard = false;
    d.flows = 0;
    if (base.type == NULL || !tp_dist_valid(&d))
        return d;
    if (n < 1 || n > TP_DIST_FLOWS)
        return tp_dist_refused(
            d, tp_fail(TP_EARG, "transformed: %d maps: 1 to %d are supported", n, TP_DIST_FLOWS));
    if (!base.type->pathwise || base.event_dims != 1 || base.part != NULL)
        return tp_dist_refused(
            d, tp_fail(TP_EARG,
                       "transformed: of a %s with event_dims %d: vectors (event_dims 1) "
                       "with tp_dist_rsample needed",
                       base.type->name, base.event_dims));
    for (d.flows = 0; d.flows < n; d.flows++)
        d.flow[d.flows] = flow[d.flows];
    return d;
}

/* A normal distribution through an affine map and a second one of the same parameter. */
static tp_dist make(const tp_var *param)
{
    const tp_flow flow[] = {tp_flow_affine(param[2], tp_scale(param[2], 0.5)),
                            tp_flow_affine(tp_square(param[2]), tp_neg(param[2]))};
    return tp_transformed(tp_normal_logvar(param[0], param[1]), 2, flow);
}

static tp_var draw_nll(const tp_dist *p, tp_ctx *c, tp_var *nll)
{
    tp_var logp, logdet, z = tp_dist_rsample_logprob(tp_dist_part(p), c, &logp);
    tp_scope_begin(c->tape, "density");
    *nll = tp_neg(logp);
    tp_scope_end(c->tape);
    for (int i = 0; i < p->flows; i++) {
        z = tp_flow_forward(&p->flow[i], z, &logdet);
        tp_scope_begin(c->tape, "density");
        *nll = tp_add(*nll, logdet);
        tp_scope_end(c->tape);
    }
    return z;
}

static tp_var draw(const tp_dist *p, tp_ctx *c)
{
    tp_var logdet, z = tp_dist_rsample(tp_dist_part(p), c);
    for (int i = 0; i < p->flows; i++)
        z = tp_flow_forward(&p->flow[i], z, &logdet);
    return z;
}

static tp_var nll(const tp_dist *p, tp_var x)
{
    tp_var logdet, all = {0};
    for (int i = p->flows - 1; i >= 0; i--) {
        x = tp_flow_inverse(&p->flow[i], x, &logdet);
        all = all.tape == NULL ? logdet : tp_add(all, logdet);
    }
    return tp_sub(all, tp_dist_logprob(tp_dist_part(p), x));
}

static const tp_dist_case cases[] = {
    {"a batch of three numbers",
     {{TP_DIMS(3, 1), {0, 1.5, -0.7}}, {TP_DIMS(3, 1), {0, -1, 0.5}}, {TP_DIMS(1), {0.4}}}},
    {"a pair", {{TP_DIMS(2), {-1, 0.2}}, {TP_DIMS(2), {0.3, -1}}, {TP_DIMS(2), {0.5, -0.3}}}},
};

static const tp_dist_value values[] = {
    {"nothing done",
     {{TP_DIMS(1), {0}}, {TP_DIMS(1), {0}}, {TP_DIMS(1), {0}}},
     {TP_DIMS(1), {3}},
     -5.41893853320467274,
     NAN},
};

static const tp_dist_refusal refusals[] = {
    {"maps of other vectors",
     {{TP_DIMS(4, 3), {0}}, {TP_DIMS(4, 3), {0}}, {TP_DIMS(2), {0}}},
     {TP_DIMS(4, 3), {0}},
     TP_ESHAPE,
     "affine flow: parameters of shapes [2], [2] do not fit vectors [4,3]"},
    {"an axis forgotten",
     {{TP_DIMS(4, 3), {0}}, {TP_DIMS(4, 3), {0}}, {TP_DIMS(3), {0}}},
     {TP_DIMS(3), {0}},
     TP_ESHAPE,
     "losses do not broadcast"},
};

TP_DEFINE_DIST(transformed, .support = TP_REALS, .params = 3, .pathwise = true,
               .draw_nll = draw_nll, .text = "log p(z) − Σ log |det ∂f/∂z| at z = f⁻¹(x)",
               .source = "Rezende and Mohamed 2015, equation 5");
