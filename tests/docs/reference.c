/* reference.c: writes docs/reference/ops.md, a page that says everything about every operation.
 *
 * Nothing on it is typed here. Prototypes and comments are those of ops.def and compose.h; formulas are the
 * rows'; gradients are what the rules recorded when they ran; numbers, types, shapes and messages come from
 * running samples and refusals. Target "reference" writes the page, test docs/reference compares.
 * Read next: reference_formula.c, autograd/explain/format.h.
 */
#include "tests/docs/reference.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "autograd/ops.h"
#include "tests/support/compositions.h"

/* --- facts -------------------------------------------------------------------------------------- */

static void put_shapes(const tp_op *op, const char *prototype)
{
    tp_text all = {0};
    int shown = 0;
    bool same = true;
    char name[32] = "";
    for (int i = 0; i < op->sample_count; i++) {
        run r;
        tp_text one = {0};
        char shape[TP_SHAPE_TEXT];
        begin_run(&r, op, op->samples[i], prototype, TP_F64);
        need(tp_value(r.y) != NULL, op->name, "a sample fails");
        tp_text_add(&one, "`");
        for (int k = 0; k < r.sample.n; k++) {
            tp_text_add(&one, "%s%s", k > 0 ? ", " : "", tp_shape_text(r.data[k].shape, shape));
            same = same && tp_shape_equal(r.data[k].shape, tp_shape_of(r.y));
        }
        tp_text_add(&one, " → %s`", tp_shape_text(tp_shape_of(r.y), shape));
        snprintf(name, sizeof name, "%s", r.name[0]);
        end_run(&r);
        if (strstr(all.data, one.data) == NULL && shown < 4)
            tp_text_add(&all, "%s%s", shown++ > 0 ? ", " : "", one.data);
    }
    if (op->samples[0].n == 0)
        printf("as asked");
    else if (same && op->samples[0].n == 1)
        printf("y as %s", name);
    else
        printf("%s%s", same ? "all equal" : all.data, op->broadcasts ? "; inputs broadcast" : "");
}

/* Which element types it takes, by trying. */
static void put_dtypes(const tp_op *op, const char *prototype)
{
    tp_sample sample = choose_sample(op, prototype);
    int taken = 0, floats = 0;
    for (int i = 0; i < sample.n; i++)
        floats += sample.x[i].fill != TP_FILL_INDEX;
    for (int d = 0; d < TP_DTYPE_COUNT && floats > 0; d++) {
        run r;
        begin_run(&r, op, sample, prototype, (tp_dtype)d);
        if (tp_value(r.y) != NULL) {
            printf("%s%s", taken++ > 0 ? ", " : "", tp_dtype_name((tp_dtype)d));
            if (tp_dtype_of(r.y) != (tp_dtype)d)
                printf(" → %s", tp_dtype_name(tp_dtype_of(r.y)));
        }
        end_run(&r);
    }
    need(taken > 0 || floats == 0, op->name, "it takes no type");
    run r;
    begin_run(&r, op, sample, prototype, TP_F64);
    if (sample.n == 0)
        printf("%s",
               strstr(prototype, "tp_dtype") ? "type as asked" : tp_dtype_name(tp_dtype_of(r.y)));
    for (int i = 0; i < sample.n; i++)
        if (sample.x[i].fill == TP_FILL_INDEX)
            printf("%s%s i64", taken++ > 0 ? "; " : "", r.name[i]);
    end_run(&r);
}

static void put_reads(const tp_op *op, const char *prototype)
{
    run r;
    int kept = 0;
    begin_run(&r, op, choose_sample(op, prototype), prototype, TP_F64);
    printf("; backward keeps ");
    for (int i = 0; i < r.sample.n; i++)
        if (op->reads & TP_READS(i))
            printf("%s%s", kept++ > 0 ? ", " : "", r.name[i]);
    if (op->reads & TP_READS_Y)
        printf("%sy", kept++ > 0 ? ", " : "");
    printf("%s%s", kept == 0 ? "nothing" : "",
           op->vjp_fused != NULL ? "; one kernel where no graph is asked for" : "");
    end_run(&r);
}

/* "diagonal by a and b", "Kronecker by a" …: inputs of one structure together. */
static void put_structure(const tp_op *op, const char *prototype)
{
    run r;
    begin_run(&r, op, choose_sample(op, prototype), prototype, TP_F64);
    printf("- Jacobian: ");
    bool said[TP_JACOBIAN_DENSE + 1] = {false};
    const char *comma = "";
    for (int i = 0; i < r.sample.n; i++) {
        tp_jacobian j = tp_jacobian_of(op, i);
        if (j == TP_JACOBIAN_NONE || said[j])
            continue;
        said[j] = true;
        printf("%s%s", comma, tp_jacobian_name(j));
        comma = ", ";
        for (int k = i, n = 0; k < r.sample.n && r.sample.n > 1; k++)
            if (tp_jacobian_of(op, k) == j)
                printf("%s%s", n++ == 0 ? " by " : ", ", r.name[k]);
    }
    printf("\n");
    end_run(&r);
}

