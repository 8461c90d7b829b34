/* conv.c: see conv.h. */
#include "tensor/conv.h"

enum { MOST = 1 << 30 };

tp_status tp_conv_opts_check(tp_conv_opts *o)
{
    const struct {
        const char *name;
        int64_t *value, least, unset;
    } part[] = {{"stride", o->stride, 1, 1},
                {"padding", o->padding, 0, 0},
                {"dilation", o->dilation, 1, 1},
                {"output_padding", o->output_padding, 0, 0}};
    for (int i = 0; i < 4; i++) {
        int64_t *v = part[i].value;
        if (v[0] == 0 && v[1] == 0)
            v[0] = v[1] = part[i].unset;
        for (int axis = 0; axis < 2; axis++)
            if (v[axis] < part[i].least || v[axis] > MOST)
                return tp_fail(TP_EARG, "%s %lld,%lld: from %lld to 2^30 needed", part[i].name,
                               (long long)v[0], (long long)v[1], (long long)part[i].least);
    }
    o->groups = o->groups == 0 ? 1 : o->groups;
    return o->groups >= 1
               ? TP_OK
               : tp_fail(TP_EARG, "%lld groups: at least 1 needed", (long long)o->groups);
}

int64_t tp_conv_positions(const tp_conv_opts *o, int axis, int64_t size, int64_t kernel)
{
    int64_t reach = o->dilation[axis] * (kernel - 1) + 1, room = size + 2 * o->padding[axis];
    return room < reach || kernel < 1 ? 0 : (room - reach) / o->stride[axis] + 1;
}

int64_t tp_conv_size(const tp_conv_opts *o, int axis, int64_t positions, int64_t kernel)
{
    return (positions - 1) * o->stride[axis] - 2 * o->padding[axis] +
           o->dilation[axis] * (kernel - 1) + 1 + o->output_padding[axis];
}

static double get(const tp_tensor *t, int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t at = a * t->stride[0] + b * t->stride[1] + c * t->stride[2] + d * t->stride[3];
    const char *p = (const char *)tp_data(t);
    return t->dtype == TP_F32 ? (double)((const float *)p)[at] : ((const double *)p)[at];
}

static void add(const tp_tensor *t, void *data, int64_t a, int64_t b, int64_t c, int64_t d,
                double v)
{
    int64_t at = a * t->stride[0] + b * t->stride[1] + c * t->stride[2] + d * t->stride[3];
    if (t->dtype == TP_F32)
        ((float *)data)[at] += (float)v;
    else
        ((double *)data)[at] += v;
}

/* Adds to one of the three what the other two make of it. */
static void sum(int which, tp_tensor *out, const tp_tensor *x, const tp_tensor *w,
                const tp_tensor *y, const tp_conv_opts *s)
{
    void *data = tp_data_mut(out);
    const int64_t *image = x->shape.dim, *kernel = w->shape.dim, *place = y->shape.dim;
    int64_t per = place[1] / s->groups;
    for (int64_t n = 0; n < image[0]; n++)
        for (int64_t o = 0; o < place[1]; o++)
            for (int64_t c = 0; c < kernel[1]; c++)
                for (int64_t i = 0; i < place[2]; i++)
                    for (int64_t j = 0; j < place[3]; j++)
                        for (int64_t u = 0; u < kernel[2]; u++)
                            for (int64_t v = 0; v < kernel[3]; v++) {
                                int64_t d = o / per * kernel[1] + c;
                                int64_t a = i * s->stride[0] + u * s->dilation[0] - s->padding[0];
                                int64_t b = j * s->stride[1] + v * s->dilation[1] - s->padding[1];
                                if (a < 0 || a >= image[2] || b < 0 || b >= image[3])
                                    continue;
                                if (which == 0)
                                    add(x, data, n, d, a, b,
                                        get(w, o, c, u, v) * get(y, n, o, i, j));
                                else if (which == 1)
                                    add(w, data, o, c, u, v,
                                        get(x, n, d, a, b) * get(y, n, o, i, j));
                                else
                                    add(y, data, n, o, i, j,
                                        get(x, n, d, a, b) * get(w, o, c, u, v));
                            }
}

tp_status tp_conv_into(tp_tensor *y, const tp_tensor *x, const tp_tensor *w, const tp_conv_opts *c,
                       struct tp_arena *scratch)
{
    (void)scratch;
    TP_TRY(tp_fill(y, 0));
    sum(2, y, x, w, y, c);
    return TP_OK;
}

tp_status tp_conv_image_into(tp_tensor *x, const tp_tensor *y, const tp_tensor *w,
                             const tp_conv_opts *c, struct tp_arena *scratch)
{
    (void)scratch;
    TP_TRY(tp_fill(x, 0));
    sum(0, x, x, w, y, c);
    return TP_OK;
}

tp_status tp_conv_kernel_into(tp_tensor *w, const tp_tensor *x, const tp_tensor *y,
                              const tp_conv_opts *c, struct tp_arena *scratch)
{
    (void)scratch;
    TP_TRY(tp_fill(w, 0));
    sum(1, w, x, w, y, c);
    return TP_OK;
}
