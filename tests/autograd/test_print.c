/* test_print.c: vars as people see them, against golden text: with names and scopes, and those without a
 * value. Read next: autograd/print.h. */
#include "tests/autograd/fixture.h"

#include "autograd/print.h"
#include "tests/support/golden.h"

#include <stdlib.h>

static void check_page(FILE *f, const char *name)
{
    char *text = slurp(f);
    assert_golden(name, text);
    free(text);
}

static void test_values(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    tp_var x = tp_param(t, &w);
    tp_scope_begin(t, "encoder");
    tp_scope_begin(t, "fc1");
    tp_var h = tp_name(tp_exp(x), "h", "program.c", 7);
    tp_scope_end(t);
    tp_scope_end(t);
    assert_ok(tp_print_var(f, x));
    assert_ok(tp_print_var(f, h));
    assert_ok(tp_print_var(f, tp_constant(t, &data)));
    assert_ok(tp_print_var(f, tp_name(tp_leaf(t, &data), "y", "program.c", 9)));
    assert_ok(tp_print_var(f, total(h)));
    check_page(f, "print_vars");
    assert_int_equal(tp_tape_length(t), 5); /* x, h, the two of data, the total */
}

/* The reason stands on the page and is the status; the tape does not notice. */
static void test_no_value(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    tp_var square, loss = loss_of(&square), none = {0};
    square = tp_name(square, "square", "program.c", 3);
    assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.release = true}));
    assert_status(tp_print_var(f, square), TP_EFREED);
    assert_status(tp_print_var(f, none), TP_ETAPE);
    assert_tape(TP_OK, "");
    tp_tape_reset(t);
    assert_status(tp_print_var(f, loss), TP_ESTALE);
    tp_tensor long_data;
    assert_ok(tp_tensor_new(&long_data, TP_F64, TP_SHAPE(3)));
    tp_var two = tp_constant(t, &data), three = tp_constant(t, &long_data);
    tp_var bad = tp_add(two, three);
    assert_status(tp_print_var(f, bad), TP_ESHAPE);
    assert_status(tp_print_var(f, tp_exp(bad)), TP_ESHAPE);
    check_page(f, "print_no_value");
    tp_tensor_free(&long_data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_value, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
