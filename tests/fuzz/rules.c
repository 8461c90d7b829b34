/* rules.c: a sweep step by step: each rule against a difference quotient of the reference (in long double, at the
 * values the rule saw), and the sums of contributions. So an error is found where it is made, with its own
 * rounding only, whatever comes before and after. See gradients.c. */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/attrs.h"
#include "autograd/node.h"

const tp_tensor *fuzz_gradient_of(const fuzz_machine *m, int k)
{
    const fuzz_step *s = &m->program->step[k];
    if (s->op != NULL || !m->live[k] || s->entry == FUZZ_CONSTANT)
        return NULL;
    return s->entry == FUZZ_PARAMETER ? tp_parameter_grad(&m->source[k].p) : tp_leaf_grad(m->v[k]);
}

/* --- what the gradient of a node must be -------------------------------------------------------- */

typedef struct flow {
    int64_t n;
    real *sum, *size; /* Σ of the contributions, and of their absolute values */
} flow;

static void flow_add(flow *f, tp_shape to, const tp_tensor *g)
{
    if (f->sum == NULL) {
        f->n = tp_shape_numel(to);
        f->sum = calloc((size_t)f->n + 1, 2 * sizeof *f->sum);
        f->size = f->sum + f->n + 1;
    }
    for (int64_t i = 0; i < tp_numel(g); i++) {
        int64_t index[TP_MAX_DIMS];
        ref_unflatten(g->shape, i, index);
        int64_t at = ref_broadcast(to, g->shape, index);
        double value = tp_flat(g, i);
        f->sum[at] += value;
        f->size[at] += fabs(value);
    }
}

static bool flow_holds(fuzz_machine *m, const flow *f, const tp_tensor *g, int step,
                       const tp_op *op, const char *what)
{
    enum { ROUNDINGS = 64 };
    real epsilon = ref_epsilon(g->dtype), large = ref_max(g->dtype) / 1e6L;
    for (int64_t i = 0; i < tp_numel(g); i++) {
        real got = tp_flat(g, i), want = f->sum == NULL ? 0 : f->sum[i];
        real size = f->sum == NULL ? 0 : f->size[i];
        bool open = !(size < large); /* NaN too */
        if (!open && !(fabsl(got - want) <= ROUNDINGS * epsilon * (size + ref_tiny(g->dtype))))
            return fuzz_fail(m, FUZZ_SUM, step, op, "%s: element %lld is %.17Lg instead of %.17Lg",
                             what, (long long)i, got, want);
    }
    return true;
}

/* --- one rule ----------------------------------------------------------------------------------- */

typedef struct rule {
    fuzz_machine *m;
    const tp_sweep *s;
    const tp_op *op;
    ref_tensor x[FUZZ_INPUTS], moved[FUZZ_INPUTS], y, gy;
    real *d[FUZZ_INPUTS]; /* a direction to move each input in; NULL: it stays */
    const real *base;     /* f(x); NULL of an estimator, which is not what is differentiated */
    ref_call call;
    int n;
} rule;

static bool tame(const ref_tensor *x)
{
    real large = x->dtype == TP_F32 ? 1e12L : 1e60L;
    for (int64_t i = 0; i < x->n; i++)
        if (!(fabsl(x->v[i]) < large))
            return false;
    return true;
}

/* Σ gy ⊙ (f(x + h·d) − f(x)); false where that is not known. noise: how far off that may be. The reference's
 * own errors are counted in f64's ε, of which long double has a small part. */
