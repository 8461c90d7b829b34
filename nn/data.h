/* data.h: data sets in memory and shuffled minibatches.
 *
 * Images stay as they were stored (u8); a batch is gathered and scaled to [0,1] floats on the way. The order
 * of an epoch depends on (seed, epoch) only; the last, smaller batch is kept. Read next: train.h.
 */
#ifndef TP_NN_DATA_H
#define TP_NN_DATA_H

#include "nn/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_dataset {
    tp_tensor x;      /* [n, …] u8 (0…255, scaled by 1/255), f32 or f64 (as they are) */
    tp_tensor labels; /* [n] u8; empty (storage NULL) if there are none */
} tp_dataset;

/* Reads "<split>-images-idx3-ubyte" and, if there, "<split>-labels-idx1-ubyte" from a directory, plain or
 * with ".gz". Splits of MNIST are "train" and "t10k". TP_EIO names what was looked for; TP_EFORMAT if the
 * files are damaged or images and labels do not match in number. */
tp_status tp_dataset_read(tp_dataset *d, const char *directory, const char *split);
/* Whether a directory holds such images. */
bool tp_dataset_exists(const char *directory, const char *split);
/* Frees images and labels; an empty one is fine. */
void tp_dataset_free(tp_dataset *d);
int64_t tp_dataset_size(const tp_dataset *d);
/* Elements of one example. */
int64_t tp_dataset_width(const tp_dataset *d);

typedef struct tp_batch {
    tp_tensor x;          /* [n, width], a view of the batches' buffer */
    const int64_t *index; /* which examples they are */
    int64_t n;
} tp_batch;

typedef struct tp_batches {
    const tp_dataset *data;
    tp_tensor buffer; /* [batch_size, width] */
    int64_t *order, size, batch_size, at;
    uint32_t fingerprint; /* once tp_batches_fingerprint has been asked */
    bool has_fingerprint;
} tp_batches;

/* Minibatches of batch_size examples as floats of dtype; in stored order until tp_batches_shuffle. TP_EARG
 * unless batch_size is positive; TP_ESHAPE if the data set is empty. */
tp_status tp_batches_init(tp_batches *b, const tp_dataset *data, int64_t batch_size,
                          tp_dtype dtype);
/* Frees buffer and order, not the data set. */
void tp_batches_free(tp_batches *b);
/* Starts an epoch in an order that depends on seed and epoch only; tp_batches_rewind in stored order. */
void tp_batches_shuffle(tp_batches *b, uint64_t seed, uint64_t epoch);
void tp_batches_rewind(tp_batches *b);
/* Passes over the next examples: TP_EARG unless that ends at a batch's border within the epoch. */
tp_status tp_batches_skip(tp_batches *b, int64_t examples);
/* CRC-32 of the data set: shapes, types and values of examples and labels, in row-major order. Computed once.
 * TP_ENOMEM. */
tp_status tp_batches_fingerprint(tp_batches *b, uint32_t *crc);
/* Number of batches in an epoch. */
int64_t tp_batches_count(const tp_batches *b);
/* The next batch; its values are overwritten by the next call. *got is false at the end of the epoch. */
tp_status tp_batches_next(tp_batches *b, tp_batch *out, bool *got);

#ifdef __cplusplus
}
#endif
#endif
