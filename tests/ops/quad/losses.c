/* losses.c: references of the fused pieces of latent-variable models. Shapes are equal, so these are
 * pointwise too. Read next: reductions.c. */
#include "tests/ops/quad/quad.h"

static quad logistic(quad x)
{
    return 1 / (1 + expq(-x));
}

/* z = μ + e^(v/2)·ε */
static void reparameterize(const quad_call *c, const quad *x, quad *y)
{
    (void)c;
    y[STRAIGHT] = x[0];
    y[CURVED] = expq(x[1] / 2) * x[2];
}

static quad reparameterize_size(const quad_call *c, const quad *x)
{
    (void)c;
    return fabsq(x[0]) + fabsq(expq(x[1] / 2) * x[2]);
}

/* ½(μ² + e^v − 1 − v) */
static void gaussian_kl(const quad_call *c, const quad *x, quad *y)
{
    quad v = x[1];
    (void)c;
    y[CURVED_TOO] = x[0] * x[0] / 2;
    if (v < -1)
        y[STRAIGHT] = -(1 + v) / 2, y[CURVED] = expq(v) / 2;
    else if (v > 1)
        y[CURVED] = (expq(v) - 1 - v) / 2;
    else /* Σ v^n/2n!, n > 1, which does not cancel */
        for (quad n = 2, term = v * v / 4; n < 40; n++, term *= v / n)
            y[CURVED] += term;
}

/* −t log σ(x) − (1 − t) log(1 − σ(x)) = max(x, 0) − tx + log(1 + e^−|x|) */
static void bce(const quad_call *c, const quad *x, quad *y)
{
    quad a = x[0], t = x[1];
    (void)c;
    if (fabsq(a) > 1)
        y[STRAIGHT] = a > 0 ? (1 - t) * a : -t * a, y[CURVED] = log1pq(expq(-fabsq(a)));
    else
        y[CURVED] = log1pq(expq(a)) - t * a;
}

/* (1 − t)σ(x) − tσ(−x): the difference of two probabilities is what it is. */
static quad bce_slope(const quad_call *c, int in, int64_t k, int64_t j, quad d)
{
    quad x = c->x[0].at[k], t = c->x[1].at[k];
    (void)in, (void)j, (void)d;
    return (1 - t) * logistic(x) + t * logistic(-x);
}

const quad_op quad_loss_ops[] = {
    {.name = "reparameterize", .point = reparameterize, .point_size = reparameterize_size},
    {.name = "gaussian_kl", .point = gaussian_kl},
    {.name = "bce_with_logits", .point = bce, .slope = bce_slope},
    {0},
};
