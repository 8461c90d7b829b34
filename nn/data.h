/* data.h: data sets in memory and shuffled minibatches.
 *
 * Images stay as they were stored (u8); a batch is gathered, scaled to [0,1] floats and, if asked for, binarized
 * on the way. The order of an epoch depends on (seed, epoch) only; the last, smaller batch is kept.
 * Read next: data/source.h for where data come from, train.h.
 */
#ifndef TP_NN_DATA_H
#define TP_NN_DATA_H

#include "nn/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- data sets ---------------------------------------------------------------------------------- */

typedef struct tp_dataset {
    tp_tensor x;      /* [n, …] u8 (0…255, scaled by 1/255), f32 or f64 (as they are) */
    tp_tensor labels; /* [n] u8; empty (storage NULL) if there are none */
} tp_dataset;

/* What becomes of a folder of PNG. Grey or colour is what a file says of itself: one with a palette is colour. */
typedef enum tp_channels {
    TP_CHANNELS_GREY, /* [n, height, width]: colour becomes grey */
    TP_CHANNELS_COLOUR, /* [n, 3, height, width]: red, green and blue planes; those of grey are equal */
    TP_CHANNELS_AUTO /* as they are: COLOUR if any of this split is colour, else GREY; read further splits as
                       the first one turned out */
} tp_channels;

typedef struct tp_dataset_opts {
    tp_channels channels;
} tp_dataset_opts;

/* Reads one split ("train", "test", "t10k", "valid", …) of whatever path is. A folder holds, looked for in this order,
 *   <split>-images-idx3-ubyte and, if there, <split>-labels-idx1-ubyte, as MNIST; each plain or with .gz;
 *   <split>.npy: u8, f32 or f64 [n, …] and, if there, <split>-labels.npy: u8 or i64 [n], 0 to 255;
 *   <split>/: a folder of PNG, see below;
 *   only for "train": the pictures themselves, if nothing of the above is there for any split.
 * A file is an idx (plain or gzip) or npy array, told by its first bytes, and has the split "train" only. An array has
 * whatever shape it has behind the count; pictures in colour are [n, 3, height, width] for everything that knows of
 * pictures.
 *
 * A folder of PNG gives u8, here grey, [n, height, width]: every *.png in it, in bytewise order of names; names with a
 * dot in front are left out, and so is every other file. Or it holds folders of them only, one for each class (as
 * torchvision's ImageFolder): in bytewise order of their names they are the labels 0, 1, …. All pictures are of
 * one size. Colour becomes grey by ITU-R 601 luma as in Pillow's convert("L"): (19595 R + 38470 G + 7471 B + 2^15)
 * / 2^16, rounded down; alpha is dropped; of 16 bits the nearest 8 are kept.
 *
 * TP_EIO names what was looked for; TP_EFORMAT if files are damaged, are not lists of examples, or do not fit
 * together; TP_EDTYPE, TP_EVALUE for labels, TP_ENOMEM. On failure *d is untouched. */
tp_status tp_dataset_read(tp_dataset *d, const char *path, const char *split);
/* The same with a choice of what a folder of PNG becomes. Arrays are as they are. TP_EARG for no tp_channels. */
tp_status tp_dataset_read_as(tp_dataset *d, const char *path, const char *split,
                             tp_dataset_opts opts);
/* Whether there is such a split; one that cannot be looked at counts, so that reading it says why. */
bool tp_dataset_exists(const char *path, const char *split);
/* Frees images and labels; an empty one is fine. */
void tp_dataset_free(tp_dataset *d);
int64_t tp_dataset_size(const tp_dataset *d);
/* Elements of one example. */
int64_t tp_dataset_width(const tp_dataset *d);
/* The shape of one example, [height, width] or [3, height, width] of pictures: what tp_model_config.data_shape takes.
 * No dimensions if there is no data set. */
tp_shape tp_dataset_shape(const tp_dataset *d);

typedef struct tp_split_opts {
    bool
        shuffled; /* the examples cut off are drawn by a permutation; false: they are the last ones */
    uint64_t seed; /* of the permutation */
} tp_split_opts;

