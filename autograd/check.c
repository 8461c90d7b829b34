/* check.c: gradients against finite differences. Read probe first: one element or direction.
 * What the numbers are compared with stands in check.h; nothing here knows any operation.
 * Read next: check_op.c, which runs this on the samples of an operation. */
#include "autograd/check.h"
#include "autograd/sweep.h"
#include "tensor/gather.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Steps run from 2^-7, which only confirms 2^-8, down to 2^-22. */
enum { FIRST_STEP = 7, LEVELS = 16, STENCIL = 3 };

typedef struct check {
    tp_check_fn f;
    void *user;
    int n;
    tp_parameter *const *wrt;
    tp_check_opts o;
    tp_tape *tape;
    tp_var *x, *g, *gg;      /* the parameters' vars, first and second gradients; [n] */
    tp_tensor cot, cot2;     /* cotangents of f, and of its gradient as one long vector */
    int64_t inputs, outputs; /* elements of all parameters; of what is differentiated */
    const double *v;         /* its cotangent */
    double *x0, *a, *u;      /* parameters, analytic gradient, direction of the moment; [inputs] */
    double *f0;              /* values at x0; [outputs] */
    bool *depends;           /* whether they depend on what u moves */
    double *plus[STENCIL], *minus[STENCIL]; /* values at x0 ± h·u, ± 2h·u, ± 3h·u */
    tp_check_report r;
    int worst; /* number of the parameter that r names */
} check;

/* --- running f ---------------------------------------------------------------------------------- */

/* An empty tape, f on it, and the parameters' vars. */
static tp_var enter(check *c)
{
    tp_tape_reset(c->tape);
    tp_var y = c->f(c->tape, c->user);
    for (int i = 0; i < c->n; i++)
        c->x[i] = tp_param(c->tape, c->wrt[i]);
    return y;
}

/* Row-major elements of x to memory. */
static tp_status unload(const tp_tensor *x, double *to)
{
    tp_storage s = {.data = to, .bytes = (size_t)tp_numel(x) * sizeof *to};
    tp_tensor y = {.storage = &s, .shape = x->shape, .dtype = TP_F64};
    tp_strides(y.shape, y.stride);
    return tp_copy(&y, x);
}

static tp_status unload_all(const check *c, const tp_var *g, double *to)
{
    for (int i = 0; i < c->n; i++) {
        const tp_tensor *value = tp_value(g[i]);
        if (value == NULL)
            return tp_var_status(g[i]);
        TP_TRY(unload(value, to));
        to += tp_numel(value);
    }
    return TP_OK;
}

/* Gradients of v·f by the parameters, as vars. */
static tp_status gradients(const check *c, tp_var y, bool create_graph)
{
    tp_var v = tp_constant(c->tape, &c->cot);
    return tp_grad(
        1, &y, c->n, c->x, c->g,
        (tp_grad_opts){.grad_outputs = &v, .create_graph = create_graph, .allow_unused = true});
}

/* What is differentiated, at the parameters as they are: f, or at order 2 the gradient of v·f. */
static tp_status evaluate(check *c, double *to)
{
    tp_var y = enter(c);
    const tp_tensor *value = tp_value(y);
    if (value == NULL)
        return tp_var_status(y);
    if (!tp_shape_equal(value->shape, c->cot.shape))
        return tp_fail(TP_ESHAPE, "f changed the shape of its output");
    if (c->o.order == 1)
        return unload(value, to);
    TP_TRY(gradients(c, y, false));
    return unload_all(c, c->g, to);
}

/* The gradient under test. */
static tp_status analytic(check *c)
{
    tp_var y = enter(c);
    tp_var *w = c->gg + c->n;
    TP_TRY(tp_var_status(y));
    TP_TRY(gradients(c, y, c->o.order == 2));
    if (c->o.order == 1)
        return unload_all(c, c->g, c->a);
    int64_t at = 0;
    for (int i = 0; i < c->n; i++) {
        tp_tensor part;
        int64_t size = tp_numel(&c->wrt[i]->value);
        TP_TRY(tp_view_slice(&c->cot2, 0, at, at + size, 1, &part));
        TP_TRY(tp_view_reshape(&part, c->wrt[i]->value.shape, &part));
        w[i] = tp_constant(c->tape, &part);
        at += size;
    }
    TP_TRY(tp_grad(c->n, c->g, c->n, c->x, c->gg,
                   (tp_grad_opts){.grad_outputs = w, .allow_unused = true}));
    return unload_all(c, c->gg, c->a);
}

