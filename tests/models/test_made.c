/* test_made.c: MADE: what each factor may see, that the factors make a distribution, and that draws are from it.
 *
 * With a few bits all pictures can be listed, so that everything is compared with sums over all of them. Read next:
 * models/made.c.
 */
#include "tests/models/fixture.h"

#include <math.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/made.h"
#include "models/uses.h"
#include "nn/dist_type.h"

enum { BITS = 4, STATES = 1 << BITS, LEVELS = 3 };

/* A net whose factors are far from independent: weights three times as large as drawn. */
static tp_model start(int64_t data_dim, tp_likelihood likelihood, int layers)
{
    tp_model m;
    tp_model_config config = tp_model_defaults(&tp_model_made);
    config.data_dim = data_dim;
    config.hidden[0] = 11, config.hidden[1] = 9;
    config.hidden_layers = layers;
    config.activation = TP_TANH;
    config.likelihood = likelihood;
    config.levels = LEVELS;
    assert_ok(tp_model_init(&m, &tp_model_made, config, TP_F64, 5));
    for (int i = 0; i < m.params.n; i++)
        for (int64_t k = 0; k < tp_numel(&m.params.item[i]->value); k++)
            assert_ok(
                tp_set_flat(&m.params.item[i]->value, k, 3 * tp_flat(&m.params.item[i]->value, k)));
    return m;
}

/* The control: the same net without masks. */
static void unmask(tp_model *m)
{
    for (int i = 0; i < m->params.buffers; i++)
        assert_ok(tp_fill(&m->params.buffer[i]->value, 1));
}

/* All pictures of n elements with values 0, 1/(base − 1), … 1: [base^n, n]. */
static tp_tensor all(int64_t n, int64_t base)
{
    tp_tensor x;
    int64_t states = 1;
    for (int64_t i = 0; i < n; i++)
        states *= base;
    assert_ok(tp_tensor_new(&x, TP_F64, TP_SHAPE(states, n)));
    for (int64_t s = 0; s < states; s++)
        for (int64_t i = 0, rest = s; i < n; i++, rest /= base)
            assert_ok(tp_set_flat(&x, s * n + i, (double)(rest % base) / (double)(base - 1)));
    return x;
}

/* p of all pictures; returns their sum. */
static double probabilities(const tp_model *m, const tp_tensor *x, double *p)
{
    tp_tape *t;
    double sum = 0;
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var logprob = m->type->logprob(m->self, &c, tp_constant(t, x));
    assert_ok(tp_var_status(logprob));
    for (int64_t s = 0; s < x->shape.dim[0]; s++)
        sum += p[s] = exp(tp_flat(tp_value(logprob), s));
    tp_tape_free(t);
    return sum;
}

/* --- what a factor sees ------------------------------------------------------------------------------ */

/* ∂out_i/∂x_j at some x: a count of those with j < i that are 0, and with j >= i that are not. */
static void look(const tp_model *m, int64_t n, int *blind, int *leaks)
{
    tp_tape *t;
    tp_tensor data = uniform(TP_F64, 1, n, 3);
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var x = tp_leaf(t, &data), y = tp_made_conditionals(m, &c, x).param[0];
    *blind = *leaks = 0;
    for (int64_t i = 0; i < n; i++) {
        tp_var out = tp_slice(y, -1, i, i + 1, 1), g;
        assert_ok(tp_grad(1, &out, 1, &x, &g, (tp_grad_opts){.allow_unused = true}));
        for (int64_t j = 0; j < n; j++) {
            bool sees = tp_flat(tp_value(g), j) != 0;
            *blind += j < i && !sees;
            *leaks += j >= i && sees;
        }
    }
    tp_tape_free(t);
    tp_tensor_free(&data);
}

/* Also with fewer units than elements: then the direct connections see what no unit can hand on. */
static void test_blind(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 7, 30};
    for (int k = 0; k < 4; k++)
        for (int layers = 1; layers <= 2; layers++) {
            int blind, leaks, n = (int)sizes[k];
            tp_model m = start(n, TP_BERNOULLI, layers);
            look(&m, n, &blind, &leaks);
            assert_int_equal(leaks, 0);
            assert_int_equal(blind, 0);
            unmask(&m);
            look(&m, n, &blind, &leaks);
            assert_int_equal(leaks, n * (n + 1) / 2);
            tp_model_free(&m);
        }
}

