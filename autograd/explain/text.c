/* text.c: a derivation for a terminal. Read next: page.h, what a format is. */
#include "autograd/explain/page.h"

#include <string.h>

/* "<line> = <numbers>   <note>", on two lines if that would be too wide. */
static void put_value(const tp_page *p, const tp_text *line, const tp_tensor *value,
                      const char *note)
{
    tp_text rest = {0};
    if (p->o->numbers && value != NULL)
        tp_text_add(&rest, "= "), tp_text_tensor(&rest, value);
    if (note[0] != '\0')
        tp_text_add(&rest, "%s%s", rest.used > 0 ? "   " : "", note);
    int width = p->o->width > 0 ? p->o->width : 100;
    const char *gap = rest.used == 0 ? "" : *rest.data == '=' ? " " : "   ";
    if (rest.used > 0 && tp_text_columns(line->data) + tp_text_columns(rest.data) + 3 > width)
        gap = "\n        ";
    fprintf(p->out, "%s%s%s\n", line->data, gap, rest.data);
}

/* --- the forward list --------------------------------------------------------------------------- */

static void put_node(const tp_page *p, uint32_t id)
{
    const tp_node *node = tp_node_at(p->passage->tape, id);
    tp_text line = {0}, note = {0}, nature = {0}, kept = {0};
    tp_text_add(&line, "  #%u  ", id);
    tp_format_definition(&line, &p->look, id);
    tp_page_origin(&note, p, id, "   ");
    tp_page_nature(&nature, p, id);
    if (nature.used > 0)
        tp_text_add(&note, "   %s", nature.data);
    put_value(p, &line, node->freed ? NULL : &node->value, note.data);
    tp_page_kept(&kept, p, id);
    if (kept.used > 0)
        fprintf(p->out, "        %s\n", kept.data);
}

static void put_forward(tp_page *p)
{
    tp_text title = {0}, memory = {0};
    tp_format_name(&title, &p->look, p->passage->root, false);
    fprintf(p->out, "forward: what %s was computed from\n", title.data);
    for (uint32_t id = 1; id <= p->passage->root; id++)
        if (p->passage->made[id])
            put_node(p, id);
    tp_page_memory(&memory, p);
    fprintf(p->out, "  %s\n", memory.data);
}

/* --- one step ----------------------------------------------------------------------------------- */

static void put_title(const tp_page *p, const tp_step *s)
{
    tp_text line = {0}, given = {0};
    tp_text_add(&line, "step %d: %s%s   ", s->number, s->node->op->name,
                s->sweep->fused ? " (fused)" : "");
    tp_format_definition(&line, &p->look, s->id);
    tp_text_add(&line, "   ");
    tp_page_origin(&line, p, s->id, "   ");
    fprintf(p->out, "%s\n", line.data);
    if (s->node->op->why != NULL)
        fprintf(p->out, "    why: %s\n", s->node->op->why);
    tp_text_add(&given, "    given ");
    tp_format_name(&given, &p->look, s->id, true);
    put_value(p, &given, s->upstream, "");
}

/* Gives names to what the rule used more than once. */
static void put_shared(const tp_page *p, tp_step *s, const tp_formula *f)
{
    for (int i = 0; i < f->shared_count; i++) {
        tp_text line = {0};
        tp_tensor value;
        tp_text_add(&line, "    with t%d = ", i + 1);
        tp_format_op(&line, f, f->shared[i]);
        put_value(p, &line, tp_step_value(s, f, f->shared[i], &value), "");
    }
}

/* After a fan-out: the sum so far, and which uses of the value it comes from. */
static void put_total(const tp_page *p, const tp_part *part)
{
    tp_text line = {0}, from = {0};
    tp_text_add(&line, "    ");
    tp_format_name(&line, &p->look, part->id, true);
    tp_text_add(&line, " so far");
    for (int i = 0; i < part->come; i++) {
        tp_text_add(&from, i > 0 ? ", " : "from ");
        tp_format_name(&from, &p->look, part->from[i], false);
    }
    tp_text_add(&from, ": %d of %d uses", part->arrived, part->uses);
    put_value(p, &line, part->total, from.data);
}

static void add_note(tp_text *note, const char *gap, const tp_text *more)
{
    if (more->used > 0)
        tp_text_add(note, "%s%s", note->used > 0 ? gap : "", more->data);
}

/* "v̄3 += v̄4 ⊙ v4 = [0.9241 0.07586]   finite difference: ok 2e-10 (bound 1e-06)" */
static void put_part(const tp_page *p, tp_step *s, const tp_part *part)
{
    if (s->sweep->fused)
        put_shared(p, s, &part->formula);
    tp_text line = {0}, note = {0}, health = {0}, verdict = {0};
    char shape[TP_SHAPE_TEXT];
    tp_text_add(&line, "    ");
    tp_format_name(&line, &p->look, part->id, true);
    tp_text_add(&line, " += ");
    tp_page_rule(&line, part);
    if (part->summed)
        tp_text_add(&note, "summed back to %s",
                    tp_shape_text(tp_node_at(p->passage->tape, part->id)->value.shape, shape));
    tp_page_health(&health, part);
    add_note(&note, "   ", &health);
    if (part->checked) {
        tp_text_add(&verdict, "finite difference: ");
        tp_page_verdict(&verdict, &part->check);
    }
    add_note(&note, "   ", &verdict);
    put_value(p, &line, part->value, note.data);
    if (part->total != NULL)
        put_total(p, part);
}

static void put_step(tp_page *p, tp_step *s)
{
    fputs(p->whole ? "\n" : "", p->out);
    put_title(p, s);
    if (s->sweep->fused)
        fprintf(p->out, "    one kernel computed this; the rule that it must equal:\n");
    else
        put_shared(p, s, &s->formula);
    for (int i = 0; i < s->parts; i++)
        put_part(p, s, &s->part[i]);
}

/* --- the end ------------------------------------------------------------------------------------ */

static void put_gradients(tp_page *p, const tp_sweep *s)
{
    tp_text title = {0};
    tp_format_name(&title, &p->look, p->passage->root, false);
    fprintf(p->out, "\ngradients of %s\n", title.data);
    for (uint32_t id = 1; id <= p->passage->root; id++) {
        const tp_node *node = tp_node_at(s->tape, id);
        if (!node->is_leaf || node->grad == 0)
            continue;
        tp_text line = {0};
        char type[TP_TENSOR_TEXT];
        tp_text_add(&line, "    ");
        tp_format_name(&line, &p->look, id, true);
        put_value(p, &line, &tp_node_at(s->tape, node->grad)->value,
                  tp_tensor_text(&node->value, type));
    }
    const tp_explain_tally *t = &p->tally;
    if (p->o->check)
        fprintf(p->out,
                "checks: %d ok, %d wrong, %d skipped; worst error %.0e of its bound, step %d\n",
                t->ok, t->wrong, t->skipped, t->worst, t->worst_step);
}

const tp_writer tp_writer_text = {
    .forward = put_forward, .step = put_step, .gradients = put_gradients};
