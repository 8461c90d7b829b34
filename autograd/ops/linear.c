/* linear: y = x·Wᵀ + b over the last axis, with PyTorch's weight layout [out, in].
 * Its parts serve linear_relu.c too. */
#include "autograd/compose.h"
#include "autograd/ops/linear.h"
#include "tensor/matmul.h"
#include "tensor/reduce.h"

tp_var tp_linear(tp_var x, tp_var weight, tp_var bias)
{
    return tp_apply(&tp_op_linear, 3, (tp_var[]){x, weight, bias}, NULL);
}

tp_status tp_linear_shape(const tp_op_call *c)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT], d[TP_SHAPE_TEXT];
    tp_shape x = c->x[0]->shape, w = c->x[1]->shape, bias = c->x[2]->shape;
    if (x.ndim < 1 || w.ndim != 2 || bias.ndim != 1 || x.dim[x.ndim - 1] != w.dim[1] ||
        bias.dim[0] != w.dim[0])
        return tp_fail(TP_ESHAPE,
                       "x %s, weight %s and bias %s do not fit: [..,in], [out,in] and [out] needed",
                       tp_shape_text(x, a), tp_shape_text(w, b), tp_shape_text(bias, d));
    c->y->shape = x;
    c->y->shape.dim[x.ndim - 1] = w.dim[0];
    return TP_OK;
}

tp_status tp_linear_forward(const tp_op_call *c, bool relu)
{
    tp_tensor x = *c->x[0], y = *c->y, wt;
    TP_TRY(tp_view_transpose(c->x[1], 0, 1, &wt));
    if (x.shape.ndim == 1) { /* a vector is a matrix of one row */
        TP_TRY(tp_view_expand(c->x[0], TP_SHAPE(1, x.shape.dim[0]), &x));
        TP_TRY(tp_view_expand(c->y, TP_SHAPE(1, y.shape.dim[0]), &y));
    }
    return tp_matmul_into(&y, &x, &wt, (tp_matmul_opts){.bias = c->x[2], .relu = relu});
}

static tp_status forward(const tp_op_call *c)
{
    return tp_linear_forward(c, false);
}

/* [..,n] as [rows,n] */
static tp_var flatten_rows(tp_var v)
{
    tp_shape s = tp_shape_of(v);
    int64_t rows = 1;
    if (s.ndim == 2 || s.ndim == 0) /* a poisoned var has no dimensions */
        return v;
    for (int i = 0; i < s.ndim - 1; i++)
        rows *= s.dim[i];
    return tp_reshape(v, TP_SHAPE(rows, s.dim[s.ndim - 1]));
}

void tp_linear_vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var gy = flatten_rows(c->gy);
    if (c->want[0]) {
        tp_var g = tp_matmul(gy, c->x[1]);
        gx[0] = tp_shape_of(c->x[0]).ndim == 2 ? g : tp_reshape(g, tp_shape_of(c->x[0]));
    }
    if (c->want[1])
        gx[1] = tp_matmul(tp_transpose(gy), flatten_rows(c->x[0]));
    if (c->want[2])
        gx[2] = tp_sum(gy, TP_AXES(0), false);
}

/* v as [rows,n] for kernels: a view, or of a copy where the strides of v do not allow one. */
static tp_status view_rows(const tp_fused_call *c, const tp_tensor *v, tp_tensor *rows,
                           tp_tensor *copy)
{
    int64_t n = v->shape.dim[v->shape.ndim - 1], count = 1;
    for (int i = 0; i < v->shape.ndim - 1; i++)
        count *= v->shape.dim[i];
    if (tp_view_reshape(v, TP_SHAPE(count, n), rows) == TP_OK)
        return TP_OK;
    TP_TRY(tp_scratch(&(tp_op_call){.scratch = c->scratch}, copy, v->dtype, v->shape));
    TP_TRY(tp_copy(copy, v));
    return tp_view_reshape(copy, TP_SHAPE(count, n), rows);
}

