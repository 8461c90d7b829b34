/* differences.c: derivatives of a reference by central differences.
 *
 * First order at h = 2^-37 and 2h, second order by mixed differences at h = 2^-22 and 2h, both extrapolated:
 * the errors, in h⁴, are 1e-26 and less, and 113 bits leave 1e-22: far below an f64 ε. Steps are powers of
 * two, so that x ± h and every linear function of it are exact. Read next: run.c.
 */
#include "tests/ops/quad/quad.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RESOLUTION ((quad)0x1p-110) /* how far a reference may be off, in parts of its terms */

/* The parts of y at x, and the sum of them over the points of a stencil. */
typedef struct stencil {
    quad *sum[QUAD_PARTS], *first[QUAD_PARTS];
    quad *top[QUAD_PARTS];   /* the largest in size */
    bool *moved[QUAD_PARTS]; /* the part is not the same at all points */
    int points;
} stencil;

static stencil stencil_make(int64_t n)
{
    stencil s = {.points = 0};
    for (int p = 0; p < QUAD_PARTS; p++) {
        s.sum[p] = quad_alloc(n, sizeof(quad));
        s.first[p] = quad_alloc(n, sizeof(quad));
        s.top[p] = quad_alloc(n, sizeof(quad));
        s.moved[p] = quad_alloc(n, sizeof(bool));
    }
    return s;
}

static void stencil_free(stencil *s)
{
    for (int p = 0; p < QUAD_PARTS; p++)
        free(s->sum[p]), free(s->first[p]), free(s->top[p]), free(s->moved[p]);
}

/* y with sign 1 or −1; 0 only looks whether it is another. */
static void stencil_add(stencil *s, quad_call *c, int sign)
{
    quad_forward(c, true);
    for (int p = 0; p < c->parts; p++)
        for (int64_t j = 0; j < c->count; j++) {
            quad y = c->part[p][j], size = y < 0 ? -y : y;
            if (sign != 0)
                s->sum[p][j] += sign > 0 ? y : -y;
            s->moved[p][j] = s->points > 0 && (s->moved[p][j] || y != s->first[p][j]);
            s->first[p][j] = s->points > 0 ? s->first[p][j] : y;
            s->top[p][j] = size > s->top[p][j] ? size : s->top[p][j];
        }
    s->points++;
}

/* --- what belongs to one sample ------------------------------------------------------------------ */

typedef struct work {
    quad_call *c;
    const quad_slots *s;
    quad *jacobian; /* [slot][output] */
    bool *depends;
    quad *terms; /* S of outputs without a straight part, which may be sums that cancel */
    quad condition;
    int64_t outputs, additions;
} work;

quad_slots quad_slots_make(const quad_call *c, const bool *by)
{
    quad_slots s = {0};
    for (int i = 0; i < c->n; i++)
        s.n += by[i] ? c->x[i].n : 0;
    s.in = quad_alloc(s.n, sizeof *s.in);
    s.k = quad_alloc(s.n, sizeof *s.k);
    int64_t e = 0;
    for (int i = 0; i < c->n; i++)
        for (int64_t k = 0; by[i] && k < c->x[i].n; k++, e++)
            s.in[e] = i, s.k[e] = k;
    return s;
}

void quad_slots_free(quad_slots *s)
{
    free(s->in), free(s->k);
}

void quad_wanted_free(quad_wanted *w)
{
    free(w->value), free(w->size), free(w->blur), free(w->additions);
    *w = (quad_wanted){0};
}

static quad_wanted wanted_make(int64_t n)
{
    return (quad_wanted){n, quad_alloc(n, sizeof(quad)), quad_alloc(n, sizeof(quad)),
                         quad_alloc(n, sizeof(quad)), quad_alloc(n, sizeof(int64_t))};
}

static quad *place(const work *w, int64_t e)
{
    return &w->c->x[w->s->in[e]].at[w->s->k[e]];
}

