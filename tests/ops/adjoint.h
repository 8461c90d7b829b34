/* adjoint.h: what the two tests of adjoints share: the table of linear ops, their inputs as small numbers in any
 * memory layout, and value and gradients on a tape.
 * Read next: test_ops_adjoint.c. */
#ifndef TP_TESTS_OPS_ADJOINT_H
#define TP_TESTS_OPS_ADJOINT_H

#include "autograd/ops.h"
#include "autograd/sweep.h"
#include "tensor/parallel.h"
#include "tests/support/check.h"
#include "tests/support/compositions.h"
#include "tests/support/ops.h"

#include <math.h>
#include <string.h>

/* What the inputs that are held are filled with. */
typedef enum others_kind {
    INTEGERS,      /* −3 … 3 */
    POWERS_OF_TWO, /* ±½, 1, 2, 4: to divide by */
    UNIT_TRIANGLE, /* 1 on the diagonal of matrices, −1 … 1 below it, NaN above */
    ZEROS,
    OTHERS
} others_kind;

/* The i-th of all ops, then of all compositions; NULL behind the last. */
static inline const tp_op *any_op(int i)
{
    return i < tp_op_count                       ? tp_ops[i]
           : i < tp_op_count + composition_count ? compositions[i - tp_op_count]
                                                 : NULL;
}

static inline const tp_op *find_op(const char *name)
{
    for (int i = 0; any_op(i) != NULL; i++)
        if (strcmp(any_op(i)->name, name) == 0)
            return any_op(i);
    fail_msg("there is no op %s", name);
    return NULL;
}

/* Which inputs each op is linear in, and what the others are. Sets within a set need no row of their own. */
typedef struct linear_row {
    const char *op;
    unsigned vary; /* TP_READS bits */
    others_kind others;
} linear_row;

#define X0 TP_READS(0)
#define X1 TP_READS(1)
#define X2 TP_READS(2)
#define X3 TP_READS(3)

static const linear_row linear_rows[] = {
    {"add", X0 | X1, INTEGERS},
    {"sub", X0 | X1, INTEGERS},
    {"mul", X0, INTEGERS},
    {"mul", X1, INTEGERS},
    {"div", X0, POWERS_OF_TWO},
    {"where", X1 | X2, INTEGERS},
    {"neg", X0, INTEGERS},
    {"affine", X0, INTEGERS}, /* the sample without shift */
    {"sum", X0, INTEGERS},
    {"mean", X0, INTEGERS}, /* of 4 or 1: those of 3 round */
    {"matmul", X0, INTEGERS},
    {"matmul", X1, INTEGERS},
    {"linear", X0 | X2, INTEGERS},
    {"linear", X1 | X2, INTEGERS},
    {"conv2d", X0, INTEGERS},
    {"conv2d", X1, INTEGERS},
    {"conv_transpose2d", X0, INTEGERS},
    {"conv_transpose2d", X1, INTEGERS},
    {"conv2d_weight", X0, INTEGERS},
    {"conv2d_weight", X1, INTEGERS},
    {"triangular_solve", X1, UNIT_TRIANGLE},
    {"tril", X0, INTEGERS},
    {"reshape", X0, INTEGERS},
    {"permute", X0, INTEGERS},
    {"expand", X0, INTEGERS},
    {"slice", X0, INTEGERS},
    {"pad", X0, INTEGERS},
    {"concat", X0 | X1 | X2 | X3, INTEGERS},
    {"gather", X0, INTEGERS},
    {"scatter_add", X0, INTEGERS},
    {"cumsum", X0, INTEGERS},
    {"avg_pool2d", X0, INTEGERS}, /* of windows of a power of two, or with divisor 1 */
    {"avg_unpool2d", X0, INTEGERS},
    {"upsample_nearest2d", X0, INTEGERS},
    {"reparameterize", X0 | X2, ZEROS}, /* with σ = e⁰ */
    /* compositions */
    {"scale", X0, INTEGERS},
    {"keep_axes", X0, INTEGERS},
    {"sum_to", X0, INTEGERS},
    {"transpose", X0, INTEGERS},
    {"diag", X0, INTEGERS},
    {"diagonal", X0, INTEGERS},
    {"triu", X0, INTEGERS},
    {"squeeze", X0, INTEGERS},
    {"unsqueeze", X0, INTEGERS},
    {"flip", X0, INTEGERS},
    {"stack", X0 | X1 | X2 | X3, INTEGERS},
    {"split", X0, INTEGERS},
    {"pad_constant", X0, INTEGERS}, /* with 0 */
    {"tile", X0, INTEGERS},
    {"repeat", X0, INTEGERS},
    {"index_select", X0, INTEGERS},
    {"embedding", X0, INTEGERS},
};
enum { ROWS = sizeof linear_rows / sizeof *linear_rows };

