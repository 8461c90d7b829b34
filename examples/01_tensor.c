/* 01_tensor.c: tensors, views and broadcasting. No gradients yet: read 02_tape.c next. */
#include "models/tapir.h"

#include <stdio.h>

static tp_status show(const char *name, const tp_tensor *t)
{
    printf("%s = ", name);
    return tp_print(stdout, t);
}

static tp_status run(void)
{
    tp_tensor x = {0}, row = {0}, sum = {0}, product = {0}, view, back;
    const float values[] = {1, 2, 3, 4, 5, 6};
    TP_TRY(tp_tensor_from(&x, TP_F32, TP_SHAPE(2, 3), values));
    TP_TRY(show("x", &x));

    /* Views share the memory of x: only shape, strides and offset change. */
    TP_TRY(tp_view_transpose(&x, 0, 1, &view));
    TP_TRY(show("x^T", &view));
    TP_TRY(tp_view_slice(&x, 1, -1, TP_SLICE_END, -2, &back)); /* x[:, ::-2] */
    TP_TRY(show("x[:, ::-2]", &back));

    /* Broadcasting is NumPy's: [2,3] + [3] adds the row to every row. */
    const float ten[] = {10, 20, 30};
    TP_TRY(tp_tensor_from(&row, TP_F32, TP_SHAPE(3), ten));
    TP_TRY(tp_tensor_new(&sum, TP_F32, TP_SHAPE(2, 3)));
    TP_TRY(tp_map2(&sum, &x, &row, TP_K_add));
    TP_TRY(show("x + row", &sum));

    TP_TRY(tp_tensor_new(&product, TP_F32, TP_SHAPE(2, 2)));
    TP_TRY(tp_matmul_into(&product, &x, &view, (tp_matmul_opts){0}));
    TP_TRY(show("x x^T", &product));

    /* Mistakes come back as a status and a sentence. */
    if (tp_view_reshape(&x, TP_SHAPE(4, 2), &view) != TP_OK)
        printf("refused: %s\n", tp_last_error());

    tp_tensor_free(&x);
    tp_tensor_free(&row);
    tp_tensor_free(&sum);
    tp_tensor_free(&product);
    return TP_OK;
}

int main(void)
{
    if (run() != TP_OK) {
        fprintf(stderr, "%s\n", tp_last_error());
        return 1;
    }
    return 0;
}
