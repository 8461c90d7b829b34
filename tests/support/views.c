/* views.c: see views.h. */
#include "tests/support/views.h"

#include "tests/support/check.h"

double random_value(int64_t i)
{
    uint64_t x = ((uint64_t)i + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 31)) * 0xbf58476d1ce4e5b9u;
    x ^= x >> 29;
    return (double)(x >> 11) * 0x1p-52 - 1;
}

double small_integer(int64_t i)
{
    return (double)(int)(4.5 * random_value(i));
}

/* The shape of the memory behind a view of this layout. */
static tp_shape memory_shape(tp_shape s, layout how)
{
    tp_shape m = s;
    for (int i = 0; i < s.ndim; i++)
        if (how == LAYOUT_TRANSPOSED)
            m.dim[i] = s.dim[s.ndim - 1 - i];
        else if (how == LAYOUT_STEPPED)
            m.dim[i] = 2 * s.dim[i];
    if (how == LAYOUT_CHANNELS_LAST && s.ndim == 4)
        m = TP_SHAPE(s.dim[0], s.dim[2], s.dim[3], s.dim[1]);
    if (how == LAYOUT_OFFSET && s.ndim > 0)
        m.dim[s.ndim - 1] += 3;
    if (how == LAYOUT_EXPANDED && s.ndim > 0)
        m.dim[s.ndim - 1] = 1;
    if (how == LAYOUT_REPEATED && s.ndim > 0)
        m.dim[0] = 1;
    return m;
}

void make_view(tp_tensor *owner, tp_tensor *view, tp_dtype dtype, tp_shape shape, layout how,
               double (*v)(int64_t))
{
    assert_ok(tp_tensor_new(owner, dtype, memory_shape(shape, how)));
    for (int64_t i = 0; i < tp_numel(owner); i++)
        assert_ok(tp_set_flat(owner, i, v(i)));
    *view = *owner;
    view->owns = false;
    if (how == LAYOUT_TRANSPOSED)
        assert_ok(tp_view_permute(owner, (tp_axes){0, {0}}, view));
    if (how == LAYOUT_CHANNELS_LAST && shape.ndim == 4)
        assert_ok(tp_view_permute(owner, TP_AXES(0, 3, 1, 2), view));
    for (int i = 0; i < shape.ndim; i++) {
        if (how == LAYOUT_STEPPED)
            assert_ok(tp_view_slice(view, i, 0, TP_SLICE_END, 2, view));
        if (how == LAYOUT_REVERSED)
            assert_ok(tp_view_slice(view, i, -1, TP_SLICE_END, -1, view));
    }
    if (how == LAYOUT_OFFSET && shape.ndim > 0)
        assert_ok(tp_view_slice(view, shape.ndim - 1, 1, 1 + shape.dim[shape.ndim - 1], 1, view));
    if (how == LAYOUT_EXPANDED || how == LAYOUT_REPEATED)
        assert_ok(tp_view_expand(view, shape, view));
    assert_true(tp_shape_equal(view->shape, shape));
}
