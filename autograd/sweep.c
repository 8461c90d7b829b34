/* sweep.c: the reverse cursor. Read tp_sweep_next first: the rest serves it.
 *
 * Gradients are vars like any other, recorded behind the forward pass. Each node remembers which var
 * holds its gradient so far; a var that no node holds any more gives its memory back at once. */
#include "autograd/compose.h"
#include "autograd/node.h"
#include "autograd/sweep.h"
#include "tensor/map.h"

#include <stdio.h>
#include <string.h>

static tp_status fail(tp_sweep *s, tp_status status)
{
    tp_tape_poison(s->tape, status);
    return s->status = s->tape->status;
}

/* --- holding gradients -------------------------------------------------------------------------- */

static void drop_grad(tp_sweep *s, tp_node *node)
{
    tp_node *g = tp_node_at(s->tape, node->grad);
    if (node->grad != 0 && --g->held == 0 && !s->opts.create_graph && node->grad >= s->base)
        tp_node_release(g);
    node->grad = 0;
}

/* node's gradient += g */
static void add_grad(tp_sweep *s, tp_node *node, tp_var g)
{
    if (node->grad != 0)
        g = tp_add(tp_var_at(s->tape, node->grad), g);
    if (g.id != 0)
        tp_node_at(s->tape, g.id)->held++;
    drop_grad(s, node);
    node->grad = g.id;
}

/* --- one step ----------------------------------------------------------------------------------- */

/* Frees what only the last step needed. Runs when the next step is asked for, so that in between
 * everything can be looked at. */
static void finish_step(tp_sweep *s)
{
    tp_tape *t = s->tape;
    if (s->n == 0)
        return;
    tp_node *node = tp_node_at(t, s->at);
    if (!node->target)
        drop_grad(s, node);
    for (uint32_t id = s->first; id < s->last && !s->opts.create_graph; id++)
        if (tp_node_at(t, id)->held == 0)
            tp_node_release(tp_node_at(t, id));
    if (s->opts.release)
        tp_node_release(node);
    tp_arena_recycle(&t->arena, (void *)s->contribution, 2 * (size_t)s->n * sizeof(tp_var));
    s->n = 0;
}

/* Every value the rule reads must still be there, and be what it was. */
static tp_status check_reads(const tp_sweep *s, const tp_node *node)
{
    char rule[TP_VAR_TEXT], what[TP_VAR_TEXT];
    for (int i = -1; i < node->n; i++) { /* -1: the output */
        unsigned bit = i < 0 ? TP_READS_Y : i < 31 ? TP_READS(i) : TP_READS(30);
        uint32_t id = i < 0 ? s->at : node->x[i];
        const tp_node *read = tp_node_at(s->tape, id);
        if (!(node->op->reads & bit))
            continue;
        tp_var_text(tp_var_at(s->tape, s->at), rule);
        tp_var_text(tp_var_at(s->tape, id), what);
        if (read->freed)
            return tp_fail(TP_EFREED,
                           "backward of %s needs %s, which an earlier backward released: call it "
                           "without release to keep values",
                           rule, what);
        if (read->value.storage->version != read->version)
            return tp_fail(TP_EVERSION,
                           "backward of %s needs %s as it was in the forward pass, but it was "
                           "written since (version %llu, now %llu)",
                           rule, what, (unsigned long long)read->version,
                           (unsigned long long)read->value.storage->version);
    }
    return TP_OK;
}

static tp_status run_fused(tp_sweep *s, const tp_node *node, const bool *want, tp_var *gx)
{
    enum { FEW = 4 };
    tp_tape *t = s->tape;
    const tp_tensor *x[FEW];
    tp_tensor g[FEW] = {{0}};
    if (node->n > FEW)
        return tp_fail(TP_EARG, "%s: a fused rule takes at most %d inputs", node->op->name, FEW);
    tp_status status = TP_OK;
    for (int i = 0; i < node->n; i++) {
        x[i] = &tp_node_at(t, node->x[i])->value;
        if (want[i] && status == TP_OK)
            status = tp_arena_tensor(&t->arena, &g[i], x[i]->dtype, x[i]->shape);
    }
    tp_fused_call call = {node->n, x,          &node->value, &tp_node_at(t, s->gy.id)->value,
                          g,       node->attr, want};
    if (status == TP_OK)
        status = node->op->vjp_fused(&call);
    for (int i = 0; i < node->n; i++) {
        uint32_t id;
        tp_node *out = g[i].storage != NULL && status == TP_OK ? tp_node_push(t, &id) : NULL;
        if (out != NULL) {
            out->value = g[i];
            gx[i] = tp_var_at(t, id);
        } else if (g[i].storage != NULL) {
            tp_tensor_drop(&g[i]);
            status = status != TP_OK ? status : TP_ENOMEM;
        }
    }
    return status;
}

