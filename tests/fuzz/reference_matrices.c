/* reference_matrices.c: the naive reference of operations on matrices. See reference.c. */
#include "tests/fuzz/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- matrices ----------------------------------------------------------------------------------- */

/* Leading axes of a and b broadcast, then the given two. */
static tp_status matrix_shape(tp_shape a, tp_shape b, int64_t rows, int64_t columns, tp_shape *y)
{
    a.ndim -= 2, b.ndim -= 2;
    TP_TRY(tp_shape_broadcast(a, b, y));
    y->dim[y->ndim++] = rows;
    y->dim[y->ndim++] = columns;
    return TP_OK;
}

static int64_t size_of(const ref_tensor *x, int from_the_end)
{
    return x->shape.dim[x->shape.ndim - from_the_end];
}

/* Element [.., row, column] of x for the batch that index of y names. */
static real element(const ref_tensor *x, tp_shape y, const int64_t *index, int64_t row,
                    int64_t column)
{
    int64_t at[TP_MAX_DIMS];
    int lead = y.ndim - x->shape.ndim;
    for (int i = 0; i < x->shape.ndim; i++)
        at[i] = x->shape.dim[i] == 1 ? 0 : index[i + lead];
    at[x->shape.ndim - 2] = row;
    at[x->shape.ndim - 1] = column;
    return x->v[ref_flatten(x->shape, at)];
}

static tp_status matmul(ref_call *c)
{
    const ref_tensor *a = &c->x[0], *b = &c->x[1];
    tp_shape shape;
    if (a->shape.ndim < 2 || b->shape.ndim < 2 || size_of(a, 1) != size_of(b, 2))
        return TP_ESHAPE;
    int64_t m = size_of(a, 2), n = size_of(b, 1), depth = size_of(a, 1);
    TP_TRY(matrix_shape(a->shape, b->shape, m, n, &shape));
    TP_TRY(ref_make(c, a->dtype, shape));
    REF_EACH(c, i, index)
    {
        int64_t row = index[shape.ndim - 2], column = index[shape.ndim - 1];
        for (int64_t k = 0; k < depth; k++) {
            real term = element(a, shape, index, row, k) * element(b, shape, index, k, column);
            c->y->v[i] += term;
            c->y->e[i] += (fabsl(term) + ref_tiny(a->dtype)) * (real)(depth + 4);
        }
    }
    return TP_OK;
}

static tp_status linear(ref_call *c)
{
    const ref_tensor *x = &c->x[0], *w = &c->x[1], *b = &c->x[2];
    bool relu = strcmp(ref_name(c->op), "linear_relu") == 0;
    if (x->shape.ndim < 1 || w->shape.ndim != 2 || b->shape.ndim != 1 ||
        size_of(x, 1) != size_of(w, 1) || b->n != size_of(w, 2))
        return TP_ESHAPE;
    int64_t in = size_of(w, 1), out = size_of(w, 2);
    tp_shape shape = x->shape;
    shape.dim[shape.ndim - 1] = out;
    TP_TRY(ref_make(c, x->dtype, shape));
    for (int64_t i = 0; c->y->v != NULL && i < c->y->n; i++) {
        real value = b->v[i % out], error = fabsl(value);
        for (int64_t k = 0; k < in; k++) {
            real term = x->v[i / out * in + k] * w->v[i % out * in + k];
            value += term;
            error += fabsl(term) + ref_tiny(x->dtype);
        }
        c->y->v[i] = relu && value <= 0 ? 0 : value;
        c->y->e[i] = error * (real)(in + 4);
    }
    return TP_OK;
}

/* A value and how far off it may be, carried through the arithmetic: factors and solutions amplify. Computed
 * in f64, whatever the type. */
typedef struct number {
    real v, e;
} number;

/* s − a·b */
static number less_product(number s, number a, number b)
{
    real product = a.v * b.v, y = s.v - product;
    return (number){y, s.e + fabsl(a.v) * b.e + fabsl(b.v) * a.e + fabsl(product) + fabsl(y)};
}

static number quotient(number a, number b)
{
    real y = a.v / b.v;
    return (number){y, (a.e + fabsl(y) * b.e) / fabsl(b.v) + fabsl(y)};
}

/* An error in units of f64's ε in those of the result's type, plus its own rounding. */
static void store(ref_call *c, int64_t i, number x)
{
    c->y->v[i] = x.v;
    c->y->e[i] = fabsl(x.v) + 4 * x.e * ref_epsilon(TP_F64) / ref_epsilon(c->y->dtype);
}

