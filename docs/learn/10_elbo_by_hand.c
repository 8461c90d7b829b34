/* 10_elbo_by_hand.c: a VAE with a pencil. 10_hand.c does the arithmetic and knows nothing of tapir; this prints it
 * and holds it against tp_backward. Read 10_elbo_by_hand.md beside it. */
#include "docs/learn/parts/10_picture.h"
#include "docs/learn/parts/10_text.h"
#include "docs/learn/parts/10_vae.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- forward, printed ----------------------------------------------------------------------------- */

static tp_status forward_encoder(void)
{
    tiny_weights w = tiny_start();
    pass s = tiny_pass();
    printf("x = %s\n", list(NX, tiny_x));
    printf("a = W1·x + b1, h = max(a, 0)\n");
    for (int i = 0; i < NH; i++)
        text_dot("a", i, NX, w.w1[i], 1, tiny_x, w.b1[i], s.a[i],
                 note("h%d = %s%s", i, number(s.h[i]), s.a[i] > 0 ? "" : "   off"));
    return TP_OK;
}

static tp_status forward_latent(void)
{
    tiny_weights w = tiny_start();
    pass s = tiny_pass();
    printf("μ = Wμ·h + bμ\n");
    for (int k = 0; k < NZ; k++)
        text_dot("μ", k, NH, w.wm[k], 1, s.h, w.bm[k], s.mu[k], "");
    printf("v = Wv·h + bv, σ = e^(v/2)\n");
    for (int k = 0; k < NZ; k++)
        text_dot("v", k, NH, w.wv[k], 1, s.h, w.bv[k], s.v[k],
                 note("σ%d = %s   σ%d² = %s", k, number(s.sigma[k]), k, number(exp(s.v[k]))));
    printf("z = μ + σ·ε\n");
    for (int k = 0; k < NZ; k++)
        text_dot("z", k, 1, &s.sigma[k], 1, &tiny_eps[k], s.mu[k], s.z[k], "");
    TP_TRY(learn_expect("sigma1", s.sigma[1], 0.5, 1e-15));
    return learn_expect("z0", s.z[0], -1.5, 1e-15);
}

static tp_status forward_decoder(void)
{
    tiny_weights w = tiny_start();
    pass s = tiny_pass();
    printf("c = W2·z + b2, g = max(c, 0)\n");
    for (int i = 0; i < NH; i++)
        text_dot("c", i, NZ, w.w2[i], 1, s.z, w.b2[i], s.c[i],
                 note("g%d = %s%s", i, number(s.g[i]), s.c[i] > 0 ? "" : "   off"));
    printf("l = W3·g + b3, p = 1/(1 + e^-l)\n");
    for (int i = 0; i < NX; i++)
        text_dot("l", i, NH, w.w3[i], 1, s.g, w.b3[i], s.l[i], note("p%d = %s", i, number(s.p[i])));
    return learn_expect("p1", s.p[1], 0.25, 1e-15);
}

static tp_status loss(void)
{
    pass s = tiny_pass();
    for (int i = 0; i < NX; i++) {
        double q = tiny_x[i] == 1 ? s.p[i] : 1 - s.p[i];
        printf("pixel %d   x = %g   -ln %-9s = %s = %.5f\n", i, tiny_x[i],
               tiny_x[i] == 1 ? "p" : "(1 - p)", q == 0.5 ? "ln 2  " : "ln 4/3", -log(q));
    }
    for (int k = 0; k < NZ; k++)
        printf("latent %d  ½(μ² + e^v - v - 1) = ½(%s + %s - %s - 1) = %.5f\n", k,
               number(tiny_square(s.mu[k])), number(exp(s.v[k])), signed_number(s.v[k]),
               (tiny_square(s.mu[k]) + exp(s.v[k]) - s.v[k] - 1) / 2);
    printf("recon = ln 32/9    = %.5f\n", s.recon);
    printf("KL    = 1/4 + ln 2 = %.5f\n", s.kl);
    printf("loss  = recon + KL = %.5f nats\n", s.loss);
    TP_TRY(learn_expect("recon", s.recon, log(32.0 / 9), 1e-14));
    return learn_expect("kl", s.kl, 0.25 + log(2), 1e-14);
}

/* --- backward, printed ---------------------------------------------------------------------------- */

