/* data.c: finding and reading idx data sets, and minibatches. */
#include "nn/data.h"
#include "tensor/gather.h"
#include "tensor/io/file.h"
#include "tensor/io/idx.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

/* --- data sets ---------------------------------------------------------------------------------- */

enum { PATH_BYTES = 1024 };

/* "<directory>/<split>-<kind>", or the same with .gz, whichever exists. One that is there and cannot
 * be opened exists: labels must not get lost because a descriptor was short, nor other images be taken. */
static bool find_file(char path[PATH_BYTES], const char *directory, const char *split,
                      const char *kind)
{
    static const char *const endings[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        int n = snprintf(path, PATH_BYTES, "%s/%s-%s%s", directory, split, kind, endings[i]);
        if (n < PATH_BYTES && !tp_file_missing(path))
            return true;
    }
    return false;
}

bool tp_dataset_exists(const char *directory, const char *split)
{
    char path[PATH_BYTES];
    return find_file(path, directory, split, "images-idx3-ubyte");
}

tp_status tp_dataset_read(tp_dataset *d, const char *directory, const char *split)
{
    char path[PATH_BYTES];
    tp_dataset made = {0};
    if (!find_file(path, directory, split, "images-idx3-ubyte"))
        return tp_fail(TP_EIO,
                       "%s: no data: neither %s-images-idx3-ubyte nor the same with .gz is there",
                       directory, split);
    TP_TRY(tp_idx_read(path, &made.x));
    tp_status s = TP_OK;
    if (made.x.shape.ndim < 2 || tp_numel(&made.x) == 0) {
        char text[TP_TENSOR_TEXT];
        s = tp_fail(TP_EFORMAT,
                    "%s: %s is not a list of images: [count, height, width] needed, at least one",
                    path, tp_tensor_text(&made.x, text));
    }
    if (s == TP_OK && find_file(path, directory, split, "labels-idx1-ubyte"))
        s = tp_idx_read(path, &made.labels);
    if (s == TP_OK && made.labels.storage != NULL &&
        (made.labels.shape.ndim != 1 || made.labels.shape.dim[0] != made.x.shape.dim[0])) {
        char text[TP_TENSOR_TEXT];
        s = tp_fail(TP_EFORMAT, "%s: labels %s do not match %lld images", path,
                    tp_tensor_text(&made.labels, text), (long long)made.x.shape.dim[0]);
    }
    if (s != TP_OK) {
        tp_dataset_free(&made);
        return s;
    }
    *d = made;
    return TP_OK;
}

void tp_dataset_free(tp_dataset *d)
{
    tp_tensor_free(&d->x);
    tp_tensor_free(&d->labels);
}

int64_t tp_dataset_size(const tp_dataset *d)
{
    return d->x.shape.dim[0];
}

int64_t tp_dataset_width(const tp_dataset *d)
{
    return tp_dataset_size(d) > 0 ? tp_numel(&d->x) / tp_dataset_size(d) : 0;
}

/* --- minibatches -------------------------------------------------------------------------------- */

tp_status tp_batches_init(tp_batches *b, const tp_dataset *data, int64_t batch_size, tp_dtype dtype)
{
    tp_batches made = {.data = data, .size = tp_dataset_size(data), .batch_size = batch_size};
    if (batch_size < 1)
        return tp_fail(TP_EARG, "a batch size of %lld: 1 or more needed", (long long)batch_size);
    if (made.size < 1)
        return tp_fail(TP_ESHAPE, "the data set is empty: at least one example needed");
    if (batch_size > made.size)
        made.batch_size = made.size;
    made.order = tp_alloc((size_t)made.size * sizeof *made.order);
    if (made.order == NULL) {
        tp_fail_prefix("the order of %lld examples: ", (long long)made.size);
        return TP_ENOMEM;
    }
    tp_status s =
        tp_tensor_new(&made.buffer, dtype, TP_SHAPE(made.batch_size, tp_dataset_width(data)));
    if (s != TP_OK) {
        tp_batches_free(&made);
        return s;
    }
    *b = made;
    tp_batches_rewind(b);
    return TP_OK;
}

void tp_batches_free(tp_batches *b)
{
    tp_free(b->order, (size_t)b->size * sizeof *b->order);
    tp_tensor_free(&b->buffer);
    *b = (tp_batches){0};
}

void tp_batches_shuffle(tp_batches *b, uint64_t seed, uint64_t epoch)
{
    tp_random_permutation(b->order, b->size, tp_stream_key(seed, TP_STREAM_SHUFFLE, epoch));
    b->at = 0;
}

void tp_batches_rewind(tp_batches *b)
{
    for (int64_t i = 0; i < b->size; i++)
        b->order[i] = i;
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

tp_status tp_batches_fingerprint(tp_batches *b, uint32_t *crc)
{
    if (!b->has_fingerprint) {
        b->fingerprint = 0;
        TP_TRY(add_tensor(&b->fingerprint, &b->data->x));
        TP_TRY(add_tensor(&b->fingerprint, &b->data->labels));
        b->has_fingerprint = true;
    }
    *crc = b->fingerprint;
    return TP_OK;
}

int64_t tp_batches_count(const tp_batches *b)
{
    return (b->size + b->batch_size - 1) / b->batch_size;
}

tp_status tp_batches_next(tp_batches *b, tp_batch *out, bool *got)
{
    int64_t n = b->size - b->at < b->batch_size ? b->size - b->at : b->batch_size;
    *got = n > 0;
    if (n <= 0)
        return TP_OK;
    tp_tensor x, rows;
    TP_TRY(tp_view_slice(&b->buffer, 0, 0, n, 1, &x));
    TP_TRY(tp_view_reshape(&b->data->x, TP_SHAPE(b->size, tp_dataset_width(b->data)), &rows));
    double scale = rows.dtype == TP_U8 ? 1.0 / 255 : 1;
    TP_TRY(tp_gather_rows(&x, &rows, b->order + b->at, n, scale));
    *out = (tp_batch){x, b->order + b->at, n};
    b->at += n;
    return TP_OK;
}
