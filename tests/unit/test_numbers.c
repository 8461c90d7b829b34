/* test_numbers.c: the numbers at which formulas of this field break, one row each: softplus, the Bernoulli and
 * the Gaussian losses, reparameterized draws, mixtures, softmax; values and gradients, in f64 and f32, through
 * the fused rules and the composed ones. A value is within 2 ulp of the nearest number of its type, a gradient
 * within 3. Read next: test_op_values.c (kinks, ties, infinities op by op).
 *
 * How the references were made: mpmath, 40 digits, from the formulas above each block, at the inputs as the type
 * holds them (hence two rows where f32 rounds an input); printed with 21 digits.
 *
 * Where other known mistakes are looked for:
 *   noise scaled by σ² or e^logvar          unit/fused_ops: test_variance_of_draws; nn/distributions
 *   targets outside [0,1]                   unit/fused_ops: test_bce_refuses_targets
 *   where multiplying instead of selecting  unit/op_values: test_where, test_infinite_gradients_do_not_leak
 *   2x the negative ELBO, sums and means    nn/objective: test_means, test_zero_logits, test_union */
#include "tests/support/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "nn/dist.h"

enum { INPUTS = 3, VALUE_ULPS = 2, GRADIENT_ULPS = 3 };
static double worst_value, worst_gradient;
static tp_tape *t;

static int set_up(void **state)
{
    (void)state;
    return tp_tape_new(&t) != TP_OK;
}

static int tear_down(void **state)
{
    (void)state;
    tp_tape_free(t);
    return 0;
}

/* Distance of got from the number of dtype nearest to want, in units of that number's last place. */
static double ulps(tp_dtype dtype, double got, double want)
{
    double nearest = dtype == TP_F32 ? (double)(float)want : want;
    if (got == nearest || (isnan(got) && isnan(nearest)))
        return 0;
    if (!isfinite(got) || !isfinite(nearest))
        return INFINITY;
    int exponent, digits = dtype == TP_F32 ? 24 : 53, least = dtype == TP_F32 ? -149 : -1074;
    frexp(nearest, &exponent);
    double unit = ldexp(1, exponent - digits > least ? exponent - digits : least);
    return fabs(got - nearest) / unit;
}

static void check_number(tp_dtype dtype, double got, double want, bool gradient, const char *text)
{
    double off = ulps(dtype, got, want), *worst = gradient ? &worst_gradient : &worst_value;
    *worst = fmax(*worst, off);
    if (!(off <= (gradient ? GRADIENT_ULPS : VALUE_ULPS)))
        fail_msg("%s in %s: %.17g is %.3g ulp from %.17g", text, tp_dtype_name(dtype), got, off,
                 want);
}

/* --- functions of a few numbers ----------------------------------------------------------------- */

static tp_var softplus(const tp_var *x)
{
    return tp_softplus(x[0]);
}

static tp_var bce(const tp_var *x)
{
    return tp_bce_with_logits(x[0], x[1]);
}

static tp_var kl(const tp_var *x)
{
    return tp_gaussian_kl(x[0], x[1]);
}

static tp_var normal(const tp_var *x)
{
    tp_dist p = tp_normal_logvar(x[1], x[2]);
    p.event_dims = 0;
    return tp_dist_logprob(p, x[0]);
}

static tp_var sample(const tp_var *x)
{
    return tp_reparameterize(x[0], x[1], x[2]);
}

enum { F32 = 1, F64 = 2, BOTH = 3 };

typedef struct number {
    tp_var (*f)(const tp_var *x);
    int types;
    double x[INPUTS], y, g[INPUTS];
} number;

