/* test_walk.c: ways through a latent space against their definitions: ends, places between, lengths; refusals. */
#include "tests/models/fixture.h"

#include <math.h>

#include "models/walk.h"

static tp_tensor codes_of(tp_dtype dtype, tp_shape shape, const double *numbers)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, dtype, shape));
    for (int64_t i = 0; i < tp_numel(&t); i++)
        assert_ok(tp_set_flat(&t, i, numbers[i]));
    return t;
}

static void expect(const tp_tensor *got, tp_shape shape, const double *want)
{
    assert_true(tp_shape_equal(got->shape, shape));
    for (int64_t i = 0; i < tp_numel(got); i++)
        assert_close(tp_flat(got, i), want[i], 1e-15, 1e-15);
}

static void test_traverse(void **state)
{
    (void)state;
    tp_tensor z = codes_of(TP_F64, TP_SHAPE(3), (double[]){5, 6, 7}), codes;
    const tp_walk walk[] = {{2, -3, 3}, {0, 1, 0}};
    assert_ok(tp_traverse(&codes, &z, walk, 2, 3));
    expect(&codes, TP_SHAPE(6, 3),
           (double[]){5, 6, -3, 5, 6, 0, 5, 6, 3, 1, 6, 7, 0.5, 6, 7, 0, 6, 7});
    tp_tensor_free(&codes);
    assert_ok(tp_traverse(&codes, &z, walk, 1, 1));
    expect(&codes, TP_SHAPE(1, 3), (double[]){5, 6, 0});
    tp_tensor_free(&codes);
    assert_status(tp_traverse(&codes, &z, walk, 0, 3), TP_EARG);
    assert_status(tp_traverse(&codes, &z, walk, 1, 0), TP_EARG);
    assert_status(tp_traverse(&codes, &z, &(tp_walk){3, 0, 1}, 1, 2), TP_EARG);
    assert_status(tp_traverse(&codes, &z, &(tp_walk){-1, 0, 1}, 1, 2), TP_EARG);
    tp_tensor whole = codes_of(TP_I64, TP_SHAPE(3), (double[]){0, 0, 0});
    assert_status(tp_traverse(&codes, &whole, walk, 1, 2), TP_EDTYPE);
    tp_tensor rows = codes_of(TP_F64, TP_SHAPE(1, 3), (double[]){0, 0, 0});
    assert_status(tp_traverse(&codes, &rows, walk, 1, 2), TP_ESHAPE);
    tp_tensor_free(&whole);
    tp_tensor_free(&rows);
    tp_tensor_free(&z);
}

static void test_straight(void **state)
{
    (void)state;
    tp_tensor a = codes_of(TP_F32, TP_SHAPE(2, 2), (double[]){0, 1, 2, 2}), codes;
    tp_tensor b = codes_of(TP_F32, TP_SHAPE(2, 2), (double[]){4, -1, 2, 2});
    assert_ok(tp_interpolate(&codes, &a, &b, 5, TP_STRAIGHT));
    expect(&codes, TP_SHAPE(10, 2),
           (double[]){0, 1, 1, .5, 2, 0, 3, -.5, 4, -1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2});
    tp_tensor_free(&codes);
    assert_status(tp_interpolate(&codes, &a, &b, 1, TP_STRAIGHT), TP_EARG);
    tp_tensor other = codes_of(TP_F32, TP_SHAPE(1, 2), (double[]){0, 0});
    assert_status(tp_interpolate(&codes, &a, &other, 3, TP_STRAIGHT), TP_ESHAPE);
    tp_tensor_free(&other);
    tp_tensor_free(&a);
    tp_tensor_free(&b);
}

/* On a sphere all codes keep the length and equal angles lie between them; the chord does not (what TP_STRAIGHT gives). */
static void test_spherical(void **state)
{
    (void)state;
    enum { STEPS = 5 };
    tp_tensor a = codes_of(TP_F64, TP_SHAPE(1, 3), (double[]){2, 0, 0}), codes, chord;
    tp_tensor b = codes_of(TP_F64, TP_SHAPE(1, 3), (double[]){0, 0, 2});
    assert_ok(tp_interpolate(&codes, &a, &b, STEPS, TP_SPHERICAL));
    assert_ok(tp_interpolate(&chord, &a, &b, STEPS, TP_STRAIGHT));
    for (int j = 0; j < STEPS; j++) {
        double phi = j * acos(-1.0) / 8;
        assert_close(tp_flat(&codes, 3 * j), 2 * cos(phi), 1e-15, 1e-15);
        assert_close(tp_flat(&codes, 3 * j + 1), 0, 1e-15, 1e-15);
        assert_close(tp_flat(&codes, 3 * j + 2), 2 * sin(phi), 1e-15, 1e-15);
    }
    assert_true(hypot(tp_flat(&chord, 6), tp_flat(&chord, 8)) < 1.5);
    tp_tensor_free(&codes);
    tp_tensor_free(&chord);
    /* Where there is no angle: opposite, equal, and nothing. */
    const double odd[3][6] = {{1, 0, 0, -1, 0, 0}, {1, 2, 3, 1, 2, 3}, {0, 0, 0, 1, 0, 0}};
    for (int k = 0; k < 3; k++) {
        tp_tensor c = codes_of(TP_F64, TP_SHAPE(1, 3), odd[k]),
                  d = codes_of(TP_F64, TP_SHAPE(1, 3), odd[k] + 3);
        assert_ok(tp_interpolate(&codes, &c, &d, 3, TP_SPHERICAL));
        for (int i = 0; i < 3; i++)
            assert_close(tp_flat(&codes, 3 + i), (odd[k][i] + odd[k][3 + i]) / 2, 1e-15, 1e-15);
        tp_tensor_free(&codes);
        tp_tensor_free(&c);
        tp_tensor_free(&d);
    }
    tp_tensor_free(&a);
    tp_tensor_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traverse),
        cmocka_unit_test(test_straight),
        cmocka_unit_test(test_spherical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
