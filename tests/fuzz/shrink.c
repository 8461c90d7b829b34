/* shrink.c: a failing program made small. Steps are dropped, results become sources, sizes, layouts, numbers and
 * attributes become plain, as long as the program fails in the same way; until nothing can be taken away. Each
 * trial runs in a child of its own. See fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TRIES = 4000 };

typedef struct shrinker {
    fuzz_shared *shared, *best; /* best: the smallest that fails, and how */
    fuzz_program trial;
    int tries;
} shrinker;

/* Runs the trial; it becomes the best if it fails as that does. */
static bool try_it(shrinker *s)
{
    const fuzz_failure *was = &s->best->failure, *is = &s->shared->failure;
    if (memcmp(&s->trial, &s->best->program, sizeof s->trial) == 0 || s->tries >= MOST_TRIES)
        return false;
    s->tries++;
    s->shared->program = s->trial;
    fuzz_run_child(s->shared, true);
    if (is->kind != was->kind || (is->op != was->op && is->kind != FUZZ_CRASH))
        return false;
    *s->best = *s->shared;
    return true;
}

static void begin(shrinker *s)
{
    s->trial = s->best->program;
}

/* --- steps -------------------------------------------------------------------------------------- */

/* Drops step k and what needs it. */
static void drop(fuzz_program *p, int k)
{
    int to[FUZZ_STEPS], kept = 0;
    for (int i = 0; i < p->count; i++) {
        bool gone = i == k;
        for (int j = 0; j < p->step[i].n; j++)
            gone |= to[p->step[i].x[j]] < 0;
        to[i] = gone ? -1 : kept;
        if (gone)
            continue;
        fuzz_step s = p->step[i];
        for (int j = 0; j < s.n; j++)
            s.x[j] = to[s.x[j]];
        p->step[kept++] = s;
    }
    for (int i = kept; i < p->count; i++)
        memset(&p->step[i], 0, sizeof p->step[i]);
    p->count = kept;
}

static void plain_layout(fuzz_step *s)
{
    for (int i = 0; i < TP_MAX_DIMS; i++)
        s->order[i] = s->shape.ndim - 1 - i, s->by[i] = 1;
    s->lead = 0;
}

/* The result of an operation as a leaf of that shape. */
static void cut(fuzz_step *step, tp_shape shape, tp_dtype dtype)
{
    fuzz_step s;
    memset(&s, 0, sizeof s);
    s.entry = tp_dtype_is_float(dtype) ? FUZZ_LEAF : FUZZ_CONSTANT;
    s.dtype = dtype;
    s.shape = shape;
    s.lo = -2, s.hi = 2;
    plain_layout(&s);
    *step = s;
}

static bool shrink_steps(shrinker *s)
{
    bool better = false;
    for (int k = s->best->program.count - 1; k >= 0; k--) {
        if (k >= s->best->program.count)
            continue;
        begin(s);
        drop(&s->trial, k);
        better |= try_it(s);
    }
    for (int k = s->best->program.count - 1; k >= 0; k--) {
        if (k >= s->best->program.count || s->best->program.step[k].op == NULL || !s->best->live[k])
            continue;
        begin(s);
        cut(&s->trial.step[k], s->best->shape[k], s->best->dtype[k]);
        better |= try_it(s);
    }
    return better;
}

/* --- sizes -------------------------------------------------------------------------------------- */

static void rename_in(tp_shape *shape, int64_t from, int64_t to)
{
    for (int i = 0; i < shape->ndim && i < TP_MAX_DIMS; i++)
        if (shape->dim[i] == from)
            shape->dim[i] = to;
}

/* One size to another, in all sources and attributes. */
static void rename_size(fuzz_program *p, int64_t from, int64_t to)
{
    for (int k = 0; k < p->count; k++) {
        fuzz_step *s = &p->step[k];
        if (s->op == NULL)
            rename_in(&s->shape, from, to);
        for (int i = 0; s->op != NULL && i < s->op->field_count; i++) {
            const tp_field *f = &s->op->fields[i];
            int64_t *size = fuzz_at(f, s->attr.bytes);
            if (f->kind == TP_FIELD_SHAPE)
                rename_in(fuzz_at(f, s->attr.bytes), from, to);
            else if (f->kind == TP_FIELD_I64 && strcmp(f->name, "size") == 0 && *size == from)
                *size = to;
        }
    }
}