/* The parameters become x0 + t·u, or x0 bit for bit. */
static void place(const check *c, double t)
{
    int64_t at = 0;
    for (int i = 0; i < c->n; i++) {
        double *x = tp_data_mut(&c->wrt[i]->value);
        int64_t size = tp_numel(&c->wrt[i]->value);
        for (int64_t k = 0; k < size; k++, at++)
            x[k] = t == 0 || c->u[at] == 0 ? c->x0[at] : c->x0[at] + t * c->u[at];
    }
}

/* --- one difference quotient -------------------------------------------------------------------- */

/* f at x0 ± k·h·u. Leaving the domain is no failure: *inside says so. */
static tp_status take(check *c, int k, double h, bool *inside)
{
    for (int side = 0; side < 2 && *inside; side++) {
        double *to = side ? c->minus[k - 1] : c->plus[k - 1];
        place(c, side ? -k * h : k * h);
        tp_status s = evaluate(c, to);
        if (s != TP_OK && s != TP_EVALUE)
            return s;
        *inside = s == TP_OK;
        for (int64_t j = 0; j < c->outputs && *inside; j++)
            *inside = isfinite(to[j]);
    }
    return TP_OK;
}

typedef struct quotient {
    double value, noise; /* and by how much rounding may have moved it */
    bool kink;           /* the second difference shrinks as h, not as h² */
} quotient;

/* Marks the outputs that NaN reaches from the elements that u moves. A comparison stops a NaN; its outputs
 * count once they are seen to move. */
static tp_status find_dependents(check *c)
{
    place(c, (double)NAN);
    tp_status s = evaluate(c, c->plus[0]);
    if (s != TP_OK && s != TP_EVALUE)
        return s;
    for (int64_t j = 0; j < c->outputs; j++)
        c->depends[j] = s != TP_OK || !(c->plus[0][j] == c->f0[j]);
    return TP_OK;
}

/* Only over the outputs that depend: the rounding errors of the others, however large, do not blur it. */
static quotient difference(const check *c, double h)
{
    quotient q = {0};
    double bend = 0, bend2 = 0;
    for (int64_t j = 0; j < c->outputs; j++) {
        double largest = fabs(c->f0[j]);
        for (int k = 0; k < STENCIL; k++) {
            largest = fmax(largest, fmax(fabs(c->plus[k][j]), fabs(c->minus[k][j])));
            c->depends[j] |= c->plus[k][j] != c->f0[j] || c->minus[k][j] != c->f0[j];
        }
        if (!c->depends[j])
            continue;
        double d1 = c->plus[0][j] - c->minus[0][j], d2 = c->plus[1][j] - c->minus[1][j];
        double d3 = c->plus[2][j] - c->minus[2][j];
        q.value += c->v[j] * (0.75 * d1 - 0.15 * d2 + d3 / 60) / h;
        q.noise += c->o.rounding * DBL_EPSILON * fabs(c->v[j]) * largest / h;
        double near = fabs(c->v[j] * (c->plus[0][j] - 2 * c->f0[j] + c->minus[0][j]));
        double far = fabs(c->v[j] * (c->plus[1][j] - 2 * c->f0[j] + c->minus[1][j]));
        if (far < 3 * near) {
            bend += near / h;
            bend2 += far / h;
        }
    }
    q.kink = bend > c->o.atol + c->o.rtol * fabs(q.value) + q.noise && bend2 < 3 * bend;
    return q;
}

/* The parameter that element *e of all lies in; *e becomes its number there. */
static int owner(const check *c, int64_t *e)
{
    int i = 0;
    while (*e >= tp_numel(&c->wrt[i]->value))
        *e -= tp_numel(&c->wrt[i++]->value);
    return i;
}

/* "[2,0]", or nothing for a scalar. */
static const char *place_text(tp_shape s, int64_t e, char text[TP_SHAPE_TEXT])
{
    return s.ndim > 0 ? tp_index_text(s, e, text) : "";
}

