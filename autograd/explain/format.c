/* format.c: attributes and formulas. What a node is called is in symbol.c. */
#include "autograd/explain/format.h"
#include "autograd/ops.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* --- attributes --------------------------------------------------------------------------------- */

const tp_field *tp_format_field(const tp_op *op, const char *name, size_t length)
{
    for (int i = 0; i < op->field_count; i++)
        if (strlen(op->fields[i].name) == length && memcmp(op->fields[i].name, name, length) == 0)
            return &op->fields[i];
    return NULL;
}

static const void *value_of(const tp_node *node, const tp_field *f)
{
    return (const char *)node->attr + f->offset;
}

static void format_axes(tp_text *t, tp_axes axes)
{
    for (int i = 0; i < axes.n; i++)
        tp_text_add(t, "%s%d", i > 0 ? "," : "[", axes.axis[i]);
    tp_text_add(t, axes.n == 0 ? "all" : "]");
}

void tp_format_attr(tp_text *t, const tp_field *f, const void *attr)
{
    const void *at = (const char *)attr + f->offset;
    char shape[TP_SHAPE_TEXT];
    switch (f->kind) {
    case TP_FIELD_BOOL:
        tp_text_add(t, "%s", *(const bool *)at ? "true" : "false");
        break;
    case TP_FIELD_INT:
        tp_text_add(t, "%d", *(const int *)at);
        break;
    case TP_FIELD_I64: /* the one number that means "to the end" is left out, as in Python */
        if (*(const int64_t *)at != TP_SLICE_END)
            tp_text_add(t, "%lld", (long long)*(const int64_t *)at);
        break;
    case TP_FIELD_DOUBLE:
        tp_text_number(t, 6, *(const double *)at);
        break;
    case TP_FIELD_AXES:
        format_axes(t, *(const tp_axes *)at);
        break;
    case TP_FIELD_SHAPE:
        tp_text_add(t, "%s", tp_shape_text(*(const tp_shape *)at, shape));
        break;
    case TP_FIELD_DTYPE:
        tp_text_add(t, "%s", tp_dtype_name(*(const tp_dtype *)at));
        break;
    case TP_FIELD_KEY: {
        const tp_rng_key *k = at;
        tp_text_add(t, "(seed %llu, step %llu, draw %u)", (unsigned long long)k->seed,
                    (unsigned long long)k->step, k->draw);
        break;
    }
    }
}

/* --- formulas ----------------------------------------------------------------------------------- */

/* What may stand beside a sign without brackets. The levels of tp_op.prec, doubled: PRODUCT is below that
 * of a product, so that only the same product, which is associative, goes without. */
enum { TIGHT = 0, PRODUCT = 1, TERM = 2, SUM = 4, FREE = 6 };
static const struct {
    const char *sign;
    int after, before;
} signs[] = {
    {"(", FREE, TIGHT},
    {")", TIGHT, FREE},
    {"[", FREE, TIGHT},
    {"]", TIGHT, FREE},
    {"|", FREE, FREE},
    {",", FREE, FREE},
    {":", FREE, FREE},
    {";", FREE, FREE},
    {"‖", FREE, FREE},
    {"+", SUM, SUM},
    {"−", TERM, SUM},
    {"-", TERM, SUM},
    {"·", PRODUCT, PRODUCT},
    {"⊙", PRODUCT, PRODUCT},
    {"×", PRODUCT, PRODUCT},
    {"/", TIGHT, PRODUCT},
    {"<", SUM, SUM},
    {">", SUM, SUM},
    {"=", SUM, SUM},
    {"≤", SUM, SUM},
    {"≥", SUM, SUM},
    /* and TeX's; a later sign that fits as well wins */
    {"{", FREE, PRODUCT},
    {"}", TIGHT, FREE},
    {"}^", TIGHT, TIGHT},
    {"\\,", PRODUCT, PRODUCT},
    {"\\odot", PRODUCT, PRODUCT},
    {"\\cdot", PRODUCT, PRODUCT},
    {"\\le", SUM, SUM},
    {"\\ge", SUM, SUM},
    {"\\ne", SUM, SUM},
    {"\\right", FREE, FREE},
    {"\\rvert", FREE, FREE},
    {"\\rVert", FREE, FREE},
    {"&", FREE, FREE},
    {"\\\\", FREE, FREE},
    {"{cases}", FREE, FREE},
};