/* The same products without nodes for the views between them, written where the sweep wants them. */
tp_status tp_linear_vjp_fused(const tp_fused_call *c)
{
    static const bool all_rows[TP_MAX_DIMS] = {true};
    tp_tensor gy, gyt, x, gx, copies[2] = {{0}};
    tp_status s = view_rows(c, c->gy, &gy, &copies[0]);
    if (s == TP_OK && c->want[0])
        s = tp_view_reshape(&c->gx[0], TP_SHAPE(gy.shape.dim[0], c->x[1]->shape.dim[1]), &gx);
    if (s == TP_OK && c->want[0])
        s = tp_matmul_into(&gx, &gy, c->x[1], (tp_matmul_opts){0});
    if (s == TP_OK && c->want[1])
        s = view_rows(c, c->x[0], &x, &copies[1]);
    if (s == TP_OK && c->want[1])
        s = tp_view_transpose(&gy, 0, 1, &gyt);
    if (s == TP_OK && c->want[1])
        s = tp_matmul_into(&c->gx[1], &gyt, &x, (tp_matmul_opts){0});
    if (s == TP_OK && c->want[2])
        s = tp_reduce(TP_SUM, &c->gx[2], &gy, all_rows);
    tp_scratch_done(&copies[0]);
    tp_scratch_done(&copies[1]);
    return s;
}

TP_CALL3(tp_linear)

static const tp_sample samples[] = {
    {"a batch", 3, {{TP_DIMS(5, 3)}, {TP_DIMS(4, 3)}, {TP_DIMS(4)}}, NULL},
    {"one vector", 3, {{TP_DIMS(3)}, {TP_DIMS(2, 3)}, {TP_DIMS(2)}}, NULL},
    {"samples of batches", 3, {{TP_DIMS(2, 3, 4)}, {TP_DIMS(1, 4)}, {TP_DIMS(1)}}, NULL},
    {"an empty batch", 3, {{TP_DIMS(0, 3)}, {TP_DIMS(2, 3)}, {TP_DIMS(2)}}, NULL},
    {"square, so that a lost transpose shows",
     3,
     {{TP_DIMS(3, 3)}, {TP_DIMS(3, 3)}, {TP_DIMS(3)}},
     NULL},
};

static const tp_refusal refusals[] = {
    {"a weight that is not transposed as PyTorch's",
     3,
     {{TP_DIMS(5, 3), TP_F32, 0}, {TP_DIMS(3, 4), TP_F32, 0}, {TP_DIMS(4), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "x [5,3], weight [3,4] and bias [4] do not fit: [..,in], [out,in] and [out] needed"},
    {"a scalar x",
     3,
     {{TP_DIMS(), TP_F32, 0}, {TP_DIMS(3, 4), TP_F32, 0}, {TP_DIMS(3), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "do not fit"},
};

TP_DEFINE_OP(linear, .arity = 3, .smooth = TP_SMOOTH, .reads = TP_READS(0) | TP_READS(1),
             .text = "#0·#1ᵀ + #2", .tex = "#0 {#1}^\\top + #2", .prec = 2,
             .index = "y[…,j] = Σ_k #0[…,k]·#1[j,k] + #2[j]",
             .index_vjp = {"#0'[…,k] = Σ_j y'[…,j]·#1[j,k]", "#1'[j,k] = Σ_… y'[…,j]·#0[…,k]",
                           "#2'[j] = Σ_… y'[…,j]"},
             .jacobian = {TP_JACOBIAN_KRONECKER, TP_JACOBIAN_KRONECKER, TP_JACOBIAN_SELECTION},
             .why = "y_ij = Σ_k x_ik W_jk + b_j: x meets ȳ through W, W meets ȳ through x, b "
                    "collects every row",
             .shape = tp_linear_shape, .forward = forward, .vjp = tp_linear_vjp,
             .vjp_fused = tp_linear_vjp_fused, .call = call, TP_REFUSALS);
