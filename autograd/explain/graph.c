/* graph.c: from a tape to boxes and arrows. A folded scope is one box: scopes are walked in tape order, and what
 * was recorded in one at different times is one box only if the graph stays without cycles. Read next: layout.c. */
#include "autograd/explain/graph.h"

#include <string.h>

static const tp_node *node_of(const tp_graph *g, uint32_t id)
{
    return tp_node_at(g->passage->tape, id);
}

static tp_box_kind kind_of(const tp_node *node)
{
    if (node->op != NULL)
        return node->n == 0 && tp_page_random(node->op) ? TP_BOX_RANDOM : TP_BOX_OP;
    return node->param != NULL ? TP_BOX_PARAMETER : node->is_leaf ? TP_BOX_LEAF : TP_BOX_DATA;
}

/* --- groups ------------------------------------------------------------------------------------- */

/* The outermost scope of a node that folds away with it: data, leaves and draws stay visible. */
static uint32_t scope_of(const tp_graph *g, uint32_t id)
{
    const tp_tape *t = g->passage->tape;
    tp_box_kind kind = kind_of(node_of(g, id));
    uint32_t scope = kind == TP_BOX_OP || kind == TP_BOX_PARAMETER ? node_of(g, id)->scope : 0;
    while (scope != 0 && t->scopes[scope].parent != 0)
        scope = t->scopes[scope].parent;
    return scope;
}

/* Marks node id and its whole group; false if it was marked. */
static bool mark(const tp_graph *g, bool *marks, uint32_t id)
{
    if (marks[id])
        return false;
    for (uint32_t k = 1; g->group_of[id] != 0 && k <= g->passage->root; k++)
        marks[k] |= g->group_of[k] == g->group_of[id];
    return marks[id] = true;
}

/* Whether a path leaves group a, passes something else and comes to group b. */
static bool detour(const tp_graph *g, bool *marks, uint32_t a, uint32_t b)
{
    bool found = false;
    memset(marks, 0, (size_t)g->passage->root + 1);
    for (bool more = true; more && !found;) {
        more = false;
        for (uint32_t id = 1; id <= g->passage->root; id++)
            for (int i = 0; g->passage->made[id] && i < node_of(g, id)->n; i++) {
                uint32_t x = node_of(g, id)->x[i];
                if (g->group_of[id] == b)
                    found |= marks[x];
                else if (g->group_of[id] != a && (marks[x] || g->group_of[x] == a))
                    more |= mark(g, marks, id);
            }
    }
    return found;
}

/* Joins the newest group with an older one of the same scope unless that would make a cycle. */
static void join(tp_graph *g, bool *marks)
{
    uint32_t last = g->groups, old = last - 1;
    while (old > 0 && g->scope_of[old] != g->scope_of[last])
        old--;
    if (old == 0 || detour(g, marks, old, last) || detour(g, marks, last, old))
        return;
    for (uint32_t id = 1; id <= g->passage->root; id++)
        if (g->group_of[id] == last)
            g->group_of[id] = old;
    g->groups--;
}

/* Runs of operations of one scope; what folds with none but computes nothing ends no run. */
static void find_runs(tp_graph *g, bool *marks)
{
    uint32_t root = g->passage->root, open = 0;
    for (uint32_t id = 1; id <= root + 1; id++) {
        bool there = id <= root && g->passage->made[id];
        uint32_t scope = there ? scope_of(g, id) : 0;
        if (id <= root && scope == 0 && (!there || kind_of(node_of(g, id)) != TP_BOX_OP))
            continue;
        if (scope != open && open != 0)
            join(g, marks);
        if (scope != open && scope != 0)
            g->scope_of[++g->groups] = scope;
        open = scope;
        if (scope != 0)
            g->group_of[id] = g->groups;
    }
}

void *tp_graph_take(tp_graph *g, size_t n, size_t size)
{
    void *p = tp_arena_alloc(&g->arena, n * size);
    if (p != NULL)
        memset(p, 0, n * size);
    else
        tp_fail_prefix("tp_explain: ");
    return p;
}

/* --- boxes -------------------------------------------------------------------------------------- */

static bool folded(const tp_graph *g, uint32_t group)
{
    return group != 0 && group != g->open && g->open != TP_FOLD_NONE;
}

/* Appends the box of a node, or adds the node to that of its folded group. */
static void add_box(tp_graph *g, uint32_t id, int *box_of, int *box_of_group)
{
    uint32_t group = g->group_of[id];
    tp_box_kind kind = kind_of(node_of(g, id));
    bool new = !folded(g, group) || box_of_group[group] < 0;
    box_of[id] = new ? g->boxes++ : box_of_group[group];
    tp_box *b = &g->box[box_of[id]];
    if (new)
        *b = (tp_box){.kind = folded(g, group) ? TP_BOX_SCOPE : kind, .group = group};
    if (folded(g, group))
        box_of_group[group] = box_of[id];
    b->id = id;
    b->ops += kind == TP_BOX_OP;
    b->parameters += kind == TP_BOX_PARAMETER;
}

