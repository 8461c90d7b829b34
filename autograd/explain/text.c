/* text.c: a derivation for a terminal. Read next: page.h, what a format is. */
#include "autograd/explain/page.h"
#include "tensor/gather.h"

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
    tp_text index = {0}, matrices = {0};
    if (tp_page_index(&index, p, s->id, -1))
        fprintf(p->out, "    by elements: %s\n", index.data);
    if (tp_page_matrices(&matrices, p, s->id, -1))
        fprintf(p->out, "    as matrices: %s\n", matrices.data);
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

/* The local derivative, row by row if it is small. */
static void put_jacobian(const tp_page *p, const tp_step *s, const tp_part *part)
{
    tp_text line = {0};
    char number[TP_NUMBER_TEXT];
    tp_page_jacobian(&line, p, s, part);
    fprintf(p->out, "        %s\n", line.data);
    for (int64_t r = 0; part->jacobian != NULL && r < part->rows; r++) {
        fputs("           ", p->out);
        for (int64_t c = 0; c < part->columns; c++)
            fprintf(p->out, " %9s",
                    tp_number(number, 'g', 4, tp_flat(part->jacobian, r * part->columns + c)));
        fputc('\n', p->out);
    }
}

/* The rule element by element, and with shapes in the place of symbols where they are not all the same. */
static void put_index(const tp_page *p, const tp_step *s, const tp_part *part)
{
    tp_text index = {0}, matrices = {0}, shapes = {0};
    char shape[TP_SHAPE_TEXT];
    if (tp_page_index(&index, p, s->id, part->input))
        fprintf(p->out, "        by elements: %s\n", index.data);
    if (tp_page_matrices(&matrices, p, s->id, part->input))
        fprintf(p->out, "        as matrices: %s\n", matrices.data);
    if (tp_jacobian_of(s->node->op, part->input) != TP_JACOBIAN_DIAGONAL)
        tp_page_shapes(&shapes, part);
    if (shapes.used > 0)
        fprintf(p->out, "        shapes: %s = %s\n", shapes.data,
                tp_shape_text(tp_node_at(p->passage->tape, part->id)->value.shape, shape));
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
    if (p->o->index)
        put_index(p, s, part);
    if (p->o->jacobian)
        put_jacobian(p, s, part);
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
    tp_text checks = {0};
    tp_page_tally(&checks, p);
    if (checks.used > 0)
        fprintf(p->out, "%s\n", checks.data);
}

/* --- one number --------------------------------------------------------------------------------- */

/* "v̄4[0,2] · ∂v4[0,2]/∂W[2,1] = 0.25 · 3 = 0.75" */
static void put_term(const tp_page *p, const tp_element *e, const tp_element_use *use,
                     const tp_element_term *term)
{
    tp_text line = {0};
    char at[TP_SHAPE_TEXT], own[TP_SHAPE_TEXT];
    tp_index_text(tp_node_at(p->passage->tape, use->user)->value.shape, term->at, at);
    tp_text_add(&line, "        ");
    tp_format_name(&line, &p->look, use->user, true);
    tp_text_add(&line, "%s · ∂", at);
    tp_format_name(&line, &p->look, use->user, false);
    tp_text_add(&line, "%s/∂", at);
    tp_format_name(&line, &p->look, e->id, false);
    tp_text_add(&line, "%s = ", tp_index_text(e->shape, e->at, own));
    tp_text_number(&line, 4, term->upstream);
    tp_text_add(&line, " · ");
    tp_text_number(&line, 4, term->local);
    tp_text_add(&line, " = ");
    tp_text_number(&line, 4, term->upstream * term->local);
    fprintf(p->out, "%s\n", line.data);
}

static void put_use(const tp_page *p, const tp_element *e, const tp_element_use *use)
{
    tp_text line = {0}, sum = {0}, rule = {0};
    tp_text_add(&line, "    it moves %lld of the %lld elements of ", (long long)use->moved,
                (long long)use->of);
    tp_format_definition(&line, &p->look, use->user);
    fprintf(p->out, "%s\n", line.data);
    if (tp_page_indexed(&rule, p, use->user, use->input))
        fprintf(p->out, "        %s\n", rule.data);
    for (int i = 0; i < use->terms; i++)
        put_term(p, e, use, &use->term[i]);
    if (use->moved > use->terms)
        fprintf(p->out, "        and %lld smaller ones\n", (long long)use->moved - use->terms);
    tp_text_number(&sum, 6, use->sum);
    fprintf(p->out, "      sum %s\n", sum.data);
}

static void put_path(const tp_page *p, const tp_element_path *path)
{
    tp_text line = {0}, share = {0};
    tp_text_number(&share, 4, path->sum);
    for (int i = 0; i < path->length; i++) {
        tp_text_add(&line, i > 0 ? " → " : "");
        tp_format_name(&line, &p->look, path->node[i], false);
    }
    fprintf(p->out, "    %12s  along %s\n", share.data, line.data);
}

static void put_element(tp_page *p, const tp_element *e)
{
    tp_text line = {0}, sum = {0}, verdict = {0};
    char at[TP_SHAPE_TEXT];
    tp_text_add(&line, "why ∂");
    tp_format_name(&line, &p->look, p->passage->root, false);
    tp_text_add(&line, "/∂");
    tp_format_name(&line, &p->look, e->id, false);
    tp_text_add(&line, "%s is ", tp_index_text(e->shape, e->at, at));
    tp_text_number(&line, 6, e->gradient);
    fprintf(p->out, "%s\n", line.data);
    for (const tp_element_use *use = e->use; use != NULL; use = use->next)
        put_use(p, e, use);
    fprintf(p->out, "  every path, and what comes along it\n");
    for (int i = 0; i < e->paths; i++)
        put_path(p, &e->path[i]);
    if (e->paths < e->total_paths)
        fprintf(p->out, "    and %.6g more\n", e->total_paths - e->paths);
    tp_text_number(&sum, 6, e->path_sum);
    tp_page_verdict(&verdict, &e->check);
    fprintf(p->out, "    %12s  in all; finite difference: %s\n", sum.data, verdict.data);
}

const tp_writer tp_writer_text = {
    .forward = put_forward, .step = put_step, .gradients = put_gradients, .element = put_element};
