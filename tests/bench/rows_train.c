/* rows_train.c: training VAE-400 (784-400-20-400-784, batch 128, Adam) and conv_vae on the same pictures, with the tape
 * and without, taking turns, and with the trap and without. Before anything is timed, tape and handwritten step must show
 * the same losses from the same weights and noise. */
#include "tests/bench/bench.h"
#include "tests/bench/handwritten.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 128 };

/* What is trained, and batches in one call. */
typedef struct trained {
    const char *name;
    const tp_model_type *type;
    int64_t hidden, window;
} trained;

static const trained vae_400 = {"vae-400", &tp_model_vae, 400, 50};
static const trained vae_conv = {"vae-conv", &tp_model_conv_vae, 256, 5};

static bool taped_begin(bench_row *r)
{
    const trained *m = r->data;
    r->state = training_new(m->type, training_digits(), m->hidden, BATCH, m->window);
    return true;
}

static bool trapped_begin(bench_row *r)
{
    taped_begin(r);
    ((training *)r->state)->trainer.trap = true;
    return true;
}

static void taped_end(bench_row *r)
{
    training_free(r->state);
}

/* Steps of both, one by one: updates are compared too, by the losses of the steps that follow. */
static void check_agreement(const trained *m)
{
    training *t = training_new(m->type, training_digits(), m->hidden, BATCH, 1);
    handwritten *w = handwritten_new(m->type, training_digits(), m->hidden, BATCH, 1);
    for (int step = 1; step <= 5; step++) {
        training_run(t);
        handwritten_run(w);
        if (!(fabs(t->stats.loss - w->loss) <= 1e-5 * fabs(w->loss))) {
            fprintf(stderr,
                    "tapir-bench: %s, step %d: the loss is %.9g with the tape and %.9g without\n",
                    m->name, step, t->stats.loss, w->loss);
            exit(1);
        }
    }
    training_free(t);
    handwritten_free(w);
}

void bench_check_agreement(void)
{
    check_agreement(&vae_400);
    check_agreement(&vae_conv);
}

static bool handwritten_begin(bench_row *r)
{
    const trained *m = r->data;
    check_agreement(m);
    r->state = handwritten_new(m->type, training_digits(), m->hidden, BATCH, m->window);
    return true;
}

static void handwritten_end(bench_row *r)
{
    handwritten_free(r->state);
}

static void add(const trained *m)
{
    for (int i = 0; i < 2; i++) {
        bench_row *r =
            bench_add(BENCH_SAMPLES, "train/%s%s", m->name, i == 0 ? "" : "-handwritten");
        r->data = m;
        r->begin = i == 0 ? taped_begin : handwritten_begin;
        r->run = i == 0 ? training_run : handwritten_run;
        r->end = i == 0 ? taped_end : handwritten_end;
        r->work = (double)(m->window * BATCH);
        r->flops = r->work * training_flops(m->type, m->hidden);
        r->with_previous = i > 0;
        r->seconds = 0.25;
        r->versus = i == 0 ? "tape-cost" : NULL;
        r->as_cost = i == 0;
    }
}

void bench_rows_train(void)
{
    add(&vae_400);
    add(&vae_conv);
    for (int i = 0; i < 2; i++) { /* a group of its own: each row is compared with the other */
        bench_row *r = bench_add(BENCH_SAMPLES, i == 0 ? "trap/on" : "trap/off");
        r->data = &vae_400;
        r->begin = i == 0 ? trapped_begin : taped_begin;
        r->run = training_run;
        r->end = taped_end;
        r->work = (double)(vae_400.window * BATCH);
        r->with_previous = i > 0;
        r->seconds = 0.25;
        r->versus = i == 0 ? "trap-cost" : NULL;
        r->as_cost = i == 0;
    }
}
