/* test_compositions.c: no function of autograd/compose.h is left out of the table of compositions, which the tests
 * test_ops_*.c here run through like the rows of ops.def. Their values at extreme points:
 * tests/unit/test_composition_values.c. Read next: tests/support/compositions.h. */
#include "tests/support/check.h"
#include "tests/support/compositions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void need(bool ok, const char *name, const char *what)
{
    if (ok)
        return;
    print_error("%s: %s\n", name, what);
    failures++;
}

static char *read_header(void)
{
    FILE *f = fopen(TAPIR_SOURCE_DIR "/autograd/compose.h", "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long size = ftell(f);
    char *text = calloc((size_t)size + 1, 1);
    assert_true(size > 0 && text != NULL);
    rewind(f);
    assert_int_equal(fread(text, 1, (size_t)size, f), size);
    fclose(f);
    return text;
}

/* The functions declared in text, "tp_var tp_name(" or "void tp_name(" at the start of a line, are those of
 * the table, in its order. Returns how many there are. */
static int compare_with_table(const char *text)
{
    int found = 0;
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        int skip = strncmp(line, "tp_var tp_", 10) == 0 ? 10
                   : strncmp(line, "void tp_", 8) == 0  ? 8
                                                        : 0;
        if (skip == 0)
            continue;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(line + skip, "("), line + skip);
        need(found < composition_count && strcmp(compositions[found]->name, name) == 0, name,
             "in compose.h, but not here in tests/support/compositions.def");
        found++;
    }
    return found;
}

static void test_all_are_there(void **state)
{
    (void)state;
    char *text = read_header();
    failures = 0;
    assert_int_equal(compare_with_table(text), composition_count);
    free(text);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
