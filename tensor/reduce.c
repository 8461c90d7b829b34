/* reduce.c: the driver of reductions.
 *
 * The axes of x fall into two iterators: one over the outputs, one over what each of them sums. If the
 * densest axis of x is reduced, an output is one or more rows; if it is kept, blocks of neighbouring
 * outputs grow together, row by row (columns). A long reduction to few outputs is cut into pieces
 * whose partial results combine in order. All of this depends on shapes and strides only.
 * Read next: kernels/reduce.inc.
 */
#include "tensor/reduce.h"

#include <math.h>
#include <stdlib.h>

#include "tensor/iter.h"
#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

enum {
    BLOCK = 256,         /* columns, or gathered elements, at a time */
    CHUNK = 32768,       /* elements of x that are worth a chunk of parallel work */
    MIN_COLUMNS = 16,    /* fewer are reduced one by one */
    MAX_PIECES = 64,     /* of one reduction */
    MAX_PARTIALS = 8192, /* on the stack: 64 KB */
    ENOUGH_CHUNKS = 16   /* to keep the threads busy */
};

typedef struct reduction {
    tp_reduction how;
    tp_iter outputs; /* operand 0: y, operand 1: the first element of x that belongs to it */
    tp_iter inputs;  /* the reduced axes, from an address that each output sets */
    tp_row_fn row;
    tp_column_fn column;
    int64_t size;    /* of an element */
    bool columns;    /* which of the two cases */
    int64_t each;    /* outputs per chunk, or elements per piece */
    double *partial; /* [pieces][outputs] of a split reduction */
} reduction;

/* What one thread works on: a range of the inputs, for a range of the outputs. */
typedef struct reduce_part {
    const reduction *job;
    int64_t first, last;
    double *out; /* where results go; NULL: to y */
    double acc[BLOCK];
    int64_t width; /* accumulators in use */
} reduce_part;

static double start_value(tp_reduction how)
{
    return how == TP_SUM ? 0.0 : how == TP_MAX ? -INFINITY : INFINITY;
}

static double combine(tp_reduction how, double a, double b)
{
    if (how == TP_SUM)
        return a + b;
    bool take = isnan(b) || (how == TP_MAX ? b > a : b < a);
    return take ? b : a;
}

static void store(void *to, double value, int64_t size)
{
    if (size == 4)
        *(float *)to = (float)value;
    else
        *(double *)to = value;
}

/* --- the two cases ----------------------------------------------------------------------------- */

static void row_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    reduce_part *part = arg;
    const reduction *job = part->job;
    if (stride[0] == job->size || count == 1) {
        part->acc[0] = combine(job->how, part->acc[0], job->row(count, ptr[0]));
        return;
    }
    _Alignas(TP_ALIGN) double buffer[BLOCK];
    for (int64_t first = 0; first < count; first += BLOCK) {
        int64_t n = count - first < BLOCK ? count - first : BLOCK;
        tp_gather_run(n, buffer, ptr[0] + first * stride[0], stride[0], job->size);
        part->acc[0] = combine(job->how, part->acc[0], job->row(n, buffer));
    }
}

/* Each element of this run is the start of one more row of the columns. */
static void column_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    reduce_part *part = arg;
    const reduction *job = part->job;
    int64_t step = job->outputs.stride[1][job->outputs.ndim - 1];
    _Alignas(TP_ALIGN) double buffer[BLOCK];
    for (int64_t i = 0; i < count; i++) {
        const char *x = ptr[0] + i * stride[0];
        if (step != job->size)
            tp_gather_run(part->width, buffer, x, step, job->size);
        job->column(part->width, part->acc, step != job->size ? (const void *)buffer : x);
    }
}

static void put_output(reduce_part *part, char *to, double value)
{
    if (part->out != NULL)
        *part->out++ = value;
    else
        store(to, value, part->job->size);
}

/* A run of outputs whose inputs lie in one piece, the usual case: short rows would feel the walk. */
static void plain_rows(int64_t count, char *const *ptr, const int64_t *stride, reduce_part *part)
{
    const reduction *job = part->job;
    int64_t n = part->last - part->first;
    for (int64_t i = 0; i < count; i++) {
        const char *x = ptr[1] + i * stride[1] + part->first * job->size;
        put_output(part, ptr[0] + i * stride[0], job->row(n, x));
    }
}

/* A run of outputs: one at a time, or a block of columns at a time. */
static void output_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    reduce_part *part = arg;
    const reduction *job = part->job;
    if (!job->columns && job->inputs.ndim == 1 && job->inputs.stride[0][0] == job->size) {
        plain_rows(count, ptr, stride, part);
        return;
    }
    tp_iter inputs = job->inputs;
    int64_t block = job->columns ? BLOCK : 1;
    for (int64_t first = 0; first < count; first += part->width) {
        part->width = count - first < block ? count - first : block;
        for (int64_t i = 0; i < part->width; i++)
            part->acc[i] = start_value(job->how);
        inputs.base[0] = ptr[1] + first * stride[1];
        tp_iter_range(&inputs, part->first, part->last, job->columns ? column_run : row_run, part);
        for (int64_t i = 0; i < part->width; i++)
            put_output(part, ptr[0] + (first + i) * stride[0], part->acc[i]);
    }
}

