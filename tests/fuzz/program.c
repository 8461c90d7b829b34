/* program.c: what generating, running, shrinking and printing share: attributes by name, sources in memory.
 * See fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

#include "tests/support/compositions.h"

const char *fuzz_kind_text(fuzz_kind kind)
{
#define FUZZ_KIND(id, text) text,
    static const char *const texts[] = {FUZZ_KINDS(FUZZ_KIND)};
#undef FUZZ_KIND
    return texts[kind];
}

int fuzz_size(const fuzz_program *p)
{
    int ops = 0;
    for (int i = 0; i < p->count; i++)
        ops += p->step[i].op != NULL;
    return ops;
}

/* --- attributes --------------------------------------------------------------------------------- */

const tp_field *fuzz_field(const tp_op *op, const char *name)
{
    for (int i = 0; i < op->field_count; i++)
        if (strcmp(op->fields[i].name, name) == 0)
            return &op->fields[i];
    return NULL;
}

const tp_field *fuzz_field_of(const tp_op *op, tp_field_kind kind)
{
    for (int i = 0; i < op->field_count; i++)
        if (op->fields[i].kind == kind)
            return &op->fields[i];
    return NULL;
}

int64_t fuzz_whole(const tp_op *op, const void *attr, const char *name, int64_t fallback)
{
    const tp_field *f = fuzz_field(op, name);
    if (f == NULL)
        return fallback;
    const void *at = (const char *)attr + f->offset;
    switch (f->kind) {
    case TP_FIELD_BOOL:
        return *(const bool *)at;
    case TP_FIELD_INT:
        return *(const int *)at;
    case TP_FIELD_I64:
        return *(const int64_t *)at;
    case TP_FIELD_DTYPE:
        return (int64_t) * (const tp_dtype *)at;
    default:
        return fallback;
    }
}

int fuzz_op_index(const tp_op *op)
{
    int i = 0;
    while (i < tested_count() && tested(i) != op)
        i++;
    return i;
}

bool fuzz_is_composition(const tp_op *op)
{
    return op->shape == NULL;
}

bool fuzz_fixed_input(const tp_op *op, int i)
{
    if (op->arity == TP_ANY_ARITY)
        return false;
    bool fixed = op->sample_count > 0;
    for (int k = 0; k < op->sample_count; k++)
        fixed &= tp_sample_fixed(&op->samples[k].x[i]);
    return fixed;
}

/* --- sources ------------------------------------------------------------------------------------ */

/* Strides and offset of the view, and the length of the memory behind it. */
static int64_t lay_out(const fuzz_step *s, tp_tensor *view)
{
    int64_t step = 1, low = 0, high = 0;
    for (int i = 0; i < s->shape.ndim; i++) {
        int axis = s->order[i], by = s->by[axis];
        int64_t size = s->shape.dim[axis], width = by < 0 ? -by : by;
        view->stride[axis] = step * by;
        int64_t reach = size > 1 ? (size - 1) * view->stride[axis] : 0;
        *(reach < 0 ? &low : &high) += reach;
        if (by != 0 && size > 0)
            step *= size * width;
    }
    view->offset = s->lead - low;
    return view->offset + high + 1;
}

int64_t fuzz_place(const tp_tensor *view, int64_t flat)
{
    int64_t index[TP_MAX_DIMS], at = view->offset;
    ref_unflatten(view->shape, flat, index);
    for (int i = 0; i < view->shape.ndim; i++)
        at += index[i] * view->stride[i];
    return at;
}

static double special_number(uint64_t pick, bool f32)
{
    const double numbers[] = {0,         -0.0,  1,
                              -1,        0.5,   2,
                              -3,        10,    INFINITY,
                              -INFINITY, NAN,   f32 ? 0x1p-149 : 0x1p-1074,
                              1e30,      -1e30, f32 ? 3e38 : 1.5e308,
                              88.5,      -104,  710,
                              1e-8,      -1e-20};
    return numbers[pick % (sizeof numbers / sizeof *numbers)];
}