typedef struct problem {
    tp_var (*call)(tp_tape *t, int n, const tp_var *x, const void *attr);
    const tp_sample *sample;
    unsigned vary; /* bits of the inputs that y is linear in */
    others_kind others;
    tp_dtype dtype;
    const char *name;
    char note[200]; /* for messages */
} problem;

typedef enum way { FUSED, COMPOSED, BACKWARD, WAYS } way;
static const char *const way_names[WAYS] = {"tp_grad", "tp_grad with a graph", "tp_backward"};

typedef struct laid {
    tp_tensor memory, view;
} laid;

static inline bool varies(const problem *p, int i)
{
    return p->vary & TP_READS(i);
}

/* --- numbers ------------------------------------------------------------------------------------ */

/* The i-th of a fixed sequence of whole numbers in [-most, most]. */
static inline double whole(uint64_t seed, int64_t i, int most)
{
    uint64_t h = (seed * 0x9e3779b97f4a7c15u) ^ ((uint64_t)i + 1) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 31) * 0x94d049bb133111ebu;
    return (double)(int64_t)((h >> 33) % (2 * (uint64_t)most + 1)) - most;
}

static inline double held(const problem *p, tp_shape s, uint64_t seed, int64_t i)
{
    double n = whole(seed, i, 3);
    int64_t columns = s.ndim > 0 ? s.dim[s.ndim - 1] : 1;
    int64_t rows = s.ndim > 1 ? s.dim[s.ndim - 2] : 1, row = i / columns % rows, col = i % columns;
    switch (p->others) {
    case POWERS_OF_TWO:
        return n < 0 ? -ldexp(1, (int)n + 2) : ldexp(1, (int)n - 1);
    case UNIT_TRIANGLE:
        return row == col ? 1 : row > col ? whole(seed, i, 1) : (double)NAN;
    case ZEROS:
        return 0;
    default:
        return n;
    }
}

/* Input i, contiguous: masks and indices as the sample says, the held ones by their kind, those that vary
 * whole numbers (scale 1) or eighths. */
static inline tp_tensor fresh_input(const problem *p, int i, uint64_t seed, double scale)
{
    const tp_sample_input *in = &p->sample->x[i];
    tp_tensor t;
    if (in->fill == TP_FILL_INDEX || in->fill == TP_FILL_MASK) {
        assert_ok(tp_sample_fill(in, p->dtype, 17, &t));
        return t;
    }
    assert_ok(tp_tensor_new(&t, p->dtype, in->shape));
    for (int64_t e = 0; e < tp_numel(&t); e++)
        assert_ok(tp_set_flat(&t, e,
                              varies(p, i)
                                  ? scale * whole(seed + (uint64_t)i, e, scale < 1 ? 24 : 4)
                                  : held(p, in->shape, 91 + (uint64_t)i, e)));
    return t;
}

/* x in the layout, or contiguous (false) if that makes no difference to it. */
static inline bool lay(const tp_tensor *x, layout_kind kind, laid *to)
{
    layout l;
    bool applies = layout_make(&l, kind, x->shape, TP_FILL_REAL);
    if (!applies)
        layout_make(&l, LAYOUT_CONTIGUOUS, x->shape, TP_FILL_REAL);
    assert_ok(tp_tensor_new(&to->memory, x->dtype, TP_SHAPE(l.length)));
    to->view = layout_view(&l, &to->memory);
    if (tp_may_overlap(&to->view)) { /* one by one, the last one wins */
        tp_tensor_free(&to->memory);
        layout_store(&l, x, &to->memory);
        to->view = layout_view(&l, &to->memory);
    } else {
        assert_ok(tp_fill(&to->memory, tp_dtype_is_float(x->dtype) ? (double)NAN : -1));
        assert_ok(tp_copy(&to->view, x));
    }
    return applies;
}

/* Inputs of the problem in a layout; false if it changes none. A matrix to solve with keeps its triangle. */
static inline bool adjoint_inputs(const problem *p, layout_kind kind, laid *x, tp_tensor *view)
{
    bool differs = false, aliases = kind == LAYOUT_STRIDE0_LAST || kind == LAYOUT_STRIDE0_FIRST ||
                                    kind == LAYOUT_OVERLAPPING;
    for (int i = 0; i < p->sample->n; i++) {
        tp_tensor t = fresh_input(p, i, 5, 1);
        bool keep = aliases && !varies(p, i) && p->others == UNIT_TRIANGLE;
        differs |= lay(&t, keep ? LAYOUT_CONTIGUOUS : kind, &x[i]);
        view[i] = x[i].view;
        tp_tensor_free(&t);
    }
    return differs;
}

