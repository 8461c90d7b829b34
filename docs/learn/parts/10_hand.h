/* 10_hand.h: the 3-4-2-4-3 VAE of chapters 10 and 11 by hand: its numbers, and arithmetic in plain C that knows
 * nothing of tapir. The same network as tapir records it is 10_vae.h. */
#ifndef DOCS_LEARN_PARTS_10_HAND_H
#define DOCS_LEARN_PARTS_10_HAND_H

enum { NX = 3, NH = 4, NZ = 2, TINY_COUNT = 63 };

/* Every parameter, in the order in which the model registers them: 63 doubles in a row. */
typedef struct tiny_weights {
    double w1[NH][NX], b1[NH]; /* enc */
    double wm[NZ][NH], bm[NZ]; /* mu */
    double wv[NZ][NH], bv[NZ]; /* logvar */
    double w2[NH][NZ], b2[NH]; /* dec */
    double w3[NX][NH], b3[NX]; /* out */
} tiny_weights;

/* The weights, the example and the noise of the chapters. */
tiny_weights tiny_start(void);
extern const double tiny_x[NX], tiny_eps[NZ];

static inline double tiny_square(double x)
{
    return x * x;
}

/* Every number of one example. dq is ∂L/∂q. */
typedef struct pass {
    double a[NH], h[NH], mu[NZ], v[NZ], sigma[NZ], z[NZ], c[NH], g[NH], l[NX], p[NX];
    double recon, kl, loss;
    double dl[NX], dg[NH], dc[NH], dz[NZ], dmu[NZ], dv[NZ], dh_mu[NH], dh_v[NH], dh[NH], da[NH];
    tiny_weights d;
} pass;

/* The whole pass for one example. */
pass by_hand(const tiny_weights *w, const double *x, const double *eps, double beta);
/* Of tiny_start, tiny_x and tiny_eps. */
pass tiny_pass(void);
/* −log p(x|z) at z = mu + sigma·eps alone. */
double tiny_decode(const tiny_weights *w, const double *mu, const double *sigma, const double *eps,
                   const double *x);

/* The same from logits. */
double tiny_bce(const double *logits, const double *x);

/* ∂L/∂w for all 63 by central differences of the forward pass. */
void tiny_differences(double beta, double slope[TINY_COUNT]);

#endif
