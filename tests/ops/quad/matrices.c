/* matrices.c: references of products, factors and solves. Where a result depends on a solution, the bounds of
 * Higham (Accuracy and Stability of Numerical Algorithms, 2002) say how: sizes grow by |L⁻¹||L|.
 * Read next: convolution.c. */
#include "tests/ops/quad/quad.h"

#include <stdlib.h>
#include <string.h>

/* --- products ------------------------------------------------------------------------------------ */

/* The element [.., row, column] of a that belongs to the leading indices of index. */
static int64_t matrix_flat(tp_shape a, tp_shape y, const int64_t *index, int64_t row,
                           int64_t column)
{
    tp_shape lead = a, out = y;
    lead.ndim -= 2, out.ndim -= 2;
    int64_t matrix = quad_broadcast_flat(lead, out, index);
    return (matrix * a.dim[a.ndim - 2] + row) * a.dim[a.ndim - 1] + column;
}

/* [.., rows, columns], the leading axes broadcast. */
static tp_shape matrix_shape(tp_shape a, tp_shape b, int64_t rows, int64_t columns)
{
    a.ndim -= 2, b.ndim -= 2;
    tp_shape y = quad_broadcast_shape(a, b);
    y.dim[y.ndim++] = rows;
    y.dim[y.ndim++] = columns;
    return y;
}

static void matmul(quad_call *c)
{
    tp_shape a = c->x[0].shape, b = c->x[1].shape;
    int64_t inner = a.dim[a.ndim - 1];
    quad_result(c, matrix_shape(a, b, a.dim[a.ndim - 2], b.dim[b.ndim - 1]), inner - 1);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS], row, column;
        quad_index(c->shape, j, index);
        row = index[c->shape.ndim - 2], column = index[c->shape.ndim - 1];
        for (int64_t k = 0; k < inner; k++) {
            quad term = c->x[0].at[matrix_flat(a, c->shape, index, row, k)] *
                        c->x[1].at[matrix_flat(b, c->shape, index, k, column)];
            c->part[CURVED][j] += term;
            c->size[j] += fabsq(term);
        }
    }
}

static void linear(quad_call *c)
{
    tp_shape y = c->x[0].shape;
    int64_t in = y.dim[y.ndim - 1], out = c->x[1].shape.dim[0];
    y.dim[y.ndim - 1] = out;
    quad_result(c, y, in);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t row = j / out, o = j % out;
        c->part[CURVED][j] = c->x[2].at[o];
        c->size[j] = fabsq(c->x[2].at[o]);
        for (int64_t k = 0; k < in; k++) {
            quad term = c->x[0].at[row * in + k] * c->x[1].at[o * in + k];
            c->part[CURVED][j] += term;
            c->size[j] += fabsq(term);
        }
    }
}

static void linear_relu(quad_call *c)
{
    linear(c);
    for (int64_t j = 0; j < c->count; j++)
        if (c->part[CURVED][j] <= 0)
            c->part[CURVED][j] = 0;
}

/* --- triangular systems -------------------------------------------------------------------------- */

/* Of a matrix [n,n], the element of its lower triangle, or of the transpose of that. */
static quad lower(const quad *l, int64_t n, bool transposed, int64_t i, int64_t k)
{
    int64_t row = transposed ? k : i, column = transposed ? i : k;
    return row >= column ? l[row * n + column] : 0;
}

/* x with T·x = b for T the lower triangle or its transpose: Gauss, on one right side. */
static void solve(const quad *l, int64_t n, bool transposed, const quad *b, quad *x)
{
    for (int64_t step = 0; step < n; step++) {
        int64_t i = transposed ? n - 1 - step : step;
        quad rest = b[i];
        for (int64_t k = 0; k < n; k++)
            rest -= k == i ? 0 : lower(l, n, transposed, i, k) * x[k];
        x[i] = rest / lower(l, n, transposed, i, i);
    }
}

/* |T⁻¹|·v with v >= 0; x is overwritten. */
static void solve_abs(const quad *l, int64_t n, bool transposed, const quad *v, quad *x)
{
    quad *unit = quad_alloc(n, sizeof(quad)), *column = quad_alloc(n, sizeof(quad));
    for (int64_t i = 0; i < n; i++)
        x[i] = 0;
    for (int64_t k = 0; k < n; k++) {
        for (int64_t i = 0; i < n; i++)
            unit[i] = i == k, column[i] = 0;
        solve(l, n, transposed, unit, column);
        for (int64_t i = 0; i < n; i++)
            x[i] += fabsq(column[i]) * v[k];
    }
    free(unit), free(column);
}

