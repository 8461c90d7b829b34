/* 09_randomness.c: the gradient of an expectation, estimated in two ways and compared with the truth. Read
 * 09_randomness.md beside it. All draws have fixed keys, so they are the same on every machine. */
#include "docs/learn/learn.h"
#include "docs/learn/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static tp_tape *tape;

static tp_var total(tp_var x)
{
    return tp_sum(x, TP_ALL_AXES, false);
}

/* --- where the gradient stops ---------------------------------------------------------------------- */

enum { LEAVES = 2 };
static tp_tensor leaf_value[LEAVES];

/* μ = 1 and logvar = log 0.25, so σ = 0.5: leaves of shape [n]. */
static tp_status parameters(int64_t n, double mu, double logvar, tp_var out[LEAVES])
{
    const double at[LEAVES] = {mu, logvar};
    tp_tape_reset(tape);
    for (int i = 0; i < LEAVES; i++) {
        tp_tensor_free(&leaf_value[i]);
        TP_TRY(tp_tensor_new(&leaf_value[i], TP_F64, TP_SHAPE(n)));
        TP_TRY(tp_fill(&leaf_value[i], at[i]));
        out[i] = tp_leaf(tape, &leaf_value[i]);
    }
    return TP_OK;
}

static const tp_symbol symbols[] = {
    {"mu", "μ", "\\mu"}, {"logvar", "v", "v"}, {"eps", "ε", "\\varepsilon"}, {0}};
static const tp_explain_opts show = {
    .numbers = true, .check = true, .notation = {.symbols = symbols}};

static tp_status blocked(void)
{
    tp_var p[LEAVES];
    TP_TRY(parameters(1, 1, log(0.25), p));
    tp_ctx c = tp_ctx_train(tape, 1, 0);
    tp_var mu = p[0], logvar = p[1];
    tp_var z = tp_dist_sample(tp_normal_logvar(TP_NAME(mu), TP_NAME(logvar)), &c);
    tp_var f = total(tp_square(TP_NAME(z)));
    TP_TRY(tp_explain_forward(stdout, TP_NAME(f), show));
    if (tp_backward(f) == TP_OK)
        return tp_fail(TP_EVALUE, "a gradient came through the draw");
    printf("tp_backward: %s\n", tp_last_error());
    return TP_OK;
}

static tp_status open_path(void)
{
    tp_var p[LEAVES];
    TP_TRY(parameters(1, 1, log(0.25), p));
    tp_ctx c = tp_ctx_train(tape, 1, 0);
    tp_var mu = p[0], logvar = p[1];
    tp_var z = tp_dist_rsample(tp_normal_logvar(TP_NAME(mu), TP_NAME(logvar)), &c);
    tp_var f = total(tp_square(TP_NAME(z)));
    TP_TRY(tp_explain_forward(stdout, TP_NAME(f), show));
    tp_sweep s = tp_sweep_begin(f, (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s))
        if (s.n == 3) /* reparameterize is the only operation here with three inputs */
            TP_TRY(tp_explain_step(stdout, &s, show));
    return tp_sweep_end(&s);
}

/* --- two estimators ---------------------------------------------------------------------------------- */

typedef enum way { PATHWISE, SCORE, BASELINE, LEAVE_ONE_OUT, MEAN_OF_ALL } way;

/* What one draw gives as gradient: mean over the draws, its standard error, and the variance of one. */
typedef struct summary {
    double mean, error, variance;
} summary;

/* stride: every stride-th number of g counts. k draws that share a baseline are not independent, but such groups are. */
static summary summarise(const tp_tensor *g, int64_t stride, int64_t k)
{
    summary s = {0};
    int64_t n = tp_numel(g) / stride, groups = n / k;
    double between = 0;
    for (int64_t i = 0; i < n; i++)
        s.mean += tp_flat(g, i * stride) / (double)n;
    for (int64_t i = 0; i < n; i++)
        s.variance += pow(tp_flat(g, i * stride) - s.mean, 2) / (double)(n - 1);
    for (int64_t j = 0; j < groups; j++) {
        double group = 0; /* draws j, j + groups, … */
        for (int64_t i = j; i < n; i += groups)
            group += tp_flat(g, i * stride) / (double)k;
        between += pow(group - s.mean, 2) / (double)(groups - 1);
    }
    s.error = sqrt(between / (double)groups);
    return s;
}

