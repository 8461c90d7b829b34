/* 04_linear_regression.c: fit a line by gradient descent, the whole loop in the open.
 * Read 05_autoencoder.c next. */
#include "models/tapir.h"

#include <stdio.h>

enum { N = 64 };

static tp_status run(void)
{
    /* Data: y = 3x − 1 plus noise of standard deviation 0.1. */
    tp_tensor x = {0}, y = {0}, noise = {0};
    TP_TRY(tp_tensor_new(&x, TP_F32, TP_SHAPE(N, 1)));
    TP_TRY(tp_tensor_new(&y, TP_F32, TP_SHAPE(N, 1)));
    TP_TRY(tp_tensor_new(&noise, TP_F32, TP_SHAPE(N, 1)));
    TP_TRY(tp_random_uniform(&x, (tp_rng_key){.seed = 1}));
    TP_TRY(tp_random_normal(&noise, (tp_rng_key){.seed = 2}));
    for (int64_t i = 0; i < N; i++)
        TP_TRY(tp_set_flat(&y, i, 3 * tp_flat(&x, i) - 1 + 0.1 * tp_flat(&noise, i)));

    tp_params params = tp_params_make(TP_F32, 7);
    tp_nn_linear line;
    tp_optimizer sgd;
    tp_tape *tape;
    TP_TRY(tp_nn_linear_init(&line, &params, "line", 1, 1));
    TP_TRY(tp_sgd_init(&sgd, &params, (tp_sgd_opts){.lr = 0.3}));
    TP_TRY(tp_tape_new(&tape));

    for (int step = 0; step <= 200; step++) {
        tp_tape_reset(tape); /* a new tape page */
        tp_ctx c = tp_ctx_train(tape, 0, (uint64_t)step);
        tp_var guess = tp_nn_linear_apply(&line, &c, tp_constant(tape, &x));
        tp_var loss = tp_mse(guess, tp_constant(tape, &y));
        tp_params_zero_grad(&params); /* gradients add up unless told to start over */
        TP_TRY(tp_backward(loss));
        TP_TRY(tp_optimizer_step(&sgd));
        if (step % 50 == 0)
            printf("step %3d  loss %.5f  y = %.3f x %+.3f\n", step, tp_item_of(loss),
                   tp_flat(&line.weight.value, 0), tp_flat(&line.bias.value, 0));
    }
    tp_tape_free(tape);
    tp_optimizer_free(&sgd);
    tp_params_free(&params);
    tp_tensor_free(&x);
    tp_tensor_free(&y);
    tp_tensor_free(&noise);
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
