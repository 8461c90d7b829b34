/* test_oracle_ops.c: values and gradients of every op and composition PyTorch has, against PyTorch.
 *
 * Each case of cases.def runs with inputs and cotangents in several memory layouts, through the fused rules,
 * the composed rules and tp_backward, in f64 and f32. The numbers come from generate.py; this file computes
 * none. Read next: cases.def.
 */
#include "tests/oracle/oracle.h"

#include <float.h>
#include <string.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "tests/support/cases.h"
#include "tests/support/compositions.h"

ORACLE_FIXTURE("ops.safetensors");

/* --- one case in memory ------------------------------------------------------------------------- */

typedef enum layout { CONTIGUOUS, TRANSPOSED, STEPPED, REVERSED, LAYOUTS } layout;

/* A copy of x as dtype in a layout; *base owns the memory. Integers stay what they are. */
static tp_tensor laid_out(const tp_tensor *x, layout how, tp_dtype dtype, tp_tensor *base)
{
    int n = x->shape.ndim;
    tp_shape big = x->shape;
    if (n > 0 && how == STEPPED)
        big.dim[n - 1] = 2 * big.dim[n - 1] + 1;
    for (int i = 0; i < n && how == TRANSPOSED; i++)
        big.dim[i] = x->shape.dim[n - 1 - i];
    assert_ok(tp_tensor_new(base, x->dtype == TP_I64 ? TP_I64 : dtype, big));
    tp_tensor y = *base;
    y.owns = false;
    if (n > 0 && how == STEPPED)
        assert_ok(tp_view_slice(base, n - 1, 1, TP_SLICE_END, 2, &y));
    if (n > 0 && how == TRANSPOSED)
        assert_ok(tp_view_permute(base, TP_ALL_AXES, &y));
    if (n > 0 && how == REVERSED)
        assert_ok(tp_view_slice(base, n - 1, -1, TP_SLICE_END, -1, &y));
    assert_ok(tp_copy(&y, x));
    return y;
}

/* --- running it --------------------------------------------------------------------------------- */

static void judge(const oracle_case *c, const char *what, const tp_tensor *got,
                  const tp_tensor *want, double rel, double *worst)
{
    if (c->tail) /* what is no normal number has fewer digits */
        compare_within(what, got, want, rel,
                       4 * (got->dtype == TP_F32 ? (double)FLT_TRUE_MIN : DBL_TRUE_MIN), worst);
    else
        compare(what, got, want, rel, worst);
}

typedef enum way { FUSED, COMPOSED, BACKWARD, WAYS } way;

static void check_backward(const oracle_case *c, const problem *p, const char *what, tp_var y,
                           tp_var gy, const tp_var *x, double rel, double *worst)
{
    assert_ok(tp_backward(tp_sum(tp_mul(y, gy), TP_ALL_AXES, false)));
    for (int i = 0; i < p->n; i++)
        if (p->g[i].storage != NULL)
            judge(c, what, tp_leaf_grad(x[i]), &p->g[i], rel, worst);
}

static void check_grad(const oracle_case *c, const problem *p, const char *what, tp_var y,
                       tp_var gy, const tp_var *x, bool create_graph, double rel, double *worst)
{
    tp_var wrt[CASE_INPUTS] = {{0}}, g[CASE_INPUTS];
    const tp_tensor *want[CASE_INPUTS] = {0};
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (p->g[i].storage != NULL) {
            wrt[n] = x[i];
            want[n++] = &p->g[i];
        }
    assert_ok(tp_grad(1, &y, n, wrt, g,
                      (tp_grad_opts){.grad_outputs = &gy, .create_graph = create_graph}));
    for (int i = 0; i < n; i++)
        judge(c, what, tp_value(g[i]), want[i], rel, worst);
}

static void run(tp_tape *t, const oracle_case *r, const problem *p, layout how, way by,
                tp_dtype dtype, double rel, double *worst)
{
    tp_tensor base[CASE_INPUTS + 1] = {{0}}, x[CASE_INPUTS], gy;
    tp_var v[CASE_INPUTS] = {{0}};
    char what[ORACLE_NAME];
    snprintf(what, sizeof what, "%s (%s, layout %d, way %d)", p->name, tp_dtype_name(dtype), how,
             by);
    tp_tape_reset(t);
    for (int i = 0; i < p->n; i++) {
        x[i] = laid_out(&p->x[i], how, dtype, &base[i]);
        v[i] = p->g[i].storage != NULL ? tp_leaf(t, &x[i]) : tp_constant(t, &x[i]);
    }
    tp_var y = r->run(v);
    if (tp_tape_status(t) != TP_OK)
        fail_msg("%s: %s", what, tp_tape_message(t));
    judge(r, what, tp_value(y), &p->y, rel, worst);
    if (p->differentiable) {
        gy = laid_out(&p->gy, how, dtype, &base[CASE_INPUTS]);
        tp_var cotangent = tp_constant(t, &gy);
        if (by == BACKWARD)
            check_backward(r, p, what, y, cotangent, v, rel, worst);
        else
            check_grad(r, p, what, y, cotangent, v, by == COMPOSED, rel, worst);
    }
    for (int i = 0; i <= CASE_INPUTS; i++)
        tp_tensor_free(&base[i]);
}