/* dx = Wᵀ·dy, column by column. */
static void transposed(const char *name, int out, int in, const double *w, const double *dy,
                       const double *dx)
{
    for (int j = 0; j < in; j++)
        text_dot(name, j, out, w + j, in, dy, 0, dx[j], "");
}

static tp_status backward_decoder(void)
{
    tiny_weights w = tiny_start();
    pass s = tiny_pass();
    printf("l̄ = p - x\n");
    printf("  l̄ = %s\n", list(NX, s.dl));
    printf("b̄3 = l̄, W̄3 = l̄ gᵀ\n");
    text_outer("  W̄3", NX, NH, s.dl, s.g, s.d.w3[0]);
    printf("ḡ = W3ᵀ l̄\n");
    transposed("ḡ", NX, NH, w.w3[0], s.dl, s.dg);
    printf("c̄ = ḡ where c > 0, else 0\n");
    printf("  c̄ = %s\n", list(NH, s.dc));
    printf("b̄2 = c̄, W̄2 = c̄ zᵀ\n");
    text_outer("  W̄2", NH, NZ, s.dc, s.z, s.d.w2[0]);
    printf("z̄ = W2ᵀ c̄\n");
    transposed("z̄", NH, NZ, w.w2[0], s.dc, s.dz);
    TP_TRY(learn_expect("dz0", s.dz[0], -1, 1e-14));
    return learn_expect("dz1", s.dz[1], -0.5, 1e-14);
}

static tp_status backward_latent(void)
{
    pass s = tiny_pass();
    for (int k = 0; k < NZ; k++)
        printf("μ̄%d = z̄%d·1 + μ%d                  = %s + %s = %s\n", k, k, k, number(s.dz[k]),
               signed_number(s.mu[k]), number(s.dmu[k]));
    for (int k = 0; k < NZ; k++)
        printf("v̄%d = z̄%d·½σ%d·ε%d + ½(e^v%d - 1)  = %s·½·(%s)·%s + ½(%s - 1) = %s + %s = %s\n", k,
               k, k, k, k, signed_number(s.dz[k]), number(s.sigma[k]), signed_number(tiny_eps[k]),
               number(exp(s.v[k])), number(s.dz[k] * s.sigma[k] * tiny_eps[k] / 2),
               signed_number((exp(s.v[k]) - 1) / 2), number(s.dv[k]));
    TP_TRY(learn_expect("dmu1", s.dmu[1], -1.5, 1e-14));
    TP_TRY(learn_expect("dv0", s.dv[0], 1, 1e-14));
    return learn_expect("dv1", s.dv[1], -0.5, 1e-14);
}

static tp_status backward_heads(void)
{
    tiny_weights w = tiny_start();
    pass s = tiny_pass();
    printf("b̄μ = μ̄, W̄μ = μ̄ hᵀ;  b̄v = v̄, W̄v = v̄ hᵀ\n");
    text_outer("  W̄μ", NZ, NH, s.dmu, s.h, s.d.wm[0]);
    text_outer("  W̄v", NZ, NH, s.dv, s.h, s.d.wv[0]);
    printf("h̄ = Wvᵀ v̄ + Wμᵀ μ̄, ");
    printf("first what comes from Wv\n");
    transposed("h̄", NZ, NH, w.wv[0], s.dv, s.dh_v);
    printf("then, added to it, what comes from Wμ\n");
    for (int j = 0; j < NH; j++)
        text_dot("h̄", j, NZ, w.wm[0] + j, NH, s.dmu, s.dh_v[j], s.dh[j], "");
    return TP_OK;
}

static tp_status backward_encoder(void)
{
    pass s = tiny_pass();
    printf("ā = h̄ where a > 0, else 0\n");
    printf("  ā = %s\n", list(NH, s.da));
    printf("b̄1 = ā, W̄1 = ā xᵀ\n");
    text_outer("  W̄1", NH, NX, s.da, tiny_x, s.d.w1[0]);
    TP_TRY(learn_expect("dh1", s.dh[1], -2, 1e-14));
    return learn_expect("da0", s.da[0], 2, 1e-14);
}

/* --- beside tapir --------------------------------------------------------------------------------- */

static void print_row(const double *x, int n, bool last)
{
    for (int j = 0; j < n; j++)
        printf("%7.3f", fabs(x[j]) < 5e-4 ? 0 : x[j]);
    printf("%s%*s", last ? "\n" : "", last ? 0 : 7 * (NH - n) + 1, "");
}

