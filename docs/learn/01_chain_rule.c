/* 01_chain_rule.c: one neuron, its tape, and the sweep over it. Read 01_chain_rule.md beside it. */
#include "docs/learn/draw.h"
#include "docs/learn/page.h"

#include <math.h>
#include <stdio.h>

/* One neuron with one input, and how far it is from its target. The bias is ln 2 − 1, so that the neuron sees
 * ln 2, whose tanh is (2 − 1/2)/(2 + 1/2) = 3/5. */
typedef struct neuron {
    learn_page page;
    tp_var x, t, w, b, p, a, y, r, L;
} neuron;

static tp_status record(neuron *n, double bias)
{
    const double in = 2, target = 1, weight = 0.5;
    TP_TRY(learn_open(&n->page));
    tp_var x = learn_constant(&n->page, TP_SHAPE(), &in);
    tp_var t = learn_constant(&n->page, TP_SHAPE(), &target);
    tp_var w = learn_leaf(&n->page, TP_SHAPE(), &weight);
    tp_var b = learn_leaf(&n->page, TP_SHAPE(), &bias);
    tp_name(x, "x", NULL, 0), tp_name(t, "t", NULL, 0);
    tp_name(w, "w", NULL, 0), tp_name(b, "b", NULL, 0);

    tp_var p = tp_mul(w, x);
    tp_var a = tp_add(TP_NAME(p), b);
    tp_var y = tp_tanh(TP_NAME(a));
    tp_var r = tp_sub(TP_NAME(y), t);
    tp_var L = tp_square(TP_NAME(r));
    TP_NAME(L);

    n->x = x, n->t = t, n->w = w, n->b = b, n->p = p, n->a = a, n->y = y, n->r = r, n->L = L;
    return tp_var_status(L);
}

/* --- by hand ------------------------------------------------------------------------------------ */

static tp_status pencil(void)
{
    neuron n = {0};
    TP_TRY(record(&n, log(2) - 1));
    TP_TRY(tp_backward(n.L));
    double x = 2, t = 1, w = 0.5, b = log(2) - 1;
    double p = w * x, a = p + b, y = 0.6, r = y - t, l = r * r;
    printf("up                              down, from the last line to the first\n");
    printf("p = w·x      = %7.4f          dL/dp = dL/da · 1       = %7.4f\n", p, 2 * r * 0.64);
    printf("a = p + b    = %7.4f          dL/da = dL/dy · (1−y²)  = %7.4f\n", a, 2 * r * 0.64);
    printf("y = tanh(a)  = %7.4f          dL/dy = dL/dr · 1       = %7.4f\n", y, 2 * r);
    printf("r = y − t    = %7.4f          dL/dr = dL/dL · 2r      = %7.4f\n", r, 2 * r);
    printf("L = r²       = %7.4f          dL/dL                   = %7.4f\n\n", l, 1.0);
    printf("dL/dw = dL/dp · x = %.4f      dL/db = dL/da · 1 = %.4f\n", 2 * r * 0.64 * x,
           2 * r * 0.64);
    TP_TRY(learn_expect("y", tp_item_of(n.y), y, 1e-14));
    TP_TRY(learn_expect("L", tp_item_of(n.L), l, 1e-14));
    TP_TRY(learn_expect("dL/dw", tp_item(tp_leaf_grad(n.w)), 2 * r * 0.64 * x, 1e-14));
    TP_TRY(learn_expect("dL/db", tp_item(tp_leaf_grad(n.b)), 2 * r * 0.64, 1e-14));
    learn_close(&n.page);
    return TP_OK;
}

/* --- the tape and the sweep --------------------------------------------------------------------- */

static tp_status tape(void)
{
    neuron n = {0};
    TP_TRY(record(&n, log(2) - 1));
    TP_TRY(tp_explain_forward(stdout, n.L, (tp_explain_opts){.numbers = true}));
    learn_close(&n.page);
    return TP_OK;
}

