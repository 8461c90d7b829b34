/* test_conditional_vae.c: what a label changes: gradients, leading axes, what is refused, and that it is learned from.
 *
 * Read next: models/conditional_vae.c.
 */
#include "tests/models/fixture.h"

#include <math.h>
#include <string.h>

#include "autograd/compose.h"
#include "models/uses.h"

enum { NX = 3, NH = 4, NZ = 2, CLASSES = 3, BATCH = 4 };

static tp_model_config config_of(tp_activation activation)
{
    tp_model_config config = tiny(activation, TP_BERNOULLI);
    config.classes = CLASSES;
    return config;
}

static tp_tensor labels_of(int64_t n, const int64_t *y)
{
    tp_tensor t;
    assert_ok(tp_tensor_from(&t, TP_I64, TP_SHAPE(n), y));
    return t;
}

static const int64_t Y[BATCH] = {2, 0, 1, 2};

/* --- as a function -------------------------------------------------------------------------------- */

static void test_gradient(void **state)
{
    (void)state;
    tp_model m;
    tp_check_report report;
    tp_model_config config = config_of(TP_TANH);
    config.beta = 0.7;
    assert_ok(tp_model_init(&m, &tp_model_conditional_vae, config, TP_F64, 5));
    tp_batch batch = {
        .x = uniform(TP_F64, BATCH, NX, 1), .labels = labels_of(BATCH, Y), .n = BATCH};
    assert_ok(tp_model_gradcheck(&m, &batch, (tp_check_opts){0}, &report));
    assert_int_equal(report.skipped_kinks, 0);
    tp_tensor_free(&batch.x);
    tp_tensor_free(&batch.labels);
    tp_model_free(&m);
}

/* The label's columns of an input layer [hidden, n + classes]: those behind the first n. */
static void copy_columns(tp_tensor *wide, const tp_tensor *from)
{
    int64_t rows = from->shape.dim[0], n = from->shape.dim[1], all = wide->shape.dim[1];
    assert_int_equal(all, n + CLASSES);
    assert_ok(tp_fill(wide, 0));
    for (int64_t i = 0; i < rows * n; i++)
        assert_ok(tp_set_flat(wide, i / n * all + i % n, tp_flat(from, i)));
}

static double loss_of(tp_model *m, const tp_tensor *x, const tp_tensor *y, uint64_t seed)
{
    tp_tape *t;
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, seed, 0);
    c.labels = y;
    double loss = tp_item_of(tp_model_loss(m, &c, tp_constant(t, x)).total);
    assert_ok(tp_tape_status(t));
    tp_tape_free(t);
    return loss;
}

/* With weights 0 behind the labels it is the VAE; with other weights it is not, nor for other labels the same. */
static void test_without_labels_the_vae(void **state)
{
    (void)state;
    tp_model m, vae;
    tp_tensor x = uniform(TP_F64, BATCH, NX, 1), y = labels_of(BATCH, Y);
    tp_tensor other = labels_of(BATCH, (const int64_t[]){1, 1, 0, 0});
    assert_ok(tp_model_init(&m, &tp_model_conditional_vae, config_of(TP_TANH), TP_F64, 5));
    assert_ok(tp_model_init(&vae, &tp_model_vae, tiny(TP_TANH, TP_BERNOULLI), TP_F64, 6));
    assert_int_equal(m.params.n, vae.params.n);
    assert_true(fabs(loss_of(&m, &x, &y, 1) - loss_of(&m, &x, &other, 1)) > 1e-3);
    for (int i = 0; i < m.params.n; i++) {
        tp_parameter *p = m.params.item[i];
        const tp_tensor *from = &vae.params.item[i]->value;
        assert_string_equal(p->name, vae.params.item[i]->name);
        if (tp_shape_equal(p->value.shape, from->shape))
            assert_ok(tp_copy(&p->value, from));
        else
            copy_columns(&p->value, from);
    }
    assert_close(loss_of(&m, &x, &y, 1), evaluate(&vae, &x), 0, 1e-14);
    assert_close(loss_of(&m, &x, &other, 1), evaluate(&vae, &x), 0, 1e-14);
    tp_parameter *w = tp_params_find(&m.params, "decoder.0.weight");
    assert_ok(tp_set_flat(&w->value, NZ + 1, 1)); /* of label 1 */
    assert_true(fabs(loss_of(&m, &x, &y, 1) - evaluate(&vae, &x)) > 1e-4);
    tp_tensor_free(&x);
    tp_tensor_free(&y);
    tp_tensor_free(&other);
    tp_model_free(&m);
    tp_model_free(&vae);
}

