/* tex.c: a derivation as a LaTeX document, and as Markdown, whose formulas are TeX, too. Both are prose with
 * displayed equations; they differ in how a paragraph and an equation are set. Read next: page.h. */
#include "autograd/explain/page.h"
#include "tensor/gather.h"

#include <string.h>

static bool is_markdown(const tp_page *p)
{
    return p->o->format == TP_EXPLAIN_MARKDOWN;
}

/* --- prose -------------------------------------------------------------------------------------- */

/* Formulas in prose: the look of the page, between dollars. */
static tp_formula prose_of(const tp_page *p)
{
    tp_formula f = p->look;
    f.tex = !is_markdown(p);
    return f;
}

static void put_prose(const tp_page *p, const char *text)
{
    tp_text t = {0};
    tp_formula f = prose_of(p);
    tp_format_plain(&t, &f, text);
    fputs(t.data, p->out);
}

static void put_heading(const tp_page *p, int level, const char *text)
{
    static const char *const sections[] = {"", "section", "subsection", "paragraph"};
    if (is_markdown(p))
        fprintf(p->out, "%.*s ", level + 1, "####");
    else
        fprintf(p->out, "\\%s*{", sections[level]);
    put_prose(p, text);
    fputs(is_markdown(p) ? "\n\n" : "}\n", p->out);
}

static void put_paragraph(const tp_page *p, const char *text)
{
    put_prose(p, text);
    fputs("\n\n", p->out);
}

/* --- equations ---------------------------------------------------------------------------------- */

static void begin_equation(const tp_page *p)
{
    fputs(is_markdown(p) ? "```math\n\\begin{aligned}\n" : "\\begin{align*}\n", p->out);
}

static void end_equation(const tp_page *p)
{
    fputs(is_markdown(p) ? "\n\\end{aligned}\n```\n\n" : "\n\\end{align*}\n\n", p->out);
}

static void put_number(const tp_page *p, double v)
{
    char text[TP_NUMBER_TEXT];
    tp_number(text, 'g', 4, v);
    char *e = strchr(text, 'e');
    if (strncmp(text, "inf", 3) == 0 || strncmp(text, "-inf", 4) == 0)
        fprintf(p->out, "%s\\infty", text[0] == '-' ? "-" : "");
    else if (text[0] == 'n')
        fputs("\\mathrm{NaN}", p->out);
    else if (e != NULL) /* no leading plus and zeros */
        fprintf(p->out, "%.*s{\\cdot}10^{%s%s}", (int)(e - text), text, e[1] == '-' ? "-" : "",
                e + 1 + strspn(e + 1, "+-0"));
    else
        fputs(text, p->out);
}

static void put_row(const tp_page *p, const tp_tensor *x, const tp_grid *g, int64_t row)
{
    for (int64_t c = 0; c < g->shown_columns; c++) {
        fputs(c > 0 ? " & " : "", p->out);
        put_number(p, tp_flat(x, row * g->columns + c));
    }
    fputs(g->shown_columns < g->columns ? " & \\cdots" : "", p->out);
}

/* A matrix; what is larger than fits on paper as its corner, with shape, range and norm. */
static void put_matrix(const tp_page *p, const tp_tensor *x, int64_t most)
{
    tp_grid g = tp_page_grid(x, most, 3);
    if (x->shape.ndim == 0) {
        put_number(p, tp_flat(x, 0));
        return;
    }
    if (tp_numel(x) == 0) {
        fputs("[\\,]", p->out);
        return;
    }
    fputs("\\begin{bmatrix}", p->out);
    for (int64_t r = 0; r < g.shown_rows; r++) {
        fputs(r > 0 ? " \\\\ " : " ", p->out);
        put_row(p, x, &g, r);
    }
    fprintf(p->out, "%s \\end{bmatrix}", g.shown_rows < g.rows ? " \\\\ \\vdots" : "");
    if (g.shown_rows < g.rows || g.shown_columns < g.columns) {
        tp_text note = {0};
        char shape[TP_SHAPE_TEXT];
        tp_text_add(&note, "%s, ", tp_shape_text(x->shape, shape));
        tp_text_range(&note, x, 4);
        tp_text_add(&note, ", norm ");
        tp_text_number(&note, 4, tp_page_norm(x));
        fprintf(p->out, "\\ \\scriptsize\\text{%s}", note.data);
    }
}

