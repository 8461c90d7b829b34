/* 02_tape.c: record an expression, walk backward through it, read the derivation.
 * The loop below is what tp_backward does, with a print in it. Read 03_gradcheck.c next. */
#include "models/tapir.h"

#include <stdio.h>

static tp_status run(void)
{
    tp_tape *tape;
    tp_tensor x_value = {0}, w_value = {0};
    TP_TRY(tp_tape_new(&tape));
    TP_TRY(tp_tensor_from(&x_value, TP_F64, TP_SHAPE(3), (const double[]){1, 2, 3}));
    TP_TRY(tp_tensor_from(&w_value, TP_F64, TP_SHAPE(3), (const double[]){0.5, -1, 2}));

    /* y = Σ tanh(w ⊙ x): every operation lands on the tape. */
    tp_var x = tp_constant(tape, &x_value), w = tp_leaf(tape, &w_value);
    tp_var a = tp_mul(TP_NAME(w), TP_NAME(x));
    tp_var h = tp_tanh(TP_NAME(a));
    tp_var y = tp_sum(TP_NAME(h), TP_ALL_AXES, false);

    tp_sweep sweep = tp_sweep_begin(TP_NAME(y), (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&sweep))
        TP_TRY(tp_explain_step(stdout, &sweep, (tp_explain_opts){.numbers = true, .check = true}));
    TP_TRY(tp_sweep_end(&sweep));

    const tp_tensor *dw = tp_leaf_grad(w);
    printf("dy/dw = %.6f %.6f %.6f\n", tp_flat(dw, 0), tp_flat(dw, 1), tp_flat(dw, 2));

    tp_tape_free(tape);
    tp_tensor_free(&x_value);
    tp_tensor_free(&w_value);
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
