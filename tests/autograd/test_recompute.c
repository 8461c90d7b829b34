/* test_recompute.c: values dropped after the forward pass and computed again in backward: the same bits for
 * less memory, and clear errors where what they were computed from is gone. */
#include "autograd/explain.h"
#include "tensor/parallel.h"
#include "tests/autograd/fixture.h"

#include <stdio.h>

enum { LAYERS = 12, WIDTH = 48, BATCH = 40 };

/* --- a deep network ----------------------------------------------------------------------------- */

typedef struct network {
    tp_parameter weight[LAYERS], bias[LAYERS];
    tp_tensor x;
} network;

static network network_new(tp_dtype dtype)
{
    network m;
    for (int i = 0; i < LAYERS; i++) {
        assert_ok(tp_parameter_init(&m.weight[i], "weight", dtype, TP_SHAPE(WIDTH, WIDTH)));
        assert_ok(tp_parameter_init(&m.bias[i], "bias", dtype, TP_SHAPE(WIDTH)));
        assert_ok(tp_random_normal(&m.weight[i].value, (tp_rng_key){1, 2, (uint32_t)i}));
        for (int64_t k = 0; k < WIDTH * WIDTH; k++)
            assert_ok(tp_set_flat(&m.weight[i].value, k, 0.15 * tp_flat(&m.weight[i].value, k)));
    }
    assert_ok(tp_tensor_new(&m.x, dtype, TP_SHAPE(BATCH, WIDTH)));
    assert_ok(tp_random_normal(&m.x, (tp_rng_key){3, 0, 0}));
    return m;
}

static void network_free(network *m)
{
    for (int i = 0; i < LAYERS; i++) {
        tp_parameter_free(&m->weight[i]);
        tp_parameter_free(&m->bias[i]);
    }
    tp_tensor_free(&m->x);
}

/* A layer with a fused rule, a view, dropout noise, a residual path and an index: all must replay. */
static tp_var layer(network *m, int i, tp_var x)
{
    tp_dtype dtype = tp_dtype_of(x);
    tp_var h = tp_tanh(tp_linear(x, tp_param(t, &m->weight[i]), tp_param(t, &m->bias[i])));
    tp_var p = tp_full(t, dtype, TP_SHAPE(BATCH, WIDTH), 0.75);
    h = tp_mul(h, tp_noise_bernoulli(p, (tp_rng_key){5, 0, (uint32_t)i}));
    h = tp_transpose(tp_softplus(tp_transpose(h)));
    h = tp_reshape(h, TP_SHAPE(WIDTH, BATCH));
    return tp_add(tp_reshape(h, TP_SHAPE(BATCH, WIDTH)), x);
}

/* per: how many layers share a segment; 0: no segments. *kept: bytes after the forward pass. */
static tp_var forward(network *m, int per, size_t *kept)
{
    tp_var h = tp_constant(t, &m->x);
    for (int i = 0; i < LAYERS; i++) {
        if (per > 0 && i % per == 0)
            tp_recompute_begin(t);
        h = layer(m, i, h);
        if (per > 0 && i % per == per - 1)
            tp_recompute_end(t, 1, &h);
    }
    *kept = tp_tape_bytes(t);
    return tp_mean(tp_square(h), TP_ALL_AXES, false);
}

static void zero_grads(network *m)
{
    for (int i = 0; i < LAYERS; i++) {
        tp_zero_grad(&m->weight[i]);
        tp_zero_grad(&m->bias[i]);
    }
}

/* All gradients, as bytes. */
static void copy_grads(const network *m, tp_tensor *all)
{
    int64_t at = 0, n = LAYERS * (WIDTH * WIDTH + WIDTH);
    assert_ok(tp_tensor_new(all, TP_F64, TP_SHAPE(n)));
    for (int i = 0; i < LAYERS; i++) {
        const tp_tensor *g[] = {tp_parameter_grad(&m->weight[i]), tp_parameter_grad(&m->bias[i])};
        for (int j = 0; j < 2; j++) {
            assert_non_null(g[j]);
            for (int64_t k = 0; k < tp_numel(g[j]); k++)
                assert_ok(tp_set_flat(all, at++, tp_flat(g[j], k)));
        }
    }
    assert_int_equal(at, n);
}

static void assert_same(const tp_tensor *a, const tp_tensor *b)
{
    assert_int_equal(tp_numel(a), tp_numel(b));
    assert_memory_equal(tp_data(a), tp_data(b), (size_t)tp_numel(a) * sizeof(double));
}

/* --- the same bits ------------------------------------------------------------------------------ */