/* |T|·v with v >= 0. */
static void times_abs(const quad *l, int64_t n, bool transposed, const quad *v, quad *x)
{
    for (int64_t i = 0; i < n; i++) {
        x[i] = 0;
        for (int64_t k = 0; k < n; k++)
            x[i] += fabsq(lower(l, n, transposed, i, k)) * v[k];
    }
}

/* The norm of |T⁻¹||T|, Skeel's condition number: by how much solving may magnify relative errors. */
static quad skeel(const quad *l, int64_t n, bool transposed)
{
    quad *ones = quad_alloc(n, sizeof(quad)), *v = quad_alloc(n, sizeof(quad));
    quad *x = quad_alloc(n, sizeof(quad)), top = 1;
    for (int64_t i = 0; i < n; i++)
        ones[i] = 1;
    times_abs(l, n, transposed, ones, v);
    solve_abs(l, n, transposed, v, x);
    for (int64_t i = 0; i < n; i++)
        top = fmaxq(top, x[i]);
    free(ones), free(v), free(x);
    return top;
}

/* Sizes |T⁻¹||T||y| (Higham, theorem 8.5). The derivatives −T⁻¹·dT·T⁻¹·b, T⁻¹·db are solved for the same way:
 * their sizes are multiplied by Skeel's number. */
static void triangular_solve(quad_call *c)
{
    bool transposed = quad_attr_int(c, "transposed");
    tp_shape ls = c->x[0].shape, bs = c->x[1].shape;
    int64_t n = ls.dim[ls.ndim - 1], m = bs.dim[bs.ndim - 1];
    quad_result(c, matrix_shape(ls, bs, n, m), n);
    quad *b = quad_alloc(n, sizeof(quad)), *x = quad_alloc(n, sizeof(quad));
    quad *v = quad_alloc(n, sizeof(quad));
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS];
        quad_index(c->shape, j, index);
        int64_t column = index[c->shape.ndim - 1], row = index[c->shape.ndim - 2];
        const quad *l = &c->x[0].at[matrix_flat(ls, c->shape, index, 0, 0)];
        for (int64_t i = 0; i < n; i++)
            b[i] = c->x[1].at[matrix_flat(bs, c->shape, index, i, column)], x[i] = 0;
        solve(l, n, transposed, b, x);
        c->part[CURVED][j] = x[row];
        if (!c->sizes)
            continue;
        for (int64_t i = 0; i < n; i++)
            b[i] = fabsq(x[i]);
        times_abs(l, n, transposed, b, v);
        solve_abs(l, n, transposed, v, x);
        c->size[j] = x[row];
        c->condition = fmaxq(c->condition, fmaxq(skeel(l, n, true), skeel(l, n, false)));
    }
    free(b), free(x), free(v);
}

/* A triangle is singular where an element of its diagonal is 0. */
static quad room_in_triangle(const quad_call *c, int in, int64_t k)
{
    tp_shape s = c->x[0].shape;
    int64_t n = s.dim[s.ndim - 1];
    quad room = in == 0 ? 1 : fmaxq(1, fabsq(c->x[in].at[k]));
    for (int64_t at = 0; in == 0 && at < c->x[0].n; at += n * n)
        for (int64_t i = 0; i < n; i++)
            room = fminq(room, fabsq(c->x[0].at[at + i * n + i]));
    return room;
}

/* --- Cholesky ------------------------------------------------------------------------------------ */

static void factor(const quad *a, int64_t n, quad *l)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            quad s = (a[i * n + j] + a[j * n + i]) / 2;
            for (int64_t k = 0; k < j; k++)
                s -= l[i * n + k] * l[j * n + k];
            l[i * n + j] = i == j ? sqrtq(s) : s / l[j * n + j];
        }
}

/* |L|·Φ(|L⁻¹||L||Lᵀ||L⁻ᵀ|), Φ the lower triangle with half the diagonal: what the factor may move by when the
 * matrix moves by |L||Lᵀ|, which is how far L·Lᵀ is from it after rounding (Higham, theorems 10.3, 10.8). */
