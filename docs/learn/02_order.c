/* 02_order.c: the order of the sweep and the += in it, against four ways to get one of them wrong or slow.
 * Read 02_order.md beside it. */
#include "docs/learn/draw.h"
#include "docs/learn/page.h"

#include <stdbool.h>
#include <stdio.h>

/* --- a toy: entries in the order of a tape, with local derivatives that are already numbers ------- */

typedef struct entry {
    int n, in[2];
    double local[2];
    double grad;
    bool queued;
} entry;

enum { ENTRIES = 24 };
typedef struct toy {
    int n;
    entry at[ENTRIES];
} toy;

static void start(toy *g)
{
    for (int i = 0; i < g->n; i++)
        g->at[i].grad = 0, g->at[i].queued = false;
    g->at[g->n - 1].grad = 1;
}

/* From the last entry to the first, adding: what tp_backward does. */
static double sweep(toy *g)
{
    start(g);
    for (int k = g->n - 1; k >= 0; k--)
        for (int i = 0; i < g->at[k].n; i++)
            g->at[g->at[k].in[i]].grad += g->at[k].grad * g->at[k].local[i];
    return g->at[0].grad;
}

/* Wrong: the last contribution wins. */
static double overwrite(toy *g)
{
    start(g);
    for (int k = g->n - 1; k >= 0; k--)
        for (int i = 0; i < g->at[k].n; i++)
            g->at[g->at[k].in[i]].grad = g->at[k].grad * g->at[k].local[i];
    return g->at[0].grad;
}

/* Wrong: an input is visited as soon as it has got something, and again when it gets more. */
static void visit(toy *g, int k)
{
    for (int i = 0; i < g->at[k].n; i++) {
        g->at[g->at[k].in[i]].grad += g->at[k].grad * g->at[k].local[i];
        visit(g, g->at[k].in[i]);
    }
}

static double eager(toy *g)
{
    start(g);
    visit(g, g->n - 1);
    return g->at[0].grad;
}

/* Wrong: every entry once, but in the order in which they are met from the root. */
static double breadth_first(toy *g)
{
    int queue[ENTRIES], end = 0;
    start(g);
    queue[end++] = g->n - 1;
    for (int k = 0; k < end; k++) {
        const entry *e = &g->at[queue[k]];
        for (int i = 0; i < e->n; i++) {
            entry *in = &g->at[e->in[i]];
            in->grad += e->grad * e->local[i];
            if (!in->queued)
                in->queued = true, queue[end++] = e->in[i];
        }
    }
    return g->at[0].grad;
}

/* Right, and slow: one walk per path, which carries the product of that path only. */
static double paths(toy *g, int k, double product, long long *calls)
{
    double sum = k == 0 ? product : 0;
    ++*calls;
    for (int i = 0; i < g->at[k].n; i++)
        sum += paths(g, g->at[k].in[i], product * g->at[k].local[i], calls);
    return sum;
}

/* --- three expressions, for the toy and for the framework ---------------------------------------- */

static tp_var doubled_twice(tp_var a)
{
    tp_var b = tp_add(a, a);
    return tp_add(b, b);
}

static tp_var two_branches(tp_var x)
{
    tp_var y = tp_scale(x, 3);
    return tp_add(tp_scale(y, 2), tp_scale(y, 5));
}

static tp_var short_cut(tp_var x)
{
    tp_var y = tp_scale(x, 3);
    return tp_add(y, tp_scale(y, 2));
}

static const struct example {
    const char *text;
    tp_var (*f)(tp_var);
    double right;
    toy g;
} examples[] = {
    {"b = a + a; c = b + b",
     doubled_twice,
     4,
     {3, {{0}, {2, {0, 0}, {1, 1}}, {2, {1, 1}, {1, 1}}}}},
    {"y = 3x; c = 2y + 5y",
     two_branches,
     21,
     {5, {{0}, {1, {0}, {3}}, {1, {1}, {2}}, {1, {1}, {5}}, {2, {2, 3}, {1, 1}}}}},
    {"y = 3x; c = y + 2y",
     short_cut,
     9,
     {4, {{0}, {1, {0}, {3}}, {1, {1}, {2}}, {2, {1, 2}, {1, 1}}}}},
};

