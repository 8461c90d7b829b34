/* race_tapir.c: tapir's side of the race against PyTorch and JAX; race.py starts it and reads its answers.
 *
 * Trains a model of models.def with nn/train.h as a user's program would: nothing here is faster than what ships.
 * "tapir-racer DIRECTORY THREADS MODEL" reads train-images-idx3-ubyte there and then commands:
 *   plan N    writes what a peer needs to repeat the first N steps: weights, order of the data, noise
 *   check N   does them, from the initial weights: one loss per line
 *   round N   does N more, timed: seconds, steps and the mean loss of the last epoch begun
 *   probe     GFLOPS of fused multiply-adds that the processor gives right now
 * It sleeps while it waits. Read next: race.py. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "models/tapir.h"
#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 128, SEED = 1, MAX_THREADS = 256, PATH_BYTES = 4096 };

typedef struct racer {
    const char *directory;
    const tp_model_type *type;
    tp_dataset data;
    tp_batches batches;
    tp_model model;
    tp_optimizer adam;
    tp_tape *tape;
    tp_trainer trainer;
    uint64_t epoch;
    int64_t left;   /* steps to do before on_batch says stop */
    bool print;     /* every loss */
    double printed; /* sum of the losses printed, over samples */
} racer;

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The mean of five short probes: what the processor gave in these 50 ms. */
static void command_probe(void)
{
    double sum = 0;
    for (int i = 0; i < 5; i++)
        sum += bench_fma_gflops();
    printf("%.1f\n", sum / 5);
}

/* --- training ----------------------------------------------------------------------------------- */

static bool after_batch(void *user, const tp_stats *so_far)
{
    racer *r = user;
    double sum = so_far->loss * (double)so_far->samples;
    if (r->print)
        printf("%.17g\n", (sum - r->printed) / BATCH);
    r->printed = sum;
    return --r->left > 0;
}

static void forget(racer *r)
{
    tp_tape_free(r->tape);
    tp_optimizer_free(&r->adam);
    tp_model_free(&r->model);
    r->tape = NULL;
}

/* Back to the initial weights. */
static tp_status begin(racer *r)
{
    forget(r);
    TP_TRY(tp_model_init(&r->model, r->type, tp_model_defaults(r->type), TP_F32, SEED));
    TP_TRY(tp_adam_init(&r->adam, &r->model.params, tp_adam_defaults()));
    TP_TRY(tp_tape_new(&r->tape));
    r->trainer = (tp_trainer){.tape = r->tape,
                              .loss = tp_model_loss,
                              .model = &r->model,
                              .optimizer = &r->adam,
                              .seed = SEED,
                              .on_batch = after_batch,
                              .user = r};
    r->epoch = 0;
    return TP_OK;
}

static tp_status train(racer *r, int64_t steps, bool print, tp_stats *stats)
{
    r->print = print;
    for (r->left = steps; r->left > 0; r->epoch++) {
        r->printed = 0;
        TP_TRY(tp_train_epoch(&r->trainer, &r->batches, r->epoch, stats));
    }
    return TP_OK;
}

static tp_status command_check(racer *r, int64_t steps)
{
    tp_stats stats;
    TP_TRY(begin(r));
    return train(r, steps, true, &stats);
}

static tp_status command_round(racer *r, int64_t steps)
{
    tp_stats stats;
    double start = bench_now();
    TP_TRY(train(r, steps, false, &stats));
    printf("%.6f %lld %.6g\n", bench_now() - start, (long long)steps, stats.loss);
    return TP_OK;
}

/* --- the plan ----------------------------------------------------------------------------------- */

static FILE *open_file(const racer *r, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", r->directory, name);
    return fopen(path, "wb");
}

static tp_status write_order(racer *r, int64_t steps)
{
    char path[PATH_BYTES];
    FILE *f = open_file(r, "order.i64", path);
    if (f == NULL)
        return tp_fail(TP_EIO, "%s cannot be written", path);
    tp_batches_shuffle(&r->batches, SEED, 0);
    size_t n = (size_t)steps * BATCH;
    bool good = fwrite(tp_data(&r->batches.order), sizeof(int64_t), n, f) == n;
    good &= fclose(f) == 0;
    return good ? TP_OK : tp_fail(TP_EIO, "%s cannot be written", path);
}

