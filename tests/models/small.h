/* small.h: a model of 3 inputs and 2 latents with its options, in double, with a batch on a tape; and what several tests
 * ask of it. Read next: test_disentangling.c. */
#ifndef TP_TESTS_MODELS_SMALL_H
#define TP_TESTS_MODELS_SMALL_H

#include "tests/models/fixture.h"

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/uses.h"

/* The type's defaults with the sizes of tiny(). */
static inline tp_model_config small(const tp_model_type *type)
{
    tp_model_config c = tp_model_defaults(type), sizes = tiny(TP_TANH, TP_BERNOULLI);
    for (int i = 0; i < TP_MODEL_OPTIONS; i++)
        sizes.option[i] = c.option[i];
    sizes.examples = 40;
    return sizes;
}

typedef struct scene {
    tp_model model;
    tp_tape *tape;
    tp_tensor data;
    tp_var x; /* [n, 3] */
} scene;

static inline scene scene_new(const tp_model_type *type, tp_model_config config, int64_t n)
{
    scene s;
    assert_ok(tp_model_init(&s.model, type, config, TP_F64, 1));
    for (int i = 0; i < s.model.params.n; i++) { /* biases as well: 0 hides mistakes */
        tp_tensor *p = &s.model.params.item[i]->value;
        assert_ok(tp_random_normal(p, (tp_rng_key){.seed = 5, .step = (uint64_t)i}));
    }
    assert_ok(tp_tape_new(&s.tape));
    s.data = uniform(TP_F64, n, 3, 2);
    s.x = tp_constant(s.tape, &s.data);
    return s;
}

static inline void scene_free(scene *s)
{
    tp_tape_free(s->tape);
    tp_tensor_free(&s->data);
    tp_model_free(&s->model);
}

static inline void close_tensors(const tp_tensor *a, const tp_tensor *b, double tolerance)
{
    assert_non_null(a);
    assert_non_null(b);
    for (int64_t k = 0; k < tp_numel(a); k++)
        assert_close(tp_flat(a, k), tp_flat(b, k), tolerance, tolerance);
}

/* The gradient of y with respect to parameter p: zeros where y does not depend on it. */
static inline tp_var gradient(tp_var y, tp_parameter *p)
{
    tp_var x = tp_param(y.tape, p), g;
    assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){.allow_unused = true}));
    return g;
}

static inline void same_gradients(scene *s, tp_var a, tp_var b, double tolerance)
{
    for (int i = 0; i < s->model.params.n; i++)
        close_tensors(tp_value(gradient(a, s->model.params.item[i])),
                      tp_value(gradient(b, s->model.params.item[i])), tolerance);
}

/* The gradient of the loss of n examples against differences. */
static inline void check_gradients(const tp_model_type *type, tp_model_config config, int64_t n)
{
    scene s = scene_new(type, config, n);
    tp_batch batch = {.x = s.data, .n = n};
    assert_ok(tp_model_gradcheck(&s.model, &batch, (tp_check_opts){0}, NULL));
    scene_free(&s);
}

/* Trains and evaluates on 9 examples in batches of 4: the last batch has one. */
static inline void train_odd(const tp_model_type *type, tp_model_config config)
{
    tp_model m;
    tp_optimizer o;
    tp_batches b;
    tp_stats stats;
    tp_dataset d = {.x = uniform(TP_F32, 9, 3, 2)};
    config.examples = 9;
    assert_ok(tp_model_init(&m, type, config, TP_F32, 1));
    assert_ok(tp_adam_init(&o, &m.params, tp_adam_defaults()));
    assert_ok(tp_batches_init(&b, &d, 4, TP_F32));
    tp_trainer t = {.loss = tp_model_loss, .model = &m, .optimizer = &o, .seed = 1, .trap = true};
    assert_ok(tp_tape_new(&t.tape));
    for (uint64_t e = 0; e < 3; e++)
        assert_ok(tp_train_epoch(&t, &b, e, &stats));
    assert_int_equal(t.step, 9);
    assert_ok(tp_evaluate(&t, &b, &stats));
    assert_int_equal(stats.samples, 9);
    tp_tape_free(t.tape);
    tp_batches_free(&b);
    tp_optimizer_free(&o);
    tp_model_free(&m);
    tp_dataset_free(&d);
}

static inline void refuse(const tp_model_type *type, tp_model_config config, const char *says)
{
    tp_model m = {0};
    assert_status(tp_model_init(&m, type, config, TP_F64, 1), TP_EARG);
    assert_message(says);
    assert_null(m.self);
}

#endif