static void factor_size(const quad *l, int64_t n, quad *size)
{
    quad *g = quad_alloc(n * n, sizeof(quad)), *t = quad_alloc(n, sizeof(quad));
    quad *unit = quad_alloc(n, sizeof(quad)), *s = quad_alloc(n, sizeof(quad));
    for (int64_t k = 0; k < n; k++) { /* column k of g = |L⁻¹||L| */
        for (int64_t i = 0; i < n; i++)
            unit[i] = i == k;
        times_abs(l, n, false, unit, t);
        solve_abs(l, n, false, t, s);
        for (int64_t i = 0; i < n; i++)
            g[i * n + k] = s[i];
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            for (int64_t k = j; k <= i; k++)
                for (int64_t h = 0; h < n; h++)
                    size[i * n + j] += fabsq(l[i * n + k]) * g[k * n + h] * g[j * n + h] *
                                       (k == j ? (quad)0.5 : 1);
    free(g), free(t), free(unit), free(s);
}

static void cholesky(quad_call *c)
{
    tp_shape s = c->x[0].shape;
    int64_t n = s.dim[s.ndim - 1];
    quad_result(c, s, n - 1);
    for (int64_t at = 0; at < c->count; at += n * n) {
        quad *l = &c->part[CURVED][at];
        factor(&c->x[0].at[at], n, l);
        if (!c->sizes)
            continue;
        factor_size(l, n, &c->size[at]);
        c->condition = fmaxq(c->condition, fmaxq(skeel(l, n, true), skeel(l, n, false)));
    }
}

/* What may be taken from the diagonal before a pivot is 0: about the smallest. */
static quad room_to_singular(const quad_call *c, int in, int64_t k)
{
    tp_shape s = c->x[0].shape;
    int64_t n = s.dim[s.ndim - 1];
    quad *l = quad_alloc(n * n, sizeof *l), room = 1;
    (void)in, (void)k;
    for (int64_t at = 0; at < c->x[0].n; at += n * n) {
        factor(&c->x[0].at[at], n, l);
        for (int64_t i = 0; i < n; i++)
            room = fminq(room, l[i * n + i] * l[i * n + i] / n);
    }
    free(l);
    return room;
}

/* --- made of these ------------------------------------------------------------------------------- */

/* 2 Σ log L_ii; an error of L_ii moves it by that over L_ii. */
static void logdet(quad_call *c)
{
    tp_shape y = c->x[0].shape;
    int64_t n = y.dim[y.ndim - 1], count = 1;
    y.ndim -= 2;
    for (int d = 0; d < y.ndim; d++)
        count *= y.dim[d];
    quad_result(c, y, 2 * n);
    quad *l = quad_alloc(n * n, sizeof *l), *size = quad_alloc(n * n, sizeof *size);
    for (int64_t j = 0; j < count; j++) {
        factor(&c->x[0].at[j * n * n], n, l);
        for (int64_t i = 0; i < n; i++)
            c->part[CURVED][j] += 2 * logq(l[i * n + i]);
        if (!c->sizes)
            continue;
        memset(size, 0, (size_t)(n * n) * sizeof *size);
        factor_size(l, n, size);
        for (int64_t i = 0; i < n; i++)
            c->size[j] += 2 * (fabsq(logq(l[i * n + i])) + size[i * n + i] / l[i * n + i]);
        c->condition = fmaxq(c->condition, fmaxq(skeel(l, n, true), skeel(l, n, false)));
    }
    free(l), free(size);
}

/* Σ_d (x_id − y_jd)² */
static void squared_distance(quad_call *c)
{
    tp_shape a = c->x[0].shape, b = c->x[1].shape;
    int64_t inner = a.dim[a.ndim - 1];
    quad_result(c, matrix_shape(a, b, a.dim[a.ndim - 2], b.dim[b.ndim - 2]), inner - 1);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS];
        quad_index(c->shape, j, index);
        int64_t row = index[c->shape.ndim - 2], column = index[c->shape.ndim - 1];
        for (int64_t k = 0; k < inner; k++) {
            quad d = c->x[0].at[matrix_flat(a, c->shape, index, row, k)] -
                     c->x[1].at[matrix_flat(b, c->shape, index, column, k)];
            c->part[CURVED][j] += d * d;
        }
    }
}

const quad_op quad_matrix_ops[] = {
    {.name = "matmul", .forward = matmul},
    {.name = "linear", .forward = linear},
    {.name = "linear_relu", .forward = linear_relu},
    {.name = "triangular_solve", .forward = triangular_solve, .room = room_in_triangle},
    {.name = "cholesky", .forward = cholesky, .room = room_to_singular},
    /* compositions */
    {.name = "logdet", .forward = logdet, .room = room_to_singular},
    {.name = "squared_distance", .forward = squared_distance},
    {0},
};
