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

/* One row over n elements in doubles, rounded to the type as little as C allows; x is p, g and the state. */
static void naive_update(tp_update_kernel row, int i, double *x[5], const double *c)
{
    double *p = &x[0][i], *m = &x[2][i], *v = &x[3][i], *u = &x[4][i], g = x[1][i];
    double decayed = g + c[6] * *p, root;
    switch (row) {
    case TP_U_sgd:
        *p -= c[0] * g;
        return;
    case TP_U_momentum:
        *m = c[1] * *m + g;
        *p -= c[0] * *m;
        return;
    case TP_U_decay:
        *p -= c[0] * decayed;
        return;
    case TP_U_nesterov:
        *m = c[1] * *m + c[2] * decayed;
        *p -= c[3] * decayed + c[4] * *m;
        return;
    case TP_U_adam:
    case TP_U_adam_decay:
    case TP_U_amsgrad:
        g = row == TP_U_adam ? g : decayed;
        *m = c[1] * *m + c[2] * g;
        *v = c[3] * *v + c[4] * g * g;
        if (row == TP_U_amsgrad)
            *u = fmax(*u, *v);
        root = sqrt(row == TP_U_amsgrad ? *u : *v) + c[5];
        *p -= c[0] * *m / root + (row == TP_U_adam ? 0 : c[7] * *p);
        return;
    case TP_U_rmsprop:
    case TP_U_rmsprop_momentum:
        *m = c[1] * *m + c[2] * decayed * decayed;
        root = sqrt(*m) + c[5];
        if (row == TP_U_rmsprop_momentum)
            *v = c[3] * *v + decayed / root;
        *p -= c[0] * (row == TP_U_rmsprop ? decayed / root : *v);
        return;
    case TP_U_centered:
    case TP_U_centered_momentum:
        *m = c[1] * *m + c[2] * decayed * decayed;
        *v = c[1] * *v + c[2] * decayed;
        root = sqrt(fmax(0, *m - *v * *v)) + c[5];
        if (row == TP_U_centered_momentum)
            *u = c[3] * *u + decayed / root;
        *p -= c[0] * (row == TP_U_centered ? decayed / root : *u);
        return;
    case TP_U_adagrad:
        *m += decayed * decayed;
        *p -= c[0] * decayed / (sqrt(*m) + c[5]);
        return;
    case TP_UPDATE_COUNT:
        break;
    }
    fail_msg("row %d of updates.def has no reference here", (int)row);
}

static const int states_of[] = {
#define TP_UPDATE(name, states, ...) states,
#include "tensor/kernels/updates.def"
#undef TP_UPDATE
};

/* Every length up to two vectors; one of several blocks of a pass. */
enum { MOST = 2 * 64 / 4 + 2, LONG = 3 * 1024 + 5 };

/* p, g, m, v, u start at different odd places between guards. */
enum { ARRAYS = 5 };

static void check_update(tp_update_kernel row, tp_dtype d, int n)
{
    static double want[ARRAYS][LONG];
    bool is_centered = row == TP_U_centered || row == TP_U_centered_momentum;
    tp_tensor t[ARRAYS], before[ARRAYS];
    char *x[ARRAYS] = {NULL};
    double *y[ARRAYS];
    const double c[TP_UPDATE_CONSTANTS] = {0.5, 0.875, 0.125, 0.75, 0.25, 0.0625, 0.5, 0.125};
    for (int k = 0; k < ARRAYS; k++) {
        assert_ok(tp_tensor_new(&t[k], d, TP_SHAPE(n + 8)));
        assert_ok(tp_random_uniform(&t[k], (tp_rng_key){.seed = 7, .draw = (uint32_t)k}));
        for (int i = 0; i < n + 8 && k == 2 && is_centered; i++) /* no variance near 0 */
            assert_ok(tp_set_flat(&t[k], i, 2 + tp_flat(&t[k], i)));
        assert_ok(tp_clone(&before[k], &t[k]));
        for (int i = 0; i < n; i++)
            want[k][i] = tp_flat(&t[k], i + k + n % 3);
        y[k] = want[k];
        if (k < 2 + states_of[row])
            x[k] = (char *)tp_data_mut(&t[k]) + (k + n % 3) * tp_dtype_size(d);
    }
    tp_kernels_get()->update[row][d](n, x[0], x[1], x[2], x[3], x[4], c);
    for (int i = 0; i < n; i++)
        naive_update(row, i, y, c);
    for (int k = 0; k < ARRAYS; k++) {
        double eps = d == TP_F32 ? FLT_EPSILON : DBL_EPSILON;
        for (int i = 0; i < n + 8; i++) {
            int at = i - k - n % 3;
            bool written = at >= 0 && at < n && k != 1 && k < 2 + states_of[row];
            assert_close(tp_flat(&t[k], i), written ? want[k][at] : tp_flat(&before[k], i),
                         written ? 8 * eps : 0, 0);
        }
        tp_tensor_free(&before[k]);
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
                    for (int n = 0; n < MOST; n += SANITIZED ? 3 : 1)
                        check_update((tp_update_kernel)rule, (tp_dtype)d, n);
                    check_update((tp_update_kernel)rule, (tp_dtype)d, LONG);
                }
    assert_ok(tp_set_isa(before));
}

/* --- several chunks ----------------------------------------------------------------------------- */

/* Parameters of many chunks, of one element, and of none. */
enum { LARGE = 5, RULES = 6 };

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
    tp_sgd_opts sgd = {.lr = 0.1, .momentum = rule == 1 ? 0.9 : 0};
    tp_adam_opts amsgrad = tp_adamw_defaults();
    tp_rmsprop_opts rmsprop = tp_rmsprop_defaults();
    amsgrad.amsgrad = rmsprop.centered = true;
    rmsprop.momentum = 0.5;
    assert_ok(rule == 0   ? tp_adam_init(&f->o, &f->ps, tp_adam_defaults())
              : rule < 3  ? tp_sgd_init(&f->o, &f->ps, sgd)
              : rule == 3 ? tp_adamw_init(&f->o, &f->ps, amsgrad)
              : rule == 4 ? tp_rmsprop_init(&f->o, &f->ps, rmsprop)
                          : tp_adagrad_init(&f->o, &f->ps, tp_adagrad_defaults()));
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
        assert_true(equal_bits(&a->o.moments[i].third, &b->o.moments[i].third));
        assert_true(a->o.moments[i].step == b->o.moments[i].step);
    }
    assert_true(a->o.step == b->o.step);
}

static void test_threads(void **state)
{
    (void)state;
    for (int k = 0; k < 2 * RULES; k++) {
        large one, many;
        make_large(&one, k < RULES ? TP_F32 : TP_F64, k % RULES);
        for (int i = 0; i < 3; i++)
            assert_ok(tp_optimizer_step(&one.o));
        for (int threads = 2; threads <= 3; threads++) {
            make_large(&many, k < RULES ? TP_F32 : TP_F64, k % RULES);
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
