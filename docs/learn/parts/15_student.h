/* 15_student.h: Student's t distribution with three degrees of freedom, by location μ and log-scale s, for chapter 15: a
 * distribution of one's own, made like the rows of nn/dist.def. Read next: 15_student.c. */
#ifndef DOCS_LEARN_PARTS_15_STUDENT_H
#define DOCS_LEARN_PARTS_15_STUDENT_H

#include "docs/learn/learn.h"

tp_dist student_logscale(tp_var mu, tp_var logscale);
/* −log of the density at μ for s = 0. */
double student_normaliser(void);

#endif
