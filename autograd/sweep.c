/* sweep.c: the reverse cursor. Read tp_sweep_next first: the rest serves it.
 *
 * Gradients are vars like any other, recorded behind the forward pass. Each node remembers which var
 * holds its gradient so far; a var that no node holds any more gives its memory back at once. */
#include "autograd/compose.h"
#include "autograd/sweep_step.h"
#include "tensor/map.h"

#include <string.h>

static tp_status fail(tp_sweep *s, tp_status status)
{
    char what[TP_VAR_TEXT];
    if (status == TP_ENOMEM &&
        s->tape->status == TP_OK) /* not of an operation, which says so itself */
        tp_fail_prefix("backward of %s: ",
                       tp_var_text(tp_var_at(s->tape, s->at > s->root ? s->root : s->at), what));
    tp_tape_poison(s->tape, status);
    return s->status = s->tape->status;
}

/* --- holding gradients -------------------------------------------------------------------------- */

static void drop_grad(tp_sweep *s, tp_node *node)
{
    tp_node *g = tp_node_at(s->tape, node->grad);
    bool shown = s->n > 0 && node->grad >= s->first; /* made in this step, which shows it */
    if (node->grad != 0 && --g->held == 0 && !s->opts.create_graph && !shown &&
        node->grad >= s->base)
        tp_node_release(g);
    node->grad = 0;
}

/* node's gradient += g */
void tp_sweep_add(tp_sweep *s, tp_node *node, tp_var g)
{
    if (node->grad != 0)
        g = tp_add(tp_var_at(s->tape, node->grad), g);
    if (g.id != 0)
        tp_node_at(s->tape, g.id)->held++;
    drop_grad(s, node);
    node->grad = g.id;
}

/* Whether the gradient of a leaf has been computed where it belongs. A second contribution moves it. */
static bool is_in_place(const tp_node *node, const tp_node *g)
{
    return node->in_place && g->value.storage == node->param->grad.storage;
}

/* What was computed there must be what the rule wrote. */
static tp_status check_in_place(const tp_sweep *s, const tp_node *node)
{
    const tp_node *g = tp_node_at(s->tape, node->grad);
    if (node->grad == 0 || !is_in_place(node, g) || g->version == g->value.storage->version)
        return TP_OK;
    return tp_fail(TP_EVERSION, "the gradient of parameter '%s' was written during backward",
                   node->param->name);
}

/* --- one step ----------------------------------------------------------------------------------- */

/* Releases a value that no rule to come can need. Leaves stay, and so does what a gradient slot points at. */
static void pass(tp_node *node)
{
    if (node->ancestor && !node->is_leaf && node->held == 0)
        tp_node_release(node);
}

/* Frees what only the last step needed. Runs when the next step is asked for, so that in between
 * everything can be looked at. */
void tp_sweep_finish_step(tp_sweep *s)
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
        pass(node);
    tp_arena_recycle(&t->arena, (void *)s->contribution, 2 * (size_t)s->n * sizeof(tp_var));
    s->n = 0;
}

/* Sums a contribution back to the shape of its input. An op that does not broadcast must match already. */
static tp_var fit(tp_sweep *s, const tp_node *node, int i, tp_var g)
{
    const tp_tensor *input = &tp_node_at(s->tape, node->x[i])->value;
    bool typed = tp_dtype_of(g) == input->dtype;
    if (typed && (node->op->broadcasts || tp_shape_equal(tp_shape_of(g), input->shape)))
        return tp_sum_to(g, input->shape);
    char a[TP_TENSOR_TEXT], b[TP_TENSOR_TEXT];
    if (s->tape->status == TP_OK)
        fail(s, tp_fail(typed ? TP_ESHAPE : TP_EDTYPE,
                        "the rule of %s gave a gradient %s for input %d, which is %s",
                        node->op->name, tp_tensor_text(&tp_node_at(s->tape, g.id)->value, a), i,
                        tp_tensor_text(input, b)));
    return g;
}

