/* check_operations.c: the same bits of every operation, every time: values, gradients and second gradients of
 * every row and composition, on any number of threads, wherever buffers lie and whatever lay in them.
 *
 * Samples are small, and no driver cuts small work into chunks. So each operation also runs on a sample blown up,
 * every axis by the same factor; where shapes stand in attributes, and for what has no inputs, there are cases by
 * hand below. An operation that was large in neither way fails. Whole runs of training: check_threads.c.
 * Read next: tests/support/numbers.h.
 */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/sweep.h"
#include "tensor/kernels/kernels.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"
#include "tests/support/compositions.h"
#include "tests/support/numbers.h"
#include "tests/support/shifted.h"

/* Elements that every driver cuts into chunks; most do from 16384 on, which must do where all is slower. */
enum { LARGE = SANITIZED ? 17000 : 40000 };
enum { BUDGET = 64 << 20 };

static bool full;
static int levels, points_run;
static long values;

/* --- samples blown up ------------------------------------------------------------------------------ */

/* Every axis longer than 1 by one factor, such that the largest input has enough elements. */
static tp_sample blow_up(const tp_sample *s)
{
    tp_sample t = *s;
    int64_t most = 0;
    for (int64_t factor = 1; most < LARGE && factor <= LARGE; factor += 1 + factor / 16) {
        most = 0;
        for (int i = 0; i < s->n; i++) {
            for (int d = 0; d < s->x[i].shape.ndim; d++)
                if (s->x[i].shape.dim[d] > 1)
                    t.x[i].shape.dim[d] = s->x[i].shape.dim[d] * factor;
            int64_t n = tp_shape_numel(t.x[i].shape);
            most = n > most ? n : most;
        }
    }
    return t;
}

static bool is_large(const tp_sample *s)
{
    for (int i = 0; i < s->n; i++)
        if (tp_shape_numel(s->x[i].shape) >= LARGE)
            return true;
    return false;
}

/* Whether the op takes the sample and its result is of reasonable size. */
static bool accepted(const tp_op *op, const tp_sample *s)
{
    tp_tensor data[TP_SAMPLE_INPUTS] = {{0}};
    tp_var x[TP_SAMPLE_INPUTS];
    attr_room room;
    tp_tape *t;
    bool good = true;
    tp_mem_set_budget(BUDGET);
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < s->n && good; i++) {
        good = tp_sample_fill(&s->x[i], TP_F32, 3, &data[i]) == TP_OK;
        if (good)
            x[i] = tp_constant(t, &data[i]);
    }
    if (good) {
        tp_var y = op_call(t, op, s->n, x, attr_as(op, s->attr, TP_F32, &room));
        good = tp_var_status(y) == TP_OK && tp_shape_numel(tp_shape_of(y)) <= 8 * LARGE;
    }
    tp_tape_free(t);
    for (int i = 0; i < s->n; i++)
        tp_tensor_free(&data[i]);
    tp_matmul_release();
    tp_mem_set_budget(0);
    return good;
}

/* --- cases by hand: shapes stand in attributes, or there are no inputs ------------------------------- */

static const tp_rng_key key = {7, 3, 1};

static tp_var big(tp_tape *t, tp_dtype dtype)
{
    return tp_noise_normal(t, dtype, TP_SHAPE(301, 257), key);
}

