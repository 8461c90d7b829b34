/* 14_models.c: models of the library in a program of your own: found by name, given an option, trained, and asked for
 * log p(x) of digits they have not seen, all in the same way.
 *
 * A minute of training would bring each of them tens of nats further; here they get a few seconds together. With an
 * argument the last one's draws are written to that PNG. Read models/models.def next for which there are. */
#include "models/tapir.h"

#include <stdio.h>
#include <string.h>

static tp_status show(const tp_model *m, tp_tape *t, const char *path)
{
    tp_tensor pictures;
    tp_tape_reset(t);
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var mean = tp_data_mean(tp_model_generate(m, &c, 64)); /* [64, 784] */
    TP_TRY(tp_var_status(mean));
    TP_TRY(tp_view_reshape(tp_value(mean), TP_SHAPE(64, 28, 28), &pictures));
    return tp_png_grid(path, &pictures, 8, 2, 2);
}

static tp_status train(tp_model *m, tp_tape *t, tp_batches *digits, tp_batches *others)
{
    tp_optimizer adam;
    tp_stats s;
    double nll;
    TP_TRY(tp_adam_init(&adam, &m->params, tp_adam_defaults()));
    tp_trainer trainer = {
        .tape = t, .loss = tp_model_loss, .model = m, .optimizer = &adam, .seed = 1};
    for (uint64_t epoch = 1; epoch <= 2; epoch++)
        TP_TRY(tp_train_epoch(&trainer, digits, epoch, &s));
    TP_TRY(tp_model_nll(m, t, others, 1, 20, &nll));
    printf("%-10s minimises %s\n%-10s %.1f in training, -log p(x) of other digits %.1f nats%s\n",
           m->type->name, m->type->objective, "", s.loss, nll,
           m->type->logprob != NULL ? ", exactly" : " or less");
    tp_optimizer_free(&adam);
    return TP_OK;
}

static tp_status run(const char *path)
{
    static const char *const names[] = {"vae", "iwae", "made", "vamp_vae"};
    tp_dataset train_set = {0}, test_set = {0};
    tp_batches digits, others;
    tp_tape *t;
    TP_TRY(tp_dataset_read(&train_set, TAPIR_EXAMPLE_DATA, "train"));
    TP_TRY(tp_dataset_read(&test_set, TAPIR_EXAMPLE_DATA, "t10k"));
    TP_TRY(tp_batches_init(&digits, &train_set, 100, TP_F32));
    TP_TRY(tp_batches_init(&others, &test_set, 100, TP_F32));
    /* log p(x) is one of bits: grey pixels have none under a Bernoulli decoder */
    TP_TRY(tp_batches_binarize(&digits, (tp_binarize_opts){TP_BINARIZE_STATIC, 1}));
    TP_TRY(tp_batches_binarize(&others, (tp_binarize_opts){TP_BINARIZE_STATIC, 2}));
    TP_TRY(tp_tape_new(&t));
    for (int i = 0; i < 4; i++) {
        tp_model m;
        const tp_model_type *type = tp_model_find(names[i]);
        tp_model_config config = tp_model_defaults(type);
        config.hidden[0] = 100;
        config.examples = tp_dataset_size(&train_set);
        if (strcmp(names[i], "vamp_vae") == 0)
            TP_TRY(tp_model_set(&config, type, "components", 50));
        TP_TRY(tp_model_init(&m, type, config, TP_F32, 1));
        TP_TRY(train(&m, t, &digits, &others));
        if (path != NULL && i == 3)
            TP_TRY(show(&m, t, path));
        tp_model_free(&m);
    }
    tp_tape_free(t);
    tp_batches_free(&digits);
    tp_batches_free(&others);
    tp_dataset_free(&train_set);
    tp_dataset_free(&test_set);
    return TP_OK;
}

int main(int argc, char **argv)
{
    if (run(argc > 1 ? argv[1] : NULL) != TP_OK) {
        fprintf(stderr, "%s\n", tp_last_error());
        return 1;
    }
    return 0;
}
