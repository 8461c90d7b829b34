/* test_explain_graph.c: the graph of a tape. Golden files, what folds and what may not, and places: no box over another,
 * every arrow downwards. */
#include "tests/autograd/page_fixture.h"

#include "autograd/explain/graph.h"

static char *graph(tp_var root, tp_graph_format format, bool fold)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_ok(tp_explain_graph(f, root, (tp_graph_opts){.format = format, .fold = fold}));
    return slurp(f);
}

static void test_golden(void **state)
{
    (void)state;
    static const char *const formats[] = {"dot", "mermaid", "svg"};
    program p;
    begin(&p, TP_F64);
    tp_var loss = small_vae(&p);
    for (int i = 0; i < 3; i++)
        for (int fold = 0; fold < 2; fold++) {
            char name[40], *text = graph(loss, (tp_graph_format)i, fold == 1);
            snprintf(name, sizeof name, "graph_%s%s", formats[i], fold ? "_folded" : "");
            assert_golden(name, text);
            if (i == TP_GRAPH_SVG)
                assert_markup(text);
            free(text);
        }
    end(&p);
}

/* --- folding ------------------------------------------------------------------------------------ */

static void begin_graph(tp_graph *g, tp_passage *passage, tp_var root, uint32_t open)
{
    assert_ok(tp_passage_new(passage, root));
    assert_ok(tp_graph_new(g, passage, NULL, open));
}

static void end_graph(tp_graph *g, tp_passage *passage)
{
    tp_graph_free(g);
    tp_passage_free(passage);
}

static int boxes_of(const tp_graph *g, tp_box_kind kind)
{
    int n = 0;
    for (int i = 0; i < g->boxes; i++)
        n += g->box[i].kind == kind;
    return n;
}

static void test_folding(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = small_vae(&p);
    tp_graph g;
    tp_passage passage;
    begin_graph(&g, &passage, loss, TP_FOLD_ALL);
    assert_int_equal(g.groups, 2);
    assert_int_equal(boxes_of(&g, TP_BOX_SCOPE), 2);
    assert_int_equal(boxes_of(&g, TP_BOX_RANDOM), 1);
    assert_int_equal(boxes_of(&g, TP_BOX_DATA), 1);
    assert_int_equal(boxes_of(&g, TP_BOX_LEAF), 2);
    end_graph(&g, &passage);
    begin_graph(&g, &passage, loss, 1);
    assert_int_equal(boxes_of(&g, TP_BOX_SCOPE), 1);
    end_graph(&g, &passage);
    begin_graph(&g, &passage, loss, TP_FOLD_NONE);
    assert_int_equal(boxes_of(&g, TP_BOX_SCOPE), 0);
    end_graph(&g, &passage);
    end(&p);
}

static tp_var in_scope(tp_tape *t, const char *scope, tp_var (*op)(tp_var), tp_var x)
{
    tp_scope_begin(t, scope);
    tp_var y = op(x);
    tp_scope_end(t);
    return y;
}

/* A scope entered twice is one box, unless a path leaves it and comes back: that would be a cycle. */
static void test_scope_entered_twice(void **state)
{
    (void)state;
    for (int around = 0; around < 3; around++) {
        program p;
        begin(&p, TP_F64);
        tp_var x = tp_leaf(p.tape, filled(&p, TP_SHAPE()));
        tp_var u = in_scope(p.tape, "A", tp_exp, x);
        tp_var v = in_scope(p.tape, "B", tp_sin, around == 2 ? u : x);
        tp_var w = in_scope(p.tape, "A", tp_tanh, around == 0 ? u : v);
        tp_var y = in_scope(p.tape, "B", tp_square, around == 1 ? u : v);
        tp_graph g;
        tp_passage passage;
        begin_graph(&g, &passage, tp_add(tp_add(w, y), u), TP_FOLD_ALL);
        assert_int_equal(boxes_of(&g, TP_BOX_SCOPE), around == 0 ? 2 : 3);
        assert_ok(tp_graph_layout(&g)); /* comes to an end */
        end_graph(&g, &passage);
        end(&p);
    }
}

/* --- places ------------------------------------------------------------------------------------- */

static void assert_placed(const tp_graph *g)
{
    for (int i = 0; i < g->arrows; i++) {
        const tp_box *from = &g->box[g->arrow[i].from], *to = &g->box[g->arrow[i].to];
        assert_true(from->y + from->h / 2 < to->y - to->h / 2);
    }
    for (int i = 0; i < g->boxes; i++) {
        const tp_box *a = &g->box[i];
        assert_true(a->x - a->w / 2 >= 0 && a->x + a->w / 2 <= g->width);
        assert_true(a->y - a->h / 2 >= 0 && a->y + a->h / 2 <= g->height);
        for (int k = 0; k < i; k++) {
            const tp_box *b = &g->box[k];
            double gap =
                a->x < b->x ? b->x - b->w / 2 - a->x - a->w / 2 : a->x - a->w / 2 - b->x - b->w / 2;
            assert_true(a->layer != b->layer || gap > 8);
        }
    }
}