static tp_var hand_expand(tp_tape *t, tp_dtype d)
{
    return tp_expand(tp_noise_normal(t, d, TP_SHAPE(1, 257), key), TP_SHAPE(301, 257));
}
static tp_var hand_pad(tp_tape *t, tp_dtype d)
{
    return tp_pad(big(t, d), 1, 2, 1, 300);
}
static tp_var hand_full(tp_tape *t, tp_dtype d)
{
    return tp_full(t, d, TP_SHAPE(301, 257), 0.3);
}
static tp_var hand_normal(tp_tape *t, tp_dtype d)
{
    return big(t, d);
}
static tp_var hand_uniform(tp_tape *t, tp_dtype d)
{
    return tp_noise_uniform(t, d, TP_SHAPE(301, 257), key);
}
static tp_var hand_permutation(tp_tape *t, tp_dtype d)
{
    (void)d;
    return tp_noise_permutation(t, TP_SHAPE(3, 30001), 1, key);
}
static tp_var hand_gumbel(tp_tape *t, tp_dtype d)
{
    return tp_noise_gumbel(t, d, TP_SHAPE(301, 257), key);
}
static tp_var hand_unpool(tp_tape *t, tp_dtype d)
{
    return tp_avg_unpool2d(tp_noise_normal(t, d, TP_SHAPE(5, 31, 15, 16), key), 29, 31,
                           (tp_pool_opts){.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
}
static tp_var hand_split(tp_tape *t, tp_dtype d)
{
    static const int64_t sizes[] = {100, 200, 1};
    tp_var part[3];
    tp_split(big(t, d), 0, sizes, 3, part);
    return tp_matmul(part[0], tp_transpose(part[1]));
}

static const struct {
    const char *name;
    tp_var (*run)(tp_tape *t, tp_dtype dtype);
} hands[] = {
    {"expand", hand_expand},
    {"pad", hand_pad},
    {"full", hand_full},
    {"noise_normal", hand_normal},
    {"noise_uniform", hand_uniform},
    {"noise_permutation", hand_permutation},
    {"noise_gumbel", hand_gumbel},
    {"avg_unpool2d", hand_unpool},
    {"split", hand_split},
    {"scalar", NULL}, /* has one element, always */
};
enum { HANDS = sizeof hands / sizeof *hands };

static int hand_of(const char *name)
{
    for (int i = 0; i < HANDS; i++)
        if (strcmp(hands[i].name, name) == 0)
            return i;
    return -1;
}

static numbers hand_numbers(int i, tp_dtype dtype)
{
    tp_tape *t;
    numbers n = {0};
    assert_ok(tp_tape_new(&t));
    const tp_tensor *y = tp_value(hands[i].run(t, dtype));
    assert_non_null(y);
    n.n = n.first = n.second = tp_numel(y);
    n.at = malloc((size_t)n.n * sizeof *n.at);
    assert_non_null(n.at);
    for (int64_t k = 0; k < n.n; k++)
        n.at[k] = tp_flat(y, k);
    tp_tape_free(t);
    return n;
}

/* --- the same under all conditions ------------------------------------------------------------------ */

typedef struct condition {
    int threads;
    shifted memory;
} condition;

static const condition reference = {1, {0}};
static const condition conditions[] = {
    {3, {SHIFT_ANY, true, FILL_NOISE}}, {8, {64, false, FILL_NAN}},       {2, {.shift = 128}},
    {4, {.fill = FILL_NOISE}},          {1, {4096 - 64, true, FILL_NAN}},
};
enum { CONDITIONS = sizeof conditions / sizeof *conditions, SHORT_CONDITIONS = 1 };

/* One op on one sample, or by hand. */
typedef struct job {
    const tp_op *op;
    const tp_sample *sample; /* NULL: by hand */
    int hand;
    tp_dtype dtype;
} job;

static numbers run(const job *j, const condition *c)
{
    point p;
    numbers n;
    assert_true(shifted_use(c->memory));
    assert_ok(tp_set_threads(c->threads));
    if (j->sample == NULL) {
        n = hand_numbers(j->hand, j->dtype);
    } else {
        assert_true(point_make(&p, j->op, j->sample, LAYOUT_CONTIGUOUS, LAYOUT_CONTIGUOUS, 21));
        n = numbers_make(&p, j->dtype, LAYOUT_CONTIGUOUS, LAYOUT_CONTIGUOUS, 0);
        point_free(&p);
    }
    tp_matmul_release();
    return n;
}

/* The first number that differs in a bit; -1: none. */
static int64_t first_other(const numbers *a, const numbers *b)
{
    assert_int_equal(a->n, b->n);
    for (int64_t i = 0; i < a->n; i++)
        if (memcmp(&a->at[i], &b->at[i], sizeof *a->at) != 0)
            return i;
    return -1;
}

static void check_job(const job *j)
{
    numbers want = run(j, &reference);
    for (int i = 0; i < (full ? CONDITIONS : SHORT_CONDITIONS); i++) {
        numbers got = run(j, &conditions[i]);
        int64_t at = first_other(&want, &got);
        if (at >= 0)
            fail_msg("%s, %s, '%s', %s: %s %lld differs on %d threads, condition %d", tp_isa(),
                     j->op->name, j->sample != NULL ? j->sample->note : "by hand",
                     tp_dtype_name(j->dtype), numbers_order(&want, at), (long long)at,
                     conditions[i].threads, i);
        values += (long)got.n;
        numbers_free(&got);
    }
    numbers_free(&want);
    points_run++;
}

/* The samples as they are, and blown up; in the short form the small ones of f32 only, and one large one. */
static void check_op(const tp_op *op)
{
    int large = 0, hand = hand_of(op->name);
    for (int dtype = TP_F32; dtype <= (full ? TP_F64 : TP_F32); dtype++) {
        for (int k = 0; k < op->sample_count; k++) {
            job small = {op, &op->samples[k], -1, (tp_dtype)dtype};
            tp_sample blown = blow_up(&op->samples[k]);
            job bigger = {op, &blown, -1, (tp_dtype)dtype};
            check_job(&small);
            if ((full || large == 0) && is_large(&blown) && accepted(op, &blown)) {
                check_job(&bigger);
                large++;
            }
        }
        if (hand >= 0 && hands[hand].run != NULL)
            check_job(&(job){op, NULL, hand, (tp_dtype)dtype});
    }
    if (large == 0 && hand < 0)
        fail_msg("%s was never large: write it a case by hand", op->name);
    if (large > 0 && hand >= 0)
        fail_msg("%s needs no case by hand", op->name);
}

static void every_operation(void **state)
{
    (void)state;
    static const char *const names[] = {"avx512", "avx2", "ref"};
    for (int l = 0; l < 3; l++) {
        if (tp_set_isa(names[l]) != TP_OK || (!full && levels == 1))
            continue;
        levels++;
        for (int i = 0; i < tested_count(); i++)
            check_op(tested(i));
    }
    assert_ok(tp_set_threads(1));
}

/* --- what must be caught --------------------------------------------------------------------------- */

typedef enum fault { NO_FAULT, BY_THREADS, BY_ADDRESS, BY_GARBAGE } fault;
static fault broken;

static tp_status bad_forward(const tp_op_call *c)
{
    const float *x = tp_data(c->x[0]);
    float *y = tp_data_mut(c->y);
    for (int64_t i = 0, n = tp_numel(c->x[0]); i < n; i++) {
        y[i] = broken == BY_GARBAGE && i == n - 1 ? y[i] : x[i];
        if (broken == BY_THREADS)
            y[i] *= 1 + 1e-6f * (float)tp_threads();
        if (broken == BY_ADDRESS && (uintptr_t)&y[i] % 4096 == 0)
            y[i] *= 1 + 1e-6f;
    }
    return TP_OK;
}

static const tp_op bad_op = {.name = "bad",
                             .arity = 1,
                             .smooth = TP_NO_GRADIENT,
                             .why = "broken on purpose",
                             .shape = tp_shape_same,
                             .forward = bad_forward};

/* Every fault is caught, and nothing else: the first condition is enough for all. */
static void faults_are_caught(void **state)
{
    (void)state;
    const tp_sample sample = {"a matrix", 1, {{TP_DIMS(500, 777)}}, NULL};
    const job j = {&bad_op, &sample, -1, TP_F32};
    for (broken = NO_FAULT; broken <= BY_GARBAGE; broken++) {
        numbers want = run(&j, &reference), got = run(&j, &conditions[0]);
        assert_int_equal(first_other(&want, &got) >= 0, broken != NO_FAULT);
        numbers_free(&want);
        numbers_free(&got);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_caught),
        cmocka_unit_test(every_operation),
    };
    full = argc == 2 && strcmp(argv[1], "full") == 0;
    shifted_install();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("check-operations: %d operations at %d points, %ld values, 1 to 8 threads, %d ISA "
           "level%s: the same bits\n",
           tested_count(), points_run, values, levels, levels == 1 ? "" : "s");
    return failed != 0;
}