/* A cotangent of whole numbers for y. */
static inline bool adjoint_cotangent(const problem *p, layout_kind kind, const tp_tensor *y,
                                     laid *u)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, p->dtype, y->shape));
    for (int64_t e = 0; e < tp_numel(&t); e++)
        assert_ok(tp_set_flat(&t, e, whole(33, e, 4)));
    bool differs = lay(&t, kind, u);
    tp_tensor_free(&t);
    return differs;
}

/* --- running ------------------------------------------------------------------------------------ */

/* One tape for all runs, which keeps its memory; emptied. The test frees it. */
static tp_tape *adjoint_tape;

static inline tp_tape *empty_tape(void)
{
    if (adjoint_tape == NULL)
        assert_ok(tp_tape_new(&adjoint_tape));
    tp_tape_reset(adjoint_tape);
    return adjoint_tape;
}

static inline int free_tape(void **state)
{
    (void)state;
    tp_tape_free(adjoint_tape);
    return 0;
}

/* The value; false if the op refuses the inputs. */
static inline bool adjoint_try(const problem *p, const tp_tensor *x, tp_tensor *y)
{
    tp_tape *t = empty_tape();
    tp_var v[TP_SAMPLE_INPUTS];
    for (int i = 0; i < p->sample->n; i++)
        v[i] = tp_constant(t, &x[i]);
    const tp_tensor *value = tp_value(p->call(t, p->sample->n, v, p->sample->attr));
    if (value != NULL)
        assert_ok(tp_clone(y, value));
    return value != NULL;
}

static inline void adjoint_forward(const problem *p, const tp_tensor *x, tp_tensor *y)
{
    if (!adjoint_try(p, x, y))
        fail_msg("%s: %s", p->name, tp_last_error());
}

/* y at a, b or a + b (k = 0, 1, 2), which are eighths, or at a with input k − 3 all 0. */
static inline bool adjoint_probe(const problem *p, uint64_t trial, int k, tp_tensor *y)
{
    tp_tensor x[TP_SAMPLE_INPUTS];
    for (int i = 0; i < p->sample->n; i++) {
        x[i] = fresh_input(p, i, 1000 * trial + (k == 1 ? 500 : 0), 0.125);
        tp_tensor b = fresh_input(p, i, 1000 * trial + 500, 0.125);
        for (int64_t e = 0; k == 2 && varies(p, i) && e < tp_numel(&b); e++)
            assert_ok(tp_set_flat(&x[i], e, tp_flat(&x[i], e) + tp_flat(&b, e)));
        if (k - 3 == i)
            assert_ok(tp_fill(&x[i], 0));
        tp_tensor_free(&b);
    }
    bool ok = adjoint_try(p, x, y);
    for (int i = 0; i < p->sample->n; i++)
        tp_tensor_free(&x[i]);
    return ok;
}

/* y = A x and, for inputs that vary, g = Aᵀu. */
static inline void adjoint_run(const problem *p, const tp_tensor *x, const tp_tensor *u, way by,
                               tp_tensor *y, tp_tensor *g)
{
    tp_tape *t = empty_tape();
    tp_var v[TP_SAMPLE_INPUTS], wrt[TP_SAMPLE_INPUTS], out[TP_SAMPLE_INPUTS];
    int n = 0, slot[TP_SAMPLE_INPUTS];
    for (int i = 0; i < p->sample->n; i++) {
        v[i] = varies(p, i) ? tp_leaf(t, &x[i]) : tp_constant(t, &x[i]);
        if (varies(p, i)) {
            slot[n] = i;
            wrt[n++] = v[i];
        }
    }
    tp_var result = p->call(t, p->sample->n, v, p->sample->attr), gy = tp_constant(t, u);
    if (by == BACKWARD)
        assert_ok(tp_backward(tp_sum(tp_mul(result, gy), TP_ALL_AXES, false)));
    else
        assert_ok(tp_grad(1, &result, n, wrt, out,
                          (tp_grad_opts){.grad_outputs = &gy, .create_graph = by == COMPOSED}));
    assert_ok(tp_clone(y, tp_value(result)));
    for (int k = 0; k < n; k++)
        assert_ok(tp_clone(&g[slot[k]], by == BACKWARD ? tp_leaf_grad(wrt[k]) : tp_value(out[k])));
}

#endif
