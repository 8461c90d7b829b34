/* index.c: rows in index notation, written for the shapes and attributes of one node. The language: index.h.
 * Read next: index_number.c, index_text.c. */
#include "autograd/explain/index_number.h"

#include <ctype.h>
#include <string.h>

typedef struct writer {
    tp_text *out;
    const tp_tape *tape;
    const tp_node *node;
    int input; /* whose rule this is, or which of all inputs #* is */
    bool own;  /* the row's letters stay as they are */
    int dots;  /* … stands for so many indices, */
    char dot[TP_MAX_DIMS];
    int64_t size[TP_MAX_DIMS];   /* of these sizes */
    bool shown[TP_MAX_DIMS];     /* and these are there on the left */
    int axes, axis[TP_MAX_DIMS]; /* where K stands */
    /* what letters of the row are called: by one letter, or one for each axis */
    char name[128][TP_MAX_DIMS + 1];
    int given; /* letters in use */
} writer;

/* --- small things ------------------------------------------------------------------------------- */

static bool starts(const char *p, const char *with)
{
    return strncmp(p, with, strlen(with)) == 0;
}

static char letter(writer *w)
{
    static const char letters[] = "ijklmnpqrstuvwabcdefgh"; /* no o, which looks like 0 */
    return w->given + 1 < (int)sizeof letters ? letters[w->given++] : '?';
}

static const char *name_of(writer *w, char c)
{
    char *name = w->name[(unsigned char)c & 127];
    if (w->own && name[0] == '\0')
        name[0] = c;
    int count = name[0] != '\0' ? 0 : isupper((unsigned char)c) ? w->axes : 1;
    for (int k = 0; k < count; k++)
        name[k] = letter(w);
    return name;
}

/* --- tensors and what stands at their axes ------------------------------------------------------- */

enum { MAX_ITEMS = 8 };
typedef struct ref {
    const char *name, *end; /* "#0", and behind it all */
    int name_length, items;
    bool bar;
    tp_shape shape;
    struct item {
        const char *text, *field; /* "k" and, if it is placed, what follows the @ */
        int length;
    } item[MAX_ITEMS];
} ref;

/* "k", "#1[…,j@axis]@axis" … up to the comma or bracket. */
static const char *read_item(struct item *it, const char *p)
{
    int depth = 0;
    const char *at = NULL;
    it->text = p;
    for (; *p != '\0' && (depth > 0 || (*p != ',' && *p != ']')); p++) {
        depth += (*p == '[' || *p == '(') - (*p == ']' || *p == ')');
        if (depth == 0 && *p == '@')
            at = p;
    }
    it->field = at == NULL ? NULL : at + 1;
    it->length = (int)((at == NULL ? p : at) - it->text);
    return p;
}

/* Whether a tensor with its indices stands at p. */
static bool read_ref(const writer *w, const char *p, ref *r)
{
    *r = (ref){.name = p};
    bool y = *p == 'y', any = starts(p, "#*");
    int input = y ? 0 : any ? w->input : *p == '#' ? p[1] - '0' : -1;
    if (!y && (input < 0 || input >= w->node->n))
        return false;
    p += y ? 1 : 2;
    if (*p != '[' && *p != '\'' && !starts(p, "⟨"))
        return false;
    r->shape = y ? w->node->value.shape : tp_node_at(w->tape, w->node->x[input])->value.shape;
    r->name_length = (int)(p - r->name);
    r->bar = *p == '\'';
    p += r->bar;
    if (*p == '[')
        do
            p = read_item(&r->item[r->items++], p + 1);
        while (*p == ',' && r->items < MAX_ITEMS);
    r->end = p + (*p == ']');
    return true;
}

static bool is_dots(const struct item *it)
{
    return starts(it->text, "…");
}

