/* test_ops_mutants.c: the checkers are checked. Every operation is broken on purpose, one way at a time, and whoever
 * is there for it must notice:
 *   rules         the gradient check; of second order where the gradient itself is right
 *   fused rules   the comparison with the composed rule
 *   values        PyTorch's numbers, or the generator behind a draw. No gradient check will do: where the rule
 *                 reads its own result, a wrong value and its gradient agree with each other
 * What cannot be caught stands in a table, with the reason. The last line is the figure; `cmake --build <dir>
 * --target mutate` prints it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/ops.h"
#include "tests/oracle/oracle.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/fused.h"
#include "tests/support/mutants.h"
#include "tests/support/ops.h"

/* --- who is exempt, and the figure -------------------------------------------------------------- */

/* Mutants that are no mutants. A row that is caught all the same, or never applies, fails the test. */
static const struct {
    const char *op;
    target what;
    mutation how;
    const char *why;
} exempt[] = {
    {"add", RULE, SWAPPED, "both inputs get the same gradient"},
    {"cholesky", RULE, TRANSPOSED, "the gradient is made symmetric"},
};
enum { EXEMPT = sizeof exempt / sizeof *exempt };
static bool exempt_seen[EXEMPT];
static int tried, hit, failures;

static const char *exemption(const mutant *m)
{
    for (int k = 0; k < EXEMPT; k++)
        if (strcmp(exempt[k].op, m->op->name) == 0 && exempt[k].what == m->what &&
            exempt[k].how == m->how) {
            exempt_seen[k] = true;
            return exempt[k].why;
        }
    return NULL;
}

static bool has_rule(const tp_op *op)
{
    return op->smooth != TP_NO_GRADIENT;
}

static void complain(const mutant *m, const char *text)
{
    print_error("%s: %s, input %d, %s: %s\n", m->op->name, targets[m->what], m->i,
                mutations[m->how], text);
    failures++;
}

/* Enters a mutant that changed something. */
static void count(const mutant *m, bool found)
{
    if (exemption(m) != NULL) {
        if (found)
            complain(m, "exempt, but it was caught");
        return;
    }
    tried++;
    hit += found;
    if (!found)
        complain(m, "goes unnoticed");
}

/* --- rules -------------------------------------------------------------------------------------- */

typedef struct suspect {
    mutant *m;
    laid_out *sample;
} suspect;

static tp_var run_mutant(tp_tape *t, void *user)
{
    suspect *s = user;
    mutant_release(t, s->m);
    return laid_out_run(t, s->sample);
}

static bool gradient_is_wrong(mutant *m, laid_out *s, int order)
{
    suspect both = {m, s};
    tp_check_opts o = {.order = order, .all_up_to = 96};
    m->changed = false;
    tp_status status = tp_gradcheck(run_mutant, &both, s->wrt_count, s->wrt, o, NULL);
    if (status == TP_OK ||
        !m->changed) /* not wrong, or a [3,3] variant that does not suit the op */
        return false;
    return status == TP_EVALUE && strstr(tp_last_error(), "gradient is wrong") != NULL;
}

/* Whether the check of one sample fails with the rule broken. */
static bool caught(mutant *m, const tp_sample *sample)
{
    static const layout_kind plain[TP_SAMPLE_INPUTS] = {LAYOUT_CONTIGUOUS};
    bool second = m->how == DETACHED || m->how == SECOND_SCALED, found = false;
    laid_out s;
    m->changed = false;
    if (!laid_out_make(&s, m->op, sample, TP_F64, plain, 31))
        return false;
    if (s.wrt_count > 0 && second) {
        if (gradient_is_wrong(m, &s, 1))
            complain(m, "should be right at first order");
        found = gradient_is_wrong(m, &s, 2);
        if (m->changed && !found) {
            laid_out_weigh(&s);
            found = gradient_is_wrong(m, &s, 2);
        }
    } else if (s.wrt_count > 0) {
        found = gradient_is_wrong(m, &s, 1);
    }
    laid_out_free(&s);
    return found;
}

/* All inputs of a sample as [3,3], where shapes do not give a lost transpose away; false if it is so already. */
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

static void hunt_rule(mutant *m)
{
    bool applied = false, found = false;
    for (int k = 0; k < m->op->sample_count && !found; k++) {
        tp_sample variant;
        found = caught(m, &m->op->samples[k]);
        applied |= m->changed;
        if (found || !squared(&m->op->samples[k], &variant))
            continue;
        found = caught(m, &variant);
        applied |= m->changed;
    }
    if (applied)
        count(m, found);
}

/* --- fused rules -------------------------------------------------------------------------------- */

