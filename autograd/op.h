/* op.h: what an operation is.
 *
 * One tp_op says everything about an operation: how shapes combine, how to compute it, its
 * vector-Jacobian product written with operations, its formula, the inputs it must be tested on and the
 * inputs it must refuse. Every row of ops.def has one, in ops/<name>.c; a program may define its own
 * (examples/07_new_op.c). Rules hold no broadcasting code: the sweep sums a gradient back to its input's
 * shape and adds up fan-out. Read next: ops/exp.c, then apply.c and sweep.c, which drive all this.
 */
#ifndef TP_AUTOGRAD_OP_H
#define TP_AUTOGRAD_OP_H

#include <stddef.h>
#include "autograd/tape.h"
#include "tensor/mem.h"
#include "tensor/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What shape, view and forward see: n inputs, the output, the attributes. */
typedef struct tp_op_call {
    int n;
    const tp_tensor *const *x;
    tp_tensor *y;
    const void *attr;
    tp_arena *scratch; /* see tp_scratch */
} tp_op_call;

/* What a rule sees. want[i]: the gradient of input i is asked for; the others may be left empty. */
typedef struct tp_vjp_call {
    int n;
    const tp_var *x;
    tp_var y, gy;
    const void *attr;
    const bool *want;
} tp_vjp_call;

/* What a fused rule sees: values, and tensors of the inputs' shapes to fill where want[i], contiguous
 * unless .layout says otherwise. */
typedef struct tp_fused_call {
    int n;
    const tp_tensor *const *x;
    const tp_tensor *y, *gy;
    tp_tensor *gx;
    const void *attr;
    const bool *want;
    tp_arena *scratch; /* see tp_scratch */
} tp_fused_call;

/* --- attributes: one statically initialisable struct per op, described field by field ------------ */

typedef enum tp_field_kind {
    TP_FIELD_BOOL,   /* bool */
    TP_FIELD_INT,    /* int */
    TP_FIELD_I64,    /* int64_t */
    TP_FIELD_DOUBLE, /* double */
    TP_FIELD_AXES,   /* tp_axes */
    TP_FIELD_SHAPE,  /* tp_shape */
    TP_FIELD_DTYPE,  /* tp_dtype */
    TP_FIELD_KEY     /* tp_rng_key */
} tp_field_kind;

typedef struct tp_field {
    const char *name;
    tp_field_kind kind;
    size_t offset;
    const char
        *usual; /* explain does not mention the attribute when it reads like this; NULL: always */
} tp_field;

#define TP_FIELD(type, member, kind)                                                               \
    {                                                                                              \
#        member, TP_FIELD_##kind, offsetof(type, member)                                           \
    }
/* `.attr_size`, `.fields` and `.field_count` of an op whose file has a table called fields. */
#define TP_ATTR(type)                                                                              \
    .attr_size = sizeof(type), .fields = fields,                                                   \
    .field_count = (int)(sizeof fields / sizeof *fields)

/* --- samples and refusals ----------------------------------------------------------------------- */

enum { TP_SAMPLE_INPUTS = 4 };

/* How a test fills an input. lo and hi bound the values; both 0 means the kind's default. */
typedef enum tp_fill_kind {
    TP_FILL_REAL,     /* uniform in [lo, hi], default [-2, 2] */
    TP_FILL_POSITIVE, /* uniform in [lo, hi], default [0.3, 3] */
    TP_FILL_UNIT,     /* uniform in [lo, hi], default [0, 1]: targets, probabilities */
    TP_FILL_MASK,     /* 0 or 1 */
    TP_FILL_INDEX,    /* i64 in [0, hi) */
    TP_FILL_SPD       /* symmetric positive definite matrices in the last two axes */
} tp_fill_kind;

typedef struct tp_sample_input {
    tp_shape shape;
    tp_fill_kind fill;
    double lo, hi;
    bool fixed; /* data: no gradient is asked for (targets, masks, indices always) */
} tp_sample_input;

typedef struct tp_sample {
    const char *note;
    int n;
    tp_sample_input x[TP_SAMPLE_INPUTS];
    const void *attr;
} tp_sample;