/* The derivative of f at 1 by the framework, and the number of steps of its sweep. */
static tp_status derivative(tp_var (*f)(tp_var), double *d, int *steps)
{
    learn_page page;
    TP_TRY(learn_open(&page));
    tp_var x = learn_leaf(&page, TP_SHAPE(), &(double){1});
    tp_sweep s = tp_sweep_begin(f(x), (tp_sweep_opts){0});
    for (*steps = 0; tp_sweep_next(&s);)
        ++*steps;
    TP_TRY(tp_sweep_end(&s));
    *d = tp_item(tp_leaf_grad(x));
    learn_close(&page);
    return TP_OK;
}

static tp_status compare(void)
{
    printf("%-22s %5s  %11s  %5s  %9s  %5s  %13s  %5s\n", "", "right", "tp_backward", "sweep",
           "overwrite", "eager", "breadth-first", "paths");
    for (int i = 0; i < 3; i++) {
        toy g = examples[i].g;
        double d;
        int steps;
        long long calls = 0;
        TP_TRY(derivative(examples[i].f, &d, &steps));
        TP_TRY(learn_expect(examples[i].text, d, examples[i].right, 0));
        TP_TRY(learn_expect("the toy's sweep", sweep(&g), d, 0));
        printf("%-22s %5.0f  %11.0f  %5.0f  %9.0f  %5.0f  %13.0f  %5.0f\n", examples[i].text,
               examples[i].right, d, sweep(&g), overwrite(&g), eager(&g), breadth_first(&g),
               paths(&g, g.n - 1, 1, &calls));
    }
    return TP_OK;
}

/* --- the sweep of the framework ----------------------------------------------------------------- */

static tp_status branches(void)
{
    learn_page page;
    TP_TRY(learn_open(&page));
    tp_var x = learn_leaf(&page, TP_SHAPE(), &(double){1});
    tp_var y = tp_scale(TP_NAME(x), 3);
    tp_var u = tp_scale(TP_NAME(y), 2), v = tp_scale(y, 5);
    tp_var c = tp_add(TP_NAME(u), TP_NAME(v));
    tp_sweep s = tp_sweep_begin(TP_NAME(c), (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s))
        TP_TRY(tp_explain_step(stdout, &s, (tp_explain_opts){.numbers = true}));
    TP_TRY(tp_sweep_end(&s));
    learn_close(&page);
    return TP_OK;
}

/* Why the derivative is what it is: every path, by the framework. */
static tp_status every_path(void)
{
    learn_page page;
    TP_TRY(learn_open(&page));
    tp_var x = learn_leaf(&page, TP_SHAPE(), &(double){1});
    tp_var y = tp_scale(TP_NAME(x), 3);
    tp_var u = tp_scale(TP_NAME(y), 2), v = tp_scale(y, 5);
    tp_var c = tp_add(TP_NAME(u), TP_NAME(v));
    TP_TRY(tp_explain_element(stdout, TP_NAME(c), x, 0, (tp_explain_opts){.numbers = true}));
    learn_close(&page);
    return TP_OK;
}

/* --- how many paths ----------------------------------------------------------------------------- */

static int rungs;

static tp_var ladder(tp_var a)
{
    for (int i = 0; i < rungs; i++)
        a = tp_add(a, a);
    return a;
}

static tp_status count(void)
{
    printf("rungs   paths     calls of the walk   steps of tp_backward   derivative\n");
    const int sizes[] = {1, 2, 4, 8, 16, 20};
    for (int i = 0; i < 6; i++) {
        toy g = {.n = sizes[i] + 1};
        for (int k = 1; k < g.n; k++)
            g.at[k] = (entry){2, {k - 1, k - 1}, {1, 1}, 0, false};
        long long calls = 0;
        double d, walked = paths(&g, g.n - 1, 1, &calls);
        int steps;
        rungs = sizes[i];
        TP_TRY(derivative(ladder, &d, &steps));
        TP_TRY(learn_expect("the ladder", walked, d, 0));
        printf("%4d   %7.0f   %17lld   %20d   %10.0f\n", rungs, d, calls, steps, d);
    }
    rungs = 50;
    double d;
    int steps;
    TP_TRY(derivative(ladder, &d, &steps));
    printf(
        "%4d   %.0f paths, which the walk takes %.1f days for at 10⁹ calls per second; %d steps\n",
        rungs, d, 2 * d / 1e9 / 86400, steps);
    return TP_OK;
}

/* --- between steps ------------------------------------------------------------------------------ */

typedef struct fit {
    tp_params params;
    tp_parameter w;
    tp_optimizer sgd;
    tp_tape *tape;
} fit;