static void hunt_fused(mutant *m)
{
    static const layout_kind plain[TP_SAMPLE_INPUTS] = {LAYOUT_CONTIGUOUS};
    bool applied = false, found = false;
    laid_out s;
    for (int k = 0; k < m->op->sample_count && !found; k++) {
        if (!laid_out_make(&s, m->op, &m->op->samples[k], TP_F64, plain, 31))
            continue;
        m->changed = false;
        found = !(fused_compare(&s, fused_possible(s.sample), m).worst <= FUSED_ULPS);
        applied |= m->changed;
        if (found && !m->changed)
            complain(m, "the fused rule is wrong without being broken");
        laid_out_free(&s);
    }
    if (applied)
        count(m, found);
}

/* --- values ------------------------------------------------------------------------------------- */

static tp_safetensors file;
static int hidden; /* broken values that a gradient check would let pass */
static problem *problems;

static bool differs(const tp_tensor *got, const tp_tensor *want)
{
    double rel = 1e-12, scale = largest(want);
    if (got == NULL || !tp_shape_equal(got->shape, want->shape))
        return true;
    for (int64_t i = 0; i < tp_numel(want); i++)
        if (!close_enough(tp_flat(got, i), tp_flat(want, i), rel / 10 * scale, rel))
            return true;
    return false;
}

/* Whether a case of PyTorch comes out wrong. */
static bool case_is_wrong(mutant *m, int k)
{
    tp_tape *t;
    tp_var x[CASE_INPUTS];
    const problem *p = &problems[k];
    assert_ok(tp_tape_new(&t));
    mutant_release(t, m);
    for (int i = 0; i < p->n; i++)
        x[i] = p->g[i].storage != NULL ? tp_leaf(t, &p->x[i]) : tp_constant(t, &p->x[i]);
    bool wrong = differs(tp_value(oracle_cases[k].run(x)), &p->y);
    tp_tape_free(t);
    return wrong;
}

static const void *field(const tp_op *op, const void *attr, tp_field_kind kind)
{
    for (int i = 0; i < op->field_count; i++)
        if (op->fields[i].kind == kind)
            return (const char *)attr + op->fields[i].offset;
    return NULL;
}

/* Every line of y along axis is dealt in turn. */
static void deal(tp_tensor *y, int axis, tp_rng_key key)
{
    tp_tensor place;
    int last = y->shape.ndim - 1;
    assert_ok(tp_axis_normal(y->shape.ndim, axis, &axis));
    assert_ok(tp_view_transpose(y, axis, last, &place));
    int64_t n = place.shape.dim[last], count = n > 0 ? tp_numel(y) / n : 0;
    int64_t *lines = calloc((size_t)(count * n) + 1, sizeof *lines);
    assert_non_null(lines);
    tp_random_permutations(lines, count, n, key);
    for (int64_t i = 0; i < count * n; i++)
        assert_ok(tp_set_flat(&place, i, (double)lines[i]));
    free(lines);
}

/* What a source should give on this sample: by the generator, which tests/unit holds to published numbers. */
static void source_value(const tp_op *op, const tp_tensor *x, const void *attr, tp_tensor *y)
{
    const tp_rng_key *key = field(op, attr, TP_FIELD_KEY);
    if (op == &tp_op_full)
        assert_ok(tp_fill(y, *(const double *)field(op, attr, TP_FIELD_DOUBLE)));
    else if (op == &tp_op_noise_normal)
        assert_ok(tp_random_normal(y, *key));
    else if (op == &tp_op_noise_uniform)
        assert_ok(tp_random_uniform(y, *key));
    else if (op == &tp_op_noise_permutation)
        deal(y, *(const int *)field(op, attr, TP_FIELD_INT), *key);
    else if (op == &tp_op_noise_bernoulli)
        assert_ok(tp_random_bernoulli(y, x, *key));
    else
        fail_msg("nobody knows the values of %s", op->name);
}

static bool is_source(const tp_op *op)
{
    return op->arity == 0 || op == &tp_op_noise_bernoulli;
}

static bool source_is_wrong(mutant *m, const tp_sample *s)
{
    tp_tape *t;
    tp_tensor data = {0}, want;
    attr_room room;
    const void *attr = attr_as(m->op, s->attr, TP_F64, &room);
    tp_var x = {0};
    assert_ok(tp_tape_new(&t));
    mutant_release(t, m);
    if (s->n > 0) {
        assert_ok(tp_sample_fill(&s->x[0], TP_F64, 5, &data));
        x = tp_constant(t, &data);
    }
    tp_var y = op_call(t, m->op, s->n, &x, attr);
    assert_ok(tp_tape_status(t));
    assert_ok(tp_tensor_new(&want, tp_dtype_of(y), tp_shape_of(y)));
    source_value(m->op, &data, attr, &want);
    bool wrong = differs(tp_value(y), &want);
    tp_tape_free(t);
    tp_tensor_free(&data);
    tp_tensor_free(&want);
    return wrong;
}

