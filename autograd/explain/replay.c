/* replay.c: a step again, on a private tape. Values are only looked at there: the user's tape is not
 * recorded on and does not fail. Read next: explain.c. */
#include "autograd/explain/replay.h"

#include <math.h>
#include <string.h>

/* --- the private tape --------------------------------------------------------------------------- */

tp_status tp_replay_begin(tp_replay *r, const tp_tape *from, uint32_t id, const tp_tensor *upstream)
{
    *r = (tp_replay){.from = from, .id = id, .node = tp_node_at(from, id), .upstream = upstream};
    TP_TRY(tp_tape_new(&r->tape));
    r->tape->rule_hook = from->rule_hook; /* a rule that is broken there is broken here */
    r->tape->rule_hook_user = from->rule_hook_user;
    return TP_OK;
}

void tp_replay_end(tp_replay *r)
{
    tp_tape_truncate(r->tape, 1); /* one by one, because values of the other tape are counted */
    tp_tape_free(r->tape);
}

/* Forgets a failure: what it spoiled was reported, and the next thing to try may work. */
static tp_status take_failure(tp_tape *p)
{
    tp_status status = p->status;
    p->status = TP_OK;
    return status;
}

/* A node of another tape on p: looked at if its value is there, else computed from copy[] of its inputs. */
static tp_var borrow_one(tp_tape *p, const tp_tape *from, uint32_t id, const tp_var *copy)
{
    const tp_node *node = tp_node_at(from, id);
    if (!node->freed)
        return tp_constant(p, &node->value);
    if (node->op == NULL)
        return tp_tape_poison(p, tp_fail(TP_EFREED, "the value of #%u was released", id));
    tp_var *x = tp_arena_alloc(&p->arena, ((size_t)node->n + 1) * sizeof *x);
    if (x == NULL)
        return tp_tape_poison(p, TP_ENOMEM);
    for (int i = 0; i < node->n; i++)
        x[i] = copy[node->x[i]];
    return tp_apply_on(p, node->op, node->n, x, node->attr);
}

/* The same with all that it needs, each node once: those that have a tape are needed. */
static tp_var borrow(tp_tape *p, const tp_tape *from, uint32_t id)
{
    if (id == 0)
        return tp_tape_poison(p, tp_fail(TP_EFREED, "there is no value"));
    if (!tp_node_at(from, id)->freed)
        return tp_constant(p, &tp_node_at(from, id)->value);
    size_t bytes = ((size_t)id + 1) * sizeof(tp_var);
    tp_var *copy = tp_arena_alloc(&p->arena, bytes);
    if (copy == NULL)
        return tp_tape_poison(p, TP_ENOMEM);
    memset(copy, 0, bytes);
    copy[id].tape = p;
    for (uint32_t k = id; k > 0; k--) {
        const tp_node *node = tp_node_at(from, k);
        for (int i = 0; i < node->n && copy[k].tape != NULL && node->freed; i++)
            copy[node->x[i]].tape = p;
    }
    for (uint32_t k = 1; k <= id; k++)
        if (copy[k].tape != NULL)
            copy[k] = borrow_one(p, from, k, copy);
    return copy[id];
}

tp_status tp_replay_value(const tp_replay *r, uint32_t id, tp_tensor *value)
{
    const tp_tensor *v = tp_value(borrow(r->tape, r->from, id));
    if (v != NULL)
        *value = *v;
    return take_failure(r->tape);
}

/* --- the step in f64 ---------------------------------------------------------------------------- */

/* A contiguous f64 copy in the tape's arena. */
static tp_status copy_f64(tp_tape *p, const tp_tensor *x, tp_tensor *y)
{
    TP_TRY(tp_arena_tensor(&p->arena, y, TP_F64, x->shape));
    return tp_copy(y, x);
}

static tp_var replay_op(const tp_replay *r)
{
    return tp_apply_on(r->tape, r->node->op, r->node->n, r->x, r->node->attr);
}

/* The function whose derivative the rule gives. */
static tp_var replay_function(const tp_replay *r)
{
    const tp_op *op = r->node->op;
    return op->surrogate == NULL ? replay_op(r)
                                 : op->surrogate(r->tape, r->node->n, r->x, r->node->attr);
}