/* Three ways to the same 63 numbers; what the text says of them. */
static tp_status table(void)
{
    tiny_vae m;
    pass s = tiny_pass();
    double hand[TINY_COUNT], tape[TINY_COUNT], slope[TINY_COUNT];
    TP_TRY(tiny_vae_start(&m));
    tiny_graph graph = tiny_vae_loss(&m, 1);
    TP_TRY(tp_backward(graph.loss));
    TP_TRY(learn_expect("loss", tp_item_of(graph.loss), s.loss, 1e-12));
    memcpy(hand, &s.d, sizeof hand);
    tiny_vae_gradients(&m, tape);
    tiny_differences(1, slope);
    printf("%-16s%-29s%-29s%s\n", "", "by hand", "tp_backward", "central difference");
    for (int i = 0, at = 0; i < m.params.n; i++) {
        const tp_parameter *p = m.params.item[i];
        int columns = (int)p->value.shape.dim[p->value.shape.ndim - 1];
        int rows = (int)tp_numel(&p->value) / columns;
        for (int r = 0; r < rows; r++, at += columns) {
            printf("%-14s", r == 0 ? p->name : "");
            print_row(hand + at, columns, false);
            print_row(tape + at, columns, false);
            print_row(slope + at, columns, true);
        }
    }
    int zeros = 0;
    for (int i = 0; i < TINY_COUNT; i++) {
        zeros += hand[i] == 0;
        TP_TRY(learn_expect("gradient by hand", hand[i], tape[i], 1e-12));
        TP_TRY(learn_expect("central difference", slope[i], tape[i], 1e-8));
    }
    printf("all %d agree, within 1e-12 and 1e-8; %d are 0\n", TINY_COUNT, zeros);
    tiny_vae_free(&m);
    return TP_OK;
}

/* The same for any numbers: nothing depends on the ones that suit a pencil. */
static tp_status random_networks(void)
{
    enum { NETWORKS = 200, DRAWS = TINY_COUNT + NX + NZ };
    tp_tensor draw;
    TP_TRY(tp_tensor_new(&draw, TP_F64, TP_SHAPE(DRAWS)));
    for (int n = 0; n < NETWORKS; n++) {
        tiny_vae m;
        tiny_weights w;
        double from[DRAWS], hand[TINY_COUNT], tape[TINY_COUNT];
        TP_TRY(tp_random_normal(&draw, (tp_rng_key){.seed = 10, .step = (uint64_t)n}));
        for (int i = 0; i < DRAWS; i++)
            from[i] = tp_flat(&draw, i);
        for (int i = 0; i < NX; i++) /* pixels are 0 or 1 */
            from[TINY_COUNT + i] = from[TINY_COUNT + i] > 0;
        memcpy(&w, from, sizeof w);
        pass s = by_hand(&w, from + TINY_COUNT, from + TINY_COUNT + NX, 1);
        TP_TRY(tiny_vae_init(&m, &w, 1, from + TINY_COUNT, from + TINY_COUNT + NX));
        TP_TRY(tp_backward(tiny_vae_loss(&m, 1).loss));
        memcpy(hand, &s.d, sizeof hand);
        tiny_vae_gradients(&m, tape);
        for (int i = 0; i < TINY_COUNT; i++)
            TP_TRY(learn_expect("a gradient", hand[i], tape[i], 1e-12 * fmax(1, fabs(tape[i]))));
        tiny_vae_free(&m);
    }
    tp_tensor_free(&draw);
    printf("%d networks with random weights, examples and noise: %d gradients by hand agree with "
           "tp_backward\n",
           NETWORKS, NETWORKS * TINY_COUNT);
    return TP_OK;
}

static const tp_explain_opts shown = {
    .numbers = true, .check = true, .notation.symbols = tiny_symbols};

/* The steps of the sweep around the latent, or at the heads, as the framework explains them. */
static tp_status explain(bool latent)
{
    tiny_vae m;
    TP_TRY(tiny_vae_start(&m));
    tiny_graph g = tiny_vae_loss(&m, 1);
    tp_sweep s = tp_sweep_begin(g.loss, (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s))
        if (latent ? s.at == g.kld.id || s.at == g.z.id
                   : s.at == g.logvar.id || s.at == g.mu.id || s.at == g.h.id) {
            TP_TRY(tp_explain_step(stdout, &s, shown));
            putchar('\n');
        }
    TP_TRY(tp_sweep_end(&s));
    tiny_vae_free(&m);
    return TP_OK;
}

