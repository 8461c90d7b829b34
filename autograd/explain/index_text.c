/* index_text.c: index forms with the names of a node and its inputs, as text or TeX. What is written here is what
 * tp_index_write gives, symbol by symbol: see index.h. */
#include "autograd/explain/index.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* How signs and functions are written, and what closes them: a function ends with its bracket. html NULL: as text. */
static const struct {
    const char *plain, *text, *tex, *html, *text_end, *tex_end, *html_end;
} spelling[] = {
    {"sqrt(", "√(", "\\sqrt{", NULL, ")", "}", ")"},
    {"exp(", "exp(", "e^{", NULL, ")", "}", ")"},
    {"abs(", "|", "\\lvert ", NULL, "|", " \\rvert", "|"},
    {"log(", "log(", "\\log(", NULL, ")", ")", ")"},
    {"sin(", "sin(", "\\sin(", NULL, ")", ")", ")"},
    {"cos(", "cos(", "\\cos(", NULL, ")", ")", ")"},
    {"tanh(", "tanh(", "\\tanh(", NULL, ")", ")", ")"},
    {"erf(", "erf(", "\\operatorname{erf}(", NULL, ")", ")", ")"},
    {"erfc(", "erfc(", "\\operatorname{erfc}(", NULL, ")", ")", ")"},
    {"round(", "round(", "\\operatorname{round}(", NULL, ")", ")", ")"},
    {"max(", "max(", "\\max(", NULL, ")", ")", ")"},
    {"min(", "min(", "\\min(", NULL, ")", ")", ")"},
    {"Bernoulli(", "Bernoulli(", "\\operatorname{Bernoulli}(", NULL, ")", ")", ")"},
    {"Permutations(", "permutations(", "\\operatorname{permutations}(", NULL, ")", ")", ")"},
    {"N(", "N(", "\\mathcal{N}(", NULL, ")", ")", ")"},
    {"U(", "U(", "\\mathcal{U}(", NULL, ")", ")", ")"},
    {"^(", "^(", "^{", "<sup>", ")", "}", "</sup>"},
    {"(", "(", "\\left(", NULL, ")", "\\right)", ")"},
    {"[", "[", "[", NULL, "]", "]", "]"},
    {"_{", "_{", "_{", "<sub>", "}", "}", "</sub>"},
    {"⟨", "⟨", "_{\\langle ", NULL, "⟩", " \\rangle}", "⟩"},
    {"⌊", "⌊", "\\lfloor ", NULL, "⌋", " \\rfloor ", "⌋"},
    /* and what needs no end */
    {"argmax", "argmax", "\\operatorname{arg\\,max}", NULL, NULL, NULL, NULL},
    {"max", "max", "\\max", NULL, NULL, NULL, NULL},
    {"Σ", "Σ", "\\sum", NULL, NULL, NULL, NULL},
    {"; ", ";  ", ";\\quad ", NULL, NULL, NULL, NULL},
    {"outside and between", "outside and between", "\\text{ outside and between}", NULL, NULL, NULL,
     NULL},
    {"outside", "outside", "\\text{ outside}", NULL, NULL, NULL, NULL},
    {"π", "π", "\\pi", NULL, NULL, NULL, NULL},
    {"·", "·", " \\, ", NULL, NULL, NULL, NULL},
    {"²", "²", "^2", NULL, NULL, NULL, NULL},
    {"−", "−", "-", NULL, NULL, NULL, NULL},
    {"≤", "≤", "\\le ", NULL, NULL, NULL, NULL},
    {"≥", "≥", "\\ge ", NULL, NULL, NULL, NULL},
    {"≠", "≠", "\\ne ", NULL, NULL, NULL, NULL},
    {"<", "<", "<", "&lt;", NULL, NULL, NULL},
    {">", ">", ">", "&gt;", NULL, NULL, NULL},
    {"&", "&", "\\&", "&amp;", NULL, NULL, NULL},
    {"~", "~", "\\sim", NULL, NULL, NULL, NULL},
    {"…", "…", "\\ldots", NULL, NULL, NULL, NULL},
    {"inf", "∞", "\\infty", NULL, NULL, NULL, NULL},
};
enum { SPELLINGS = sizeof spelling / sizeof *spelling, DEPTH = 32 };

typedef struct reader {
    tp_text *out;
    const tp_formula *f;
    uint32_t id;
    const char *end[DEPTH]; /* what the brackets that are open end with */
    int depth, indices;     /* the depth of a tensor's indices; 0: outside */
    bool computed;          /* an index among them is: a comma needs room */
} reader;

static void open_bracket(reader *r, const char *begin, const char *end)
{
    tp_text_add(r->out, "%s", begin);
    if (r->depth < DEPTH)
        r->end[r->depth++] = end;
}

/* Whether there is more than letters and numbers between p and the end of the indices. */
static bool is_computed(const char *p)
{
    int depth = 0;
    for (; *p != '\0' && depth >= 0; p++) {
        depth += (*p == '[') - (*p == ']');
        if (*p == ' ')
            return true;
    }
    return false;
}

