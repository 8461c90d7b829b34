/* test_interchange.c: a VAE that PyTorch trained and saved under the names of its own example reconstructs in tapir
 * as it does in PyTorch.
 *
 * With arguments this is the C side of check_pytorch.sh: "reconstruct DIR" does the same for any sizes and
 * writes what came out, "write DIR" writes files of every kind for safetensors.torch to read.
 * Read next: interchange.py, which made the files.
 */
#include "tests/oracle/oracle.h"

#include <string.h>

#include "autograd/ops.h"
#include "models/uses.h"
#include "nn/checkpoint.h"

/* --- names, for the guide -------------------------------------------------------------------------- */

/* PyTorch's example calls its layers otherwise. */
static const char *const names[][2] = {
    {"encoder.0", "fc1"}, {"mu", "fc21"},       {"logvar", "fc22"},
    {"decoder.0", "fc3"}, {"decoder.2", "fc4"},
};

static tp_status load_layer(const tp_params *ps, const tp_safetensors *file, const char *to,
                            const char *from, const char *what)
{
    char here[64], there[64];
    tp_tensor t;
    snprintf(here, sizeof here, "%s.%s", to, what);
    snprintf(there, sizeof there, "%s.%s", from, what);
    tp_parameter *p = tp_params_find(ps, here);
    if (p == NULL)
        return tp_fail(TP_EVALUE, "the model has no parameter '%s'", here);
    if (p->value.dtype == TP_F32)
        return tp_safetensors_load(file, there, &p->value);
    TP_TRY(tp_safetensors_load_new(file, there, &t)); /* f32 in the file, f64 in the model */
    tp_status s = tp_copy(&p->value, &t);
    tp_tensor_free(&t);
    return s;
}

static tp_status load_from_pytorch(const tp_params *ps, const tp_safetensors *file)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        TP_TRY(load_layer(ps, file, names[i][0], names[i][1], "weight"));
        TP_TRY(load_layer(ps, file, names[i][0], names[i][1], "bias"));
    }
    return TP_OK;
}

/* --- reconstructing -------------------------------------------------------------------------------- */

typedef struct answer {
    tp_tensor mu, logvar, y; /* [n, latent] twice, [n, width] */
} answer;

static void answer_free(answer *a)
{
    tp_tensor_free(&a->mu);
    tp_tensor_free(&a->logvar);
    tp_tensor_free(&a->y);
}

/* A model of the sizes that the file has, with its weights. */
static void open_model(tp_model *m, const char *path, tp_dtype dtype)
{
    tp_safetensors file;
    tp_model_config config = tp_model_defaults(&tp_model_vae);
    assert_ok(tp_safetensors_open(&file, path));
    assert_int_equal(file.n, 10);
    const tp_safetensors_entry *first = tp_safetensors_find(&file, "fc1.weight"),
                               *mu = tp_safetensors_find(&file, "fc21.weight");
    assert_true(first != NULL && mu != NULL);
    config.hidden[0] = first->shape.dim[0];
    config.data_dim = first->shape.dim[1];
    config.latent_dim = mu->shape.dim[0];
    assert_ok(tp_model_init(m, &tp_model_vae, config, dtype, 1));
    assert_ok(load_from_pytorch(&m->params, &file));
    tp_safetensors_close(&file);
}

static answer reconstruct(const tp_model *m, const tp_tensor *x)
{
    tp_tape *t;
    answer a;
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_dist q = tp_model_posterior(m, &c, tp_constant(t, x));
    tp_var y = tp_data_mean(tp_model_decode(m, &c, q.param[0])); /* [n, width] */
    assert_ok(tp_tape_status(t));
    assert_ok(tp_clone(&a.mu, tp_value(q.param[0])));
    assert_ok(tp_clone(&a.logvar, tp_value(q.param[1])));
    assert_ok(tp_clone(&a.y, tp_value(y)));
    tp_tape_free(t);
    return a;
}

static void within(const tp_safetensors *file, const char *what, const char *tag,
                   const tp_tensor *got, double bound)
{
    char name[ORACLE_NAME];
    double worst = 0;
    tp_tensor want = oracle_load(file, joined(name, what, tag));
    assert_true(tp_shape_equal(got->shape, want.shape) && tp_numel(got) > 0);
    for (int64_t i = 0; i < tp_numel(got); i++)
        worst = fmax(worst, fabs(tp_flat(got, i) - tp_flat(&want, i)));
    print_message("%s: off by %.2g\n", name, worst);
    assert_true(worst <= bound);
    tp_tensor_free(&want);
}

