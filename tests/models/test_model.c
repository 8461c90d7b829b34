/* test_model.c: models as things: the table, parameters and their names, files, encoding and decoding, refused
 * configurations, memory.
 *
 * What the loss is and whether its gradient is right: test_vae.c. Read next: models/model.h.
 */
#include "tests/models/fixture.h"

#include <math.h>
#include <string.h>

#include "autograd/ops.h"
#include "models/uses.h"
#include "tensor/mem.h"

/* --- files -------------------------------------------------------------------------------------- */

static void test_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < tp_model_type_count; i++)
        for (int d = TP_F32; d <= TP_F64; d++) {
            tp_model a, b;
            tp_model_config config = tiny(TP_RELU, TP_BERNOULLI);
            const char *path = test_tmp("model.safetensors");
            assert_ok(tp_model_init(&a, tp_model_types[i], config, (tp_dtype)d, 1));
            assert_ok(tp_model_init(&b, tp_model_types[i], config, (tp_dtype)d, 2));
            tp_tensor x = uniform((tp_dtype)d, 5, 3, 3);
            assert_true(evaluate(&a, &x) != evaluate(&b, &x));
            assert_ok(tp_params_save(&a.params, path, NULL));
            assert_ok(tp_params_load(&b.params, path));
            for (int k = 0; k < a.params.n; k++)
                assert_true(equal_bits(&a.params.item[k]->value, &b.params.item[k]->value));
            assert_true(evaluate(&a, &x) == evaluate(&b, &x));
            tp_tensor_free(&x);
            tp_model_free(&a);
            tp_model_free(&b);
        }
}

/* A VAE does not load as an autoencoder, nor with other sizes; the message names a tensor. */
static void test_other_models_file(void **state)
{
    (void)state;
    tp_model vae, ae, wide;
    tp_model_config config = tiny(TP_RELU, TP_BERNOULLI);
    const char *path = test_tmp("vae.safetensors");
    assert_ok(tp_model_init(&vae, &tp_model_vae, config, TP_F32, 1));
    assert_ok(tp_model_init(&ae, &tp_model_ae, config, TP_F32, 2));
    config.hidden[0] = 5;
    assert_ok(tp_model_init(&wide, &tp_model_vae, config, TP_F32, 2));
    assert_ok(tp_params_save(&vae.params, path, NULL));
    assert_status(tp_params_load(&ae.params, path), TP_EFORMAT);
    assert_message("tensor 'logvar.");
    assert_message("is one too many");
    assert_status(tp_params_load(&wide.params, path), TP_EFORMAT);
    assert_message("tensor 'encoder.0.weight' is f32[4,3], expected f32[5,3]");
    tp_model_free(&vae);
    tp_model_free(&ae);
    tp_model_free(&wide);
}

/* --- encoding and decoding ------------------------------------------------------------------- */

/* Decoding gives the mean of p(x|z), encoding the posterior, for any leading shape of z. */
static void test_encode_decode(void **state)
{
    (void)state;
    tp_tape *t;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < tp_model_type_count; i++) {
        tp_model m;
        tp_tensor x = uniform(TP_F32, 5, 3, 1);
        tp_tape_reset(t);
        assert_ok(tp_model_init(&m, tp_model_types[i], tiny(TP_RELU, TP_GAUSSIAN), TP_F32, 1));
        tp_ctx c = tp_ctx_eval(t, 1, 0);
        tp_var code = tp_model_code(&m, &c, tp_constant(t, &x));
        assert_true(tp_shape_equal(tp_shape_of(code), TP_SHAPE(5, 2)));
        tp_var z = tp_full(t, TP_F32, TP_SHAPE(4, 5, 2), 0.3);
        tp_var mean = tp_data_mean(tp_model_decode(&m, &c, z));
        assert_true(tp_shape_equal(tp_shape_of(mean), TP_SHAPE(4, 5, 3)));
        for (int64_t k = 0; k < 60; k++)
            assert_true(tp_flat(tp_value(mean), k) > 0 && tp_flat(tp_value(mean), k) < 1);
        assert_int_equal(c.key.draw, 0); /* nothing was drawn */
        tp_tensor_free(&x);
        tp_model_free(&m);
    }
    tp_tape_free(t);
}

