/* triangular_solve: y with L·y = b, or Lᵀ·y = b, by substitution. Of l only the lower triangle is read.
 * Leading axes broadcast. Works in f64 and rounds once. */
#include "autograd/compose.h"

struct attr {
    bool transposed;
};
static const tp_field fields[] = {TP_FIELD(struct attr, transposed, BOOL)};

tp_var tp_triangular_solve(tp_var l, tp_var b, bool transposed)
{
    return tp_apply(&tp_op_triangular_solve, 2, (tp_var[]){l, b}, &(struct attr){transposed});
}

static tp_status shape(const tp_op_call *c)
{
    char tl[TP_SHAPE_TEXT], tb[TP_SHAPE_TEXT];
    tp_shape l = c->x[0]->shape, b = c->x[1]->shape;
    tp_shape_text(l, tl), tp_shape_text(b, tb);
    int64_t n = l.ndim > 0 ? l.dim[l.ndim - 1] : 0;
    if (l.ndim < 2 || b.ndim < 2 || l.dim[l.ndim - 2] != n || b.dim[b.ndim - 2] != n)
        return tp_fail(TP_ESHAPE, "triangular_solve of %s and %s: [..,n,n] and [..,n,m] needed", tl,
                       tb);
    int64_t m = b.dim[b.ndim - 1];
    l.ndim -= 2, b.ndim -= 2;
    tp_status s = tp_shape_broadcast(l, b, &c->y->shape);
    if (s != TP_OK)
        return tp_fail_prefix("triangular_solve of %s and %s: leading ", tl, tb), s;
    c->y->shape.dim[c->y->shape.ndim++] = n;
    c->y->shape.dim[c->y->shape.ndim++] = m;
    return TP_OK;
}

/* Overwrites y [n,m], which holds b, row by row: down for L, up for Lᵀ. Returns n, or the row whose diagonal
 * element is 0. */
static int64_t substitute(const double *l, double *y, int64_t n, int64_t m, bool transposed)
{
    for (int64_t step = 0; step < n; step++) {
        int64_t i = transposed ? n - 1 - step : step;
        if (l[i * n + i] == 0)
            return i;
        for (int64_t k = transposed ? i + 1 : 0; k < (transposed ? n : i); k++) {
            double factor = transposed ? l[k * n + i] : l[i * n + k];
            for (int64_t j = 0; j < m; j++)
                y[i * m + j] -= factor * y[k * m + j];
        }
        for (int64_t j = 0; j < m; j++)
            y[i * m + j] /= l[i * n + i];
    }
    return n;
}

/* A contiguous f64 copy of x, its leading axes repeated to fit shape. */
static tp_status widen(const tp_op_call *c, tp_tensor *copy, const tp_tensor *x, tp_shape shape)
{
    tp_tensor repeated;
    TP_TRY(tp_view_expand(x, shape, &repeated));
    TP_TRY(tp_scratch(c, copy, TP_F64, shape));
    return tp_copy(copy, &repeated);
}

static tp_status forward(const tp_op_call *c)
{
    tp_tensor l = {0}, y = {0};
    tp_shape square = c->y->shape;
    int64_t m = square.dim[square.ndim - 1], n = square.dim[square.ndim - 2], count = 1;
    square.dim[square.ndim - 1] = n;
    for (int i = 0; i < square.ndim - 2; i++)
        count *= square.dim[i];
    tp_status s = widen(c, &l, c->x[0], square);
    if (s == TP_OK)
        s = widen(c, &y, c->x[1], c->y->shape);
    for (int64_t b = 0; b < count && s == TP_OK; b++) {
        int64_t i = substitute((const double *)tp_data(&l) + b * n * n,
                               (double *)tp_data_mut(&y) + b * n * m, n, m,
                               ((const struct attr *)c->attr)->transposed);
        if (i < n)
            s = tp_fail(TP_EVALUE, "singular: element [%lld,%lld] of triangular matrix %lld is 0",
                        (long long)i, (long long)i, (long long)b);
    }
    if (s == TP_OK)
        s = tp_copy(c->y, &y);
    tp_scratch_done(&l);
    tp_scratch_done(&y);
    return s;
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    bool transposed = ((const struct attr *)c->attr)->transposed;
    tp_var gb = tp_triangular_solve(c->x[0], c->gy, !transposed);
    if (c->want[0])
        gx[0] = tp_neg(tp_tril(
            transposed ? tp_matmul(c->y, tp_transpose(gb)) : tp_matmul(gb, tp_transpose(c->y)), 0));
    if (c->want[1])
        gx[1] = gb;
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_triangular_solve(x[0], x[1], ((const struct attr *)attr)->transposed);
}

