/* test_kernels.c: the micro-kernels themselves, every ISA level against ref and ref against numbers.
 *
 * Lengths around the vector width, unaligned addresses, guard elements behind the output, special
 * values. The drivers have their own tests: test_map_reduce.c, test_matmul.c.
 */
#define _POSIX_C_SOURCE 200809L /* setenv, fork */
#include "tests/support/check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tensor/kernels/kernels.h"

enum { LENGTHS = 2 * 64 / 4 + 2, GUARDS = 40 };

static const char *const levels[] = {"ref", "avx2", "avx512"};

static const struct {
    const char *name;
    int arity;
} rows[] = {
#define TP_MAP(name, arity, formula) {#name, arity},
#include "tensor/kernels.def"
#undef TP_MAP
};

static uint64_t random_state = 1;

static double uniform(double low, double high)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (double)(random_state >> 11) * 0x1p-53;
}

/* --- any element type --------------------------------------------------------------------------- */

static double get(tp_dtype d, const void *p, int64_t i)
{
    return d == TP_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

static void put(tp_dtype d, void *p, int64_t i, double v)
{
    if (d == TP_F32)
        ((float *)p)[i] = (float)v;
    else
        ((double *)p)[i] = v;
}

static double epsilon(tp_dtype d)
{
    return d == TP_F32 ? FLT_EPSILON : DBL_EPSILON;
}

static double denormal(tp_dtype d)
{
    return d == TP_F32 ? 0x1p-149 : 0x1p-1074;
}

/* --- levels ------------------------------------------------------------------------------------- */

/* The choice happens once per process, so each case gets a process of its own. */
static bool chosen_with(const char *value, const char *want)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("TAPIR_ISA", value, 1);
        _exit(strcmp(tp_isa(), want) == 0 ? 0 : 1);
    }
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool supported(const char *level)
{
    pid_t child = fork();
    if (child == 0)
        _exit(tp_set_isa(level) == TP_OK ? 0 : 1);
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* Runs first, while nothing has been chosen in this process. */
static void the_environment_chooses_the_level(void **state)
{
    (void)state;
    const char *best = "ref";
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (supported(levels[i]))
            best = levels[i];
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        assert_true(chosen_with(levels[i], supported(levels[i]) ? levels[i] : best));
    assert_true(chosen_with("no such level", best));
    assert_true(chosen_with("", best));
    unsetenv("TAPIR_ISA");
    assert_string_equal(tp_isa(), best);
    assert_status(tp_set_isa("no such level"), TP_EARG);
    assert_message("no such level");
    assert_status(tp_set_isa(NULL), TP_EARG);
    assert_string_equal(tp_isa(), best);
}

/* --- map ---------------------------------------------------------------------------------------- */

/* How far a level may be from ref: in units of the last place of the result, and whether intermediate
 * terms as large as the inputs may have cancelled (fused multiply-add rounds them differently). */
struct bound {
    double ulps;
    bool cancels;
};

static struct bound bound_of(tp_map_kernel k, tp_dtype d)
{
    switch (k) {
    case TP_K_affine:
    case TP_K_reparameterize:
    case TP_K_bce:
    case TP_K_bce_vjp:
        return (struct bound){4, true};
    case TP_K_exp:
    case TP_K_expm1:
    case TP_K_log:
    case TP_K_log1p:
    case TP_K_tanh:
    case TP_K_sigmoid:
    case TP_K_softplus:
    case TP_K_gaussian_kl:
    case TP_K_gaussian_kl_vjp:
    case TP_K_reparameterize_vjp:
        return (struct bound){d == TP_F32 ? 1 : 6, false};
    default:
        return (struct bound){0, false};
    }
}

static double special(int i)
{
    static const double values[] = {0.0,   -0.0,   1,      -1,   INFINITY, -INFINITY, NAN,
                                    1e-40, -1e-40, 1e-310, 1e30, -1e30,    88.9,      -103.9,
                                    709.9, -745.5, 0.25,   1e-8, -1e-8,    20};
    return values[i % (int)(sizeof values / sizeof *values)];
}

static void fill_inputs(tp_dtype d, void *x[3], int n, int round)
{
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < n; i++) {
            double v = round == 0 ? uniform(-4, 4) : special(i * (k + 1) + k + round);
            put(d, x[k], i, k == 1 && round == 0 ? uniform(0, 1) : v);
        }
}