/* --- names and configurations ------------------------------------------------------------------ */

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"encoder.0.weight", "encoder.0.bias",   "encoder.2.weight",
                                        "encoder.2.bias",   "mu.weight",        "mu.bias",
                                        "logvar.weight",    "logvar.bias",      "decoder.0.weight",
                                        "decoder.0.bias",   "decoder.2.weight", "decoder.2.bias",
                                        "decoder.4.weight", "decoder.4.bias"};
    tp_model_config config = tiny(TP_RELU, TP_BERNOULLI);
    tp_model m;
    config.hidden[1] = 7;
    config.hidden_layers = 2;
    assert_ok(tp_model_init(&m, &tp_model_vae, config, TP_F32, 1));
    assert_int_equal(m.params.n, 14);
    for (int i = 0; i < 14; i++)
        assert_string_equal(m.params.item[i]->name, names[i]);
    /* the decoder mirrors the encoder: 3-4-7-2-7-4-3 */
    assert_true(tp_shape_equal(m.params.item[2]->value.shape, TP_SHAPE(7, 4)));
    assert_true(tp_shape_equal(m.params.item[8]->value.shape, TP_SHAPE(7, 2)));
    assert_true(tp_shape_equal(m.params.item[12]->value.shape, TP_SHAPE(3, 4)));
    tp_model_free(&m);
}

static void refuse(tp_model_config config, const char *says)
{
    tp_model m = {0};
    size_t before = tp_mem().live_bytes;
    for (int i = 0; i < tp_model_type_count; i++) {
        assert_status(tp_model_init(&m, tp_model_types[i], config, TP_F32, 1), TP_EARG);
        assert_message(says);
    }
    assert_null(m.self);
    assert_int_equal(tp_mem().live_bytes, before);
    tp_model_free(&m); /* of a model that never was: fine */
}

static void test_wrong_configurations(void **state)
{
    (void)state;
    const tp_model_config good = tiny(TP_RELU, TP_BERNOULLI);
    tp_model_config c = good;
    c.data_dim = 0;
    refuse(c, "a model of 0 inputs and 2 latents");
    c = good, c.latent_dim = -2;
    refuse(c, "a model of 3 inputs and -2 latents");
    c = good, c.hidden_layers = 0;
    refuse(c, "0 hidden layers: 1 to 7 are supported");
    c = good, c.hidden_layers = 8;
    refuse(c, "8 hidden layers: 1 to 7 are supported");
    c = good, c.hidden_layers = 2;
    refuse(c, "hidden layer 2 has size 0");
    const double beta[] = {-1, NAN, INFINITY};
    for (int i = 0; i < 3; i++) {
        c = good, c.beta = beta[i];
        refuse(c, "beta is ");
    }
}

/* Failures further in, the last after half of the model was made: what was taken is given back. */
static void test_failures_inside(void **state)
{
    (void)state;
    const tp_model_config good = tiny(TP_RELU, TP_BERNOULLI);
    tp_model_config c = good;
    tp_model m;
    size_t before = tp_mem().live_bytes;
    assert_status(tp_model_init(&m, &tp_model_vae, good, TP_I64, 1), TP_EDTYPE);
    c.data_dim = INT64_C(1) << 61; /* more than an address can count */
    assert_status(tp_model_init(&m, &tp_model_vae, c, TP_F32, 1), TP_ESHAPE);
    c = good, c.latent_dim = INT64_C(1) << 61;
    assert_status(tp_model_init(&m, &tp_model_vae, c, TP_F32, 1), TP_ESHAPE);
    c = good, c.latent_dim = 100000;
    tp_mem_set_budget(before + 1000000); /* the decoder does not fit */
    assert_status(tp_model_init(&m, &tp_model_vae, c, TP_F32, 1), TP_ENOMEM);
    tp_mem_set_budget(0);
    assert_int_equal(tp_mem().live_bytes, before);
}

static void test_table(void **state)
{
    (void)state;
    assert_ptr_equal(tp_model_find("vae"), &tp_model_vae);
    assert_ptr_equal(tp_model_find("ae"), &tp_model_ae);
    assert_null(tp_model_find("gan"));
    assert_null(tp_model_find(""));
    for (int i = 0; i < tp_model_type_count; i++) {
        assert_ptr_equal(tp_model_find(tp_model_types[i]->name), tp_model_types[i]);
        assert_true(strlen(tp_model_types[i]->summary) > 0);
        assert_true(strlen(tp_model_types[i]->objective) > 0);
    }
    tp_model m;
    assert_ok(tp_model_init(&m, &tp_model_vae, tp_model_defaults(&tp_model_vae), TP_F32, 1));
    assert_int_equal(tp_params_count(&m.params), 652824); /* as pytorch/examples vae */
    tp_model_free(&m);
}

/* Everything a model takes it gives back. */
static void test_memory(void **state)
{
    (void)state;
    size_t before = tp_mem().live_bytes;
    tp_model m;
    assert_ok(tp_model_init(&m, &tp_model_vae, tp_model_defaults(&tp_model_vae), TP_F32, 1));
    tp_model_free(&m);
    assert_int_equal(tp_mem().live_bytes, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_other_models_file),
        cmocka_unit_test(test_encode_decode),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_wrong_configurations),
        cmocka_unit_test(test_failures_inside),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
