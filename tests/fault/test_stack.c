/* test_stack.c: the stack does not grow with a graph. Recording, going backward, gradients of gradients, segments that are
 * computed again and derivations run on a thread whose stack was painted before; how much of the paint is gone
 * afterwards is what they used, and that is the same for a chain of 100,000 nodes as for one of 1,000.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"

#include "models/tapir.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { STACK = 16 << 20, SHORT = 1000, LONG = 100000, PAINT = 0xa5 };
enum { LINES = 256 }; /* by which the frames of two runs may differ in where they begin */

static _Alignas(4096) unsigned char stack[STACK];

typedef struct job {
    tp_status (*run)(int nodes);
    int nodes;
    tp_status status;
} job;

static void *start(void *arg)
{
    job *j = arg;
    j->status = j->run(j->nodes);
    return NULL;
}

/* The bytes of stack that run(nodes) needs. The stack grows downward. */
static size_t depth(tp_status (*run)(int nodes), int nodes)
{
    pthread_attr_t attr;
    pthread_t thread;
    job j = {run, nodes, TP_OK};
    memset(stack, PAINT, sizeof stack);
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstack(&attr, stack, sizeof stack), 0);
    assert_int_equal(pthread_create(&thread, &attr, start, &j), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
    assert_ok(j.status);
    size_t clean = 0;
    while (clean < sizeof stack && stack[clean] == PAINT)
        clean++;
    return sizeof stack - clean;
}

static tp_var chain(tp_tape *t, const tp_tensor *x, int nodes)
{
    tp_var y = tp_leaf(t, x);
    for (int i = 0; i < nodes; i++)
        y = i % 2 ? tp_sin(y) : tp_neg(y);
    return y;
}

/* Makes the tape and the leaf, and frees them. */
static tp_status with_chain(int nodes, tp_status (*then)(tp_tape *t, tp_var y))
{
    tp_tape *t;
    tp_tensor x;
    TP_TRY(tp_tensor_new(&x, TP_F64, TP_SHAPE()));
    tp_status s = tp_tape_new(&t);
    if (s == TP_OK) {
        s = then(t, chain(t, &x, nodes));
        tp_tape_free(t);
    }
    tp_tensor_free(&x);
    return s;
}

static tp_status backward_then(tp_tape *t, tp_var y)
{
    (void)t;
    TP_TRY(tp_backward(y));
    return tp_backward_opts(y, (tp_sweep_opts){.release = true});
}

static tp_status twice_then(tp_tape *t, tp_var y)
{
    tp_var x = tp_var_status(y) == TP_OK ? (tp_var){t, 1, y.epoch} : y, g, gg;
    TP_TRY(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
    return tp_grad(1, &g, 1, &x, &gg, (tp_grad_opts){.allow_unused = true});
}

static tp_status explain_then(tp_tape *t, tp_var y)
{
    (void)t;
    FILE *out = fopen("/dev/null", "w");
    tp_status s = out == NULL ? TP_EIO : tp_explain_forward(out, y, (tp_explain_opts){0});
    if (out != NULL)
        fclose(out);
    return s;
}

static tp_status backward(int nodes)
{
    return with_chain(nodes, backward_then);
}

static tp_status twice(int nodes)
{
    return with_chain(nodes, twice_then);
}

static tp_status explain(int nodes)
{
    return with_chain(nodes / 25, explain_then); /* the forward list is quadratic in time */
}

static tp_status recompute(int nodes)
{
    tp_tape *t;
    tp_tensor x;
    TP_TRY(tp_tensor_new(&x, TP_F64, TP_SHAPE()));
    TP_TRY(tp_tape_new(&t));
    tp_recompute_begin(t);
    tp_var y = chain(t, &x, nodes); /* all of it one segment */
    tp_recompute_end(t, 1, &y);
    tp_status s = tp_backward(y);
    tp_tape_free(t);
    tp_tensor_free(&x);
    return s;
}

static tp_status stack_many(int nodes)
{
    enum { MANY = 2000 };
    static tp_var x[MANY];
    tp_tape *t;
    int n = nodes < MANY ? nodes : MANY;
    TP_TRY(tp_tape_new(&t));
    for (int i = 0; i < n; i++)
        x[i] = tp_scalar(t, TP_F32, i);
    tp_var y = tp_stack(x, n, 0);
    tp_status s = tp_var_status(y);
    tp_tape_free(t);
    return s;
}

static const struct {
    const char *name;
    tp_status (*run)(int nodes);
    size_t
        more; /* for a longer chain: a depth of calls that is a logarithm, numbers with more digits */
} jobs[] = {
    {"backward", backward, LINES},
    {"gradients of gradients", twice, LINES},
    {"a segment computed again", recompute, LINES},
    {"the forward list", explain, 1024},
    {"stack of many", stack_many, 1024},
};

static void test_chains(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        depth(jobs[i].run, SHORT); /* what is resolved or set up once */
        size_t few = depth(jobs[i].run, SHORT), many = depth(jobs[i].run, LONG);
        print_message("%s: %zu bytes of stack for %d nodes, %zu for %d\n", jobs[i].name, few, SHORT,
                      many, LONG);
        assert_true(many <= few + jobs[i].more);
        assert_true(many < 256 << 10);
    }
}

/* The control: what visits its nodes by calling itself is noticed. */
static tp_status visit(volatile int *left)
{
    volatile char room[16] = {0};
    if (--*left <= 0)
        return TP_OK;
    tp_status s = visit(left);
    room[0] = (char)s; /* something is left to do: no loop can be made of this */
    return (tp_status)room[0];
}

static tp_status recurse(int nodes)
{
    volatile int left = nodes;
    return visit(&left);
}

static void test_control(void **state)
{
    (void)state;
    depth(recurse, SHORT / 10);
    assert_true(depth(recurse, LONG / 10) > depth(recurse, SHORT / 10) + 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
