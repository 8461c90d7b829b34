/* gradients.c: a program backward: every step by itself (rules.c), then the whole: the same bits again, with release
 * and on two threads; the gradient of the gradient; one difference quotient of the whole program. See fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/compose.h"
#include "autograd/node.h"
#include "tensor/parallel.h"

/* --- the scalar --------------------------------------------------------------------------------- */

tp_status fuzz_weight(tp_tensor *w, tp_dtype dtype, tp_shape shape, int k)
{
    TP_TRY(tp_tensor_new(w, dtype, shape));
    for (int64_t i = 0; i < tp_numel(w); i++) {
        double u = fuzz_uniform((uint64_t)k, (uint64_t)i);
        TP_TRY(tp_set_flat(w, i, u < 0.5 ? -0.5 - 2 * u : 2 * u - 0.5));
    }
    return TP_OK;
}

bool fuzz_choose_sinks(fuzz_machine *m)
{
    bool used[FUZZ_STEPS] = {false}, found = false;
    tp_dtype dtype = TP_F32;
    for (int k = 0; k < m->program->count; k++)
        for (int i = 0; i < m->program->step[k].n && m->live[k]; i++)
            used[m->program->step[k].x[i]] = true;
    for (int k = m->program->count - 1; k >= 0; k--) {
        bool fits =
            m->live[k] && m->program->step[k].op != NULL && !used[k] && tp_needs_grad(m->v[k]);
        if (!fits || (found && tp_dtype_of(m->v[k]) != dtype))
            continue;
        dtype = tp_dtype_of(m->v[k]);
        m->sink[k] = m->shared->sink[k] = found = true;
        if (fuzz_weight(&m->weight[k], dtype, tp_shape_of(m->v[k]), k) != TP_OK)
            return false;
    }
    return found;
}

tp_var fuzz_loss(fuzz_machine *m)
{
    tp_var loss = {0};
    for (int k = 0; k < m->program->count; k++)
        if (m->sink[k]) {
            tp_var w = tp_constant(m->tape, &m->weight[k]);
            tp_var part = tp_sum(tp_mul(m->v[k], w), TP_ALL_AXES, false);
            loss = loss.tape == NULL ? part : tp_add(loss, part);
        }
    return loss;
}

static void forget_gradients(fuzz_machine *m)
{
    for (int k = 0; k < m->program->count; k++)
        if (m->source[k].p.name != NULL)
            tp_zero_grad(&m->source[k].p);
}

/* --- the whole ---------------------------------------------------------------------------------- */

/* Records anew and goes backward; the gradients must have the bits in hash, or are written there. */
static bool repeat(fuzz_machine *m, tp_sweep_opts opts, fuzz_kind kind, bool write, uint64_t *hash)
{
    forget_gradients(m);
    if (!fuzz_record(m, kind))
        return false;
    if (tp_backward_opts(fuzz_loss(m), opts) != TP_OK)
        return fuzz_fail(m, FUZZ_BACKWARD, -1, NULL, "%s", tp_last_error());
    for (int k = 0; k < m->program->count; k++) {
        const tp_tensor *g = fuzz_gradient_of(m, k);
        uint64_t h = g == NULL ? 0 : fuzz_hash(g);
        if (!write && h != hash[k])
            return fuzz_fail(m, kind, k, NULL, "the gradient of this source");
        hash[k] = h;
    }
    return true;
}

