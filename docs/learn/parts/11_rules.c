/* 11_rules.c: what an optimizer does to n numbers. Read 11_optimizer.md beside it. */
#include "docs/learn/parts/11_rules.h"

#include <math.h>

void sgd_by_hand(int n, double *p, const double *g, double lr)
{
    for (int i = 0; i < n; i++)
        p[i] -= lr * g[i];
}

void momentum_by_hand(int n, double *p, const double *g, double lr, double mu, memory *s)
{
    for (int i = 0; i < n; i++) {
        s->v[i] = mu * s->v[i] + g[i];
        p[i] -= lr * s->v[i];
    }
}

void adam_by_hand(int n, double *p, const double *g, double lr, memory *s)
{
    const double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
    s->t++;
    for (int i = 0; i < n; i++) {
        s->m[i] = beta1 * s->m[i] + (1 - beta1) * g[i];
        s->v[i] = beta2 * s->v[i] + (1 - beta2) * g[i] * g[i];
        double m_hat = s->m[i] / (1 - pow(beta1, s->t)), v_hat = s->v[i] / (1 - pow(beta2, s->t));
        p[i] -= lr * m_hat / (sqrt(v_hat) + eps);
    }
}

void rmsprop_by_hand(int n, double *p, const double *g, double lr, memory *s)
{
    const double alpha = 0.99, eps = 1e-8;
    for (int i = 0; i < n; i++) {
        s->v[i] = alpha * s->v[i] + (1 - alpha) * g[i] * g[i];
        p[i] -= lr * g[i] / (sqrt(s->v[i]) + eps);
    }
}
