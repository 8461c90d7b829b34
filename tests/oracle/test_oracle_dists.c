/* test_oracle_dists.c: log_prob with its gradients, entropy, mean, variance and KL divergences as torch.distributions
 * has them, in f64 and f32. A row of dist.def or kl.def that the file does not hold fails, unless PyTorch has nothing
 * to compare it with. Read next: dists.py. */
#include "tests/oracle/oracle.h"

#include <string.h>

#include "autograd/sweep.h"
#include "nn/dist_type.h"

static tp_tape *t;
static tp_safetensors file;
static double worst[2];

static const tp_dtype dtypes[] = {TP_F64, TP_F32};
static const double allowed[] = {5e-14, 1e-5};

/* "<prefix><i>" */
static const char *numbered(char text[ORACLE_NAME], const char *prefix, int i)
{
    int n = snprintf(text, ORACLE_NAME, "%s%d", prefix, i);
    assert_in_range(n, 1, ORACLE_NAME - 1);
    return text;
}

/* The parameters of one side: tensors and leaves. */
typedef struct side {
    int n;
    tp_tensor value[TP_DIST_PARAMS];
    tp_var leaf[TP_DIST_PARAMS];
} side;

static side enter(const tp_dist_type *type, const char *prefix, tp_dtype dtype)
{
    side s = {.n = type->params};
    char name[ORACLE_NAME];
    for (int i = 0; i < s.n; i++)
        s.value[i] = oracle_load_as(&file, numbered(name, prefix, i), dtype);
    return s;
}

/* Leaves point at the tensors: only where they stay. */
static tp_dist make(side *s, const tp_dist_type *type)
{
    for (int i = 0; i < s->n; i++)
        s->leaf[i] = tp_leaf(t, &s->value[i]);
    tp_dist d = type->make(s->leaf);
    d.event_dims = tp_dist_rank(&d);
    return d;
}

static void leave(side *s)
{
    for (int i = 0; i < s->n; i++)
        tp_tensor_free(&s->value[i]);
}

static void agrees(const tp_tensor *got, const char *name, int k)
{
    tp_tensor want = oracle_load(&file, name);
    compare(name, got, &want, allowed[k], &worst[k]);
    tp_tensor_free(&want);
}

/* If PyTorch has it. */
static void moment(const char *row, const char *what, tp_var (*f)(tp_dist), tp_dist d, int k)
{
    char name[ORACLE_NAME];
    if (tp_safetensors_find(&file, joined(name, row, what)) != NULL)
        agrees(tp_value(f(d)), name, k);
}

/* Gradients of a sum by each parameter; PyTorch has none where a parameter makes no difference. */
static void gradients(side *s, const char *prefix, int k)
{
    char name[ORACLE_NAME];
    for (int i = 0; i < s->n; i++)
        agrees(tp_leaf_grad(s->leaf[i]), numbered(name, prefix, i), k);
}

static void check_row(const tp_dist_type *type, int k)
{
    char name[ORACLE_NAME], prefix[ORACLE_NAME];
    tp_tape_reset(t);
    side s = enter(type, joined(prefix, type->name, "param"), dtypes[k]);
    tp_dist d = make(&s, type);
    tp_dtype own = type->support == TP_CLASSES ? TP_I64 : dtypes[k];
    tp_tensor x = oracle_load_as(&file, joined(name, type->name, "x"), own);
    if (type == &tp_dist_transformed || type == &tp_dist_mixture)
        assert_int_equal(d.event_dims, type == &tp_dist_transformed);
    tp_var logprob = tp_dist_logprob(d, tp_constant(t, &x));
    agrees(tp_value(logprob), joined(name, type->name, "logprob"), k);
    moment(type->name, "mean", tp_dist_mean, d, k);
    moment(type->name, "variance", tp_dist_variance, d, k);
    moment(type->name, "entropy", tp_dist_entropy, d, k);
    assert_ok(tp_backward(tp_sum(logprob, TP_ALL_AXES, false)));
    gradients(&s, joined(prefix, type->name, "g"), k);
    tp_tensor_free(&x);
    leave(&s);
}

static void test_rows(void **state)
{
    (void)state;
    for (int i = 0; i < tp_dist_type_count; i++)
        for (int k = 0; k < 2; k++) {
            print_message("%s\n", tp_dist_types[i]->name);
            check_row(tp_dist_types[i], k);
        }
}

static void check_pair(const tp_kl_type *pair, int k)
{
    char row[ORACLE_NAME], name[ORACLE_NAME];
    tp_tape_reset(t);
    snprintf(row, sizeof row, "kl.%s.%s", pair->q->name, pair->p->name);
    side a = enter(pair->q, joined(name, row, "q"), dtypes[k]),
         b = enter(pair->p, joined(name, row, "p"), dtypes[k]);
    tp_dist q = make(&a, pair->q), p = make(&b, pair->p);
    q.event_dims = p.event_dims = q.event_dims > p.event_dims ? q.event_dims : p.event_dims;
    tp_var y = tp_kl(q, p);
    agrees(tp_value(y), joined(name, row, "y"), k);
    assert_ok(tp_backward(tp_sum(y, TP_ALL_AXES, false)));
    gradients(&a, joined(name, row, "gq"), k);
    gradients(&b, joined(name, row, "gp"), k);
    leave(&a);
    leave(&b);
}

static void test_divergences(void **state)
{
    (void)state;
    for (int i = 0; i < tp_kl_type_count; i++)
        for (int k = 0; k < 2; k++) {
            const tp_kl_type *pair = &tp_kl_types[i];
            if (pair->q == &tp_dist_uniform && pair->p == &tp_dist_laplace)
                continue; /* torch.distributions does not have it: tests/dist/test_kl.c does */
            print_message("KL(%s ‖ %s)\n", pair->q->name, pair->p->name);
            check_pair(pair, k);
        }
    printf("worst deviation from torch.distributions: %.1e in f64, %.1e in f32\n", worst[0],
           worst[1]);
}

static int open_file(void **state)
{
    (void)state;
    return tp_tape_new(&t) != TP_OK ||
           tp_safetensors_open(&file, ORACLE_FILE("dists.safetensors")) != TP_OK;
}

static int close_file(void **state)
{
    (void)state;
    tp_safetensors_close(&file);
    tp_tape_free(t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_divergences)};
    return cmocka_run_group_tests(tests, open_file, close_file) != 0;
}