static tp_status open_fit(fit *f)
{
    *f = (fit){.params = tp_params_make(TP_F64, 0)};
    TP_TRY(tp_params_add(&f->params, &f->w, "w", TP_SHAPE()));
    TP_TRY(tp_sgd_init(&f->sgd, &f->params, (tp_sgd_opts){.lr = 0.1}));
    return tp_tape_new(&f->tape);
}

static void close_fit(fit *f)
{
    tp_optimizer_free(&f->sgd);
    tp_tape_free(f->tape);
    tp_params_free(&f->params);
}

static tp_status train(bool zero)
{
    fit f;
    TP_TRY(open_fit(&f));
    printf("%s", zero ? "zeroed:    " : "not zeroed:");
    for (int step = 0; step < 16; step++) {
        tp_tape_reset(f.tape);
        if (zero)
            tp_params_zero_grad(&f.params);
        TP_TRY(tp_backward(tp_square(tp_shift(tp_param(f.tape, &f.w), -3)))); /* (w − 3)² */
        TP_TRY(tp_optimizer_step(&f.sgd));
        if (step % 2 == 1)
            printf("  %7.4f", tp_item(&f.w.value));
    }
    printf("\n");
    close_fit(&f);
    return TP_OK;
}

static tp_status zeroing(void)
{
    printf("w after step   2        4        6        8       10       12       14       16\n");
    TP_TRY(train(true));
    TP_TRY(train(false));
    return TP_OK;
}

static tp_status twice(void)
{
    fit f;
    TP_TRY(open_fit(&f));
    printf("before:                has_grad %d\n", f.w.has_grad);
    for (int i = 1; i <= 2; i++) {
        tp_tape_reset(f.tape);
        TP_TRY(tp_backward(tp_square(tp_shift(tp_param(f.tape, &f.w), -3))));
        printf("after backward %d:      has_grad %d, gradient %.0f\n", i, f.w.has_grad,
               tp_item(tp_parameter_grad(&f.w)));
    }
    tp_params_zero_grad(&f.params);
    printf("after zero_grad:       has_grad %d\n", f.w.has_grad);
    close_fit(&f);
    return TP_OK;
}

/* Adds weight · d/dw mean (w − t)² over targets from … to-1 to the gradient of w. */
static tp_status add_part(fit *f, int from, int to, double weight)
{
    static const double targets[] = {1, 2, 3, 6};
    tp_tensor t = {0};
    TP_TRY(tp_tensor_from(&t, TP_F64, TP_SHAPE(to - from), targets + from));
    tp_tape_reset(f->tape);
    tp_var e = tp_sub(tp_param(f->tape, &f->w), tp_constant(f->tape, &t));
    tp_status s = tp_backward(tp_scale(tp_mean(tp_square(e), TP_ALL_AXES, false), weight));
    tp_tensor_free(&t);
    return s;
}

static tp_status parts(void)
{
    fit f;
    TP_TRY(open_fit(&f));
    TP_TRY(add_part(&f, 0, 4, 1));
    printf("all four at once:               %6.2f\n", tp_item(&f.w.grad));
    tp_params_zero_grad(&f.params);
    TP_TRY(add_part(&f, 0, 2, 1));
    TP_TRY(add_part(&f, 2, 4, 1));
    printf("two halves, means added:        %6.2f\n", tp_item(&f.w.grad));
    tp_params_zero_grad(&f.params);
    TP_TRY(add_part(&f, 0, 2, 0.5));
    TP_TRY(add_part(&f, 2, 4, 0.5));
    printf("two halves, each weighted 1/2:  %6.2f\n", tp_item(&f.w.grad));
    tp_params_zero_grad(&f.params);
    TP_TRY(add_part(&f, 0, 3, 0.75));
    TP_TRY(add_part(&f, 3, 4, 0.25));
    printf("three and one, 3/4 and 1/4:     %6.2f\n", tp_item(&f.w.grad));
    close_fit(&f);
    return TP_OK;
}

/* --- exercises ---------------------------------------------------------------------------------- */

static tp_var three_uses(tp_var x)
{
    tp_var y = tp_square(x); /* at x = 1 the local derivative is 2 */
    return tp_add(tp_add(y, y), y);
}

static tp_var cube(tp_var x)
{
    return tp_mul(tp_mul(x, x), x);
}

