/* 08_amortize.h: chapter 8's comparison of a posterior for each example with an encoder for all.
 * Read next: 08_amortize.c. */
#ifndef DOCS_LEARN_PARTS_08_AMORTIZE_H
#define DOCS_LEARN_PARTS_08_AMORTIZE_H

#include "docs/learn/learn.h"

/* Prints, for a few x, log p(x) and how far below it the best normal q and two encoders stay. Resets t. */
tp_status amortize_print(tp_tape *t);

#endif
