/* test_ops_trap.c: the trap for NaN and infinities misses nothing and invents nothing, over all operations, on
 * their samples and on inputs at the edges of what a float holds, forward and backward, by fused and composed
 * rules: it fails if and only if the result or a gradient is not finite without it. What its messages say:
 * tests/autograd/test_trap.c. */
#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/ops.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct outcome {
    tp_status status;
    bool finite; /* the result, and every gradient */
    char message[512];
} outcome;

typedef struct trial {
    const tp_op *op;
    const tp_sample *sample;
    tp_tensor x[TP_SAMPLE_INPUTS], v; /* inputs, and the cotangent of the result */
} trial;

static bool all_finite(const tp_tensor *x)
{
    bool finite = true;
    for (int64_t i = 0; tp_dtype_is_float(x->dtype) && i < tp_numel(x); i++)
        finite &= isfinite(tp_flat(x, i)) != 0;
    return finite;
}

/* The op, and the gradients of the vᵀy by its inputs. */
static outcome run(trial *r, bool trap, bool composed, double scale)
{
    tp_tape *t;
    tp_var x[TP_SAMPLE_INPUTS];
    outcome o = {.finite = true};
    assert_ok(tp_tape_new(&t));
    tp_tape_trap(t, trap);
    for (int i = 0; i < r->sample->n; i++)
        x[i] = tp_sample_fixed(&r->sample->x[i]) ? tp_constant(t, &r->x[i]) : tp_leaf(t, &r->x[i]);
    tp_var y = op_call(t, r->op, r->sample->n, x, r->sample->attr);
    o.status = tp_tape_status(t);
    if (o.status == TP_OK)
        o.finite = all_finite(tp_value(y));
    if (o.status == TP_OK && o.finite && tp_needs_grad(y)) {
        draw_cotangent(&r->v, tp_dtype_of(y), tp_shape_of(y), 5);
        for (int64_t i = 0; i < tp_numel(&r->v); i++)
            assert_ok(tp_set_flat(&r->v, i, scale * tp_flat(&r->v, i)));
        tp_var gy = tp_constant(t, &r->v), zero = tp_scale(y, 0);
        /* a root of which y has the gradient v, and which is 0 */
        tp_var root = tp_sum(tp_mul(tp_add(tp_sub(y, tp_detach(y)), zero), gy), TP_ALL_AXES, false);
        o.status = tp_backward_opts(root, (tp_sweep_opts){.composed = composed});
        for (int i = 0; i < r->sample->n && o.status == TP_OK; i++)
            if (tp_needs_grad(x[i]) && tp_leaf_grad(x[i]) != NULL)
                o.finite &= all_finite(tp_leaf_grad(x[i]));
        tp_tensor_free(&r->v);
    }
    snprintf(o.message, sizeof o.message, "%.500s", tp_tape_message(t));
    tp_tape_free(t);
    return o;
}

static uint64_t random_state;

/* Draws depend on the op and the round alone: rows and samples that come and go elsewhere do not move them. */
static void seed_draws(const char *name, int round)
{
    random_state = (uint64_t)round;
    for (; *name != '\0'; name++)
        random_state = random_state * 31 + (unsigned char)*name;
}

static int draw(int n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int)((random_state >> 33) % (uint64_t)n);
}

/* Puts edge values among the elements of an input that may be any number. */
static void sharpen(const tp_sample_input *in, tp_tensor *x)
{
    double most = x->dtype == TP_F32 ? (double)FLT_MAX : DBL_MAX;
    double least = x->dtype == TP_F32 ? (double)FLT_MIN : DBL_MIN;
    const double edge[] = {0,      -0.0,       1,  -1,  most,  -most, least,
                           -least, sqrt(most), 89, 710, -1000, 1e-20};
    if (in->fill != TP_FILL_REAL && in->fill != TP_FILL_POSITIVE)
        return;
    for (int64_t i = 0; i < tp_numel(x); i++)
        if (draw(2) == 0)
            assert_ok(tp_set_flat(x, i, edge[draw(sizeof edge / sizeof *edge)]));
}

/* Rules in which an infinity comes up that does not reach the result. It was made, so it is named. */
static const struct {
    const tp_op *op;
    const char *says, *why;
} passing[] = {
    {&tp_op_erf, "square#", "x² overflows for |x| > √max, where e^(−x²) is 0"},
    {&tp_op_erfc, "square#", "x² overflows for |x| > √max, where e^(−x²) is 0"},
    {&tp_op_tanh, "affine#", "2x overflows for |x| > max/2, where σ(2x)σ(−2x) is 0"},
    {&tp_op_logsumexp, "sub#", "x − y overflows for x near −max, y near max, where e^(x−y) is 0"},
    {&tp_op_triangular_solve, "matmul#",
     "the gradient of the half that is not read, cut off after"},
};
enum { PASSING = sizeof passing / sizeof *passing };
static int seen[PASSING];

static bool is_passing(const tp_op *op, const outcome *free, const outcome *on)
{
    for (int i = 0; i < PASSING; i++)
        if (passing[i].op == op && free->finite && on->status == TP_ENONFINITE &&
            strstr(on->message, "in the rule of") && strstr(on->message, passing[i].says)) {
            seen[i]++;
            return true;
        }
    return false;
}

static int runs, trapped, failures;

static void check(trial *r, double scale)
{
    for (int composed = 0; composed < 2; composed++) {
        outcome free = run(r, false, composed, scale), on = run(r, true, composed, scale);
        bool refused = free.status != TP_OK; /* by the op itself */
        bool right =
            refused ? on.status == free.status : on.status == (free.finite ? TP_OK : TP_ENONFINITE);
        runs++;
        trapped += on.status == TP_ENONFINITE;
        if (right || is_passing(r->op, &free, &on))
            continue;
        failures++;
        print_error("%s, sample '%s', %s, %s rule: without the trap %s, with it %s\n", r->op->name,
                    r->sample->note, tp_dtype_name(r->x[0].dtype), composed ? "composed" : "any",
                    refused       ? tp_status_name(free.status)
                    : free.finite ? "all finite"
                                  : "not finite",
                    on.status == TP_OK ? "nothing" : on.message);
    }
}

static void test_all_ops(void **state)
{
    (void)state;
    for (int i = 0; i < tp_op_count; i++)
        for (int k = 0; k < tp_ops[i]->sample_count; k++)
            for (int d = TP_F32; d <= TP_F64; d++)
                for (int round = 0; round < 20; round++) {
                    trial r = {.op = tp_ops[i], .sample = &tp_ops[i]->samples[k]};
                    seed_draws(tp_ops[i]->name, round);
                    for (int j = 0; j < r.sample->n; j++) {
                        assert_ok(tp_sample_fill(&r.sample->x[j], (tp_dtype)d,
                                                 (uint64_t)(7 + j + 10 * round), &r.x[j]));
                        if (round > 0)
                            sharpen(&r.sample->x[j], &r.x[j]);
                    }
                    check(&r, round % 3 == 2 ? 1e37 : 1);
                    for (int j = 0; j < r.sample->n; j++)
                        tp_tensor_free(&r.x[j]);
                }
    print_message("%d runs, of which the trap ended %d\n", runs, trapped);
    assert_int_equal(failures, 0);
    assert_true(trapped > runs / 50); /* the edges were reached */
    for (int i = 0; i < PASSING; i++)
        if (seen[i] == 0) /* an exception that is none any more has to go */
            fail_msg("%s no longer makes a passing infinity: %s", passing[i].op->name,
                     passing[i].why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_ops)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
