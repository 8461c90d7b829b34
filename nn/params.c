/* params.c: the list of named parameters and buffers, and its files. */
#include "nn/params.h"
#include "autograd/ops.h"
#include "tensor/io/safetensors.h"
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
    for (int i = 0; i < ps->buffers; i++)
        tp_buffer_free(ps->buffer[i]);
    tp_free(ps->item, (size_t)ps->capacity * sizeof *ps->item);
    tp_free(ps->buffer, (size_t)ps->buffer_capacity * sizeof *ps->buffer);
    *ps = (tp_params){.dtype = ps->dtype, .seed = ps->seed, .init = ps->init};
}

tp_parameter *tp_params_find(const tp_params *ps, const char *name)
{
    for (int i = 0; i < ps->n; i++)
        if (strcmp(ps->item[i]->name, name) == 0)
            return ps->item[i];
    return NULL;
}

tp_buffer *tp_params_find_buffer(const tp_params *ps, const char *name)
{
    for (int i = 0; i < ps->buffers; i++)
        if (strcmp(ps->buffer[i]->name, name) == 0)
            return ps->buffer[i];
    return NULL;
}

/* Whether what is to be added may have that name. */
static tp_status check_name(const tp_params *ps, const char *what, const char *name)
{
    bool parameter = tp_params_find(ps, name) != NULL;
    if (!parameter && tp_params_find_buffer(ps, name) == NULL)
        return TP_OK;
    if (parameter && what[0] == 'p')
        return tp_fail(TP_EARG, "two parameters are named '%s'", name);
    return tp_fail(TP_EARG, "a %s would be named '%s', as a %s is", what, name,
                   parameter ? "parameter" : "buffer");
}

/* The list, longer if it is full; NULL without memory. */
static void *roomy(void *list, int n, int *capacity, size_t size, const char *what,
                   const char *name)
{
    if (n < *capacity)
        return list;
    int more = *capacity * 2 + 16;
    void *grown = tp_realloc(list, (size_t)*capacity * size, (size_t)more * size);
    if (grown == NULL)
        tp_fail_prefix("%s '%s': ", what, name);
    else
        *capacity = more;
    return grown;
}

tp_status tp_params_add(tp_params *ps, tp_parameter *p, const char *name, tp_shape shape)
{
    TP_TRY(check_name(ps, "parameter", name));
    void *list = roomy(ps->item, ps->n, &ps->capacity, sizeof *ps->item, "parameter", name);
    if (list == NULL)
        return TP_ENOMEM;
    ps->item = list;
    TP_TRY(tp_parameter_init(p, name, ps->dtype, shape));
    ps->item[ps->n++] = p;
    return TP_OK;
}

tp_status tp_params_add_buffer(tp_params *ps, tp_buffer *b, const char *name, tp_dtype dtype,
                               tp_shape shape)
{
    TP_TRY(check_name(ps, "buffer", name));
    void *list =
        roomy(ps->buffer, ps->buffers, &ps->buffer_capacity, sizeof *ps->buffer, "buffer", name);
    if (list == NULL)
        return TP_ENOMEM;
    ps->buffer = list;
    TP_TRY(tp_buffer_init(b, name, dtype, shape));
    ps->buffer[ps->buffers++] = b;
    return TP_OK;
}

void tp_params_zero_grad(const tp_params *ps)
{
    for (int i = 0; i < ps->n; i++)
        tp_zero_grad(ps->item[i]);
}

tp_var tp_params_var(tp_ctx *c, const tp_parameter *p)
{
    /* the tape takes parameters by address and writes their gradients in backward */
    tp_var v = tp_param(c->tape, (tp_parameter *)p);
    return c->frozen > 0 ? tp_detach(v) : v;
}

void tp_params_commit(const tp_params *ps, const tp_tape *t)
{
    for (int i = 0; i < ps->buffers; i++)
        tp_buffer_commit(ps->buffer[i], t);
}

int64_t tp_params_count(const tp_params *ps)
{
    int64_t count = 0;
    for (int i = 0; i < ps->n; i++)
        count += tp_numel(&ps->item[i]->value);
    return count;
}

/* Parameters and buffers as a list of named tensors, for a file; freed with tp_free(items, count_of(ps)·size). */
static int count_of(const tp_params *ps)
{
    return ps->n + ps->buffers;
}

static tp_named_tensor *items_of(const tp_params *ps, const char *path)
{
    tp_named_tensor *items = tp_alloc((size_t)count_of(ps) * sizeof *items);
    if (items == NULL)
        tp_fail_prefix("%s: ", path);
    for (int i = 0; items != NULL && i < ps->n; i++)
        items[i] = (tp_named_tensor){ps->item[i]->name, &ps->item[i]->value};
    for (int i = 0; items != NULL && i < ps->buffers; i++)
        items[ps->n + i] = (tp_named_tensor){ps->buffer[i]->name, &ps->buffer[i]->value};
    return items;
}

tp_status tp_params_save(const tp_params *ps, const char *path, const char *const *metadata)
{
    tp_named_tensor *items = items_of(ps, path);
    if (items == NULL)
        return TP_ENOMEM;
    tp_status s = tp_safetensors_save(path, items, count_of(ps), metadata);
    tp_free(items, (size_t)count_of(ps) * sizeof *items);
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
            s = tp_safetensors_load_all(&file, items, count_of(ps));
        tp_safetensors_close(&file);
    }
    tp_free(items, (size_t)count_of(ps) * sizeof *items);
    return s;
}