typedef struct problem {
    tp_var (*f)(tp_var z);  /* [n, d] -> [n] */
    double mu, sigma, mean; /* of q, and E f, which is the baseline */
    int64_t draws, d, k;    /* k: draws that share a baseline */
} problem;

/* log q(z), or what takes the baseline off f first; f and log_q [n]. */
static tp_var by_score(const problem *p, way w, tp_var f, tp_var log_q)
{
    tp_shape groups = TP_SHAPE(p->k, p->draws / p->k);
    if (w == SCORE)
        return tp_score_function(f, log_q, (tp_var){0});
    if (w == BASELINE)
        return tp_score_function(f, log_q, tp_full(tape, TP_F64, tp_shape_of(f), p->mean));
    f = tp_reshape(f, groups), log_q = tp_reshape(log_q, groups);
    tp_var own = tp_expand(tp_mean(f, TP_AXES(0), true), groups); /* counts the draw itself, too */
    return tp_score_function(f, log_q, w == MEAN_OF_ALL ? own : tp_leave_one_out(f));
}

/* The gradient by μ_1 and logvar_1 from each of many draws. Every draw has parameters of its own, all equal, so one
 * sweep gives the gradient of each. */
static tp_status estimate(const problem *p, way w, summary out[LEAVES])
{
    tp_var leaf[LEAVES], two[LEAVES];
    TP_TRY(parameters(p->draws * p->d, p->mu, 2 * log(p->sigma), leaf));
    for (int i = 0; i < LEAVES; i++)
        two[i] = tp_reshape(leaf[i], TP_SHAPE(p->draws, p->d));
    tp_ctx c = tp_ctx_train(tape, 9, 0);
    tp_dist q = tp_normal_logvar(two[0], two[1]);
    tp_var z = w == PATHWISE ? tp_dist_rsample(q, &c) : tp_dist_sample(q, &c), f = p->f(z);
    TP_TRY(tp_backward(total(w == PATHWISE ? f : by_score(p, w, f, tp_dist_logprob(q, z)))));
    for (int i = 0; i < LEAVES; i++)
        out[i] = summarise(tp_leaf_grad(leaf[i]), p->d, p->k);
    return TP_OK;
}

static tp_var squares(tp_var z)
{
    return tp_sum(tp_square(z), TP_AXES(-1), false);
}

static tp_var cosine(tp_var z)
{
    return tp_sum(tp_cos(z), TP_AXES(-1), false);
}

static tp_var exponential(tp_var z)
{
    return tp_sum(tp_exp(z), TP_AXES(-1), false);
}

static tp_var ripples(tp_var z)
{
    return cosine(tp_scale(z, 20));
}

static tp_var jump(tp_var z)
{
    return tp_sum(tp_greater(z, tp_zeros_like(z)), TP_AXES(-1), false);
}

enum { DRAWS = 100000 };
static const double MU = 1, SIGMA = 0.5;

static tp_status means(void)
{
    double fade = exp(-SIGMA * SIGMA / 2), grown = exp(MU + SIGMA * SIGMA / 2);
    const struct {
        const char *name;
        tp_var (*f)(tp_var);
        double exact[LEAVES]; /* by μ, by logvar */
    } row[] = {{"z^2", squares, {2 * MU, SIGMA * SIGMA}},
               {"cos z", cosine, {-fade * sin(MU), -SIGMA * SIGMA / 2 * fade * cos(MU)}},
               {"e^z", exponential, {grown, SIGMA * SIGMA / 2 * grown}}};
    printf("f(z)    by        exact     reparameterized       score function\n");
    for (int i = 0; i < 3; i++) {
        problem p = {row[i].f, MU, SIGMA, 0, DRAWS, 1, 1};
        summary path[LEAVES], score[LEAVES];
        TP_TRY(estimate(&p, PATHWISE, path));
        TP_TRY(estimate(&p, SCORE, score));
        for (int j = 0; j < LEAVES; j++) {
            double exact = row[i].exact[j];
            printf("%-6s  %-6s  %8.4f    %8.4f ± %.4f    %8.4f ± %.4f\n", row[i].name,
                   j == 0 ? "mu" : "logvar", exact, path[j].mean, path[j].error, score[j].mean,
                   score[j].error);
            TP_TRY(learn_expect("reparameterized", path[j].mean, exact, 4 * path[j].error));
            TP_TRY(learn_expect("score function", score[j].mean, exact, 4 * score[j].error));
        }
    }
    return TP_OK;
}