static tp_status one_number(void)
{
    tiny_vae m;
    TP_TRY(tiny_vae_start(&m));
    tp_var loss = tiny_vae_loss(&m, 1).loss;
    TP_TRY(tp_explain_element(stdout, loss, tp_param(m.tape, &m.enc.bias), 3, shown));
    tiny_vae_free(&m);
    return TP_OK;
}

static tp_status explain_latent(void)
{
    return explain(true);
}

static tp_status explain_heads(void)
{
    return explain(false);
}

/* --- variations ----------------------------------------------------------------------------------- */

static tp_status batch(void)
{
    static const double x[2][NX] = {{1, 0, 1}, {0, 1, 1}}, eps[2][NZ] = {{-2, 1}, {1, -1}};
    tiny_vae m;
    tiny_weights w = tiny_start();
    double one[2][TINY_COUNT], both[TINY_COUNT], loss[2];
    for (int n = 0; n < 2; n++) {
        pass s = by_hand(&w, x[n], eps[n], 1);
        memcpy(one[n], &s.d, sizeof one[n]);
        loss[n] = s.loss;
    }
    TP_TRY(tiny_vae_init(&m, &w, 2, x[0], eps[0]));
    tp_var l = tiny_vae_loss(&m, 1).loss;
    TP_TRY(tp_backward(l));
    tiny_vae_gradients(&m, both);
    printf("              x = [1 0 1]  x = [0 1 1]   mean     tp_backward, both in one batch\n");
    printf("loss          %9.5f  %11.5f  %9.5f  %9.5f\n", loss[0], loss[1], (loss[0] + loss[1]) / 2,
           tp_item_of(l));
    for (int i = 0, at = 0; i < m.params.n; i++) { /* the biases tell enough */
        int n = (int)tp_numel(&m.params.item[i]->value);
        for (int k = 0; k < n && i % 2 == 1; k++)
            printf("%-11s %d %9.5f  %11.5f  %9.5f  %9.5f\n", m.params.item[i]->name, k,
                   one[0][at + k], one[1][at + k], (one[0][at + k] + one[1][at + k]) / 2,
                   both[at + k] == 0 ? 0 : both[at + k]);
        at += n;
    }
    for (int i = 0; i < TINY_COUNT; i++)
        TP_TRY(learn_expect("batch", both[i], (one[0][i] + one[1][i]) / 2, 1e-12));
    tiny_vae_free(&m);
    return TP_OK;
}

static tp_status beta(void)
{
    static const double betas[] = {0, 1, 4};
    tiny_weights w = tiny_start();
    for (int i = 0; i < 3; i++) {
        tiny_vae m;
        double tape[TINY_COUNT], hand[TINY_COUNT];
        pass s = by_hand(&w, tiny_x, tiny_eps, betas[i]);
        TP_TRY(tiny_vae_start(&m));
        tiny_graph g = tiny_vae_loss(&m, betas[i]);
        TP_TRY(tp_backward(g.loss));
        tp_objective same =
            tp_negative_elbo(tp_neg(g.sum_bce), g.sum_kld, (tp_elbo_opts){.beta = betas[i]});
        TP_TRY(learn_expect("tp_negative_elbo", tp_item_of(same.total), s.loss, 1e-12));
        tiny_vae_gradients(&m, tape);
        memcpy(hand, &s.d, sizeof hand);
        for (int k = 0; k < TINY_COUNT; k++)
            TP_TRY(learn_expect("beta", hand[k], tape[k], 1e-12));
        printf("β = %g   loss %.5f   μ̄ = %s   v̄ = %s   z̄ = %s\n", betas[i], s.loss, list(NZ, s.dmu),
               list(NZ, s.dv), list(NZ, s.dz));
        tiny_vae_free(&m);
    }
    return TP_OK;
}

static tp_status prior(void)
{
    static const double v[] = {-4, -1.3862943611198906, -0.01, 0, 0.01, 1, 4};
    printf("      v     KL at μ = 0   ∂KL/∂v = ½(e^v - 1)\n");
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        printf("%8.4f  %12.5f  %12.5f\n", v[i], (expm1(v[i]) - v[i]) / 2, expm1(v[i]) / 2);
    return TP_OK;
}