/* Samples before the batch: each example keeps its label. */
static void test_samples(void **state)
{
    (void)state;
    enum { K = 5 };
    for (int dtype = TP_F32; dtype <= TP_F64; dtype++) {
        tp_model m;
        tp_tape *t;
        tp_tensor x = uniform((tp_dtype)dtype, BATCH, NX, 1), y = labels_of(BATCH, Y);
        assert_ok(
            tp_model_init(&m, &tp_model_conditional_vae, config_of(TP_RELU), (tp_dtype)dtype, 5));
        assert_ok(tp_tape_new(&t));
        tp_ctx c = tp_ctx_eval(t, 1, 0);
        c.labels = &y;
        tp_var z = tp_noise_normal(t, (tp_dtype)dtype, TP_SHAPE(K, BATCH, NZ), tp_ctx_draw(&c));
        const tp_tensor *all = tp_value(tp_data_mean(tp_model_decode(&m, &c, z)));
        assert_true(tp_shape_equal(all->shape, TP_SHAPE(K, BATCH, NX)));
        for (int64_t k = 0; k < K; k++) {
            tp_var of = tp_squeeze(tp_slice(z, 0, k, k + 1, 1), 0);
            const tp_tensor *one = tp_value(tp_data_mean(tp_model_decode(&m, &c, of)));
            for (int64_t i = 0; i < BATCH * NX; i++)
                assert_close(tp_flat(all, k * BATCH * NX + i), tp_flat(one, i), 1e-6, 0);
        }
        tp_var w = tp_model_log_weight(&m, &c, tp_constant(t, &x), K);
        assert_true(tp_shape_equal(tp_shape_of(w), TP_SHAPE(K, BATCH)));
        assert_ok(tp_tape_status(t));
        tp_tape_free(t);
        tp_tensor_free(&x);
        tp_tensor_free(&y);
        tp_model_free(&m);
    }
}

/* --- refusals ------------------------------------------------------------------------------------- */

static void refused(tp_model *m, const tp_tensor *x, const tp_tensor *y, tp_status status,
                    const char *says)
{
    tp_tape *t;
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_train(t, 1, 0);
    c.labels = y;
    assert_status(tp_var_status(tp_model_loss(m, &c, tp_constant(t, x)).total), status);
    if (strstr(tp_tape_message(t), says) == NULL)
        fail_msg("'%s' does not say '%s'", tp_tape_message(t), says);
    tp_tape_free(t);
}

static void test_refusals(void **state)
{
    (void)state;
    tp_model m;
    tp_tape *t;
    tp_model_config config = config_of(TP_RELU);
    config.classes = 0;
    assert_status(tp_model_init(&m, &tp_model_conditional_vae, config, TP_F64, 5), TP_EARG);
    assert_message("model 'conditional_vae': it wants labels, and the data have none");
    config.classes = INT64_MAX;
    assert_status(tp_model_init(&m, &tp_model_conditional_vae, config, TP_F64, 5), TP_ESHAPE);
    assert_message("9223372036854775807 classes are too many");
    assert_ok(tp_model_init(&m, &tp_model_conditional_vae, config_of(TP_RELU), TP_F64, 5));
    tp_tensor x = uniform(TP_F64, BATCH, NX, 1), none = {0};
    tp_tensor high = labels_of(BATCH, (const int64_t[]){0, 1, CLASSES, 0});
    tp_tensor low = labels_of(BATCH, (const int64_t[]){0, -1, 0, 0}), few = labels_of(3, Y);
    tp_tensor one = labels_of(1, Y);
    refused(&m, &x, NULL, TP_EARG, "the labels of the batch are needed, and are not there");
    refused(&m, &x, &none, TP_EARG, "the labels of the batch are needed, and are not there");
    refused(&m, &x, &high, TP_EVALUE, "index[2,0] = 3 is outside axis 1 of f64[4,3]");
    refused(&m, &x, &low, TP_EVALUE, "index[1,0] = -1 is outside axis 1 of f64[4,3]");
    refused(&m, &x, &few, TP_ESHAPE, "3 labels for a batch of 4: one each");
    refused(&m, &x, &one, TP_ESHAPE, "1 labels for a batch of 4: one each");
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_dist p = tp_model_generate(&m, &c, 2);
    assert_status(tp_var_status(tp_data_mean(p)), TP_EARG);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_tensor_free(&high);
    tp_tensor_free(&low);
    tp_tensor_free(&few);
    tp_tensor_free(&one);
    tp_model_free(&m);
}

/* --- learning ------------------------------------------------------------------------------------- */

enum { PIXELS = 8, EXAMPLES = 64 };