static void compare(tp_map_kernel kernel, tp_dtype d, int n, void *const *x, const void *got,
                    const void *want)
{
    struct bound b = bound_of(kernel, d);
    for (int i = 0; i < n; i++) {
        double g = get(d, got, i), w = get(d, want, i), scale = fabs(w);
        if (isnan(w) ? isnan(g) : g == w)
            continue;
        for (int k = 0; k < rows[kernel].arity && b.cancels; k++)
            scale += 2 * fabs(get(d, x[k], i)) + 1;
        if (fabs(g - w) <= b.ulps * (epsilon(d) * scale + denormal(d)))
            continue;
        fail_msg("%s %s (%s): f(%.17g, %.17g, %.17g) = %.17g, ref %.17g", tp_isa(),
                 rows[kernel].name, tp_dtype_name(d), get(d, x[0], i), get(d, x[1], i),
                 get(d, x[2], i), g, w);
    }
}

static void check_map(const tp_kernels *level, tp_map_kernel kernel, tp_dtype d, int n, int offset,
                      int round)
{
    double memory[3][LENGTHS + GUARDS], got[LENGTHS + GUARDS], want[LENGTHS + GUARDS];
    int64_t size = tp_dtype_size(d);
    const double p[2] = {-0.5, 0.75};
    void *x[3];
    const void *in[3];
    for (int k = 0; k < 3; k++)
        in[k] = x[k] = (char *)memory[k] + (k + offset) % 3 * size;
    fill_inputs(d, x, n, round);
    memset(got, 0x5a, sizeof got);
    memset(want, 0x5a, sizeof want);
    char *y = (char *)got + offset * size;
    level->map[kernel][d](n, y, in, p);
    tp_kernels_ref.map[kernel][d](n, want, in, p);
    compare(kernel, d, n, x, y, want);
    for (char *g = (char *)got; g < (char *)got + sizeof got; g++)
        if (g < y || g >= y + n * size)
            assert_int_equal(*g, 0x5a);
    in[0] = memcpy(got, x[0], (size_t)(n * size)); /* in place */
    level->map[kernel][d](n, got, in, p);
    compare(kernel, d, n, x, got, want);
}

static void map_agrees_with_ref(void **state)
{
    (void)state;
    for (int k = 0; k < TP_MAP_KERNEL_COUNT; k++)
        for (int d = TP_F32; d <= TP_F64; d++)
            for (int n = 0; n < LENGTHS; n++)
                for (int round = 0; round < 4; round++)
                    check_map(tp_kernels_get(), (tp_map_kernel)k, (tp_dtype)d, n, n % 3, round);
}

/* An element's value must not depend on where it stands: vector body and remainder agree in every bit. */
static void position_does_not_matter(void **state)
{
    (void)state;
    double memory[3][LENGTHS], y[LENGTHS];
    const double p[2] = {0.3, 0.7};
    const void *in[3] = {memory[0], memory[1], memory[2]};
    for (int k = 0; k < TP_MAP_KERNEL_COUNT; k++)
        for (int d = TP_F32; d <= TP_F64; d++)
            for (int round = 0; round < 20; round++) {
                for (int j = 0; j < 3; j++) {
                    double v = uniform(j == 1 ? 0 : -3, j == 1 ? 1 : 3);
                    for (int i = 0; i < LENGTHS; i++)
                        put((tp_dtype)d, memory[j], i, v);
                }
                tp_kernels_get()->map[k][d](LENGTHS, y, in, p);
                int64_t size = tp_dtype_size((tp_dtype)d);
                for (int i = 1; i < LENGTHS; i++)
                    if (memcmp(y, (char *)y + i * size, (size_t)size) != 0)
                        fail_msg("%s %s: element %d differs", tp_isa(), rows[k].name, i);
            }
}

