/* test_dreg.c: the doubly reparameterized gradient of the importance-weighted bound.
 *
 * Every example is an independent draw of the gradient, with parameters of q of its own, so one backward gives
 * thousands. For the inference network it must have the mean of the plain gradient, within four standard errors, and less
 * noise, the more so the more samples; for everything else it must be that gradient. Read next: test_estimators.c.
 */
#include "tests/objective/exact.h"

#include "autograd/sweep.h"
#include "nn/objective.h"

enum { N = 6000, COORDINATES = 2 * NZ };

static const double X[NX] = {0.8, -0.5, 1.1}, MEAN[NZ] = {0.4, -0.3}, LOGVAR[NZ] = {-1, -0.6};

/* Per example: gradients by the mean and log-variance of q, and by the decoder's bias. */
typedef struct gradients {
    double phi[COORDINATES * N], theta[NX * N];
    double value;
} gradients;

typedef enum estimator {
    PLAIN,    /* tp_iwae */
    DOUBLY,   /* tp_dreg */
    PATH_ONLY /* wrong: q detached in its density, and the weights not squared */
} estimator;

static void expand_leaf(fixture *f, int64_t n, const double *v, tp_var *leaf)
{
    tp_tensor *t = &f->tensor[f->n++];
    assert_ok(tp_tensor_new(t, TP_F64, TP_SHAPE(N, n)));
    for (int64_t i = 0; i < N * n; i++)
        assert_ok(tp_set_flat(t, i, v[i % n]));
    *leaf = tp_leaf(f->tape, t);
}

static void draw_gradients(estimator kind, int64_t k, gradients *out)
{
    fixture *f = fixture_new();
    tp_var mu, logvar, bias;
    expand_leaf(f, NZ, MEAN, &mu);
    expand_leaf(f, NZ, LOGVAR, &logvar);
    expand_leaf(f, NX, B, &bias);
    tp_shape each = TP_SHAPE(k, N, NZ);
    tp_var eps = tp_noise_normal(f->tape, TP_F64, each, (tp_rng_key){.seed = 31});
    tp_var z = tp_reparameterize(tp_expand(mu, each), tp_expand(logvar, each), eps); /* [K,N,NZ] */
    tp_var log_q =
        kind == PLAIN ? log_normal(z, mu, logvar) : log_normal(z, tp_detach(mu), tp_detach(logvar));
    tp_var log_w =
        tp_log_weight(linear_logprob(f, z, X, bias), standard_logprob(f, z), log_q); /* [K, N] */
    tp_objective o = kind == DOUBLY ? tp_dreg(log_w, z) : tp_iwae(log_w);
    out->value = tp_item_of(o.total);
    assert_ok(tp_backward(o.total));
    const tp_tensor *grad[] = {tp_leaf_grad(mu), tp_leaf_grad(logvar), tp_leaf_grad(bias)};
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < NZ; j++) {
            out->phi[i * COORDINATES + j] = N * tp_flat(grad[0], i * NZ + j);
            out->phi[i * COORDINATES + NZ + j] = N * tp_flat(grad[1], i * NZ + j);
        }
        for (int j = 0; j < NX; j++)
            out->theta[i * NX + j] = N * tp_flat(grad[2], i * NX + j);
    }
    fixture_free(f);
}

/* Whether the means agree in every coordinate within four standard errors of the difference, sample by sample. */
static bool same_mean(const gradients *a, const gradients *b)
{
    static double difference[COORDINATES * N];
    for (int i = 0; i < COORDINATES * N; i++)
        difference[i] = a->phi[i] - b->phi[i];
    for (int j = 0; j < COORDINATES; j++) {
        double se, mean = mean_of(difference + j, N, COORDINATES, &se);
        if (!(fabs(mean) <= 4 * se))
            return false;
    }
    return true;
}

/* Sum over the coordinates. */
static double variance(const gradients *g)
{
    double sum = 0, se;
    for (int j = 0; j < COORDINATES; j++) {
        mean_of(g->phi + j, N, COORDINATES, &se);
        sum += se * se * N;
    }
    return sum;
}

static void test_mean_and_variance(void **state)
{
    (void)state;
    static gradients plain, doubly, wrong;
    double gain = 1;
    for (int64_t k = 2; k <= 32; k *= 4) {
        draw_gradients(PLAIN, k, &plain);
        draw_gradients(DOUBLY, k, &doubly);
        draw_gradients(PATH_ONLY, k, &wrong);
        assert_true(same_mean(&doubly, &plain));
        assert_false(same_mean(&wrong, &plain));
        assert_close(doubly.value, plain.value, 0, 1e-14);
        for (int i = 0; i < NX * N; i++) /* the decoder's gradient is the plain one */
            assert_close(doubly.theta[i], plain.theta[i], 1e-14, 1e-12);
        double ratio = variance(&plain) / variance(&doubly);
        print_message("K = %2d: variance %.4f plain, %.4f doubly reparameterized, ratio %.1f\n",
                      (int)k, variance(&plain), variance(&doubly), ratio);
        assert_true(ratio > 1.5 * gain);
        gain = ratio;
    }
}

