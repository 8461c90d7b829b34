/* reference.h: the parts of the generator of docs/reference/ops.md. Read next: reference.c.
 */
#ifndef TP_TESTS_REFERENCE_H
#define TP_TESTS_REFERENCE_H

#include "autograd/explain/format.h"
#include "autograd/op.h"

/* Ends the program with a message about where unless ok. */
void need(bool ok, const char *where, const char *what);

/* --- reference_source.c: what no macro can see of ops.def and compose.h ------------------------- */

enum { MAX_ENTRIES = 256, MAX_SECTIONS = 32 };

typedef struct entry {
    char name[64];       /* without tp_ */
    char prototype[420]; /* on one line, without the semicolon */
    char comment[1200];  /* "" if there is none */
    int section;
} entry;

typedef struct source {
    char section[MAX_SECTIONS][1200]; /* "title; more about it" */
    int sections;
    entry e[MAX_ENTRIES];
    int n;
} source;

/* Reads rows TP_OP(name, (parameters)) and declarations of functions tp_<name>. A comment belongs to the rows
 * below it, up to the next one; with " | " in it each row gets its part. A comment "--- title ---" begins a
 * section. Ends the program if something does not fit. */
void read_source(source *s, const char *path);

/* --- reference_run.c: running samples on simple numbers ----------------------------------------- */

/* One run of a sample: its inputs, named as in the prototype, and its output, named y (or z). */
typedef struct run {
    tp_tape *tape;
    const tp_op *op;
    tp_sample sample;
    tp_tensor data[TP_SAMPLE_INPUTS];
    char name[TP_SAMPLE_INPUTS][32];
    tp_var x[TP_SAMPLE_INPUTS], y;
    const char *result;
} run;

void begin_run(run *r, const tp_op *op, tp_sample sample, const char *prototype, tp_dtype dtype);
void end_run(run *r);
/* The first of the op's samples that can be shown whole, made smaller if it still runs then. */
tp_sample choose_sample(const tp_op *op, const char *prototype);
/* Simple numbers of the shape of v; the caller frees them. */
void simple_like(tp_var v, tp_tensor *t);

/* --- reference_formula.c: formulas, and an example of each with numbers ------------------------- */

typedef struct page {
    tp_text tex; /* the lines of an aligned block */
    tp_text
        index; /* the same by elements, for this sample's shapes; of an elementwise op one formula */
    tp_text example; /* the same as text with numbers */
} page;

/* Whether op is a row with a rule of its own, not a composition. */
bool is_row(const tp_op *op);
/* Inputs and y. */
void add_formula(page *p, run *r);
/* The same by elements, and the rule of each input that has one, unless the op is elementwise. */
void add_index(page *p, run *r);
/* What the rule adds to the gradient of each input; of a composition, what its parts' rules do. */
void add_gradient(page *p, run *r);

#endif
