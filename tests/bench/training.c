/* training.c: made-up digits and a trainer that stops after a window of batches. */
#include "tests/bench/training.h"
#include "tests/bench/bench.h"

#include <stdlib.h>

const tp_dataset *training_digits(void)
{
    static tp_dataset digits;
    if (digits.x.storage != NULL)
        return &digits;
    bench_must(tp_tensor_new(&digits.x, TP_U8, TP_SHAPE(DIGITS, PIXELS)));
    uint8_t *pixel = tp_data_mut(&digits.x);
    uint64_t state = 1;
    for (int64_t i = 0; i < (int64_t)DIGITS * PIXELS; i++) {
        /* Knuth's linear congruential generator (MMIX); its high bits are good enough for grey values */
        state = state * 6364136223846793005U + 1442695040888963407U;
        bool ink = (state >> 40) % 100 < 19;
        pixel[i] = ink ? (uint8_t)(1 + (state >> 56) % 255) : 0;
    }
    return &digits;
}

static bool within_window(void *user, const tp_stats *so_far)
{
    const training *t = user;
    return so_far->batches < t->window;
}

void training_model_init(tp_model *m, tp_optimizer *adam, const tp_model_type *type, int64_t hidden)
{
    tp_model_config config = tp_model_defaults(type);
    config.data_dim = PIXELS, config.hidden[0] = hidden, config.latent_dim = LATENT;
    bench_must(tp_model_init(m, type, config, TP_F32, BENCH_SEED));
    bench_must(tp_adam_init(adam, &m->params, tp_adam_defaults()));
}

training *training_new(const tp_model_type *type, const tp_dataset *data, int64_t hidden,
                       int64_t batch, int64_t window)
{
    training *t = bench_calloc(1, sizeof *t);
    t->window = window;
    bench_must(tp_batches_init(&t->batches, data, batch, TP_F32));
    training_model_init(&t->model, &t->adam, type, hidden);
    bench_must(tp_tape_new(&t->tape));
    t->trainer = (tp_trainer){.tape = t->tape,
                              .loss = tp_model_loss,
                              .model = &t->model,
                              .optimizer = &t->adam,
                              .seed = BENCH_SEED,
                              .on_batch = within_window,
                              .user = t};
    return t;
}

void training_run(void *state)
{
    training *t = state;
    bench_must(tp_train_epoch(&t->trainer, &t->batches, ++t->epoch, &t->stats));
}

void training_free(training *t)
{
    tp_tape_free(t->tape);
    tp_optimizer_free(&t->adam);
    tp_model_free(&t->model);
    tp_batches_free(&t->batches);
    free(t);
}

double training_flops(const tp_model_type *type, int64_t hidden)
{
    double h = (double)hidden, in = PIXELS, to_data = 2 * h * PIXELS, convolutions = 0;
    if (type == &tp_model_conv_vae) { /* positions times the kernel's elements times its channels */
        double first = 2 * (14 * 14) * 16 * 32, second = 2 * (7 * 7) * 16 * (32 * 64);
        convolutions = 2 * (first + second); /* and back */
        to_data = first;
        in = 64 * 7 * 7;
    }
    return 3 * (convolutions + 2 * h * (in + 3 * LATENT + in)) - to_data;
}
