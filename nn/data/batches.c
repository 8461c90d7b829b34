/* batches.c: minibatches: order, gathering, scaling, binarization.
 *
 * All of it happens on the way into one buffer; the data stay bytes. Read next: tensor/rng.h, nn/train.c. */
#include "nn/data.h"
#include "tensor/gather.h"
#include "tensor/io/file.h"
#include "tensor/map.h"
#include "tensor/mem.h"
#include "tensor/scan.h"

#include <stdio.h>
#include <string.h>

tp_status tp_batches_init(tp_batches *b, const tp_dataset *data, int64_t batch_size, tp_dtype dtype)
{
    tp_batches made = {.data = data, .size = tp_dataset_size(data), .batch_size = batch_size};
    if (batch_size < 1)
        return tp_fail(TP_EARG, "a batch size of %lld: 1 or more needed", (long long)batch_size);
    if (made.size < 1)
        return tp_fail(TP_ESHAPE, "the data set is empty: at least one example needed");
    if (batch_size > made.size)
        made.batch_size = made.size;
    tp_status s = tp_tensor_new(&made.order, TP_I64, TP_SHAPE(made.size));
    if (s != TP_OK)
        tp_fail_prefix("the order of %lld examples: ", (long long)made.size);
    if (s == TP_OK && data->labels.storage != NULL)
        s = tp_tensor_new(&made.labels, TP_I64, TP_SHAPE(made.batch_size));
    if (s == TP_OK)
        s = tp_tensor_new(&made.buffer, dtype, TP_SHAPE(made.batch_size, tp_dataset_width(data)));
    if (s != TP_OK) {
        tp_batches_free(&made);
        return s;
    }
    *b = made;
    tp_batches_rewind(b);
    return TP_OK;
}

tp_status tp_batches_binarize(tp_batches *b, tp_binarize_opts opts)
{
    const tp_tensor *x = &b->data->x;
    char at[TP_SHAPE_TEXT];
    bool grey = opts.kind == TP_BINARIZE_GREY;
    if (!grey && b->size > (int64_t)1 << 32)
        return tp_fail(TP_EARG, "%lld examples: at most 2^32 can be binarized", (long long)b->size);
    int64_t bad = grey || x->dtype == TP_U8 ? -1 : tp_first_outside(x, 0, 1);
    if (bad >= 0)
        return tp_fail(TP_EVALUE, "the data cannot be binarized: x%s = %g, expected 0 to 1",
                       tp_index_text(x->shape, bad, at), tp_flat(x, bad));
    b->binarize = opts;
    b->has_fingerprint = false;
    tp_batches_rewind(b);
    return TP_OK;
}

void tp_batches_free(tp_batches *b)
{
    tp_tensor_free(&b->order);
    tp_tensor_free(&b->labels);
    tp_tensor_free(&b->buffer);
    *b = (tp_batches){0};
}

/* Step 0 of the stream is the draw that is kept, step e + 1 that of epoch e. */
void tp_batches_shuffle(tp_batches *b, uint64_t seed, uint64_t epoch)
{
    b->draw = b->binarize.kind == TP_BINARIZE_DYNAMIC
                  ? tp_stream_key(seed, TP_STREAM_BINARIZE, epoch + 1)
                  : tp_stream_key(b->binarize.seed, TP_STREAM_BINARIZE, 0);
    tp_random_permutation(tp_data_mut(&b->order), b->size,
                          tp_stream_key(seed, TP_STREAM_SHUFFLE, epoch));
    b->at = 0;
}

void tp_batches_rewind(tp_batches *b)
{
    b->draw = tp_stream_key(b->binarize.seed, TP_STREAM_BINARIZE, 0);
    int64_t *order = tp_data_mut(&b->order);
    for (int64_t i = 0; i < b->size; i++)
        order[i] = i;
    b->at = 0;
}

tp_status tp_batches_skip(tp_batches *b, int64_t examples)
{
    bool inside = examples >= 0 && examples <= b->size - b->at;
    int64_t at = inside ? b->at + examples : 0;
    if (!inside || (at % b->batch_size != 0 && at != b->size))
        return tp_fail(TP_EARG, "cannot pass over %lld examples at %lld of %lld in batches of %lld",
                       (long long)examples, (long long)b->at, (long long)b->size,
                       (long long)b->batch_size);
    b->at = at;
    return TP_OK;
}

