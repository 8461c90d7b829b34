/* clip.c: the norm of all gradients in one pass, and scaling or clamping them with the kernels of map.h. */
#include "nn/clip.h"
#include "tensor/map.h"
#include "tensor/parallel.h"
#include "tensor/scan.h"

#include <math.h>

/* What a step of the optimizer would read. */
static bool takes_part(const tp_parameter *p)
{
    return p->has_grad && !p->frozen;
}

static tp_status check_finite(const tp_params *ps)
{
    for (int i = 0; i < ps->n; i++)
        if (takes_part(ps->item[i]) && !tp_all_finite(&ps->item[i]->grad))
            return tp_fail(TP_ENONFINITE, "the gradient of parameter '%s' is not finite",
                           ps->item[i]->name);
    return TP_OK;
}

/* One kernel over every gradient, in place. */
static tp_status map_all(const tp_params *ps, tp_map_kernel kernel, const double p[2])
{
    for (int i = 0; i < ps->n; i++) {
        tp_tensor *g = &ps->item[i]->grad;
        const tp_tensor *x[1] = {g};
        if (takes_part(ps->item[i]))
            TP_TRY(tp_map(kernel, g, x, p));
    }
    return TP_OK;
}

/* --- the norm ----------------------------------------------------------------------------------- */

/* Every gradient is cut into the same number of slices, and the sums of slices are added in their order. Within
 * one, LANES sums in turn. */
enum { SLICES = 64, LANES = 8 };

typedef struct norm_job {
    const tp_params *ps;
    double scale; /* of every element before it is squared */
    double sum[SLICES];
} norm_job;

#define SUM_OF_SQUARES(R)                                                                          \
    static double sum_of_squares_##R(int64_t n, const R *x, double scale)                          \
    {                                                                                              \
        double lane[LANES] = {0}, sum = 0;                                                         \
        int64_t i = 0;                                                                             \
        for (; i + LANES <= n; i += LANES)                                                         \
            for (int k = 0; k < LANES; k++) {                                                      \
                double v = scale * (double)x[i + k];                                               \
                lane[k] += v * v;                                                                  \
            }                                                                                      \
        for (; i < n; i++) {                                                                       \
            double v = scale * (double)x[i];                                                       \
            sum += v * v;                                                                          \
        }                                                                                          \
        for (int k = 0; k < LANES; k++)                                                            \
            sum += lane[k];                                                                        \
        return sum;                                                                                \
    }
SUM_OF_SQUARES(float)
SUM_OF_SQUARES(double)

static void sum_slice(int64_t slice, void *arg)
{
    norm_job *j = arg;
    double sum = 0;
    for (int i = 0; i < j->ps->n; i++) {
        const tp_tensor *g = &j->ps->item[i]->grad;
        if (!takes_part(j->ps->item[i]))
            continue;
        int64_t n = tp_numel(g), first = n * slice / SLICES, last = n * (slice + 1) / SLICES;
        sum +=
            g->dtype == TP_F32
                ? sum_of_squares_float(last - first, (const float *)tp_data(g) + first, j->scale)
                : sum_of_squares_double(last - first, (const double *)tp_data(g) + first, j->scale);
    }
    j->sum[slice] = sum;
}

static double norm_of(const tp_params *ps, double scale)
{
    norm_job j = {.ps = ps, .scale = scale};
    double sum = 0;
    tp_parallel(SLICES, sum_slice, &j);
    for (int i = 0; i < SLICES; i++)
        sum += j.sum[i];
    return sqrt(sum) / scale;
}

tp_status tp_clip_grad_norm(const tp_params *ps, double max_norm, double *norm)
{
    if (!(max_norm > 0))
        return tp_fail(TP_EARG, "clip_grad_norm: max_norm is %g, expected a number > 0", max_norm);
    double now = norm_of(ps, 1);
    if (!isfinite(now)) { /* a gradient is not, or only the square of one, in f64, is too large */
        TP_TRY(check_finite(ps));
        now = norm_of(ps, 0x1p-600);
    }
    double factor = max_norm / (now + 1e-6);
    if (factor < 1)
        TP_TRY(map_all(ps, TP_K_affine, (const double[2]){factor, 0}));
    if (norm != NULL)
        *norm = now;
    return TP_OK;
}

tp_status tp_clip_grad_value(const tp_params *ps, double clip_value)
{
    if (!(clip_value > 0))
        return tp_fail(TP_EARG, "clip_grad_value: clip_value is %g, expected a number > 0",
                       clip_value);
    TP_TRY(check_finite(ps));
    return map_all(ps, TP_K_clamp, (const double[2]){-clip_value, clip_value});
}