static void put_refusal(const tp_op *op, const tp_refusal *f)
{
    tp_tape *t;
    tp_tensor data[TP_SAMPLE_INPUTS];
    tp_var x[TP_SAMPLE_INPUTS];
    need(tp_tape_new(&t) == TP_OK, op->name, "no tape");
    for (int i = 0; i < f->n; i++) {
        need(tp_tensor_new(&data[i], f->x[i].dtype, f->x[i].shape) == TP_OK &&
                 tp_fill(&data[i], f->x[i].value) == TP_OK,
             op->name, "a refusal has no inputs");
        x[i] = tp_constant(t, &data[i]);
    }
    op->call(t, f->n, x, f->attr);
    need(tp_tape_status(t) == f->status, op->name, "a refusal is not refused");
    const char *text = tp_tape_message(t), *from = strstr(text, ": ");
    need(from != NULL, op->name, "a message does not name the operation");
    printf("- refuses %s: `%s: %.*s`\n", f->note, tp_status_name(f->status),
           (int)strcspn(from + 2, "\n"), from + 2);
    tp_tape_free(t);
    for (int i = 0; i < f->n; i++)
        tp_tensor_free(&data[i]);
}

/* The operations a composition recorded, in the order of the table: in which order the arguments of a function
 * are recorded is the compiler's choice. */
static void put_parts(const tp_op *op, const char *prototype)
{
    run r;
    begin_run(&r, op, choose_sample(op, prototype), prototype, TP_F64);
    const char *comma = "- made of ";
    for (int i = 0; i < tp_op_count; i++) {
        bool used = false;
        for (uint32_t id = 1; id <= r.y.id; id++)
            used |= tp_node_at(r.tape, id)->op == tp_ops[i];
        if (used) {
            printf("%s[%s](#%s)", comma, tp_ops[i]->name, tp_ops[i]->name);
            comma = ", ";
        }
    }
    printf("\n");
    end_run(&r);
}

/* --- the page ----------------------------------------------------------------------------------- */

/* A sentence that Markdown leaves as it is. */
static void put_prose(const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("*<|", *text) != NULL)
            putchar('\\');
        putchar(*text);
    }
}

static const char *const smoothness[] = {[TP_SMOOTH] = "smooth",
                                         [TP_PIECEWISE] = "piecewise smooth",
                                         [TP_ESTIMATOR] = "not the derivative",
                                         [TP_NO_GRADIENT] = "no gradient"};

static void put_heading(const entry *e)
{
    printf("### %s\n\n`%s`", e->name, e->prototype);
    printf("%s", e->comment[0] != '\0' ? " — " : "");
    put_prose(e->comment);
    printf("\n\n");
}

static void put_block(const tp_text *lines)
{
    printf("```math\n\\begin{aligned}\n%s\n\\end{aligned}\n```\n\n", lines->data);
}

static void put_op(const tp_op *op, const entry *e)
{
    page p = {0};
    run r;
    begin_run(&r, op, choose_sample(op, e->prototype), e->prototype, TP_F64);
    add_formula(&p, &r);
    if (is_row(op))
        add_index(&p, &r);
    if (op->smooth != TP_NO_GRADIENT)
        add_gradient(&p, &r);
    end_run(&r);
    need(!p.tex.cut && !p.index.cut && !p.example.cut, op->name, "its formulas are too long");
    put_heading(e);
    put_block(&p.tex);
    if (strstr(p.index.data, " &") != NULL)
        put_block(&p.index);
    printf("- %s: ", smoothness[op->smooth]);
    put_prose(op->why != NULL ? op->why : "follows from its parts");
    printf("\n- ");
    put_dtypes(op, e->prototype);
    printf("; shapes ");
    put_shapes(op, e->prototype);
    if (is_row(op) && op->smooth != TP_NO_GRADIENT)
        put_reads(op, e->prototype);
    printf("\n");
    if (is_row(op) && op->smooth != TP_NO_GRADIENT)
        put_structure(op, e->prototype);
    if (p.index.used > 0 && strstr(p.index.data, " &") == NULL)
        printf("- by elements: $%s$\n", p.index.data);
    if (op->domain != NULL) {
        printf("- domain: ");
        put_prose(op->domain);
        printf("\n");
    }
    if (!is_row(op))
        put_parts(op, e->prototype);
    for (int i = 0; i < op->refusal_count; i++)
        put_refusal(op, &op->refusals[i]);
    if (op->no_refusals != NULL) {
        printf("- refuses nothing: ");
        put_prose(op->no_refusals);
        printf("\n");
    }
    printf("\n```\n%s```\n\n", p.example.data);
}

static const tp_op *find(const tp_op *const *ops, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(ops[i]->name, name) == 0)
            return ops[i];
    return NULL;
}

/* "matrices; more about them": the part before the first semicolon or colon, with a capital. */
static int put_title(const char *section)
{
    int length = (int)strcspn(section, ";:(");
    while (length > 0 && section[length - 1] == ' ')
        length--;
    printf("%c%.*s", toupper((unsigned char)section[0]), length - 1, section + 1);
    return length;
}

