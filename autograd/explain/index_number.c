/* index_number.c: see index_number.h. */
#include "autograd/explain/index_number.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool starts(const char *p, const char *with)
{
    return strncmp(p, with, strlen(with)) == 0;
}

size_t tp_index_word(const char *p)
{
    size_t n = 0;
    while (isalnum((unsigned char)p[n]) || p[n] == '_')
        n++;
    return n;
}

const void *tp_index_attr(const tp_node *node, const char *name, size_t length, tp_field_kind kind)
{
    const tp_field *f = tp_format_field(node->op, name, length);
    return f == NULL || f->kind != kind ? NULL : (const char *)node->attr + f->offset;
}

bool tp_index_take_back(tp_text *t, const char *what)
{
    size_t n = strlen(what);
    if (t->cut || t->used < n || memcmp(t->data + t->used - n, what, n) != 0)
        return false;
    t->data[t->used -= n] = '\0';
    return true;
}

/* "[(p + 1)" is "[p + 1": brackets around all of an index say nothing. */
static void drop_brackets(tp_text *t)
{
    size_t open = t->used;
    int depth = 0;
    if (t->used == 0 || t->data[t->used - 1] != ')')
        return;
    do {
        open--;
        depth += (t->data[open] == ')') - (t->data[open] == '(');
    } while (open > 0 && depth > 0);
    if (open == 0 || depth != 0 || strchr("[,", t->data[open - 1]) == NULL)
        return;
    memmove(t->data + open, t->data + open + 1, t->used - open - 2);
    t->data[t->used -= 2] = '\0';
}

/* A number as people write it: no factor or divisor 1, no term 0, a − instead of + before a negative one. Returns
 * what follows it in the row. */
static const char *write_number(tp_text *out, const char *p, double v)
{
    static const char times[] = "·", plus[] = " + ", minus[] = " − ", over[] = " / ";
    if (v == 0 && starts(p, plus))
        return p + strlen(plus);
    if ((v == 1 && tp_index_take_back(out, times)) ||
        (v == 0 && (tp_index_take_back(out, plus) || tp_index_take_back(out, minus))))
        return p;
    if (v == 1 && tp_index_take_back(out, over)) {
        drop_brackets(out);
        return p;
    }
    if (signbit(v))
        tp_text_add(out, tp_index_take_back(out, plus) ? minus : "−");
    if (fabs(v) == 1 && starts(p, times))
        return p + strlen(times);
    tp_text_number(out, 6, fabs(v));
    return p;
}

/* --- attributes --------------------------------------------------------------------------------- */

/* Where input i begins in what it is joined with; where a slice begins, as Python clips it. */
static double offset(const tp_index_number *at, int inputs)
{
    const int *axis = tp_index_attr(at->node, "axis", 4, TP_FIELD_INT);
    double sum = 0;
    int n = at->node->value.shape.ndim, d = axis == NULL ? 0 : *axis < 0 ? *axis + n : *axis;
    for (int i = 0; i < inputs && i < at->node->n; i++)
        sum += (double)tp_node_at(at->tape, at->node->x[i])->value.shape.dim[d];
    return sum;
}

static double slice_start(const tp_index_number *at, int64_t start)
{
    double n = offset(at, 1), from = (double)start + (start < 0 ? n : 0);
    const int64_t *step = tp_index_attr(at->node, "step", 4, TP_FIELD_I64);
    return fmax(0, fmin(from, step != NULL && *step < 0 ? n - 1 : n));
}

/* The attribute whose name stands at name. */
static double attr_value(const tp_index_number *at, const char *name)
{
    size_t length = tp_index_word(name);
    const double *real = tp_index_attr(at->node, name, length, TP_FIELD_DOUBLE);
    const int *small = tp_index_attr(at->node, name, length, TP_FIELD_INT);
    const int64_t *large = tp_index_attr(at->node, name, length, TP_FIELD_I64);
    bool slice = starts(name, "start") && tp_index_attr(at->node, "stop", 4, TP_FIELD_I64) != NULL;
    return real != NULL    ? *real
           : small != NULL ? *small
           : large != NULL ? slice ? slice_start(at, *large) : (double)*large
                           : offset(at, at->input + starts(name, "to"));
}

const char *tp_index_write_attr(const tp_index_number *at, const char *p)
{
    p++;
    return write_number(at->out, p + tp_index_word(p), attr_value(at, p));
}

/* --- sizes, floors, conditions ------------------------------------------------------------------ */

const char *tp_index_write_size(const tp_index_number *at, const char *p)
{
    char *end;
    const char *close = strchr(p + 1, '|');
    long input = strtol(p + 2, &end, 10), axis = *end == ':' ? strtol(end + 1, &end, 10) : -1;
    if (close == NULL || input < 0 || input >= at->node->n)
        return p + strlen(p);
    tp_shape s = tp_node_at(at->tape, at->node->x[input])->value.shape;
    double n = axis >= 0 && axis < s.ndim ? (double)s.dim[axis] : 0;
    if (starts(end, " / @"))
        n /= attr_value(at, end + strlen(" / @"));
    return write_number(at->out, close + 1, n);
}

void tp_index_end_floor(tp_text *t)
{
    static const char open[] = "⌊";
    size_t n = strlen(open), from = t->used - n - 1;
    if (t->used > n && memcmp(t->data + from, open, n) == 0) {
        char letter[] = {t->data[t->used - 1], '\0'};
        t->data[t->used = from] = '\0';
        tp_text_add(t, "%s", letter);
        return;
    }
    tp_text_add(t, "⌋");
}

bool tp_index_holds(const tp_index_number *at, const char *p, const char **text, const char **end)
{
    double sum = 0, bound = 0;
    const char *colon = strstr(p, ": ");
    *text = colon == NULL ? p + strlen(p) : colon + 2;
    *end = *text + strcspn(*text, "}");
    for (; p < *text && *p != '>'; p++)
        sum += *p == '@' ? attr_value(at, p + 1) : 0;
    if (p < *text)
        bound = strtod(p + 1, NULL);
    return sum > bound;
}
