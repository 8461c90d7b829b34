/* 10_picture.h: the tiny VAE as a picture, with a number in every node. */
#ifndef DOCS_LEARN_PARTS_10_PICTURE_H
#define DOCS_LEARN_PARTS_10_PICTURE_H

#include "docs/learn/parts/10_hand.h"

/* Print SVG, with the weights of tiny_start: what every unit computed, and the gradient that every unit got. */
void tiny_picture_values(const pass *s);
void tiny_picture_gradients(const pass *s);

#endif
