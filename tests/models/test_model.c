/* test_model.c: models as things: the table, the names of parameters, files of other models.
 *
 * What holds for every model: test_conformance.c. What the VAE's loss is: test_vae.c. Read next: models/model.h.
 */
#include "tests/models/fixture.h"

/* --- files -------------------------------------------------------------------------------------- */

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

/* --- names and the table ------------------------------------------------------------------------ */

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

static void test_table(void **state)
{
    (void)state;
    assert_ptr_equal(tp_model_find("vae"), &tp_model_vae);
    assert_ptr_equal(tp_model_find("ae"), &tp_model_ae);
    assert_null(tp_model_find("gan"));
    assert_null(tp_model_find(""));
    tp_model m;
    assert_ok(tp_model_init(&m, &tp_model_vae, tp_model_defaults(&tp_model_vae), TP_F32, 1));
    assert_int_equal(tp_params_count(&m.params), 652824); /* as pytorch/examples vae */
    tp_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_models_file),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