/* The gradient of Σ w ⊙ gradient, each step of its sweep checked. */
static bool second_order(fuzz_machine *m)
{
    tp_var x[FUZZ_STEPS], g[FUZZ_STEPS], total = {0};
    tp_tensor w[FUZZ_STEPS] = {{0}};
    int n = 0;
    bool ok = fuzz_record(m, FUZZ_REPLAY), fused = false;
    real cancels = 0;
    forget_gradients(m);
    tp_var loss = fuzz_loss(m);
    for (int k = 0; k < m->program->count && ok; k++)
        if (m->program->step[k].op == NULL && m->live[k] && tp_needs_grad(m->v[k]) &&
            tp_dtype_of(m->v[k]) == tp_dtype_of(loss))
            x[n++] = m->v[k];
    if (ok && tp_grad(1, &loss, n, x, g,
                      (tp_grad_opts){.create_graph = true, .allow_unused = true}) != TP_OK)
        ok = fuzz_fail(m, FUZZ_BACKWARD, -1, NULL, "create_graph: %s", tp_last_error());
    for (int i = 0; i < n && ok; i++) {
        fuzz_weight(&w[i], tp_dtype_of(g[i]), tp_shape_of(g[i]), i);
        tp_var part = tp_sum(tp_mul(g[i], tp_constant(m->tape, &w[i])), TP_ALL_AXES, false);
        total = total.tape == NULL ? part : tp_add(total, part);
    }
    if (ok && n > 0 && tp_needs_grad(total)) {
        m->shared->counts.graphs++;
        ok = fuzz_checked_sweep(m, total, (tp_sweep_opts){.composed = true}, &fused, &cancels);
    }
    tp_tape_reset(m->tape);
    for (int i = 0; i < n; i++)
        tp_tensor_free(&w[i]);
    return ok;
}

/* --- one difference quotient of it all ---------------------------------------------------------- */

static bool chain_step(const fuzz_program *p, int k, const ref_tensor *base, const real *shift,
                       real h, ref_tensor *v)
{
    const fuzz_step *s = &p->step[k];
    bool known;
    if (base[k].v != NULL) {
        v[k] = ref_new(base[k].dtype, base[k].shape);
        for (int64_t i = 0; i < v[k].n; i++)
            v[k].v[i] = base[k].v[i] + (shift != NULL ? h * shift[i] : 0);
    } else if (s->op == NULL) {
        return false;
    } else {
        ref_tensor x[FUZZ_INPUTS];
        ref_call c = {.op = s->op, .n = s->n, .x = x, .attr = s->attr.bytes, .y = &v[k]};
        for (int i = 0; i < s->n; i++)
            x[i] = v[s->x[i]];
        if (fuzz_reference(&c, &known) != TP_OK || c.either || !known)
            return false;
    }
    for (int64_t i = 0; i < v[k].n; i++)
        if (!(fabsl(v[k].v[i]) < 1e6L) || isnan(v[k].e[i]))
            return false;
    return true;
}

bool fuzz_chain(const fuzz_program *p, const bool *needed, const ref_tensor *base,
                real *const *shift, real h, ref_tensor *v)
{
    bool ok = true;
    memset(v, 0, FUZZ_STEPS * sizeof *v);
    for (int k = 0; k < p->count && ok; k++)
        ok = !needed[k] || chain_step(p, k, base, shift[k], h, v);
    return ok;
}

void fuzz_chain_free(ref_tensor *v)
{
    for (int k = 0; k < FUZZ_STEPS; k++)
        ref_free(&v[k]);
}

typedef struct whole {
    fuzz_machine *m;
    ref_tensor base[FUZZ_STEPS]; /* sources, and what passes no gradient: constants to backward */
    bool needed[FUZZ_STEPS];     /* for a sink */
    real *shift[FUZZ_STEPS];
} whole;

static bool whole_value(void *user, real h, real *value, real *noise)
{
    whole *w = user;
    ref_tensor v[FUZZ_STEPS];
    bool ok = fuzz_chain(w->m->program, w->needed, w->base, w->shift, h, v);
    *value = 0;
    for (int k = 0; k < w->m->program->count && ok; k++)
        for (int64_t i = 0; w->m->sink[k] && i < v[k].n; i++)
            *value += v[k].v[i] * tp_flat(&w->m->weight[k], i);
    *noise = 1 + fabsl(*value);
    fuzz_chain_free(v);
    return ok;
}

/* Fills in the base. False for what a difference quotient cannot judge: f32, steps without a reference,
 * estimators, and gradients lost by intention. */