static void compare_in(tp_dtype dtype, double bound)
{
    tp_model m;
    tp_safetensors file;
    const char *tag = tp_dtype_name(dtype);
    assert_ok(tp_safetensors_open(&file, ORACLE_FILE("interchange.safetensors")));
    open_model(&m, ORACLE_FILE("pytorch_vae.safetensors"), dtype);
    tp_tensor x = oracle_load_as(&file, "x", dtype);
    answer a = reconstruct(&m, &x);
    within(&file, "y", tag, &a.y, bound); /* probabilities */
    within(&file, "mu", tag, &a.mu, 10 * bound);
    within(&file, "logvar", tag, &a.logvar, 10 * bound);
    answer_free(&a);
    tp_tensor_free(&x);
    tp_model_free(&m);
    tp_safetensors_close(&file);
}

static void test_reconstructions(void **state)
{
    (void)state;
    compare_in(TP_F32, 1e-5);
    compare_in(TP_F64, 1e-13);
}

/* The negative control: one weight a little off, or mean and log-variance exchanged, is more than the bound. */
static void test_notices(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        tp_model m;
        tp_safetensors file;
        double worst = 0;
        assert_ok(tp_safetensors_open(&file, ORACLE_FILE("interchange.safetensors")));
        open_model(&m, ORACLE_FILE("pytorch_vae.safetensors"), TP_F32);
        tp_parameter *mu = tp_params_find(&m.params, "mu.bias");
        if (i == 0)
            assert_ok(tp_set_flat(&mu->value, 0, tp_flat(&mu->value, 0) + 1e-3));
        else
            assert_ok(tp_copy(&mu->value, &tp_params_find(&m.params, "logvar.bias")->value));
        tp_tensor x = oracle_load(&file, "x"), want = oracle_load(&file, "y.f32");
        answer a = reconstruct(&m, &x);
        for (int64_t k = 0; k < tp_numel(&want); k++)
            worst = fmax(worst, fabs(tp_flat(&a.y, k) - tp_flat(&want, k)));
        assert_true(worst > 1e-5);
        answer_free(&a);
        tp_tensor_free(&x);
        tp_tensor_free(&want);
        tp_model_free(&m);
        tp_safetensors_close(&file);
    }
}

/* Under PyTorch's names the file is not the model's, and the message says which name is missing or unknown. */
static void test_refused_as_it_is(void **state)
{
    (void)state;
    tp_model m;
    open_model(&m, ORACLE_FILE("pytorch_vae.safetensors"), TP_F32);
    assert_status(tp_params_load(&m.params, ORACLE_FILE("pytorch_vae.safetensors")), TP_EFORMAT);
    assert_message("encoder.0.weight");
    tp_model_free(&m);
}

/* renamed.safetensors, which has tapir's names, gives the model that is there. */
static void check_renamed(const tp_model *m, const char *path)
{
    tp_model other;
    assert_ok(tp_model_init(&other, m->type, m->config, TP_F32, 2));
    assert_ok(tp_params_load(&other.params, path));
    for (int i = 0; i < m->params.n; i++)
        assert_true(equal_bits(&m->params.item[i]->value, &other.params.item[i]->value));
    tp_model_free(&other);
}

/* --- the C side of check_pytorch.sh -------------------------------------------------------------- */

