/* test_distributions.c: docs/reference/distributions.md is what the rows of dist.def and kl.def say.
 *
 * With TAPIR_UPDATE_GOLDEN=1 the page is written anew. Read next: nn/dist_type.h. */
#include "tests/support/check.h"

#include <stdlib.h>

#include "nn/dist_type.h"
#include "tests/support/golden.h"

static const char *const support_names[] = {[TP_REALS] = "real numbers",
                                            [TP_BITS] = "0 or 1",
                                            [TP_CLASSES] = "i64: 0, 1, …",
                                            [TP_SIMPLEX] = "positive numbers of sum 1"};

static void put_name(FILE *f, const char *name)
{
    fprintf(f, "| `%s` ", name);
}

static void put_rows(FILE *f)
{
    fprintf(f, "| name | log p(x) | x | gradient through draws | in closed form | source |\n"
               "|---|---|---|---|---|---|\n");
    for (int i = 0; i < tp_dist_type_count; i++) {
        const tp_dist_type *d = tp_dist_types[i];
        put_name(f, d->name);
        put_cell(f, d->text);
        fprintf(f, "| %s%s ", d->rank > 0 ? "vectors of " : "", support_names[d->support]);
        put_cell(f, d->pathwise ? "yes" : "no");
        put_cell(f, d->entropy != NULL ? "mean, variance, entropy"
                    : d->mean != NULL  ? "mean, variance"
                                       : "");
        put_cell(f, d->source);
        fprintf(f, "|\n");
    }
}

static void put_divergences(FILE *f)
{
    fprintf(f, "| q | p | KL(q ‖ p) |\n|---|---|---|\n");
    for (int i = 0; i < tp_kl_type_count; i++) {
        put_name(f, tp_kl_types[i].q->name);
        put_name(f, tp_kl_types[i].p->name);
        put_cell(f, tp_kl_types[i].text);
        fprintf(f, "|\n");
    }
}

static void put_flows(FILE *f)
{
    const tp_var none = {0};
    const tp_flow flow[] = {tp_flow_affine(none, none), tp_flow_planar(none, none, none)};
    fprintf(f, "| map | f(z);  log \\|det ∂f/∂z\\| | inverse |\n|---|---|---|\n");
    for (size_t i = 0; i < sizeof flow / sizeof *flow; i++) {
        put_name(f, flow[i].type->name);
        put_cell(f, flow[i].type->text);
        put_cell(f, flow[i].type->inverse != NULL ? "yes" : "no");
        fprintf(f, "|\n");
    }
}

static void test_page(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    fprintf(
        f,
        "# Every distribution\n\n"
        "This page is what the rows of `nn/dist.def` and `nn/kl.def` say; a test compares it. Constructors and\n"
        "functions are in `nn/dist.h`. All is in nats. An event may have any number of independent elements\n"
        "(`event_dims`); log p, entropy and KL are summed over it.\n\n");
    put_rows(f);
    fprintf(
        f,
        "\n## Kullback–Leibler divergences in closed form\n\n"
        "`tp_kl(q, p)` takes these pairs, N(0, 1) by the fused operation `gaussian_kl`. Every other pair is refused, and\n"
        "`tp_kl_monte_carlo` estimates it, with its standard error.\n\n");
    put_divergences(f);
    fprintf(f, "\n## Maps for `tp_transformed`\n\n");
    put_flows(f);
    char *text = slurp(f);
    assert_file("docs/reference/distributions.md", text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
