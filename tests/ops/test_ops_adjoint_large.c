/* test_ops_adjoint_large.c: adjoints of linear ops on shapes that are cut into pieces for several threads (maps
 * from 16384 elements on, gathers and scans from 16384 or 32768 per piece, reductions from 65536, products from
 * 262144 multiplications): <A x, u> = <x, Aᵀu> exactly, A x the same for every layout, and elements of Aᵀu drawn
 * at random equal to <A e_i, u>, for 1 to 4 threads and every memory layout. Every linear op
 * has a case here. Read that first: small shapes, whole matrices. */
#include "tests/ops/adjoint.h"
#include "autograd/compose.h"

#include <stdio.h>

#define FUNCTION(id, expression)                                                                   \
    static tp_var id(tp_tape *t, int n, const tp_var *x, const void *attr)                         \
    {                                                                                              \
        (void)t, (void)n, (void)attr;                                                              \
        return expression;                                                                         \
    }
FUNCTION(add, tp_add(x[0], x[1]))
FUNCTION(sub, tp_sub(x[0], x[1]))
FUNCTION(mul, tp_mul(x[0], x[1]))
FUNCTION(divide, tp_div(x[0], x[1]))
FUNCTION(where, tp_where(x[0], x[1], x[2]))
FUNCTION(neg, tp_neg(x[0]))
FUNCTION(affine, tp_affine(x[0], -1.5, 0))
FUNCTION(sum_all, tp_sum(x[0], TP_ALL_AXES, false))
FUNCTION(sum_rows, tp_sum(x[0], TP_AXES(0), true))
FUNCTION(sum_columns, tp_sum(x[0], TP_AXES(-1), false))
FUNCTION(sum_middle, tp_sum(x[0], TP_AXES(1), false))
FUNCTION(mean, tp_mean(x[0], TP_AXES(0), false))
FUNCTION(mean_all, tp_mean(x[0], TP_ALL_AXES, true))
FUNCTION(matmul, tp_matmul(x[0], x[1]))
FUNCTION(linear, tp_linear(x[0], x[1], x[2]))
FUNCTION(solve, tp_triangular_solve(x[0], x[1], false))
FUNCTION(solve_transposed, tp_triangular_solve(x[0], x[1], true))
/* Without padding, and with all that there is: a row of the image is seen by no position, and both groups are cut at
 * another place than the threads. */
#define PLAIN_CONV                                                                                 \
    (tp_conv_opts)                                                                                 \
    {                                                                                              \
        .groups = 1                                                                                \
    }
#define HALVED                                                                                     \
    (tp_conv_opts)                                                                                 \
    {                                                                                              \
        .stride = {2, 2}, .padding = { 1, 1 }                                                      \
    }
#define ODD_CONV                                                                                   \
    (tp_conv_opts)                                                                                 \
    {                                                                                              \
        .stride = {3, 2}, .padding = {2, 3}, .dilation = {2, 1}, .groups = 3                       \
    }
#define ODD_TRANSPOSED                                                                             \
    (tp_conv_opts)                                                                                 \
    {                                                                                              \
        .stride = {3, 2}, .padding = {2, 3}, .dilation = {2, 1}, .groups = 3, .output_padding = {  \
            2,                                                                                     \
            1                                                                                      \
        }                                                                                          \
    }
FUNCTION(conv_plain, tp_conv2d(x[0], x[1], PLAIN_CONV))
FUNCTION(conv_halved, tp_conv2d(x[0], x[1], HALVED))
FUNCTION(conv_odd, tp_conv2d(x[0], x[1], ODD_CONV))
FUNCTION(transposed_halved, tp_conv_transpose2d(x[0], x[1], HALVED))
FUNCTION(transposed_odd, tp_conv_transpose2d(x[0], x[1], ODD_TRANSPOSED))
FUNCTION(weight_plain, tp_conv2d_weight(x[0], x[1], 1, 1, PLAIN_CONV))
FUNCTION(weight_halved, tp_conv2d_weight(x[0], x[1], 4, 4, HALVED))
FUNCTION(weight_odd, tp_conv2d_weight(x[0], x[1], 3, 2, ODD_CONV))
FUNCTION(tril, tp_tril(x[0], -3))
FUNCTION(reshape, tp_reshape(tp_permute(x[0], TP_AXES(1, 0)), TP_SHAPE(200, 360)))
FUNCTION(permute, tp_permute(x[0], TP_AXES(2, 0, 1)))
FUNCTION(expand, tp_expand(x[0], TP_SHAPE(40, 30, 60)))
FUNCTION(slice, tp_slice(x[0], 1, -2, TP_SLICE_END, -3))
FUNCTION(pad, tp_pad(x[0], 0, 5, 2, 700))
FUNCTION(concat, tp_concat(x, 3, 1))
FUNCTION(gather, tp_gather(x[0], x[1], 1))
FUNCTION(gather_rows, tp_gather(x[0], x[1], 0))
FUNCTION(scatter_add, tp_scatter_add(x[0], x[1], 1, 50))
FUNCTION(scatter_add_rows, tp_scatter_add(x[0], x[1], 0, 50))
FUNCTION(cumsum, tp_cumsum(x[0], 1))
FUNCTION(cumsum_first, tp_cumsum(x[0], 0))
#define HALVES                                                                                     \
    (tp_pool_opts)                                                                                 \
    {                                                                                              \
        .kernel = { 2, 2 }                                                                         \
    }
