/* 10_hand.c: one example through the tiny VAE and back, by hand. Read 10_elbo_by_hand.md beside it. */
#include "docs/learn/parts/10_hand.h"

#include <math.h>
#include <string.h>

const double tiny_x[NX] = {1, 0, 1}, tiny_eps[NZ] = {-2, 1};

/* The logarithms make σ = ½ in one latent, and p = ½, ¼ and ¾ at the output. */
tiny_weights tiny_start(void)
{
    return (tiny_weights){
        .w1 = {{0.5, -1, 1}, {-1, 0.5, 0.5}, {1, 0.5, -1}, {1, -0.5, 0.5}},
        .b1 = {-0.5, 0, 0.5, 0.5},
        .wm = {{0.5, 1, -1, 0.5}, {-1, 0.5, 0, -0.5}},
        .bm = {-0.5, 1},
        .wv = {{1, -0.5, 1, -0.5}, {0.5, 0.5, 1, -0.5}},
        .bv = {-0.5, -log(4)},
        .w2 = {{-1, -1}, {0.5, -0.5}, {0.5, -1}, {-0.5, 0.5}},
        .b2 = {0, 1, 0, 0.5},
        .w3 = {{-1, 1, -1, 0.5}, {0.5, -1, 0.5, -0.5}, {-0.5, 1, 1, 0.5}},
        .b3 = {1, -log(3), log(3)},
    };
}

/* y = w·x + b for w [out, in]. */
static void affine(int out, int in, const double *w, const double *x, const double *b, double *y)
{
    for (int i = 0; i < out; i++) {
        y[i] = b[i];
        for (int j = 0; j < in; j++)
            y[i] += w[i * in + j] * x[j];
    }
}

/* Its three gradients: dw[i][j] = dy[i]·x[j], db[i] = dy[i], dx[j] = Σ_i dy[i]·w[i][j]. */
static void affine_back(int out, int in, const double *w, const double *x, const double *dy,
                        double *dw, double *db, double *dx)
{
    for (int j = 0; j < in; j++)
        dx[j] = 0;
    for (int i = 0; i < out; i++) {
        db[i] = dy[i];
        for (int j = 0; j < in; j++) {
            dw[i * in + j] = dy[i] * x[j];
            dx[j] += dy[i] * w[i * in + j];
        }
    }
}

static double decode(pass *s, const tiny_weights *w, const double *x)
{
    double recon = 0;
    affine(NH, NZ, w->w2[0], s->z, w->b2, s->c);
    for (int i = 0; i < NH; i++)
        s->g[i] = s->c[i] > 0 ? s->c[i] : 0;
    affine(NX, NH, w->w3[0], s->g, w->b3, s->l);
    for (int i = 0; i < NX; i++) {
        s->p[i] = 1 / (1 + exp(-s->l[i]));
        recon -= x[i] * log(s->p[i]) + (1 - x[i]) * log(1 - s->p[i]);
    }
    return recon;
}

static void forward(pass *s, const tiny_weights *w, const double *x, const double *eps, double beta)
{
    affine(NH, NX, w->w1[0], x, w->b1, s->a);
    for (int i = 0; i < NH; i++)
        s->h[i] = s->a[i] > 0 ? s->a[i] : 0;
    affine(NZ, NH, w->wm[0], s->h, w->bm, s->mu);
    affine(NZ, NH, w->wv[0], s->h, w->bv, s->v);
    s->kl = 0;
    for (int k = 0; k < NZ; k++) {
        s->sigma[k] = exp(s->v[k] / 2);
        s->z[k] = s->mu[k] + s->sigma[k] * eps[k];
        s->kl += (s->mu[k] * s->mu[k] + exp(s->v[k]) - s->v[k] - 1) / 2;
    }
    s->recon = decode(s, w, x);
    s->loss = s->recon + beta * s->kl;
}

static void backward(pass *s, const tiny_weights *w, const double *x, const double *eps,
                     double beta)
{
    double dx[NX]; /* nobody needs it */
    for (int i = 0; i < NX; i++)
        s->dl[i] = s->p[i] - x[i];
    affine_back(NX, NH, w->w3[0], s->g, s->dl, s->d.w3[0], s->d.b3, s->dg);
    for (int i = 0; i < NH; i++)
        s->dc[i] = s->c[i] > 0 ? s->dg[i] : 0;
    affine_back(NH, NZ, w->w2[0], s->z, s->dc, s->d.w2[0], s->d.b2, s->dz);
    for (int k = 0; k < NZ; k++) { /* through z, and directly from the KL */
        s->dmu[k] = s->dz[k] + beta * s->mu[k];
        s->dv[k] = s->dz[k] * s->sigma[k] * eps[k] / 2 + beta * (exp(s->v[k]) - 1) / 2;
    }
    affine_back(NZ, NH, w->wm[0], s->h, s->dmu, s->d.wm[0], s->d.bm, s->dh_mu);
    affine_back(NZ, NH, w->wv[0], s->h, s->dv, s->d.wv[0], s->d.bv, s->dh_v);
    for (int i = 0; i < NH; i++) { /* h has two consumers */
        s->dh[i] = s->dh_mu[i] + s->dh_v[i];
        s->da[i] = s->a[i] > 0 ? s->dh[i] : 0;
    }
    affine_back(NH, NX, w->w1[0], x, s->da, s->d.w1[0], s->d.b1, dx);
}

pass by_hand(const tiny_weights *w, const double *x, const double *eps, double beta)
{
    pass s = {0};
    forward(&s, w, x, eps, beta);
    backward(&s, w, x, eps, beta);
    return s;
}

pass tiny_pass(void)
{
    tiny_weights w = tiny_start();
    return by_hand(&w, tiny_x, tiny_eps, 1);
}

double tiny_decode(const tiny_weights *w, const double *mu, const double *sigma, const double *eps,
                   const double *x)
{
    pass s = {0};
    for (int k = 0; k < NZ; k++)
        s.z[k] = mu[k] + sigma[k] * eps[k];
    return decode(&s, w, x);
}

double tiny_bce(const double *logits, const double *x)
{
    double sum = 0;
    for (int i = 0; i < NX; i++)
        sum += fmax(logits[i], 0) - x[i] * logits[i] + log1p(exp(-fabs(logits[i])));
    return sum;
}

void tiny_differences(double beta, double slope[TINY_COUNT])
{
    double w[TINY_COUNT], step = 1e-5;
    tiny_weights at = tiny_start();
    memcpy(w, &at, sizeof w);
    for (int i = 0; i < TINY_COUNT; i++) {
        double keep = w[i], side[2];
        for (int k = 0; k < 2; k++) {
            w[i] = keep + (k == 0 ? step : -step);
            memcpy(&at, w, sizeof w);
            side[k] = by_hand(&at, tiny_x, tiny_eps, beta).loss;
        }
        w[i] = keep;
        slope[i] = (side[0] - side[1]) / (2 * step);
    }
}
