/* test_vae.c: the VAE and the autoencoder as functions: gradients, symmetry, the tape they leave.
 *
 * Numbers against PyTorch are tests/oracle; the known evidence is tests/nn/test_objective.c. Most of it runs on
 * the 3-4-2-4-3 model, small enough to check every parameter. Read next: test_model.c.
 */
#include "tests/oracle/injected.h"
#include "tests/models/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/check.h"
#include "autograd/sweep.h"
#include "models/model.h"

/* --- gradients ---------------------------------------------------------------------------------- */

typedef struct problem {
    tp_model model;
    tp_tensor x;
} problem;

/* The noise has a fixed key: every call of the check sees the same draws. */
static tp_var total(tp_tape *t, void *user)
{
    problem *p = user;
    tp_ctx c = tp_ctx_train(t, 7, 0);
    return tp_model_loss(&p->model, &c, tp_constant(t, &p->x)).total;
}

static void check_gradient(const tp_model_type *type, tp_model_config config, int order)
{
    problem p;
    tp_check_report report;
    assert_ok(tp_model_init(&p.model, type, config, TP_F64, 5));
    p.x = uniform(TP_F64, 4, config.data_dim, 1);
    const tp_params *ps = &p.model.params;
    for (int i = 0; i < ps->n; i++) {
        tp_parameter *one[] = {ps->item[i]};
        assert_ok(tp_gradcheck(total, &p, 1, one, (tp_check_opts){.order = order}, &report));
        assert_int_equal(report.checked + report.skipped_kinks, tp_numel(&one[0]->value));
        if (config.activation != TP_RELU)
            assert_int_equal(report.skipped_kinks, 0);
    }
    assert_ok(tp_gradcheck(total, &p, ps->n, ps->item, (tp_check_opts){.order = order}, &report));
    tp_tensor_free(&p.x);
    tp_model_free(&p.model);
}

static void test_gradients(void **state)
{
    (void)state;
    static const tp_activation activations[] = {TP_RELU, TP_TANH, TP_SOFTPLUS};
    for (int i = 0; i < 3; i++) {
        tp_model_config config = tiny(activations[i], TP_BERNOULLI);
        check_gradient(&tp_model_vae, config, 1);
        check_gradient(&tp_model_ae, config, 1);
        config.likelihood = TP_GAUSSIAN;
        check_gradient(&tp_model_ae, config, 1);
        config.beta = 2.5;
        check_gradient(&tp_model_vae, config, 1);
    }
}

static void test_second_order(void **state)
{
    (void)state;
    check_gradient(&tp_model_vae, tiny(TP_TANH, TP_BERNOULLI), 2);
    check_gradient(&tp_model_vae, tiny(TP_TANH, TP_GAUSSIAN), 2);
}

/* --- what the loss is --------------------------------------------------------------------------- */

/* The model's loss is the one tests/oracle compares with PyTorch, with its own draw. */
static void test_loss_is_the_oracles(void **state)
{
    (void)state;
    for (int l = TP_BERNOULLI; l <= TP_GAUSSIAN; l++) {
        tp_model m;
        tp_tape *t;
        tp_tensor eps, x = uniform(TP_F64, 6, 3, 1);
        tp_model_config config = tiny(TP_RELU, (tp_likelihood)l);
        config.beta = 0.7;
        assert_ok(tp_model_init(&m, &tp_model_vae, config, TP_F64, 1));
        assert_ok(tp_tape_new(&t));
        tp_ctx c = tp_ctx_train(t, 3, 11);
        assert_ok(tp_tensor_new(&eps, TP_F64, TP_SHAPE(6, 2)));
        assert_ok(tp_random_normal(&eps, c.key)); /* the first draw of the step */
        tp_var data = tp_constant(t, &x);
        tp_objective own = tp_model_loss(&m, &c, data);
        tp_objective injected = injected_loss(&m, &c, data, tp_constant(t, &eps));
        assert_true(tp_item_of(own.total) == tp_item_of(injected.total));
        assert_int_equal(own.terms, 2);
        for (int i = 0; i < 2; i++)
            assert_true(tp_item_of(own.term[i].value) == tp_item_of(injected.term[i].value));
        tp_tape_free(t);
        tp_tensor_free(&eps);
        tp_tensor_free(&x);
        tp_model_free(&m);
    }
}