#define OVERLAPPING                                                                                \
    (tp_pool_opts)                                                                                 \
    {                                                                                              \
        .kernel = {4, 2}, .stride = {3, 1}, .padding = { 2, 1 }                                    \
    }
FUNCTION(average, tp_avg_pool2d(x[0], HALVES))
FUNCTION(average_odd, tp_avg_pool2d(x[0], OVERLAPPING))
FUNCTION(unpool, tp_avg_unpool2d(x[0], 29, 31, HALVES))
FUNCTION(unpool_odd, tp_avg_unpool2d(x[0], 29, 31, OVERLAPPING))
FUNCTION(upsample, tp_upsample_nearest2d(x[0], 2, 3))
FUNCTION(reparameterize, tp_reparameterize(x[0], x[1], x[2]))

/* Inputs: of a shape; a mask; indices below n. */
#define IN(...)                                                                                    \
    {                                                                                              \
        TP_DIMS(__VA_ARGS__)                                                                       \
    }
#define MASK(...)                                                                                  \
    {                                                                                              \
        TP_DIMS(__VA_ARGS__), TP_FILL_MASK                                                         \
    }
#define INDEX(n, ...)                                                                              \
    {                                                                                              \
        TP_DIMS(__VA_ARGS__), TP_FILL_INDEX, 0, n, true                                            \
    }

typedef struct large {
    tp_var (*call)(tp_tape *t, int n, const tp_var *x, const void *attr);
    unsigned vary;
    others_kind others;
    tp_sample sample; /* the note names it */
} large;