static tp_status variances(void)
{
    const double sigmas[] = {1, 0.3, 0.1, 0.03};
    printf("variance of one draw's d/dmu of E[z^2], mu = 1: measured (exact)\n");
    printf("sigma    reparameterized      score function       with baseline E[f]\n");
    for (int i = 0; i < 4; i++) {
        double s = sigmas[i];
        problem p = {squares, 1, s, 1 + s * s, DRAWS, 1, 1};
        summary got[3][LEAVES];
        for (int w = PATHWISE; w <= BASELINE; w++)
            TP_TRY(estimate(&p, (way)w, got[w]));
        printf("%-4g    %8.4f (%.4f)    %8.2f (%.2f)    %6.2f (%.2f)\n", s, got[0][0].variance,
               4 * s * s, got[1][0].variance, 1 / (s * s) + 14 + 15 * s * s, got[2][0].variance,
               8 + 10 * s * s);
    }
    return TP_OK;
}

static tp_status dimensions(void)
{
    const int64_t dims[] = {1, 3, 10, 30, 100};
    printf(
        "variance of one draw's d/dmu_1 of E[z_1^2 + ... + z_d^2], mu = 1, sigma = 1: measured (exact)\n");
    printf("  d    reparameterized    score function      with baseline E[f]\n");
    for (int i = 0; i < 5; i++) {
        double d = (double)dims[i];
        problem p = {squares, 1, 1, 2 * d, dims[i] < 30 ? DRAWS / 5 : DRAWS / 20, dims[i], 1};
        summary got[3][LEAVES];
        for (int w = PATHWISE; w <= BASELINE; w++)
            TP_TRY(estimate(&p, (way)w, got[w]));
        printf("%3d      %.2f (4)        %8.0f (%.0f)    %6.0f (%.0f)\n", (int)dims[i],
               got[0][0].variance, got[1][0].variance, 30 + 22 * (d - 1) + 4 * (d - 1) * (d - 1),
               got[2][0].variance, 18 + 6 * (d - 1));
    }
    return TP_OK;
}

static tp_status baselines(void)
{
    const struct {
        const char *name;
        way w;
        int64_t k;
    } row[] = {{"none", SCORE, 1},
               {"E[f], known here", BASELINE, 1},
               {"mean of the other draw", LEAVE_ONE_OUT, 2},
               {"mean of 9 others", LEAVE_ONE_OUT, 10},
               {"mean of both draws", MEAN_OF_ALL, 2},
               {"mean of all 10", MEAN_OF_ALL, 10}};
    printf("baseline                  d/dmu of E[z^2] (2)    variance of one draw\n");
    for (int i = 0; i < 6; i++) {
        problem p = {squares, MU, SIGMA, MU * MU + SIGMA * SIGMA, DRAWS, 1, row[i].k};
        summary s[LEAVES];
        TP_TRY(estimate(&p, row[i].w, s));
        printf("%-24s  %.3f ± %.3f        %7.2f\n", row[i].name, s[0].mean, s[0].error,
               s[0].variance);
    }
    return TP_OK;
}

static tp_status jumps(void)
{
    problem p = {jump, MU, SIGMA, 0, DRAWS, 1, 1};
    summary s[LEAVES];
    double ratio = MU / SIGMA, exact = exp(-ratio * ratio / 2) / sqrt(8 * atan(1)) / SIGMA;
    TP_TRY(estimate(&p, SCORE, s));
    printf("d/dmu of P(z > 0): exact %.4f, score function %.4f ± %.4f\n", exact, s[0].mean,
           s[0].error);
    if (estimate(&p, PATHWISE, s) == TP_OK)
        return tp_fail(TP_EVALUE, "a jump has no derivative");
    printf("reparameterized: %s\n", tp_last_error());
    return TP_OK;
}