/* Runs the rule of node s->at and adds what it gives to the gradients of the inputs. */
static tp_status treat(tp_sweep *s, tp_node *node)
{
    tp_tape *t = s->tape;
    int n = node->n;
    tp_var *contribution = tp_arena_alloc(&t->arena, 2 * (size_t)n * sizeof *contribution);
    bool *want = tp_arena_alloc(&t->arena, (size_t)n);
    if (contribution == NULL || want == NULL) {
        if (contribution != NULL)
            tp_arena_recycle(&t->arena, contribution, 2 * (size_t)n * sizeof *contribution);
        if (want != NULL)
            tp_arena_recycle(&t->arena, want, (size_t)n);
        return TP_ENOMEM;
    }
    tp_var *gx = contribution + n;
    memset(contribution, 0, 2 * (size_t)n * sizeof *contribution);
    for (int i = 0; i < n; i++)
        want[i] = tp_node_at(t, node->x[i])->wanted;
    s->n = n;
    s->contribution = contribution;
    s->gx = gx;
    s->gy = tp_var_at(t, node->grad);
    s->first = t->count;
    tp_status status = tp_rule_run(s, node, want, contribution);
    if (s->tape == NULL)
        return status; /* and nothing of the above is there any more */
    s->rule_end = t->count;
    for (int i = 0; i < n && status == TP_OK; i++) {
        tp_node *input = tp_node_at(t, node->x[i]);
        t->sum_of = node->x[i];
        status = check_in_place(s, input);
        if (status == TP_OK && want[i] && contribution[i].id != 0)
            tp_sweep_add(s, input, fit(s, node, i, contribution[i]));
        gx[i] = tp_var_at(t, want[i] ? input->grad : 0);
        status = status != TP_OK ? status : t->status;
    }
    t->sum_of = 0;
    s->last = t->count;
    tp_arena_recycle(&t->arena, want, (size_t)n);
    return status;
}

bool tp_sweep_next(tp_sweep *s)
{
    if (!tp_sweep_alive(s) || s->status != TP_OK)
        return false;
    tp_sweep_finish_step(s);
    while (s->at > 1) {
        tp_node *node = tp_node_at(s->tape, --s->at);
        tp_recompute_passed(s->tape, s->at);
        if (node->op != NULL && node->grad != 0 && node->wanted_inputs) {
            tp_status status = treat(s, node);
            if (status != TP_OK && s->tape != NULL)
                fail(s, status);
            return status == TP_OK;
        }
        if (s->opts.release)
            pass(node);
    }
    s->done = true;
    return false;
}

/* --- begin and end ------------------------------------------------------------------------------ */

tp_status tp_sweep_may_open(const tp_tape *t)
{
    return !t->sweeping ? TP_OK
                        : tp_fail(TP_EARG, "a sweep is open on this tape: tp_sweep_end it first");
}

bool tp_sweep_alive(tp_sweep *s)
{
    if (s->tape == NULL)
        return false;
    if (s->tape->live && s->tape->reset_epoch == s->epoch)
        return true;
    s->status = tp_fail(TP_ESTALE, "the sweep's tape was %s since it began",
                        s->tape->live ? "reset" : "freed");
    s->tape = NULL;
    s->n = 0;
    return false;
}

void tp_sweep_close(tp_sweep *s)
{
    s->tape->no_grad -= !s->opts.create_graph;
    tp_recompute_drop_all(s->tape);
    s->tape->sweeping = s->tape->looping = false;
}

tp_sweep tp_sweep_open(tp_tape *t, uint32_t top, tp_sweep_opts opts)
{
    tp_sweep s = {.tape = t,
                  .epoch = t->reset_epoch,
                  .opts = opts,
                  .root = top,
                  .base = t->count,
                  .at = top + 1,
                  .status = t->status};
    t->no_grad += !opts.create_graph;
    t->sweeping = true;
    return s;
}

/* Which nodes lie between the targets and the top. Targets are the nodes whose .target is set. */
void tp_sweep_mark(tp_sweep *s)
{
    for (uint32_t id = 1; id < s->base; id++) {
        tp_node *node = tp_node_at(s->tape, id);
        node->wanted_inputs = false;
        for (int i = 0; i < node->n && !node->cut && !node->wanted_inputs; i++)
            node->wanted_inputs = tp_node_at(s->tape, node->x[i])->wanted;
        node->wanted = node->target || node->wanted_inputs;
        node->grad = node->held = 0;
        node->in_place = false;
    }
}

