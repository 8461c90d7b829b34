/* test_oracle_adam.c: training runs step by step against PyTorch: 200 steps of Adam with its defaults, 20 of
 * SGD without and with momentum, on a small VAE with given weights, batches and noise.
 *
 * In f64 the final weights agree elementwise; in f32 the losses do. Read next: injected.h.
 */
#include "tests/oracle/oracle.h"
#include "tests/oracle/injected.h"

#include "autograd/sweep.h"

enum { BATCH = 8 };

static const tp_model_config config = {.data_dim = 12,
                                       .hidden = {10},
                                       .hidden_layers = 1,
                                       .latent_dim = 3,
                                       .activation = TP_RELU,
                                       .likelihood = TP_BERNOULLI,
                                       .beta = 1};

ORACLE_FIXTURE("adam.safetensors");

typedef struct run {
    tp_model model;
    tp_optimizer optimizer;
    tp_tape *tape;
    tp_tensor x, eps; /* [examples, nx], [steps, batch, nz] */
} run;

static void start(run *r, tp_dtype dtype)
{
    char text[ORACLE_NAME];
    assert_ok(tp_model_init(&r->model, &tp_model_vae, config, dtype, 1));
    assert_ok(tp_tape_new(&r->tape));
    for (int i = 0; i < r->model.params.n; i++) {
        tp_parameter *p = r->model.params.item[i];
        tp_tensor w = oracle_load(&file, joined(text, "w", p->name));
        assert_ok(tp_copy(&p->value, &w));
        tp_tensor_free(&w);
    }
    r->x = oracle_load_as(&file, "x", dtype);
    r->eps = oracle_load_as(&file, "eps", dtype);
}

static void finish(run *r)
{
    tp_optimizer_free(&r->optimizer);
    tp_tensor_free(&r->x);
    tp_tensor_free(&r->eps);
    tp_tape_free(r->tape);
    tp_model_free(&r->model);
}

/* One step; gives the loss before it. */
static double step(run *r, int64_t number)
{
    int64_t first = number * BATCH % r->x.shape.dim[0];
    tp_tensor x, eps;
    assert_ok(tp_view_slice(&r->x, 0, first, first + BATCH, 1, &x));
    assert_ok(tp_view_select(&r->eps, 0, number, &eps));
    tp_tape_reset(r->tape);
    tp_ctx c = tp_ctx_train(r->tape, 1, (uint64_t)number);
    tp_objective o =
        injected_loss(&r->model, &c, tp_constant(r->tape, &x), tp_constant(r->tape, &eps));
    double loss = tp_item_of(o.total);
    tp_params_zero_grad(&r->model.params);
    assert_ok(tp_backward_opts(o.total, (tp_sweep_opts){.release = true}));
    assert_ok(tp_optimizer_step(&r->optimizer));
    return loss;
}

/* Elementwise |got − want| <= tolerance; gives the largest. */
static double compare_weights(const run *r, const char *name, double tolerance)
{
    char text[ORACLE_NAME], middle[ORACLE_NAME];
    double worst = 0;
    for (int i = 0; i < r->model.params.n; i++) {
        const tp_parameter *p = r->model.params.item[i];
        tp_tensor want = oracle_load(&file, joined(text, joined(middle, name, "w"), p->name));
        for (int64_t k = 0; k < tp_numel(&want); k++) {
            assert_close(tp_flat(&p->value, k), tp_flat(&want, k), tolerance, 0);
            worst = fmax(worst, fabs(tp_flat(&p->value, k) - tp_flat(&want, k)));
        }
        tp_tensor_free(&want);
    }
    return worst;
}

static void check_run(run *r, const char *name, int64_t steps)
{
    char text[ORACLE_NAME];
    bool f64 = r->model.params.dtype == TP_F64;
    tp_tensor want = oracle_load(&file, joined(text, name, f64 ? "f64.losses" : "f32.losses"));
    double worst = 0;
    assert_int_equal(tp_numel(&want), steps);
    for (int64_t i = 0; i < steps; i++) {
        double loss = step(r, i);
        assert_close(loss, tp_flat(&want, i), 0, f64 ? 1e-11 : 1e-5);
        worst = fmax(worst, fabs(loss / tp_flat(&want, i) - 1));
    }
    assert_true(tp_flat(&want, steps - 1) < tp_flat(&want, 0)); /* it learned something */
    print_message("%s in %s: losses off by %.2g\n", name, f64 ? "f64" : "f32", worst);
    if (f64)
        print_message("%s: weights off by %.2g\n", name, compare_weights(r, name, 1e-9));
    tp_tensor_free(&want);
}

static void test_adam(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        run r = {0};
        start(&r, (tp_dtype)d);
        assert_ok(tp_adam_init(&r.optimizer, &r.model.params, tp_adam_defaults()));
        check_run(&r, "adam", 200);
        finish(&r);
    }
}

static void check_sgd(const char *name, double momentum)
{
    for (int d = TP_F32; d <= TP_F64; d++) {
        run r = {0};
        tp_sgd_opts opts = tp_sgd_defaults();
        opts.momentum = momentum;
        start(&r, (tp_dtype)d);
        assert_ok(tp_sgd_init(&r.optimizer, &r.model.params, opts));
        check_run(&r, name, 20);
        finish(&r);
    }
}

static void test_sgd(void **state)
{
    (void)state;
    check_sgd("sgd", 0);
}

static void test_momentum(void **state)
{
    (void)state;
    check_sgd("momentum", 0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adam),
        cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_momentum),
    };
    return cmocka_run_group_tests(tests, open_file, close_file) != 0;
}
