/* notation.c: what the pages of "vae explain" call things: lectures' symbols for what all models have, the user's
 * (--symbols, --gradient) before them, and W and b in TeX for weights and biases. */
#include "explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the lectures write for what the models call otherwise. */
static const tp_symbol usual[] = {
    {"mu", "μ", "\\mu"},
    {"logvar", "log σ²", "{\\log\\sigma^2}"},
    {"eps", "ε", "\\varepsilon"},
};
enum { USUAL = sizeof usual / sizeof *usual, TEX_SYMBOL = 192 };

/* "encoder.0.weight" in TeX: W with the layer below it. NULL for a parameter of another kind. */
static char *tex_symbol(const char *name)
{
    const char *last = strrchr(name, '.');
    bool weight = last != NULL && strcmp(last, ".weight") == 0;
    if (!weight && (last == NULL || strcmp(last, ".bias") != 0))
        return NULL;
    char text[TEX_SYMBOL];
    size_t used = (size_t)snprintf(text, sizeof text, "%c_{\\mathrm{", weight ? 'W' : 'b');
    for (; name < last && used + 8 < sizeof text; name++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, *name == '_' ? "\\_" : "%c", *name);
    snprintf(text + used, sizeof text - used, "}}");
    size_t n = strlen(text) + 1;
    char *kept = malloc(n);
    return kept == NULL ? NULL : memcpy(kept, text, n);
}

/* "mu=m,z=code", cut up where it stands: the first rows, because the first that fits is taken. */
static tp_status add_own(lesson *l)
{
    for (char *rest = l->own; *rest != '\0';) {
        char *name = rest, *end = name + strcspn(name, ","),
             *text = memchr(name, '=', (size_t)(end - name));
        rest = *end == ',' ? end + 1 : end;
        *end = '\0';
        if (text == NULL || text == name || text[1] == '\0')
            return tp_fail(TP_EARG, "--symbols: '%s' is not NAME=TEXT", name);
        *text++ = '\0';
        l->symbols[l->own_count++] = (tp_symbol){name, text, text};
    }
    l->symbol_count = l->own_count;
    return TP_OK;
}

static int commas(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += *text == ',';
    return n;
}

/* In text a parameter keeps its name, which --at takes. */
tp_status notation_settle(lesson *l)
{
    const tp_params *ps = &l->r.model.params;
    const options *o = &l->r.o;
    snprintf(l->own, sizeof l->own, "%s", o->symbols);
    l->symbols = calloc((size_t)(ps->n + commas(l->own) + 1 + USUAL + 1), sizeof *l->symbols);
    if (l->symbols == NULL)
        return tp_fail(TP_ENOMEM, "no memory for the symbols");
    TP_TRY(add_own(l));
    memcpy(l->symbols + l->symbol_count, usual, sizeof usual);
    l->symbol_count += USUAL;
    l->kept = l->symbol_count;
    for (int i = 0; i < ps->n; i++) {
        const char *name = ps->item[i]->name;
        char *tex = tex_symbol(name);
        if (tex != NULL)
            l->symbols[l->symbol_count++] = (tp_symbol){name, name, tex};
    }
    static const tp_gradient_sign signs[] = {TP_SIGN_BAR, TP_SIGN_PARTIAL, TP_SIGN_DELTA};
    l->opts.notation = (tp_notation){.symbols = l->symbols, .sign = signs[o->gradient]};
    return TP_OK;
}

tp_status notation_check(const lesson *l, tp_var loss)
{
    for (int i = 0; i < l->own_count; i++)
        if (place_named(loss, l->symbols[i].name) != TP_OK)
            return tp_fail_prefix("--symbols: "), TP_EARG;
    return TP_OK;
}

void notation_free(lesson *l)
{
    for (int i = l->kept; i < l->symbol_count; i++)
        free((char *)l->symbols[i].tex);
    free(l->symbols);
}
