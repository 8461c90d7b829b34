/* 03_gradcheck.c: is the gradient right? Ask finite differences.
 *
 * First a function whose gradient tapir derives, then the same question of second order. A wrong gradient
 * would come back as a failure that names the number. Read 04_linear_regression.c next. */
#include "models/tapir.h"

#include <stdio.h>

struct inputs {
    tp_parameter a, b;
};

/* f(a, b) = Σ log(1 + e^{a·b}), any function that records vars will do. */
static tp_var f(tp_tape *tape, void *user)
{
    struct inputs *in = user;
    tp_var product = tp_matmul(tp_param(tape, &in->a), tp_param(tape, &in->b));
    return tp_sum(tp_softplus(product), TP_ALL_AXES, false);
}

static tp_status run(void)
{
    struct inputs in = {0};
    tp_parameter *wrt[] = {&in.a, &in.b};
    TP_TRY(tp_parameter_init(&in.a, "a", TP_F64, TP_SHAPE(2, 3)));
    TP_TRY(tp_parameter_init(&in.b, "b", TP_F64, TP_SHAPE(3, 2)));
    TP_TRY(tp_random_normal(&in.a.value, (tp_rng_key){.seed = 1}));
    TP_TRY(tp_random_normal(&in.b.value, (tp_rng_key){.seed = 2}));

    for (int order = 1; order <= 2; order++) {
        tp_check_report report;
        TP_TRY(tp_gradcheck(f, &in, 2, wrt, (tp_check_opts){.order = order}, &report));
        printf("order %d: %lld numbers checked, worst error %.1e of what is allowed\n", order,
               (long long)report.checked, report.worst);
    }
    tp_parameter_free(&in.a);
    tp_parameter_free(&in.b);
    return TP_OK;
}

int main(void)
{
    if (run() != TP_OK) {
        fprintf(stderr, "%s\n", tp_last_error());
        return 1;
    }
    return 0;
}
