/* test_explain_element.c: why one number of a gradient is what it is; local Jacobians; the notation of a lecture;
 * gradients that vanish or are not finite. */
#include "tests/support/derivations.h"

#include "autograd/node.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *explain_element(tp_var root, tp_var v, int64_t at, tp_explain_opts o)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_ok(tp_explain_element(f, root, v, at, o));
    return slurp(f);
}

/* The number after head, where it stands in text. */
static double number_after(const char *text, const char *head)
{
    const char *p = strstr(text, head);
    if (p == NULL)
        print_error("'%s' is not in\n%s\n", head, text);
    assert_non_null(p);
    return strtod(p + strlen(head), NULL);
}

/* Adds up the numbers that stand before mark, one per line. */
static double sum_before(const char *text, const char *mark)
{
    double sum = 0;
    for (const char *p = text; (p = strstr(p, mark)) != NULL; p++) {
        const char *line = p;
        while (line > text && line[-1] != '\n')
            line--;
        sum += strtod(line, NULL);
    }
    return sum;
}

static double sum_after(const char *text, const char *mark)
{
    double sum = 0;
    for (const char *p = text; (p = strstr(p, mark)) != NULL; p += strlen(mark))
        sum += strtod(p + strlen(mark), NULL);
    return sum;
}

/* Uses, paths and the sweep agree about every element of every leaf, and so does the difference quotient. */
static void test_sums_agree(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * PROGRAMS; i++) {
        program p;
        begin(&p, i < PROGRAMS ? TP_F64 : TP_F32);
        tp_var loss = programs[i % PROGRAMS](&p);
        assert_ok(tp_backward(loss));
        for (uint32_t id = 1; id < loss.id; id++) {
            const tp_node *node = tp_node_at(p.tape, id);
            for (int64_t at = 0; node->is_leaf && at < tp_numel(&node->value); at++) {
                double g = tp_flat(node->leaf_grad, at);
                char *text = explain_element(loss, tp_var_at(p.tape, id), at, (tp_explain_opts){0});
                assert_close(number_after(text, " is "), g, 1e-5, 1e-6);
                assert_close(sum_after(text, "      sum "), g, 1e-5, 1e-5);
                assert_close(sum_before(text, "  along "), g, 2e-3, 1e-5);
                assert_close(sum_before(text, "  in all"), g, 1e-5, 1e-6);
                assert_has(text, "finite difference: ok ");
                free(text);
            }
        }
        assert_int_equal(tp_tape_length(p.tape), loss.id);
        end(&p);
    }
}

/* y = 3x, c = 2y + 5y: two paths, 6 and 15. */
static void test_paths_of_a_fan_out(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var x = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(), (double[]){1})), "x");
    tp_var y = named(tp_scale(x, 3), "y"), a = named(tp_scale(y, 2), "a");
    tp_var b = named(tp_scale(y, 5), "b"), c = named(tp_add(a, b), "c");
    char *text = explain_element(c, x, 0, (tp_explain_opts){0});
    assert_has(text, "why ∂c/∂x[] is 21\n");
    assert_has(text, "    it moves 1 of the 1 elements of y = 3·x\n"
                     "        ȳ[] · ∂y[]/∂x[] = 7 · 3 = 21\n      sum 21\n");
    assert_has(text, "               6  along x → y → a → c\n");
    assert_has(text, "              15  along x → y → b → c\n");
    free(text);
    text = explain_element(c, y, 0, (tp_explain_opts){0}); /* not only leaves */
    assert_has(text, "why ∂c/∂y[] is 7\n");
    free(text);
    end(&p);
}

/* Each layer doubles the paths: what is not listed is counted, and nothing is claimed about it. */
static void test_many_paths(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var x = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(), (double[]){1})), "x"), v = x;
    for (int i = 0; i < 40; i++)
        v = tp_add(v, v);
    char *text = explain_element(v, x, 0, (tp_explain_opts){0});
    assert_int_equal(count(text, "along x"), 32);
    assert_has(text, "and 1.09951e+12 more\n");
    assert_has(text, "not checked: there are more paths than are followed");
    free(text);
    end(&p);
}