static void add_arrow(tp_graph *g, int from, int to, bool gradient)
{
    int k = g->arrows;
    while (k > 0 && !(g->arrow[k - 1].from == from && g->arrow[k - 1].to == to))
        k--;
    if (k > 0)
        g->arrow[k - 1].gradient |= gradient;
    else
        g->arrow[g->arrows++] = (tp_arrow){.from = from, .to = to, .gradient = gradient};
}

static tp_status find_boxes(tp_graph *g)
{
    size_t n = (size_t)g->passage->root + 2, inputs = 1;
    for (uint32_t id = 1; id <= g->passage->root; id++)
        inputs += (size_t)node_of(g, id)->n;
    int *box_of = tp_graph_take(g, n, sizeof *box_of),
        *box_of_group = tp_graph_take(g, n, sizeof *box_of_group);
    g->box = tp_graph_take(g, n, sizeof *g->box);
    g->arrow = tp_graph_take(g, inputs, sizeof *g->arrow);
    if (box_of == NULL || box_of_group == NULL || g->box == NULL || g->arrow == NULL)
        return TP_ENOMEM;
    for (uint32_t k = 0; k <= g->groups; k++)
        box_of_group[k] = -1;
    for (uint32_t id = 1; id <= g->passage->root; id++) {
        const tp_node *node = node_of(g, id);
        if (!g->passage->made[id])
            continue;
        add_box(g, id, box_of, box_of_group);
        for (int i = 0; i < node->n; i++)
            if (box_of[node->x[i]] != box_of[id])
                add_arrow(g, box_of[node->x[i]], box_of[id],
                          node->needs_grad && !node->cut && node_of(g, node->x[i])->needs_grad);
    }
    return TP_OK;
}

tp_status tp_graph_new(tp_graph *g, const tp_passage *p, const tp_notation *notation, uint32_t open)
{
    *g = (tp_graph){.passage = p, .look = {.tape = p->tape, .notation = notation}, .open = open};
    size_t n = (size_t)p->root + 2;
    bool *marks = tp_graph_take(g, n, sizeof *marks);
    g->group_of = tp_graph_take(g, n, sizeof *g->group_of);
    g->scope_of = tp_graph_take(g, n, sizeof *g->scope_of);
    if (marks == NULL || g->group_of == NULL || g->scope_of == NULL)
        return TP_ENOMEM;
    find_runs(g, marks);
    return find_boxes(g);
}

void tp_graph_free(tp_graph *g)
{
    tp_arena_free(&g->arena);
}

/* --- words -------------------------------------------------------------------------------------- */

const char *tp_box_class(const tp_box *b)
{
    static const char *const names[] = {"op",     "data",  "parameter", "leaf",
                                        "random", "scope", "bend"};
    return names[b->kind];
}

void tp_box_name(tp_text *t, const tp_graph *g, const tp_box *b)
{
    if (b->kind == TP_BOX_SCOPE)
        tp_text_add(t, "%s", g->passage->tape->scopes[g->scope_of[b->group]].name);
    else
        tp_format_name(t, &g->look, b->id, false);
}

void tp_box_detail(tp_text *t, const tp_graph *g, const tp_box *b)
{
    const tp_node *node = node_of(g, b->id);
    char shape[TP_SHAPE_TEXT];
    if (b->kind == TP_BOX_SCOPE) {
        tp_text_add(t, "%d value%s", b->ops, b->ops == 1 ? "" : "s");
        if (b->parameters > 0)
            tp_text_add(t, ", %d parameter%s", b->parameters, b->parameters == 1 ? "" : "s");
        return;
    }
    bool named = b->kind == TP_BOX_PARAMETER && node->value.shape.ndim > 0; /* the frame says it */
    if (!named)
        tp_text_add(t, "%s", b->kind == TP_BOX_OP ? node->op->name : tp_box_class(b));
    if (node->value.shape.ndim > 0)
        tp_text_add(t, "%s%s", named ? "" : " ", tp_shape_text(node->value.shape, shape));
}

void tp_box_title(tp_text *t, const tp_graph *g, const tp_box *b)
{
    char path[TP_VAR_TEXT];
    if (b->kind == TP_BOX_SCOPE) {
        tp_box_name(t, g, b);
        tp_text_add(t, ": ");
        tp_box_detail(t, g, b);
        return;
    }
    tp_format_definition(t, &g->look, b->id);
    tp_scope_path(g->passage->tape, node_of(g, b->id)->scope, path);
    tp_text_add(t, path[0] != '\0' ? ", in %s" : "%s", path);
}
