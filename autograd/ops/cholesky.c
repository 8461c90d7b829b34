/* cholesky: the lower factor L of the symmetric part of x, (x + xᵀ)/2 = L·Lᵀ, for every matrix in the last
 * two axes. Works in f64 and rounds once. The rule is written with triangular solves. */
#include "autograd/compose.h"

#include <math.h>

tp_var tp_cholesky(tp_var x)
{
    return tp_apply(&tp_op_cholesky, 1, &x, NULL);
}

static tp_status shape(const tp_op_call *c)
{
    char text[TP_SHAPE_TEXT];
    tp_shape x = c->x[0]->shape;
    if (x.ndim < 2 || x.dim[x.ndim - 1] != x.dim[x.ndim - 2])
        return tp_fail(TP_ESHAPE, "cholesky of shape %s: square matrices [..,n,n] needed",
                       tp_shape_text(x, text));
    c->y->shape = x;
    return TP_OK;
}

/* Overwrites a [n,n] with its factor, column by column: what lies above the diagonal is still a's when
 * it is read. Returns the column whose pivot is not positive (NaN included), or n. */
static int64_t factor(double *a, int64_t n, double *pivot)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = j; i < n; i++) {
            double s = 0.5 * (a[i * n + j] + a[j * n + i]);
            for (int64_t k = 0; k < j; k++)
                s -= a[i * n + k] * a[j * n + k];
            if (i == j && !(s > 0))
                return *pivot = s, j;
            a[i * n + j] = i == j ? sqrt(s) : s / a[j * n + j];
        }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++)
            a[i * n + j] = 0;
    return n;
}

static tp_status forward(const tp_op_call *c)
{
    tp_tensor work; /* x in f64 */
    TP_TRY(tp_scratch(c, &work, TP_F64, c->y->shape));
    tp_status s = tp_copy(&work, c->x[0]);
    int64_t n = work.shape.dim[work.shape.ndim - 1], size = n * n;
    int64_t count = size > 0 ? tp_numel(&work) / size : 0;
    double *a = tp_data_mut(&work), pivot = 0;
    for (int64_t b = 0; b < count && s == TP_OK; b++) {
        int64_t j = factor(a + b * size, n, &pivot);
        if (j < n)
            s = tp_fail(TP_EVALUE, "not positive definite: pivot %lld of matrix %lld is %g",
                        (long long)j, (long long)b, pivot);
    }
    if (s == TP_OK)
        s = tp_copy(c->y, &work);
    tp_scratch_done(&work);
    return s;
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var m = tp_matmul(tp_transpose(c->y), c->gy);                   /* Lᵀ·gy */
    tp_var phi = tp_scale(tp_add(tp_tril(m, 0), tp_tril(m, -1)), 0.5); /* half the diagonal */
    tp_var left = tp_triangular_solve(c->y, phi, true);                /* L⁻ᵀ·Φ */
    tp_var st = tp_triangular_solve(c->y, tp_transpose(left), true); /* (L⁻ᵀ·Φ·L⁻¹)ᵀ */
    gx[0] = tp_scale(tp_add(st, tp_transpose(st)), 0.5);
}

TP_CALL1(tp_cholesky)

static const tp_sample samples[] = {
    {"one matrix", 1, {{TP_DIMS(4, 4), TP_FILL_SPD}}, NULL},
    {"a batch", 1, {{TP_DIMS(2, 3, 3), TP_FILL_SPD}}, NULL},
    {"numbers", 1, {{TP_DIMS(2, 2, 1, 1), TP_FILL_SPD}}, NULL},
    {"an empty batch", 1, {{TP_DIMS(0, 2, 2), TP_FILL_SPD}}, NULL},
    {"no rows", 1, {{TP_DIMS(0, 0), TP_FILL_SPD}}, NULL},
};

static const tp_refusal refusals[] = {
    {"rank one",
     1,
     {{TP_DIMS(3, 2, 2), TP_F32, 1}},
     NULL,
     TP_EVALUE,
     "not positive definite: pivot 1 of matrix 0 is 0"},
    {"not a number", 1, {{TP_DIMS(2, 2), TP_F64, NAN}}, NULL, TP_EVALUE, "pivot 0 of matrix 0 is"},
    {"not square",
     1,
     {{TP_DIMS(3, 2), TP_F32, 1}},
     NULL,
     TP_ESHAPE,
     "cholesky of shape [3,2]: square matrices [..,n,n] needed"},
    {"a vector", 1, {{TP_DIMS(4), TP_F32, 1}}, NULL, TP_ESHAPE, "square matrices"},
};

TP_DEFINE_OP(
    cholesky, .arity = 1, .smooth = TP_SMOOTH, .reads = TP_READS_Y, .text = "cholesky(#0)",
    .tex = "\\operatorname{chol}(#0)",
    .index = "y[…,i,j] = [i = j]·sqrt(#0[…,i,i] − Σ_{k<j} y[…,i,k]²) "
             "+ [i > j]·((#0[…,i,j] + #0[…,j,i]) / 2 "
             "− Σ_{k<j} y[…,i,k]·y[…,j,k]) / y[…,j,j]",
    .jacobian = {TP_JACOBIAN_DENSE},
    .why = "dL = L·Φ(L⁻¹·dx·L⁻ᵀ) with Φ the lower triangle and half the diagonal; its adjoint "
           "is L⁻ᵀ·Φ(Lᵀ·ȳ)·L⁻¹, made symmetric (Murray 2016)",
    .domain = "(x + xᵀ)/2 is positive definite", .shape = shape, .forward = forward, .vjp = vjp,
    .call = call, TP_REFUSALS);