/* Among indices "2·i" is 2i. Returns what is behind what was written, NULL if there is nothing special here. */
static const char *put_among_indices(reader *r, const char *p)
{
    static const char times[] = "·";
    bool factor = strncmp(p, times, strlen(times)) == 0;
    if (r->indices == 0 || r->depth < r->indices)
        return NULL;
    if (factor && isdigit((unsigned char)p[-1]))
        return p + strlen(times);
    if (*p != ',' || !r->computed || r->depth > r->indices)
        return NULL;
    tp_text_add(r->out, r->f->tex ? ",\\, " : ", ");
    return p + 1;
}

/* The symbol of "y" or "#1", barred before a ', and the bracket behind it; NULL if there is no such input.
 * Subscripts of TeX do not stack. */
static const char *put_tensor(reader *r, const char *p)
{
    const tp_node *node = tp_node_at(r->f->tape, r->id);
    uint32_t id = r->id;
    char *end = NULL;
    long input = *p == '#' ? strtol(p + 1, &end, 10) : 0;
    if (*p == '#' && (end == p + 1 || input < 0 || input >= node->n))
        return NULL;
    if (*p == '#')
        id = node->x[input];
    p = *p == '#' ? end : p + 1;
    tp_text symbol = {0};
    tp_format_name(&symbol, r->f, id, *p == '\'');
    p += *p == '\'';
    bool tex = r->f->tex, group = tex && strpbrk(symbol.data, "_^") != NULL;
    tp_text_add(r->out, group ? "{{}%s}" : "%s", symbol.data); /* {}: see format.c */
    if (*p != '[')
        return p;
    r->indices = r->depth + 1;
    r->computed = is_computed(p + 1);
    open_bracket(r,
                 tex          ? "_{"
                 : r->f->html ? "<sub>"
                              : "[",
                 tex          ? "}"
                 : r->f->html ? "</sub>"
                              : "]");
    return p + 1;
}

/* "1e+06" is 10^6 in TeX. */
static const char *put_number(reader *r, const char *p)
{
    size_t n = strspn(p, "0123456789.");
    tp_text_add(r->out, "%.*s", (int)n, p);
    if (p[n] != 'e' || (p[n + 1] != '+' && p[n + 1] != '-'))
        return p + n;
    size_t digits = strspn(p + n + 2, "0123456789"), zeros = strspn(p + n + 2, "0");
    if (r->f->tex)
        tp_text_add(r->out, " \\cdot 10^{%s%.*s}", p[n + 1] == '-' ? "-" : "",
                    (int)(digits - zeros), p + n + 2 + zeros);
    else
        tp_text_add(r->out, "%.*s", (int)(digits + 2), p + n);
    return p + n + 2 + digits;
}

static const char *put_spelled(reader *r, const char *p)
{
    for (int i = 0; i < SPELLINGS; i++) {
        size_t n = strlen(spelling[i].plain);
        if (strncmp(p, spelling[i].plain, n) != 0)
            continue;
        bool tex = r->f->tex, html = r->f->html && spelling[i].html != NULL;
        const char *begin = tex ? spelling[i].tex : html ? spelling[i].html : spelling[i].text;
        const char *end = tex          ? spelling[i].tex_end
                          : r->f->html ? spelling[i].html_end
                                       : spelling[i].text_end;
        if (end == NULL)
            tp_text_add(r->out, "%s", begin);
        else
            open_bracket(r, begin, end);
        if (p[n] == ' ' && begin[strlen(begin) - 1] == ' ')
            n++;
        return p + n;
    }
    return NULL;
}

static void put_all(reader *r, const char *p)
{
    static const char *const closing[] = {")", "]", "}", "⟩", "⌋"};
    while (*p != '\0' && !r->out->cut) {
        const char *next = NULL;
        for (int i = 0; i < 5 && next == NULL; i++)
            if (strncmp(p, closing[i], strlen(closing[i])) == 0 && r->depth > 0) {
                next = p + strlen(closing[i]);
                tp_text_add(r->out, "%s", r->end[--r->depth]);
            }
        if (r->depth < r->indices)
            r->indices = 0;
        if (next == NULL)
            next = put_among_indices(r, p);
        if (next == NULL && (*p == 'y' || *p == '#'))
            next = put_tensor(r, p);
        if (next == NULL && isdigit((unsigned char)*p))
            next = put_number(r, p);
        if (next == NULL)
            next = put_spelled(r, p);
        if (next == NULL && r->f->html && *p == '_' && isalpha((unsigned char)p[1])) {
            tp_text_add(r->out, "<sub>%c</sub>", p[1]);
            next = p + 2;
        }
        if (next == NULL)
            tp_text_add(r->out, "%c", *p), next = p + 1;
        p = next;
    }
}

bool tp_format_index_vjp(tp_text *t, const tp_formula *f, uint32_t id, int input)
{
    tp_text plain = {0};
    reader r = {.out = t, .f = f, .id = id};
    if (!tp_index_write(&plain, f->tape, id, input))
        return false;
    put_all(&r, plain.data);
    return true;
}

bool tp_format_index(tp_text *t, const tp_formula *f, uint32_t id)
{
    return tp_format_index_vjp(t, f, id, -1);
}
