/* fuzz.h: random programs of operations, what is checked of each, and how a failure is made small.
 *
 * A program is a list of steps: sources (constants, leaves, parameters in any memory layout) and operations,
 * rows of the table and compositions, on earlier steps, valid or not. generate.c makes one up, machine.c runs
 * it and compares every step with reference.c, gradients.c goes backward, supervise.c keeps the children in
 * which all that happens, shrink.c takes a failing program apart, print.c writes it as C. Read next: machine.c.
 */
#ifndef TP_TESTS_FUZZ_H
#define TP_TESTS_FUZZ_H

#include <stdio.h>

#include "autograd/check.h"
#include "autograd/ops.h"
#include "autograd/sweep.h"

/* --- programs ----------------------------------------------------------------------------------- */

enum {
    FUZZ_STEPS = 48,
    FUZZ_INPUTS = 4,
    FUZZ_ATTR = 160,     /* bytes of the largest attribute struct */
    FUZZ_LIMIT = 1 << 17 /* elements: larger results are not looked into */
};

typedef enum fuzz_entry { FUZZ_CONSTANT, FUZZ_LEAF, FUZZ_PARAMETER } fuzz_entry;

/* One step: a source, or an operation on earlier steps. Plain data: programs are copied and edited. */
typedef struct fuzz_step {
    const tp_op *op; /* NULL: a source */

    fuzz_entry entry;
    tp_dtype dtype;
    tp_shape shape;
    tp_fill_kind fill;
    double lo, hi; /* equal: every element is that */
    uint64_t seed;
    bool special;           /* some elements are 0, 1, inf, NaN … */
    int order[TP_MAX_DIMS]; /* memory: axes from the innermost on, */
    int by[TP_MAX_DIMS];    /* each in steps of so many: 1, 2, -1, or 0, which repeats */
    int lead;               /* unused elements in front */

    int n, x[FUZZ_INPUTS];
    union {
        unsigned char bytes[FUZZ_ATTR];
        max_align_t align;
    } attr;
} fuzz_step;

typedef struct fuzz_program {
    uint64_t seed;
    int count;
    bool threads;      /* also on two threads, which must give the same bits */
    bool second_order; /* also the gradient of the gradient */
    int level;         /* ISA level: ref, avx2, avx512, as far as there are */
    fuzz_step step[FUZZ_STEPS];
} fuzz_program;

/* What can go wrong, and its name. */
#define FUZZ_KINDS(X)                                                                              \
    X(NONE, "nothing")                                                                             \
    X(CRASH, "crash")                                                                              \
    X(NO_REFERENCE, "no reference for this operation")                                             \
    X(ACCEPTED, "accepted what must be refused")                                                   \
    X(REFUSED, "refused what is legal")                                                            \
    X(STATUS, "refused with another status")                                                       \
    X(AFTERMATH, "wrong state after a refusal")                                                    \
    X(SHAPE, "another shape or type")                                                              \
    X(VALUE, "another value")                                                                      \
    X(COPY, "another value from contiguous copies of the inputs")                                  \
    X(REPLAY, "other bits when run again")                                                         \
    X(THREADS, "other bits on two threads")                                                        \
    X(BACKWARD, "backward failed")                                                                 \
    X(RULE, "wrong gradient rule")                                                                 \
    X(SUM, "gradients wrongly added up")                                                           \
    X(BITS, "other gradient bits the second time")                                                 \
    X(RELEASE, "other gradient bits with release")                                                 \
    X(GRADIENT, "gradient differs from the difference quotient")                                   \
    X(INPUT, "an input was written to")                                                            \
    X(LEAK, "memory was not given back")
#define FUZZ_KIND(id, text) FUZZ_##id,
typedef enum fuzz_kind { FUZZ_KINDS(FUZZ_KIND) FUZZ_KIND_COUNT } fuzz_kind;
#undef FUZZ_KIND
const char *fuzz_kind_text(fuzz_kind kind);

