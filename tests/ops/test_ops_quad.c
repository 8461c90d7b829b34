/* test_ops_quad.c: every operation against its reference in quad precision (tests/ops/quad/). Of value y, gradient
 * vJ, product Ju (by double backward) and second derivative (u·∇)(vJ),
 *     |got − want| <= (m + K)·ε·S
 * with S the sum of the absolute terms, for derivatives Σ|v||J| and so on, m the additions, K from budget.def.
 * A sum of terms that cancel, or a solve, is as good as its condition: the reference says how it enters S.
 * Below the bound only what differences in 113 bits cannot resolve, and underflow to subnormal numbers.
 *
 * Prints the worst error/bound per operation; TAPIR_QUAD_TABLE=<file> writes the table there too. */
#include <stdio.h>

#include "tests/support/check.h"

#ifdef TAPIR_HAVE_QUADMATH
#    include <float.h>
#    include <math.h>
#    include <stdlib.h>
#    include <string.h>

#    include "autograd/ops.h"
#    include "tensor/kernels/kernels.h"
#    include "tests/ops/quad/run.h"
#    include "tests/support/compositions.h"
#    include "tests/support/coverage.h"

enum { VALUE, GRADIENT, PRODUCT, SECOND, ORDERS, SEEDS = 3 };

static const char *const order_names[ORDERS] = {"value", "gradient", "Ju", "second"};

/* Instruction sets: tapir computes with each that the processor has, and is compared with one reference. */
enum { LEVELS = 3 };
static const char *const levels[LEVELS] = {"ref", "avx2", "avx512"};

typedef struct budget {
    const char *name;
    double k[3][2]; /* [value, gradient, second][f32, f64] */
} budget;

