/* ctx.c: keys of the noise streams. */
#include "nn/ctx.h"

tp_rng_key tp_stream_key(uint64_t seed, tp_stream stream, uint64_t step)
{
    /* streams share a seed and differ in the top byte of the step, which no run counts up to */
    return (tp_rng_key){seed, step | (uint64_t)stream << 56, 0};
}

tp_ctx tp_ctx_train(tp_tape *t, uint64_t seed, uint64_t step)
{
    return (tp_ctx){t, TP_TRAIN, tp_stream_key(seed, TP_STREAM_TRAIN, step)};
}

tp_ctx tp_ctx_eval(tp_tape *t, uint64_t seed, uint64_t batch)
{
    return (tp_ctx){t, TP_EVAL, tp_stream_key(seed, TP_STREAM_EVAL, batch)};
}

tp_rng_key tp_ctx_draw(tp_ctx *c)
{
    tp_rng_key key = c->key;
    c->key.draw++;
    return key;
}
