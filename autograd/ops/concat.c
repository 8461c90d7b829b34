/* concat: joins tensors of one type along an existing axis. Integers are joined too, without gradient. */
#include "autograd/compose.h"
#include "tensor/map.h"

struct attr {
    int axis;
};
static const tp_field fields[] = {TP_FIELD(struct attr, axis, INT)};

tp_var tp_concat(const tp_var *x, int n, int axis)
{
    return tp_apply(&tp_op_concat, n, x, &(struct attr){axis});
}

static tp_status shape(const tp_op_call *c)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    int axis;
    if (c->n < 1)
        return tp_fail(TP_EARG, "nothing to join");
    tp_shape y = c->x[0]->shape;
    TP_TRY(tp_axis_normal(y.ndim, ((const struct attr *)c->attr)->axis, &axis));
    for (int i = 1; i < c->n; i++) {
        tp_shape x = c->x[i]->shape;
        if (c->x[i]->dtype != c->x[0]->dtype)
            return tp_fail(TP_EDTYPE, "inputs are %s and %s: types are not mixed",
                           tp_dtype_name(c->x[0]->dtype), tp_dtype_name(c->x[i]->dtype));
        bool fits = x.ndim == y.ndim;
        for (int d = 0; d < y.ndim && fits; d++)
            fits = d == axis || x.dim[d] == y.dim[d];
        if (!fits)
            return tp_fail(TP_ESHAPE, "shapes %s and %s do not join along axis %d",
                           tp_shape_text(c->x[0]->shape, a), tp_shape_text(x, b), axis);
        if (x.dim[axis] > INT64_MAX - y.dim[axis])
            return tp_fail(TP_ESHAPE, "the joined axis %d is longer than memory can address", axis);
        y.dim[axis] += x.dim[axis];
    }
    c->y->shape = y;
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    int axis;
    TP_TRY(tp_axis_normal(c->y->shape.ndim, ((const struct attr *)c->attr)->axis, &axis));
    int64_t at = 0;
    for (int i = 0; i < c->n; i++) {
        tp_tensor place;
        int64_t size = c->x[i]->shape.dim[axis];
        TP_TRY(tp_view_slice(c->y, axis, at, at + size, 1, &place));
        if (tp_dtype_is_float(c->y->dtype)) /* on all threads */
            TP_TRY(tp_map1(&place, c->x[i], TP_K_copy));
        else
            TP_TRY(tp_copy(&place, c->x[i]));
        at += size;
    }
    return TP_OK;
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    int axis = 0;
    tp_axis_normal(tp_shape_of(c->y).ndim, ((const struct attr *)c->attr)->axis, &axis);
    int64_t at = 0;
    for (int i = 0; i < c->n; i++) {
        int64_t size = tp_shape_of(c->x[i]).dim[axis];
        if (c->want[i])
            gx[i] = tp_slice(c->gy, axis, at, at + size, 1);
        at += size;
    }
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t;
    return tp_concat(x, n, ((const struct attr *)attr)->axis);
}

static const tp_sample samples[] = {
    {"columns", 2, {{TP_DIMS(3, 2)}, {TP_DIMS(3, 4)}}, &(const struct attr){1}},
    {"three, rows",
     3,
     {{TP_DIMS(1, 2)}, {TP_DIMS(2, 2)}, {TP_DIMS(3, 2)}},
     &(const struct attr){0}},
    {"one alone", 1, {{TP_DIMS(4)}}, &(const struct attr){-1}},
    {"one of them empty", 2, {{TP_DIMS(2, 0)}, {TP_DIMS(2, 3)}}, &(const struct attr){1}},
};

static const tp_refusal refusals[] = {
    {"sizes that differ elsewhere",
     2,
     {{TP_DIMS(3, 2), TP_F32, 0}, {TP_DIMS(4, 2), TP_F32, 0}},
     &(const struct attr){1},
     TP_ESHAPE,
     "shapes [3,2] and [4,2] do not join along axis 1"},
    {"scalars",
     2,
     {{TP_DIMS(), TP_F32, 0}, {TP_DIMS(), TP_F32, 0}},
     &(const struct attr){0},
     TP_ESHAPE,
     "axis 0 is out of range for 0 dimensions"},
    {"two float types",
     2,
     {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F64, 0}},
     &(const struct attr){0},
     TP_EDTYPE,
     "inputs are f32 and f64: types are not mixed"},
    {"indices with floats",
     2,
     {{TP_DIMS(2), TP_F64, 0}, {TP_DIMS(2), TP_I64, 0}},
     &(const struct attr){0},
     TP_EDTYPE,
     "inputs are f64 and i64: types are not mixed"},
};

TP_DEFINE_OP(concat, .arity = TP_ANY_ARITY, .smooth = TP_SMOOTH, .mixed_dtypes = true,
             .text = "concat(#*, axis @axis)", .tex = "\\operatorname{concat}_{@axis}(#*)",
             .index = "y[…,j@axis] = Σ_# [@from ≤ j < @to]·#*[…,(j − @from)@axis]",
             .index_vjp = {"#*'[…,k@axis] = y'[…,(k + @from)@axis]"},
             .jacobian = {TP_JACOBIAN_SELECTION},
             .why = "each input gets back the part of the gradient that it filled", .shape = shape,
             .forward = forward, .vjp = vjp, .call = call, TP_ATTR(struct attr), TP_REFUSALS);
