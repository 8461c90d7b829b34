/* 11_optimizer.c: from gradients to learning, three steps at a time: the rules of 11_rules.c beside those of
 * nn/optim.h. Read 11_optimizer.md beside it. */
#include "docs/learn/plot.h"
#include "docs/learn/parts/11_rules.h"
#include "docs/learn/parts/10_text.h"
#include "docs/learn/parts/11_toy.h"
#include "docs/learn/parts/10_vae.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- gradient descent ----------------------------------------------------------------------------- */

/* Three steps of SGD on the bowl from (4, 1), each beside the one by hand. */
static tp_status descend(double lr, double momentum, bool zeroed)
{
    toy f;
    tp_optimizer o;
    tp_sgd_opts opts = tp_sgd_defaults();
    memory s = {.t = 0};
    double p[2] = {4, 1}, g[2] = {0, 0}, loss;
    opts.lr = lr, opts.momentum = momentum;
    TP_TRY(toy_init(&f, bowl, p[0], p[1]));
    TP_TRY(tp_sgd_init(&o, &f.params, opts));
    for (int t = 0; t <= 3; t++) {
        if (zeroed)
            tp_params_zero_grad(&f.params);
        TP_TRY(toy_gradient(&f, &loss, NULL));
        const double fresh[2] = {p[0], 6 * p[1]};
        for (int i = 0; i < 2; i++)
            g[i] = zeroed ? fresh[i] : g[i] + fresh[i];
        printf("step %d  p = ", t);
        text_pad(list(2, p), 16);
        printf("loss %-8s", number(loss));
        if (t < 3) {
            printf("g = ");
            text_pad(list(2, g), momentum > 0 ? 14 : 0);
            TP_TRY(tp_optimizer_step(&o));
            momentum_by_hand(2, p, g, lr, momentum, &s);
            if (momentum > 0)
                printf("v = %s", list(2, s.v));
        }
        printf("\n");
        TP_TRY(toy_is(&f, p));
    }
    toy_free(&f, &o);
    return TP_OK;
}

static tp_status sgd(void)
{
    return descend(0.25, 0, true);
}

static tp_status momentum(void)
{
    return descend(0.25, 0.5, true);
}

static tp_status not_zeroed(void)
{
    TP_TRY(descend(0.25, 0, false));
    for (int zeroed = 1; zeroed >= 0; zeroed--) {
        toy f;
        tp_optimizer o;
        tp_sgd_opts opts = tp_sgd_defaults();
        opts.lr = 0.25;
        TP_TRY(toy_init(&f, bowl, 4, 1));
        TP_TRY(tp_sgd_init(&o, &f.params, opts));
        printf("loss %s:", zeroed ? "zeroed    " : "not zeroed");
        for (int t = 0; t <= 40; t++) {
            double loss;
            if (zeroed)
                tp_params_zero_grad(&f.params);
            TP_TRY(toy_gradient(&f, &loss, NULL));
            if (t % 10 == 0)
                printf("   step %d %.4f", t, loss);
            TP_TRY(tp_optimizer_step(&o));
        }
        printf("\n");
        toy_free(&f, &o);
    }
    return TP_OK;
}

static tp_status too_fast(void)
{
    return descend(0.5, 0, true);
}

/* --- Adam ----------------------------------------------------------------------------------------- */

static tp_status rules(void)
{
    tp_params none = tp_params_make(TP_F64, 0);
    tp_optimizer o[3];
    tp_adam_opts adam_opts = tp_adam_defaults();
    TP_TRY(tp_adam_init(&o[0], &none, adam_opts));
    TP_TRY(tp_adamw_init(&o[1], &none, tp_adamw_defaults()));
    TP_TRY(tp_rmsprop_init(&o[2], &none, tp_rmsprop_defaults()));
    for (int i = 0; i < 3; i++) {
        printf("%s\n    ", tp_optimizer_name(&o[i]));
        for (const char *c = tp_optimizer_formula(&o[i]); *c != '\0'; c++)
            fputs(*c == ';' ? "\n   " : (char[]){*c, '\0'}, stdout);
        putchar('\n');
        tp_optimizer_free(&o[i]);
    }
    printf("defaults: beta1 = %g, beta2 = %g, eps = 1e-8, alpha = %g, weight_decay of adamw = %g\n",
           adam_opts.beta1, adam_opts.beta2, tp_rmsprop_defaults().alpha,
           tp_adamw_defaults().weight_decay);
    return learn_expect("eps", adam_opts.eps, 1e-8, 0);
}

