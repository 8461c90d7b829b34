/* test_iwae.c: the importance weighted autoencoder and the mean of several of its bounds, as losses of a tiny model.
 *
 * That the bounds are bounds, and the weights weights, is test_truth.c. Here: what the losses make of the weights, which
 * axis is which, and that the doubly reparameterized gradient has the mean of the plain one.
 * Read next: tests/objective/test_dreg.c.
 */
#include "tests/models/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/uses.h"
#include "models/vae.h"

enum { BATCH = 5, NX = 3 };

/* A model whose weights are large enough for log-weights of several nats. */
static void start(tp_model *m, const tp_model_type *type, double first, double second)
{
    tp_model_config config = tiny(TP_TANH, TP_BERNOULLI);
    config.option[0] = first;
    config.option[1] = second;
    assert_ok(tp_model_init(m, type, config, TP_F64, 3));
    for (int i = 0; i < m->params.n; i++) {
        tp_tensor *value = &m->params.item[i]->value;
        for (int64_t k = 0; k < tp_numel(value); k++)
            assert_ok(tp_set_flat(value, k, 3 * tp_flat(value, k)));
    }
}

/* The loss of one step, and the log-weights of its draws: [k·m, BATCH]. */
static double loss_and_weights(tp_model *m, const tp_tensor *x, int64_t draws, double *log_w)
{
    tp_tape *t;
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_train(t, 1, 4), again = c;
    tp_var data = tp_constant(t, x);
    tp_objective o = tp_model_loss(m, &c, data);
    tp_var w = tp_model_log_weight(m, &again, data, draws);
    assert_ok(tp_tape_status(t));
    assert_int_equal(o.terms, 1);
    assert_string_equal(o.term[0].name, m->type->name);
    assert_true(tp_shape_equal(tp_shape_of(w), TP_SHAPE(draws, BATCH)));
    for (int64_t i = 0; i < draws * BATCH; i++)
        log_w[i] = tp_flat(tp_value(w), i);
    double total = tp_item_of(o.total);
    tp_tape_free(t);
    return total;
}

/* −1/M Σ_m log 1/K Σ_k w, the mean over the batch, for weights [M, K, BATCH]. */
static double by_hand(const double *log_w, int m, int k)
{
    double sum = 0;
    for (int b = 0; b < BATCH; b++)
        for (int i = 0; i < m; i++) {
            double w = 0;
            for (int j = 0; j < k; j++)
                w += exp(log_w[(i * k + j) * BATCH + b]);
            sum -= log(w / k) / (m * BATCH);
        }
    return sum;
}

static void test_iwae(void **state)
{
    (void)state;
    tp_tensor x = uniform(TP_F64, BATCH, NX, 1);
    double log_w[7 * BATCH];
    for (int k = 1; k <= 7; k += 3)
        for (int dreg = 0; dreg < 2; dreg++) {
            tp_model m;
            start(&m, &tp_model_iwae, k, dreg);
            double loss = loss_and_weights(&m, &x, k, log_w);
            assert_close(loss, by_hand(log_w, 1, k), 0, 1e-13);
            if (k > 1) /* the mean of log w is another number */
                assert_true(by_hand(log_w, k, 1) - loss > 0.01);
            tp_model_free(&m);
        }
    tp_tensor_free(&x);
}

/* M is the first axis of the draws; where M = K nobody would see it. */
static void test_miwae(void **state)
{
    (void)state;
    static const int sizes[][2] = {{1, 6}, {6, 1}, {2, 3}, {3, 2}};
    tp_tensor x = uniform(TP_F64, BATCH, NX, 1);
    double log_w[6 * BATCH];
    for (int i = 0; i < 4; i++) {
        int a = sizes[i][0], b = sizes[i][1];
        tp_model m;
        start(&m, &tp_model_miwae, a, b);
        double loss = loss_and_weights(&m, &x, 6, log_w);
        assert_close(loss, by_hand(log_w, a, b), 0, 1e-13);
        assert_true(fabs(loss - by_hand(log_w, b, a)) > 1e-3);
        tp_model_free(&m);
    }
    tp_tensor_free(&x);
}

static void test_options(void **state)
{
    (void)state;
    tp_model_config c = tp_model_defaults(&tp_model_iwae);
    assert_true(c.option[0] == 5 && c.option[1] == 0);
    assert_ok(tp_model_set(&c, &tp_model_iwae, "samples", 8));
    assert_ok(tp_model_set(&c, &tp_model_iwae, "dreg", 1));
    assert_true(c.option[0] == 8 && c.option[1] == 1);
    assert_status(tp_model_set(&c, &tp_model_iwae, "samples", 0), TP_EARG);
    assert_message("model 'iwae': samples is 0: 1 to 10000 needed");
    c = tp_model_defaults(&tp_model_miwae);
    assert_true(c.option[0] == 2 && c.option[1] == 5);
    assert_status(tp_model_set(&c, &tp_model_miwae, "samples", 3), TP_EARG);
    assert_message("only: m, k");
}