typedef struct fuzz_failure {
    fuzz_kind kind;
    int step;         /* where it was noticed, -1 if at no step */
    const tp_op *op;  /* whose fault it seems to be, or NULL */
    tp_status expect; /* REFUSED, ACCEPTED, STATUS */
    char text[700];
} fuzz_failure;

/* --- what was done ------------------------------------------------------------------------------ */

enum { FUZZ_OPS = 256 };

typedef struct fuzz_counts {
    int64_t programs, steps, recorded[FUZZ_OPS], refused[FUZZ_OPS]; /* by fuzz_op_index */
    int64_t values, undecided;               /* elements compared; left open: overflow */
    int64_t rules, rule_kinks, rule_skipped; /* calls of a rule; at a kink; not finite … */
    int64_t fused;                           /* of them by a fused rule */
    int64_t gradients, gradient_skipped;     /* whole programs by difference quotient */
    int64_t no_gradient;                     /* programs with nothing to differentiate by */
    int64_t replays, threads, graphs;
} fuzz_counts;

/* Shared by the supervising process and its child: what the child is doing. */
typedef struct fuzz_shared {
    fuzz_program program;
    int at;                                  /* the step it is in, or count after the last */
    int64_t done;                            /* programs of this child without a failure */
    bool live[FUZZ_STEPS], sink[FUZZ_STEPS]; /* of the program: has a value; is part of the loss */
    tp_shape shape[FUZZ_STEPS];
    tp_dtype dtype[FUZZ_STEPS];
    fuzz_failure failure;
    fuzz_counts counts;
} fuzz_shared;

/* --- drawing (generate.c) ------------------------------------------------------------------------ */

/* Numbers by a seed, or first by bytes as long as there are any: then whoever changes the bytes steers. */
typedef struct fuzz_rng {
    uint64_t state;
    const unsigned char *bytes;
    size_t left;
} fuzz_rng;

uint64_t fuzz_next(fuzz_rng *r);
int64_t fuzz_below(fuzz_rng *r, int64_t n); /* 0 … n-1; 0 if n < 1 */
bool fuzz_chance(fuzz_rng *r, int percent);
double fuzz_uniform(uint64_t seed, uint64_t i); /* in (0,1), a function of both */

/* The operations to draw from: rows, compositions, and extra if not NULL. */
typedef struct fuzz_ops {
    const tp_op *extra;
} fuzz_ops;

/* --- programs as such (program.c) ---------------------------------------------------------------- */

/* A field of an op's attributes by name or kind; NULL if there is none. */
const tp_field *fuzz_field(const tp_op *op, const char *name);
const tp_field *fuzz_field_of(const tp_op *op, tp_field_kind kind);
/* The number in a BOOL, INT, I64 or DTYPE field of that name; fallback if there is none. */
int64_t fuzz_whole(const tp_op *op, const void *attr, const char *name, int64_t fallback);
/* The place of a field in attributes. */
static inline void *fuzz_at(const tp_field *f, void *attr)
{
    return (char *)attr + f->offset;
}
/* The place of op among the rows and compositions (tests/support/compositions.h); behind them if it is none. */
int fuzz_op_index(const tp_op *op);
/* Whether op is a composition: it has no rule and no reference, only those of the rows it is made of. */
bool fuzz_is_composition(const tp_op *op);
/* Whether input i is data to op: never differentiated by. */
bool fuzz_fixed_input(const tp_op *op, int i);

/* A source in memory. */
typedef struct fuzz_source {
    tp_tensor memory, view; /* a vector, and how the program looks at it */
    tp_tensor copy;         /* of memory, to see that nobody wrote */
    tp_parameter p;
} fuzz_source;

tp_status fuzz_source_make(const fuzz_step *s, const char *name, fuzz_source *out);
void fuzz_source_free(fuzz_source *s);
/* Element flat of the view as a place in memory. */
int64_t fuzz_place(const tp_tensor *view, int64_t flat);
/* A hash of a tensor's type, shape and elements. */
uint64_t fuzz_hash(const tp_tensor *x);

/* --- the naive reference (reference*.c) ------------------------------------------ */

typedef long double real;