static tp_status adam(void)
{
    toy f;
    tp_optimizer o;
    tp_adam_opts opts = tp_adam_defaults();
    memory s = {.t = 0};
    double p[2] = {4, 1}, loss, g[2];
    opts.lr = 0.5;
    TP_TRY(toy_init(&f, bowl, p[0], p[1]));
    TP_TRY(tp_adam_init(&o, &f.params, opts));
    printf("t           g        m        v        m̂         v̂    m̂/√v̂         p\n");
    printf("0  a %64.5f\n", p[0]);
    printf("   b %64.5f\n", p[1]);
    for (int t = 1; t <= 3; t++) {
        TP_TRY(toy_step(&f, &o, &loss, g));
        adam_by_hand(2, p, (const double[]){p[0], 6 * p[1]}, opts.lr, &s);
        TP_TRY(toy_is(&f, p));
        for (int i = 0; i < 2; i++) {
            double m = s.m[i] / (1 - pow(0.9, t)), v = s.v[i] / (1 - pow(0.999, t));
            printf("%s  %c %8.5f %8.5f %8.5f %8.5f %9.5f %8.5f  %8.5f\n", i > 0 ? " " : number(t),
                   "ab"[i], g[i], s.m[i], s.v[i], m, v, m / sqrt(v), p[i]);
        }
    }
    TP_TRY(toy_gradient(&f, &loss, NULL));
    printf("loss %.5f, it was 11\n", loss);
    toy_free(&f, &o);
    return TP_OK;
}

static double steepness; /* of the slope below */

static tp_var slope(tp_var a, tp_var b)
{
    return tp_scale(tp_add(a, b), steepness);
}

/* The first step of Adam on a slope, in units of lr. */
static tp_status first_step(double g, double *of_lr)
{
    toy f;
    tp_optimizer o;
    tp_adam_opts opts = tp_adam_defaults();
    opts.lr = 0.5;
    steepness = g;
    TP_TRY(toy_init(&f, slope, 0, 0));
    TP_TRY(tp_adam_init(&o, &f.params, opts));
    TP_TRY(toy_step(&f, &o, NULL, NULL));
    *of_lr = tp_item(&f.a.value) / opts.lr;
    toy_free(&f, &o);
    return TP_OK;
}

static tp_status first_steps(void)
{
    static const double g[] = {1e6, -4, 1e-3, 1e-7, 1e-8, 1e-9};
    printf("   gradient   first step   without bias correction   eps under the root\n");
    for (size_t i = 0; i < sizeof g / sizeof *g; i++) {
        double of_lr;
        TP_TRY(first_step(g[i], &of_lr));
        TP_TRY(learn_expect("first step", of_lr, -g[i] / (fabs(g[i]) + 1e-8), 1e-12));
        printf("%11g   %8.5f lr   %15.5f lr   %15.5f lr\n", g[i], of_lr,
               -0.1 * g[i] / (sqrt(0.001) * fabs(g[i]) + 1e-8), -g[i] / sqrt(g[i] * g[i] + 1e-8));
    }
    return TP_OK;
}

