/* index_check.c: index forms and structures against what ops and their rules give. See index_form.h. */
#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/index_form.h"
#include "tests/support/ops.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ULPS = 8, JACOBIAN_ELEMENTS = 64 };

/* A sample's attributes as the typed function leaves them, with defaults filled in. */
static const void *attributes(const form_run *r, const tp_op *op, const tp_sample *s)
{
    if (op->attr_size == 0 || op->call == NULL)
        return s->attr;
    const tp_node *node = tp_node_of(op->call(r->tape, s->n, r->x, s->attr));
    assert_ok(tp_tape_status(r->tape));
    return strcmp(node->op->name, op->name) == 0 ? node->attr : s->attr;
}

void form_run_make(form_run *r, const tp_op *op, const tp_sample *s)
{
    *r = (form_run){.n = s->n};
    assert_ok(tp_tape_new(&r->tape));
    for (int i = 0; i < s->n; i++) {
        r->fixed[i] = tp_sample_fixed(&s->x[i]);
        assert_ok(tp_sample_fill(&s->x[i], TP_F64, 11 + (uint64_t)i, &r->data[i]));
        r->x[i] = r->fixed[i] ? tp_constant(r->tape, &r->data[i]) : tp_leaf(r->tape, &r->data[i]);
    }
    r->y = tp_apply_on(r->tape, op, s->n, r->x, attributes(r, op, s));
    assert_ok(tp_tape_status(r->tape));
}

void form_run_free(form_run *r)
{
    tp_tape_free(r->tape);
    for (int i = 0; i < r->n; i++)
        tp_tensor_free(&r->data[i]);
}

static bool same(double got, double want, double bound)
{
    return got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= bound;
}

bool form_agrees(const char *form, const form_values *v, const tp_tensor *want, double ulps,
                 char message[FORM_MESSAGE])
{
    int64_t n = tp_numel(want);
    double *out = calloc((size_t)n + 1, sizeof *out), *error = calloc((size_t)n + 1, sizeof *error);
    int *reached = calloc((size_t)n + 1, sizeof *reached);
    assert_true(out != NULL && error != NULL && reached != NULL);
    bool ok = form_evaluate(form, v, n, out, error, reached, message), value = *form == 'y';
    for (int64_t i = 0; i < n && ok; i++) {
        double w = tp_flat(want, i);
        ok = same(out[i], w, ulps * DBL_EPSILON * (error[i] + fabs(w)) + DBL_MIN);
        if (!ok)
            snprintf(message, FORM_MESSAGE, "element %lld is %.17g, not %.17g", (long long)i, w,
                     out[i]);
        if (ok && (reached[i] > 1 || (value && reached[i] == 0))) {
            snprintf(message, FORM_MESSAGE, "element %lld is given %d times", (long long)i,
                     reached[i]);
            ok = false;
        }
    }
    free(out), free(error), free(reached);
    return ok;
}

/* --- one sample --------------------------------------------------------------------------------- */

static bool check_value(const form_run *r, const form_values *v, char message[FORM_MESSAGE])
{
    tp_text form = {0};
    if (!tp_index_write(&form, r->tape, r->y.id, -1))
        return snprintf(message, FORM_MESSAGE, "no index form"), false;
    char what[FORM_MESSAGE];
    bool ok = form_agrees(form.data, v, v->y, ULPS, what);
    if (!ok)
        snprintf(message, FORM_MESSAGE, "%.120s: %.120s", form.data, what);
    return ok;
}

static bool check_rules(const form_run *r, form_values v, int64_t *compared,
                        char message[FORM_MESSAGE])
{
    bool ok = true;
    tp_tensor gy;
    draw_cotangent(&gy, TP_F64, tp_shape_of(r->y), 3);
    tp_var root = tp_sum(tp_mul(r->y, tp_constant(r->tape, &gy)), TP_ALL_AXES, false);
    tp_sweep s = tp_sweep_begin(root, (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s) && s.at != r->y.id)
        ;
    assert_ok(s.status);
    v.gy = &gy;
    for (int i = 0; i < r->n; i++)
        v.gx[i] = s.contribution[i].id == 0 ? NULL : tp_value(s.contribution[i]);
    for (int i = 0; i < r->n && ok; i++) {
        tp_text form = {0};
        char what[FORM_MESSAGE];
        if (v.gx[i] == NULL || !tp_index_write(&form, r->tape, r->y.id, i))
            continue;
        ok = form_agrees(form.data, &v, tp_value(s.gx[i]), ULPS, what);
        if (!ok)
            snprintf(message, FORM_MESSAGE, "%.120s: %.120s", form.data, what);
        *compared += tp_numel(tp_value(s.gx[i]));
    }
    tp_sweep_end(&s);
    tp_tensor_free(&gy);
    return ok;
}

