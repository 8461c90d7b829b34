/* ctx.c: keys of the noise streams, and what layers and models ask of a batch. */
#include "nn/ctx.h"

tp_rng_key tp_stream_key(uint64_t seed, tp_stream stream, uint64_t step)
{
    /* streams share a seed and differ in the top byte of the step, which no run counts up to */
    return (tp_rng_key){seed, step | (uint64_t)stream << 56, 0};
}

tp_ctx tp_ctx_train(tp_tape *t, uint64_t seed, uint64_t step)
{
    return (tp_ctx){.tape = t,
                    .mode = TP_TRAIN,
                    .key = tp_stream_key(seed, TP_STREAM_TRAIN, step),
                    .step = step};
}

tp_ctx tp_ctx_eval(tp_tape *t, uint64_t seed, uint64_t batch)
{
    return (tp_ctx){.tape = t,
                    .mode = TP_EVAL,
                    .key = tp_stream_key(seed, TP_STREAM_EVAL, batch),
                    .step = UINT64_MAX};
}

tp_rng_key tp_ctx_draw(tp_ctx *c)
{
    tp_rng_key key = c->key;
    c->key.draw++;
    return key;
}

static tp_var enter(tp_ctx *c, const tp_tensor *x, const char *what)
{
    if (x == NULL || x->storage == NULL)
        return tp_tape_poison(
            c->tape, tp_fail(TP_EARG, "the %s of the batch are needed, and are not there", what));
    return tp_constant(c->tape, x);
}

tp_var tp_ctx_index(tp_ctx *c)
{
    return enter(c, c->index, "numbers");
}

tp_var tp_ctx_labels(tp_ctx *c)
{
    return enter(c, c->labels, "labels");
}

void tp_ctx_freeze(tp_ctx *c)
{
    c->frozen++;
}

void tp_ctx_thaw(tp_ctx *c)
{
    c->frozen -= c->frozen > 0;
}
