/* element.c: the uses of one element, and the paths from it to the root. Read next: element.h. */
#include "autograd/explain/element.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

/* --- uses --------------------------------------------------------------------------------------- */

/* Keeps the largest products, in order. */
static void add_term(tp_element_use *use, tp_element_term t)
{
    double size = fabs(t.upstream * t.local);
    int i = use->terms;
    while (i > 0 && fabs(use->term[i - 1].upstream * use->term[i - 1].local) < size)
        i--;
    if (i == TP_ELEMENT_TERMS)
        return;
    int last = use->terms < TP_ELEMENT_TERMS ? use->terms++ : TP_ELEMENT_TERMS - 1;
    memmove(&use->term[i + 1], &use->term[i], (size_t)(last - i) * sizeof t);
    use->term[i] = t;
}

/* The step just taken uses the value as input i. */
static tp_status add_use(tp_element *e, tp_replay *r, const tp_sweep *s, int i)
{
    tp_element_use *use = tp_arena_alloc(&e->work->arena, sizeof *use), **end = &e->use;
    if (use == NULL)
        return TP_ENOMEM;
    tp_tensor column;
    TP_TRY(tp_replay_column(r, i, e->at, &column));
    const tp_tensor *upstream = &tp_node_at(s->tape, s->gy.id)->value;
    *use = (tp_element_use){.user = s->at, .input = i, .of = tp_numel(&column)};
    for (int64_t k = 0; k < use->of; k++) {
        tp_element_term t = {k, tp_flat(upstream, k), tp_flat(&column, k) + 0.0};
        if (t.local == 0)
            continue;
        use->moved++;
        use->sum += t.upstream * t.local;
        e->use_size += fabs(t.upstream * t.local);
        add_term(use, t);
    }
    while (*end != NULL)
        end = &(*end)->next;
    *end = use;
    e->use_sum += use->sum;
    return TP_OK;
}

static tp_status look_at_step(tp_element *e, const tp_sweep *s)
{
    const tp_node *node = tp_node_at(s->tape, s->at);
    tp_replay r;
    bool uses = false;
    for (int i = 0; i < node->n; i++)
        uses |= node->x[i] == e->id;
    if (!uses)
        return TP_OK;
    TP_TRY(tp_replay_begin(&r, s->tape, s->at, &tp_node_at(s->tape, s->gy.id)->value));
    tp_status status = TP_OK;
    for (int i = 0; i < node->n && status == TP_OK; i++)
        if (node->x[i] == e->id)
            status = add_use(e, &r, s, i);
    tp_replay_end(&r);
    return status;
}

/* The sweep down to the value, and what its gradient is there. */
static tp_status follow_sweep(tp_element *e, tp_sweep *s)
{
    while (s->at > e->id && tp_sweep_next(s))
        if (s->at > e->id)
            TP_TRY(look_at_step(e, s));
    TP_TRY(s->status);
    uint32_t grad = tp_node_at(s->tape, e->id)->grad;
    e->gradient = grad == 0 ? 0 : tp_flat(&tp_node_at(s->tape, grad)->value, e->at);
    return TP_OK;
}

/* --- paths -------------------------------------------------------------------------------------- */

/* One place on the way down: the cotangents of a node's inputs, and the input to try next. */
typedef struct place {
    uint32_t id;
    int next;
    tp_tensor *gx; /* per input, NULL where no path goes */
} place;

typedef struct climb {
    tp_element *e;
    const bool *reaches; /* by node: the value is on the way */
    place *at;
    int depth;
} climb;

static void leave(climb *c)
{
    place *p = &c->at[c->depth--];
    int n = tp_node_at(c->e->passage->tape, p->id)->n;
    for (int i = 0; i < n && p->gx != NULL; i++)
        tp_tensor_free(&p->gx[i]);
    tp_free(p->gx, (size_t)n * sizeof *p->gx);
}

