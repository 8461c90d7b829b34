/* layer_check.h: what every layer is asked: are its gradients right, and are its bits those of one thread?
 *
 * The input is a parameter "x" in the layer's own list, so that its gradient is checked with the others.
 * Read next: test_layers_norm.c.
 */
#ifndef TP_TESTS_LAYER_CHECK_H
#define TP_TESTS_LAYER_CHECK_H

#include "tests/nn/fixture.h"

#include "autograd/check.h"
#include "autograd/sweep.h"
#include "nn/layers.h"
#include "tensor/parallel.h"

typedef struct layer_case {
    tp_var (*apply)(const void *layer, tp_ctx *c, tp_var x);
    const void *layer;
    tp_params *ps;
    tp_parameter x; /* the last of ps */
    tp_mode mode;
} layer_case;

/* tp_var apply_NAME(const void *layer, …) for tp_nn_NAME_apply. */
#define LAYER_APPLY(name)                                                                          \
    static tp_var apply_##name(const void *layer, tp_ctx *c, tp_var x)                             \
    {                                                                                              \
        return tp_nn_##name##_apply(layer, c, x);                                                  \
    }

/* Adds an x of normal draws, behind the layer's parameters, and moves those away from where they begin. */
static inline void layer_case_x(layer_case *k, tp_shape shape)
{
    for (int i = 0; i < k->ps->n; i++) {
        tp_parameter *p = k->ps->item[i];
        assert_ok(tp_random_normal(&p->value, (tp_rng_key){.seed = 100 + (uint64_t)i}));
    }
    assert_ok(tp_params_add(k->ps, &k->x, "x", shape));
    assert_ok(tp_random_normal(&k->x.value, (tp_rng_key){.seed = 99}));
}

static inline tp_var layer_case_apply(tp_tape *t, void *user)
{
    layer_case *k = user;
    tp_ctx c = k->mode == TP_TRAIN ? tp_ctx_train(t, 1, 0) : tp_ctx_eval(t, 1, 0);
    return k->apply(k->layer, &c, tp_param(t, &k->x));
}

static inline tp_status layer_gradients(layer_case *k, int order)
{
    tp_check_report report;
    tp_status s = tp_gradcheck(layer_case_apply, k, k->ps->n, k->ps->item,
                               (tp_check_opts){.order = order}, &report);
    if (s == TP_OK)
        assert_true(report.checked > 0 && report.skipped_kinks == 0);
    return s;
}

static inline void check_layer_gradients(layer_case *k)
{
    assert_ok(layer_gradients(k, 1));
    assert_ok(layer_gradients(k, 2));
}

enum { LAYER_RESULTS = 16 };

/* Value, gradients and buffers after one step, as copies; returns how many. */
static inline int layer_results(layer_case *k, int threads, tp_tensor *result)
{
    tp_tape *t;
    int n = 0;
    assert_ok(tp_set_threads(threads));
    assert_ok(tp_tape_new(&t));
    tp_params_zero_grad(k->ps);
    tp_var y = layer_case_apply(t, k);
    assert_ok(tp_backward(tp_sum(tp_square(y), TP_ALL_AXES, false)));
    assert_ok(tp_clone(&result[n++], tp_value(y)));
    for (int i = 0; i < k->ps->n; i++)
        assert_ok(tp_clone(&result[n++], tp_parameter_grad(k->ps->item[i])));
    for (int i = 0; i < k->ps->buffers; i++) /* what a commit would take */
        assert_ok(tp_clone(&result[n++], &k->ps->buffer[i]->next));
    assert_in_range(n, 1, LAYER_RESULTS);
    tp_tape_free(t);
    assert_ok(tp_set_threads(1));
    return n;
}

static inline void check_layer_threads(layer_case *k)
{
    static const int threads[] = {2, 3, 4, 8};
    tp_tensor one[LAYER_RESULTS], other[LAYER_RESULTS];
    int n = layer_results(k, 1, one);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(layer_results(k, threads[i], other), n);
        for (int r = 0; r < n; r++) {
            assert_true(equal_bits(&one[r], &other[r]));
            tp_tensor_free(&other[r]);
        }
    }
    for (int r = 0; r < n; r++)
        tp_tensor_free(&one[r]);
}

/* y was refused with exactly this, as far as the line that names the operand. */
static inline void assert_refused(tp_var y, tp_status status, const char *says)
{
    assert_status(tp_var_status(y), status);
    assert_message(says);
}

#endif
