/* 08_directions.c: KL(q ‖ p) and KL(p ‖ q), each made as small as a normal q can make it: for a posterior whose dimensions
 * hang together, and for one with two peaks. Part of chapter 8, 08_variational.md. */
#include "docs/learn/parts/08_directions.h"
#include "docs/learn/plot.h"

#include <math.h>
#include <stdio.h>

/* A few numbers on the tape: f64 [n]. */
static tp_var vector(tp_tape *t, int n, const double *v)
{
    tp_var each[4];
    for (int i = 0; i < n; i++)
        each[i] = tp_scalar(t, TP_F64, v[i]);
    return tp_stack(each, n, 0);
}

static double at(tp_var v, int64_t i)
{
    const tp_tensor *value = tp_value(v);
    return value == NULL ? NAN : tp_flat(value, i);
}

/* --- a posterior that is no product --------------------------------------------------------------- */

/* z ~ N(0, I) in the plane and x = z1 + z2 + noise of variance 1/4: p(z|x) is normal with precision A = [5 4; 4 5]
 * and, for x = 9/4, mean (1, 1). */
static tp_dist correlated(tp_tape *t)
{
    tp_var variance = tp_scale(vector(t, 4, (double[]){5, -4, -4, 5}), 1 / 9.0);
    return tp_mvn_covariance(vector(t, 2, (double[]){1, 1}), tp_reshape(variance, TP_SHAPE(2, 2)));
}

/* What is learned in this chapter, and a loss of it. */
typedef struct fit {
    tp_tape *tape;
    tp_params params;
    tp_parameter mu, logvar;
    tp_var (*loss)(struct fit *f);
} fit;

static tp_status fit_init(fit *f, tp_tape *t, int64_t n, double mu, tp_var (*loss)(fit *))
{
    *f = (fit){.tape = t, .params = tp_params_make(TP_F64, 1), .loss = loss};
    TP_TRY(tp_params_add(&f->params, &f->mu, "mu", TP_SHAPE(n)));
    TP_TRY(tp_params_add(&f->params, &f->logvar, "logvar", TP_SHAPE(n)));
    return tp_fill(&f->mu.value, mu);
}

static tp_dist q_normal(fit *f)
{
    return tp_normal_logvar(tp_param(f->tape, &f->mu), tp_param(f->tape, &f->logvar));
}

static tp_status descend(fit *f, int steps, double rate)
{
    tp_optimizer o;
    tp_sgd_opts opts = tp_sgd_defaults();
    opts.lr = rate;
    TP_TRY(tp_sgd_init(&o, &f->params, opts));
    for (int i = 0; i < steps; i++) {
        tp_tape_reset(f->tape);
        tp_params_zero_grad(&f->params);
        TP_TRY(tp_backward(f->loss(f)));
        TP_TRY(tp_optimizer_step(&o));
    }
    tp_optimizer_free(&o);
    tp_tape_reset(f->tape);
    return TP_OK;
}

static tp_var q_from_p(fit *f)
{
    return tp_kl(q_normal(f), correlated(f->tape));
}

static tp_var p_from_q(fit *f)
{
    return tp_kl(correlated(f->tape), q_normal(f));
}

tp_status directions_mean_field(tp_tape *t)
{
    printf("                      mean              variances         KL(q ‖ p)   KL(p ‖ q)\n");
    printf("p(z|x)                1.0000  1.0000    0.5556  0.5556    correlation -0.8\n");
    for (int i = 0; i < 2; i++) {
        fit f;
        TP_TRY(fit_init(&f, t, 2, 0, i == 0 ? q_from_p : p_from_q));
        TP_TRY(descend(&f, 500, 0.1));
        tp_var v = tp_dist_variance(q_normal(&f));
        double qp = tp_item_of(q_from_p(&f)), pq = tp_item_of(p_from_q(&f));
        printf("q least %s     %.4f  %.4f    %.4f  %.4f    %.4f      %.4f\n",
               i == 0 ? "KL(q ‖ p)" : "KL(p ‖ q)", tp_flat(&f.mu.value, 0), tp_flat(&f.mu.value, 1),
               at(v, 0), at(v, 1), qp, pq);
        TP_TRY(learn_expect("the variance", at(v, 0), i == 0 ? 1 / 5.0 : 5 / 9.0, 1e-9));
        TP_TRY(learn_expect("log 5/3", i == 0 ? qp : pq, log(5 / 3.0), 1e-9));
        tp_params_free(&f.params);
    }
    double log_p = -(9 / 4.0 + log(2.25) + log(8 * atan(1))) / 2; /* x ~ N(0, 9/4) */
    printf("log p(x) = %.4f, the best ELBO of independent normals = %.4f\n", log_p,
           log_p - log(5 / 3.0));
    return tp_tape_status(t);
}

