/* machine.c: runs a program step by step on a tape and compares every step with the reference: the value, or
 * the refusal and the state it leaves. Steps that need a refused one are left out, so every list of steps is a
 * program. See fuzz.h; what happens backward is gradients.c. */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "autograd/node.h"
#include "tensor/kernels/kernels.h"
#include "tensor/matmul.h"
#include "tensor/parallel.h"

enum { BUDGET = 96 << 20 };

bool fuzz_fail(fuzz_machine *m, fuzz_kind kind, int step, const tp_op *op, const char *format, ...)
{
    fuzz_failure *f = &m->shared->failure;
    if (f->kind != FUZZ_NONE)
        return false;
    *f = (fuzz_failure){.kind = kind, .step = step, .op = op};
    va_list args;
    va_start(args, format);
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
    return false;
}

/* --- comparing ---------------------------------------------------------------------------------- */

bool fuzz_close(double got, real want, real e, tp_dtype dtype, bool *decided)
{
    enum { ROUNDINGS = 8 };
    real max = ref_max(dtype);
    *decided = true;
    if (isnan(e) || e > max / 8) { /* not said, or on the way something may have overflowed */
        *decided = false;
        return true;
    }
    if (isnan(want) || isinf(want))
        return isnan(want) ? isnan(got) : (real)got == want;
    real bound = e > 0 ? ROUNDINGS * ref_epsilon(dtype) * (e + ref_tiny(dtype)) : 0;
    if (isinf(got))
        return fabsl(want) + bound >= max && (got > 0) == (want > 0);
    return fabsl((real)got - want) <= bound; /* false for NaN */
}

static bool compare(fuzz_machine *m, fuzz_kind kind, int k, const tp_op *op, const tp_tensor *y,
                    const ref_tensor *want)
{
    char a[TP_TENSOR_TEXT], b[TP_TENSOR_TEXT];
    tp_tensor shape = {.shape = want->shape, .dtype = want->dtype};
    if (y->dtype != want->dtype || !tp_shape_equal(y->shape, want->shape))
        return fuzz_fail(m, FUZZ_SHAPE, k, op, "%s instead of %s", tp_tensor_text(y, a),
                         tp_tensor_text(&shape, b));
    for (int64_t i = 0; want->v != NULL && i < want->n; i++) {
        bool decided;
        double got = tp_flat(y, i);
        if (!fuzz_close(got, want->v[i], want->e[i], y->dtype, &decided))
            return fuzz_fail(m, kind, k, op, "element %lld is %.17g instead of %.17Lg",
                             (long long)i, got, want->v[i]);
        m->shared->counts.values += decided;
        m->shared->counts.undecided += !decided;
    }
    return true;
}

/* --- recording ---------------------------------------------------------------------------------- */

static tp_var enter(fuzz_machine *m, int k)
{
    fuzz_source *s = &m->source[k];
    switch (m->program->step[k].entry) {
    case FUZZ_LEAF:
        return tp_leaf(m->tape, &s->view);
    case FUZZ_PARAMETER:
        return tp_param(m->tape, &s->p);
    default:
        return tp_constant(m->tape, &s->view);
    }
}

static tp_var call(tp_tape *t, const fuzz_step *s, const tp_var *x)
{
    return s->op->call != NULL ? s->op->call(t, s->n, x, s->attr.bytes)
                               : tp_apply_on(t, s->op, s->n, x, s->attr.bytes);
}

static tp_var record(fuzz_machine *m, int k)
{
    const fuzz_step *s = &m->program->step[k];
    tp_var x[FUZZ_INPUTS];
    if (s->op == NULL)
        return enter(m, k);
    for (int i = 0; i < s->n; i++)
        x[i] = m->v[s->x[i]];
    return call(m->tape, s, x);
}

bool fuzz_record(fuzz_machine *m, fuzz_kind kind)
{
    tp_tape_reset(m->tape);
    for (int k = 0; k <= m->shared->at && k < m->program->count; k++) {
        if (!m->recorded[k])
            continue;
        m->v[k] = record(m, k);
        const tp_tensor *y = tp_value(m->v[k]);
        if (y == NULL)
            return fuzz_fail(m, kind, k, m->program->step[k].op, "fails now: %s", tp_last_error());
        if (m->live[k] && fuzz_hash(y) != m->hash[k])
            return fuzz_fail(m, kind, k, m->program->step[k].op, "the value has other bits");
    }
    return true;
}

/* --- a refusal ---------------------------------------------------------------------------------- */

/* The tape is as it was but for the failure (a composition has recorded the parts before the one that refused);
 * earlier vars can be read; a reset makes all good. */
