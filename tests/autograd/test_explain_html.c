/* test_explain_html.c: the derivation as a page. What a browser does with it is tested in test_page.sh, for which this
 * program writes a page: "test_explain_html page". */
#include "tests/autograd/page_fixture.h"

#include <math.h>

static const tp_explain_opts all = {TP_EXPLAIN_ALL, .format = TP_EXPLAIN_HTML};

static char *checked_page(tp_var root, tp_explain_opts o)
{
    char *page = explain(root, o);
    assert_markup(page);
    assert_links(page);
    assert_alone(page);
    return page;
}

/* --- the page ----------------------------------------------------------------------------------- */

static void test_page(void **state)
{
    (void)state;
    for (int f32 = 0; f32 < 2; f32++) {
        program p;
        tp_explain_tally tally = {0};
        tp_explain_opts o = all;
        o.tally = &tally;
        begin(&p, f32 ? TP_F32 : TP_F64);
        char *page = checked_page(small_vae(&p), o), words[64];
        assert_int_equal(count(page, "<article"), tally.steps);
        assert_int_equal(tally.wrong, 0);
        snprintf(words, sizeof words, "✓ %d checks ok</span> in %d steps", tally.ok, tally.steps);
        assert_has(page, words);
        assert_has_not(page, "✗");
        assert_int_equal(count(page, "<title>Derivation</title>"), 1);
        assert_has(page, "<a class=\"v bar\" href=\"#n5\">mu</a> += ");
        assert_has(page, "<h2 class=\"backward\">");
        assert_has(page, "<span class=\"tag\">fused</span>");
        assert_has(page, "<li id=\"n7\" class=\"random\">");
        assert_has(page, "kept for backward, ");
        assert_has(page, ": 2 of 3 uses");
        assert_has(page, "<span class=\"label\">leaf</span>");
        assert_has(page, "<span class=\"label\">local</span>");
        assert_has(page, "[2,2]ᵀ·[2,3] = [2,3]");
        free(page);
        end(&p);
    }
}

/* A picture with a line across it, and beside it the same upside down, half as large: the first example's planes are
 * drawn, four at most; of kernels there are only numbers. */
static void test_planes(void **state)
{
    (void)state;
    program p;
    double data[2 * 5 * 30] = {0};
    for (int i = 0; i < 6; i++)
        data[2 * 6 + i] = 1, data[30 + 3 * 6 + i] = i == 2 ? NAN : -0.5;
    begin(&p, TP_F64);
    tp_var x = named(tp_constant(p.tape, tensor(&p, TP_SHAPE(2, 5, 5, 6), data)), "x");
    tp_var w = named(tp_leaf(p.tape, filled(&p, TP_SHAPE(1, 5, 4, 5))), "W");
    char *page =
        checked_page(tp_sum(tp_conv2d(x, w, (tp_conv_opts){.groups = 1}), TP_ALL_AXES, false), all);
    assert_has(page,
               "aria-label=\"[0,0,·,·]\" viewBox=\"0 0 6 5\" width=\"84\" height=\"70\"><path "
               "class=\"p4\" d=\"M0 2h6v1h-6z\"/></svg>");
    assert_has(page,
               "aria-label=\"[0,1,·,·]\" viewBox=\"0 0 6 5\" width=\"84\" height=\"70\"><path "
               "class=\"m2\" d=\"M0 3h2v1h-2zM3 3h3v1h-3z\"/></svg>");
    assert_int_equal(count(page, "class=\"plane\""), 4);
    assert_has(page, "4 of 10 planes");
    assert_has(page, "<span class=\"label\">as matrices</span>");
    free(page);
    end(&p);
}

/* The parts by themselves, and a derivation without numbers and checks. */
static void test_parts(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = small_vae(&p);
    FILE *f = tmpfile();
    assert_non_null(f);
    tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){0});
    for (int i = 0; i < 3 && tp_sweep_next(&s); i++)
        assert_ok(tp_explain_step(f, &s, all));
    assert_ok(tp_explain_forward(f, loss, all));
    assert_ok(tp_sweep_end(&s));
    char *text = slurp(f);
    assert_markup(text);
    assert_int_equal(count(text, "<article id=\"s"), 3);
    assert_has_not(text, "href=\"#s14\"");
    free(text);
    text = checked_page(loss, (tp_explain_opts){.format = TP_EXPLAIN_HTML, .composed = true});
    assert_has_not(text, "<table");
    assert_has_not(text, "badge ok");
    assert_has_not(text, "fused</span>");
    free(text);
    end(&p);
}