static void mark_ancestors(tp_sweep *s)
{
    for (uint32_t id = 1; id < s->base; id++)
        tp_node_at(s->tape, id)->ancestor = id == s->root;
    for (uint32_t id = s->root; id > 0; id--) {
        const tp_node *node = tp_node_at(s->tape, id);
        for (int i = 0; i < node->n && node->ancestor; i++)
            tp_node_at(s->tape, node->x[i])->ancestor = true;
    }
}

/* Why root has no gradient: names the operation that cut the last path, if there is one. */
static tp_status no_gradient(tp_tape *t, tp_var root, tp_sweep_opts opts)
{
    char what[TP_VAR_TEXT], cut[TP_VAR_TEXT];
    tp_var_text(root, what);
    if (opts.wrt != NULL && tp_node_at(t, root.id)->needs_grad) {
        const char *first = opts.wrt_count > 0 && opts.wrt[0] != NULL ? opts.wrt[0]->name : NULL;
        return tp_fail(TP_EGRAD, "%s depends on none of the %d parameters that were asked for%s%s",
                       what, opts.wrt_count, first ? ", beginning with " : "", first ? first : "");
    }
    for (uint32_t id = root.id; id > 0; id--) {
        const tp_node *node = tp_node_at(t, id);
        bool input_needs = false;
        for (int i = 0; i < node->n; i++)
            input_needs |= tp_node_at(t, node->x[i])->needs_grad;
        if (node->ancestor && node->cut && input_needs)
            return tp_fail(
                TP_EGRAD, "no gradient reaches a parameter from %s: the path ends at %s (%s)", what,
                tp_var_text(tp_var_at(t, id), cut),
                node->op->smooth == TP_NO_GRADIENT ? node->op->why : "recorded without gradients");
    }
    return tp_fail(TP_EGRAD, "%s depends on no parameter or leaf that needs a gradient", what);
}

/* Whether the sweep is to find the gradient of this node. */
static bool is_target(const tp_node *node, tp_sweep_opts opts)
{
    if (!node->is_leaf || opts.wrt == NULL)
        return node->is_leaf;
    for (int i = 0; i < opts.wrt_count; i++)
        if (opts.wrt[i] == node->param)
            return node->param != NULL;
    return false;
}

tp_sweep tp_sweep_begin(tp_var root, tp_sweep_opts opts)
{
    tp_status status = tp_var_status(root);
    char what[TP_VAR_TEXT], shape[TP_SHAPE_TEXT];
    if (status != TP_OK && tp_var_current(root))
        tp_tape_poison(root.tape, status);
    if (status == TP_OK)
        status = tp_sweep_may_open(root.tape);
    if (status == TP_OK && opts.release && opts.create_graph)
        status = tp_fail(TP_EARG, "a sweep with create_graph needs the values that release frees");
    if (status == TP_OK && opts.wrt_count != 0 && (opts.wrt == NULL || opts.wrt_count < 0))
        status =
            tp_fail(TP_EARG, "a sweep for %d parameters without a list of them", opts.wrt_count);
    if (status != TP_OK)
        return (tp_sweep){.status = status};
    tp_tape *t = root.tape;
    tp_sweep s = tp_sweep_open(t, root.id, opts);
    for (uint32_t id = 1; id < s.base; id++)
        tp_node_at(t, id)->target = is_target(tp_node_at(t, id), opts);
    tp_sweep_mark(&s);
    mark_ancestors(&s);
    tp_node *node = tp_node_at(t, root.id);
    if (tp_numel(&node->value) != 1)
        fail(&s, tp_fail(TP_ESHAPE, "backward needs a root with one element, but %s has shape %s",
                         tp_var_text(root, what), tp_shape_text(node->value.shape, shape)));
    else if (!node->wanted)
        fail(&s, no_gradient(t, root, opts));
    else
        tp_sweep_add(&s, node, tp_ones_like(root));
    s.status = t->status;
    return s;
}