/* With all parameters zero the decoder says ½: 784·ln 2 nats, and the posterior is the prior. */
static void test_zero_model(void **state)
{
    (void)state;
    tp_model m;
    tp_tensor x = uniform(TP_F64, 3, 784, 1);
    assert_ok(tp_model_init(&m, &tp_model_vae, tp_model_defaults(&tp_model_vae), TP_F64, 1));
    for (int i = 0; i < m.params.n; i++)
        assert_ok(tp_fill(&m.params.item[i]->value, 0));
    assert_close(evaluate(&m, &x), 543.42738955899714, 0, 1e-14);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* Images and their noise in another order give the same loss and gradients, up to the order of summation. */
static void test_permutation(void **state)
{
    (void)state;
    enum { N = 9 };
    tp_model m;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, N, 3, 1), eps, back_x, back_eps, first[16];
    assert_ok(tp_model_init(&m, &tp_model_vae, tiny(TP_RELU, TP_BERNOULLI), TP_F64, 1));
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_tensor_new(&eps, TP_F64, TP_SHAPE(N, 2)));
    assert_ok(tp_random_normal(&eps, (tp_rng_key){5, 0, 0}));
    assert_ok(tp_view_slice(&x, 0, -1, TP_SLICE_END, -1, &back_x));
    assert_ok(tp_view_slice(&eps, 0, -1, TP_SLICE_END, -1, &back_eps));
    tp_ctx c = tp_ctx_train(t, 1, 0);
    tp_var a = injected_loss(&m, &c, tp_constant(t, &x), tp_constant(t, &eps)).total;
    assert_ok(tp_backward(a));
    for (int i = 0; i < m.params.n; i++)
        assert_ok(tp_clone(&first[i], tp_parameter_grad(m.params.item[i])));
    tp_params_zero_grad(&m.params);
    tp_var b = injected_loss(&m, &c, tp_constant(t, &back_x), tp_constant(t, &back_eps)).total;
    assert_ok(tp_backward(b));
    assert_close(tp_item_of(b), tp_item_of(a), 0, 1e-15);
    for (int i = 0; i < m.params.n; i++) {
        const tp_tensor *g = tp_parameter_grad(m.params.item[i]);
        for (int64_t k = 0; k < tp_numel(g); k++)
            assert_close(tp_flat(g, k), tp_flat(&first[i], k), 1e-15, 1e-13);
        tp_tensor_free(&first[i]);
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_tensor_free(&eps);
    tp_model_free(&m);
}

/* The loss of a training step, and its gradients. */
static double loss_and_gradients(tp_tape *t, tp_model *m, const tp_tensor *x)
{
    tp_ctx c = tp_ctx_train(t, 3, 11);
    tp_objective o = tp_model_loss(m, &c, tp_constant(t, x));
    tp_params_zero_grad(&m->params);
    assert_ok(tp_backward(o.total));
    return tp_item_of(o.total);
}

/* How many parameters of ae have another gradient, bit for bit, in vae. */
static int different_gradients(const tp_model *ae, const tp_model *vae)
{
    int different = 0;
    for (int i = 0; i < ae->params.n; i++) {
        tp_parameter *p = ae->params.item[i];
        const tp_tensor *g = tp_parameter_grad(p);
        assert_non_null(g);
        different += !equal_bits(g, tp_parameter_grad(tp_params_find(&vae->params, p->name)));
    }
    return different;
}

/* The posterior's spread pressed to σ = e^-100 and the KL unpaid: what is left is the autoencoder, its loss and all its
 * gradients. The controls: with a spread that rounding does not swallow, and with the KL paid, it is not. */