static void check_same_gradients(tp_dtype dtype, bool release)
{
    static const int per[] = {1, 3, 4, 12};
    network m = network_new(dtype);
    tp_sweep_opts opts = {.release = release};
    size_t all, kept;
    tp_tensor plain, again;
    tp_tape_reset(t);
    tp_var loss = forward(&m, 0, &all);
    double value = tp_item_of(loss);
    assert_ok(tp_backward_opts(loss, opts));
    copy_grads(&m, &plain);
    for (size_t k = 0; k < sizeof per / sizeof *per; k++) {
        assert_ok(tp_set_threads(1 + (int)k % 2));
        zero_grads(&m);
        tp_tape_reset(t);
        loss = forward(&m, per[k], &kept);
        assert_true(kept < all);
        assert_true(tp_item_of(loss) == value);
        assert_ok(tp_backward_opts(loss, opts));
        copy_grads(&m, &again);
        assert_same(&plain, &again);
        tp_tensor_free(&again);
    }
    assert_ok(tp_set_threads(1));
    tp_tensor_free(&plain);
    network_free(&m);
}

static void test_same_gradients(void **state)
{
    (void)state;
    for (int dtype = TP_F32; dtype <= TP_F64; dtype++)
        for (int release = 0; release < 2; release++)
            check_same_gradients((tp_dtype)dtype, release);
}

/* Without release, what backward restored is dropped again, and a second one does the same. */
static void test_twice(void **state)
{
    (void)state;
    network m = network_new(TP_F64);
    tp_tensor one, two;
    size_t kept;
    tp_var loss = forward(&m, 3, &kept);
    size_t before = tp_tape_bytes(t);
    assert_ok(tp_backward(loss));
    assert_int_equal(tp_tape_bytes(t), before);
    copy_grads(&m, &one);
    zero_grads(&m);
    assert_ok(tp_backward(loss));
    copy_grads(&m, &two);
    assert_same(&one, &two);
    tp_tensor_free(&one);
    tp_tensor_free(&two);
    network_free(&m);
}

/* The gradient of a gradient's norm, and tp_grad, which does not go through tp_sweep_begin. */
static void test_second_order(void **state)
{
    (void)state;
    network m = network_new(TP_F64);
    tp_tensor plain = {0}, again;
    for (int per = 0; per <= 4; per += 2) {
        size_t kept;
        zero_grads(&m);
        tp_tape_reset(t);
        tp_var loss = forward(&m, per, &kept), g[2];
        tp_var by[2] = {tp_param(t, &m.weight[0]), tp_param(t, &m.weight[7])};
        assert_ok(tp_grad(1, &loss, 2, by, g, (tp_grad_opts){.create_graph = true}));
        assert_ok(tp_backward(tp_add(total(tp_square(g[0])), total(tp_mul(g[1], g[1])))));
        if (per == 0) {
            copy_grads(&m, &plain);
            continue;
        }
        copy_grads(&m, &again);
        assert_same(&plain, &again);
        tp_tensor_free(&again);
    }
    tp_tensor_free(&plain);
    network_free(&m);
}

/* --- less memory -------------------------------------------------------------------------------- */

/* Peak of a fresh tape over forward and backward. */
static size_t peak(network *m, int per)
{
    size_t kept;
    zero_grads(m);
    tp_tape_free(t);
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_backward_opts(forward(m, per, &kept), (tp_sweep_opts){.release = true}));
    return t->arena.peak_bytes;
}

static void test_memory(void **state)
{
    (void)state;
    network m = network_new(TP_F32);
    size_t all = peak(&m, 0), some = peak(&m, 3), one = peak(&m, LAYERS);
    printf("peak bytes: %zu without segments, %zu with 4 of 3 layers, %zu with one\n", all, some,
           one);
    assert_true(some < all / 2); /* 12 layers against 3 layers and 4 kept values */
    assert_true(one > some);     /* one segment saves nothing once it is computed again */
    network_free(&m);
}

/* A step in steady state takes no memory. */
static void test_no_allocations(void **state)
{
    (void)state;
    network m = network_new(TP_F32);
    size_t calls = 0, kept;
    for (int step = 0; step < 5; step++) {
        if (step == 2)
            calls = tp_mem().calls;
        tp_tape_reset(t);
        assert_ok(tp_backward_opts(forward(&m, 3, &kept), (tp_sweep_opts){.release = true}));
    }
    assert_int_equal(tp_mem().calls, calls);
    network_free(&m);
}

/* --- what is kept, and what is not -------------------------------------------------------------- */

