/* test_explain_rows.c: every row of ops.def in every format, right and broken. With the arguments "tex FILE" it
 * writes one LaTeX document about all rows, for test_latex.sh. */
#include "tests/support/derivations.h"

#include "autograd/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const tp_explain_opts all = {TP_EXPLAIN_ALL};

/* No placeholder is left: '@' nowhere, '#' only before the id that starts an entry. */
static void assert_resolved(const char *text, const char *op)
{
    const char *bad = strchr(text, '@');
    for (const char *p = text; bad == NULL && (p = strchr(p, '#')) != NULL; p++)
        bad = p >= text + 3 && strncmp(p - 3, "\n  #", 4) == 0 ? NULL : p;
    if (bad != NULL) {
        print_error("%s: unresolved at '%.30s' in\n%s\n", op, bad, text);
        fail();
    }
}

/* Explains one sample; broken says to break the op's own rule. Returns how many checks failed. */
static int explain_sample(const tp_op *op, const tp_sample *s, tp_dtype dtype, bool broken)
{
    program p;
    begin(&p, dtype);
    tp_var root = sample_root(&p, op, s);
    if (broken) {
        p.tape->rule_hook = scale_rule;
        p.tape->rule_hook_user = (void *)(uintptr_t)op;
    }
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_ok(tp_needs_grad(root) ? tp_explain(f, root, all) : tp_explain_forward(f, root, all));
    char *text = slurp(f);
    assert_resolved(text, op->name);
    int fails = count(text, "FAIL");
    if (fails > 0 && !broken)
        print_error("%s, sample '%s':\n%s\n", op->name, s->note, text);
    if (tp_needs_grad(root) && broken && fails == 0 &&
        (count(text, "not checked") > 0 || count(text, ": ok 0e+00") > 0))
        fails = 1; /* an estimator, a kink, or nothing to scale */
    fails = tp_needs_grad(root) || !broken ? fails : 1;
    if (broken && fails == 0)
        print_error("%s, sample '%s': broken, but\n%s\n", op->name, s->note, text);
    free(text);
    end(&p);
    return fails;
}

static void test_every_row(void **state)
{
    (void)state;
    for (int i = 0; i < tp_op_count; i++)
        for (int k = 0; k < tp_ops[i]->sample_count; k++) {
            assert_int_equal(explain_sample(tp_ops[i], &tp_ops[i]->samples[k], TP_F64, false), 0);
            assert_int_equal(explain_sample(tp_ops[i], &tp_ops[i]->samples[k], TP_F32, false), 0);
        }
}

static void test_every_broken_rule(void **state)
{
    (void)state;
    for (int i = 0; i < tp_op_count; i++)
        assert_true(explain_sample(tp_ops[i], &tp_ops[i]->samples[0], TP_F64, true) > 0);
}

/* --- LaTeX and Markdown --------------------------------------------------------------------------- */

static char *explain_row(const tp_op *op, const tp_sample *sample, tp_explain_format format)
{
    program p;
    begin(&p, TP_F64);
    tp_var root = sample_root(&p, op, sample);
    tp_explain_opts o = {TP_EXPLAIN_ALL, .format = format, .title = op->name};
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_ok(tp_needs_grad(root) ? tp_explain(f, root, o) : tp_explain_forward(f, root, o));
    end(&p);
    return slurp(f);
}

/* TeX that LaTeX takes: braces and environments close, and letters beyond ASCII are those of the West. */
static void assert_tex(const char *text, const char *op)
{
    int depth = 0;
    for (const char *c = text; *c != '\0' && depth >= 0; c++) {
        bool escaped = c > text && c[-1] == '\\' && (c < text + 2 || c[-2] != '\\');
        depth += escaped ? 0 : (*c == '{') - (*c == '}');
        unsigned char byte = (unsigned char)*c;
        if (byte >= 0xc6) {
            print_error("%s: '%.8s' in\n%s\n", op, c, text);
            fail();
        }
    }
    if (depth != 0 || count(text, "\\begin{") != count(text, "\\end{") ||
        strchr(text, '@') != NULL) {
        print_error("%s: something does not close, or is not filled in:\n%s\n", op, text);
        fail();
    }
}

/* The formulas of a Markdown text are TeX, too. */
static void assert_markdown(char *text, const char *op)
{
    assert_int_equal(count(text, "```math\n") * 2, count(text, "```"));
    for (char *p = text; (p = strstr(p, "```math\n")) != NULL;) {
        char *stop = strstr(p + 8, "```");
        *stop = '\0';
        assert_tex(p + 8, op);
        p = stop + 3;
    }
}

static void test_every_row_in_tex(void **state)
{
    (void)state;
    for (int i = 0; i < tp_op_count; i++)
        for (int k = 0; k < tp_ops[i]->sample_count; k++) {
            char *tex = explain_row(tp_ops[i], &tp_ops[i]->samples[k], TP_EXPLAIN_TEX);
            assert_tex(tex, tp_ops[i]->name);
            free(tex);
            char *markdown = explain_row(tp_ops[i], &tp_ops[i]->samples[k], TP_EXPLAIN_MARKDOWN);
            assert_markdown(markdown, tp_ops[i]->name);
            free(markdown);
        }
}

/* The first sample of every row, one after the other. */
static int write_document(const char *path)
{
    static const char first[] = "\\maketitle\n", last[] = "\\end{document}\n";
    FILE *out = fopen(path, "w");
    if (out == NULL)
        return 1;
    for (int i = 0; i < tp_op_count; i++) {
        char *tex = explain_row(tp_ops[i], tp_ops[i]->samples, TP_EXPLAIN_TEX);
        char *from = strstr(tex, first), *to = strstr(tex, last);
        if (i == 0 && from != NULL)
            fprintf(out, "%.*s", (int)(from - tex), tex);
        from = from == NULL ? tex : from + strlen(first);
        fprintf(out, "\\clearpage\\noindent\\verb|%s|\n\n%.*s", tp_ops[i]->name,
                (int)(to == NULL ? strlen(from) : (size_t)(to - from)), from);
        free(tex);
    }
    fputs(last, out);
    return fclose(out) != 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "tex") == 0)
        return write_document(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_every_broken_rule),
        cmocka_unit_test(test_every_row_in_tex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
