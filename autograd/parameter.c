/* parameter.c: making and freeing parameters. */
#include "autograd/parameter.h"
#include "tensor/mem.h"

#include <stdatomic.h>

/* A tape has a table by slot. Slots of freed parameters are given out again, or every model ever made would make
 * the tables of all tapes to come longer. Beyond those of the map they are not. Slot 0 is that of a freed parameter. */
enum { WORDS = 1024, MAPPED = 64 * WORDS };
static _Atomic uint64_t taken[WORDS];
static atomic_uint beyond;

static uint32_t take_slot(void)
{
    for (uint32_t i = 0; i < WORDS; i++) {
        uint64_t bits = atomic_load(&taken[i]);
        while (bits != UINT64_MAX) {
            uint64_t lowest = ~bits & (bits + 1);
            if (atomic_compare_exchange_weak(&taken[i], &bits, bits | lowest))
                return 64 * i + (uint32_t)__builtin_ctzll((unsigned long long)lowest) + 1;
        }
    }
    return MAPPED + 1 + atomic_fetch_add(&beyond, 1);
}

static void give_slot(uint32_t slot)
{
    if (slot > 0 && slot <= MAPPED)
        atomic_fetch_and(&taken[(slot - 1) / 64], ~((uint64_t)1 << (slot - 1) % 64));
}

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
    q.slot = take_slot();
    *p = q;
    return TP_OK;
}

void tp_parameter_free(tp_parameter *p)
{
    give_slot(p->slot);
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
