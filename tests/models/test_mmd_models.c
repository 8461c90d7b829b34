/* test_mmd_models.c: the models that hold the codes of a batch to the prior by a kernel, WAE and InfoVAE: by hand, at the
 * ends where they are other models, and with a batch of one.
 *
 * The estimate itself is tests/objective/test_mmd.c. Read next: models/wae.c.
 */
#include "tests/models/small.h"

#include <math.h>

#include "models/ae.h"
#include "models/uses.h"
#include "models/vae.h"

enum { B = 4, D = 2 };

/* --- WAE -------------------------------------------------------------------------------------------------------- */

enum { WAE_LAMBDA, WAE_KERNEL, WAE_LENGTH };

static tp_model_config wae_config(double kernel, double h)
{
    tp_model_config c = small(&tp_model_wae);
    c.option[WAE_LAMBDA] = 30, c.option[WAE_KERNEL] = kernel, c.option[WAE_LENGTH] = h;
    return c;
}

static double kernel(const double *x, const double *y, bool rbf, double h)
{
    double r2 = 0;
    for (int d = 0; d < D; d++)
        r2 += (x[d] - y[d]) * (x[d] - y[d]);
    return rbf ? exp(-r2 / h) : h / (h + r2);
}

/* MMD² of x and y [B, D] by loops, over pairs of different points, or biased over all. */
static double by_loops(const double *x, const double *y, bool rbf, double h, bool biased)
{
    double sum = 0, pairs = biased ? B * B : B * (B - 1);
    for (int i = 0; i < B; i++)
        for (int j = 0; j < B; j++) {
            const double *xi = x + i * D, *xj = x + j * D, *yi = y + i * D, *yj = y + j * D;
            if (i != j || biased)
                sum += (kernel(xi, xj, rbf, h) + kernel(yi, yj, rbf, h)) / pairs;
            sum -= 2 * kernel(xi, yj, rbf, h) / (B * B);
        }
    return sum;
}

/* The codes are those of an autoencoder, the draws of the prior the first noise of the step. */
static void test_wae_by_hand(void **state)
{
    (void)state;
    for (int rbf = 0; rbf < 2; rbf++)
        for (int set = 0; set < 2; set++) {
            double h = set ? 1.7 : 2 * D;
            scene s = scene_new(&tp_model_wae, wae_config(rbf, set ? h : 0), B);
            tp_tensor prior;
            tp_ctx c = tp_ctx_train(s.tape, 3, 4);
            assert_ok(tp_tensor_new(&prior, TP_F64, TP_SHAPE(B, D)));
            assert_ok(tp_random_normal(&prior, c.key));
            tp_objective o = tp_model_loss(&s.model, &c, s.x);
            tp_var z = tp_model_code(&s.model, &c, s.x);
            tp_var ae =
                tp_reconstruction(tp_data_logprob(tp_ae_decode(s.model.self, &c, z), s.x)).total;
            const double *x = tp_data(tp_value(z)), *y = tp_data(&prior);
            double mmd = by_loops(x, y, rbf, h, false);
            assert_string_equal(o.term[1].name, "mmd");
            assert_close(tp_item_of(o.term[1].value), mmd, 1e-14, 1e-13);
            assert_close(tp_item_of(o.total), tp_item_of(ae) + 30 * mmd, 0, 1e-13);
            /* the controls: pairs with itself counted, the other kernel, another length */
            assert_true(fabs(mmd - by_loops(x, y, rbf, h, true)) > 1e-3);
            assert_true(fabs(mmd - by_loops(x, y, !rbf, h, false)) > 1e-3);
            assert_true(fabs(mmd - by_loops(x, y, rbf, 2 * h, false)) > 1e-3);
            tp_tensor_free(&prior);
            scene_free(&s);
        }
}

/* There is something to draw from and to decode, and no density of x. */
static void test_wae_uses(void **state)
{
    (void)state;
    assert_true(tp_model_has_code(&tp_model_wae) && tp_model_has_samples(&tp_model_wae));
    assert_false(tp_model_has_weights(&tp_model_wae) || tp_model_has_nll(&tp_model_wae));
    scene s = scene_new(&tp_model_wae, wae_config(0, 0), B);
    tp_ctx c = tp_ctx_eval(s.tape, 1, 0);
    tp_dist p = tp_model_prior(&s.model, &c), x = tp_model_generate(&s.model, &c, 6);
    assert_true(p.standard && tp_shape_equal(tp_dist_shape(&p), TP_SHAPE(D)));
    assert_true(tp_shape_equal(tp_dist_shape(&x), TP_SHAPE(6, 3)));
    assert_ok(tp_tape_status(s.tape));
    scene_free(&s);
}

/* --- InfoVAE ---------------------------------------------------------------------------------------------------- */

enum { INFO_ALPHA, INFO_LAMBDA, INFO_KERNEL };

static tp_model_config info_config(double alpha, double lambda)
{
    tp_model_config c = small(&tp_model_info_vae);
    c.option[INFO_ALPHA] = alpha, c.option[INFO_LAMBDA] = lambda;
    return c;
}

static double largest_gap(scene *a, tp_var y, scene *b, tp_var z)
{
    double most = 0;
    for (int i = 0; i < a->model.params.n; i++) {
        const tp_tensor *g = tp_value(gradient(y, a->model.params.item[i]));
        const tp_tensor *h = tp_value(gradient(z, b->model.params.item[i]));
        for (int64_t k = 0; k < tp_numel(g); k++)
            most = fmax(most, fabs(tp_flat(g, k) - tp_flat(h, k)));
    }
    return most;
}