/* Levels are looked up, so a derivative by x says nothing: another level changes the factors behind it alone. */
static void test_blind_to_levels(void **state)
{
    (void)state;
    enum { N = 5 };
    tp_tape *t;
    tp_tensor data;
    tp_model m = start(N, TP_CATEGORICAL, 1);
    assert_ok(
        tp_tensor_new(&data, TP_F64, TP_SHAPE(N + 1, N))); /* row j + 1 has element j changed */
    for (int64_t j = 0; j < N; j++)
        assert_ok(tp_set_flat(&data, (j + 1) * N + j, 0.5));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var y =
        tp_made_conditionals(&m, &c, tp_constant(t, &data)).param[0]; /* [N + 1, N, LEVELS] */
    for (int64_t j = 0; j < N; j++)
        for (int64_t k = 0; k < N * LEVELS; k++)
            assert_true((tp_flat(tp_value(y), k) !=
                         tp_flat(tp_value(y), (j + 1) * N * LEVELS + k)) == (k / LEVELS > j));
    tp_tape_free(t);
    tp_tensor_free(&data);
    tp_model_free(&m);
}

/* --- a distribution -------------------------------------------------------------------------------------- */

static void test_sums_to_one(void **state)
{
    (void)state;
    static const struct {
        tp_likelihood likelihood;
        int64_t n, base;
    } rows[] = {{TP_BERNOULLI, 1, 2}, {TP_BERNOULLI, 9, 2}, {TP_CATEGORICAL, 4, LEVELS}};
    for (int k = 0; k < 3; k++)
        for (int layers = 1; layers <= 2; layers++) {
            double p[512];
            tp_model m = start(rows[k].n, rows[k].likelihood, layers);
            tp_tensor x = all(rows[k].n, rows[k].base);
            assert_close(probabilities(&m, &x, p), 1, 1e-12, 0);
            unmask(&m); /* an element that sees itself is told the answer */
            assert_true(fabs(probabilities(&m, &x, p) - 1) > 1e-2);
            tp_tensor_free(&x);
            tp_model_free(&m);
        }
}

/* Grey values count as their nearest level, also where they are conditions. */
static void test_levels_are_nearest(void **state)
{
    (void)state;
    double p[2];
    const double values[] = {0.5, 1, 0, 0.6, 0.9, 0.2};
    tp_tensor x;
    tp_model m = start(3, TP_CATEGORICAL, 1);
    assert_ok(tp_tensor_from(&x, TP_F64, TP_SHAPE(2, 3), values));
    probabilities(&m, &x, p);
    assert_true(p[0] == p[1]);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* The likelihood of data is exact: as many samples as one likes change nothing. */
static void test_nll(void **state)
{
    (void)state;
    double p[STATES], want = 0, nll;
    tp_tape *t;
    tp_batches b;
    tp_dataset d = {.x = all(BITS, 2)};
    tp_model m = start(BITS, TP_BERNOULLI, 1);
    probabilities(&m, &d.x, p);
    for (int s = 0; s < STATES; s++)
        want -= log(p[s]) / STATES;
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_batches_init(&b, &d, 5, TP_F64));
    for (int64_t samples = 1; samples < 100; samples *= 9) {
        assert_ok(tp_model_nll(&m, t, &b, 3, samples, &nll));
        assert_close(nll, want, 0, 1e-14);
    }
    tp_ctx c = tp_ctx_train(t, 1, 0);
    tp_tape_reset(t);
    tp_objective loss = tp_model_loss(&m, &c, tp_constant(t, &d.x));
    assert_close(tp_item_of(loss.total), want, 0, 1e-14);
    tp_batches_free(&b);
    tp_tape_free(t);
    tp_dataset_free(&d);
    tp_model_free(&m);
}

/* --- draws --------------------------------------------------------------------------------------------------- */

/* The largest distance of how often each picture came from its probability, in standard errors. */
static double distance(const tp_tensor *x, const double p[STATES])
{
    double count[STATES] = {0}, worst = 0, n = (double)x->shape.dim[0];
    for (int64_t i = 0; i < x->shape.dim[0]; i++) {
        int s = 0;
        for (int k = BITS - 1; k >= 0; k--) {
            double bit = tp_flat(x, i * BITS + k);
            assert_true(bit == 0 || bit == 1);
            s = 2 * s + (bit == 1);
        }
        count[s]++;
    }
    for (int s = 0; s < STATES; s++)
        worst = fmax(worst, fabs(count[s] - n * p[s]) / sqrt(n * p[s] * (1 - p[s])));
    return worst;
}

