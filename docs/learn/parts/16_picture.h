/* 16_picture.h: the pictures of chapter 16. */
#ifndef DOCS_LEARN_PARTS_16_PICTURE_H
#define DOCS_LEARN_PARTS_16_PICTURE_H

#include "docs/learn/learn.h"

/* Windows forward, what one pixel and one weight touch | the 9×16 matrix | how many kernels lie on each pixel. */
tp_status picture_windows(void);
tp_status picture_matrix(void);
tp_status picture_covered(void);

#endif
