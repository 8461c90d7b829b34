/* html.c: a derivation as one page for a browser, which needs nothing else: the graph beside the steps.
 *
 * The document is complete without its script: page.js only leads from step to step. Elements with an id: step s7, node
 * n12 of the forward list, view g1 of the graph. Read next: page.css, page.js, html_parts.c. */
#include "autograd/explain/html.h"
#include "autograd/explain/graph.h"

/* --- lines -------------------------------------------------------------------------------------- */

/* A paragraph of text that is no markup yet. */
static void put_words(const tp_page *p, const char *class, const char *text)
{
    fprintf(p->out, "<p class=\"%s\">", class);
    tp_put_xml(p->out, text);
    fputs("</p>\n", p->out);
}

/* A formula and its numbers. */
static void put_equation(const tp_page *p, const char *label, const tp_text *formula,
                         const tp_tensor *value)
{
    fprintf(p->out,
            "<div class=\"row\"><span class=\"label\">%s</span><div class=\"equation\"><span "
            "class=\"f\">",
            label);
    tp_html_put(p->out, formula);
    fputs("</span>\n", p->out);
    if (p->o->numbers && value != NULL)
        tp_html_tensor(p->out, value, label[0] != '\0');
    fputs("</div></div>\n", p->out);
}

static void put_root(const tp_page *p)
{
    tp_text t = {0};
    tp_format_name(&t, &p->look, p->passage->root, false);
    tp_html_put(p->out, &t);
}

/* --- the page around it ------------------------------------------------------------------------- */

static void put_title(const tp_page *p)
{
    tp_put_xml(p->out, p->o->title != NULL ? p->o->title : "Derivation");
}

static tp_status put_view(const tp_page *p, uint32_t view, uint32_t open, const char *name,
                          bool shown)
{
    tp_graph g;
    tp_status status = tp_graph_new(&g, p->passage, &p->o->notation, open);
    if (status == TP_OK)
        status = tp_graph_layout(&g);
    if (status == TP_OK) {
        fprintf(p->out, "<details class=\"view\" id=\"g%u\"%s><summary>", view,
                shown ? " open=\"open\"" : "");
        tp_put_xml(p->out, name);
        fputs("</summary>\n", p->out);
        tp_graph_svg(p->out, &g, p);
        fputs("</details>\n", p->out);
    }
    tp_graph_free(&g);
    return status;
}

static void put_tab(const tp_page *p, uint32_t view, const char *name)
{
    fprintf(p->out, "<button type=\"button\" data-view=\"g%u\">", view);
    tp_put_xml(p->out, name);
    fputs("</button>\n", p->out);
}

/* Folded, each scope unfolded, all unfolded; g is any of these and knows the names. */
static tp_status put_views(const tp_page *p, const tp_graph *g)
{
    const tp_scope *scopes = p->passage->tape->scopes;
    uint32_t each = g->groups > TP_GRAPH_VIEWS ? 0 : g->groups;
    if (g->groups == 0)
        return put_view(p, 1, TP_FOLD_NONE, "everything", true);
    fputs("<div class=\"tabs script\" role=\"group\" aria-label=\"views of the graph\">\n", p->out);
    put_tab(p, 0, "overview");
    for (uint32_t k = 1; k <= each; k++)
        put_tab(p, k, scopes[g->scope_of[k]].name);
    put_tab(p, g->groups + 1, "everything");
    fputs("</div>\n", p->out);
    TP_TRY(put_view(p, 0, TP_FOLD_ALL, "overview", true));
    for (uint32_t k = 1; k <= each; k++)
        TP_TRY(put_view(p, k, k, scopes[g->scope_of[k]].name, false));
    return put_view(p, g->groups + 1, TP_FOLD_NONE, "everything", false);
}

static void put_header(const tp_page *p)
{
    fputs("<header><h1>", p->out);
    put_title(p);
    fputs(
        "</h1>\n<div class=\"controls script\" role=\"toolbar\" aria-label=\"steps\">"
        "<button type=\"button\" id=\"back\" aria-label=\"back\">←</button>"
        "<span id=\"where\"></span>"
        "<button type=\"button\" id=\"next\" aria-label=\"next\">→</button>"
        "<button type=\"button\" id=\"mode\" aria-pressed=\"false\">one at a time</button></div>\n"
        "<details class=\"help script\" id=\"help\"><summary>keys</summary><ul>"
        "<li><kbd>→</kbd> <kbd>j</kbd> next step, <kbd>←</kbd> <kbd>k</kbd> back, <kbd>Home</kbd> "
        "<kbd>End</kbd></li>"
        "<li><kbd>o</kbd> one step at a time, for a projector; there <kbd>Space</kbd> goes on</li>"
        "<li><kbd>u</kbd> unfold where this step is, <kbd>f</kbd> fold, <kbd>e</kbd> everything"
        "</li>"
        "<li>a box of the graph or a gradient h̄ leads to its step, a value h to where it was "
        "computed</li></ul></details></header>\n",
        p->out);
}

