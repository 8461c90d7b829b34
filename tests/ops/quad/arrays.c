/* arrays.c: arrays of quads, naive index arithmetic, attributes by name. Read next: differences.c. */
#include "tests/ops/quad/quad.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

void *quad_alloc(int64_t n, size_t size)
{
    void *p = calloc((size_t)n + 1, size);
    assert_non_null(p);
    return p;
}

quads quads_of(const tp_tensor *t)
{
    quads q = {t->shape, tp_numel(t), quad_alloc(tp_numel(t), sizeof(quad))};
    for (int64_t i = 0; i < q.n; i++)
        q.at[i] = tp_flat(t, i);
    return q;
}

void quads_free(quads *q)
{
    free(q->at);
    *q = (quads){0};
}

/* --- results ------------------------------------------------------------------------------------- */

void quad_result(quad_call *c, tp_shape shape, int64_t additions)
{
    int64_t n = 1;
    for (int i = 0; i < shape.ndim; i++)
        n *= shape.dim[i];
    c->shape = shape;
    c->count = n;
    c->additions = additions > 0 ? additions : 0;
    c->parts = CURVED_TOO + 1;
    for (int p = 0; p < QUAD_PARTS; p++) {
        if (c->part[p] == NULL)
            c->part[p] = quad_alloc(n, sizeof(quad));
        memset(c->part[p], 0, (size_t)n * sizeof(quad));
    }
    if (c->size == NULL)
        c->size = quad_alloc(n, sizeof(quad));
    memset(c->size, 0, (size_t)n * sizeof(quad));
}

void quad_forward(quad_call *c, bool surrogate)
{
    c->condition = 1;
    if (surrogate && c->ref->surrogate != NULL)
        c->ref->surrogate(c);
    else if (c->ref->point != NULL)
        quad_pointwise(c);
    else
        c->ref->forward(c);
}

quad quad_value(const quad_call *c, int64_t j)
{
    quad y = 0;
    for (int p = c->parts; p-- > 0;) /* the small ones first */
        y += c->part[p][j];
    return y;
}

void quad_call_free(quad_call *c)
{
    for (int i = 0; i < c->n; i++)
        quads_free(&c->x[i]);
    for (int p = 0; p < QUAD_PARTS; p++)
        free(c->part[p]);
    free(c->size);
    *c = (quad_call){0};
}

/* --- indices ------------------------------------------------------------------------------------- */

void quad_index(tp_shape s, int64_t flat, int64_t *index)
{
    for (int d = s.ndim; d-- > 0; flat /= s.dim[d])
        index[d] = flat % s.dim[d];
}

int64_t quad_flat(tp_shape s, const int64_t *index)
{
    int64_t flat = 0;
    for (int d = 0; d < s.ndim; d++)
        flat = flat * s.dim[d] + index[d];
    return flat;
}

int64_t quad_broadcast_flat(tp_shape in, tp_shape out, const int64_t *index)
{
    int64_t at[TP_MAX_DIMS], lead = out.ndim - in.ndim;
    for (int d = 0; d < in.ndim; d++)
        at[d] = in.dim[d] == 1 ? 0 : index[lead + d];
    return quad_flat(in, at);
}

tp_shape quad_broadcast_shape(tp_shape a, tp_shape b)
{
    tp_shape y = a.ndim >= b.ndim ? a : b, other = a.ndim >= b.ndim ? b : a;
    for (int d = 0; d < other.ndim; d++) {
        int64_t *size = &y.dim[y.ndim - other.ndim + d];
        *size = *size == 1 ? other.dim[d] : *size;
    }
    return y;
}

int quad_axis(int ndim, int axis)
{
    return axis < 0 ? axis + ndim : axis;
}

void quad_axes(tp_shape s, tp_axes axes, bool *mask)
{
    for (int d = 0; d < s.ndim; d++)
        mask[d] = axes.n == 0;
    for (int i = 0; i < axes.n; i++)
        mask[quad_axis(s.ndim, axes.axis[i])] = true;
}

tp_shape quad_reduced(tp_shape s, const bool *mask, bool keepdim)
{
    tp_shape y = {0, {0}};
    for (int d = 0; d < s.ndim; d++)
        if (!mask[d] || keepdim)
            y.dim[y.ndim++] = mask[d] ? 1 : s.dim[d];
    return y;
}

int64_t quad_reduced_flat(tp_shape s, const bool *mask, const int64_t *index)
{
    int64_t flat = 0;
    for (int d = 0; d < s.ndim; d++)
        flat = mask[d] ? flat : flat * s.dim[d] + index[d];
    return flat;
}

/* --- attributes ---------------------------------------------------------------------------------- */

static const tp_field *find_field(const quad_call *c, const char *name)
{
    for (int i = 0; i < c->field_count; i++)
        if (strcmp(c->fields[i].name, name) == 0)
            return &c->fields[i];
    print_error("%s has no attribute '%s'\n", c->name, name);
    fail();
    return NULL;
}

const void *quad_attr(const quad_call *c, const char *name)
{
    return (const char *)c->attr + find_field(c, name)->offset;
}

int64_t quad_attr_int(const quad_call *c, const char *name)
{
    const tp_field *f = find_field(c, name);
    const void *p = quad_attr(c, name);
    return f->kind == TP_FIELD_BOOL  ? *(const bool *)p
           : f->kind == TP_FIELD_INT ? *(const int *)p
                                     : *(const int64_t *)p;
}

quad quad_attr_real(const quad_call *c, const char *name)
{
    double value = *(const double *)quad_attr(c, name);
    return c->dtype == TP_F32 ? (quad)(float)value : (quad)value;
}

tp_shape quad_attr_shape(const quad_call *c, const char *name)
{
    return *(const tp_shape *)quad_attr(c, name);
}

tp_axes quad_attr_axes(const quad_call *c, const char *name)
{
    return *(const tp_axes *)quad_attr(c, name);
}