/* −E log p(x|z) over all noise and −log p(x), as sums over a grid of z: two latents are few enough. */
static tp_status one_sample(void)
{
    tiny_weights w = tiny_start();
    pass s = tiny_pass();
    double recon = 0, evidence = 0, h = 0.02;
    for (int i = -350; i <= 350; i++)
        for (int j = -350; j <= 350; j++) {
            double eps[NZ] = {i * h, j * h};
            double density =
                exp(-(tiny_square(i * h) + tiny_square(j * h)) / 2) / (2 * acos(-1)) * h * h;
            recon += density * tiny_decode(&w, s.mu, s.sigma, eps, tiny_x);
            evidence +=
                density * exp(-tiny_decode(&w, (double[]){0, 0}, (double[]){1, 1}, eps, tiny_x));
        }
    printf("this ε alone        recon %.4f + KL %.4f = %.4f\n", s.recon, s.kl, s.loss);
    printf("mean over all ε     recon %.4f + KL %.4f = %.4f = -ELBO\n", recon, s.kl, recon + s.kl);
    printf("-log p(x)           %.4f\n", -log(evidence));
    printf("-ELBO + log p(x)    %.4f = KL(q(z|x) ‖ p(z|x))\n", recon + s.kl + log(evidence));
    return TP_OK;
}

/* --- mistakes ------------------------------------------------------------------------------------- */

static void mistake(const char *what, const char *gives, const char *right)
{
    text_pad(what, 42);
    text_pad(gives, 26);
    printf("%s\n", right);
}

static void mistaken_loss(const char *what, double gives, double right)
{
    char text[16];
    snprintf(text, sizeof text, "%.5f", gives);
    mistake(what, text, note("%.5f", right));
}

static tp_status mistakes_forward(void)
{
    tiny_weights w = tiny_start();
    pass s = tiny_pass();
    double variance[NZ], per_sigma = 0;
    for (int k = 0; k < NZ; k++) {
        variance[k] = exp(s.v[k]);
        per_sigma += (tiny_square(s.mu[k]) + s.sigma[k] - log(s.sigma[k]) - 1) / 2;
    }
    mistake("wrong function, right gradient of it", "gives", "instead of");
    mistake("z1 = μ1 + σ1²·ε1", number(s.mu[1] + variance[1] * tiny_eps[1]), number(s.z[1]));
    mistaken_loss("  and with it recon", tiny_decode(&w, s.mu, variance, tiny_eps, tiny_x),
                  s.recon);
    mistaken_loss("recon of p in place of the logits", tiny_bce(s.p, tiny_x), s.recon);
    mistaken_loss("recon as a mean over the pixels", s.recon / 3, s.recon);
    mistaken_loss("KL = ½Σ(μ² + σ - ln σ - 1)", per_sigma, s.kl);
    mistaken_loss("KL = Σ(μ² + e^v - v - 1)", 2 * s.kl, s.kl);
    mistaken_loss("loss = recon - KL", s.recon - s.kl, s.loss);
    return TP_OK;
}

static tp_status mistakes_backward(void)
{
    static const double other[NZ] = {1, -1};
    tiny_weights w = tiny_start();
    pass s = tiny_pass(), t = s;
    for (int i = 0; i < NX; i++)
        t.dl[i] *= s.p[i] * (1 - s.p[i]);
    for (int k = 0; k < NZ; k++) {
        t.dz[k] += w.w2[2][k] * s.dg[2];
        t.dmu[k] = s.dz[k] - s.mu[k];
        t.dv[k] = s.dz[k] * s.sigma[k] * tiny_eps[k] + expm1(s.v[k]) / 2;
    }
    mistake("right function, wrong gradient", "gives", "instead of");
    mistake("l̄ = (p - x)·p(1 - p)", list(NX, t.dl), list(NX, s.dl));
    mistake("c̄ = ḡ, no mask", list(NH, s.dg), list(NH, s.dc));
    mistake("  and with it z̄", list(NZ, t.dz), list(NZ, s.dz));
    mistake("μ̄ where z is drawn, not computed", list(NZ, s.mu), list(NZ, s.dmu));
    mistake("μ̄ = z̄ - μ", list(NZ, t.dmu), list(NZ, s.dmu));
    mistake("v̄ = z̄·σ·ε + ½(e^v - 1), one ½ lost", list(NZ, t.dv), list(NZ, s.dv));
    mistake("h̄ = Wμᵀ μ̄, = in place of +=", list(NH, s.dh_mu), list(NH, s.dh));
    double step = 1e-5, plus, minus;
    w.bm[0] += step, plus = by_hand(&w, tiny_x, tiny_eps, 1).loss;
    w.bm[0] -= 2 * step, minus = by_hand(&w, tiny_x, other, 1).loss;
    mistake("difference by bμ0, new ε for each side", note("%.0f", (plus - minus) / (2 * step)),
            number(s.d.bm[0]));
    return TP_OK;
}

