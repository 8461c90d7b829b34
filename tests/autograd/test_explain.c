/* test_explain.c: the derivation as text. Golden files (see tests/support/golden.h), every op
 * row rendered, a broken rule that must show, and the promise that the user's tape is only read. */
#include "tests/support/derivations.h"

#include "autograd/check.h"
#include "autograd/node.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const tp_explain_opts all = {.numbers = true, .check = true};

static void test_golden(void **state)
{
    (void)state;
    for (int i = 0; i < PROGRAMS; i++) {
        program p;
        begin(&p, TP_F64);
        assert_golden_text(program_names[i], explain(programs[i](&p), all));
        end(&p);
    }
}

/* In f32 the same program shows the same formulas, and its numbers pass the check in f64. */
static void test_f32(void **state)
{
    (void)state;
    for (int i = 0; i < PROGRAMS; i++) {
        program p;
        begin(&p, TP_F32);
        char *text = explain(programs[i](&p), all);
        assert_int_equal(count(text, "FAIL"), 0);
        assert_int_equal(count(text, "not checked"), 0);
        assert_true(count(text, "ok ") > 0);
        free(text);
        end(&p);
    }
}

/* --- the teacher's loop ------------------------------------------------------------------------- */

/* The numbers after "= " at p, at most n. */
static int numbers_after(const char *p, double *v, int n)
{
    int found = 0;
    p = strstr(p, "= ");
    assert_non_null(p);
    for (p += 2; *p == '[' || *p == ' ' || *p == ']' || *p == '-' || (*p >= '0' && *p <= '9');) {
        char *after;
        double x = strtod(p, &after);
        if (after != p && found < n)
            v[found++] = x;
        p = after != p ? after : p + 1;
    }
    return found;
}

/* Adds up what the steps show for a value whose contributions start with head. */
static void assert_sum_shown(const char *text, const char *head, const tp_tensor *grad)
{
    double sum[12] = {0}, v[12];
    for (const char *p = text; (p = strstr(p, head)) != NULL;) {
        p += strlen(head); /* past "+= ", before the formula */
        int n = numbers_after(p, v, 12);
        assert_int_equal(n, tp_numel(grad));
        for (int i = 0; i < n; i++)
            sum[i] += v[i];
    }
    for (int64_t i = 0; i < tp_numel(grad); i++)
        assert_close(sum[i], tp_flat(grad, i), 1e-3, 1e-3);
}

static void test_sums(void **state)
{
    (void)state;
    static const char *const heads[PROGRAMS][2] = {
        {"x̄ += "}, {"ā += ", "b̄ += "}, {"W̄ += ", "b̄ += "}, {"m̄u += ", "l̄ogvar += "}};
    static const char *const leaves[PROGRAMS][2] = {
        {"x"}, {"a", "b"}, {"W", "b"}, {"mu", "logvar"}};
    for (int i = 0; i < PROGRAMS; i++) {
        program p;
        begin(&p, TP_F64);
        tp_var loss = programs[i](&p);
        char *text = explain(loss, (tp_explain_opts){.numbers = true});
        assert_ok(tp_backward(loss));
        for (int k = 0; k < 2 && heads[i][k] != NULL; k++)
            for (uint32_t id = 1; id < p.tape->count; id++) {
                const tp_node *node = tp_node_at(p.tape, id);
                if (node->is_leaf && node->name && strcmp(node->name, leaves[i][k]) == 0)
                    assert_sum_shown(text, heads[i][k], node->leaf_grad);
            }
        free(text);
        end(&p);
    }
}