static tp_status sweep(void)
{
    neuron n = {0};
    TP_TRY(record(&n, log(2) - 1));
    tp_sweep s = tp_sweep_begin(n.L, (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s))
        TP_TRY(tp_explain_step(stdout, &s, (tp_explain_opts){.numbers = true, .check = true}));
    TP_TRY(tp_sweep_end(&s));
    printf("\ndL/dw = %.4f   dL/db = %.4f\n", tp_item(tp_leaf_grad(n.w)),
           tp_item(tp_leaf_grad(n.b)));
    learn_close(&n.page);
    return TP_OK;
}

/* --- what is kept ------------------------------------------------------------------------------- */

static void say(const char *name, tp_var v)
{
    if (tp_value(v) == NULL)
        printf("%s: released\n", name);
    else
        printf("%s: %.4f\n", name, tp_item_of(v));
}

static tp_status kept(void)
{
    neuron n = {0};
    TP_TRY(record(&n, log(2) - 1));
    TP_TRY(tp_backward_opts(n.L, (tp_sweep_opts){.release = true}));
    say("a", n.a);
    say("y", n.y);
    say("r", n.r);
    say("w", n.w);
    printf("dL/dw: %.4f\n", tp_item(tp_leaf_grad(n.w)));
    learn_close(&n.page);
    return TP_OK;
}

/* --- a function of two variables that both move ------------------------------------------------- */

static tp_status two(void)
{
    learn_page page;
    TP_TRY(learn_open(&page));
    tp_var s = learn_leaf(&page, TP_SHAPE(), &(double){log(2)});
    tp_var u = tp_tanh(TP_NAME(s));
    tp_var y = tp_mul(TP_NAME(u), s); /* y = u·s, and u depends on s, too */
    tp_sweep sweep = tp_sweep_begin(TP_NAME(y), (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&sweep))
        TP_TRY(tp_explain_step(stdout, &sweep, (tp_explain_opts){.numbers = true}));
    TP_TRY(tp_sweep_end(&sweep));
    double got = tp_item(tp_leaf_grad(s));
    TP_TRY(learn_expect("dy/ds", got, 0.6 + log(2) * 0.64, 1e-14));
    printf("\ndy/ds = %.4f + %.4f·%.4f = %.4f\n", 0.6, log(2), 0.64, got);
    learn_close(&page);
    return TP_OK;
}

/* --- the same derivative, written in two ways --------------------------------------------------- */

static tp_status slope_of_tanh(double at, double *slope)
{
    learn_page page;
    TP_TRY(learn_open(&page));
    tp_var a = learn_leaf(&page, TP_SHAPE(), &at);
    TP_TRY(tp_backward(tp_tanh(a)));
    *slope = tp_item(tp_leaf_grad(a));
    learn_close(&page);
    return TP_OK;
}

static tp_status tails(void)
{
    printf("   a     1 − tanh²(a)   rule of tanh\n");
    const double at[] = {1, 5, 10, 20};
    for (int i = 0; i < 4; i++) {
        double slope, y = tanh(at[i]);
        TP_TRY(slope_of_tanh(at[i], &slope));
        printf("%4.0f   %12.2e   %12.3e\n", at[i], 1 - y * y, slope);
    }
    return TP_OK;
}

static tp_status wrong_place(void)
{
    double y = 0.6, slope;
    TP_TRY(slope_of_tanh(log(2), &slope));
    TP_TRY(learn_expect("tanh'(ln 2)", slope, 1 - y * y, 1e-14));
    printf("1 − y² = %.4f, and 1 − tanh²(y) = %.4f\n", slope, 1 - tanh(y) * tanh(y));
    return TP_OK;
}

static tp_status exercises(void)
{
    neuron n = {0};
    double slope;
    TP_TRY(record(&n, -log(2) - 1));
    TP_TRY(tp_backward(n.L));
    printf("1. with b = −ln 2 − 1: y = %.4f, L = %.4f, dL/dw = %.4f\n", tp_item_of(n.y),
           tp_item_of(n.L), tp_item(tp_leaf_grad(n.w)));
    printf("   r = %.1f, 1 − y² = %.2f\n", tp_item_of(n.r), 1 - 0.6 * 0.6);
    printf("2. dL/dx = dL/dp · w = %.4f\n", 2 * -0.4 * 0.64 * 0.5);
    double r = 0.6 - 1;
    printf("3. with L = r⁴: dL/dr = 4r³ = %.4f in place of -0.8, dL/dw = %.5f\n", 4 * r * r * r,
           4 * r * r * r * 0.64 * 2);
    TP_TRY(slope_of_tanh(5, &slope));
    printf("4. slope of tanh at 5: %.3e; three such neurons in a row: %.2e\n", slope,
           slope * slope * slope);
    learn_close(&n.page);
    return TP_OK;
}