/* At which axes of r a placed item stands. An empty list of axes means all, of a permutation the reverse. */
static int places(const writer *w, const ref *r, const struct item *it, int at[TP_MAX_DIMS])
{
    size_t length = tp_index_word(it->field);
    const int *one = tp_index_attr(w->node, it->field, length, TP_FIELD_INT);
    const tp_axes *list = tp_index_attr(w->node, it->field, length, TP_FIELD_AXES);
    int n = r->shape.ndim;
    tp_axes axes = list != NULL ? *list : (tp_axes){one != NULL, {one != NULL ? *one : 0}};
    if (list != NULL && axes.n == 0)
        for (; axes.n < n; axes.n++)
            axes.axis[axes.n] = is_dots(it) ? n - 1 - axes.n : axes.n;
    for (int k = 0; k < axes.n; k++)
        at[k] = axes.axis[k] < 0 ? axes.axis[k] + n : axes.axis[k];
    return axes.n;
}

/* What stands at each axis: the k-th index of an item (it NULL: of …). */
typedef struct cell {
    const struct item *it;
    int k;
} cell;

/* Fills at[] and returns how many axes are left for …. */
static int place(const writer *w, const ref *r, cell at[TP_MAX_DIMS])
{
    int n = r->shape.ndim, plain = 0, left = 0, axis[TP_MAX_DIMS] = {0};
    bool taken[TP_MAX_DIMS] = {false};
    memset(at, 0, sizeof(cell) * TP_MAX_DIMS);
    for (int i = r->items - 1; i >= 0; i--) {
        const struct item *it = &r->item[i];
        int count = it->field != NULL ? places(w, r, it, axis) : !is_dots(it);
        for (int k = 0; k < count; k++) {
            int d = it->field != NULL ? axis[k] : n - 1 - plain++;
            if (d < 0 || d >= n)
                continue;
            at[d] = (cell){is_dots(it) ? NULL : it, k};
            taken[d] = !is_dots(it);
            left += is_dots(it);
        }
    }
    if (left > 0)
        return left;
    for (int d = 0; d < n; d++)
        if (!taken[d])
            at[d].k = left++;
    return left;
}

/* The k-th index of … in a tensor of which so many axes are left for it: -1 where y kept a reduced axis. */
static int dot_at(const writer *w, int axis, int k, int left)
{
    if (left <= w->dots)
        return w->dots - left + k;
    for (int i = 0; i < w->axes; i++) {
        if (w->axis[i] == axis)
            return -1;
        k -= w->axis[i] < axis;
    }
    return k;
}

/* --- letters ------------------------------------------------------------------------------------ */

/* Letters go along the axes of the first tensor with a placed index, else of the result. A row that has a letter of
 * its own for each axis of the result, and for nothing else, keeps all of them. */
static void give_letters(writer *w, const char *row)
{
    ref r, frame;
    cell at[TP_MAX_DIMS];
    bool found = false;
    if (!read_ref(w, row, &frame))
        return;
    for (const char *p = row; *p != '\0' && !found; p++)
        for (int i = 0; read_ref(w, p, &r) && i < r.items && !found; i++)
            if (r.item[i].field != NULL && !is_dots(&r.item[i])) {
                frame = r, found = true;
                w->axes = places(w, &r, &r.item[i], w->axis);
            }
    w->own = !found && frame.items > 0;
    for (int i = 0; i < frame.items; i++)
        w->own = w->own && frame.item[i].length == 1 && isalpha((unsigned char)*frame.item[i].text);
    if (frame.items == 0 || w->own)
        return;
    w->dots = place(w, &frame, at);
    for (int d = 0; d < frame.shape.ndim; d++) {
        const struct item *it = at[d].it;
        char *slot =
            it == NULL ? &w->dot[at[d].k] : &w->name[(unsigned char)*it->text & 127][at[d].k];
        if (it == NULL)
            w->size[at[d].k] = frame.shape.dim[d];
        if (it == NULL || (it->length == 1 && isalpha((unsigned char)*it->text)))
            *slot = letter(w);
    }
}

/* --- writing ------------------------------------------------------------------------------------ */

static void write_row(writer *w, const char *p, const char *end);

