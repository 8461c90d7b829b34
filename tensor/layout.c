/* layout.c: see layout.h. */
#include "tensor/layout.h"

#include "tensor/kernels/kernels.h"
#include "tensor/map.h"
#include "tensor/parallel.h"

static void strides_of(tp_shape s, int64_t stride[4])
{
    stride[1] = 1;
    stride[3] = s.dim[1];
    stride[2] = s.dim[3] * stride[3];
    stride[0] = s.dim[2] * stride[2];
}

/* Whether the two layouts of a shape are two. */
static bool differ(tp_shape s)
{
    return s.ndim == 4 && s.dim[1] > 1 && (s.dim[2] > 1 || s.dim[3] > 1) && tp_shape_numel(s) > 0;
}

bool tp_is_channels_last(const tp_tensor *t)
{
    int64_t stride[4];
    if (!differ(t->shape))
        return false;
    strides_of(t->shape, stride);
    for (int i = 0; i < 4; i++)
        if (t->stride[i] != stride[i] && t->shape.dim[i] != 1)
            return false;
    return true;
}

void tp_make_channels_last(tp_tensor *t)
{
    if (differ(t->shape))
        strides_of(t->shape, t->stride);
}

tp_tensor tp_view_channels_last(const tp_tensor *t)
{
    static const int axis[4] = {0, 2, 3, 1};
    tp_tensor v = *t;
    v.shape.ndim = 4;
    for (int i = 0; i < 4; i++) {
        int from = axis[i] - (4 - t->shape.ndim);
        v.shape.dim[i] = from < 0 ? 1 : t->shape.dim[from];
        v.stride[i] = from < 0 ? 0 : t->stride[from];
    }
    v.owns = false;
    return v;
}

typedef struct turning {
    const char *from;
    char *to;
    int64_t lanes, steps, size; /* to[step, lane] = from[lane, step] */
    tp_pack_fn pack;
} turning;

static void turn_example(int64_t n, void *arg)
{
    const turning *t = arg;
    int64_t at = n * t->lanes * t->steps * t->size;
    t->pack(t->lanes, t->lanes, t->steps, t->from + at, t->steps, 1, t->to + at);
}

tp_status tp_lay_out(tp_tensor *y, const tp_tensor *x)
{
    bool in = tp_is_channels_last(x), out = tp_is_channels_last(y);
    if (in == out || !(in ? tp_is_contiguous(y) : tp_is_contiguous(x)) || y->dtype != x->dtype ||
        !tp_dtype_is_float(y->dtype) || !tp_shape_equal(y->shape, x->shape))
        return tp_map1(y, x, TP_K_copy);
    int64_t channels = x->shape.dim[1], pixels = x->shape.dim[2] * x->shape.dim[3];
    turning t = {.from = tp_data(x),
                 .to = tp_data_mut(y),
                 .lanes = in ? pixels : channels,
                 .steps = in ? channels : pixels,
                 .size = tp_dtype_size(y->dtype),
                 .pack = tp_kernels_get()->tile[y->dtype].pack};
    tp_parallel(x->shape.dim[0], turn_example, &t);
    return TP_OK;
}