static tp_status add_tensor(uint32_t *crc, const tp_tensor *t)
{
    tp_tensor copy = {0};
    if (t->storage == NULL)
        return TP_OK;
    if (!tp_is_contiguous(t)) {
        TP_TRY(tp_clone(&copy, t));
        t = &copy;
    }
    char text[TP_TENSOR_TEXT];
    tp_tensor_text(t, text);
    *crc = tp_crc32(*crc, text, strlen(text));
    *crc = tp_crc32(*crc, tp_data(t), (size_t)(tp_numel(t) * tp_dtype_size(t->dtype)));
    tp_tensor_free(&copy);
    return TP_OK;
}

/* Grey data are what they were before there was anything else. */
static void add_binarization(uint32_t *crc, tp_binarize_opts o)
{
    char text[64];
    bool drawn = o.kind == TP_BINARIZE_STATIC || o.kind == TP_BINARIZE_DYNAMIC;
    if (o.kind == TP_BINARIZE_GREY)
        return;
    snprintf(text, sizeof text, "binarization %d seed %llu", (int)o.kind,
             drawn ? (unsigned long long)o.seed : 0);
    *crc = tp_crc32(*crc, text, strlen(text));
}

tp_status tp_batches_fingerprint(tp_batches *b, uint32_t *crc)
{
    if (!b->has_fingerprint) {
        b->fingerprint = 0;
        TP_TRY(add_tensor(&b->fingerprint, &b->data->x));
        TP_TRY(add_tensor(&b->fingerprint, &b->data->labels));
        add_binarization(&b->fingerprint, b->binarize);
        b->has_fingerprint = true;
    }
    *crc = b->fingerprint;
    return TP_OK;
}

int64_t tp_batches_count(const tp_batches *b)
{
    return (b->size + b->batch_size - 1) / b->batch_size;
}

/* --- examples as they are wanted ------------------------------------------------------------------ */

/* x > 1/2 as 1 - [0 <= x <= 1/2], which needs no memory. */
static tp_status threshold(tp_tensor *x)
{
    const double low_half[] = {0, 0.5}, one_minus[] = {-1, 1};
    const tp_tensor *from[] = {x};
    TP_TRY(tp_map(TP_K_inside, x, from, low_half));
    return tp_map(TP_K_affine, x, from, one_minus);
}

/* Each example has its own number of the draw, so that neither its place in the batch nor the others matter. */
static tp_status draw(const tp_batches *b, const int64_t *index, int64_t n, tp_tensor *x)
{
    for (int64_t i = 0; i < n; i++) {
        tp_tensor row;
        tp_rng_key key = b->draw;
        key.draw = (uint32_t)index[i];
        TP_TRY(tp_view_select(x, 0, i, &row));
        TP_TRY(tp_random_bernoulli(&row, &row, key));
    }
    return TP_OK;
}

tp_status tp_batches_gather(const tp_batches *b, const int64_t *index, int64_t n, tp_tensor *x)
{
    tp_tensor rows;
    TP_TRY(tp_view_reshape(&b->data->x, TP_SHAPE(b->size, tp_dataset_width(b->data)), &rows));
    TP_TRY(tp_gather_rows(x, &rows, index, n, rows.dtype == TP_U8 ? 1.0 / 255 : 1));
    switch (b->binarize.kind) {
    case TP_BINARIZE_GREY:
        return TP_OK;
    case TP_BINARIZE_THRESHOLD:
        return threshold(x);
    default:
        return draw(b, index, n, x);
    }
}

/* The labels of a batch's examples, if there are any. */
static tp_status gather_labels(tp_batches *b, tp_batch *batch)
{
    if (b->labels.storage == NULL)
        return TP_OK;
    const int64_t *index = tp_data(&batch->index);
    TP_TRY(tp_view_slice(&b->labels, 0, 0, batch->n, 1, &batch->labels));
    int64_t *to = tp_data_mut(&batch->labels);
    for (int64_t i = 0; i < batch->n; i++)
        to[i] = (int64_t)tp_flat(&b->data->labels, index[i]);
    return TP_OK;
}

tp_status tp_batches_next(tp_batches *b, tp_batch *out, bool *got)
{
    int64_t n = b->size - b->at < b->batch_size ? b->size - b->at : b->batch_size;
    tp_batch batch = {.n = n};
    *got = n > 0;
    if (n <= 0)
        return TP_OK;
    TP_TRY(tp_view_slice(&b->buffer, 0, 0, n, 1, &batch.x));
    TP_TRY(tp_view_slice(&b->order, 0, b->at, b->at + n, 1, &batch.index));
    TP_TRY(tp_batches_gather(b, tp_data(&batch.index), n, &batch.x));
    TP_TRY(gather_labels(b, &batch));
    *out = batch;
    b->at += n;
    return TP_OK;
}