/* Chains with rungs, and an arrow from the first value to every tenth. */
static tp_var ladder(program *p, int rungs)
{
    tp_var x = tp_leaf(p->tape, filled(p, TP_SHAPE(2))), a = tp_sin(x), b = tp_cos(x), first = a;
    for (int i = 0; i < rungs; i++) {
        tp_var next = tp_add(a, i % 10 == 9 ? first : b);
        b = tp_mul(a, b);
        a = i % 7 == 3 ? tp_sigmoid(next) : next;
    }
    return tp_sum(tp_add(a, b), TP_ALL_AXES, false);
}

static void test_places(void **state)
{
    (void)state;
    for (int size = 0; size < 3; size++) {
        program p;
        begin(&p, TP_F64);
        tp_var root = size == 0 ? small_vae(&p) : ladder(&p, size == 1 ? 12 : 200);
        for (uint32_t open = 0; open < 2; open++) {
            tp_graph g;
            tp_passage passage;
            begin_graph(&g, &passage, root, open == 0 ? TP_FOLD_ALL : TP_FOLD_NONE);
            assert_ok(tp_graph_layout(&g));
            assert_placed(&g);
            end_graph(&g, &passage);
        }
        end(&p);
    }
}

/* One box and no arrow. */
static void test_lone_value(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var x = named(tp_leaf(p.tape, filled(&p, TP_SHAPE(2))), "x");
    char *text = graph(x, TP_GRAPH_SVG, true);
    assert_int_equal(count(text, "<g class=\"box leaf root\">"), 1);
    assert_int_equal(count(text, "class=\"arrow"), 0);
    free(text);
    end(&p);
}

/* --- names, rows, failures ---------------------------------------------------------------------- */

static void test_names(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_scope_begin(p.tape, "s<\"&\\");
    tp_var x = named(tp_leaf(p.tape, filled(&p, TP_SHAPE(2))), "a<b&\"c\"\\");
    tp_var root = named(tp_sum(tp_exp(x), TP_ALL_AXES, false), "`#;\n");
    tp_scope_end(p.tape);
    char *text = graph(root, TP_GRAPH_DOT, false);
    assert_has(text, "label=\"a<b&\\\"c\\\"\\\\\\nleaf [2]\"");
    assert_has(text, "label=\"s<\\\"&\\\\\"");
    free(text);
    text = graph(root, TP_GRAPH_MERMAID, false);
    assert_has(text, "([\"a#lt;b#amp;#quot;c#quot;#92;<br/>leaf [2]\"])");
    assert_has(text, "(\"#96;#35;; <br/>sum\")");
    assert_has(text, "subgraph s1[\"s#lt;#quot;#amp;#92;\"]");
    free(text);
    text = graph(root, TP_GRAPH_SVG, true);
    assert_markup(text);
    assert_has(text, "<title>s&lt;&quot;&amp;\\: 2 values</title>");
    free(text);
    end(&p);
}

static void test_every_row(void **state)
{
    (void)state;
    for (int i = 0; i < tp_op_count; i++)
        for (int k = 0; k < tp_ops[i]->sample_count; k++) {
            program p;
            begin(&p, TP_F64);
            tp_var root = sample_root(&p, tp_ops[i], &tp_ops[i]->samples[k]);
            char *text = graph(root, TP_GRAPH_SVG, false);
            assert_markup(text);
            assert_has(text, strstr(text, "box random root") ? "random" : tp_ops[i]->name);
            free(text);
            end(&p);
        }
}

static void test_failures(void **state)
{
    (void)state;
    size_t before = tp_mem().live_bytes;
    program p;
    begin(&p, TP_F64);
    tp_var loss = small_vae(&p);
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_status(tp_explain_graph(f, loss, (tp_graph_opts){.format = (tp_graph_format)9}),
                  TP_EARG);
    assert_status(tp_explain_graph(f, (tp_var){0}, (tp_graph_opts){0}), TP_ETAPE);
    assert_status(tp_explain_graph(f, (tp_var){p.tape, 1, 0}, (tp_graph_opts){0}), TP_ESTALE);
    int refused = 0;
    for (size_t extra = 16; extra < 1u << 22; extra *= 2) {
        tp_mem_set_budget(tp_mem().live_bytes + extra);
        tp_status status = tp_explain_graph(f, loss, (tp_graph_opts){.format = TP_GRAPH_SVG});
        assert_true(status == TP_OK || status == TP_ENOMEM);
        refused += status != TP_OK;
    }
    tp_mem_set_budget(0);
    assert_true(refused > 0);
    fclose(f);
    assert_ok(tp_tape_status(p.tape));
    f = fopen("/dev/full", "w");
    if (f != NULL) {
        assert_status(tp_explain_graph(f, loss, (tp_graph_opts){0}), TP_EIO);
        fclose(f);
    }
    end(&p);
    assert_int_equal(tp_mem().live_bytes, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_scope_entered_twice),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_lone_value),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
