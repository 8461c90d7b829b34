/* explain.h: showing a derivation.
 *
 * Everything shown is what ran: the forward list and each step are read off the tape, and a step's formula
 * is put together from the operations that its rule recorded. Nothing is recorded on the tape, and no
 * gradient is written. What a rule is lives in ops/<name>.c. Read next: explain/explain.c.
 *
 *   tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){0});
 *   while (tp_sweep_next(&s))
 *       tp_explain_step(stdout, &s, (tp_explain_opts){.numbers = true, .check = true});
 *   tp_sweep_end(&s);
 *
 * or all of it, as a page for a browser: tp_explain(file, loss, (tp_explain_opts){TP_EXPLAIN_ALL,
 * .format = TP_EXPLAIN_HTML}).
 */
#ifndef TP_AUTOGRAD_EXPLAIN_H
#define TP_AUTOGRAD_EXPLAIN_H

#include <stdio.h>
#include "autograd/sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tp_explain_format {
    TP_EXPLAIN_TEXT,     /* Unicode maths, for a terminal */
    TP_EXPLAIN_MARKDOWN, /* as GitHub shows it: formulas in TeX between dollars, numbers in tables */
    TP_EXPLAIN_TEX,      /* a LaTeX document */
    TP_EXPLAIN_HTML      /* one page that needs nothing else: the graph beside the derivation */
} tp_explain_format;

/* How the gradient of the root with respect to h is written: h̄, ∂L/∂h, δh. */
typedef enum tp_gradient_sign { TP_SIGN_BAR, TP_SIGN_PARTIAL, TP_SIGN_DELTA } tp_gradient_sign;

/* A value or parameter of that name is written as text, in LaTeX as tex (NULL: as text). */
typedef struct tp_symbol {
    const char *name, *text, *tex;
} tp_symbol;

/* The symbols of a lecture. Values without one are called by their names, or v7. */
typedef struct tp_notation {
    const tp_symbol *symbols; /* ends with a zero row; NULL: none */
    tp_gradient_sign sign;
    const char *loss; /* the L of ∂L/∂h; NULL: "L" */
} tp_notation;

/* What the checks found. worst is the largest error as a share of its bound, at step worst_step. */
typedef struct tp_explain_tally {
    int steps, ok, wrong, skipped;
    double worst;
    int worst_step;
} tp_explain_tally;

typedef struct tp_explain_opts {
    bool numbers; /* values beside the formulas: small ones whole, else a corner, range and norm */
    bool
        check; /* each rule run again in f64 against finite differences of the forward computation */
    bool index; /* element by element: the op and its rule in index form, and how the shapes fit */
    bool jacobian; /* ∂y/∂x of each step: whole up to 8×8, else its structure and size */
    bool composed; /* tp_explain: never run a fused rule */
    int width; /* columns of text; 0 means 100. Longer lines put numbers on a line of their own */
    tp_explain_format format;
    tp_notation notation;
    bool document;     /* tp_explain_element: a document or page of its own, not a part of one */
    const char *title; /* of a document; NULL: "Derivation" */
    tp_explain_tally
        *tally; /* if not NULL, what was found is written here; of one element without a step */
} tp_explain_opts;
#define TP_EXPLAIN_ALL .numbers = true, .check = true, .index = true, .jacobian = true

/* All return TP_EIO if out cannot be written; the reason of any failure is in tp_last_error. */

/* What root was computed from: formula, shape, origin, what is random, what backward keeps, for whom, and
 * how many bytes that is. Of the formats that are documents, the part about it. */
tp_status tp_explain_forward(FILE *out, tp_var root, tp_explain_opts o);
/* The step the sweep has just taken. TP_EARG if there is none. */
tp_status tp_explain_step(FILE *out, const tp_sweep *s, tp_explain_opts o);
/* Why the gradient of root with respect to element at of v (its row-major number) is what it is: through which
 * elements of which values it comes, upstream gradient × local derivative; along which paths of operations, and how
 * much along each; and the difference quotient of root, computed anew in f64. TP_EARG if v has no such element or root
 * was not computed from v, TP_EGRAD if no gradient goes there. */
tp_status tp_explain_element(FILE *out, tp_var root, tp_var v, int64_t at, tp_explain_opts o);
/* The forward list, a whole sweep step by step as it would run in tp_backward, the gradients of parameters and
 * leaves. No sweep may be open on root's tape. A failure is returned as tp_backward would, and does not stick
 * to the tape. */
tp_status tp_explain(FILE *out, tp_var root, tp_explain_opts o);

/* --- the graph ---------------------------------------------------------------------------------- */

typedef enum tp_graph_format {
    TP_GRAPH_DOT,     /* for Graphviz */
    TP_GRAPH_MERMAID, /* as GitHub draws it between ```mermaid and ``` */
    TP_GRAPH_SVG      /* drawn: one file that needs nothing else */
} tp_graph_format;

typedef struct tp_graph_opts {
    tp_graph_format format;
    bool fold; /* an outermost scope (tp_scope_begin) is one box, with its parameters inside */
    tp_notation notation;
} tp_graph_opts;

/* The graph of what root was computed from. Data, parameters, leaves and draws have shapes of their own; where no
 * gradient passes, arrows are dashed. TP_ENOMEM, TP_EIO. */
tp_status tp_explain_graph(FILE *out, tp_var root, tp_graph_opts o);

#ifdef __cplusplus
}
#endif
#endif