static tp_status prepare(tp_replay *r)
{
    tp_tape *p = r->tape;
    size_t n = (size_t)r->node->n;
    r->x = tp_arena_alloc(&p->arena, 2 * n * sizeof *r->x);
    r->value = tp_arena_alloc(&p->arena, n * sizeof *r->value);
    uint32_t *ids = tp_arena_alloc(&p->arena, (4 * n + 2) * sizeof *ids);
    if (r->x == NULL || r->value == NULL || ids == NULL)
        return TP_ENOMEM;
    r->gx = r->x + n;
    memset(r->gx, 0, n * sizeof *r->gx);
    r->first = ids, r->last = ids + n;
    for (size_t i = 0; i < n; i++) {
        const tp_node *in = tp_node_at(r->from, r->node->x[i]);
        r->x[i] = borrow(p, r->from, r->node->x[i]); /* its value may have been dropped */
        if (!tp_dtype_is_float(in->value.dtype))
            continue;
        TP_TRY(tp_var_status(r->x[i]));
        TP_TRY(copy_f64(p, tp_value(r->x[i]), &r->value[i]));
        r->x[i] = tp_leaf(p, &r->value[i]);
    }
    tp_tensor *gy = tp_arena_alloc(&p->arena, sizeof *gy);
    if (gy == NULL)
        return TP_ENOMEM;
    TP_TRY(copy_f64(p, r->upstream, gy));
    r->y = replay_op(r), r->gy = tp_constant(p, gy);
    uint32_t *from = ids + 2 * n, *to = from + n + 1;
    for (size_t i = 0; i <= n; i++) {
        from[i] = i < n ? r->x[i].id : r->y.id;
        to[i] = i < n ? r->node->x[i] : r->id;
    }
    r->alias = (tp_alias){r->from, (int)n + 1, from, to};
    for (size_t i = 0; i < n; i++) {
        r->first[i] = p->count;
        if (tp_node_at(r->from, r->node->x[i])
                ->wanted) /* with a graph: then no fused rule is taken */
            TP_TRY(tp_grad(1, &r->y, 1, &r->x[i], &r->gx[i],
                           (tp_grad_opts){&r->gy, .create_graph = true, .allow_unused = true}));
        r->last[i] = p->count;
    }
    return p->status;
}

tp_status tp_replay_rule(tp_replay *r)
{
    if (!r->ready) {
        r->ready = true;
        r->status = prepare(r);
        take_failure(r->tape);
    }
    return r->status;
}

/* --- the Jacobian that is never built otherwise ---------------------------------------------------- */

/* A tensor of that shape, 0 but for element at. */
static tp_status unit(tp_tape *p, tp_shape shape, int64_t at, tp_tensor *e)
{
    TP_TRY(tp_arena_tensor(&p->arena, e, TP_F64, shape));
    tp_fill(e, 0);
    return tp_set_flat(e, at, 1);
}

static tp_status jacobian(tp_replay *r, int i, tp_tensor *out)
{
    TP_TRY(tp_replay_rule(r));
    int64_t rows = tp_numel(tp_value(r->y)), columns = tp_numel(&r->value[i]);
    TP_TRY(tp_arena_tensor(&r->tape->arena, out, TP_F64, TP_SHAPE(rows, columns)));
    double *at = tp_data_mut(out);
    for (int64_t o = 0; o < rows; o++) {
        tp_tensor e, row;
        tp_var g;
        TP_TRY(unit(r->tape, tp_shape_of(r->y), o, &e));
        tp_var gy = tp_constant(r->tape, &e);
        TP_TRY(tp_grad(1, &r->y, 1, &r->x[i], &g,
                       (tp_grad_opts){&gy, .create_graph = true, .allow_unused = true}));
        TP_TRY(copy_f64(r->tape, tp_value(g), &row));
        const double *from = tp_data(&row);
        for (int64_t k = 0; k < columns; k++)
            at[o * columns + k] = from[k] + 0.0; /* no −0 */
    }
    return TP_OK;
}

tp_status tp_replay_jacobian(tp_replay *r, int i, tp_tensor *out)
{
    tp_status status = jacobian(r, i, out);
    take_failure(r->tape);
    return status;
}

