/* tensor.c: storages, views and single elements. Copies and fills walk with iter.h. */
#include "tensor/tensor.h"
#include "tensor/iter.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

const char *tp_dtype_name(tp_dtype d)
{
    static const char *const name[TP_DTYPE_COUNT] = {
        [TP_F32] = "f32", [TP_F64] = "f64", [TP_I64] = "i64", [TP_U8] = "u8"};
    return (unsigned)d < TP_DTYPE_COUNT ? name[d] : "?";
}

char *tp_tensor_text(const tp_tensor *t, char text[TP_TENSOR_TEXT])
{
    char shape[TP_SHAPE_TEXT];
    snprintf(text, TP_TENSOR_TEXT, "%s%s", tp_dtype_name(t->dtype), tp_shape_text(t->shape, shape));
    return text;
}

/* --- making and freeing ----------------------------------------------------------------------- */

void tp_strides(tp_shape shape, int64_t stride[TP_MAX_DIMS])
{
    int64_t step = 1;
    for (int i = shape.ndim - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape.dim[i] > 0 ? shape.dim[i] : 1;
    }
}

tp_status tp_tensor_new(tp_tensor *t, tp_dtype dtype, tp_shape shape)
{
    if ((unsigned)dtype >= TP_DTYPE_COUNT)
        return tp_fail(TP_EDTYPE, "there is no element type number %d", (int)dtype);
    int64_t size = tp_dtype_size(dtype);
    TP_TRY(tp_shape_check(shape, size));
    size_t bytes = (size_t)(tp_shape_numel(shape) * size);
    tp_storage *s = tp_alloc_zero(sizeof *s);
    if (s == NULL || (s->data = tp_alloc_zero(bytes)) == NULL) {
        char text[TP_SHAPE_TEXT];
        tp_fail_prefix("%s%s: ", tp_dtype_name(dtype), tp_shape_text(shape, text));
        tp_free(s, sizeof *s);
        return TP_ENOMEM;
    }
    s->bytes = bytes;
    *t = (tp_tensor){.storage = s, .shape = shape, .dtype = dtype, .owns = true};
    tp_strides(shape, t->stride);
    return TP_OK;
}

tp_status tp_tensor_from(tp_tensor *t, tp_dtype dtype, tp_shape shape, const void *data)
{
    TP_TRY(tp_tensor_new(t, dtype, shape));
    if (t->storage->bytes > 0)
        memcpy(t->storage->data, data, t->storage->bytes);
    return TP_OK;
}

void tp_tensor_free(tp_tensor *t)
{
    if (t->owns && t->storage != NULL) {
        tp_free(t->storage->data, t->storage->bytes);
        tp_free(t->storage, sizeof *t->storage);
    }
    *t = (tp_tensor){0};
}

/* --- views ------------------------------------------------------------------------------------ */

static tp_tensor as_view(const tp_tensor *x)
{
    tp_tensor y = *x;
    y.owns = false;
    return y;
}

/* Fills in the one size that is -1, if there is one, and checks the element count. */
static tp_status infer_size(const tp_tensor *x, tp_shape *shape)
{
    int unknown = -1;
    tp_shape known = *shape;
    if (known.ndim < 0 || known.ndim > TP_MAX_DIMS)
        return tp_shape_check(known, tp_dtype_size(x->dtype));
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    for (int i = 0; i < shape->ndim; i++)
        if (shape->dim[i] == -1) {
            if (unknown >= 0)
                return tp_fail(TP_ESHAPE, "reshape to %s leaves more than one size open",
                               tp_shape_text(*shape, a));
            unknown = i;
            known.dim[i] = 1;
        }
    TP_TRY(tp_shape_check(known, tp_dtype_size(x->dtype)));
    int64_t have = tp_numel(x), want = tp_shape_numel(known);
    if (unknown >= 0 && want > 0 && have % want == 0) {
        shape->dim[unknown] = have / want;
        return TP_OK;
    }
    if (unknown >= 0 || have != want)
        return tp_fail(TP_ESHAPE, "shape %s with %lld elements cannot be reshaped to %s",
                       tp_shape_text(x->shape, a), (long long)have, tp_shape_text(*shape, b));
    return TP_OK;
}

