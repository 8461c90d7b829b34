/* generate.c: makes up programs. An operation comes with one of its samples as a template: sizes are renamed, so
 * that what fits together still does, inputs are earlier results where one fits, attributes are drawn anew from
 * their field table. Some are wrong on purpose. See fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

#include "tests/support/compositions.h"

/* --- numbers (splitmix64) ----------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

fuzz_rng fuzz_rng_of(uint64_t seed)
{
    return (fuzz_rng){.state = mix(seed + 1)};
}

/* The next n bytes as a number. */
static uint64_t take(fuzz_rng *r, size_t n)
{
    uint64_t v = 0;
    for (; n > 0 && r->left > 0; n--, r->left--)
        v = v << 8 | *r->bytes++;
    return v;
}

uint64_t fuzz_next(fuzz_rng *r)
{
    return r->left > 0 ? take(r, 8) : mix(r->state += 0x9e3779b97f4a7c15u);
}

int64_t fuzz_below(fuzz_rng *r, int64_t n)
{
    if (n < 1)
        return 0;
    uint64_t v = r->left > 0 ? take(r, n <= 256 ? 1 : 8) : fuzz_next(r);
    return (int64_t)(v % (uint64_t)n);
}

bool fuzz_chance(fuzz_rng *r, int percent)
{
    return fuzz_below(r, 100) < percent;
}

double fuzz_uniform(uint64_t seed, uint64_t i)
{
    return ((double)(mix(mix(seed) + (i + 1) * 0x9e3779b97f4a7c15u) >> 12) + 0.5) * 0x1p-52;
}

#define PICK(r, ...)                                                                               \
    ((const double[]){__VA_ARGS__})[fuzz_below(                                                    \
        (r), (int64_t)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)))]

/* --- sizes -------------------------------------------------------------------------------------- */

/* What the sizes of a template become. */
typedef struct renaming {
    int n;
    int64_t from[16], to[16];
    bool big, same; /* one is to be large; all stay as they are */
} renaming;

static int64_t draw_size(fuzz_generator *g)
{
    return (int64_t)PICK(&g->rng, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7);
}

static int64_t rename_size(fuzz_generator *g, renaming *r, int64_t size)
{
    for (int i = 0; i < r->n; i++)
        if (r->from[i] == size)
            return r->to[i];
    int64_t to = draw_size(g);
    if (r->same || (size <= 1 && !fuzz_chance(&g->rng, 8))) /* these have a meaning of their own */
        to = size;
    else if (r->big && size > 1)
        to = (int64_t)PICK(&g->rng, 1000, 4097, 20011), r->big = false;
    if (r->n < 16)
        r->from[r->n] = size, r->to[r->n++] = to;
    return to;
}

/* Makes the template's shape into the shape of a var, if the renaming allows. */
static bool unify(renaming *r, tp_shape from, tp_shape to)
{
    renaming trial = *r;
    if (from.ndim != to.ndim)
        return false;
    for (int i = 0; i < from.ndim; i++) {
        int k = 0;
        while (k < trial.n && trial.from[k] != from.dim[i])
            k++;
        if (k < trial.n && trial.to[k] != to.dim[i])
            return false;
        if (k == trial.n && k < 16)
            trial.from[k] = from.dim[i], trial.to[trial.n++] = to.dim[i];
    }
    *r = trial;
    return true;
}

static tp_shape rename_shape(fuzz_generator *g, renaming *r, tp_shape s)
{
    for (int i = 0; i < s.ndim; i++)
        if (s.dim[i] >= 0)
            s.dim[i] = rename_size(g, r, s.dim[i]);
    return s;
}

static tp_shape draw_shape(fuzz_generator *g)
{
    tp_shape s = {(int)fuzz_below(&g->rng, 5), {0}};
    for (int i = 0; i < s.ndim; i++)
        s.dim[i] = draw_size(g);
    return s;
}