/* A rule that is wrong anywhere on the way shows. */
static void test_broken_rule(void **state)
{
    (void)state;
    static const tp_op *const broken[] = {&tp_op_mean, &tp_op_square, &tp_op_tanh, &tp_op_linear};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        program p;
        begin(&p, TP_F64);
        tp_var loss = chain_program(&p);
        p.tape->rule_hook = scale_rule;
        p.tape->rule_hook_user = (void *)(uintptr_t)broken[i];
        char *text = explain_element(loss, tp_var_at(p.tape, 2), 1, (tp_explain_opts){0});
        assert_has(text, "finite difference: FAIL rule ");
        free(text);
        end(&p);
    }
}

static void test_formats(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = chain_program(&p), w = tp_var_at(p.tape, 2);
    char *tex = explain_element(loss, w, 4, (tp_explain_opts){.format = TP_EXPLAIN_TEX});
    assert_has(tex, "\\frac{\\partial v_{4}{[1,1]}}{\\partial W{[1,1]}} &= ");
    assert_has(tex, "W \\to v_{4} \\to h \\to v_{7} \\to v_{8} \\to \\mathrm{loss} &\\colon ");
    assert_int_equal(count(tex, "document"), 0);
    free(tex);
    tex =
        explain_element(loss, w, 4, (tp_explain_opts){.format = TP_EXPLAIN_TEX, .document = true});
    assert_int_equal(strncmp(tex, "\\documentclass", 14), 0);
    assert_has(tex, "Finite difference: ok ");
    assert_has(tex, "\\end{document}\n");
    free(tex);
    char *markdown = explain_element(loss, w, 4, (tp_explain_opts){.format = TP_EXPLAIN_MARKDOWN});
    assert_has(markdown, "### Why ∂loss/∂W[1,1] is ");
    assert_int_equal(count(markdown, "```math"), 2);
    free(markdown);
    end(&p);
}

static void test_refusals(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = chain_program(&p), x = tp_var_at(p.tape, 1), w = tp_var_at(p.tape, 2);
    tp_var later = tp_scale(loss, 2);
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_status(tp_explain_element(f, loss, x, 0, (tp_explain_opts){0}), TP_EGRAD);
    assert_non_null(strstr(tp_last_error(), "no gradient goes from"));
    assert_status(tp_explain_element(f, loss, w, 6, (tp_explain_opts){0}), TP_EARG);
    assert_non_null(strstr(tp_last_error(), "has shape [2,3], there is no element 6"));
    assert_status(tp_explain_element(f, loss, w, -1, (tp_explain_opts){0}), TP_EARG);
    assert_status(tp_explain_element(f, loss, later, 0, (tp_explain_opts){0}), TP_EARG);
    assert_status(tp_explain_element(f, loss, w, 0, (tp_explain_opts){.format = 17}), TP_EARG);
    assert_status(tp_explain(f, loss, (tp_explain_opts){.format = 17}), TP_EARG);
    assert_status(tp_explain_forward(f, loss, (tp_explain_opts){.format = 17}), TP_EARG);
    assert_ok(tp_tape_status(p.tape));
    fclose(f);
    end(&p);
}

/* --- Jacobians ------------------------------------------------------------------------------------ */

/* y = x·Wᵀ: ∂y/∂W holds x once per row of W, ∂y/∂x holds W. */
static void test_jacobian(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var x = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(1, 2), (double[]){3, 5})), "x");
    tp_var w = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(2, 2), (double[]){1, 2, -4, 7})), "W");
    tp_var y = named(tp_matmul(x, tp_transpose(w)), "y");
    char *text = explain(tp_sum(y, TP_ALL_AXES, false), (tp_explain_opts){.jacobian = true});
    assert_has(text, "∂y/∂x is 2×2, Kronecker, 1 block of 2×2: 4 of 4 entries can differ from 0\n"
                     "                    1         2\n"
                     "                   -4         7\n");
    assert_has(text, "is 2×4, Kronecker, 2 blocks of 1×2: 4 of 8 entries can differ from 0\n"
                     "                    3         0         5         0\n"
                     "                    0         3         0         5\n");
    free(text);
    double many[64] = {0};
    x = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(4, 16), many)), "big");
    text = explain(tp_sum(named(tp_exp(x), "e"), TP_ALL_AXES, false),
                   (tp_explain_opts){.jacobian = true});
    assert_has(
        text,
        "∂e/∂big is 64×64, diagonal: 64 of 4096 entries can differ from 0; 32.8 kB, never built: the rule gives the product");
    free(text);
    end(&p);
}

