/* print.c: which elements are shown, in which notation, and where the lines break. How a single number reads
 * is text.c. Every element is reached through views, so strides are no matter here.
 */
#include "tensor/print.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "tensor/text.h"

enum { WHOLE = 256, EDGE = 3, DIGITS = 4, MAX_DIGITS = 8, COLUMNS = 100 };

typedef struct page {
    FILE *out;
    int ndim;
    int64_t edge[TP_MAX_DIMS]; /* elements shown at either end of an axis; 0: all */
    char style;                /* 'f' or 'e' as in printf; 'd' for integer types */
    int decimals, width;
    int column; /* of the line being written */
    /* what the elements need */
    bool integral;
    int whole, fraction; /* the most digits before and behind the point */
} page;

/* --- which elements ----------------------------------------------------------------------------- */

static int64_t shown(const page *p, tp_shape s)
{
    int64_t n = 1;
    for (int i = 0; i < s.ndim; i++)
        n *= p->edge[i] > 0 ? 2 * p->edge[i] : s.dim[i];
    return n;
}

/* Long axes are cut to their ends. If many axes still make many elements, outer ones to one at either end:
 * 2^8 elements are left at most. */
static void choose_edges(page *p, tp_shape s)
{
    if (tp_shape_numel(s) <= WHOLE)
        return;
    for (int i = 0; i < s.ndim; i++)
        p->edge[i] = s.dim[i] > 2 * EDGE ? EDGE : 0;
    for (int i = 0; i < s.ndim && shown(p, s) > WHOLE; i++)
        p->edge[i] = s.dim[i] > 2 ? 1 : 0;
}

/* The index behind k among those shown along an axis of n; *gap if some are left out between. */
static int64_t next_shown(const page *p, int axis, int64_t n, int64_t k, bool *gap)
{
    *gap = p->edge[axis] > 0 && k + 1 == p->edge[axis];
    return *gap ? n - p->edge[axis] : k + 1;
}

static void each_shown(page *p, const tp_tensor *x, void (*look)(page *p, const tp_tensor *element))
{
    tp_tensor part;
    bool gap;
    if (x->shape.ndim == 0) {
        look(p, x);
        return;
    }
    int64_t n = x->shape.dim[0];
    for (int64_t k = 0; k < n; k = next_shown(p, p->ndim - x->shape.ndim, n, k, &gap)) {
        (void)tp_view_select(x, 0, k, &part); /* k is in range */
        each_shown(p, &part, look);
    }
}

/* --- which notation ----------------------------------------------------------------------------- */

static char *element_text(const page *p, const tp_tensor *element, char text[TP_NUMBER_TEXT])
{
    if (p->style != 'd')
        return tp_number(text, p->style, p->decimals, tp_item(element));
    long long v = element->dtype == TP_I64 ? (long long)*(const int64_t *)tp_data(element)
                                           : *(const unsigned char *)tp_data(element);
    snprintf(text, TP_NUMBER_TEXT, "%lld", v);
    return text;
}

/* How many digits stand before and behind the point when there are DIGITS significant ones. */
static void look_at_digits(page *p, const tp_tensor *element)
{
    char text[TP_NUMBER_TEXT];
    double v = tp_item(element);
    if (!isfinite(v))
        return;
    tp_number(text, 'e', DIGITS - 1, v);
    int significant = 0, seen = 0, exponent = 0;
    const char *c = text;
    for (; *c != 'e'; c++)
        if (isdigit((unsigned char)*c)) {
            seen++;
            significant = *c != '0' ? seen : significant;
        }
    for (const char *e = c + 2; *e != '\0'; e++)
        exponent = 10 * exponent + *e - '0';
    exponent = c[1] == '-' ? -exponent : exponent;
    p->integral = p->integral && v == trunc(v);
    p->whole = exponent + 1 > p->whole ? exponent + 1 : p->whole;
    p->fraction =
        significant - 1 - exponent > p->fraction ? significant - 1 - exponent : p->fraction;
}

static void look_at_width(page *p, const tp_tensor *element)
{
    char text[TP_NUMBER_TEXT];
    int n = (int)strlen(element_text(p, element, text));
    p->width = n > p->width ? n : p->width;
}

static void choose_notation(page *p, const tp_tensor *x)
{
    p->style = 'd';
    if (tp_dtype_is_float(x->dtype)) {
        p->integral = true;
        p->whole = 1;
        each_shown(p, x, look_at_digits);
        p->decimals = p->integral ? 0 : p->fraction > 0 ? p->fraction : 1;
        p->style = p->whole + p->decimals > MAX_DIGITS ? 'e' : 'f';
        p->decimals = p->style == 'e' ? DIGITS - 1 : p->decimals;
    }
    each_shown(p, x, look_at_width);
}

/* --- lines -------------------------------------------------------------------------------------- */

static void put(page *p, const char *text, int width)
{
    fprintf(p->out, "%*s", width, text);
    p->column += width;
}

/* What stands between two parts of a block with so many axes left: a space, or a new line where the next part
 * is a row or would be too wide. Blocks of rows stand apart. */
static void separate(page *p, int left, int width)
{
    int depth = p->ndim - left + 1;
    if (left == 1 &&
        p->column + 1 + width + p->ndim <= COLUMNS) { /* brackets may close behind it */
        put(p, " ", 1);
        return;
    }
    fputs(left > 2 ? "\n\n" : "\n", p->out);
    p->column = 0;
    put(p, "", depth);
}

static void put_block(page *p, const tp_tensor *x)
{
    char text[TP_NUMBER_TEXT];
    int left = x->shape.ndim, axis = p->ndim - left;
    if (left == 0) {
        put(p, element_text(p, x, text), p->width);
        return;
    }
    int64_t n = x->shape.dim[0];
    put(p, "[", 1);
    for (int64_t k = 0, next; k < n; k = next) {
        tp_tensor part;
        bool gap;
        (void)tp_view_select(x, 0, k, &part); /* k is in range */
        put_block(p, &part);
        next = next_shown(p, axis, n, k, &gap);
        if (next < n)
            separate(p, left, gap ? 1 : p->width);
        if (gap) {
            put(p, "…", 1);
            separate(p, left, p->width);
        }
    }
    put(p, "]", 1);
}

tp_status tp_print(FILE *out, const tp_tensor *x)
{
    if (x->storage == NULL) {
        fprintf(out, "an empty handle\n");
        return tp_fail(TP_EARG, "tp_print: the tensor is an empty handle");
    }
    char type[TP_TENSOR_TEXT];
    tp_text head = {0};
    page p = {.out = out, .ndim = x->shape.ndim};
    tp_text_add(&head, "%s   ", tp_tensor_text(x, type));
    tp_text_range(&head, x, DIGITS);
    fprintf(out, "%s\n", tp_numel(x) != 1 ? head.data : type);
    if (tp_numel(x) == 0) {
        fputs("[]\n", out);
        return tp_text_written(out, "tp_print");
    }
    choose_edges(&p, x->shape);
    choose_notation(&p, x);
    put_block(&p, x);
    fputc('\n', out);
    return tp_text_written(out, "tp_print");
}
