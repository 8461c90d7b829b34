/* 11_rules.h: the update rules of chapter 11 by hand, for n numbers p with gradients g, in plain C that knows nothing of
 * tapir. */
#ifndef DOCS_LEARN_PARTS_11_RULES_H
#define DOCS_LEARN_PARTS_11_RULES_H

#include "docs/learn/parts/10_hand.h"

typedef struct memory {
    double m[TINY_COUNT], v[TINY_COUNT]; /* start at 0 */
    int t;                               /* steps done */
} memory;

void sgd_by_hand(int n, double *p, const double *g, double lr);
void momentum_by_hand(int n, double *p, const double *g, double lr, double mu, memory *s);
void adam_by_hand(int n, double *p, const double *g, double lr, memory *s);
void rmsprop_by_hand(int n, double *p, const double *g, double lr, memory *s);

#endif
