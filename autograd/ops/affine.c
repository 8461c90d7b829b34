/* affine: scale·x + shift with two constants. tp_scale and tp_shift are made of it. */
#include "autograd/compose.h"
#include "tensor/map.h"

struct attr {
    double scale, shift;
};
static const tp_field fields[] = {TP_FIELD(struct attr, scale, DOUBLE),
                                  TP_FIELD(struct attr, shift, DOUBLE)};

tp_var tp_affine(tp_var x, double scale, double shift)
{
    return tp_apply(&tp_op_affine, 1, &x, &(struct attr){scale, shift});
}

static tp_status forward(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    return tp_map(TP_K_affine, c->y, c->x, (const double[]){a->scale, a->shift});
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_scale(c->gy, ((const struct attr *)c->attr)->scale);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const struct attr *a = attr;
    (void)t, (void)n;
    return tp_affine(x[0], a->scale, a->shift);
}

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, &(const struct attr){-1.5, 0.25}},
    {"shift only", 1, {{TP_DIMS()}}, &(const struct attr){1, 3}},
    {"no shift", 1, {{TP_DIMS(2, 3)}}, &(const struct attr){-1.5, 0}},
    {"scale 0", 1, {{TP_DIMS(3)}}, &(const struct attr){0, 2}},
    {"large", 1, {{TP_DIMS(5), .lo = -1e6, .hi = 1e6}}, &(const struct attr){1e3, -1e-3}},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, &(const struct attr){2, 1}},
};

static const tp_refusal refusals[] = {
    {"integers",
     1,
     {{TP_DIMS(2), TP_I64, 0}},
     &(const struct attr){2, 1},
     TP_EDTYPE,
     "f32 or f64 needed"},
};

TP_DEFINE_OP(affine, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH,
             .text = "@scale·#0 + @shift", .tex = "@scale \\, #0 + @shift", .prec = 2,
             .index = "y[…] = @scale·#0[…] + @shift", .index_vjp = {"#0'[…] = @scale·y'[…]"},
             .jacobian = {TP_JACOBIAN_DIAGONAL}, .why = "the derivative is the scale",
             .shape = tp_shape_same, .forward = forward, .vjp = vjp, .call = call,
             TP_ATTR(struct attr), TP_REFUSALS);