/* The loosest operand that may stand at p … p+length of a template without brackets. */
static int loosest(const char *text, const char *p, size_t length)
{
    const char *l = p, *r = p + length;
    int after = -1, before = -1;
    while (l > text && l[-1] == ' ')
        l--;
    while (*r == ' ')
        r++;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t n = strlen(signs[i].sign);
        if ((size_t)(l - text) >= n && memcmp(l - n, signs[i].sign, n) == 0)
            after = signs[i].after;
        if (strncmp(r, signs[i].sign, n) == 0)
            before = signs[i].before;
    }
    if (after < 0) /* the edge or a word: free; anything else binds tightly */
        after = l == text || (l < p && isalpha((unsigned char)l[-1])) ? FREE : TIGHT;
    if (before < 0)
        before = *r == '\0' || (r > p + length && isalpha((unsigned char)*r)) ? FREE : TIGHT;
    return after < before ? after : before;
}

static size_t word_length(const char *p)
{
    size_t n = 0;
    while (isalnum((unsigned char)p[n]) || p[n] == '_')
        n++;
    return n;
}

/* Whether p starts with lead, "@", the name of a number, and tail: the length of all, and its value. */
static size_t constant_at(const tp_node *node, const char *p, const char *lead, const char *tail,
                          double *v)
{
    size_t before = strlen(lead), after = strlen(tail);
    if (strncmp(p, lead, before) != 0 || p[before] != '@')
        return 0;
    size_t length = word_length(p + before + 1);
    const tp_field *f = tp_format_field(node->op, p + before + 1, length);
    if (f == NULL || f->kind != TP_FIELD_DOUBLE ||
        strncmp(p + before + 1 + length, tail, after) != 0)
        return 0;
    *v = *(const double *)value_of(node, f);
    return before + 1 + length + after;
}

/* "@scale·" and " + @shift" as people write them: nothing for 1· and + 0, a minus for negative ones.
 * Returns how much of the template that was, 0 if nothing is to be changed. */
static size_t put_constant(tp_text *t, const tp_node *node, const char *p, bool tex)
{
    double v;
    const char *minus = tex ? "-" : "−";
    size_t length = constant_at(node, p, "", tex ? " \\, " : "·", &v);
    if (length > 0 && (v == 1 || v == -1)) {
        tp_text_add(t, "%s", v == 1 ? "" : minus);
        return length;
    }
    length = constant_at(node, p, " + ", "", &v);
    if (length > 0 && v < 0) {
        tp_text_add(t, " %s ", minus);
        tp_text_number(t, 6, -v);
    }
    return length > 0 && v <= 0 ? length : 0;
}

/* The template of a node. The one formula that depends on the attributes: a permute that swaps the last
 * two axes is a transpose. */
static const char *template_of(const tp_node *node, bool tex)
{
    const tp_op *op = node->op;
    if (op == &tp_op_permute) {
        tp_axes perm = *(const tp_axes *)value_of(node, op->fields);
        int n = perm.n;
        bool swap = n >= 2 && perm.axis[n - 1] == n - 2 && perm.axis[n - 2] == n - 1;
        for (int i = 0; i < n - 2; i++)
            swap &= perm.axis[i] == i;
        if (swap)
            return tex ? "{#0}^\\top" : "#0ᵀ";
    }
    const char *text = tex ? op->tex : op->text;
    return text != NULL ? text : "?(#*)";
}

