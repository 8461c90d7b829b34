/* explain.c: the layout of the forward list, of one step and of the whole derivation. Formulas are
 * written by format.c; what has to be computed for a step is computed by replay.c on a tape of its own,
 * so that the user's tape is only read. Read next: format.c. */
#include "autograd/explain.h"
#include "autograd/explain/format.h"
#include "autograd/ops.h"
#include "autograd/explain/replay.h"
#include "tensor/mem.h"

#include <string.h>

/* --- lines -------------------------------------------------------------------------------------- */

/* "<line> = <numbers>   <note>", on two lines if that would be too wide. */
static void put_value(FILE *out, tp_explain_opts o, const tp_text *line, const tp_tensor *value,
                      const char *note)
{
    tp_text rest = {0};
    if (o.numbers && value != NULL)
        tp_text_add(&rest, "= "), tp_text_tensor(&rest, value);
    if (note[0] != '\0')
        tp_text_add(&rest, "%s%s", rest.used > 0 ? "   " : "", note);
    int width = o.width > 0 ? o.width : 100;
    const char *gap = rest.used == 0 ? "" : *rest.data == '=' ? " " : "   ";
    if (rest.used > 0 && tp_text_columns(line->data) + tp_text_columns(rest.data) + 3 > width)
        gap = "\n        ";
    fprintf(out, "%s%s%s\n", line->data, gap, rest.data);
}

/* Type, scope and origin of a node, as far as they are known. */
static void add_origin(tp_text *t, const tp_tape *tape, const tp_node *node)
{
    char type[TP_TENSOR_TEXT], path[TP_VAR_TEXT];
    tp_text_add(t, "%s", tp_tensor_text(&node->value, type));
    tp_scope_path(tape, node->scope, path);
    if (path[0] != '\0')
        tp_text_add(t, "   in %s", path);
    if (node->file != NULL)
        tp_text_add(t, "   %s:%d", node->file, node->line);
}

static bool is_random(const tp_op *op)
{
    for (int i = 0; i < op->field_count; i++)
        if (op->fields[i].kind == TP_FIELD_KEY)
            return true;
    return false;
}

/* --- what depends on what ----------------------------------------------------------------------- */

/* Marks root and what it was computed from; with wanted, only along paths that gradients take. The marks
 * are root.id + 1 bools, freed by the caller. */
static bool *ancestors(const tp_tape *tape, uint32_t root, bool wanted)
{
    bool *mark = tp_alloc_zero(root + 1);
    if (mark == NULL) {
        tp_fail_prefix("tp_explain: ");
        return NULL;
    }
    mark[root] = true;
    for (uint32_t id = root; id > 0; id--) {
        const tp_node *node = tp_node_at(tape, id);
        if (!mark[id] || (wanted && !node->wanted_inputs))
            continue;
        for (int i = 0; i < node->n; i++)
            mark[node->x[i]] |= !wanted || tp_node_at(tape, node->x[i])->wanted;
    }
    return mark;
}

static bool rule_reads(const tp_op *op, int i)
{
    return op->reads & (i < 31 ? TP_READS(i) : TP_READS(30));
}

/* "kept for backward: read by the rule of v4 (exp, itself), v7 (mul)" */
static void add_readers(tp_text *t, const tp_tape *tape, uint32_t id, uint32_t root,
                        const bool *mark)
{
    const tp_node *node = tp_node_at(tape, id);
    int readers = 0;
    for (uint32_t k = id; k <= root; k++) {
        const tp_node *user = tp_node_at(tape, k);
        bool reads = false;
        if (!mark[k] || user->op == NULL || !user->needs_grad)
            continue;
        if (k == id)
            reads = (user->op->reads & TP_READS_Y) != 0;
        for (int i = 0; i < user->n && !reads; i++)
            reads = user->x[i] == id && rule_reads(user->op, i);
        if (!reads)
            continue;
        tp_text_add(t, "%s",
                    readers++ > 0 ? ", " : "        kept for backward: read by the rule of ");
        tp_format_symbol(t, tape, k);
        tp_text_add(t, " (%s%s)", user->op->name, k == id ? ", itself" : "");
    }
    if (readers == 0 && node->op != NULL && node->needs_grad)
        tp_text_add(t, "        not kept for backward: no rule reads it");
}

/* --- the forward list --------------------------------------------------------------------------- */