static const number numbers[] = {
    /* max(x, 0) + log1p(e^-|x|); the gradient is 1/(1 + e^-x) */
    {softplus, BOTH, {0}, 0.693147180559945309417, {0.5}},
    {softplus, BOTH, {-20}, 2.06115362031438070324e-9, {2.06115361819020358143e-9}},
    {softplus, BOTH, {-104}, 6.81355682154529851342e-46, {6.81355682154529851342e-46}},
    {softplus, BOTH, {1000}, 1000, {1}},
    {softplus, BOTH, {-1000}, 0, {0}},
    /* (logit, target): max(x, 0) - t x + log1p(e^-|x|); gradient (1 - t) σ(x) − t σ(−x), never σ(x) − t, which
     * is 0 at (40, 1) */
    {bce, BOTH, {0, 1}, 0.693147180559945309417, {-0.5}},
    {bce, BOTH, {0, 0}, 0.693147180559945309417, {0.5}},
    {bce, BOTH, {40, 1}, 4.2483542552915889863e-18, {-4.24835425529158897728e-18}},
    {bce, BOTH, {-40, 0}, 4.2483542552915889863e-18, {4.24835425529158897728e-18}},
    {bce, BOTH, {100, 1}, 3.72007597602083596296e-44, {-3.72007597602083596296e-44}},
    {bce, BOTH, {-100, 1}, 100, {-1}},
    {bce, BOTH, {-100, 0}, 3.72007597602083596296e-44, {3.72007597602083596296e-44}},
    {bce, BOTH, {1000, 0.5}, 500, {0.5}},
    {bce, BOTH, {-1000, 0.5}, 500, {-0.5}},
    {bce, BOTH, {1000, 1}, 0, {0}},
    {bce, BOTH, {-1000, 0}, 0, {0}},
    {bce, F64, {1e+30, 0}, 1.00000000000000001988e+30, {1}},
    {bce, F32, {1.0000000150474662e+30, 0.0}, 1.00000001504746621988e+30, {1}},
    /* (mu, v): (mu^2 + expm1(v) - v)/2; gradient mu, expm1(v)/2. In f32 the textbook form is 0 at 3e-4.
     * The largest v in f32: test_kl_overflow */
    {kl, BOTH, {0, 1}, 0.35914091422952261768, {0, 0.85914091422952261768}},
    {kl, F64, {0, 1e-08}, 2.50000000833333345878e-17, {0, 5.00000002500000018795e-9}},
    {kl,
     F32,
     {0.0, 9.99999993922529e-09},
     2.49999997794597843996e-17,
     {0, 4.99999999461264492485e-9}},
    {kl, F64, {0, -1e-08}, 2.49999999166666679211e-17, {0, -4.99999997500000018795e-9}},
    {kl,
     F32,
     {0.0, -9.99999993922529e-09},
     2.49999996127931207717e-17,
     {0, -4.9999999446126455326e-9}},
    {kl, F64, {0, 0.0001}, 2.50008333541670857365e-9, {0, 5.00025000833354191047e-5}},
    {kl,
     F32,
     {0.0, 9.999999747378752e-05},
     2.50008320909977000567e-9,
     {0, 5.00024988201028579478e-5}},
    {kl, F64, {0, 0.0003}, 2.25022501687601215635e-8, {0, 0.000150022502250168746981}},
    {kl,
     F32,
     {0.0, 0.0003000000142492354},
     2.25022523064661248837e-8,
     {0, 0.000150022509376924161933}},
    {kl, BOTH, {3, -2}, 5.06766764161830634595, {3, -0.432332358381693654053}},
    {kl, BOTH, {0, -100}, 49.5, {0, -0.5}},
    {kl, BOTH, {0, 20}, 242582587.204895138985, {0, 242582597.204895138985}},
    {kl, F64, {0, 90}, 6.10201647158920401001e+38, {0, 6.10201647158920401001e+38}},
    {kl, F64, {0, 709}, 4.10920373077748609462e+307, {0, 4.10920373077748609462e+307}},
    /* (x, mu, v): -(((x - mu) e^(-v/2))^2 + v + log 2 pi)/2; gradient -d, d, (d (x - mu) - 1)/2 with
     * d = (x - mu) e^-v */
    {normal, BOTH, {0, 0, 0}, -0.91893853320467274178, {0, 0, -0.5}},
    {normal, BOTH, {3, 0, 0}, -5.41893853320467274178, {-3, 3, 4}},
    {normal,
     BOTH,
     {1, 0, -20},
     -242582588.623833672189,
     {-485165195.409790277969, 485165195.409790277969, 242582597.204895138985}},
    {normal, F64, {0.7, 0.7, -100}, 49.0810614667953272582, {0, 0, -0.5}},
    {normal,
     F32,
     {0.699999988079071, 0.699999988079071, -100.0},
     49.0810614667953272582,
     {0, 0, -0.5}},
    /* (mu, v, eps): mu + e^(v/2) eps; gradient 1, e^(v/2) eps/2, e^(v/2): the half stands in both */
    {sample, BOTH, {0, 0, 1}, 1, {1, 0.5, 1}},
    {sample,
     BOTH,
     {0, 2, 1},
     2.71828182845904523536,
     {1, 1.35914091422952261768, 2.71828182845904523536}},
    {sample, BOTH, {1, -100, 3}, 1, {1, 2.89312477194587667453e-22, 1.92874984796391778302e-22}},
    {sample,
     BOTH,
     {-1, 20, 0.5},
     11012.2328974033582585,
     {1, 5506.61644870167912924, 22026.465794806716517}},
};

