/* 15_student.c: see 15_student.h. The normaliser is −log of the density of t at its middle. */
#include "docs/learn/parts/15_student.h"

#include <math.h>

enum { NU = 3 }; /* degrees of freedom */

double student_normaliser(void)
{
    return lgamma(NU / 2.0) - lgamma((NU + 1) / 2.0) + 0.5 * log(NU * 4 * atan(1.0));
}

/* −log p(x) per element: ½(ν + 1)·log(1 + d²/ν) + s + log of the normaliser, d = (x − μ)e^−s */
static tp_var nll(const tp_dist *p, tp_var x)
{
    tp_var d = tp_mul(tp_sub(x, p->param[0]), tp_exp(tp_neg(p->param[1])));
    tp_var tail = tp_scale(tp_log1p(tp_scale(tp_square(d), 1.0 / NU)), (NU + 1) / 2.0);
    return tp_shift(tp_add(tail, p->param[1]), student_normaliser());
}

/* μ + e^s·ε/√(mean of ν squared normals) */
static tp_var draw(const tp_dist *p, tp_ctx *c)
{
    tp_var mu = p->param[0], sum = tp_zeros_like(mu);
    tp_dtype dtype = tp_dtype_of(mu);
    tp_shape shape = tp_shape_of(mu);
    for (int i = 0; i < NU; i++)
        sum = tp_add(sum, tp_square(tp_noise_normal(mu.tape, dtype, shape, tp_ctx_draw(c))));
    tp_var eps = tp_noise_normal(mu.tape, dtype, shape, tp_ctx_draw(c));
    tp_var t = tp_mul(eps, tp_rsqrt(tp_scale(sum, 1.0 / NU)));
    return tp_add(mu, tp_mul(tp_exp(p->param[1]), t));
}

static tp_var mean(const tp_dist *p)
{
    return p->param[0];
}

static const tp_dist_type student = {.name = "student",
                                     .support = TP_REALS,
                                     .params = 2,
                                     .pathwise = true,
                                     .text = "−½(ν + 1)·log(1 + d²/ν) − s + const, d = (x − μ)e^−s",
                                     .nll = nll,
                                     .draw = draw,
                                     .mean = mean};

tp_dist student_logscale(tp_var mu, tp_var logscale)
{
    tp_dist d = {.type = &student, .param = {mu, logscale}, .event_dims = 1};
    return tp_dist_same_shapes(d, "mu", "logscale");
}
