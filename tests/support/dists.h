/* dists.h: distributions for tests: a row's cases on a tape, and grids on which densities are integrated.
 *
 * A grid is a list of points with weights, so that Σ w f(x) is the integral (for discrete x the sum) of f over all x,
 * to rounding for the functions that tests ask about. Every element of a draw has a grid of its own, fitted to its
 * mean and spread. Read next: tests/dist/test_rows.c.
 */
#ifndef TP_TESTS_DISTS_H
#define TP_TESTS_DISTS_H

#include "nn/dist_type.h"
#include "tests/nn/fixture.h"

/* The distribution of literal numbers, with every element (of rank axes) an event of its own. flipped: its
 * parameters in reverse order along axis 0, if that is an axis of the batch: another one of the same shape. */
tp_dist dist_make(fixture *f, tp_dtype dtype, const tp_dist_type *type,
                  const tp_dist_numbers *param);
/* The one whose numbers are the first tensors of f, in another type. */
tp_dist dist_make_again(fixture *f, tp_dtype dtype, const tp_dist_type *type);
tp_dist dist_flipped(tp_dist d);
/* How many axes an event of a pair has at least. */
static inline int dist_rank(tp_dist q, tp_dist p)
{
    int mine = tp_dist_rank(&q), its = tp_dist_rank(&p);
    return mine > its ? mine : its;
}
/* x as this distribution takes it. */
tp_var dist_x(fixture *f, tp_dtype dtype, const tp_dist_type *type, const tp_dist_numbers *x);

typedef struct grid {
    int64_t nodes, elements; /* elements: how many events one draw is made of, */
    int64_t width;           /* each of so many numbers */
    tp_var x;                /* [nodes, draw…], f64 */
    double *weight;          /* [nodes][elements] */
} grid;

grid grid_make(fixture *f, tp_dist d);
void grid_free(grid *g);
/* Σ w f over the nodes, for one element; f [nodes, elements]. */
double grid_integral(const grid *g, const double *f, int64_t element);

/* The values of a var of f64, one behind the other; the caller frees them. */
double *values_of(tp_var v);

#endif
