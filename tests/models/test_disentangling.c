/* test_disentangling.c: the models that pay for the total correlation of their codes: β-TCVAE by the densities of all pairs
 * of a batch, FactorVAE by an adversary.
 *
 * What their objectives estimate is tests/objective; here stands whether the models hand them the right numbers, and whose
 * gradient goes where. Read next: test_mmd_models.c.
 */
#include "tests/models/small.h"

#include <math.h>
#include <string.h>

#include "models/vae.h"

static const double LOG_2PI = 1.8378770664093454836;

/* --- β-TCVAE ------------------------------------------------------------------------------------------------- */

enum { ALPHA, TC, GAMMA, ESTIMATOR, N = 40, B = 5, D = 2 };

static tp_model_config tc_config(double alpha, double tc, double gamma, double estimator)
{
    tp_model_config c = small(&tp_model_beta_tcvae);
    c.examples = N;
    c.option[ALPHA] = alpha, c.option[TC] = tc, c.option[GAMMA] = gamma;
    c.option[ESTIMATOR] = estimator;
    return c;
}

/* log q(z|x) − log p(z) of the draw that v is, [batch] */
static tp_var sampled_kl(const tp_vae_pass *v)
{
    return tp_sampled_kl(tp_dist_logprob(v->q, v->z),
                         tp_dist_logprob(tp_normal_standard(v->z), v->z));
}

/* All weights 1: what is sampled on the way cancels, and the ELBO with a sampled KL is left, for any batch. */
static void test_elbo(void **state)
{
    (void)state;
    for (int estimator = 0; estimator < 2; estimator++)
        for (int64_t n = 1; n <= B; n += 2) {
            scene s = scene_new(&tp_model_beta_tcvae, tc_config(1, 1, 1, estimator), n);
            tp_ctx c = tp_ctx_train(s.tape, 3, 4), same = c;
            tp_objective o = tp_model_loss(&s.model, &c, s.x);
            tp_vae_pass v = tp_vae_forward(s.model.self, &same, s.x);
            tp_var elbo = tp_negative_elbo(v.logprob, sampled_kl(&v), tp_elbo_defaults()).total;
            tp_var closed = tp_negative_elbo(v.logprob, v.kl, tp_elbo_defaults()).total;
            assert_close(tp_item_of(o.total), tp_item_of(elbo), 1e-10, 0);
            same_gradients(&s, o.total, elbo, 1e-10);
            assert_true(fabs(tp_item_of(o.total) - tp_item_of(closed)) > 1e-3); /* the controls */
            tp_term tc = o.term[2];
            assert_true(n == 1 || fabs(tp_item_of(tc.value)) > 1e-3);
            scene_free(&s);
        }
}

/* The three parts from the posterior's numbers, by loops; transposed: with q(z_j|x_i), the index of the sum being wrong. */
static void by_loops(const tp_vae_pass *v, bool transposed, double part[3])
{
    const double *mu = tp_data(tp_value(v->q.param[0]));
    const double *logvar = tp_data(tp_value(v->q.param[1])), *z = tp_data(tp_value(v->z));
    part[0] = part[1] = part[2] = 0;
    for (int i = 0; i < B; i++) {
        double joint = 0, dim[D] = {0}, product = 0, prior = 0, own = 0;
        for (int j = 0; j < B; j++) {
            double all = 0, weight = i == j ? 1.0 / N : (N - 1.0) / (N * (B - 1.0));
            for (int d = 0; d < D; d++) {
                int at = (transposed ? j : i) * D + d, of = (transposed ? i : j) * D + d;
                double gap = z[at] - mu[of];
                double q = -0.5 * (gap * gap * exp(-logvar[of]) + logvar[of] + LOG_2PI);
                dim[d] += weight * exp(q);
                all += q;
            }
            joint += weight * exp(all);
            own = i == j ? all : own;
        }
        for (int d = 0; d < D; d++) {
            product += log(dim[d]);
            prior -= 0.5 * (z[i * D + d] * z[i * D + d] + LOG_2PI);
        }
        part[0] += (own - log(joint)) / B;
        part[1] += (log(joint) - product) / B;
        part[2] += (product - prior) / B;
    }
}

static void test_parts(void **state)
{
    (void)state;
    const char *const names[] = {"mi", "tc", "kl_dim"};
    const double weight[] = {0.5, 6, 2};
    double part[3], wrong[3], farthest = 0;
    scene s = scene_new(&tp_model_beta_tcvae, tc_config(0.5, 6, 2, 0), B);
    tp_ctx c = tp_ctx_train(s.tape, 3, 4), same = c;
    tp_objective o = tp_model_loss(&s.model, &c, s.x);
    tp_vae_pass v = tp_vae_forward(s.model.self, &same, s.x);
    by_loops(&v, false, part);
    by_loops(&v, true, wrong);
    double total = tp_item_of(o.term[0].value);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(o.term[i + 1].name, names[i]);
        assert_close(tp_item_of(o.term[i + 1].value), part[i], 1e-13, 1e-13);
        farthest = fmax(farthest, fabs(part[i] - wrong[i]));
        total += weight[i] * part[i];
    }
    assert_close(tp_item_of(o.total), total, 0, 1e-13);
    assert_true(farthest > 0.01);
    scene_free(&s);
}

