/* test_pool.c: windows over images against plain loops, bit for bit, on geometries drawn at random and some large ones,
 * every layout and number of threads; which element wins among equals, infinities and NaN; options; third derivatives.
 * Gradients as such: tests/ops. */
#include "tests/support/views.h"
#include "tests/unit/fixture.h"

#include <stdlib.h>

#include "tensor/mem.h"
#include "tensor/parallel.h"

typedef struct geometry {
    tp_shape x, y; /* images and their windows */
    tp_pool_opts o;
} geometry;

static tp_arena scratch;

/* --- geometries ----------------------------------------------------------------------------------- */

/* The i-th of a fixed sequence of whole numbers from lo to hi. */
static int64_t drawn(int64_t *i, int64_t lo, int64_t hi)
{
    double u = (random_value((*i)++) + 1) / 2;
    return lo + (int64_t)(u * (double)(hi - lo + 1));
}

static bool finish(geometry *g)
{
    g->y = g->x;
    for (int a = 0; a < 2; a++) {
        int64_t n = 0, size = g->x.dim[2 + a] + 2 * g->o.padding[a];
        while (n * g->o.stride[a] + g->o.kernel[a] <= size)
            n++;
        assert_int_equal(tp_pool_windows(&g->o, a, g->x.dim[2 + a]), n);
        g->y.dim[2 + a] = n;
    }
    return g->y.dim[2] > 0 && g->y.dim[3] > 0;
}

static geometry draw_geometry(int64_t *i)
{
    geometry g = {0};
    do {
        g.x = TP_SHAPE(drawn(i, 0, 3), drawn(i, 1, 3), drawn(i, 1, 12), drawn(i, 1, 20));
        bool apart = drawn(i, 0, 2) == 0;
        for (int a = 0; a < 2; a++) {
            g.o.kernel[a] = drawn(i, 1, 5);
            g.o.stride[a] = apart ? g.o.kernel[a] : drawn(i, 1, 4);
            g.o.padding[a] = apart ? 0 : drawn(i, 0, g.o.kernel[a] / 2);
        }
        g.o.divisor = drawn(i, 1, 6);
    } while (!finish(&g));
    return g;
}

static const geometry large[] = {
    {TP_DIMS(40, 3, 29, 31), .o = {{2, 2}, {2, 2}, {0, 0}, 4}},
    {TP_DIMS(40, 3, 29, 31), .o = {{3, 3}, {2, 2}, {1, 1}, 9}},
    {TP_DIMS(40, 3, 29, 31), .o = {{4, 3}, {1, 1}, {2, 1}, 1}},
    {TP_DIMS(9, 30, 28, 28), .o = {{28, 28}, {28, 28}, {0, 0}, 784}},
    {TP_DIMS(1, 2, 20, 200), .o = {{3, 2}, {1, 1}, {1, 1}, 6}},
    {TP_DIMS(1, 2, 300, 400), .o = {{5, 2}, {3, 5}, {2, 1}, 10}},
};
enum { LARGE = sizeof large / sizeof *large, DRAWN = 400 };

/* --- loops ---------------------------------------------------------------------------------------- */

static double as(tp_dtype d, double v)
{
    return d == TP_F32 ? (double)(float)v : v;
}

/* Calls visit for every element of x, in row-major order, in window y, both as places in memory. */
static void each_pair(const geometry *g, void (*visit)(void *arg, int64_t y, int64_t x), void *arg)
{
    const int64_t *x = g->x.dim, *y = g->y.dim, *s = g->o.stride, *p = g->o.padding;
    for (int64_t plane = 0; plane < x[0] * x[1]; plane++)
        for (int64_t i = 0; i < y[2]; i++)
            for (int64_t j = 0; j < y[3]; j++)
                for (int64_t u = 0; u < g->o.kernel[0]; u++)
                    for (int64_t v = 0; v < g->o.kernel[1]; v++) {
                        int64_t a = i * s[0] + u - p[0], b = j * s[1] + v - p[1];
                        if (a >= 0 && a < x[2] && b >= 0 && b < x[3])
                            visit(arg, (plane * y[2] + i) * y[3] + j,
                                  (plane * x[2] + a) * x[3] + b);
                    }
}

typedef struct loop {
    tp_dtype dtype;
    const tp_tensor *in; /* x, or y of the adjoint */
    double *to;
    int64_t *best; /* of each window, -1 before there is one */
} loop;

static void add_to_window(void *arg, int64_t y, int64_t x)
{
    loop *l = arg;
    l->to[y] = as(l->dtype, l->to[y] + tp_flat(l->in, x));
}

static void add_to_image(void *arg, int64_t y, int64_t x)
{
    loop *l = arg;
    l->to[x] += tp_flat(l->in, y);
}

static void find_largest(void *arg, int64_t y, int64_t x)
{
    loop *l = arg;
    double than = l->best[y] < 0 ? 0 : tp_flat(l->in, l->best[y]);
    if (l->best[y] < 0 || tp_flat(l->in, x) > than)
        l->best[y] = x;
}

