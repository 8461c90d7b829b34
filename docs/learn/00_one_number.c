/* 00_one_number.c: a loss, a knob, and which way to turn it. Read 00_one_number.md beside it. */
#include "docs/learn/draw.h"
#include "docs/learn/learn.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* The loss: e^w is the guess, 3 is what it should be. */
static tp_var loss(tp_var w)
{
    return tp_square(tp_shift(tp_exp(w), -3));
}

/* Its value and its slope at one w. slope may be NULL. */
static tp_status look(double at, double *value, double *slope)
{
    tp_tape *tape;
    tp_tensor number = {0};
    TP_TRY(tp_tape_new(&tape));
    TP_TRY(tp_tensor_from(&number, TP_F64, TP_SHAPE(), &at));
    tp_var w = tp_leaf(tape, &number); /* a variable to differentiate by */
    tp_var l = loss(w);
    *value = tp_item_of(l);
    if (slope != NULL) {
        TP_TRY(tp_backward(l));
        *slope = tp_item(tp_leaf_grad(w));
    }
    TP_TRY(tp_tape_status(tape));
    tp_tape_free(tape);
    tp_tensor_free(&number);
    return TP_OK;
}

static tp_status turn(void)
{
    printf("     w   guess e^w    loss\n");
    for (int i = -2; i <= 4; i++) {
        double w = 0.5 * i, l;
        TP_TRY(look(w, &l, NULL));
        printf("%6.1f   %9.4f   %7.4f\n", w, exp(w), l);
    }
    return TP_OK;
}

/* --- the slope as a difference quotient --------------------------------------------------------- */

static tp_status forward_quotient(double w, double h, double *q)
{
    double here, there;
    TP_TRY(look(w, &here, NULL));
    TP_TRY(look(w + h, &there, NULL));
    *q = (there - here) / h;
    return TP_OK;
}

static tp_status central_quotient(double w, double h, double *q)
{
    double left, right;
    TP_TRY(look(w - h, &left, NULL));
    TP_TRY(look(w + h, &right, NULL));
    *q = (right - left) / (2 * h);
    return TP_OK;
}

static tp_status quotient(void)
{
    double f, c;
    printf("     h   one-sided    central\n");
    for (int k = 1; k <= 4; k++) {
        double h = pow(10, -k);
        TP_TRY(forward_quotient(0, h, &f));
        TP_TRY(central_quotient(0, h, &c));
        printf("%6.4f   %9.5f  %9.5f\n", h, f, c);
    }
    return learn_expect("the slope at 0", c, -4, 1e-7);
}

static tp_status errors(void)
{
    double f, c;
    printf("                  one-sided          central         expected of central\n");
    printf("      h           measured           measured        h²/3       4ε/h\n");
    for (int k = 1; k <= 13; k++) {
        double h = pow(10, -k);
        TP_TRY(forward_quotient(0, h, &f));
        TP_TRY(central_quotient(0, h, &c));
        printf("  1e-%02d      error %.1e    error %.1e     %.1e    %.1e\n", k, fabs(f + 4),
               fabs(c + 4), h * h / 3, 4 * DBL_EPSILON / h);
    }
    printf("\nε = %.1e in f64, %.1e in f32\n", DBL_EPSILON, FLT_EPSILON);
    printf("best h, error:      one-sided            central\n");
    const double eps[] = {DBL_EPSILON, FLT_EPSILON};
    for (int i = 0; i < 2; i++) {
        double one = sqrt(4 * eps[i]), two = cbrt(12 * eps[i]);
        printf("  %s          %.1e, %.1e     %.1e, %.1e\n", i == 0 ? "f64" : "f32", one,
               one + 4 * eps[i] / one, two, two * two / 3 + 4 * eps[i] / two);
    }
    return TP_OK;
}

/* --- downhill ----------------------------------------------------------------------------------- */

static tp_status walk(double rate, int steps)
{
    double w = 0, l, slope;
    printf("rate %.2f\n", rate);
    for (int i = 0; i <= steps; i++) {
        TP_TRY(look(w, &l, &slope));
        printf("  step %d   w %8.4f   loss %8.4f   slope %9.4f\n", i, w, l, slope);
        w -= rate * slope;
    }
    return TP_OK;
}

static tp_status downhill(void)
{
    TP_TRY(walk(0.05, 8));
    printf("ln 3 = %.4f\n", log(3));
    return TP_OK;
}

static tp_status overshoot(void)
{
    TP_TRY(walk(0.1, 5));
    TP_TRY(walk(0.12, 5));
    printf("1 − 18·rate: %.1f at %.1f, %.2f at %.2f; largest rate that settles: 2/18 = %.4f\n",
           1 - 18 * 0.1, 0.1, 1 - 18 * 0.12, 0.12, 2.0 / 18);
    return TP_OK;
}

/* --- the slope from the framework --------------------------------------------------------------- */

static tp_status framework(void)
{
    printf("     w       by hand   tp_backward   difference quotient, h = 1e-5\n");
    for (int i = -2; i <= 4; i++) {
        double w = 0.5 * i, l, slope, q, hand = 2 * (exp(w) - 3) * exp(w);
        TP_TRY(look(w, &l, &slope));
        TP_TRY(central_quotient(w, 1e-5, &q));
        TP_TRY(learn_expect("the slope", slope, hand, 1e-12 * (1 + fabs(hand))));
        TP_TRY(learn_expect("the quotient", q, hand, 1e-8));
        printf("%6.1f   %11.5f   %11.5f   %11.5f\n", w, hand, slope, q);
    }
    return TP_OK;
}