/* A batch of one: the stratified estimate does not exist, and what stands in for it is the weighted one without its
 * constants. */
static void test_batch_of_one(void **state)
{
    (void)state;
    scene s = scene_new(&tp_model_beta_tcvae, tc_config(0.5, 6, 2, 0), 1);
    scene w = scene_new(&tp_model_beta_tcvae, tc_config(0.5, 6, 2, 1), 1);
    tp_ctx c = tp_ctx_train(s.tape, 3, 4), same = c, other = tp_ctx_train(w.tape, 3, 4);
    tp_vae_pass v = tp_vae_forward(s.model.self, &same, s.x);
    tp_objective o = tp_model_loss(&s.model, &c, s.x);
    tp_objective weighted = tp_model_loss(&w.model, &other, w.x);
    assert_true(tp_item_of(o.term[1].value) == 0 && tp_item_of(o.term[2].value) == 0);
    assert_close(tp_item_of(o.term[3].value), tp_item_of(sampled_kl(&v)), 1e-13, 0);
    for (int i = 0; i < s.model.params.n; i++) /* parameters are made from one seed */
        assert_true(equal_bits(&s.model.params.item[i]->value, &w.model.params.item[i]->value));
    assert_ok(tp_backward(o.total));
    assert_ok(tp_backward(weighted.total));
    for (int i = 0; i < s.model.params.n; i++)
        close_tensors(tp_parameter_grad(s.model.params.item[i]),
                      tp_parameter_grad(w.model.params.item[i]), 1e-12);
    scene_free(&w);
    /* without it a run would end here */
    tp_var pair = tp_full(s.tape, TP_F64, TP_SHAPE(1, 1, D), 0), prior = tp_neg(v.kl);
    tp_tc_parts refused = tp_tc_decompose(pair, prior, (tp_tc_opts){TP_TC_MSS, N});
    assert_status(tp_var_status(refused.tc), TP_ESHAPE);
    scene_free(&s);
}

static void test_whole_runs(void **state)
{
    (void)state;
    for (int estimator = 0; estimator < 2; estimator++) {
        check_gradients(&tp_model_beta_tcvae, tc_config(0.5, 6, 2, estimator), B);
        check_gradients(&tp_model_beta_tcvae, tc_config(0.5, 6, 2, estimator), 1);
        train_odd(&tp_model_beta_tcvae, tc_config(1, 6, 1, estimator));
    }
}

/* Test data may come in larger batches than there were training data. */
static void test_more_than_all(void **state)
{
    (void)state;
    double loss[2];
    for (int i = 0; i < 2; i++) {
        tp_model_config config = tc_config(1, 6, 1, 0);
        config.examples = i == 0 ? 3 : B;
        scene s = scene_new(&tp_model_beta_tcvae, config, B);
        tp_ctx c = tp_ctx_eval(s.tape, 3, 4);
        loss[i] = tp_item_of(tp_model_loss(&s.model, &c, s.x).total);
        scene_free(&s);
    }
    assert_true(loss[0] == loss[1]);
}

static void test_refused(void **state)
{
    (void)state;
    tp_model_config c = tc_config(1, 6, 1, 0);
    c.examples = 0;
    refuse(&tp_model_beta_tcvae, c, "model 'beta_tcvae': it estimates q(z) over all training data");
}

/* --- FactorVAE ----------------------------------------------------------------------------------------------- */

/* FactorVAE written down once more, with the two mistakes to be made. */
typedef struct copy {
    tp_vae vae;
    tp_nn_mlp discriminator;
} copy;

enum { FACTOR_GAMMA, FACTOR_WIDTH, FACTOR_LAYERS, HIDDEN = 4 };

static tp_status copy_init(void *self, tp_params *ps, const tp_model_config *config)
{
    const int64_t size[] = {D, HIDDEN, HIDDEN, 1};
    TP_TRY(tp_vae_init(self, ps, config));
    return tp_nn_mlp_init(&((copy *)self)->discriminator, ps, "discriminator", size, 3, TP_TANH,
                          TP_IDENTITY);
}

