/* index_form.c: the language of index forms after tp_index_write, evaluated by recursive descent. See index_form.h;
 * the comparison with ops: index_check.c. */
#include "tests/support/form_num.h"
#include "tests/support/index_form.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct machine {
    const char *p; /* what is read next */
    const form_values *t;
    int64_t index[128], range[128]; /* of each letter; range -1: unknown */
    bool bound[128];                /* the letter has a value */
    bool left;               /* of the equation: a gradient has the shape of its input there */
    bool skip;               /* behind a bracket that is 0: read, but not evaluated */
    const tp_tensor *padded; /* reads outside of it count as this */
    double outside;
    char *message;
} machine;

static num expression(machine *m);

static num fail(machine *m, const char *what)
{
    if (m->message[0] == '\0')
        snprintf(m->message, FORM_MESSAGE, "%s at '%.60s'", what, m->p);
    m->skip = true;
    return (num){0, 0};
}

static bool take(machine *m, const char *sign)
{
    size_t n = strlen(sign);
    if (strncmp(m->p, sign, n) != 0)
        return false;
    m->p += n;
    return true;
}

static void need(machine *m, const char *sign)
{
    if (!take(m, sign))
        fail(m, sign);
}

/* --- tensors ------------------------------------------------------------------------------------ */

static const tp_tensor *tensor(machine *m, bool *rounded)
{
    bool y = take(m, "y");
    long i = 0;
    if (!y) {
        char *end;
        need(m, "#");
        i = strtol(m->p, &end, 10);
        m->p = end;
    }
    bool bar = take(m, "'");
    *rounded = y ? !bar : bar;
    const tp_tensor *x = NULL;
    if (y)
        x = bar ? m->t->gy : m->t->y;
    else if (i < m->t->n)
        x = bar && !m->left ? m->t->gx[i] : m->t->x[i];
    if (x == NULL)
        fail(m, "no such tensor before");
    return x;
}

/* An index, -1 if it lies between whole numbers. */
static int64_t whole(num v)
{
    return floorl(v.v) == v.v && fabsl(v.v) < 0x1p62L ? (int64_t)v.v : -1;
}

/* Reads "[i,j]" or "⟨n⟩" or nothing; the flat index, or -1. */
static int64_t flat_index(machine *m, const tp_tensor *x)
{
    int64_t flat = 0;
    int d = 0, n = x == NULL ? 0 : x->shape.ndim;
    if (take(m, "⟨")) {
        flat = whole(expression(m));
        need(m, "⟩");
        return x != NULL && flat >= 0 && flat < tp_numel(x) ? flat : -1;
    }
    if (take(m, "["))
        do {
            int64_t i = whole(expression(m));
            bool inside = d < n && i >= 0 && i < x->shape.dim[d];
            if (!inside && !m->skip)
                flat = -1;
            if (flat >= 0 && inside)
                flat = flat * x->shape.dim[d] + i;
            d++;
        } while (take(m, ","));
    if (d > 0)
        need(m, "]");
    return d == n ? flat : -1;
}

static num element(machine *m)
{
    bool rounded;
    const tp_tensor *x = tensor(m, &rounded);
    int64_t i = flat_index(m, x);
    if (m->skip)
        return (num){0, 0};
    if (i < 0 && m->padded == x)
        return (num){m->outside, 0};
    if (i < 0)
        return fail(m, "an element outside its tensor before");
    long double v = tp_flat(x, i);
    return (num){v, rounded ? fabsl(v) : 0};
}

/* Every letter that stands alone at an axis runs over that axis; over the shorter one, if there are several, but
 * over all elements of a result. */
static void find_ranges(machine *m, const char *form)
{
    for (int c = 0; c < 128; c++)
        m->range[c] = -1;
    bool value = *form == 'y' && form[1] != '\'', fixed[128] = {false};
    const char *equal = strstr(form, " = ");
    for (m->p = form; *m->p != '\0'; m->p++) {
        bool rounded;
        m->left = m->p < equal;
        const char *before = m->p;
        if (*before != '#' && (*before != 'y' || isalpha((unsigned char)before[1])))
            continue;
        const tp_tensor *x = tensor(m, &rounded);
        bool flat = strncmp(m->p, "⟨", 3) == 0;
        const char *p = m->p + (flat ? 3 : 1);
        int depth = 0;
        if (x == NULL || (!flat && *m->p != '['))
            continue;
        for (int d = 0; depth >= 0 && *p != '\0'; p++) {
            bool alone = depth == 0 && isalpha((unsigned char)*p) &&
                         strchr("[, \x9f\x9f\xa8", p[-1]) && (p[1] == ',' || p[1] == ']' || flat);
            int64_t size = flat ? tp_numel(x) : d < x->shape.ndim ? x->shape.dim[d] : 0;
            int c = *p & 127;
            if (alone && p[-1] != ' ' && !fixed[c] && (m->range[c] < 0 || size < m->range[c])) {
                m->range[c] = size;
                fixed[c] = value && m->left;
            }
            d += depth == 0 && *p == ',';
            depth += (*p == '[' || *p == '(') - (*p == ']' || *p == ')') - (flat && alone);
        }
        m->p = before;
    }
    m->left = false;
}