static void put_forward(FILE *out, tp_var root, tp_explain_opts o, const bool *mark)
{
    const tp_tape *tape = root.tape;
    for (uint32_t id = 1; id <= root.id; id++) {
        const tp_node *node = tp_node_at(tape, id);
        if (!mark[id])
            continue;
        tp_text line = {0}, note = {0}, kept = {0};
        tp_text_add(&line, "  #%u  ", id);
        tp_format_definition(&line, tape, id);
        add_origin(&note, tape, node);
        if (node->op != NULL && is_random(node->op))
            tp_text_add(&note, "   random");
        if (node->op != NULL && node->cut)
            tp_text_add(&note, "   no gradient (%s)",
                        node->op->smooth == TP_NO_GRADIENT ? node->op->why : "not recorded");
        put_value(out, o, &line, node->freed ? NULL : &node->value, note.data);
        add_readers(&kept, tape, id, root.id, mark);
        if (kept.used > 0)
            fprintf(out, "%s\n", kept.data);
    }
}

tp_status tp_explain_forward(FILE *out, tp_var root, tp_explain_opts o)
{
    const tp_node *node = tp_node_of(root);
    if (node == NULL)
        return tp_var_status(root);
    bool *mark = ancestors(root.tape, root.id, false);
    if (mark == NULL)
        return TP_ENOMEM;
    tp_text title = {0};
    tp_format_symbol(&title, root.tape, root.id);
    fprintf(out, "forward: what %s was computed from\n", title.data);
    put_forward(out, root, o, mark);
    tp_free(mark, root.id + 1);
    return tp_text_written(out, "tp_explain");
}

/* --- one step ----------------------------------------------------------------------------------- */

/* What the parts of a step share. */
typedef struct step {
    FILE *out;
    const tp_sweep *s;
    tp_explain_opts o;
    uint32_t root;
    const bool *mark; /* the nodes this sweep passes through */
    tp_replay replay;
    tp_status
        status; /* TP_ENOMEM once memory was short; what is missing for other reasons is said */
    tp_formula formula; /* of what the rule and the adding up recorded */
} step;

static bool treated(const step *c, uint32_t id)
{
    const tp_node *node = tp_node_at(c->s->tape, id);
    return c->mark[id] && node->op != NULL && node->wanted_inputs;
}

/* A value to show, or NULL if there is none. */
static const tp_tensor *value_of(step *c, uint32_t id, tp_tensor *value)
{
    tp_status s = tp_replay_value(&c->replay, id, value);
    if (s == TP_ENOMEM)
        c->status = s;
    return s == TP_OK ? value : NULL;
}

static void put_title(const step *c)
{
    const tp_node *node = tp_node_at(c->s->tape, c->s->at);
    int number = 0;
    for (uint32_t id = c->root; id >= c->s->at; id--)
        number += treated(c, id);
    tp_text line = {0};
    tp_text_add(&line, "step %d: %s%s   ", number, node->op->name, c->s->fused ? " (fused)" : "");
    tp_format_definition(&line, c->s->tape, c->s->at);
    tp_text_add(&line, "   ");
    add_origin(&line, c->s->tape, node);
    fprintf(c->out, "%s\n", line.data);
    if (node->op->why != NULL)
        fprintf(c->out, "    why: %s\n", node->op->why);
    tp_text given = {0};
    tp_text_add(&given, "    given ");
    tp_format_bar(&given, c->s->tape, c->s->at);
    put_value(c->out, c->o, &given, &tp_node_at(c->s->tape, c->s->gy.id)->value, "");
}

/* Gives names to what the rule used more than once. */
static void put_shared(step *c)
{
    tp_formula_share(&c->formula, c->s->rule_end, c->s->n, c->s->contribution);
    int n = c->formula.shared_count;
    for (int i = 0; i < n; i++) {
        tp_text line = {0};
        tp_tensor value;
        uint32_t id = c->formula.shared[i];
        tp_text_add(&line, "    with t%d = ", i + 1);
        tp_format_op(&line, &c->formula, id);
        put_value(c->out, c->o, &line, value_of(c, id, &value), "");
    }
}

/* After a fan-out: the sum so far, and which uses of the value it comes from. */
static void put_total(step *c, uint32_t input, uint32_t total)
{
    const tp_tape *tape = c->s->tape;
    tp_text line = {0}, from = {0};
    tp_text_add(&line, "    ");
    tp_format_bar(&line, tape, input);
    tp_text_add(&line, " so far");
    for (uint32_t k = c->root; k >= c->s->at; k--)
        for (int i = 0; treated(c, k) && i < tp_node_at(tape, k)->n; i++)
            if (tp_node_at(tape, k)->x[i] == input) {
                tp_text_add(&from, from.used > 0 ? ", " : "from ");
                tp_format_symbol(&from, tape, k);
            }
    tp_tensor value;
    put_value(c->out, c->o, &line, value_of(c, total, &value), from.data);
}