static void test_dropped_values(void **state)
{
    (void)state;
    tp_recompute_begin(t);
    tp_var square, loss = loss_of(&square), view = tp_reshape(square, TP_SHAPE(2, 1));
    tp_recompute_end(t, 2, (tp_var[]){loss, view});
    assert_status(tp_var_status(square), TP_EFREED);
    assert_non_null(strstr(tp_last_error(), "dropped by tp_recompute_end"));
    assert_null(tp_value(square));
    assert_int_equal(tp_shape_of(square).dim[0], 2);
    assert_close(tp_item_of(loss), 13, 0, 0);
    assert_close(tp_flat(tp_value(view), 1), 9, 0,
                 0); /* its base was dropped, its memory was not */
    assert_ok(tp_backward(loss));
    assert_close(tp_flat(tp_parameter_grad(&w), 1), 6, 0, 0);
    tp_exp(square);
    assert_tape(TP_EFREED, "was dropped by tp_recompute_end: keep it there");
}

static void test_pairs(void **state)
{
    (void)state;
    tp_var before = tp_param(t, &w);
    tp_recompute_begin(t);
    tp_recompute_begin(t);
    tp_var a = tp_square(before);
    tp_recompute_end(t, 0, NULL); /* the outermost pair decides */
    assert_ok(tp_var_status(a));
    tp_var b = total(a);
    tp_recompute_end(t, 2, (tp_var[]){b, before});
    assert_status(tp_var_status(a), TP_EFREED);
    assert_ok(tp_var_status(before));
    assert_ok(tp_backward(b));

    tp_recompute_end(t, 0, NULL);
    assert_tape(TP_EARG, "tp_recompute_end without tp_recompute_begin");
    tp_tape_reset(t);
    tp_recompute_begin(t);
    tp_tape_reset(t); /* forgets the open pair */
    tp_recompute_end(t, 0, NULL);
    assert_tape(TP_EARG, "without tp_recompute_begin");
}

static void test_bad_keep(void **state)
{
    (void)state;
    tp_tape *other;
    tp_var square, loss = loss_of(&square);
    assert_ok(tp_tape_new(&other));
    tp_var foreign = tp_full(other, TP_F64, TP_SHAPE(), 1);
    tp_recompute_begin(t);
    tp_recompute_end(t, 2, (tp_var[]){loss, foreign});
    assert_tape(TP_ETAPE, "tp_recompute_end: value 1 to keep: it belongs to another tape");
    tp_tape_free(other);
    tp_tape_reset(t);
    tp_recompute_begin(t);
    tp_recompute_end(t, 1, &loss);
    assert_tape(TP_ESTALE, "tp_recompute_end: value 0 to keep");
}

/* Data and parameters written between forward and backward cannot give the old values. */
static void test_written_since(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        tp_tape_reset(t);
        tp_recompute_begin(t);
        tp_var x = TP_NAME(tp_constant(t, &data)), p = tp_param(t, &w);
        tp_var e = tp_exp(tp_mul(x, p)), loss = total(tp_square(e));
        tp_recompute_end(t, 1, &loss);
        tp_data_mut(i == 0 ? &data : &w.value);
        assert_status(tp_backward(loss), TP_EVERSION);
        assert_tape(TP_EVERSION, "computing mul#3 again needs");
        assert_tape(TP_EVERSION, i == 0 ? "constant" : "parameter 'w'");
        assert_null(tp_parameter_grad(&w));
    }
}

/* What a segment was computed from may itself have been released by an earlier backward. */
static void test_released_inputs(void **state)
{
    (void)state;
    tp_var x = tp_exp(tp_param(t, &w));
    tp_recompute_begin(t);
    tp_var loss = total(tp_square(tp_exp(x)));
    tp_recompute_end(t, 1, &loss);
    assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.release = true}));
    assert_status(tp_backward(loss), TP_EFREED);
}

/* The teacher sees the numbers all the same. */
static void test_explain(void **state)
{
    (void)state;
    char text[2][4096] = {{0}};
    for (int i = 0; i < 2; i++) {
        tp_tape_reset(t);
        if (i == 1)
            tp_recompute_begin(t);
        tp_var loss = total(tp_exp(tp_square(tp_param(t, &w))));
        if (i == 1)
            tp_recompute_end(t, 1, &loss);
        FILE *out = tmpfile();
        assert_non_null(out);
        tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){.composed = true});
        while (tp_sweep_next(&s))
            assert_ok(tp_explain_step(out, &s, (tp_explain_opts){.numbers = true, .check = true}));
        assert_ok(tp_sweep_end(&s));
        rewind(out);
        assert_true(fread(text[i], 1, sizeof text[i] - 1, out) > 0);
        fclose(out);
    }
    assert_string_equal(text[0], text[1]);
    assert_non_null(strstr(text[1], "ok"));
}