static double value_of(tp_map_kernel k, tp_dtype d, double a, double b, double c)
{
    double x[3] = {0}, y = 0;
    const void *in[3] = {&x[0], &x[1], &x[2]};
    const double p[2] = {-0.5, 0.75};
    put(d, &x[0], 0, a);
    put(d, &x[1], 0, b);
    put(d, &x[2], 0, c);
    tp_kernels_get()->map[k][d](1, &y, in, p);
    return get(d, &y, 0);
}

struct known {
    tp_map_kernel kernel;
    double a, b, c, want;
    bool only_f64; /* the inputs are not floats */
};

static const struct known known_values[] = {
    {TP_K_softplus, 0, 0, 0, 0.693147180559945286, false},
    {TP_K_softplus, -20, 0, 0, 2.06115362031438080e-9, false},
    {TP_K_softplus, -104, 0, 0, 6.81355682154529991e-46, false},
    {TP_K_softplus, 1000, 0, 0, 1000, false},
    {TP_K_softplus, -1000, 0, 0, 0, false},
    {TP_K_sigmoid, 0, 0, 0, 0.5, false},
    {TP_K_sigmoid, 1000, 0, 0, 1, false},
    {TP_K_sigmoid, -1000, 0, 0, 0, false},
    {TP_K_sigmoid, -40, 0, 0, 4.24835425529158898e-18, false},
    {TP_K_sigmoid, -100, 0, 0, 3.72007597602083612e-44, false},
    {TP_K_bce, 0, 1, 0, 0.693147180559945286, false},
    {TP_K_bce, 100, 1, 0, 3.72007597602083612e-44, false},
    {TP_K_bce, -100, 1, 0, 100, false},
    {TP_K_bce, 1000, 0.5, 0, 500, false},
    {TP_K_bce, -1000, 0.5, 0, 500, false},
    {TP_K_bce, 1e30, 0, 0, 1e30, true},
    {TP_K_bce_vjp, 40, 1, 1, -4.24835425529158898e-18, false},
    {TP_K_bce_vjp, 0, 0.25, 2, 0.5, false},
    {TP_K_bce_vjp, -1000, 0, 1, 0, false},
    {TP_K_gaussian_kl, 0, 1, 0, 0.359140914229522601, false},
    {TP_K_gaussian_kl, 0, 1e-8, 0, 2.50000000833333341e-17, true},
    {TP_K_gaussian_kl, 0, -1e-8, 0, 2.49999999166666670e-17, true},
    {TP_K_gaussian_kl, 0, 1e-4, 0, 2.50008333541670835e-9, true},
    {TP_K_gaussian_kl, 3, -2, 0, 5.06766764161830618, false},
    {TP_K_gaussian_kl, 0, -100, 0, 49.5, false},
    {TP_K_gaussian_kl, 0, 20, 0, 2.42582587204895139e8, false},
    {TP_K_gaussian_kl, 0, 89, 0, 2.24480640958717269e38, false},
    {TP_K_gaussian_kl, 0, 0, 0, 0, false},
    {TP_K_gaussian_kl_vjp, -100, 2, 0, -1, false},
    {TP_K_exp, -INFINITY, 0, 0, 0, false},
    {TP_K_exp, INFINITY, 0, 0, INFINITY, false},
    {TP_K_exp, -740, 0, 0, 4.19955798965e-322, true},
    {TP_K_log, 0, 0, 0, -INFINITY, false},
    {TP_K_log, -1, 0, 0, NAN, false},
    {TP_K_log, INFINITY, 0, 0, INFINITY, false},
    {TP_K_log, 4.9406564584124654e-324, 0, 0, -744.440071921381262, true},
    {TP_K_log1p, -1, 0, 0, -INFINITY, false},
    {TP_K_log1p, -2, 0, 0, NAN, false},
    {TP_K_log1p, 0x1p-140, 0, 0, 0x1p-140, false},
    {TP_K_expm1, 0x1p-140, 0, 0, 0x1p-140, false},
    {TP_K_expm1, -INFINITY, 0, 0, -1, false},
    {TP_K_expm1, INFINITY, 0, 0, INFINITY, false},
    {TP_K_tanh, 0x1p-140, 0, 0, 0x1p-140, false},
    {TP_K_tanh, -INFINITY, 0, 0, -1, false},
};