/* The cotangents of the inputs of node id out of its own. */
static tp_status enter(climb *c, uint32_t id, const tp_tensor *g)
{
    const tp_tape *tape = c->e->passage->tape;
    const tp_node *node = tp_node_at(tape, id);
    place *p = &c->at[++c->depth];
    *p = (place){.id = id};
    if (id == c->e->id)
        return TP_OK;
    p->gx = tp_alloc_zero((size_t)node->n * sizeof *p->gx);
    if (p->gx == NULL)
        return TP_ENOMEM;
    tp_replay r;
    TP_TRY(tp_replay_begin(&r, tape, id, g));
    tp_status status = tp_replay_rule(&r);
    for (int i = 0; i < node->n && status == TP_OK; i++)
        if (c->reaches[node->x[i]] && tp_node_at(tape, node->x[i])->wanted)
            status = tp_clone(&p->gx[i], tp_value(r.gx[i]));
    tp_replay_end(&r);
    return status;
}

/* The way from the value up to the root, which the climb has come down. */
static tp_status add_path(climb *c, const tp_tensor *g)
{
    tp_element *e = c->e;
    uint32_t *node = tp_arena_alloc(&e->work->arena, (size_t)c->depth * sizeof *node);
    if (node == NULL)
        return TP_ENOMEM;
    for (int k = 0; k < c->depth; k++)
        node[k] = c->at[c->depth - k].id;
    tp_element_path path = {c->depth, node, tp_flat(g, e->at)};
    e->path[e->paths++] = path;
    e->path_sum += path.sum;
    return TP_OK;
}

/* Depth first, with a stack of its own: a tape may be long. */
static tp_status walk(climb *c, const tp_tensor *one)
{
    const tp_tape *tape = c->e->passage->tape;
    TP_TRY(enter(c, c->e->passage->root, one));
    while (c->depth > 0 && c->e->paths < TP_ELEMENT_PATHS) {
        place *p = &c->at[c->depth];
        const tp_node *node = tp_node_at(tape, p->id);
        if (p->gx == NULL || p->next == node->n) {
            leave(c);
            continue;
        }
        int i = p->next++;
        if (p->gx[i].storage == NULL)
            continue;
        TP_TRY(enter(c, node->x[i], &p->gx[i]));
        if (node->x[i] == c->e->id)
            TP_TRY(add_path(c, &p->gx[i]));
    }
    return TP_OK;
}

/* From which nodes the root's gradient comes down to the value, and by how many paths. */
static void mark_paths(tp_element *e, bool *reaches, double *paths)
{
    const tp_passage *p = e->passage;
    for (uint32_t id = e->id; id <= p->root; id++) {
        const tp_node *node = tp_node_at(p->tape, id);
        reaches[id] = id == e->id;
        paths[id] = id == e->id;
        for (int i = 0; i < node->n && id > e->id && tp_passage_treats(p, id); i++) {
            uint32_t x = node->x[i];
            if (x < e->id || !reaches[x])
                continue;
            reaches[id] = true;
            paths[id] += paths[x];
        }
    }
    e->total_paths = paths[p->root];
}

static tp_status find_paths(tp_element *e)
{
    size_t n = (size_t)e->passage->root + 2;
    tp_arena *arena = &e->work->arena;
    bool *reaches = tp_arena_alloc(arena, n * sizeof *reaches);
    double *paths = tp_arena_alloc(arena, n * sizeof *paths);
    place *at = tp_arena_alloc(arena, n * sizeof *at);
    tp_tensor one;
    if (reaches == NULL || paths == NULL || at == NULL)
        return TP_ENOMEM;
    memset(reaches, 0, n * sizeof *reaches);
    mark_paths(e, reaches, paths);
    const tp_tensor *root = &tp_node_at(e->passage->tape, e->passage->root)->value;
    TP_TRY(tp_arena_tensor(arena, &one, root->dtype, root->shape));
    tp_fill(&one, 1);
    climb c = {.e = e, .reaches = reaches, .at = at};
    tp_status status = walk(&c, &one);
    while (c.depth > 0)
        leave(&c);
    tp_tensor_drop(&one);
    return status;
}