tp_status tp_view_reshape(const tp_tensor *x, tp_shape shape, tp_tensor *y)
{
    TP_TRY(infer_size(x, &shape));
    tp_tensor v = as_view(x);
    v.shape = shape;
    tp_strides(shape, v.stride);
    if (tp_numel(x) == 0 || tp_is_contiguous(x)) {
        *y = v;
        return TP_OK;
    }
    /* Match groups of axes with equal products; within a group of x the strides must nest. */
    int i = x->shape.ndim - 1, j = shape.ndim - 1;
    while (j >= 0) {
        while (i >= 0 && x->shape.dim[i] == 1)
            i--;
        if (shape.dim[j] == 1) {
            j--;
            continue;
        }
        int64_t have = x->shape.dim[i], want = shape.dim[j], step = x->stride[i];
        v.stride[j--] = step;
        while (have != want) {
            if (have < want) {
                int outer = i - 1;
                while (x->shape.dim[outer] == 1)
                    outer--;
                if (x->stride[outer] != x->stride[i] * x->shape.dim[i])
                    return tp_fail(TP_ESHAPE, "reshape of a view with gaps needs a copy");
                i = outer;
                have *= x->shape.dim[i];
            } else {
                while (shape.dim[j] == 1)
                    j--;
                v.stride[j] = step * want;
                want *= shape.dim[j--];
            }
        }
        i--;
    }
    *y = v;
    return TP_OK;
}

tp_status tp_view_permute(const tp_tensor *x, tp_axes perm, tp_tensor *y)
{
    int n = x->shape.ndim;
    bool seen[TP_MAX_DIMS] = {false};
    if (perm.n != 0 && perm.n != n)
        return tp_fail(TP_ESHAPE, "permute lists %d axes for %d dimensions", perm.n, n);
    tp_tensor v = as_view(x);
    for (int i = 0; i < n; i++) {
        int axis = n - 1 - i;
        if (perm.n != 0)
            TP_TRY(tp_axis_normal(n, perm.axis[i], &axis));
        if (seen[axis])
            return tp_fail(TP_ESHAPE, "permute names axis %d twice", axis);
        seen[axis] = true;
        v.shape.dim[i] = x->shape.dim[axis];
        v.stride[i] = x->stride[axis];
    }
    *y = v;
    return TP_OK;
}

tp_status tp_view_transpose(const tp_tensor *x, int axis_a, int axis_b, tp_tensor *y)
{
    int a, b;
    TP_TRY(tp_axis_normal(x->shape.ndim, axis_a, &a));
    TP_TRY(tp_axis_normal(x->shape.ndim, axis_b, &b));
    tp_tensor v = as_view(x);
    v.shape.dim[a] = x->shape.dim[b], v.shape.dim[b] = x->shape.dim[a];
    v.stride[a] = x->stride[b], v.stride[b] = x->stride[a];
    *y = v;
    return TP_OK;
}

static int64_t clip(int64_t i, int64_t low, int64_t high)
{
    return i < low ? low : i > high ? high : i;
}

tp_status tp_view_slice(const tp_tensor *x, int axis, int64_t start, int64_t stop, int64_t step,
                        tp_tensor *y)
{
    TP_TRY(tp_axis_normal(x->shape.ndim, axis, &axis));
    if (step == 0 || step == INT64_MIN)
        return tp_fail(TP_ESHAPE, "a slice of axis %d has step %lld", axis, (long long)step);
    int64_t n = x->shape.dim[axis], low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    start = clip(start < 0 ? start + n : start, low, high);
    if (stop == TP_SLICE_END)
        stop = step > 0 ? n : -1;
    else
        stop = clip(stop < 0 ? stop + n : stop, low, high);
    int64_t span = step > 0 ? stop - start : start - stop, width = step > 0 ? step : -step;
    int64_t count = span <= 0 ? 0 : (span - 1) / width + 1;
    tp_tensor v = as_view(x);
    v.shape.dim[axis] = count;
    if (count > 0)
        v.offset += start * x->stride[axis];
    v.stride[axis] = count > 1 ? x->stride[axis] * step : x->stride[axis];
    *y = v;
    return TP_OK;
}

tp_status tp_view_expand(const tp_tensor *x, tp_shape shape, tp_tensor *y)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    TP_TRY(tp_shape_check(shape, tp_dtype_size(x->dtype)));
    int lead = shape.ndim - x->shape.ndim;
    tp_tensor v = as_view(x);
    v.shape = shape;
    for (int i = 0; i < shape.ndim; i++) {
        int64_t d = i < lead ? 1 : x->shape.dim[i - lead];
        if (lead < 0 || (d != shape.dim[i] && d != 1))
            return tp_fail(TP_ESHAPE, "shape %s does not expand to %s", tp_shape_text(x->shape, a),
                           tp_shape_text(shape, b));
        v.stride[i] = i < lead || d != shape.dim[i] ? 0 : x->stride[i - lead];
    }
    if (lead < 0)
        return tp_fail(TP_ESHAPE, "shape %s does not expand to %s", tp_shape_text(x->shape, a),
                       tp_shape_text(shape, b));
    *y = v;
    return TP_OK;
}