/* A power of two, at most the room there is; far out, where there is no edge, in proportion to x. */
static quad step(const work *w, int64_t e, quad relative)
{
    quad x = *place(w, e), room = 1;
    int exponent;
    if (w->c->ref->room != NULL)
        room = w->c->ref->room(w->c, w->s->in[e], w->s->k[e]);
    else if (fabsq(x) > (quad)0x1p30)
        room = fabsq(x);
    frexpq(room, &exponent);
    return ldexpq(relative, exponent - 1);
}

static quad slope_size(const work *w, int64_t e, int64_t j)
{
    quad d = w->jacobian[e * w->outputs + j];
    if (w->c->ref->slope == NULL || !w->depends[e * w->outputs + j])
        return w->condition * fabsq(d);
    return w->condition * w->c->ref->slope(w->c, w->s->in[e], w->s->k[e], j, d);
}

static quad curve_size(const work *w, int64_t e, int64_t l, int64_t j, quad d)
{
    if (w->c->ref->curve == NULL)
        return w->condition * fabsq(d);
    return w->condition *
           w->c->ref->curve(w->c, w->s->in[e], w->s->k[e], w->s->in[l], w->s->k[l], j, d);
}

/* By how much the differences of a part may be off. */
static quad part_blur(const work *w, const stencil *t, int p, int64_t j)
{
    return t->moved[p][j] || w->c->ref->coarse ? RESOLUTION * fmaxq(t->top[p][j], w->terms[j]) : 0;
}

/* --- first order --------------------------------------------------------------------------------- */

/* y at ±h around x in slot e. Where both agree, y(x) shows whether y depends on it. */
static stencil two_points(work *w, int64_t e, quad h)
{
    quad x = *place(w, e);
    stencil t = stencil_make(w->outputs);
    *place(w, e) = x + h;
    stencil_add(&t, w->c, 1);
    *place(w, e) = x - h;
    stencil_add(&t, w->c, -1);
    *place(w, e) = x;
    stencil_add(&t, w->c, 0);
    return t;
}

/* By slot e. blur [output]. */
static void differentiate_slot(work *w, int64_t e, quad *blur)
{
    quad h = step(w, e, (quad)0x1p-37);
    stencil near = two_points(w, e, h), far = two_points(w, e, 2 * h);
    for (int64_t j = 0; j < w->outputs; j++) {
        quad *d = &w->jacobian[e * w->outputs + j];
        for (int p = 0; p < w->c->parts; p++) {
            *d += (4 * near.sum[p][j] - far.sum[p][j] / 2) / (3 * 2 * h);
            w->depends[e * w->outputs + j] |= near.moved[p][j] || w->c->ref->coarse;
            blur[j] += p != STRAIGHT ? part_blur(w, &near, p, j) / h : 0;
        }
    }
    stencil_free(&near);
    stencil_free(&far);
}

static void first_order(work *w, const quad *v, const quad *u, quad_wanted *vj, quad_wanted *ju)
{
    quad *blur = quad_alloc(w->outputs, sizeof(quad));
    for (int64_t e = 0; e < w->s->n; e++) {
        memset(blur, 0, (size_t)w->outputs * sizeof(quad));
        differentiate_slot(w, e, blur);
        vj->additions[e] = -1;
        for (int64_t j = 0; j < w->outputs; j++) {
            quad d = w->jacobian[e * w->outputs + j], size = slope_size(w, e, j);
            vj->value[e] += v[j] * d, ju->value[j] += u[e] * d;
            vj->size[e] += fabsq(v[j]) * size, ju->size[j] += fabsq(u[e]) * size;
            vj->blur[e] += fabsq(v[j]) * blur[j], ju->blur[j] += fabsq(u[e]) * blur[j];
            vj->additions[e] += w->depends[e * w->outputs + j];
            ju->additions[j] += w->depends[e * w->outputs + j];
        }
        vj->additions[e] = vj->additions[e] > w->additions ? vj->additions[e] : w->additions;
    }
    for (int64_t j = 0; j < w->outputs; j++)
        ju->additions[j] = ju->additions[j] > w->additions ? ju->additions[j] : w->additions;
    free(blur);
}