/* --- comparison ----------------------------------------------------------------------------------- */

static void make(tp_dtype d, tp_shape s, tp_tensor *y)
{
    assert_ok(tp_tensor_new(y, d, s));
    if (d != TP_I64)
        assert_ok(tp_fill(y, NAN)); /* all must be written */
}

static void same(tp_tensor *got, const double *want)
{
    for (int64_t i = 0; i < tp_numel(got); i++)
        assert_close(tp_flat(got, i), want[i], 0, 0);
    tp_tensor_free(got);
}

static double *zeros(tp_shape s)
{
    double *p = calloc((size_t)tp_shape_numel(s) + 1, sizeof *p);
    assert_non_null(p);
    return p;
}

static void check_sums(const geometry *g, tp_dtype d, const tp_tensor *x, const tp_tensor *y)
{
    tp_tensor got;
    loop l = {d, x, zeros(g->y), NULL};
    make(d, g->y, &got);
    assert_ok(tp_pool_average(&got, x, &g->o, &scratch));
    each_pair(g, add_to_window, &l);
    for (int64_t i = 0; i < tp_numel(&got); i++)
        l.to[i] = as(d, l.to[i] / (double)g->o.divisor);
    same(&got, l.to);
    free(l.to);
    l = (loop){d, y, zeros(g->x), NULL};
    make(d, g->x, &got);
    assert_ok(tp_pool_spread(&got, y, &g->o, &scratch));
    each_pair(g, add_to_image, &l);
    for (int64_t i = 0; i < tp_numel(&got); i++)
        l.to[i] = as(d, l.to[i] / (double)g->o.divisor);
    same(&got, l.to);
    free(l.to);
}

static void check_maxima(const geometry *g, tp_dtype d, const tp_tensor *x, const tp_tensor *y)
{
    tp_tensor got;
    int64_t n = tp_shape_numel(g->y), plane = g->x.dim[2] * g->x.dim[3];
    loop l = {d, x, zeros(g->y), calloc((size_t)n + 1, sizeof(int64_t))};
    assert_non_null(l.best);
    for (int64_t j = 0; j < n; j++)
        l.best[j] = -1;
    each_pair(g, find_largest, &l);
    for (int64_t j = 0; j < n; j++)
        l.to[j] = tp_flat(x, l.best[j]);
    make(d, g->y, &got);
    assert_ok(tp_pool_max(&got, x, &g->o, &scratch));
    same(&got, l.to);
    for (int64_t j = 0; j < n; j++)
        l.to[j] = (double)(l.best[j] % plane);
    make(TP_I64, g->y, &got);
    assert_ok(tp_pool_max(&got, x, &g->o, &scratch));
    same(&got, l.to);
    double *back = zeros(g->x);
    for (int64_t j = 0; j < n; j++)
        back[l.best[j]] += tp_flat(y, j);
    make(d, g->x, &got);
    assert_ok(tp_pool_max_adjoint(&got, y, x, &g->o, &scratch));
    same(&got, back);
    free(back), free(l.to), free(l.best);
}

static void check(const geometry *g, tp_dtype d, layout lx, layout ly)
{
    tp_tensor mx, my, x, y, ties, mt;
    make_view(&mx, &x, d, g->x, lx, random_value);
    make_view(&mt, &ties, d, g->x, lx, small_integer);
    make_view(&my, &y, d, g->y, ly, small_integer);
    check_sums(g, d, &x, &y);
    check_maxima(g, d, &x, &y);
    check_maxima(g, d, &ties, &y);
    tp_tensor_free(&mx), tp_tensor_free(&my), tp_tensor_free(&mt);
}

static void against_loops(void **state)
{
    (void)state;
    int64_t i = 0;
    for (int k = 0; k < DRAWN; k++) {
        geometry g = draw_geometry(&i);
        layout lx = (layout)(k % LAYOUT_COUNT), ly = (layout)(k / LAYOUT_COUNT % LAYOUT_COUNT);
        assert_ok(tp_set_threads(1 + k % 3));
        check(&g, k % 2 ? TP_F32 : TP_F64, lx, ly);
    }
    for (int k = 0; k < 3 * LARGE; k++) {
        geometry g = large[k / 3];
        assert_true(finish(&g));
        assert_ok(tp_set_threads(1 + k % 3));
        check(&g, k % 2 ? TP_F32 : TP_F64, k % 2 ? LAYOUT_CONTIGUOUS : LAYOUT_STEPPED,
              LAYOUT_CONTIGUOUS);
    }
    assert_ok(tp_set_threads(1));
    tp_arena_free(&scratch);
}

/* --- options -------------------------------------------------------------------------------------- */

