/* step.c: collecting what there is to show of one step. Read next: text.c, which shows it. */
#include "autograd/explain/step.h"
#include "autograd/ops.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

/* --- what depends on what ----------------------------------------------------------------------- */

/* Marks root and what it was computed from; with wanted, only along paths that gradients take. */
static void mark(const tp_tape *tape, uint32_t root, bool wanted, bool *marks)
{
    marks[root] = true;
    for (uint32_t id = root; id > 0; id--) {
        const tp_node *node = tp_node_at(tape, id);
        if (!marks[id] || (wanted && !node->wanted_inputs))
            continue;
        for (int i = 0; i < node->n; i++)
            marks[node->x[i]] |= !wanted || tp_node_at(tape, node->x[i])->wanted;
    }
}

tp_status tp_passage_new(tp_passage *p, tp_var root)
{
    size_t n = (size_t)root.id + 1;
    *p = (tp_passage){.tape = root.tape, .root = root.id, .made = tp_alloc_zero(2 * n)};
    if (p->made == NULL)
        return tp_fail_prefix("tp_explain: "), TP_ENOMEM;
    p->passed = p->made + n;
    mark(p->tape, p->root, false, p->made);
    return TP_OK;
}

void tp_passage_free(tp_passage *p)
{
    tp_free(p->made, 2 * ((size_t)p->root + 1));
    p->made = p->passed = NULL;
}

void tp_passage_mark(tp_passage *p)
{
    mark(p->tape, p->root, true, p->passed);
}

bool tp_passage_treats(const tp_passage *p, uint32_t id)
{
    const tp_node *node = tp_node_at(p->tape, id);
    return p->passed[id] && node->op != NULL && node->wanted_inputs;
}

int tp_passage_number(const tp_passage *p, uint32_t id)
{
    int number = 0;
    for (uint32_t k = p->root; k >= id && k > 0; k--)
        number += tp_passage_treats(p, k);
    return number;
}

int tp_passage_steps(const tp_passage *p)
{
    return tp_passage_number(p, 1);
}

static bool rule_reads(const tp_op *op, int i)
{
    return op->reads & (i < 31 ? TP_READS(i) : TP_READS(30));
}

bool tp_passage_reads(const tp_passage *p, uint32_t user, uint32_t id)
{
    const tp_node *node = tp_node_at(p->tape, user);
    if (!p->made[user] || node->op == NULL || !node->needs_grad)
        return false;
    bool reads = user == id && (node->op->reads & TP_READS_Y) != 0;
    for (int i = 0; i < node->n && !reads; i++)
        reads = node->x[i] == id && rule_reads(node->op, i);
    return reads;
}

/* --- one step ----------------------------------------------------------------------------------- */

static void note_shortage(tp_step *s, tp_status status)
{
    if (status != TP_ENOMEM)
        return;
    s->status = status;
    tp_fail_prefix("explaining %s: ", s->node->op->name);
}

static const tp_tensor *found(tp_step *s, tp_status status, const tp_tensor *value)
{
    note_shortage(s, status);
    return status == TP_OK ? value : NULL;
}

const tp_tensor *tp_step_value(tp_step *s, const tp_formula *f, uint32_t id, tp_tensor *at)
{
    if (f->tape == s->replay.tape)
        return tp_value(tp_var_at(s->replay.tape, id));
    return found(s, tp_replay_value(&s->replay, id, at), at);
}

static double largest(const tp_tensor *x, bool *finite)
{
    double most = 0;
    *finite = true;
    for (int64_t i = 0; i < tp_numel(x); i++) {
        double v = fabs(tp_flat(x, i));
        *finite &= isfinite(v) != 0;
        most = v > most ? v : most;
    }
    return most;
}

/* A millionth of what came in is next to nothing for what lies further up. */
static tp_health health(const tp_tensor *upstream, const tp_tensor *value)
{
    bool finite, before;
    double in = largest(upstream, &before), out = largest(value, &finite);
    return !finite ? TP_NON_FINITE : in > 0 && out < 1e-6 * in ? TP_VANISHING : TP_SOUND;
}

/* Which uses of the input the gradient has come from. */
static void collect_uses(tp_step *s, tp_part *part)
{
    part->from =
        tp_arena_alloc(&s->replay.tape->arena, ((size_t)s->passage->root + 1) * sizeof *part->from);
    if (part->from == NULL)
        note_shortage(s, TP_ENOMEM);
    for (uint32_t k = s->passage->root; k > 0; k--)
        for (int i = 0; tp_passage_treats(s->passage, k) && i < tp_node_at(s->sweep->tape, k)->n;
             i++) {
            if (tp_node_at(s->sweep->tape, k)->x[i] != part->id)
                continue;
            part->uses++;
            part->arrived += k > s->id || (k == s->id && i <= part->input);
            if (k >= s->id && part->from != NULL &&
                (part->come == 0 || part->from[part->come - 1] != k))
                part->from[part->come++] = k;
        }
}