tp_status directions_picture_ellipses(void)
{
    const plot p = {40, 30, 360, 350, -0.25, 2.25, -0.25, 2.25};
    draw_begin(720, 400, "A correlated posterior and two normal distributions without correlation");
    plot_axis(&p, 3, (double[]){0, 1, 2}, "%.0f", "z1");
    plot_line(&p, p.x0, p.y0, p.x0, p.y1, DRAW_GREY, "");
    plot_text(&p, p.x0, p.y1, -16, 12, "middle", DRAW_GREY, "z2");
    /* The covariance has the eigenvalue 1 along (1, −1), and 1/9 along (1, 1). */
    plot_ellipse(&p, 1, 1, 1, sqrt(1 / 9.0), DRAW_INK, "");
    plot_ellipse(&p, 1, 1, sqrt(1 / 5.0), sqrt(1 / 5.0), PLOT_ORANGE, "");
    plot_ellipse(&p, 1, 1, sqrt(5 / 9.0), sqrt(5 / 9.0), PLOT_BLUE, "stroke-dasharray='8 5'");
    plot_text(&p, p.x1, 1.8, 30, 0, "start", DRAW_INK, "p(z|x), one standard deviation");
    plot_text(&p, p.x1, 1.4, 30, 0, "start", PLOT_ORANGE, "least KL(q ‖ p): variances 1/5,");
    plot_text(&p, p.x1, 1.4, 30, 20, "start", PLOT_ORANGE, "too narrow for each axis");
    plot_text(&p, p.x1, 0.9, 30, 0, "start", PLOT_BLUE, "least KL(p ‖ q), dashed: as wide");
    plot_text(&p, p.x1, 0.9, 30, 20, "start", PLOT_BLUE, "as p is along each axis, variances 5/9");
    draw_end();
    return TP_OK;
}

/* --- two peaks ------------------------------------------------------------------------------------ */

/* Integrals over z are sums over a grid: exact to many digits for functions that fade out at its ends. */
enum { GRID = 401 };
static const double STEP = 0.03;

static tp_var grid(tp_tape *t) /* [GRID, 1] */
{
    tp_var ones = tp_full(t, TP_F64, TP_SHAPE(GRID, 1), 1);
    return tp_scale(tp_shift(tp_cumsum(ones, 0), -(GRID + 1) / 2.0), STEP);
}

static tp_dist two_peaks(tp_tape *t)
{
    tp_var means = tp_unsqueeze(vector(t, 2, (double[]){-2, 2}), 1); /* [2, 1] */
    return tp_mixture(vector(t, 2, (double[]){0, 0}), tp_normal_fixed(means, 2 * log(0.5)));
}

/* ∫ a log(a/b) dz */
static tp_var kl_on_grid(tp_tape *t, tp_dist a, tp_dist b)
{
    tp_var log_a = tp_dist_logprob(a, grid(t)), log_b = tp_dist_logprob(b, grid(t));
    return tp_scale(tp_sum(tp_mul(tp_exp(log_a), tp_sub(log_a, log_b)), TP_ALL_AXES, false), STEP);
}

static tp_var seek(fit *f)
{
    return kl_on_grid(f->tape, q_normal(f), two_peaks(f->tape));
}

static tp_var cover(fit *f)
{
    return kl_on_grid(f->tape, two_peaks(f->tape), q_normal(f));
}

tp_status directions_peaks(tp_tape *t)
{
    const struct {
        const char *name;
        double start;
        tp_var (*loss)(fit *);
    } row[] = {{"KL(q ‖ p), from the left ", -1, seek},
               {"KL(q ‖ p), from the right", 1, seek},
               {"KL(p ‖ q)                ", 0.5, cover}};
    printf("least                        mean      sigma    KL(q ‖ p)   KL(p ‖ q)\n");
    for (int i = 0; i < 3; i++) {
        fit f;
        TP_TRY(fit_init(&f, t, 1, row[i].start, row[i].loss));
        TP_TRY(descend(&f, 600, i < 2 ? 0.1 : 0.5));
        double mu = tp_flat(&f.mu.value, 0), sigma = exp(tp_flat(&f.logvar.value, 0) / 2);
        printf("%s %7.4f    %.4f    %.4f      %7.4f\n", row[i].name, fabs(mu) < 1e-9 ? 0 : mu,
               sigma, tp_item_of(seek(&f)), tp_item_of(cover(&f)));
        tp_params_free(&f.params);
    }
    printf("log 2 = %.4f\n", log(2));
    return tp_tape_status(t);
}

/* A normal density, in y at the points of x. */
static void bell(int n, const double *x, double mu, double sigma, double *y)
{
    for (int i = 0; i < n; i++)
        y[i] = exp(-pow((x[i] - mu) / sigma, 2) / 2) / (sigma * sqrt(8 * atan(1)));
}

tp_status directions_picture_peaks(void)
{
    enum { N = 121, MIDDLE = N / 2 };
    const plot p = {30, 20, 690, 320, -6, 6, 0, 0.85};
    double x[N], left[N], right[N], both[N], wide[N];
    for (int i = 0; i < N; i++)
        x[i] = (i - MIDDLE) * 0.1;
    bell(N, x, -2, 0.5, left), bell(N, x, 2, 0.5, right), bell(N, x, 0, sqrt(4.25), wide);
    for (int i = 0; i < N; i++)
        both[i] = (left[i] + right[i]) / 2;
    draw_begin(720, 370, "Two peaks, a normal distribution on one of them, and one over both");
    plot_axis(&p, 5, (double[]){-4, -2, 0, 2, 4}, "%.0f", "z");
    plot_curve(&p, N, x, both, DRAW_INK, "");
    plot_curve(&p, N, x, right, PLOT_ORANGE, "stroke-dasharray='2 3'");
    plot_curve(&p, N, x, wide, PLOT_BLUE, "stroke-dasharray='8 5'");
    plot_text(&p, -2, 0.4, 0, -14, "middle", DRAW_INK, "p: two peaks");
    plot_text(&p, 2, 0.8, -30, 12, "end", PLOT_ORANGE, "least KL(q ‖ p)");
    plot_text(&p, 0, 0.2, 0, -14, "middle", PLOT_BLUE, "least KL(p ‖ q)");
    draw_end();
    return TP_OK;
}
