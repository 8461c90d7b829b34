/* svg.c: a graph drawn. Kinds of boxes differ in shape and line, not only in colour. Read next: layout.c. */
#include "autograd/explain/graph.h"

/* A colour is a variable that the page (page.css) sets where it is dark. On its own a drawing is light, and programs
 * that know no variables take what stands before. */
#define COLOUR(property, name, value) property ":" value ";" property ":var(--" name "," value ")"
#define BOX(name, inside, line)                                                                    \
    "{" COLOUR("fill", name, inside) ";" COLOUR("stroke", name "-line", line)

/* clang-format off */
const char tp_graph_style[] =
    ".graph text{font:600 14px system-ui,sans-serif;text-anchor:middle;"
        COLOUR("fill", "ink", "#1a1a1a") "}"
    ".graph .b{font-weight:400;font-size:12px;" COLOUR("fill", "dim", "#555") "}"
    ".graph .s" BOX("op", "#e5f1f9", "#0072b2") ";stroke-width:1.5}"
    ".graph .i{fill:none}"
    ".graph .data .s" BOX("data", "#fff", "#2f7fab") "}"
    ".graph .parameter .s,.graph .leaf .s" BOX("parameter", "#fdf3e0", "#a36a00") "}"
    ".graph .parameter .i{fill:none}"
    ".graph .random .s" BOX("random", "#faeef5", "#a3507c") ";stroke-dasharray:5 4}"
    ".graph .scope .s" BOX("scope", "#e4f4ef", "#00795a") "}"
    ".graph .root .s{stroke-width:3}.graph .inner .s{stroke-width:2.2}"
    ".graph .box .i{stroke-width:1.2}"
    ".graph .arrow path{fill:none;" COLOUR("stroke", "arrow", "#666") ";stroke-width:1.6}"
    ".graph .arrow.data .d{stroke-dasharray:5 4}";
/* clang-format on */

void tp_put_xml(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default: /* XML has no control characters */
            fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
        }
}

static int half(const tp_box *b)
{
    return (int)b->w / 2;
}

static int x_of(const tp_box *b)
{
    return (int)b->x;
}

static int above(const tp_box *b)
{
    return (int)(b->y - b->h / 2);
}

static int below(const tp_box *b)
{
    return (int)(b->y + b->h / 2);
}

/* --- boxes -------------------------------------------------------------------------------------- */

static void put_rect(FILE *out, const tp_box *b, const char *class, int dx, int inset, int radius)
{
    fprintf(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/>",
            class, x_of(b) - half(b) + dx + inset, above(b) + dx + inset, 2 * half(b) - 2 * inset,
            (int)b->h - 2 * inset, radius);
}

static void put_shape(FILE *out, const tp_box *b)
{
    int l = x_of(b) - half(b), r = x_of(b) + half(b);
    if (b->kind == TP_BOX_DATA)
        fprintf(out, "<path class=\"s\" d=\"M%d %dH%dL%d %dH%dZ\"/>", l + 9, above(b), r + 3, r - 9,
                below(b), l - 3);
    if (b->kind == TP_BOX_SCOPE) /* a pile */
        put_rect(out, b, "s", 4, 0, 6);
    if (b->kind != TP_BOX_DATA)
        put_rect(out, b, "s", 0, 0,
                 b->kind == TP_BOX_PARAMETER ? 0
                 : b->kind == TP_BOX_LEAF    ? (int)b->h / 2
                                             : 8);
    if (b->kind == TP_BOX_PARAMETER)
        put_rect(out, b, "s i", 0, 3, 0);
}

static void put_text(FILE *out, const tp_box *b, const char *class, int dy, const tp_text *t)
{
    fprintf(out, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x_of(b), (int)b->y + dy);
    tp_put_xml(out, t->data);
    fputs("</text>", out);
}

