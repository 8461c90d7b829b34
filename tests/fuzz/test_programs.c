/* test_programs.c: random programs of fixed seeds never crash, leak or disagree with the reference; every row of the
 * table and every composition is among them, accepted and refused; and operations that are broken on purpose are found and shrunk.
 * The long run is the target fuzz. Read next: fuzz.h. */
#include "tests/fuzz/broken.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/check.h"
#include "tests/support/compositions.h"

enum { PROGRAMS = SANITIZED ? 4000 : 12000, RECORDED = PROGRAMS / 300, LARGEST = 3 };

static void test_table(void **state)
{
    (void)state;
    static fuzz_counts c;
    int failures = fuzz_campaign(stdout, 1, PROGRAMS, 0, 3, NULL, &c, NULL);
    fuzz_report(stdout, &c);
    assert_int_equal(failures, 0);
    assert_int_equal(c.programs, PROGRAMS);
    assert_true(tested_count() < FUZZ_OPS);
    for (int k = 0; k < tested_count(); k++) {
        if (c.recorded[k] < RECORDED)
            print_error("%s: recorded %d times\n", tested(k)->name, (int)c.recorded[k]);
        if (c.refused[k] == 0 && tested(k)->refusal_count > 0)
            print_error("%s: never refused\n", tested(k)->name);
        assert_true(c.recorded[k] >= RECORDED);
        assert_true(c.refused[k] > 0 || tested(k)->refusal_count == 0);
    }
    assert_true(c.rules > 10 * c.rule_skipped && c.rules > 10 * c.rule_kinks);
    assert_true(c.gradients > 0 && c.graphs > 0 && c.threads > 0 && c.fused > 0);
}

/* Programs that were once called wrong and are not: exact ties in two rows, whose kinks cancel in the sum. A change of
 * the table of operations makes other programs of these seeds. */
static void test_seeds(void **state)
{
    (void)state;
    static fuzz_counts c;
    static const uint64_t seeds[] = {91135746};
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        assert_int_equal(fuzz_campaign(stdout, seeds[i], 1, 0, 1, NULL, &c, NULL), 0);
}

static void test_broken(void **state)
{
    (void)state;
    static const fuzz_kind kinds[] = {FUZZ_VALUE,  FUZZ_RULE,    FUZZ_RULE,      FUZZ_CRASH,
                                      FUZZ_LEAK,   FUZZ_REFUSED, FUZZ_ACCEPTED,  FUZZ_INPUT,
                                      FUZZ_STATUS, FUZZ_BITS,    FUZZ_AFTERMATH, FUZZ_THREADS};
    fuzz_shared *last = fuzz_shared_new();
    assert_non_null(last);
    int i = 0;
    for (; broken_op_at(i) != NULL; i++) {
        static fuzz_counts c;
        fuzz_ops ops = {broken_op_at(i)};
        printf("--- %s\n", ops.extra->name);
        assert_int_equal(fuzz_campaign(stdout, 1, PROGRAMS, 0, 1, &ops, &c, last), 1);
        assert_int_equal(last->failure.kind, kinds[i]);
        assert_true(fuzz_size(&last->program) <= LARGEST);
    }
    assert_int_equal(i, sizeof kinds / sizeof *kinds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
