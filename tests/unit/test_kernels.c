/* test_kernels.c: the choice of the ISA level; every level's reductions, tiles and packing.
 *
 * The elementwise rows are test_map_kernels.c. The drivers have their own tests: test_map_reduce.c,
 * test_matmul.c.
 */
#define _POSIX_C_SOURCE 200809L /* setenv, fork */
#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tensor/kernels/kernels.h"
#include "tests/support/elements.h"

static const char *const levels[] = {"ref", "avx2", "avx512"};

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

/* Which kernel of the table, and how it is called. */
struct tile_case {
    tp_dtype d;
    int across, height, wide, k;
    int init; /* 0: none, 1: one row for all, 2: rows of its own */
    bool relu;
};

static void check_tile(struct tile_case t)
{
    enum { LD = TP_MAX_NR + 3, STEPS = 8 };
    static double a[TP_MAX_MR * (STEPS + 1)], b[STEPS * LD], start[TP_MAX_MR * LD],
        c[TP_MAX_MR * LD];
    const tp_tiles *tile = &tp_kernels_get()->tile[t.d];
    int rows = tile->height[t.height], columns = tile->nr / (t.wide ? 1 : 2);
    int64_t lane = t.across ? STEPS + 1 : 1, step = t.across ? 1 : TP_MAX_MR;
    for (int i = 0; i < TP_MAX_MR * (STEPS + 1); i++)
        put(t.d, a, i, floor(uniform(-9, 9)));
    for (int i = 0; i < STEPS * LD; i++)
        put(t.d, b, i, floor(uniform(-9, 9)));
    for (int i = 0; i < TP_MAX_MR * LD; i++) {
        put(t.d, start, i, floor(uniform(-9, 9)));
        put(t.d, c, i, -77);
    }
    tp_tile_args args = {.k = t.k,
                         .a = a,
                         .b = b,
                         .init = t.init == 0 ? NULL : start,
                         .c = c,
                         .a_lane = lane,
                         .a_step = step,
                         .b_step = LD,
                         .init_row = t.init == 1 ? 0 : LD,
                         .c_row = LD,
                         .relu = t.relu};
    tile->kernel[t.across][t.height][t.wide](&args);
    for (int i = 0; i < TP_MAX_MR; i++)
        for (int j = 0; j < LD; j++) {
            bool written = i < rows && j < columns;
            double want = t.init == 0 ? 0 : get(t.d, start, t.init == 1 ? j : i * LD + j);
            for (int p = 0; p < t.k && written; p++)
                want += get(t.d, a, i * lane + p * step) * get(t.d, b, p * LD + j);
            if (t.relu && want < 0)
                want = 0;
            assert_close(get(t.d, c, i * LD + j), written ? want : -77, 0, 0);
        }
}

static void tiles_are_exact_on_integers(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        const tp_tiles *t = &tp_kernels_get()->tile[d];
        assert_true(t->mr <= TP_MAX_MR && t->nr <= TP_MAX_NR && t->nr % 2 == 0);
        assert_int_equal(t->height[0], t->mr);
        for (int height = 1; height < TP_TILE_HEIGHTS; height++)
            assert_int_equal(t->mr % (t->height[height - 1] - t->height[height]), 0);
    }
    for (int i = 0; i < 2 * 2 * TP_TILE_HEIGHTS * 2 * 9 * 3 * 2; i++) {
        struct tile_case t = {.d = i % 2 ? TP_F64 : TP_F32, .relu = i / 2 % 2};
        t.across = i / 4 % 2;
        t.wide = i / 8 % 2;
        t.height = i / 16 % TP_TILE_HEIGHTS;
        t.init = i / 16 / TP_TILE_HEIGHTS % 3;
        t.k = i / 16 / TP_TILE_HEIGHTS / 3;
        check_tile(t);
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
        const tp_tiles *t = &tp_kernels_get()->tile[d];
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
        cmocka_unit_test(reductions_equal_ref_bitwise),
        cmocka_unit_test(tiles_are_exact_on_integers),
        cmocka_unit_test(packing_moves_every_element),
    };
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (tp_set_isa(levels[i]) == TP_OK)
            failed += cmocka_run_group_tests_name(levels[i], tests, NULL, NULL);
    return failed != 0;
}