bool form_check(const tp_op *op, const tp_sample *s, int64_t *compared, char message[FORM_MESSAGE])
{
    form_run r;
    form_run_make(&r, op, s);
    form_values v = {.n = r.n, .y = tp_value(r.y)};
    bool differentiated = false;
    for (int i = 0; i < r.n; i++) {
        v.x[i] = tp_value(r.x[i]);
        differentiated |= !r.fixed[i];
    }
    bool ok = check_value(&r, &v, message);
    *compared += tp_numel(v.y);
    if (ok && op->smooth != TP_NO_GRADIENT && differentiated)
        ok = check_rules(&r, v, compared, message);
    form_run_free(&r);
    return ok;
}

/* --- structures --------------------------------------------------------------------------------- */

/* ∂y/∂x with its rows and columns as multi-indices. */
typedef struct jacobian {
    tp_shape y, x;
    int64_t rows, columns;
    double *at;
    bool lines
        [TP_MAX_DIMS]; /* the axes of x along the attribute's axes; any: there is such an attribute */
    bool any;
    int64_t stride[2], groups; /* of windows: 0 if there is no such attribute */
    bool y_kernel, x_kernel;
    tp_blocks blocks;
} jacobian;

static double entry(const jacobian *j, int64_t row, int64_t column)
{
    return j->at[row * j->columns + column];
}

static void unravel(tp_shape s, int64_t flat, int64_t index[TP_MAX_DIMS])
{
    for (int d = s.ndim - 1; d >= 0; d--) {
        index[d] = flat % s.dim[d];
        flat /= s.dim[d];
    }
}

/* The axes that the op works along. */
static void find_lines(jacobian *j, const tp_op *op, const void *attr)
{
    for (int i = 0; i < op->field_count; i++) {
        const void *at = (const char *)attr + op->fields[i].offset;
        bool axis = strcmp(op->fields[i].name, "axis") == 0,
             axes = strcmp(op->fields[i].name, "axes") == 0;
        if (axis)
            assert_ok(tp_axes_mask(j->x, TP_AXES(*(const int *)at), j->lines));
        if (axes)
            assert_ok(tp_axes_mask(j->x, *(const tp_axes *)at, j->lines));
        j->any |= axis || axes;
    }
}

static void find_windows(jacobian *j, const tp_node *node, int input)
{
    const tp_op *op = node->op;
    for (int i = 0; i < op->field_count; i++) {
        const char *name = op->fields[i].name;
        const int64_t *at =
            (const int64_t *)(const void *)((const char *)node->attr + op->fields[i].offset);
        if (strncmp(name, "stride_", 7) == 0)
            j->stride[name[7] == 'w'] = *at;
        if (strcmp(name, "groups") == 0)
            j->groups = *at;
    }
    j->y_kernel = strcmp(op->name, "conv2d_weight") == 0;
    j->x_kernel = !j->y_kernel && input == 1;
}

/* One gradient per element of y. Closed-form zeros are exact. False if there is nothing to look at. */
static bool jacobian_make(jacobian *j, const tp_op *op, const tp_sample *s, int input)
{
    form_run r;
    form_run_make(&r, op, s);
    *j = (jacobian){.y = tp_shape_of(r.y), .x = tp_shape_of(r.x[input])};
    j->rows = tp_shape_numel(j->y), j->columns = tp_shape_numel(j->x);
    find_lines(j, op, s->attr);
    find_windows(j, tp_node_of(r.y), input);
    j->blocks = tp_index_blocks(r.tape, r.y.id, input);
    bool looked = j->rows > 0 && j->columns > 0 && j->rows <= JACOBIAN_ELEMENTS &&
                  j->columns <= JACOBIAN_ELEMENTS && !r.fixed[input];
    j->at = looked ? calloc((size_t)(j->rows * j->columns), sizeof *j->at) : NULL;
    for (int64_t row = 0; row < j->rows && looked; row++) {
        tp_tensor v;
        tp_var gx;
        assert_ok(tp_tensor_new(&v, TP_F64, j->y));
        assert_ok(tp_fill(&v, 0));
        assert_ok(tp_set_flat(&v, row, 1));
        tp_var gy = tp_constant(r.tape, &v);
        assert_ok(tp_grad(1, &r.y, 1, &r.x[input], &gx,
                          (tp_grad_opts){.grad_outputs = &gy, .allow_unused = true}));
        for (int64_t c = 0; c < j->columns; c++)
            j->at[row * j->columns + c] = tp_flat(tp_value(gx), c);
        tp_tensor_free(&v);
    }
    form_run_free(&r);
    return looked;
}