static const budget budgets[] = {
#    define TP_QUAD(name, v32, v64, g32, g64, s32, s64)                                            \
        {#name, {{v32, v64}, {g32, g64}, {s32, s64}}},
#    include "tests/ops/quad/budget.def"
#    undef TP_QUAD
};

/* --- one entry of the table ---------------------------------------------------------------------- */

typedef struct cell {
    int64_t compared;
    double worst;
    char where[112];
    bool caught; /* an error of a few bounds, made on purpose, was noticed */
} cell;

typedef struct entry {
    const tp_op *op;
    cell cells[ORDERS][2];
    bool quiet; /* errors are wanted */
} entry;

/* What is being compared, for K and the message. */
typedef struct subject {
    entry *row;
    const budget *budget;
    const quad_inputs *in;
    int order;
    tp_dtype dtype;
    const char *level;
} subject;

static double k_of(const subject *s)
{
    int column = s->order == PRODUCT ? GRADIENT : s->order == SECOND ? 2 : s->order;
    return s->budget->k[column][s->dtype == TP_F32 ? 0 : 1];
}

static double error_over_bound(quad got, quad want, quad size, quad blur, int64_t additions,
                               double k, tp_dtype dtype)
{
    bool narrow = dtype == TP_F32;
    quad epsilon = narrow ? (quad)FLT_EPSILON : (quad)DBL_EPSILON;
    quad tiny = narrow ? (quad)0x1p-149 : (quad)0x1p-1022 * (quad)0x1p-52;
    quad largest = narrow ? (quad)FLT_MAX : (quad)DBL_MAX;
    if (fabsq(want) > largest * (1 + epsilon / 4))
        return isinfq(got) && (got > 0) == (want > 0) ? 0 : HUGE_VAL;
    quad weight = (quad)additions + k;
    quad bound = weight * epsilon * size + blur + 2 * weight * tiny;
    quad off = fabsq(got - want);
    if (!(off < (quad)HUGE_VAL))
        return HUGE_VAL;
    return off == 0 ? 0 : bound == 0 ? HUGE_VAL : (double)(off / bound);
}

static void compare(const subject *s, const char *rule, int64_t at, quad got, quad want, quad size,
                    quad blur, int64_t additions)
{
    cell *c = &s->row->cells[s->order][s->dtype == TP_F32 ? 0 : 1];
    double k = k_of(s), ratio;
    quad epsilon = s->dtype == TP_F32 ? (quad)FLT_EPSILON : (quad)DBL_EPSILON;
    size = size == 0 ? fabsq(want) : size;
    ratio = error_over_bound(got, want, size, blur, additions, k, s->dtype);
    quad broken = got * (1 + 4 * (additions + k + 0.5) * epsilon);
    broken = want == 0 ? epsilon : broken;
    c->caught |= error_over_bound(broken, want, size, blur, additions, k, s->dtype) > 1;
    if (c->compared++ > 0 && ratio <= c->worst)
        return;
    c->worst = ratio;
    snprintf(c->where, sizeof c->where, "%s%s %s, '%s' #%lld, %s", rule, order_names[s->order],
             tp_dtype_name(s->dtype), s->in->sample->note, (long long)at, s->level);
    if (ratio > 1 && !s->row->quiet)
        print_error("%s: %s, seed %d: got %.17g, want %.17g, off by %.3g of the bound %.3g\n",
                    s->in->op->name, c->where, (int)s->in->seed, (double)got, (double)want, ratio,
                    (double)(((quad)additions + k) * epsilon * size + blur));
}

static void compare_wanted(const subject *s, const char *rule, const quad *got,
                           const quad_wanted *w)
{
    for (int64_t i = 0; i < w->n; i++)
        compare(s, rule, i, got[i], w->value[i], w->size[i], w->blur[i], w->additions[i]);
}

/* <Ju, v> = <u, vJ> of what tapir computed, as far as the bounds of both allow. */
static void compare_products(const subject *s, const quad_result_of *r, const quad_wanted *vj,
                             const quad_wanted *ju)
{
    quad left = 0, right = 0, size = 0, blur = 0;
    int64_t additions = 0;
    for (int64_t j = 0; j < ju->n; j++) {
        left += r->ju[j] * r->v[j];
        size += fabsq(r->v[j]) * ju->size[j], blur += fabsq(r->v[j]) * ju->blur[j];
        additions = ju->additions[j] > additions ? ju->additions[j] : additions;
    }
    for (int64_t e = 0; e < vj->n; e++) {
        right += r->composed[e] * r->u[e];
        size += fabsq(r->u[e]) * vj->size[e], blur += fabsq(r->u[e]) * vj->blur[e];
        additions = vj->additions[e] > additions ? vj->additions[e] : additions;
    }
    if (ju->n > 0 && vj->n > 0)
        compare(s, "identity of ", -1, left, right, size, blur, additions);
}

/* --- one sample ---------------------------------------------------------------------------------- */

static quad_call begin_call(const quad_op *ref, const quad_inputs *in)
{
    quad_call c = {.ref = ref, .name = in->op->name, .n = in->sample->n, .dtype = in->dtype};
    c.attr = in->attr;
    c.fields = in->op->fields, c.field_count = in->op->field_count;
    for (int i = 0; i < c.n; i++)
        c.x[i] = quads_of(&in->x[i]);
    return c;
}

/* The reference's value is that of c. */
static void compare_value(subject *s, const quad_call *c, const quad_result_of *r)
{
    char got[TP_SHAPE_TEXT], want[TP_SHAPE_TEXT];
    s->order = VALUE;
    if (!tp_shape_equal(r->y.shape, c->shape)) {
        print_error("%s, '%s': shape %s, the reference has %s\n", s->in->op->name,
                    s->in->sample->note, tp_shape_text(r->y.shape, got),
                    tp_shape_text(c->shape, want));
        fail();
    }
    for (int64_t j = 0; j < c->count; j++)
        compare(s, "", j, r->y.at[j], quad_value(c, j), c->size[j], 0, c->additions);
}

typedef struct wanted {
    quad_wanted vj, ju, second;
} wanted;

static void compare_derivatives(subject *s, const wanted *w, const quad_result_of *r)
{
    s->order = GRADIENT;
    compare_wanted(s, s->in->op->vjp_fused != NULL ? "fused " : "", r->fused, &w->vj);
    compare_wanted(s, "", r->composed, &w->vj);
    s->order = PRODUCT;
    compare_wanted(s, "", r->ju, &w->ju);
    compare_products(s, r, &w->vj, &w->ju);
    s->order = SECOND;
    compare_wanted(s, "", r->second, &w->second);
}

/* What tapir computes at every level; how many there are. The last is the best. */
static int run_levels(const quad_inputs *in, int64_t slots, quad_result_of *r, const char **level)
{
    int n = 0;
    for (int i = 0; i < LEVELS; i++)
        if (tp_set_isa(levels[i]) == TP_OK) {
            level[n] = levels[i];
            r[n++] = quad_run(in, slots);
        }
    return n;
}

static void check_sample(entry *row, const quad_op *ref, const budget *b, const quad_harsh *h,
                         tp_dtype dtype, uint64_t seed)
{
    quad_inputs in = quad_inputs_make(row->op, h, dtype, seed);
    quad_call c = begin_call(ref, &in);
    quad_slots slots = quad_slots_make(&c, in.by);
    quad_result_of r[LEVELS];
    const char *level[LEVELS];
    wanted w = {{0}};
    int n = run_levels(&in, slots.n, r, level);
    c.dtype = r[0].dtype; /* of a source: an attribute says */
    c.sizes = true;
    quad_forward(&c, false);
    for (int i = 0; i < n; i++)
        compare_value(&(subject){row, b, &in, VALUE, c.dtype, level[i]}, &c, &r[i]);
    if (r[0].gradient)
        quad_differentiate(&c, &slots, r[0].v, r[0].u, true, &w.vj, &w.ju, &w.second);
    for (int i = 0; i < n && r[0].gradient; i++)
        compare_derivatives(&(subject){row, b, &in, VALUE, dtype, level[i]}, &w, &r[i]);
    quad_wanted_free(&w.vj), quad_wanted_free(&w.ju), quad_wanted_free(&w.second);
    for (int i = 0; i < n; i++)
        quad_result_free(&r[i]);
    quad_slots_free(&slots);
    quad_call_free(&c);
    quad_inputs_free(&in);
}

/* --- all operations ------------------------------------------------------------------------------ */

const quad_op *quad_find(const char *name)
{
    const quad_op *const families[] = {
        quad_pointwise_ops, quad_loss_ops,        quad_reduction_ops,
        quad_matrix_ops,    quad_convolution_ops, quad_place_ops,
        quad_pool_ops,      quad_noise_ops,       quad_composition_ops};
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const quad_op *op = families[f]; op->name != NULL; op++)
            if (strcmp(op->name, name) == 0)
                return op;
    return NULL;
}