static int arity(const number *n)
{
    return n->f == softplus ? 1 : n->f == bce || n->f == kl ? 2 : 3;
}

static void check_at(const number *n, tp_dtype dtype, bool composed)
{
    static const char *const name[] = {"softplus", "bce", "kl", "normal", "sample"};
    static tp_var (*const function[])(const tp_var *) = {softplus, bce, kl, normal, sample};
    tp_tensor data[INPUTS];
    tp_var x[INPUTS];
    char text[128];
    int which = 0;
    while (n->f != function[which])
        which++;
    tp_tape_reset(t);
    for (int i = 0; i < arity(n); i++) {
        assert_ok(tp_tensor_new(&data[i], dtype, TP_SHAPE()));
        assert_ok(tp_fill(&data[i], n->x[i]));
        x[i] = tp_leaf(t, &data[i]);
    }
    snprintf(text, sizeof text, "%s(%g, %g, %g)%s", name[which], n->x[0], n->x[1], n->x[2],
             composed ? " composed" : "");
    tp_var y = n->f(x);
    check_number(dtype, tp_item_of(y), n->y, false, text);
    assert_ok(tp_backward_opts(y, (tp_sweep_opts){.composed = composed}));
    for (int i = 0; i < arity(n); i++) {
        const tp_tensor *g = tp_leaf_grad(x[i]);
        bool data_only = n->f == bce && i == 1;
        assert_true((g == NULL) == data_only);
        snprintf(text, sizeof text, "d %s(%g, %g, %g)/dx%d%s", name[which], n->x[0], n->x[1],
                 n->x[2], i, composed ? " composed" : "");
        if (g != NULL)
            check_number(dtype, tp_item(g), n->g[i], true, text);
        tp_tensor_free(&data[i]);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (int composed = 0; composed < 2; composed++) {
            if (numbers[i].types & F64)
                check_at(&numbers[i], TP_F64, composed);
            if (numbers[i].types & F32)
                check_at(&numbers[i], TP_F32, composed);
        }
}

/* --- functions of rows -------------------------------------------------------------------------- */

static tp_var enter(tp_tensor *data, tp_dtype dtype, tp_shape shape, const double *x)
{
    assert_ok(tp_tensor_new(data, dtype, shape));
    for (int64_t i = 0; i < tp_numel(data); i++)
        assert_ok(tp_set_flat(data, i, x[i]));
    return tp_leaf(t, data);
}

static void check_all(const tp_tensor *got, const double *want, bool gradient, const char *text)
{
    assert_non_null(got);
    for (int64_t i = 0; i < tp_numel(got); i++)
        check_number(got->dtype, tp_flat(got, i), want[i], gradient, text);
}

static tp_var lse(tp_var x)
{
    return tp_logsumexp(x, TP_AXES(-1), false);
}

static tp_var lsm(tp_var x)
{
    return tp_log_softmax(x, -1);
}

/* log sum e^x with the softmax as gradient; x - log sum e^x with w - p sum w as gradient of sum w y. */
static const struct {
    const char *name;
    tp_var (*f)(tp_var);
    int n;
    double x[10], y[10], w[10], g[10];
} lines[] = {
    {"logsumexp [1000,1000]", lse, 2, {1000, 1000}, {1000.69314718055994531}, {1}, {0.5, 0.5}},
    {"logsumexp [1000,-1000]", lse, 2, {1000, -1000}, {1000}, {1}, {1, 0}},
    {"logsumexp of ten zeros",
     lse,
     10,
     {0},
     {2.30258509299404568402},
     {1},
     {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}},
    {"logsumexp of nothing but -inf",
     lse,
     3,
     {-INFINITY, -INFINITY, -INFINITY},
     {-INFINITY},
     {1},
     {0, 0, 0}},
    {"logsumexp with a NaN", lse, 2, {NAN, 1}, {NAN}, {1}, {NAN, NAN}},
    {"log_softmax [1000,-1000]", lsm, 2, {1000, -1000}, {0, -2000}, {1, 0}, {0, 0}},
    {"log_softmax [1000,-1000], the other", lsm, 2, {1000, -1000}, {0, -2000}, {0, 1}, {-1, 1}},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (int k = 0; k < 4; k++) {
            tp_tensor data, weight;
            tp_dtype dtype = k % 2 ? TP_F32 : TP_F64;
            tp_tape_reset(t);
            tp_var x = enter(&data, dtype, TP_SHAPE(1, lines[i].n), lines[i].x), y = lines[i].f(x);
            check_all(tp_value(y), lines[i].y, false, lines[i].name);
            tp_var w = enter(&weight, dtype, tp_shape_of(y), lines[i].w);
            /* selected, not multiplied: 0 times -inf is no 0 */
            tp_var chosen = tp_where(w, y, tp_zeros_like(y));
            assert_ok(tp_backward_opts(tp_sum(chosen, TP_ALL_AXES, false),
                                       (tp_sweep_opts){.composed = k > 1}));
            check_all(tp_leaf_grad(x), lines[i].g, true, lines[i].name);
            tp_tensor_free(&data), tp_tensor_free(&weight);
        }
}

/* In f32 e^v/2 is finite up to v = 89.4, value and fused gradient too; beyond, an error says what to look at. The
 * composed rule, which is there to be read and differentiated again, makes e^v first and is infinite from 88.7
 * on: the domain of the op ends there. */
static void test_kl_overflow(void **state)
{
    (void)state;
    const double kl89 = 2.24480640958717262314e38;
    tp_tensor zero, v;
    assert_ok(tp_tensor_new(&zero, TP_F32, TP_SHAPE()));
    assert_ok(tp_tensor_new(&v, TP_F32, TP_SHAPE()));
    assert_ok(tp_fill(&v, 89));
    tp_var mu = tp_leaf(t, &zero), logvar = tp_leaf(t, &v), y = tp_gaussian_kl(mu, logvar), g;
    check_number(TP_F32, tp_item_of(y), kl89, false, "kl(0, 89)");
    assert_ok(tp_backward(y));
    check_number(TP_F32, tp_item(tp_leaf_grad(mu)), 0, true, "d kl(0, 89)/d mu");
    check_number(TP_F32, tp_item(tp_leaf_grad(logvar)), kl89, true, "d kl(0, 89)/d logvar");
    assert_ok(tp_grad(1, &y, 1, &logvar, &g, (tp_grad_opts){.create_graph = true}));
    assert_close(tp_item_of(g), INFINITY, 0, 0);
    assert_non_null(strstr(tp_op_gaussian_kl.domain, "e^logvar"));
    tp_tape_reset(t);
    assert_ok(tp_fill(&v, 90));
    y = tp_gaussian_kl(tp_leaf(t, &zero), tp_leaf(t, &v));
    assert_status(tp_var_status(y), TP_EVALUE);
    assert_non_null(strstr(tp_tape_message(t), "logvar"));
    tp_tensor_free(&zero), tp_tensor_free(&v);
}

/* 0 log 0 = 0 where the probability is exactly 0 or 1: the logit so far out that its sigmoid is. */
static void test_certain(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        tp_tensor logits, targets;
        tp_dtype dtype = k % 2 ? TP_F32 : TP_F64;
        tp_tape_reset(t);
        tp_var x = enter(&logits, dtype, TP_SHAPE(2), (double[]){-1e30, 1e30});
        tp_var y = tp_bce_with_logits(x, enter(&targets, dtype, TP_SHAPE(2), (double[]){0, 1}));
        check_all(tp_value(y), (double[]){0, 0}, false, "0 log 0");
        assert_ok(
            tp_backward_opts(tp_sum(y, TP_ALL_AXES, false), (tp_sweep_opts){.composed = k > 1}));
        check_all(tp_leaf_grad(x), (double[]){0, 0}, true, "gradient of 0 log 0");
        tp_tensor_free(&logits), tp_tensor_free(&targets);
    }
}