/* Why one number is what it is: a section by itself. */
static void test_element(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = small_vae(&p);
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_ok(tp_explain_element(f, loss, tp_var_at(p.tape, 2), 4, all));
    char *text = slurp(f);
    assert_markup(text);
    assert_has(
        text,
        "<h2>Why ∂<a class=\"v\" href=\"#n16\">loss</a>/∂<a class=\"v\" href=\"#n2\">W</a>[1,1] is ");
    assert_has(text, "<span class=\"badge ok\">✓ ok ");
    assert_int_equal(count(text, "<section"), 1);
    assert_int_equal(count(text, "<style"), 0);
    free(text);
    tp_explain_opts o = all;
    o.document = true;
    f = tmpfile();
    assert_non_null(f);
    assert_ok(tp_explain_element(f, loss, tp_var_at(p.tape, 2), 4, o));
    text = slurp(f);
    assert_markup(text);
    assert_has(text, "<meta charset=\"utf-8\"/>");
    assert_has(text, ".bar");
    assert_has(text, "</section>\n</main>\n</body></html>\n");
    free(text);
    end(&p);
}

/* --- what must show ----------------------------------------------------------------------------- */

static void test_broken_rule(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = small_vae(&p);
    p.tape->rule_hook = scale_rule;
    p.tape->rule_hook_user = (void *)(uintptr_t)&tp_op_tanh;
    char *page = checked_page(loss, all);
    assert_has(page,
               "<p class=\"tally\"><span class=\"badge wrong\">✗ 1 wrong</span> 15 ok in 12 ");
    assert_has(page, "<b>tanh</b> <span class=\"badge wrong\">✗ 1 of 1 wrong");
    assert_int_equal(count(page, "<span class=\"badge wrong\">✗ FAIL "), 1);
    free(page);
    end(&p);
}

static void test_vanishing_and_not_finite(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var x = named(tp_leaf(p.tape, filled(&p, TP_SHAPE(3))), "x");
    assert_ok(tp_set_flat(&p.t[0], 1, 1e5));
    char *page = checked_page(tp_sum(tp_sigmoid(tp_affine(x, 0, -40)), TP_ALL_AXES, false), all);
    assert_has(page, "<p class=\"health\">VANISHING");
    free(page);
    x = tp_scale(x, 0);
    page = checked_page(tp_sum(tp_log(x), TP_ALL_AXES, false), all);
    assert_has(page, "<p class=\"health\">NOT FINITE");
    assert_has(page, "<td class=\"odd\">inf</td>");
    assert_has(page, "3 inf, ");
    free(page);
    end(&p);
}

/* --- numbers ------------------------------------------------------------------------------------ */

static void test_tables(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var a = named(tp_leaf(p.tape, filled(&p, TP_SHAPE(8, 8))), "a");     /* whole */
    tp_var b = named(tp_leaf(p.tape, filled(&p, TP_SHAPE(5, 13))), "b");    /* a corner */
    tp_var c = named(tp_leaf(p.tape, filled(&p, TP_SHAPE(2, 2, 3))), "c");  /* two matrices */
    tp_var d = named(tp_leaf(p.tape, filled(&p, TP_SHAPE(2, 3, 20))), "d"); /* a corner of one */
    tp_var e = named(tp_leaf(p.tape, filled(&p, TP_SHAPE(20))), "e");       /* three blocks */
    tp_var none = named(tp_leaf(p.tape, filled(&p, TP_SHAPE(0, 2))), "none");
    tp_var all_of_them[] = {a, b, c, d, e, none}, sum = tp_full(p.tape, TP_F64, TP_SHAPE(), 0);
    for (int i = 0; i < 6; i++)
        sum = tp_add(sum, tp_sum(all_of_them[i], TP_ALL_AXES, false));
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_ok(tp_explain_forward(f, sum, all));
    char *text = slurp(f);
    assert_markup(text);
    static const int tables[] = {1, 1, 2, 1, 3, 0}, cells[] = {64, 20 + 5, 12, 12 + 3 + 0, 20, 0};
    char *entry = strstr(text, "<li");
    for (int i = 0; i < 6; i++) {
        char *next = strstr(entry + 1, "<li");
        *next = '\0';
        assert_int_equal(count(entry, "<table>"), tables[i]);
        assert_int_equal(count(entry, "<td class=\"p") + count(entry, "<td class=\"m") +
                             count(entry, "<td>…") + count(entry, "<td>⋮") + count(entry, "<td>⋱"),
                         cells[i]);
        if (i == 2)
            assert_has(entry, "<span class=\"place\">[1,·,·]</span>");
        *next = '<';
        entry = next;
    }
    assert_has(text, "none</a>: leaf</span>\n<span class=\"one-number\">= []</span>");
    free(text);
    end(&p);
}

