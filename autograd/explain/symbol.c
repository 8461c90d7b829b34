/* symbol.c: what a node is called, in plain text, TeX and HTML. Read next: format.c. */
#include "autograd/explain/format.h"

#include <ctype.h>
#include <string.h>

/* What stands for itself neither in LaTeX's text nor in its formulas. */
static const struct {
    const char *from, *to;
} tex_signs[] = {
    {"_", "\\_"},
    {"%", "\\%"},
    {"#", "\\#"},
    {"&", "\\&"},
    {"$", "\\$"},
    {"{", "\\{"},
    {"}", "\\}"},
    {"\\", "\\ensuremath{\\backslash}"},
    {"^", "\\text{\\textasciicircum}"},
    {"~", "\\ensuremath{\\sim}"},
    {"<", "\\ensuremath{<}"},
    {">", "\\ensuremath{>}"},
    {"|", "\\ensuremath{|}"},
    {"−", "\\ensuremath{-}"},
    {"·", "\\ensuremath{\\cdot}"},
    {"×", "\\ensuremath{\\times}"},
    {"⊙", "\\ensuremath{\\odot}"},
    {"√", "\\ensuremath{\\surd}"},
    {"Σ", "\\ensuremath{\\Sigma}"},
    {"Π", "\\ensuremath{\\Pi}"},
    {"Φ", "\\ensuremath{\\Phi}"},
    {"Δ", "\\ensuremath{\\Delta}"},
    {"α", "\\ensuremath{\\alpha}"},
    {"β", "\\ensuremath{\\beta}"},
    {"γ", "\\ensuremath{\\gamma}"},
    {"δ", "\\ensuremath{\\delta}"},
    {"ε", "\\ensuremath{\\varepsilon}"},
    {"θ", "\\ensuremath{\\theta}"},
    {"λ", "\\ensuremath{\\lambda}"},
    {"μ", "\\ensuremath{\\mu}"},
    {"π", "\\ensuremath{\\pi}"},
    {"ρ", "\\ensuremath{\\rho}"},
    {"σ", "\\ensuremath{\\sigma}"},
    {"τ", "\\ensuremath{\\tau}"},
    {"φ", "\\ensuremath{\\varphi}"},
    {"ψ", "\\ensuremath{\\psi}"},
    {"ω", "\\ensuremath{\\omega}"},
    {"∂", "\\ensuremath{\\partial}"},
    {"∞", "\\ensuremath{\\infty}"},
    {"≤", "\\ensuremath{\\le}"},
    {"≥", "\\ensuremath{\\ge}"},
    {"≠", "\\ensuremath{\\ne}"},
    {"→", "\\ensuremath{\\to}"},
    {"‖", "\\ensuremath{\\Vert}"},
    {"½", "\\ensuremath{\\tfrac12}"},
    {"¹", "\\ensuremath{{}^1}"},
    {"²", "\\ensuremath{{}^2}"},
    {"³", "\\ensuremath{{}^3}"},
    {"⁻", "\\ensuremath{{}^-}"},
    {"ᵀ", "\\ensuremath{{}^\\top}"},
    {"₀", "\\ensuremath{{}_0}"},
    {"₁", "\\ensuremath{{}_1}"},
    {"₂", "\\ensuremath{{}_2}"},
    {"₃", "\\ensuremath{{}_3}"},
    {"₄", "\\ensuremath{{}_4}"},
    {"…", "\\ensuremath{\\dots}"},
    {"‘", "`"},
    {"’", "'"},
};

/* Writes the character at text so that LaTeX takes it as it is; returns its length. Letters of the West are
 * known to it; what is not is written as its number. */
static size_t put_tex(tp_text *t, const char *text)
{
    static const char macron[] = "\xcc\x84";
    if ((unsigned char)*text < 0x80 && isalpha((unsigned char)*text) &&
        strncmp(text + 1, macron, 2) == 0) {
        tp_text_add(t, "\\ensuremath{\\bar %c}", *text);
        return 3;
    }
    for (size_t i = 0; i < sizeof tex_signs / sizeof *tex_signs; i++) {
        size_t n = strlen(tex_signs[i].from);
        if (strncmp(text, tex_signs[i].from, n) == 0) {
            tp_text_add(t, "%s", tex_signs[i].to);
            return n;
        }
    }
    const unsigned char *b = (const unsigned char *)text;
    size_t n = b[0] < 0x80 ? 1 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < n; i++) /* not UTF-8: one byte of something */
        n = (b[i] & 0xc0) == 0x80 ? n : 1;
    if (n == 1 && b[0] < 0x80)
        tp_text_add(t, "%c", *text);
    else if (n == 2 && b[0] <= 0xc5)
        tp_text_add(t, "\\text{%.2s}", text);
    else
        tp_text_add(t, "\\text{?}");
    return n;
}

static const char *escape_html(char c)
{
    if ((unsigned char)c < ' ') /* which XML has not */
        return " ";
    return c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : NULL;
}

void tp_format_plain(tp_text *t, const tp_formula *f, const char *text)
{
    while (*text != '\0') {
        const char *safe = f->html ? escape_html(*text) : NULL;
        if (f->tex) {
            text += put_tex(t, text);
            continue;
        }
        tp_text_add(t, "%.*s", safe == NULL ? 1 : 8, safe == NULL ? text : safe);
        text++;
    }
}

