/* ctx.h: what goes through every layer and model: the tape, the mode and the source of noise.
 *
 * Noise is keyed by (seed, stream, step, number of the draw within the step): replaying a step replays its
 * draws. Training, evaluation, initialisation and shuffling use streams of their own, so adding a draw to
 * one leaves the others alone. Read next: params.h.
 */
#ifndef TP_NN_CTX_H
#define TP_NN_CTX_H

#include "autograd/tape.h"
#include "tensor/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In eval mode dropout and corruption are off; posterior sampling stays. */
typedef enum tp_mode { TP_TRAIN, TP_EVAL } tp_mode;

typedef enum tp_stream {
    TP_STREAM_TRAIN,
    TP_STREAM_EVAL,
    TP_STREAM_INIT,
    TP_STREAM_SHUFFLE,
    TP_STREAM_SAMPLE,
    TP_STREAM_SPLIT,
    TP_STREAM_BINARIZE,
    TP_STREAM_CHAIN
} tp_stream;

typedef struct tp_ctx {
    tp_tape *tape;
    tp_mode mode;
    tp_rng_key key; /* of the next draw */
    uint64_t
        step; /* of training, for schedules (tp_ramp); in evaluation UINT64_MAX: where they all have ended */
    /* Which examples the batch holds, and their classes: i64 [batch]. NULL if nobody has said so. */
    const tp_tensor *index, *labels;
    int frozen; /* tp_ctx_freeze less tp_ctx_thaw */
} tp_ctx;

/* The key of draw 0 in a stream at a step. */
tp_rng_key tp_stream_key(uint64_t seed, tp_stream stream, uint64_t step);

/* A context for one training step, or for one evaluation batch (its noise is the same at every epoch). */
tp_ctx tp_ctx_train(tp_tape *t, uint64_t seed, uint64_t step);
tp_ctx tp_ctx_eval(tp_tape *t, uint64_t seed, uint64_t batch);

/* The key for one draw; the next call gives the next. */
tp_rng_key tp_ctx_draw(tp_ctx *c);

/* c->index and c->labels on the tape, i64 [batch]. TP_EARG where there are none. */
tp_var tp_ctx_index(tp_ctx *c);
tp_var tp_ctx_labels(tp_ctx *c);

/* In between, layers take their parameters as constants: gradients go through a network to its input and not to its
 * weights, as an adversary needs it. Calls nest. */
void tp_ctx_freeze(tp_ctx *c);
void tp_ctx_thaw(tp_ctx *c);

#ifdef __cplusplus
}
#endif
#endif