static bool whole_begin(whole *w)
{
    const fuzz_program *p = w->m->program;
    bool ok = true;
    for (int k = p->count - 1; k >= 0 && ok; k--) {
        const fuzz_step *s = &p->step[k];
        w->needed[k] |= w->m->sink[k];
        if (!w->needed[k])
            continue;
        if (s->op == NULL || s->op->smooth == TP_NO_GRADIENT) {
            w->base[k] = ref_read(tp_value(w->m->v[k]));
            continue;
        }
        ok = !fuzz_is_composition(s->op) && s->op->smooth != TP_ESTIMATOR &&
             tp_dtype_of(w->m->v[k]) == TP_F64;
        for (int i = 0; i < s->n; i++) {
            ok = ok && !(fuzz_fixed_input(s->op, i) && tp_needs_grad(w->m->v[s->x[i]]));
            w->needed[s->x[i]] = true;
        }
    }
    return ok;
}

/* The gradients that are there against one difference quotient along a random direction. */
static bool check_whole(fuzz_machine *m, real cancels)
{
    whole w = {.m = m};
    real got = 0, size = 0;
    fuzz_counts *counts = &m->shared->counts;
    for (int k = 0; k < m->program->count; k++) {
        const tp_tensor *g = fuzz_gradient_of(m, k), *x = m->live[k] ? tp_value(m->v[k]) : NULL;
        if (g == NULL)
            continue;
        w.shift[k] = calloc((size_t)tp_numel(g) + 1, sizeof(real));
        for (int64_t i = 0; i < tp_numel(g); i++) { /* what shares memory moves together */
            uint64_t place = (uint64_t)fuzz_place(x, i);
            real u = fuzz_uniform(m->program->seed + (uint64_t)k, place) - 0.5L, at = tp_flat(x, i);
            w.shift[k][i] = 2 * u * (at != 0 ? fabsl(at) : 0.1L);
            got += tp_flat(g, i) * w.shift[k][i];
            size += fabsl(tp_flat(g, i) * w.shift[k][i]);
        }
    }
    fuzz_slope s = {0};
    if (whole_begin(&w) && isfinite(size) && cancels <= 1e4L * size)
        s = fuzz_difference(whole_value, &w, 0x1p-15L);
    fuzz_chain_free(w.base);
    for (int k = 0; k < m->program->count; k++)
        free(w.shift[k]);
    if (m->kinked || !s.valid || s.kink || s.rest > 1e-7L * size || s.error > 1e-6L * size) {
        counts->gradient_skipped++;
        return true;
    }
    counts->gradients++;
    if (fabsl(got - s.value) <= 1e-8L * (size + cancels) + 10 * s.error)
        return true;
    return fuzz_fail(m, FUZZ_GRADIENT, -1, NULL, "along a direction %.17Lg, the difference %.17Lg",
                     got, s.value);
}

bool fuzz_gradients(fuzz_machine *m)
{
    uint64_t hash[FUZZ_STEPS] = {0};
    bool fused = false, unused = false;
    real cancels = 0;
    m->kinked = false;
    if (!fuzz_choose_sinks(m)) {
        m->shared->counts.no_gradient++;
        return true;
    }
    if (!fuzz_checked_sweep(m, fuzz_loss(m), (tp_sweep_opts){0}, &fused, &cancels))
        return false;
    if (fused) {
        forget_gradients(m);
        if (!fuzz_record(m, FUZZ_REPLAY) ||
            !fuzz_checked_sweep(m, fuzz_loss(m), (tp_sweep_opts){.composed = true}, &unused,
                                &cancels))
            return false;
    }
    if (!repeat(m, (tp_sweep_opts){0}, FUZZ_BITS, true, hash) || !check_whole(m, cancels) ||
        !repeat(m, (tp_sweep_opts){0}, FUZZ_BITS, false, hash) ||
        !repeat(m, (tp_sweep_opts){.release = true}, FUZZ_RELEASE, false, hash))
        return false;
    if (m->program->threads) {
        tp_set_threads(2);
        bool same = repeat(m, (tp_sweep_opts){0}, FUZZ_THREADS, false, hash);
        tp_set_threads(1);
        if (!same)
            return false;
    }
    return !m->program->second_order || second_order(m);
}