/* How loosely the node's formula binds: what the row says, but a sum of which one term is left is a
 * product, and "Σ x" needs brackets in a product though it is not infix. */
static int looseness(const tp_node *node, bool tex)
{
    const char *text = template_of(node, tex);
    int prec = node->op->prec, depth = 0, sums = 0, gaps = 0;
    double shift;
    for (const char *p = text; *p != '\0'; p++) {
        depth += (strchr("([{", *p) != NULL) - (strchr(")]}", *p) != NULL);
        gaps += depth == 0 && *p == ' ';
        sums += strncmp(p, " + ", 3) == 0 || strncmp(p, " − ", strlen(" − ")) == 0 ||
                strncmp(p, " - ", 3) == 0;
        if (constant_at(node, p, " + ", "", &shift) > 0 && shift == 0)
            sums--;
    }
    if (prec == 2 && sums == 0 && strstr(text, " + @") != NULL)
        return 1;
    return prec == 0 && gaps > 0 && node->n > 0 ? 1 : prec;
}

/* Whether an operand stands at an end of the formula, as in x² and √x, or high up at an end, as TeX's e^{x}. */
static bool open_ended(const tp_node *node, bool tex)
{
    const char *text = template_of(node, tex);
    size_t n = strlen(text);
    int depth = 0;
    bool raised = false;
    for (const char *p = text; tex && *p != '\0'; p++) {
        depth += (*p == '{' || *p == '(') - (*p == '}' || *p == ')');
        raised |= depth == 0 && *p == '^';
    }
    return raised || text[0] == '#' || (n > 1 && text[n - 2] == '#');
}

static void operand(tp_text *t, const tp_formula *f, uint32_t id, int limit, const tp_op *in)
{
    for (int i = 0; i < f->shared_count; i++)
        if (f->shared[i] == id) {
            tp_text_add(t, f->tex ? "t_{%d}" : f->html ? "<i>t</i><sub>%d</sub>" : "t%d", i + 1);
            return;
        }
    const tp_node *node = tp_node_at(f->tape, id);
    if (id != 0 && id == f->gy) {
        bool fraction = f->notation != NULL && f->notation->sign == TP_SIGN_PARTIAL &&
                        limit < FREE && !f->tex && !f->shapes;
        tp_text_add(t, fraction ? "(" : "");
        tp_format_name(t, f, f->at, true);
        tp_text_add(t, fraction ? ")" : "");
    } else if (id < f->first || id >= f->last || node->op == NULL) {
        tp_format_name(t, f, id, false);
    } else {
        int own = looseness(node, f->tex);
        bool brackets = 2 * own > limit;
        if (own == 1 && limit == PRODUCT && node->op == in)
            brackets = false; /* a ⊙ b ⊙ c */
        if (own == 0 && limit == TIGHT)
            brackets = open_ended(node, f->tex); /* (x²)ᵀ, √(x²) */
        tp_text_add(t, !brackets ? "" : f->tex ? "\\left(" : "(");
        tp_format_op(t, f, id);
        tp_text_add(t, !brackets ? "" : f->tex ? "\\right)" : ")");
    }
}

/* Writes the placeholder "#…" at p; returns what follows it. */
static const char *put_operand(tp_text *t, const tp_formula *f, const tp_node *node, const char *p)
{
    if (p[1] == '*') {
        for (int i = 0; i < node->n; i++) {
            tp_text_add(t, "%s", i > 0 ? ", " : "");
            operand(t, f, node->x[i], FREE, node->op);
        }
        return p + 2;
    }
    size_t length = 1;
    int i = 0;
    for (; isdigit((unsigned char)p[length]); length++)
        i = 10 * i + p[length] - '0';
    bool low = f->tex && p[length] == '_'; /* a symbol has a subscript of its own */
    if (length > 1 && i < node->n) {
        tp_text_add(t, low ? "{{}" : ""); /* {} because TeX drops braces around a lone accent */
        operand(t, f, node->x[i], loosest(template_of(node, f->tex), p, length), node->op);
        tp_text_add(t, low ? "}" : "");
    } else
        tp_text_add(t, "%.*s", (int)length, p);
    return p + length;
}

