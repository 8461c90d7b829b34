/* iter.c: merging axes and walking runs. */
#include "tensor/iter.h"

/* Operand strides over the shape of operand 0, in bytes; broadcast axes get stride 0. */
static tp_status align_strides(const tp_tensor *t, tp_shape shape, int64_t stride[TP_MAX_DIMS])
{
    int64_t size = tp_dtype_size(t->dtype);
    int lead = shape.ndim - t->shape.ndim;
    bool fits = lead >= 0;
    for (int i = 0; i < shape.ndim && fits; i++) {
        int64_t d = i < lead ? 1 : t->shape.dim[i - lead];
        fits = d == shape.dim[i] || d == 1;
        stride[i] = d == 1 ? 0 : t->stride[i - lead] * size;
    }
    if (!fits) {
        char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
        return tp_fail(TP_ESHAPE, "shape %s does not broadcast to %s", tp_shape_text(t->shape, a),
                       tp_shape_text(shape, b));
    }
    return TP_OK;
}

/* Axis i continues axis i+1 in every operand: one step of i is dim[i+1] steps of i+1. */
static bool mergeable(const tp_iter *it, int i, int64_t inner_dim, int inner)
{
    for (int k = 0; k < it->n; k++)
        if (it->stride[k][i] != it->stride[k][inner] * inner_dim)
            return false;
    return true;
}

/* Most calls: all operands contiguous and of one shape, which makes one axis. */
static bool init_flat(tp_iter *it, int n, const tp_tensor *const *operands)
{
    const tp_shape *shape = &operands[0]->shape;
    for (int k = 0; k < n; k++) {
        const tp_tensor *t = operands[k];
        int64_t step = 1;
        if (t->shape.ndim != shape->ndim || t->storage == NULL)
            return false;
        for (int i = shape->ndim - 1; i >= 0; i--) {
            if (t->shape.dim[i] != shape->dim[i] || (t->stride[i] != step && t->shape.dim[i] != 1))
                return false;
            step *= t->shape.dim[i];
        }
        int64_t size = tp_dtype_size(t->dtype);
        it->numel = step;
        it->stride[k][0] = step > 1 ? size : 0; /* one element does not step */
        it->base[k] = (char *)t->storage->data + t->offset * size;
    }
    it->n = n;
    it->ndim = 1;
    it->dim[0] = it->numel;
    return it->numel > 0;
}

tp_status tp_iter_init(tp_iter *it, int n, const tp_tensor *const *operands)
{
    if (init_flat(it, n, operands))
        return TP_OK;
    tp_shape shape = operands[0]->shape;
    it->n = n;
    it->numel = tp_shape_numel(shape);
    for (int k = 0; k < n; k++) {
        TP_TRY(align_strides(operands[k], shape, it->stride[k]));
        it->base[k] = operands[k]->storage == NULL || it->numel == 0
                          ? NULL
                          : (char *)operands[k]->storage->data +
                                operands[k]->offset * tp_dtype_size(operands[k]->dtype);
    }
    int out = 0; /* axes kept so far; the last kept one is out-1 */
    for (int i = 0; i < shape.ndim; i++) {
        if (shape.dim[i] == 1)
            continue;
        bool merge = out > 0 && mergeable(it, out - 1, shape.dim[i], i);
        int to = merge ? out - 1 : out++;
        it->dim[to] = merge ? it->dim[to] * shape.dim[i] : shape.dim[i];
        for (int k = 0; k < n; k++)
            it->stride[k][to] = it->stride[k][i];
    }
    if (out == 0) { /* a scalar is a run of one */
        it->dim[0] = 1;
        for (int k = 0; k < n; k++)
            it->stride[k][0] = 0;
        out = 1;
    }
    it->ndim = out;
    return TP_OK;
}

void tp_iter_range(const tp_iter *it, int64_t first, int64_t last, tp_run_fn run, void *arg)
{
    if (first >= last || it->numel == 0)
        return;
    int inner = it->ndim - 1;
    int64_t index[TP_MAX_DIMS], rest = first, step[TP_MAX_OPERANDS];
    char *ptr[TP_MAX_OPERANDS];
    for (int i = inner; i >= 0; i--) { /* most ranges start at 0: no division */
        index[i] = rest == 0 ? 0 : rest % it->dim[i];
        rest = rest == 0 ? 0 : rest / it->dim[i];
    }
    for (int k = 0; k < it->n; k++) {
        ptr[k] = it->base[k];
        step[k] = it->stride[k][inner];
        for (int i = 0; i <= inner; i++)
            ptr[k] += index[i] * it->stride[k][i];
    }
    for (int64_t done = first; done < last;) {
        int64_t count = it->dim[inner] - index[inner];
        if (count > last - done)
            count = last - done;
        run(count, ptr, step, arg);
        done += count;
        if (done == last)
            return;
        /* carry: the inner axis is finished, step the next outer one that is not */
        for (int k = 0; k < it->n; k++)
            ptr[k] -= index[inner] * step[k];
        index[inner] = 0;
        for (int i = inner - 1; i >= 0; i--) {
            bool wrap = ++index[i] == it->dim[i];
            for (int k = 0; k < it->n; k++)
                ptr[k] += wrap ? -(it->dim[i] - 1) * it->stride[k][i] : it->stride[k][i];
            if (!wrap)
                break;
            index[i] = 0;
        }
    }
}
