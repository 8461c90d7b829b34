/* 14_add_an_op.c: an operation of one's own, from a derivation on paper to a row, and the mistakes on the way.
 * Read 14_add_an_op.md beside it; examples/07_new_op.c is the same with one input and no mistakes. */
#include "docs/learn/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- the operation: y = x·σ(βx), with a steepness β that is learned ------------------------------- */

extern const tp_op tp_op_swish;

/* β broadcasts against x: one number, one per channel, or one per element. */
static tp_var swish(tp_var x, tp_var beta)
{
    return tp_apply(&tp_op_swish, 2, (tp_var[]){x, beta}, NULL);
}

/* Forward: numbers in, numbers out. */
static tp_status forward(const tp_op_call *c)
{
    TP_TRY(tp_map2(c->y, c->x[1], c->x[0], TP_K_mul)); /* βx */
    TP_TRY(tp_map1(c->y, c->y, TP_K_sigmoid));
    return tp_map2(c->y, c->x[0], c->y, TP_K_mul);
}

/* The rule, written with operations, so that it can be shown and differentiated again. */
static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var x = c->x[0], t = tp_mul(c->x[1], x), s = tp_sigmoid(t);
    tp_var slope = tp_mul(s, tp_sigmoid(tp_neg(t))); /* σ'(βx) */
    if (c->want[0])
        gx[0] = tp_mul(c->gy, tp_add(s, tp_mul(t, slope)));
    if (c->want[1])
        gx[1] = tp_mul(c->gy, tp_mul(tp_square(x), slope));
}

TP_CALL2(swish)

/* Inputs it must be right on. Fewer than three do not compile. */
static const tp_sample samples[] = {
    {"equal shapes", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3, 4)}}, NULL},
    {"a steepness per channel", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(4)}}, NULL},
    {"one steepness, both tails", 2, {{TP_DIMS(6), .lo = -20, .hi = 20}, {TP_DIMS()}}, NULL},
};

/* Inputs it must refuse, and how. */
static const tp_refusal refusals[] = {
    {"shapes that clash", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3)}}, NULL, TP_ESHAPE, "do not broadcast"},
    {"mixed types", 2, {{TP_DIMS(2)}, {TP_DIMS(2), TP_F64}}, NULL, TP_EDTYPE, "f32 and f64"},
};

TP_DEFINE_OP(swish, .arity = 2, .smooth = TP_SMOOTH, .reads = TP_READS(0) | TP_READS(1),
             .broadcasts = true, .text = "swish(#0, #1)", .tex = "\\operatorname{swish}(#0, #1)",
             .index = "y[…] = #0[…] / (1 + exp(−#1[…]·#0[…]))",
             .jacobian = {TP_JACOBIAN_DIAGONAL, TP_JACOBIAN_DIAGONAL},
             .why = "product rule on x·σ(βx), with σ' = σ(t)σ(−t)", .shape = tp_shape_broadcast_all,
             .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);

/* --- checking it -------------------------------------------------------------------------------- */

static tp_status check(void)
{
    tp_check_report r;
    TP_TRY(tp_check_op(&tp_op_swish, &r));
    printf("swish: %d samples, %d refusals, %lld gradients: worst error %.1e of what is allowed\n",
           r.samples, r.refusals, (long long)r.checked, r.worst);
    return TP_OK;
}

/* --- mistakes ----------------------------------------------------------------------------------- */

/* The samples of a wrong row must reach that row, so its function looks here. */
static const tp_op *under_test;

static tp_var call_under_test(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t;
    return tp_apply(under_test, n, x, attr);
}

static void wrong_sign(const tp_vjp_call *c, tp_var *gx)
{
    tp_var x = c->x[0], t = tp_mul(c->x[1], x), s = tp_sigmoid(t);
    tp_var slope = tp_mul(s, tp_sigmoid(tp_neg(t)));
    gx[0] = tp_mul(c->gy, tp_sub(s, tp_mul(t, slope))); /* s + … */
    gx[1] = tp_mul(c->gy, tp_mul(tp_square(x), slope));
}

static void missing_factor(const tp_vjp_call *c, tp_var *gx)
{
    tp_var x = c->x[0], t = tp_mul(c->x[1], x), s = tp_sigmoid(t);
    tp_var slope = tp_mul(s, tp_sigmoid(tp_neg(t)));
    gx[0] = tp_mul(c->gy, tp_add(s, tp_mul(x, slope))); /* t, which is βx: the inner derivative */
    gx[1] = tp_mul(c->gy, tp_mul(tp_square(x), slope));
}

static void mean_over_batch(const tp_vjp_call *c, tp_var *gx)
{
    vjp(c, gx);
    if (tp_shape_of(c->x[1]).ndim < 2) /* the sweep sums; a mean is 1/batch of it */
        gx[1] = tp_mean(gx[1], TP_AXES(0), true);
}