/* An untrained decoder: 784·log 2 nats per image whatever the image, gradient 1/2 - x. */
static void test_start_value(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        tp_tensor logits, image;
        tp_dtype dtype = k ? TP_F32 : TP_F64;
        tp_tape_reset(t);
        assert_ok(tp_tensor_new(&logits, dtype, TP_SHAPE(784)));
        assert_ok(tp_tensor_new(&image, dtype, TP_SHAPE(784)));
        for (int64_t i = 0; i < 784; i++)
            assert_ok(tp_set_flat(&image, i, (double)(i % 5) / 4));
        tp_var x = tp_leaf(t, &logits);
        tp_var y = tp_sum(tp_bce_with_logits(x, tp_constant(t, &image)), TP_ALL_AXES, false);
        /* a sum of 784 roundings, in f32 added up as f64 */
        assert_close(tp_item_of(y), 543.427389558997122583, 0, dtype == TP_F32 ? 1.2e-7 : 2e-15);
        assert_ok(tp_backward(y));
        for (int64_t i = 0; i < 784; i++)
            check_number(dtype, tp_flat(tp_leaf_grad(x), i), 0.5 - (double)(i % 5) / 4, true,
                         "784 log 2");
        tp_tensor_free(&logits), tp_tensor_free(&image);
    }
}