/* "left &sign right = value"; the value below a formula that takes the line. */
static void put_equation(const tp_page *p, const tp_text *left, const char *sign,
                         const tp_text *right, const tp_tensor *value)
{
    bool shown = p->o->numbers && value != NULL;
    if (left->used == 0 && right->used == 0)
        return;
    fprintf(p->out, "%s &%s %s", left->data, sign, right->data);
    if (shown) {
        fprintf(p->out, right->used == 0 ? " " : " \\\\\n&= ");
        put_matrix(p, value, 6);
    }
}

static void next_equation(const tp_page *p)
{
    fputs(" \\\\\n", p->out);
}

/* --- the forward list --------------------------------------------------------------------------- */

/* "h = …" cut behind the symbol, so that equations align. */
static void put_definition(const tp_page *p, uint32_t id)
{
    const tp_node *node = tp_node_at(p->passage->tape, id);
    tp_text left = {0}, right = {0};
    if (node->op == NULL) {
        tp_format_definition(&left, &p->look, id);
        put_equation(p, &left, node->freed || !p->o->numbers ? "" : "=", &right,
                     node->freed ? NULL : &node->value);
        return;
    }
    tp_format_name(&left, &p->look, id, false);
    tp_format_op(&right, &p->look, id);
    put_equation(p, &left, "=", &right, node->freed ? NULL : &node->value);
}

static void put_node(const tp_page *p, uint32_t id)
{
    tp_page plain = *p;
    plain.look = (tp_formula){.tape = p->look.tape, .notation = p->look.notation};
    tp_text line = {0}, more = {0};
    tp_text_add(&line, "#%u: ", id);
    tp_page_origin(&line, &plain, id, ", ");
    tp_page_nature(&more, &plain, id);
    tp_text_add(&line, more.used > 0 ? "; %s" : "%s", more.data);
    more = (tp_text){0};
    tp_page_kept(&more, &plain, id);
    tp_text_add(&line, more.used > 0 ? "; %s." : ".%s", more.data);
    put_paragraph(p, line.data);
    begin_equation(p);
    put_definition(p, id);
    end_equation(p);
}

static void put_forward(tp_page *p)
{
    tp_text memory = {0};
    put_heading(p, 1, "Forward");
    for (uint32_t id = 1; id <= p->passage->root; id++)
        if (p->passage->made[id])
            put_node(p, id);
    tp_page_memory(&memory, p);
    tp_text_add(&memory, ".");
    put_paragraph(p, memory.data);
}

/* --- one step ----------------------------------------------------------------------------------- */

static void put_title(const tp_page *p, const tp_step *s)
{
    tp_page plain = *p;
    plain.look = (tp_formula){.tape = p->look.tape, .notation = p->look.notation};
    tp_text title = {0}, origin = {0}, name = {0};
    tp_text_add(&title, "Step %d: %s%s", s->number, s->node->op->name,
                s->sweep->fused ? " (fused)" : "");
    put_heading(p, 2, title.data);
    tp_format_name(&name, &plain.look, s->id, false);
    tp_text_add(&origin, "%s, ", name.data);
    tp_page_origin(&origin, &plain, s->id, ", ");
    if (s->node->op->why != NULL)
        tp_text_add(&origin, ". Why: %s", s->node->op->why);
    tp_text_add(&origin, ".%s",
                s->sweep->fused ? " One kernel computed this step; shown is the rule "
                                  "that it must equal."
                                : "");
    put_paragraph(p, origin.data);
}