/* The rule is linear in the upstream gradient u, and its matrix is the transposed Jacobian: the gradient of
 * element at of what it gives, with respect to u, is the column. */
static tp_status column(tp_replay *r, int i, int64_t at, tp_tensor *out)
{
    tp_tensor e;
    tp_var g, c;
    TP_TRY(tp_replay_rule(r));
    tp_tensor *u = tp_arena_alloc(&r->tape->arena, sizeof *u);
    if (u == NULL)
        return TP_ENOMEM;
    TP_TRY(copy_f64(r->tape, tp_value(r->gy), u));
    tp_var gy = tp_leaf(r->tape, u);
    TP_TRY(tp_grad(1, &r->y, 1, &r->x[i], &g,
                   (tp_grad_opts){&gy, .create_graph = true, .allow_unused = true}));
    TP_TRY(unit(r->tape, tp_shape_of(g), at, &e));
    tp_var which = tp_constant(r->tape, &e);
    TP_TRY(tp_grad(1, &g, 1, &gy, &c, (tp_grad_opts){&which, .allow_unused = true}));
    return copy_f64(r->tape, tp_value(c), out);
}

tp_status tp_replay_column(tp_replay *r, int i, int64_t at, tp_tensor *out)
{
    tp_status status = column(r, i, at, out);
    take_failure(r->tape);
    return status;
}

/* --- finite differences ------------------------------------------------------------------------- */

/* y with input i moved by h along d */
static tp_status moved(const tp_replay *r, int i, const tp_tensor *d, double h, tp_tensor *to)
{
    tp_tensor x;
    TP_TRY(copy_f64(r->tape, &r->value[i], &x));
    double *at = tp_data_mut(&x);
    const double *step = tp_data(d);
    for (int64_t k = 0; k < tp_numel(&x); k++)
        at[k] += h * step[k];
    tp_var keep = r->x[i];
    r->x[i] = tp_constant(r->tape, &x);
    const tp_tensor *y = tp_value(replay_function(r));
    r->x[i] = keep;
    return y == NULL ? take_failure(r->tape) : copy_f64(r->tape, y, to);
}

/* Σ w ⊙ (a − b); b may be NULL. With size, Σ |w ⊙ (a − b)|. */
static double weighted(const tp_tensor *w, const tp_tensor *a, const tp_tensor *b, double *size)
{
    const double *pw = tp_data(w), *pa = tp_data(a), *pb = b == NULL ? NULL : tp_data(b);
    double sum = 0, all = 0;
    for (int64_t k = 0; k < tp_numel(w); k++) {
        double term = pw[k] * (pb == NULL ? pa[k] : pa[k] - pb[k]);
        sum += term;
        all += fabs(term);
    }
    if (size != NULL)
        *size = all;
    return sum;
}

typedef struct quotient {
    double rule, difference, error, bound; /* along the direction; errors relative to Σ|g ⊙ d| */
    bool valid, ok, kink;
    tp_status status; /* TP_ENOMEM: nothing was found for want of memory */
} quotient;

/* Compares the gradient g of input i with a central difference of step h along d. */
static quotient compare(const tp_replay *r, int i, const tp_tensor *d, const tp_tensor *g, double h)
{
    enum { ROUNDINGS = 4 };
    const double tolerance = 1e-6, epsilon = 0x1p-52;
    const tp_tensor *gy = tp_value(r->gy);
    quotient f = {.error = NAN};
    tp_tensor lo, mid, hi;
    if ((f.status = moved(r, i, d, -h, &lo)) != TP_OK ||
        (f.status = moved(r, i, d, 0, &mid)) != TP_OK ||
        (f.status = moved(r, i, d, h, &hi)) != TP_OK)
        return f;
    double scale, size;
    double left = weighted(gy, &mid, &lo, NULL) / h;
    double right = weighted(gy, &hi, &mid, NULL) / h;
    f.difference = weighted(gy, &hi, &lo, NULL) / (2 * h);
    f.rule = weighted(d, g, NULL, &scale);
    weighted(gy, &mid, NULL, &size);
    double off = fabs(f.rule - f.difference), noise = ROUNDINGS * epsilon * size / h;
    scale = fmax(scale, fabs(f.difference));
    f.error = off == 0 ? 0 : off / scale;
    f.bound = scale > 0 ? tolerance + noise / scale : tolerance;
    f.ok = off <= tolerance * scale + noise;
    f.kink = fabs(right - left) > 1e-3 * scale + noise;
    f.valid = isfinite(f.difference);
    return f;
}

