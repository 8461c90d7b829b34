/* golden.h: text that a person has looked at, kept in tests/golden, and compared to the byte.
 *
 * With TAPIR_UPDATE_GOLDEN=1 in the environment the files are written anew: look at the difference.
 */
#ifndef TP_TESTS_GOLDEN_H
#define TP_TESTS_GOLDEN_H

#include <stdio.h>

/* What was written to f so far, in memory the caller frees; closes f. */
char *slurp(FILE *f);
/* text is what stands in tests/golden/<name>.txt. */
void assert_golden(const char *name, const char *text);
/* The same of any file of the source tree. */
void assert_file(const char *name, const char *text);

/* A cell of a table in Markdown, "| text ": a bar within would end it. */
void put_cell(FILE *f, const char *text);

#endif