/* contribution[i] = gy · dy/dx[i] for the wanted inputs. */
static tp_status run_rule(tp_sweep *s, const tp_node *node, tp_var *contribution, bool *want)
{
    enum { FEW = 8 };
    tp_tape *t = s->tape;
    tp_var few[FEW], *x = few;
    TP_TRY(check_reads(s, node));
    size_t bytes = (size_t)node->n * sizeof *x;
    if (node->n > FEW && (x = tp_arena_alloc(&t->arena, bytes)) == NULL)
        return TP_ENOMEM;
    for (int i = 0; i < node->n; i++)
        x[i] = tp_var_at(t, node->x[i]);
    tp_vjp_call call = {node->n, x, tp_var_at(t, s->at), s->gy, node->attr, want};
    t->rule_of = s->at;
    s->fused = node->op->vjp_fused != NULL && !s->opts.create_graph && !s->opts.composed;
    tp_status status = TP_OK;
    if (s->fused)
        status = run_fused(s, node, want, contribution);
    else
        node->op->vjp(&call, contribution);
    if (t->rule_hook != NULL)
        t->rule_hook(t->rule_hook_user, node->op, &call, contribution);
    t->rule_of = 0;
    if (x != few)
        tp_arena_recycle(&t->arena, x, bytes);
    return status != TP_OK ? status : t->status;
}

/* Sums a contribution back to the shape of its input. An op that does not broadcast must match already. */
static tp_var fit(tp_sweep *s, const tp_node *node, int i, tp_var g)
{
    tp_shape want = tp_node_at(s->tape, node->x[i])->value.shape;
    if (node->op->broadcasts || tp_shape_equal(tp_shape_of(g), want))
        return tp_sum_to(g, want);
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    fail(s,
         tp_fail(TP_ESHAPE, "the rule of %s gave a gradient of shape %s for input %d of shape %s",
                 node->op->name, tp_shape_text(tp_shape_of(g), a), i, tp_shape_text(want, b)));
    return g;
}

/* Runs the rule of node s->at and adds what it gives to the gradients of the inputs. */
static tp_status treat(tp_sweep *s, tp_node *node)
{
    tp_tape *t = s->tape;
    int n = node->n;
    tp_var *contribution = tp_arena_alloc(&t->arena, 2 * (size_t)n * sizeof *contribution);
    bool *want = tp_arena_alloc(&t->arena, (size_t)n);
    if (contribution == NULL || want == NULL)
        return TP_ENOMEM;
    tp_var *gx = contribution + n;
    memset(contribution, 0, 2 * (size_t)n * sizeof *contribution);
    for (int i = 0; i < n; i++)
        want[i] = tp_node_at(t, node->x[i])->wanted;
    s->n = n;
    s->contribution = contribution;
    s->gx = gx;
    s->gy = tp_var_at(t, node->grad);
    s->first = t->count;
    tp_status status = run_rule(s, node, contribution, want);
    s->rule_end = t->count;
    for (int i = 0; i < n && status == TP_OK; i++) {
        tp_node *input = tp_node_at(t, node->x[i]);
        if (want[i] && contribution[i].id != 0)
            add_grad(s, input, fit(s, node, i, contribution[i]));
        gx[i] = tp_var_at(t, want[i] ? input->grad : 0);
        status = t->status;
    }
    s->last = t->count;
    tp_arena_recycle(&t->arena, want, (size_t)n);
    return status;
}

bool tp_sweep_next(tp_sweep *s)
{
    if (s->status != TP_OK)
        return false;
    finish_step(s);
    while (s->at > 1) {
        tp_node *node = tp_node_at(s->tape, --s->at);
        if (node->op != NULL && node->grad != 0 && node->wanted_inputs) {
            tp_status status = treat(s, node);
            if (status != TP_OK)
                fail(s, status);
            return status == TP_OK;
        }
        if (s->opts.release)
            tp_node_release(node);
    }
    return false;
}

/* --- begin and end ------------------------------------------------------------------------------ */

static tp_sweep begin(tp_tape *t, uint32_t top, tp_sweep_opts opts)
{
    tp_sweep s = {.tape = t, .opts = opts, .base = t->count, .at = top + 1, .status = t->status};
    t->no_grad += !opts.create_graph;
    return s;
}

