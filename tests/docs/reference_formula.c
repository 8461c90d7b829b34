/* reference_formula.c: formulas of operations and of what their rules recorded. See reference.h. */
#include "tests/docs/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/compose.h"
#include "autograd/explain/index.h"
#include "autograd/sweep.h"

/* Rounding errors where a sum cancels differ between processors: they are shown as the 0 they stand for. */
static void add_value(tp_text *t, const tp_tensor *x)
{
    tp_tensor clean;
    double most = 0;
    if (tp_clone(&clean, x) != TP_OK)
        exit(1);
    for (int64_t i = 0; i < tp_numel(x); i++)
        most = fmax(most, fabs(tp_flat(x, i)));
    for (int64_t i = 0; i < tp_numel(x); i++)
        if (fabs(tp_flat(x, i)) <= 1e-13 * most)
            (void)tp_set_flat(&clean, i, 0);
    tp_text_tensor(t, &clean);
    tp_tensor_free(&clean);
}

static void add_line(page *p, const tp_text *line, const tp_tensor *x)
{
    tp_text value = {0};
    add_value(&value, x);
    bool wide = tp_text_columns(line->data) + tp_text_columns(value.data) > 96;
    tp_text_add(&p->example, "%s%s= %s\n", line->data, wide ? "\n    " : " ", value.data);
}

/* An equation of the TeX block: left, sign, and what render has written to right. */
static void add_tex(page *p, const run *r, const char *left, const char *sign, const tp_text *right)
{
    need(right->used > 0 && !right->cut, r->op->name, "a formula renders empty, or too long");
    tp_text_add(&p->tex, "%s%s &%s %s", p->tex.used > 0 ? " \\\\\n" : "", left, sign, right->data);
}

static void add_shared(page *p, const run *r, tp_formula f, int i)
{
    tp_text line = {0}, tex = {0};
    char name[16];
    snprintf(name, sizeof name, "t_{%d}", i + 1);
    tp_text_add(&line, "with t%d = ", i + 1);
    tp_format_op(&line, &f, f.shared[i]);
    f.tex = true;
    tp_format_op(&tex, &f, f.shared[i]);
    add_tex(p, r, name, "=", &tex);
    add_line(p, &line, tp_value(tp_var_at(r->tape, f.shared[i])));
}

static void add_contribution(page *p, const run *r, tp_formula f, const tp_sweep *s, int i)
{
    tp_text line = {0}, tex = {0}, name = {0};
    tp_format_bar(&line, r->tape, r->x[i].id);
    tp_text_add(&line, " += ");
    tp_format_var(&line, &f, s->contribution[i].id);
    tp_format_symbol_tex(&name, r->tape, r->x[i].id, true);
    f.tex = true;
    tp_format_var(&tex, &f, s->contribution[i].id);
    add_tex(p, r, name.data, "\\mathrel{+}=", &tex);
    add_line(p, &line, tp_value(s->gx[i]));
}

/* Runs backward from Σ y ⊙ ȳ, ȳ some simple numbers, and looks at the step that treats y. */
static void add_own_gradient(page *p, run *r)
{
    tp_tensor gy;
    simple_like(r->y, &gy);
    tp_var root = tp_sum(tp_mul(r->y, tp_constant(r->tape, &gy)), TP_ALL_AXES, false);
    tp_sweep s = tp_sweep_begin(root, (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s) && s.at != r->y.id)
        ;
    need(s.status == TP_OK && s.at == r->y.id, r->op->name, "its rule did not run");
    tp_formula f = {.tape = r->tape, .first = s.first, .last = s.last, .gy = s.gy.id, .at = s.at};
    tp_formula_share(&f, s.rule_end, s.n, s.contribution);
    tp_text line = {0};
    tp_text_add(&line, "given ");
    tp_format_bar(&line, r->tape, r->y.id);
    add_line(p, &line, &gy);
    for (int i = 0; i < f.shared_count; i++)
        add_shared(p, r, f, i);
    for (int i = 0; i < s.n; i++)
        if (s.contribution[i].id != 0)
            add_contribution(p, r, f, &s, i);
    tp_sweep_end(&s);
    tp_tensor_free(&gy);
}

/* A composition has no node of its own: one is made up, so that its formula is written like a row's. */
static void make_up_node(run *r)
{
    uint32_t id, *x = tp_arena_alloc(&r->tape->arena, sizeof *x * TP_SAMPLE_INPUTS);
    tp_node *node = x == NULL ? NULL : tp_node_push(r->tape, &id);
    need(node != NULL, r->op->name, "no memory");
    for (int i = 0; i < r->sample.n; i++)
        x[i] = r->x[i].id;
    node->op = r->op;
    node->x = x;
    node->n = r->sample.n;
    node->attr = r->sample.attr;
    node->value = *tp_value(r->y);
    r->y = tp_var_at(r->tape, id);
}

