/* 09_trap.c: where did the NaN come from? With the trap on, the first operation that makes one says so.
 *
 * Two mistakes that everybody makes once: the logarithm of a softmax, which is 0 for the unlikely class, and
 * the norm of zeros, whose gradient is 0/0 (tp_log_softmax and tp_norm avoid them). Read next: autograd/tape.h. */
#include "models/tapir.h"

#include <math.h>
#include <stdio.h>

/* −Σ log softmax(h), the long way round. */
static tp_var surprise(tp_var h)
{
    tp_var p = tp_softmax(h, -1);
    return tp_neg(tp_sum(tp_log(TP_NAME(p)), TP_ALL_AXES, false));
}

/* √Σ h², which has a corner at 0. */
static tp_var length(tp_var h)
{
    tp_var squares = tp_square(h);
    return tp_sqrt(tp_sum(TP_NAME(squares), TP_ALL_AXES, false));
}

static tp_status run(void)
{
    tp_tape *tape;
    tp_tensor far = {0}, zero = {0};
    TP_TRY(tp_tape_new(&tape));
    TP_TRY(tp_tensor_from(&far, TP_F32, TP_SHAPE(3), (const float[]){120, 3, 1}));
    TP_TRY(tp_tensor_new(&zero, TP_F32, TP_SHAPE(3)));

    for (int trap = 0; trap < 2; trap++) {
        tp_tape_trap(tape, trap);
        tp_tape_reset(tape); /* which leaves the trap as it is */
        tp_var y = surprise(tp_leaf(tape, &far));
        if (tp_tape_status(tape) != TP_OK)
            printf("%s\n", tp_tape_message(tape));
        else
            printf("-log softmax = %g\n", tp_item_of(y));

        tp_tape_reset(tape);
        tp_var h = tp_leaf(tape, &zero);
        if (tp_backward(length(TP_NAME(h))) != TP_OK)
            printf("%s\n", tp_last_error());
        else
            printf("|d|h|/dh| = %g at h = 0\n", fabs(tp_flat(tp_leaf_grad(h), 0)));
    }
    tp_tape_free(tape);
    tp_tensor_free(&far);
    tp_tensor_free(&zero);
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