static tp_status rmsprop(void)
{
    toy f, h;
    tp_optimizer o, q;
    memory s = {.t = 0};
    tp_rmsprop_opts opts = tp_rmsprop_defaults();
    tp_adam_opts adam_opts = tp_adam_defaults();
    double p[2] = {0, 0}, before = 0, adam_before = 0;
    steepness = 3;
    adam_opts.lr = opts.lr, adam_opts.beta1 = 0, adam_opts.beta2 = opts.alpha;
    TP_TRY(toy_init(&f, slope, 0, 0));
    TP_TRY(toy_init(&h, slope, 0, 0));
    TP_TRY(tp_rmsprop_init(&o, &f.params, opts));
    TP_TRY(tp_adam_init(&q, &h.params, adam_opts));
    printf("t  RMSprop       Adam, β1 = 0  ratio     √(1 - α^t)\n");
    for (int t = 1; t <= 3; t++) {
        TP_TRY(toy_step(&f, &o, NULL, NULL));
        TP_TRY(toy_step(&h, &q, NULL, NULL));
        rmsprop_by_hand(2, p, (const double[]){3, 3}, opts.lr, &s);
        TP_TRY(toy_is(&f, p));
        double step = tp_item(&f.a.value) - before, other = tp_item(&h.a.value) - adam_before;
        before += step, adam_before += other;
        printf("%d  %9.5f lr  %9.5f lr     %.5f   %.5f\n", t, step / opts.lr, other / opts.lr,
               other / step, sqrt(1 - pow(opts.alpha, t)));
    }
    toy_free(&f, &o);
    toy_free(&h, &q);
    return TP_OK;
}

/* --- decay, clipping, schedules ------------------------------------------------------------------- */

static tp_status decay_row(const char *name, toy *f, tp_optimizer *o, double a, double b)
{
    TP_TRY(toy_step(f, o, NULL, NULL));
    TP_TRY(toy_is(f, (const double[]){a, b}));
    printf("%-22s %8.4f %8.4f\n", name, tp_item(&f->a.value), tp_item(&f->b.value));
    toy_free(f, o);
    return TP_OK;
}

/* One step where the data say nothing: only the decay acts. */
static tp_status decay(void)
{
    toy f;
    tp_optimizer o;
    tp_sgd_opts sgd_opts = tp_sgd_defaults();
    tp_adam_opts opts = tp_adam_defaults();
    steepness = 0;
    sgd_opts.lr = opts.lr = 0.1, sgd_opts.weight_decay = opts.weight_decay = 0.1;
    printf("%-22s %8.4f %8.4f\n", "before", 4.0, 0.04);
    TP_TRY(toy_init(&f, slope, 4, 0.04));
    TP_TRY(tp_sgd_init(&o, &f.params, sgd_opts));
    TP_TRY(decay_row("SGD, weight decay", &f, &o, 4 * (1 - 0.1 * 0.1), 0.04 * (1 - 0.1 * 0.1)));
    TP_TRY(toy_init(&f, slope, 4, 0.04));
    TP_TRY(tp_adam_init(&o, &f.params, opts));
    TP_TRY(decay_row("Adam, weight decay", &f, &o, 4 - 0.1 * 0.4 / (0.4 + 1e-8),
                     0.04 - 0.1 * 0.004 / (0.004 + 1e-8)));
    TP_TRY(toy_init(&f, slope, 4, 0.04));
    TP_TRY(tp_adamw_init(&o, &f.params, opts));
    return decay_row("AdamW", &f, &o, 4 * (1 - 0.1 * 0.1), 0.04 * (1 - 0.1 * 0.1));
}

static tp_var three_four(tp_var a, tp_var b)
{
    return tp_add(tp_scale(a, 3), tp_scale(b, 4));
}

