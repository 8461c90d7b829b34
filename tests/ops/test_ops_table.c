/* test_ops_table.c: every row, and every composition, says everything it must, and says it about itself:
 * names, formulas whose placeholders exist, samples and refusals that fit. What they compute: the other
 * files here. */
#include "autograd/ops.h"
#include "tests/support/check.h"
#include "tests/support/compositions.h"

#include <ctype.h>
#include <string.h>

static int failures;

static void need(bool ok, const tp_op *op, const char *what)
{
    if (ok)
        return;
    print_error("%s: %s\n", op->name, what);
    failures++;
}

static bool filled(const char *s)
{
    return s != NULL && s[0] != '\0';
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {
#define TP_OP(name, parameters) #name,
#include "autograd/ops.def"
#undef TP_OP
    };
    assert_int_equal(tp_op_count, (int)(sizeof names / sizeof *names));
    for (int i = 0; i < tp_op_count; i++) {
        assert_string_equal(tp_ops[i]->name, names[i]); /* the table has the order of ops.def */
    }
    for (int i = 0; i < tested_count(); i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(tested(i)->name, tested(j)->name);
}

/* A row computes, and has a rule if it has a gradient. A composition has neither. */
static bool has_a_rule(const tp_op *op, bool row)
{
    bool gradient = op->smooth != TP_NO_GRADIENT;
    if (!row)
        return op->shape == NULL && op->forward == NULL && op->view == NULL && op->vjp == NULL &&
               op->vjp_fused == NULL && op->reads == 0;
    return op->shape != NULL && (op->forward != NULL || op->view != NULL) &&
           (op->vjp != NULL) == gradient && (op->vjp_fused == NULL || op->vjp != NULL) &&
           (gradient || op->reads == 0);
}

static bool has_structure(const tp_op *op)
{
    bool any = false;
    for (int i = 0; i < TP_INDEX_INPUTS; i++)
        any |= op->jacobian[i] != TP_JACOBIAN_NONE;
    return any;
}

static void test_rows_are_complete(void **state)
{
    (void)state;
    failures = 0;
    for (int i = 0; i < tested_count(); i++) {
        const tp_op *op = tested(i);
        need(filled(op->text), op, "no .text");
        need(filled(op->tex), op, "no .tex");
        need(filled(op->why), op, "no .why");
        need(op->smooth >= TP_SMOOTH && op->smooth <= TP_NO_GRADIENT, op, "no .smooth");
        need(op->prec >= 0 && op->prec <= 3, op, ".prec out of range");
        need(has_a_rule(op, i < tp_op_count), op,
             "shape, forward, vjp, reads and .smooth disagree");
        need(filled(op->index) == (i < tp_op_count), op, "a row, and nothing else, has an .index");
        need((op->smooth != TP_NO_GRADIENT && i < tp_op_count) == has_structure(op), op,
             "a row with a gradient, and nothing else, has a .jacobian");
        need((op->surrogate != NULL) == (op->smooth == TP_ESTIMATOR), op,
             "an estimator, and nothing else, has a .surrogate");
        need(op->call != NULL, op, "no .call");
        need(op->sample_count >= 3, op, "fewer than three samples");
        need((op->refusal_count > 0) != filled(op->no_refusals), op,
             "either refusals or the reason why there are none");
        need((op->attr_size > 0) == (op->field_count > 0), op, "attributes without fields");
    }
    assert_int_equal(failures, 0);
}

static bool has_field(const tp_op *op, const char *name, size_t length)
{
    for (int i = 0; i < op->field_count; i++)
        if (strlen(op->fields[i].name) == length && strncmp(op->fields[i].name, name, length) == 0)
            return true;
    return false;
}

/* #0 #1 … below the arity, #* for ops that take any number, @name of a field. */
static void check_placeholders(const tp_op *op, const char *text)
{
    for (const char *p = text == NULL ? "" : text; *p != '\0'; p++) {
        if (*p == '#' && p[1] == '*')
            need(op->arity == TP_ANY_ARITY, op, "#* in an op of fixed arity");
        else if (*p == '#')
            need((isdigit((unsigned char)p[1]) && p[1] - '0' < op->arity) ||
                     (p[1] == ' ' && op->arity == TP_ANY_ARITY),
                 op, "#i is no input");
        if (*p != '@')
            continue;
        size_t length = 0;
        while (isalnum((unsigned char)p[1 + length]) || p[1 + length] == '_')
            length++;
        bool part =
            op->arity == TP_ANY_ARITY && /* of an index form: where the input lies in the result */
            (strncmp(p, "@from", 5) == 0 || strncmp(p, "@to", 3) == 0);
        need(part || has_field(op, p + 1, length), op, "@name is no attribute");
    }
}

static void test_placeholders(void **state)
{
    (void)state;
    failures = 0;
    for (int i = 0; i < tested_count(); i++) {
        const tp_op *op = tested(i);
        check_placeholders(op, op->text);
        check_placeholders(op, op->tex);
        check_placeholders(op, op->index);
        for (int k = 0; k < TP_INDEX_INPUTS; k++)
            check_placeholders(op, op->index_vjp[k]);
        for (int k = 0; k < op->arity; k++) {
            char input[3] = {'#', (char)('0' + k), '\0'};
            need(strstr(op->text, input) != NULL, op, "an input is missing in .text");
            need(strstr(op->tex, input) != NULL, op, "an input is missing in .tex");
        }
    }
    assert_int_equal(failures, 0);
}

static size_t field_size(tp_field_kind kind)
{
    static const size_t sizes[] = {
        [TP_FIELD_BOOL] = sizeof(bool),      [TP_FIELD_INT] = sizeof(int),
        [TP_FIELD_I64] = sizeof(int64_t),    [TP_FIELD_DOUBLE] = sizeof(double),
        [TP_FIELD_AXES] = sizeof(tp_axes),   [TP_FIELD_SHAPE] = sizeof(tp_shape),
        [TP_FIELD_DTYPE] = sizeof(tp_dtype), [TP_FIELD_KEY] = sizeof(tp_rng_key)};
    return sizes[kind];
}

/* The fields lie inside the struct, one behind the other. */
static void test_fields(void **state)
{
    (void)state;
    failures = 0;
    for (int i = 0; i < tested_count(); i++) {
        size_t end = 0;
        for (int k = 0; k < tested(i)->field_count; k++) {
            const tp_field *f = &tested(i)->fields[k];
            need(f->offset >= end, tested(i), "fields overlap or are out of order");
            end = f->offset + field_size(f->kind);
        }
        need(end <= tested(i)->attr_size, tested(i), "a field lies behind the attributes");
    }
    assert_int_equal(failures, 0);
}

static void test_samples_and_refusals(void **state)
{
    (void)state;
    failures = 0;
    for (int i = 0; i < tested_count(); i++) {
        const tp_op *op = tested(i);
        bool any = op->arity == TP_ANY_ARITY, differentiated = false;
        for (int k = 0; k < op->sample_count; k++) {
            const tp_sample *s = &op->samples[k];
            need(filled(s->note), op, "a sample without a note");
            need(s->n <= TP_SAMPLE_INPUTS && (any || s->n == op->arity), op,
                 "a sample with the wrong number of inputs");
            need((s->attr != NULL) == (op->attr_size > 0), op, "a sample's attributes");
            for (int j = 0; j < s->n; j++)
                differentiated |= !s->x[j].fixed;
        }
        need(differentiated || op->smooth == TP_NO_GRADIENT, op, "every input is data");
        for (int k = 0; k < op->refusal_count; k++) {
            const tp_refusal *f = &op->refusals[k];
            need(filled(f->note) && filled(f->says), op, "a refusal without a note or a message");
            need(f->status != TP_OK, op, "a refusal with TP_OK");
            need((f->attr != NULL) == (op->attr_size > 0), op, "a refusal's attributes");
        }
    }
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_placeholders),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_samples_and_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
