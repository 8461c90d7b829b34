/* arena_tensor.c: tensors in memory of an arena: values of the tape, gradients, temporaries. Read next: mem.h. */
#include "tensor/mem.h"
#include "tensor/tensor.h"

tp_status tp_arena_tensor(tp_arena *a, tp_tensor *y, tp_dtype dtype, tp_shape shape)
{
    TP_TRY(tp_shape_check(shape, tp_dtype_size(dtype)));
    size_t bytes = (size_t)(tp_shape_numel(shape) * tp_dtype_size(dtype));
    tp_storage *s = tp_arena_alloc(a, sizeof *s);
    void *data = s == NULL ? NULL : tp_arena_alloc(a, bytes);
    if (data == NULL) {
        if (s != NULL)
            tp_arena_recycle(a, s, sizeof *s);
        return TP_ENOMEM;
    }
    *s = (tp_storage){.data = data, .bytes = bytes, .arena = a, .uses = 1};
    *y = (tp_tensor){.storage = s, .shape = shape, .dtype = dtype};
    tp_strides(shape, y->stride);
    return TP_OK;
}

void tp_tensor_drop(tp_tensor *y)
{
    tp_storage *s = y->storage;
    if (s != NULL && s->arena != NULL && --s->uses == 0) {
        tp_arena_recycle(s->arena, s->data, s->bytes);
        tp_arena_recycle(s->arena, s, sizeof *s);
    }
    y->storage = NULL;
}