static bool moved_value(rule *r, real h, real *value, real *noise)
{
    bool known, ok;
    ref_tensor y;
    for (int i = 0; i < r->n; i++)
        for (int64_t k = 0; k < r->x[i].n; k++)
            r->moved[i].v[k] = r->x[i].v[k] + (r->d[i] != NULL ? h * r->d[i][k] : 0);
    r->call.y = &y;
    ok = fuzz_reference(&r->call, &known) == TP_OK && known && !r->call.either && y.v != NULL;
    *value = *noise = 0;
    for (int64_t j = 0; ok && j < y.n; j++) {
        *value += r->gy.v[j] * (y.v[j] - (r->base != NULL ? r->base[j] : 0));
        *noise += fabsl(r->gy.v[j]) * (fabsl(y.v[j]) + y.e[j]);
    }
    ok = ok && isfinite(*value) && isfinite(*noise);
    ref_free(&y);
    return ok;
}

fuzz_slope fuzz_difference(bool (*f)(void *user, real h, real *value, real *noise), void *user,
                           real h)
{
    real v[5], noise, most = 0;
    fuzz_slope s = {.valid = true};
    for (int i = 0; i < 5; i++) {
        s.valid = s.valid && f(user, (real)(i - 2) * h, &v[i], &noise);
        most = s.valid && noise > most ? noise : most;
    }
    if (!s.valid)
        return s;
    real near = (v[3] - v[1]) / (2 * h), far = (v[4] - v[0]) / (4 * h);
    real bend1 = (v[3] - 2 * v[2] + v[1]) / h, bend2 = (v[4] - 2 * v[2] + v[0]) / (2 * h);
    real scale = fabsl(near) + fabsl(far) + 1e-300L;
    s.rest = fabsl(near - far);
    s.value = (4 * near - far) / 3;
    s.error = 10 * s.rest * s.rest / scale + 0x1p-58L * most / h;
    s.kink = fabsl(bend1) > 0.6L * fabsl(bend2) && fabsl(bend1) > 1e-7L * scale + s.error;
    return s;
}

static bool rule_value(void *user, real h, real *value, real *noise)
{
    return moved_value(user, h, value, noise);
}

/* How much a rule amplifies errors of what it reads: where it solves linear systems, and where it takes e to the
 * power of a result that is large. */
static real amplification(const char *name, const ref_tensor *y)
{
    bool solves = strcmp(name, "cholesky") == 0 || strcmp(name, "triangular_solve") == 0;
    bool powers = strcmp(name, "log_softmax") == 0 || strcmp(name, "logsumexp") == 0;
    real top = 0, error = 0, units = ref_epsilon(y->dtype) / ref_epsilon(TP_F64);
    for (int64_t i = 0; i < y->n; i++) {
        top = fmaxl(top, fabsl(y->v[i]));
        error = fmaxl(error, solves ? (y->e[i] - fabsl(y->v[i])) * units : y->e[i]);
    }
    return solves && top > 0 ? fmaxl(1, error / top) : powers ? 1 + error : 1;
}

/* Whether a rule subtracts what may be far larger than the difference: Σ |gy|·|d| of this is a bound. */
static real subtracted(const rule *r)
{
    const char *name = ref_name(r->op);
    real size = 0;
    if (strcmp(name, "bce_with_logits") == 0 || strcmp(name, "log_softmax") == 0)
        for (int64_t i = 0; r->d[0] != NULL && i < r->gy.n; i++)
            size += fabsl(r->gy.v[i] * r->d[0][i]);
    return size;
}

/* Uphill, so that errors cannot cancel; relative, so that the edge of a domain stays away. Returns
 * Σ contribution·d, and the sum of absolute values. */
