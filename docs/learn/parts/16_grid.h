/* 16_grid.h: small pictures as grids of numbers, and what chapter 16 does with them in several places. */
#ifndef DOCS_LEARN_PARTS_16_GRID_H
#define DOCS_LEARN_PARTS_16_GRID_H

#include "docs/learn/page.h"

/* Rows of numbers under a name; zero stands where a number is 0. */
void grid_rows(const char *name, const double *at, int rows, int columns, const char *zero);
/* The first image of [n,c,h,w], its first channel, under a name. */
tp_status grid_show(const char *name, const tp_tensor *t);
tp_status grid_show_var(const char *name, tp_var v);
/* All elements on one line, behind a name. */
tp_status grid_show_line(const char *name, tp_var v);

/* TP_EVALUE, naming what, unless all elements are equal. */
tp_status grid_same(const char *what, tp_var a, tp_var b);
/* A kernel turned by half a turn. */
tp_var grid_turned(tp_var w);
/* Σ a ⊙ b */
tp_var grid_inner(tp_var a, tp_var b);

#endif
