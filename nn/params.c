/* params.c: the list of named parameters, its files and its initial values. */
#include "nn/params.h"
#include "nn/ctx.h"
#include "tensor/io/safetensors.h"
#include "tensor/map.h"
#include "tensor/mem.h"

#include <string.h>

tp_params tp_params_make(tp_dtype dtype, uint64_t seed)
{
    return (tp_params){.dtype = dtype, .seed = seed};
}

void tp_params_free(tp_params *ps)
{
    for (int i = 0; i < ps->n; i++)
        tp_parameter_free(ps->item[i]);
    tp_free(ps->item, (size_t)ps->capacity * sizeof *ps->item);
    *ps = (tp_params){.dtype = ps->dtype, .seed = ps->seed};
}

tp_parameter *tp_params_find(const tp_params *ps, const char *name)
{
    for (int i = 0; i < ps->n; i++)
        if (strcmp(ps->item[i]->name, name) == 0)
            return ps->item[i];
    return NULL;
}

tp_status tp_params_add(tp_params *ps, tp_parameter *p, const char *name, tp_shape shape)
{
    if (tp_params_find(ps, name) != NULL)
        return tp_fail(TP_EARG, "two parameters are named '%s'", name);
    if (ps->n == ps->capacity) {
        int capacity = ps->capacity * 2 + 16;
        tp_parameter **grown = tp_realloc(ps->item, (size_t)ps->capacity * sizeof *grown,
                                          (size_t)capacity * sizeof *grown);
        if (grown == NULL)
            return TP_ENOMEM;
        ps->item = grown;
        ps->capacity = capacity;
    }
    TP_TRY(tp_parameter_init(p, name, ps->dtype, shape));
    ps->item[ps->n++] = p;
    return TP_OK;
}

void tp_params_zero_grad(const tp_params *ps)
{
    for (int i = 0; i < ps->n; i++)
        tp_zero_grad(ps->item[i]);
}

int64_t tp_params_count(const tp_params *ps)
{
    int64_t count = 0;
    for (int i = 0; i < ps->n; i++)
        count += tp_numel(&ps->item[i]->value);
    return count;
}

tp_status tp_init_uniform(const tp_params *ps, tp_parameter *p, double bound)
{
    tp_rng_key key = tp_stream_key(ps->seed, TP_STREAM_INIT, 0);
    for (int i = 0; i < ps->n; i++)
        if (ps->item[i] == p)
            key.draw = (uint32_t)i;
    TP_TRY(tp_random_uniform(&p->value, key));
    const tp_tensor *x[1] = {&p->value};
    const double scale_and_shift[2] = {2 * bound, -bound};
    return tp_map(TP_K_affine, &p->value, x, scale_and_shift);
}

tp_status tp_params_save(const tp_params *ps, const char *path, const char *const *metadata)
{
    size_t bytes = (size_t)ps->n * sizeof(tp_named_tensor);
    tp_named_tensor *items = tp_alloc(bytes);
    if (items == NULL)
        return TP_ENOMEM;
    for (int i = 0; i < ps->n; i++)
        items[i] = (tp_named_tensor){ps->item[i]->name, &ps->item[i]->value};
    tp_status s = tp_safetensors_save(path, items, ps->n, metadata);
    tp_free(items, bytes);
    return s;
}

/* Every parameter is in the file with its shape and dtype, and nothing else is. */
static tp_status check_entries(const tp_params *ps, const tp_safetensors *file, const char *path)
{
    char want[TP_TENSOR_TEXT], shape[TP_SHAPE_TEXT];
    for (int i = 0; i < ps->n; i++) {
        const tp_parameter *p = ps->item[i];
        const tp_safetensors_entry *e = tp_safetensors_find(file, p->name);
        if (e == NULL)
            return tp_fail(TP_EFORMAT, "%s: tensor '%s' is missing: the file is of another model",
                           path, p->name);
        if (e->dtype != p->value.dtype || !tp_shape_equal(e->shape, p->value.shape))
            return tp_fail(TP_EFORMAT, "%s: tensor '%s' is %s%s, the model needs %s", path, p->name,
                           tp_dtype_name(e->dtype), tp_shape_text(e->shape, shape),
                           tp_tensor_text(&p->value, want));
    }
    for (int i = 0; i < file->n; i++)
        if (tp_params_find(ps, file->entry[i].name) == NULL)
            return tp_fail(TP_EFORMAT, "%s: tensor '%s' does not belong to the model", path,
                           file->entry[i].name);
    return TP_OK;
}

/* Reads everything before it writes anything: a disk that fails half-way changes no parameter. */
static tp_status load_all(const tp_params *ps, const tp_safetensors *file, tp_tensor *fresh)
{
    for (int i = 0; i < ps->n; i++)
        TP_TRY(tp_safetensors_load_new(file, ps->item[i]->name, &fresh[i]));
    for (int i = 0; i < ps->n; i++)
        TP_TRY(tp_copy(&ps->item[i]->value, &fresh[i]));
    return TP_OK;
}

tp_status tp_params_load(const tp_params *ps, const char *path)
{
    tp_safetensors file;
    size_t bytes = (size_t)ps->n * sizeof(tp_tensor);
    TP_TRY(tp_safetensors_open(&file, path));
    tp_status s = check_entries(ps, &file, path);
    tp_tensor *fresh = s == TP_OK ? tp_alloc_zero(bytes) : NULL;
    if (s == TP_OK)
        s = fresh == NULL ? TP_ENOMEM : load_all(ps, &file, fresh);
    for (int i = 0; fresh != NULL && i < ps->n; i++)
        tp_tensor_free(&fresh[i]);
    tp_free(fresh, bytes);
    tp_safetensors_close(&file);
    return s;
}