static tp_var loss_of_parameter(tp_tape *tape, void *w)
{
    return loss(tp_param(tape, w));
}

static tp_status gradcheck(void)
{
    tp_parameter w = {0}, *wrt[] = {&w};
    tp_check_report report;
    TP_TRY(tp_parameter_init(&w, "w", TP_F64, TP_SHAPE()));
    TP_TRY(tp_gradcheck(loss_of_parameter, &w, 1, wrt, (tp_check_opts){0}, &report));
    printf("%lld number checked: error %.1e of what is allowed\n", (long long)report.checked,
           report.worst);
    tp_parameter_free(&w);
    return TP_OK;
}

/* --- many knobs --------------------------------------------------------------------------------- */

static tp_status knobs(void)
{
    tp_params params = tp_params_make(TP_F32, 0);
    tp_nn_linear layer[5];
    static const struct {
        const char *name;
        int64_t in, out;
    } sizes[] = {{"enc", 784, 400},
                 {"mu", 400, 20},
                 {"logvar", 400, 20},
                 {"dec", 20, 400},
                 {"out", 400, 784}};
    for (int i = 0; i < 5; i++)
        TP_TRY(tp_nn_linear_init(&layer[i], &params, sizes[i].name, sizes[i].in, sizes[i].out));
    long long n = (long long)tp_params_count(&params);
    printf("%lld knobs: all slopes by central quotients take %lld evaluations of the loss\n", n,
           2 * n);
    tp_params_free(&params);
    return TP_OK;
}

static tp_status exercises(void)
{
    double l, slope, f, before, after;
    TP_TRY(look(1, &l, &slope));
    printf("1. at w = 1: loss %.4f, slope %.4f, so w goes up\n", l, slope);
    TP_TRY(look(2, &before, &slope));
    TP_TRY(look(2 - 0.001 * slope, &after, NULL));
    printf("2. at w = 2: slope %.4f; rate 0.001: predicted change %.4f, real change %.4f\n", slope,
           -0.001 * slope * slope, after - before);
    TP_TRY(forward_quotient(0, 0.01, &f));
    printf("3. one-sided at h = 0.01: %.5f, error %.5f\n", f, f + 4);
    double x = 3, h = 0.5, q = ((x + h) * (x + h) - (x - h) * (x - h)) / (2 * h);
    printf("4. x² at 3 with h = 0.5: central %.4f, one-sided %.4f\n", q,
           ((x + h) * (x + h) - x * x) / h);
    return TP_OK;
}

/* --- the picture -------------------------------------------------------------------------------- */

static double px(double w)
{
    return 60 + (w + 1) * 200;
}

static double py(double l)
{
    return 330 - l * 32;
}

static tp_status draw_walk(void)
{
    double w = 0, l, slope;
    for (int i = 0; i <= 6; i++) {
        TP_TRY(look(w, &l, &slope));
        draw_dot(px(w), py(l), 5, DRAW_BACKWARD);
        draw_text(px(w) + 9, py(l) - 6, "start", DRAW_BACKWARD, "%d", i);
        w -= 0.05 * slope;
    }
    return TP_OK;
}

static tp_status picture_downhill(void)
{
    double x[101], y[101], l;
    draw_begin(
        680, 390,
        "The loss over w: a valley with its floor at w = ln 3, and steps going down into it");
    for (int i = 0; i <= 100; i++) {
        double w = -1 + 0.028 * i;
        TP_TRY(look(w, &l, NULL));
        x[i] = px(w), y[i] = py(l);
    }
    draw_line(px(-1), py(0), px(2), py(0), DRAW_GREY);
    for (int i = -1; i <= 2; i++)
        draw_text(px(i), py(0) + 20, "middle", DRAW_GREY, "%d", i);
    for (int i = 2; i <= 8; i += 2) {
        draw_line(px(-1) - 4, py(i), px(-1), py(i), DRAW_GREY);
        draw_text(px(-1) - 8, py(i) + 5, "end", DRAW_GREY, "%d", i);
    }
    draw_line(px(-1), py(0), px(-1), py(9), DRAW_GREY);
    draw_curve(101, x, y, DRAW_FORWARD);
    draw_line(px(-0.5), py(6), px(0.5), py(2), DRAW_INK); /* the tangent at 0 */
    draw_text(px(-0.42), py(6) - 4, "start", DRAW_INK, "tangent at w = 0: slope −4");
    TP_TRY(draw_walk());
    draw_text(px(0.5), py(0) + 44, "middle", DRAW_INK, "w");
    draw_text(px(-1) + 10, py(9) + 12, "start", DRAW_FORWARD, "loss (e^w − 3)²");
    draw_line(px(log(3)), py(0), px(log(3)), py(0) + 6, DRAW_GREY);
    draw_text(px(log(3)) + 2, py(0) + 20, "start", DRAW_GREY, "ln 3");
    draw_end();
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"turn", turn},
                                        {"quotient", quotient},
                                        {"errors", errors},
                                        {"downhill", downhill},
                                        {"overshoot", overshoot},
                                        {"framework", framework},
                                        {"gradcheck", gradcheck},
                                        {"knobs", knobs},
                                        {"exercises", exercises},
                                        {"picture-downhill", picture_downhill},
                                        {0}});
}
