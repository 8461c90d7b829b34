/* broken.c: see broken.h. Each is a copy of a right operation with one thing changed. */
#include "tests/fuzz/broken.h"

#include <stdlib.h>
#include <string.h>

#include "autograd/attrs.h"
#include "autograd/compose.h"
#include "tensor/map.h"
#include "tensor/parallel.h"

static tp_status mul_forward(const tp_op_call *c)
{
    tp_tensor a = *c->x[0], b = *c->x[1];
    if (tp_shape_equal(a.shape, b.shape) && !tp_may_overlap(&a) && a.stride[0] > 0) {
        int64_t last = a.shape.ndim - 1; /* the step of the innermost axis is forgotten */
        if (last >= 0 && a.stride[last] > 1 && a.shape.dim[last] > 1)
            a.stride[last] = 1;
    }
    return tp_map2(c->y, &a, &b, TP_K_mul);
}

static void sub_vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = c->gy;
    gx[1] = c->gy;
}

static tp_status reparameterize_fused(const tp_fused_call *c)
{
    TP_TRY(tp_op_reparameterize.vjp_fused(c));
    for (int64_t i = 0; c->want[1] && i < tp_numel(&c->gx[1]); i++)
        TP_TRY(tp_set_flat(&c->gx[1], i, 1.001 * tp_flat(&c->gx[1], i)));
    return TP_OK;
}

static tp_status add_forward(const tp_op_call *c)
{
    if (tp_numel(c->y) == 0)
        abort();
    return tp_op_add.forward(c);
}

static tp_status exp_forward(const tp_op_call *c)
{
    return tp_alloc(100) == NULL ? TP_ENOMEM : tp_op_exp.forward(c);
}

static tp_status neg_shape(const tp_op_call *c)
{
    if (c->x[0]->shape.ndim == 0)
        return tp_fail(TP_ESHAPE, "a scalar has no sign");
    return tp_shape_same(c);
}

static tp_status square_forward(const tp_op_call *c)
{
    tp_tensor x = *c->x[0];
    TP_TRY(tp_op_square.forward(c));
    for (int64_t i = 0; i < tp_numel(&x); i++)
        TP_TRY(tp_set_flat(&x, i, tp_flat(c->y, i)));
    return TP_OK;
}

static tp_status div_shape(const tp_op_call *c)
{
    return tp_shape_broadcast_all(c) == TP_OK ? TP_OK : tp_fail(TP_EARG, "these do not divide");
}

static void tanh_vjp(const tp_vjp_call *c, tp_var *gx)
{
    static int calls;
    tp_op_tanh.vjp(c, gx);
    if (calls++ % 2 == 1)
        gx[0] = tp_scale(gx[0], tp_dtype_of(gx[0]) == TP_F32 ? 1 + 0x1p-23 : 1 + 0x1p-52);
}

static tp_status bernoulli_forward(const tp_op_call *c)
{
    tp_tensor kept;
    TP_TRY(tp_scratch(c, &kept, TP_F64, TP_SHAPE(9)));
    TP_TRY(tp_op_noise_bernoulli.forward(c));
    tp_scratch_done(&kept);
    return TP_OK;
}

static tp_status abs_forward(const tp_op_call *c)
{
    TP_TRY(tp_op_abs.forward(c));
    int64_t last = tp_numel(c->y) - 1;
    bool other = tp_threads() > 1 && last >= 0;
    return other ? tp_set_flat(c->y, last, 1.000001 * tp_flat(c->y, last)) : TP_OK;
}

static tp_var call(const char *name, int n, const tp_var *x, const void *attr)
{
    return tp_apply(broken_op(name), n, x, attr);
}

#define UNARY(id)                                                                                  \
    tp_var tp_broken_##id(tp_var x)                                                                \
    {                                                                                              \
        return call("broken_" #id, 1, &x, NULL);                                                   \
    }
#define BINARY(id)                                                                                 \
    tp_var tp_broken_##id(tp_var a, tp_var b)                                                      \
    {                                                                                              \
        return call("broken_" #id, 2, (tp_var[]){a, b}, NULL);                                     \
    }
BINARY(mul)
BINARY(sub)
BINARY(add)
UNARY(exp)
UNARY(neg)
UNARY(square)
BINARY(div)
UNARY(tanh)
UNARY(abs)

tp_var tp_broken_reparameterize(tp_var mu, tp_var logvar, tp_var eps)
{
    return call("broken_reparameterize", 3, (tp_var[]){mu, logvar, eps}, NULL);
}

tp_var tp_broken_noise_bernoulli(tp_var p, tp_rng_key key)
{
    return call("broken_noise_bernoulli", 1, &p, &key);
}

tp_var tp_broken_clamp(tp_var x, double lo, double hi)
{
    return call("broken_clamp", 1, &x, &(tp_range_attr){lo, hi});
}

enum { MUL, SUB, REPARAMETERIZE, ADD, EXP, NEG, CLAMP, SQUARE, DIV, TANH, BERNOULLI, ABS, COUNT };

const tp_op *broken_op_at(int i)
{
    static tp_op ops[COUNT];
    static const char *const names[COUNT] = {
        "broken_mul", "broken_sub",  "broken_reparameterize",  "broken_add",
        "broken_exp", "broken_neg",  "broken_clamp",           "broken_square",
        "broken_div", "broken_tanh", "broken_noise_bernoulli", "broken_abs"};
    const tp_op *right[COUNT] = {&tp_op_mul, &tp_op_sub,  &tp_op_reparameterize,  &tp_op_add,
                                 &tp_op_exp, &tp_op_neg,  &tp_op_clamp,           &tp_op_square,
                                 &tp_op_div, &tp_op_tanh, &tp_op_noise_bernoulli, &tp_op_abs};
    for (int k = 0; k < COUNT && ops[k].name == NULL; k++) {
        ops[k] = *right[k];
        ops[k].name = names[k];
        ops[k].call = NULL; /* recorded by tp_apply_on */
    }
    ops[MUL].forward = mul_forward;
    ops[SUB].vjp = sub_vjp;
    ops[REPARAMETERIZE].vjp_fused = reparameterize_fused;
    ops[ADD].forward = add_forward;
    ops[EXP].forward = exp_forward;
    ops[NEG].shape = neg_shape;
    ops[CLAMP].shape = tp_shape_same;
    ops[SQUARE].forward = square_forward;
    ops[DIV].shape = div_shape;
    ops[TANH].vjp = tanh_vjp;
    ops[BERNOULLI].forward = bernoulli_forward;
    ops[ABS].forward = abs_forward;
    return i >= 0 && i < COUNT ? &ops[i] : NULL;
}

const tp_op *broken_op(const char *name)
{
    for (int i = 0; broken_op_at(i) != NULL; i++)
        if (strcmp(broken_op_at(i)->name, name) == 0)
            return broken_op_at(i);
    return NULL;
}