/* The control draws every bit once more, given the first draw: each alone would be right, together they are not. */
static void test_draws(void **state)
{
    (void)state;
    const int64_t n = 20000;
    double p[STATES];
    tp_tape *t;
    tp_tensor x = all(BITS, 2);
    tp_model m = start(BITS, TP_BERNOULLI, 2);
    probabilities(&m, &x, p);
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0), again = c;
    tp_var drawn = tp_made_draw(&m, &c, n);
    assert_ok(tp_var_status(drawn));
    assert_true(distance(tp_value(drawn), p) < 4);
    tp_dist shown = tp_model_generate(&m, &again, n); /* the same draws, as probabilities */
    assert_true(equal_bits(tp_value(shown.param[0]),
                           tp_value(tp_made_conditionals(&m, &c, drawn).param[0])));
    assert_true(distance(tp_value(tp_data_sample(shown, &c)), p) > 10);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* Grey levels: each comes as often as its probability says. */
static void test_draws_levels(void **state)
{
    (void)state;
    enum { N = 2, ALL = LEVELS * LEVELS };
    const int64_t n = 20000;
    double p[ALL], count[ALL] = {0};
    tp_tape *t;
    tp_tensor x = all(N, LEVELS);
    tp_model m = start(N, TP_CATEGORICAL, 1);
    probabilities(&m, &x, p);
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var drawn = tp_made_draw(&m, &c, n);
    for (int64_t i = 0; i < n; i++) {
        double low = tp_flat(tp_value(drawn), N * i), high = tp_flat(tp_value(drawn), N * i + 1);
        count[(int)(2 * low + 0.5) + LEVELS * (int)(2 * high + 0.5)]++;
    }
    for (int s = 0; s < ALL; s++)
        assert_true(fabs(count[s] - (double)n * p[s]) < 4 * sqrt((double)n * p[s] * (1 - p[s])));
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* What the passes compute is forgotten: a picture of 20 times 20 takes a few times what the net itself does. */
static void test_draws_in_little_memory(void **state)
{
    (void)state;
    tp_tape *t;
    tp_model m = start(400, TP_BERNOULLI, 1);
    assert_ok(tp_tape_new(&t));
    for (int grad = 0; grad < 2; grad++) {
        tp_tape_reset(t);
        if (!grad)
            tp_no_grad_begin(t);
        tp_ctx c = tp_ctx_eval(t, 1, 0);
        tp_var x = tp_made_draw(&m, &c, 3);
        assert_ok(tp_var_status(x));
        assert_false(tp_needs_grad(x));
        double passes = 400.0 * 8 * (11 * 400); /* each computes the masked weights */
        assert_true((double)tp_tape_bytes(t) < 0.1 * passes);
    }
    tp_tape_free(t);
    tp_model_free(&m);
}

/* --- refusals --------------------------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    tp_tape *t;
    tp_model m, other;
    tp_model_config config = tiny(TP_RELU, TP_GAUSSIAN);
    assert_status(tp_model_init(&m, &tp_model_made, config, TP_F64, 1), TP_EARG);
    assert_message("its likelihood cannot be gaussian, only: bernoulli, categorical");
    m = start(3, TP_BERNOULLI, 1);
    config.likelihood = TP_BERNOULLI;
    assert_ok(tp_model_init(&other, &tp_model_vae, config, TP_F64, 1));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    assert_status(tp_var_status(tp_made_draw(&other, &c, 2)), TP_EARG);
    assert_message("model 'vae' is no made");
    tp_tape_reset(t);
    tp_var x = tp_full(t, TP_F64, TP_SHAPE(2, 3), 1);
    assert_status(tp_var_status(tp_made_conditionals(&other, &c, x).param[0]), TP_EARG);
    tp_tape_reset(t);
    tp_var wide = tp_full(t, TP_F64, TP_SHAPE(2, 4), 1);
    assert_status(tp_var_status(tp_model_loss(&m, &c, wide).total), TP_ESHAPE);
    assert_message("net.0.bias");
    tp_tape_reset(t);
    assert_status(tp_var_status(tp_model_code(&m, &c, wide)), TP_EARG);
    assert_message("model 'made' has no posterior");
    tp_tape_free(t);
    tp_model_free(&m);
    tp_model_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blind),        cmocka_unit_test(test_blind_to_levels),
        cmocka_unit_test(test_sums_to_one),  cmocka_unit_test(test_levels_are_nearest),
        cmocka_unit_test(test_nll),          cmocka_unit_test(test_draws),
        cmocka_unit_test(test_draws_levels), cmocka_unit_test(test_draws_in_little_memory),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