static bool check_aftermath(fuzz_machine *m, int k, tp_status want, uint32_t length, size_t bytes)
{
    const tp_op *op = m->program->step[k].op;
    const char *message = tp_tape_message(m->tape), *name = tp_status_name(want);
    const char *wrong = NULL;
    tp_var y = m->v[k];
    bool row = !fuzz_is_composition(op);
    if (strncmp(message, name, strlen(name)) != 0 || (row && strstr(message, op->name) == NULL))
        wrong = "the message does not name status and operation";
    else if (y.id != 0 || tp_value(y) != NULL || tp_var_status(y) != want || tp_needs_grad(y))
        wrong = "the result is not poisoned";
    else if (row && tp_tape_length(m->tape) != length)
        wrong = "something was recorded";
    else if (row && tp_tape_bytes(m->tape) != bytes)
        wrong = "memory of the tape is held";
    for (int j = 0; j < k && wrong == NULL; j++) {
        const tp_tensor *value = m->live[j] ? tp_value(m->v[j]) : NULL;
        if (m->live[j] && (value == NULL || fuzz_hash(value) != m->hash[j]))
            wrong = "an earlier value cannot be read";
    }
    if (wrong != NULL)
        return fuzz_fail(m, FUZZ_AFTERMATH, k, op, "%s; message: %.300s", wrong, message);
    m->shared->counts.replays++;
    return fuzz_record(m, FUZZ_REPLAY);
}

static bool fail_status(fuzz_machine *m, int k, tp_status got, tp_status want, bool huge)
{
    const tp_op *op = m->program->step[k].op;
    fuzz_kind kind = got == TP_OK ? FUZZ_ACCEPTED : want == TP_OK ? FUZZ_REFUSED : FUZZ_STATUS;
    fuzz_fail(m, kind, k, op, "%s instead of %s%s; message: %.400s", tp_status_name(got),
              tp_status_name(want), huge ? " or E_NOMEM" : "", tp_tape_message(m->tape));
    m->shared->failure.expect = want;
    return false;
}

/* --- one step ----------------------------------------------------------------------------------- */

/* The nodes first … of t, which step k recorded: each against the reference of its row, at the values it saw. */
static bool check_parts(fuzz_machine *m, fuzz_kind kind, int k, const tp_tape *t, uint32_t first)
{
    bool ok = true, known;
    for (uint32_t id = first; id <= tp_tape_length(t) && ok; id++) {
        const tp_node *node = tp_node_at(t, id);
        ref_tensor x[FUZZ_INPUTS], want = {0};
        ref_call c = {.op = node->op, .n = node->n, .x = x, .attr = node->attr, .y = &want};
        bool small = node->op != NULL && node->n <= FUZZ_INPUTS;
        int n = small ? node->n : 0;
        for (int i = 0; i < n; i++) {
            x[i] = ref_read(&tp_node_at(t, node->x[i])->value);
            small &= x[i].v != NULL;
        }
        tp_status s = small ? fuzz_reference(&c, &known) : TP_OK;
        if (small && !known)
            ok = fuzz_fail(m, FUZZ_NO_REFERENCE, k, node->op, "none of %s", node->op->name);
        else if (small && s != TP_OK && !c.either)
            ok = fuzz_fail(m, FUZZ_ACCEPTED, k, node->op, "OK instead of %s", tp_status_name(s));
        else if (small && s == TP_OK)
            ok = compare(m, kind, k, node->op, &node->value, &want);
        for (int i = 0; i < n; i++)
            ref_free(&x[i]);
        ref_free(&want);
    }
    return ok;
}

/* The same operation on contiguous copies of its inputs. */
static bool check_copies(fuzz_machine *m, int k, const ref_tensor *want)
{
    const fuzz_step *s = &m->program->step[k];
    tp_tensor copy[FUZZ_INPUTS] = {{0}};
    tp_var x[FUZZ_INPUTS];
    bool ok = true;
    for (int i = 0; i < s->n && ok; i++) {
        ok = tp_clone(&copy[i], tp_value(m->v[s->x[i]])) == TP_OK;
        x[i] = tp_constant(m->side, &copy[i]);
    }
    const tp_tensor *y = ok && s->n > 0 ? tp_value(call(m->side, s, x)) : NULL;
    if (ok && s->n > 0 && y == NULL)
        ok = fuzz_fail(m, FUZZ_COPY, k, s->op, "fails: %s", tp_last_error());
    else if (ok && s->n > 0)
        ok = want != NULL ? compare(m, FUZZ_COPY, k, s->op, y, want)
                          : check_parts(m, FUZZ_COPY, k, m->side, 1);
    tp_tape_reset(m->side);
    for (int i = 0; i < s->n; i++)
        tp_tensor_free(&copy[i]);
    return ok;
}