static void check_ae_is_vae(tp_likelihood likelihood, double logvar, double beta, bool same)
{
    tp_model vae, ae;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, 6, 3, 1);
    tp_model_config config = tiny(TP_RELU, likelihood);
    config.levels = 3;
    assert_ok(tp_model_init(&ae, &tp_model_ae, config, TP_F64, 2));
    config.beta = beta;
    assert_ok(tp_model_init(&vae, &tp_model_vae, config, TP_F64, 1));
    for (int i = 0; i < ae.params.n; i++) {
        tp_parameter *p = ae.params.item[i];
        const tp_parameter *from = tp_params_find(&vae.params, p->name);
        assert_non_null(from);
        assert_ok(tp_copy(&p->value, &from->value));
    }
    assert_int_equal(vae.params.n, ae.params.n + 2);
    assert_ok(tp_fill(&tp_params_find(&vae.params, "logvar.weight")->value, 0));
    assert_ok(tp_fill(&tp_params_find(&vae.params, "logvar.bias")->value, logvar));
    assert_ok(tp_tape_new(&t));
    double a = loss_and_gradients(t, &ae, &x), b = loss_and_gradients(t, &vae, &x);
    assert_true((a == b) == same);
    assert_true((different_gradients(&ae, &vae) == 0) == same);
    tp_tape_free(t);
    assert_true((evaluate(&vae, &x) == evaluate(&ae, &x)) == same);
    tp_tensor_free(&x);
    tp_model_free(&vae);
    tp_model_free(&ae);
}

static void test_ae_is_vae_without_sampling(void **state)
{
    (void)state;
    for (int l = 0; l < TP_LIKELIHOODS; l++) {
        check_ae_is_vae((tp_likelihood)l, -200, 0, true);
        check_ae_is_vae((tp_likelihood)l, -40, 0, false);
        check_ae_is_vae((tp_likelihood)l, -200, 1, false);
    }
}

/* --- names -------------------------------------------------------------------------------------- */

/* Every operation is found under encoder or decoder, and the vars a reader looks for have names. */
static void test_scopes(void **state)
{
    (void)state;
    static const char *const wanted[] = {"'h' = encoder: ",
                                         "'mu' = heads: linear",
                                         "'logvar' = heads: linear",
                                         "'z' = reparameterize: reparameterize",
                                         "'eps' = reparameterize: noise_normal",
                                         "decoder: linear#",
                                         "decoder: linear_relu#",
                                         "'logits' = decoder: linear#",
                                         "'logprob' = reconstruction: ",
                                         "'recon' = reconstruction: mean",
                                         "'kl' = KL: mean",
                                         "'loss' = loss: add"};
    enum { WANTED = sizeof wanted / sizeof *wanted };
    bool found[WANTED] = {false};
    tp_model m;
    tp_tape *t;
    tp_tensor x = uniform(TP_F32, 4, 3, 1);
    assert_ok(tp_model_init(&m, &tp_model_vae, tiny(TP_RELU, TP_BERNOULLI), TP_F32, 1));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_train(t, 1, 0);
    tp_var any = tp_model_loss(&m, &c, tp_constant(t, &x)).total;
    for (uint32_t id = 1; id <= tp_tape_length(t); id++) {
        char text[TP_VAR_TEXT];
        tp_var_text((tp_var){t, id, any.epoch}, text);
        for (int i = 0; i < WANTED; i++)
            found[i] |= strstr(text, wanted[i]) != NULL;
    }
    for (int i = 0; i < WANTED; i++)
        if (!found[i])
            fail_msg("no var of the tape reads \"%s…\"", wanted[i]);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* A wrong batch is refused where it enters, with the path and both shapes. */
static void test_wrong_batch(void **state)
{
    (void)state;
    tp_model m;
    tp_tape *t;
    tp_tensor x = uniform(TP_F32, 4, 5, 1);
    assert_ok(tp_model_init(&m, &tp_model_vae, tiny(TP_RELU, TP_BERNOULLI), TP_F32, 1));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_train(t, 1, 0);
    tp_objective o = tp_model_loss(&m, &c, tp_constant(t, &x));
    assert_status(tp_backward(o.total), TP_ESHAPE);
    const char *const says[] = {"encoder: linear", "f32[4,5]", "f32[4,3]", "encoder.0.weight"};
    for (int i = 0; i < 4; i++)
        assert_message(says[i]);
    for (int i = 0; i < m.params.n; i++)
        assert_null(tp_parameter_grad(m.params.item[i]));
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_second_order),
        cmocka_unit_test(test_loss_is_the_oracles),
        cmocka_unit_test(test_zero_model),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_ae_is_vae_without_sampling),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_wrong_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