/* --- answers to the exercises --------------------------------------------------------------------- */

static void print_latent(const char *title, const pass *s)
{
    printf("%s recon %.4f  μ̄ = %s  v̄ = %s\n", title, s->recon, list(NZ, s->dmu), list(NZ, s->dv));
}

static tp_status exercises(void)
{
    static const double zero[NZ] = {0, 0}, opposite[NZ] = {2, -1};
    tiny_weights w = tiny_start();
    pass s = by_hand(&w, tiny_x, zero, 1);
    print_latent("1  ε = 0", &s);
    s = by_hand(&w, tiny_x, opposite, 1);
    pass t = tiny_pass();
    print_latent("2  ε    ", &t);
    print_latent("   -ε   ", &s);
    printf("   mean  recon %.4f  μ̄ = [%.4f  %.4f]  v̄ = [%.4f  %.4f]\n", (s.recon + t.recon) / 2,
           (s.dmu[0] + t.dmu[0]) / 2, (s.dmu[1] + t.dmu[1]) / 2, (s.dv[0] + t.dv[0]) / 2,
           (s.dv[1] + t.dv[1]) / 2);
    w.b2[2] = 0.5;
    s = by_hand(&w, tiny_x, tiny_eps, 1);
    printf("3  c2 = %s, l = [%.4f  %.4f  %.4f], p = [%.4f  %.4f  %.4f], c̄2 = %.4f\n",
           number(s.c[2]), s.l[0], s.l[1], s.l[2], s.p[0], s.p[1], s.p[2], s.dc[2]);
    printf("   b̄3, W̄3, W̄2, b̄2 change, row 2 of W̄2 = [%.4f  %.4f]\n", s.d.w2[2][0], s.d.w2[2][1]);
    w = tiny_start();
    s = by_hand(&w, tiny_x, tiny_eps, 2);
    printf("4  β = 2: v̄ = %s, row 1 of W̄v = %s\n", list(NZ, s.dv), list(NH, s.d.wv[1]));
    s = tiny_pass();
    double squares = 0;
    for (int i = 0; i < NX; i++)
        squares += tiny_square(tiny_x[i] - s.l[i]) / 2;
    printf("5  l̄ = l - x = [%.4f  %.4f  %.4f], recon %.4f + %.4f = %.4f\n", s.l[0] - tiny_x[0],
           s.l[1] - tiny_x[1], s.l[2] - tiny_x[2], squares, 1.5 * log(2 * acos(-1)),
           squares + 1.5 * log(2 * acos(-1)));
    return TP_OK;
}

static tp_status picture_values(void)
{
    pass s = tiny_pass();
    tiny_picture_values(&s);
    return TP_OK;
}

static tp_status picture_gradients(void)
{
    pass s = tiny_pass();
    tiny_picture_gradients(&s);
    return TP_OK;
}

int main(int argc, char **argv)
{
    static const learn_section sections[] = {{"forward-encoder", forward_encoder},
                                             {"forward-latent", forward_latent},
                                             {"forward-decoder", forward_decoder},
                                             {"loss", loss},
                                             {"backward-decoder", backward_decoder},
                                             {"backward-latent", backward_latent},
                                             {"backward-heads", backward_heads},
                                             {"backward-encoder", backward_encoder},
                                             {"table", table},
                                             {"random-networks", random_networks},
                                             {"explain-latent", explain_latent},
                                             {"explain-heads", explain_heads},
                                             {"one-number", one_number},
                                             {"batch", batch},
                                             {"beta", beta},
                                             {"prior", prior},
                                             {"one-sample", one_sample},
                                             {"mistakes-forward", mistakes_forward},
                                             {"mistakes-backward", mistakes_backward},
                                             {"exercises", exercises},
                                             {"picture-values", picture_values},
                                             {"picture-gradients", picture_gradients},
                                             {0}};
    return learn_main(argc, argv, sections);
}