static bool has_long_axis(const fuzz_machine *m, const fuzz_step *s)
{
    for (int i = 0; i < s->n; i++) {
        tp_shape x = tp_shape_of(m->v[s->x[i]]);
        for (int d = 0; d < x.ndim; d++)
            if (x.dim[d] > FUZZ_LIMIT)
                return true;
    }
    return false;
}

/* want: NULL for a composition, whose parts from node first on are looked at instead. */
static bool accept(fuzz_machine *m, int k, const ref_tensor *want, uint32_t first)
{
    const fuzz_step *s = &m->program->step[k];
    const tp_tensor *y = tp_value(m->v[k]);
    m->recorded[k] = true;
    for (int i = 0; i < s->n; i++)
        if (fuzz_hash(tp_value(m->v[s->x[i]])) != m->hash[s->x[i]])
            return fuzz_fail(m, FUZZ_INPUT, k, s->op, "input %d", i);
    if (y == NULL)
        return fuzz_fail(m, FUZZ_VALUE, k, s->op, "the result has no value");
    if (want != NULL ? !compare(m, FUZZ_VALUE, k, s->op, y, want)
                     : !check_parts(m, FUZZ_VALUE, k, m->tape, first))
        return false;
    m->live[k] = want != NULL ? want->v != NULL : tp_numel(y) <= FUZZ_LIMIT;
    m->hash[k] = m->live[k] ? fuzz_hash(y) : 0;
    m->shared->counts.recorded[fuzz_op_index(s->op)]++;
    return !m->live[k] || check_copies(m, k, want);
}

/* Which inputs a composition must refuse is not known here, but what a refusal must be like. */
static bool run_composition(fuzz_machine *m, int k)
{
    const tp_op *op = m->program->step[k].op;
    uint32_t length = tp_tape_length(m->tape);
    m->v[k] = record(m, k);
    tp_status got = tp_tape_status(m->tape);
    if (got == TP_OK)
        return accept(m, k, NULL, length + 1);
    bool ok = check_aftermath(m, k, got, length, 0);
    m->shared->counts.refused[fuzz_op_index(op)] += ok;
    return ok;
}

static bool run_op(fuzz_machine *m, int k)
{
    const fuzz_step *s = &m->program->step[k];
    ref_tensor x[FUZZ_INPUTS], want;
    ref_call c = {.op = s->op, .n = s->n, .x = x, .attr = s->attr.bytes, .y = &want};
    bool known, ok = true;
    for (int i = 0; i < s->n; i++)
        if (!m->live[s->x[i]])
            return true;
    if (fuzz_is_composition(s->op))
        return run_composition(m, k);
    for (int i = 0; i < s->n; i++)
        x[i] = ref_read(tp_value(m->v[s->x[i]]));
    tp_status right = fuzz_reference(&c, &known);
    uint32_t length = tp_tape_length(m->tape);
    size_t bytes = tp_tape_bytes(m->tape);
    m->v[k] = record(m, k);
    tp_status got = tp_tape_status(m->tape);
    bool huge = (right == TP_OK && want.v == NULL) || has_long_axis(m, s);
    bool fits = got == right || (c.either && (got == TP_OK || got == TP_EVALUE)) ||
                (huge && got == TP_ENOMEM);
    if (!known)
        ok = fuzz_fail(m, FUZZ_NO_REFERENCE, k, s->op, "add %s to tests/fuzz/reference.c",
                       s->op->name);
    else if (!fits)
        ok = fail_status(m, k, got, right, huge);
    else if (got == TP_OK && right == TP_OK)
        ok = accept(m, k, &want, 0);
    else if (got == TP_OK) /* open, and accepted: nothing is known of the value */
        m->recorded[k] = true;
    else
        ok = check_aftermath(m, k, got, length, bytes);
    m->shared->counts.refused[fuzz_op_index(s->op)] += ok && got != TP_OK;
    for (int i = 0; i < s->n; i++)
        ref_free(&x[i]);
    ref_free(&want);
    return ok;
}

static bool run_source(fuzz_machine *m, int k)
{
    static const char *const names[] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"};
    const fuzz_step *s = &m->program->step[k];
    if (fuzz_source_make(s, names[k % 8], &m->source[k]) != TP_OK)
        return fuzz_fail(m, FUZZ_INPUT, k, NULL, "cannot be made: %s", tp_last_error());
    m->v[k] = enter(m, k);
    const tp_tensor *value = tp_value(m->v[k]);
    if (value == NULL)
        return fuzz_fail(m, FUZZ_INPUT, k, NULL, "cannot be entered: %s", tp_last_error());
    m->recorded[k] = true;
    m->live[k] = tp_numel(value) <= FUZZ_LIMIT; /* shrinking may ask for more */
    m->hash[k] = fuzz_hash(value);
    return true;
}