/* Explaining the steps of the user's own sweep changes nothing about it. */
static void test_loop(void **state)
{
    (void)state;
    for (int composed = 0; composed < 2; composed++) {
        program p;
        begin(&p, TP_F64);
        tp_var loss = latent_program(&p);
        FILE *f = tmpfile();
        assert_non_null(f);
        tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){.composed = composed == 1});
        assert_status(tp_explain_step(f, &s, all), TP_EARG);
        while (tp_sweep_next(&s)) {
            uint32_t length = tp_tape_length(p.tape);
            size_t bytes = tp_tape_bytes(p.tape);
            assert_ok(tp_explain_step(f, &s, all));
            assert_int_equal(tp_tape_length(p.tape), length);
            assert_int_equal(tp_tape_bytes(p.tape), bytes);
        }
        assert_status(tp_explain_step(f, &s, all), TP_EARG);
        assert_ok(tp_sweep_end(&s));
        assert_status(tp_explain_step(f, &s, all), TP_EARG);
        char *text = slurp(f);
        assert_int_equal(count(text, "FAIL"), 0);
        assert_has(text, "step 1: add");
        assert_has(text, composed ? "step 2: mean" : "(fused)");
        assert_int_equal(count(text, "(fused)") > 0, composed == 0);
        free(text);

        tp_var mu = tp_var_at(p.tape, 1);
        double want[2] = {tp_flat(tp_leaf_grad(mu), 0), tp_flat(tp_leaf_grad(mu), 1)};
        assert_ok(tp_backward(loss)); /* adds the same again */
        assert_close(tp_flat(tp_leaf_grad(mu), 0), 2 * want[0], 0, 1e-12);
        assert_close(tp_flat(tp_leaf_grad(mu), 1), 2 * want[1], 0, 1e-12);
        end(&p);
    }
}

/* Steps are numbered and labelled from the right root though the tape goes on behind it. */
static void test_branch(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var x = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(), (double[]){2})), "x");
    tp_var y = tp_exp(x), loss = tp_square(y);
    tp_mul(tp_scale(x, 3), x); /* nobody differentiates this */
    char *text = explain(loss, all);
    assert_has(text, "step 1: square   v3 = v2²");
    assert_has(text, "step 2: exp   v2 = exp(x)");
    assert_int_equal(count(text, "\nstep"), 2);
    free(text);
    end(&p);
}

/* Only the broken step fails; what follows uses its wrong result rightly. */
static void test_broken_rule_is_located(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = chain_program(&p);
    p.tape->rule_hook = scale_rule;
    p.tape->rule_hook_user = (void *)(uintptr_t)&tp_op_tanh;
    char *text = explain(loss, all);
    assert_int_equal(count(text, "FAIL"), 1);
    assert_true(strstr(text, "FAIL") > strstr(text, ": tanh"));
    assert_true(strstr(text, "FAIL") < strstr(text, ": linear"));
    free(text);
    end(&p);
}

static void drop_rule(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    (void)user, (void)c;
    if (op == &tp_op_mul)
        gx[1].id = 0;
}

/* A term that a rule forgot is shown, and fails. */
static void test_dropped_term(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = square_program(&p);
    p.tape->rule_hook = drop_rule;
    char *text = explain(loss, all);
    assert_has(text, "x̄ += v̄2 ⊙ x = 3   finite difference: ok");
    assert_has(text,
               "x̄ += 0 (the rule gave nothing)   finite difference: FAIL rule 0, difference ");
    assert_int_equal(count(text, "so far"), 0);
    free(text);
    end(&p);
}

/* A kernel that is wrong only where the sweep runs it, as a fused one may be: the rule in f64 agrees with
 * the difference quotient, the numbers shown do not. */
static void spoil_once(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    (void)op;
    if (gx[0].tape == user && c->want[0])
        gx[0] = tp_scale(gx[0], 1.01);
}

static void test_shown_numbers_are_checked(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F32);
    tp_var loss = square_program(&p);
    p.tape->rule_hook = spoil_once;
    p.tape->rule_hook_user = p.tape;
    char *text = explain(loss, all);
    assert_has(text, "FAIL the rule in f64 agrees, but these numbers are off by 0.01");
    assert_int_equal(count(text, "FAIL"), 1);
    free(text);
    end(&p);
}

/* --- brackets ----------------------------------------------------------------------------------- */

