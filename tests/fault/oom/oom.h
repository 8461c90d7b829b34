/* oom.h: what a scenario of running out of memory is, and the engine that runs it.
 *
 * A scenario prepares what exists beforehand, then acts. The engine lets allocation 1, 2, 3 … of the act fail,
 * once and for good, and then byte budgets from nothing to enough; every failure must be TP_ENOMEM with a
 * message, leave files and watched tensors as they were, and the act must then succeed on what is left, with
 * the same bits as in a run in which nothing failed. In the end not one byte may be lost. The method is Lua's.
 * Read next: oom.c, then tape.c for scenarios.
 */
#ifndef TP_TESTS_OOM_H
#define TP_TESTS_OOM_H

#include <stdio.h>

#include "models/tapir.h"

enum { OOM_TENSORS = 6, OOM_WATCHED = 32, OOM_TEXT = 256 };

/* What a scenario works on. The engine frees all of it; what is made is freed before every act, too. */
typedef struct scene {
    const struct scenario *is;
    tp_tape *tape;
    tp_model model;
    tp_params params;
    tp_nn_linear linear;
    tp_nn_mlp mlp;
    tp_optimizer optimizer;
    tp_best best;
    tp_trainer trainer;
    tp_dataset data;
    tp_batches batches;
    tp_parameter w[OOM_TENSORS];
    tp_tensor t[OOM_TENSORS];    /* there beforehand */
    tp_tensor made[OOM_TENSORS]; /* by the act */
    tp_tape *made_tape;
    tp_model made_model;
    tp_params made_params;
    tp_optimizer made_optimizer;
    tp_best made_best;
    tp_dataset made_data;
    tp_batches made_batches;
    FILE *out;                             /* for whatever prints: its text is part of the result */
    uint64_t bits;                         /* of the results so far */
    const tp_tensor *watched[OOM_WATCHED]; /* a failure may not change them */
    int watched_count;
} scene;

typedef struct scenario {
    const char *name;
    tp_status (*prepare)(scene *s); /* NULL: nothing */
    tp_status (*act)(scene *s);
    const char *(*intact)(scene *s); /* what a failure has spoiled, or NULL */
    bool bare;           /* a message need not say what the memory was for: the caller knows */
    const char *says;    /* part of every message of a failure; NULL: anything */
    const char *foreign; /* whose own allocations are expected: "libc.so", "libgomp"; or NULL */
    const tp_op *op;     /* of a scenario made from a table */
    int sample;
    bool files; /* works on files in oom_path() */
} scenario;

extern const scenario oom_tensors[], oom_files[], oom_tape[], oom_models[], oom_layers[],
    oom_objectives[], oom_choices[], oom_controls[];
extern const int oom_tensors_count, oom_files_count, oom_tape_count, oom_models_count,
    oom_layers_count, oom_objectives_count, oom_choices_count, oom_controls_count;
/* One for each sample of every row and composition, or for the first ones. */
int oom_table(scenario *list, int room, int samples);
/* One for each distribution and each KL divergence. */
int oom_dists(scenario *list, int room);
/* Three for each model. */
int oom_rows(scenario *list, int room);

/* --- for scenarios -------------------------------------------------------------------------------- */

/* A file in a folder in which nothing else is. The string stays valid. */
const char *oom_path(const char *name);
/* Adds to the bits of the result: elements (and shape) of a tensor; of a var, of which it may be the reason why there is
 * no value; a gradient that must be there; text or memory; all that was written to s->out. */
tp_status oom_note(scene *s, const tp_tensor *x);
tp_status oom_note_var(scene *s, tp_var v);
tp_status oom_note_memory(scene *s, const void *p, size_t bytes);
tp_status oom_note_out(scene *s);
/* A failure may not change x. */
tp_status oom_watch(scene *s, const tp_tensor *x);
/* An f32 or f64 tensor of draws in (0,1). */
tp_status oom_draw(tp_tensor *x, tp_dtype dtype, tp_shape shape, uint64_t seed);
/* TP_ENOMEM if p is NULL. */
static inline tp_status oom_got(const void *p)
{
    return p == NULL ? TP_ENOMEM : TP_OK;
}

/* --- running them ----------------------------------------------------------------------------------- */

typedef struct tally {
    long scenarios, allocations, of, budgets;
    long foreign; /* allocations by others that their scenario names */
} tally;

/* Runs one scenario; at most limit failures of each kind are tried, evenly spread (0: all). False if it is not clean;
 * what was wrong is then in complaint. */
bool oom_run(const scenario *is, long limit, tally *sum, char complaint[OOM_TEXT]);

#endif
