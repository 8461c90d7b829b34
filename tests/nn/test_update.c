/* test_update.c: how a step is cut up: the kernels of every ISA level, chunks, threads, and that a step happens
 * whole or not at all.
 *
 * What the rules compute: test_optim.c. Read next: test_train.c.
 */
#include "tests/support/check.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/optim.h"
#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"
#include "tensor/rng.h"

/* --- kernels ------------------------------------------------------------------------------------ */

/* One rule over n elements in doubles, rounded to the type as little as C allows. */
static void naive_update(tp_update_kernel rule, int n, double *p, const double *g, double *m,
                         double *v, const double *c)
{
    for (int i = 0; i < n; i++) {
        double step = c[0] * g[i];
        if (rule == TP_U_momentum)
            step = c[0] * (m[i] = c[1] * m[i] + g[i]);
        if (rule == TP_U_adam) {
            m[i] = c[1] * m[i] + c[2] * g[i];
            v[i] = c[3] * v[i] + c[4] * g[i] * g[i];
            step = c[0] * m[i] / (sqrt(v[i]) + c[5]);
        }
        p[i] -= step;
    }
}

/* Every length up to two vectors; one of several blocks of a pass. */
enum { MOST = 2 * 64 / 4 + 2, LONG = 3 * 1024 + 5 };

/* p, g, m, v start at different odd places between guards. */
static void check_update(tp_update_kernel rule, tp_dtype d, int n)
{
    static double want[4][LONG];
    tp_tensor t[4];
    char *x[4] = {NULL};
    const double c[TP_UPDATE_CONSTANTS] = {0.5, 0.875, 0.125, 0.75, 0.25, 0.0625};
    int moments = rule == TP_U_adam ? 2 : rule == TP_U_momentum ? 1 : 0;
    for (int k = 0; k < 4; k++) {
        assert_ok(tp_tensor_new(&t[k], d, TP_SHAPE(n + 8)));
        assert_ok(tp_random_uniform(&t[k], (tp_rng_key){.seed = 7, .draw = (uint32_t)k}));
        for (int i = 0; i < n; i++)
            want[k][i] = tp_flat(&t[k], i + k + n % 3);
        if (k < 2 + moments)
            x[k] = (char *)tp_data_mut(&t[k]) + (k + n % 3) * tp_dtype_size(d);
    }
    tp_kernels_get()->update[rule][d](n, x[0], x[1], x[2], x[3], c);
    naive_update(rule, n, want[0], want[1], want[2], want[3], c);
    for (int k = 0; k < 4; k++) {
        tp_tensor before;
        double eps = d == TP_F32 ? FLT_EPSILON : DBL_EPSILON;
        assert_ok(tp_clone(&before, &t[k]));
        assert_ok(tp_random_uniform(&before, (tp_rng_key){.seed = 7, .draw = (uint32_t)k}));
        for (int i = 0; i < n + 8; i++) {
            int at = i - k - n % 3;
            bool written = at >= 0 && at < n && k != 1 && k < 2 + moments;
            assert_close(tp_flat(&t[k], i), written ? want[k][at] : tp_flat(&before, i),
                         written ? 4 * eps : 0, 0);
        }
        tp_tensor_free(&before);
        tp_tensor_free(&t[k]);
    }
}

static void test_kernels(void **state)
{
    (void)state;
    const char *const levels[] = {"ref", "avx2", "avx512"}, *before = tp_isa();
    for (int l = 0; l < 3; l++)
        if (tp_set_isa(levels[l]) == TP_OK)
            for (int rule = 0; rule < TP_UPDATE_COUNT; rule++)
                for (int d = TP_F32; d <= TP_F64; d++) {
                    for (int n = 0; n < MOST; n++)
                        check_update((tp_update_kernel)rule, (tp_dtype)d, n);
                    check_update((tp_update_kernel)rule, (tp_dtype)d, LONG);
                }
    assert_ok(tp_set_isa(before));
}

/* --- several chunks ----------------------------------------------------------------------------- */

