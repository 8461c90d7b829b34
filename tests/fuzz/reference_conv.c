/* reference_conv.c: the naive reference of convolution and its two adjoints. See reference.c. */
#include "tests/fuzz/reference.h"

#include <math.h>

/* --- attributes --------------------------------------------------------------------------------- */

/* [0] of height, [1] of width. */
typedef struct conv {
    int64_t stride[2], padding[2], dilation[2], output_padding[2], groups, kernel[2];
} conv;

/* A pair of attributes, where two zeros stand for the default. All three have one struct, of which the transposed one
 * names every option. */
static tp_status read_pair(const ref_call *c, const char *name, int64_t unset, int64_t to[2])
{
    const int64_t most = (int64_t)1 << 30;
    for (int a = 0; a < 2; a++) {
        char text[40];
        snprintf(text, sizeof text, "%s_%c", name, a == 0 ? 'h' : 'w');
        to[a] = fuzz_whole(&tp_op_conv_transpose2d, c->attr, text, 0);
    }
    if (to[0] == 0 && to[1] == 0)
        to[0] = to[1] = unset;
    bool legal = to[0] >= unset && to[0] <= most && to[1] >= unset && to[1] <= most;
    return legal ? TP_OK : TP_EARG;
}

static tp_status read_conv(const ref_call *c, conv *o)
{
    *o = (conv){.groups = ref_whole(c, "groups")};
    TP_TRY(read_pair(c, "stride", 1, o->stride));
    TP_TRY(read_pair(c, "padding", 0, o->padding));
    TP_TRY(read_pair(c, "dilation", 1, o->dilation));
    TP_TRY(read_pair(c, "output_padding", 0, o->output_padding));
    o->kernel[0] = ref_whole(c, "kernel_h"), o->kernel[1] = ref_whole(c, "kernel_w");
    o->groups += o->groups == 0;
    return o->groups < 0 ? TP_EARG : TP_OK;
}

/* --- sums --------------------------------------------------------------------------------------- */

enum { IMAGE, KERNEL, POSITION, ROLES };

/* The element of one of the three that belongs to a term, and whether the image has one there. */
typedef struct term {
    int64_t index[ROLES][4];
    bool inside;
} term;

static term term_at(const conv *o, const tp_shape s[ROLES], const int64_t y[4], const int64_t w[3])
{
    int64_t group = y[1] / (s[KERNEL].dim[0] / o->groups);
    term t = {{{y[0], group * s[KERNEL].dim[1] + w[0], 0, 0},
               {y[1], w[0], w[1], w[2]},
               {y[0], y[1], y[2], y[3]}},
              true};
    for (int a = 0; a < 2; a++) {
        int64_t at = y[2 + a] * o->stride[a] + w[1 + a] * o->dilation[a] - o->padding[a];
        t.index[IMAGE][2 + a] = at;
        t.inside &= at >= 0 && at < s[IMAGE].dim[2 + a];
    }
    return t;
}

/* The two that are given; NULL: it comes out. */
typedef const ref_tensor *givens[ROLES];

/* Adds one term to the element that comes out. Outside the image it is 0; NaN and infinities there are left open: 0 · NaN,
 * or nothing. */
static void add_term(ref_call *c, givens x, const tp_shape s[ROLES], const term *t)
{
    real product = 1;
    int64_t at = 0;
    for (int r = 0; r < ROLES; r++)
        if (x[r] == NULL)
            at = ref_flatten(s[r], t->index[r]);
        else if (r != IMAGE || t->inside)
            product *= x[r]->v[ref_flatten(s[r], t->index[r])];
    if (t->inside) {
        c->y->v[at] += product;
        c->y->e[at] += fabsl(product) + ref_tiny(c->y->dtype);
    } else if (!isfinite(product)) {
        c->y->e[at] = (real)NAN;
    }
}

/* All terms, by position and by element of the kernel; too many are not looked into. */
static tp_status add_up(ref_call *c, const conv *o, givens x, const tp_shape s[ROLES])
{
    enum { MOST = 1 << 22 };
    int out = x[IMAGE] == NULL ? IMAGE : x[KERNEL] == NULL ? KERNEL : POSITION;
    TP_TRY(ref_make(c, c->x[0].dtype, s[out]));
    tp_shape inner = {3, {s[KERNEL].dim[1], s[KERNEL].dim[2], s[KERNEL].dim[3]}};
    real positions = (real)tp_shape_numel(s[POSITION]), each = 1;
    for (int i = 0; i < 3; i++)
        each *= (real)inner.dim[i];
    if (c->y->v == NULL || positions * each > MOST) {
        ref_free(c->y);
        return TP_OK;
    }
    for (int64_t p = 0; p < (int64_t)positions; p++)
        for (int64_t k = 0; k < (int64_t)each; k++) {
            int64_t y[TP_MAX_DIMS], w[TP_MAX_DIMS];
            ref_unflatten(s[POSITION], p, y);
            ref_unflatten(inner, k, w);
            term t = term_at(o, s, y, w);
            if (t.inside || out != IMAGE)
                add_term(c, x, s, &t);
        }
    real terms = out == KERNEL ? positions : each * (real)s[KERNEL].dim[0];
    for (int64_t i = 0; i < c->y->n; i++)
        c->y->e[i] *= terms + 4;
    return TP_OK;
}