static bool shrink_sizes(shrinker *s)
{
    bool better = false;
    for (int k = 0; k < s->best->program.count; k++)
        for (int i = 0; i < s->best->program.step[k].shape.ndim; i++) {
            int64_t size = s->best->program.step[k].shape.dim[i];
            const int64_t to[] = {1, 2, size / 2, size - 1};
            bool done = s->best->program.step[k].op != NULL;
            for (int j = 0; j < 4 && !done; j++) {
                begin(s);
                if (to[j] < 1 || to[j] >= size)
                    continue;
                rename_size(&s->trial, size, to[j]);
                done = try_it(s);
                better |= done;
            }
        }
    return better;
}

/* One source with an axis less. */
static bool shrink_axes(shrinker *s)
{
    bool better = false;
    for (int k = 0; k < s->best->program.count; k++)
        for (int i = s->best->program.step[k].shape.ndim - 1; i >= 0; i--) {
            begin(s);
            fuzz_step *step = &s->trial.step[k];
            if (step->op != NULL || i >= step->shape.ndim)
                continue;
            for (int j = i; j + 1 < step->shape.ndim; j++)
                step->shape.dim[j] = step->shape.dim[j + 1];
            step->shape.dim[--step->shape.ndim] = 0;
            plain_layout(step);
            better |= try_it(s);
        }
    return better;
}

/* --- sources and attributes --------------------------------------------------------------------- */

static bool shrink_source(shrinker *s, int k)
{
    bool better = false;
    for (int what = 0; what < 6; what++) {
        begin(s);
        fuzz_step *step = &s->trial.step[k];
        if (what == 0)
            plain_layout(step);
        else if (what == 1)
            step->entry = FUZZ_CONSTANT;
        else if (what == 2 && step->entry == FUZZ_PARAMETER)
            step->entry = FUZZ_LEAF;
        else if (what == 3)
            step->special = false;
        else if (what == 4 && step->fill != TP_FILL_INDEX && step->lo != step->hi)
            step->fill = TP_FILL_REAL, step->lo = -2, step->hi = 2, step->special = false;
        else if (what == 5 && step->fill != TP_FILL_INDEX)
            step->lo = step->hi = 1, step->special = false;
        better |= try_it(s);
    }
    return better;
}

/* A field as plain as it gets: the n-th of the plain values of its kind; false beyond the last. */
static bool plain_field(const tp_field *f, void *at, int n)
{
    const int64_t numbers[] = {0, 1, 2};
    switch (f->kind) {
    case TP_FIELD_BOOL:
        *(bool *)at = false;
        return n < 1;
    case TP_FIELD_INT:
        *(int *)at = (int)numbers[n % 3];
        return n < 2;
    case TP_FIELD_I64:
        *(int64_t *)at = numbers[n % 3];
        return n < 3;
    case TP_FIELD_DOUBLE:
        *(double *)at = (double)numbers[n % 3];
        return n < 3;
    case TP_FIELD_AXES:
        *(tp_axes *)at = (tp_axes){n, {0}};
        return n < 2;
    case TP_FIELD_KEY:
        memset(at, 0, sizeof(tp_rng_key));
        return n < 1;
    default:
        return false;
    }
}

static bool shrink_attributes(shrinker *s, int k)
{
    bool better = false;
    const tp_op *op = s->best->program.step[k].op;
    for (int i = 0; i < op->field_count; i++)
        for (int n = 0;; n++) {
            begin(s);
            void *attr = s->trial.step[k].attr.bytes;
            if (!plain_field(&op->fields[i], fuzz_at(&op->fields[i], attr), n) ||
                memcmp(attr, s->best->program.step[k].attr.bytes, op->attr_size) == 0)
                break; /* no plainer one */
            if (try_it(s)) {
                better = true;
                break;
            }
        }
    return better;
}

static bool shrink_flags(shrinker *s)
{
    bool better = false;
    for (int what = 0; what < 3; what++) {
        begin(s);
        if (what == 0)
            s->trial.threads = false;
        else if (what == 1)
            s->trial.second_order = false;
        else
            s->trial.level = 0;
        better |= try_it(s);
    }
    return better;
}

int fuzz_shrink(fuzz_shared *shared)
{
    shrinker s = {.shared = shared, .best = malloc(sizeof *s.best)};
    if (s.best == NULL)
        return 0;
    bool better = true;
    *s.best = *shared;
    for (int round = 0; better && round < 10; round++) {
        better = shrink_steps(&s);
        better |= shrink_sizes(&s);
        better |= shrink_axes(&s);
        for (int k = 0; k < s.best->program.count; k++)
            better |= s.best->program.step[k].op == NULL ? shrink_source(&s, k)
                                                         : shrink_attributes(&s, k);
        better |= shrink_flags(&s);
    }
    *shared = *s.best;
    free(s.best);
    return s.tries;
}