tp_status tp_view_select(const tp_tensor *x, int axis, int64_t index, tp_tensor *y)
{
    TP_TRY(tp_axis_normal(x->shape.ndim, axis, &axis));
    int64_t n = x->shape.dim[axis];
    if (index < -n || index >= n)
        return tp_fail(TP_ESHAPE, "index %lld is out of range for axis %d of size %lld",
                       (long long)index, axis, (long long)n);
    tp_tensor v = as_view(x);
    v.offset += (index < 0 ? index + n : index) * x->stride[axis];
    for (int i = axis; i + 1 < x->shape.ndim; i++) {
        v.shape.dim[i] = x->shape.dim[i + 1];
        v.stride[i] = x->stride[i + 1];
    }
    v.shape.ndim--;
    *y = v;
    return TP_OK;
}

/* --- elements --------------------------------------------------------------------------------- */

bool tp_is_contiguous(const tp_tensor *t)
{
    int64_t step = 1;
    for (int i = t->shape.ndim - 1; i >= 0; i--) {
        if (t->shape.dim[i] != 1 && t->stride[i] != step)
            return false;
        step *= t->shape.dim[i] > 0 ? t->shape.dim[i] : 1; /* as in tp_strides */
    }
    return true;
}

bool tp_may_overlap(const tp_tensor *t)
{
    if (tp_is_contiguous(t))
        return false;
    /* Sort axes by |stride|; no overlap if each stride exceeds the reach of all smaller ones. */
    int order[TP_MAX_DIMS], n = 0;
    for (int i = 0; i < t->shape.ndim; i++) {
        if (t->shape.dim[i] == 0)
            return false;
        if (t->shape.dim[i] == 1)
            continue;
        int at = n++;
        while (at > 0 &&
               llabs((long long)t->stride[order[at - 1]]) > llabs((long long)t->stride[i])) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    int64_t reach = 0;
    for (int k = 0; k < n; k++) {
        int64_t stride = llabs((long long)t->stride[order[k]]);
        if (stride <= reach)
            return true;
        reach += stride * (t->shape.dim[order[k]] - 1);
    }
    return false;
}

const void *tp_data(const tp_tensor *t)
{
    return (const char *)t->storage->data + t->offset * tp_dtype_size(t->dtype);
}

void *tp_data_mut(tp_tensor *t)
{
    t->storage->version++;
    return (char *)t->storage->data + t->offset * tp_dtype_size(t->dtype);
}

static double load(const tp_tensor *t, int64_t element)
{
    const char *p = (const char *)tp_data(t) + element * tp_dtype_size(t->dtype);
    float f;
    double d;
    int64_t i;
    switch (t->dtype) {
    case TP_F32:
        return memcpy(&f, p, sizeof f), (double)f;
    case TP_F64:
        return memcpy(&d, p, sizeof d), d;
    case TP_I64:
        return memcpy(&i, p, sizeof i), (double)i;
    default:
        return (double)*(const unsigned char *)p;
    }
}

/* Rounds to the element type. Integers truncate toward zero; false if the value does not fit. */
static bool store(char *p, tp_dtype dtype, double value)
{
    if (dtype == TP_F32) {
        float f = (float)value;
        memcpy(p, &f, sizeof f);
    } else if (dtype == TP_F64) {
        memcpy(p, &value, sizeof value);
    } else if (dtype == TP_I64) {
        if (!(value >= -0x1p63 && value < 0x1p63))
            return false;
        int64_t i = (int64_t)value;
        memcpy(p, &i, sizeof i);
    } else {
        if (!(value > -1 && value < 256))
            return false;
        *(unsigned char *)p = (unsigned char)value;
    }
    return true;
}

static int64_t flat_to_element(const tp_tensor *t, int64_t i)
{
    int64_t element = 0;
    for (int k = t->shape.ndim - 1; k >= 0; k--) {
        element += i % t->shape.dim[k] * t->stride[k];
        i /= t->shape.dim[k];
    }
    return element;
}

double tp_flat(const tp_tensor *t, int64_t i)
{
    if (t->storage == NULL || i < 0 || i >= tp_numel(t)) {
        tp_fail(TP_ESHAPE, "there is no element number %lld", (long long)i);
        return NAN;
    }
    return load(t, flat_to_element(t, i));
}

tp_status tp_set_flat(tp_tensor *t, int64_t i, double value)
{
    if (t->storage == NULL || i < 0 || i >= tp_numel(t))
        return tp_fail(TP_ESHAPE, "there is no element number %lld", (long long)i);
    char *p = (char *)tp_data_mut(t) + flat_to_element(t, i) * tp_dtype_size(t->dtype);
    if (!store(p, t->dtype, value))
        return tp_fail(TP_EVALUE, "%g does not fit in %s", value, tp_dtype_name(t->dtype));
    return TP_OK;
}

double tp_at(const tp_tensor *t, const int64_t *index)
{
    int64_t element = 0;
    for (int k = 0; k < t->shape.ndim; k++) {
        if (t->storage == NULL || index[k] < 0 || index[k] >= t->shape.dim[k]) {
            tp_fail(TP_ESHAPE, "index %lld is out of range for axis %d of size %lld",
                    (long long)index[k], k, (long long)t->shape.dim[k]);
            return NAN;
        }
        element += index[k] * t->stride[k];
    }
    return load(t, element);
}

double tp_item(const tp_tensor *t)
{
    if (t->storage == NULL || tp_numel(t) != 1) {
        char text[TP_TENSOR_TEXT];
        tp_fail(TP_ESHAPE, "%s has not exactly one element", tp_tensor_text(t, text));
        return NAN;
    }
    return tp_flat(t, 0);
}

struct fill_arg {
    double value;
    tp_dtype dtype;
};

static void fill_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    const struct fill_arg *a = arg;
    for (int64_t i = 0; i < count; i++)
        store(ptr[0] + i * stride[0], a->dtype, a->value);
}