static void options(void **state)
{
    (void)state;
    tp_pool_opts o = {.kernel = {3, 2}};
    assert_ok(tp_pool_opts_check(&o));
    assert_int_equal(o.stride[0], 3);
    assert_int_equal(o.stride[1], 2);
    assert_int_equal(o.divisor, 6);
    o = (tp_pool_opts){.kernel = {1 << 30, 1 << 30}, .padding = {1 << 29, 0}};
    assert_ok(tp_pool_opts_check(&o));
    assert_int_equal(o.divisor, (int64_t)1 << 60);
    assert_int_equal(tp_pool_windows(&o, 0, 1), 1);
    assert_int_equal(tp_pool_windows(&o, 1, ((int64_t)1 << 30) - 1), 0);
    o = (tp_pool_opts){.kernel = {2, INT64_MAX}};
    assert_status(tp_pool_opts_check(&o), TP_EARG);
    assert_message("kernel 2,9223372036854775807: from 1 to 2^30 needed");
    o = (tp_pool_opts){.kernel = {2, 2}, .padding = {0, -1}};
    assert_status(tp_pool_opts_check(&o), TP_EARG);
    assert_message("padding 0,-1: from 0 to half the kernel 2,2 needed");
}

/* --- operations ----------------------------------------------------------------------------------- */

static void extremes(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_pool_opts o = {.kernel = {2, 2}};
        tp_var x = leaf(&b, TP_SHAPE(1, 1, 4, 6),
                        (double[]){1,   NAN, -INF, -INF, 3,  3,  NAN, 2,   -INF, -INF, 3,  3, //
                                   INF, 1,   -0.0, 0,    -4, -2, 2,   INF, 0,    -0.0, -3, -1});
        tp_var y = tp_max_pool2d(x, o), at = tp_argmax_pool2d(x, o);
        CHECK_VALUE(y, ((double[]){NAN, -INF, 3, INF, 0, -1}), 6);
        assert_true(signbit(tp_flat(tp_value(y), 4))); /* the first of equals */
        assert_int_equal(tp_dtype_of(at), TP_I64);
        assert_false(tp_needs_grad(at));
        assert_tensor_close(tp_value(at), ((double[]){1, 2, 4, 12, 14, 23}), 6, 0, 0);
        tp_var w = constant(&b, TP_SHAPE(1, 1, 2, 3), (double[]){1, 2, 3, 4, INF, 6});
        sum_backward(tp_mul(y, w));
        CHECK_GRAD(x, ((double[]){0, 1, 2,   0, 3, 0, 0, 0, 0, 0, 0, 0, //
                                  4, 0, INF, 0, 0, 0, 0, 0, 0, 0, 0, 6}),
                   24);
        bench_free(&b);
    }
}

/* Of Σ y³ with y linear in x, the third derivative, twice along 1, is 6·Aᵀ(A1)², and so is that of maxima around x. */
static void check_third(tp_var x, tp_var y, const double *want, int n)
{
    tp_var g = tp_sum(tp_mul(y, tp_mul(y, y)), TP_ALL_AXES, false), d;
    for (int order = 1; order <= 3; order++) {
        assert_ok(tp_grad(1, &g, 1, &x, &d, (tp_grad_opts){.create_graph = order < 3}));
        g = tp_sum(d, TP_ALL_AXES, false);
    }
    CHECK_VALUE(d, want, n);
}

static void third_derivatives(void **state)
{
    (void)state;
    const double numbers[] = {1, 5, 2, 0, 4, 3, 6, 1, 8};
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_pool_opts o = {.kernel = {2, 2}, .stride = {1, 1}, .padding = {1, 0}};
        tp_var x = leaf(&b, TP_SHAPE(1, 1, 3, 3), numbers);
        /* windows are full, or half outside: A1 = 1 or ½; ¼ of the square to each element */
        check_third(x, tp_avg_pool2d(x, o),
                    (double[]){15. / 8, 15. / 4, 15. / 8, 3, 6, 3, 15. / 8, 15. / 4, 15. / 8}, 9);
        /* 5 wins four windows, 6 two, 8 two */
        check_third(x, tp_max_pool2d(x, o), (double[]){0, 24, 0, 0, 0, 0, 12, 0, 12}, 9);
        check_third(x, tp_upsample_nearest2d(x, 2, 3),
                    (double[]){36, 36, 36, 36, 36, 36, 36, 36, 36}, 9);
        bench_free(&b);
    }
}

/* The functions fill their defaults in, a row is given what it computes with. */
static void rows_by_themselves(void **state)
{
    (void)state;
    const tp_op *const rows[] = {&tp_op_avg_pool2d, &tp_op_avg_unpool2d, &tp_op_max_pool2d,
                                 &tp_op_argmax_pool2d};
    for (int i = 0; i < 4; i++) {
        const tp_sample *s = &rows[i]->samples[0];
        struct bench b = bench_new(TP_F64);
        tp_var x = tp_full(b.tape, TP_F64, s->x[0].shape, 1);
        assert_status(tp_var_status(rows[i]->call(b.tape, 1, &x, s->attr)), TP_OK);
        assert_status(tp_var_status(tp_apply(rows[i], 1, &x, s->attr)), TP_EARG);
        assert_message("stride 0,0 and divisor 0: numbers needed");
        tp_tape_reset(b.tape);
        bench_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_loops),      cmocka_unit_test(options),
        cmocka_unit_test(extremes),           cmocka_unit_test(third_derivatives),
        cmocka_unit_test(rows_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
