/* 08_directions.h: chapter 8's two directions of the Kullback–Leibler divergence. Read next: 08_directions.c. */
#ifndef DOCS_LEARN_PARTS_08_DIRECTIONS_H
#define DOCS_LEARN_PARTS_08_DIRECTIONS_H

#include "docs/learn/learn.h"

/* The best independent normals for a correlated posterior, and the best normal for two peaks. Reset t. */
tp_status directions_mean_field(tp_tape *t);
tp_status directions_peaks(tp_tape *t);
/* Their pictures, as SVG. */
tp_status directions_picture_ellipses(void);
tp_status directions_picture_peaks(void);

#endif