tp_status tp_fill(tp_tensor *y, double value)
{
    char probe[8];
    if (!store(probe, y->dtype, value))
        return tp_fail(TP_EVALUE, "%g does not fit in %s", value, tp_dtype_name(y->dtype));
    tp_iter it;
    const tp_tensor *operands[1] = {y};
    TP_TRY(tp_iter_init(&it, 1, operands));
    struct fill_arg arg = {value, y->dtype};
    y->storage->version++;
    tp_iter_range(&it, 0, it.numel, fill_run, &arg);
    return TP_OK;
}

struct copy_arg {
    tp_tensor y, x;
    bool bad;
};

static void copy_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    struct copy_arg *a = arg;
    int64_t size = tp_dtype_size(a->y.dtype);
    if (a->x.dtype == a->y.dtype && stride[0] == size && stride[1] == size) {
        memmove(ptr[0], ptr[1], (size_t)(count * size));
        return;
    }
    if (a->x.dtype == TP_F32 && a->y.dtype == TP_F32) {
        for (int64_t i = 0; i < count; i++)
            memcpy(ptr[0] + i * stride[0], ptr[1] + i * stride[1], 4);
        return;
    }
    if (a->x.dtype == a->y.dtype) {
        for (int64_t i = 0; i < count; i++)
            memcpy(ptr[0] + i * stride[0], ptr[1] + i * stride[1], (size_t)size);
        return;
    }
    tp_storage at = {0};
    tp_tensor one = {.storage = &at, .dtype = a->x.dtype};
    for (int64_t i = 0; i < count; i++) {
        at.data = ptr[1] + i * stride[1];
        if (!store(ptr[0] + i * stride[0], a->y.dtype, load(&one, 0)))
            a->bad = true;
    }
}

tp_status tp_copy(tp_tensor *y, const tp_tensor *x)
{
    char a[TP_TENSOR_TEXT], b[TP_TENSOR_TEXT];
    if (y->storage == NULL || x->storage == NULL)
        return tp_fail(TP_EARG, "tp_copy: the tensor to %s is empty",
                       y->storage == NULL ? "write" : "read");
    if (!tp_shape_equal(y->shape, x->shape))
        return tp_fail(TP_ESHAPE, "cannot copy %s into %s", tp_tensor_text(x, a),
                       tp_tensor_text(y, b));
    if (tp_may_overlap(y))
        return tp_fail(TP_EARG, "cannot copy into %s: its elements share memory",
                       tp_tensor_text(y, b));
    tp_iter it;
    const tp_tensor *operands[2] = {y, x};
    TP_TRY(tp_iter_init(&it, 2, operands));
    struct copy_arg arg = {*y, *x, false};
    y->storage->version++;
    tp_iter_range(&it, 0, it.numel, copy_run, &arg);
    if (arg.bad)
        return tp_fail(TP_EVALUE, "a value of %s does not fit in %s", tp_tensor_text(x, a),
                       tp_dtype_name(y->dtype));
    return TP_OK;
}

tp_status tp_clone(tp_tensor *y, const tp_tensor *x)
{
    tp_tensor copy;
    TP_TRY(tp_tensor_new(&copy, x->dtype, x->shape));
    tp_copy(&copy, x); /* equal shape and type, fresh memory: cannot fail */
    *y = copy;
    return TP_OK;
}
