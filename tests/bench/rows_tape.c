/* rows_tape.c: what a training step pays besides matrix products: recording an operation, the update, noise
 * and gathering a batch. Read next: rows_train.c for the whole. */
#include "tests/bench/bench.h"
#include "tests/bench/training.h"

#include <stdlib.h>

#include "autograd/ops.h"
#include "autograd/sweep.h"

/* --- recording ---------------------------------------------------------------------------------- */

enum { OPS = 256 };

typedef struct recording {
    tp_tape *tape;
    tp_tensor x;
    bool backward;
} recording;

/* A chain of additions of one element each, on a tape that has its memory already. */
static void dispatch_run(void *state)
{
    recording *s = state;
    tp_tape_reset(s->tape);
    tp_var x = s->backward ? tp_leaf(s->tape, &s->x) : tp_constant(s->tape, &s->x), y = x;
    for (int i = 0; i < OPS; i++)
        y = tp_add(y, x);
    if (s->backward)
        bench_must(tp_backward_opts(y, (tp_sweep_opts){.release = true}));
    bench_must(tp_tape_status(s->tape));
}

static bool dispatch_begin(bench_row *r)
{
    recording *s = bench_calloc(1, sizeof *s);
    s->backward = r->arg[0] != 0;
    s->x = bench_uniform(TP_SHAPE(1), 0, 1);
    bench_must(tp_tape_new(&s->tape));
    r->state = s;
    r->work = OPS;
    return true;
}

static void dispatch_end(bench_row *r)
{
    recording *s = r->state;
    tp_tape_free(s->tape);
    tp_tensor_free(&s->x);
    free(s);
}

/* --- Adam over the parameters of VAE-400 -------------------------------------------------------- */

static void adam_run(void *state)
{
    training *t = state;
    bench_must(tp_optimizer_step(&t->adam));
}

static bool adam_begin(bench_row *r)
{
    training *t = training_new(&tp_model_vae, training_digits(), 400, 128, 1);
    training_run(t); /* leaves gradients behind */
    r->state = t;
    /* reads value, gradient and two moments, writes all but the gradient */
    r->work = 7.0 * (double)tp_params_count(&t->model.params) * sizeof(float);
    return true;
}

/* --- a batch of images from bytes to floats in [0,1] -------------------------------------------- */

static void gather_run(void *state)
{
    training *t = state;
    tp_batch batch;
    bool got;
    if (t->batches.size - t->batches.at < t->batches.batch_size)
        t->batches.at = 0;
    bench_must(tp_batches_next(&t->batches, &batch, &got));
}

static bool gather_begin(bench_row *r)
{
    training *t = training_new(&tp_model_vae, training_digits(), 400, 128, 1);
    tp_batches_shuffle(&t->batches, BENCH_SEED, 1);
    r->state = t;
    r->work = 128.0 * PIXELS * (1 + sizeof(float));
    return true;
}

static void free_training(bench_row *r)
{
    training_free(r->state);
}

/* --- noise -------------------------------------------------------------------------------------- */

static void noise_run(void *state)
{
    bench_must(tp_random_normal(state, (tp_rng_key){.seed = BENCH_SEED}));
}

static bool noise_begin(bench_row *r)
{
    tp_tensor *t = bench_calloc(1, sizeof *t);
    bench_must(tp_tensor_new(t, TP_F32, TP_SHAPE(r->arg[0], r->arg[1])));
    r->state = t;
    r->work = (double)tp_numel(t);
    return true;
}

static void noise_end(bench_row *r)
{
    tp_tensor_free(r->state);
    free(r->state);
}

static void add_noise(int64_t rows, int64_t columns)
{
    bench_row *r = bench_add(BENCH_NS, "noise/normal-%dx%d", (int)rows, (int)columns);
    r->begin = noise_begin, r->run = noise_run, r->end = noise_end;
    r->arg[0] = rows, r->arg[1] = columns;
}

void bench_rows_tape(void)
{
    bench_row *r = bench_add(BENCH_NS, "dispatch/add");
    r->begin = dispatch_begin, r->run = dispatch_run, r->end = dispatch_end;
    r = bench_add(BENCH_NS, "dispatch/add-and-backward");
    r->begin = dispatch_begin, r->run = dispatch_run, r->end = dispatch_end;
    r->arg[0] = 1;
    r = bench_add(BENCH_GBS, "adam/vae-400");
    r->begin = adam_begin, r->run = adam_run, r->end = free_training;
    r = bench_add(BENCH_GBS, "gather/batch-128");
    r->begin = gather_begin, r->run = gather_run, r->end = free_training;
    add_noise(128, LATENT); /* of one step */
    add_noise(1024, 1024);
}
