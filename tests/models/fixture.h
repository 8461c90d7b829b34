/* fixture.h: the tiny model and the data that the tests of models/ start from. */
#ifndef TP_TESTS_MODELS_FIXTURE_H
#define TP_TESTS_MODELS_FIXTURE_H

#include "tests/support/check.h"

#include "models/model.h"

static inline tp_model_config tiny(tp_activation activation, tp_likelihood likelihood)
{
    return (tp_model_config){.data_dim = 3,
                             .hidden = {4},
                             .hidden_layers = 1,
                             .latent_dim = 2,
                             .activation = activation,
                             .likelihood = likelihood,
                             .beta = 1};
}

/* Data in [0,1]. */
static inline tp_tensor uniform(tp_dtype dtype, int64_t n, int64_t width, uint64_t seed)
{
    tp_tensor x;
    assert_ok(tp_tensor_new(&x, dtype, TP_SHAPE(n, width)));
    assert_ok(tp_random_uniform(&x, (tp_rng_key){seed, 0, 0}));
    return x;
}

/* The loss of x in evaluation mode, with the same draws each time. */
static inline double evaluate(tp_model *m, const tp_tensor *x)
{
    tp_tape *t;
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    double loss = tp_item_of(tp_model_loss(m, &c, tp_constant(t, x)).total);
    assert_ok(tp_tape_status(t));
    tp_tape_free(t);
    return loss;
}

#endif