static const large cases[] = {
    {add, X0 | X1, INTEGERS, {"add", 2, {IN(300, 240), IN(300, 240)}}},
    {add, X0 | X1, INTEGERS, {"add, broadcast", 2, {IN(1, 240), IN(300, 1)}}},
    {sub, X0 | X1, INTEGERS, {"sub, broadcast", 2, {IN(300, 240), IN(240)}}},
    {mul, X0, INTEGERS, {"mul by its left factor", 2, {IN(300, 240), IN(300, 1)}}},
    {mul, X1, INTEGERS, {"mul by its right factor", 2, {IN(300, 240), IN(300, 1)}}},
    {divide, X0, POWERS_OF_TWO, {"div", 2, {IN(300, 240), IN(240)}}},
    {where, X1 | X2, INTEGERS, {"where", 3, {MASK(300, 240), IN(300, 240), IN(240)}}},
    {neg, X0, INTEGERS, {"neg", 1, {IN(300, 240)}}},
    {affine, X0, INTEGERS, {"affine", 1, {IN(300, 240)}}},
    {sum_all, X0, INTEGERS, {"sum", 1, {IN(300, 240)}}},
    {sum_rows, X0, INTEGERS, {"sum over rows", 1, {IN(900, 80)}}},
    {sum_columns, X0, INTEGERS, {"sum over columns", 1, {IN(80, 900)}}},
    {sum_middle, X0, INTEGERS, {"sum over a middle axis", 1, {IN(40, 30, 60)}}},
    {mean, X0, INTEGERS, {"mean over 256", 1, {IN(256, 300)}}},
    {mean_all, X0, INTEGERS, {"mean of 65536", 1, {IN(256, 256)}}},
    {matmul, X0, INTEGERS, {"matmul by its left factor", 2, {IN(160, 210), IN(210, 170)}}},
    {matmul, X1, INTEGERS, {"matmul by its right factor", 2, {IN(160, 210), IN(210, 170)}}},
    {matmul, X0, INTEGERS, {"matmul, long sums", 2, {IN(50, 1300), IN(1300, 40)}}},
    {matmul, X1, INTEGERS, {"matmul, a shared factor", 2, {IN(6, 40, 50), IN(50, 60)}}},
    {linear, X0 | X2, INTEGERS, {"linear in x and bias", 3, {IN(130, 90), IN(100, 90), IN(100)}}},
    {linear, X1 | X2, INTEGERS, {"linear in W and bias", 3, {IN(130, 90), IN(100, 90), IN(100)}}},
    {conv_plain, X0, INTEGERS, {"conv2d by x, 1 by 1", 2, {IN(40, 30, 5, 6), IN(33, 30, 1, 1)}}},
    {conv_halved, X0, INTEGERS, {"conv2d by x", 2, {IN(40, 3, 29, 31), IN(5, 3, 4, 4)}}},
    {conv_halved, X1, INTEGERS, {"conv2d by weight", 2, {IN(40, 3, 29, 31), IN(5, 3, 4, 4)}}},
    {conv_odd, X0, INTEGERS, {"conv2d by x, groups", 2, {IN(14, 9, 29, 31), IN(15, 3, 3, 2)}}},
    {conv_odd, X1, INTEGERS, {"conv2d by weight, groups", 2, {IN(14, 9, 29, 31), IN(15, 3, 3, 2)}}},
    {transposed_halved,
     X0,
     INTEGERS,
     {"conv_transpose2d by x", 2, {IN(40, 5, 14, 15), IN(5, 3, 4, 4)}}},
    {transposed_halved,
     X1,
     INTEGERS,
     {"conv_transpose2d by weight", 2, {IN(40, 5, 14, 15), IN(5, 3, 4, 4)}}},
    {transposed_odd,
     X0,
     INTEGERS,
     {"conv_transpose2d by x, groups", 2, {IN(14, 15, 9, 17), IN(15, 3, 3, 2)}}},
    {transposed_odd,
     X1,
     INTEGERS,
     {"conv_transpose2d by weight, groups", 2, {IN(14, 15, 9, 17), IN(15, 3, 3, 2)}}},
    {weight_plain,
     X1,
     INTEGERS,
     {"conv2d_weight by y, 1 by 1", 2, {IN(40, 30, 5, 6), IN(40, 33, 5, 6)}}},
    {weight_halved,
     X0,
     INTEGERS,
     {"conv2d_weight by x", 2, {IN(40, 3, 29, 31), IN(40, 5, 14, 15)}}},
    {weight_halved,
     X1,
     INTEGERS,
     {"conv2d_weight by y", 2, {IN(40, 3, 29, 31), IN(40, 5, 14, 15)}}},
    {weight_odd,
     X0,
     INTEGERS,
     {"conv2d_weight by x, groups", 2, {IN(14, 9, 29, 31), IN(14, 15, 10, 18)}}},
    {weight_odd,
     X1,
     INTEGERS,
     {"conv2d_weight by y, groups", 2, {IN(14, 9, 29, 31), IN(14, 15, 10, 18)}}},
    {solve, X1, UNIT_TRIANGLE, {"triangular_solve", 2, {IN(600, 6, 6), IN(600, 6, 20)}}},
    {solve_transposed,
     X1,
     UNIT_TRIANGLE,
     {"triangular_solve, transposed", 2, {IN(6, 6), IN(600, 6, 20)}}},
    {tril, X0, INTEGERS, {"tril", 1, {IN(300, 240)}}},
    {reshape, X0, INTEGERS, {"reshape", 1, {IN(300, 240)}}},
    {permute, X0, INTEGERS, {"permute", 1, {IN(40, 30, 60)}}},
    {expand, X0, INTEGERS, {"expand", 1, {IN(30, 1)}}},
    {slice, X0, INTEGERS, {"slice", 1, {IN(300, 720)}}},
    {pad, X0, INTEGERS, {"pad", 1, {IN(300, 240)}}},
    {concat, X0 | X1 | X2, INTEGERS, {"concat", 3, {IN(300, 100), IN(300, 1), IN(300, 139)}}},
    {gather, X0, INTEGERS, {"gather", 2, {IN(300, 50), INDEX(50, 300, 240)}}},
    {gather_rows, X0, INTEGERS, {"gather of rows", 2, {IN(50, 240), INDEX(50, 300, 240)}}},
    {scatter_add, X0, INTEGERS, {"scatter_add", 2, {IN(300, 240), INDEX(50, 300, 240)}}},
    {scatter_add_rows, X0, INTEGERS, {"scatter_add, rows", 2, {IN(300, 240), INDEX(50, 300, 240)}}},
    {cumsum, X0, INTEGERS, {"cumsum", 1, {IN(300, 240)}}},
    {cumsum_first, X0, INTEGERS, {"cumsum, first axis", 1, {IN(300, 240)}}},
    {average, X0, INTEGERS, {"avg_pool2d", 1, {IN(40, 3, 29, 31)}}},
    {average_odd, X0, INTEGERS, {"avg_pool2d, overlapping", 1, {IN(40, 3, 29, 31)}}},
    {unpool, X0, INTEGERS, {"avg_unpool2d", 1, {IN(40, 3, 14, 15)}}},
    {unpool_odd, X0, INTEGERS, {"avg_unpool2d, overlapping", 1, {IN(40, 3, 10, 32)}}},
    {upsample, X0, INTEGERS, {"upsample_nearest2d", 1, {IN(40, 3, 14, 15)}}},
    {reparameterize,
     X0 | X2,
     ZEROS,
     {"reparameterize", 3, {IN(300, 240), IN(300, 240), IN(300, 240)}}},
};
enum { CASES = sizeof cases / sizeof *cases, COLUMNS = 6 };