/* log of the mixture 1/2 N(-1, 1) + 1/4 N(2, e^-2) + 1/4 N(0, e^3) as logsumexp over the components: the sum
 * has the logarithm around all of it, the weights inside. At 100 every density underflows. */
static void test_mixture(void **state)
{
    (void)state;
    static const double at[] = {0.5, 100},
                        want[] = {-2.44252242111850532495, -252.740574733644278257},
                        slope[] = {-1.11513662491110437835, -4.97870683678639429793};
    for (int k = 0; k < 4; k++) {
        tp_tensor data[4];
        tp_dtype dtype = k % 2 ? TP_F32 : TP_F64;
        tp_tape_reset(t);
        tp_var x = enter(&data[0], dtype, TP_SHAPE(1), &at[k / 2]);
        tp_var mu = enter(&data[1], dtype, TP_SHAPE(3), (double[]){-1, 2, 0});
        tp_var logvar = enter(&data[2], dtype, TP_SHAPE(3), (double[]){0, -2, 3});
        tp_var w = tp_log(enter(&data[3], dtype, TP_SHAPE(3), (double[]){0.5, 0.25, 0.25}));
        tp_dist p = tp_normal_logvar(mu, logvar);
        p.event_dims = 0;
        tp_var parts = tp_add(w, tp_dist_logprob(p, tp_expand(x, TP_SHAPE(3))));
        tp_var y = tp_logsumexp(parts, TP_ALL_AXES, false);
        check_number(dtype, tp_item_of(y), want[k / 2], false, "mixture");
        assert_ok(tp_backward(y));
        assert_close(tp_item(tp_leaf_grad(x)), slope[k / 2], 0, dtype == TP_F32 ? 1e-6 : 2e-15);
        for (int i = 0; i < 4; i++)
            tp_tensor_free(&data[i]);
    }
}

