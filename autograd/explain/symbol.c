/* symbol.c: what a node is called, in plain text, TeX and HTML. Read next: format.c. */
#include "autograd/explain/format.h"

#include <string.h>

static const char *escape_tex(char c)
{
    switch (c) {
    case '_':
        return "\\_";
    case '%':
        return "\\%";
    case '#':
        return "\\#";
    case '&':
        return "\\&";
    case '$':
        return "\\$";
    case '{':
        return "\\{";
    case '}':
        return "\\}";
    case '\\':
        return "\\backslash ";
    case '^':
        return "\\hat{}";
    case '~':
        return "\\sim ";
    default:
        return NULL;
    }
}

static const char *escape_html(char c)
{
    return c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : NULL;
}

void tp_format_plain(tp_text *t, const tp_formula *f, const char *text)
{
    for (; *text != '\0'; text++) {
        const char *safe = f->tex ? escape_tex(*text) : f->html ? escape_html(*text) : NULL;
        if (safe != NULL)
            tp_text_add(t, "%s", safe);
        else
            tp_text_add(t, "%c", *text);
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
    tp_text_add(t, partial ? "∂%s/∂" : delta ? "δ" : "", loss_name(f));
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