/* --- the picture -------------------------------------------------------------------------------- */

typedef struct place {
    const char *op;
    double x, y;
    tp_var v;
    int up; /* index of the place that uses it, -1 for the loss */
    const char *local;
} place;

static void put_place(const place *p, tp_var grad)
{
    draw_box(p->x - 58, p->y - 32, 116, 64, DRAW_PALE);
    draw_text(p->x, p->y - 12, "middle", DRAW_INK, "%s", p->op);
    draw_text(p->x, p->y + 7, "middle", DRAW_FORWARD, "%.4f", tp_item_of(p->v));
    if (p->local == NULL)
        draw_text(p->x, p->y + 25, "middle", DRAW_GREY, "data");
    else
        draw_text(p->x, p->y + 25, "middle", DRAW_BACKWARD, "%.4f", tp_item_of(grad));
}

/* Up in blue, and down again in orange with the local derivative beside it. */
static void put_edge(const place *from, const place *to)
{
    double x0 = from->x, y0 = from->y - 32, x1 = to->x + (x0 - to->x) / 4, y1 = to->y + 32;
    draw_arrow(x0 - 8, y0, x1 - 8, y1, DRAW_FORWARD);
    if (from->local == NULL)
        return;
    draw_arrow(x1 + 8, y1, x0 + 8, y0, DRAW_BACKWARD);
    double beside = x0 > to->x ? 12 : x0 < to->x ? 34 : 18;
    draw_text((x0 + x1) / 2 + beside, (y0 + y1) / 2 + (x0 > to->x ? -8 : 5), "start", DRAW_BACKWARD,
              "%s", from->local);
}

static tp_status picture_neuron(void)
{
    neuron n = {0};
    TP_TRY(record(&n, log(2) - 1));
    tp_var of[] = {n.L, n.r, n.y, n.a, n.p, n.w, n.b}, grad[7];
    TP_TRY(tp_grad(1, &n.L, 7, of, grad, (tp_grad_opts){0}));
    const place places[] = {
        {"L = r²", 170, 50, n.L, -1, ""},
        {"r = y − t", 170, 160, n.r, 0, "· 2r"},
        {"y = tanh(a)", 170, 270, n.y, 1, "· 1"},
        {"a = p + b", 170, 380, n.a, 2, "· (1 − y²)"},
        {"p = w·x", 170, 490, n.p, 3, "· 1"},
        {"w", 90, 600, n.w, 4, "· x"},
        {"b", 370, 490, n.b, 3, "· 1"},
        {"t", 370, 270, n.t, 1, NULL},
        {"x", 270, 600, n.x, 4, NULL},
    };
    draw_begin(620, 650, "The graph of the neuron: values go up to the loss, gradients come down");
    for (int i = 0; i < 9; i++) {
        put_place(&places[i], grad[i < 7 ? i : 0]);
        if (places[i].up >= 0)
            put_edge(&places[i], &places[places[i].up]);
    }
    draw_text(370, 40, "start", DRAW_FORWARD, "blue: values, going up");
    draw_text(370, 62, "start", DRAW_BACKWARD, "orange, dashed: gradients,");
    draw_text(370, 82, "start", DRAW_BACKWARD, "each times the local derivative");
    draw_text(370, 102, "start", DRAW_BACKWARD, "beside its arrow");
    draw_end();
    learn_close(&n.page);
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"pencil", pencil},
                                        {"tape", tape},
                                        {"sweep", sweep},
                                        {"kept", kept},
                                        {"two", two},
                                        {"tails", tails},
                                        {"wrong_place", wrong_place},
                                        {"exercises", exercises},
                                        {"picture-neuron", picture_neuron},
                                        {0}});
}