static void constant_slope(const tp_vjp_call *c, tp_var *gx)
{
    tp_var x = c->x[0], t = tp_detach(tp_mul(c->x[1], x)), s = tp_sigmoid(t);
    tp_var slope = tp_mul(s, tp_sigmoid(tp_neg(t)));
    gx[0] = tp_mul(c->gy, tp_add(s, tp_mul(t, slope)));
    gx[1] = tp_mul(c->gy, tp_mul(tp_square(x), slope));
}

/* What the check says, with few enough digits to be the same everywhere. */
static void say(const char *what, tp_status s, const tp_check_report *r)
{
    printf("%s\n", what);
    if (s == TP_OK) {
        printf("    passed\n");
        return;
    }
    const char *end = strstr(tp_last_error(), ": analytic");
    if (end == NULL)
        printf("    %s\n", tp_last_error());
    else
        printf("    %.*s:\n    analytic %.4f, numeric %.4f, ratio %.4f\n",
               (int)(end - tp_last_error()), tp_last_error(), r->analytic, r->numeric,
               r->analytic / r->numeric);
}

static void try_row(const char *what, const tp_op *op)
{
    tp_check_report r;
    under_test = op;
    say(what, tp_check_op(op, &r), &r);
}

static void try_rule(const char *what, void (*rule)(const tp_vjp_call *c, tp_var *gx))
{
    tp_op op = tp_op_swish;
    op.vjp = rule;
    op.call = call_under_test;
    try_row(what, &op);
}

static tp_status mistakes(void)
{
    try_rule("the right rule", vjp);
    try_rule("1. a wrong sign", wrong_sign);
    try_rule("2. the inner derivative forgotten", missing_factor);
    try_rule("3. a mean over the batch instead of a sum", mean_over_batch);
    try_rule("4. a slope that is cut off from x", constant_slope);
    tp_op op = tp_op_swish;
    op.call = call_under_test;
    op.broadcasts = false;
    try_row("5. a row that does not say .broadcasts", &op);
    op.broadcasts = true;
    op.shape = tp_shape_equal_all;
    try_row("6. a shape rule that wants equal shapes", &op);
    return TP_OK;
}

/* What some of these mistakes look like where samples are too kind: β = 1, equal shapes. */
static const tp_sample kind[] = {
    {"beta is 1", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3, 4), .lo = 1, .hi = 1, .fixed = true}}, NULL}};

static tp_status kind_samples(void)
{
    tp_op op = tp_op_swish;
    op.call = call_under_test;
    op.samples = kind, op.sample_count = 1;
    op.vjp = missing_factor;
    try_row("2. the inner derivative forgotten", &op);
    op.vjp = mean_over_batch;
    try_row("3. a mean over the batch instead of a sum", &op);
    return TP_OK;
}

/* --- what no gradient check sees ----------------------------------------------------------------- */

typedef struct sampler {
    tp_parameter mu, logvar;
    double half; /* σ = e^{half·logvar}: 1/2 is right */
} sampler;

static tp_var draw(tp_tape *t, const sampler *s, tp_var mu, tp_var logvar, int64_t n)
{
    tp_var eps = tp_noise_normal(t, TP_F64, TP_SHAPE(n), (tp_rng_key){.seed = 3});
    return tp_add(mu, tp_mul(tp_exp(tp_scale(logvar, s->half)), eps));
}

static tp_var draw_for_check(tp_tape *t, void *user)
{
    sampler *s = user;
    return draw(t, s, tp_param(t, &s->mu), tp_param(t, &s->logvar), 8);
}

static tp_status judge(double half)
{
    sampler s = {.half = half};
    tp_parameter *wrt[] = {&s.mu, &s.logvar};
    tp_tape *tape;
    TP_TRY(tp_parameter_init(&s.mu, "mu", TP_F64, TP_SHAPE()));
    TP_TRY(tp_parameter_init(&s.logvar, "logvar", TP_F64, TP_SHAPE()));
    TP_TRY(tp_set_flat(&s.logvar.value, 0, log(0.25))); /* σ = 0.5 */
    TP_TRY(tp_gradcheck(draw_for_check, &s, 2, wrt, (tp_check_opts){0}, NULL));
    TP_TRY(tp_tape_new(&tape));
    tp_var z = draw(tape, &s, tp_param(tape, &s.mu), tp_param(tape, &s.logvar), 100000);
    double variance = tp_item_of(tp_variance(z, TP_ALL_AXES, 1, false));
    printf(
        "z = mu + exp(%s·logvar) ⊙ eps: gradient check passed, variance of 100000 draws %.3f (%.4f expected)\n",
        half < 1 ? "½" : "1", variance, exp(2 * half * log(0.25)));
    tp_tape_free(tape);
    tp_parameter_free(&s.mu);
    tp_parameter_free(&s.logvar);
    return learn_expect("the variance", variance, half < 1 ? 0.25 : 0.0625, 0.005);
}

static tp_status blind(void)
{
    printf("sigma = 0.5, so the variance is %.2f\n", 0.25);
    TP_TRY(judge(0.5));
    return judge(1);
}

