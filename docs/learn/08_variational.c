/* 08_variational.c: the evidence lower bound on models so small that everything about them is known exactly. Read
 * 08_variational.md beside it. Nothing is sampled here: expectations are sums or closed forms. */
#include "docs/learn/parts/08_amortize.h"
#include "docs/learn/parts/08_directions.h"
#include "docs/learn/plot.h"

#include <math.h>
#include <stdio.h>

static tp_tape *tape;

/* A few numbers on the tape: f64 [n]. */
enum { FEW = 8 };
static tp_var vector(int n, const double *v)
{
    tp_var each[FEW];
    for (int i = 0; i < n; i++)
        each[i] = tp_scalar(tape, TP_F64, v[i]);
    return tp_stack(each, n, 0);
}

static tp_var total(tp_var x)
{
    return tp_sum(x, TP_ALL_AXES, false);
}

static double entry(tp_var v, int64_t i)
{
    const tp_tensor *value = tp_value(v);
    return value == NULL ? NAN : tp_flat(value, i);
}

/* --- a model with two states ---------------------------------------------------------------------- */

static const double X = 0.8;

/* p(z): two states; p(x|z) = N(−1, 1) for the first and N(2, 1) for the second. */
static tp_dist prior(void)
{
    return tp_categorical_logits(tp_log(vector(2, (double[]){0.6, 0.4})));
}

/* log p(x|z) for both z: [2] */
static tp_var log_likelihood(double x)
{
    tp_var means = tp_unsqueeze(vector(2, (double[]){-1, 2}), 1); /* [2, 1] */
    tp_dist p = tp_normal_fixed(means, 0);                        /* log-variance 0 */
    return tp_dist_logprob(p, tp_full(tape, TP_F64, TP_SHAPE(2, 1), x));
}

/* log p(x, z) = log p(z) + log p(x|z) for both z: [2] */
static tp_var log_joint(double x)
{
    return tp_add(tp_log_softmax(prior().param[0], -1), log_likelihood(x));
}

/* log p(x) = log Σ_z p(x, z) */
static tp_var log_evidence(double x)
{
    return tp_logsumexp(log_joint(x), TP_ALL_AXES, false);
}

/* p(z|x) ∝ p(x, z) */
static tp_dist posterior(double x)
{
    return tp_categorical_logits(log_joint(x));
}

static tp_dist q_of(double first)
{
    return tp_categorical_logits(tp_log(vector(2, (double[]){first, 1 - first})));
}

/* Σ_z q(z) f(z) */
static tp_var expectation(tp_dist q, tp_var f)
{
    return total(tp_mul(tp_dist_mean(q), f));
}

/* E_q[log p(x, z) − log q(z)] */
static tp_var elbo(tp_dist q, double x)
{
    return expectation(q, tp_sub(log_joint(x), tp_log_softmax(q.param[0], -1)));
}

static tp_status model(void)
{
    tp_tape_reset(tape);
    tp_var joint = tp_exp(log_joint(X)), known = tp_dist_mean(posterior(X));
    printf("            z = first   z = second        sum\n");
    printf("p(z)           %.4f       %.4f\n", entry(tp_dist_mean(prior()), 0),
           entry(tp_dist_mean(prior()), 1));
    printf("p(x|z)         %.4f       %.4f\n", exp(entry(log_likelihood(X), 0)),
           exp(entry(log_likelihood(X), 1)));
    printf("p(x, z)        %.4f       %.4f     %.4f = p(x)\n", entry(joint, 0), entry(joint, 1),
           tp_item_of(total(joint)));
    printf("p(z|x)         %.4f       %.4f     1\n", entry(known, 0), entry(known, 1));
    printf("log p(x) = %.4f\n", tp_item_of(log_evidence(X)));
    return tp_tape_status(tape);
}

/* --- log p = ELBO + KL ---------------------------------------------------------------------------- */

static tp_status identity(void)
{
    tp_tape_reset(tape);
    double exact = entry(tp_dist_mean(posterior(X)), 0), log_p = tp_item_of(log_evidence(X));
    const struct {
        const char *name;
        double first;
    } row[] = {{"bad", 0.9}, {"the prior", 0.6}, {"better", 0.45}, {"exact", exact}};
    printf("q(z)        q(first)   ELBO             KL(q ‖ p(z|x))   sum\n");
    for (int i = 0; i < 4; i++) {
        tp_dist q = q_of(row[i].first);
        double bound = tp_item_of(elbo(q, X)), kl = tp_item_of(tp_kl(q, posterior(X)));
        printf("%-10s  %.4f    %.10f    %.10f     %.10f\n", row[i].name, row[i].first, bound,
               fabs(kl), bound + kl); /* no -0 */
        TP_TRY(learn_expect("ELBO + KL", bound + kl, log_p, 1e-14));
    }
    printf("log p(x)                                                %.10f\n", log_p);
    return tp_tape_status(tape);
}