/* --- numbers ------------------------------------------------------------------------------------ */

/* As f64 and contiguous, for sums. */
static tp_tensor doubles(const tp_tensor *x)
{
    tp_tensor y;
    assert_ok(tp_tensor_new(&y, TP_F64, x->shape));
    assert_ok(tp_copy(&y, x));
    return y;
}

static double dot(const tp_tensor *a, const tp_tensor *b)
{
    const double *p = tp_data(a), *q = tp_data(b);
    double sum = 0;
    for (int64_t i = 0; i < tp_numel(a); i++)
        sum += p[i] * q[i];
    return sum;
}

static bool same_values(const tp_tensor *a, const tp_tensor *b)
{
    const double *p = tp_data(a), *q = tp_data(b);
    for (int64_t i = 0; i < tp_numel(a); i++)
        if (p[i] != q[i])
            return false;
    return tp_shape_equal(a->shape, b->shape);
}

/* --- columns of A ------------------------------------------------------------------------------- */

typedef struct column {
    int input;
    int64_t element;
    tp_tensor y; /* A e, f64 */
} column;

/* A x of contiguous inputs, on one thread. */
static tp_tensor reference(const problem *p, const tp_tensor *x)
{
    tp_tensor y0;
    adjoint_forward(p, x, &y0);
    tp_tensor y = doubles(&y0);
    tp_tensor_free(&y0);
    return y;
}

static void make_columns(const problem *p, const tp_tensor *x, column *c)
{
    assert_ok(tp_set_threads(1));
    for (int k = 0, i = 0; k < COLUMNS; k++, i++) {
        while (!varies(p, i % p->sample->n))
            i++;
        tp_tensor unit[TP_SAMPLE_INPUTS];
        c[k].input = i % p->sample->n;
        int64_t numel = tp_numel(&x[c[k].input]), any = (int64_t)whole(7, k, 1 << 20) + (1 << 20);
        c[k].element = k == 0 ? numel - 1 : any % numel;
        for (int j = 0; j < p->sample->n; j++) {
            assert_ok(tp_clone(&unit[j], &x[j]));
            if (varies(p, j))
                assert_ok(tp_fill(&unit[j], 0));
        }
        assert_ok(tp_set_flat(&unit[c[k].input], c[k].element, 1));
        c[k].y = reference(p, unit);
        for (int j = 0; j < p->sample->n; j++)
            tp_tensor_free(&unit[j]);
    }
}

/* --- one way through ---------------------------------------------------------------------------- */

/* What a run is judged by: x and u as doubles, what the columns say, and A x if the layout did not change x. */
typedef struct truth {
    tp_tensor x[TP_SAMPLE_INPUTS], u;
    double by_column[COLUMNS];
    const tp_tensor *y;
} truth;

