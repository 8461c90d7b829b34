/* check_oom.c: every public scenario with every allocation failing: tests/fault/oom/oom.h says what must hold.
 *
 * The short form tries a number of allocations spread over each scenario and the first sample of each operation; the
 * long form all of them, but not more than 200 of one act of a model. Both run the scenarios that are wrong on purpose,
 * each of which must be found.
 */
#include "tests/fault/oom/oom.h"
#include "tests/support/check.h"
#include "tests/support/interpose/malloc.h"

#include <stdlib.h>
#include <string.h>

static bool full;
static tally sum;

/* How many of them are not clean. */
static int run_list(const scenario *list, int n, long limit)
{
    char complaint[OOM_TEXT];
    int failed = 0;
    const char *only = getenv("TAPIR_OOM_ONLY"); /* a part of a name, to look into one of them */
    for (int i = 0; i < n; i++) {
        if (only != NULL && strstr(list[i].name, only) == NULL)
            continue;
        if (oom_run(&list[i], limit, &sum, complaint))
            continue;
        print_error("%s%s%s: %s\n", list[i].name, list[i].op ? ", sample " : "",
                    list[i].op ? list[i].op->samples[list[i].sample].note : "", complaint);
        failed++;
    }
    return failed;
}

static void test_scenarios(void **state)
{
    (void)state;
    const long limit = full ? 0 : 24;
    int failed = run_list(oom_tensors, oom_tensors_count, limit);
    failed += run_list(oom_files, oom_files_count, limit);
    failed += run_list(oom_tape, oom_tape_count, limit);
    failed += run_list(oom_models, oom_models_count, limit);
    failed += run_list(oom_layers, oom_layers_count, limit);
    failed += run_list(oom_objectives, oom_objectives_count, limit);
    failed += run_list(oom_choices, oom_choices_count, limit);
    assert_int_equal(failed, 0);
}

static void test_tables(void **state)
{
    (void)state;
    enum { ROOM = 2000 };
    static scenario list[ROOM];
    int n = oom_table(list, ROOM, full ? ROOM : 1);
    assert_true(n < ROOM);
    assert_int_equal(run_list(list, n, full ? 0 : 6), 0);
}

static void test_dists(void **state)
{
    (void)state;
    enum { ROOM = 60 };
    static scenario list[ROOM];
    int n = oom_dists(list, ROOM);
    assert_true(n < ROOM);
    assert_int_equal(run_list(list, n, full ? 0 : 6), 0);
}

static void test_models(void **state)
{
    (void)state;
    enum { ROOM = 120 };
    static scenario list[ROOM];
    int n = oom_rows(list, ROOM);
    assert_true(n < ROOM);
    assert_int_equal(run_list(list, n, full ? 200 : 6), 0); /* one of them makes thousands */
}

static void test_controls(void **state)
{
    (void)state;
    char complaint[OOM_TEXT];
    tally ignored = {0};
    for (int i = 0; i < oom_controls_count; i++) {
        const char *expected = strchr(oom_controls[i].name, ':') + 2;
        if (strstr(expected, "hook") != NULL && !malloc_seen())
            continue;
        bool clean = oom_run(&oom_controls[i], 0, &ignored, complaint);
        if (clean || strstr(complaint, expected) == NULL)
            print_error("%s\n  found: %s\n", oom_controls[i].name, clean ? "nothing" : complaint);
        assert_true(!clean && strstr(complaint, expected) != NULL);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_controls), cmocka_unit_test(test_scenarios),
        cmocka_unit_test(test_tables),   cmocka_unit_test(test_dists),
        cmocka_unit_test(test_models),
    };
    full = argc > 1 && strcmp(argv[1], "full") == 0;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("allocations beside the hook: %s\n",
           malloc_seen() ? "those of the C library and OpenMP that scenarios name"
                         : "cannot be seen in this build");
    printf("check-oom: %ld scenarios, %ld", sum.scenarios, sum.allocations);
    if (sum.allocations < sum.of)
        printf(" of %ld", sum.of);
    printf(" allocations, each failed once and for good; %ld budgets: %s\n", sum.budgets,
           failed == 0 ? "all clean" : "NOT clean");
    return failed != 0;
}