static tp_status clip(void)
{
    toy f;
    tp_optimizer none = {0};
    double norm;
    TP_TRY(toy_init(&f, three_four, 0, 0));
    TP_TRY(toy_gradient(&f, NULL, NULL));
    printf("gradient          (%.4f, %.4f)\n", tp_item(&f.a.grad), tp_item(&f.b.grad));
    TP_TRY(tp_clip_grad_norm(&f.params, 1, &norm));
    printf("norm %g, clipped  (%.4f, %.4f)\n", norm, tp_item(&f.a.grad), tp_item(&f.b.grad));
    TP_TRY(learn_expect("clipped", tp_item(&f.a.grad), 3 * (1 / (5 + 1e-6)), 1e-12));
    tp_params_zero_grad(&f.params);
    TP_TRY(toy_gradient(&f, NULL, NULL));
    TP_TRY(tp_clip_grad_value(&f.params, 1));
    printf("by value          (%.4f, %.4f)\n", tp_item(&f.a.grad), tp_item(&f.b.grad));
    toy_free(&f, &none);
    return TP_OK;
}

static tp_status schedule(void)
{
    static const uint64_t at[] = {0, 5, 10, 30, 55, 80, 100};
    tp_schedule cosine = tp_schedule_defaults(), warmup = cosine;
    cosine.kind = TP_LR_cosine, cosine.lr = 0.1, cosine.t_max = 90;
    warmup.kind = TP_LR_linear, warmup.lr = 0.1, warmup.start_factor = 0.1;
    warmup.total_iters = 10, warmup.then = &cosine, warmup.until = 10;
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        double lr, hand = at[i] < 10 ? 0.1 * (0.1 + 0.9 * (double)at[i] / 10)
                                     : 0.05 * (1 + cos(acos(-1) * ((double)at[i] - 10) / 90));
        TP_TRY(tp_schedule_lr(&warmup, at[i], &lr));
        TP_TRY(learn_expect("lr", lr, hand, 1e-12));
        printf("step %3d  lr %.4f\n", (int)at[i], lr < 1e-12 ? 0 : lr);
    }
    return TP_OK;
}

/* --- the tiny VAE --------------------------------------------------------------------------------- */

enum rule { SGD, MOMENTUM, ADAM, RULES };
static const char *const rule_names[RULES] = {"SGD, lr 1/8", "momentum 1/2, lr 1/8",
                                              "Adam, lr 1/20"};

static tp_status rule_init(enum rule r, tp_optimizer *o, const tp_params *ps)
{
    tp_sgd_opts sgd_opts = tp_sgd_defaults();
    tp_adam_opts adam_opts = tp_adam_defaults();
    sgd_opts.lr = 0.125, sgd_opts.momentum = r == MOMENTUM ? 0.5 : 0, adam_opts.lr = 0.05;
    return r == ADAM ? tp_adam_init(o, ps, adam_opts) : tp_sgd_init(o, ps, sgd_opts);
}

static void rule_by_hand(enum rule r, double *p, const double *g, memory *s)
{
    if (r == SGD)
        sgd_by_hand(TINY_COUNT, p, g, 0.125);
    else if (r == MOMENTUM)
        momentum_by_hand(TINY_COUNT, p, g, 0.125, 0.5, s);
    else
        adam_by_hand(TINY_COUNT, p, g, 0.05, s);
}

/* Three steps of the VAE of chapter 10, with the same noise: gradients and updates by hand, 63 numbers, beside
 * tp_backward and tp_optimizer_step. */
static tp_status train(enum rule r)
{
    tiny_vae m;
    tp_optimizer o;
    memory s = {.t = 0};
    tiny_weights w = tiny_start();
    double p[TINY_COUNT], g[TINY_COUNT], tape[TINY_COUNT];
    memcpy(p, &w, sizeof p);
    TP_TRY(tiny_vae_start(&m));
    TP_TRY(rule_init(r, &o, &m.params));
    printf("%s\n", rule_names[r]);
    for (int t = 0; t <= 3; t++) {
        memcpy(&w, p, sizeof p);
        pass hand = by_hand(&w, tiny_x, tiny_eps, 1);
        tiny_graph graph = tiny_vae_loss(&m, 1);
        TP_TRY(learn_expect("loss", tp_item_of(graph.loss), hand.loss, 1e-12));
        printf("step %d  recon %.5f + KL %.5f = %.5f   bμ = %s\n", t, hand.recon, hand.kl,
               hand.loss, list(NZ, w.bm));
        tp_params_zero_grad(&m.params);
        TP_TRY(tp_backward(graph.loss));
        TP_TRY(tp_optimizer_step(&o));
        memcpy(g, &hand.d, sizeof g);
        rule_by_hand(r, p, g, &s);
        tiny_vae_values(&m, tape);
        for (int i = 0; i < TINY_COUNT; i++)
            TP_TRY(learn_expect("a parameter", tape[i], p[i], 1e-12));
    }
    tp_optimizer_free(&o);
    tiny_vae_free(&m);
    return TP_OK;
}