/* Parameters of many chunks, of one element, and of none. */
enum { LARGE = 5 };

typedef struct large {
    tp_params ps;
    tp_parameter p[LARGE];
    tp_optimizer o;
} large;

static void make_large(large *f, tp_dtype dtype, int rule)
{
    static const int64_t sizes[LARGE] = {1, 20000, 0, 4096, 12289};
    static const char *const names[LARGE] = {"a", "b", "c", "d", "e"};
    f->ps = tp_params_make(dtype, 1);
    for (int i = 0; i < LARGE; i++) {
        tp_rng_key key = {.seed = 3, .draw = (uint32_t)i};
        assert_ok(tp_params_add(&f->ps, &f->p[i], names[i], TP_SHAPE(sizes[i])));
        assert_ok(tp_random_normal(&f->p[i].value, key));
        key.step = 1;
        assert_ok(tp_random_normal(&f->p[i].grad, key));
        f->p[i].has_grad = true;
    }
    assert_ok(rule == 0 ? tp_adam_init(&f->o, &f->ps, tp_adam_defaults())
                        : tp_sgd_init(&f->o, &f->ps,
                                      (tp_sgd_opts){.lr = 0.1, .momentum = rule == 1 ? 0.9 : 0}));
}

static void drop_large(large *f)
{
    tp_optimizer_free(&f->o);
    tp_params_free(&f->ps);
}

static void assert_same_state(const large *a, const large *b)
{
    for (int i = 0; i < LARGE; i++) {
        assert_true(equal_bits(&a->p[i].value, &b->p[i].value));
        assert_true(equal_bits(&a->o.moments[i].first, &b->o.moments[i].first));
        assert_true(equal_bits(&a->o.moments[i].second, &b->o.moments[i].second));
        assert_true(a->o.moments[i].step == b->o.moments[i].step);
    }
    assert_true(a->o.step == b->o.step);
}

static void test_threads(void **state)
{
    (void)state;
    for (int k = 0; k < 6; k++) {
        large one, many;
        make_large(&one, k < 3 ? TP_F32 : TP_F64, k % 3);
        for (int i = 0; i < 3; i++)
            assert_ok(tp_optimizer_step(&one.o));
        for (int threads = 2; threads <= 3; threads++) {
            make_large(&many, k < 3 ? TP_F32 : TP_F64, k % 3);
            assert_ok(tp_set_threads(threads));
            for (int i = 0; i < 3; i++)
                assert_ok(tp_optimizer_step(&many.o));
            assert_ok(tp_set_threads(1));
            assert_same_state(&one, &many);
            drop_large(&many);
        }
        drop_large(&one);
    }
}

/* One bad gradient anywhere: nothing at all changes, and the first bad parameter is named. */
static void test_all_or_nothing(void **state)
{
    (void)state;
    const int64_t at[][2] = {{0, 0},     {1, 0},    {1, 4095}, {1, 4096},
                             {1, 19999}, {3, 4095}, {4, 12288}};
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 2 * 7 * 3; k++) {
        large f, before;
        int which = (int)at[k / 6][0];
        char message[] = "parameter 'x' is not finite";
        make_large(&f, k % 2 ? TP_F32 : TP_F64, 0);
        make_large(&before, k % 2 ? TP_F32 : TP_F64, 0);
        assert_ok(tp_optimizer_step(&f.o));
        assert_ok(tp_optimizer_step(&before.o));
        assert_ok(tp_set_flat(&f.p[which].grad, at[k / 6][1], bad[k / 2 % 3]));
        assert_ok(tp_set_flat(&f.p[4].grad, 12287, NAN)); /* a later one is not named */
        assert_ok(tp_set_threads(1 + k % 3));
        assert_status(tp_optimizer_step(&f.o), TP_ENONFINITE);
        assert_ok(tp_set_threads(1));
        *strchr(message, 'x') = f.p[which].name[0];
        assert_message(message);
        assert_same_state(&f, &before);
        drop_large(&f);
        drop_large(&before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
