/* html_element.c: why one number of a gradient is what it is, as a section of a page. Read next: element.h. */
#include "autograd/explain/html.h"
#include "tensor/gather.h"

static void add_element(tp_text *t, const tp_page *p, const char *before, uint32_t id, bool bar,
                        int64_t at)
{
    char index[TP_SHAPE_TEXT];
    tp_text_add(t, "%s", before);
    tp_format_name(t, &p->look, id, bar);
    tp_text_add(t, "%s", tp_index_text(tp_node_at(p->passage->tape, id)->value.shape, at, index));
}

/* "v̄4[0,2] · ∂v4[0,2]/∂W[2,1] = 0.25 · 3 = 0.75" */
static void put_term(const tp_page *p, const tp_element *e, uint32_t user, const tp_element_term *t)
{
    tp_text line = {0};
    add_element(&line, p, "", user, true, t->at);
    add_element(&line, p, " · ∂", user, false, t->at);
    add_element(&line, p, "/∂", e->id, false, e->at);
    tp_text_add(&line, " = ");
    tp_text_number(&line, 4, t->upstream);
    tp_text_add(&line, " · ");
    tp_text_number(&line, 4, t->local);
    tp_text_add(&line, " = ");
    tp_text_number(&line, 4, t->upstream * t->local);
    tp_html_line(p, "f", &line);
}

static void put_use(const tp_page *p, const tp_element *e, const tp_element_use *use)
{
    tp_text line = {0}, rule = {0}, sum = {0};
    tp_text_add(&line, "It moves %lld of the %lld elements of <span class=\"f\">",
                (long long)use->moved, (long long)use->of);
    tp_format_definition(&line, &p->look, use->user);
    tp_text_add(&line, "</span>%s", use->moved > use->terms ? ". Those that count most:" : ":");
    tp_html_line(p, "use", &line);
    if (tp_page_indexed(&rule, p, use->user, use->input))
        tp_html_line(p, "f rule", &rule);
    for (int i = 0; i < use->terms; i++)
        put_term(p, e, use->user, &use->term[i]);
    tp_text_add(&sum, use->moved > use->terms ? "sum of all " : "sum ");
    tp_text_number(&sum, 6, use->sum);
    tp_html_line(p, "sum", &sum);
}

static void put_path(const tp_page *p, const tp_element_path *path)
{
    tp_text line = {0}, share = {0};
    tp_text_number(&share, 4, path->sum);
    for (int i = 0; i < path->length; i++) {
        tp_text_add(&line, i > 0 ? " → " : "");
        tp_format_name(&line, &p->look, path->node[i], false);
    }
    fprintf(p->out, "<tr><td>%s</td><td class=\"f\">", share.data);
    tp_html_put(p->out, &line);
    fputs("</td></tr>\n", p->out);
}

void tp_html_element(tp_page *p, const tp_element *e)
{
    static const char *const classes[] = {"skipped", "ok", "wrong"};
    tp_text title = {0}, sum = {0}, verdict = {0};
    tp_text_add(&title, "Why ∂");
    tp_format_name(&title, &p->look, p->passage->root, false);
    add_element(&title, p, "/∂", e->id, false, e->at);
    tp_text_add(&title, " is ");
    tp_text_number(&title, 6, e->gradient);
    fputs("<section class=\"element\"><h2>", p->out);
    tp_html_put(p->out, &title);
    fputs("</h2>\n", p->out);
    for (const tp_element_use *use = e->use; use != NULL; use = use->next)
        put_use(p, e, use);
    fputs("<table class=\"paths\"><caption>Every path, and what comes along it</caption>\n",
          p->out);
    for (int i = 0; i < e->paths; i++)
        put_path(p, &e->path[i]);
    if (e->paths < e->total_paths)
        fprintf(p->out, "<tr><td>…</td><td>%.0f more</td></tr>\n", e->total_paths - e->paths);
    tp_text_number(&sum, 6, e->path_sum);
    fprintf(p->out,
            "<tr><td>%s</td><td>in all</td></tr></table>\n<p class=\"notes\">finite difference: ",
            sum.data);
    tp_page_verdict(&verdict, &e->check);
    tp_html_badge(p->out, classes[e->check.verdict], verdict.data);
    fputs("</p></section>\n", p->out);
}