/* TeX has other ways to write infinity, powers of ten and words. */
static void put_attr_tex(tp_text *t, const tp_field *f, const void *attr)
{
    char text[TP_NUMBER_TEXT];
    const void *at = (const char *)attr + f->offset;
    if (f->kind == TP_FIELD_BOOL) {
        tp_text_add(t, *(const bool *)at ? "\\mathrm{true}" : "\\mathrm{false}");
    } else if (f->kind == TP_FIELD_DOUBLE && isinf(*(const double *)at)) {
        tp_text_add(t, *(const double *)at > 0 ? "\\infty" : "-\\infty");
    } else if (f->kind == TP_FIELD_DOUBLE) {
        tp_number(text, 'g', 6, *(const double *)at);
        char *e = strchr(text, 'e');
        tp_text_add(t, "%.*s", (int)strcspn(text, "e"), text);
        if (e != NULL) /* no leading plus and zeros */
            tp_text_add(t, " \\cdot 10^{%s%s}", e[1] == '-' ? "-" : "",
                        e + 1 + strspn(e + 1, "+-0"));
    } else {
        tp_format_attr(t, f, attr);
    }
}

static const char *put_attr(tp_text *t, const tp_node *node, const char *p, bool tex)
{
    size_t length = word_length(p + 1);
    const tp_field *f = tp_format_field(node->op, p + 1, length);
    if (f == NULL)
        tp_text_add(t, "@%.*s", (int)length, p + 1);
    else if (tex)
        put_attr_tex(t, f, node->attr);
    else
        tp_format_attr(t, f, node->attr);
    return p + 1 + length;
}

/* "[@axes]", in TeX "_{@axes}": the list brings its brackets, and the empty one, which means all axes, is not
 * written. Returns the length of what was written, 0 if this is something else. */
static size_t put_axes(tp_text *t, const tp_node *node, const char *p, bool tex)
{
    const char *open = tex ? "_{@" : "[@", close = tex ? '}' : ']';
    size_t before = strlen(open), length;
    if (strncmp(p, open, before) != 0)
        return 0;
    length = word_length(p + before);
    const tp_field *f = tp_format_field(node->op, p + before, length);
    if (f == NULL || f->kind != TP_FIELD_AXES || p[before + length] != close)
        return 0;
    if (((const tp_axes *)value_of(node, f))->n > 0) {
        tp_text_add(t, tex ? "_{" : "");
        tp_format_attr(t, f, node->attr);
        tp_text_add(t, tex ? "}" : "");
    }
    return before + length + 1;
}

void tp_format_op(tp_text *t, const tp_formula *f, uint32_t id)
{
    const tp_node *node = tp_node_at(f->tape, id);
    const char *p = template_of(node, f->tex);
    while (*p != '\0' && !t->cut) {
        size_t skip = put_constant(t, node, p, f->tex) + put_axes(t, node, p, f->tex);
        if (skip > 0)
            p += skip;
        else if (*p == '#')
            p = put_operand(t, f, node, p);
        else if (*p == '@')
            p = put_attr(t, node, p, f->tex);
        else if (*p == '?' && node->op->text == NULL)
            tp_text_add(t, "%s", node->op->name), p++;
        else if (f->html && strchr("<>&", *p) != NULL)
            tp_format_plain(t, f, (char[]){*p++, '\0'});
        else
            tp_text_add(t, "%c", *p++);
    }
}

static void add_kind(tp_text *t, const tp_formula *f, const tp_node *node)
{
    const char *kind = node->param     ? node->is_leaf ? "parameter" : "frozen parameter"
                       : node->is_leaf ? "leaf"
                                       : "data";
    tp_text_add(t, f->tex ? "\\colon \\text{%s}" : ": %s", kind);
}

