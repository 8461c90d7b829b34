/* learn.h: what the programs of the book share. A program is a list of sections; called with the name of one it
 * prints that, which is how its output gets into the chapter, and called without it prints all. */
#ifndef DOCS_LEARN_LEARN_H
#define DOCS_LEARN_LEARN_H

#include "models/tapir.h"

typedef struct learn_section {
    const char *name;
    tp_status (*print)(void);
} learn_section;

/* main of a chapter; sections end with a zero row. Exit code 1 if one fails, 2 if there is none of that name. */
int learn_main(int argc, char **argv, const learn_section *sections);

/* What the text claims about a number: TP_EVALUE, naming what, if |got − wanted| > tolerance or got is NaN. */
tp_status learn_expect(const char *what, double got, double wanted, double tolerance);

/* n; in builds with sanitizers, where nobody compares numbers, a tenth: what training touches is the same. */
unsigned learn_steps(unsigned n);

#endif