/* Inputs that must fail with status and a message that contains says. */
typedef struct tp_refusal {
    const char *note;
    int n;
    struct {
        tp_shape shape;
        tp_dtype dtype; /* f32 unless set; a float type is filled with value */
        double value;
    } x[TP_SAMPLE_INPUTS];
    const void *attr;
    tp_status status;
    const char *says;
} tp_refusal;

/* --- the op itself ------------------------------------------------------------------------------- */

typedef enum tp_smoothness {
    TP_SMOOTH = 1, /* infinitely often differentiable on its domain */
    TP_PIECEWISE,  /* smooth but for kinks; .why says where and which gradient is taken there */
    TP_ESTIMATOR,  /* the rule is the derivative of .surrogate, not of the op */
    TP_NO_GRADIENT /* piecewise constant or without float inputs; .why says so */
} tp_smoothness;

/* .reads: whose value the rule needs. Everything else may be freed or overwritten before backward. */
#define TP_READS(i) (1u << (i))
#define TP_READS_Y (1u << 31)
#define TP_READS_ALL_X 0x7fffffffu

enum { TP_ANY_ARITY = -1 };

/* How the values that an op fills lie in memory: see tensor/layout.h. */
typedef enum tp_layout {
    TP_CONTIGUOUS,   /* all */
    TP_AS_INPUT,     /* y channels-last if an input of its shape is, gradients as their inputs */
    TP_CHANNELS_LAST /* y of four axes channels-last, gradients as their inputs */
} tp_layout;

/* The structure of ∂y/∂x, the matrix with a row per element of y and a column per element of x: why a rule needs
 * no such matrix. Of several that are true it is the first. */
typedef enum tp_jacobian {
    TP_JACOBIAN_NONE = 0,  /* no derivative: zeros, or nothing to differentiate by */
    TP_JACOBIAN_DIAGONAL,  /* y[…] depends on x[…] only; rows repeat where x was broadcast */
    TP_JACOBIAN_SELECTION, /* at most one 1 in each row: every y is some x */
    TP_JACOBIAN_SUM,       /* at most one entry in each column, all equal: every x enters one y */
    TP_JACOBIAN_WINDOWS, /* every y sees a window of x, with the same numbers wherever it lies; or x and y exchanged */
    TP_JACOBIAN_KRONECKER, /* one block for all values of some index: I ⊗ M or M ⊗ I, for each matrix of a batch */
    TP_JACOBIAN_LINES, /* a dense block for every line along the attribute's axes */
    TP_JACOBIAN_DENSE  /* a dense block for every matrix in the last two axes */
} tp_jacobian;

enum { TP_INDEX_INPUTS = 3 };

typedef struct tp_op {
    const char *name;
    int arity; /* number of inputs, or TP_ANY_ARITY */
    tp_smoothness smooth;
    unsigned reads;
    bool mixed_dtypes; /* shape checks dtypes itself; otherwise all inputs must be one float type */
    tp_layout layout;  /* what forward and vjp_fused can fill beside contiguous memory */
    bool broadcasts;   /* inputs may be smaller than y: the sweep sums their gradients back */

    /* Formula. #0 #1 … are the inputs, @name an attribute. text is Unicode maths for terminals; tex is
     * LaTeX. prec orders infix forms for brackets: 0 atom or call, 1 product, 2 sum, 3 comparison. */
    const char *text, *tex;
    int prec;
    /* The op element by element, in the language of explain/index.h: "y[…,i,j] = Σ_k #0[…,i,k]·#1[…,k,j]". And
     * the rule of each input, "#0'[…,i,k] = Σ_j y'[…,i,j]·#1[…,k,j]"; NULL: not given. Tests evaluate both. Of an
     * op with any number of inputs the first row is that of all, who are #*; so with .jacobian. */
    const char *index, *index_vjp[TP_INDEX_INPUTS];
    tp_jacobian jacobian[TP_INDEX_INPUTS]; /* by each input */
    const char *why;    /* the derivative in one sentence, and its source if it has one */
    const char *domain; /* which inputs are legal, if not all */

    /* Checks the inputs and writes y->shape (and y->dtype, preset to that of the first input). */
    tp_status (*shape)(const tp_op_call *c);
    /* Optional. Makes y a view of an input instead of computing it; leaving y->storage NULL asks for
     * forward after all. */
    tp_status (*view)(const tp_op_call *c);
    /* Fills y, which is contiguous, unless .layout says otherwise, and not cleared. TP_EVALUE for an input outside the domain. May not
     * record on the tape: y lies in its next node already. */
    tp_status (*forward)(const tp_op_call *c);
    /* The rule: gx[i] = gy · dy/dx[i], written with operations, for every wanted i. */
    void (*vjp)(const tp_vjp_call *c, tp_var *gx);
    /* Optional fast form of the same rule, for sweeps that record no graph. */
    tp_status (*vjp_fused)(const tp_fused_call *c);
    bool fused_over_gy; /* it may find gx[0] in the place of gy: elementwise, one input */
    /* TP_ESTIMATOR only, and required there: the function whose derivative the rule gives, written with
     * operations. It has the shape of y; checks compare the rule with its differences. */
    tp_var (*surrogate)(tp_tape *t, int n, const tp_var *x, const void *attr);

    size_t attr_size;
    const tp_field *fields;
    int field_count;

    /* Calls the typed function, so that samples test it as users call it. */
    tp_var (*call)(tp_tape *t, int n, const tp_var *x, const void *attr);
    const tp_sample *samples;
    int sample_count;
    const tp_refusal *refusals;
    int refusal_count;
    const char *no_refusals; /* why nothing can be refused, where that is so */
} tp_op;