/* To its step, to its place in the forward list, to the view in which the scope is unfolded. */
static void put_link(FILE *out, const tp_graph *g, const tp_box *b)
{
    uint32_t id = b->id, root = g->passage->root;
    if (b->kind == TP_BOX_SCOPE)
        fprintf(out, " href=\"#g%u\"", g->groups > TP_GRAPH_VIEWS ? g->groups + 1 : b->group);
    else if (tp_passage_treats(g->passage, id))
        fprintf(out, " href=\"#s%d\"", tp_passage_number(g->passage, id));
    else
        fprintf(out, " href=\"#n%u\"", id);
    fprintf(out, " data-box=\"%d\" data-ids=\"", (int)(b - g->box));
    for (uint32_t k = 1; b->kind == TP_BOX_SCOPE && k <= root; k++)
        if (g->group_of[k] == b->group && k != id)
            fprintf(out, "%u ", k);
    fprintf(out, "%u\"", id);
}

static void put_box(FILE *out, const tp_graph *g, const tp_box *b, const tp_page *page)
{
    tp_text title = {0}, name = {0}, detail = {0};
    const char *element = page != NULL ? "a" : "g";
    bool root = b->id == g->passage->root, inner = b->group != 0 && b->group == g->open;
    fprintf(out, "<%s class=\"box %s%s%s\"", element, tp_box_class(b), root ? " root" : "",
            inner ? " inner" : "");
    if (page != NULL)
        put_link(out, g, b);
    tp_box_title(&title, g, b);
    tp_box_name(&name, g, b);
    tp_box_detail(&detail, g, b);
    fputs("><title>", out);
    tp_put_xml(out, title.data);
    fputs("</title>", out);
    put_shape(out, b);
    put_text(out, b, "a", -3, &name);
    put_text(out, b, "b", 14, &detail);
    fprintf(out, "</%s>\n", element);
}

/* --- arrows ------------------------------------------------------------------------------------- */

/* Where an arrow that leads to other meets box b: towards it. */
static int meet(const tp_box *b, const tp_box *other)
{
    int shift = (x_of(other) - x_of(b)) / 4, most = half(b) - 14;
    if (b->kind == TP_BOX_BEND)
        return x_of(b);
    most = most < 0 ? 0 : most;
    return x_of(b) + (shift > most ? most : shift < -most ? -most : shift);
}

/* It leaves and comes vertically, so that its head is the same everywhere. */
static void put_arrow(FILE *out, const tp_graph *g, const tp_arrow *a)
{
    const tp_box *from = &g->box[a->from], *to = &g->box[a->to];
    int n = to->layer - from->layer, x = 0;
    fprintf(out, "<g class=\"arrow%s\" data-to=\"%d\"><path class=\"d\" d=\"",
            a->gradient ? "" : " data", a->to);
    for (int i = 0; i < n; i++) {
        const tp_box *p = i == 0 ? from : &g->box[a->bend + i - 1];
        const tp_box *q = i == n - 1 ? to : &g->box[a->bend + i];
        int x0 = meet(p, q), y0 = below(p), y1 = above(q), middle = (y0 + y1) / 2;
        x = meet(q, p);
        fprintf(out, "%s%d %dC%d %d %d %d %d %d", i == 0 ? "M" : "L", x0, y0, x0, middle, x, middle,
                x, y1 - (i == n - 1));
    }
    fprintf(out, "\"/><path d=\"M%d %dl5 9l5-9\"/></g>\n", x - 5, above(to) - 10);
}

void tp_graph_svg(FILE *out, const tp_graph *g, const tp_page *page)
{
    int w = (int)g->width, h = (int)g->height;
    if (page == NULL)
        fprintf(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\">\n<style>%s</style>\n<rect width=\"%d\" height=\"%d\" "
            "fill=\"#fff\"/>\n",
            w, h, w, h, tp_graph_style, w, h);
    else
        fprintf(
            out,
            "<svg class=\"graph\" viewBox=\"0 0 %d %d\" style=\"max-width:%dpx;min-width:%dpx\" "
            "role=\"group\" aria-label=\"graph\">\n",
            w, h, w, w * 3 / 4);
    for (int i = 0; i < g->arrows; i++)
        put_arrow(out, g, &g->arrow[i]);
    for (int i = 0; i < g->boxes; i++)
        put_box(out, g, &g->box[i], page);
    fputs("</svg>\n", out);
}