static bool run_step(fuzz_machine *m, int k)
{
    m->shared->at = k;
    m->shared->counts.steps++;
    bool ok = m->program->step[k].op != NULL ? run_op(m, k) : run_source(m, k);
    m->shared->live[k] = m->live[k];
    m->shared->shape[k] = tp_shape_of(m->v[k]);
    m->shared->dtype[k] = tp_dtype_of(m->v[k]);
    return ok;
}

/* --- a whole program ---------------------------------------------------------------------------- */

static void set_level(int level)
{
    static const char *const names[] = {"ref", "avx2", "avx512"};
    while (tp_set_isa(names[level]) != TP_OK)
        level--;
}

static size_t begin(fuzz_machine *m, fuzz_shared *shared)
{
    size_t bytes = tp_mem().live_bytes;
    *m = (fuzz_machine){.program = &shared->program, .shared = shared};
    shared->at = 0;
    shared->failure = (fuzz_failure){0};
    memset(shared->live, 0, sizeof shared->live);
    memset(shared->sink, 0, sizeof shared->sink);
    set_level(shared->program.level);
    tp_set_threads(1);
    tp_mem_set_budget(bytes + BUDGET);
    if (tp_tape_new(&m->tape) != TP_OK || tp_tape_new(&m->side) != TP_OK)
        fuzz_fail(m, FUZZ_LEAK, -1, NULL, "no tape left");
    return bytes;
}

static bool inputs_untouched(fuzz_machine *m)
{
    for (int k = 0; k < m->program->count; k++) {
        const fuzz_source *s = &m->source[k];
        const tp_tensor *now = s->p.name != NULL ? &s->p.value : &s->memory;
        if (s->copy.storage != NULL && fuzz_hash(now) != fuzz_hash(&s->copy))
            return fuzz_fail(m, FUZZ_INPUT, k, NULL, "its memory was written to");
    }
    return true;
}

static void check_whole(fuzz_machine *m)
{
    m->shared->at = m->program->count;
    if (!fuzz_gradients(m) || !inputs_untouched(m))
        return;
    if (m->program->threads) {
        tp_set_threads(2);
        m->shared->counts.threads++;
        fuzz_record(m, FUZZ_THREADS);
        tp_set_threads(1);
    }
}

static void end(fuzz_machine *m, size_t bytes)
{
    for (int k = 0; k < FUZZ_STEPS; k++) {
        fuzz_source_free(&m->source[k]);
        tp_tensor_free(&m->weight[k]);
    }
    tp_tape_free(m->tape);
    tp_tape_free(m->side);
    tp_mem_set_budget(0);
    tp_matmul_release(); /* what matrix products keep for the next one */
    if (tp_mem().live_bytes != bytes)
        fuzz_fail(m, FUZZ_LEAK, -1, NULL, "%lld bytes are held",
                  (long long)tp_mem().live_bytes - (long long)bytes);
    m->shared->counts.programs++;
}

void fuzz_run(fuzz_shared *shared)
{
    static fuzz_machine m;
    size_t bytes = begin(&m, shared);
    bool ok = shared->failure.kind == FUZZ_NONE;
    for (int k = 0; k < shared->program.count && ok; k++)
        ok = run_step(&m, k);
    if (ok)
        check_whole(&m);
    end(&m, bytes);
}

static void generate_and_run(fuzz_shared *shared, uint64_t seed, fuzz_rng rng, const fuzz_ops *ops)
{
    static fuzz_machine m;
    fuzz_generator g;
    fuzz_generate_begin(&g, &shared->program, rng, ops);
    shared->program.seed = seed;
    size_t bytes = begin(&m, shared);
    bool ok = shared->failure.kind == FUZZ_NONE;
    for (int k = 0; ok && fuzz_generate(&g, &m);)
        for (; k < shared->program.count && ok; k++) /* an operation and the sources it needs */
            ok = run_step(&m, k);
    if (ok)
        check_whole(&m);
    end(&m, bytes);
}

void fuzz_run_seed(fuzz_shared *shared, uint64_t seed, const fuzz_ops *ops)
{
    generate_and_run(shared, seed, fuzz_rng_of(seed), ops);
}

void fuzz_run_bytes(fuzz_shared *shared, const unsigned char *bytes, size_t n)
{
    generate_and_run(shared, 0, (fuzz_rng){fuzz_rng_of(0).state, bytes, n}, NULL);
}
