/* 06_stable.c: formulas that are right on paper and wrong in floating point, beside the ones that tapir computes. The
 * naive forms are written out here; every other number comes from tapir's operations. Read 06_stable.md beside it. */
#include "docs/learn/draw.h"
#include "docs/learn/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- plumbing -------------------------------------------------------------------------------------------------- */

/* A number for a table; the sign of a NaN means nothing. */
static void cell(double x)
{
    if (isnan(x))
        printf("  %13s", "nan");
    else
        printf("  %13.5g", x + 0); /* + 0: no "-0" */
}

static void row(double x, int n, const double *numbers)
{
    printf("%8g", x);
    for (int i = 0; i < n; i++)
        cell(numbers[i]);
    printf("\n");
}

/* exp and log in f32, rounded once from f64: the same on every C library. */
static float exp32(float x)
{
    return (float)exp((double)x);
}
static float log32(float x)
{
    return (float)log((double)x);
}

typedef struct result {
    double value, slope; /* NaN if the operation refused */
} result;

/* f(x, t) of tapir for one number, and its derivative by x; f may ignore t. */
static result run(tp_var (*f)(tp_var x, tp_var t), tp_dtype dtype, double x, double t)
{
    learn_page p;
    result r = {(double)NAN, (double)NAN};
    if (learn_open(&p) != TP_OK)
        return r;
    p.dtype = dtype;
    tp_var vx = learn_leaf(&p, TP_SHAPE(1), &x), vt = learn_constant(&p, TP_SHAPE(1), &t);
    tp_var y = tp_sum(f(vx, vt), TP_ALL_AXES, false);
    r.value = tp_item_of(y);
    if (tp_backward(y) == TP_OK)
        r.slope = learn_grad_at(vx, 0);
    learn_close(&p);
    return r;
}

/* The value to all its digits, so that the table above it cannot be right by its rounding only. */
static tp_status same(const char *what, double got, double wanted)
{
    return learn_expect(what, got, wanted, 4e-16 * fabs(wanted));
}

/* --- softplus and sigmoid ----------------------------------------------------------------------------------------- */

static tp_var softplus(tp_var x, tp_var t)
{
    return (void)t, tp_softplus(x);
}

static tp_var sigmoid(tp_var x, tp_var t)
{
    return (void)t, tp_sigmoid(x);
}

static tp_status softplus_table(void)
{
    static const double xs[] = {0, -10, -20, -40, 100, 1000};
    printf("%8s  %13s  %13s  %13s  %13s\n", "x", "naive f32", "tapir f32", "naive f64",
           "tapir f64");
    for (int i = 0; i < 6; i++) {
        double x = xs[i];
        row(x, 4,
            (double[]){(double)log32(1 + exp32((float)x)), run(softplus, TP_F32, x, 0).value,
                       log(1 + exp(x)), run(softplus, TP_F64, x, 0).value});
    }
    printf("in f64: softplus(-104) = %.6g, softplus(-1000) = %g\n",
           run(softplus, TP_F64, -104, 0).value, run(softplus, TP_F64, -1000, 0).value);
    TP_TRY(same("softplus(0)", run(softplus, TP_F64, 0, 0).value, 0.693147180559945286));
    TP_TRY(same("softplus(-20)", run(softplus, TP_F64, -20, 0).value, 2.06115362031438080e-9));
    TP_TRY(same("softplus(-104)", run(softplus, TP_F64, -104, 0).value, 6.81355682154529991e-46));
    return same("softplus(1000)", run(softplus, TP_F64, 1000, 0).value, 1000);
}

static tp_status sigmoid_table(void)
{
    static const double xs[] = {0, 40, 1000, -40, -1000};
    printf("%8s  %13s  %13s  %13s  %13s\n", "x", "e^x/(1+e^x)", "tapir", "1 - tapir",
           "tapir of -x");
    for (int i = 0; i < 5; i++) {
        double s = run(sigmoid, TP_F64, xs[i], 0).value;
        row(xs[i], 4,
            (double[]){exp(xs[i]) / (1 + exp(xs[i])), s, 1 - s,
                       run(sigmoid, TP_F64, -xs[i], 0).value});
    }
    return TP_OK;
}

/* --- many numbers: logsumexp, log-softmax -------------------------------------------------------------------------- */

static double naive_logsumexp(int n, const double *x)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += exp(x[i]);
    return log(sum);
}