/* Counts a comparison and keeps it if it is the worst so far. */
static void compare(check *c, double a, quotient q, int64_t index)
{
    double bound = c->o.atol + c->o.rtol * fmax(fabs(a), fabs(q.value)) + q.noise;
    double off = fabs(a - q.value);
    double ratio = off == 0 ? 0 : isfinite(off) ? off / bound : INFINITY;
    c->r.checked++;
    if (c->r.checked > 1 && !(ratio > c->r.worst))
        return;
    int i = index >= 0 ? owner(c, &index) : 0;
    c->r.worst = ratio;
    c->r.index = index;
    c->r.analytic = a;
    c->r.numeric = q.value;
    c->r.bound = bound;
    c->worst = i;
    snprintf(c->r.parameter, sizeof c->r.parameter, "%s", c->wrt[i]->name);
}

/* Compares along u: halves h until the quotients of h and 2h agree, then takes that of h, whose truncation
 * error is at most a 63rd of their difference. Since 2·h = 1·2h, one of three points is already known. */
static tp_status probe(check *c, double scale, int64_t index)
{
    double a = 0, h = ldexp(scale, -FIRST_STEP);
    for (int64_t e = 0; e < c->inputs; e++)
        a += c->u[e] != 0 ? c->a[e] * c->u[e] : 0;
    quotient old = {0};
    TP_TRY(find_dependents(c));
    bool known = false; /* old and the points belong to 2h */
    for (int level = 0; level < LEVELS; level++, h /= 2) {
        double *p = c->plus[1], *m = c->minus[1];
        bool inside = true;
        if (known) {
            c->plus[1] = c->plus[0], c->plus[0] = p;
            c->minus[1] = c->minus[0], c->minus[0] = m;
        }
        for (int k = 1; k <= STENCIL && inside; k++)
            if (!known || k != 2)
                TP_TRY(take(c, k, h, &inside));
        if (!inside) {
            known = false;
            continue;
        }
        quotient q = difference(c, h);
        double slack = 4 * (c->o.atol + c->o.rtol * fabs(q.value) + q.noise);
        if (known && !q.kink && fabs(q.value - old.value) <= slack)
            return compare(c, a, q, index), TP_OK;
        old = q;
        known = true;
    }
    c->r.skipped_kinks++;
    return TP_OK;
}

/* --- which elements and directions -------------------------------------------------------------- */

/* The scale of an element: max(1, |x|) as a power of two, so that steps are exact; 1 for NaN. */
static double scale_of(double x)
{
    int exponent = 1;
    if (isfinite(x))
        frexp(fmax(1, fabs(x)), &exponent);
    return ldexp(1, exponent - 1);
}

static tp_status one_element(check *c, int64_t e)
{
    memset(c->u, 0, (size_t)c->inputs * sizeof *c->u);
    c->u[e] = 1;
    return probe(c, scale_of(c->x0[e]), e);
}

static tp_status draw(double *to, int64_t n, uint64_t seed, uint32_t number)
{
    tp_storage s = {.data = to, .bytes = (size_t)n * sizeof *to};
    tp_tensor t = {.storage = &s, .shape = TP_SHAPE(n), .stride = {1}, .dtype = TP_F64};
    return tp_random_uniform(&t, (tp_rng_key){seed, 0, number});
}

static tp_status one_direction(check *c, uint32_t number)
{
    TP_TRY(draw(c->u, c->inputs, c->o.seed, 10 + number));
    for (int64_t e = 0; e < c->inputs; e++) /* an element that is NaN is there not to be read */
        c->u[e] = isfinite(c->x0[e]) ? (2 * c->u[e] - 1) * scale_of(c->x0[e]) : 0;
    return probe(c, 1, -1);
}

/* A direction is wrong. An element that is wrong, too, says more, even where it is so by less. */
static tp_status name_element(check *c)
{
    enum { SEARCH = 4096 };
    tp_check_report direction = c->r;
    c->r.worst = 1;
    for (int64_t e = 0; e < c->inputs && e < SEARCH; e++)
        TP_TRY(one_element(c, e));
    if (!(c->r.worst > 1)) {
        direction.checked = c->r.checked;
        direction.skipped_kinks = c->r.skipped_kinks;
        c->r = direction;
    }
    return TP_OK;
}

