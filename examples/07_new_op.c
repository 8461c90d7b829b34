/* 07_new_op.c: define an operation of your own, in one place, and have it checked.
 *
 * The op is SiLU, y = x·σ(x). An op of the library looks the same: put the file into autograd/ops/ and
 * add a row to autograd/ops.def. Read 08_new_model.c next. */
#include "models/tapir.h"

#include <stdio.h>

extern const tp_op tp_op_silu;

static tp_var silu(tp_var x)
{
    return tp_apply(&tp_op_silu, 1, &x, NULL);
}

/* Forward: numbers in, numbers out. */
static tp_status forward(const tp_op_call *c)
{
    TP_TRY(tp_map1(c->y, c->x[0], TP_K_sigmoid));
    return tp_map2(c->y, c->y, c->x[0], TP_K_mul);
}

/* The rule, written with operations, so that it can be shown and differentiated again:
 * dy/dx = σ(x) + x·σ(x)·σ(−x). */
static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var x = c->x[0], s = tp_sigmoid(x);
    tp_var slope = tp_add(s, tp_mul(tp_mul(x, s), tp_sigmoid(tp_neg(x))));
    gx[0] = tp_mul(c->gy, slope);
}

TP_CALL1(silu)

/* Inputs it must be right on. Fewer than three do not compile. */
static const tp_sample samples[] = {
    {"a matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"a scalar", 1, {{TP_DIMS()}}, NULL},
    {"both tails", 1, {{TP_DIMS(6), .lo = -20, .hi = 20}}, NULL},
};

/* Inputs it must refuse, and how. */
static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(silu, .arity = 1, .smooth = TP_SMOOTH, .reads = TP_READS(0), .text = "silu(#0)",
             .tex = "\\operatorname{silu}(#0)", .index = "y[…] = #0[…] / (1 + exp(−#0[…]))",
             .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "product rule on x·σ(x), with σ' = σ(x)σ(−x)", .shape = tp_shape_same,
             .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);

static tp_status run(void)
{
    /* Gradients of first and second order on every sample, and every refusal. */
    tp_check_report report;
    TP_TRY(tp_check_op(&tp_op_silu, &report));
    printf("silu: %lld gradients checked, worst error %.1e of what is allowed\n",
           (long long)report.checked, report.worst);

    tp_tape *tape;
    tp_tensor value = {0};
    TP_TRY(tp_tape_new(&tape));
    TP_TRY(tp_tensor_from(&value, TP_F64, TP_SHAPE(2), (const double[]){-1, 2}));
    tp_var x = tp_leaf(tape, &value);
    tp_var y = tp_sum(silu(TP_NAME(x)), TP_ALL_AXES, false);
    TP_TRY(tp_explain(stdout, TP_NAME(y), (tp_explain_opts){.numbers = true, .check = true}));
    tp_tape_free(tape);
    tp_tensor_free(&value);
    return TP_OK;
}

int main(void)
{
    if (run() != TP_OK) {
        fprintf(stderr, "%s\n", tp_last_error());
        return 1;
    }
    return 0;
}