/* --- sources ------------------------------------------------------------------------------------ */

static void draw_layout(fuzz_generator *g, fuzz_step *s)
{
    bool plain = fuzz_chance(&g->rng, 40);
    for (int i = 0; i < TP_MAX_DIMS; i++) {
        s->order[i] = s->shape.ndim - 1 - i;
        s->by[i] = plain ? 1 : (int)PICK(&g->rng, 1, 1, 1, 1, 1, 2, -1, -1, 3, -2, 0);
    }
    for (int i = s->shape.ndim - 1; i > 0 && !plain && fuzz_chance(&g->rng, 60); i--) {
        int j = (int)fuzz_below(&g->rng, i + 1), axis = s->order[i];
        s->order[i] = s->order[j];
        s->order[j] = axis;
    }
    s->lead = plain ? 0 : (int)fuzz_below(&g->rng, 4);
}

static void draw_range(fuzz_generator *g, fuzz_step *s, const tp_sample_input *in)
{
    s->lo = in->lo, s->hi = in->hi;
    if (s->lo == 0 && s->hi == 0) {
        s->lo = in->fill == TP_FILL_POSITIVE ? 0.3 : in->fill == TP_FILL_UNIT ? 0 : -2;
        s->hi = in->fill == TP_FILL_POSITIVE ? 3 : in->fill == TP_FILL_UNIT ? 1 : 2;
    }
    if (in->fill != TP_FILL_REAL)
        return;
    if (fuzz_chance(&g->rng, 5))
        s->lo *= 100, s->hi *= 100;
    else if (fuzz_chance(&g->rng, 4))
        s->lo = s->hi = PICK(&g->rng, 0, 1, -1, 2, 0.5);
}

/* Appends a source; returns its step. */
static int add_source(fuzz_generator *g, tp_shape shape, const tp_sample_input *in)
{
    enum { MOST = 60000 };
    int64_t numel = 1;
    for (int i = 0; i < shape.ndim; i++) { /* what would be too large becomes narrow */
        if (shape.dim[i] > MOST / numel)
            shape.dim[i] = 1;
        numel *= shape.dim[i] > 0 ? shape.dim[i] : 1;
    }
    fuzz_step *s = &g->p->step[g->p->count];
    *s = (fuzz_step){.dtype = g->dtype, .shape = shape, .fill = in->fill};
    s->seed = fuzz_next(&g->rng);
    draw_range(g, s, in);
    s->special = in->fill == TP_FILL_REAL && fuzz_chance(&g->rng, 5);
    if (fuzz_chance(&g->rng, 3))
        s->dtype = (tp_dtype)fuzz_below(&g->rng, TP_DTYPE_COUNT);
    if (in->fill == TP_FILL_INDEX && !fuzz_chance(&g->rng, 3))
        s->dtype = TP_I64;
    if (tp_dtype_is_float(s->dtype) && in->fill != TP_FILL_MASK && !fuzz_chance(&g->rng, 30))
        s->entry = fuzz_chance(&g->rng, 35) ? FUZZ_PARAMETER : FUZZ_LEAF;
    draw_layout(g, s);
    return g->p->count++;
}

/* A live var of that shape and type, the newer the likelier; -1 if there is none. */
static int find_var(fuzz_generator *g, const fuzz_machine *m, tp_shape shape, bool index)
{
    int found = -1;
    for (int k = 0; k < g->p->count; k++) {
        bool known = m->live[k] && tp_shape_equal(tp_shape_of(m->v[k]), shape) &&
                     tp_dtype_of(m->v[k]) == (index ? TP_I64 : g->dtype);
        if (known && (found < 0 || fuzz_chance(&g->rng, 60)))
            found = k;
    }
    return found;
}

int fuzz_input(fuzz_generator *g, const fuzz_machine *m, tp_shape shape)
{
    int known = fuzz_chance(&g->rng, 75) ? find_var(g, m, shape, false) : -1;
    return known >= 0 ? known : add_source(g, shape, &(tp_sample_input){.shape = shape});
}

