/* digits.h: the small digits on which chapters train. Read next: 12_real_vae.c. */
#ifndef DOCS_LEARN_DIGITS_H
#define DOCS_LEARN_DIGITS_H

#include "models/tapir.h"

enum { LEARN_SIDE = 14, LEARN_PIXELS = LEARN_SIDE * LEARN_SIDE };

/* Of the 10,000 embedded digits the last n become *held, the others *train: u8 [.., 14, 14], 0 or 255. */
tp_status learn_digits(int64_t n, tp_dataset *train, tp_dataset *held);
/* The first n examples as a new f64 tensor [n, width]. */
tp_status learn_examples(const tp_dataset *d, int64_t n, tp_tensor *x);

#endif
