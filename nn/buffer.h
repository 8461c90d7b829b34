/* buffer.h: a tensor that a model keeps but does not learn, such as the running statistics of batch norm.
 *
 * Saved and loaded with the parameters; has no gradient, and no optimizer sees it. A buffer has two values: the one
 * of the last step that succeeded, and the one it will have if the step that is being recorded succeeds. The forward
 * pass writes the second, tp_params_commit makes it the first. So a step that fails, a gradient check and an evaluation
 * leave no trace: what they wrote is forgotten when the next recording begins.
 * Read next: params.h; layers/norm.c, which has three.
 */
#ifndef TP_NN_BUFFER_H
#define TP_NN_BUFFER_H

#include "nn/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_buffer {
    char *name;          /* owned copy, e.g. "encoder.1.running_mean" */
    tp_tensor value;     /* after the last step that succeeded; any type */
    tp_tensor next;      /* after the one that is being recorded, … */
    const tp_tape *tape; /* … on this tape … */
    uint32_t epoch;      /* … since this reset of it; otherwise next means nothing */
} tp_buffer;

/* A zero buffer. TP_ESHAPE, TP_EDTYPE, TP_ENOMEM; *b untouched on failure. tp_params_add_buffer calls it. */
tp_status tp_buffer_init(tp_buffer *b, const char *name, tp_dtype dtype, tp_shape shape);
/* Frees name and values; an empty one is fine. */
void tp_buffer_free(tp_buffer *b);

/* The value it will have, to be read or written; at first in a recording, what it is. */
tp_tensor *tp_buffer_next(tp_ctx *c, tp_buffer *b);

/* In eval mode these do nothing. If x has no value, or not the buffer's shape or type (TP_ESHAPE,
 * TP_EDTYPE), the tape fails. */

/* It will be x. No gradient flows. */
void tp_buffer_set(tp_ctx *c, tp_buffer *b, tp_var x);
/* It will be (1 − momentum)·b + momentum·x: an exponential moving average. */
void tp_buffer_average(tp_ctx *c, tp_buffer *b, tp_var x, double momentum);
/* It will be b + 1; b has one element. */
void tp_buffer_count(tp_ctx *c, tp_buffer *b);

/* The step recorded on t has succeeded: if b will have another value then, it has it now. */
void tp_buffer_commit(tp_buffer *b, const tp_tape *t);

#ifdef __cplusplus
}
#endif
#endif
