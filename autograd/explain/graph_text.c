/* graph_text.c: a graph for other programs to draw, and tp_explain_graph. Read next: svg.c. */
#include "autograd/explain/graph.h"

/* Shapes before colours, so that a copy in black and white can be read; the colours are light ones of Okabe and Ito's. */
static const struct {
    const char *dot, *open, *close, *mermaid;
} shapes[] = {
    [TP_BOX_OP] = {"shape=box, style=\"rounded,filled\", color=\"#0072B2\", fillcolor=\"#e5f1f9\"",
                   "(", ")", "fill:#e5f1f9,stroke:#0072B2,color:#111"},
    [TP_BOX_DATA] = {"shape=parallelogram, style=filled, color=\"#2f7fab\", fillcolor=\"#eef7fc\"",
                     "[/", "/]", "fill:#eef7fc,stroke:#2f7fab,color:#111"},
    [TP_BOX_PARAMETER] = {"shape=box, peripheries=2, style=filled, color=\"#a36a00\", "
                          "fillcolor=\"#fdf3e0\"",
                          "[[", "]]", "fill:#fdf3e0,stroke:#a36a00,color:#111"},
    [TP_BOX_LEAF] = {"shape=ellipse, style=filled, color=\"#a36a00\", fillcolor=\"#fdf3e0\"", "([",
                     "])", "fill:#fdf3e0,stroke:#a36a00,color:#111"},
    [TP_BOX_RANDOM] = {"shape=box, style=\"dashed,filled\", color=\"#a3507c\", "
                       "fillcolor=\"#faeef5\"",
                       "{{", "}}", "fill:#faeef5,stroke:#a3507c,color:#111,stroke-dasharray:5 4"},
    [TP_BOX_SCOPE] = {"shape=box3d, style=filled, color=\"#00795a\", fillcolor=\"#e4f4ef\"", "[[",
                      "]]", "fill:#e4f4ef,stroke:#00795a,color:#111,stroke-width:3px"},
};

/* Text in quotes: escapes are pairs of a character and what stands for it. */
static void put_quoted(FILE *out, const char *text, const char *const (*escapes)[2])
{
    for (; *text != '\0'; text++) {
        const char *const(*e)[2] = escapes;
        while ((*e)[0] != NULL && (*e)[0][0] != *text)
            e++;
        if ((*e)[0] != NULL)
            fputs((*e)[1], out);
        else
            fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
}

static const char *const dot_escapes[][2] = {{"\"", "\\\""}, {"\\", "\\\\"}, {NULL, NULL}};
static const char *const mermaid_escapes[][2] = {{"\"", "#quot;"}, {"#", "#35;"},  {"<", "#lt;"},
                                                 {">", "#gt;"},    {"&", "#amp;"}, {"`", "#96;"},
                                                 {"\\", "#92;"},   {NULL, NULL}};

static void put_label(FILE *out, const tp_graph *g, const tp_box *b, const char *newline,
                      const char *const (*escapes)[2])
{
    tp_text name = {0}, detail = {0};
    tp_box_name(&name, g, b);
    tp_box_detail(&detail, g, b);
    put_quoted(out, name.data, escapes);
    fputs(newline, out);
    put_quoted(out, detail.data, escapes);
}

static void put_scope(FILE *out, const tp_graph *g, uint32_t group, const char *const (*escapes)[2])
{
    put_quoted(out, g->passage->tape->scopes[g->scope_of[group]].name, escapes);
}

static void put_dot_box(FILE *out, const tp_graph *g, const tp_box *b)
{
    fprintf(out, "  n%u [label=\"", b->id);
    put_label(out, g, b, "\\n", dot_escapes);
    fprintf(out, "\", %s];\n", shapes[b->kind].dot);
}

static void put_mermaid_box(FILE *out, const tp_graph *g, const tp_box *b)
{
    fprintf(out, "  n%u%s\"", b->id, shapes[b->kind].open);
    put_label(out, g, b, "<br/>", mermaid_escapes);
    fprintf(out, "\"%s:::%s\n", shapes[b->kind].close, tp_box_class(b));
}

/* Boxes, those of a group between begin and end if the group is unfolded. */
static void put_boxes(FILE *out, const tp_graph *g, const char *begin, const char *name_end,
                      const char *end, const char *const (*escapes)[2],
                      void (*put)(FILE *, const tp_graph *, const tp_box *))
{
    for (uint32_t group = 0; group <= g->groups; group++) {
        bool frame = group > 0 && g->open != TP_FOLD_ALL;
        if (frame) {
            fprintf(out, begin, group);
            put_scope(out, g, group, escapes);
            fputs(name_end, out);
        }
        for (int i = 0; i < g->boxes; i++)
            if (g->box[i].group == group)
                put(out, g, &g->box[i]);
        fputs(frame ? end : "", out);
    }
}

void tp_graph_dot(FILE *out, const tp_graph *g)
{
    fputs(
        "digraph tape {\n  fontname=\"sans-serif\";\n  node [fontname=\"sans-serif\", fontcolor=\"#111111\"];\n",
        out);
    put_boxes(out, g, "  subgraph cluster_%u {\n  style=rounded;\n  label=\"", "\";\n", "  }\n",
              dot_escapes, put_dot_box);
    for (int i = 0; i < g->arrows; i++)
        fprintf(out, "  n%u -> n%u%s;\n", g->box[g->arrow[i].from].id, g->box[g->arrow[i].to].id,
                g->arrow[i].gradient ? "" : " [style=dashed]");
    fputs("}\n", out);
}

void tp_graph_mermaid(FILE *out, const tp_graph *g)
{
    fputs("flowchart TB\n", out);
    put_boxes(out, g, "  subgraph s%u[\"", "\"]\n", "  end\n", mermaid_escapes, put_mermaid_box);
    for (int i = 0; i < g->arrows; i++)
        fprintf(out, "  n%u %s n%u\n", g->box[g->arrow[i].from].id,
                g->arrow[i].gradient ? "-->" : "-.->", g->box[g->arrow[i].to].id);
    for (int kind = 0; kind < TP_BOX_BEND; kind++)
        fprintf(out, "  classDef %s %s\n", tp_box_class(&(tp_box){.kind = (tp_box_kind)kind}),
                shapes[kind].mermaid);
}

static void put_svg(FILE *out, const tp_graph *g)
{
    tp_graph_svg(out, g, NULL);
}

tp_status tp_explain_graph(FILE *out, tp_var root, tp_graph_opts o)
{
    static void (*const formats[])(FILE *,
                                   const tp_graph *) = {[TP_GRAPH_DOT] = tp_graph_dot,
                                                        [TP_GRAPH_MERMAID] = tp_graph_mermaid,
                                                        [TP_GRAPH_SVG] = put_svg};
    if (tp_node_of(root) == NULL)
        return tp_var_status(root);
    if ((unsigned)o.format >= sizeof formats / sizeof *formats)
        return tp_fail(TP_EARG, "tp_explain_graph: there is no format %d", (int)o.format);
    tp_passage passage;
    tp_graph g;
    TP_TRY(tp_passage_new(&passage, root));
    tp_status status = tp_graph_new(&g, &passage, &o.notation, o.fold ? TP_FOLD_ALL : TP_FOLD_NONE);
    if (status == TP_OK && o.format == TP_GRAPH_SVG)
        status = tp_graph_layout(&g);
    if (status == TP_OK)
        formats[o.format](out, &g);
    tp_graph_free(&g);
    tp_passage_free(&passage);
    return status == TP_OK ? tp_text_written(out, "tp_explain_graph") : status;
}
