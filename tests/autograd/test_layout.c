/* test_layout.c: pictures stay channels-last from one convolution to the next, gradients too, and everything computed
 * from them is what it is when each value is brought back to rows in between. */
#include "autograd/compose.h"
#include "autograd/node.h"
#include "autograd/sweep.h"
#include "tensor/layout.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tests/support/check.h"

enum { PARAMETERS = 4 };
static const tp_shape shapes[PARAMETERS] = {TP_DIMS(4, 2, 3, 3), TP_DIMS(4, 1, 1),
                                            TP_DIMS(4, 3, 4, 4), TP_DIMS(3, 1, 1)};
static tp_tape *t;
static tp_parameter p[PARAMETERS];
static tp_tensor x;   /* f64[3,2,9,8] */
static bool in_rows;  /* values are brought back */
static bool as_found; /* or laid out as the convolutions like them: then this is checked */
static size_t bytes_before;

static void fill(tp_tensor *y, int factor)
{
    double *v = tp_data_mut(y);
    for (int64_t i = 0; i < tp_numel(y); i++)
        v[i] = (double)(i * factor % 23 - 11) / 16;
}

static int set_up(void **state)
{
    (void)state;
    bytes_before = tp_mem().live_bytes;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < PARAMETERS; i++) {
        assert_ok(
            tp_parameter_init(&p[i], (const char *[]){"w", "b", "v", "c"}[i], TP_F64, shapes[i]));
        fill(&p[i].value, 3 + 2 * i);
    }
    assert_ok(tp_tensor_new(&x, TP_F64, TP_SHAPE(3, 2, 9, 8)));
    fill(&x, 7);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < PARAMETERS; i++)
        tp_parameter_free(&p[i]);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_matmul_release();
    assert_int_equal(tp_mem().live_bytes, bytes_before);
    return 0;
}

/* The value as it lies, or in rows: a reshape of what is channels-last is a copy. */
static tp_var pass(tp_var v)
{
    tp_shape s = tp_shape_of(v);
    assert_ok(tp_var_status(v));
    if (as_found)
        assert_true(tp_is_channels_last(tp_value(v)));
    if (!in_rows)
        return v;
    tp_var rows = tp_reshape(tp_reshape(v, TP_SHAPE(s.dim[0], -1)), s);
    assert_true(tp_is_contiguous(tp_value(rows)));
    return rows;
}

static tp_var activated(tp_var y)
{
    return pass(tp_relu(pass(y)));
}

/* Gradients written over others, two contributions to one value, broadcasts from both sides, and one from nowhere. */
static tp_var gated(tp_var y)
{
    tp_var gate = pass(tp_sigmoid(y));
    return pass(tp_add(pass(tp_mul(gate, y)), pass(tp_scale(pass(tp_sub(y, gate)), 0.25))));
}

static tp_var network(tp_var (*between)(tp_var y))
{
    const tp_conv_opts down = {.padding = {1, 1}}, up = {.stride = {2, 1}, .padding = {1, 0}};
    tp_var y = pass(tp_conv2d(tp_constant(t, &x), tp_param(t, &p[0]), down));
    y = between(pass(tp_add(y, tp_param(t, &p[1]))));
    y = pass(tp_conv_transpose2d(y, tp_param(t, &p[2]), up));
    y = between(pass(tp_add(tp_param(t, &p[3]), y)));
    tp_var flat = tp_reshape(y, TP_SHAPE(3, -1));
    return tp_sum(tp_square(tp_sum(flat, TP_AXES(1), false)), TP_ALL_AXES, false);
}

/* Value and gradients, in rows. */
static double run(tp_var (*between)(tp_var y), tp_sweep_opts opts, tp_tensor grad[PARAMETERS])
{
    tp_var loss = network(between);
    assert_ok(tp_var_status(loss));
    double value = tp_item(tp_value(loss));
    assert_ok(tp_backward_opts(loss, opts));
    for (int i = 0; i < PARAMETERS; i++) {
        assert_ok(tp_clone(&grad[i], &p[i].grad));
        tp_zero_grad(&p[i]);
    }
    tp_tape_reset(t);
    return value;
}

static void layouts_are_only_layouts(void **state)
{
    (void)state;
    tp_var (*const between[])(tp_var) = {activated, gated};
    const tp_sweep_opts opts[] = {
        {0}, {.release = true}, {.composed = true}, {.create_graph = true}};
    for (int b = 0; b < 2; b++) {
        tp_tensor want[PARAMETERS], got[PARAMETERS];
        in_rows = true, as_found = false;
        double value = run(between[b], opts[2], want);
        for (int o = 0; o < 4; o++) {
            in_rows = false, as_found = true;
            assert_close(run(between[b], opts[o], got), value, 0, 1e-13);
            for (int i = 0; i < PARAMETERS; i++) {
                for (int64_t k = 0; k < tp_numel(&want[i]); k++)
                    assert_close(tp_flat(&got[i], k), tp_flat(&want[i], k), 1e-10, 1e-12);
                tp_tensor_free(&got[i]);
            }
        }
        for (int i = 0; i < PARAMETERS; i++)
            tp_tensor_free(&want[i]);
    }
}

/* What a sweep computes for a value lies as the value does. */
static void gradients_lie_as_their_values(void **state)
{
    (void)state;
    in_rows = as_found = false;
    tp_var y = tp_conv2d(tp_constant(t, &x), tp_param(t, &p[0]), (tp_conv_opts){0});
    tp_var z = tp_relu(y);
    tp_var v = tp_conv_transpose2d(z, tp_param(t, &p[2]), (tp_conv_opts){0});
    tp_var loss = tp_sum(tp_square(v), TP_ALL_AXES, false);
    int seen = 0;
    tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){0});
    while (tp_sweep_next(&s)) {
        const tp_var at[] = {z, y};
        for (int i = 0; i < 2; i++) {
            tp_var g = tp_sweep_grad(&s, at[i]);
            if (g.tape != NULL && ++seen)
                assert_true(tp_is_channels_last(tp_value(g)));
        }
    }
    assert_ok(tp_sweep_end(&s));
    assert_true(seen >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(layouts_are_only_layouts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gradients_lie_as_their_values, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