/* A gradient taken inside, as a Hamiltonian step does: its sweep has released what it was computed from. */
static void test_gradient_inside(void **state)
{
    (void)state;
    double plain[2] = {0};
    for (int inside = 0; inside < 2; inside++) {
        tp_tape_reset(t);
        tp_zero_grad(&w);
        tp_var x = tp_param(t, &w), g;
        if (inside)
            tp_recompute_begin(t);
        tp_var z = tp_exp(tp_scale(x, 0.1));
        tp_var energy = total(tp_relu(tp_square(tp_tanh(z)))); /* relu has a fused rule */
        assert_ok(tp_grad(1, &energy, 1, &z, &g, (tp_grad_opts){0}));
        tp_var loss = total(tp_exp(tp_mul(z, tp_square(g))));
        if (inside)
            tp_recompute_end(t, 1, &loss);
        assert_ok(tp_backward(loss));
        for (int64_t i = 0; i < 2; i++)
            if (inside)
                assert_close(tp_flat(&w.grad, i), plain[i], 0, 0);
            else
                plain[i] = tp_flat(&w.grad, i);
    }
}

/* With release, nothing that the sweep has passed is computed again: addition reads no value, so the segment is
 * restored below it. */
static void test_released_stays_released(void **state)
{
    (void)state;
    size_t left[2];
    for (int inside = 0; inside < 2; inside++) {
        tp_tape_reset(t);
        tp_var h = tp_param(t, &w);
        for (int i = 0; i < 5; i++) {
            if (inside)
                tp_recompute_begin(t);
            h = tp_add(h, tp_exp(tp_tanh(h)));
            if (inside)
                tp_recompute_end(t, 1, &h);
        }
        assert_ok(tp_backward_opts(total(h), (tp_sweep_opts){.release = true}));
        left[inside] = tp_tape_bytes(t);
    }
    assert_int_equal(left[1], left[0]);
}

/* A segment may end while a sweep is stepped through: the end of that drops the sweep's nodes only. */
static void test_end_inside_a_sweep(void **state)
{
    (void)state;
    tp_recompute_begin(t);
    tp_var loss = total(tp_exp(tp_square(tp_param(t, &w))));
    tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){0});
    assert_true(tp_sweep_next(&s));
    tp_recompute_end(t, 1, &loss);
    tp_recompute_begin(t);
    while (tp_sweep_next(&s))
        ;
    assert_ok(tp_sweep_end(&s));
    double g = tp_flat(&w.grad, 0);
    assert_ok(tp_backward(loss));
    assert_close(tp_flat(&w.grad, 0), 2 * g, 0, 0);
    tp_var square = tp_square(loss);
    tp_recompute_end(t, 0, NULL); /* began behind what was cut off */
    assert_status(tp_var_status(square), TP_EFREED);
}

/* Each value is computed once, though 2^40 paths lead to the first. */
static void test_explain_diamonds(void **state)
{
    (void)state;
    tp_recompute_begin(t);
    tp_var h = tp_param(t, &w);
    for (int i = 0; i < 40; i++)
        h = tp_add(h, h);
    tp_var loss = total(h);
    tp_recompute_end(t, 1, &loss);
    FILE *out = tmpfile();
    assert_non_null(out);
    tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){.composed = true});
    assert_true(tp_sweep_next(&s));
    assert_ok(tp_explain_step(out, &s, (tp_explain_opts){.numbers = true, .check = true}));
    assert_status(tp_sweep_end(&s), TP_OK);
    fclose(out);
}

#define RECOMPUTE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECOMPUTE_TEST(test_same_gradients),
        RECOMPUTE_TEST(test_twice),
        RECOMPUTE_TEST(test_second_order),
        RECOMPUTE_TEST(test_memory),
        RECOMPUTE_TEST(test_no_allocations),
        RECOMPUTE_TEST(test_dropped_values),
        RECOMPUTE_TEST(test_pairs),
        RECOMPUTE_TEST(test_bad_keep),
        RECOMPUTE_TEST(test_written_since),
        RECOMPUTE_TEST(test_released_inputs),
        RECOMPUTE_TEST(test_explain),
        RECOMPUTE_TEST(test_gradient_inside),
        RECOMPUTE_TEST(test_released_stays_released),
        RECOMPUTE_TEST(test_end_inside_a_sweep),
        RECOMPUTE_TEST(test_explain_diamonds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
