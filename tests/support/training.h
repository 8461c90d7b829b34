/* training.h: a short training run, and every bit that comes out of it in one record.
 *
 * A setup says what is computed; a manner says how (threads, what lay in memory, where the data stand), which may
 * not change a bit. Returns statuses and asserts nothing: runs on any thread.
 * Read next: tests/determinism/check_threads.c.
 */
#ifndef TP_TESTS_TRAINING_H
#define TP_TESTS_TRAINING_H

#include "models/uses.h"

typedef enum optimizer_kind { ADAM, MOMENTUM, SGD } optimizer_kind;

typedef struct setup {
    const char *name;
    const tp_model_type *model;
    tp_likelihood likelihood;
    tp_dtype dtype;
    optimizer_kind optimizer;
    int64_t width, hidden, latent; /* of the network */
    int64_t examples, batch;
    uint64_t steps;
} setup;

typedef struct manner {
    int threads;  /* at the start; */
    int later;    /* from the middle on, if not 0 */
    bool resumed; /* in the middle all is freed and goes on from a checkpoint */
    bool trap, recompute;
    bool used_tape;   /* the tape has computed other things before */
    bool offset_data; /* the images are part of a larger array */
    tp_loss_fn loss;  /* NULL: the model's */
} manner;

/* Labelled bytes, in the C library's memory. */
enum { MAX_SECTIONS = 64 };
typedef struct record {
    unsigned char *bytes;
    size_t n, capacity;
    int sections;
    struct {
        char label[48];
        size_t end;
    } section[MAX_SECTIONS];
} record;

void record_free(record *r);
/* NULL if both are the same bytes; otherwise what differs, in text. */
enum { RECORD_TEXT = 128 };
const char *record_differ(const record *a, const record *b, char text[RECORD_TEXT]);

/* FNV-1a, 64 bits, of everything before the section of that label: before "checkpoint" stand the numbers alone, no
 * file that depends on the versions of libraries. */
uint64_t record_hash(const record *r, const char *label);

/* Trains and evaluates. The record holds the loss and its terms of every step, the evaluation, parameters, moments
 * and step numbers, and three files as they were written: a checkpoint, weights and a picture of reconstructions. folder is
 * for those; it must exist. */
tp_status training_run(const setup *s, const manner *m, const char *folder, record *out);

#endif