static int any_var(fuzz_generator *g, const fuzz_machine *m)
{
    for (int tries = 0; tries < 8 && g->p->count > 0; tries++) {
        int64_t a = fuzz_below(&g->rng, g->p->count), b = fuzz_below(&g->rng, g->p->count);
        int k = (int)(a > b ? a : b);
        if (m->live[k])
            return k;
    }
    return -1;
}

/* --- attributes --------------------------------------------------------------------------------- */

static int64_t draw_huge(fuzz_generator *g)
{
    const int64_t huge[] = {
        -1,        -2,        (int64_t)1 << 31, (int64_t)1 << 40, (int64_t)1 << 61,
        INT64_MAX, INT64_MIN, INT64_MIN + 1};
    return huge[fuzz_below(&g->rng, (int64_t)(sizeof huge / sizeof *huge))];
}

/* The elements of x in another shape: split in two, some axes of 1, one size open. */
static tp_shape regroup(fuzz_generator *g, tp_shape x)
{
    int64_t left = tp_shape_numel(x);
    tp_shape s = {0, {0}};
    while (s.ndim < 3 && fuzz_chance(&g->rng, 70)) {
        int64_t factor = draw_size(g);
        if (factor > 0 && left % factor == 0)
            s.dim[s.ndim++] = factor, left /= factor;
    }
    if (left != 1 || fuzz_chance(&g->rng, 30))
        s.dim[s.ndim++] = left;
    if (s.ndim > 0 && fuzz_chance(&g->rng, 25))
        s.dim[fuzz_below(&g->rng, s.ndim)] = -1;
    return s;
}

/* x repeated along axes of 1 and new ones in front. */
static tp_shape enlarge(fuzz_generator *g, tp_shape x)
{
    tp_shape s = {0, {0}};
    while (s.ndim + x.ndim < TP_MAX_DIMS && fuzz_chance(&g->rng, 35))
        s.dim[s.ndim++] = draw_size(g);
    for (int i = 0; i < x.ndim; i++)
        s.dim[s.ndim++] = x.dim[i] == 1 ? draw_size(g) : x.dim[i];
    return s;
}

static tp_shape draw_shape_field(fuzz_generator *g, const tp_shape *x)
{
    tp_shape s = draw_shape(g);
    if (x != NULL && fuzz_chance(&g->rng, 90))
        s = fuzz_chance(&g->rng, 50) ? regroup(g, *x) : enlarge(g, *x);
    if (fuzz_chance(&g->rng, 6))
        s.dim[s.ndim < TP_MAX_DIMS ? s.ndim++ : 0] = draw_huge(g);
    if (fuzz_chance(&g->rng, 2))
        s.ndim = (int)PICK(&g->rng, -1, 9, 100);
    return s;
}

static tp_axes draw_axes(fuzz_generator *g, const tp_field *f, int ndim)
{
    tp_axes a = {0, {0}};
    bool whole = strcmp(f->name, "perm") == 0;
    for (int i = 0; i < ndim; i++)
        if (whole || fuzz_chance(&g->rng, 50))
            a.axis[a.n++] = fuzz_chance(&g->rng, 30) ? i - ndim : i;
    for (int i = a.n - 1; i > 0; i--) {
        int j = (int)fuzz_below(&g->rng, i + 1), axis = a.axis[i];
        a.axis[i] = a.axis[j];
        a.axis[j] = axis;
    }
    if (fuzz_chance(&g->rng, 4))
        a.n = (int)PICK(&g->rng, 0, -1, 9, 1, 2);
    if (fuzz_chance(&g->rng, 4))
        a.axis[0] = (int)PICK(&g->rng, 8, -9, 1e9, 0, 1);
    return a;
}

