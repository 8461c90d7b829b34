/* 16_layers.h: the sections of chapter 16 about layers: strides and sizes, what they cost and see, how evenly a
 * transposed one covers a picture, pooling; and the answers to the exercises. */
#ifndef DOCS_LEARN_PARTS_16_LAYERS_H
#define DOCS_LEARN_PARTS_16_LAYERS_H

#include "docs/learn/parts/16_grid.h"

tp_status layers_sizes(void);
tp_status layers_stamps(void);
tp_status layers_strided(void);
tp_status layers_decoder(void);
tp_status layers_counts(void);
tp_status layers_model(void);
tp_status layers_field(void);
tp_status layers_covered(void);
tp_status layers_pooling(void);
tp_status layers_turned(void);
tp_status layers_answers(void);

/* Three ways to twice the size, of a picture of ones with weights of one: how many kernels lie on each pixel. */
enum { LAYERS_WAYS = 3 };
const char *layers_way(int which);
tp_var layers_cover(learn_page *p, int which);

#endif
