/* tape.h: the tape and its vars.
 *
 * A tape is the list of operations a computation performed, in order. A var is a 16-byte name for one
 * entry. Everything computed belongs to the tape and lives until tp_tape_reset; parameters and data
 * belong to the caller. The first failure sticks to the tape: later operations return a poisoned var, so
 * expressions stay maths and one check at the end is enough. One tape per thread.
 * Read next: ops.h (what can be recorded), op.h (how an operation is defined), sweep.h (backward).
 */
#ifndef TP_AUTOGRAD_TAPE_H
#define TP_AUTOGRAD_TAPE_H

#include "autograd/parameter.h"
#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_tape tp_tape;

/* Entry id of tape, valid while the tape's epoch is epoch. The zero var is "none". */
typedef struct tp_var {
    tp_tape *tape;
    uint32_t id, epoch;
} tp_var;

/* At most this many tapes exist at a time; their heads are static, so that a var of a freed tape is
 * TP_ESTALE and never a wild pointer. */
enum { TP_MAX_TAPES = 256 };

/* --- life ------------------------------------------------------------------------------------- */

/* A fresh tape. TP_ENOMEM if TP_MAX_TAPES are live. */
tp_status tp_tape_new(tp_tape **out);
/* Frees all memory of the tape; its vars become stale. NULL is ignored. */
void tp_tape_free(tp_tape *t);
/* Forgets every entry and the failure, and keeps the memory. Vars of before become TP_ESTALE. */
void tp_tape_reset(tp_tape *t);

/* Number of the recording: another one after every tp_tape_reset, and on a tape that was freed and made again. */
uint32_t tp_tape_epoch(const tp_tape *t);

/* The first failure since the last reset and its full message ("" if none). */
tp_status tp_tape_status(const tp_tape *t);
const char *tp_tape_message(const tp_tape *t);

/* For functions made of ops that find bad arguments themselves: makes tp_last_error the tape's failure
 * (unless it has one) and returns the poisoned var. */
tp_var tp_tape_poison(tp_tape *t, tp_status status);

/* Entries recorded so far, and bytes held by live values. */
uint32_t tp_tape_length(const tp_tape *t);
size_t tp_tape_bytes(const tp_tape *t);

/* --- entering values -------------------------------------------------------------------------- */

/* Data: x is not copied and must stay until reset; no gradient. Any dtype, any strides. */
tp_var tp_constant(tp_tape *t, const tp_tensor *x);
/* A variable to differentiate by: as tp_constant, but tp_backward adds its gradient to tp_leaf_grad. */
tp_var tp_leaf(tp_tape *t, const tp_tensor *x);
/* A parameter; made once per tape and epoch, repeated calls give the same var. */
tp_var tp_param(tp_tape *t, tp_parameter *p);

/* --- looking at vars -------------------------------------------------------------------------- */

/* The value, or NULL with the reason in tp_last_error (stale, released, poisoned). It may be a view, and pictures behind
 * a convolution lie channels-last: tp_clone makes a contiguous copy. */
const tp_tensor *tp_value(tp_var v);
/* The one element of v as a double; NaN with the reason in tp_last_error. */
double tp_item_of(tp_var v);
/* Shape and dtype; of a var that is not valid: the 0-d shape, f32. Stay known after release. */
tp_shape tp_shape_of(tp_var v);
tp_dtype tp_dtype_of(tp_var v);
/* Whether v can be used: TP_OK, TP_ESTALE, TP_EFREED, TP_ETAPE, or the tape's failure. */
tp_status tp_var_status(tp_var v);
/* Whether backward would pass a gradient to v; false for a var that is not valid. */
bool tp_needs_grad(tp_var v);
/* The gradient that tp_backward has added up for a tp_leaf since it was made; NULL before the first. */
const tp_tensor *tp_leaf_grad(tp_var leaf);

/* --- names, for messages and derivations ------------------------------------------------------ */

/* Records identifier, file and line with v; returns v. The strings must stay as long as the tape: literals. */
tp_var tp_name(tp_var v, const char *name, const char *file, int line);
#define TP_NAME(v) tp_name((v), #v, __FILE__, __LINE__)
/* Operations recorded between begin and end carry the scope's name in their path; a name that was open before goes on. On
 * NULL or a tape that was freed, as the tape of a var that is none, nothing happens. */
void tp_scope_begin(tp_tape *t, const char *name);
void tp_scope_end(tp_tape *t);
/* The name of a var or parameter; NULL if it has none or is not valid. */
const char *tp_name_of(tp_var v);
/* "encoder/fc1: linear#7" or, for named vars, "h = encoder/fc1: linear#7". Returns text. */
enum { TP_VAR_TEXT = 256 };
char *tp_var_text(tp_var v, char text[TP_VAR_TEXT]);

/* --- less memory for more time ---------------------------------------------------------------- */

/* What was recorded between begin and end is a segment: end drops its values, but not the n in keep, and
 * backward computes them again when it gets there. Gradients are the same bits. A chain of k such segments
 * needs memory for k kept values and one segment instead of all (Chen et al., Training Deep Nets with
 * Sublinear Memory Cost, 2016), for one more forward pass. Keep what is used after end: anything else is
 * TP_EFREED then. What was computed from values that a sweep inside has released (tp_grad) stays, too. Values
 * computed from data written since are TP_EVERSION in backward. Pairs inside a pair belong to the outermost; an
 * end without begin is TP_EARG. */
void tp_recompute_begin(tp_tape *t);
void tp_recompute_end(tp_tape *t, int n, const tp_var *keep);

/* --- recording without gradients -------------------------------------------------------------- */

/* Between begin and end nothing needs a gradient. Calls nest. */
void tp_no_grad_begin(tp_tape *t);
void tp_no_grad_end(tp_tape *t);
/* From pause on gradients are recorded all the same, until resume gets what pause returned: for an inner loop whose result
 * is a value, but which needs tp_grad on its way. No reset in between. */
int tp_no_grad_pause(tp_tape *t);
void tp_no_grad_resume(tp_tape *t, int depth);

/* --- the trap for NaN and infinities ------------------------------------------------------------ */

/* With the trap on, the first operation that gives a NaN, or an infinity out of finite inputs, fails with
 * TP_ENONFINITE: in the forward pass, in a rule of backward, in adding up gradients. The message names it,
 * the range and origin of its inputs, and what the NaN came in with if an input held it before.
 * What may pass: infinities that were put in (data, tp_leaf, tp_full: a mask of −∞), a NaN that is read and
 * not handed on (tp_where), and all that is recorded while the trap is off. A parameter that is learned
 * should hold neither. The price is one look at every result. Stays as it is over tp_tape_reset; a new tape
 * has it off. Returns what it was, to be put back after a deliberate log 0. */
bool tp_tape_trap(tp_tape *t, bool on);
/* Asks the same of one value when it is there, trap or no trap: TP_OK if all elements are finite; TP_ENONFINITE
 * says which operation or input the others go back to, as far as values are kept; or as tp_var_status. The
 * tape does not fail. */
tp_status tp_var_finite(tp_var v);

#ifdef __cplusplus
}
#endif
#endif
