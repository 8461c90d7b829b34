/* parameter.c: making and freeing parameters. */
#include "autograd/parameter.h"
#include "tensor/mem.h"

#include <stdatomic.h>

static atomic_uint next_slot;

tp_status tp_parameter_init(tp_parameter *p, const char *name, tp_dtype dtype, tp_shape shape)
{
    if (!tp_dtype_is_float(dtype))
        return tp_fail(TP_EDTYPE, "parameter '%s' would be %s: parameters are f32 or f64", name,
                       tp_dtype_name(dtype));
    tp_parameter q = {.name = tp_strdup(name)};
    tp_status s = q.name == NULL ? TP_ENOMEM : tp_tensor_new(&q.value, dtype, shape);
    if (s == TP_OK)
        s = tp_tensor_new(&q.grad, dtype, shape);
    if (s != TP_OK) {
        tp_fail_prefix("parameter '%s': ", name);
        tp_parameter_free(&q);
        return s;
    }
    q.slot = atomic_fetch_add(&next_slot, 1) + 1; /* 0 is that of a freed parameter */
    *p = q;
    return TP_OK;
}

void tp_parameter_free(tp_parameter *p)
{
    tp_free_string(p->name);
    tp_tensor_free(&p->value);
    tp_tensor_free(&p->grad);
    *p = (tp_parameter){0};
}

const tp_tensor *tp_parameter_grad(const tp_parameter *p)
{
    return p->has_grad ? &p->grad : NULL;
}

void tp_zero_grad(tp_parameter *p)
{
    p->has_grad = false;
}