/* --- the derivation, and what is kept ------------------------------------------------------------ */

typedef struct inputs {
    learn_page page;
    tp_var x, beta;
} inputs;

static tp_status enter(inputs *in)
{
    TP_TRY(learn_open(&in->page));
    in->x = learn_leaf(&in->page, TP_SHAPE(2, 2), (const double[]){1, -2, 0.5, 3});
    in->beta = learn_leaf(&in->page, TP_SHAPE(2), (const double[]){1, 2});
    tp_name(in->x, "x", NULL, 0), tp_name(in->beta, "β", NULL, 0);
    return tp_var_status(in->beta);
}

static tp_status derivation(void)
{
    inputs in;
    TP_TRY(enter(&in));
    tp_var y = swish(in.x, in.beta);
    tp_var L = tp_sum(TP_NAME(y), TP_ALL_AXES, false);
    TP_TRY(tp_explain(stdout, TP_NAME(L), (tp_explain_opts){.numbers = true, .check = true}));
    learn_close(&in.page);
    return TP_OK;
}

/* The same function out of three operations that are there already. */
static tp_var composed(tp_var x, tp_var beta)
{
    return tp_mul(x, tp_sigmoid(tp_mul(beta, x)));
}

static tp_status measure(const char *what, tp_var (*f)(tp_var x, tp_var beta))
{
    inputs in;
    TP_TRY(enter(&in));
    uint32_t before = tp_tape_length(in.page.tape);
    tp_var y = f(in.x, in.beta);
    uint32_t entries = tp_tape_length(in.page.tape) - before;
    TP_TRY(tp_backward(tp_sum(y, TP_ALL_AXES, false)));
    const tp_tensor *g = tp_leaf_grad(in.beta);
    printf("%-10s entries %d, value[0,0] %.4f, gradient of beta %.4f %.4f\n", what, (int)entries,
           tp_flat(tp_value(y), 0), tp_flat(g, 0), tp_flat(g, 1));
    learn_close(&in.page);
    return TP_OK;
}

static tp_status both(void)
{
    TP_TRY(measure("one row:", swish));
    return measure("composed:", composed);
}

/* Overwrites x between the forward pass and backward. */
static tp_status overwrite_x(const char *what, const tp_op *op)
{
    inputs in;
    TP_TRY(enter(&in));
    tp_var y = tp_apply(op, 2, (tp_var[]){in.x, in.beta}, NULL);
    tp_var L = tp_sum(TP_NAME(y), TP_ALL_AXES, false);
    TP_TRY(tp_fill(&in.page.value[0], 0));
    printf("%s\n", what);
    if (tp_backward(L) != TP_OK)
        printf("    %s\n", tp_last_error());
    else
        printf("    gradient of beta %.4f %.4f\n", tp_flat(tp_leaf_grad(in.beta), 0),
               tp_flat(tp_leaf_grad(in.beta), 1));
    learn_close(&in.page);
    return TP_OK;
}

static tp_status reads(void)
{
    tp_op op = tp_op_swish;
    TP_TRY(overwrite_x("the row as it is", &op));
    op.reads = TP_READS(1);
    return overwrite_x("a row that does not say that its rule reads x", &op);
}

/* --- exercises ---------------------------------------------------------------------------------- */

/* dL/dx as σ(βx) + β·y·σ(−βx): it reads the result. */
static void rule_of_y(const tp_vjp_call *c, tp_var *gx)
{
    tp_var x = c->x[0], t = tp_mul(c->x[1], x), below = tp_sigmoid(tp_neg(t));
    gx[0] = tp_mul(c->gy, tp_add(tp_sigmoid(t), tp_mul(tp_mul(c->x[1], c->y), below)));
    gx[1] = tp_mul(c->gy, tp_mul(tp_mul(x, c->y), below));
}

static void swapped(const tp_vjp_call *c, tp_var *gx)
{
    tp_var g[2] = {{0}, {0}};
    vjp(c, g);
    gx[0] = g[1], gx[1] = g[0];
}

static tp_status exercises(void)
{
    tp_op op = tp_op_swish;
    op.call = call_under_test;
    op.vjp = rule_of_y;
    op.reads = TP_READS(0) | TP_READS(1) | TP_READS_Y;
    try_row("1. a rule that reads y", &op);
    try_rule("2. the two gradients swapped", swapped);
    double s = 1 / (1 + exp(-2.0));
    printf("3. at x = 2, beta = 1: σ(2) = %.4f, y = %.4f, dy/dx = %.4f, dy/dbeta = %.4f\n", s,
           2 * s, s + 2 * s * (1 - s), 4 * s * (1 - s));
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"check", check},
                                        {"mistakes", mistakes},
                                        {"kind", kind_samples},
                                        {"blind", blind},
                                        {"derivation", derivation},
                                        {"reads", reads},
                                        {"both", both},
                                        {"exercises", exercises},
                                        {0}});
}