/* Whether x broadcast to y puts column where row is, looking at the first axes of y only. */
static bool meets(const jacobian *j, int64_t row, int64_t column, int but_last)
{
    int64_t iy[TP_MAX_DIMS], ix[TP_MAX_DIMS];
    unravel(j->y, row, iy);
    unravel(j->x, column, ix);
    for (int d = 0; d < j->x.ndim - but_last; d++) {
        int e = d + j->y.ndim - j->x.ndim;
        if (e < 0 || e >= j->y.ndim - but_last || (ix[d] != iy[e] && j->x.dim[d] != 1))
            return false;
    }
    return true;
}

/* Whether row and column lie on the same line: equal but for the axes of the attribute. */
static bool on_line(const jacobian *j, int64_t row, int64_t column)
{
    int64_t iy[TP_MAX_DIMS], ix[TP_MAX_DIMS];
    unravel(j->y, row, iy);
    unravel(j->x, column, ix);
    for (int d = 0, e = 0; d < j->x.ndim; d++) {
        if (!j->lines[d] && (e >= j->y.ndim || ix[d] != iy[e]))
            return false;
        e += !j->lines[d] || j->y.ndim == j->x.ndim;
    }
    return j->any;
}

/* At most one entry in each row, and it is 1; transposed: in each column, and all are equal. */
static bool is_selection(const jacobian *j, bool transposed)
{
    double all = transposed ? 0 : 1;
    for (int64_t a = 0; a < (transposed ? j->columns : j->rows); a++) {
        int entries = 0;
        for (int64_t b = 0; b < (transposed ? j->rows : j->columns); b++) {
            double v = transposed ? entry(j, b, a) : entry(j, a, b);
            all = all == 0 ? v : all;
            entries += v != 0;
            if (v != 0 && v != all)
                return false;
        }
        if (entries > 1)
            return false;
    }
    return true;
}

static bool has_zeros(const jacobian *j, tp_jacobian structure)
{
    for (int64_t r = 0; r < j->rows; r++)
        for (int64_t c = 0; c < j->columns; c++) {
            bool allowed = structure == TP_JACOBIAN_DIAGONAL ? meets(j, r, c, 0)
                           : structure == TP_JACOBIAN_LINES  ? on_line(j, r, c)
                           : structure == TP_JACOBIAN_DENSE
                               ? j->x.ndim > 1 && j->y.ndim > 1 && meets(j, r, c, 2)
                               : false;
            if (!allowed && entry(j, r, c) != 0)
                return false;
        }
    return true;
}

static int64_t stride(tp_shape s, int axis)
{
    int64_t n = 1;
    for (int d = axis + 1; d < s.ndim; d++)
        n *= s.dim[d];
    return n;
}

/* Whether the entry stays the same where both indices at an axis move on, by so much. */
static bool stays(const jacobian *j, int64_t r, int64_t c, int axis, int64_t dy, int64_t dx)
{
    int64_t iy[TP_MAX_DIMS], ix[TP_MAX_DIMS];
    unravel(j->y, r, iy);
    unravel(j->x, c, ix);
    if (iy[axis] + dy >= j->y.dim[axis] || ix[axis] + dx >= j->x.dim[axis])
        return true;
    return entry(j, r, c) == entry(j, r + dy * stride(j->y, axis), c + dx * stride(j->x, axis));
}

