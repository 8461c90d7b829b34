/* explain.h: a training step that stands still, to be looked at. Private to explain.c and stepper.c. */
#ifndef VAE_EXPLAIN_H
#define VAE_EXPLAIN_H

#include "run.h"

#include "autograd/explain.h"

#include <stdio.h>

/* The step that training would take next, of the first images of its minibatch. */
typedef struct lesson {
    run r;
    tp_batches batches;
    tp_optimizer optimizer;
    tp_trainer trainer;
    uint64_t begun; /* step that it stood at before --after */
    tp_batch batch; /* views of the minibatch */
    char title[128];
    char own[PATH_SIZE]; /* the user's --symbols, cut up */
    tp_symbol *symbols;  /* how pages call what models call otherwise; ends with a zero row */
    int symbol_count, own_count,
        kept; /* the user's come first; the TeX of those from kept on is ours to free */
    tp_explain_opts opts;
    tp_explain_tally tally;
} lesson;

/* Everything that is written goes to memory first, so that there is all of it or nothing. */
typedef struct page {
    FILE *to;
    char *text;
    size_t bytes;
} page;

tp_status page_open(page *p);
/* status: what writing came to. The text is complete if that is what it returns. */
tp_status page_close(page *p, tp_status status);
void page_free(page *p);

/* Records the loss on a tape. */
tp_var lesson_record(lesson *l, tp_tape *t);

/* An element of a var as people name it: z[0,1], encoder.0.weight[2,1], v12[0]; by its name in the program, or by the symbol
 * that pages show. index is −1 where text names the whole var
 * and it has more than one element. TP_EARG says what is wrong, and what may have been meant. */
typedef struct place {
    tp_var var;
    int64_t index;
} place;
tp_status place_find(place *p, tp_var loss, const tp_symbol *symbols, const char *text);
/* TP_EARG if nothing has that name. */
tp_status place_named(tp_var loss, const char *name);
/* Why the gradient at such an element is what it is: tp_explain_element. TP_EARG if text names none, or none that gets a
 * gradient. */
tp_status place_explain(FILE *out, tp_var loss, const char *text, const tp_explain_opts *opts);

/* What pages call things: makes l->symbols and l->opts.notation; a free is needed even if it fails. TP_EARG for --symbols
 * that are none; whether their names are names of something is known when the loss is recorded. (notation.c) */
tp_status notation_settle(lesson *l);
tp_status notation_check(const lesson *l, tp_var loss);
void notation_free(lesson *l);

/* The session of --interactive, to stdout. (stepper.c) */
tp_status lesson_walk(lesson *l);

#endif
