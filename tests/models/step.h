/* step.h: one training step of a small model, and what can be asked of it: where the tests of single models begin.
 *
 * Read next: test_autoencoders.c.
 */
#ifndef TP_TESTS_MODELS_STEP_H
#define TP_TESTS_MODELS_STEP_H

#include "tests/models/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/uses.h"

static inline tp_model_config small(const tp_model_type *type)
{
    tp_model_config c = tp_model_defaults(type);
    c.data_dim = 3, c.hidden[0] = 4, c.latent_dim = 2, c.activation = TP_TANH;
    return c;
}

static inline void set(tp_model_config *c, const tp_model_type *type, const char *name,
                       double value)
{
    assert_ok(tp_model_set(c, type, name, value));
}

/* A model on data, and the objective of one training step. */
typedef struct step {
    tp_model m;
    tp_tensor x;
    tp_tape *t;
    tp_ctx c;
    tp_objective o;
} step;

/* In evaluation mode for step UINT64_MAX. Takes x over. */
static inline step *step_new(const tp_model_type *type, tp_model_config config, tp_tensor x,
                             uint64_t at)
{
    step *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->x = x;
    assert_ok(tp_model_init(&s->m, type, config, TP_F64, 5));
    assert_ok(tp_tape_new(&s->t));
    s->c = at == UINT64_MAX ? tp_ctx_eval(s->t, 7, 0) : tp_ctx_train(s->t, 7, at);
    s->o = tp_model_loss(&s->m, &s->c, tp_constant(s->t, &s->x));
    assert_ok(tp_tape_status(s->t));
    return s;
}

static inline void step_free(step *s)
{
    tp_tape_free(s->t);
    tp_tensor_free(&s->x);
    tp_model_free(&s->m);
    free(s);
}

static inline double total(const step *s)
{
    return tp_item_of(s->o.total);
}

static inline double term(const step *s, const char *name)
{
    for (int i = 0; i < s->o.terms; i++)
        if (strcmp(s->o.term[i].name, name) == 0)
            return tp_item_of(s->o.term[i].value);
    fail_msg("no term '%s'", name);
    return NAN;
}

/* The numbers of a var, f64. */
static inline const double *numbers(tp_var v)
{
    const tp_tensor *t = tp_value(v);
    assert_non_null(t);
    assert_true(t->dtype == TP_F64 && tp_is_contiguous(t));
    return tp_data(t);
}

static inline tp_tensor given(int64_t n, int64_t width, const double *v)
{
    tp_tensor x;
    assert_ok(tp_tensor_new(&x, TP_F64, TP_SHAPE(n, width)));
    for (int64_t i = 0; i < n * width; i++)
        assert_ok(tp_set_flat(&x, i, v[i]));
    return x;
}

/* Trains for n steps from step 0 on. */
static inline void step_train(step *s, uint64_t n)
{
    tp_optimizer opt;
    assert_ok(tp_adam_init(&opt, &s->m.params, (tp_adam_opts){1e-2, 0.9, 0.999, 1e-8}));
    for (uint64_t k = 0; k < n; k++) {
        tp_tape_reset(s->t);
        tp_params_zero_grad(&s->m.params);
        s->c = tp_ctx_train(s->t, 7, k);
        s->o = tp_model_loss(&s->m, &s->c, tp_constant(s->t, &s->x));
        assert_ok(tp_backward(s->o.total));
        assert_ok(tp_optimizer_step(&opt));
    }
    tp_optimizer_free(&opt);
}

/* The gradient of all parameters against differences. Frees s. */
static inline void step_check_gradient(step *s)
{
    tp_check_report report;
    tp_batch batch = {.x = s->x, .n = s->x.shape.dim[0]};
    assert_ok(tp_model_gradcheck(&s->m, &batch, (tp_check_opts){0}, &report));
    assert_true(report.checked > 0);
    step_free(s);
}

#endif
