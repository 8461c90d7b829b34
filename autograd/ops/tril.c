/* tril: the lower triangle of matrices; keeps [i,j] with j <= i + k and puts zeros elsewhere. Its own
 * adjoint. */
#include "autograd/compose.h"
#include "tensor/map.h"

#include <string.h>

struct attr {
    int k;
};
static const tp_field fields[] = {TP_FIELD(struct attr, k, INT)};

tp_var tp_tril(tp_var x, int k)
{
    return tp_apply(&tp_op_tril, 1, &x, &(struct attr){k});
}

static tp_status shape(const tp_op_call *c)
{
    char text[TP_SHAPE_TEXT];
    if (c->x[0]->shape.ndim < 2)
        return tp_fail(TP_ESHAPE, "tril of shape %s: at least two dimensions needed",
                       tp_shape_text(c->x[0]->shape, text));
    return tp_shape_same(c);
}

static tp_status forward(const tp_op_call *c)
{
    TP_TRY(tp_map1(c->y, c->x[0], TP_K_copy));
    tp_shape s = c->y->shape;
    int64_t m = s.dim[s.ndim - 2], n = s.dim[s.ndim - 1], count = tp_numel(c->y);
    size_t size = (size_t)tp_dtype_size(c->y->dtype);
    char *row = tp_data_mut(c->y);
    for (int64_t r = 0; r * n < count; r++, row += (size_t)n * size) {
        int64_t kept = r % m + ((const struct attr *)c->attr)->k + 1; /* elements of this row */
        kept = kept < 0 ? 0 : kept;
        if (kept < n)
            memset(row + (size_t)kept * size, 0, (size_t)(n - kept) * size);
    }
    return TP_OK;
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_tril(c->gy, ((const struct attr *)c->attr)->k);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_tril(x[0], ((const struct attr *)attr)->k);
}

static const tp_sample samples[] = {
    {"with the diagonal", 1, {{TP_DIMS(3, 3)}}, &(const struct attr){0}},
    {"wide, without the diagonal", 1, {{TP_DIMS(3, 5)}}, &(const struct attr){-1}},
    {"tall, a batch, one above", 1, {{TP_DIMS(2, 4, 3)}}, &(const struct attr){1}},
    {"nothing is kept", 1, {{TP_DIMS(2, 3)}}, &(const struct attr){-9}},
    {"everything is kept, large",
     1,
     {{TP_DIMS(2, 3), .lo = -1e6, .hi = 1e6}},
     &(const struct attr){9}},
    {"no elements", 1, {{TP_DIMS(2, 0)}}, &(const struct attr){0}},
};

static const tp_refusal refusals[] = {
    {"a vector",
     1,
     {{TP_DIMS(4), TP_F32, 0}},
     &(const struct attr){0},
     TP_ESHAPE,
     "tril of shape [4]: at least two dimensions needed"},
};

TP_DEFINE_OP(
    tril, .arity = 1, .smooth = TP_SMOOTH, .text = "tril(#0, @k)",
    .tex = "\\operatorname{tril}_{@k}(#0)", .index = "y[…,i,j] = [j ≤ i + @k]·#0[…,i,j]",
    .index_vjp = {"#0'[…,i,j] = [j ≤ i + @k]·y'[…,i,j]"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
    .why = "an element that was kept passes its gradient, one that became 0 does not matter",
    .shape = shape, .forward = forward, .vjp = vjp, .call = call, TP_ATTR(struct attr),
    TP_REFUSALS);
