/* page.c: what all formats say in the same words. Read next: text.c. */
#include "autograd/explain/page.h"
#include "autograd/explain/index.h"

#include <math.h>

bool tp_page_random(const tp_op *op)
{
    for (int i = 0; op != NULL && i < op->field_count; i++)
        if (op->fields[i].kind == TP_FIELD_KEY)
            return true;
    return false;
}

static void plain(tp_text *t, const tp_page *p, const char *text)
{
    tp_format_plain(t, &p->look, text);
}

void tp_page_origin(tp_text *t, const tp_page *p, uint32_t id, const char *gap)
{
    const tp_node *node = tp_node_at(p->passage->tape, id);
    char type[TP_TENSOR_TEXT], path[TP_VAR_TEXT];
    plain(t, p, tp_tensor_text(&node->value, type));
    tp_scope_path(p->passage->tape, node->scope, path);
    if (path[0] != '\0') {
        tp_text_add(t, "%sin ", gap);
        plain(t, p, path);
    }
    if (node->file != NULL) {
        tp_text_add(t, "%s", gap);
        plain(t, p, node->file);
        tp_text_add(t, ":%d", node->line);
    }
}

void tp_page_nature(tp_text *t, const tp_page *p, uint32_t id)
{
    const tp_node *node = tp_node_at(p->passage->tape, id);
    if (node->op == NULL)
        return;
    bool random = tp_page_random(node->op);
    if (random && node->n == 0)
        tp_text_add(t, "random: to what follows, a draw is data");
    else if (node->cut) {
        tp_text_add(t, random ? "random, no gradient (" : "no gradient (");
        plain(t, p, node->op->smooth == TP_NO_GRADIENT ? node->op->why : "not recorded");
        tp_text_add(t, ")");
    }
}

static size_t bytes_of(const tp_node *node)
{
    return (size_t)tp_numel(&node->value) * tp_dtype_size(node->value.dtype);
}

void tp_page_kept(tp_text *t, const tp_page *p, uint32_t id)
{
    const tp_tape *tape = p->passage->tape;
    const tp_node *node = tp_node_at(tape, id);
    int readers = 0;
    for (uint32_t k = id; k <= p->passage->root; k++) {
        if (!tp_passage_reads(p->passage, k, id))
            continue;
        if (readers++ == 0)
            tp_text_add(t, "kept for backward, %zu bytes: read by the rule of ", bytes_of(node));
        else
            tp_text_add(t, ", ");
        tp_format_name(t, &p->look, k, false);
        tp_text_add(t, " (");
        plain(t, p, tp_node_at(tape, k)->op->name);
        tp_text_add(t, k == id ? ", itself)" : ")");
    }
    if (readers == 0 && node->op != NULL && node->needs_grad)
        tp_text_add(t, "not kept for backward: no rule reads it");
}

void tp_page_memory(tp_text *t, const tp_page *p)
{
    int values[2] = {0};
    size_t bytes[2] = {0};
    for (uint32_t id = 1; id <= p->passage->root; id++) {
        const tp_node *node = tp_node_at(p->passage->tape, id);
        if (!p->passage->made[id] || node->op == NULL)
            continue;
        bool read = false;
        for (uint32_t k = id; k <= p->passage->root && !read; k++)
            read = tp_passage_reads(p->passage, k, id);
        values[read]++;
        bytes[read] += bytes_of(node);
    }
    tp_text_add(
        t, "computed and kept for backward: %d values, %zu bytes; read by no rule: %d, %zu bytes",
        values[1], bytes[1], values[0], bytes[0]);
}

void tp_page_verdict(tp_text *t, const tp_finding *f)
{
    if (f->verdict == TP_SKIPPED) {
        tp_text_add(t, "not checked: %s", f->why);
    } else if (f->shift != 0) {
        tp_text_add(t, "FAIL the rule in f64 agrees, but these numbers are off by ");
        tp_text_number(t, 1, f->shift);
    } else if (f->verdict == TP_DIFFERS) {
        tp_text_add(t, "FAIL rule ");
        tp_text_number(t, 6, f->rule);
        tp_text_add(t, ", difference ");
        tp_text_number(t, 6, f->difference);
    } else {
        tp_text_add(t, "ok %.0e (bound %.0e)%s", f->error, f->bound,
                    f->surrogate ? " (of the surrogate)" : "");
    }
}

