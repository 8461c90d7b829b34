/* test_ops_adjoint.c: linear ops on small numbers that every sum represents, so that no rounding hides anything.
 * For A x, linear in some inputs while the others are held: <A x, u> = <x, Aᵀu> exactly, A x is the matrix of A
 * times x and Aᵀu its transpose times u, the matrix being made column by column from the forward pass; every
 * bit (but the sign of zero), in both types, every memory layout of inputs and cotangents, every number of
 * threads. A probe looks through all ops and compositions for linear ones, so that none is forgotten. The same on shapes that are
 * large enough for several threads: test_ops_adjoint_large.c. */
#include "tests/ops/adjoint.h"

#include <stdio.h>

static int failures;
static int64_t compared;

/* --- is the table complete? --------------------------------------------------------------------- */

/* Whether y changes when input i of a becomes 0. */
static bool depends_on(problem *p, int i)
{
    tp_tensor y[2];
    bool differs = false;
    assert_true(adjoint_probe(p, 0, 0, &y[0]) && adjoint_probe(p, 0, 3 + i, &y[1]));
    for (int64_t e = 0; e < tp_numel(&y[0]); e++)
        differs |= tp_flat(&y[0], e) != tp_flat(&y[1], e);
    tp_tensor_free(&y[0]), tp_tensor_free(&y[1]);
    return differs;
}

/* y(a + b) = y(a) + y(b) for a few a, b of eighths, because among integers rounding would be linear. */
static bool adds_up(problem *p)
{
    for (uint64_t trial = 0; trial < 6; trial++) {
        tp_tensor y[3] = {{0}};
        bool ok = true;
        for (int k = 0; k < 3 && ok; k++) /* a, b, a + b */
            ok = adjoint_probe(p, trial, k, &y[k]);
        for (int64_t i = 0; ok && i < tp_numel(&y[0]); i++)
            ok = tp_flat(&y[2], i) == tp_flat(&y[0], i) + tp_flat(&y[1], i);
        for (int k = 0; k < 3; k++)
            tp_tensor_free(&y[k]);
        if (!ok)
            return false;
    }
    return true;
}

/* And every input that varies matters. */
static bool additive(problem *p)
{
    bool all = adds_up(p);
    for (int i = 0; i < p->sample->n && all; i++)
        all = !varies(p, i) || depends_on(p, i);
    return all;
}

static bool listed(const char *op, unsigned vary, int n)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(linear_rows[i].op, op) == 0 &&
            (vary & ~linear_rows[i].vary & ((1u << n) - 1)) == 0)
            return true;
    return false;
}

/* Scalars are left out: of one number, a clamp or a logsumexp may be the identity. */
static bool may_vary(const tp_sample *s, unsigned vary)
{
    for (int i = 0; i < s->n; i++)
        if ((vary & TP_READS(i)) && tp_shape_numel(s->x[i].shape) < 2)
            return false;
    for (int i = 0; i < s->n; i++)
        if ((vary & TP_READS(i)) && (s->x[i].fill == TP_FILL_MASK || s->x[i].fill == TP_FILL_INDEX))
            return false;
    return true;
}

static void probe(const tp_op *op)
{
    for (int k = 0; k < op->sample_count; k++)
        for (unsigned vary = 1; vary < 1u << op->samples[k].n; vary++)
            for (int others = 0; others < OTHERS; others++) {
                problem p = {op->call, &op->samples[k], vary, (others_kind)others, TP_F64};
                if (!may_vary(p.sample, vary) || listed(op->name, vary, p.sample->n) ||
                    !additive(&p))
                    continue;
                print_error("%s, sample '%s': linear in inputs %#x, but no row above says so\n",
                            op->name, p.sample->note, vary);
                failures++;
            }
}

static void test_no_linear_op_is_missing(void **state)
{
    (void)state;
    failures = 0;
    for (int i = 0; any_op(i) != NULL; i++)
        if (any_op(i)->smooth == TP_SMOOTH || any_op(i)->smooth == TP_PIECEWISE)
            probe(any_op(i));
    assert_int_equal(failures, 0);
}

/* --- matrices ----------------------------------------------------------------------------------- */

enum { MOST = 256 };              /* inputs or outputs of a sample */
static double matrix[MOST][MOST]; /* [output][input] */

/* A, column by column: y at unit vectors, all contiguous. */
static void make_matrix(const problem *p, const tp_tensor *x)
{
    tp_tensor unit[TP_SAMPLE_INPUTS], y;
    int64_t column = 0;
    for (int i = 0; i < p->sample->n; i++) {
        assert_ok(tp_clone(&unit[i], &x[i]));
        if (varies(p, i))
            assert_ok(tp_fill(&unit[i], 0));
    }
    for (int i = 0; i < p->sample->n; i++)
        for (int64_t e = 0; varies(p, i) && e < tp_numel(&unit[i]); e++, column++) {
            assert_ok(tp_set_flat(&unit[i], e, 1));
            adjoint_forward(p, unit, &y);
            assert_true(tp_numel(&y) <= MOST && column < MOST);
            for (int64_t m = 0; m < tp_numel(&y); m++)
                matrix[m][column] = tp_flat(&y, m);
            assert_ok(tp_set_flat(&unit[i], e, 0));
            tp_tensor_free(&y);
        }
    for (int i = 0; i < p->sample->n; i++)
        tp_tensor_free(&unit[i]);
}

