/* matrices.c: matrices in the last two axes: pure rearrangements, and what a Cholesky factor gives.
 * Read next: rearrange.c. */
#include "autograd/compose/refuse.h"

#include <limits.h>

static tp_var refuse_vector(const char *who, tp_var x)
{
    char text[TP_SHAPE_TEXT];
    return tp_refuse(who, x,
                     tp_fail(TP_ESHAPE, "shape %s: at least two dimensions needed",
                             tp_shape_text(tp_shape_of(x), text)));
}

tp_var tp_transpose(tp_var x)
{
    int n = tp_shape_of(x).ndim;
    tp_axes perm = {n, {0}};
    if (n < 2)
        return refuse_vector("tp_transpose", x);
    for (int i = 0; i < n; i++)
        perm.axis[i] = i < n - 2 ? i : 2 * n - 3 - i;
    return tp_permute(x, perm);
}

/* On the flat matrix the diagonal is every (n+1)-th element. */
tp_var tp_diag(tp_var x)
{
    tp_shape s = tp_shape_of(x);
    char text[TP_SHAPE_TEXT];
    if (s.ndim < 1 || s.ndim == TP_MAX_DIMS)
        return tp_refuse("tp_diag", x,
                         tp_fail(TP_ESHAPE, "shape %s: one to %d dimensions needed",
                                 tp_shape_text(s, text), TP_MAX_DIMS - 1));
    int64_t n = s.dim[s.ndim - 1];
    if (n > 0 && n > INT64_MAX / n)
        return tp_refuse("tp_diag", x,
                         tp_fail(TP_ESHAPE,
                                 "matrices of %lld rows have more elements than memory can address",
                                 (long long)n));
    s.dim[s.ndim++] = n;
    return tp_reshape(tp_pad(x, -1, 0, n + 1, n * n), s); /* [..,n·n] -> [..,n,n] */
}

tp_var tp_diagonal(tp_var x, int k)
{
    tp_shape s = tp_shape_of(x);
    if (s.ndim < 2)
        return refuse_vector("tp_diagonal", x);
    int64_t m = s.dim[s.ndim - 2], n = s.dim[s.ndim - 1], row = k < 0 ? -(int64_t)k : 0,
            column = k > 0 ? k : 0;
    int64_t length = m - row < n - column ? m - row : n - column;
    int64_t start = length > 0 ? row * n + column : 0;
    s.dim[--s.ndim - 1] = m * n;
    return tp_slice(tp_reshape(x, s), -1, start, length > 0 ? start + length * (n + 1) : 0, n + 1);
}

tp_var tp_triu(tp_var x, int k)
{
    int mirrored = k < -INT_MAX ? INT_MAX : -k;
    if (tp_shape_of(x).ndim < 2)
        return refuse_vector("tp_triu", x);
    return tp_transpose(tp_tril(tp_transpose(x), mirrored));
}

/* det(L·Lᵀ) is the square of the product of L's diagonal. */
tp_var tp_logdet(tp_var x)
{
    return tp_scale(tp_sum(tp_log(tp_diagonal(tp_cholesky(x), 0)), TP_AXES(-1), false), 2);
}

tp_var tp_squared_distance(tp_var x, tp_var y)
{
    tp_shape a = tp_shape_of(x), b = tp_shape_of(y);
    char ta[TP_SHAPE_TEXT], tb[TP_SHAPE_TEXT];
    bool fit = a.ndim >= 2 && b.ndim >= 2 && a.dim[a.ndim - 1] == b.dim[b.ndim - 1];
    if (tp_both_valid(x, y) && !fit)
        return tp_refuse_both("tp_squared_distance", x, y,
                              tp_fail(TP_ESHAPE, "shapes %s and %s: [..,n,d] and [..,m,d] needed",
                                      tp_shape_text(a, ta), tp_shape_text(b, tb)));
    tp_var d = tp_sub(tp_unsqueeze(x, -2), tp_unsqueeze(y, -3)); /* [..,n,m,d] */
    return tp_sum(tp_square(d), TP_AXES(-1), false);
}
