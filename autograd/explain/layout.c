/* layout.c: where the boxes of a graph stand. Layers by longest path, bends where an arrow passes one, barycentres
 * against crossings (Sugiyama, Tagawa and Toda 1981), and in each layer the least squares that keep the order:
 * pooled adjacent violators. Read next: svg.c. */
#include "autograd/explain/graph.h"

#include <math.h>
#include <string.h>

enum { HEIGHT = 46, GAP_X = 16, GAP_Y = 34, BEND = 10, MARGIN = 14, ROUNDS = 12 };

typedef struct plan {
    tp_graph *g;
    int *order,
        *start;  /* boxes by layer and place; layer l is order[start[l]] … order[start[l+1]-1] */
    int *best;   /* the order with the fewest crossings so far */
    double *sum; /* by box: what its neighbours say, */
    double *weight; /* and how much that is worth */
    int (*link)[2]; /* arrows between two layers, as places */
} plan;

/* --- layers ------------------------------------------------------------------------------------- */

/* As far up as their inputs allow, but what has none just above its first use. */
static void find_layers(tp_graph *g)
{
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < g->arrows; i++) {
            const tp_box *from = &g->box[g->arrow[i].from];
            tp_box *to = &g->box[g->arrow[i].to];
            if (to->layer > from->layer)
                continue;
            to->layer = from->layer + 1;
            more = true;
        }
    }
    for (int b = 0; b < g->boxes; b++) {
        bool source = true;
        int first = INT32_MAX; /* layer of a use */
        for (int i = 0; i < g->arrows; i++) {
            source &= g->arrow[i].to != b;
            if (g->arrow[i].from == b && g->box[g->arrow[i].to].layer < first)
                first = g->box[g->arrow[i].to].layer;
        }
        if (source && first != INT32_MAX)
            g->box[b].layer = first - 1;
    }
    g->layers = 0;
    for (int b = 0; b < g->boxes; b++)
        g->layers = g->box[b].layer >= g->layers ? g->box[b].layer + 1 : g->layers;
}

static int bends_of(const tp_graph *g, const tp_arrow *a)
{
    return g->box[a->to].layer - g->box[a->from].layer - 1;
}

/* The box, perhaps a bend, in which an arrow crosses a layer. */
static int box_at(const tp_graph *g, const tp_arrow *a, int layer)
{
    int from = g->box[a->from].layer;
    return layer == from                  ? a->from
           : layer == g->box[a->to].layer ? a->to
                                          : a->bend + layer - from - 1;
}

/* Whether an arrow goes from a layer to the next or through both. */
static bool spans(const tp_graph *g, const tp_arrow *a, int layer)
{
    return g->box[a->from].layer <= layer && layer < g->box[a->to].layer;
}

static tp_status add_bends(tp_graph *g, int *all)
{
    *all = g->boxes;
    for (int i = 0; i < g->arrows; i++) {
        g->arrow[i].bend = *all;
        *all += bends_of(g, &g->arrow[i]);
    }
    tp_box *box = tp_graph_take(g, (size_t)*all, sizeof *box);
    if (box == NULL)
        return TP_ENOMEM;
    memcpy(box, g->box, (size_t)g->boxes * sizeof *box);
    g->box = box;
    for (int i = 0; i < g->arrows; i++)
        for (int k = 0; k < bends_of(g, &g->arrow[i]); k++)
            box[g->arrow[i].bend + k] = (tp_box){
                .kind = TP_BOX_BEND, .layer = box[g->arrow[i].from].layer + k + 1, .w = BEND};
    return TP_OK;
}

/* --- order -------------------------------------------------------------------------------------- */

static void number_places(plan *p)
{
    for (int l = 0; l < p->g->layers; l++)
        for (int i = p->start[l]; i < p->start[l + 1]; i++)
            p->g->box[p->order[i]].place = i - p->start[l];
}