/* Whether the gradient check alone would let a broken value pass. */
static bool gradients_agree(const mutant *m)
{
    mutant again = *m;
    bool found = false;
    for (int k = 0; k < m->op->sample_count && !found; k++)
        found = caught(&again, &m->op->samples[k]);
    return !found && has_rule(m->op);
}

static void hunt_value(mutant *m)
{
    bool applied = false, found = false;
    int rounds = is_source(m->op) ? m->op->sample_count : oracle_case_count;
    for (int k = 0; k < rounds && !found; k++) {
        m->changed = false;
        found = is_source(m->op) ? source_is_wrong(m, &m->op->samples[k]) : case_is_wrong(m, k);
        applied |= m->changed;
        if (found && !m->changed)
            complain(m, "the value is wrong without being broken");
    }
    if (applied) {
        count(m, found);
        hidden += gradients_agree(m);
    } else if (m->how == SCALED)
        complain(m, "PyTorch has no case of this operation");
}

/* --- tests -------------------------------------------------------------------------------------- */

static void hunt(const tp_op *op, target what, mutation how, int i, int j)
{
    mutant m = {.op = op, .what = what, .how = how, .i = i, .j = j};
    if (!mutation_applies(how, what))
        return;
    if (what == RULE)
        hunt_rule(&m);
    else if (what == FUSED_RULE)
        hunt_fused(&m);
    else
        hunt_value(&m);
}

/* All mutants of one rule, fused or not. */
static void hunt_inputs(const tp_op *op, target what)
{
    int inputs = op->arity == TP_ANY_ARITY ? TP_SAMPLE_INPUTS : op->arity, before = tried;
    for (int i = 0; i < inputs; i++)
        for (int how = 0; how < MUTATIONS; how++)
            for (int j = 0; j < (how == SWAPPED ? i : 1); j++)
                hunt(op, what, (mutation)how, i, j);
    if (tried - before < 4) {
        print_error("%s: only %d mutants of its %s\n", op->name, tried - before, targets[what]);
        failures++;
    }
}

static void test_rules(void **state)
{
    (void)state;
    failures = 0;
    for (int k = 0; k < tp_op_count; k++)
        if (has_rule(tp_ops[k]))
            hunt_inputs(tp_ops[k], RULE);
    assert_int_equal(failures, 0);
}

static void test_fused_rules(void **state)
{
    (void)state;
    failures = 0;
    for (int k = 0; k < tp_op_count; k++)
        if (tp_ops[k]->vjp_fused != NULL)
            hunt_inputs(tp_ops[k], FUSED_RULE);
    assert_int_equal(failures, 0);
}

static void test_values(void **state)
{
    (void)state;
    failures = 0;
    for (int k = 0; k < tp_op_count; k++)
        for (int how = 0; how < MUTATIONS; how++)
            hunt(tp_ops[k], VALUE, (mutation)how, 0, 0);
    printf("%d broken values would pass a gradient check\n", hidden);
    assert_true(hidden > 0); /* or nobody needs PyTorch */
    assert_int_equal(failures, 0);
}

static void test_exemptions(void **state)
{
    (void)state;
    for (int k = 0; k < EXEMPT; k++)
        if (!exempt_seen[k])
            fail_msg("stale exemption: %s %s %s", exempt[k].op, targets[exempt[k].what],
                     mutations[exempt[k].how]);
}

static int load_problems(void **state)
{
    (void)state;
    if (tp_safetensors_open(&file, ORACLE_FILE("ops.safetensors")) != TP_OK)
        return 1;
    problems = calloc((size_t)oracle_case_count, sizeof *problems);
    for (int k = 0; problems != NULL && k < oracle_case_count; k++)
        problems[k] = problem_load(&file, oracle_cases[k].name);
    return problems == NULL;
}

static int free_problems(void **state)
{
    (void)state;
    for (int k = 0; problems != NULL && k < oracle_case_count; k++)
        problem_free(&problems[k]);
    free(problems);
    tp_safetensors_close(&file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_fused_rules),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_exemptions),
    };
    bool ok = cmocka_run_group_tests(tests, load_problems, free_problems) == 0;
    printf("mutants: %d of %d caught, %d exempt\n", hit, tried, EXEMPT);
    return !ok || hit != tried || tried == 0;
}
