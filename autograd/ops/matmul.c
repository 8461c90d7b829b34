/* matmul: the matrix product of the last two axes; leading axes broadcast. Driver: tensor/matmul.h. */
#include "autograd/compose.h"
#include "tensor/matmul.h"

tp_var tp_matmul(tp_var a, tp_var b)
{
    return tp_apply(&tp_op_matmul, 2, (tp_var[]){a, b}, NULL);
}

static tp_status shape(const tp_op_call *c)
{
    char ta[TP_SHAPE_TEXT], tb[TP_SHAPE_TEXT];
    tp_shape a = c->x[0]->shape, b = c->x[1]->shape;
    if (a.ndim < 2 || b.ndim < 2)
        return tp_fail(TP_ESHAPE, "matmul of %s and %s: at least two dimensions each needed",
                       tp_shape_text(a, ta), tp_shape_text(b, tb));
    int64_t m = a.dim[a.ndim - 2], n = b.dim[b.ndim - 1];
    if (a.dim[a.ndim - 1] != b.dim[b.ndim - 2])
        return tp_fail(TP_ESHAPE, "matmul of %s and %s: inner sizes %lld and %lld differ",
                       tp_shape_text(a, ta), tp_shape_text(b, tb), (long long)a.dim[a.ndim - 1],
                       (long long)b.dim[b.ndim - 2]);
    a.ndim -= 2, b.ndim -= 2;
    tp_status s = tp_shape_broadcast(a, b, &c->y->shape);
    if (s != TP_OK)
        return tp_fail_prefix("matmul of %s and %s: leading ", tp_shape_text(c->x[0]->shape, ta),
                              tp_shape_text(c->x[1]->shape, tb)),
               s;
    c->y->shape.dim[c->y->shape.ndim++] = m;
    c->y->shape.dim[c->y->shape.ndim++] = n;
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    return tp_matmul_into(c->y, c->x[0], c->x[1], (tp_matmul_opts){0});
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    if (c->want[0])
        gx[0] = tp_matmul(c->gy, tp_transpose(c->x[1])); /* [..,m,n]·[..,n,k] */
    if (c->want[1])
        gx[1] = tp_matmul(tp_transpose(c->x[0]), c->gy); /* [..,k,m]·[..,m,n] */
}

TP_CALL2(tp_matmul)

static const tp_sample samples[] = {
    {"three different sizes", 2, {{TP_DIMS(2, 3)}, {TP_DIMS(3, 4)}}, NULL},
    {"square, so that a lost transpose shows", 2, {{TP_DIMS(3, 3)}, {TP_DIMS(3, 3)}}, NULL},
    {"a batch of each", 2, {{TP_DIMS(2, 3, 4)}, {TP_DIMS(2, 4, 1)}}, NULL},
    {"one right factor for a batch", 2, {{TP_DIMS(2, 2, 3)}, {TP_DIMS(3, 2)}}, NULL},
    {"leading axes that broadcast", 2, {{TP_DIMS(3, 1, 2, 2)}, {TP_DIMS(2, 2, 3)}}, NULL},
    {"a row times a column, large",
     2,
     {{TP_DIMS(1, 5), .lo = -1e6, .hi = 1e6}, {TP_DIMS(5, 1)}},
     NULL},
    {"an empty sum", 2, {{TP_DIMS(2, 0)}, {TP_DIMS(0, 3)}}, NULL},
    {"no rows", 2, {{TP_DIMS(0, 3)}, {TP_DIMS(3, 2)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"inner sizes that differ",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(4, 5), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "matmul of [2,3] and [4,5]: inner sizes 3 and 4 differ"},
    {"a vector",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(3), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "at least two dimensions each needed"},
    {"batches that clash",
     2,
     {{TP_DIMS(2, 4, 3), TP_F32, 0}, {TP_DIMS(5, 3, 4), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "matmul of [2,4,3] and [5,3,4]: leading shapes [2] and [5] do not broadcast"},
    {"mixed types",
     2,
     {{TP_DIMS(2, 2), TP_F32, 0}, {TP_DIMS(2, 2), TP_F64, 0}},
     NULL,
     TP_EDTYPE,
     "f32 and f64"},
};

TP_DEFINE_OP(matmul, .arity = 2, .smooth = TP_SMOOTH, .reads = TP_READS(0) | TP_READS(1),
             .broadcasts = true, .text = "#0·#1", .tex = "#0 \\, #1", .prec = 1,
             .index = "y[…,i,j] = Σ_k #0[…,i,k]·#1[…,k,j]",
             .index_vjp = {"#0'[…,i,k] = Σ_j y'[…,i,j]·#1[…,k,j]",
                           "#1'[…,k,j] = Σ_i #0[…,i,k]·y'[…,i,j]"},
             .jacobian = {TP_JACOBIAN_KRONECKER, TP_JACOBIAN_KRONECKER},
             .why = "y_ij = Σ_k a_ik b_kj: a meets ȳ through b, b meets ȳ through a, and the "
                    "transposes put the sums over j and i in place",
             .shape = shape, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
