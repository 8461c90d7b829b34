/* index_text.c: index forms with the names of a node and its inputs, as text or TeX. What is written here is what
 * tp_index_write gives, symbol by symbol: see index.h. */
#include "autograd/explain/index.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* How signs and functions are written, and what closes them: a function ends with its bracket. */
static const struct {
    const char *plain, *text, *tex, *text_end, *tex_end;
} spelling[] = {
    {"sqrt(", "√(", "\\sqrt{", ")", "}"},
    {"exp(", "exp(", "e^{", ")", "}"},
    {"abs(", "|", "\\lvert ", "|", " \\rvert"},
    {"log(", "log(", "\\log(", ")", ")"},
    {"sin(", "sin(", "\\sin(", ")", ")"},
    {"cos(", "cos(", "\\cos(", ")", ")"},
    {"tanh(", "tanh(", "\\tanh(", ")", ")"},
    {"erf(", "erf(", "\\operatorname{erf}(", ")", ")"},
    {"erfc(", "erfc(", "\\operatorname{erfc}(", ")", ")"},
    {"round(", "round(", "\\operatorname{round}(", ")", ")"},
    {"max(", "max(", "\\max(", ")", ")"},
    {"min(", "min(", "\\min(", ")", ")"},
    {"Bernoulli(", "Bernoulli(", "\\operatorname{Bernoulli}(", ")", ")"},
    {"Permutations(", "permutations(", "\\operatorname{permutations}(", ")", ")"},
    {"N(", "N(", "\\mathcal{N}(", ")", ")"},
    {"U(", "U(", "\\mathcal{U}(", ")", ")"},
    {"^(", "^(", "^{", ")", "}"},
    {"(", "(", "\\left(", ")", "\\right)"},
    {"[", "[", "[", "]", "]"},
    {"{", "{", "{", "}", "}"},
    {"⟨", "⟨", "_{\\langle ", "⟩", " \\rangle}"},
    /* and what needs no end */
    {"argmax_", "argmax_", "\\operatorname{arg\\,max}_", NULL, NULL},
    {"max_", "max_", "\\max_", NULL, NULL},
    {"Σ", "Σ", "\\sum", NULL, NULL},
    {"π", "π", "\\pi", NULL, NULL},
    {"·", "·", " \\, ", NULL, NULL},
    {"²", "²", "^2", NULL, NULL},
    {"−", "−", "-", NULL, NULL},
    {"≤", "≤", "\\le ", NULL, NULL},
    {"≥", "≥", "\\ge ", NULL, NULL},
    {"≠", "≠", "\\ne ", NULL, NULL},
    {"~", "~", "\\sim", NULL, NULL},
    {"…", "…", "\\ldots", NULL, NULL},
    {"inf", "∞", "\\infty", NULL, NULL},
};
enum { SPELLINGS = sizeof spelling / sizeof *spelling, DEPTH = 32 };

typedef struct reader {
    tp_text *out;
    const tp_formula *f;
    uint32_t id;
    const char *end[DEPTH]; /* what the brackets that are open end with */
    int depth;
} reader;

static void open(reader *r, const char *begin, const char *end)
{
    tp_text_add(r->out, "%s", begin);
    if (r->depth < DEPTH)
        r->end[r->depth++] = end;
}

/* The symbol of "y" or "#1", barred before a ', and the bracket behind it; NULL if there is no such input.
 * Subscripts of TeX do not stack. */
static const char *put_tensor(reader *r, const char *p)
{
    const tp_tape *tape = r->f->tape;
    const tp_node *node = tp_node_at(tape, r->id);
    uint32_t id = r->id;
    char *end = NULL;
    long input = *p == '#' ? strtol(p + 1, &end, 10) : 0;
    if (*p == '#' && (end == p + 1 || input < 0 || input >= node->n))
        return NULL;
    if (*p == '#')
        id = node->x[input];
    p = *p == '#' ? end : p + 1;
    bool bar = *p == '\'', tex = r->f->tex;
    p += bar;
    tp_text symbol = {0};
    if (tex)
        tp_format_symbol_tex(&symbol, tape, id, bar);
    else if (bar)
        tp_format_bar(&symbol, tape, id);
    else
        tp_format_symbol(&symbol, tape, id);
    bool group = tex && strchr(symbol.data, '_') != NULL;
    tp_text_add(r->out, group ? "{%s}" : "%s", symbol.data);
    if (*p != '[')
        return p;
    open(r, tex ? "_{" : "[", tex ? "}" : "]");
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
        const char *begin = r->f->tex ? spelling[i].tex : spelling[i].text;
        if (spelling[i].text_end == NULL)
            tp_text_add(r->out, "%s", begin);
        else
            open(r, begin, r->f->tex ? spelling[i].tex_end : spelling[i].text_end);
        if (p[n] == ' ' && begin[strlen(begin) - 1] == ' ')
            n++;
        return p + n;
    }
    return NULL;
}

static void put_all(reader *r, const char *p)
{
    static const char *const closing[] = {")", "]", "}", "⟩"};
    while (*p != '\0' && !r->out->cut) {
        const char *next = NULL;
        for (int i = 0; i < 4 && next == NULL; i++)
            if (strncmp(p, closing[i], strlen(closing[i])) == 0 && r->depth > 0) {
                next = p + strlen(closing[i]);
                tp_text_add(r->out, "%s", r->end[--r->depth]);
            }
        if (next == NULL && (*p == 'y' || *p == '#'))
            next = put_tensor(r, p);
        if (next == NULL && isdigit((unsigned char)*p))
            next = put_number(r, p);
        if (next == NULL)
            next = put_spelled(r, p);
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