/* A covariance is taken over the batch, not over the latents: rows (1, 2) and (3, 8) give [[1,3],[3,9]];
 * centred the wrong way round it would be [[3.25,..]]. The gradient of the sum beside its diagonal by hand. */
static void test_covariance(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        tp_tensor data, eye;
        tp_dtype dtype = k ? TP_F32 : TP_F64;
        tp_tape_reset(t);
        tp_var x = enter(&data, dtype, TP_SHAPE(2, 2), (double[]){1, 2, 3, 8});
        tp_var c = tp_sub(x, tp_mean(x, TP_AXES(0), true));
        tp_var cov = tp_scale(tp_matmul(tp_transpose(c), c), 0.5);
        check_all(tp_value(cov), (double[]){1, 3, 3, 9}, false, "covariance");
        tp_var one = enter(&eye, dtype, TP_SHAPE(2, 2), (double[]){1, 0, 0, 1});
        tp_var beside = tp_sum(tp_sub(cov, tp_mul(cov, one)), TP_ALL_AXES, false);
        assert_ok(tp_backward(beside));
        check_all(tp_leaf_grad(x), (double[]){-3, -1, 3, 1}, true, "covariance");
        tp_tensor_free(&data), tp_tensor_free(&eye);
    }
}

/* Latents are permuted over the batch, each dimension in an order of its own: columns keep their numbers, rows
 * do not stay together, and a gradient goes back to where its number came from. */
static void test_permuted_dimensions(void **state)
{
    (void)state;
    enum { N = 8, DIMS = 3 };
    double z[N * DIMS], w[N * DIMS], back[N * DIMS];
    bool together = true;
    tp_tensor data[2];
    for (int i = 0; i < N * DIMS; i++) { /* number of its column and row */
        z[i] = 100 * (i % DIMS) + i / DIMS;
        w[i] = i + 1;
    }
    tp_var x = enter(&data[0], TP_F64, TP_SHAPE(N, DIMS), z);
    tp_var weight = enter(&data[1], TP_F64, TP_SHAPE(N, DIMS), w);
    tp_var order = tp_noise_permutation(t, TP_SHAPE(N, DIMS), 0, (tp_rng_key){1, 2, 3});
    tp_var y = tp_gather(x, order, 0);
    assert_ok(tp_backward(tp_sum(tp_mul(y, weight), TP_ALL_AXES, false)));
    unsigned seen[DIMS] = {0};
    for (int i = 0; i < N * DIMS; i++) {
        int code = (int)tp_flat(tp_value(y), i), row = code % 100;
        assert_int_equal(code / 100, i % DIMS);
        seen[i % DIMS] |= 1u << row;
        back[row * DIMS + i % DIMS] = w[i];
        together = together && row == (int)tp_flat(tp_value(y), i - i % DIMS) % 100;
    }
    for (int k = 0; k < DIMS; k++)
        assert_int_equal(seen[k], (1u << N) - 1);
    assert_false(together);
    check_all(tp_leaf_grad(x), back, true, "permuted dimensions");
    tp_tensor_free(&data[0]), tp_tensor_free(&data[1]);
}

static void test_worst(void **state)
{
    (void)state;
    printf("worst value %.2f ulp, worst gradient %.2f ulp\n", worst_value, worst_gradient);
    assert_true(worst_value > 0 && worst_gradient > 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_numbers),     CASE(test_rows),
        CASE(test_kl_overflow), CASE(test_certain),
        CASE(test_start_value), CASE(test_mixture),
        CASE(test_covariance),  CASE(test_permuted_dimensions),
        CASE(test_worst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
