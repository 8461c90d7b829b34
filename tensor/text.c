/* text.c: bounded text, numbers, tensors in one line. Read next: print.c. */
#include "tensor/text.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "tensor/iter.h"

/* --- text --------------------------------------------------------------------------------------- */

void tp_text_add(tp_text *t, const char *format, ...)
{
    static const char dots[] = "…";
    size_t room = sizeof t->data - sizeof dots - t->used;
    if (t->cut)
        return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->data + t->used, room, format, args);
    va_end(args);
    t->cut = n < 0 || (size_t)n >= room;
    t->used += t->cut ? room - 1 : (size_t)n;
    if (!t->cut)
        return;
    while (t->used > 0 && ((unsigned char)t->data[t->used - 1] & 0xc0) == 0x80)
        t->used--; /* never half a character */
    if (t->used > 0 && (unsigned char)t->data[t->used - 1] >= 0xc0)
        t->used--;
    memcpy(t->data + t->used, dots, sizeof dots);
}

int tp_text_columns(const char *s)
{
    int columns = 0;
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        bool combining = c == 0xcc || (c == 0xcd && (unsigned char)s[1] < 0xb0);
        columns += (c & 0xc0) != 0x80 && !combining;
    }
    return columns;
}

tp_status tp_text_written(FILE *out, const char *who)
{
    if (fflush(out) == 0 && !ferror(out))
        return TP_OK;
    return tp_fail(TP_EIO, "%s: the text could not be written", who);
}

/* --- numbers ------------------------------------------------------------------------------------ */

void tp_number_point(char *text)
{
    char *point = text + strspn(text, "+-0123456789");
    size_t n = strcspn(point, "0123456789");
    if (n == 0 || strchr("eina", point[0]) != NULL) /* an exponent, inf, nan */
        return;
    memmove(point + 1, point + n, strlen(point + n) + 1);
    point[0] = '.';
}

char *tp_number(char text[TP_NUMBER_TEXT], char style, int digits, double v)
{
    const char *format = style == 'f' ? "%.*f" : style == 'e' ? "%.*e" : "%.*g";
    if (isnan(v))
        snprintf(text, TP_NUMBER_TEXT, "nan");
    else
        snprintf(text, TP_NUMBER_TEXT, format, digits, v);
    tp_number_point(text);
    return text;
}

void tp_text_number(tp_text *t, int digits, double v)
{
    char text[TP_NUMBER_TEXT];
    tp_text_add(t, "%s", tp_number(text, 'g', digits, v));
}

/* --- tensors ------------------------------------------------------------------------------------ */

enum { WHOLE = 12, DIGITS = 4 };

/* One element. Integers are written as they are, also where a double could not hold them, and so are those
 * among floats as long as they have no more than 8 digits. */
static void add_element(tp_text *t, tp_dtype dtype, int digits, const void *p)
{
    double v = dtype == TP_F32   ? (double)*(const float *)p
               : dtype == TP_F64 ? *(const double *)p
                                 : 0;
    if (dtype == TP_I64)
        tp_text_add(t, "%lld", (long long)*(const int64_t *)p);
    else if (dtype == TP_U8)
        tp_text_add(t, "%d", *(const unsigned char *)p);
    else
        tp_text_number(t, fabs(v) < 1e8 && v == trunc(v) ? 8 : digits, v);
}

static void add_nested(tp_text *t, const tp_tensor *x, bool whole)
{
    int ndim = x->shape.ndim;
    if (ndim == 0) {
        add_element(t, x->dtype, DIGITS, tp_data(x));
        return;
    }
    int64_t n = x->shape.dim[0], show = whole ? n : ndim == 1 ? 3 : ndim == 2 ? 2 : 1;
    tp_text_add(t, "[");
    for (int64_t i = 0; i < n && i < show; i++) {
        tp_tensor part;
        if (i > 0)
            tp_text_add(t, " ");
        (void)tp_view_select(x, 0, i, &part); /* i is in range */
        add_nested(t, &part, whole);
    }
    tp_text_add(t, show < n ? " …]" : "]");
}

