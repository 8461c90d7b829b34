/* full: every element has one value. No inputs. */
#include "autograd/compose.h"

struct attr {
    tp_dtype dtype;
    tp_shape shape;
    double value;
};
static const tp_field fields[] = {TP_FIELD(struct attr, dtype, DTYPE),
                                  TP_FIELD(struct attr, shape, SHAPE),
                                  TP_FIELD(struct attr, value, DOUBLE)};

tp_var tp_full(tp_tape *t, tp_dtype dtype, tp_shape shape, double value)
{
    return tp_apply_on(t, &tp_op_full, 0, NULL, &(struct attr){dtype, shape, value});
}

static tp_status shape_of(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    if (!tp_dtype_is_float(a->dtype))
        return tp_fail(TP_EDTYPE, "a tensor of %s: f32 or f64 needed", tp_dtype_name(a->dtype));
    c->y->dtype = a->dtype;
    c->y->shape = a->shape;
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    return tp_fill(c->y, ((const struct attr *)c->attr)->value);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const struct attr *a = attr;
    (void)n, (void)x;
    return tp_full(t, a->dtype, a->shape, a->value);
}

static const tp_sample samples[] = {
    {"a matrix", 0, {{{0}}}, &(const struct attr){TP_F64, TP_DIMS(2, 3), 1.5}},
    {"a scalar", 0, {{{0}}}, &(const struct attr){TP_F32, TP_DIMS(), -1}},
    {"no elements", 0, {{{0}}}, &(const struct attr){TP_F64, TP_DIMS(0), 1}},
};

static const tp_refusal refusals[] = {
    {"integers",
     0,
     {{{0}}},
     &(const struct attr){TP_I64, TP_DIMS(2), 1},
     TP_EDTYPE,
     "f32 or f64 needed"},
    {"a negative size",
     0,
     {{{0}}},
     &(const struct attr){TP_F32, TP_DIMS(-2), 1},
     TP_ESHAPE,
     "negative size"},
};

TP_DEFINE_OP(full, .arity = 0, .smooth = TP_NO_GRADIENT, .text = "@value", .tex = "@value",
             .index = "y[…] = @value", .why = "a constant", .shape = shape_of, .forward = forward,
             .call = call, TP_ATTR(struct attr), TP_REFUSALS);