/* wanted: to all its digits; NaN: not compared. */
static tp_status lse(const char *name, int n, const double *x, double wanted)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var v = learn_leaf(&p, TP_SHAPE(n), x), y = tp_logsumexp(v, TP_ALL_AXES, false);
    TP_TRY(tp_backward(y));
    TP_TRY(isnan(wanted) ? TP_OK : same(name, learn_at(y, 0), wanted));
    printf("%-15s", name);
    cell(naive_logsumexp(n, x));
    cell(learn_at(y, 0));
    cell(learn_grad_at(v, 0));
    cell(learn_grad_at(v, 1));
    printf("\n");
    learn_close(&p);
    return TP_OK;
}

static tp_status logsumexp(void)
{
    const double zeros[10] = {0}, none[] = {-INFINITY, -INFINITY};
    printf("%-15s  %13s  %13s  %13s  %13s\n", "x", "naive", "tapir", "slope of x[0]", "of x[1]");
    TP_TRY(lse("[1000, 1000]", 2, (const double[]){1000, 1000}, 1000.69314718055989));
    TP_TRY(lse("[1000, -1000]", 2, (const double[]){1000, -1000}, 1000));
    TP_TRY(lse("[-1000, -1000]", 2, (const double[]){-1000, -1000}, -999.306852819440055));
    TP_TRY(lse("ten zeros", 10, zeros, 2.30258509299404590));
    TP_TRY(lse("[nan, 1]", 2, (const double[]){(double)NAN, 1}, (double)NAN));
    return lse("[-inf, -inf]", 2, none, (double)NAN);
}

static tp_status log_softmax(void)
{
    const double x[] = {1000, -1000};
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var v = learn_leaf(&p, TP_SHAPE(2), x);
    tp_var y = tp_log_softmax(v, 0), naive = tp_log(tp_softmax(v, 0));
    printf("log of softmax: (%g, %g)   log_softmax: (%g, %g)\n", learn_at(naive, 0),
           learn_at(naive, 1), learn_at(y, 0), learn_at(y, 1));
    TP_TRY(learn_expect("log_softmax", learn_at(y, 1), -2000, 0));
    learn_close(&p);
    return TP_OK;
}

/* --- the Bernoulli loss ---------------------------------------------------------------------------------------------- */

/* As the textbook has it, from a probability, in f64 and in f32. */
static double naive_bce(double x, double t)
{
    double p = 1 / (1 + exp(-x));
    return -t * log(p) - (1 - t) * log(1 - p);
}

static double naive_bce32(float x, float t)
{
    float p = 1 / (1 + exp32(-x));
    return (double)(-t * log32(p) - (1 - t) * log32(1 - p));
}

static const double bce_cases[][2] = {{0, 1},    {5, 0},    {20, 0},     {100, 1},
                                      {-100, 1}, {1000, 1}, {1000, 0.5}, {1e30, 0}};

static tp_status bce(void)
{
    printf("%8s  %4s  %13s  %13s  %13s\n", "x", "t", "naive f32", "naive f64", "tapir f64");
    for (size_t i = 0; i < sizeof bce_cases / sizeof *bce_cases; i++) {
        double x = bce_cases[i][0], t = bce_cases[i][1];
        printf("%8g  %4g", x, t);
        cell(naive_bce32((float)x, (float)t));
        cell(naive_bce(x, t));
        cell(run(tp_bce_with_logits, TP_F64, x, t).value);
        printf("\n");
    }
    TP_TRY(learn_expect(
        "bce(100,1)", run(tp_bce_with_logits, TP_F64, 100, 1).value / 3.72007597602e-44, 1, 1e-11));
    return same("bce(1000,1/2)", run(tp_bce_with_logits, TP_F64, 1000, 0.5).value, 500);
}

/* The textbook's loss made of tapir's operations: every rule is right, and the result is not. */
static tp_var textbook(tp_var x, tp_var t)
{
    tp_var p = tp_sigmoid(x);
    tp_var one = tp_mul(t, tp_log(p)),
           zero = tp_mul(tp_affine(t, -1, 1), tp_log(tp_affine(p, -1, 1)));
    return tp_neg(tp_add(one, zero));
}

static tp_status bce_slope(void)
{
    static const double cases[][2] = {{0, 1}, {5, 1}, {40, 1}, {-40, 0}, {-1000, 1}, {1000, 0.5}};
    printf("%8s  %4s  %13s  %14s  %13s\n", "x", "t", "textbook", "σ(x) - t", "tapir");
    for (int i = 0; i < 6; i++) {
        double x = cases[i][0], t = cases[i][1];
        printf("%8g  %4g", x, t);
        cell(run(textbook, TP_F64, x, t).slope);
        cell(run(sigmoid, TP_F64, x, 0).value - t);
        cell(run(tp_bce_with_logits, TP_F64, x, t).slope);
        printf("\n");
    }
    return learn_expect("slope at 40, 1", run(tp_bce_with_logits, TP_F64, 40, 1).slope * 1e18,
                        -4.248, 5e-4);
}

