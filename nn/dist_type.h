/* dist_type.h: what a row of dist.def is: everything about one distribution, in nn/dist/<name>.c.
 *
 * Rows hold no code for events, samples or broadcasting: dist.c has checked all shapes, given the parameters the
 * leading axes of x, and sums what a row returns over the event. A program may define a row of its own.
 * Read next: dist/normal.c, then tests/dist, which runs cases, values and refusals.
 */
#ifndef TP_NN_DIST_TYPE_H
#define TP_NN_DIST_TYPE_H

#include <stddef.h>
#include "autograd/compose.h"
#include "nn/dist.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What x can be at all. */
typedef enum tp_support {
    TP_REALS,   /* any number */
    TP_BITS,    /* 0 or 1; grey values between get the cross-entropy */
    TP_CLASSES, /* i64: 0, 1, … */
    TP_SIMPLEX  /* vectors of positive numbers whose sum is 1 */
} tp_support;

/* --- what tests run: literal numbers, row-major ------------------------------------------------------------ */

enum { TP_DIST_NUMBERS = 12 };

typedef struct tp_dist_numbers {
    tp_shape shape;
    double at[TP_DIST_NUMBERS];
} tp_dist_numbers;

/* Parameters for which everything is compared with integrals (sums) of the density. */
typedef struct tp_dist_case {
    const char *note;
    tp_dist_numbers param[TP_DIST_PARAMS];
} tp_dist_case;

/* A known log p(x), of one event, from the formula evaluated with 30 digits; NAN for entropy: not compared. */
typedef struct tp_dist_value {
    const char *note;
    tp_dist_numbers param[TP_DIST_PARAMS], x;
    double logprob, entropy;
} tp_dist_value;

/* Parameters or an x for which log p(x) must fail with status, and a message that contains says. */
typedef struct tp_dist_refusal {
    const char *note;
    tp_dist_numbers param[TP_DIST_PARAMS], x;
    tp_status status;
    const char *says;
} tp_dist_refusal;

/* --- the row ----------------------------------------------------------------------------------------------- */

struct tp_dist_type {
    const char *name;
    tp_support support;
    int params; /* canonical parameters: param[0] … */
    int rank; /* axes of one draw by nature, besides those of parts: 0 for numbers, 1 for vectors */
    bool kinks;                /* the density is not smooth in x */
    bool pathwise;             /* draw is differentiable in the parameters */
    const char *text, *source; /* log p(x), and where it is from */

    /* From canonical parameters, as tests call it. */
    tp_dist (*make)(const tp_var *param);
    /* Optional: shape of one draw, if not that of param[0]. */
    tp_shape (*shape)(const tp_dist *d);
    /* −log p(x) per element: the shape of x without its last rank axes. Refuses values no parameters allow. */
    tp_var (*nll)(const tp_dist *d, tp_var x);
    tp_var (*draw)(const tp_dist *d, tp_ctx *c);
    /* Optional: a draw, differentiable, with its nll. */
    tp_var (*draw_nll)(const tp_dist *d, tp_ctx *c, tp_var *nll);
    /* NULL: no closed form. */
    tp_var (*mean)(const tp_dist *d);
    tp_var (*variance)(const tp_dist *d);
    tp_var (*entropy)(const tp_dist *d); /* per element, as nll */

    const tp_dist_case *cases;
    const tp_dist_value *values;
    const tp_dist_refusal *refusals;
    int case_count, value_count, refusal_count;
};

/* `TP_DEFINE_DIST(normal, …)` defines tp_dist_normal out of the functions and tables of its file. */
#define TP_DEFINE_DIST(id, ...)                                                                    \
    _Static_assert(sizeof cases / sizeof *cases >= 2, #id " needs at least two cases");            \
    const tp_dist_type tp_dist_##id = {.name = #id,                                                \
                                       .make = make,                                               \
                                       .nll = nll,                                                 \
                                       .draw = draw,                                               \
                                       .cases = cases,                                             \
                                       .case_count = (int)(sizeof cases / sizeof *cases),          \
                                       .values = values,                                           \
                                       .value_count = (int)(sizeof values / sizeof *values),       \
                                       .refusals = refusals,                                       \
                                       .refusal_count = (int)(sizeof refusals / sizeof *refusals), \
                                       __VA_ARGS__}

/* The table: every row of dist.def in order. */
#define TP_DIST(name) extern const tp_dist_type tp_dist_##name;
#include "nn/dist.def"
#undef TP_DIST
extern const tp_dist_type *const tp_dist_types[];
extern const int tp_dist_type_count;

/* A row of kl.def. */
typedef struct tp_kl_type {
    const tp_dist_type *q, *p;
    const char *text;
    tp_var (*elements)(const tp_dist *q,
                       const tp_dist *p); /* as nll; the parameters have equal leading axes */
} tp_kl_type;
extern const tp_kl_type tp_kl_types[];
extern const int tp_kl_type_count;

/* --- for rows and kl.c --------------------------------------------------------------------------------------- */

/* Axes that are one draw by nature: those of the row, and of the event of a part. */
static inline int tp_dist_rank(const tp_dist *d)
{
    return d->type->rank + d->part_dims;
}
/* The size of the last axis of param[0]; 1 if it has lost its value, so that there is one to compute with. */
int64_t tp_dist_width(const tp_dist *d);
/* The components of a mixture, the base of a transformed distribution. */
tp_dist tp_dist_part(const tp_dist *d);
/* What two parameters must be that go together element by element: TP_ESHAPE with both names otherwise. */
tp_dist tp_dist_same_shapes(tp_dist d, const char *a, const char *b);
/* Sums over the last dims axes. */
tp_var tp_event_sum(tp_var x, int dims);
/* Whether all parameters have values; only then can their shapes not fit. */
bool tp_dist_valid(const tp_dist *d);
/* TP_ESHAPE unless event_dims is possible for the shape of a draw. */
tp_status tp_dist_check_event(const tp_dist *d);
/* Whether x is [lead…, draw…]; lead gets what comes first. */
bool tp_dist_leads(tp_shape x, tp_shape draw, tp_shape *lead);
/* `return tp_dist_refuse(d, tp_fail(TP_EVALUE, …))`: the failure becomes that of d's tape; a poisoned var. */
tp_var tp_dist_refuse(const tp_dist *d, tp_status status);
/* d with poisoned parameters: what a constructor returns that refuses. */
tp_dist tp_dist_refused(tp_dist d, tp_status status);

#ifdef __cplusplus
}
#endif
#endif