static void put_legend(const tp_page *p)
{
    fputs(
        "<p class=\"legend\">Arrows go forward, gradients against them; none passes a dashed one. "
        "Double line: parameter. Round: leaf. Slanted: data. Dashed box: a random draw. Pile: a folded scope.</p>\n",
        p->out);
}

static void put_head(const tp_page *p)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>",
          p->out);
    put_title(p);
    fprintf(p->out, "</title>\n<style>%s\n%s</style></head>\n<body%s>\n", tp_graph_style,
            tp_page_css, p->whole ? "" : " style=\"display:block\"");
}

/* Of a part by itself there is nothing to walk through: no graph and no controls. */
static void begin_page(tp_page *p)
{
    tp_graph g;
    put_head(p);
    if (!p->whole) {
        fputs("<main id=\"derivation\">\n", p->out);
        return;
    }
    fputs("<a class=\"skip\" href=\"#derivation\">to the derivation</a>\n", p->out);
    put_header(p);
    fputs(
        "<nav aria-label=\"graph\"><details class=\"panel\" open=\"open\"><summary>graph</summary>\n",
        p->out);
    p->status = tp_graph_new(&g, p->passage, &p->o->notation, TP_FOLD_ALL);
    if (p->status == TP_OK)
        p->status = put_views(p, &g);
    tp_graph_free(&g);
    put_legend(p);
    fputs("</details></nav>\n<main id=\"derivation\">\n", p->out);
}

/* What the checks found. It stands behind the steps, because it is known only then, and is shown before them. */
static void put_tally(const tp_page *p)
{
    const tp_explain_tally *t = &p->tally;
    tp_text badge = {0}, rest = {0};
    if (t->wrong > 0)
        tp_text_add(&badge, "%d wrong", t->wrong);
    else
        tp_text_add(&badge, "%d check%s ok", t->ok, t->ok == 1 ? "" : "s");
    if (t->wrong > 0)
        tp_text_add(&rest, " %d ok", t->ok);
    tp_text_add(&rest, " in %d steps", t->steps);
    if (t->skipped > 0)
        tp_text_add(&rest, ", %d not checked", t->skipped);
    if (t->worst_step > 0) {
        tp_text_add(&rest, "; worst error ");
        tp_text_number(&rest, t->worst > 1 ? 4 : 2, t->worst > 1 ? t->worst : 100 * t->worst);
        tp_text_add(&rest, t->worst > 1 ? " times" : " %% of");
        tp_text_add(&rest, " its bound, in <a href=\"#s%d\">step %d</a>", t->worst_step,
                    t->worst_step);
    }
    fputs("<p class=\"tally\">", p->out);
    tp_html_badge(p->out, t->wrong > 0 ? "wrong" : t->ok > 0 ? "ok" : "skipped", badge.data);
    fprintf(p->out, "%s</p>\n", rest.data);
}

static void end_page(tp_page *p)
{
    if (!p->whole) {
        fputs("</main>\n</body></html>\n", p->out);
        return;
    }
    fputs("</main>\n<aside id=\"tally\" aria-label=\"checks\">\n", p->out);
    if (p->o->check)
        put_tally(p);
    fprintf(p->out,
            "</aside>\n<p id=\"live\" class=\"unseen\" aria-live=\"polite\"></p>\n"
            "<script>//<![CDATA[\n%s//]]></script>\n</body></html>\n",
            tp_page_js);
}

/* --- the forward list --------------------------------------------------------------------------- */

static void put_node(const tp_page *p, uint32_t id)
{
    const tp_node *node = tp_node_at(p->passage->tape, id);
    tp_text line = {0}, where = {0}, nature = {0}, kept = {0};
    bool draw = node->op != NULL && tp_page_random(node->op);
    fprintf(p->out, "<li id=\"n%u\"%s>\n", id, draw ? " class=\"random\"" : "");
    tp_format_definition(&line, &p->look, id);
    put_equation(p, "", &line, node->freed ? NULL : &node->value);
    tp_page_origin(&where, p, id, " · ");
    if (p->whole && tp_passage_treats(p->passage, id)) {
        int number = tp_passage_number(p->passage, id);
        tp_text_add(&where, " · <a href=\"#s%d\">step %d</a>", number, number);
    }
    tp_html_line(p, "where", &where);
    tp_page_nature(&nature, p, id);
    tp_html_line(p, "nature", &nature);
    tp_page_kept(&kept, p, id);
    tp_html_line(p, "kept", &kept);
    fputs("</li>\n", p->out);
}