static int64_t draw_i64(fuzz_generator *g, const tp_field *f, int64_t n)
{
    if (fuzz_chance(&g->rng, 4))
        return draw_huge(g);
    if (strcmp(f->name, "size") == 0)
        return n * (1 + fuzz_below(&g->rng, 3)) + fuzz_below(&g->rng, 3);
    if (strcmp(f->name, "step") == 0)
        return (int64_t)PICK(&g->rng, 1, 1, 1, 2, 3, -1, -2, 0);
    if (strcmp(f->name, "stop") == 0 && fuzz_chance(&g->rng, 40))
        return TP_SLICE_END;
    return fuzz_below(&g->rng, 2 * n + 3) - (fuzz_chance(&g->rng, 30) ? n + 1 : 0);
}

/* Draws one field anew; x: the shape of the first input, NULL without. */
static void draw_field(fuzz_generator *g, const tp_op *op, const tp_field *f, void *attr,
                       const tp_shape *x)
{
    int ndim = x == NULL ? 2 : x->ndim, axis;
    int64_t n = 3;
    if (x != NULL && tp_axis_normal(ndim, (int)fuzz_whole(op, attr, "axis", 0), &axis) == TP_OK)
        n = x->dim[axis];
    switch (f->kind) {
    case TP_FIELD_BOOL:
        *(bool *)fuzz_at(f, attr) = fuzz_chance(&g->rng, 50);
        break;
    case TP_FIELD_INT:
        *(int *)fuzz_at(f, attr) = (int)fuzz_below(&g->rng, 2 * ndim) - ndim;
        if (fuzz_chance(&g->rng, 5))
            *(int *)fuzz_at(f, attr) = (int)PICK(&g->rng, 9, -9, 2147483647.0, -2147483648.0);
        break;
    case TP_FIELD_I64:
        *(int64_t *)fuzz_at(f, attr) = draw_i64(g, f, n);
        break;
    case TP_FIELD_DOUBLE:
        *(double *)fuzz_at(f, attr) =
            fuzz_chance(&g->rng, 60)
                ? 4 * fuzz_uniform(fuzz_next(&g->rng), 0) - 2
                : PICK(&g->rng, 0, 1, -1, 0.5, 2, 10, -3, 1e6, 1e-9, INFINITY, -INFINITY, NAN);
        break;
    case TP_FIELD_AXES:
        *(tp_axes *)fuzz_at(f, attr) = draw_axes(g, f, ndim);
        break;
    case TP_FIELD_SHAPE:
        *(tp_shape *)fuzz_at(f, attr) = draw_shape_field(g, x);
        break;
    case TP_FIELD_DTYPE:
        *(tp_dtype *)fuzz_at(f, attr) =
            fuzz_chance(&g->rng, 90) ? g->dtype : (tp_dtype)fuzz_below(&g->rng, TP_DTYPE_COUNT);
        break;
    case TP_FIELD_KEY:
        *(tp_rng_key *)fuzz_at(f, attr) =
            (tp_rng_key){fuzz_next(&g->rng), fuzz_next(&g->rng) >> fuzz_below(&g->rng, 64),
                         (uint32_t)fuzz_next(&g->rng)};
        break;
    }
}

/* The sample's attributes with sizes renamed, some fields drawn anew. */
static void draw_attributes(fuzz_generator *g, fuzz_step *s, const void *from, renaming *r,
                            const tp_shape *x, int percent)
{
    if (s->op->attr_size == 0)
        return;
    memcpy(s->attr.bytes, from, s->op->attr_size);
    for (int i = 0; i < s->op->field_count; i++) {
        const tp_field *f = &s->op->fields[i];
        if (f->kind == TP_FIELD_SHAPE && r != NULL) {
            tp_shape *shape = fuzz_at(f, s->attr.bytes);
            *shape = rename_shape(g, r, *shape);
        }
        if (strcmp(f->name, "size") == 0 && r != NULL && f->kind == TP_FIELD_I64) {
            int64_t *size = fuzz_at(f, s->attr.bytes);
            *size = rename_size(g, r, *size);
        }
    }
    for (int i = 0; i < s->op->field_count; i++)
        if (fuzz_chance(&g->rng, percent))
            draw_field(g, s->op, &s->op->fields[i], s->attr.bytes, x);
}

