/* 05_autoencoder.c: an autoencoder on real digits, using a model of the library and the trainer.
 * Writes autoencoder.png (digits above, reconstructions below) if given a file name.
 * Read 06_vae.c next: the same network with a distribution in the middle. */
#include "models/tapir.h"

#include <stdio.h>

enum { SHOWN = 10 };

/* Ten test digits and what the model makes of them, as a grid of two rows. */
static tp_status draw(tp_model *model, tp_tape *tape, const tp_dataset *test, const char *path)
{
    tp_batches few = {0};
    tp_batch batch;
    tp_tensor grid = {0}, top, bottom;
    bool got;
    TP_TRY(tp_batches_init(&few, test, SHOWN, TP_F32));
    TP_TRY(tp_batches_next(&few, &batch, &got));
    tp_tape_reset(tape);
    tp_ctx c = tp_ctx_eval(tape, 0, 0);
    const tp_tensor *rebuilt =
        tp_value(tp_model_reconstruct(model, &c, tp_constant(tape, &batch.x)));
    if (rebuilt == NULL)
        return tp_tape_status(tape);
    TP_TRY(tp_tensor_new(&grid, TP_F32, TP_SHAPE(2 * SHOWN, 28, 28)));
    TP_TRY(tp_view_reshape(&grid, TP_SHAPE(2, SHOWN, 784), &top));
    TP_TRY(tp_view_select(&top, 0, 1, &bottom));
    TP_TRY(tp_view_select(&top, 0, 0, &top));
    TP_TRY(tp_copy(&top, &batch.x));
    TP_TRY(tp_copy(&bottom, rebuilt));
    TP_TRY(tp_png_grid(path, &grid, SHOWN, 2, 2));
    tp_tensor_free(&grid);
    tp_batches_free(&few);
    return TP_OK;
}

static tp_status run(const char *picture)
{
    tp_dataset train = {0}, test = {0};
    tp_batches batches;
    tp_model model;
    tp_optimizer adam;
    tp_tape *tape;
    tp_model_config config = tp_model_defaults(&tp_model_ae);
    config.hidden[0] = 128;
    config.latent_dim = 16;
    TP_TRY(tp_set_threads(0));
    TP_TRY(tp_dataset_read(&train, TAPIR_EXAMPLE_DATA, "train"));
    TP_TRY(tp_dataset_read(&test, TAPIR_EXAMPLE_DATA, "t10k"));
    TP_TRY(tp_batches_init(&batches, &train, 100, TP_F32));
    TP_TRY(tp_model_init(&model, &tp_model_ae, config, TP_F32, 1));
    TP_TRY(tp_adam_init(&adam, &model.params, tp_adam_defaults()));
    TP_TRY(tp_tape_new(&tape));
    tp_trainer trainer = {
        .tape = tape, .loss = tp_model_loss, .model = &model, .optimizer = &adam, .seed = 1};
    for (uint64_t epoch = 1; epoch <= 3; epoch++) {
        tp_stats s;
        TP_TRY(tp_train_epoch(&trainer, &batches, epoch, &s));
        printf("epoch %d  reconstruction %.2f nats per digit\n", (int)epoch, s.loss);
    }
    if (picture != NULL)
        TP_TRY(draw(&model, tape, &test, picture));
    tp_tape_free(tape);
    tp_optimizer_free(&adam);
    tp_model_free(&model);
    tp_batches_free(&batches);
    tp_dataset_free(&train);
    tp_dataset_free(&test);
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
