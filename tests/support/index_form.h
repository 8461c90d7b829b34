/* index_form.h: what an index form says, evaluated; what a rule gives, as a matrix; and whether they agree.
 *
 * The text that is evaluated is the one that is shown, but for the names. Nothing here knows how an op computes.
 * Read next: tests/ops/test_ops_index.c.
 */
#ifndef TP_TESTS_INDEX_FORM_H
#define TP_TESTS_INDEX_FORM_H

#include "autograd/explain/index.h"

enum { FORM_MESSAGE = 256 };

/* The tensors a form speaks of. what a rule gave (#i') is given before it is summed back. */
typedef struct form_values {
    int n;
    const tp_tensor *x[TP_SAMPLE_INPUTS], *gx[TP_SAMPLE_INPUTS], *y, *gy;
} form_values;

/* Evaluates "y[i,j] = …" or "#1'[j,k] = …" into out[0 … count-1], the elements on the left in row-major order, and
 * error[], bounds of what rounding to f64 may change in units of ε; reached[] is how often an index came there.
 * False, with a message, if the form makes no sense. */
bool form_evaluate(const char *form, const form_values *v, int64_t count, double *out,
                   double *error, int *reached, char message[FORM_MESSAGE]);

/* Whether the form gives the elements of want, to ulps·ε times the error bounds; every element must be reached
 * once, or, of a gradient, at most once. */
bool form_agrees(const char *form, const form_values *v, const tp_tensor *want, double ulps,
                 char message[FORM_MESSAGE]);

/* A sample's op recorded with leaves as inputs, and differentiated. */
typedef struct form_run {
    tp_tape *tape;
    tp_tensor data[TP_SAMPLE_INPUTS];
    tp_var x[TP_SAMPLE_INPUTS], y;
    bool fixed[TP_SAMPLE_INPUTS];
    int n;
} form_run;
void form_run_make(form_run *r, const tp_op *op, const tp_sample *s);
void form_run_free(form_run *r);

/* Checks .index, and .index_vjp of each input, on one sample. false, with a message, if something is wrong;
 * *compared counts the elements. */
bool form_check(const tp_op *op, const tp_sample *s, int64_t *compared, char message[FORM_MESSAGE]);
/* How many entries of ∂y/∂x of input i are not 0, and the library's bound of that; false if it was not looked at. */
bool form_entries(const tp_op *op, const tp_sample *s, int input, int64_t *entries,
                  tp_blocks *bound);
/* Whether ∂y/∂x of input i has a structure on this sample. It is taken to have it where the matrix would be too
 * large, or has no elements: *seen says whether it was looked at. */
bool form_has_structure(const tp_op *op, const tp_sample *s, int input, tp_jacobian structure,
                        bool *seen);

#endif