/* Which nodes lie between the targets and the top. Targets are the nodes whose .target is set. */
static void mark_wanted(tp_sweep *s)
{
    for (uint32_t id = 1; id < s->at; id++) {
        tp_node *node = tp_node_at(s->tape, id);
        node->wanted_inputs = false;
        for (int i = 0; i < node->n && !node->cut && !node->wanted_inputs; i++)
            node->wanted_inputs = tp_node_at(s->tape, node->x[i])->wanted;
        node->wanted = node->target || node->wanted_inputs;
        node->grad = node->held = 0;
    }
}

/* Why root has no gradient: names the operation that cut the last path, if there is one. */
static tp_status no_gradient(tp_tape *t, tp_var root)
{
    char what[TP_VAR_TEXT], cut[TP_VAR_TEXT];
    tp_var_text(root, what);
    for (uint32_t id = root.id; id > 0; id--) {
        const tp_node *node = tp_node_at(t, id);
        bool input_needs = false;
        for (int i = 0; i < node->n; i++)
            input_needs |= tp_node_at(t, node->x[i])->needs_grad;
        if (node->cut && input_needs)
            return tp_fail(
                TP_EGRAD, "no gradient reaches a parameter from %s: the path ends at %s (%s)", what,
                tp_var_text(tp_var_at(t, id), cut),
                node->op->smooth == TP_NO_GRADIENT ? node->op->why : "recorded without gradients");
    }
    return tp_fail(TP_EGRAD, "%s depends on no parameter or leaf that needs a gradient", what);
}

tp_sweep tp_sweep_begin(tp_var root, tp_sweep_opts opts)
{
    tp_status status = tp_var_status(root);
    char what[TP_VAR_TEXT], shape[TP_SHAPE_TEXT];
    if (status != TP_OK) {
        if (root.tape != NULL && root.tape->live)
            tp_tape_poison(root.tape, status);
        return (tp_sweep){.status = status};
    }
    tp_tape *t = root.tape;
    tp_sweep s = begin(t, root.id, opts);
    for (uint32_t id = 1; id <= root.id; id++)
        tp_node_at(t, id)->target = tp_node_at(t, id)->is_leaf;
    mark_wanted(&s);
    tp_node *node = tp_node_at(t, root.id);
    if (tp_numel(&node->value) != 1)
        fail(&s, tp_fail(TP_ESHAPE, "backward needs a root with one element, but %s has shape %s",
                         tp_var_text(root, what), tp_shape_text(node->value.shape, shape)));
    else if (!node->wanted)
        fail(&s, no_gradient(t, root));
    else
        add_grad(&s, node, tp_ones_like(root));
    s.status = t->status;
    return s;
}

/* Writes the leaf gradients: first everything that can fail, then everything that cannot. */
static tp_status commit(tp_sweep *s, uint32_t top)
{
    tp_tape *t = s->tape;
    for (uint32_t id = 1; id < top; id++) {
        tp_node *node = tp_node_at(t, id);
        if (!node->is_leaf || node->grad == 0 || node->param != NULL ||
            node->leaf_grad.storage != NULL)
            continue;
        tp_tensor zero;
        TP_TRY(tp_arena_tensor(&t->arena, &zero, node->value.dtype, node->value.shape));
        tp_fill(&zero, 0);
        node->leaf_grad = zero;
    }
    for (uint32_t id = 1; id < top; id++) {
        tp_node *node = tp_node_at(t, id);
        if (!node->is_leaf || node->grad == 0)
            continue;
        const tp_tensor *g = &tp_node_at(t, node->grad)->value;
        tp_parameter *p = node->param;
        if (p == NULL)
            TP_TRY(tp_map2(&node->leaf_grad, &node->leaf_grad, g, TP_K_add));
        else if (p->has_grad)
            TP_TRY(tp_map2(&p->grad, &p->grad, g, TP_K_add));
        else
            TP_TRY(tp_copy(&p->grad, g));
        if (p != NULL)
            p->has_grad = true;
    }
    return TP_OK;
}

tp_status tp_sweep_end(tp_sweep *s)
{
    tp_tape *t = s->tape;
    if (t == NULL)
        return s->status;
    finish_step(s);
    if (s->status == TP_OK && (s->status = commit(s, s->base)) != TP_OK)
        fail(s, s->status);
    t->no_grad -= !s->opts.create_graph;
    if (!s->opts.create_graph)
        tp_tape_truncate(t, s->base);
    tp_status status = s->status;
    s->tape = NULL; /* a second end does nothing */
    return status;
}