/* --- parallel work ----------------------------------------------------------------------------- */

static void output_chunk(int64_t chunk, void *arg)
{
    const reduction *job = arg;
    reduce_part part = {.job = job, .last = job->inputs.numel};
    int64_t first = chunk * job->each, last = first + job->each;
    tp_iter_range(&job->outputs, first, last < job->outputs.numel ? last : job->outputs.numel,
                  output_run, &part);
}

static void piece_chunk(int64_t piece, void *arg)
{
    const reduction *job = arg;
    reduce_part part = {.job = job,
                        .first = piece * job->each,
                        .last = (piece + 1) * job->each,
                        .out = job->partial + piece * job->outputs.numel};
    if (part.last > job->inputs.numel)
        part.last = job->inputs.numel;
    tp_iter_range(&job->outputs, 0, job->outputs.numel, output_run, &part);
}

struct gathered {
    const reduction *job;
    const double *partial;
    int64_t pieces;
};

static void combine_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    struct gathered *g = arg;
    for (int64_t i = 0; i < count; i++, g->partial++) {
        double acc = g->partial[0];
        for (int64_t piece = 1; piece < g->pieces; piece++)
            acc = combine(g->job->how, acc, g->partial[piece * g->job->outputs.numel]);
        store(ptr[0] + i * stride[0], acc, g->job->size);
    }
}

static int64_t min3(int64_t a, int64_t b, int64_t c)
{
    int64_t least = a < b ? a : b;
    return least < c ? least : c;
}

static void run_split(reduction *job, int64_t pieces)
{
    double partial[MAX_PARTIALS];
    job->partial = partial;
    job->each = (job->inputs.numel + pieces - 1) / pieces;
    pieces = (job->inputs.numel + job->each - 1) / job->each;
    tp_parallel(pieces, piece_chunk, job);
    struct gathered g = {job, partial, pieces};
    tp_iter_range(&job->outputs, 0, job->outputs.numel, combine_run, &g);
}

/* Whole outputs make the chunks where there are enough of them; else the inputs are cut as well. */
static void run(reduction *job)
{
    int64_t outputs = job->outputs.numel, inputs = job->inputs.numel;
    int64_t least = job->columns ? 64 : 1;
    job->each = inputs > 0 ? CHUNK / inputs : CHUNK;
    if (job->each < least)
        job->each = least;
    int64_t chunks = (outputs + job->each - 1) / job->each;
    int64_t pieces = min3(MAX_PIECES, MAX_PARTIALS / outputs, outputs * inputs / CHUNK);
    if (chunks < ENOUGH_CHUNKS && chunks < pieces)
        run_split(job, pieces);
    else
        tp_parallel(chunks, output_chunk, job);
}

/* --- preparation ------------------------------------------------------------------------------- */

/* How far apart the elements of an axis lie; an axis that repeats one element counts as far. */
static int64_t distance(int64_t stride)
{
    return stride == 0 ? INT64_MAX : llabs((long long)stride);
}

/* Inserts axis i of x (and axis j of y) so that distances in x decrease: the densest axis comes last. */
static void add_axis(tp_tensor *xs, tp_tensor *ys, const tp_tensor *x, int i, const tp_tensor *y,
                     int j)
{
    int at = xs->shape.ndim++;
    while (at > 0 && distance(xs->stride[at - 1]) < distance(x->stride[i])) {
        xs->shape.dim[at] = xs->shape.dim[at - 1];
        xs->stride[at] = xs->stride[at - 1];
        if (ys != NULL) {
            ys->shape.dim[at] = ys->shape.dim[at - 1];
            ys->stride[at] = ys->stride[at - 1];
        }
        at--;
    }
    xs->shape.dim[at] = x->shape.dim[i];
    xs->stride[at] = x->stride[i];
    if (ys != NULL) {
        ys->shape.ndim++;
        ys->shape.dim[at] = y->shape.dim[j];
        ys->stride[at] = y->stride[j];
    }
}

/* Splits x into the iterators over outputs and inputs; y has either form of the reduced shape. */
static tp_status split_axes(const tp_tensor *y, const tp_tensor *x, const bool *mask,
                            tp_iter *outputs, tp_iter *inputs)
{
    bool keepdim = tp_shape_equal(y->shape, tp_shape_reduced(x->shape, mask, true));
    if (!keepdim && !tp_shape_equal(y->shape, tp_shape_reduced(x->shape, mask, false))) {
        char a[TP_TENSOR_TEXT], b[TP_TENSOR_TEXT];
        return tp_fail(TP_ESHAPE, "reduce: the result %s does not fit the input %s",
                       tp_tensor_text(y, a), tp_tensor_text(x, b));
    }
    tp_tensor kept_y = *y, kept_x = *x, reduced = *x;
    kept_y.shape.ndim = kept_x.shape.ndim = reduced.shape.ndim = 0;
    for (int i = 0, j = 0; i < x->shape.ndim; i++) {
        if (!mask[i])
            add_axis(&kept_x, &kept_y, x, i, y, j);
        else if (x->shape.dim[i] != 1)
            add_axis(&reduced, NULL, x, i, NULL, 0);
        j += !mask[i] || keepdim;
    }
    const tp_tensor *pair[2] = {&kept_y, &kept_x}, *one[1] = {&reduced};
    TP_TRY(tp_iter_init(outputs, 2, pair));
    return tp_iter_init(inputs, 1, one);
}