typedef struct ref_tensor {
    tp_dtype dtype;
    tp_shape shape;
    int64_t n;
    real *v; /* row-major; NULL if n is beyond FUZZ_LIMIT */
    real *e; /* how far off each may be, in units of the type's ε; 0: exact; NaN: open */
} ref_tensor;

typedef struct ref_call {
    const tp_op *op;
    int n;
    const ref_tensor *x;
    const void *attr;
    ref_tensor *y;
    bool surrogate; /* of an estimator: the function whose derivative it claims */
    bool either;    /* out: accepting and refusing with TP_EVALUE are both right */
} ref_call;

/* What op must do with these inputs: its status, and for TP_OK the result in c->y (ref_free it).
 * *known is false if there is no reference. */
tp_status fuzz_reference(ref_call *c, bool *known);
ref_tensor ref_read(const tp_tensor *x);
ref_tensor ref_new(tp_dtype dtype, tp_shape shape);
void ref_free(ref_tensor *x);
/* The values of a tensor that went through rounding to its type. */
real ref_round(tp_dtype dtype, real v);
real ref_epsilon(tp_dtype dtype);
real ref_max(tp_dtype dtype);
real ref_tiny(tp_dtype dtype); /* smallest normal number */
/* Multi-indices. */
void ref_unflatten(tp_shape s, int64_t flat, int64_t index[TP_MAX_DIMS]);
int64_t ref_flatten(tp_shape s, const int64_t index[TP_MAX_DIMS]);
/* The element of a tensor of shape s that the element index of shape y, to which s broadcasts, uses. */
int64_t ref_broadcast(tp_shape s, tp_shape y, const int64_t index[TP_MAX_DIMS]);
/* The name under which a reference is found: "broken_mul" is checked as "mul". */
const char *ref_name(const tp_op *op);

/* --- running (machine.c) -------------------------------------------------------------------------- */

typedef struct fuzz_machine {
    const fuzz_program *program;
    fuzz_shared *shared;
    tp_tape *tape, *side; /* side: single operations once more */
    fuzz_source source[FUZZ_STEPS];
    tp_var v[FUZZ_STEPS];
    bool live[FUZZ_STEPS]; /* recorded, and small enough to be used */
    bool recorded[FUZZ_STEPS];
    uint64_t hash[FUZZ_STEPS];
    tp_tensor weight[FUZZ_STEPS]; /* of the sinks that the loss is made of */
    bool sink[FUZZ_STEPS];
    bool kinked; /* a step of the sweep was at a kink; of the whole it may not show as one */
} fuzz_machine;