static real choose_direction(rule *r, int i, const tp_tensor *g, real *size)
{
    real sum = 0;
    const ref_tensor *x = &r->x[i];
    bool piecewise = r->op->smooth == TP_PIECEWISE;
    r->d[i] = calloc((size_t)x->n + 1, sizeof(real));
    for (int64_t k = 0; g != NULL && k < tp_numel(g); k++) {
        int64_t index[TP_MAX_DIMS];
        ref_unflatten(g->shape, k, index);
        r->d[i][ref_broadcast(x->shape, g->shape, index)] += tp_flat(g, k);
    }
    for (int64_t k = 0; k < x->n; k++) {
        real slope_k = r->d[i][k], u = fuzz_uniform(r->s->at, (uint64_t)(k + i));
        real near = x->v[k] != 0 ? fminl(fabsl(x->v[k]), 1) : piecewise ? 0 : 0.1L;
        bool moves = near > 0 && fabsl(x->v[k]) < 0x1p44L; /* else h·d is lost in x + h·d */
        real length = moves ? ldexpl(1, ilogbl(near) - (u < 0.5L)) : 0; /* exact in x + h·d */
        bool up = slope_k != 0 && !isnan(slope_k) ? slope_k > 0 : u > 0.25L;
        r->d[i][k] = up ? length : -length;
        sum += slope_k * r->d[i][k];
    }
    for (int64_t k = 0; g != NULL && k < tp_numel(g); k++) {
        int64_t index[TP_MAX_DIMS];
        ref_unflatten(g->shape, k, index);
        *size += fabsl(tp_flat(g, k) * r->d[i][ref_broadcast(x->shape, g->shape, index)]);
    }
    return sum;
}

/* f(x + h·d); without elements where that is not known. */
static ref_tensor moved_result(rule *r, real h)
{
    bool known;
    ref_tensor y = {0};
    for (int i = 0; i < r->n; i++)
        for (int64_t k = 0; k < r->x[i].n; k++)
            r->moved[i].v[k] = r->x[i].v[k] + (r->d[i] != NULL ? h * r->d[i][k] : 0);
    r->call.y = &y;
    fuzz_reference(&r->call, &known);
    return y;
}

/* Σ_j |gy_j (J·d)_j|: what cancels in the result. */
static real moved_size(rule *r)
{
    const real h = 0x1p-15L;
    ref_tensor y[2] = {moved_result(r, -h), moved_result(r, h)};
    real size = 0;
    for (int64_t j = 0; y[0].v != NULL && y[1].v != NULL && j < y[0].n; j++)
        size += fabsl(r->gy.v[j] * (y[1].v[j] - y[0].v[j])) / (2 * h);
    ref_free(&y[0]);
    ref_free(&y[1]);
    return size;
}

/* Whether an element of the result has a kink that matters by least: the kinks of several may cancel in their sum,
 * which then looks smooth. The slopes differ by as much at h as at 2h; without a kink by half as much. *kinked becomes
 * true if there is one that no gradient reaches, or may be where 0 was not moved. */
static bool element_bends(rule *r, real least, bool *kinked)
{
    const real h = 0x1p-15L;
    ref_tensor y[5];
    bool known = true, bends = false;
    for (int k = 0; k < 5; k++) {
        y[k] = moved_result(r, (real)(k - 2) * h);
        known = known && y[k].v != NULL && y[k].n == y[0].n;
    }
    for (int64_t j = 0; known && j < y[0].n; j++) {
        real near = fabsl(y[3].v[j] - 2 * y[2].v[j] + y[1].v[j]) / h;
        real far = fabsl(y[4].v[j] - 2 * y[2].v[j] + y[0].v[j]) / (2 * h);
        real slope = fabsl(y[3].v[j] - y[1].v[j]) / (2 * h);
        *kinked |= near > 0.6L * far && near > 1e-7L * slope;
        bends |= near > 0.6L * far && fabsl(r->gy.v[j]) * near > least;
    }
    for (int k = 0; k < 5; k++)
        ref_free(&y[k]);
    for (int i = 0; i < r->n; i++)
        for (int64_t k = 0; r->d[i] != NULL && k < r->x[i].n; k++)
            *kinked |= r->x[i].v[k] == 0;
    return bends;
}

/* Between equal bounds clamp is constant, but its gradient at that one point is 1: no difference shows it. */
static bool one_point(const rule *r)
{
    const tp_range_attr *a = r->call.attr;
    return r->op == &tp_op_clamp && a->lo == a->hi;
}