/* --- gradients ---------------------------------------------------------------------------------------- */

/* The bound with q detached and plain weights: what is missing is the square. */
static tp_objective path_only(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = tp_vae_posterior(self, c, x);
    tp_var z = tp_dist_rsample_n(q, c, (int64_t)((tp_vae *)self)->option[0]);
    tp_var log_q = tp_dist_logprob(tp_dist_detach(q), z);
    return tp_iwae(tp_log_weight(tp_data_logprob(tp_vae_decode(self, c, z), x),
                                 tp_dist_logprob(tp_vae_prior(self, c), z), log_q));
}

enum { STEPS = 400, COPIES = 64, MOST = 80 };

typedef struct gradients {
    double of[STEPS][MOST];
    int n,
        encoder; /* how many there are, and how many of them belong to the encoder, which are first */
} gradients;

/* The gradients of many steps on copies of one example. */
static void collect(gradients *g, tp_loss_fn loss, double dreg)
{
    tp_model m;
    tp_tape *t;
    tp_tensor row = uniform(TP_F64, 1, NX, 1), x;
    assert_ok(tp_view_expand(&row, TP_SHAPE(COPIES, NX), &x));
    start(&m, &tp_model_iwae, 4, dreg);
    assert_ok(tp_tape_new(&t));
    for (uint64_t s = 0; s < STEPS; s++) {
        tp_tape_reset(t);
        tp_params_zero_grad(&m.params);
        tp_ctx c = tp_ctx_train(t, 8, s);
        tp_var data = tp_constant(t, &x);
        tp_var total =
            loss != NULL ? loss(m.self, &c, data).total : tp_model_loss(&m, &c, data).total;
        assert_ok(tp_backward_opts(total, (tp_sweep_opts){.release = true}));
        g->n = g->encoder = 0;
        for (int i = 0; i < m.params.n; i++) {
            const tp_tensor *grad = tp_parameter_grad(m.params.item[i]);
            assert_true(g->n + tp_numel(grad) <= MOST);
            for (int64_t k = 0; k < tp_numel(grad); k++)
                g->of[s][g->n++] = tp_flat(grad, k);
            if (strncmp(m.params.item[i]->name, "decoder.", 8) != 0)
                g->encoder = g->n;
        }
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_tensor_free(&row);
    tp_model_free(&m);
}

/* By how many standard errors the means of a and b differ, in the encoder's worst coordinate. */
static double distance(const gradients *a, const gradients *b)
{
    double worst = 0;
    for (int i = 0; i < a->encoder; i++) {
        double mean = 0, square = 0;
        for (int s = 0; s < STEPS; s++)
            mean += (a->of[s][i] - b->of[s][i]) / STEPS;
        for (int s = 0; s < STEPS; s++) {
            double d = a->of[s][i] - b->of[s][i] - mean;
            square += d * d / (STEPS - 1.0);
        }
        worst = fmax(worst, fabs(mean) / sqrt(square / STEPS));
    }
    return worst;
}

static void test_dreg(void **state)
{
    (void)state;
    static gradients plain, doubly, wrong;
    collect(&plain, NULL, 0);
    collect(&doubly, NULL, 1);
    collect(&wrong, path_only, 0);
    assert_int_equal(plain.encoder, 36);
    print_message("standard errors from the plain gradient: dreg %.1f, weights not squared %.1f\n",
                  distance(&doubly, &plain), distance(&wrong, &plain));
    assert_true(distance(&doubly, &plain) <= 4);
    assert_true(distance(&wrong, &plain) > 8);
    for (int s = 0; s < STEPS; s++) /* the decoder's are those of the bound */
        for (int i = plain.encoder; i < plain.n; i++)
            assert_close(doubly.of[s][i], plain.of[s][i], 1e-14, 1e-11);
}

/* Evaluation records no gradients, and what has none is the plain bound; so it is in f32. */
static void test_evaluation(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        double loss[2];
        for (int dreg = 0; dreg < 2; dreg++) {
            tp_model m;
            tp_tape *t;
            tp_model_config config = tiny(TP_RELU, TP_GAUSSIAN);
            config.option[0] = 5;
            config.option[1] = dreg;
            assert_ok(tp_model_init(&m, &tp_model_iwae, config, (tp_dtype)d, 3));
            tp_tensor x = uniform((tp_dtype)d, BATCH, NX, 1);
            assert_ok(tp_tape_new(&t));
            tp_no_grad_begin(t);
            tp_ctx c = tp_ctx_eval(t, 1, 0);
            loss[dreg] = tp_item_of(tp_model_loss(&m, &c, tp_constant(t, &x)).total);
            tp_no_grad_end(t);
            assert_ok(tp_tape_status(t));
            tp_tape_free(t);
            tp_tensor_free(&x);
            tp_model_free(&m);
        }
        assert_true(loss[0] == loss[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iwae),       cmocka_unit_test(test_miwae),
        cmocka_unit_test(test_options),    cmocka_unit_test(test_dreg),
        cmocka_unit_test(test_evaluation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