/* --- σ, and what is taken for it ------------------------------------------------------------------ */

/* A sampler with the wrong scale: σ² for σ. */
static tp_var wrong(tp_var mu, tp_var logvar, tp_var eps)
{
    return tp_add(mu, tp_mul(tp_exp(logvar), eps));
}

static tp_status spread(void)
{
    const double sigmas[] = {0.5, 1, 2};
    printf("            variance of z           KL(q ‖ N(0,1)): closed form, from draws\n");
    printf("sigma   e^(logvar/2)  e^logvar      closed   e^(logvar/2)  e^logvar\n");
    for (int i = 0; i < 3; i++) {
        tp_var p[LEAVES];
        TP_TRY(parameters(DRAWS, 1, 2 * log(sigmas[i]), p));
        tp_dist q = tp_normal_logvar(p[0], p[1]), prior = tp_normal_standard(p[0]);
        q.event_dims = prior.event_dims = 0;
        tp_var eps = tp_noise_normal(tape, TP_F64, TP_SHAPE(DRAWS), (tp_rng_key){.seed = 4});
        tp_var z[2] = {tp_reparameterize(p[0], p[1], eps), wrong(p[0], p[1], eps)};
        double variance[2], kl[2];
        for (int k = 0; k < 2; k++) {
            tp_var each = tp_sampled_kl(tp_dist_logprob(q, z[k]), tp_dist_logprob(prior, z[k]));
            variance[k] = tp_item_of(tp_variance(z[k], TP_ALL_AXES, 1, false));
            kl[k] = tp_item_of(tp_mean(each, TP_ALL_AXES, false));
        }
        TP_TRY(tp_tape_status(tape));
        printf("%-4g    %7.3f       %7.3f       %.3f    %6.3f        %6.3f\n", sigmas[i],
               variance[0], variance[1], tp_item_of(tp_mean(tp_kl(q, prior), TP_ALL_AXES, false)),
               kl[0], kl[1]);
    }
    return TP_OK;
}

/* --- checking a gradient that has noise in it ----------------------------------------------------- */

typedef struct noisy {
    tp_parameter mu, logvar;
    uint64_t step;      /* of the key */
    bool wrong, moving; /* the scale is σ²; every call draws anew */
} noisy;

static tp_var noisy_square(tp_tape *t, void *user)
{
    noisy *n = user;
    tp_var mu = tp_param(t, &n->mu), logvar = tp_param(t, &n->logvar);
    tp_rng_key key = {.seed = 1, .step = n->moving ? n->step++ : 0};
    tp_var eps = tp_noise_normal(t, TP_F64, TP_SHAPE(3), key);
    tp_var z = (n->wrong ? wrong : tp_reparameterize)(mu, logvar, eps);
    return tp_sum(tp_square(z), TP_ALL_AXES, false);
}

static tp_status checks(void)
{
    noisy n = {0};
    tp_parameter *wrt[] = {&n.mu, &n.logvar};
    TP_TRY(tp_parameter_init(&n.mu, "mu", TP_F64, TP_SHAPE(3)));
    TP_TRY(tp_parameter_init(&n.logvar, "logvar", TP_F64, TP_SHAPE(3)));
    TP_TRY(tp_fill(&n.logvar.value, -1));
    for (int i = 0; i < 3; i++) {
        n.wrong = i == 1, n.moving = i == 2;
        tp_check_report r;
        tp_status s = tp_gradcheck(noisy_square, &n, 2, wrt, (tp_check_opts){0}, &r);
        const char *what = i == 0   ? "e^(logvar/2), a fixed key:"
                           : i == 1 ? "e^logvar, a fixed key:"
                                    : "e^(logvar/2), a new key per call:";
        if (s == TP_OK)
            printf("%-34s passed, %d numbers checked\n", what, (int)r.checked);
        else /* the two values follow, to the last digit */
            printf("%-34s %.*s …\n", what, (int)strcspn(tp_last_error(), "0123456789"),
                   tp_last_error());
        if ((s == TP_OK) != (i < 2) || (s == TP_OK && r.checked != 6))
            return tp_fail(TP_EVALUE, "the gradient check said something else");
    }
    tp_parameter_free(&n.mu);
    tp_parameter_free(&n.logvar);
    return TP_OK;
}

