/* place.c: finding what people call encoder.0.weight[2,1]. Read next: explain.c. */
#include "explain.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 96 };

/* Is id what name says: a name, a name with the number of the operation as pages write it where there are several of that
 * name, or v12 and #12? */
static bool is_called(tp_var v, const tp_symbol *symbols, const char *name)
{
    const char *own = tp_name_of(v), *symbol = own;
    for (const tp_symbol *s = symbols; own != NULL && s->name != NULL && symbol == own; s++)
        if (strcmp(s->name, own) == 0)
            symbol = s->text;
    char numbered[NAME + 16];
    snprintf(numbered, sizeof numbered, "v%u", (unsigned)v.id);
    if (strcmp(name, numbered) == 0 || (name[0] == '#' && strcmp(name + 1, numbered + 1) == 0))
        return true;
    if (own == NULL)
        return false;
    if (strcmp(name, own) == 0 || strcmp(name, symbol) == 0)
        return true;
    const char *number = strrchr(name, '#');
    size_t n = number == NULL ? 0 : (size_t)(number - name);
    return number != NULL && strcmp(number + 1, numbered + 1) == 0 &&
           ((strlen(own) == n && strncmp(name, own, n) == 0) ||
            (strlen(symbol) == n && strncmp(name, symbol, n) == 0));
}

/* The var of that name; with many, one of them. */
static tp_status find_var(tp_var *found, tp_var loss, const tp_symbol *symbols, const char *name,
                          bool many)
{
    nearest near = nearest_to(name);
    int matches = 0;
    char shown[NAME + 16], first[NAME + 16] = "";
    for (uint32_t id = 1; id <= loss.id; id++) {
        tp_var v = {loss.tape, id, loss.epoch};
        const char *own = tp_name_of(v);
        if (own != NULL)
            nearest_offer(&near, own);
        if (!is_called(v, symbols, name))
            continue;
        snprintf(shown, sizeof shown, "%.*s#%u", NAME, name, (unsigned)id);
        if (matches++ == 0) {
            snprintf(first, sizeof first, "%s", shown);
            *found = v;
        }
    }
    if (matches == 1 || (matches > 1 && many))
        return TP_OK;
    if (matches > 1)
        return tp_fail(TP_EARG, "%d values are called '%s': name one by its number, as %s or %s",
                       matches, name, first, shown);
    if (near.best != NULL)
        return tp_fail(TP_EARG, "there is no '%s'; did you mean '%s'?", name, near.best);
    return tp_fail(TP_EARG, "there is no '%s' in this step", name);
}

/* Reads "2,1]" into the place of that element. */
static tp_status read_index(int64_t *flat, tp_shape s, const char *name, const char *text)
{
    char shape[TP_SHAPE_TEXT];
    int n = 0;
    *flat = 0;
    for (const char *at = text; *at != ']'; n++) {
        char *end;
        long long i = strtoll(at, &end, 10);
        end += strspn(end, " ");
        if (end == at || !isdigit((unsigned char)at[strspn(at, " ")]) ||
            (*end != ',' && *end != ']'))
            return tp_fail(TP_EARG, "'[%s' is no place as [2,1]", text);
        if (n < s.ndim && i >= s.dim[n])
            return tp_fail(TP_EARG, "%s has shape %s: its axis %d has no place %lld", name,
                           tp_shape_text(s, shape), n, i);
        if (n < s.ndim)
            *flat = *flat * s.dim[n] + i;
        at = end + (*end == ',');
        if (at[-1] == ',' && *at == ']')
            return tp_fail(TP_EARG, "'[%s' is no place as [2,1]", text);
    }
    if (n != s.ndim)
        return tp_fail(TP_EARG, "%s has shape %s: %d numbers name a place in it, not %d", name,
                       tp_shape_text(s, shape), s.ndim, n);
    return TP_OK;
}

tp_status place_named(tp_var loss, const char *name)
{
    static const tp_symbol none[] = {{0}};
    tp_var any;
    return find_var(&any, loss, none, name, true);
}

tp_status place_find(place *p, tp_var loss, const tp_symbol *symbols, const char *text)
{
    char name[NAME];
    size_t n = strcspn(text, "["), end = strlen(text);
    while (n > 0 && end > n && text[end - 1] == ' ')
        end--;
    if (n == 0 || n >= NAME ||
        (text[n] == '[' && (text[end - 1] != ']' || strchr(text + n, ']') != text + end - 1)))
        return tp_fail(TP_EARG,
                       "'%.*s' names nothing: a name, and where it has several numbers a place "
                       "behind it, as z[0,1], is needed",
                       NAME, text);
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    TP_TRY(find_var(&p->var, loss, symbols, name, false));
    tp_shape s = tp_shape_of(p->var);
    p->index = tp_shape_numel(s) == 1 ? 0 : -1;
    return text[n] == '[' ? read_index(&p->index, s, name, text + n + 1) : TP_OK;
}

static tp_status find_element(place *p, tp_var loss, const tp_symbol *symbols, const char *text)
{
    char shape[TP_SHAPE_TEXT];
    TP_TRY(place_find(p, loss, symbols, text));
    tp_shape s = tp_shape_of(p->var);
    if (p->index >= 0)
        return TP_OK;
    static const char zeros[] = "0,0,0,0,0,0,0,0";
    _Static_assert(sizeof zeros == 2 * TP_MAX_DIMS, "one 0 for each axis");
    return tp_fail(TP_EARG, "%s has shape %s: which of its numbers? As %s[%.*s]", text,
                   tp_shape_text(s, shape), text, 2 * s.ndim - 1, zeros);
}

tp_status place_explain(FILE *out, tp_var loss, const char *text, const tp_explain_opts *opts)
{
    place p;
    TP_TRY(find_element(&p, loss, opts->notation.symbols, text));
    tp_explain_opts o = *opts;
    o.document = o.format != TP_EXPLAIN_TEXT; /* text needs no frame */
    tp_status s = tp_explain_element(out, loss, p.var, p.index, o);
    return s != TP_EGRAD ? s : tp_fail(TP_EARG, "%s: no gradient of the loss goes there", text);
}