static const char *in(const char *folder, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void command_reconstruct(const char *folder)
{
    tp_safetensors file;
    answer a[2];
    assert_ok(tp_safetensors_open(&file, in(folder, "interchange.safetensors")));
    for (int i = 0; i < 2; i++) {
        tp_dtype dtype = i == 0 ? TP_F32 : TP_F64;
        tp_model m;
        open_model(&m, in(folder, "pytorch_vae.safetensors"), dtype);
        tp_tensor x = oracle_load_as(&file, "x", dtype);
        a[i] = reconstruct(&m, &x);
        if (dtype == TP_F32)
            check_renamed(&m, in(folder, "renamed.safetensors"));
        tp_tensor_free(&x);
        tp_model_free(&m);
    }
    tp_named_tensor items[] = {{"y.f32", &a[0].y}, {"y.f64", &a[1].y}};
    assert_ok(tp_safetensors_save(in(folder, "y.safetensors"), items, 2, NULL));
    answer_free(&a[0]);
    answer_free(&a[1]);
    tp_safetensors_close(&file);
}

/* Every type in odd shapes, under a name that needs escapes: element i is (7 i + 3) mod 251. */
static void write_mixed(const char *path)
{
    enum { SHAPES = 4, ITEMS = SHAPES * TP_DTYPE_COUNT };
    const tp_shape shape[] = {TP_SHAPE(3, 5), TP_SHAPE(), TP_SHAPE(0, 4), TP_SHAPE(2, 1, 3, 1, 2)};
    const char *const what[] = {"a matrix", "scalar", "empty", "deep"};
    const char *const texts[] = {"format", "pt", "a \"quoted\" key", "line\nbreak, µ, \\", NULL};
    tp_tensor t[ITEMS];
    tp_named_tensor items[ITEMS];
    char name[ITEMS][64];
    for (int i = 0; i < ITEMS; i++) {
        tp_dtype dtype = (tp_dtype)(i / SHAPES);
        snprintf(name[i], sizeof name[i], "%s/%s μ\"\\", what[i % SHAPES], tp_dtype_name(dtype));
        assert_ok(tp_tensor_new(&t[i], dtype, shape[i % SHAPES]));
        for (int64_t k = 0; k < tp_numel(&t[i]); k++)
            assert_ok(tp_set_flat(&t[i], k, (double)((7 * k + 3) % 251)));
        items[i] = (tp_named_tensor){name[i], &t[i]};
    }
    assert_ok(tp_safetensors_save(path, items, ITEMS, texts));
    for (int i = 0; i < ITEMS; i++)
        tp_tensor_free(&t[i]);
}

static void write_trained(const char *folder)
{
    tp_model m;
    tp_dataset data = {0};
    tp_batches batches;
    tp_optimizer adam;
    tp_checkpoint c;
    tp_stats stats;
    tp_model_config config = tp_model_defaults(&tp_model_vae);
    const char *const texts[] = {"config", "{\"latent\": 3}", NULL};
    char from[512];
    config.data_dim = 20, config.hidden[0] = 7, config.latent_dim = 3;
    assert_ok(tp_model_init(&m, &tp_model_vae, config, TP_F32, 1));
    assert_ok(tp_tensor_new(&data.x, TP_U8, TP_SHAPE(10, 20)));
    assert_ok(tp_fill(&data.x, 77));
    assert_ok(tp_batches_init(&batches, &data, 4, TP_F32));
    assert_ok(tp_adam_init(&adam, &m.params, tp_adam_defaults()));
    tp_trainer trainer = {.loss = tp_model_loss, .model = &m, .optimizer = &adam, .seed = 1};
    assert_ok(tp_tape_new(&trainer.tape));
    assert_ok(tp_train_epoch(&trainer, &batches, 0, &stats));
    assert_ok(tp_params_save(&m.params, in(folder, "tapir_weights.safetensors"), texts));
    assert_ok(tp_checkpoint_save(folder, &trainer, &batches, texts));
    assert_ok(tp_checkpoint_open(&c, folder));
    snprintf(from, sizeof from, "%s", c.path);
    tp_checkpoint_close(&c);
    assert_int_equal(rename(from, in(folder, "tapir_checkpoint.safetensors")), 0);
    tp_tape_free(trainer.tape);
    tp_optimizer_free(&adam);
    tp_batches_free(&batches);
    tp_dataset_free(&data);
    tp_model_free(&m);
}

static const char *folder;

static void test_reconstruct_in_folder(void **state)
{
    (void)state;
    command_reconstruct(folder);
}

static void test_write_in_folder(void **state)
{
    (void)state;
    write_mixed(in(folder, "tapir_mixed.safetensors"));
    write_trained(folder);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reconstructions),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_refused_as_it_is),
    };
    const struct CMUnitTest reconstruct_only[] = {cmocka_unit_test(test_reconstruct_in_folder)};
    const struct CMUnitTest write_only[] = {cmocka_unit_test(test_write_in_folder)};
    if (argc != 3)
        return cmocka_run_group_tests(tests, NULL, NULL) != 0;
    folder = argv[2];
    if (strcmp(argv[1], "write") == 0)
        return cmocka_run_group_tests(write_only, NULL, NULL) != 0;
    return cmocka_run_group_tests(reconstruct_only, NULL, NULL) != 0;
}