/* --- the grammar -------------------------------------------------------------------------------- */

static num call(machine *m, const char *name)
{
    num a = expression(m), v = a;
    bool two = take(m, ", ");
    num b = two ? expression(m) : (num){0, 0};
    need(m, ")");
    return num_function(name, a, b, &v) ? v : fail(m, "an unknown function before");
}

/* "[j ≤ i]", "[0 ≤ j < 2]": 0 means that what it multiplies does not count. */
static bool comparison(machine *m)
{
    static const char *const signs[] = {" < ", " > ", " = ", " ≤ ", " ≥ ", " ≠ ",
                                        "<",   ">",   "=",   "≤",   "≥",   "≠"};
    num left = expression(m);
    bool all = true, more = true;
    for (int compared = 0; more; compared++) {
        int s = 0;
        while (s < 12 && !take(m, signs[s]))
            s++;
        more = s < 12;
        if (!more && compared == 0)
            fail(m, "a comparison");
        if (!more)
            break;
        num right = expression(m);
        const bool is[] = {left.v<right.v, left.v> right.v, left.v == right.v, left.v <= right.v,
                           left.v >= right.v, left.v != right.v};
        all = all && is[s % 6];
        left = right;
    }
    return all;
}

static num term(machine *m);

/* What is summed, maximised or found, over one letter and all those behind it in letters. */
typedef struct loop {
    char kind;                  /* 's', 'm' or 'a' */
    const char *letters, *body; /* "c,u<2}": each may have a condition */
    num sum;
    long double absolute; /* of what was added */
    int64_t terms, best;
} loop;

static void one_term(machine *m, loop *l, int64_t i)
{
    m->p = l->body;
    num v = term(m);
    if (l->kind == 's') {
        l->sum.v += v.v, l->sum.e += v.e;
        l->absolute += fabsl(v.v);
    } else if (l->terms == 0 || v.v > l->sum.v || (isnan(v.v) && !isnan(l->sum.v))) {
        l->sum = v, l->best = i;
    }
    l->terms++;
}

/* The range of a letter that stands alone nowhere is below what is behind it: "u<3". */
static int64_t range_of(machine *m, const char *letters)
{
    int c = *letters & 127;
    m->p = letters + 1;
    return m->range[c] >= 0 ? m->range[c] : take(m, "<") ? whole(expression(m)) : -1;
}

/* flat: the indices so far in row-major order. */
static void run_loop(machine *m, loop *l, const char *letters, int64_t flat)
{
    int c = *letters & 127;
    int64_t range = m->bound[c] ? -1 : range_of(m, letters);
    const char *next = letters + strcspn(letters, " ,}");
    bool condition = letters[1] != ' ' && letters[1] != ',' && letters[1] != '}';
    if (range < 0) {
        fail(m, "a letter over nothing, or twice, before");
        return;
    }
    m->bound[c] = true;
    for (m->index[c] = 0; m->index[c] < range; m->index[c]++) {
        int64_t i = m->index[c];
        m->p = letters;
        if (condition && !comparison(m))
            continue;
        if (*next == ',')
            run_loop(m, l, next + 1, flat * range + i);
        else
            one_term(m, l, flat * range + i);
    }
    m->bound[c] = false;
}

static num big(machine *m, char kind)
{
    loop l = {.kind = kind};
    if (take(m, "{")) {
        const char *end = strchr(m->p, '}');
        l.letters = m->p;
        m->p = end == NULL ? m->p : end + 1;
    } else {
        l.letters = m->p++;
    }
    need(m, " ");
    l.body = m->p;
    bool skip = m->skip;
    if (!skip)
        run_loop(m, &l, l.letters, 0);
    m->p = l.body; /* once more, to find the end */
    m->skip = true;
    term(m);
    m->skip = skip || m->message[0] != '\0';
    l.sum.e += 2 * l.absolute;
    return kind == 'a' ? (num){(long double)l.best, 0} : l.sum;
}

static num number_or_letter(machine *m)
{
    char *end;
    if (isdigit((unsigned char)*m->p)) {
        num v = {strtod(m->p, &end), 0};
        m->p = end;
        return v;
    }
    if (take(m, "inf"))
        return (num){INFINITY, 0};
    if (take(m, "π"))
        return (num){acosl(-1), 3};
    int c = *m->p & 127;
    if (!islower((unsigned char)*m->p) || isalpha((unsigned char)m->p[1]))
        return fail(m, "nothing that can be read");
    m->p++;
    if (!m->bound[c] && !m->skip)
        return fail(m, "a letter without a value before");
    return (num){(long double)m->index[c], 0};
}