/* The formula of the one contribution of an op written for this test. */
static void bracket_rule(const tp_vjp_call *c, tp_var *gx)
{
    tp_var a = c->x[0], sum = tp_add(a, c->gy), product = tp_mul(a, c->gy);
    tp_var parts[] = {tp_mul(sum, product),
                      tp_sub(a, tp_sub(sum, product)),
                      tp_div(a, tp_mul(a, sum)),
                      tp_square(tp_square(a)),
                      tp_sqrt(tp_square(tp_sqrt(a))),
                      tp_exp(tp_neg(sum)),
                      tp_neg(product),
                      tp_affine(sum, -1, -2),
                      tp_affine(product, 1, 0),
                      tp_mul(tp_affine(a, 2, 0), a),
                      tp_mul(tp_affine(a, 2, 1), a),
                      tp_matmul(tp_transpose(sum), tp_mul(a, a)),
                      tp_mul(tp_sum(a, TP_AXES(1), true), a)};
    gx[0] = tp_concat(parts, sizeof parts / sizeof *parts, 0);
    gx[0] = tp_slice(gx[0], 0, 0, 2, 1);
}

static tp_status copy_forward(const tp_op_call *c)
{
    return tp_copy(c->y, c->x[0]);
}

static void test_brackets(void **state)
{
    (void)state;
    static const tp_op op = {.name = "own",
                             .arity = 1,
                             .smooth = TP_ESTIMATOR,
                             .text = "own(#0)",
                             .shape = tp_shape_same,
                             .forward = copy_forward,
                             .vjp = bracket_rule};
    program p;
    begin(&p, TP_F64);
    tp_var a = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(2, 2), (double[]){1, 2, 3, 4})), "a");
    tp_var y = named(tp_apply(&op, 1, &a, NULL), "y");
    char *text = explain(tp_sum(y, TP_ALL_AXES, false), (tp_explain_opts){.check = true});
    assert_has(text, "ā += concat((a + ȳ) ⊙ a ⊙ ȳ, a − (a + ȳ − a ⊙ ȳ), a / (a ⊙ (a + ȳ)), (a²)², "
                     "√((√a)²), exp(−(a + ȳ)), −a ⊙ ȳ, −(a + ȳ) − 2, (a ⊙ ȳ), (2·a) ⊙ a, "
                     "(2·a + 1) ⊙ a, (a + ȳ)ᵀ·(a ⊙ a), (Σ[1] a) ⊙ a, axis 0)[0:2:1, axis 0]");
    assert_has(text, "not checked: an estimator without a surrogate");
    free(text);
    end(&p);
}

/* What a rule uses twice gets a name, once, if it is more than one operation. */
static void share_rule(const tp_vjp_call *c, tp_var *gx)
{
    tp_var t = tp_exp(tp_mul(c->gy, c->x[0]));
    gx[0] = tp_add(tp_sqrt(t), tp_mul(t, c->x[1]));
    gx[1] = t;
}

static void test_named_parts(void **state)
{
    (void)state;
    static const tp_op op = {.name = "own",
                             .arity = 2,
                             .smooth = TP_ESTIMATOR,
                             .shape = tp_shape_equal_all,
                             .forward = copy_forward,
                             .vjp = share_rule};
    program p;
    begin(&p, TP_F64);
    tp_var x[] = {named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(1), (double[]){0})), "a"),
                  named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(1), (double[]){2})), "b")};
    tp_var y = named(tp_apply(&op, 2, x, NULL), "y");
    char *text = explain(tp_sum(y, TP_ALL_AXES, false), (tp_explain_opts){.numbers = true});
    assert_has(text, "y = own(a, b)");
    assert_has(text, "    with t1 = exp(ȳ ⊙ a) = [1]\n");
    assert_has(text, "    ā += √t1 + t1 ⊙ b = [3]\n");
    assert_has(text, "    b̄ += t1 = [1]\n");
    free(text);
    end(&p);
}

/* --- numbers, names, failures ------------------------------------------------------------------- */

