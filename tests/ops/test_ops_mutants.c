/* test_ops_mutants.c: the checker is checked. Every rule is broken on purpose, in five ways; for each mutant at
 * least one sample must fail its gradient check. Samples are also tried with all inputs [3,3], where
 * shapes do not give a lost transpose away. What cannot be caught stands in a table, with the reason. */
#include "autograd/compose.h"
#include "autograd/node.h"
#include "tests/support/check.h"
#include "tests/support/ops.h"

#include <stdio.h>
#include <string.h>

typedef enum mutation { SCALED, DROPPED, TRANSPOSED, LEAKED, SWAPPED } mutation;
static const char *const mutations[] = {"scaled", "dropped", "transposed", "leaked", "swapped"};

typedef struct mutant {
    const tp_op *op;
    mutation how;
    int i, j;     /* the contribution; SWAPPED: both */
    bool changed; /* the hook found something to do */
    laid_out *sample;
} mutant;

/* Mutants that are no mutants. A row that is caught all the same, or never applies, fails the test. */
static const struct {
    const char *op;
    mutation how;
    const char *why;
} exempt[] = {
    {"add", SWAPPED, "both inputs get the same gradient"},
    {"cholesky", TRANSPOSED, "the gradient is made symmetric"},
};
static bool exempt_seen[sizeof exempt / sizeof *exempt];

static bool square(tp_var v)
{
    tp_shape s = tp_shape_of(v);
    return s.ndim >= 2 && s.dim[s.ndim - 1] == s.dim[s.ndim - 2] && s.dim[s.ndim - 1] > 1;
}

static void break_rule(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    mutant *m = user;
    if (op != m->op || m->i >= c->n || m->j >= c->n || (gx[m->i].id == 0) != (m->how == LEAKED))
        return;
    tp_var *g = &gx[m->i];
    if (m->how == LEAKED &&
        (!c->want[m->i] || !tp_shape_equal(tp_shape_of(c->x[m->i]), tp_shape_of(c->gy))))
        return;
    if (m->how == TRANSPOSED && !square(*g))
        return;
    if (m->how == SWAPPED &&
        (gx[m->j].id == 0 || !tp_shape_equal(tp_shape_of(c->x[m->i]), tp_shape_of(c->x[m->j]))))
        return;
    m->changed = true;
    if (m->how == SCALED) {
        *g = tp_scale(*g, 1 + 1e-6);
    } else if (m->how == DROPPED) {
        *g = (tp_var){0};
    } else if (m->how == TRANSPOSED) {
        *g = tp_transpose(*g);
    } else if (m->how == LEAKED) { /* to an input that the rule gives nothing, as estimators may */
        *g = c->gy;
    } else {
        tp_var other = gx[m->j];
        gx[m->j] = *g;
        *g = other;
    }
}

static tp_var run_mutant(tp_tape *t, void *user)
{
    mutant *m = user;
    t->rule_hook = break_rule;
    t->rule_hook_user = m;
    return laid_out_run(t, m->sample);
}

/* Whether the check of one sample fails with the rule broken. */
static bool caught(mutant *m, const tp_sample *sample)
{
    static const layout_kind plain[TP_SAMPLE_INPUTS] = {LAYOUT_CONTIGUOUS};
    laid_out s;
    tp_status status = TP_OK;
    if (!laid_out_make(&s, m->op, sample, TP_F64, plain, 31))
        return false;
    m->sample = &s;
    m->changed = false;
    if (s.wrt_count > 0)
        status = tp_gradcheck(run_mutant, m, s.wrt_count, s.wrt, (tp_check_opts){0}, NULL);
    laid_out_free(&s);
    if (status != TP_OK && !m->changed) /* the [3,3] variant does not suit the op */
        return false;
    return status == TP_EVALUE && strstr(tp_last_error(), "gradient is wrong") != NULL;
}

/* All inputs of a sample as [3,3]; false if it is so already, or has attributes of its own size. */
static bool squared(const tp_sample *from, tp_sample *to)
{
    bool differs = false;
    *to = *from;
    for (int i = 0; i < from->n; i++) {
        differs |= !tp_shape_equal(from->x[i].shape, TP_SHAPE(3, 3));
        to->x[i].shape = TP_SHAPE(3, 3);
    }
    return differs && from->n > 0;
}

/* How often the mutation applied, and whether it was caught. */
static int hunt(mutant *m, bool *found)
{
    int applied = 0;
    *found = false;
    for (int k = 0; k < m->op->sample_count && !*found; k++) {
        tp_sample variant;
        *found = caught(m, &m->op->samples[k]);
        applied += m->changed;
        if (*found || !squared(&m->op->samples[k], &variant))
            continue;
        *found = caught(m, &variant);
        applied += m->changed;
    }
    return applied;
}

static const char *exemption(const mutant *m)
{
    for (size_t k = 0; k < sizeof exempt / sizeof *exempt; k++)
        if (strcmp(exempt[k].op, m->op->name) == 0 && exempt[k].how == m->how) {
            exempt_seen[k] = true;
            return exempt[k].why;
        }
    return NULL;
}

static void try_mutant(const tp_op *op, mutation how, int i, int j, int *tried, int *hit,
                       int *failures)
{
    mutant m = {.op = op, .how = how, .i = i, .j = j};
    bool found;
    if (hunt(&m, &found) == 0)
        return; /* nothing of that kind in this rule */
    const char *why = exemption(&m);
    if (why != NULL && found) {
        print_error("%s, %s: exempt because '%s', but it was caught\n", op->name, mutations[how],
                    why);
        ++*failures;
    }
    if (why != NULL)
        return;
    ++*tried;
    *hit += found;
    if (!found) {
        print_error("%s: input %d %s goes unnoticed\n", op->name, i, mutations[how]);
        ++*failures;
    }
}

static void test_mutants(void **state)
{
    (void)state;
    int tried = 0, hit = 0, failures = 0;
    for (int k = 0; k < tp_op_count; k++) {
        const tp_op *op = tp_ops[k];
        int before = tried, inputs = op->arity == TP_ANY_ARITY ? TP_SAMPLE_INPUTS : op->arity;
        if (op->smooth == TP_NO_GRADIENT)
            continue;
        for (int i = 0; i < inputs; i++) {
            for (int how = SCALED; how < SWAPPED; how++)
                try_mutant(op, (mutation)how, i, 0, &tried, &hit, &failures);
            for (int j = 0; j < i; j++)
                try_mutant(op, SWAPPED, i, j, &tried, &hit, &failures);
        }
        if (tried - before < 2) {
            print_error("%s: only %d mutants\n", op->name, tried - before);
            failures++;
        }
    }
    for (size_t k = 0; k < sizeof exempt / sizeof *exempt; k++)
        if (!exempt_seen[k]) {
            print_error("stale exemption: %s %s\n", exempt[k].op, mutations[exempt[k].how]);
            failures++;
        }
    printf("%d mutants, %d caught, %d exempt\n", tried, hit, (int)(sizeof exempt / sizeof *exempt));
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutants)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