void tp_page_health(tp_text *t, const tp_part *part)
{
    if (part->health == TP_VANISHING)
        tp_text_add(t, "VANISHING: less than a millionth of the upstream gradient passes");
    else if (part->health == TP_NON_FINITE)
        tp_text_add(t, "NOT FINITE");
}

void tp_page_rule(tp_text *t, const tp_part *part)
{
    if (part->nothing)
        tp_text_add(t, part->formula.tex ? "0 \\quad\\text{(the rule gave nothing)}"
                                         : "0 (the rule gave nothing)");
    else if (part->rule != 0)
        tp_format_var(t, &part->formula, part->rule);
}

void tp_page_shapes(tp_text *t, const tp_part *part)
{
    tp_formula f = part->formula;
    f.shapes = true;
    f.shared_count = 0;
    if (!part->nothing && part->rule != 0)
        tp_format_var(t, &f, part->rule);
}

void tp_page_tally(tp_text *t, const tp_page *p)
{
    const tp_explain_tally *n = &p->tally;
    if (!p->o->check)
        return;
    tp_text_add(t, "checks: %d ok, %d wrong, %d skipped; worst error %.0e of its bound, step %d",
                n->ok, n->wrong, n->skipped, n->worst, n->worst_step);
}

tp_grid tp_page_grid(const tp_tensor *x, int64_t most, int64_t few)
{
    int64_t n = tp_numel(x), columns = x->shape.ndim == 0 ? 1 : x->shape.dim[x->shape.ndim - 1];
    tp_grid g = {.rows = columns == 0 ? 0 : n / columns, .columns = columns};
    bool whole = g.rows <= most && g.columns <= most;
    g.shown_rows = whole || g.rows < few ? g.rows : few;
    g.shown_columns = whole || g.columns < few ? g.columns : few;
    return g;
}

double tp_page_norm(const tp_tensor *x)
{
    double sum = 0;
    for (int64_t i = 0; i < tp_numel(x); i++)
        sum += tp_flat(x, i) * tp_flat(x, i);
    return sqrt(sum);
}

static void add_bytes(tp_text *t, double bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t u = 0;
    for (; bytes >= 1000 && u + 1 < sizeof units / sizeof *units; u++)
        bytes /= 1000;
    tp_text_number(t, 3, bytes);
    tp_text_add(t, " %s", units[u]);
}

void tp_page_jacobian(tp_text *t, const tp_page *p, const tp_step *s, const tp_part *part)
{
    tp_text_add(t, "∂");
    tp_format_name(t, &p->look, s->id, false);
    tp_text_add(t, "/∂");
    tp_format_name(t, &p->look, part->id, false);
    tp_text_add(t, " is %lld×%lld, ", (long long)part->rows, (long long)part->columns);
    tp_format_structure(t, &p->look, s->id, part->input);
    if (part->jacobian != NULL || part->rows * part->columns == 0)
        return;
    tp_text_add(t, "; ");
    add_bytes(t, (double)part->rows * (double)part->columns *
                     (double)tp_dtype_size(s->node->value.dtype));
    tp_text_add(t, ", never built: the rule gives the product with the upstream gradient");
}

bool tp_page_indexed(tp_text *t, const tp_page *p, uint32_t id, int input)
{
    const tp_node *node = tp_node_at(p->passage->tape, id);
    int axes = node->value.shape.ndim;
    for (int i = 0; i < node->n; i++)
        axes += tp_node_at(p->passage->tape, node->x[i])->value.shape.ndim;
    if (axes == 0)
        return false;
    return input < 0 ? tp_format_index(t, &p->look, id)
                     : tp_format_index_vjp(t, &p->look, id, input);
}

bool tp_page_index(tp_text *t, const tp_page *p, uint32_t id, int input)
{
    return p->o->index && tp_page_indexed(t, p, id, input);
}

bool tp_page_matrices(tp_text *t, const tp_page *p, uint32_t id, int input)
{
    return p->o->index && tp_format_columns(t, &p->look, id, input);
}