static void test_elements_and_shapes(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = chain_program(&p);
    char *text = explain(loss, (tp_explain_opts){.index = true});
    assert_has(text, "    by elements: v4[i,j] = Σ_k x[i,k]·W[j,k] + b[j]\n");
    assert_has(text, "        by elements: W̄[j,k] = Σ_i v̄4[i,j]·x[i,k]\n"
                     "        shapes: [2,2]ᵀ·[2,3] = [2,3]\n");
    assert_int_equal(count(text, "shapes: "), 3); /* none where all have one shape */
    free(text);
    text = explain(loss, (tp_explain_opts){.index = true, .format = TP_EXPLAIN_TEX});
    assert_has(text, "\\overline{\\mathrm{loss}}");
    assert_has(text, "W_{j,k} + b_{j}");
    free(text);
    end(&p);
}

/* --- the lecture's symbols ------------------------------------------------------------------------ */

static void test_notation(void **state)
{
    (void)state;
    static const tp_symbol symbols[] = {{"W", "Θ", "\\Theta"}, {"h", "a", NULL}, {0}};
    program p;
    begin(&p, TP_F64);
    tp_var loss = chain_program(&p);
    tp_notation lecture = {.symbols = symbols, .sign = TP_SIGN_PARTIAL, .loss = "J"};
    char *text = explain(loss, (tp_explain_opts){.composed = true, .notation = lecture});
    assert_has(text, "    ∂J/∂Θ += (∂J/∂v4)ᵀ·x\n");
    assert_has(text, "  #5  a = tanh(v4)");
    free(text);
    lecture.sign = TP_SIGN_DELTA;
    text = explain(loss, (tp_explain_opts){.notation = lecture});
    assert_has(text, "    δΘ += δv4ᵀ·x\n");
    free(text);
    text = explain(loss, (tp_explain_opts){.notation = lecture, .format = TP_EXPLAIN_TEX});
    assert_has(text, "\\delta_{\\Theta} &\\mathrel{+}= ");
    free(text);
    end(&p);
}

/* --- health --------------------------------------------------------------------------------------- */

static void test_vanishing_and_non_finite(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var x = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(2), (double[]){40, 50})), "x");
    char *text = explain(tp_sum(tp_sigmoid(x), TP_ALL_AXES, false), (tp_explain_opts){0});
    assert_has(text, "VANISHING: less than a millionth of the upstream gradient passes");
    free(text);
    tp_var y = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(2), (double[]){0, 1})), "y");
    text = explain(tp_sum(tp_sqrt(y), TP_ALL_AXES, false), (tp_explain_opts){0});
    assert_has(text, "NOT FINITE");
    free(text);
    text = explain(tp_sum(tp_square(y), TP_ALL_AXES, false), (tp_explain_opts){0});
    assert_int_equal(count(text, "VANISHING") + count(text, "NOT FINITE"), 0);
    free(text);
    end(&p);
}

/* What was found is told in numbers, too. */
static void test_tally(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = chain_program(&p);
    tp_explain_tally right, wrong;
    free(explain(loss, (tp_explain_opts){.check = true, .tally = &right}));
    assert_int_equal(right.steps, 6);
    assert_int_equal(right.ok, 8);
    assert_int_equal(right.wrong, 0);
    assert_true(right.worst > 0 && right.worst < 1);
    p.tape->rule_hook = scale_rule;
    p.tape->rule_hook_user = (void *)(uintptr_t)&tp_op_tanh;
    free(explain(loss, (tp_explain_opts){.check = true, .tally = &wrong}));
    assert_int_equal(wrong.wrong, 1);
    assert_true(wrong.worst > 1);
    assert_int_equal(wrong.worst_step, 5);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_agree), cmocka_unit_test(test_paths_of_a_fan_out),
        cmocka_unit_test(test_many_paths), cmocka_unit_test(test_broken_rule),
        cmocka_unit_test(test_formats),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_jacobian),   cmocka_unit_test(test_elements_and_shapes),
        cmocka_unit_test(test_notation),   cmocka_unit_test(test_vanishing_and_non_finite),
        cmocka_unit_test(test_tally),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