static void expect(const problem *p, const char *what, int64_t at, double got, double want)
{
    compared++;
    if (got == want)
        return;
    print_error("%s: %s of element %lld is %.17g, the matrix says %.17g\n", p->note, what,
                (long long)at, got, want);
    failures++;
}

/* The inputs that vary, one behind the other; returns how many numbers. */
static int64_t line_up(const problem *p, const tp_tensor *x, double *all)
{
    int64_t n = 0;
    for (int i = 0; i < p->sample->n; i++)
        for (int64_t e = 0; varies(p, i) && e < tp_numel(&x[i]); e++)
            all[n++] = tp_flat(&x[i], e);
    return n;
}

/* One way through forward and backward against the matrix. */
static void compare(const problem *p, const tp_tensor *x, const tp_tensor *u, way by)
{
    static double in[MOST], out[MOST], back[MOST];
    tp_tensor y, g[TP_SAMPLE_INPUTS] = {{0}};
    double left = 0, right = 0;
    adjoint_run(p, x, u, by, &y, g);
    int64_t rows = tp_numel(&y), columns = line_up(p, x, in);
    line_up(p, g, back);
    for (int64_t m = 0; m < rows; m++) {
        double want = 0;
        out[m] = tp_flat(u, m);
        for (int64_t k = 0; k < columns; k++)
            want += matrix[m][k] * in[k];
        expect(p, "A x", m, tp_flat(&y, m), want);
        left += tp_flat(&y, m) * out[m];
    }
    for (int64_t k = 0; k < columns; k++) {
        double want = 0;
        for (int64_t m = 0; m < rows; m++)
            want += matrix[m][k] * out[m];
        expect(p, "Aᵀu", k, back[k], want);
        right += in[k] * back[k];
    }
    expect(p, "<A x, u>", 0, left, right);
    for (int i = 0; i < p->sample->n; i++)
        tp_tensor_free(&g[i]);
    tp_tensor_free(&y);
}

/* kind for the inputs, the cotangent, or both. */
static void check_layout(problem *p, layout_kind kind, int how)
{
    laid x[TP_SAMPLE_INPUTS], u;
    tp_tensor view[TP_SAMPLE_INPUTS], y;
    bool differs = adjoint_inputs(p, how != 1 ? kind : LAYOUT_CONTIGUOUS, x, view);
    make_matrix(p, view);
    adjoint_forward(p, view, &y);
    bool laid_u = adjoint_cotangent(p, how != 0 ? kind : LAYOUT_CONTIGUOUS, &y, &u);
    if ((how == 1 || differs) && (how == 0 || laid_u)) {
        way by = (way)((tp_threads() + (int)kind) % WAYS); /* each meets each number of threads */
        snprintf(p->note, sizeof p->note, "%s '%s' linear in %#x, %s, %s %s, %d threads, %s",
                 p->name, p->sample->note, p->vary, tp_dtype_name(p->dtype), layout_names[kind],
                 how == 0   ? "inputs"
                 : how == 1 ? "cotangent"
                            : "both",
                 tp_threads(), way_names[by]);
        compare(p, view, &u.view, by);
    }
    tp_tensor_free(&y), tp_tensor_free(&u.memory);
    for (int i = 0; i < p->sample->n; i++)
        tp_tensor_free(&x[i].memory);
}

/* Samples without elements may be linear too, and then pass through the same checks. */
static bool is_empty(const tp_sample *s, unsigned vary)
{
    for (int i = 0; i < s->n; i++)
        if ((vary & TP_READS(i)) && tp_shape_numel(s->x[i].shape) == 0)
            return true;
    return false;
}

static void check_row(const linear_row *r)
{
    const tp_op *op = find_op(r->op);
    int linear = 0;
    for (int k = 0; k < op->sample_count; k++) {
        const tp_sample *s = &op->samples[k];
        problem p = {op->call, s, r->vary & ((1u << s->n) - 1), r->others, TP_F64, r->op, ""};
        bool yes = additive(&p);
        linear += yes;
        for (int d = 0; d < 2 && (yes || (is_empty(s, p.vary) && adds_up(&p))); d++) {
            p.dtype = d ? TP_F32 : TP_F64;
            for (int kind = 0; kind < LAYOUT_COUNT; kind++)
                for (int how = 0; how < 3; how++)
                    check_layout(&p, (layout_kind)kind, how);
        }
    }
    if (linear == 0) {
        print_error("%s is not linear in inputs %#x in any sample\n", r->op, r->vary);
        failures++;
    }
}

static void test_adjoints(void **state)
{
    (void)state;
    failures = 0;
    for (int threads = 1; threads <= 4; threads++) {
        assert_ok(tp_set_threads(threads));
        for (int i = 0; i < ROWS; i++)
            check_row(&linear_rows[i]);
    }
    assert_ok(tp_set_threads(1));
    printf("%d sets of inputs, %lld numbers compared\n", ROWS, (long long)compared);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_linear_op_is_missing),
        cmocka_unit_test(test_adjoints),
    };
    return cmocka_run_group_tests(tests, NULL, free_tape) != 0;
}