static bool check_rule(rule *r, int step)
{
    fuzz_counts *counts = &r->m->shared->counts;
    const tp_node *node = tp_node_at(r->m->tape, r->s->at);
    real got = 0, size = 0, amplified = amplification(ref_name(r->op), &r->y);
    for (int i = 0; i < r->n; i++) {
        tp_var g = r->s->contribution[i];
        bool asked = tp_node_at(r->m->tape, node->x[i])->wanted && !fuzz_fixed_input(r->op, i);
        if (asked)
            got += choose_direction(r, i, g.id == 0 ? NULL : tp_value(g), &size);
    }
    fuzz_slope s = fuzz_difference(rule_value, r, 0x1p-15L);
    counts->rules++;
    counts->fused += r->s->fused;
    size = (isnan(size) ? 0 : size) + moved_size(r) + subtracted(r);
    size += 1e6L * ref_tiny(r->y.dtype);
    s.kink |= s.rest > 1e-7L * size || one_point(r);
    bool piecewise = r->op->smooth == TP_PIECEWISE && s.valid;
    if (piecewise && (element_bends(r, 1e-7L * size + s.error, &r->m->kinked) || s.kink)) {
        r->m->kinked = true;
        counts->rule_kinks++;
        return true;
    }
    if (!s.valid || amplified > 1e4L || fabsl(s.value) > ref_max(r->y.dtype) / 1e6L) {
        counts->rule_skipped++;
        return true;
    }
    real roundings = 256 + (real)(r->y.n > r->x[0].n ? r->y.n : r->x[0].n) / 16;
    real rounding = roundings * amplified * amplified * ref_epsilon(r->y.dtype) * size;
    real bound = rounding + s.error;
    if (!(fabsl(got - s.value) <= bound) && r->op->smooth == TP_PIECEWISE) {
        /* a kink too weak to be called one may lie between the points: closer ones leave it out */
        s = fuzz_difference(rule_value, r, 0x1p-24L);
        bound = rounding + s.error;
    }
    if (fabsl(got - s.value) <= bound)
        return true;
    return fuzz_fail(r->m, FUZZ_RULE, step, r->op,
                     "%s rule of node %u gives slope %.17Lg along a direction, the reference "
                     "%.17Lg; bound %.3Lg",
                     r->s->fused ? "fused" : "composed", r->s->at, got, s.value, bound);
}

/* Sets up the rule of the node the sweep is at; false if its values are beyond comparison. */
static bool rule_begin(rule *r, fuzz_machine *m, const tp_sweep *s)
{
    const tp_node *node = tp_node_at(m->tape, s->at);
    bool ok = node->n <= FUZZ_INPUTS, known;
    *r = (rule){.m = m, .s = s, .op = node->op, .n = ok ? node->n : 0};
    for (int i = 0; i < r->n; i++) {
        r->x[i] = ref_read(&tp_node_at(m->tape, node->x[i])->value);
        r->moved[i] = ref_read(&tp_node_at(m->tape, node->x[i])->value);
        ok &= r->x[i].v != NULL && tame(&r->x[i]);
    }
    r->gy = ref_read(tp_value(s->gy));
    r->call = (ref_call){.op = node->op, .n = r->n, .x = r->moved, .attr = node->attr, .y = &r->y};
    ok = ok && r->gy.v != NULL && tame(&r->gy);
    ok = ok && fuzz_reference(&r->call, &known) == TP_OK && known && !r->call.either;
    ok = ok && r->y.v != NULL && tame(&r->y);
    for (int64_t i = 0; ok && i < r->y.n; i++)
        ok =
            r->y.e[i] < ref_max(r->y.dtype) / 8; /* else something on the way may have overflowed */
    r->call.surrogate = node->op->smooth == TP_ESTIMATOR; /* from here on, where inputs are moved */
    r->base = r->call.surrogate ? NULL : r->y.v;
    return ok;
}