static bool by_columns(const reduction *job)
{
    int o = job->outputs.ndim - 1, i = job->inputs.ndim - 1;
    int64_t step = job->outputs.stride[1][o];
    return job->outputs.dim[o] >= MIN_COLUMNS && step != 0 &&
           distance(step) < distance(job->inputs.stride[0][i]);
}

tp_status tp_reduce(tp_reduction how, tp_tensor *y, const tp_tensor *x,
                    const bool mask[TP_MAX_DIMS])
{
    char a[TP_TENSOR_TEXT], b[TP_TENSOR_TEXT];
    if ((int)how < TP_SUM || how > TP_MIN)
        return tp_fail(TP_EARG, "there is no reduction number %d", (int)how);
    if (!tp_dtype_is_float(x->dtype) || y->dtype != x->dtype)
        return tp_fail(TP_EDTYPE, "reduce: input %s and result %s must be of one float type",
                       tp_tensor_text(x, a), tp_tensor_text(y, b));
    if (tp_may_overlap(y))
        return tp_fail(TP_EARG, "reduce: the elements of the result %s share memory",
                       tp_tensor_text(y, a));
    const tp_kernels *k = tp_kernels_get();
    reduction job = {.how = how,
                     .row = k->row[how][x->dtype],
                     .column = k->column[how][x->dtype],
                     .size = tp_dtype_size(x->dtype)};
    TP_TRY(split_axes(y, x, mask, &job.outputs, &job.inputs));
    if (job.outputs.numel == 0)
        return TP_OK;
    tp_data_mut(y);
    job.columns = by_columns(&job);
    run(&job);
    return TP_OK;
}

/* --- positions of extrema ---------------------------------------------------------------------- */

typedef struct arg_search {
    tp_iter outputs;
    tp_reduction how;
    tp_dtype dtype;
    int64_t n, step; /* of the searched axis; step in bytes */
    int64_t each;
} arg_search;

static void arg_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    const arg_search *s = arg;
    for (int64_t i = 0; i < count; i++) {
        const char *x = ptr[1] + i * stride[1];
        double best = NAN;
        int64_t at = 0;
        for (int64_t j = 0; j < s->n; j++, x += s->step) {
            double v = s->dtype == TP_F32 ? *(const float *)x : *(const double *)x;
            bool better = s->how == TP_MAX ? v > best : v < best;
            if (j == 0 || better || isnan(v)) {
                best = v;
                at = j;
            }
            if (isnan(v)) /* the first one wins */
                break;
        }
        *(int64_t *)(ptr[0] + i * stride[0]) = at;
    }
}

static void arg_chunk(int64_t chunk, void *arg)
{
    arg_search *s = arg;
    int64_t first = chunk * s->each, last = first + s->each;
    tp_iter_range(&s->outputs, first, last < s->outputs.numel ? last : s->outputs.numel, arg_run,
                  s);
}

tp_status tp_arg_reduce(tp_reduction how, tp_tensor *y, const tp_tensor *x, int axis)
{
    char a[TP_TENSOR_TEXT], b[TP_TENSOR_TEXT];
    if (how != TP_MAX && how != TP_MIN)
        return tp_fail(TP_EARG, "arg reduce: only the maximum and the minimum have a position");
    if (!tp_dtype_is_float(x->dtype) || y->dtype != TP_I64)
        return tp_fail(TP_EDTYPE, "arg reduce: input %s must be of a float type, result %s i64",
                       tp_tensor_text(x, a), tp_tensor_text(y, b));
    if (tp_may_overlap(y))
        return tp_fail(TP_EARG, "arg reduce: the elements of the result %s share memory",
                       tp_tensor_text(y, a));
    TP_TRY(tp_axis_normal(x->shape.ndim, axis, &axis));
    bool mask[TP_MAX_DIMS] = {false};
    mask[axis] = true;
    arg_search s = {.how = how,
                    .dtype = x->dtype,
                    .n = x->shape.dim[axis],
                    .step = x->stride[axis] * tp_dtype_size(x->dtype)};
    tp_iter inputs;
    TP_TRY(split_axes(y, x, mask, &s.outputs, &inputs));
    if (s.n == 0)
        return tp_fail(TP_ESHAPE, "arg reduce: axis %d of %s has no elements", axis,
                       tp_tensor_text(x, a));
    if (s.outputs.numel == 0)
        return TP_OK;
    tp_data_mut(y);
    s.each = CHUNK / s.n + 1;
    tp_parallel((s.outputs.numel + s.each - 1) / s.each, arg_chunk, &s);
    return TP_OK;
}