/* `TP_DEFINE_OP(exp, .arity = 1, …)` defines tp_op_exp. The file must hold `static const tp_sample
 * samples[]` with at least three rows: an op without tests does not compile. */
#define TP_DEFINE_OP(id, ...)                                                                      \
    _Static_assert(sizeof samples / sizeof *samples >= 3, #id " needs at least three samples");    \
    const tp_op tp_op_##id = {.name = #id,                                                         \
                              .samples = samples,                                                  \
                              .sample_count = (int)(sizeof samples / sizeof *samples),             \
                              __VA_ARGS__}
#define TP_REFUSALS .refusals = refusals, .refusal_count = (int)(sizeof refusals / sizeof *refusals)
#define TP_NO_REFUSALS(because) .no_refusals = (because)

/* .call of ops whose function takes vars only. */
#define TP_CALL1(f)                                                                                \
    static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)                       \
    {                                                                                              \
        (void)t, (void)n, (void)attr;                                                              \
        return f(x[0]);                                                                            \
    }
#define TP_CALL2(f)                                                                                \
    static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)                       \
    {                                                                                              \
        (void)t, (void)n, (void)attr;                                                              \
        return f(x[0], x[1]);                                                                      \
    }
#define TP_CALL3(f)                                                                                \
    static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)                       \
    {                                                                                              \
        (void)t, (void)n, (void)attr;                                                              \
        return f(x[0], x[1], x[2]);                                                                \
    }

/* Records op on n inputs with attributes attr (copied) and returns its output. Fails on the tape of the
 * first input that has one. tp_apply_on is for ops that may have no inputs. */
tp_var tp_apply(const tp_op *op, int n, const tp_var *x, const void *attr);
tp_var tp_apply_on(tp_tape *t, const tp_op *op, int n, const tp_var *x, const void *attr);

/* Shape rules most ops share: y as the only input; inputs broadcast; all inputs of one shape. */
tp_status tp_shape_same(const tp_op_call *c);
tp_status tp_shape_broadcast_all(const tp_op_call *c);
tp_status tp_shape_equal_all(const tp_op_call *c);

/* A contiguous temporary of the forward pass, not cleared; give it back with tp_scratch_done. */
tp_status tp_scratch(const tp_op_call *c, tp_tensor *t, tp_dtype dtype, tp_shape shape);
void tp_scratch_done(tp_tensor *t);

/* The table: every row of ops.def in order. */
extern const tp_op *const tp_ops[];
extern const int tp_op_count;

/* The structure by input i of an op; its name, as "diagonal", and what it means in one sentence. */
tp_jacobian tp_jacobian_of(const tp_op *op, int i);
const char *tp_jacobian_name(tp_jacobian j);
const char *tp_jacobian_meaning(tp_jacobian j);

#ifdef __cplusplus
}
#endif
#endif
