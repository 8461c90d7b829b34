/* run.h: what a command works on: threads, data, a model; and the folder that results go to.
 *
 * Read next: run.c, then train.c.
 */
#ifndef VAE_RUN_H
#define VAE_RUN_H

#include "options.h"

typedef struct run {
    options o;
    const char *
        test_split; /* its name: what is measured on, in training "valid" where there is one; NULL: nothing */
    tp_dataset train, test; /* empty if not opened or not there */
    tp_model model;
    tp_tape *tape;
} run;

/* Each step needs those above it; run_close frees whatever was opened. */
tp_status run_open(run *r, const options *o);
/* Reads the training images and, if there are any, those to measure on; all must be of one size, and grey or in colour: the
 * first ones settle what o.channels leaves open. The latter are those of the split that is given, else for a new run those
 * of a split valid or the last o.valid training images, else the test images. */
tp_status run_data(run *r);
/* Says so if there are no test images. */
void run_note_untested(const run *r);
/* The training images alone. */
tp_status run_training_data(run *r);
/* Whether r->test are validation images, so that training may choose by them. */
bool run_has_valid(const run *r);
/* The model's value of an option of this name; 0 if it has none. */
double run_option(const run *r, const char *name);
/* Minibatches of r->train or r->test, binarized as the run says; each has draws of its own. */
tp_status run_batches(const run *r, tp_batches *b, const tp_dataset *d, int64_t batch_size,
                      tp_dtype dtype);
/* What training r->model begins with: minibatches, optimizer and trainer of the run's settings. They stay where they are
 * while in use; each is freed by its own function. */
tp_status run_trainer(run *r, tp_batches *b, tp_optimizer *optimizer, tp_trainer *t);
/* A fresh model for the data, or that of the folder o.run. */
tp_status run_new_model(run *r);
tp_status run_load_model(run *r);
void run_close(run *r);

/* A file in a folder; PATH_SIZE is enough for what options let through. */
const char *path_in(char path[PATH_SIZE], const char *dir, const char *name);

/* The folder of results. It must be new or empty, which folder_check has to say once more when it is locked: until
 * then another process may come first. What had to be made, parents included, is undone as long as it is empty. */
typedef struct folder {
    char path[PATH_SIZE];
    size_t kept; /* the part of path that was there before */
    int lock;    /* descriptor; 0: none */
} folder;

tp_status folder_check(const char *path);
tp_status folder_make(folder *f, const char *path);
/* One that is there already. */
tp_status folder_open(folder *f, const char *path);
/* Keeps other processes out until folder_unlock or the end of the process; TP_EIO if one is in. */
tp_status folder_lock(folder *f);
void folder_unlock(folder *f);
void folder_undo(const folder *f);

#endif