/* --- the Gaussian KL --------------------------------------------------------------------------------------------------- */

/* −½(1 + v − μ² − e^v), as nearly every implementation prints it. */
static double naive_kl(double mu, double v)
{
    return -0.5 * (1 + v - mu * mu - exp(v));
}

static double naive_kl32(float mu, float v)
{
    return (double)(-0.5f * (1 + v - mu * mu - exp32(v)));
}

/* KL(μ, v) of tapir, and its derivative by v. */
static result kl(tp_dtype dtype, double mu, double v)
{
    learn_page p;
    result r = {(double)NAN, (double)NAN};
    if (learn_open(&p) != TP_OK)
        return r;
    p.dtype = dtype;
    tp_var m = learn_constant(&p, TP_SHAPE(1), &mu), lv = learn_leaf(&p, TP_SHAPE(1), &v);
    tp_var y = tp_sum(tp_gaussian_kl(m, lv), TP_ALL_AXES, false);
    r.value = tp_item_of(y);
    if (tp_backward(y) == TP_OK)
        r.slope = learn_grad_at(lv, 0);
    learn_close(&p);
    return r;
}

static tp_status kl_collapse(void)
{
    static const double v[] = {1, 1e-2, 1e-3, 5e-4, 3e-4, 1e-4, 1e-9};
    printf("%8s  %13s  %13s  %13s  %13s\n", "v", "naive f32", "tapir f32", "naive f64",
           "tapir f64");
    for (int i = 0; i < 7; i++)
        row(v[i], 4,
            (double[]){naive_kl32(0, (float)v[i]), kl(TP_F32, 0, v[i]).value, naive_kl(0, v[i]),
                       kl(TP_F64, 0, v[i]).value});
    return learn_expect("naive KL at 3e-4", naive_kl32(0, 3e-4f), 0, 0);
}

static tp_status kl_values(void)
{
    static const double cases[][3] = {
        {0, 1, 0.359140914229522601},      {0, 1e-8, 2.5e-17},           {0, -1e-8, 2.5e-17},
        {0, 1e-4, 2.50008333541670835e-9}, {3, -2, 5.06766764161830618}, {0, -100, 49.5},
        {0, 20, 2.42582587204895139e8}};
    for (int i = 0; i < 7; i++) {
        double got = kl(TP_F64, cases[i][0], cases[i][1]).value;
        printf("mu %g, v %5g: %.6g\n", cases[i][0], cases[i][1], got);
        TP_TRY(learn_expect("KL", got / cases[i][2], 1, 4e-9));
    }
    learn_page p;
    TP_TRY(learn_open(&p));
    p.dtype = TP_F32;
    printf("in f32, v 89: %.4g; v 90: ", kl(TP_F32, 0, 89).value);
    tp_gaussian_kl(learn_constant(&p, TP_SHAPE(1), (const double[]){0}),
                   learn_constant(&p, TP_SHAPE(1), (const double[]){90}));
    const char *message = tp_tape_message(p.tape);
    printf("%.*s\n", (int)strcspn(message, "\n"), message);
    learn_close(&p);
    return TP_OK;
}

static tp_status kl_slope(void)
{
    static const double v[] = {1, 1e-3, 1e-8, -1e-8};
    printf("%8s  %14s  %13s  %13s\n", "v", "½(e^v-1), f32", "tapir f32", "tapir f64");
    for (int i = 0; i < 4; i++)
        row(v[i], 3,
            (double[]){(double)(0.5f * (exp32((float)v[i]) - 1)), kl(TP_F32, 0, v[i]).slope,
                       kl(TP_F64, 0, v[i]).slope});
    return TP_OK;
}

/* --- the Gaussian density ------------------------------------------------------------------------------------------------ */

/* log N(x; μ = 0, e^v) of tapir. */
static double density(tp_dtype dtype, double x, double v)
{
    const double mu = 0;
    learn_page p;
    if (learn_open(&p) != TP_OK)
        return (double)NAN;
    p.dtype = dtype;
    tp_dist d =
        tp_normal_logvar(learn_constant(&p, TP_SHAPE(1), &mu), learn_constant(&p, TP_SHAPE(1), &v));
    double y = tp_item_of(tp_dist_logprob(d, learn_constant(&p, TP_SHAPE(1), &x)));
    learn_close(&p);
    return y;
}