static void put_forward(tp_page *p)
{
    tp_text memory = {0};
    fputs("<section id=\"forward\" class=\"stop\" tabindex=\"-1\"><h2>Forward: what ", p->out);
    put_root(p);
    fputs(" was computed from</h2>\n<ol class=\"nodes\">\n", p->out);
    for (uint32_t id = 1; id <= p->passage->root; id++)
        if (p->passage->made[id])
            put_node(p, id);
    fputs("</ol>\n", p->out);
    tp_page_memory(&memory, p);
    tp_html_line(p, "memory", &memory);
    fputs("</section>\n", p->out);
    if (p->whole)
        fputs("<h2 class=\"backward\">Backward: step by step to the gradients</h2>\n", p->out);
}

/* --- one step ----------------------------------------------------------------------------------- */

/* What the checks of all parts found, in a word. */
static void put_step_badge(const tp_page *p, const tp_step *s)
{
    int checked = 0, wrong = 0, skipped = 0;
    tp_text words = {0};
    for (int i = 0; i < s->parts; i++) {
        checked += s->part[i].checked;
        wrong += s->part[i].checked && s->part[i].check.verdict == TP_DIFFERS;
        skipped += s->part[i].checked && s->part[i].check.verdict == TP_SKIPPED;
    }
    if (checked == 0)
        return;
    if (wrong > 0)
        tp_text_add(&words, "%d of %d wrong", wrong, checked);
    else if (skipped == checked)
        tp_text_add(&words, "not checked");
    else
        tp_text_add(&words, "%d of %d ok", checked - skipped, checked);
    tp_html_badge(p->out, wrong > 0 ? "wrong" : skipped == checked ? "skipped" : "ok", words.data);
}

static void put_heading(const tp_page *p, const tp_step *s)
{
    fprintf(p->out,
            "<article id=\"s%d\" class=\"stop step\" data-node=\"%u\" tabindex=\"-1\" "
            "aria-labelledby=\"h%d\">\n<h3 id=\"h%d\"><a href=\"#s%d\">step %d</a> <b>",
            s->number, s->id, s->number, s->number, s->number, s->number);
    tp_put_xml(p->out, s->node->op->name);
    fprintf(p->out, "</b>%s ", s->sweep->fused ? " <span class=\"tag\">fused</span>" : "");
    if (tp_page_random(s->node->op))
        fputs("<span class=\"tag random\">random</span> ", p->out);
    put_step_badge(p, s);
    fputs("</h3>\n", p->out);
}

/* The op, or the rule of an input, in index form, and as matrices. */
static void put_elements(const tp_page *p, uint32_t id, int input)
{
    tp_text line = {0}, matrices = {0};
    if (tp_page_index(&line, p, id, input))
        put_equation(p, "by elements", &line, NULL);
    if (tp_page_matrices(&matrices, p, id, input))
        put_equation(p, "as matrices", &matrices, NULL);
}

/* What the op computed, where, and why its rule is what it is. */
static void put_forward_again(const tp_page *p, const tp_step *s)
{
    tp_text line = {0}, where = {0};
    tp_page_origin(&where, p, s->id, " · ");
    tp_html_line(p, "where", &where);
    tp_format_definition(&line, &p->look, s->id);
    put_equation(p, "forward", &line, NULL);
    put_elements(p, s->id, -1);
    if (s->node->op->why != NULL)
        put_words(p, "why", s->node->op->why);
}

static void put_upstream(const tp_page *p, const tp_step *s)
{
    tp_text line = {0};
    tp_format_name(&line, &p->look, s->id, true);
    put_equation(p, "upstream", &line, s->upstream);
}

/* Gives names to what the rule used more than once. */
static void put_shared(const tp_page *p, tp_step *s, const tp_formula *f)
{
    for (int i = 0; i < f->shared_count; i++) {
        tp_text line = {0};
        tp_tensor value;
        tp_text_add(&line, "<i>t</i><sub>%d</sub> = ", i + 1);
        tp_format_op(&line, f, f->shared[i]);
        put_equation(p, "with", &line, tp_step_value(s, f, f->shared[i], &value));
    }
}

