/* 12_optimizers.c: the line of 04_linear_regression.c again, by every optimizer, with a rate that warms up and then
 * falls along a cosine, and gradients that are kept small.
 * Read nn/optim.h, nn/schedule.h and nn/clip.h next. */
#include "models/tapir.h"

#include <stdio.h>

enum { N = 64, STEPS = 200 };

typedef struct fit {
    tp_tensor x, y;
    tp_params params;
    tp_nn_linear line;
    tp_tape *tape;
} fit;

/* y = 3x − 1 plus noise of standard deviation 0.1. */
static tp_status begin(fit *f)
{
    *f = (fit){.params = tp_params_make(TP_F64, 7)};
    TP_TRY(tp_tensor_new(&f->x, TP_F64, TP_SHAPE(N, 1)));
    TP_TRY(tp_tensor_new(&f->y, TP_F64, TP_SHAPE(N, 1)));
    TP_TRY(tp_random_uniform(&f->x, (tp_rng_key){.seed = 1}));
    TP_TRY(tp_random_normal(&f->y, (tp_rng_key){.seed = 2}));
    for (int64_t i = 0; i < N; i++)
        TP_TRY(tp_set_flat(&f->y, i, 3 * tp_flat(&f->x, i) - 1 + 0.1 * tp_flat(&f->y, i)));
    TP_TRY(tp_nn_linear_init(&f->line, &f->params, "line", 1, 1));
    return tp_tape_new(&f->tape);
}

static void end(fit *f)
{
    tp_tape_free(f->tape);
    tp_params_free(&f->params);
    tp_tensor_free(&f->x);
    tp_tensor_free(&f->y);
}

static tp_status train(fit *f, tp_optimizer *o)
{
    tp_schedule cosine = tp_schedule_defaults(), warmup = cosine;
    cosine.kind = TP_LR_cosine, cosine.lr = 0.1, cosine.t_max = STEPS - 20;
    warmup.kind = TP_LR_linear, warmup.lr = 0.1, warmup.total_iters = 20;
    warmup.then = &cosine, warmup.until = 20;
    for (uint64_t step = 0; step < STEPS; step++) {
        tp_tape_reset(f->tape);
        tp_ctx c = tp_ctx_train(f->tape, 0, step);
        tp_var guess = tp_nn_linear_apply(&f->line, &c, tp_constant(f->tape, &f->x));
        tp_var loss = tp_mse(guess, tp_constant(f->tape, &f->y));
        double norm; /* before it is clipped */
        tp_params_zero_grad(&f->params);
        TP_TRY(tp_backward(loss));
        TP_TRY(tp_schedule_lr(&warmup, step, &o->lr));
        TP_TRY(tp_clip_grad_norm(&f->params, 1, &norm));
        TP_TRY(tp_optimizer_step(o));
        if (step == 0 || step == STEPS - 1)
            printf("%-7s  step %3d  lr %.5f  norm %.3f  loss %.4f\n", tp_optimizer_name(o),
                   (int)step, o->lr, norm, tp_item_of(loss));
    }
    return TP_OK;
}

static tp_status init(tp_optimizer *o, const tp_params *ps, int i)
{
    tp_sgd_opts sgd = tp_sgd_defaults();
    sgd.momentum = 0.9, sgd.nesterov = true;
    return i == 0   ? tp_sgd_init(o, ps, sgd)
           : i == 1 ? tp_adam_init(o, ps, tp_adam_defaults())
           : i == 2 ? tp_adamw_init(o, ps, tp_adamw_defaults())
           : i == 3 ? tp_rmsprop_init(o, ps, tp_rmsprop_defaults())
                    : tp_adagrad_init(o, ps, tp_adagrad_defaults());
}

static tp_status run(void)
{
    for (int i = 0; i < 5; i++) {
        fit f;
        tp_optimizer o;
        TP_TRY(begin(&f));
        TP_TRY(init(&o, &f.params, i));
        TP_TRY(train(&f, &o));
        printf("         %s\n", tp_optimizer_formula(&o));
        tp_optimizer_free(&o);
        end(&f);
    }
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