/* --- draws that jump ------------------------------------------------------------------------------ */

static const double P = 0.2, TARGET = 0.45;

/* (b − 0.45)² */
static tp_var distance(tp_var b)
{
    return tp_square(tp_shift(b, -TARGET));
}

typedef enum relaxation { BY_SCORE, BY_LEAVE_ONE_OUT, STRAIGHT_THROUGH, GUMBEL } relaxation;

/* The loss of DRAWS bits with P(b = 1) = σ(a), a [DRAWS]. */
static tp_var bits_loss(tp_var a, relaxation r, double tau, tp_ctx *c)
{
    tp_dist q = tp_bernoulli_logits(a);
    q.event_dims = 0;
    if (r == GUMBEL) {
        tp_var logits = tp_stack((tp_var[]){tp_zeros_like(a), a}, 2, -1); /* [DRAWS, 2] */
        tp_var soft = tp_gumbel_softmax(logits, tau, false, tp_ctx_draw(c));
        return distance(tp_slice(soft, -1, 1, 2, 1));
    }
    tp_var b = tp_dist_sample(q, c);
    if (r == STRAIGHT_THROUGH)
        return distance(tp_straight_through(b, tp_sigmoid(a)));
    const problem one = {.draws = DRAWS, .k = 2};
    return by_score(&one, r == BY_SCORE ? SCORE : LEAVE_ONE_OUT, distance(b),
                    tp_dist_logprob(q, b));
}

static tp_status bits(void)
{
    const struct {
        const char *name;
        relaxation r;
        double tau;
    } row[] = {
        {"score function", BY_SCORE, 0},           {"leave one out, 2 draws", BY_LEAVE_ONE_OUT, 0},
        {"straight-through", STRAIGHT_THROUGH, 0}, {"Gumbel-softmax, tau 1", GUMBEL, 1},
        {"Gumbel-softmax, tau 0.3", GUMBEL, 0.3},  {"Gumbel-softmax, tau 0.1", GUMBEL, 0.1},
        {"Gumbel-softmax, tau 0.03", GUMBEL, 0.03}};
    double exact = (pow(1 - TARGET, 2) - pow(TARGET, 2)) * P * (1 - P);
    printf("d/da of E[(b - %.2f)^2], P(b = 1) = sigmoid(a) = %.1f\n", TARGET, P);
    printf("sum over both values        %8.5f              exact\n", exact);
    for (int i = 0; i < 7; i++) {
        tp_var p[LEAVES];
        TP_TRY(parameters(DRAWS, log(P / (1 - P)), 0, p));
        tp_ctx c = tp_ctx_train(tape, 5, 0);
        TP_TRY(tp_backward(total(bits_loss(p[0], row[i].r, row[i].tau, &c))));
        summary s = summarise(tp_leaf_grad(p[0]), 1, row[i].r == BY_LEAVE_ONE_OUT ? 2 : 1);
        printf("%-26s  %8.5f ± %.5f   variance of one draw %.5f\n", row[i].name, s.mean, s.error,
               s.variance);
        if (i < 2)
            TP_TRY(learn_expect(row[i].name, s.mean, exact, 4 * s.error));
    }
    return TP_OK;
}

/* --- the picture ---------------------------------------------------------------------------------- */

enum { BINS = 60, SEEN = 20000 };

