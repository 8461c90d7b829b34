/* 00_one_number.c: a loss, a knob, and which way to turn it. Read 00_one_number.md beside it. */
#include "docs/learn/learn.h"

#include <stdio.h>

static tp_status slope(void)
{
    double x = 3, h = 1e-3; /* y = x², so the slope is 2x */
    printf("(y(x + h) - y(x - h)) / 2h = %.4f\n", ((x + h) * (x + h) - (x - h) * (x - h)) / (2 * h));
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv, (learn_section[]){{"slope", slope}, {0}});
}