/* --- whatever the program says ------------------------------------------------------------------ */

static void test_names(void **state)
{
    (void)state;
    program p;
    tp_parameter w;
    begin(&p, TP_F64);
    assert_ok(tp_parameter_init(&w, "w<i>&", TP_F64, TP_SHAPE(2)));
    tp_scope_begin(p.tape, "s<\"&\x01>");
    tp_var y = tp_name(tp_exp(tp_param(p.tape, &w)), "a<b&\"c\"", "x<y>&.c", 3);
    tp_scope_end(p.tape);
    static const tp_symbol symbols[] = {{"w<i>&", "θ<", "\\theta"}, {0}};
    tp_explain_opts o = all;
    o.title = "</title><script>alert(1)</script>";
    o.notation = (tp_notation){.symbols = symbols, .sign = TP_SIGN_PARTIAL};
    char *page = checked_page(tp_sum(y, TP_ALL_AXES, false), o);
    assert_has(page, "a&lt;b&amp;&quot;c&quot;");
    assert_has(page, "x&lt;y&gt;&amp;.c:3");
    assert_has(page, "θ&lt;");
    assert_has_not(page, "alert(1)</script>");
    assert_int_equal(count(page, "<script>"), 1);
    free(page);
    end(&p);
    tp_parameter_free(&w);
}

/* A formula too long for its line ends with whole elements. */
static void test_long_formula(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var x = tp_leaf(p.tape, filled(&p, TP_SHAPE(2))), parts[200];
    for (int i = 0; i < 200; i++)
        parts[i] = named(tp_scale(x, i), i % 2 ? "<&>ä" : "é");
    char *page = checked_page(tp_sum(tp_concat(parts, 200, 0), TP_ALL_AXES, false), all);
    assert_has(page, "…</span>");
    free(page);
    end(&p);
}

static void explain_row(const tp_op *op, const tp_sample *s)
{
    program p;
    begin(&p, TP_F64);
    tp_var root = sample_root(&p, op, s);
    FILE *f = tmpfile();
    assert_non_null(f);
    if (tp_needs_grad(root))
        assert_ok(tp_explain(f, root, all));
    else
        assert_ok(tp_explain_forward(f, root, all));
    char *text = slurp(f);
    const char *bad = bad_markup(text);
    if (bad != NULL || count(text, "✗") > 0) {
        print_error("%s, sample '%s': %.200s\n", op->name, s->note, bad != NULL ? bad : "✗");
        fail();
    }
    if (tp_needs_grad(root))
        assert_links(text);
    free(text);
    end(&p);
}

static void test_every_row(void **state)
{
    (void)state;
    for (int i = 0; i < tp_op_count; i++)
        for (int k = 0; k < tp_ops[i]->sample_count; k++)
            explain_row(tp_ops[i], &tp_ops[i]->samples[k]);
}

/* --- failures ----------------------------------------------------------------------------------- */

static void test_no_memory(void **state)
{
    (void)state;
    size_t before = tp_mem().live_bytes;
    program p;
    begin(&p, TP_F64);
    tp_var loss = small_vae(&p);
    assert_short_of_memory(loss, all, 1u << 23);
    end(&p);
    assert_int_equal(tp_mem().live_bytes, before);
}

static void test_not_written(void **state)
{
    (void)state;
    FILE *f = fopen("/dev/full", "w");
    if (f == NULL) {
        print_message("there is no /dev/full here\n");
        skip();
    }
    program p;
    begin(&p, TP_F64);
    assert_status(tp_explain(f, small_vae(&p), all), TP_EIO);
    fclose(f);
    end(&p);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "page") == 0) {
        program p;
        begin(&p, TP_F64);
        tp_status status = tp_explain(stdout, small_vae(&p), all);
        end(&p);
        return status != TP_OK;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_element),
        cmocka_unit_test(test_broken_rule),
        cmocka_unit_test(test_vanishing_and_not_finite),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_long_formula),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_planes),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