static void put_shared(const tp_page *p, tp_step *s, const tp_formula *f)
{
    for (int i = 0; i < f->shared_count; i++) {
        tp_text left = {0}, right = {0};
        tp_tensor value;
        tp_text_add(&left, "t_{%d}", i + 1);
        tp_format_op(&right, f, f->shared[i]);
        next_equation(p);
        put_equation(p, &left, "=", &right, tp_step_value(s, f, f->shared[i], &value));
    }
}

/* An equation of its own line, aligned at its first sign of equality. */
static void put_aligned(const tp_page *p, const tp_text *line)
{
    char *equals = strstr(line->data, " = ");
    if (equals != NULL)
        fprintf(p->out, "%.*s &= %s", (int)(equals - line->data), line->data, equals + 3);
}

/* The op (input −1) or its rule element by element, and as matrices. */
static void put_index(const tp_page *p, uint32_t id, int input)
{
    tp_text index = {0}, matrices = {0};
    if (tp_page_index(&index, p, id, input)) {
        next_equation(p);
        put_aligned(p, &index);
    }
    if (tp_page_matrices(&matrices, p, id, input)) {
        next_equation(p);
        put_aligned(p, &matrices);
    }
}

static void put_part(const tp_page *p, tp_step *s, const tp_part *part)
{
    tp_text left = {0}, right = {0}, empty = {0};
    if (s->sweep->fused)
        put_shared(p, s, &part->formula);
    tp_format_name(&left, &p->look, part->id, true);
    tp_page_rule(&right, part);
    next_equation(p);
    put_equation(p, &left, "\\mathrel{+}=", &right, part->value);
    put_index(p, s->id, part->input);
    if (part->total == NULL)
        return;
    tp_text_add(&left, "\\ \\text{so far}");
    next_equation(p);
    put_equation(p, &left, p->o->numbers ? "=" : "", &empty, part->total);
}

static void put_jacobian(const tp_page *p, const tp_step *s, const tp_part *part)
{
    tp_page plain = *p;
    tp_text line = {0};
    plain.look = (tp_formula){.tape = p->look.tape, .notation = p->look.notation};
    tp_page_jacobian(&line, &plain, s, part);
    tp_text_add(&line, part->jacobian == NULL ? "." : ":");
    put_paragraph(p, line.data);
    if (part->jacobian == NULL)
        return;
    fputs(is_markdown(p) ? "```math\n" : "\\[", p->out);
    put_matrix(p, part->jacobian, 8);
    fputs(is_markdown(p) ? "\n```\n\n" : "\\]\n\n", p->out);
}

/* What was found out about a contribution, in words. */
static void put_remarks(const tp_page *p, const tp_part *part)
{
    tp_text line = {0}, health = {0}, name = {0};
    tp_formula plain = {.tape = p->look.tape, .notation = p->look.notation};
    tp_format_name(&name, &plain, part->id, false);
    if (part->summed)
        tp_text_add(&line, "summed back to the shape of %s; ", name.data);
    for (int i = 0; i < part->come && part->uses > 1; i++) {
        tp_text_add(&line, i > 0 ? ", " : "so far from ");
        tp_format_name(&line, &plain, part->from[i], false);
    }
    if (part->uses > 1)
        tp_text_add(&line, ": %d of %d uses; ", part->arrived, part->uses);
    tp_page_health(&health, part);
    tp_text_add(&line, health.used > 0 ? "%s; " : "%s", health.data);
    if (part->checked) {
        tp_text_add(&line, "finite difference: ");
        tp_page_verdict(&line, &part->check);
    } else if (line.used > 2) {
        line.data[line.used -= 2] = '\0';
    }
    if (line.used == 0)
        return;
    bool bad = part->checked && part->check.verdict == TP_DIFFERS;
    fputs(is_markdown(p) ? "* " : bad ? "\\item[\\wrong] " : "\\item ", p->out);
    put_prose(p, bad && is_markdown(p) ? "❌ " : "");
    tp_text both = {0};
    tp_text_add(&both, "%s: %s", name.data, line.data);
    put_prose(p, both.data);
    fputs("\n", p->out);
}