static void put_contents(const source *s)
{
    int section = -1;
    for (int i = 0; i < s->n; i++) {
        if (s->e[i].section != section) {
            section = s->e[i].section;
            printf("%s- **", i > 0 ? "\n" : "");
            put_title(s->section[section]);
            printf("**:");
        }
        printf(" [%s](#%s)", s->e[i].name, s->e[i].name);
    }
    printf("\n\n");
}

/* What a section's title says more, as a sentence; not in which file. */
static void put_sentence(const char *text)
{
    char said[1200];
    const char *file = strstr(text, "(compose/");
    int n = (int)(file != NULL ? file - text : (ptrdiff_t)strlen(text));
    while (n > 0 && text[n - 1] == ' ')
        n--;
    if (n == 0)
        return;
    bool word = isalpha((unsigned char)text[1]);
    snprintf(said, sizeof said, "%c%.*s%s", word ? toupper((unsigned char)text[0]) : text[0], n - 1,
             text + 1, text[n - 1] == '.' ? "" : ".");
    put_prose(said);
    printf("\n\n");
}

static void put_entries(const source *s, const tp_op *const *ops, int count)
{
    int section = -1;
    for (int i = 0; i < s->n; i++) {
        const entry *e = &s->e[i];
        const tp_op *op = find(ops, count, e->name);
        if (e->section != section) {
            section = e->section;
            printf("## ");
            const char *rest = s->section[section] + put_title(s->section[section]);
            rest += strspn(rest, ";: ");
            printf("\n\n");
            put_sentence(rest);
        }
        if (op != NULL) {
            put_op(op, e);
            continue;
        }
        put_heading(e);
    }
}

static const char head[] =
    "# Every operation\n\n"
    "This page is written by a program (`tests/docs/reference.c`) and compared by a test: formulas are the\n"
    "operations' own, gradients are what their rules recorded when they ran, and numbers and messages are what\n"
    "came out.\n\n"
    "* ȳ is the gradient of the result with respect to y; a rule adds to the gradients of its inputs what stands\n"
    "  behind `+=`. ⊙ multiplies elementwise. Where inputs broadcast, what is added is summed back to the input's\n"
    "  shape afterwards.\n"
    "* A second block, or *by elements*, says the same with indices, for the shapes of the numbers below; [ ] is 1 if\n"
    "  what stands in it is true, else 0. A test evaluates it on every sample.\n"
    "* *Jacobian* is the structure of the matrix ∂y/∂x, which no rule builds: *diagonal* (each y depends on one x; rows\n"
    "  repeat where x was broadcast), *selection* (each y is some x), *sum* (each x enters one y, all with one weight),\n"
    "  *Kronecker* (one block, repeated), *lines* (a block for every line along the axes), *windows* (each y depends\n"
    "  on the x in its window, or each x on the y in its window, with the same weights everywhere), *dense* (a block for\n"
    "  every matrix). A test builds it and looks.\n"
    "* *Smooth*, *piecewise smooth*, *not the derivative* (but an estimator of it) or *no gradient* says what kind\n"
    "  of derivative there is, and why. *Backward keeps* names the values that stay in memory for it.\n"
    "* Types and shapes were tried. 0-d and zero-size tensors are legal everywhere, unless an axis is missing.\n"
    "* A message begins with code, path and number, as `E_SHAPE encoder: mul#12:`; path and number are left out.\n\n";

static const char compositions_head[] =
    "# Compositions\n\n"
    "Functions made of the operations above (`autograd/compose.h`). They have no rule: their gradients, of any\n"
    "order, are those of their parts, of which the first sample recorded the ones listed.\n\n";

/* What the test calls to see an empty formula fail. */
static void put_broken(void)
{
    tp_op broken = tp_op_exp;
    broken.shape = NULL; /* as a composition has none */
    broken.tex = "";
    put_op(&broken, &(entry){.name = "exp", .prototype = "tp_var tp_exp(tp_var x)"});
}

static void put_page(void)
{
    static source rows, functions;
    read_source(&rows, "autograd/ops.def");
    read_source(&functions, "autograd/compose.h");
    need(rows.n == tp_op_count, "ops.def", "not all of its rows were found");
    printf("%s## Contents\n\n", head);
    put_contents(&rows);
    printf("Made of these ([Compositions](#compositions)):\n\n");
    put_contents(&functions);
    put_entries(&rows, tp_ops, tp_op_count);
    printf("%s", compositions_head);
    put_entries(&functions, compositions, composition_count);
}

/* tapir-reference [FILE | --broken] */
int main(int argc, char **argv)
{
    bool broken = argc > 1 && strcmp(argv[1], "--broken") == 0;
    if (argc > 1 && !broken)
        need(freopen(argv[1], "w", stdout) != NULL, argv[1], "cannot be written");
    if (broken)
        put_broken();
    else
        put_page();
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