static tp_status density_table(void)
{
    static const double cases[][2] = {{0, 0},    {3, 0},    {1, -20},
                                      {0, -100}, {0, -110}, {1e-20, -110}};
    const float log_2pi = 1.8378770664f;
    printf("%8s  %6s  %13s  %13s\n", "x - mu", "v", "naive f32", "tapir f32");
    for (int i = 0; i < 6; i++) {
        float x = (float)cases[i][0], v = (float)cases[i][1];
        printf("%8g  %6g", cases[i][0], cases[i][1]);
        cell((double)(-0.5f * (x * x / exp32(v) + v + log_2pi)));
        cell(density(TP_F32, cases[i][0], cases[i][1]));
        printf("\n");
    }
    TP_TRY(same("density(0,0)", density(TP_F64, 0, 0), -0.918938533204672781));
    TP_TRY(same("density(3,0)", density(TP_F64, 3, 0), -5.41893853320467311));
    TP_TRY(same("density(1,-20)", density(TP_F64, 1, -20), -2.42582588623833686e8));
    return same("density(0,-100)", density(TP_F64, 0, -100), 49.081061466795326);
}

/* --- where ------------------------------------------------------------------------------------------------------------------ */

/* √ of a where the mask is 1, else 0: chosen, and multiplied. The gradient of √ at 0 is infinite. */
static tp_status select(void)
{
    const double numbers[] = {4, 9}, bits[] = {1, 0};
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var mask = learn_constant(&p, TP_SHAPE(2), bits), zero = tp_scalar(p.tape, TP_F64, 0);
    tp_var a = learn_leaf(&p, TP_SHAPE(2), numbers), b = learn_leaf(&p, TP_SHAPE(2), numbers);
    tp_var multiplied = tp_sqrt(tp_mul(mask, a)), chosen = tp_sqrt(tp_where(mask, b, zero));
    TP_TRY(tp_backward(tp_sum(tp_add(multiplied, chosen), TP_ALL_AXES, false)));
    TP_TRY(learn_show("√(mask · a)", multiplied));
    TP_TRY(learn_show("√ where(mask, a, 0)", chosen));
    TP_TRY(learn_show_grad("gradient of a, multiplied", a));
    TP_TRY(learn_show_grad("gradient of a, chosen", b));
    learn_close(&p);
    return TP_OK;
}

/* x·log x, which is 0 at 0: guarded behind, and in front. */
static tp_var guarded_behind(tp_var x, tp_var unused)
{
    tp_var zero = tp_zeros_like(x);
    (void)unused;
    return tp_where(tp_greater(x, zero), tp_mul(x, tp_log(x)), zero);
}

static tp_var guarded_twice(tp_var x, tp_var unused)
{
    tp_var zero = tp_zeros_like(x), positive = tp_greater(x, zero);
    tp_var safe = tp_where(positive, x, tp_ones_like(x));
    (void)unused;
    return tp_where(positive, tp_mul(x, tp_log(safe)), zero);
}

static tp_status guard(void)
{
    printf("%8s  %13s  %13s  %13s  %13s\n", "x", "value behind", "slope behind", "value twice",
           "slope twice");
    for (int i = 0; i < 2; i++) {
        result a = run(guarded_behind, TP_F64, i * 2, 0), b = run(guarded_twice, TP_F64, i * 2, 0);
        row(i * 2, 4, (double[]){a.value, a.slope, b.value, b.slope});
    }
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_tape_trap(p.tape, true);
    tp_var x = learn_leaf(&p, TP_SHAPE(2), (const double[]){0, 2}), zero = tp_zeros_like(x);
    tp_var positive = tp_greater(x, zero), root = tp_sqrt(x);
    if (tp_backward(tp_sum(tp_where(positive, root, zero), TP_ALL_AXES, false)) == TP_OK)
        return tp_fail(TP_EVALUE, "the trap has seen nothing");
    printf("\nthe trap, on where(x > 0, √x, 0) at (0, 2):\n%s\n", tp_tape_message(p.tape));
    learn_close(&p);
    return TP_OK;
}

/* A probability kept away from 0 and 1, as many programs do it, and the loss from it. */
static tp_var clipped(tp_var x, tp_var t)
{
    tp_var p = tp_clamp(tp_sigmoid(x), 1e-7, 1 - 1e-7);
    return tp_neg(tp_mul(t, tp_log(p)));
}

/* A little more inside the logarithm, for t = 0. */
static tp_var more_inside(tp_var x, tp_var t)
{
    return (void)t, tp_neg(tp_log(tp_affine(tp_sigmoid(x), -1, 1 + 1e-8)));
}

/* --- exercises ----------------------------------------------------------------------------------------------------------------- */