static void write_ref(writer *w, const ref *r)
{
    cell at[TP_MAX_DIMS];
    int left = place(w, r, at);
    tp_text_add(w->out, r->name[1] == '*' ? "#%d" : "%.*s",
                r->name[1] == '*' ? w->input : r->name_length, r->name);
    tp_text_add(w->out, "%s", r->bar ? "'" : "");
    for (int d = 0; d < r->shape.ndim && r->items > 0; d++) {
        const struct item *it = at[d].it;
        int k = it == NULL ? dot_at(w, d, at[d].k, left) : 0;
        tp_text_add(w->out, "%s", d == 0 ? "[" : ",");
        if (it == NULL && (k < 0 || (r->shape.dim[d] == 1 && w->size[k] != 1))) {
            tp_text_add(w->out, "0");
        } else if (it == NULL) {
            tp_text_add(w->out, "%c", w->dot[k]);
            w->shown[k] = true;
        } else if (it->length == 1 && isalpha((unsigned char)*it->text)) {
            tp_text_add(w->out, "%c", name_of(w, *it->text)[at[d].k]);
        } else {
            bool brackets = *it->text == '(';
            write_row(w, it->text + brackets, it->text + it->length - brackets);
        }
    }
    tp_text_add(w->out, r->shape.ndim > 0 && r->items > 0 ? "]" : "");
}

static tp_index_number number_of(const writer *w)
{
    return (tp_index_number){w->out, w->tape, w->node, w->input};
}

/* "_i" or "_{i,j}" */
static void write_names(tp_text *t, const char *names, int count)
{
    tp_text_add(t, count == 0 ? "" : count > 1 ? "_{" : "_");
    for (int k = 0; k < count; k++)
        tp_text_add(t, k > 0 ? ",%c" : "%c", names[k]);
    tp_text_add(t, count > 1 ? "}" : "");
}

/* "_k ", "_{k<i} ", "_K " or "_… " behind Σ, max or argmax, with which what was copied last ends; with no index
 * there is nothing to add up. */
static const char *write_range(writer *w, const char *p, const char *operator)
{
    bool dots = starts(p + 1, "…");
    if (p[1] == '{') {
        const char *end = p + strcspn(p, "}");
        tp_text_add(w->out, "_{");
        write_row(w, p + 2, end);
        tp_text_add(w->out, "}");
        return end + (*end == '}');
    }
    const char *names = dots ? w->dot : name_of(w, p[1]);
    int count = dots ? w->dots : (int)strlen(names);
    if (count == 0)
        tp_index_take_back(w->out, operator);
    write_names(w->out, names, count);
    p += dots ? 1 + strlen("…") : 2;
    return p + (count == 0 && *p == ' ');
}

/* Σ_#: the rest once for each input. */
static void write_each(writer *w, const char *p, const char *end)
{
    for (w->input = 0; w->input < w->node->n; w->input++) {
        tp_text_add(w->out, "%s", w->input > 0 ? " + " : "");
        write_row(w, p, end);
    }
}

/* |K|, |:|, or else what tp_index_write_size reads. Returns what follows it. */
static const char *write_size(writer *w, const char *p)
{
    tp_index_number at = number_of(w);
    double n = 1;
    if (p[1] == '#')
        return tp_index_write_size(&at, p);
    for (int i = 0; i < w->axes; i++) {
        tp_shape s = p[1] == ':' || w->node->n == 0
                         ? w->node->value.shape
                         : tp_node_at(w->tape, w->node->x[0])->value.shape;
        n *= (double)s.dim[w->axis[i]];
    }
    tp_text_number(w->out, 15, n);
    return p + 3;
}

/* "{@flag > 0: text}" */
static const char *write_if(writer *w, const char *p)
{
    const char *text, *end;
    tp_index_number at = number_of(w);
    bool is = tp_index_holds(&at, p, &text, &end);
    if (is)
        write_row(w, text, end);
    return end + (*end == '}');
}

