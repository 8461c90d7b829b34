/* page.h: what a format is: a way to write the parts of a derivation, called in the order of reading. Private to
 * autograd/. Read next: text.c, the simplest. */
#ifndef TP_AUTOGRAD_EXPLAIN_PAGE_H
#define TP_AUTOGRAD_EXPLAIN_PAGE_H

#include "autograd/explain/element.h"

typedef struct tp_page {
    FILE *out;
    const tp_explain_opts *o;
    const tp_passage *passage;
    tp_formula look; /* of formulas: tape, markup, notation; all nodes are symbols */
    tp_explain_tally tally;
    tp_status status; /* TP_ENOMEM if a writer was short of memory */
    bool whole;       /* the derivation from begin to end, not a part of it */
} tp_page;

/* begin and end, which may be NULL, frame a document: a whole derivation, or one number by itself. */
typedef struct tp_writer {
    void (*begin)(tp_page *p);
    void (*forward)(tp_page *p);          /* what the root was computed from */
    void (*step)(tp_page *p, tp_step *s); /* one step */
    void (*gradients)(tp_page *p,
                      const tp_sweep *s); /* what backward gives to leaves and parameters */
    void (*element)(tp_page *p,
                    const tp_element *e); /* why one number is what it is; stands alone */
    void (*end)(tp_page *p);
} tp_writer;

extern const tp_writer tp_writer_text, tp_writer_markdown, tp_writer_tex, tp_writer_html;

/* What several formats say in the same words. */

/* "f64[2,2]   in net/fc   program.c:12", as far as that is known; gap parts the pieces. */
void tp_page_origin(tp_text *t, const tp_page *p, uint32_t id, const char *gap);
/* Whether it draws: it has a key. */
bool tp_page_random(const tp_op *op);
/* "random: …", "no gradient (…)", or nothing. */
void tp_page_nature(tp_text *t, const tp_page *p, uint32_t id);
/* "kept for backward (96 bytes): read by the rule of v4 (exp, itself), v7 (mul)", "not kept …", or nothing. */
void tp_page_kept(tp_text *t, const tp_page *p, uint32_t id);
/* Values that backward keeps and those it does not, in bytes: "kept for backward: 5 values, 416 bytes; …". */
void tp_page_memory(tp_text *t, const tp_page *p);
/* "ok 2e-10 (bound 1e-06)", "FAIL …", "not checked: …". */
void tp_page_verdict(tp_text *t, const tp_finding *f);
/* "vanishing: …", "not finite: …", or nothing. */
void tp_page_health(tp_text *t, const tp_part *part);
/* What the checks found in all; nothing if none were made. */
void tp_page_tally(tp_text *t, const tp_page *p);
/* The rule in symbols, "0 (the rule gave nothing)" if there is none. */
void tp_page_rule(tp_text *t, const tp_part *part);
/* The same with shapes: "[2,3]ᵀ·[2,4]". */
void tp_page_shapes(tp_text *t, const tp_part *part);

/* "∂h/∂W is 4×6: …", and for one that is too large to show why nobody builds it. */
void tp_page_jacobian(tp_text *t, const tp_page *p, const tp_step *s, const tp_part *part);

/* The op in index form, or with input >= 0 its rule. False if there is none, or nothing to index; the second also if
 * it is not asked for. */
bool tp_page_indexed(tp_text *t, const tp_page *p, uint32_t id, int input);
bool tp_page_index(tp_text *t, const tp_page *p, uint32_t id, int input);

/* The same as a product of matrices. False if it is no convolution, or index forms are not asked for. */
bool tp_page_matrices(tp_text *t, const tp_page *p, uint32_t id, int input);

/* A tensor as rows and columns, the last axis being the columns: whole if neither is more than most, else its
 * first few. Element (r, c) is number r·columns + c. */
typedef struct tp_grid {
    int64_t rows, columns, shown_rows, shown_columns;
} tp_grid;
tp_grid tp_page_grid(const tp_tensor *x, int64_t most, int64_t few);
/* The 2-norm. */
double tp_page_norm(const tp_tensor *x);

#endif
