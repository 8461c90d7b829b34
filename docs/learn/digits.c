/* digits.c: see digits.h. */
#include "docs/learn/digits.h"

enum { SIDE = LEARN_SIDE };

/* A pixel of the small digit is on if the four that it stands for are more than half ink. */
static void shrink(const unsigned char *from, unsigned char *to, int64_t n)
{
    for (int64_t i = 0; i < n * SIDE; i++) /* a row of a small digit is two of a large one */
        for (int64_t j = 0; j < SIDE; j++) {
            const unsigned char *p = from + 2 * i * 2 * SIDE + 2 * j;
            int ink = p[0] + p[1] + p[2 * SIDE] + p[2 * SIDE + 1];
            to[i * SIDE + j] = ink > 2 * 255 ? 255 : 0;
        }
}

tp_status learn_digits(int64_t n, tp_dataset *train, tp_dataset *held)
{
    tp_dataset full = {0};
    *train = (tp_dataset){0};
    TP_TRY(tp_dataset_read(&full, TAPIR_EXAMPLE_DATA, "train"));
    int64_t size = tp_dataset_size(&full);
    TP_TRY(tp_tensor_new(&train->x, TP_U8, TP_SHAPE(size, SIDE, SIDE)));
    shrink(tp_data(&full.x), tp_data_mut(&train->x), size);
    tp_dataset_free(&full);
    return tp_dataset_split(train, n, (tp_split_opts){0}, held);
}

tp_status learn_examples(const tp_dataset *d, int64_t n, tp_tensor *x)
{
    tp_batches b;
    tp_batch batch;
    bool got;
    TP_TRY(tp_batches_init(&b, d, n, TP_F64));
    tp_status status = tp_batches_next(&b, &batch, &got);
    if (status == TP_OK)
        status = tp_clone(x, &batch.x);
    tp_batches_free(&b);
    return status;
}
