/* rows_scale.c: how training scales with the width of the hidden layers, the size of the batch and the
 * number of threads. tests/bench/draw.py draws these rows. */
#include "tests/bench/bench.h"
#include "tests/bench/training.h"

#include <stdlib.h>

#include "tensor/parallel.h"

typedef struct scaled {
    tp_dataset
        part; /* just as many images as a window has, so that shuffling costs no more than its share */
    training *training;
} scaled;

static void run(void *state)
{
    training_run(((scaled *)state)->training);
}

/* Steps of about 10 GFLOP, so that wide layers and large batches do not take minutes on a slow machine. */
static int64_t steps(int64_t hidden, int64_t batch)
{
    double n = 10e9 / (training_flops(&tp_model_vae, hidden) * (double)batch);
    return n < 2 ? 2 : n > 64 ? 64 : (int64_t)n;
}

static bool begin(bench_row *r)
{
    int64_t hidden = r->arg[0], batch = r->arg[1], window = steps(hidden, batch);
    scaled *s = bench_calloc(1, sizeof *s);
    bench_must(tp_view_slice(&training_digits()->x, 0, 0, window * batch, 1, &s->part.x));
    s->training = training_new(&tp_model_vae, &s->part, hidden, batch, window);
    r->state = s;
    r->work = (double)(window * batch);
    r->flops = r->work * training_flops(&tp_model_vae, hidden);
    return true;
}

static void end(bench_row *r)
{
    scaled *s = r->state;
    training_free(s->training);
    free(s);
}

static void add(const char *what, int64_t number, int64_t hidden, int64_t batch, int threads)
{
    bench_row *r = bench_add(BENCH_SAMPLES, "scale/%s-%d", what, (int)number);
    r->begin = begin, r->run = run, r->end = end;
    r->arg[0] = hidden, r->arg[1] = batch;
    r->threads = threads;
    r->seconds = 0.1;
}

void bench_rows_scale(void)
{
    for (int hidden = 100; hidden <= 3200; hidden *= 2)
        add("hidden", hidden, hidden, 128, 0);
    for (int batch = 1; batch <= 4096; batch *= 4)
        add("batch", batch, 400, batch, 0);
    /* every number up to 8, then the powers of two and all cores */
    for (int threads = 1, cores = tp_cores(); threads <= cores; threads++)
        if (threads <= 8 || (threads & (threads - 1)) == 0 || threads == cores)
            add("threads", threads, 400, 128, threads);
}
