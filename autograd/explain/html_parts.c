/* html_parts.c: markup that fits, and tensors as tables. Read next: html.c. */
#include "autograd/explain/html.h"
#include "autograd/explain/graph.h"

#include <math.h>
#include <stdlib.h>

/* The longest part of t that ends outside of elements, tags and entities. */
static size_t whole_part(const tp_text *t)
{
    size_t last = 0;
    int depth = 0;
    for (size_t i = 0; i < t->used; i++) {
        if (depth == 0 && ((unsigned char)t->data[i] & 0xc0) != 0x80)
            last = i;
        char end = t->data[i] == '<' ? '>' : t->data[i] == '&' ? ';' : '\0';
        if (end == '>')
            depth += t->data[i + 1] == '/' ? -1 : 1;
        while (end != '\0' && i < t->used && t->data[i] != end)
            i++;
    }
    return last;
}

void tp_html_put(FILE *out, const tp_text *t)
{
    if (!t->cut)
        fputs(t->data, out);
    else
        fprintf(out, "%.*s…", (int)whole_part(t), t->data);
}

void tp_html_line(const tp_page *p, const char *class, const tp_text *t)
{
    if (t->used == 0)
        return;
    fprintf(p->out, "<p class=\"%s\">", class);
    tp_html_put(p->out, t);
    fputs("</p>\n", p->out);
}

void tp_html_badge(FILE *out, const char *class, const char *words)
{
    const char *sign = *class == 'o' ? "✓" : *class == 'w' ? "✗" : "–";
    fprintf(out, "<span class=\"badge %s\">%s ", class, sign);
    tp_put_xml(out, words);
    fputs("</span>", out);
}

/* --- tensors ------------------------------------------------------------------------------------ */

enum { WHOLE = 64, CORNER = 4, BLOCK = 8 };

static void put_cell(FILE *out, const tp_tensor *x, int64_t i, double most)
{
    tp_text text = {0};
    double v = tp_flat(x, i);
    int shade = tp_html_shade(v, most);
    tp_text_element(&text, x, i);
    if (!isfinite(v))
        fprintf(out, "<td class=\"odd\">%s</td>", text.data);
    else if (shade != 0)
        fprintf(out, "<td class=\"%c%d\">%s</td>", v < 0 ? 'm' : 'p', abs(shade), text.data);
    else
        fprintf(out, "<td>%s</td>", text.data);
}

/* A part of a matrix that begins at element at: rows × columns from first to last, with their indices. */
static void put_table(FILE *out, const tp_tensor *x, int64_t at, int64_t first, int64_t last,
                      double most)
{
    int n = x->shape.ndim;
    int64_t rows = n > 1 ? x->shape.dim[n - 2] : 1, columns = x->shape.dim[n - 1];
    bool corner = tp_numel(x) > WHOLE, right = corner && last < columns;
    int64_t show = corner && rows > CORNER ? CORNER : rows;
    fputs("<table><tr><td></td>", out);
    for (int64_t c = first; c < last; c++)
        fprintf(out, "<th scope=\"col\">%lld</th>", (long long)c);
    fputs(right ? "<th>…</th></tr>" : "</tr>", out);
    for (int64_t r = 0; r < show; r++) {
        fputs("<tr>", out);
        if (n > 1)
            fprintf(out, "<th scope=\"row\">%lld</th>", (long long)r);
        else
            fputs("<td></td>", out);
        for (int64_t c = first; c < last; c++)
            put_cell(out, x, at + r * columns + c, most);
        fputs(right ? "<td>…</td></tr>" : "</tr>", out);
    }
    if (show < rows) {
        fputs("<tr><th>⋮</th>", out);
        for (int64_t c = first; c < last + right; c++)
            fputs(c < last ? "<td>⋮</td>" : "<td>⋱</td>", out);
        fputs("</tr>", out);
    }
    fputs("</table>", out);
}

/* "[1,0,·,·]" before a matrix within a tensor of more axes. */
static void put_place(FILE *out, const tp_tensor *x, int64_t at)
{
    int n = x->shape.ndim;
    int64_t inner = tp_numel(x);
    if (n < 3)
        return;
    fputs("<span class=\"place\">[", out);
    for (int i = 0; i < n - 2; i++) {
        inner /= x->shape.dim[i];
        fprintf(out, "%lld,", (long long)(at / inner));
        at %= inner;
    }
    fputs("·,·]</span>", out);
}

static void put_matrices(FILE *out, const tp_tensor *x)
{
    int n = x->shape.ndim;
    int64_t rows = n > 1 ? x->shape.dim[n - 2] : 1, columns = x->shape.dim[n - 1];
    bool corner = tp_numel(x) > WHOLE;
    double most = 0;
    for (int64_t i = 0; i < tp_numel(x); i++) {
        double v = fabs(tp_flat(x, i));
        most = isfinite(v) && v > most ? v : most;
    }
    for (int64_t at = 0; at < (corner ? 1 : tp_numel(x)); at += rows * columns) {
        int64_t show = corner && columns > CORNER ? CORNER : columns;
        put_place(out, x, at);
        for (int64_t c = 0; c < show; c += BLOCK)
            put_table(out, x, at, c, c + BLOCK < show ? c + BLOCK : show, most);
    }
    tp_html_pictures(out, x, most);
}

void tp_html_tensor(FILE *out, const tp_tensor *x, bool shape)
{
    tp_text text = {0};
    char type[TP_TENSOR_TEXT];
    if (tp_numel(x) == 1) {
        tp_text_element(&text, x, 0);
        fprintf(out, "<span class=\"one-number\">= %s</span>\n", text.data);
    } else if (tp_numel(x) == 0) {
        fputs("<span class=\"one-number\">= []</span>\n", out);
    } else {
        fputs("<figure class=\"numbers\"><div class=\"scroll\">", out);
        put_matrices(out, x);
        tp_text_summary(&text, x);
        fprintf(out, "</div><figcaption>%s%s%s</figcaption></figure>\n",
                shape ? tp_tensor_text(x, type) : "", shape ? ", " : "", text.data);
    }
}
