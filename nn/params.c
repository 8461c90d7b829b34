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
        if (grown == NULL) {
            tp_fail_prefix("parameter '%s': ", name);
            return TP_ENOMEM;
        }
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

/* The parameters as a list of named tensors, for a file; freed with tp_free(items, n·size). */
static tp_named_tensor *items_of(const tp_params *ps, const char *path)
{
    tp_named_tensor *items = tp_alloc((size_t)ps->n * sizeof *items);
    if (items == NULL)
        tp_fail_prefix("%s: ", path);
    for (int i = 0; items != NULL && i < ps->n; i++)
        items[i] = (tp_named_tensor){ps->item[i]->name, &ps->item[i]->value};
    return items;
}

tp_status tp_params_save(const tp_params *ps, const char *path, const char *const *metadata)
{
    tp_named_tensor *items = items_of(ps, path);
    if (items == NULL)
        return TP_ENOMEM;
    tp_status s = tp_safetensors_save(path, items, ps->n, metadata);
    tp_free(items, (size_t)ps->n * sizeof *items);
    return s;
}

tp_status tp_params_load(const tp_params *ps, const char *path)
{
    tp_safetensors file;
    tp_named_tensor *items = items_of(ps, path);
    if (items == NULL)
        return TP_ENOMEM;
    tp_status s = tp_safetensors_open(&file, path);
    if (s == TP_OK) {
        s = tp_safetensors_verify(&file);
        if (s == TP_OK)
            s = tp_safetensors_load_all(&file, items, ps->n);
        tp_safetensors_close(&file);
    }
    tp_free(items, (size_t)ps->n * sizeof *items);
    return s;
}