static void put_step(tp_page *p, tp_step *s)
{
    tp_text given = {0}, empty = {0};
    put_title(p, s);
    begin_equation(p);
    put_definition(p, s->id);
    put_index(p, s->id, -1);
    tp_format_name(&given, &p->look, s->id, true);
    if (p->o->numbers) {
        next_equation(p);
        put_equation(p, &given, "=", &empty, s->upstream);
    }
    if (!s->sweep->fused)
        put_shared(p, s, &s->formula);
    for (int i = 0; i < s->parts; i++)
        put_part(p, s, &s->part[i]);
    end_equation(p);
    bool remarks = false;
    for (int i = 0; i < s->parts; i++)
        remarks |= s->part[i].checked || s->part[i].uses > 1 || s->part[i].summed;
    fputs(remarks && !is_markdown(p) ? "\\begin{itemize}\n" : "", p->out);
    for (int i = 0; i < s->parts; i++)
        put_remarks(p, &s->part[i]);
    fputs(!remarks ? "" : is_markdown(p) ? "\n" : "\\end{itemize}\n\n", p->out);
    for (int i = 0; i < s->parts && p->o->jacobian; i++)
        put_jacobian(p, s, &s->part[i]);
}

/* --- one number --------------------------------------------------------------------------------- */

static void put_symbol(const tp_page *p, uint32_t id, bool bar, tp_shape shape, int64_t at)
{
    tp_text name = {0};
    char index[TP_SHAPE_TEXT];
    tp_format_name(&name, &p->look, id, bar);
    fprintf(p->out, "%s{%s}", name.data, tp_index_text(shape, at, index));
}

/* "\\bar{v}_4[0,2] ∂v4[0,2]/∂W[2,1] &= 0.25 · 3 = 0.75" */
static void put_term(const tp_page *p, const tp_element *e, uint32_t user, const tp_element_term *t)
{
    tp_shape shape = tp_node_at(p->passage->tape, user)->value.shape;
    put_symbol(p, user, true, shape, t->at);
    fputs(" \\cdot \\frac{\\partial ", p->out);
    put_symbol(p, user, false, shape, t->at);
    fputs("}{\\partial ", p->out);
    put_symbol(p, e->id, false, e->shape, e->at);
    fputs("} &= ", p->out);
    put_number(p, t->upstream);
    fputs(" \\cdot ", p->out);
    put_number(p, t->local);
    fputs(" = ", p->out);
    put_number(p, t->upstream * t->local);
}

static void put_use(const tp_page *p, const tp_element *e, const tp_element_use *use)
{
    tp_text line = {0}, name = {0}, rule = {0};
    tp_formula plain = {.tape = p->look.tape, .notation = p->look.notation};
    tp_format_name(&name, &plain, use->user, false);
    tp_text_add(&line, "It moves %lld of the %lld elements of %s", (long long)use->moved,
                (long long)use->of, name.data);
    tp_text_add(&line, use->moved > use->terms ? ", of which these count most:" : ":");
    put_paragraph(p, line.data);
    begin_equation(p);
    if (tp_page_indexed(&rule, p, use->user, use->input)) {
        put_aligned(p, &rule);
        next_equation(p);
    }
    for (int i = 0; i < use->terms; i++) {
        put_term(p, e, use->user, &use->term[i]);
        next_equation(p);
    }
    fputs("\\text{sum of all} &= ", p->out);
    put_number(p, use->sum);
    end_equation(p);
}

static void put_path(const tp_page *p, const tp_element_path *path)
{
    for (int i = 0; i < path->length; i++) {
        tp_text name = {0};
        tp_format_name(&name, &p->look, path->node[i], false);
        fprintf(p->out, "%s%s", i > 0 ? " \\to " : "", name.data);
    }
    fputs(" &\\colon ", p->out);
    put_number(p, path->sum);
}

