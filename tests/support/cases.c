/* cases.c: see cases.h. */
#include "tests/support/cases.h"

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "nn/dist.h"
#include "tests/oracle/oracle.h"

static tp_var second(tp_var y, tp_var x)
{
    tp_var g, root = tp_sum(y, TP_ALL_AXES, false);
    tp_grad(1, &root, 1, &x, &g, (tp_grad_opts){.create_graph = true});
    return g;
}
#define SECOND(f) second(f, x[0])
#define CONV(...) ((tp_conv_opts){__VA_ARGS__})
#define POOL(...) ((tp_pool_opts){__VA_ARGS__})

/* The second of three pieces. */
static tp_var middle_of_tp_split(tp_var x, int axis, int64_t a, int64_t b, int64_t c)
{
    tp_var out[3];
    tp_split(x, axis, (const int64_t[]){a, b, c}, 3, out);
    return out[1];
}

/* Without its noise, which is taken away beforehand. */
static tp_var quiet_tp_gumbel_softmax(tp_var x, double tau, bool hard)
{
    tp_rng_key key = {3, 1, 4};
    tp_var noise = tp_noise_gumbel(x.tape, tp_dtype_of(x), tp_shape_of(x), key);
    return tp_gumbel_softmax(tp_sub(x, noise), tau, hard, key);
}

#define CASE(name, expression)                                                                     \
    static tp_var case_##name(const tp_var *x)                                                     \
    {                                                                                              \
        return expression;                                                                         \
    }
#define TAIL CASE
#include "tests/oracle/cases.def"
#undef CASE
#undef TAIL

const oracle_case oracle_cases[] = {
#define CASE(name, expression) {#name, case_##name, #expression, false},
#define TAIL(name, expression) {#name, case_##name, #expression, true},
#include "tests/oracle/cases.def"
#undef CASE
#undef TAIL
};
const int oracle_case_count = sizeof oracle_cases / sizeof *oracle_cases;

static tp_tensor load_part(const tp_safetensors *file, const char *name, const char *part)
{
    char text[ORACLE_NAME];
    if (tp_safetensors_find(file, joined(text, name, part)) == NULL)
        return (tp_tensor){0};
    return oracle_load(file, text);
}

problem problem_load(const tp_safetensors *file, const char *name)
{
    static const char *const x_part[] = {"x0", "x1", "x2"}, *const g_part[] = {"g0", "g1", "g2"};
    problem p = {.name = name, .y = load_part(file, name, "y"), .gy = load_part(file, name, "gy")};
    if (p.y.storage == NULL)
        fail_msg("%s: ops.safetensors has no such case", name);
    for (int i = 0; i < CASE_INPUTS; i++) {
        p.x[i] = load_part(file, name, x_part[i]);
        p.g[i] = load_part(file, name, g_part[i]);
        p.n += p.x[i].storage != NULL;
        p.differentiable |= p.g[i].storage != NULL;
    }
    return p;
}

void problem_free(problem *p)
{
    for (int i = 0; i < CASE_INPUTS; i++) {
        tp_tensor_free(&p->x[i]);
        tp_tensor_free(&p->g[i]);
    }
    tp_tensor_free(&p->y);
    tp_tensor_free(&p->gy);
}