static void known_values_are_hit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known_values / sizeof *known_values; i++) {
        const struct known *k = &known_values[i];
        assert_close(value_of(k->kernel, TP_F64, k->a, k->b, k->c), k->want, denormal(TP_F64),
                     4 * DBL_EPSILON);
        if (!k->only_f64) /* 2 ulp of the nearest float */
            assert_close(value_of(k->kernel, TP_F32, k->a, k->b, k->c), (float)k->want,
                         2 * denormal(TP_F32), 2 * FLT_EPSILON);
    }
    /* f32, where the input is a rounded number: against f64 of the same input */
    assert_close(value_of(TP_K_bce, TP_F32, 1e30, 0, 0), (float)1e30, 0, 0);
    assert_close(value_of(TP_K_gaussian_kl, TP_F32, 0, 1e-8, 0), 2.5e-17, 0, 2 * FLT_EPSILON);
    assert_close(value_of(TP_K_gaussian_kl, TP_F32, 0, 1e-4, 0),
                 value_of(TP_K_gaussian_kl, TP_F64, 0, (float)1e-4, 0), 0, 2 * FLT_EPSILON);
    assert_true(isinf(value_of(TP_K_gaussian_kl, TP_F32, 0, 90, 0)));
}

/* NaN in any input that a formula uses comes out; comparisons are false. */
static void nan_propagates(void **state)
{
    (void)state;
    for (int k = 0; k < TP_MAP_KERNEL_COUNT; k++)
        for (int d = TP_F32; d <= TP_F64; d++) {
            bool compares = k == TP_K_gt || k == TP_K_ge || k == TP_K_eq || k == TP_K_inside;
            if (k == TP_K_where || k == TP_K_relu_vjp)
                continue; /* they choose: tested below */
            for (int j = 0; j < rows[k].arity; j++) {
                double v = value_of((tp_map_kernel)k, (tp_dtype)d, j == 0 ? NAN : 0.5,
                                    j == 1 ? NAN : 0.5, j == 2 ? NAN : 0.5);
                if (compares ? v != 0 : !isnan(v))
                    fail_msg("%s %s: NaN in input %d gives %g", tp_isa(), rows[k].name, j, v);
            }
        }
    assert_close(value_of(TP_K_where, TP_F32, 1, 2, NAN), 2, 0, 0);
    assert_close(value_of(TP_K_where, TP_F32, 0, NAN, 2), 2, 0, 0);
    assert_close(value_of(TP_K_where, TP_F32, NAN, 2, 3), 2, 0, 0); /* NaN is not 0 */
    assert_close(value_of(TP_K_relu_vjp, TP_F64, NAN, 0, 0), 0, 0, 0);
}

/* --- reductions --------------------------------------------------------------------------------- */

/* Lanes and their order are the same at every level, and nothing fuses: equal bits. */
static void reductions_equal_ref_bitwise(void **state)
{
    (void)state;
    double x[3 * TP_LANES + 4], a[3 * TP_LANES + 4], b[3 * TP_LANES + 4];
    for (int how = TP_SUM; how <= TP_MIN; how++)
        for (int d = TP_F32; d <= TP_F64; d++)
            for (int n = 0; n < 3 * TP_LANES + 2; n++) {
                for (int i = 0; i < n; i++) {
                    put((tp_dtype)d, x, i, uniform(-1, 1));
                    a[i] = b[i] = uniform(-1, 1);
                }
                double got = tp_kernels_get()->row[how][d](n, x);
                double want = tp_kernels_ref.row[how][d](n, x);
                assert_memory_equal(&got, &want, sizeof got);
                tp_kernels_get()->column[how][d](n, a, x);
                tp_kernels_ref.column[how][d](n, b, x);
                for (int i = 0; i < n; i++)
                    assert_memory_equal(&a[i], &b[i], sizeof *a);
                if (n == 0 || how == TP_SUM)
                    continue;
                put((tp_dtype)d, x, n / 2, NAN);
                assert_true(isnan(tp_kernels_get()->row[how][d](n, x)));
            }
}

/* --- tiles -------------------------------------------------------------------------------------- */