/* The draw that the model makes first, and only, in every step. */
static tp_status write_noise(racer *r, int64_t steps)
{
    char path[PATH_BYTES];
    tp_tensor eps; /* [batch, nz] */
    int64_t n = BATCH * r->model.config.latent_dim;
    FILE *f = open_file(r, "noise.f32", path);
    if (f == NULL)
        return tp_fail(TP_EIO, "%s cannot be written", path);
    tp_status s = tp_tensor_new(&eps, TP_F32, TP_SHAPE(n));
    for (int64_t step = 0; s == TP_OK && step < steps; step++) {
        s = tp_random_normal(&eps, tp_ctx_train(r->tape, SEED, (uint64_t)step).key);
        if (s == TP_OK && fwrite(tp_data(&eps), sizeof(float), (size_t)n, f) != (size_t)n)
            s = tp_fail(TP_EIO, "%s cannot be written", path);
    }
    tp_tensor_free(&eps);
    if (fclose(f) != 0 && s == TP_OK)
        s = tp_fail(TP_EIO, "%s cannot be written", path);
    return s;
}

static tp_status command_plan(racer *r, int64_t steps)
{
    char path[PATH_BYTES];
    if (steps > tp_batches_count(&r->batches))
        return tp_fail(TP_EARG, "%lld steps: an epoch has fewer", (long long)steps);
    snprintf(path, sizeof path, "%s/weights.safetensors", r->directory);
    TP_TRY(begin(r));
    TP_TRY(tp_params_save(&r->model.params, path, NULL));
    TP_TRY(write_order(r, steps));
    TP_TRY(write_noise(r, steps));
    puts("planned");
    return TP_OK;
}

/* --- commands ----------------------------------------------------------------------------------- */

static tp_status obey(racer *r, const char *line, bool *quit)
{
    char word[16] = "";
    long long n = 0;
    int read = sscanf(line, "%15s %lld", word, &n);
    *quit = read < 1 || strcmp(word, "quit") == 0;
    if (*quit)
        return TP_OK;
    if (strcmp(word, "probe") == 0) {
        command_probe();
        return TP_OK;
    }
    if (n < 1)
        return tp_fail(TP_EARG, "%s: a number of steps is needed", word);
    if (strcmp(word, "plan") == 0)
        return command_plan(r, n);
    if (strcmp(word, "check") == 0)
        return command_check(r, n);
    if (strcmp(word, "round") == 0)
        return command_round(r, n);
    return tp_fail(TP_EARG, "%s: no such command", word);
}

static tp_status serve(racer *r, int threads)
{
    char line[64];
    bool quit = false;
    TP_TRY(tp_set_threads(threads));
    TP_TRY(tp_dataset_read(&r->data, r->directory, "train"));
    TP_TRY(tp_batches_init(&r->batches, &r->data, BATCH, TP_F32));
    TP_TRY(begin(r));
    printf("ready: %s, %d thread(s)\n", tp_isa(), tp_threads());
    fflush(stdout);
    while (!quit && fgets(line, sizeof line, stdin) != NULL) {
        TP_TRY(obey(r, line, &quit));
        fflush(stdout);
    }
    return TP_OK;
}

/* What race.py calls the types with their defaults. */
static const tp_model_type *find(const char *model)
{
    return strcmp(model, "vae-400") == 0    ? tp_model_find("vae")
           : strcmp(model, "vae-conv") == 0 ? tp_model_find("conv_vae")
                                            : NULL;
}

int main(int argc, char **argv)
{
    racer r = {.type = argc == 4 ? find(argv[3]) : NULL};
    if (r.type == NULL || atoi(argv[2]) < 1 || atoi(argv[2]) > MAX_THREADS) {
        fputs(
            "usage: tapir-racer DIRECTORY THREADS vae-400|vae-conv; tests/bench/race.py starts it\n",
            stderr);
        return 2;
    }
    r.directory = argv[1];
    tp_status s = serve(&r, atoi(argv[2]));
    if (s != TP_OK)
        fprintf(stderr, "tapir-racer: %s\n", tp_last_error());
    forget(&r);
    tp_batches_free(&r.batches);
    tp_dataset_free(&r.data);
    return s == TP_OK ? 0 : 1;
}
