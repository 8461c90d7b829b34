/* data.c: data sets as such: size, and cutting a part off for validation.
 *
 * Read next: data/source.c for reading them, data/batches.c for going through them. */
#include "nn/data.h"
#include "tensor/mem.h"

void tp_dataset_free(tp_dataset *d)
{
    tp_tensor_free(&d->x);
    tp_tensor_free(&d->labels);
}

int64_t tp_dataset_size(const tp_dataset *d)
{
    return d->x.shape.dim[0];
}

int64_t tp_dataset_width(const tp_dataset *d)
{
    return tp_dataset_size(d) > 0 ? tp_numel(&d->x) / tp_dataset_size(d) : 0;
}

tp_shape tp_dataset_shape(const tp_dataset *d)
{
    const tp_shape *all = &d->x.shape;
    tp_shape one = {.ndim = all->ndim > 0 ? all->ndim - 1 : 0};
    for (int i = 0; i < one.ndim; i++)
        one.dim[i] = all->dim[i + 1];
    return one;
}

/* --- cutting ------------------------------------------------------------------------------------- */

/* A copy of n rows of x; nothing of an empty handle. */
static tp_status copy_rows(tp_tensor *out, const tp_tensor *x, const int64_t *rows, int64_t n)
{
    tp_shape shape = x->shape;
    tp_tensor made, to, from;
    if (x->storage == NULL)
        return TP_OK;
    shape.dim[0] = n;
    TP_TRY(tp_tensor_new(&made, x->dtype, shape));
    tp_status s = TP_OK;
    for (int64_t i = 0; i < n && s == TP_OK; i++) {
        s = tp_view_select(&made, 0, i, &to);
        if (s == TP_OK)
            s = tp_view_select(x, 0, rows[i], &from);
        if (s == TP_OK)
            s = tp_copy(&to, &from);
    }
    if (s == TP_OK)
        *out = made;
    else
        tp_tensor_free(&made);
    return s;
}

static tp_status copy_examples(tp_dataset *out, const tp_dataset *d, const int64_t *rows, int64_t n)
{
    tp_dataset made = {0};
    tp_status s = copy_rows(&made.x, &d->x, rows, n);
    if (s == TP_OK)
        s = copy_rows(&made.labels, &d->labels, rows, n);
    if (s == TP_OK)
        *out = made;
    else
        tp_dataset_free(&made);
    return s;
}

/* Numbers of the n examples into rows: those that stay, then count that go, each part ascending. */
static tp_status choose(int64_t *rows, int64_t n, int64_t count, tp_split_opts o)
{
    for (int64_t i = 0; i < n; i++)
        rows[i] = i;
    if (!o.shuffled)
        return TP_OK;
    unsigned char *goes = tp_alloc_zero((size_t)n);
    if (goes == NULL)
        return TP_ENOMEM;
    tp_random_permutation(rows, n, tp_stream_key(o.seed, TP_STREAM_SPLIT, 0));
    for (int64_t i = n - count; i < n; i++)
        goes[rows[i]] = 1;
    int64_t stay = 0, go = n - count;
    for (int64_t i = 0; i < n; i++)
        rows[goes[i] ? go++ : stay++] = i;
    tp_free(goes, (size_t)n);
    return TP_OK;
}

tp_status tp_dataset_split(tp_dataset *d, int64_t count, tp_split_opts opts, tp_dataset *off)
{
    int64_t n = tp_dataset_size(d);
    tp_dataset left = {0}, right = {0};
    if (count < 1 || count >= n)
        return tp_fail(TP_EARG,
                       "cannot cut %lld of %lld examples off: at least one must go and one stay",
                       (long long)count, (long long)n);
    int64_t *rows = tp_alloc((size_t)n * sizeof *rows);
    tp_status s = rows != NULL ? choose(rows, n, count, opts) : TP_ENOMEM;
    if (s == TP_OK)
        s = copy_examples(&left, d, rows, n - count);
    if (s == TP_OK)
        s = copy_examples(&right, d, rows + n - count, count);
    tp_free(rows, (size_t)n * sizeof *rows);
    if (s != TP_OK) {
        tp_dataset_free(&left);
        tp_fail_prefix("cutting %lld examples off: ", (long long)count);
        return s;
    }
    tp_dataset_free(d);
    *d = left;
    *off = right;
    return TP_OK;
}