/* Examples apart, and alike; and along the axes of a picture x moves by the stride where y moves by one, or y does. */
static bool is_windows(const jacobian *j, bool y_moves)
{
    int64_t iy[TP_MAX_DIMS], ix[TP_MAX_DIMS];
    if (j->stride[0] == 0 || j->y.ndim != 4 || j->x.ndim != 4)
        return false;
    for (int64_t r = 0; r < j->rows; r++)
        for (int64_t c = 0; c < j->columns; c++) {
            unravel(j->y, r, iy);
            unravel(j->x, c, ix);
            if (iy[0] != ix[0] && entry(j, r, c) != 0)
                return false;
            if (!stays(j, r, c, 0, 1, 1))
                return false;
            for (int i = 0; i < 2; i++)
                if (!stays(j, r, c, 2 + i, y_moves ? j->stride[i] : 1, y_moves ? 1 : j->stride[i]))
                    return false;
        }
    return true;
}

static bool empty_row(const jacobian *j, int64_t row)
{
    for (int64_t c = 0; c < j->columns; c++)
        if (entry(j, row, c) != 0)
            return false;
    return true;
}

/* Whether axis e of y and axis d of x are one index, on which nothing but where the blocks lie depends: the entry
 * is 0 unless both are equal, and then the same for all values. Rows of zeros, which a mask made, do not count. */
static bool is_repeated(const jacobian *j, int e, int d)
{
    int64_t iy[TP_MAX_DIMS], ix[TP_MAX_DIMS], sy = stride(j->y, e), sx = stride(j->x, d);
    for (int64_t r = 0; r < j->rows; r++)
        for (int64_t c = 0; c < j->columns; c++) {
            unravel(j->y, r, iy);
            unravel(j->x, c, ix);
            if (iy[e] != ix[d] && entry(j, r, c) != 0)
                return false;
            int64_t r0 = r - iy[e] * sy, c0 = c - ix[d] * sx,
                    next = r0 + (iy[e] + 1) % j->y.dim[e] * sy;
            if (iy[e] != ix[d] || empty_row(j, r) || empty_row(j, next))
                continue;
            double a = entry(j, r, c), b = entry(j, next, c0 + (iy[e] + 1) % j->y.dim[e] * sx);
            if (fabs(a - b) > 1e-12 * (fabs(a) + fabs(b)))
                return false;
        }
    return true;
}

/* Channels in groups are channels of a group, on an axis of their own: the second of images, the first of kernels,
 * whose second is of a group already. */
static tp_shape split_groups(const jacobian *j, tp_shape s, bool kernel)
{
    int at = kernel ? 0 : 1;
    tp_shape split = s;
    split.ndim++;
    for (int d = s.ndim - 1; d > at; d--)
        split.dim[d + 1] = s.dim[d];
    split.dim[at] = j->groups, split.dim[at + 1] = s.dim[at] / j->groups;
    return split;
}

static bool is_kronecker(const jacobian *whole)
{
    jacobian parted = *whole;
    const jacobian *j = &parted;
    bool pairs = false;
    if (whole->groups > 1) {
        parted.y = split_groups(whole, whole->y, whole->y_kernel);
        parted.x = split_groups(whole, whole->x, whole->x_kernel);
    }
    for (int e = 0; e < j->y.ndim; e++)
        for (int d = 0; d < j->x.ndim; d++) {
            bool pair = j->y.dim[e] == j->x.dim[d];
            pairs |= pair;
            if (pair && is_repeated(j, e, d))
                return true;
        }
    return !pairs; /* a vector: the identity has size 1 */
}

bool form_has_structure(const tp_op *op, const tp_sample *s, int input, tp_jacobian structure,
                        bool *seen)
{
    jacobian j;
    bool is = true;
    *seen = jacobian_make(&j, op, s, input);
    if (*seen && (structure == TP_JACOBIAN_SELECTION || structure == TP_JACOBIAN_SUM))
        is = is_selection(&j, structure == TP_JACOBIAN_SUM);
    else if (*seen && structure == TP_JACOBIAN_WINDOWS)
        is = is_windows(&j, false) || is_windows(&j, true);
    else if (*seen)
        is = structure == TP_JACOBIAN_KRONECKER ? is_kronecker(&j) : has_zeros(&j, structure);
    free(j.at);
    return is;
}

bool form_entries(const tp_op *op, const tp_sample *s, int input, int64_t *entries,
                  tp_blocks *bound)
{
    jacobian j;
    bool seen = jacobian_make(&j, op, s, input);
    *entries = 0;
    *bound = j.blocks;
    for (int64_t i = 0; seen && i < j.rows * j.columns; i++)
        *entries += j.at[i] != 0;
    free(j.at);
    return seen;
}