/* --- operations --------------------------------------------------------------------------------- */

/* Indices point along the axis they are for. */
static tp_sample_input index_range(fuzz_generator *g, const fuzz_machine *m, const fuzz_step *s,
                                   int i, renaming *r, tp_sample_input in)
{
    int axis, wanted = (int)fuzz_whole(s->op, s->attr.bytes, "axis", 0);
    int64_t n = rename_size(g, r, (int64_t)in.hi);
    tp_shape x = {0, {0}};
    if (i > 0)
        x = m->live[s->x[0]] ? tp_shape_of(m->v[s->x[0]]) : g->p->step[s->x[0]].shape;
    if (fuzz_field(s->op, "axis") != NULL && tp_axis_normal(x.ndim, wanted, &axis) == TP_OK)
        n = fuzz_whole(s->op, s->attr.bytes, "size", x.dim[axis]);
    in.lo = fuzz_chance(&g->rng, 3) ? -1 : 0;
    in.hi = (double)(n > 0 && n < FUZZ_LIMIT ? n : 1) + fuzz_chance(&g->rng, 3);
    return in;
}

static int choose_input(fuzz_generator *g, const fuzz_machine *m, const fuzz_step *s, int i,
                        const tp_sample_input *template, renaming *r)
{
    tp_sample_input in = *template;
    tp_shape shape = rename_shape(g, r, in.shape);
    bool index = in.fill == TP_FILL_INDEX;
    if (index)
        in = index_range(g, m, s, i, r, in);
    int known =
        fuzz_chance(&g->rng, in.fill == TP_FILL_REAL ? 75 : 25) ? find_var(g, m, shape, index) : -1;
    return known >= 0 ? known : add_source(g, shape, &in);
}

/* After a sample: inputs first, then the operation. */
static void from_sample(fuzz_generator *g, const fuzz_machine *m, fuzz_step *s)
{
    const tp_sample *sample = NULL;
    renaming r = {.big = g->big && fuzz_chance(&g->rng, 50), .same = fuzz_chance(&g->rng, 10)};
    int via = -1, at = -1;
    for (int tries = 0; tries < 8 && via < 0; tries++) {
        sample = &s->op->samples[fuzz_below(&g->rng, s->op->sample_count)];
        at = (int)fuzz_below(&g->rng, sample->n);
        via = sample->n > 0 && !r.same && fuzz_chance(&g->rng, 80) ? any_var(g, m) : -1;
        bool index = sample->n > 0 && sample->x[at].fill == TP_FILL_INDEX;
        if (via >= 0 && ((tp_dtype_of(m->v[via]) == TP_I64) != index ||
                         !unify(&r, sample->x[at].shape, tp_shape_of(m->v[via]))))
            via = -1;
    }
    s->n = sample->n;
    int percent = fuzz_chance(&g->rng, 60) ? 35 : 0;
    for (int i = 0; i < s->n; i++) {
        if (i == 1) {
            tp_shape x = m->live[s->x[0]] ? tp_shape_of(m->v[s->x[0]]) : g->p->step[s->x[0]].shape;
            draw_attributes(g, s, sample->attr, &r, &x, percent);
        }
        s->x[i] = i == at && via >= 0 ? via : choose_input(g, m, s, i, &sample->x[i], &r);
    }
    if (s->n < 2) {
        tp_shape x = {0, {0}};
        if (s->n == 1)
            x = m->live[s->x[0]] ? tp_shape_of(m->v[s->x[0]]) : g->p->step[s->x[0]].shape;
        draw_attributes(g, s, sample->attr, &r, s->n == 1 ? &x : NULL, percent);
    }
}