static const budget *find_budget(const char *name)
{
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++)
        if (strcmp(budgets[i].name, name) == 0)
            return &budgets[i];
    return NULL;
}

static void check_op(entry *row, const tp_op *op, const quad_op *ref)
{
    const budget *b = find_budget(op->name);
    row->op = op;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        for (int dtype = TP_F32; dtype <= TP_F64; dtype++) {
            for (int k = 0; k < op->sample_count; k++)
                check_sample(row, ref, b, &(quad_harsh){.s = op->samples[k]}, (tp_dtype)dtype,
                             seed);
            for (int k = 0; k < quad_harsh_count; k++) {
                const quad_harsh *h = &quad_harsh_samples[k];
                if (strcmp(h->op, op->name) == 0 && !(h->f64_only && dtype == TP_F32))
                    check_sample(row, ref, b, h, (tp_dtype)dtype, seed);
            }
        }
}

static void print_cell(FILE *f, const cell *c)
{
    if (c->compared == 0)
        fprintf(f, "      –");
    else
        fprintf(f, c->worst < 100 ? " %6.3f" : " %6.0g", c->worst);
}

/* Error/bound, the worst of all elements, f32 and f64; then where the worst of the row was. */
static void print_table(FILE *f, const char *title, const entry *table, int count)
{
    fprintf(f, "%-22s%14s%14s%14s%14s\n%-22s", title, "value  ", "gradient  ", "Ju    ", "second  ",
            "");
    for (int o = 0; o < ORDERS; o++)
        fprintf(f, "    f32    f64");
    fprintf(f, "  worst at\n");
    for (int i = 0; i < count; i++) {
        const cell *worst = NULL;
        fprintf(f, "%-22s", table[i].op->name);
        for (int o = 0; o < ORDERS; o++)
            for (int d = 0; d < 2; d++) {
                const cell *c = &table[i].cells[o][d];
                print_cell(f, c);
                worst = worst == NULL || c->worst > worst->worst ? c : worst;
            }
        fprintf(f, "  %s\n", worst->worst > 0 ? worst->where : "exact");
    }
}