static long crossings(plan *p)
{
    const tp_graph *g = p->g;
    long found = 0;
    for (int l = 0; l + 1 < g->layers; l++) {
        int n = 0;
        for (int i = 0; i < g->arrows; i++) {
            if (!spans(g, &g->arrow[i], l))
                continue;
            int a = g->box[box_at(g, &g->arrow[i], l)].place;
            int b = g->box[box_at(g, &g->arrow[i], l + 1)].place;
            for (int k = 0; k < n; k++)
                found += (p->link[k][0] < a && p->link[k][1] > b) ||
                         (p->link[k][0] > a && p->link[k][1] < b);
            p->link[n][0] = a, p->link[n++][1] = b;
        }
    }
    return found;
}

/* How much one box of an arrow wants to stand below or above the other: long arrows are straight, and chains of
 * operations are, beside their parameters. */
static double pull(const tp_box *a, const tp_box *b)
{
    int bends = (a->kind == TP_BOX_BEND) + (b->kind == TP_BOX_BEND);
    bool source = a->kind != TP_BOX_OP && a->kind != TP_BOX_SCOPE;
    return bends == 2 ? 16 : bends == 1 ? 0.3 : source ? 0.05 : 1;
}

/* Adds to each box of a layer the places, or the x, of its neighbours in the one above (side -1) or below (1). */
static void ask_neighbours(plan *p, int layer, int side, bool x)
{
    const tp_graph *g = p->g;
    int other = layer + side;
    if (other < 0 || other >= g->layers)
        return;
    for (int i = 0; i < g->arrows; i++)
        if (spans(g, &g->arrow[i], side < 0 ? other : layer)) {
            const tp_box *from = &g->box[box_at(g, &g->arrow[i], other)];
            int b = box_at(g, &g->arrow[i], layer);
            double weight = x ? pull(from, &g->box[b]) : 1;
            p->sum[b] += weight * (x ? from->x : from->place);
            p->weight[b] += weight;
        }
}

static double answer(plan *p, int b, double otherwise)
{
    double mean = p->weight[b] > 0 ? p->sum[b] / p->weight[b] : otherwise;
    p->sum[b] = 0, p->weight[b] = 0;
    return mean;
}

/* Sorts a layer by barycentre; equal ones stay as they are. */
static void sort_layer(plan *p, int layer, int side)
{
    ask_neighbours(p, layer, side, false);
    for (int i = p->start[layer]; i < p->start[layer + 1]; i++) {
        int b = p->order[i], k = i;
        tp_box *box = p->g->box;
        box[b].x = answer(p, b, box[b].place);
        for (; k > p->start[layer] && box[p->order[k - 1]].x > box[b].x; k--)
            p->order[k] = p->order[k - 1];
        p->order[k] = b;
    }
    number_places(p);
}

static void find_order(plan *p, int all)
{
    for (int b = 0; b < all; b++) /* as they are on the tape, */
        p->start[p->g->box[b].layer + 1]++;
    for (int l = 0; l < p->g->layers; l++)
        p->start[l + 1] += p->start[l];
    for (int b = all; b-- > 0;) /* layer by layer */
        p->order[--p->start[p->g->box[b].layer + 1]] = b;
    memmove(p->start, p->start + 1, (size_t)p->g->layers * sizeof *p->start);
    p->start[p->g->layers] = all;
    number_places(p);
    long fewest = -1;
    for (int round = 0; round <= ROUNDS; round++) {
        long now = crossings(p);
        if (fewest < 0 || now < fewest) {
            fewest = now;
            memcpy(p->best, p->order, (size_t)all * sizeof *p->best);
        }
        for (int k = 0; k < p->g->layers; k++)
            sort_layer(p, round % 2 ? p->g->layers - 1 - k : k, round % 2 ? 1 : -1);
    }
    memcpy(p->order, p->best, (size_t)all * sizeof *p->best);
    number_places(p);
}

/* --- coordinates -------------------------------------------------------------------------------- */

static double distance(const tp_box *a, const tp_box *b)
{
    return (a->w + b->w) / 2 + GAP_X;
}

/* Boxes as near as possible to where they want to be, without overlap: those that push each other are pooled and
 * stand around their mean. A pool begins at order[best[k]] and has its mean in sum[k]; bends weigh more, so that long
 * arrows are straight. */