/* K = 1 is the ELBO, whose gradient is known: ∂/∂m = A(m − mean) and ∂/∂v_k = ½(A_kk e^{v_k} − 1) of KL(q ‖ p(z|x)),
 * with p(z|x) = N(mean, A⁻¹). */
static void test_one_sample(void **state)
{
    (void)state;
    static gradients g;
    double mean[NZ], l[NZ * NZ], want[COORDINATES] = {0};
    linear_posterior(X, mean, l);
    for (int k = 0; k < NZ; k++)
        for (int j = 0; j < NZ; j++) {
            double a = 0;
            for (int i = 0; i <= (j < k ? j : k); i++)
                a += l[k * NZ + i] * l[j * NZ + i];
            want[k] += a * (MEAN[j] - mean[j]);
            if (j == k)
                want[NZ + k] = 0.5 * (a * exp(LOGVAR[k]) - 1);
        }
    for (int kind = PLAIN; kind <= DOUBLY; kind++) {
        draw_gradients((estimator)kind, 1, &g);
        for (int j = 0; j < COORDINATES; j++) {
            double se, got = mean_of(g.phi + j, N, COORDINATES, &se);
            assert_close(got, want[j], 4 * se, 0);
        }
    }
}

/* Σ_k w̃_k² ∂log w_k/∂z_k by hand: log w = −a_k z² makes ∂log w_k/∂z_k = −2 a_k z_k. */
static void test_by_hand(void **state)
{
    (void)state;
    enum { K = 3, BATCH = 2 };
    fixture *f = fixture_new();
    tp_tensor *zs = fixture_draw(f, TP_F64, TP_SHAPE(K, BATCH, 1), 1, 1, 0);
    tp_tensor *as = fixture_draw(f, TP_F64, TP_SHAPE(K, BATCH), 2, 1, 0);
    const double *z = tp_data(zs), *a = tp_data(as);
    tp_var leaf = tp_leaf(f->tape, zs), decoder = tp_leaf(f->tape, as);
    tp_var log_w =
        tp_neg(tp_mul(decoder, tp_square(tp_reshape(leaf, TP_SHAPE(K, BATCH))))); /* [K, BATCH] */
    tp_objective o = tp_dreg(log_w, leaf);
    assert_true(tp_item_of(o.total) == tp_item_of(tp_iwae(log_w).total));
    assert_string_equal(o.term[0].name, "iwae");
    assert_ok(tp_backward(o.total));
    for (int i = 0; i < K * BATCH; i++) {
        double sum = 0;
        for (int k = 0; k < K; k++) {
            int j = k * BATCH + i % BATCH;
            sum += exp(a[i] * z[i] * z[i] - a[j] * z[j] * z[j]);
        }
        assert_close(tp_flat(tp_leaf_grad(leaf), i), 2 * a[i] * z[i] / (sum * sum) / BATCH, 0,
                     1e-13);
        assert_close(tp_flat(tp_leaf_grad(decoder), i), z[i] * z[i] / sum / BATCH, 0, 1e-13);
    }
    fixture_free(f);
}

/* Where z needs no gradient (evaluation, or q is not trained) it is the plain bound; releasing while going backward is
 * what the trainer does. */
static void test_uses(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_tensor *values = fixture_draw(f, TP_F64, TP_SHAPE(3, 2, 1), 1, 1, 0);
    tp_no_grad_begin(f->tape);
    tp_var z = tp_leaf(f->tape, values);
    double without = tp_item_of(tp_dreg(tp_sum(z, TP_AXES(2), false), z).total);
    tp_no_grad_end(f->tape);
    tp_var leaf = tp_leaf(f->tape, values), w = tp_sum(leaf, TP_AXES(2), false);
    tp_objective o = tp_dreg(w, leaf), fixed = tp_dreg(w, tp_detach(leaf));
    assert_true(tp_item_of(o.total) == without && tp_item_of(fixed.total) == without);
    tp_var loss[] = {fixed.total, tp_iwae(w).total}, grad[2];
    for (int i = 0; i < 2; i++)
        assert_ok(tp_grad(1, &loss[i], 1, &leaf, &grad[i], (tp_grad_opts){0}));
    assert_true(same_values(tp_value(grad[0]), tp_value(grad[1])));
    assert_ok(tp_backward_opts(o.total, (tp_sweep_opts){.release = true}));
    assert_non_null(tp_leaf_grad(leaf));
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean_and_variance),
        cmocka_unit_test(test_one_sample),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_uses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