static tp_objective copy_loss(void *self, tp_ctx *c, tp_var x, bool freeze, bool detach)
{
    const copy *m = self;
    tp_vae_pass v = tp_vae_forward(self, c, x);
    if (freeze)
        tp_ctx_freeze(c);
    tp_var ratio = tp_squeeze(tp_nn_mlp_apply(&m->discriminator, c, v.z), 1);
    if (freeze)
        tp_ctx_thaw(c);
    tp_var z = detach ? tp_detach(v.z) : v.z, mixed = tp_shuffle_dimensions(z, tp_ctx_draw(c));
    tp_var on_p = tp_squeeze(tp_nn_mlp_apply(&m->discriminator, c, z), 1);
    tp_var on_q = tp_squeeze(tp_nn_mlp_apply(&m->discriminator, c, mixed), 1);
    return tp_factor_elbo(v.logprob, v.kl, ratio, tp_discriminator_loss(on_p, on_q), 7);
}

static tp_objective both(void *self, tp_ctx *c, tp_var x)
{
    return copy_loss(self, c, x, true, true);
}

static tp_objective without_freeze(void *self, tp_ctx *c, tp_var x)
{
    return copy_loss(self, c, x, false, true);
}

static tp_objective without_detach(void *self, tp_ctx *c, tp_var x)
{
    return copy_loss(self, c, x, true, false);
}

static const tp_model_type copies[] = {
    {.name = "copy", .size = sizeof(copy), .init = copy_init, .loss = both},
    {.name = "leaky", .size = sizeof(copy), .init = copy_init, .loss = without_freeze},
    {.name = "leaky too", .size = sizeof(copy), .init = copy_init, .loss = without_detach},
};

static tp_model_config factor_config(void)
{
    tp_model_config c = small(&tp_model_factor_vae);
    c.option[FACTOR_GAMMA] = 7, c.option[FACTOR_WIDTH] = HIDDEN, c.option[FACTOR_LAYERS] = 2;
    return c;
}

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

enum { ENCODER, DECODER, ADVERSARY, GROUPS };

static int group_of(const char *name)
{
    return begins(name, "discriminator.") ? ADVERSARY
           : begins(name, "decoder.")     ? DECODER
                                          : ENCODER;
}

/* Whether each term has a gradient with respect to every parameter it is about, and none at all to others. */
static bool right_gradients(const tp_model_type *type)
{
    static const bool reaches[][GROUPS] = {
        {true, true, false}, {true, false, false}, {true, false, false}, {false, false, true}};
    bool right = true;
    scene s = scene_new(type, factor_config(), B);
    tp_ctx c = tp_ctx_train(s.tape, 3, 4);
    tp_objective o = tp_model_loss(&s.model, &c, s.x);
    assert_int_equal(o.terms, 4);
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < s.model.params.n; i++) {
            tp_parameter *p = s.model.params.item[i];
            double most = 0;
            const tp_tensor *g = tp_value(gradient(o.term[t].value, p));
            for (int64_t k = 0; k < tp_numel(g); k++)
                most = fmax(most, fabs(tp_flat(g, k)));
            right &= reaches[t][group_of(p->name)] ? most > 1e-9 : most == 0;
        }
    assert_int_equal(c.frozen, 0);
    scene_free(&s);
    return right;
}

static void test_leaks(void **state)
{
    (void)state;
    assert_string_equal(tp_model_factor_vae.adversary, "discriminator");
    assert_true(right_gradients(&tp_model_factor_vae));
    assert_true(right_gradients(&copies[0]));
    assert_false(right_gradients(&copies[1]));
    assert_false(right_gradients(&copies[2]));
}

/* The model is what was written down above. The mistakes do not show in its value. */
static void test_same_value(void **state)
{
    (void)state;
    double total[4], tc = 0;
    for (int i = 0; i < 4; i++) {
        const tp_model_type *type = i < 3 ? &copies[i] : &tp_model_factor_vae;
        scene s = scene_new(type, factor_config(), B);
        tp_ctx c = tp_ctx_train(s.tape, 3, 4);
        tp_objective o = tp_model_loss(&s.model, &c, s.x);
        total[i] = tp_item_of(o.total);
        tc = tp_item_of(o.term[2].value);
        assert_true(total[i] == total[0]);
        scene_free(&s);
    }
    assert_true(fabs(tc) > 1e-3);
}

static void test_factor_runs(void **state)
{
    (void)state;
    check_gradients(&tp_model_factor_vae, factor_config(), B);
    check_gradients(&tp_model_factor_vae, factor_config(), 1);
    train_odd(&tp_model_factor_vae, factor_config());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elbo),          cmocka_unit_test(test_parts),
        cmocka_unit_test(test_batch_of_one),  cmocka_unit_test(test_whole_runs),
        cmocka_unit_test(test_more_than_all), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_leaks),         cmocka_unit_test(test_same_value),
        cmocka_unit_test(test_factor_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