/* Runs a program that is complete, in this process; the failure is in shared->failure. */
void fuzz_run(fuzz_shared *shared);
/* Makes up the program of a seed while running it. */
void fuzz_run_seed(fuzz_shared *shared, uint64_t seed, const fuzz_ops *ops);
/* Makes up the program of some bytes while running it, in this process. */
void fuzz_run_bytes(fuzz_shared *shared, const unsigned char *bytes, size_t n);
/* Notes the failure unless there is one; returns false. */
bool fuzz_fail(fuzz_machine *m, fuzz_kind kind, int step, const tp_op *op, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Records the live steps on an empty tape again, in v; the hash of each must be as before. */
bool fuzz_record(fuzz_machine *m, fuzz_kind kind);
/* Whether got is want within e; decided is false where that cannot be said. */
bool fuzz_close(double got, real want, real e, tp_dtype dtype, bool *decided);

/* Makes up programs (generate.c). */
typedef struct fuzz_generator {
    fuzz_rng rng;
    fuzz_program *p;
    const fuzz_ops *ops;
    tp_dtype dtype; /* of most sources */
    int target;     /* how many operations */
    bool big;       /* some sizes are large */
    bool rows;      /* no compositions: they have no reference for the whole */
} fuzz_generator;

void fuzz_generate_begin(fuzz_generator *g, fuzz_program *p, fuzz_rng rng, const fuzz_ops *ops);
/* The numbers of a seed. */
fuzz_rng fuzz_rng_of(uint64_t seed);
/* A live var of that shape, or a new source. */
int fuzz_input(fuzz_generator *g, const fuzz_machine *m, tp_shape shape);
/* Whether op is one of the three of convolution, whose shapes hang together by more than equal sizes; inputs and
 * attributes of one of them, legal but for a few (generate_conv.c). */
bool fuzz_is_convolution(const tp_op *op);
void fuzz_generate_convolution(fuzz_generator *g, const fuzz_machine *m, fuzz_step *s);
/* The same of windows over images (generate_pool.c). */
bool fuzz_is_pool(const tp_op *op);
void fuzz_generate_pool(fuzz_generator *g, const fuzz_machine *m, fuzz_step *s);
/* Appends one operation, and before it the sources it needs; false at the end. */
bool fuzz_generate(fuzz_generator *g, const fuzz_machine *m);

/* --- going backward (rules.c, gradients.c) --------------------------------------------------------- */

/* The derivative along d by differences at h and 2h, and how far off it may be. kink: the slopes to both
 * sides differ, however near. rest: between the two differences; large where a kink lies between them. */
typedef struct fuzz_slope {
    real value, error, rest;
    bool valid, kink;
} fuzz_slope;

/* Of f, which gives a value and about how far it may be off in units of f64's ε; false where there is none. */
fuzz_slope fuzz_difference(bool (*f)(void *user, real h, real *value, real *noise), void *user,
                           real h);
/* Goes backward from loss, checking every step; *fused: a fused rule was used; *cancels: the largest
 * Σ |gradient ⊙ value| of a step of the program, at least what it was. */
bool fuzz_checked_sweep(fuzz_machine *m, tp_var loss, tp_sweep_opts opts, bool *fused,
                        real *cancels);
/* What backward left for source k; NULL for what is none, or got none. */
const tp_tensor *fuzz_gradient_of(const fuzz_machine *m, int k);

bool fuzz_gradients(fuzz_machine *m);
/* The sinks, their weights, and the scalar that is differentiated: empty if there is none. */
bool fuzz_choose_sinks(fuzz_machine *m);
tp_var fuzz_loss(fuzz_machine *m);
/* The steps that are needed, by the reference alone, into v[FUZZ_STEPS]. Those with a base are that, moved by h·shift[k] (NULL:
 * not moved). False where a step cannot be computed, is left open or not of a modest size. */
bool fuzz_chain(const fuzz_program *p, const bool *needed, const ref_tensor *base,
                real *const *shift, real h, ref_tensor *v);
void fuzz_chain_free(ref_tensor *v);
/* The factors that make a loss out of step k. */
tp_status fuzz_weight(tp_tensor *w, tp_dtype dtype, tp_shape shape, int k);

/* --- children, shrinking, printing ----------------------------------------------------------------- */

/* Runs the program in shared in a child and waits: shared->failure says how it went; quiet drops what the
 * child prints on stderr. */
void fuzz_run_child(fuzz_shared *shared, bool quiet);
/* Runs seeds first … first+count-1, each failure shrunk and printed to out. Returns the failures; those
 * beyond most_failures end it. until: stop at that time (0: never). last (or NULL): a copy of the shared
 * state after the last failure. */
int fuzz_campaign(FILE *out, uint64_t first, int64_t count, double until, int most_failures,
                  const fuzz_ops *ops, fuzz_counts *counts, fuzz_shared *last);
/* Makes shared->program as small as it fails in the same way. Returns how many programs were tried. */
int fuzz_shrink(fuzz_shared *shared);
/* Operations in a program. */
int fuzz_size(const fuzz_program *p);
/* The program as C: compiles against the library and exits 1 where the failure shows. */
void fuzz_print(FILE *out, const fuzz_shared *shared);
/* What was done, in a few lines: counts per row of the table, what was compared and what was left out. */
void fuzz_report(FILE *out, const fuzz_counts *c);
/* A memory block shared with children; never freed. */
fuzz_shared *fuzz_shared_new(void);
double fuzz_now(void);

#endif