static void write_row(writer *w, const char *p, const char *end)
{
    ref r;
    while (p < end && !w->out->cut) {
        tp_index_number at = number_of(w);
        size_t length = tp_index_word(p);
        bool big = starts(p, "Σ_");
        if (read_ref(w, p, &r) && r.items > 0)
            write_ref(w, &r), p = r.end;
        else if (starts(p, "Σ_# "))
            write_each(w, p + strlen("Σ_# "), end), p = end;
        else if (big || starts(p, "max_") || starts(p, "argmax_")) {
            const char *range = strchr(p, '_');
            tp_text_add(w->out, "%.*s", (int)(range - p), p);
            p = write_range(w, range, big ? "Σ" : "max");
        } else if (starts(p, "|K|") || starts(p, "|:|") || starts(p, "|#"))
            p = write_size(w, p);
        else if (*p == '@')
            p = tp_index_write_attr(&at, p);
        else if (*p == '{')
            p = write_if(w, p);
        else if (starts(p, "⌋"))
            tp_index_end_floor(w->out), p += strlen("⌋");
        else if (length == 1 && islower((unsigned char)*p) && *p != 'y')
            tp_text_add(w->out, "%s", name_of(w, *p++));
        else if (length > 0)
            tp_text_add(w->out, "%.*s", (int)length, p), p += length;
        else
            tp_text_add(w->out, "%c", *p++);
    }
}

/* --- equations ---------------------------------------------------------------------------------- */

/* Which of "@flag ? A : B" holds; its end. */
static const char *choose(const tp_node *node, const char *row, const char **end)
{
    const char *question = strstr(row, " ? "), *colon = strstr(row, " : ");
    *end = row + strlen(row);
    if (*row != '@' || question == NULL || colon == NULL)
        return row;
    const bool *flag = tp_index_attr(node, row + 1, tp_index_word(row + 1), TP_FIELD_BOOL);
    if (flag == NULL || !*flag)
        return colon + 3;
    *end = colon;
    return question + 3;
}

static bool is_sum(const char *p, const char *end)
{
    int depth = 0;
    for (; p < end; p++) {
        depth += (strchr("([{", *p) != NULL) - (strchr(")]}", *p) != NULL);
        if (depth == 0 && (starts(p, " + ") || starts(p, " − ")))
            return true;
    }
    return false;
}

/* A gradient is summed over the indices of … that it does not have. False if what is summed contains a gradient
 * again: its name would mean the sum on the left and its terms on the right. */
static bool write_summed(writer *w, const ref *left, const char *right, const char *end)
{
    char lacking[TP_MAX_DIMS];
    int count = 0;
    bool list = false;
    for (int i = 0; i < left->items; i++)
        list |= is_dots(&left->item[i]);
    for (int k = 0; k < w->dots && list; k++)
        if (!w->shown[k])
            lacking[count++] = w->dot[k];
    bool brackets = count > 0 && is_sum(right, end);
    tp_text_add(w->out, count > 0 ? "Σ" : "");
    write_names(w->out, lacking, count);
    tp_text_add(w->out, count > 0 ? " " : "");
    for (const char *p = right; count > 0 && p < end; p++)
        if (*p == '#' && p[2] == '\'')
            return false;
    tp_text_add(w->out, brackets ? "(" : "");
    write_row(w, right, end);
    tp_text_add(w->out, brackets ? ")" : "");
    return true;
}

static const char *row_of(const tp_op *op, int input)
{
    int row = op->arity == TP_ANY_ARITY ? 0 : input;
    return input < 0 ? op->index : row < TP_INDEX_INPUTS ? op->index_vjp[row] : NULL;
}

bool tp_index_write(tp_text *t, const tp_tape *tape, uint32_t id, int input)
{
    const tp_node *node = tp_node_at(tape, id);
    const char *end, *row = node->op == NULL ? NULL : row_of(node->op, input);
    tp_text forward = {0}; /* only for its letters */
    ref left;
    if (row == NULL || node->op->index == NULL)
        return false;
    writer w = {.out = &forward, .tape = tape, .node = node};
    const char *first = choose(node, node->op->index, &end);
    give_letters(&w, first);
    write_row(&w, first, end);
    w.out = t, w.input = input < 0 ? 0 : input;
    memset(w.shown, 0, sizeof w.shown);
    row = choose(node, row, &end);
    if (!read_ref(&w, row, &left))
        return false;
    if (left.items == 0) {
        write_row(&w, row, end);
        return true;
    }
    write_ref(&w, &left);
    const char *sign = left.end;
    for (; sign < end && !starts(sign, "= ") && !starts(sign, "~ "); sign++)
        ;
    tp_text_add(t, " %c ", *sign);
    return write_summed(&w, &left, sign + 2, end);
}