static tp_status exercises(void)
{
    double d;
    int steps;
    TP_TRY(derivative(three_uses, &d, &steps));
    printf("1. y = x², c = y + y + y at 1: %.0f in %d steps\n", d, steps);
    toy g = {4, {{0}, {1, {0}, {2}}, {2, {1, 1}, {1, 1}}, {2, {2, 1}, {1, 1}}}};
    long long calls = 0;
    double walked = paths(&g, 3, 1, &calls);
    printf("   overwrite %.0f, eager %.0f, breadth-first %.0f, paths %.0f\n", overwrite(&g),
           eager(&g), breadth_first(&g), walked);
    TP_TRY(derivative(cube, &d, &steps));
    printf("2. x·x·x at 1: %.0f\n", d);
    double w = 0, sum = 0;
    printf("3. rate 0.1 on (w − 3)², not zeroed:");
    for (int i = 0; i < 3; i++) {
        double slope = 2 * (w - 3);
        sum += slope, w -= 0.1 * sum;
        printf("\n   gradient %.2f, sum %.2f, w = %.3f", slope, sum, w);
    }
    printf("\n");
    return TP_OK;
}

/* --- pictures ----------------------------------------------------------------------------------- */

static void put_entry(double x, double y, const char *what, const char *value, const char *grad)
{
    draw_box(x - 66, y - 32, 132, 64, DRAW_PALE);
    draw_text(x, y - 12, "middle", DRAW_INK, "%s", what);
    draw_text(x, y + 7, "middle", DRAW_FORWARD, "%s", value);
    draw_text(x, y + 25, "middle", DRAW_BACKWARD, "%s", grad);
}

static void put_edge(double x0, double y0, double x1, double y1, double beside, const char *text)
{
    draw_arrow(x0 - 7, y0 - 32, x1 - 7, y1 + 32, DRAW_FORWARD);
    draw_arrow(x1 + 7, y1 + 32, x0 + 7, y0 - 32, DRAW_BACKWARD);
    draw_text((x0 + x1) / 2 + beside, (y0 + y1) / 2 + 5, beside < 0 ? "end" : "start",
              DRAW_BACKWARD, "%s", text);
}

static tp_status picture_branches(void)
{
    draw_begin(560, 460,
               "y = 3x; c = 2y + 5y: two branches meet in y, whose gradient is their sum");
    put_edge(120, 170, 250, 60, -26, "1·1 = 1");
    put_edge(380, 170, 270, 60, 30, "1·1 = 1");
    put_edge(240, 290, 130, 170, -24, "1·2 = 2");
    put_edge(260, 290, 370, 170, 30, "1·5 = 5");
    put_edge(250, 410, 250, 290, 18, "7·3 = 21");
    put_entry(250, 60, "c = u + v", "value 21", "gradient 1");
    put_entry(120, 170, "u = 2y", "value 6", "gradient 1");
    put_entry(380, 170, "v = 5y", "value 15", "gradient 1");
    put_entry(250, 290, "y = 3x", "value 3", "gradient 2 + 5 = 7");
    put_entry(250, 410, "x", "value 1", "gradient 21");
    draw_text(350, 300, "start", DRAW_INK, "y waits for both");
    draw_end();
    return TP_OK;
}

static tp_status picture_ladder(void)
{
    draw_begin(620, 185,
               "A ladder of four rungs: each entry uses the one before twice, so paths double");
    for (int i = 0; i <= 4; i++) {
        double x = 60 + 120 * i;
        if (i > 0) {
            draw_arrow(x - 96, 78, x - 25, 78, DRAW_FORWARD);
            draw_arrow(x - 96, 92, x - 25, 92, DRAW_FORWARD);
        }
        draw_box(x - 24, 62, 48, 46, DRAW_PALE);
        draw_text(x, 91, "middle", DRAW_INK, "a%d", i);
        draw_text(x, 135, "middle", DRAW_BACKWARD, "%d", 16 >> i);
        draw_text(x, 165, "middle", DRAW_GREY, "%d", 1);
        draw_text(x, 45, "middle", DRAW_FORWARD, "%s", i == 0 ? "" : "a + a");
    }
    draw_text(600, 135, "end", DRAW_BACKWARD, "paths");
    draw_text(600, 165, "end", DRAW_GREY, "visits");
    draw_text(20, 20, "start", DRAW_INK, "each entry is the one before it, twice");
    draw_end();
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"compare", compare},
                                        {"branches", branches},
                                        {"every_path", every_path},
                                        {"count", count},
                                        {"twice", twice},
                                        {"zeroing", zeroing},
                                        {"parts", parts},
                                        {"exercises", exercises},
                                        {"picture-branches", picture_branches},
                                        {"picture-ladder", picture_ladder},
                                        {0}});
}
