/* 16_grid.c: see 16_grid.h. */
#include "docs/learn/parts/16_grid.h"

#include <stdio.h>

enum { MOST = 16 * 16 };

void grid_rows(const char *name, const double *at, int rows, int columns, const char *zero)
{
    printf("%s\n", name);
    for (int i = 0; i < rows * columns; i++) {
        if (at[i] == 0)
            printf("%4s", zero);
        else
            printf("%4g", at[i]);
        if ((i + 1) % columns == 0)
            printf("\n");
    }
}

tp_status grid_show(const char *name, const tp_tensor *t)
{
    double at[MOST];
    int rows = (int)t->shape.dim[2], columns = (int)t->shape.dim[3];
    if (rows * columns > MOST)
        return tp_fail(TP_EARG, "%s is too large to print", name);
    for (int i = 0; i < rows * columns; i++)
        at[i] = tp_flat(t, i);
    grid_rows(name, at, rows, columns, "0");
    return TP_OK;
}

tp_status grid_show_var(const char *name, tp_var v)
{
    TP_TRY(tp_var_status(v));
    return grid_show(name, tp_value(v));
}

tp_status grid_show_line(const char *name, tp_var v)
{
    int width = 0; /* in letters, not bytes */
    TP_TRY(tp_var_status(v));
    for (const char *p = name; *p != '\0'; p++)
        width += ((unsigned char)*p & 0xc0) != 0x80;
    printf("%s%*s", name, 40 - width, "");
    for (int64_t i = 0; i < tp_numel(tp_value(v)); i++)
        printf("%4g", learn_at(v, i) + 0); /* no -0 */
    printf("\n");
    return TP_OK;
}

tp_status grid_same(const char *what, tp_var a, tp_var b)
{
    TP_TRY(tp_var_status(a));
    TP_TRY(tp_var_status(b));
    return learn_expect(what, learn_distance(tp_value(a), tp_value(b)), 0, 0);
}

tp_var grid_turned(tp_var w)
{
    return tp_flip(tp_flip(w, 2), 3);
}

tp_var grid_inner(tp_var a, tp_var b)
{
    return tp_sum(tp_mul(a, b), TP_ALL_AXES, false);
}
