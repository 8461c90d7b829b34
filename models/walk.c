/* walk.c: see walk.h. */
#include "models/walk.h"

#include <math.h>

static tp_status check(const tp_tensor *z, int ndim, const char *name)
{
    char text[TP_TENSOR_TEXT];
    if (!tp_dtype_is_float(z->dtype))
        return tp_fail(TP_EDTYPE, "%s: codes are f32 or f64, got %s", name,
                       tp_tensor_text(z, text));
    if (z->shape.ndim != ndim || tp_numel(z) == 0)
        return tp_fail(TP_ESHAPE, "%s: expected %s, got %s", name,
                       ndim == 1 ? "[dims]" : "[n,dims]", tp_tensor_text(z, text));
    return TP_OK;
}

/* Number j of `steps` from a to b; both ends are exact. */
static double between(double a, double b, int64_t j, int64_t steps)
{
    double t = steps > 1 ? (double)j / (double)(steps - 1) : 0.5;
    return (1 - t) * a + t * b;
}

tp_status tp_traverse(tp_tensor *codes, const tp_tensor *z, const tp_walk *walk, int64_t n,
                      int64_t steps)
{
    TP_TRY(check(z, 1, "a traversal"));
    int64_t dims = z->shape.dim[0];
    if (n < 1 || steps < 1)
        return tp_fail(TP_EARG, "a traversal: %lld dimensions in %lld steps: at least 1 each",
                       (long long)n, (long long)steps);
    for (int64_t i = 0; i < n; i++)
        if (walk[i].dim < 0 || walk[i].dim >= dims)
            return tp_fail(TP_EARG, "a traversal: there is no dimension %lld, only 0 to %lld",
                           (long long)walk[i].dim, (long long)dims - 1);
    TP_TRY(tp_tensor_new(codes, z->dtype, TP_SHAPE(n * steps, dims)));
    for (int64_t row = 0; row < n * steps; row++) {
        const tp_walk *w = &walk[row / steps];
        for (int64_t d = 0; d < dims; d++) {
            double v = d == w->dim ? between(w->from, w->to, row % steps, steps) : tp_flat(z, d);
            TP_TRY(tp_set_flat(codes, row * dims + d, v));
        }
    }
    return TP_OK;
}

/* What a and b weigh at t. */
typedef struct weights {
    double a, b;
} weights;

/* The angle between row i of a and of b; 0 where there is none to speak of. */
static double angle(const tp_tensor *a, const tp_tensor *b, int64_t i)
{
    int64_t dims = a->shape.dim[1];
    double aa = 0, bb = 0, ab = 0;
    for (int64_t d = i * dims; d < (i + 1) * dims; d++) {
        aa += tp_flat(a, d) * tp_flat(a, d);
        bb += tp_flat(b, d) * tp_flat(b, d);
        ab += tp_flat(a, d) * tp_flat(b, d);
    }
    double cosine = aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : 1;
    return fabs(cosine) < 1 - 1e-9 ? acos(cosine) : 0;
}

static weights weigh(double t, double omega)
{
    if (omega == 0 || t == 0 || t == 1)
        return (weights){1 - t, t};
    return (weights){sin((1 - t) * omega) / sin(omega), sin(t * omega) / sin(omega)};
}

tp_status tp_interpolate(tp_tensor *codes, const tp_tensor *a, const tp_tensor *b, int64_t steps,
                         tp_path path)
{
    char text[2][TP_TENSOR_TEXT];
    TP_TRY(check(a, 2, "an interpolation"));
    TP_TRY(check(b, 2, "an interpolation"));
    if (!tp_shape_equal(a->shape, b->shape) || a->dtype != b->dtype)
        return tp_fail(TP_ESHAPE,
                       "an interpolation goes between codes of one shape and type, got %s and %s",
                       tp_tensor_text(a, text[0]), tp_tensor_text(b, text[1]));
    if (steps < 2)
        return tp_fail(TP_EARG, "an interpolation has at least 2 steps, got %lld",
                       (long long)steps);
    int64_t n = a->shape.dim[0], dims = a->shape.dim[1];
    TP_TRY(tp_tensor_new(codes, a->dtype, TP_SHAPE(n * steps, dims)));
    for (int64_t i = 0; i < n; i++) {
        double omega = path == TP_SPHERICAL ? angle(a, b, i) : 0;
        for (int64_t j = 0; j < steps; j++) {
            weights w = weigh((double)j / (double)(steps - 1), omega);
            for (int64_t d = 0; d < dims; d++)
                TP_TRY(
                    tp_set_flat(codes, (i * steps + j) * dims + d,
                                w.a * tp_flat(a, i * dims + d) + w.b * tp_flat(b, i * dims + d)));
        }
    }
    return TP_OK;
}
