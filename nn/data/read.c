/* read.c: examples and labels out of idx and npy files. Read next: tensor/io/idx.h, npy.h. */
#include "nn/data/source.h"
#include "tensor/io/idx.h"
#include "tensor/io/npy.h"

static tp_status check_examples(const char *path, const tp_tensor *x)
{
    char text[TP_TENSOR_TEXT];
    if (x->shape.ndim < 2 || tp_numel(x) == 0)
        return tp_fail(TP_EFORMAT,
                       "%s: %s is not a list of images: [count, …] needed, at least one", path,
                       tp_tensor_text(x, text));
    if (x->dtype == TP_I64)
        return tp_fail(TP_EDTYPE, "%s: elements are i64, expected u8 (0 to 255), f32 or f64", path);
    return TP_OK;
}

/* NumPy's whole numbers are i64 unless one says otherwise: they become bytes. */
static tp_status to_bytes(const char *path, tp_tensor *labels)
{
    tp_tensor bytes;
    int64_t n = tp_numel(labels);
    if (labels->dtype == TP_U8)
        return TP_OK;
    if (labels->dtype != TP_I64)
        return tp_fail(TP_EDTYPE, "%s: labels are %s, expected u8 or i64", path,
                       tp_dtype_name(labels->dtype));
    const int64_t *from = tp_data(labels);
    for (int64_t i = 0; i < n; i++)
        if (from[i] < 0 || from[i] > 255)
            return tp_fail(TP_EVALUE, "%s: label %lld is %lld, expected 0 to 255", path,
                           (long long)i, (long long)from[i]);
    TP_TRY(tp_tensor_new(&bytes, TP_U8, TP_SHAPE(n)));
    unsigned char *to = tp_data_mut(&bytes);
    for (int64_t i = 0; i < n; i++)
        to[i] = (unsigned char)from[i];
    tp_tensor_free(labels);
    *labels = bytes;
    return TP_OK;
}

static tp_status check_labels(const char *path, tp_tensor *labels, int64_t n)
{
    char text[TP_TENSOR_TEXT];
    if (labels->shape.ndim != 1 || labels->shape.dim[0] != n)
        return tp_fail(TP_EFORMAT, "%s: labels %s do not match %lld images", path,
                       tp_tensor_text(labels, text), (long long)n);
    return to_bytes(path, labels);
}

tp_status tp_read_arrays(tp_dataset *d, const tp_source *s)
{
    tp_status (*read)(const char *, tp_tensor *) =
        s->kind == TP_SOURCE_IDX ? tp_idx_read : tp_npy_load;
    tp_dataset made = {0};
    TP_TRY(read(s->x, &made.x));
    tp_status status = check_examples(s->x, &made.x);
    if (status == TP_OK && *s->labels != '\0') {
        status = read(s->labels, &made.labels);
        if (status == TP_OK)
            status = check_labels(s->labels, &made.labels, tp_dataset_size(&made));
    }
    if (status == TP_OK)
        *d = made;
    else
        tp_dataset_free(&made);
    return status;
}