static const tp_sample samples[] = {
    {"two right sides",
     2,
     {{TP_DIMS(3, 3), TP_FILL_SPD}, {TP_DIMS(3, 2)}},
     &(const struct attr){false}},
    {"transposed", 2, {{TP_DIMS(4, 4), TP_FILL_SPD}, {TP_DIMS(4, 1)}}, &(const struct attr){true}},
    {"square, so that a lost transpose shows",
     2,
     {{TP_DIMS(3, 3), TP_FILL_SPD}, {TP_DIMS(3, 3)}},
     &(const struct attr){true}},
    {"a batch",
     2,
     {{TP_DIMS(2, 3, 3), TP_FILL_SPD}, {TP_DIMS(2, 3, 2)}},
     &(const struct attr){false}},
    {"one matrix for a batch, large",
     2,
     {{TP_DIMS(2, 2), TP_FILL_SPD}, {TP_DIMS(3, 2, 1), .lo = -1e6, .hi = 1e6}},
     &(const struct attr){true}},
    {"one right side for a batch",
     2,
     {{TP_DIMS(2, 1, 3, 3), TP_FILL_SPD}, {TP_DIMS(2, 3, 1)}},
     &(const struct attr){false}},
    {"numbers", 2, {{TP_DIMS(1, 1), TP_FILL_SPD}, {TP_DIMS(1, 1)}}, &(const struct attr){false}},
    {"no right side",
     2,
     {{TP_DIMS(2, 2), TP_FILL_SPD}, {TP_DIMS(2, 0)}},
     &(const struct attr){false}},
};

static const tp_refusal refusals[] = {
    {"a zero on the diagonal",
     2,
     {{TP_DIMS(2, 2), TP_F32, 0}, {TP_DIMS(2, 1), TP_F32, 1}},
     &(const struct attr){true},
     TP_EVALUE,
     "singular: element [1,1] of triangular matrix 0 is 0"},
    {"sizes that differ",
     2,
     {{TP_DIMS(2, 2), TP_F32, 1}, {TP_DIMS(3, 2), TP_F32, 1}},
     &(const struct attr){false},
     TP_ESHAPE,
     "triangular_solve of [2,2] and [3,2]: [..,n,n] and [..,n,m] needed"},
    {"a vector",
     2,
     {{TP_DIMS(2, 2), TP_F32, 1}, {TP_DIMS(2), TP_F32, 1}},
     &(const struct attr){false},
     TP_ESHAPE,
     "[..,n,n] and [..,n,m] needed"},
    {"batches that clash",
     2,
     {{TP_DIMS(2, 2, 2), TP_F32, 1}, {TP_DIMS(3, 2, 2), TP_F32, 1}},
     &(const struct attr){false},
     TP_ESHAPE,
     "leading shapes [2] and [3] do not broadcast"},
};

TP_DEFINE_OP(triangular_solve, .arity = 2, .smooth = TP_SMOOTH, .reads = TP_READS(0) | TP_READS_Y,
             .broadcasts = true, .text = "solve(#0, #1, transposed @transposed)",
             .tex = "\\operatorname{solve}_{@transposed}(#0, #1)",
             .index = "@transposed ? y[…,i,j] = (#1[…,i,j] "
                      "− Σ_{k>i} #0[…,k,i]·y[…,k,j]) / #0[…,i,i] : y[…,i,j] = (#1[…,i,j] "
                      "− Σ_{k<i} #0[…,i,k]·y[…,k,j]) / #0[…,i,i]",
             .index_vjp = {"@transposed ? #0'[…,i,k] = −[k ≤ i]·Σ_j y[…,i,j]·#1'[…,k,j] "
                           ": #0'[…,i,k] = −[k ≤ i]·Σ_j #1'[…,i,j]·y[…,k,j]",
                           "@transposed ? #1'[…,i,j] = (y'[…,i,j] "
                           "− Σ_{k<i} #0[…,i,k]·#1'[…,k,j]) / #0[…,i,i] : #1'[…,i,j] = (y'[…,i,j] "
                           "− Σ_{k>i} #0[…,k,i]·#1'[…,k,j]) / #0[…,i,i]"},
             .jacobian = {TP_JACOBIAN_DENSE, TP_JACOBIAN_KRONECKER},
             .why = "y = L⁻¹·b is linear in b, so b̄ = L⁻ᵀ·ȳ; dL·y + L·dy = 0 gives −b̄·yᵀ for L, of "
                    "which only the triangle that was read counts",
             .domain = "no zero on the diagonal of L", .shape = shape, .forward = forward,
             .vjp = vjp, .call = call, TP_ATTR(struct attr), TP_REFUSALS);
