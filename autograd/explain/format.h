/* format.h: writing formulas as text. Private to autograd/.
 *
 * A formula is put together from the op rows: `.text`, or `.tex` where TeX is asked for, with its operands and
 * attributes filled in, bracketed where the operand binds more loosely than its place in the template allows.
 * Nothing here knows about lines or pages: that is explain.c and, for TeX, tests/docs/reference.c. */
#ifndef TP_AUTOGRAD_FORMAT_H
#define TP_AUTOGRAD_FORMAT_H

#include "autograd/explain.h"
#include "autograd/node.h"
#include "tensor/text.h"

void tp_format_attr(tp_text *t, const tp_field *f, const void *attr);

/* Nodes of one tape that stand for nodes of another and are called as those are. */
typedef struct tp_alias {
    const tp_tape *tape;
    int n;
    const uint32_t *from, *to; /* node from[i] is node to[i] of tape */
} tp_alias;

/* What is spelled out and what is a symbol, and how that looks. */
enum { TP_SHARED_MAX = 16 };
typedef struct tp_formula {
    const tp_tape *tape;
    uint32_t first, last; /* nodes first … last-1 are spelled out, all others are symbols */
    uint32_t gy, at;      /* node gy is the gradient of node at; 0 if there is none */
    uint32_t shared[TP_SHARED_MAX]; /* … but these are called t1, t2, … */
    int shared_count;
    bool tex, html;
    bool shapes;                 /* instead of symbols */
    const tp_notation *notation; /* NULL: names as they are */
    const tp_alias *alias;       /* NULL: none */
} tp_formula;

/* The name of a node: its symbol in the notation, that of TP_NAME or of the parameter (with #id if it is not the
 * only one), or v<id>; with bar, the gradient of the root with respect to it. */
void tp_format_name(tp_text *t, const tp_formula *f, uint32_t id, bool bar);
/* The same without notation, as plain text and for TeX. */
void tp_format_symbol(tp_text *t, const tp_tape *tape, uint32_t id);
void tp_format_bar(tp_text *t, const tp_tape *tape, uint32_t id);
void tp_format_symbol_tex(tp_text *t, const tp_tape *tape, uint32_t id, bool bar);
/* Text in which nothing is markup. */
void tp_format_plain(tp_text *t, const tp_formula *f, const char *text);
/* The row of the attribute "scale" of an op; NULL if it has none. */
const tp_field *tp_format_field(const tp_op *op, const char *name, size_t length);
/* Node id as an operand would be written that needs no brackets. */
void tp_format_var(tp_text *t, const tp_formula *f, uint32_t id);
/* The op of node id with its operands, even if the node itself would be a symbol. */
void tp_format_op(tp_text *t, const tp_formula *f, uint32_t id);
/* "h = tanh(v3)", "W: parameter", with the attributes that the formula does not mention. Of f only the looks count. */
void tp_format_definition(tp_text *t, const tp_formula *f, uint32_t id);
/* Finds the nodes first … end-1 that are worth a name: made of more than one op and used twice, the roots
 * being uses. */
void tp_formula_share(tp_formula *f, uint32_t end, int roots, const tp_var *root);

#endif