/* What the parts' rules give together. */
static void add_total_gradient(page *p, run *r)
{
    tp_tensor gy;
    tp_var x[TP_SAMPLE_INPUTS], gx[TP_SAMPLE_INPUTS];
    int n = 0;
    simple_like(r->y, &gy);
    tp_var seed = tp_constant(r->tape, &gy);
    for (int i = 0; i < r->sample.n; i++)
        if (tp_needs_grad(r->x[i]))
            x[n++] = r->x[i];
    tp_status s =
        tp_grad(1, &r->y, n, x, gx, (tp_grad_opts){.grad_outputs = &seed, .allow_unused = true});
    need(s == TP_OK, r->op->name, "it has no gradient");
    tp_text given = {0};
    tp_text_add(&given, "given %s\xcc\x84", r->result); /* a macron */
    add_line(p, &given, &gy);
    for (int i = 0; i < n; i++) {
        tp_text line = {0};
        tp_format_bar(&line, r->tape, x[i].id);
        add_line(p, &line, tp_value(gx[i]));
    }
    tp_tensor_free(&gy);
}

bool is_row(const tp_op *op)
{
    return op->shape != NULL;
}

/* All on one line if they fit. */
static void add_inputs(page *p, const run *r)
{
    tp_text one = {0};
    for (int i = 0; i < r->sample.n; i++) {
        tp_text_add(&one, "%s%s = ", i > 0 ? "   " : "", r->name[i]);
        add_value(&one, &r->data[i]);
    }
    if (tp_text_columns(one.data) <= 96 && r->sample.n > 0)
        tp_text_add(&p->example, "%s\n", one.data);
    else
        for (int i = 0; i < r->sample.n; i++) {
            tp_text name = {0};
            tp_text_add(&name, "%s", r->name[i]);
            add_line(p, &name, &r->data[i]);
        }
}

void add_formula(page *p, run *r)
{
    tp_text line = {0}, tex = {0};
    need(tp_value(r->y) != NULL, r->op->name, "its sample fails");
    tp_var y = r->y;
    if (!is_row(r->op))
        make_up_node(r);
    tp_name(r->y, r->result, NULL, 0);
    tp_formula f = {.tape = r->tape, .tex = true};
    tp_format_op(&tex, &f, r->y.id);
    add_tex(p, r, r->result, "=", &tex);
    add_inputs(p, r);
    tp_format_definition(&line, &(tp_formula){.tape = r->tape}, r->y.id);
    add_line(p, &line, tp_value(r->y));
    r->y = y;
}

/* "left = right" as a line of an aligned block. */
static void add_aligned(page *p, const run *r, const tp_text *line, const char *sign)
{
    const char *draw = strstr(line->data, " \\sim "),
               *at = draw != NULL ? draw : strstr(line->data, " = ");
    need(at != NULL && !line->cut, r->op->name, "an index form is no equation, or too long");
    tp_text_add(&p->index, "%s%.*s &%s%s", p->index.used > 0 ? " \\\\\n" : "",
                (int)(at - line->data), line->data, draw != NULL ? "" : sign,
                draw != NULL ? draw + 1 : at + 2);
}

/* Of an elementwise op the rules by elements are the rules. */
static bool elementwise(const tp_op *op)
{
    bool all = true;
    for (int i = 0; i < op->arity; i++)
        all = all && (tp_jacobian_of(op, i) == TP_JACOBIAN_DIAGONAL ||
                      tp_jacobian_of(op, i) == TP_JACOBIAN_NONE);
    return all && op->arity >= 0;
}

void add_index(page *p, run *r)
{
    tp_formula f = {.tape = r->tape, .tex = true};
    tp_text line = {0};
    need(tp_format_index(&line, &f, r->y.id), r->op->name, "it has no index form");
    if (elementwise(r->op))
        tp_text_add(&p->index, "%s", line.data);
    else
        add_aligned(p, r, &line, "=");
    for (int i = 0; i < r->sample.n && !elementwise(r->op); i++) {
        tp_text rule = {0};
        if (tp_format_index_vjp(&rule, &f, r->y.id, i))
            add_aligned(p, r, &rule, "\\mathrel{+}=");
    }
}

void add_gradient(page *p, run *r)
{
    if (is_row(r->op))
        add_own_gradient(p, r);
    else
        add_total_gradient(p, r);
}