/* Whether the second is the first one's by width: "stride_h", "stride_w". */
static bool by_width(const tp_field *h, const tp_field *w)
{
    size_t n = strlen(h->name);
    return n > 2 && strcmp(h->name + n - 2, "_h") == 0 && strncmp(h->name, w->name, n - 1) == 0 &&
           strcmp(w->name + n - 2, "_w") == 0;
}

/* " 2", " 2,1" of a pair that differs; false if that is not worth a mention. */
static bool add_value(tp_text *t, const tp_field *f, const tp_field *width, const void *attr)
{
    tp_text h = {0}, w = {0};
    tp_format_attr(&h, f, attr);
    if (width != NULL)
        tp_format_attr(&w, width, attr);
    bool same = width == NULL || strcmp(h.data, w.data) == 0;
    tp_text_add(t, same ? " %s" : " %s,%s", h.data, w.data);
    return f->usual == NULL || !same || strcmp(h.data, f->usual) != 0;
}

/* ", axis 1": what the formula does not mention. */
static void add_unmentioned(tp_text *t, const tp_formula *f, const tp_node *node)
{
    const char *text = node->op->text != NULL ? node->op->text : "";
    for (int i = 0; i < node->op->field_count; i++) {
        const tp_field *field = &node->op->fields[i];
        char mention[40];
        snprintf(mention, sizeof mention, "@%.36s", field->name);
        bool off = field->kind == TP_FIELD_BOOL &&
                   !*(const bool *)((const char *)node->attr + field->offset);
        if (off || field->kind == TP_FIELD_SHAPE || field->kind == TP_FIELD_DTYPE ||
            strstr(text, mention) != NULL)
            continue; /* shape and type are shown anyhow */
        bool pair = i + 1 < node->op->field_count && by_width(field, field + 1);
        tp_text value = {0};
        i += pair;
        if (field->kind != TP_FIELD_BOOL &&
            !add_value(&value, field, pair ? field + 1 : NULL, node->attr))
            continue;
        tp_text_add(t, f->tex ? ",\\ \\text{%.*s%s}" : ", %.*s%s",
                    (int)strlen(field->name) - (pair ? 2 : 0), field->name, value.data);
    }
}

void tp_format_definition(tp_text *t, const tp_formula *f, uint32_t id)
{
    const tp_node *node = tp_node_at(f->tape, id);
    tp_formula look = {.tape = f->tape,
                       .tex = f->tex,
                       .html = f->html,
                       .notation = f->notation,
                       .alias = f->alias};
    tp_format_name(t, &look, id, false);
    if (node->op == NULL) {
        add_kind(t, &look, node);
        return;
    }
    tp_text_add(t, " = ");
    tp_format_op(t, &look, id);
    add_unmentioned(t, &look, node);
}

void tp_format_var(tp_text *t, const tp_formula *f, uint32_t id)
{
    operand(t, f, id, FREE, NULL);
}

void tp_formula_share(tp_formula *f, uint32_t end, int roots, const tp_var *root)
{
    f->shared_count = 0;
    for (uint32_t id = f->first; id < end && f->shared_count < TP_SHARED_MAX; id++) {
        const tp_node *node = tp_node_at(f->tape, id);
        int uses = 0;
        bool deep = false;
        for (int i = 0; i < node->n; i++)
            deep |= node->x[i] >= f->first && node->x[i] < end;
        for (int i = 0; i < roots; i++)
            uses += root[i].id == id;
        for (uint32_t user = id + 1; user < end; user++)
            for (int i = 0; i < tp_node_at(f->tape, user)->n; i++)
                uses += tp_node_at(f->tape, user)->x[i] == id;
        if (deep && uses > 1)
            f->shared[f->shared_count++] = id;
    }
}