/* The rule as operations: those that ran, or those that the fused kernel stands for. */
static void find_rule(tp_step *s, tp_part *part, uint32_t added)
{
    part->formula = s->formula;
    part->rule = added;
    if (!s->sweep->fused || part->nothing)
        return;
    tp_replay *r = &s->replay;
    part->rule = 0;
    if (tp_replay_rule(r) != TP_OK) {
        note_shortage(s, r->status);
        return;
    }
    part->formula.tape = r->tape;
    part->formula.first = r->first[part->input];
    part->formula.last = r->last[part->input];
    part->formula.gy = r->gy.id;
    part->formula.at = r->y.id;
    part->formula.alias = &r->alias;
    part->rule = r->gx[part->input].id;
    tp_formula_share(&part->formula, part->formula.last, 1, &r->gx[part->input]);
}

/* Whole where it fits on a page. */
static void find_jacobian(tp_step *s, tp_part *part)
{
    enum { MOST = 8 };
    part->rows = tp_numel(&s->node->value);
    part->columns = tp_numel(&tp_node_at(s->sweep->tape, part->id)->value);
    if (part->rows > MOST || part->columns > MOST || part->rows * part->columns == 0)
        return;
    part->jacobian = found(s, tp_replay_jacobian(&s->replay, part->input, &part->jacobian_tensor),
                           &part->jacobian_tensor);
}

static void collect_part(tp_step *s, tp_part *part, const tp_explain_opts *o)
{
    const tp_sweep *sweep = s->sweep;
    int i = part->input;
    uint32_t total = sweep->gx[i].id;
    part->id = s->node->x[i];
    part->nothing = sweep->contribution[i].id == 0;
    uint32_t added = part->nothing ? 0 : total;
    if (added >= sweep->rule_end && tp_node_at(sweep->tape, total)->op == &tp_op_add)
        added = tp_node_at(sweep->tape, total)->x[1]; /* the sweep summed: old total, new part */
    part->summed = added != sweep->contribution[i].id && added >= sweep->rule_end;
    part->value =
        found(s, tp_replay_value(&s->replay, added, &part->value_tensor), &part->value_tensor);
    if (!part->nothing && added != total)
        part->total =
            found(s, tp_replay_value(&s->replay, total, &part->total_tensor), &part->total_tensor);
    find_rule(s, part, added);
    collect_uses(s, part);
    if (part->value != NULL)
        part->health = health(s->upstream, part->value);
    if (o->jacobian)
        find_jacobian(s, part);
    part->checked = o->check;
    if (o->check && tp_replay_check(&s->replay, i, part->value, &part->check) == TP_ENOMEM)
        s->status = TP_ENOMEM;
}

tp_status tp_step_begin(tp_step *s, const tp_sweep *sweep, const tp_passage *p,
                        const tp_explain_opts *o, const tp_formula *look)
{
    const tp_node *node = tp_node_at(sweep->tape, sweep->at);
    *s = (tp_step){.sweep = sweep,
                   .passage = p,
                   .node = node,
                   .id = sweep->at,
                   .number = tp_passage_number(p, sweep->at),
                   .upstream = &tp_node_at(sweep->tape, sweep->gy.id)->value,
                   .formula = *look};
    s->formula.tape = sweep->tape;
    s->formula.first = sweep->first;
    s->formula.last = sweep->last;
    s->formula.gy = sweep->gy.id;
    s->formula.at = sweep->at;
    if (tp_replay_begin(&s->replay, sweep->tape, s->id, s->upstream) != TP_OK)
        return note_shortage(s, TP_ENOMEM), TP_ENOMEM;
    s->part = tp_arena_alloc(&s->replay.tape->arena, (size_t)node->n * sizeof *s->part);
    if (s->part == NULL) {
        note_shortage(s, TP_ENOMEM);
        tp_replay_end(&s->replay);
        return TP_ENOMEM;
    }
    if (!sweep->fused)
        tp_formula_share(&s->formula, sweep->rule_end, sweep->n, sweep->contribution);
    for (int i = 0; i < node->n; i++) {
        if (!tp_node_at(sweep->tape, node->x[i])->wanted)
            continue;
        tp_part *part = &s->part[s->parts++];
        *part = (tp_part){.input = i};
        collect_part(s, part, o);
    }
    return TP_OK;
}

void tp_step_end(tp_step *s)
{
    tp_replay_end(&s->replay);
}