tp_var tp_sweep_grad(const tp_sweep *s, tp_var v)
{
    const tp_node *node = tp_node_of(v);
    return s->tape == NULL || node == NULL ? (tp_var){0} : tp_var_at(s->tape, node->grad);
}

tp_status tp_backward_opts(tp_var root, tp_sweep_opts opts)
{
    tp_sweep s = tp_sweep_begin(root, opts);
    while (tp_sweep_next(&s))
        ;
    return tp_sweep_end(&s);
}

tp_status tp_backward(tp_var root)
{
    return tp_backward_opts(root, (tp_sweep_opts){0});
}

/* --- gradients as vars -------------------------------------------------------------------------- */

static tp_status check_vars(tp_tape *t, int n, const tp_var *v, const char *what)
{
    for (int i = 0; i < n; i++) {
        tp_status status = tp_var_status(v[i]);
        if (status != TP_OK) {
            tp_fail_prefix("tp_grad: %s %d: ", what, i);
            return status;
        }
        if (v[i].tape != t)
            return tp_fail(TP_ETAPE, "tp_grad: %s %d belongs to another tape", what, i);
    }
    return TP_OK;
}

/* The cotangents of the outputs become their first gradients. */
static tp_status seed(tp_sweep *s, int outputs, const tp_var *output, const tp_var *cotangent)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    for (int i = 0; i < outputs; i++) {
        tp_var g = cotangent ? cotangent[i] : tp_ones_like(output[i]);
        if (!tp_shape_equal(tp_shape_of(g), tp_shape_of(output[i])))
            return tp_fail(TP_ESHAPE, "tp_grad: cotangent %d has shape %s, its output %s", i,
                           tp_shape_text(tp_shape_of(g), a),
                           tp_shape_text(tp_shape_of(output[i]), b));
        if (tp_node_at(s->tape, output[i].id)->wanted)
            add_grad(s, tp_node_at(s->tape, output[i].id), g);
    }
    return s->tape->status;
}

static tp_status collect(tp_sweep *s, int inputs, const tp_var *input, tp_var *grads,
                         bool allow_unused)
{
    char what[TP_VAR_TEXT];
    for (int j = 0; j < inputs; j++) {
        uint32_t g = tp_node_at(s->tape, input[j].id)->grad;
        if (g == 0 && !allow_unused)
            return tp_fail(TP_EGRAD, "tp_grad: no output depends on input %d, %s", j,
                           tp_var_text(input[j], what));
        grads[j] = g != 0 ? tp_var_at(s->tape, g) : tp_zeros_like(input[j]);
    }
    return s->tape->status;
}

tp_status tp_grad(int outputs, const tp_var *output, int inputs, const tp_var *input, tp_var *grads,
                  tp_grad_opts opts)
{
    tp_tape *t = outputs > 0 ? output[0].tape : NULL;
    memset(grads, 0, (size_t)inputs * sizeof *grads);
    if (t == NULL || !t->live || inputs < 1)
        return tp_fail(TP_ETAPE,
                       "tp_grad: at least one output and one input on a live tape needed");
    tp_status status = check_vars(t, outputs, output, "output");
    if (status == TP_OK)
        status = check_vars(t, inputs, input, "input");
    if (status == TP_OK && opts.grad_outputs != NULL)
        status = check_vars(t, outputs, opts.grad_outputs, "cotangent");
    if (status != TP_OK)
        return tp_tape_poison(t, status), status;

    uint32_t top = 0;
    for (int i = 0; i < outputs; i++)
        top = output[i].id > top ? output[i].id : top;
    for (uint32_t id = 1; id < t->count; id++) {
        tp_node_at(t, id)->target = false;
        tp_node_at(t, id)->grad = tp_node_at(t, id)->held = 0;
    }
    for (int j = 0; j < inputs; j++)
        tp_node_at(t, input[j].id)->target = true;
    tp_sweep s = begin(t, top, (tp_sweep_opts){.create_graph = opts.create_graph});
    mark_wanted(&s);
    status = seed(&s, outputs, output, opts.grad_outputs);
    s.status = status;
    while (tp_sweep_next(&s))
        ;
    status = s.status;
    finish_step(&s);
    if (status == TP_OK)
        status = collect(&s, inputs, input, grads, opts.allow_unused);
    t->no_grad -= !opts.create_graph;
    if (status != TP_OK) {
        for (int j = 0; j < inputs; j++)
            grads[j] = tp_tape_poison(t, status);
        tp_tape_truncate(t, s.base);
    }
    return status;
}