/* What was compared and within its bounds, for the matrix; d is 0 for f32. */
static void fill_cells(const entry *row, int d)
{
    static const int order_of[ORDERS] = {0, 1, 2, 2};
    bool right[3] = {true, true, true};
    for (int o = 0; o < ORDERS; o++)
        right[order_of[o]] &= row->cells[o][d].worst <= 1;
    for (int o = 0; o < ORDERS; o++)
        for (int k = 0; row->cells[o][d].compared > 0 && k < row->op->sample_count; k++)
            if (right[order_of[o]])
                coverage_fill_sample(row->op, &row->op->samples[k], d == 0 ? TP_F32 : TP_F64,
                                     LAYOUT_CONTIGUOUS, LAYOUT_CONTIGUOUS, order_of[o]);
}

/* Compositions without a reference: they move elements or are constant, which tests/ops/test_compositions.c and
 * its neighbours see exactly, or they are a draw and what the rows below check of it. */
static const char *const without[] = {
    "scalar",         "zeros_like",
    "ones_like",      "one_hot",
    "transpose",      "diag",
    "triu",           "diagonal",
    "squeeze",        "unsqueeze",
    "flip",           "stack",
    "split",          "tile",
    "pad_constant",   "repeat",
    "index_select",   "embedding",
    "sum_to",         "keep_axes",
    "gumbel_softmax", "noise_categorical",
};

static bool is_without(const char *name)
{
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (strcmp(without[i], name) == 0)
            return true;
    return false;
}

/* The operation at place i: the rows of ops.def, then the compositions. */
static const tp_op *op_at(int i)
{
    return i < tp_op_count ? tp_ops[i] : compositions[i - tp_op_count];
}

static bool has_reference(const tp_op *op)
{
    return quad_find(op->name) != NULL && find_budget(op->name) != NULL;
}