/* "v̄3 += v̄4 ⊙ v4 = [0.9241 0.07586]   finite difference: ok 2e-10" */
static void put_contribution(step *c, int i)
{
    const tp_sweep *s = c->s;
    bool nothing = s->contribution[i].id == 0;
    uint32_t input = tp_node_at(s->tape, s->at)->x[i], total = s->gx[i].id;
    uint32_t added = nothing ? 0 : total;
    if (added >= s->rule_end && tp_node_at(s->tape, total)->op == &tp_op_add)
        added = tp_node_at(s->tape, total)->x[1]; /* the sweep summed: old total, new part */
    tp_text line = {0}, note = {0};
    tp_tensor value;
    const tp_tensor *shown = value_of(c, added, &value);
    tp_text_add(&line, "    ");
    tp_format_bar(&line, s->tape, input);
    tp_text_add(&line, " += ");
    if (nothing)
        tp_text_add(&line, "0 (the rule gave nothing)");
    else if (s->fused)
        tp_text_add(&line, "(one kernel; a sweep with .composed shows its operations)");
    else
        tp_format_var(&line, &c->formula, added);
    if (added != s->contribution[i].id && added >= s->rule_end) {
        char shape[TP_SHAPE_TEXT];
        tp_text_add(&note, "summed back to %s   ",
                    tp_shape_text(tp_node_at(s->tape, added)->value.shape, shape));
    }
    if (c->o.check) {
        tp_text_add(&note, "finite difference: ");
        if (tp_replay_check(&c->replay, i, shown, &note) == TP_ENOMEM)
            c->status = TP_ENOMEM;
    }
    put_value(c->out, c->o, &line, shown, note.data);
    if (!nothing && added != total)
        put_total(c, input, total);
}

static tp_status explain_step(FILE *out, const tp_sweep *s, tp_explain_opts o, uint32_t root,
                              const bool *mark)
{
    step c = {.out = out, .s = s, .o = o, .root = root, .mark = mark};
    TP_TRY(tp_replay_begin(&c.replay, s));
    c.formula = (tp_formula){s->tape, s->first, s->last, s->gy.id, s->at, {0}, 0};
    put_title(&c);
    if (!s->fused)
        put_shared(&c);
    for (int i = 0; i < s->n; i++)
        if (tp_node_at(s->tape, tp_node_at(s->tape, s->at)->x[i])->wanted)
            put_contribution(&c, i);
    tp_replay_end(&c.replay);
    return c.status != TP_OK ? c.status : tp_text_written(out, "tp_explain");
}

tp_status tp_explain_step(FILE *out, const tp_sweep *s, tp_explain_opts o)
{
    if (s->tape == NULL || !s->tape->live || s->tape->reset_epoch != s->epoch || s->n == 0 ||
        s->status != TP_OK)
        return tp_fail(TP_EARG, "tp_explain_step: the sweep has not just taken a step");
    bool *mark = ancestors(s->tape, s->root, true);
    tp_status status = mark == NULL ? TP_ENOMEM : explain_step(out, s, o, s->root, mark);
    tp_free(mark, s->root + 1);
    return status;
}

/* --- the whole derivation ----------------------------------------------------------------------- */

static void put_gradients(FILE *out, const tp_sweep *s, tp_var root, tp_explain_opts o)
{
    tp_text title = {0};
    tp_format_symbol(&title, s->tape, root.id);
    fprintf(out, "\ngradients of %s\n", title.data);
    for (uint32_t id = 1; id <= root.id; id++) {
        const tp_node *node = tp_node_at(s->tape, id);
        if (!node->is_leaf || node->grad == 0)
            continue;
        tp_text line = {0};
        char type[TP_TENSOR_TEXT];
        tp_text_add(&line, "    ");
        tp_format_bar(&line, s->tape, id);
        put_value(out, o, &line, &tp_node_at(s->tape, node->grad)->value,
                  tp_tensor_text(&node->value, type));
    }
}

static tp_status explain_sweep(FILE *out, tp_sweep *s, tp_var root, tp_explain_opts o)
{
    TP_TRY(s->status);
    bool *mark = ancestors(s->tape, root.id, true);
    tp_status status = mark == NULL ? TP_ENOMEM : TP_OK;
    while (status == TP_OK && tp_sweep_next(s)) {
        fputc('\n', out);
        status = explain_step(out, s, o, root.id, mark);
    }
    tp_free(mark, root.id + 1);
    TP_TRY(status != TP_OK ? status : s->status);
    put_gradients(out, s, root, o);
    return tp_text_written(out, "tp_explain");
}

tp_status tp_explain(FILE *out, tp_var root, tp_explain_opts o)
{
    TP_TRY(tp_var_status(root));
    TP_TRY(tp_explain_forward(out, root, o));
    tp_status before = root.tape->status;
    tp_sweep s = tp_sweep_begin(root, (tp_sweep_opts){.composed = true});
    tp_status status = explain_sweep(out, &s, root, o);
    s.done = false; /* as if abandoned: no gradient is written */
    tp_sweep_end(&s);
    if (before == TP_OK) { /* what failed is the caller's to handle, the tape stays usable */
        root.tape->status = TP_OK;
        root.tape->message[0] = '\0';
    }
    return status;
}
