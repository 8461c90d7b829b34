/* learn.c: main of every chapter's program. */
#include "docs/learn/learn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int print(const learn_section *s)
{
    if (s->print() == TP_OK)
        return 0;
    fprintf(stderr, "%s: %s\n", s->name, tp_last_error());
    return 1;
}

int learn_main(int argc, char **argv, const learn_section *sections)
{
    for (const learn_section *s = sections; s->name != NULL && argc > 1; s++)
        if (strcmp(s->name, argv[1]) == 0)
            return print(s);
    if (argc > 1) {
        fprintf(stderr, "there is no section '%s'; there are:", argv[1]);
        for (const learn_section *s = sections; s->name != NULL; s++)
            fprintf(stderr, " %s", s->name);
        fputc('\n', stderr);
        return 2;
    }
    int failed = 0;
    for (const learn_section *s = sections; s->name != NULL; s++) {
        printf("%s--- %s\n", s == sections ? "" : "\n", s->name);
        failed |= print(s);
    }
    return failed;
}

tp_status learn_expect(const char *what, double got, double wanted, double tolerance)
{
    return fabs(got - wanted) <= tolerance
               ? TP_OK
               : tp_fail(TP_EVALUE, "%s is %.17g, the text says %.17g", what, got, wanted);
}

unsigned learn_steps(unsigned n)
{
#ifdef LEARN_SHORT
    return (n + 9) / 10;
#else
    return n;
#endif
}