static tp_status forms(void)
{
    tp_tape_reset(tape);
    tp_dist q = q_of(0.45);
    double recon = tp_item_of(expectation(q, log_likelihood(X)));
    double kl = tp_item_of(tp_kl(q, prior()));
    double energy = tp_item_of(expectation(q, log_joint(X)));
    double entropy = tp_item_of(tp_dist_entropy(q));
    printf("E_q[log p(x|z)] - KL(q ‖ p(z))     = %.4f - %.4f = %.4f\n", recon, kl, recon - kl);
    printf("E_q[log p(x, z)] + entropy of q    = %.4f + %.4f = %.4f\n", energy, entropy,
           energy + entropy);
    printf("log p(x) - KL(q ‖ p(z|x))          = %.4f - %.4f = %.4f\n", tp_item_of(log_evidence(X)),
           tp_item_of(tp_kl(q, posterior(X))),
           tp_item_of(log_evidence(X)) - tp_item_of(tp_kl(q, posterior(X))));
    printf("KL(q ‖ p(z)) added by mistake: %.4f, above log p(x): %s\n", recon + kl,
           recon + kl > tp_item_of(log_evidence(X)) ? "yes" : "no");
    /* The reconstruction term where the decoder is not linear: p(x = 1|z) = σ(z), q = N(0, 1). */
    double sum = 0, h = 0.01;
    for (int i = -900; i <= 900; i++) {
        double z = i * h;
        sum -= h * exp(-z * z / 2) / sqrt(8 * atan(1)) * log1p(exp(-z));
    }
    printf("E[log sigmoid(z)], z ~ N(0, 1): %.4f; log sigmoid(E z) = %.4f\n", sum, -log(2));
    TP_TRY(learn_expect("the two forms", energy + entropy, recon - kl, 1e-14));
    return tp_tape_status(tape);
}

/* --- Jensen --------------------------------------------------------------------------------------- */

/* The two values of w(z) = p(x, z)/q(z); q chooses the first with probability q. */
static const double Q_JENSEN = 0.8;
static void weights(double w[2])
{
    tp_var joint = tp_exp(log_joint(X));
    w[0] = entry(joint, 0) / Q_JENSEN;
    w[1] = entry(joint, 1) / (1 - Q_JENSEN);
}

static tp_status jensen(void)
{
    double w[2];
    tp_tape_reset(tape);
    weights(w);
    double mean = Q_JENSEN * w[0] + (1 - Q_JENSEN) * w[1];
    double mean_log = Q_JENSEN * log(w[0]) + (1 - Q_JENSEN) * log(w[1]);
    printf("w = p(x, z)/q(z): %.4f with probability 0.8, %.4f with probability 0.2\n", w[0], w[1]);
    printf("E[w] = %.4f = p(x)\n", mean);
    printf("log E[w] = %.4f = log p(x)\n", log(mean));
    printf("E[log w] = %.4f = ELBO\n", mean_log);
    printf("the gap is %.4f = KL(q ‖ p(z|x)) = %.4f\n", log(mean) - mean_log,
           tp_item_of(tp_kl(q_of(Q_JENSEN), posterior(X))));
    return tp_tape_status(tape);
}