/* After a refusal. */
static void from_refusal(fuzz_generator *g, fuzz_step *s)
{
    const tp_refusal *f = &s->op->refusals[fuzz_below(&g->rng, s->op->refusal_count)];
    s->n = f->n;
    for (int i = 0; i < f->n; i++) {
        tp_sample_input in = {.fill = TP_FILL_REAL};
        s->x[i] = add_source(g, f->x[i].shape, &in);
        fuzz_step *x = &g->p->step[s->x[i]];
        x->dtype = f->x[i].dtype;
        x->lo = x->hi = f->x[i].value;
        x->special = false;
        x->entry = tp_dtype_is_float(x->dtype) ? x->entry : FUZZ_CONSTANT;
    }
    draw_attributes(g, s, f->attr, NULL, NULL, 0);
}

/* Any inputs, any attributes. */
static void wild(fuzz_generator *g, const fuzz_machine *m, fuzz_step *s)
{
    const tp_sample *sample = &s->op->samples[fuzz_below(&g->rng, s->op->sample_count)];
    tp_shape x = {0, {0}};
    s->n = s->op->arity == TP_ANY_ARITY ? 1 + (int)fuzz_below(&g->rng, FUZZ_INPUTS) : s->op->arity;
    for (int i = 0; i < s->n; i++) {
        s->x[i] = any_var(g, m);
        if (s->x[i] < 0)
            s->x[i] = add_source(g, draw_shape(g), &sample->x[i < sample->n ? i : 0]);
    }
    if (s->n > 0)
        x = m->live[s->x[0]] ? tp_shape_of(m->v[s->x[0]]) : g->p->step[s->x[0]].shape;
    draw_attributes(g, s, sample->attr, NULL, s->n > 0 ? &x : NULL, 70);
}

void fuzz_generate_begin(fuzz_generator *g, fuzz_program *p, fuzz_rng rng, const fuzz_ops *ops)
{
    memset(p, 0, sizeof *p);
    *g = (fuzz_generator){.rng = rng, .p = p, .ops = ops};
    g->dtype = fuzz_chance(&g->rng, 60) ? TP_F64 : TP_F32;
    g->target = 1 + (int)fuzz_below(&g->rng, 9);
    g->big = fuzz_chance(&g->rng, 2) &&
             rng.left == 0; /* too slow where coverage would choose it often */
    g->rows = fuzz_chance(&g->rng, 35);
    p->threads = g->big || fuzz_chance(&g->rng, 5);
    p->second_order = !g->big && fuzz_chance(&g->rng, 30);
    p->level = (int)fuzz_below(&g->rng, 3);
}

bool fuzz_generate(fuzz_generator *g, const fuzz_machine *m)
{
    if (fuzz_size(g->p) >= g->target || g->p->count + FUZZ_INPUTS + 1 > FUZZ_STEPS)
        return false;
    const tp_op *op = g->rows || fuzz_chance(&g->rng, 50)
                          ? tp_ops[fuzz_below(&g->rng, tp_op_count)]
                          : compositions[fuzz_below(&g->rng, composition_count)];
    if (g->ops != NULL && g->ops->extra != NULL && fuzz_chance(&g->rng, 25))
        op = g->ops->extra;
    fuzz_step s = {.op = op};
    if (op->refusal_count > 0 && fuzz_chance(&g->rng, 5))
        from_refusal(g, &s);
    else if (fuzz_chance(&g->rng, 12))
        wild(g, m, &s);
    else if (fuzz_is_convolution(op) && fuzz_chance(&g->rng, 80))
        fuzz_generate_convolution(g, m, &s);
    else if (fuzz_is_pool(op) && fuzz_chance(&g->rng, 80))
        fuzz_generate_pool(g, m, &s);
    else
        from_sample(g, m, &s);
    g->p->step[g->p->count++] = s;
    return true;
}
