/* help.c: --help of a command, and guessing what a misspelt word was meant to be.
 *
 * What it prints comes from the tables of options.c and config.c. Read next: options.c. */
#include "options.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* --- suggestions -------------------------------------------------------------------------------- */

enum { WORD = 32 };

/* Levenshtein's distance; a beginning of the word counts as one slip. */
static int distance(const char *a, const char *b)
{
    int row[WORD + 1];
    size_t na = strlen(a), nb = strlen(b);
    if (na > WORD || nb > WORD)
        return INT_MAX; /* no slip of anything */
    if (na >= 2 && strncmp(a, b, na) == 0)
        return na == nb ? 0 : 1;
    for (size_t j = 0; j <= nb; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            int gap = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = change < gap ? change : gap;
        }
    }
    return row[nb];
}

nearest nearest_to(const char *word)
{
    /* a third of the word may be wrong, and always one letter */
    int slips = ((int)strlen(word) + 1) / 3;
    return (nearest){.word = word, .distance = (slips > 0 ? slips : 1) + 1};
}

void nearest_offer(nearest *n, const char *candidate)
{
    int d = distance(n->word, candidate);
    if (d < n->distance) {
        n->distance = d;
        n->best = candidate;
    }
}

/* --- help --------------------------------------------------------------------------------------- */

/* Prints the lines of text, the later ones indented. */
static void print_lines(const char *text, int indent)
{
    for (; *text != '\0'; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", indent, "");
    }
}

static void print_flag(const flag *f, command c, const options *defaults)
{
    char left[64], text[PATH_SIZE];
    int n = snprintf(left, sizeof left, "  --%s %s", f->name, f->value);
    for (const char *p = left; *p != '\0'; p++)
        n -= ((unsigned char)*p & 0xc0) == 0x80; /* characters, not bytes */
    printf("%s%*s", left, n < 22 ? 22 - n : 1, "");
    print_lines(f->help, 22);
    if ((f->required & (unsigned)c) != 0)
        printf(" (required)");
    else if ((c == TRAIN || c == EXPLAIN) && f->config) {
        flag_text(defaults, f, text);
        if (*text != '\0')
            printf(" (%s)", text);
    }
    putchar('\n');
}

void options_help(const char *program, command c, const char *name, const char *summary)
{
    options defaults = preset_options(0);
    printf("usage: %s %s [flags]\n\n%c%s.\n\n", program, name, toupper((unsigned char)*summary),
           summary + 1);
    for (int i = 0; i < flag_count; i++)
        if (flags[i].value != NULL && (flags[i].commands & (unsigned)c) != 0)
            print_flag(&flags[i], c, &defaults);
    if (c != TRAIN && c != EXPLAIN)
        return;
    printf("\nIn parentheses: what holds for the default preset. Presets:\n");
    for (int i = 0; preset_name(i) != NULL; i++)
        printf("  %-20s%s\n", preset_name(i), preset_summary(i));
}
