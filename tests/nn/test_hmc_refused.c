/* test_hmc_refused.c: what Hamiltonian Monte Carlo refuses, with nothing left behind.
 *
 * Read next: nn/hmc.h, test_hmc.c.
 */
#include "tests/nn/fixture.h"

#include <math.h>

#include "nn/hmc.h"
#include "tensor/mem.h"

static void gauss(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    (void)user, (void)c;
    part[0] = tp_scale(tp_sum(tp_square(z), TP_AXES(-1), false), -0.5);
}

/* NaN for negative z. */
static void gamma_record(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    (void)user, (void)c;
    part[0] = tp_sum(tp_sub(tp_scale(tp_log(z), 2), z), TP_AXES(-1), false);
}

static void keeps_axes(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    (void)user, (void)c;
    part[0] = tp_neg(tp_square(z));
}

static void fails(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    (void)user;
    part[0] = tp_matmul(z, tp_full(c->tape, TP_F64, TP_SHAPE(9, 9), 1));
}

static void refuse(tp_hmc_density d, tp_hmc_opts o, const tp_tensor *z, tp_status status,
                   const char *says)
{
    tp_tape *t;
    tp_hmc h;
    assert_ok(tp_tape_new(&t));
    size_t bytes = tp_mem().live_bytes;
    assert_status(tp_hmc_init(&h, t, d, o, z), status);
    assert_message(says);
    assert_message("HMC: ");
    assert_null(h.at.z.storage);
    tp_hmc_free(&h);
    tp_tape_free(t);
    assert_true(tp_mem().live_bytes <= bytes);
}

static void test_refused(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_hmc_density d = {gauss, NULL, 1};
    tp_hmc_opts o = tp_hmc_defaults();
    const tp_tensor *z = fixture_draw(f, TP_F64, TP_SHAPE(3, 1, 2), 1, 1, 0);
    const tp_tensor *flat = fixture_draw(f, TP_F64, TP_SHAPE(3, 2), 1, 1, 0);
    const tp_tensor *none = fixture_draw(f, TP_F64, TP_SHAPE(3, 0, 2), 1, 1, 0);
    const tp_tensor *whole = fixture_tensor(f, TP_I64, TP_SHAPE(1, 1, 1), (double[]){1});
    const tp_tensor *negative = fixture_tensor(f, TP_F64, TP_SHAPE(2, 1, 1), (double[]){1, -1});
    refuse(d, o, flat, TP_ESHAPE, "z has shape [3,2]: [chains, batch, nz] needed");
    refuse(d, o, none, TP_ESHAPE, "z has shape [3,0,2]");
    refuse(d, o, whole, TP_EDTYPE, "z is i64: f32 or f64 needed");
    refuse((tp_hmc_density){gauss, NULL, 0}, o, z, TP_EARG, "0 parts: 1 to 2 needed");
    refuse((tp_hmc_density){gauss, NULL, 3}, o, z, TP_EARG, "3 parts");
    refuse((tp_hmc_density){keeps_axes, NULL, 1}, o, z, TP_ESHAPE,
           "part 0 of the log-density of z [3,1,2] has shape [3,1,2]: [chains, batch] needed");
    refuse((tp_hmc_density){fails, NULL, 1}, o, z, TP_ESHAPE, "matmul");
    refuse((tp_hmc_density){gamma_record, NULL, 1}, o, negative, TP_ENONFINITE,
           "part 0 of the log-density is NaN where chain [1,0] starts");
    o.leapfrog = 0;
    refuse(d, o, z, TP_EARG, "0 leapfrog steps: 1 or more needed");
    const double steps[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        o = tp_hmc_defaults();
        o.step = steps[i];
        refuse(d, o, z, TP_EARG, "above 0 and finite needed");
    }
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