static void check_tile(tp_dtype d, bool half, int k, int init)
{
    enum { LDC = TP_MAX_NR + 3 };
    const tp_tile *t = &tp_kernels_get()->tile[d];
    static double a[TP_MAX_MR * 8], b[TP_MAX_NR * 8], start[TP_MAX_MR * LDC], c[TP_MAX_MR * LDC];
    int columns = half ? t->nr / 2 : t->nr;
    for (int i = 0; i < t->mr * k; i++)
        put(d, a, i, floor(uniform(-9, 9)));
    for (int i = 0; i < t->nr * k; i++)
        put(d, b, i, floor(uniform(-9, 9)));
    for (int i = 0; i < TP_MAX_MR * LDC; i++) {
        put(d, start, i, floor(uniform(-9, 9)));
        put(d, c, i, -77);
    }
    (half ? t->half : t->full)(k, a, b, init == 0 ? NULL : start, init == 1 ? 0 : LDC, c, LDC);
    for (int i = 0; i < TP_MAX_MR; i++)
        for (int j = 0; j < LDC; j++) {
            double want = init == 0 ? 0 : get(d, start, init == 1 ? j : i * LDC + j);
            for (int p = 0; p < k; p++)
                want += get(d, a, p * t->mr + i % t->mr) * get(d, b, p * t->nr + j % t->nr);
            assert_close(get(d, c, i * LDC + j), i < t->mr && j < columns ? want : -77, 0, 0);
        }
}

static void tiles_are_exact_on_integers(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        const tp_tile *t = &tp_kernels_get()->tile[d];
        assert_true(t->mr <= TP_MAX_MR && t->nr <= TP_MAX_NR && t->nr % 2 == 0);
        for (int k = 0; k <= 8; k++)
            for (int init = 0; init < 3; init++) {
                check_tile((tp_dtype)d, false, k, init);
                check_tile((tp_dtype)d, true, k, init);
            }
    }
}

static void check_pack(tp_dtype d, int width, int used, int k, int64_t lane, int64_t step)
{
    enum { SIDE = 40 };
    static double from[SIDE * SIDE], to[TP_MAX_NR * SIDE + 1];
    int64_t size = tp_dtype_size(d), start = (lane < 0 ? -lane : 0) * (used - 1);
    for (int i = 0; i < SIDE * SIDE; i++)
        put(d, from, i, i + 1);
    for (int i = 0; i <= width * k; i++)
        put(d, to, i, -77);
    tp_kernels_get()->tile[d].pack(width, used, k, (char *)from + start * size, lane, step, to);
    for (int p = 0; p < k; p++)
        for (int i = 0; i < width; i++) {
            double want = i < used ? (double)(start + i * lane + p * step + 1) : 0;
            assert_close(get(d, to, p * width + i), want, 0, 0);
        }
    assert_close(get(d, to, width * k), -77, 0, 0);
}

static void packing_moves_every_element(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        const tp_tile *t = &tp_kernels_get()->tile[d];
        const int widths[2] = {t->mr, t->nr};
        for (int w = 0; w < 2; w++)
            for (int used = 1; used <= widths[w]; used++)
                for (int k = 0; k < 11; k++) {
                    check_pack((tp_dtype)d, widths[w], used, k, 1, 40);
                    check_pack((tp_dtype)d, widths[w], used, k, 40, 1);
                    check_pack((tp_dtype)d, widths[w], used, k, -40, 1);
                    check_pack((tp_dtype)d, widths[w], used, k, 0, 2);
                    check_pack((tp_dtype)d, widths[w], used, k, 1, 1);
                }
    }
}

int main(void)
{
    const struct CMUnitTest choice[] = {cmocka_unit_test(the_environment_chooses_the_level)};
    int failed = cmocka_run_group_tests_name("choice", choice, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_agrees_with_ref),
        cmocka_unit_test(position_does_not_matter),
        cmocka_unit_test(known_values_are_hit),
        cmocka_unit_test(nan_propagates),
        cmocka_unit_test(reductions_equal_ref_bitwise),
        cmocka_unit_test(tiles_are_exact_on_integers),
        cmocka_unit_test(packing_moves_every_element),
    };
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (tp_set_isa(levels[i]) == TP_OK)
            failed += cmocka_run_group_tests_name(levels[i], tests, NULL, NULL);
    return failed != 0;
}