static num primary(machine *m)
{
    static const char *const functions[] = {"max",   "min", "exp", "log",  "sqrt", "abs",
                                            "round", "sin", "cos", "tanh", "erfc", "erf"};
    char name[16];
    if (take(m, "Σ_"))
        return big(m, 's');
    if (take(m, "max_"))
        return big(m, 'm');
    if (take(m, "argmax_"))
        return big(m, 'a');
    if (take(m, "(")) {
        num v = expression(m);
        need(m, ")");
        return v;
    }
    if (take(m, "⌊")) {
        num v = expression(m);
        need(m, "⌋");
        return (num){floorl(v.v), 0};
    }
    if (take(m, "[")) {
        bool is = comparison(m);
        need(m, "]");
        return (num){is, 0};
    }
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "%s(", functions[i]);
        if (take(m, name))
            return call(m, functions[i]);
    }
    return *m->p == '#' || (*m->p == 'y' && !isalpha((unsigned char)m->p[1])) ? element(m)
                                                                              : number_or_letter(m);
}

static num raised(machine *m)
{
    num v = primary(m);
    if (take(m, "²"))
        return num_multiply(v, v);
    if (take(m, "^(")) {
        num b = expression(m);
        need(m, ")");
        return num_power(v, b);
    }
    return v;
}

/* A product. Behind a bracket that is 0 nothing is looked at. */
static num term(machine *m)
{
    bool minus = take(m, "−"), skip = m->skip, nothing = false;
    bool bracket = *m->p == '[';
    num v = raised(m);
    for (;;) {
        if (bracket && v.v == 0)
            m->skip = nothing = true;
        bool by = take(m, "·"), over = !by && take(m, " / ");
        if (!by && !over)
            break;
        bracket = by && *m->p == '[';
        num b = raised(m);
        if (bracket && b.v == 0)
            m->skip = nothing = true;
        bracket = bracket && b.v == 0;
        v = nothing ? (num){0, 0} : by ? num_multiply(v, b) : num_divide(v, b);
    }
    m->skip = skip || m->message[0] != '\0';
    return nothing ? (num){0, 0} : minus ? (num){-v.v, v.e} : v;
}

static num expression(machine *m)
{
    num v = term(m);
    for (;;) {
        bool plus = take(m, " + ");
        if (!plus && !take(m, " − "))
            return v;
        v = num_add(v, term(m), plus ? 1 : -1);
    }
}

/* --- equations ---------------------------------------------------------------------------------- */

typedef struct target {
    int64_t count;
    double *out, *error;
    int *reached;
    const char *left;
    char letters[TP_MAX_DIMS + 1]; /* those on the left */
} target;

static void one_element(machine *m, const target *t)
{
    bool rounded;
    m->p = t->left;
    m->left = true;
    const tp_tensor *x = tensor(m, &rounded);
    m->left = false;
    int64_t i = flat_index(m, x);
    need(m, " = ");
    if (i < 0 || i >= t->count) {
        fail(m, "an element outside the left side before");
        return;
    }
    num v = expression(m);
    if (*m->p != '\0' && strncmp(m->p, "; ", 2) != 0)
        fail(m, "something left over");
    t->out[i] += (double)v.v, t->error[i] += (double)v.e;
    t->reached[i]++;
}

static void all_elements(machine *m, const target *t, const char *letters)
{
    int c = *letters & 127;
    if (*letters == '\0') {
        one_element(m, t);
        return;
    }
    m->bound[c] = true;
    for (m->index[c] = 0; m->index[c] < m->range[c] && m->message[0] == '\0'; m->index[c]++)
        all_elements(m, t, letters + 1);
    m->bound[c] = false;
}

/* "; #1 = 0 outside", and perhaps " and between". */
static void read_outside(machine *m, const char *form)
{
    bool rounded;
    m->p = strstr(form, "; ");
    if (m->p == NULL)
        return;
    m->p += 2;
    m->padded = tensor(m, &rounded);
    need(m, " = ");
    m->outside = (double)expression(m).v;
    need(m, " outside");
    take(m, " and between");
    if (*m->p != '\0')
        fail(m, "something left over");
}

bool form_evaluate(const char *form, const form_values *v, int64_t count, double *out,
                   double *error, int *reached, char message[FORM_MESSAGE])
{
    machine m = {.p = form, .t = v, .message = message};
    target t = {.count = count, .out = out, .error = error, .reached = reached, .left = form};
    const char *equal = strstr(form, " = ");
    int n = 0;
    message[0] = '\0';
    memset(out, 0, (size_t)count * sizeof *out);
    memset(error, 0, (size_t)count * sizeof *error);
    memset(reached, 0, (size_t)count * sizeof *reached);
    find_ranges(&m, form);
    read_outside(&m, form);
    m.skip = false;
    for (const char *p = form + 1; equal != NULL && p < equal; p++)
        if (islower((unsigned char)*p) && strchr(t.letters, *p) == NULL && n < TP_MAX_DIMS)
            t.letters[n++] = *p;
    if (equal == NULL)
        fail(&m, "no equation");
    all_elements(&m, &t, t.letters);
    return message[0] == '\0';
}