static void check(const problem *p, const tp_tensor *x, const tp_tensor *u, way by, const column *c,
                  const truth *want)
{
    tp_tensor y0, g0[TP_SAMPLE_INPUTS], g[TP_SAMPLE_INPUTS] = {{0}};
    adjoint_run(p, x, u, by, &y0, g0);
    tp_tensor y = doubles(&y0);
    if (want->y != NULL && !same_values(&y, want->y))
        fail_msg("%s: A x is another", p->note);
    double right = 0, left = dot(&y, &want->u);
    for (int i = 0; i < p->sample->n; i++)
        if (varies(p, i)) {
            g[i] = doubles(&g0[i]);
            right += dot(&want->x[i], &g[i]);
            tp_tensor_free(&g0[i]);
        }
    if (left != right)
        fail_msg("%s: <A x, u> = %.17g, but <x, Aᵀu> = %.17g", p->note, left, right);
    for (int k = 0; k < COLUMNS; k++) {
        double got = ((const double *)tp_data(&g[c[k].input]))[c[k].element];
        if (got != want->by_column[k])
            fail_msg("%s: element %lld of Aᵀu is %.17g, but <A e, u> = %.17g", p->note,
                     (long long)c[k].element, got, want->by_column[k]);
    }
    for (int i = 0; i < p->sample->n; i++)
        tp_tensor_free(&g[i]);
    tp_tensor_free(&y), tp_tensor_free(&y0);
}

/* Inputs in one layout, the cotangent in another. What is held stays as it is where a layout would change
 * its values, because A has to be the same. */
static void check_layouts(problem *p, int kind, const tp_tensor *plain, const column *c,
                          const tp_tensor *y)
{
    laid x[TP_SAMPLE_INPUTS], u;
    tp_tensor view[TP_SAMPLE_INPUTS];
    truth want = {0};
    bool aliases =
        kind == LAYOUT_STRIDE0_LAST || kind == LAYOUT_STRIDE0_FIRST || kind == LAYOUT_OVERLAPPING;
    layout_kind of_u = (layout_kind)((kind + 4) % LAYOUT_COUNT);
    for (int i = 0; i < p->sample->n; i++) {
        lay(&plain[i], aliases && !varies(p, i) ? LAYOUT_CONTIGUOUS : (layout_kind)kind, &x[i]);
        view[i] = x[i].view;
        if (varies(p, i))
            want.x[i] = doubles(&view[i]);
    }
    adjoint_cotangent(p, of_u, y, &u);
    want.u = doubles(&u.view);
    want.y = aliases ? NULL : y;
    for (int k = 0; k < COLUMNS; k++)
        want.by_column[k] = dot(&c[k].y, &want.u);
    for (int threads = 1; threads <= 4; threads += 1 + SANITIZED) {
        way by = (way)((threads + kind) % WAYS); /* each way meets each number of threads */
        assert_ok(tp_set_threads(threads));
        snprintf(p->note, sizeof p->note, "%s, %s, inputs %s, cotangent %s, %d threads, %s",
                 p->name, tp_dtype_name(p->dtype), layout_names[kind], layout_names[of_u], threads,
                 way_names[by]);
        check(p, view, &u.view, by, c, &want);
    }
    assert_ok(tp_set_threads(1));
    tp_tensor_free(&u.memory), tp_tensor_free(&want.u);
    for (int i = 0; i < p->sample->n; i++)
        tp_tensor_free(&x[i].memory), tp_tensor_free(&want.x[i]);
}

static void test_large(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * CASES; i++) {
        const large *l = &cases[i / 2];
        problem p = {l->call,        &l->sample, l->vary, l->others, i % 2 ? TP_F32 : TP_F64,
                     l->sample.note, ""};
        laid x[TP_SAMPLE_INPUTS];
        tp_tensor view[TP_SAMPLE_INPUTS];
        column c[COLUMNS];
        adjoint_inputs(&p, LAYOUT_CONTIGUOUS, x, view);
        make_columns(&p, view, c);
        tp_tensor y = reference(&p, view);
        for (int kind = 0; kind < LAYOUT_COUNT; kind++)
            check_layouts(&p, kind, view, c, &y);
        tp_tensor_free(&y);
        for (int k = 0; k < COLUMNS; k++)
            tp_tensor_free(&c[k].y);
        for (int k = 0; k < p.sample->n; k++)
            tp_tensor_free(&x[k].memory);
    }
    printf("%d cases\n", CASES);
}

/* Notes begin with the name of the op. Compositions are made of ops, which have their cases. */
static void test_every_row_has_a_case(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        bool found = find_op(linear_rows[i].op)->vjp == NULL;
        size_t length = strlen(linear_rows[i].op);
        for (int k = 0; k < CASES && !found; k++) {
            unsigned inputs = (1u << cases[k].sample.n) - 1;
            found = strncmp(cases[k].sample.note, linear_rows[i].op, length) == 0 &&
                    strchr(" ,", cases[k].sample.note[length]) != NULL &&
                    cases[k].vary == (linear_rows[i].vary & inputs);
        }
        if (!found)
            fail_msg("%s, linear in %#x, has no case here", linear_rows[i].op, linear_rows[i].vary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_has_a_case),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, free_tape) != 0;
}