/* Class 0 has its left half lit, class 1 its right, each pixel but for one in ten. */
static tp_dataset halves(void)
{
    tp_dataset d = {.x = uniform(TP_F32, EXAMPLES, PIXELS, 4)};
    assert_ok(tp_tensor_new(&d.labels, TP_U8, TP_SHAPE(EXAMPLES)));
    for (int64_t i = 0; i < EXAMPLES * PIXELS; i++) {
        bool lit = (i % PIXELS < PIXELS / 2) == (i / PIXELS % 2 == 0);
        assert_ok(tp_set_flat(&d.x, i, (tp_flat(&d.x, i) < 0.9) == lit));
    }
    for (int64_t i = 0; i < EXAMPLES; i++)
        assert_ok(tp_set_flat(&d.labels, i, (double)(i % 2)));
    return d;
}

/* Mean −log p(x|label), where flipped with the wrong one. */
static double nll_of(tp_model *m, tp_tape *t, const tp_dataset *d, bool flipped)
{
    tp_dataset set = {.x = d->x};
    tp_batches b;
    double nll;
    assert_ok(tp_clone(&set.labels, &d->labels));
    for (int64_t i = 0; i < EXAMPLES && flipped; i++)
        assert_ok(tp_set_flat(&set.labels, i, 1 - tp_flat(&set.labels, i)));
    assert_ok(tp_batches_init(&b, &set, 16, TP_F32));
    assert_ok(tp_model_nll(m, t, &b, 1, 50, &nll));
    tp_batches_free(&b);
    tp_tensor_free(&set.labels);
    return nll;
}

/* Mean brightness of the left half less that of the right, of pictures drawn for a label. */
static double leaning(tp_model *m, tp_tape *t, int64_t label)
{
    enum { N = 50 };
    tp_tensor y;
    double sum = 0;
    assert_ok(tp_tensor_new(&y, TP_I64, TP_SHAPE(N)));
    assert_ok(tp_fill(&y, (double)label));
    tp_tape_reset(t);
    tp_ctx c = tp_ctx_eval(t, 3, 0);
    c.labels = &y;
    const tp_tensor *p = tp_value(tp_data_mean(tp_model_generate(m, &c, N)));
    assert_true(tp_shape_equal(p->shape, TP_SHAPE(N, PIXELS)));
    for (int64_t i = 0; i < N * PIXELS; i++)
        sum += (i % PIXELS < PIXELS / 2 ? 1 : -1) * tp_flat(p, i) / (N * PIXELS / 2);
    tp_tensor_free(&y);
    return sum;
}

/* After a short training an example is likelier with its own label, and pictures follow the label. Before it neither. */
static void test_learns_the_label(void **state)
{
    (void)state;
    tp_model m;
    tp_optimizer o;
    tp_batches b;
    tp_stats stats;
    tp_dataset d = halves();
    tp_model_config config = config_of(TP_RELU);
    config.data_dim = PIXELS;
    config.hidden[0] = 16;
    config.classes = 2;
    assert_ok(tp_model_init(&m, &tp_model_conditional_vae, config, TP_F32, 1));
    assert_ok(tp_adam_init(&o, &m.params, (tp_adam_opts){1e-2, 0.9, 0.999, 1e-8}));
    assert_ok(tp_batches_init(&b, &d, 16, TP_F32));
    tp_trainer t = {.loss = tp_model_loss, .model = &m, .optimizer = &o, .seed = 1};
    assert_ok(tp_tape_new(&t.tape));
    assert_close(nll_of(&m, t.tape, &d, false), nll_of(&m, t.tape, &d, true), 0.5, 0);
    assert_close(leaning(&m, t.tape, 0), leaning(&m, t.tape, 1), 0.2, 0);
    for (uint64_t e = 0; e < 60; e++)
        assert_ok(tp_train_epoch(&t, &b, e, &stats));
    double right = nll_of(&m, t.tape, &d, false), wrong = nll_of(&m, t.tape, &d, true);
    if (!(right < 4 && wrong > right + 3)) /* 8 pixels known up to one in ten are 2.6 nats */
        fail_msg("%g nats with the label, %g with the wrong one", right, wrong);
    assert_true(leaning(&m, t.tape, 0) > 0.5);
    assert_true(leaning(&m, t.tape, 1) < -0.5);
    tp_tape_free(t.tape);
    tp_batches_free(&b);
    tp_optimizer_free(&o);
    tp_model_free(&m);
    tp_dataset_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),         cmocka_unit_test(test_without_labels_the_vae),
        cmocka_unit_test(test_samples),          cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_learns_the_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