static tp_status answers(void)
{
    double x = 1e-5;
    printf("1: naive 1 - cos x at 1e-9: %g; 2 sin²(x/2): %.4g\n", 1 - cos(1e-9),
           2 * sin(5e-10) * sin(5e-10));
    printf("2: log σ(-800) by log: %g, by -softplus(800): %g\n",
           log(run(sigmoid, TP_F64, -800, 0).value), -run(softplus, TP_F64, 800, 0).value);
    result more = run(more_inside, TP_F64, 40, 0), right = run(tp_bce_with_logits, TP_F64, 40, 0);
    printf(
        "with 1e-8 inside the logarithm, x = 40, t = 0: %.4f with slope %.3g; tapir %g with slope "
        "%g\n",
        more.value, more.slope, right.value, right.slope);
    printf("3: v = %g: naive f32 %g, tapir %.4g, ¼v² = %.4g\n", x, naive_kl32(0, (float)x) + 0,
           kl(TP_F32, 0, x).value, x * x / 4);
    result clip = run(clipped, TP_F64, -100, 1), exact = run(tp_bce_with_logits, TP_F64, -100, 1);
    printf("4: x = -100, t = 1: clipped at 1e-7 %.4f with slope %g, tapir %g with slope %g\n",
           clip.value, clip.slope + 0, exact.value, exact.slope);
    return TP_OK;
}

/* --- the picture: KL(N(0, e^v) ‖ N(0, 1)) near collapse, both axes logarithmic ---------------------------------------------------- */

static double across(double v)
{
    return 90 + 110 * (log10(v) + 5); /* 1e-5 … 1e-1 */
}

static double down(double y)
{
    return 40 + 30 * (-2 - log10(y)); /* 1e-2 … 1e-11 */
}

static void axes(void)
{
    for (int e = -5; e <= -1; e++)
        printf("<path d=\"M%.0f 30V320\" stroke=\"#ddd\"/>\n<text x=\"%.0f\" y=\"342\" "
               "text-anchor=\"middle\">1e%d</text>\n",
               across(pow(10, e)), across(pow(10, e)), e);
    for (int e = -2; e >= -11; e -= 3)
        printf("<path d=\"M80 %.0fH540\" stroke=\"#ddd\"/>\n<text x=\"72\" y=\"%.0f\" "
               "text-anchor=\"end\">1e%d</text>\n",
               down(pow(10, e)), down(pow(10, e)) + 5, e);
    printf("<text x=\"310\" y=\"366\" text-anchor=\"middle\">v = logvar</text>\n"
           "<text x=\"96\" y=\"24\">KL</text>\n");
}

static tp_status picture(void)
{
    draw_begin(600, 410, "The KL divergence near v = 0, exact and in f32 by the textbook formula");
    axes();
    printf("<path fill=\"none\" stroke=\"#0063a8\" stroke-width=\"2\" d=\"");
    for (int i = 0; i <= 40; i++) {
        double v = pow(10, -5 + i / 10.0);
        printf("%s%.1f %.1f", i ? "L" : "M", across(v), down(kl(TP_F64, 0, v).value));
    }
    printf("\"/>\n");
    for (int i = 0; i <= 80; i++) {
        float v = (float)pow(10, -5 + i / 20.0);
        double y = naive_kl32(0, v);
        printf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\" stroke=\"#b3400a\"/>\n",
               across((double)v), y > 0 ? down(y) : 320, y > 0 ? "#b3400a" : "#fff");
    }
    printf("<circle cx=\"100\" cy=\"391\" r=\"3\" fill=\"#b3400a\" stroke=\"#b3400a\"/>\n"
           "<text x=\"110\" y=\"396\">naive, f32</text>\n"
           "<circle cx=\"220\" cy=\"391\" r=\"3\" fill=\"#fff\" stroke=\"#b3400a\"/>\n"
           "<text x=\"230\" y=\"396\">naive, f32, where it is 0</text>\n"
           "<path d=\"M440 391h26\" stroke=\"#0063a8\" stroke-width=\"2\"/>\n"
           "<text x=\"474\" y=\"396\">expm1 form</text>\n");
    draw_end();
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"softplus", softplus_table},
                                        {"sigmoid", sigmoid_table},
                                        {"logsumexp", logsumexp},
                                        {"log-softmax", log_softmax},
                                        {"bce", bce},
                                        {"bce-slope", bce_slope},
                                        {"kl-collapse", kl_collapse},
                                        {"kl-values", kl_values},
                                        {"kl-slope", kl_slope},
                                        {"density", density_table},
                                        {"select", select},
                                        {"guard", guard},
                                        {"answers", answers},
                                        {"picture-collapse", picture},
                                        {0}});
}