/* Whether some element is not finite: then nothing is said of the result. */
static bool wild(ref_call *c)
{
    bool found = false;
    for (int k = 0; k < c->n; k++)
        for (int64_t i = 0; i < c->x[k].n; i++)
            found |= !isfinite(c->x[k].v[i]) || fabsl(c->x[k].v[i]) > 1e100L;
    for (int64_t i = 0; found && i < c->y->n; i++)
        c->y->e[i] = NAN;
    c->either |= found;
    return found;
}

static tp_status cholesky(ref_call *c)
{
    const ref_tensor *x = &c->x[0];
    if (x->shape.ndim < 2 || size_of(x, 1) != size_of(x, 2))
        return TP_ESHAPE;
    TP_TRY(ref_make(c, x->dtype, x->shape));
    int64_t n = size_of(x, 1);
    if (wild(c) || x->n == 0)
        return TP_OK;
    number *l = calloc((size_t)(n * n), sizeof *l);
    tp_status s = TP_OK;
    for (int64_t base = 0; base < x->n && s == TP_OK; base += n * n)
        for (int64_t j = 0; j < n && s == TP_OK; j++)
            for (int64_t i = j; i < n && s == TP_OK; i++) {
                real mean = (x->v[base + i * n + j] + x->v[base + j * n + i]) / 2;
                number a = {mean, fabsl(mean)};
                for (int64_t k = 0; k < j; k++)
                    a = less_product(a, l[i * n + k], l[j * n + k]);
                if (i == j) {
                    c->either |= fabsl(a.v) <= 8 * a.e * ref_epsilon(TP_F64);
                    s = a.v > 0 ? TP_OK : TP_EVALUE;
                    real root = sqrtl(a.v);
                    l[i * n + i] = (number){root, a.e / (2 * root) + root};
                } else {
                    l[i * n + j] = quotient(a, l[j * n + j]);
                }
                if (s == TP_OK)
                    store(c, base + i * n + j, l[i * n + j]);
            }
    free(l);
    return s;
}

static tp_status triangular_solve(ref_call *c)
{
    const ref_tensor *l = &c->x[0], *b = &c->x[1];
    tp_shape shape;
    if (l->shape.ndim < 2 || b->shape.ndim < 2 || size_of(l, 1) != size_of(l, 2) ||
        size_of(b, 2) != size_of(l, 1))
        return TP_ESHAPE;
    int64_t n = size_of(l, 1), m = size_of(b, 1);
    bool upper = ref_whole(c, "transposed");
    TP_TRY(matrix_shape(l->shape, b->shape, n, m, &shape));
    TP_TRY(ref_make(c, l->dtype, shape));
    bool open = c->y->v != NULL && wild(c);
    number *y = calloc((size_t)n + 1, sizeof *y);
    tp_status s = TP_OK;
    REF_EACH(c, i, index)
    { /* at the head of each column, the whole column */
        int64_t column = index[shape.ndim - 1];
        if (index[shape.ndim - 2] != 0)
            continue;
        for (int64_t step = 0; step < n; step++) {
            int64_t row = upper ? n - 1 - step : step;
            real d = element(l, shape, index, row, row);
            number a = {element(b, shape, index, row, column), 0};
            if (d == 0)
                s = TP_EVALUE;
            for (int64_t k = upper ? row + 1 : 0; k < (upper ? n : row); k++)
                a = less_product(
                    a, (number){element(l, shape, index, upper ? k : row, upper ? row : k), 0},
                    y[k]);
            y[row] = quotient(a, (number){d, 0});
            if (!open && s == TP_OK)
                store(c, i + row * m, y[row]);
        }
    }
    c->either |= m == 0; /* the diagonal is looked at all the same */
    free(y);
    return s;
}

static tp_status tril(ref_call *c)
{
    tp_shape x = c->x[0].shape;
    if (x.ndim < 2)
        return TP_ESHAPE;
    TP_TRY(ref_make(c, c->x[0].dtype, x));
    REF_EACH(c, i, index)
    c->y->v[i] = index[x.ndim - 1] <= index[x.ndim - 2] + ref_whole(c, "k") ? c->x[0].v[i] : 0;
    return TP_OK;
}

const ref_row ref_matrices[] = {
    REF_ROW(matmul),   REF_ROW(linear),           {"linear_relu", linear},
    REF_ROW(cholesky), REF_ROW(triangular_solve), REF_ROW(tril),
    {NULL, NULL}};