/* --- second order -------------------------------------------------------------------------------- */

/* The four points around x, moved along slots e and l (which may be one); sum / 4hk is the derivative. */
static void corners(work *w, stencil *t, int64_t e, int64_t l, quad h, quad k)
{
    quad x = *place(w, e), z = *place(w, l);
    for (int corner = 0; corner < 4; corner++) {
        quad a = corner & 1 ? -h : h, b = corner & 2 ? -k : k;
        *place(w, e) += a;
        *place(w, l) += b;
        stencil_add(t, w->c, (corner & 1) == (corner >> 1) ? 1 : -1);
        *place(w, e) = x;
        *place(w, l) = z;
    }
}

static void add_pair(quad_wanted *to, int64_t e, quad v, quad u, quad d, quad size, quad blur)
{
    to->value[e] += v * u * d;
    to->size[e] += fabsq(v * u) * size;
    to->blur[e] += fabsq(v * u) * blur;
    to->additions[e] += size > 0;
}

static void second_pair(work *w, int64_t e, int64_t l, const quad *v, const quad *u,
                        quad_wanted *vhu)
{
    quad h = step(w, e, (quad)0x1p-22), k = step(w, l, (quad)0x1p-22);
    stencil near = stencil_make(w->outputs), far = stencil_make(w->outputs);
    corners(w, &near, e, l, h, k);
    corners(w, &far, e, l, 2 * h, 2 * k);
    for (int64_t j = 0; j < w->outputs; j++) {
        if (!w->depends[e * w->outputs + j] || !w->depends[l * w->outputs + j])
            continue;
        quad d = 0, blur = 0;
        for (int p = CURVED; p < w->c->parts; p++) {
            d += (4 * near.sum[p][j] - far.sum[p][j] / 4) / (3 * 4 * h * k);
            blur += 2 * part_blur(w, &near, p, j) / (h * k);
        }
        quad size = curve_size(w, e, l, j, d);
        add_pair(vhu, e, v[j], u[l], d, size, blur);
        if (l != e)
            add_pair(vhu, l, v[j], u[e], d, size, blur);
    }
    stencil_free(&near);
    stencil_free(&far);
}

static bool share_output(const work *w, int64_t e, int64_t l)
{
    for (int64_t j = 0; j < w->outputs; j++)
        if (w->depends[e * w->outputs + j] && w->depends[l * w->outputs + j])
            return true;
    return false;
}

void quad_differentiate(quad_call *c, const quad_slots *s, const quad *v, const quad *u,
                        bool second, quad_wanted *vj, quad_wanted *ju, quad_wanted *vhu)
{
    c->sizes = true;
    quad_forward(c, true);
    c->sizes = false;
    work w = {.c = c, .s = s, .outputs = c->count, .additions = c->additions};
    w.condition = c->condition;
    w.jacobian = quad_alloc(s->n * c->count, sizeof(quad));
    w.depends = quad_alloc(s->n * c->count, sizeof(bool));
    w.terms = quad_alloc(c->count, sizeof(quad));
    for (int64_t j = 0; j < c->count; j++)
        w.terms[j] = c->part[STRAIGHT][j] == 0 ? c->size[j] : 0;
    *vj = wanted_make(s->n), *ju = wanted_make(c->count), *vhu = wanted_make(s->n);
    first_order(&w, v, u, vj, ju);
    for (int64_t e = 0; e < s->n && second; e++)
        for (int64_t l = e; l < s->n; l++)
            if (share_output(&w, e, l))
                second_pair(&w, e, l, v, u, vhu);
    for (int64_t e = 0; e < s->n; e++) {
        int64_t m = vhu->additions[e] - 1;
        vhu->additions[e] = m > w.additions ? m : w.additions;
    }
    free(w.terms), free(w.jacobian), free(w.depends);
}