static void test_large_and_odd_numbers(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F32);
    double data[60];
    for (int i = 0; i < 60; i++)
        data[i] = i - 30;
    data[59] = NAN;
    tp_var x = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(3, 4, 5), data)), "x");
    tp_var none = named(tp_leaf(p.tape, tensor(&p, TP_SHAPE(0, 2), data)), "none");
    tp_var loss = tp_add(tp_sum(x, TP_ALL_AXES, false), tp_sum(none, TP_ALL_AXES, false));
    char *text = explain(loss, all);
    assert_has(
        text,
        "x: leaf\n        = [[[-30 -29 -28 …] [-25 -24 -23 …] …] …]  from -30 to 28, 1 NaN, norm nan"
        "   f32[3,4,5]   program.c:1\n");
    assert_has(text, "none: leaf = []   f32[0,2]");
    free(text);
    end(&p);
}

static void test_names(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_parameter w;
    assert_ok(tp_parameter_init(&w, "fc.weight", TP_F64, TP_SHAPE(2)));
    tp_var v = tp_param(p.tape, &w);
    for (int i = 0; i < 2; i++)
        v = named(tp_exp(v), "h");
    char *text = explain(tp_sum(v, TP_ALL_AXES, false), all);
    assert_has(text, "fc.weight: parameter = [0 0]");
    assert_has(text, "h#3 = exp(h#2)");
    assert_has(text, "h̄#2 += h̄#3 ⊙ h#3");
    assert_has(text, "f̄c.weight += h̄#2 ⊙ h#2");
    assert_null(tp_parameter_grad(&w)); /* looking at gradients does not write them */
    free(text);
    end(&p);
    tp_parameter_free(&w);
}

static void test_failures(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = chain_program(&p), h = tp_var_at(p.tape, 5), x = tp_var_at(p.tape, 1);
    uint32_t length = tp_tape_length(p.tape);
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_status(tp_explain(f, h, all), TP_ESHAPE);
    assert_status(tp_explain(f, tp_sum(x, TP_ALL_AXES, false), all), TP_EGRAD);
    assert_status(tp_explain(f, (tp_var){0}, all), TP_ETAPE);
    assert_status(tp_explain_forward(f, (tp_var){p.tape, 1, 0}, all), TP_ESTALE);
    assert_ok(tp_tape_status(p.tape)); /* none of them stuck */
    assert_string_equal(tp_tape_message(p.tape), "");
    assert_int_equal(tp_tape_length(p.tape), length + 1);

    tp_data_mut(&p.t[0]); /* x was written: the rule of W may not run */
    assert_status(tp_explain(f, loss, all), TP_EVERSION);
    assert_ok(tp_tape_status(p.tape));
    fclose(f);

    f = fopen("/dev/full", "w");
    if (f != NULL) {
        assert_status(tp_explain_forward(f, loss, all), TP_EIO);
        fclose(f);
    }
    end(&p);
}

/* After a backward that released, formulas are still there and numbers are left out. */
static void test_released(void **state)
{
    (void)state;
    program p;
    begin(&p, TP_F64);
    tp_var loss = chain_program(&p);
    assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.release = true}));
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_ok(tp_explain_forward(f, loss, all));
    assert_status(tp_explain(f, loss, all), TP_EFREED);
    char *text = slurp(f);
    assert_has(text, "h = tanh(v4)   f64[2,2]   in net/fc");
    free(text);
    end(&p);
}

/* Whatever allocation fails: a status, no leak, and the tape works afterwards. */
static void test_no_memory(void **state)
{
    (void)state;
    size_t before = tp_mem().live_bytes;
    program p;
    begin(&p, TP_F64);
    tp_var loss = latent_program(&p);
    assert_short_of_memory(loss, all, 1u << 21);
    assert_ok(tp_backward(loss));
    end(&p);
    assert_int_equal(tp_mem().live_bytes, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_branch),
        cmocka_unit_test(test_broken_rule_is_located),
        cmocka_unit_test(test_dropped_term),
        cmocka_unit_test(test_shown_numbers_are_checked),
        cmocka_unit_test(test_brackets),
        cmocka_unit_test(test_named_parts),
        cmocka_unit_test(test_large_and_odd_numbers),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_released),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