/* alpha 0 and lambda 1: the VAE, bit for bit; the control is a little more of either. */
static void test_info_is_vae(void **state)
{
    (void)state;
    const double set[][2] = {{0, 1}, {0.1, 1}, {0, 1.1}};
    for (int i = 0; i < 3; i++) {
        scene a = scene_new(&tp_model_info_vae, info_config(set[i][0], set[i][1]), B);
        scene b = scene_new(&tp_model_vae, small(&tp_model_vae), B);
        tp_ctx ca = tp_ctx_train(a.tape, 3, 4), cb = tp_ctx_train(b.tape, 3, 4);
        tp_var info = tp_model_loss(&a.model, &ca, a.x).total;
        tp_var vae = tp_model_loss(&b.model, &cb, b.x).total;
        double gap = fabs(tp_item_of(info) - tp_item_of(vae));
        double slope = largest_gap(&a, info, &b, vae);
        assert_true(i == 0 ? gap == 0 && slope == 0 : gap > 1e-3 && slope > 1e-3);
        scene_free(&a);
        scene_free(&b);
    }
}

/* alpha 1: the KL has no weight, in the value and in the gradient; alpha below 1: it has. */
static void test_info_without_kl(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        scene s = scene_new(&tp_model_info_vae, info_config(i == 0 ? 1 : 0.9, 20), B);
        tp_ctx c = tp_ctx_train(s.tape, 3, 4);
        tp_objective o = tp_model_loss(&s.model, &c, s.x);
        double weight = i == 0 ? 20 : 19.9;
        assert_close(o.term[2].weight, weight, 0, 1e-15);
        tp_var rest = tp_add(o.term[0].value, tp_scale(o.term[2].value, weight));
        double gap = fabs(tp_item_of(o.total) - tp_item_of(rest));
        double slope = largest_gap(&s, o.total, &s, rest);
        assert_true(tp_item_of(o.term[1].value) > 0.1);
        assert_true(i == 0 ? gap < 1e-12 && slope < 1e-12 : gap > 0.01 && slope > 1e-3);
        scene_free(&s);
    }
}

/* … and with a posterior of no width the WAE, of the same draws from the prior. */
static void test_info_is_wae(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        scene a = scene_new(&tp_model_info_vae, info_config(1, 30), B);
        scene b = scene_new(&tp_model_wae, wae_config(0, 0), B);
        for (int k = 0; k < b.model.params.n; k++) {
            tp_parameter *p = b.model.params.item[k];
            assert_ok(tp_copy(&p->value, &tp_params_find(&a.model.params, p->name)->value));
        }
        assert_ok(tp_fill(&tp_params_find(&a.model.params, "logvar.weight")->value, 0));
        assert_ok(
            tp_fill(&tp_params_find(&a.model.params, "logvar.bias")->value, i == 0 ? -200 : -2));
        tp_ctx ca = tp_ctx_train(a.tape, 3, 4), cb = tp_ctx_train(b.tape, 3, 4);
        tp_ctx_draw(&cb); /* the noise of the other's posterior */
        double info = tp_item_of(tp_model_loss(&a.model, &ca, a.x).total);
        double wae = tp_item_of(tp_model_loss(&b.model, &cb, b.x).total);
        assert_true(i == 0 ? fabs(info - wae) < 1e-12 : fabs(info - wae) > 1e-3);
        scene_free(&a);
        scene_free(&b);
    }
}

/* --- both --------------------------------------------------------------------------------------------------------- */

/* The distance is the encoder's business, and a batch of one has none. */
static void check_reach(const tp_model_type *type, tp_model_config config, int term)
{
    for (int64_t n = 1; n <= B; n++) {
        scene s = scene_new(type, config, n);
        tp_ctx c = tp_ctx_train(s.tape, 3, 4);
        tp_objective o = tp_model_loss(&s.model, &c, s.x);
        assert_true((tp_item_of(o.term[term].value) == 0) == (n == 1));
        for (int i = 0; i < s.model.params.n; i++) {
            tp_parameter *p = s.model.params.item[i];
            const tp_tensor *g = tp_value(gradient(o.term[term].value, p));
            double most = 0;
            for (int64_t k = 0; k < tp_numel(g); k++)
                most = fmax(most, fabs(tp_flat(g, k)));
            bool decoder = p->name[0] == 'd';
            assert_true(n == 1 || decoder ? most == 0 : most > 1e-9);
        }
        scene_free(&s);
    }
}

static void test_reach(void **state)
{
    (void)state;
    check_reach(&tp_model_wae, wae_config(0, 0), 1);
    check_reach(&tp_model_info_vae, info_config(0.5, 20), 2);
}

static void test_whole_runs(void **state)
{
    (void)state;
    for (int rbf = 0; rbf < 2; rbf++)
        check_gradients(&tp_model_wae, wae_config(rbf, 0), B);
    check_gradients(&tp_model_info_vae, info_config(0.5, 20), B);
    train_odd(&tp_model_wae, wae_config(1, 0));
    train_odd(&tp_model_info_vae, info_config(0.5, 20));
}

static void test_refused(void **state)
{
    (void)state;
    /* less would reward codes that are far from the prior */
    refuse(&tp_model_info_vae, info_config(0, 0.9), "model 'info_vae': lambda is 0.9: 1 to ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wae_by_hand), cmocka_unit_test(test_wae_uses),
        cmocka_unit_test(test_info_is_vae), cmocka_unit_test(test_info_without_kl),
        cmocka_unit_test(test_info_is_wae), cmocka_unit_test(test_reach),
        cmocka_unit_test(test_whole_runs),  cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