static tp_status all_probes(check *c)
{
    if (c->inputs == 0)
        return TP_OK;
    if (c->inputs <= c->o.all_up_to) {
        for (int64_t e = 0; e < c->inputs; e++)
            TP_TRY(one_element(c, e));
        return TP_OK;
    }
    for (int k = 0; k < c->o.directions; k++)
        TP_TRY(one_direction(c, (uint32_t)k));
    for (int k = 0; k < c->o.elements; k++) {
        double where;
        TP_TRY(draw(&where, 1, c->o.seed, 1u << 20 | (uint32_t)k));
        TP_TRY(one_element(c, (int64_t)(where * (double)c->inputs)));
    }
    return c->r.worst > 1 && c->r.index < 0 ? name_element(c) : TP_OK;
}

/* --- setting up --------------------------------------------------------------------------------- */

static tp_status check_arguments(const check *c)
{
    char text[TP_TENSOR_TEXT];
    if (c->n < 1 || c->o.order < 1 || c->o.order > 2 || c->o.directions < 0)
        return tp_fail(TP_EARG,
                       "%d parameters, order %d, %d directions: at least one parameter, "
                       "order 1 or 2 needed",
                       c->n, c->o.order, c->o.directions);
    for (int i = 0; i < c->n; i++) {
        const tp_parameter *p = c->wrt[i];
        if (p->value.dtype != TP_F64)
            return tp_fail(TP_EDTYPE, "parameter '%s' is %s: f64 needed", p->name,
                           tp_tensor_text(&p->value, text));
        if (p->frozen)
            return tp_fail(TP_EARG, "parameter '%s' is frozen and has no gradient", p->name);
    }
    return TP_OK;
}

/* Cotangents stay away from 0: ±[½, 1½]. */
static tp_status cotangent(tp_tensor *t, tp_shape shape, uint64_t seed, uint32_t number)
{
    TP_TRY(tp_tensor_new(t, TP_F64, shape));
    TP_TRY(tp_random_uniform(t, (tp_rng_key){seed, 0, number}));
    double *v = tp_data_mut(t);
    for (int64_t j = 0; j < tp_numel(t); j++)
        v[j] = v[j] < 0.5 ? -0.5 - 2 * v[j] : 2 * v[j] - 0.5;
    return TP_OK;
}

/* A first run of f says how large everything is. */
static tp_status size_up(check *c)
{
    tp_tape_reset(c->tape);
    tp_var y = c->f(c->tape, c->user);
    const tp_tensor *value = tp_value(y);
    char text[TP_TENSOR_TEXT];
    if (value == NULL)
        return tp_var_status(y);
    if (value->dtype != TP_F64)
        return tp_fail(TP_EDTYPE, "f gives %s: f64 needed", tp_tensor_text(value, text));
    for (int i = 0; i < c->n; i++)
        c->inputs += tp_numel(&c->wrt[i]->value);
    TP_TRY(cotangent(&c->cot, value->shape, c->o.seed, 0));
    TP_TRY(cotangent(&c->cot2, TP_SHAPE(c->inputs), c->o.seed, 1));
    c->outputs = c->o.order == 1 ? tp_numel(value) : c->inputs;
    c->v = tp_data(c->o.order == 1 ? &c->cot : &c->cot2);
    return TP_OK;
}

static size_t block_bytes(const check *c)
{
    return (size_t)(3 * c->inputs + (1 + 2 * STENCIL) * c->outputs) * sizeof(double) +
           4 * (size_t)c->n * sizeof(tp_var) + (size_t)c->outputs * sizeof(bool);
}

static void cut_block(check *c, void *block)
{
    double *at = block;
    c->x0 = at, at += c->inputs;
    c->a = at, at += c->inputs;
    c->u = at, at += c->inputs;
    c->f0 = at, at += c->outputs;
    for (int k = 0; k < STENCIL; k++) {
        c->plus[k] = at, at += c->outputs;
        c->minus[k] = at, at += c->outputs;
    }
    c->x = (tp_var *)at;
    c->g = c->x + c->n;
    c->gg = c->g + c->n; /* 2n: the second half is for cotangents */
    c->depends = (bool *)(c->gg + 2 * c->n);
}

