/* graph.h: the graph of what a root was computed from: boxes, arrows, where they stand. Private to autograd/.
 *
 * graph.c makes boxes of nodes and of folded scopes, layout.c puts them in layers, svg.c draws them,
 * graph_text.c writes them for other programs to draw. Read next: graph.c. */
#ifndef TP_AUTOGRAD_EXPLAIN_GRAPH_H
#define TP_AUTOGRAD_EXPLAIN_GRAPH_H

#include "autograd/explain/page.h"
#include "tensor/mem.h"

typedef enum tp_box_kind {
    TP_BOX_OP,
    TP_BOX_DATA,
    TP_BOX_PARAMETER,
    TP_BOX_LEAF,
    TP_BOX_RANDOM, /* a draw: a source like data */
    TP_BOX_SCOPE,  /* a folded one */
    TP_BOX_BEND    /* where an arrow passes a layer */
} tp_box_kind;

typedef struct tp_box {
    tp_box_kind kind;
    uint32_t id;    /* its node; of a scope, its last one */
    uint32_t group; /* the scope that holds it, or that it is; 0: none */
    int ops, parameters;
    int layer, place;  /* which layer, from above, and which box there, from the left */
    double x, y, w, h; /* its centre and size; y grows downwards */
} tp_box;

typedef struct tp_arrow {
    int from, to;  /* boxes */
    int bend;      /* the first of to.layer - from.layer - 1 bends */
    bool gradient; /* backward passes here, against the arrow */
} tp_arrow;

typedef struct tp_graph {
    const tp_passage *passage;
    tp_formula look; /* of names */
    int boxes, arrows, layers;
    tp_box *box; /* behind the boxes come the bends */
    tp_arrow *arrow;
    uint32_t groups, *group_of; /* of nodes: outermost scopes, 1 to groups */
    uint32_t *scope_of;         /* of groups: the scope on the tape */
    uint32_t open;
    double width, height;
    tp_arena arena;
} tp_graph;

/* Up to so many scopes a page shows each unfolded by itself: view g1 is group 1; g0 is folded, the last one all. */
enum { TP_GRAPH_VIEWS = 16 };
/* What is folded: everything, everything but one group, nothing. */
enum { TP_FOLD_ALL = 0 };
#define TP_FOLD_NONE UINT32_MAX

/* Boxes and arrows. TP_ENOMEM. Freed once, whatever it returned. */
tp_status tp_graph_new(tp_graph *g, const tp_passage *p, const tp_notation *notation,
                       uint32_t open);
void tp_graph_free(tp_graph *g);
/* Zeroed memory of the graph; NULL after recording TP_ENOMEM. */
void *tp_graph_take(tp_graph *g, size_t n, size_t size);
/* Gives every box its place. TP_ENOMEM. */
tp_status tp_graph_layout(tp_graph *g);

/* "h" and "tanh [2,2]", "encoder" and "3 values, 4 parameters". */
void tp_box_name(tp_text *t, const tp_graph *g, const tp_box *b);
void tp_box_detail(tp_text *t, const tp_graph *g, const tp_box *b);
/* "h = tanh(v4), in net/fc", "encoder: folded". */
void tp_box_title(tp_text *t, const tp_graph *g, const tp_box *b);
/* "op", "parameter", …: for style sheets. */
const char *tp_box_class(const tp_box *b);

void tp_graph_dot(FILE *out, const tp_graph *g);
void tp_graph_mermaid(FILE *out, const tp_graph *g);
/* An SVG document, or with page an element of that page, in which the boxes are links. */
void tp_graph_svg(FILE *out, const tp_graph *g, const tp_page *page);
/* The style sheet of both. */
extern const char tp_graph_style[];

/* Text as XML has it. */
void tp_put_xml(FILE *out, const char *text);

#endif