static void rule_end(rule *r)
{
    for (int i = 0; i < r->n; i++) {
        ref_free(&r->x[i]);
        ref_free(&r->moved[i]);
        free(r->d[i]);
    }
    ref_free(&r->y);
    ref_free(&r->gy);
}

/* The step of the program that made a node; -1 for those of the loss or of rules. */
static int step_of(const fuzz_machine *m, uint32_t id)
{
    for (int k = 0; k < m->program->count; k++)
        if (m->live[k] && m->v[k].id == id)
            return k;
    return -1;
}

static bool check_step(fuzz_machine *m, const tp_sweep *s, flow *flows)
{
    const tp_node *node = tp_node_at(m->tape, s->at);
    int step = step_of(m, s->at);
    rule r;
    if (!flow_holds(m, &flows[s->at], tp_value(s->gy), step, node->op, "the cotangent"))
        return false;
    bool ok = true;
    if (rule_begin(&r, m, s)) {
        for (int64_t i = 0; i < r.y.n && ok; i++) {
            bool decided;
            double got = tp_flat(&node->value, i);
            if (!fuzz_close(got, r.y.v[i], r.y.e[i], r.y.dtype, &decided))
                ok = fuzz_fail(m, FUZZ_VALUE, step, node->op,
                               "node %u: element %lld is %.17g instead of %.17Lg", s->at,
                               (long long)i, got, r.y.v[i]);
        }
        ok = ok && check_rule(&r, step);
    } else {
        m->shared->counts.rule_skipped++;
    }
    rule_end(&r);
    for (int i = 0; i < s->n && ok; i++)
        if (s->contribution[i].id != 0 && tp_node_at(m->tape, node->x[i])->wanted)
            flow_add(&flows[node->x[i]], tp_node_at(m->tape, node->x[i])->value.shape,
                     tp_value(s->contribution[i]));
    return ok;
}

/* Goes backward from loss, checking every step. *cancels: the largest Σ |gradient ⊙ value| of a node. */
bool fuzz_checked_sweep(fuzz_machine *m, tp_var loss, tp_sweep_opts opts, bool *fused,
                        real *cancels)
{
    uint32_t nodes = tp_tape_length(m->tape) + 1;
    flow *flows = calloc(nodes, sizeof *flows);
    tp_sweep s = tp_sweep_begin(loss, opts);
    bool ok = s.tape != NULL && s.status == TP_OK;
    if (ok)
        flow_add(&flows[loss.id], TP_SHAPE(), tp_value(tp_sweep_grad(&s, loss)));
    while (ok && tp_sweep_next(&s)) {
        ok = check_step(m, &s, flows);
        *fused |= s.fused;
    }
    tp_status status = tp_sweep_end(&s);
    if (status != TP_OK && m->shared->failure.kind == FUZZ_NONE)
        ok = fuzz_fail(m, FUZZ_BACKWARD, -1, NULL, "%s", tp_last_error());
    for (int k = 0; k < m->program->count && ok; k++) {
        const tp_tensor *g = fuzz_gradient_of(m, k);
        if (g != NULL)
            ok = flow_holds(m, &flows[m->v[k].id], g, k, NULL, "the gradient of a source");
        const tp_tensor *v = m->live[k] ? tp_value(m->v[k]) : NULL;
        if (ok && m->live[k] && (v == NULL || fuzz_hash(v) != m->hash[k]))
            ok = fuzz_fail(m, FUZZ_BACKWARD, k, NULL, "backward changed a value");
        real sum = 0;
        for (int64_t i = 0; ok && m->live[k] && i < flows[m->v[k].id].n; i++)
            sum += fabsl(flows[m->v[k].id].size[i] * tp_flat(v, i));
        *cancels = sum > *cancels ? sum : *cancels;
    }
    for (uint32_t i = 0; i < nodes; i++)
        free(flows[i].sum);
    free(flows);
    return ok;
}