static tp_status tiny(void)
{
    for (int r = 0; r < RULES; r++)
        TP_TRY(train(r));
    printf("after every step all %d parameters agree within 1e-12\n", TINY_COUNT);
    return TP_OK;
}

/* --- answers to the exercises --------------------------------------------------------------------- */

static tp_status exercises(void)
{
    memory s = {.t = 0}, q = {.t = 0};
    double p = 0, adam_p = 0, before = 0;
    printf("1  lr < 2/6 = %.4f\n", 2.0 / 6);
    for (int t = 0; t < 50; t++)
        momentum_by_hand(1, &p, (const double[]){1}, 0.01, 0.9, &s);
    printf("2  v after 50 steps %.4f\n", s.v[0]);
    for (int t = 1; t <= 4; t++) {
        adam_by_hand(1, &adam_p, (const double[]){t % 2 == 1 ? 1 : -1}, 1, &q);
        printf("3  t = %d   m %+.4f   step %+.4f\n", t, q.m[0], adam_p - before);
        before = adam_p;
    }
    printf("4  %.0f steps\n", ceil(log(0.5) / log1p(-1e-3 * 1e-2)));
    return TP_OK;
}

/* --- pictures ------------------------------------------------------------------------------------- */

enum { STEPS = 100 };

static const struct curve {
    const char *name, *colour, *dashes;
    int rule;
    double lr, mu;
    tp_var (*loss)(tp_var, tp_var);
} curves[] = {
    {"SGD, lr 2/101", DRAW_FORWARD, "none", SGD, 2.0 / 101, 0, valley},
    {"momentum 0.67, lr 0.033", PLOT_GREEN, "8 3", MOMENTUM, 4.0 / 121, 81.0 / 121, valley},
    {"Adam, lr 0.1", PLOT_ORANGE, "none", ADAM, 0.1, 0, valley},
    {"Adam, valley turned by 45°", PLOT_ORANGE, "2 4", ADAM, 0.1, 0, turned_valley}};
enum { CURVES = sizeof curves / sizeof *curves };

/* n steps of a curve's optimizer from (a, b). */
static tp_status run(const struct curve *c, double a, double b, int n, double losses[],
                     double at[][2])
{
    toy f;
    tp_optimizer o;
    tp_sgd_opts sgd_opts = tp_sgd_defaults();
    tp_adam_opts adam_opts = tp_adam_defaults();
    sgd_opts.lr = adam_opts.lr = c->lr, sgd_opts.momentum = c->mu;
    TP_TRY(toy_init(&f, c->loss, a, b));
    TP_TRY(c->rule == ADAM ? tp_adam_init(&o, &f.params, adam_opts)
                           : tp_sgd_init(&o, &f.params, sgd_opts));
    TP_TRY(toy_run(&f, &o, n, losses, at));
    toy_free(&f, &o);
    return TP_OK;
}

/* From what is (1, 1) along the axes of the valley. */
static tp_status run_curve(const struct curve *c, double losses[STEPS + 1])
{
    static double at[STEPS + 1][2];
    bool turned = c->loss == turned_valley;
    return run(c, turned ? 0 : 1, turned ? sqrt(2) : 1, STEPS, losses, at);
}