/* --- operations --------------------------------------------------------------------------------- */

/* How often a kernel fits into an image with its padding; 0: not once. */
static int64_t positions(const conv *o, int axis, int64_t size, int64_t kernel)
{
    real reach = (real)o->dilation[axis] * (real)(kernel - 1) + 1;
    real room = (real)size + 2 * (real)o->padding[axis];
    return kernel < 1 || reach > room ? 0 : (int64_t)(room - reach) / o->stride[axis] + 1;
}

/* The shape of the positions, if image and kernel go together. */
static tp_status fit(const conv *o, tp_shape s[ROLES])
{
    const int64_t *x = s[IMAGE].dim, *w = s[KERNEL].dim;
    if (s[IMAGE].ndim != 4 || s[KERNEL].ndim != 4 || w[0] % o->groups != 0 ||
        x[1] % o->groups != 0 || x[1] / o->groups != w[1])
        return TP_ESHAPE;
    s[POSITION] = TP_SHAPE(x[0], w[0], 0, 0);
    for (int a = 0; a < 2; a++) {
        if (x[2 + a] < 1)
            return TP_ESHAPE;
        s[POSITION].dim[2 + a] = positions(o, a, x[2 + a], w[2 + a]);
        if (s[POSITION].dim[2 + a] < 1)
            return TP_ESHAPE;
    }
    return TP_OK;
}

static bool padded_output(const conv *o)
{
    return o->output_padding[0] != 0 || o->output_padding[1] != 0;
}

static tp_status conv2d(ref_call *c)
{
    conv o;
    tp_shape s[ROLES] = {c->x[0].shape, c->x[1].shape};
    TP_TRY(read_conv(c, &o));
    if (padded_output(&o))
        return TP_EARG;
    TP_TRY(fit(&o, s));
    return add_up(c, &o, (givens){&c->x[0], &c->x[1], NULL}, s);
}

static tp_status conv2d_weight(ref_call *c)
{
    conv o;
    tp_shape s[ROLES] = {c->x[0].shape}, y = c->x[1].shape;
    TP_TRY(read_conv(c, &o));
    if (padded_output(&o) || o.kernel[0] < 1 || o.kernel[1] < 1)
        return TP_EARG;
    if (s[IMAGE].ndim != 4 || y.ndim != 4)
        return TP_ESHAPE;
    s[KERNEL] = TP_SHAPE(y.dim[1], s[IMAGE].dim[1] / o.groups, o.kernel[0], o.kernel[1]);
    TP_TRY(fit(&o, s));
    if (!tp_shape_equal(s[POSITION], y))
        return TP_ESHAPE;
    return add_up(c, &o, (givens){&c->x[0], NULL, &c->x[1]}, s);
}

static tp_status conv_transpose2d(ref_call *c)
{
    conv o;
    tp_shape y = c->x[0].shape, w = c->x[1].shape, s[ROLES] = {{0, {0}}, w, y};
    TP_TRY(read_conv(c, &o));
    if (y.ndim != 4 || w.ndim != 4 || y.dim[1] != w.dim[0] || y.dim[1] % o.groups != 0)
        return TP_ESHAPE;
    s[IMAGE] = TP_SHAPE(y.dim[0], 0, 0, 0);
    if (__builtin_mul_overflow(w.dim[1], o.groups, &s[IMAGE].dim[1]))
        return TP_ESHAPE;
    for (int a = 0; a < 2; a++) {
        int64_t n = y.dim[2 + a], k = w.dim[2 + a];
        if (o.output_padding[a] >= o.stride[a])
            return TP_EARG;
        if (n < 1 || k < 1 || n > INT32_MAX || k > INT32_MAX)
            return TP_ESHAPE;
        s[IMAGE].dim[2 + a] = (n - 1) * o.stride[a] - 2 * o.padding[a] + o.dilation[a] * (k - 1) +
                              1 + o.output_padding[a];
        if (s[IMAGE].dim[2 + a] < 1)
            return TP_ESHAPE;
    }
    return add_up(c, &o, (givens){NULL, &c->x[1], &c->x[0]}, s);
}

const ref_row ref_convolutions[] = {
    REF_ROW(conv2d), REF_ROW(conv_transpose2d), REF_ROW(conv2d_weight), {NULL, NULL}};