/* Whether another node has the name, too. */
static bool has_rival(const tp_tape *tape, uint32_t id)
{
    const char *name = tp_node_at(tape, id)->name;
    for (uint32_t other = 1; other < tape->count; other++) {
        const char *rival = other == id ? NULL : tp_node_at(tape, other)->name;
        if (rival != NULL && strcmp(rival, name) == 0)
            return true;
    }
    return false;
}

static const tp_symbol *find_symbol(const tp_notation *n, const char *name)
{
    for (const tp_symbol *s = n == NULL ? NULL : n->symbols; s != NULL && s->name != NULL; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

/* Words stand upright in TeX; a symbol of the notation is markup already. */
static void add_name_tex(tp_text *t, const tp_formula *f, uint32_t id)
{
    const char *name = tp_node_at(f->tape, id)->name;
    const tp_symbol *s = name == NULL ? NULL : find_symbol(f->notation, name);
    if (name == NULL)
        tp_text_add(t, "v_{%u}", id);
    else if (s != NULL && s->tex != NULL)
        tp_text_add(t, "%s", s->tex);
    else {
        const char *shown = s != NULL ? s->text : name;
        bool word = strlen(shown) > 1;
        tp_text_add(t, word ? "\\mathrm{" : "");
        tp_format_plain(t, f, shown);
        tp_text_add(t, word ? "}" : "");
    }
    if (name != NULL && has_rival(f->tape, id))
        tp_text_add(t, "^{(%u)}", id);
}

static void add_name(tp_text *t, const tp_formula *f, uint32_t id)
{
    const char *name = tp_node_at(f->tape, id)->name;
    if (name == NULL) {
        tp_text_add(t, f->html ? "<i>v</i><sub>%u</sub>" : "v%u", id);
        return;
    }
    const tp_symbol *s = find_symbol(f->notation, name);
    char cut[65];
    snprintf(cut, sizeof cut, "%s", s != NULL ? s->text : name);
    tp_format_plain(t, f, cut);
    if (has_rival(f->tape, id))
        tp_text_add(t, f->html ? "<sub>#%u</sub>" : "#%u", id);
}

/* A macron over the first letter of what begins at t->data + at. */
static void put_bar(tp_text *t, size_t at)
{
    static const char macron[] = "\xcc\x84"; /* combines with the letter before it */
    at++;
    if (t->cut || t->used + sizeof macron + 8 > sizeof t->data)
        return;
    while (((unsigned char)t->data[at] & 0xc0) == 0x80)
        at++;
    memmove(t->data + at + 2, t->data + at, t->used - at + 1);
    memcpy(t->data + at, macron, 2);
    t->used += 2;
}

static const char *loss_name(const tp_formula *f)
{
    return f->notation != NULL && f->notation->loss != NULL ? f->notation->loss : "L";
}

static void name_tex(tp_text *t, const tp_formula *f, uint32_t id, bool bar)
{
    tp_gradient_sign sign = f->notation == NULL ? TP_SIGN_BAR : f->notation->sign;
    const char *name = tp_node_at(f->tape, id)->name;
    bool wide = name != NULL && strlen(name) > 1;
    if (bar && sign == TP_SIGN_BAR && name == NULL) {
        tp_text_add(t, "\\bar{v}_{%u}", id);
        return;
    }
    if (bar && sign == TP_SIGN_PARTIAL)
        tp_text_add(t, "\\frac{\\partial %s}{\\partial ", loss_name(f));
    else if (bar)
        tp_text_add(t, sign == TP_SIGN_DELTA ? "\\delta_{" : wide ? "\\overline{" : "\\bar{");
    add_name_tex(t, f, id);
    tp_text_add(t, bar ? "}" : "");
}

static void name_text(tp_text *t, const tp_formula *f, uint32_t id, bool bar)
{
    tp_gradient_sign sign = f->notation == NULL ? TP_SIGN_BAR : f->notation->sign;
    bool partial = bar && sign == TP_SIGN_PARTIAL, delta = bar && sign == TP_SIGN_DELTA;
    if (f->html)
        tp_text_add(t, "<a class=\"%s\" href=\"#n%u\">", bar && !partial && !delta ? "v bar" : "v",
                    id);
    if (partial)
        tp_text_add(t, "∂%s/∂", loss_name(f));
    tp_text_add(t, "%s", delta ? "δ" : "");
    size_t at = t->used;
    add_name(t, f, id);
    if (bar && !partial && !delta && !f->html)
        put_bar(t, at);
    tp_text_add(t, f->html ? "</a>" : "");
}

void tp_format_name(tp_text *t, const tp_formula *f, uint32_t id, bool bar)
{
    tp_formula own = *f;
    for (int i = 0; f->alias != NULL && i < f->alias->n; i++)
        if (f->alias->from[i] == id) {
            own.tape = f->alias->tape;
            id = f->alias->to[i];
            break;
        }
    char shape[TP_SHAPE_TEXT];
    if (f->shapes)
        tp_text_add(t, "%s", tp_shape_text(tp_node_at(own.tape, id)->value.shape, shape));
    else if (f->tex)
        name_tex(t, &own, id, bar);
    else
        name_text(t, &own, id, bar);
}

void tp_format_symbol(tp_text *t, const tp_tape *tape, uint32_t id)
{
    tp_format_name(t, &(tp_formula){.tape = tape}, id, false);
}

void tp_format_bar(tp_text *t, const tp_tape *tape, uint32_t id)
{
    tp_format_name(t, &(tp_formula){.tape = tape}, id, true);
}

void tp_format_symbol_tex(tp_text *t, const tp_tape *tape, uint32_t id, bool bar)
{
    tp_format_name(t, &(tp_formula){.tape = tape, .tex = true}, id, bar);
}
