/* element.h: why one number of a gradient is what it is, as data. Private to autograd/.
 *
 * Two sums must give the same number: over the uses of the element, upstream gradient × local derivative; and over
 * the paths from the element to the root, the product of all derivatives on the way. */
#ifndef TP_AUTOGRAD_EXPLAIN_ELEMENT_H
#define TP_AUTOGRAD_EXPLAIN_ELEMENT_H

#include "autograd/explain/step.h"

enum { TP_ELEMENT_TERMS = 8, TP_ELEMENT_PATHS = 32 };

/* Element at of a value that uses it: its gradient, and its derivative by the element. */
typedef struct tp_element_term {
    int64_t at;
    double upstream, local;
} tp_element_term;

/* One use: the elements of node user that the element moves, the largest products first. */
typedef struct tp_element_use {
    uint32_t user;
    int input, terms;
    int64_t moved, of; /* so many of its elements move */
    tp_element_term term[TP_ELEMENT_TERMS];
    double sum; /* of all products */
    struct tp_element_use *next;
} tp_element_use;

/* One path of operations, from the value to the root, and what comes along it. */
typedef struct tp_element_path {
    int length;
    const uint32_t *node;
    double sum;
} tp_element_path;

typedef struct tp_element {
    tp_tape *work; /* its arena holds the lists */
    const tp_passage *passage;
    uint32_t id;
    int64_t at;
    tp_shape shape;
    double gradient; /* as the sweep found it */
    tp_element_use *use;
    double use_sum, use_size; /* of all products, and of their sizes */
    int paths;
    double total_paths; /* there may be more than are listed */
    tp_element_path path[TP_ELEMENT_PATHS];
    double path_sum;
    /* Of the root, computed again in f64 with the element moved both ways, against path_sum; relative to the sum of
     * the sizes of the paths, or of the products if that is larger: an f32 tape has rounded each of them. */
    tp_finding check;
} tp_element;

/* TP_EARG if at is no element of v, TP_EGRAD if no gradient passes from the root to v. */
tp_status tp_element_new(tp_element *e, tp_sweep *s, const tp_passage *p, tp_var v, int64_t at);
void tp_element_free(tp_element *e);

#endif