/* Cuts count examples off d into *off, for validation; both keep the stored order. Depends on size, count and
 * options only. d becomes new memory: batches of it must be made afterwards. TP_EARG unless at least one example goes
 * and one stays, TP_ENOMEM; on failure both are untouched. */
tp_status tp_dataset_split(tp_dataset *d, int64_t count, tp_split_opts opts, tp_dataset *off);

/* --- minibatches -------------------------------------------------------------------------------- */

typedef struct tp_batch {
    tp_tensor x;      /* [n, width], a view of the batches' buffer */
    tp_tensor index;  /* i64 [n]: which examples they are */
    tp_tensor labels; /* i64 [n]; empty (storage NULL) if the data have none */
    int64_t n;
} tp_batch;

typedef enum tp_binarization {
    TP_BINARIZE_GREY,      /* as they are */
    TP_BINARIZE_THRESHOLD, /* 1 where x > 1/2, else 0 */
    TP_BINARIZE_STATIC,    /* 1 with probability x: one draw, kept for good */
    TP_BINARIZE_DYNAMIC /* a draw for each epoch; in stored order, for evaluation, the one of STATIC */
} tp_binarization;

typedef struct tp_binarize_opts {
    tp_binarization kind;
    uint64_t
        seed; /* of the draw that is kept. Those of epochs have the seed of tp_batches_shuffle */
} tp_binarize_opts;

typedef struct tp_batches {
    const tp_dataset *data;
    tp_tensor buffer; /* [batch_size, width] */
    tp_tensor order;  /* i64 [size] */
    tp_tensor labels; /* i64 [batch_size]; empty if the data have none */
    int64_t size, batch_size, at;
    tp_binarize_opts binarize;
    tp_rng_key draw;      /* that binarizes now */
    uint32_t fingerprint; /* once tp_batches_fingerprint has been asked */
    bool has_fingerprint;
} tp_batches;

/* Minibatches of batch_size examples as floats of dtype; in stored order until tp_batches_shuffle. TP_EARG
 * unless batch_size is positive; TP_ESHAPE if the data set is empty. */
tp_status tp_batches_init(tp_batches *b, const tp_dataset *data, int64_t batch_size,
                          tp_dtype dtype);
/* Frees buffer and order, not the data set. */
void tp_batches_free(tp_batches *b);
/* Turns pixels into 0 and 1 from here on, in stored order. A pixel's value is a function of its grey value, its
 * place in the picture, the number of the example, and the seed (and epoch): not of batch size, order or threads. Two
 * data sets with one seed share their draws, example by example: give each its own. Published likelihoods are of
 * STATIC or of DYNAMIC and cannot be compared with each other; those of GREY are none.
 * Unless GREY: TP_EVALUE for floats outside [0,1], TP_EARG for more than 2^32 examples; *b stays as it was. */
tp_status tp_batches_binarize(tp_batches *b, tp_binarize_opts opts);
/* Starts an epoch in an order that depends on seed and epoch only; tp_batches_rewind in stored order. */
void tp_batches_shuffle(tp_batches *b, uint64_t seed, uint64_t epoch);
void tp_batches_rewind(tp_batches *b);
/* Passes over the next examples: TP_EARG unless that ends at a batch's border within the epoch. */
tp_status tp_batches_skip(tp_batches *b, int64_t examples);
/* CRC-32 of the data: shapes, types and values of examples and labels, in row-major order, and how they are
 * binarized. Computed once. TP_ENOMEM. */
tp_status tp_batches_fingerprint(tp_batches *b, uint32_t *crc);
/* Number of batches in an epoch. */
int64_t tp_batches_count(const tp_batches *b);
/* The next batch; its values are overwritten by the next call. *got is false at the end of the epoch. */
tp_status tp_batches_next(tp_batches *b, tp_batch *out, bool *got);
/* Any n examples as a batch of now has them, into x [n, width], f32 or f64. TP_ESHAPE, TP_EDTYPE; TP_EVALUE for an
 * index out of range. */
tp_status tp_batches_gather(const tp_batches *b, const int64_t *index, int64_t n, tp_tensor *x);

#ifdef __cplusplus
}
#endif
#endif
