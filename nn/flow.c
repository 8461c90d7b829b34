/* flow.c: see flow.h. Read next: dist/transformed.c. */
#include "nn/flow.h"
#include "autograd/compose.h"

static tp_var sum_last(tp_var x)
{
    return tp_sum(x, TP_AXES(-1), false);
}

/* --- affine ---------------------------------------------------------------------------------------- */

/* Σ logscale, for every vector of z. */
static tp_var affine_logdet(const tp_flow *f, tp_var z)
{
    return sum_last(tp_expand(f->param[1], tp_shape_of(z)));
}

static tp_var affine_forward(const tp_flow *f, tp_var z, tp_var *logdet)
{
    *logdet = affine_logdet(f, z);
    return tp_add(f->param[0], tp_mul(tp_exp(f->param[1]), z));
}

static tp_var affine_inverse(const tp_flow *f, tp_var y, tp_var *logdet)
{
    *logdet = affine_logdet(f, y);
    return tp_mul(tp_sub(y, f->param[0]), tp_exp(tp_neg(f->param[1])));
}

static const tp_flow_type affine = {
    .name = "affine",
    .text = "shift + e^logscale ⊙ z;  Σ logscale",
    .forward = affine_forward,
    .inverse = affine_inverse,
};

tp_flow tp_flow_affine(tp_var shift, tp_var logscale)
{
    return (tp_flow){&affine, {shift, logscale}};
}

/* --- planar ---------------------------------------------------------------------------------------- */

/* One layer: u, w [.., d], b [..]. With t = tanh(wᵀz + b) the determinant is 1 + (1 − t²)·wᵀû. */
static tp_var planar_layer(tp_var u, tp_var w, tp_var b, tp_var z, tp_var *logdet)
{
    tp_var wu = sum_last(tp_mul(w, u)), wanted = tp_shift(tp_softplus(wu), -1); /* [..] */
    tp_var along = tp_div(tp_sub(wanted, wu), sum_last(tp_square(w)));
    tp_var moved = tp_add(u, tp_mul(tp_unsqueeze(along, -1), w)); /* û */
    tp_var t = tp_tanh(tp_add(sum_last(tp_mul(w, z)), b));
    *logdet = tp_log1p(tp_mul(tp_affine(tp_square(t), -1, 1), wanted));
    return tp_add(z, tp_mul(moved, tp_unsqueeze(t, -1)));
}

/* Layer i of [.., layers, …]; axis counts from behind. */
static tp_var layer(tp_var x, int axis, int64_t i)
{
    return tp_squeeze(tp_slice(x, axis, i, i + 1, 1), axis);
}

static tp_var planar_forward(const tp_flow *f, tp_var z, tp_var *logdet)
{
    tp_shape s = tp_shape_of(f->param[0]);
    int64_t layers = s.ndim < 2 ? 0 : s.dim[s.ndim - 2];
    *logdet = sum_last(tp_zeros_like(z));
    for (int64_t i = 0; i < layers; i++) {
        tp_var one;
        z = planar_layer(layer(f->param[0], -2, i), layer(f->param[1], -2, i),
                         layer(f->param[2], -1, i), z, &one);
        *logdet = tp_add(*logdet, one);
    }
    return z;
}

static const tp_flow_type planar = {
    .name = "planar",
    .text = "z + û·tanh(wᵀz + b);  log(1 + (1 − tanh²(wᵀz + b))·wᵀû)",
    .forward = planar_forward,
};

tp_flow tp_flow_planar(tp_var u, tp_var w, tp_var b)
{
    return (tp_flow){&planar, {u, w, b}};
}

/* wᵀu = log(e − 1), where softplus(wᵀu) is 1, leaves nothing of u but what is orthogonal to w, and there is nothing. */
tp_var tp_flow_planar_identity(tp_var w)
{
    const double log_e_minus_1 = 0.54132485461291810;
    return tp_scale(tp_div(w, tp_sum(tp_square(w), TP_AXES(-1), true)), log_e_minus_1);
}

/* --- any ------------------------------------------------------------------------------------------- */

/* Whether a parameter's last axis but tail ones is d, and the axes before it are trailing ones of z's. */
static bool fits(tp_shape p, int tail, tp_shape z)
{
    int batch = p.ndim - tail;
    for (int i = 0; i < batch; i++)
        if (batch > z.ndim - 1 || p.dim[i] != z.dim[z.ndim - 1 - batch + i])
            return false;
    return batch >= 0;
}

static tp_status check(const tp_flow *f, tp_var z)
{
    char text[4][TP_SHAPE_TEXT];
    tp_shape s = tp_shape_of(z), p[TP_FLOW_PARAMS] = {{0}};
    bool stack = f->type == &planar, good = s.ndim > 0;
    int n = stack ? 3 : 2;
    for (int i = 0; i < TP_FLOW_PARAMS; i++)
        p[i] = tp_shape_of(f->param[i]);
    for (int i = 0; i < 2 && good; i++)
        good = fits(p[i], 1 + stack, s) && p[i].dim[p[i].ndim - 1] == s.dim[s.ndim - 1] &&
               tp_shape_equal(p[0], p[i]);
    for (int i = 0; stack && good && i <= p[2].ndim; i++)
        good = p[2].ndim == p[0].ndim - 1 && (i == p[2].ndim || p[2].dim[i] == p[0].dim[i]);
    if (good)
        return TP_OK;
    return tp_fail(TP_ESHAPE, "%s flow: parameters of shapes %s, %s%s%s do not fit vectors %s",
                   f->type->name, tp_shape_text(p[0], text[0]), tp_shape_text(p[1], text[1]),
                   n == 3 ? ", " : "", n == 3 ? tp_shape_text(p[2], text[2]) : "",
                   tp_shape_text(s, text[3]));
}

static tp_var apply(const tp_flow *f, tp_var z, tp_var *logdet,
                    tp_var (*way)(const tp_flow *, tp_var, tp_var *))
{
    bool valid = tp_var_status(z) == TP_OK;
    for (int i = 0; i < TP_FLOW_PARAMS && valid; i++)
        valid = f->param[i].tape == NULL || tp_var_status(f->param[i]) == TP_OK;
    if (!valid) { /* the operation says what is wrong */
        for (int i = 0; i < TP_FLOW_PARAMS; i++)
            if (f->param[i].tape != NULL)
                z = tp_add(z, f->param[i]);
        return *logdet = z;
    }
    if (way == NULL)
        return *logdet = tp_tape_poison(
                   z.tape, tp_fail(TP_EARG,
                                   "%s flow: its inverse has no closed form; "
                                   "tp_dist_rsample_logprob gives draws with their density",
                                   f->type->name));
    tp_status s = check(f, z);
    if (s != TP_OK)
        return *logdet = tp_tape_poison(z.tape, s);
    tp_scope_begin(z.tape, "flow");
    tp_var y = way(f, z, logdet);
    tp_scope_end(z.tape);
    return y;
}

tp_var tp_flow_forward(const tp_flow *f, tp_var z, tp_var *logdet)
{
    return apply(f, z, logdet, f->type->forward);
}

tp_var tp_flow_inverse(const tp_flow *f, tp_var y, tp_var *logdet)
{
    return apply(f, y, logdet, f->type->inverse);
}