/* --- the difference quotient of the root ---------------------------------------------------------- */

/* A value of the user's tape on p, in f64. */
static tp_var constant_f64(tp_tape *p, const tp_node *node, tp_tensor **copy)
{
    if (node->freed)
        return tp_tape_poison(p, tp_fail(TP_EFREED, "a value was released"));
    if (!tp_dtype_is_float(node->value.dtype))
        return tp_constant(p, &node->value);
    tp_tensor *x = tp_arena_alloc(&p->arena, sizeof *x);
    tp_status status =
        x == NULL ? TP_ENOMEM : tp_arena_tensor(&p->arena, x, TP_F64, node->value.shape);
    if (status == TP_OK)
        status = tp_copy(x, &node->value);
    if (status != TP_OK)
        return tp_tape_poison(p, status);
    if (copy != NULL)
        *copy = x;
    return tp_constant(p, x);
}

/* Computes what depends on the element once more, on p, with the element moved by h. */
static double moved_root(const tp_element *e, tp_tape *p, tp_var *var, double h)
{
    const tp_passage *way = e->passage;
    tp_tensor *x = NULL;
    memset(var, 0, ((size_t)way->root + 1) * sizeof *var);
    for (uint32_t id = e->id; id <= way->root && tp_tape_status(p) == TP_OK; id++) {
        const tp_node *node = tp_node_at(way->tape, id);
        bool depends = false;
        for (int i = 0; i < node->n && id > e->id; i++)
            depends |= node->x[i] >= e->id && var[node->x[i]].tape != NULL &&
                       way->made[node->x[i]] && tp_needs_grad(var[node->x[i]]);
        if (id == e->id) {
            tp_var v = constant_f64(p, node, &x);
            if (v.id == 0 || tp_set_flat(x, e->at, tp_flat(x, e->at) + h) != TP_OK)
                return NAN;
            var[id] = tp_leaf(p, x); /* marks what depends on it */
        }
        if (!depends || !way->made[id])
            continue;
        tp_var *in = tp_arena_alloc(&p->arena, (size_t)node->n * sizeof *in);
        if (in == NULL)
            return tp_tape_poison(p, TP_ENOMEM), NAN;
        for (int i = 0; i < node->n; i++) {
            uint32_t k = node->x[i];
            if (var[k].tape == NULL)
                var[k] = constant_f64(p, tp_node_at(way->tape, k), NULL);
            in[i] = var[k];
        }
        var[id] = tp_apply_on(p, node->op, node->n, in, node->attr);
    }
    return tp_tape_status(p) == TP_OK ? tp_item_of(var[way->root]) : NAN;
}

/* Central, with the error of h² taken out (Richardson). NaN if it cannot be computed: then p says why. */
static double quotient_at(const tp_element *e, tp_tape *p, tp_var *var, double h)
{
    double y[4];
    for (int k = 0; k < 4; k++) { /* h, −h, h/2, −h/2 */
        y[k] = moved_root(e, p, var, ldexp(k % 2 == 0 ? h : -h, -(k / 2)));
        if (tp_tape_status(p) != TP_OK)
            return NAN;
        tp_tape_reset(p);
    }
    return (4 * (y[2] - y[3]) / h - (y[0] - y[1]) / (2 * h)) / 3;
}

/* Where a kink lies within h (a ReLU that switches), it may not within a sixteenth of it: the nearer of two. */
static double quotient(const tp_element *e, tp_tape *p, tp_var *var)
{
    double x = tp_flat(&tp_node_at(e->passage->tape, e->id)->value, e->at);
    double h = ldexp(1, -9) * fmax(fabs(x), 0.1);
    double wide = quotient_at(e, p, var, h), narrow;
    if (tp_tape_status(p) != TP_OK)
        return NAN;
    narrow = quotient_at(e, p, var, h / 16);
    return fabs(wide - e->path_sum) <= fabs(narrow - e->path_sum) ? wide : narrow;
}

