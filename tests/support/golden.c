/* golden.c: see golden.h. */
#include "tests/support/golden.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

char *slurp(FILE *f)
{
    long n = ftell(f);
    assert_true(n >= 0);
    rewind(f);
    char *text = malloc((size_t)n + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)n, f), n);
    text[n] = '\0';
    fclose(f);
    return text;
}

void assert_golden(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "tests/golden/%s.txt", name);
    assert_file(path, text);
}

void assert_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, TAPIR_SOURCE_DIR "/%s", name);
    if (getenv("TAPIR_UPDATE_GOLDEN") != NULL) {
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        assert_true(fputs(text, out) >= 0);
        assert_int_equal(fclose(out), 0);
    }
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        print_error("%s is missing: run with TAPIR_UPDATE_GOLDEN=1\n", path);
        fail();
    }
    fseek(f, 0, SEEK_END);
    char *want = slurp(f);
    if (strcmp(text, want) != 0)
        print_error("%s differs from:\n%s\n", path, text);
    assert_string_equal(text, want);
    free(want);
}

void put_cell(FILE *f, const char *text)
{
    for (fputs("| ", f); *text != '\0'; text++) {
        if (*text == '|')
            fputc('\\', f);
        fputc(*text, f);
    }
    fputs(" ", f);
}
