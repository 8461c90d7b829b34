/* rows_evidence.c: −log p(x) from importance samples of the model of Burda et al. (2016), 784-200-200-50 with tanh: a
 * hundred images, each encoded once. A sample is one draw of one image, of which 10,000 images from 5000 draws each need
 * 5e7. */
#include "tests/bench/bench.h"
#include "tests/bench/training.h"

#include "models/uses.h"

#include <stdlib.h>

enum { IMAGES = 100, DRAWS = 200, HIDDEN = 200, CODE = 50 };

typedef struct measured {
    tp_dataset part;
    tp_batches batches;
    tp_model model;
    tp_tape *tape;
} measured;

static bool begin(bench_row *r)
{
    measured *m = bench_calloc(1, sizeof *m);
    tp_model_config config = tp_model_defaults(&tp_model_iwae);
    config.data_dim = PIXELS, config.latent_dim = CODE, config.activation = TP_TANH;
    config.hidden[0] = config.hidden[1] = HIDDEN, config.hidden_layers = 2;
    bench_must(tp_view_slice(&training_digits()->x, 0, 0, IMAGES, 1, &m->part.x));
    bench_must(tp_batches_init(&m->batches, &m->part, IMAGES, TP_F32));
    bench_must(tp_model_init(&m->model, &tp_model_iwae, config, TP_F32, BENCH_SEED));
    bench_must(tp_tape_new(&m->tape));
    r->state = m;
    return true;
}

static void run(void *state)
{
    measured *m = state;
    tp_evidence e;
    tp_evidence_opts opts = {.seed = BENCH_SEED, .samples = DRAWS};
    bench_must(tp_model_evidence(&m->model, m->tape, &m->batches, opts, &e));
}

static void end(bench_row *r)
{
    measured *m = r->state;
    tp_tape_free(m->tape);
    tp_model_free(&m->model);
    tp_batches_free(&m->batches);
    free(m);
}

void bench_rows_evidence(void)
{
    bench_row *r = bench_add(BENCH_SAMPLES, "evidence/iwae-50");
    r->begin = begin, r->run = run, r->end = end;
    r->work = IMAGES * DRAWS;
    r->flops = r->work * 2 * (CODE * HIDDEN + HIDDEN * HIDDEN + HIDDEN * PIXELS); /* decoding */
    r->seconds = 0.25;
}
