/* rows_train.c: training VAE-400 (784-400-20-400-784, batch 128, Adam) with the tape and without, taking
 * turns, and with the trap and without. Before anything is timed, tape and handwritten step must show the same
 * losses from the same weights and noise. */
#include "tests/bench/bench.h"
#include "tests/bench/handwritten.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { HIDDEN = 400, BATCH = 128, WINDOW = 50 };

static bool taped_begin(bench_row *r)
{
    r->state = training_new(training_digits(), HIDDEN, BATCH, WINDOW);
    return true;
}

static bool trapped_begin(bench_row *r)
{
    training *t = training_new(training_digits(), HIDDEN, BATCH, WINDOW);
    t->trainer.trap = true;
    r->state = t;
    return true;
}

static void taped_end(bench_row *r)
{
    training_free(r->state);
}

/* Steps of both, one by one: updates are compared too, by the losses of the steps that follow. */
void bench_check_agreement(void)
{
    training *t = training_new(training_digits(), HIDDEN, BATCH, 1);
    handwritten *w = handwritten_new(training_digits(), HIDDEN, BATCH, 1);
    for (int step = 1; step <= 5; step++) {
        training_run(t);
        handwritten_run(w);
        if (!(fabs(t->stats.loss - w->loss) <= 1e-5 * fabs(w->loss))) {
            fprintf(stderr,
                    "tapir-bench: step %d: the loss is %.9g with the tape and %.9g without\n", step,
                    t->stats.loss, w->loss);
            exit(1);
        }
    }
    training_free(t);
    handwritten_free(w);
}

static bool handwritten_begin(bench_row *r)
{
    bench_check_agreement();
    r->state = handwritten_new(training_digits(), HIDDEN, BATCH, WINDOW);
    return true;
}

static void handwritten_end(bench_row *r)
{
    handwritten_free(r->state);
}

void bench_rows_train(void)
{
    for (int i = 0; i < 2; i++) {
        bench_row *r =
            bench_add(BENCH_SAMPLES, i == 0 ? "train/vae-400" : "train/vae-400-handwritten");
        r->begin = i == 0 ? taped_begin : handwritten_begin;
        r->run = i == 0 ? training_run : handwritten_run;
        r->end = i == 0 ? taped_end : handwritten_end;
        r->work = WINDOW * BATCH;
        r->flops = r->work * training_flops(HIDDEN);
        r->with_previous = i > 0;
        r->seconds = 0.25;
        r->versus = i == 0 ? "tape-cost" : NULL;
        r->as_cost = i == 0;
    }
    for (int i = 0; i < 2; i++) { /* a group of its own: each row is compared with the other */
        bench_row *r = bench_add(BENCH_SAMPLES, i == 0 ? "trap/on" : "trap/off");
        r->begin = i == 0 ? trapped_begin : taped_begin;
        r->run = training_run;
        r->end = taped_end;
        r->work = WINDOW * BATCH;
        r->with_previous = i > 0;
        r->seconds = 0.25;
        r->versus = i == 0 ? "trap-cost" : NULL;
        r->as_cost = i == 0;
    }
}