/* A random direction that goes uphill by g in every element, so that an error cannot cancel; small beside
 * the input's elements, so that the edge of the domain stays away. */
static tp_status direction(const tp_replay *r, int i, const tp_tensor *g, tp_tensor *d)
{
    TP_TRY(tp_arena_tensor(&r->tape->arena, d, TP_F64, r->value[i].shape));
    TP_TRY(tp_random_uniform(d, (tp_rng_key){.seed = 1, .draw = (uint32_t)i}));
    double *at = tp_data_mut(d);
    const double *x = tp_data(&r->value[i]), *pg = tp_data(g);
    for (int64_t k = 0; k < tp_numel(d); k++) {
        bool up = pg[k] != 0 ? pg[k] > 0 : at[k] > 0.5;
        at[k] = (up ? 1 : -1) * (0.5 + at[k] / 2) * fmax(fabs(x[k]), 0.1);
    }
    return TP_OK;
}

/* How far the shown numbers are from g. A fused kernel that disagrees with its rule is found here. Relative
 * to the cotangent where that is larger, because f32 loses small differences. */
static double shown_error(const tp_replay *r, const tp_tensor *shown, const tp_tensor *g)
{
    const tp_tensor *gy = tp_value(r->gy);
    const double *pg = tp_data(g), *pgy = tp_data(gy);
    double worst = 0, scale = 0;
    for (int64_t k = 0; k < tp_numel(g); k++) {
        double off = fabs(tp_flat(shown, k) - pg[k]);
        worst = isnan(off) || off > worst ? off : worst;
        scale = fmax(scale, fabs(pg[k]));
    }
    for (int64_t k = 0; k < tp_numel(gy); k++)
        scale = fmax(scale, fabs(pgy[k]));
    return worst == 0 ? 0 : worst / scale;
}

static tp_status check(tp_replay *r, int i, const tp_tensor *shown, tp_finding *out)
{
    TP_TRY(tp_replay_rule(r));
    tp_tensor g, d;
    quotient q = {0};
    TP_TRY(copy_f64(r->tape, tp_value(r->gx[i]), &g));
    TP_TRY(direction(r, i, &g, &d));
    for (int k = 0; k < 3 && !q.ok && q.status != TP_ENOMEM; k++)
        q = compare(r, i, &d, &g, ldexp(1, -17 - 6 * k));
    if (q.status == TP_ENOMEM)
        return TP_ENOMEM;
    double shift = shown == NULL ? 0 : shown_error(r, shown, &g);
    bool same = shift < (shown != NULL && shown->dtype == TP_F32 ? 1e-3 : 1e-7);
    *out = (tp_finding){.verdict = q.ok && same ? TP_AGREES : TP_DIFFERS,
                        .error = q.error,
                        .bound = q.bound,
                        .rule = q.rule,
                        .difference = q.difference,
                        .shift = q.ok && !same ? shift : 0,
                        .surrogate = r->node->op->surrogate != NULL};
    if (!q.valid)
        *out = (tp_finding){.why = "at the edge of the domain"};
    else if (!q.ok && q.kink && r->node->op->smooth != TP_SMOOTH)
        *out = (tp_finding){.why = "at a kink"};
    return TP_OK;
}

tp_status tp_replay_check(tp_replay *r, int i, const tp_tensor *shown, tp_finding *f)
{
    *f = (tp_finding){.why = "an estimator without a surrogate"};
    if (r->node->op->smooth == TP_ESTIMATOR && r->node->op->surrogate == NULL)
        return TP_OK;
    tp_status status = check(r, i, shown, f);
    if (status != TP_OK)
        *f = (tp_finding){.why = tp_status_meaning(status)};
    if (status == TP_ENOMEM)
        tp_fail_prefix("checking %s: ", r->node->op->name);
    take_failure(r->tape);
    return status == TP_ENOMEM ? status : TP_OK;
}