/* How the shapes fit, and whether the numbers are right. */
static void put_notes(const tp_page *p, const tp_step *s, const tp_part *part)
{
    static const char *const classes[] = {"skipped", "ok", "wrong"};
    tp_text shapes = {0}, verdict = {0};
    char shape[TP_SHAPE_TEXT];
    bool fit = p->o->index && tp_jacobian_of(s->node->op, part->input) != TP_JACOBIAN_DIAGONAL;
    if (fit)
        tp_page_shapes(&shapes, part);
    if (fit || part->summed)
        tp_text_add(&shapes, "%s%s",
                    part->summed      ? " summed back to "
                    : shapes.used > 0 ? " = "
                                      : "",
                    tp_shape_text(tp_node_at(p->passage->tape, part->id)->value.shape, shape));
    fputs("<div class=\"notes\">\n", p->out);
    tp_html_line(p, "shapes", &shapes);
    if (part->checked) {
        tp_page_verdict(&verdict, &part->check);
        fputs("<p>finite difference: ", p->out);
        tp_html_badge(p->out, classes[part->check.verdict], verdict.data);
        fputs("</p>\n", p->out);
    }
    fputs("</div>\n", p->out);
}

/* ∂y/∂x: in full if it is small, else what it would take. */
static void put_local(const tp_page *p, const tp_step *s, const tp_part *part)
{
    tp_text line = {0};
    if (!p->o->jacobian)
        return;
    tp_page_jacobian(&line, p, s, part);
    if (part->jacobian != NULL)
        put_equation(p, "local", &line, part->jacobian);
    else
        tp_html_line(p, "kept", &line);
}

/* "h̄ += ȳ·W", its numbers, and whether enough arrives. */
static void put_rule(const tp_page *p, const tp_step *s, const tp_part *part)
{
    tp_text line = {0}, health = {0};
    tp_format_name(&line, &p->look, part->id, true);
    tp_text_add(&line, " += ");
    tp_page_rule(&line, part);
    put_elements(p, s->id, part->input);
    put_equation(p, "contribution", &line, part->value);
    tp_page_health(&health, part);
    if (health.used > 0)
        put_words(p, "health", health.data);
}

/* After a fan-out: the sum so far, and which uses of the value it comes from. */
static void put_total(const tp_page *p, const tp_part *part)
{
    tp_text line = {0}, from = {0};
    if (part->total == NULL)
        return;
    tp_format_name(&line, &p->look, part->id, true);
    put_equation(p, "so far", &line, part->total);
    for (int i = 0; i < part->come; i++) {
        tp_text_add(&from, i > 0 ? ", " : "from ");
        tp_format_name(&from, &p->look, part->from[i], false);
    }
    tp_text_add(&from, ": %d of %d uses", part->arrived, part->uses);
    tp_html_line(p, "from", &from);
}

static void put_part(const tp_page *p, tp_step *s, const tp_part *part)
{
    fputs("<div class=\"part\">\n", p->out);
    if (s->sweep->fused)
        put_shared(p, s, &part->formula);
    put_local(p, s, part);
    put_rule(p, s, part);
    put_notes(p, s, part);
    put_total(p, part);
    fputs("</div>\n", p->out);
}

static void put_step(tp_page *p, tp_step *s)
{
    put_heading(p, s);
    put_forward_again(p, s);
    put_upstream(p, s);
    if (s->sweep->fused)
        put_words(p, "fused", "One kernel computed this. The rule that it must equal:");
    else
        put_shared(p, s, &s->formula);
    for (int i = 0; i < s->parts; i++)
        put_part(p, s, &s->part[i]);
    fputs("</article>\n", p->out);
}

/* --- the end ------------------------------------------------------------------------------------ */

static void put_gradients(tp_page *p, const tp_sweep *s)
{
    fputs("<section id=\"gradients\" class=\"stop\" tabindex=\"-1\"><h2>Gradients of ", p->out);
    put_root(p);
    fputs("</h2>\n", p->out);
    for (uint32_t id = 1; id <= p->passage->root; id++) {
        const tp_node *node = tp_node_at(s->tape, id);
        tp_text line = {0};
        if (!node->is_leaf || node->grad == 0)
            continue;
        tp_format_name(&line, &p->look, id, true);
        put_equation(p, node->param != NULL ? "parameter" : "leaf", &line,
                     &tp_node_at(s->tape, node->grad)->value);
    }
    fputs("</section>\n", p->out);
}

const tp_writer tp_writer_html = {.begin = begin_page,
                                  .forward = put_forward,
                                  .step = put_step,
                                  .gradients = put_gradients,
                                  .element = tp_html_element,
                                  .end = end_page};