static void place_layer(plan *p, int layer, bool up, bool down)
{
    tp_box *box = p->g->box;
    double offset = 0, weight[2];
    int first = p->start[layer], last = p->start[layer + 1], pools = 0;
    if (up)
        ask_neighbours(p, layer, -1, true);
    if (down)
        ask_neighbours(p, layer, 1, true);
    for (int i = first; i < last; i++)
        box[p->order[i]].x = answer(p, p->order[i], box[p->order[i]].x);
    for (int i = first; i < last; i++) {
        tp_box *b = &box[p->order[i]];
        offset += i > first ? distance(&box[p->order[i - 1]], b) : 0;
        b->y = offset; /* for now */
        b->h = b->kind == TP_BOX_BEND ? 4 : 1;
        p->best[pools] = i;
        p->sum[pools++] = b->x - offset;
        for (; pools > 1 && p->sum[pools - 2] > p->sum[pools - 1]; pools--) {
            weight[0] = weight[1] = 0;
            for (int k = p->best[pools - 2]; k <= i; k++)
                weight[k >= p->best[pools - 1]] += box[p->order[k]].h;
            p->sum[pools - 2] = (p->sum[pools - 2] * weight[0] + p->sum[pools - 1] * weight[1]) /
                                (weight[0] + weight[1]);
        }
    }
    for (int i = last - 1; i >= first; i--) {
        pools -= i < p->best[pools - 1];
        box[p->order[i]].x = p->sum[pools - 1] + box[p->order[i]].y;
    }
    memset(p->sum, 0, (size_t)(last - first) * sizeof *p->sum);
}

static void find_places(plan *p, int all)
{
    tp_graph *g = p->g;
    for (int l = 0; l < g->layers; l++)
        place_layer(p, l, false, false);
    for (int round = 0; round <= 4 * ROUNDS;
         round++) /* the last one goes down: chains are straight */
        for (int k = 0; k < g->layers; k++) {
            bool down = round % 2 == 0, both = round >= 3 * ROUNDS && round < 4 * ROUNDS;
            place_layer(p, down ? k : g->layers - 1 - k, down || both, !down || both);
        }
    double left = 0, right = 0;
    for (int b = 0; b < all; b++) {
        const tp_box *box = &g->box[b];
        left = b == 0 || box->x - box->w / 2 < left ? box->x - box->w / 2 : left;
        right = b == 0 || box->x + box->w / 2 > right ? box->x + box->w / 2 : right;
    }
    for (int b = 0; b < all; b++) {
        g->box[b].x = floor(g->box[b].x + MARGIN - left + 0.5);
        g->box[b].y = MARGIN + 0.5 * HEIGHT + g->box[b].layer * (HEIGHT + GAP_Y);
        g->box[b].h = HEIGHT;
    }
    g->width = right - left + 2 * MARGIN;
    g->height = g->layers * (HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN;
}

static void find_width(const tp_graph *g, tp_box *b)
{
    tp_text name = {0}, detail = {0};
    tp_box_name(&name, g, b);
    tp_box_detail(&detail, g, b);
    double wide = 8.6 * tp_text_columns(name.data), small = 6.7 * tp_text_columns(detail.data);
    b->w = 2 * floor((wide > small ? wide : small) / 2 + 13);
}

tp_status tp_graph_layout(tp_graph *g)
{
    int all;
    for (int b = 0; b < g->boxes; b++)
        find_width(g, &g->box[b]);
    find_layers(g);
    TP_TRY(add_bends(g, &all));
    size_t n = (size_t)all + 1, links = (size_t)g->arrows + 1;
    plan p = {.g = g,
              .order = tp_graph_take(g, n, sizeof *p.order),
              .start = tp_graph_take(g, (size_t)g->layers + 2, sizeof *p.start),
              .best = tp_graph_take(g, n, sizeof *p.best),
              .sum = tp_graph_take(g, n, sizeof *p.sum),
              .weight = tp_graph_take(g, n, sizeof *p.weight),
              .link = tp_graph_take(g, links, sizeof *p.link)};
    if (p.order == NULL || p.start == NULL || p.best == NULL || p.sum == NULL || p.weight == NULL ||
        p.link == NULL)
        return TP_ENOMEM;
    find_order(&p, all);
    find_places(&p, all);
    return TP_OK;
}
