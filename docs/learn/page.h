/* page.h: a page to compute on: a tape together with the numbers that were put on it. For the programs of the book,
 * which work with small tensors written out in the source. Not part of the library. Read next: learn.h. */
#ifndef DOCS_LEARN_PAGE_H
#define DOCS_LEARN_PAGE_H

#include "docs/learn/learn.h"

enum { LEARN_PAGE_VALUES = 48 };

typedef struct learn_page {
    tp_tape *tape;
    tp_dtype dtype; /* of what is put on it: TP_F64 unless changed */
    tp_tensor value[LEARN_PAGE_VALUES];
    int values;
} learn_page;

tp_status learn_open(learn_page *p);
/* Frees the tape and the numbers. */
void learn_close(learn_page *p);

/* numbers, row-major, rounded to the type of the page: with gradient, and without. */
tp_var learn_leaf(learn_page *p, tp_shape shape, const double *numbers);
tp_var learn_constant(learn_page *p, tp_shape shape, const double *numbers);

/* "name = " and the value as tp_print writes it; of a failed var the reason is the status. */
tp_status learn_show(const char *name, tp_var v);
/* The same of the gradient that backward has left in a leaf. */
tp_status learn_show_grad(const char *name, tp_var leaf);

/* Element i, row-major, of a value and of a leaf's gradient; NaN if there is none. */
double learn_at(tp_var v, int64_t i);
double learn_grad_at(tp_var leaf, int64_t i);
/* max |a − b| over the elements; infinity where shapes differ or a value is missing. */
double learn_distance(const tp_tensor *a, const tp_tensor *b);

#endif