static tp_status valley_table(void)
{
    printf("%-29s", "loss after");
    for (int t = 0; t <= STEPS; t += 20)
        printf("%10d", t);
    printf("\n");
    for (int c = 0; c < CURVES; c++) {
        double losses[STEPS + 1];
        TP_TRY(run_curve(&curves[c], losses));
        text_pad(curves[c].name, 29);
        for (int t = 0; t <= STEPS; t += 20)
            printf("%10.5f", losses[t]);
        printf("\n");
        if (curves[c].rule != ADAM) { /* these do not notice that the valley is turned */
            struct curve turned = curves[c];
            double same[STEPS + 1];
            turned.loss = turned_valley;
            TP_TRY(run_curve(&turned, same));
            for (int t = 0; t <= STEPS; t++)
                TP_TRY(learn_expect("turned", same[t], losses[t], 1e-9));
        }
    }
    return TP_OK;
}

static tp_status picture_valley(void)
{
    plot c = {70, 30, 630, 340, 0, STEPS, -5, 3};
    draw_begin(900, 400, "Loss in a valley a hundred times as steep across as along");
    for (int y = -5; y <= 3; y++)
        plot_tick_y(&c, y, note("1e%d", y));
    for (int x = 0; x <= STEPS; x += 20)
        plot_tick_x(&c, x, note("%d", x));
    for (int i = 0; i < CURVES; i++) {
        double losses[STEPS + 1], at[STEPS + 1][2];
        TP_TRY(run_curve(&curves[i], losses));
        for (int t = 0; t <= STEPS; t++)
            at[t][0] = t, at[t][1] = log10(fmax(losses[t], 1e-5));
        plot_path(&c, STEPS + 1, at, curves[i].colour, curves[i].dashes, false);
        plot_key(650, 70 + 28 * i, curves[i].colour, curves[i].dashes, curves[i].name);
    }
    draw_text(350, 385, "middle", DRAW_INK, "step (what is below 1e-5 is drawn at the bottom)");
    draw_end();
    return TP_OK;
}

static tp_status picture_paths(void)
{
    static const struct curve paths[] = {
        {"SGD, lr 1/4", DRAW_FORWARD, "none", SGD, 0.25, 0, bowl},
        {"momentum 1/2", PLOT_GREEN, "8 3", MOMENTUM, 0.25, 0.5, bowl},
        {"Adam, lr 1/2", PLOT_ORANGE, "2 4", ADAM, 0.5, 0, bowl}};
    plot c = {20, 20, 774, 358, -1.2, 4.6, -1.3, 1.3};
    draw_begin(794, 410, "Ten steps down the bowl");
    for (int level = 1; level <= 16; level *= 2)
        plot_contour(&c, 0, 0, sqrt(2.0 * level * 11 / 16), sqrt(level * 11 / 48.0));
    plot_contour(&c, 0, 0, 0.03, 0.03);
    printf("<rect y=\"360\" width=\"794\" height=\"50\" fill=\"#ffffff\"/>\n");
    for (int i = 0; i < 3; i++) {
        double losses[11], at[11][2];
        TP_TRY(run(&paths[i], 4, 1, 10, losses, at));
        plot_path(&c, 11, at, paths[i].colour, paths[i].dashes, true);
        plot_key(60 + 250 * i, 390, paths[i].colour, paths[i].dashes, paths[i].name);
    }
    draw_end();
    return TP_OK;
}

int main(int argc, char **argv)
{
    static const learn_section sections[] = {{"sgd", sgd},
                                             {"not-zeroed", not_zeroed},
                                             {"too-fast", too_fast},
                                             {"momentum", momentum},
                                             {"rules", rules},
                                             {"adam", adam},
                                             {"first-steps", first_steps},
                                             {"rmsprop", rmsprop},
                                             {"decay", decay},
                                             {"clip", clip},
                                             {"schedule", schedule},
                                             {"tiny", tiny},
                                             {"valley", valley_table},
                                             {"exercises", exercises},
                                             {"picture-valley", picture_valley},
                                             {"picture-paths", picture_paths},
                                             {0}};
    return learn_main(argc, argv, sections);
}