static tp_status picture_jensen(void)
{
    enum { N = 101 };
    const plot p = {50, 30, 690, 340, 0.03, 0.45, -3.3, -0.6};
    double w[2], x[N], y[N];
    tp_tape_reset(tape);
    weights(w);
    double mean = Q_JENSEN * w[0] + (1 - Q_JENSEN) * w[1];
    double mean_log = Q_JENSEN * log(w[0]) + (1 - Q_JENSEN) * log(w[1]);
    for (int i = 0; i < N; i++)
        x[i] = 0.04 + 0.004 * i, y[i] = log(x[i]);
    draw_begin(720, 400, "The logarithm of a mean lies above the mean of the logarithms");
    plot_axis(&p, 3, (double[]){w[0], mean, w[1]}, "%.4f", "w = p(x, z)/q(z)");
    plot_curve(&p, N, x, y, DRAW_INK, "");
    plot_line(&p, w[0], log(w[0]), w[1], log(w[1]), PLOT_BLUE, "");
    plot_line(&p, mean, log(mean), mean, mean_log, PLOT_ORANGE, "stroke-linecap='round'");
    plot_line(&p, mean, mean_log, mean, p.y0, DRAW_GREY, "stroke-dasharray='4 4'");
    plot_dot(&p, w[0], log(w[0]), PLOT_BLUE);
    plot_dot(&p, w[1], log(w[1]), PLOT_BLUE);
    plot_dot(&p, mean, log(mean), DRAW_INK);
    plot_dot(&p, mean, mean_log, PLOT_BLUE);
    plot_text(&p, w[0], log(w[0]), 10, 18, "start", PLOT_BLUE, "q = 0.8");
    plot_text(&p, w[1], log(w[1]), 8, 24, "start", PLOT_BLUE, "q = 0.2");
    plot_text(&p, mean, log(mean), -8, -10, "end", DRAW_INK, "log E[w] = log p(x)");
    plot_text(&p, mean, mean_log, 10, 22, "start", PLOT_BLUE, "E[log w] = ELBO, on the chord");
    plot_text(&p, mean, (log(mean) + mean_log) / 2, 8, 3, "start", PLOT_ORANGE, "KL");
    plot_text(&p, 0.3, log(0.3), 0, -12, "end", DRAW_INK, "log w");
    draw_end();
    return tp_tape_status(tape);
}

/* --- expectation maximisation --------------------------------------------------------------------- */

enum { POINTS = 8, STATES = 2 };
static const double DATA[POINTS] = {-2.3, -1.1, -0.4, 0.2, 1.4, 1.9, 2.4, 3.1};

static tp_status mixture(tp_model *m)
{
    tp_model_config config = tp_model_defaults(&tp_model_gmm);
    config.data_dim = 1, config.latent_dim = STATES;
    TP_TRY(tp_model_set(&config, &tp_model_gmm, "speed", 1)); /* parameters are what they say */
    TP_TRY(tp_model_set(&config, &tp_model_gmm, "logvar", 0));
    TP_TRY(tp_model_init(m, &tp_model_gmm, config, TP_F64, 1));
    TP_TRY(tp_set_flat(&tp_params_find(&m->params, "mu")->value, 0, 0));
    return tp_set_flat(&tp_params_find(&m->params, "mu")->value, 1, 1);
}

/* log p(x, z) of the mixture: the posterior's logits, before softmax divides by p(x). [POINTS, STATES] */
static tp_var mixture_joint(const tp_model *m, const tp_tensor *x)
{
    tp_ctx c = tp_ctx_eval(tape, 0, 0);
    return tp_model_posterior(m, &c, tp_constant(tape, x)).param[0];
}

static double mixture_evidence(const tp_model *m, const tp_tensor *x)
{
    return tp_item_of(total(tp_logsumexp(mixture_joint(m, x), TP_AXES(-1), false)));
}

/* Σ_i E_q[log p(x_i, z) − log q_i(z)] for log q [POINTS, STATES], which need not be this model's posterior. */
static double mixture_elbo(const tp_model *m, const tp_tensor *x, const tp_tensor *log_q)
{
    tp_var q = tp_constant(tape, log_q);
    return tp_item_of(total(tp_mul(tp_exp(q), tp_sub(mixture_joint(m, x), q))));
}

static tp_status em_round(tp_model *m, const tp_tensor *x, int round, bool print)
{
    tp_tensor log_q;
    double unused;
    tp_tape_reset(tape);
    TP_TRY(tp_clone(&log_q, tp_value(tp_log_softmax(mixture_joint(m, x), -1)))); /* E */
    double before = mixture_evidence(m, x), tight = mixture_elbo(m, x, &log_q);
    TP_TRY(tp_gmm_em_step(m, x, &unused)); /* M */
    double raised = mixture_elbo(m, x, &log_q), after = mixture_evidence(m, x);
    const tp_tensor *mu = &tp_params_find(&m->params, "mu")->value;
    if (print)
        printf("%5d   %.4f      %.4f      %.4f      %.4f      %.4f   %7.4f %7.4f\n", round, before,
               tight, raised, after, fabs(after - raised), tp_flat(mu, 0), tp_flat(mu, 1));
    tp_tensor_free(&log_q);
    TP_TRY(learn_expect("the bound after E", tight, before, 1e-12));
    return raised >= tight - 1e-12 && after >= raised - 1e-12 ? TP_OK
                                                              : tp_fail(TP_EVALUE, "EM fell");
}

