/* train.h: a run in training, between train.c and resume.c. Read next: train.c.
 */
#ifndef VAE_TRAIN_H
#define VAE_TRAIN_H

#include "json.h"
#include "run.h"
#include "say.h"

#include "nn/checkpoint.h"

typedef struct training {
    run r;
    folder out;
    tp_batches train, test;
    tp_optimizer optimizer;
    tp_trainer trainer; /* its epochs count from 1 */
    tp_best best;       /* by validation images, if there are any */
    bar bar;
    json metrics, timing;
    int64_t begun_at;  /* samples of the epoch that were done when this call began it, */
    double begun;      /* and when that was */
    bool kept;         /* a checkpoint of this run is in the folder */
    tp_status failure; /* of a checkpoint within an epoch */
} training;

/* Data, model, optimizer and trainer of a run's settings. */
tp_status prepare_training(training *t, const options *o);
/* A run whose folder is there: everything as it was when its last checkpoint was saved, or else as at the beginning.
 * (resume.c) */
tp_status resume_training(training *t, const options *o);

/* Epochs since the best one that count, and whether they are as many as the settings let pass. */
int64_t epochs_waited(const training *t);
bool out_of_patience(const training *t);

/* What the curves are measured on, as a checkpoint says it: under test_keys[1] of validation images, [0] of test images; "none"
 * of what they are not measured on. */
enum { TEST_TEXT = 16 };
extern const char *const test_keys[2];
tp_status test_fingerprint(training *t, int key, char text[TEST_TEXT]);

/* Files of the run, from what is in memory. */
tp_status save_config(const training *t);
tp_status save_timing(const training *t);
tp_status save_results(training *t);

#endif