static bool estimated(const tp_element *e)
{
    for (int i = 0; i < e->paths; i++)
        for (int k = 1; k < e->path[i].length; k++)
            if (tp_node_at(e->passage->tape, e->path[i].node[k])->op->smooth == TP_ESTIMATOR)
                return true;
    return false;
}

static tp_status check(tp_element *e)
{
    tp_tape *p;
    TP_TRY(tp_tape_new(&p));
    tp_var *var = tp_arena_alloc(&e->work->arena, ((size_t)e->passage->root + 1) * sizeof *var);
    double size = 0, difference = var == NULL ? NAN : quotient(e, p, var);
    bool shortage = var == NULL || tp_tape_status(p) == TP_ENOMEM;
    tp_tape_free(p);
    if (shortage)
        return TP_ENOMEM;
    for (int i = 0; i < e->paths; i++)
        size += fabs(e->path[i].sum);
    size = fmax(fmax(size, e->use_size), fabs(difference));
    double off = fabs(difference - e->path_sum);
    /* f32 has rounded every value on the way by up to 6e-8, and what they add up to may cancel. */
    bool f32 = tp_node_at(e->passage->tape, e->passage->root)->value.dtype == TP_F32;
    e->check = (tp_finding){.error = off == 0 ? 0 : off / size,
                            .bound = f32 ? 1e-4 : 1e-6,
                            .rule = e->path_sum,
                            .difference = difference};
    e->check.verdict = e->check.error <= e->check.bound ? TP_AGREES : TP_DIFFERS;
    if (!isfinite(difference))
        e->check = (tp_finding){.why = "the root could not be computed again"};
    else if (e->paths < e->total_paths)
        e->check = (tp_finding){.why = "there are more paths than are followed"};
    else if (estimated(e))
        e->check = (tp_finding){.why = "an estimator is on the way"};
    return TP_OK;
}

/* --- from outside ------------------------------------------------------------------------------- */

static tp_status refuse(const tp_passage *p, tp_var v, int64_t at)
{
    char what[TP_VAR_TEXT], root[TP_VAR_TEXT], shape[TP_SHAPE_TEXT];
    const tp_node *node = tp_node_of(v);
    if (v.tape != p->tape || node == NULL || v.id > p->root)
        return tp_fail(TP_EARG,
                       "tp_explain_element: the var is not what the root was computed from");
    tp_var_text(v, what);
    if (at < 0 || at >= tp_numel(&node->value))
        return tp_fail(TP_EARG, "tp_explain_element: %s has shape %s, there is no element %lld",
                       what, tp_shape_text(node->value.shape, shape), (long long)at);
    if (!p->passed[v.id])
        return tp_fail(TP_EGRAD, "tp_explain_element: no gradient goes from %s to %s",
                       tp_var_text(tp_var_at((tp_tape *)p->tape, p->root), root), what);
    return TP_OK;
}

tp_status tp_element_new(tp_element *e, tp_sweep *s, const tp_passage *p, tp_var v, int64_t at)
{
    *e = (tp_element){.passage = p, .id = v.id, .at = at};
    TP_TRY(refuse(p, v, at));
    e->shape = tp_shape_of(v);
    TP_TRY(tp_tape_new(&e->work));
    tp_status status = follow_sweep(e, s);
    if (status == TP_OK)
        status = find_paths(e);
    if (status == TP_OK)
        status = check(e);
    if (status != TP_OK)
        tp_element_free(e);
    return status;
}

void tp_element_free(tp_element *e)
{
    tp_tape_free(e->work);
    e->work = NULL;
}