/* Every row needs one; every composition needs one or a word in the list above, and not both. */
static void test_references(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < tp_op_count + composition_count; i++) {
        const tp_op *op = op_at(i);
        if (has_reference(op) != (i >= tp_op_count && is_without(op->name)))
            continue;
        print_error("%s: a reference in tests/ops/quad and a row of budget.def are needed%s\n",
                    op->name, i < tp_op_count ? "" : ", or a place among those without");
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static entry *rows; /* of the table, filled by test_all */
static int row_count, op_rows;

static void print_tables(FILE *f)
{
    print_table(f, "operations", rows, op_rows);
    print_table(f, "compositions", rows + op_rows, row_count - op_rows);
}

static void test_all(void **state)
{
    (void)state;
    int above = 0;
    const char *path = getenv("TAPIR_QUAD_TABLE");
    rows = quad_alloc(tp_op_count + composition_count, sizeof *rows);
    for (int i = 0; i < tp_op_count + composition_count; i++) {
        if (has_reference(op_at(i)))
            check_op(&rows[row_count++], op_at(i), quad_find(op_at(i)->name));
        op_rows = i < tp_op_count ? row_count : op_rows;
    }
    for (int i = 0; i < op_rows; i++)
        for (int d = 0; d < 2; d++)
            fill_cells(&rows[i], d);
    print_tables(stdout);
    fflush(stdout);
    FILE *f = path != NULL ? fopen(path, "w") : NULL;
    assert_true((path == NULL) == (f == NULL));
    if (f != NULL) {
        print_tables(f);
        assert_int_equal(fclose(f), 0);
    }
    for (int i = 0; i < row_count; i++)
        for (int o = 0; o < ORDERS; o++)
            for (int d = 0; d < 2; d++)
                above += rows[i].cells[o][d].worst > 1;
    assert_int_equal(above, 0);
}

/* Every entry of the table would have noticed an error of four bounds. */
static void test_caught(void **state)
{
    (void)state;
    int missed = 0;
    for (int i = 0; i < row_count; i++)
        for (int o = 0; o < ORDERS; o++)
            for (int d = 0; d < 2; d++) {
                const cell *c = &rows[i].cells[o][d];
                if (c->compared == 0 || c->caught)
                    continue;
                print_error("%s: an error in the %s would pass\n", rows[i].op->name,
                            order_names[o]);
                missed++;
            }
    free(rows);
    assert_int_equal(missed, 0);
}

/* --- the checker, checked ------------------------------------------------------------------------ */

static void nearly_exp(const quad_call *c, const quad *x, quad *y)
{
    (void)c;
    y[CURVED] = expq(x[0]) * (1 + (quad)0x1p-49); /* 8 ε of f64, nothing in f32 */
}

static void exp_of_more(const quad_call *c, const quad *x, quad *y)
{
    (void)c;
    y[CURVED] = expq(x[0] * (1 + (quad)0x1p-20)); /* 8 ε of f32 */
}

/* An op off by a little is found out in every entry, and only where that little matters. */
static void test_wrong_references(void **state)
{
    (void)state;
    entry in_f64 = {.quiet = true}, in_both = {.quiet = true};
    check_op(&in_f64, &tp_op_exp, &(quad_op){.name = "exp", .point = nearly_exp});
    check_op(&in_both, &tp_op_exp, &(quad_op){.name = "exp", .point = exp_of_more});
    for (int o = 0; o < ORDERS; o++) {
        assert_true(in_f64.cells[o][0].worst < 1 && in_f64.cells[o][1].worst > 1);
        assert_true(in_both.cells[o][0].worst > 1 && in_both.cells[o][1].worst > 1);
    }
}

static void test_error_over_bound(void **state)
{
    (void)state;
    const quad e = DBL_EPSILON, huge = HUGE_VAL;
    assert_true(error_over_bound(1 + e, 1, 1, 0, 0, 0.5, TP_F64) == 2);
    assert_true(error_over_bound(1 + e, 1, 1, 0, 3, 1, TP_F64) == 0.25);
    assert_true(error_over_bound(1 + e, 1, 1, 0, 0, 0, TP_F64) == HUGE_VAL); /* exact means exact */
    assert_true(error_over_bound(1, 1, 1, 0, 0, 0, TP_F64) == 0);
    assert_true(error_over_bound((quad)NAN, 1, 1, 0, 0, 1, TP_F64) == HUGE_VAL);
    assert_true(error_over_bound(huge, 1, 1, 0, 0, 1, TP_F64) == HUGE_VAL);
    assert_true(error_over_bound(huge, (quad)1e39, 1, 0, 0, 1, TP_F32) == 0);
    assert_true(error_over_bound(huge, (quad)1e39, 1, 0, 0, 1, TP_F64) == HUGE_VAL);
    assert_true(error_over_bound(-huge, (quad)1e39, 1, 0, 0, 1, TP_F32) == HUGE_VAL);
    assert_true(error_over_bound(0, (quad)0x1p-149, 0, 0, 0, 1, TP_F32) < 1); /* underflow */
    assert_true(error_over_bound(0, (quad)0x1p-149, 0, 0, 0, 1, TP_F64) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_over_bound), cmocka_unit_test(test_wrong_references),
        cmocka_unit_test(test_references),       cmocka_unit_test(test_all),
        cmocka_unit_test(test_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0 || !coverage_done();
}
#else
int main(void)
{
    puts("skipped: this compiler has no quad precision (gcc on x86-64 does)");
    return 0;
}
#endif
