/* index_number.h: the numbers of an index form: attributes, sizes, and what is left out because of them. Private to
 * index.c. */
#ifndef TP_AUTOGRAD_EXPLAIN_INDEX_NUMBER_H
#define TP_AUTOGRAD_EXPLAIN_INDEX_NUMBER_H

#include "autograd/explain/index.h"

/* Where numbers are written, and of which node; input: whose @from and @to these are. */
typedef struct tp_index_number {
    tp_text *out;
    const tp_tape *tape;
    const tp_node *node;
    int input;
} tp_index_number;

/* How many letters, digits and _ stand at p. */
size_t tp_index_word(const char *p);
/* An attribute by name, if it is of that kind. */
const void *tp_index_attr(const tp_node *node, const char *name, size_t length, tp_field_kind kind);
/* Drops what was written last if it is this. */
bool tp_index_take_back(tp_text *t, const char *what);

/* Write "@name", "|#1:0|" or "|#1:0 / @name|" at p; return what follows it in the row. */
const char *tp_index_write_attr(const tp_index_number *at, const char *p);
const char *tp_index_write_size(const tp_index_number *at, const char *p);
/* Writes ⌋, or takes ⌊ back where nothing but one letter stands behind it. */
void tp_index_end_floor(tp_text *t);
/* Of "{@a + @b > 1: text}" at p the text up to *end, and whether it is to be written. */
bool tp_index_holds(const tp_index_number *at, const char *p, const char **text, const char **end);

#endif