static tp_status em(void)
{
    tp_model m;
    tp_tensor x;
    TP_TRY(mixture(&m));
    TP_TRY(tp_tensor_from(&x, TP_F64, TP_SHAPE(POINTS, 1), DATA));
    printf("round   log p(data)   after E       after M       log p(data)   gap      means\n");
    for (int round = 1; round <= 40; round++)
        TP_TRY(em_round(&m, &x, round, round <= 4 || round % 20 == 0));
    tp_tensor_free(&x);
    tp_model_free(&m);
    return TP_OK;
}

/* --- from p(x) by many samples: importance weights ------------------------------------------------ */

/* E over K draws of q of a function of their log-weights [K, cases]: j of the K draws hit the second state in case j,
 * which has a binomial probability. */
static double over_draws(int k, double q, const double w[2], tp_var (*f)(tp_var log_w))
{
    tp_tensor log_w;
    double sum = 0;
    if (tp_tensor_new(&log_w, TP_F64, TP_SHAPE(k, k + 1)) != TP_OK)
        return NAN;
    for (int i = 0; i < k * (k + 1); i++)
        tp_set_flat(&log_w, i, log(w[i / (k + 1) < i % (k + 1)]));
    tp_var y = f(tp_constant(tape, &log_w));
    for (int j = 0; j <= k; j++)
        sum += exp(lgamma(k + 1) - lgamma(j + 1) - lgamma(k - j + 1) + (k - j) * log(q) +
                   j * log(1 - q)) *
               entry(y, j);
    tp_tensor_free(&log_w);
    return sum;
}

/* What some code prints for it: the mean of log w under the normalised weights. */
static tp_var self_normalised(tp_var log_w)
{
    return tp_sum(tp_mul(tp_softmax(log_w, 0), log_w), TP_AXES(0), false);
}

static tp_status importance(void)
{
    const int samples[] = {1, 2, 5, 20, 100};
    double w[2];
    tp_tape_reset(tape);
    weights(w);
    double log_p = tp_item_of(log_evidence(X)), last = -INFINITY;
    printf("  K   E[log 1/K sum w]   E[sum w~ log w]\n");
    for (int i = 0; i < 5; i++) {
        double bound = over_draws(samples[i], Q_JENSEN, w, tp_importance_logprob);
        printf("%3d   %.4f            %.4f\n", samples[i], bound,
               over_draws(samples[i], Q_JENSEN, w, self_normalised));
        if (!(bound > last && bound < log_p))
            return tp_fail(TP_EVALUE, "%d samples: %g is no bound", samples[i], bound);
        last = bound;
    }
    printf("log p(x) = %.4f\n", log_p);
    return tp_tape_status(tape);
}

static tp_status mean_field(void)
{
    return directions_mean_field(tape);
}

static tp_status peaks(void)
{
    return directions_peaks(tape);
}

static tp_status amortization(void)
{
    return amortize_print(tape);
}

static tp_status exercises(void)
{
    const double rho[] = {0.8, 0.99};
    tp_tape_reset(tape);
    double w[2], q = Q_JENSEN, p = entry(tp_dist_mean(posterior(X)), 0);
    weights(w);
    printf("0.9 log(0.9/%.4f) + 0.1 log(0.1/%.4f) = %.4f\n", p, 1 - p,
           0.9 * log(0.9 / p) + 0.1 * log(0.1 / (1 - p)));
    printf("0.64 log %.4f + 0.32 log %.4f + 0.04 log %.4f = %.4f\n", w[0], (w[0] + w[1]) / 2, w[1],
           q * q * log(w[0]) + 2 * q * (1 - q) * log((w[0] + w[1]) / 2) +
               (1 - q) * (1 - q) * log(w[1]));
    printf("E[log p(x|z)] under the prior = %.4f\n",
           tp_item_of(expectation(prior(), log_likelihood(X))));
    for (int i = 0; i < 2; i++)
        printf("correlation %.2f: variance times %.3g, gap %.4f\n", rho[i], 1 - rho[i] * rho[i],
               -log(1 - rho[i] * rho[i]) / 2);
    return tp_tape_status(tape);
}

int main(int argc, char **argv)
{
    if (tp_tape_new(&tape) != TP_OK)
        return 1;
    int code = learn_main(argc, argv,
                          (learn_section[]){{"model", model},
                                            {"identity", identity},
                                            {"forms", forms},
                                            {"jensen", jensen},
                                            {"picture-jensen", picture_jensen},
                                            {"em", em},
                                            {"mean-field", mean_field},
                                            {"picture-ellipses", directions_picture_ellipses},
                                            {"peaks", peaks},
                                            {"picture-peaks", directions_picture_peaks},
                                            {"amortization", amortization},
                                            {"importance", importance},
                                            {"exercises", exercises},
                                            {0}});
    tp_tape_free(tape);
    return code;
}