static double draw(const fuzz_step *s, int64_t i)
{
    double u = fuzz_uniform(s->seed, (uint64_t)i);
    if (s->special && fuzz_uniform(s->seed + 1, (uint64_t)i) < 0.3)
        return special_number((uint64_t)(u * 1e9), s->dtype == TP_F32);
    if (s->lo == s->hi)
        return s->lo;
    if (s->fill == TP_FILL_MASK)
        return u < 0.5;
    if (s->fill == TP_FILL_INDEX)
        return floor(s->lo + u * (s->hi - s->lo));
    return s->lo + u * (s->hi - s->lo);
}

/* C·Cᵀ/n + I in every square of the last two axes. */
static double positive_definite(const fuzz_step *s, int64_t i)
{
    int64_t n = s->shape.dim[s->shape.ndim - 1], row = i / n % n, column = i % n;
    double sum = row == column;
    for (int64_t k = 0; k < n; k++)
        sum += draw(s, i - i % (n * n) + row * n + k) * draw(s, i - i % (n * n) + column * n + k) /
               (double)n;
    return sum;
}

static tp_status fill(const fuzz_step *s, tp_tensor *view)
{
    int d = s->shape.ndim;
    bool spd = s->fill == TP_FILL_SPD && s->lo != s->hi && d >= 2 &&
               s->shape.dim[d - 1] == s->shape.dim[d - 2];
    bool whole = s->dtype == TP_I64 || s->dtype == TP_U8;
    for (int64_t i = 0; i < tp_numel(view); i++) {
        double value = spd ? positive_definite(s, i) : draw(s, i);
        if (whole) /* what an integer cannot hold becomes 1 */
            value = fabs(value) < 1e15 ? floor(s->dtype == TP_U8 ? fabs(value) : value) : 1;
        TP_TRY(tp_set_flat(view, i, s->dtype == TP_U8 && value > 255 ? 255 : value));
    }
    return TP_OK;
}

tp_status fuzz_source_make(const fuzz_step *s, const char *name, fuzz_source *out)
{
    tp_tensor view = {.shape = s->shape, .dtype = s->dtype};
    *out = (fuzz_source){0};
    if (s->entry == FUZZ_PARAMETER) {
        TP_TRY(tp_parameter_init(&out->p, name, s->dtype, s->shape));
        TP_TRY(fill(s, &out->p.value));
        out->view = out->p.value;
        return tp_clone(&out->copy, &out->p.value);
    }
    TP_TRY(tp_tensor_new(&out->memory, s->dtype, TP_SHAPE(lay_out(s, &view))));
    TP_TRY(tp_fill(&out->memory, tp_dtype_is_float(s->dtype) ? 99 : 1));
    view.storage = out->memory.storage;
    out->view = view;
    TP_TRY(fill(s, &out->view));
    return tp_clone(&out->copy, &out->memory);
}

void fuzz_source_free(fuzz_source *s)
{
    tp_tensor_free(&s->memory);
    tp_tensor_free(&s->copy);
    tp_parameter_free(&s->p);
    *s = (fuzz_source){0};
}

uint64_t fuzz_hash(const tp_tensor *x)
{
    uint64_t h = 14695981039346656037u + (uint64_t)x->dtype;
    for (int i = 0; i < x->shape.ndim; i++)
        h = (h ^ (uint64_t)x->shape.dim[i]) * 1099511628211u;
    int64_t n = tp_numel(x);
    for (int64_t i = 0; i < n && n <= FUZZ_LIMIT; i++) {
        double value = tp_flat(x, i);
        uint64_t bits;
        if (isnan(value)) /* which NaN does not matter */
            value = (double)NAN;
        memcpy(&bits, &value, sizeof bits);
        h = (h ^ bits ^ bits >> 29) * 1099511628211u;
    }
    return h;
}