static tp_status histogram(const plot *p, way w, const char *colour, const char *name)
{
    int count[BINS] = {0}, outside = 0;
    char text[64];
    problem one = {squares, 1, 1, 2, SEEN, 1, 1};
    summary s[LEAVES];
    TP_TRY(estimate(&one, w, s));
    tp_var leaf = {tape, 1, tp_tape_epoch(tape)}; /* μ, the first entry of the tape */
    for (int64_t i = 0; i < SEEN; i++) {
        int bin = (int)floor((tp_flat(tp_leaf_grad(leaf), i) - p->x0) / (p->x1 - p->x0) * BINS);
        if (bin >= 0 && bin < BINS)
            count[bin]++;
        else
            outside++;
    }
    double width = (p->x1 - p->x0) / BINS;
    for (int b = 0; b < BINS; b++) {
        if (count[b] <= p->y1)
            plot_bar(p, p->x0 + b * width, p->x0 + (b + 1) * width, count[b], colour);
        else { /* too high for the frame: says how high */
            plot_bar(p, p->x0 + b * width, p->x0 + (b + 1) * width, p->y1, colour);
            snprintf(text, sizeof text, "cut off: %d draws", count[b]);
            plot_text(p, p->x0 + b * width, p->y1, -8, 14, "end", colour, text);
        }
    }
    plot_line(p, 2, 0, 2, p->y1, DRAW_INK, "stroke-dasharray='5 4'");
    snprintf(text, sizeof text, "variance %.1f; %.1f %% of the draws lie outside", s[0].variance,
             100.0 * outside / SEEN);
    plot_text(p, p->x1, p->y1, 0, 20, "end", colour, name);
    plot_text(p, p->x1, p->y1, 0, 42, "end", DRAW_GREY, text);
    return TP_OK;
}

static tp_status picture_histogram(void)
{
    const plot above = {30, 20, 690, 200, -10, 20, 0, 2600},
               below = {30, 230, 690, 410, -10, 20, 0, 2600};
    const double ticks[] = {-10, -5, 0, 2, 5, 10, 15, 20};
    draw_begin(720, 460, "Histograms of two unbiased estimates of one gradient");
    TP_TRY(histogram(&above, PATHWISE, PLOT_BLUE, "reparameterized: 2z"));
    plot_axis(&above, 0, ticks, "%.0f", "");
    TP_TRY(histogram(&below, SCORE, PLOT_ORANGE, "score function: z² (z − μ)/σ²"));
    plot_axis(&below, 8, ticks, "%.0f", "the gradient that one draw gives; the truth is 2");
    draw_end();
    return TP_OK;
}

static tp_status exercises(void)
{
    tp_tape_reset(tape);
    tp_ctx c = tp_ctx_train(tape, 1, 0); /* as in the first section */
    double eps = tp_item_of(tp_noise_normal(tape, TP_F64, TP_SHAPE(1), tp_ctx_draw(&c)));
    double z = MU + SIGMA * eps;
    printf("eps %.4f, z %.4f: reparameterized %.4f, score function %.4f\n", eps, z, 2 * z,
           z * z * eps / SIGMA);
    problem p = {squares, 1, 1, 4, DRAWS, 1, 1}; /* baseline 4 */
    summary s[LEAVES];
    TP_TRY(estimate(&p, BASELINE, s));
    printf("baseline 4: variance %.2f (14)\n", s[0].variance);
    problem fast = {ripples, MU, SIGMA, 0, DRAWS, 1, 1};
    for (int w = PATHWISE; w <= SCORE; w++) {
        TP_TRY(estimate(&fast, (way)w, s));
        printf("cos(20z), %s: variance %.1f\n",
               w == PATHWISE ? "reparameterized" : "score function", s[0].variance);
    }
    printf("f'(0) = %.1f, f(1) - f(0) = %.1f\n", -2 * TARGET,
           (1 - TARGET) * (1 - TARGET) - TARGET * TARGET);
    return tp_tape_status(tape);
}

int main(int argc, char **argv)
{
    if (tp_tape_new(&tape) != TP_OK)
        return 1;
    int code = learn_main(argc, argv,
                          (learn_section[]){{"blocked", blocked},
                                            {"open", open_path},
                                            {"means", means},
                                            {"variances", variances},
                                            {"dimensions", dimensions},
                                            {"picture-histogram", picture_histogram},
                                            {"baselines", baselines},
                                            {"jumps", jumps},
                                            {"spread", spread},
                                            {"checks", checks},
                                            {"bits", bits},
                                            {"exercises", exercises},
                                            {0}});
    for (int i = 0; i < LEAVES; i++)
        tp_tensor_free(&leaf_value[i]);
    tp_tape_free(tape);
    return code;
}