static tp_status not_finite(const check *c, int64_t j)
{
    char at[TP_SHAPE_TEXT];
    double value = c->f0[j];
    if (c->o.order == 1)
        return tp_fail(TP_EVALUE, "output%s is %g at the parameters",
                       place_text(c->cot.shape, j, at), value);
    const tp_parameter *p = c->wrt[owner(c, &j)];
    return tp_fail(TP_EVALUE, "the gradient at %s%s is %g", p->name,
                   place_text(p->value.shape, j, at), value);
}

/* f must be finite, and the same when asked again. */
static tp_status check_f(check *c)
{
    TP_TRY(evaluate(c, c->f0));
    TP_TRY(evaluate(c, c->plus[0]));
    for (int64_t j = 0; j < c->outputs; j++) {
        if (!isfinite(c->f0[j]))
            return not_finite(c, j);
        if (c->f0[j] != c->plus[0][j])
            return tp_fail(TP_EVALUE,
                           "f is no function of the parameters: run twice, it gave %.17g "
                           "and %.17g (does it draw noise without a fixed key?)",
                           c->f0[j], c->plus[0][j]);
    }
    return TP_OK;
}

static tp_status verdict(const check *c)
{
    const tp_check_report *r = &c->r;
    if (r->checked == 0 && r->skipped_kinks > 0)
        return tp_fail(TP_EVALUE,
                       "nothing was checked: all %lld elements or directions lie at kinks",
                       (long long)r->skipped_kinks);
    if (!(r->worst > 1))
        return TP_OK;
    char at[TP_SHAPE_TEXT];
    bool element = r->index >= 0;
    return tp_fail(TP_EVALUE,
                   "the %sgradient is wrong at %s%s: analytic %.12g, numeric %.12g, off "
                   "by %.3g where %.3g is allowed",
                   c->o.order == 2 ? "second " : "", element ? r->parameter : "a direction",
                   element ? place_text(c->wrt[c->worst]->value.shape, r->index, at) : "",
                   r->analytic, r->numeric, fabs(r->analytic - r->numeric), r->bound);
}

static tp_status run(check *c)
{
    TP_TRY(check_arguments(c));
    TP_TRY(tp_tape_new(&c->tape));
    TP_TRY(size_up(c));
    size_t bytes = block_bytes(c);
    void *block = tp_alloc_zero(bytes);
    if (block == NULL)
        return TP_ENOMEM;
    cut_block(c, block);
    int64_t at = 0;
    for (int i = 0; i < c->n; i++) {
        memcpy(c->x0 + at, tp_data(&c->wrt[i]->value),
               (size_t)tp_numel(&c->wrt[i]->value) * sizeof *c->x0);
        at += tp_numel(&c->wrt[i]->value);
    }
    tp_status s = check_f(c);
    if (s == TP_OK)
        s = analytic(c);
    if (s == TP_OK)
        s = all_probes(c);
    place(c, 0);
    tp_free(block, bytes);
    return s == TP_OK ? verdict(c) : s;
}

tp_status tp_gradcheck(tp_check_fn f, void *user, int n, tp_parameter *const *wrt,
                       tp_check_opts opts, tp_check_report *report)
{
    check c = {.f = f, .user = user, .n = n, .wrt = wrt, .o = opts};
    c.o.order = opts.order == 0 ? 1 : opts.order;
    c.o.all_up_to = opts.all_up_to == 0 ? 64 : opts.all_up_to;
    c.o.directions = opts.directions == 0 ? 16 : opts.directions;
    c.o.elements = opts.elements == 0 ? 16 : opts.elements;
    c.o.rtol = opts.rtol == 0 ? 1e-8 : opts.rtol;
    c.o.rounding = opts.rounding == 0 ? 4 : opts.rounding;
    tp_status s = run(&c);
    if (s != TP_OK)
        tp_fail_prefix("tp_gradcheck: ");
    tp_tape_free(c.tape);
    tp_tensor_free(&c.cot);
    tp_tensor_free(&c.cot2);
    if (report != NULL)
        *report = c.r;
    return s;
}