static double run_all(tp_dtype dtype, double rel)
{
    tp_tape *t;
    double worst_of_all = 0;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < oracle_case_count; i++) {
        problem p = problem_load(&file, oracle_cases[i].name);
        double worst = 0;
        for (int how = 0; how < LAYOUTS; how++)
            for (int by = 0; by < WAYS; by++)
                run(t, &oracle_cases[i], &p, (layout)how, (way)by, dtype, rel, &worst);
        if (worst > rel / 4)
            print_message("%s: off by %.2g in %s\n", oracle_cases[i].name, worst,
                          tp_dtype_name(dtype));
        worst_of_all = fmax(worst_of_all, worst);
        problem_free(&p);
    }
    tp_tape_free(t);
    print_message("%d cases in %s, worst deviation %.2g\n", oracle_case_count, tp_dtype_name(dtype),
                  worst_of_all);
    return worst_of_all;
}

/* --- tests -------------------------------------------------------------------------------------- */

static void test_f64(void **state)
{
    (void)state;
    assert_true(run_all(TP_F64, 1e-12) < 1e-12);
}

static void test_f32(void **state)
{
    (void)state;
    run_all(TP_F32, 5e-6);
}

/* No case of the file is left out, and it has as many as was promised. */
static void test_complete(void **state)
{
    (void)state;
    int found = 0;
    for (int64_t i = 0; i < file.n; i++) {
        const char *name = file.entry[i].name, *dot = strrchr(name, '.');
        if (dot == NULL || strcmp(dot, ".y") != 0)
            continue;
        bool known = false;
        for (int k = 0; k < oracle_case_count && !known; k++)
            known = strlen(oracle_cases[k].name) == (size_t)(dot - name) &&
                    strncmp(oracle_cases[k].name, name, (size_t)(dot - name)) == 0;
        if (!known)
            fail_msg("%s has no row in cases.def", name);
        found++;
    }
    assert_int_equal(found, oracle_case_count);
    assert_true(found >= 200);
}

/* Whether some case calls tp_<name>. */
static bool has_case(const char *name)
{
    char call[64];
    snprintf(call, sizeof call, "tp_%s(", name);
    for (int i = 0; i < oracle_case_count; i++)
        if (strstr(oracle_cases[i].text, call) != NULL)
            return true;
    return false;
}

/* What PyTorch cannot be asked about, and why. */
static const struct {
    const char *name, *why;
} silent[] = {
    {"full", "no inputs: every element is a number that the caller gave"},
    {"noise_normal", "random: PyTorch draws other numbers; unit/rng has the distributions"},
    {"noise_uniform", "random"},
    {"noise_bernoulli", "random"},
    {"noise_permutation", "random"},
    {"noise_gumbel", "random; what it is added to is judged by gumbel_softmax"},
    {"noise_categorical", "random"},
};
enum { SILENT = sizeof silent / sizeof *silent };

static bool is_silent(const char *name)
{
    for (int i = 0; i < SILENT; i++)
        if (strcmp(silent[i].name, name) == 0)
            return true;
    return false;
}

static void check_asked(const char *name, int *failures, int *reasons)
{
    *reasons += is_silent(name);
    if (has_case(name) != is_silent(name))
        return;
    print_error("%s: %s\n", name,
                is_silent(name) ? "has a case and a reason for having none" : "has no case");
    ++*failures;
}

/* Every row of ops.def and every composition is asked about, or it is said here why not. */
static void test_every_op_has_a_case(void **state)
{
    (void)state;
    int failures = 0, reasons = 0;
    for (int i = 0; i < tp_op_count; i++)
        check_asked(tp_ops[i]->name, &failures, &reasons);
    for (int i = 0; i < composition_count; i++)
        check_asked(compositions[i]->name, &failures, &reasons);
    assert_int_equal(failures, 0);
    assert_int_equal(reasons, SILENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_every_op_has_a_case),
        cmocka_unit_test(test_f64),
        cmocka_unit_test(test_f32),
    };
    return cmocka_run_group_tests(tests, open_file, close_file) != 0;
}
