/* train.c: one epoch of training, from its start or from its middle, or of evaluation. */
#include "nn/train.h"
#include "autograd/sweep.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Adds a batch's loss and terms to the running means, weighted by samples. Reads the nodes that were
 * minimised: what is logged is what was trained on. */
static tp_status add_stats(tp_stats *s, const tp_objective *o, int64_t n)
{
    double loss = tp_item_of(o->total);
    TP_TRY(tp_var_status(o->total));
    if (!isfinite(loss)) {
        tp_status status = tp_var_finite(o->total);
        tp_fail_prefix("the loss is %g: ", loss);
        return status;
    }
    double weight = (double)n / (double)(s->samples + n);
    s->loss += (loss - s->loss) * weight;
    s->terms = o->terms;
    for (int i = 0; i < o->terms; i++) {
        snprintf(s->name[i], sizeof s->name[i], "%s", o->term[i].name);
        s->term[i] += (tp_item_of(o->term[i].value) - s->term[i]) * weight;
    }
    s->samples += n;
    s->batches++;
    return TP_OK;
}

static void begin(tp_trainer *t)
{
    tp_tape_reset(t->tape);
    if (t->trap)
        tp_tape_trap(t->tape, true);
}

/* The objective of a batch. */
static tp_objective record(tp_trainer *t, tp_ctx *c, const tp_batch *batch)
{
    c->index = &batch->index;
    c->labels = &batch->labels;
    tp_var x = tp_constant(t->tape, &batch->x);
    return t->loss(t->model, c, tp_name(x, "x", NULL, 0));
}

tp_objective tp_train_record(tp_trainer *t, const tp_batch *batch)
{
    begin(t);
    tp_ctx c = tp_ctx_train(t->tape, t->seed, t->step);
    return record(t, &c, batch);
}

/* With the gradients of this step. */
static tp_status update(tp_trainer *t)
{
    const tp_params *ps = t->optimizer->params;
    uint64_t every = t->schedule_every > 0 ? t->schedule_every : 1;
    if (t->schedule != NULL)
        TP_TRY(tp_schedule_lr(t->schedule, t->step / every, &t->optimizer->lr));
    if (t->clip_value != 0)
        TP_TRY(tp_clip_grad_value(ps, t->clip_value));
    if (t->clip_norm != 0)
        TP_TRY(tp_clip_grad_norm(ps, t->clip_norm, NULL));
    return tp_optimizer_step(t->optimizer);
}

static tp_status train_step(tp_trainer *t, const tp_batch *batch)
{
    tp_objective o = tp_train_record(t, batch);
    tp_stats done = t->done;
    TP_TRY(add_stats(&done, &o, batch->n));
    tp_params_zero_grad(t->optimizer->params);
    TP_TRY(tp_backward_opts(o.total, (tp_sweep_opts){.release = true}));
    tp_status status = update(t);
    if (status == TP_ENONFINITE && !t->trap)
        tp_fail(status, "%s; the trap (.trap, vae train --trap) names the operation that did it",
                tp_last_error() + strlen(tp_status_name(status)) + 1);
    if (status == TP_OK) {
        tp_params_commit(t->optimizer->params, t->tape);
        t->done = done;
        t->step++;
    }
    return status;
}

/* *stopped: on_batch said so. */
static tp_status train_batches(tp_trainer *t, tp_batches *b, bool *stopped)
{
    tp_batches_shuffle(b, t->seed, t->epoch);
    TP_TRY(tp_batches_skip(b, t->done.samples));
    for (*stopped = false; !*stopped;) {
        tp_batch batch;
        bool got;
        TP_TRY(tp_batches_next(b, &batch, &got));
        if (!got && t->done.samples != b->size)
            return tp_fail(
                TP_EARG,
                "epoch %llu ends behind %lld of %lld examples: on_batch has moved the batches",
                (unsigned long long)t->epoch, (long long)t->done.samples, (long long)b->size);
        if (!got)
            return TP_OK;
        tp_status s = train_step(t, &batch);
        if (s != TP_OK) {
            tp_fail_prefix("training step %llu: ", (unsigned long long)t->step + 1);
            return s;
        }
        *stopped = t->on_batch != NULL && !t->on_batch(t->user, &t->done);
    }
    return TP_OK;
}

tp_status tp_train_rest(tp_trainer *t, tp_batches *b, tp_stats *stats)
{
    bool stopped;
    tp_status s = train_batches(t, b, &stopped);
    *stats = t->done;
    if (s == TP_OK && !stopped) {
        t->done = (tp_stats){0};
        t->epoch++;
    }
    return s;
}

tp_status tp_train_epoch(tp_trainer *t, tp_batches *b, uint64_t epoch, tp_stats *stats)
{
    t->epoch = epoch;
    t->done = (tp_stats){0};
    return tp_train_rest(t, b, stats);
}

tp_status tp_evaluate(tp_trainer *t, tp_batches *b, tp_stats *stats)
{
    *stats = (tp_stats){0};
    tp_batches_rewind(b);
    for (;;) {
        tp_batch batch;
        bool got;
        TP_TRY(tp_batches_next(b, &batch, &got));
        if (!got)
            return TP_OK;
        begin(t);
        tp_ctx c = tp_ctx_eval(t->tape, t->seed, (uint64_t)stats->batches);
        tp_no_grad_begin(t->tape);
        tp_objective o = record(t, &c, &batch);
        tp_no_grad_end(t->tape); /* the caller gets the tape back as it was */
        TP_TRY(add_stats(stats, &o, batch.n));
    }
}