static bool less(tp_dtype dtype, const void *a, const void *b)
{
    switch (dtype) {
    case TP_F32:
        return *(const float *)a < *(const float *)b;
    case TP_F64:
        return *(const double *)a < *(const double *)b;
    case TP_I64:
        return *(const int64_t *)a < *(const int64_t *)b;
    default:
        return *(const unsigned char *)a < *(const unsigned char *)b;
    }
}

/* The state of a walk: what was found, in which type, after how many elements. */
typedef struct walk {
    tp_census found;
    tp_dtype dtype;
    int64_t seen;
} walk;

static void census_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    walk *w = arg;
    tp_census *c = &w->found;
    for (int64_t i = 0; i < count; i++, w->seen++) {
        const char *p = ptr[0] + i * stride[0];
        double v = w->dtype == TP_F32   ? (double)*(const float *)p
                   : w->dtype == TP_F64 ? *(const double *)p
                                        : 0;
        c->nan += isnan(v) != 0;
        c->up += v == INFINITY;
        c->down += v == -INFINITY;
        if (!isfinite(v)) {
            c->first = c->first < 0 ? w->seen : c->first;
            continue;
        }
        c->lo = c->lo == NULL || less(w->dtype, p, c->lo) ? p : c->lo;
        c->hi = c->hi == NULL || less(w->dtype, c->hi, p) ? p : c->hi;
    }
}

tp_census tp_take_census(const tp_tensor *x)
{
    tp_iter it;
    walk w = {.found = {.n = tp_numel(x), .first = -1}, .dtype = x->dtype};
    (void)tp_iter_init(&it, 1, &x); /* one operand fits itself */
    tp_iter_range(&it, 0, it.numel, census_run, &w);
    return w.found;
}

void tp_text_odd(tp_text *t, const tp_census *c)
{
    const struct {
        int64_t n;
        const char *name;
    } kinds[] = {{c->nan, "NaN"}, {c->up, "inf"}, {c->down, "-inf"}};
    const char *separator = "";
    for (int i = 0; i < 3; i++) {
        if (kinds[i].n == 0)
            continue;
        tp_text_add(t, "%s", separator);
        if (c->n > 1)
            tp_text_add(t, "%lld ", (long long)kinds[i].n);
        tp_text_add(t, "%s", kinds[i].name);
        separator = ", ";
    }
}

void tp_text_range(tp_text *t, const tp_tensor *x, int digits)
{
    tp_census c = tp_take_census(x);
    if (c.n == 0)
        tp_text_add(t, "no elements");
    if (c.lo != NULL) {
        tp_text_add(t, "%s", c.n > 1 ? "from " : "");
        add_element(t, x->dtype, digits, c.lo);
    }
    if (c.lo != NULL && c.n > 1) {
        tp_text_add(t, " to ");
        add_element(t, x->dtype, digits, c.hi);
    }
    tp_text_add(t, "%s", c.lo != NULL && c.first >= 0 ? ", " : "");
    tp_text_odd(t, &c);
}

void tp_text_element(tp_text *t, const tp_tensor *x, int64_t i)
{
    tp_tensor part = *x, next;
    for (int64_t inner = tp_numel(x); part.shape.ndim > 0; part = next) {
        inner /= part.shape.dim[0];
        (void)tp_view_select(&part, 0, i / inner, &next); /* i is in range */
        i %= inner;
    }
    add_element(t, x->dtype, DIGITS, tp_data(&part));
}

void tp_text_summary(tp_text *t, const tp_tensor *x)
{
    double norm = 0;
    for (int64_t i = 0; i < tp_numel(x); i++)
        norm = hypot(norm, tp_flat(x, i));
    tp_text_range(t, x, DIGITS);
    tp_text_add(t, ", norm ");
    tp_text_number(t, DIGITS, norm);
}

void tp_text_tensor(tp_text *t, const tp_tensor *x)
{
    int64_t n = tp_numel(x);
    if (n == 0) { /* its other axes may be long */
        tp_text_add(t, "[]");
        return;
    }
    add_nested(t, x, n <= WHOLE);
    if (n <= WHOLE)
        return;
    tp_text_add(t, "  ");
    tp_text_summary(t, x);
}