static void put_element(tp_page *p, const tp_element *e)
{
    tp_text line = {0}, after = {0};
    char at[TP_SHAPE_TEXT];
    tp_formula plain = {.tape = p->look.tape, .notation = p->look.notation};
    tp_text_add(&line, "Why ∂");
    tp_format_name(&line, &plain, p->passage->root, false);
    tp_text_add(&line, "/∂");
    tp_format_name(&line, &plain, e->id, false);
    tp_text_add(&line, "%s is ", tp_index_text(e->shape, e->at, at));
    tp_text_number(&line, 6, e->gradient);
    put_heading(p, 2, line.data);
    for (const tp_element_use *use = e->use; use != NULL; use = use->next)
        put_use(p, e, use);
    put_paragraph(p, "Every path, and what comes along it:");
    begin_equation(p);
    for (int i = 0; i < e->paths; i++) {
        put_path(p, &e->path[i]);
        next_equation(p);
    }
    fputs("\\text{sum} &\\colon ", p->out);
    put_number(p, e->path_sum);
    end_equation(p);
    if (e->paths < e->total_paths)
        tp_text_add(&after, "There are %.6g more paths. ", e->total_paths - e->paths);
    tp_text_add(&after, "Finite difference: ");
    tp_page_verdict(&after, &e->check);
    tp_text_add(&after, ".");
    put_paragraph(p, after.data);
}

/* --- the frame ---------------------------------------------------------------------------------- */

static void put_gradients(tp_page *p, const tp_sweep *s)
{
    tp_text checks = {0};
    put_heading(p, 1, "Gradients");
    for (uint32_t id = 1; id <= p->passage->root; id++) {
        const tp_node *node = tp_node_at(s->tape, id);
        if (!node->is_leaf || node->grad == 0)
            continue;
        tp_text left = {0}, empty = {0};
        tp_format_name(&left, &p->look, id, true);
        begin_equation(p);
        put_equation(p, &left, p->o->numbers ? "=" : "", &empty,
                     &tp_node_at(s->tape, node->grad)->value);
        end_equation(p);
    }
    tp_page_tally(&checks, p);
    if (checks.used > 0)
        put_paragraph(p, checks.data);
}

static void put_begin(tp_page *p)
{
    const char *title = p->o->title != NULL ? p->o->title : "Derivation";
    if (is_markdown(p)) {
        put_heading(p, 0, title);
        return;
    }
    fputs("\\documentclass[a4paper]{article}\n\\usepackage[utf8]{inputenc}\n"
          "\\usepackage[T1]{fontenc}\n\\usepackage{amsmath,amssymb}\n"
          "\\usepackage[margin=2cm]{geometry}\n\\usepackage{color}\n"
          "\\newcommand{\\wrong}{\\textcolor{red}{\\textbf{WRONG}}}\n"
          "\\allowdisplaybreaks\n\\setcounter{MaxMatrixCols}{20}\n\\raggedbottom\n\\sloppy\n"
          "\\setlength{\\parindent}{0pt}\n\\title{",
          p->out);
    put_prose(p, title);
    fputs("}\n\\date{}\n\\begin{document}\n\\maketitle\n\n", p->out);
}

static void put_end(tp_page *p)
{
    fputs(is_markdown(p) ? "" : "\\end{document}\n", p->out);
}

const tp_writer tp_writer_tex = {.begin = put_begin,
                                 .forward = put_forward,
                                 .step = put_step,
                                 .gradients = put_gradients,
                                 .element = put_element,
                                 .end = put_end},
                tp_writer_markdown = {.begin = put_begin,
                                      .forward = put_forward,
                                      .step = put_step,
                                      .gradients = put_gradients,
                                      .element = put_element,
                                      .end = put_end};