/* With the trap on: what commit will add up to, which must be known before anything is written. Other leaves
 * of a parameter, which add to the same sum before it, lie between this one and the newest. */
static tp_status try_sum(tp_sweep *s, uint32_t id)
{
    tp_tape *t = s->tape;
    const tp_node *leaf = tp_node_at(t, id);
    const tp_parameter *p = leaf->param;
    const tp_tensor *old = p == NULL ? leaf->leaf_grad : p->has_grad ? &p->grad : NULL;
    tp_var sum = old == NULL ? (tp_var){0} : tp_name(tp_constant(t, old), "so far", NULL, 0);
    uint32_t newest = p == NULL ? id : t->leaf_of[p->slot].id;
    t->sum_of = id;
    for (uint32_t k = newest < s->base ? newest : s->base - 1; k >= id; k--) {
        const tp_node *other = tp_node_at(t, k);
        if (k != id && (other->param != p || other->grad == 0))
            continue;
        tp_var g = tp_var_at(t, other->grad);
        sum = sum.tape == NULL ? g : tp_add(sum, g);
    }
    t->sum_of = 0;
    return t->status;
}

/* Writes the leaf gradients: first everything that can fail, then everything that cannot. The newest leaf
 * of a parameter comes first: it is the one whose gradient may be in place. */
static tp_status commit(tp_sweep *s)
{
    tp_tape *t = s->tape;
    for (uint32_t id = 1; id < s->base; id++) {
        tp_node *node = tp_node_at(t, id);
        if (!node->is_leaf || node->grad == 0)
            continue;
        TP_TRY(check_in_place(s, node));
        if (t->trap)
            TP_TRY(try_sum(s, id));
        if (node->param != NULL || node->leaf_grad != NULL)
            continue;
        tp_tensor *zero = tp_arena_alloc(&t->arena, sizeof *zero);
        if (zero == NULL)
            return TP_ENOMEM;
        TP_TRY(tp_arena_tensor(&t->arena, zero, node->value.dtype, node->value.shape));
        tp_fill(zero, 0);
        node->leaf_grad = zero;
    }
    for (uint32_t id = s->base - 1; id > 0; id--) {
        tp_node *node = tp_node_at(t, id);
        if (!node->is_leaf || node->grad == 0)
            continue;
        const tp_node *g = tp_node_at(t, node->grad);
        tp_parameter *p = node->param;
        if (p == NULL)
            TP_TRY(tp_map2(node->leaf_grad, node->leaf_grad, &g->value, TP_K_add));
        else if (p->has_grad)
            TP_TRY(tp_map2(&p->grad, &p->grad, &g->value, TP_K_add));
        else if (!is_in_place(node, g))
            TP_TRY(tp_map1(&p->grad, &g->value, TP_K_copy));
        if (p != NULL)
            p->has_grad = true;
    }
    return TP_OK;
}

tp_status tp_sweep_end(tp_sweep *s)
{
    if (!tp_sweep_alive(s))
        return s->status;
    tp_tape *t = s->tape;
    tp_sweep_finish_step(s);
    if (s->status == TP_OK && s->done && (s->status = commit(s)) != TP_OK)
        fail(s, s->status);
    tp_sweep_close(s);
    if (!s->opts.create_graph)
        tp_tape_truncate(t, s->base);
    tp_status status = s->status;
    s->tape = NULL; /* a second end does nothing */
    return status;
}

tp_var tp_sweep_grad(const tp_sweep *s, tp_var v)
{
    const tp_node *node = v.tape == s->tape ? tp_node_of(v) : NULL;
    return node == NULL || node->grad == 0 ? (tp_var){0} : tp_var_at(s->tape, node->grad);
}

tp_status tp_backward_opts(tp_var root, tp_sweep_opts opts)
{
    tp_sweep s = tp_sweep_begin(root, opts);
    if (s.tape != NULL)
        s.tape->looping = true;
    while (tp_sweep_next(&s))
        ;
    return tp_sweep_end(&s);
}

tp_status tp_backward(tp_var root)
{
    return tp_backward_opts(root, (tp_sweep_opts){0});
}
