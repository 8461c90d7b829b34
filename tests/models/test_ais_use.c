/* test_ais_use.c: annealed importance sampling of every model type that can have it, and refusals of the others; the same
 * bits on any number of threads and whatever else is in the batch; progress, stopping, memory.
 *
 * Whether the numbers are true is test_ais.c. Read next: models/ais.h.
 */
#include "tests/models/conformance.h"

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/ais.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

static tp_ais_opts brief(void)
{
    tp_ais_opts o = tp_ais_defaults();
    o.chains = 3, o.temperatures = 4, o.leapfrog = 2, o.pilot = 2, o.seed = 6;
    return o;
}

static tp_batch whole(const specimen *s)
{
    return (tp_batch){
        .x = s->batch.x, .labels = s->batch.labels, .index = s->batch.index, .n = BATCH};
}

/* --- every type ------------------------------------------------------------------------------------------------------- */

static bool flows(const tp_model_type *type)
{
    return type == &tp_model_planar_vae;
}

static void check_refused(specimen *s, const tp_model_type *type)
{
    double lower[BATCH];
    tp_ais_result r = {.lower = lower};
    tp_batch b = whole(s);
    tp_tensor z, x;
    assert_status(tp_model_ais(&s->model, s->tape, &b, NULL, brief(), &r), TP_EARG);
    assert_message("annealed importance sampling: ");
    assert_message(type->name);
    assert_status(tp_model_simulate(&s->model, s->tape, NULL, 3, 1, &z, &x), TP_EARG);
    assert_message("simulated data: ");
}

/* Bounds of data of its own are finite, and the same for each image alone. */
static void check_bounds(specimen *s, const tp_model_type *type, bool posterior)
{
    double lower[BATCH], upper[BATCH], one[2];
    tp_tensor x, z, zj;
    tp_ais_opts o = brief();
    o.posterior = posterior;
    assert_ok(tp_model_simulate(&s->model, s->tape, type->labels ? &s->batch.labels : NULL, BATCH,
                                1, &z, &x));
    tp_batch b = whole(s), alone = {.n = 1};
    b.x = x;
    tp_ais_result r = {.lower = lower, .upper = upper}, single = {.lower = one, .upper = one + 1};
    assert_ok(tp_model_ais(&s->model, s->tape, &b, &z, o, &r));
    for (int64_t j = 0; j < BATCH; j++) {
        assert_true(isfinite(lower[j]) && isfinite(upper[j]));
        assert_ok(tp_view_slice(&x, 0, j, j + 1, 1, &alone.x));
        assert_ok(tp_view_slice(&b.labels, 0, j, j + 1, 1, &alone.labels));
        assert_ok(tp_view_slice(&b.index, 0, j, j + 1, 1, &alone.index));
        assert_ok(tp_view_slice(&z, 0, j, j + 1, 1, &zj));
        assert_ok(tp_model_ais(&s->model, s->tape, &alone, &zj, o, &single));
        assert_close(one[0], lower[j], 1e-8, 1e-8);
        assert_close(one[1], upper[j], 1e-8, 1e-8);
    }
    tp_tensor_free(&x);
    tp_tensor_free(&z);
}

static void check_type(const tp_model_type *type, tp_likelihood likelihood)
{
    specimen s;
    specimen_make(&s, type, tiny_of(type, likelihood), TP_F64);
    if (!tp_model_has_ais(type)) {
        check_refused(&s, type);
    } else {
        check_bounds(&s, type, false);
        if (type->posterior != NULL && !flows(type))
            check_bounds(&s, type, true);
    }
    specimen_free(&s);
}

/* --- bits --------------------------------------------------------------------------------------------------------------------- */

enum { LARGE = 24 };

static void bounds_of(int threads, double lower[LARGE], double upper[LARGE])
{
    tp_model m;
    tp_tape *t;
    tp_tensor z, x;
    tp_model_config c = tp_model_defaults(&tp_model_vae);
    tp_ais_opts o = brief();
    o.chains = 8;
    assert_ok(tp_set_threads(threads));
    assert_ok(tp_model_init(&m, &tp_model_vae, c, TP_F32, 1));
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_model_simulate(&m, t, NULL, LARGE, 1, &z, &x));
    tp_batch b = {.x = x, .n = LARGE};
    tp_ais_result r = {.lower = lower, .upper = upper};
    assert_ok(tp_model_ais(&m, t, &b, &z, o, &r));
    tp_tensor_free(&z);
    tp_tensor_free(&x);
    tp_tape_free(t);
    tp_model_free(&m);
    assert_ok(tp_set_threads(1));
}

static void test_threads(void **state)
{
    (void)state;
    double one[2][LARGE], many[2][LARGE];
    bounds_of(1, one[0], one[1]);
    for (int threads = 2; threads <= 4; threads++) {
        bounds_of(threads, many[0], many[1]);
        assert_memory_equal(one, many, sizeof one);
    }
}

static void test_seed(void **state)
{
    (void)state;
    specimen s;
    double a[BATCH], b[BATCH], c[BATCH];
    double *out[] = {a, b, c};
    specimen_make(&s, &tp_model_vae, tiny_of(&tp_model_vae, TP_BERNOULLI), TP_F64);
    tp_batch batch = whole(&s);
    for (int i = 0; i < 3; i++) {
        tp_ais_opts o = brief();
        tp_ais_result r = {.lower = out[i]};
        o.seed = i == 2 ? 7 : 6;
        assert_ok(tp_model_ais(&s.model, s.tape, &batch, NULL, o, &r));
    }
    assert_memory_equal(a, b, sizeof a);
    for (int j = 0; j < BATCH; j++)
        assert_true(a[j] != c[j]);
    specimen_free(&s);
}

/* --- progress, stopping, memory ------------------------------------------------------------------------------------------------- */

typedef struct watch {
    int64_t calls, stop_at; /* 0: never */
    double done;
    size_t allocations, first;
} watch;

static bool on_progress(void *user, double done)
{
    watch *w = user;
    assert_true(done > w->done);
    w->done = done;
    w->calls++;
    if (w->calls == 20)
        w->first = tp_mem().calls;
    w->allocations = tp_mem().calls;
    return w->calls != w->stop_at;
}

static tp_ais_result watched(watch *w, tp_ais_opts o, bool both, tp_status *status)
{
    static double lower[BATCH], upper[BATCH];
    specimen s;
    tp_tensor x, z;
    specimen_make(&s, &tp_model_vae, tiny_of(&tp_model_vae, TP_BERNOULLI), TP_F32);
    assert_ok(tp_model_simulate(&s.model, s.tape, NULL, BATCH, 1, &z, &x));
    tp_batch b = {.x = x, .n = BATCH};
    tp_ais_result r = {.lower = lower, .upper = both ? upper : NULL};
    o.on_progress = on_progress, o.user = w;
    *status = tp_model_ais(&s.model, s.tape, &b, &z, o, &r);
    tp_tensor_free(&x);
    tp_tensor_free(&z);
    specimen_free(&s);
    return r;
}

static void test_progress(void **state)
{
    (void)state;
    tp_status status;
    for (int both = 0; both < 2; both++)
        for (int pilot = 0; pilot < 3; pilot += 2)
            for (int T = 1; T < 6; T += 4) {
                watch w = {0};
                tp_ais_opts o = brief();
                o.temperatures = T, o.pilot = pilot;
                tp_ais_result r = watched(&w, o, both, &status);
                assert_ok(status);
                assert_false(r.stopped);
                assert_close(w.done, 1, 1e-15, 0);
                assert_int_equal(w.calls, T * (1 + both + (pilot > 0 && T > 1)));
            }
    for (int64_t at = 1; at <= 12; at++) {
        watch w = {.stop_at = at};
        tp_ais_result r = watched(&w, brief(), true, &status);
        assert_ok(status);
        assert_true(r.stopped);
        assert_int_equal(w.calls, at);
    }
}

/* However many temperatures: nothing is allocated on the way, and nothing stays. */
static void test_memory(void **state)
{
    (void)state;
    tp_status status;
    watch w = {0};
    tp_ais_opts o = brief();
    o.temperatures = 2000, o.pilot = 0;
    size_t before = tp_mem().live_bytes;
    watched(&w, o, false, &status);
    assert_ok(status);
    assert_int_equal(w.calls, 2000);
    assert_true(w.first > 0 && w.allocations == w.first);
    assert_true(tp_mem().live_bytes == before);
}

/* --- what is refused --------------------------------------------------------------------------------------------------------------- */

static specimen made;

static void refuse(tp_batch b, const tp_tensor *z, tp_ais_opts o, bool both, tp_status status,
                   const char *says)
{
    double lower[BATCH], upper[BATCH];
    size_t before = tp_mem().live_bytes;
    tp_ais_result r = {.lower = lower, .upper = both ? upper : NULL};
    assert_status(tp_model_ais(&made.model, made.tape, &b, z, o, &r), status);
    assert_message("annealed importance sampling: ");
    assert_message(says);
    assert_true(tp_mem().live_bytes == before);
}

static void test_options(void **state)
{
    (void)state;
    specimen_make(&made, &tp_model_vae, tiny_of(&tp_model_vae, TP_BERNOULLI), TP_F64);
    tp_batch b = whole(&made), none = {.x = b.x};
    tp_tensor z, narrow, other, numbers;
    assert_ok(tp_tensor_new(&z, TP_F64, TP_SHAPE(BATCH - 1, LATENTS)));
    assert_ok(tp_tensor_new(&other, TP_F32, TP_SHAPE(BATCH, LATENTS)));
    assert_ok(tp_tensor_from(&numbers, TP_I64, TP_SHAPE(BATCH), (int64_t[]){0, 1, 2, 3, 4, -1}));
    assert_ok(tp_tensor_new(&narrow, TP_F64, TP_SHAPE(BATCH, LATENTS - 1)));
    tp_ais_opts o = brief();
    double lower[BATCH];
    tp_ais_result warm = {.lower = lower};
    assert_ok(
        tp_model_ais(&made.model, made.tape, &b, NULL, o, &warm)); /* the tape has its memory */
    refuse(none, NULL, o, false, TP_ESHAPE, "0 examples in x [6,7]");
    refuse(b, NULL, o, true, TP_ESHAPE, "an upper bound needs z [n, nz] from p(z|x), got none");
    refuse(b, &z, o, true, TP_ESHAPE, "got [5,2]");
    refuse(b, &narrow, o, true, TP_ESHAPE, "z has shape [6,1], and the prior 2 dimensions");
    o.chains = 0;
    refuse(b, NULL, o, false, TP_EARG,
           "0 chains, 4 temperatures, 2 leapfrog steps, 2 chains of pilot");
    o = brief(), o.temperatures = 0;
    refuse(b, NULL, o, false, TP_EARG, "3 chains, 0 temperatures");
    o = brief(), o.temperatures = (int64_t)1 << 40;
    refuse(b, NULL, o, false, TP_EARG, "1099511627776 temperatures: at most");
    o = brief(), o.leapfrog = -1;
    refuse(b, NULL, o, false, TP_EARG, "-1 leapfrog steps");
    o = brief(), o.pilot = -1;
    refuse(b, NULL, o, false, TP_EARG, "-1 chains of pilot");
    o = brief(), o.sharpness = NAN;
    refuse(b, NULL, o, false, TP_EARG, "sharpness nan: from 1e-6 to 30 needed");
    o.sharpness = 31;
    refuse(b, NULL, o, false, TP_EARG, "sharpness 31: from 1e-6 to 30 needed");
    o = brief(), o.acceptance = 1;
    refuse(b, NULL, o, false, TP_EARG, "acceptance 1: above 0 and below 1");
    refuse(b, &other, brief(), true, TP_EDTYPE, "z is f32, and the model f64");
    o = brief();
    b.index = numbers;
    refuse(b, NULL, o, false, TP_EARG, "index -1 of example 5: from 0 to 2^40 - 1 needed");
    assert_ok(tp_set_flat(&numbers, 5, 0x1p40));
    refuse(b, NULL, o, false, TP_EARG, "of example 5: from 0 to 2^40 - 1 needed");
    assert_ok(tp_view_slice(&numbers, 0, 0, 1, 1, &b.index));
    refuse(b, NULL, o, false, TP_ESHAPE, "the index of 6 examples has shape [1]");
    tp_tensor_free(&z);
    tp_tensor_free(&narrow);
    tp_tensor_free(&other);
    tp_tensor_free(&numbers);
    specimen_free(&made);
}

/* The caller's tape records gradients afterwards, whatever came of it. */
static void test_tape(void **state)
{
    (void)state;
    specimen s;
    tp_tensor z, x;
    double lower[BATCH];
    specimen_make(&s, &tp_model_vae, tiny_of(&tp_model_vae, TP_BERNOULLI), TP_F64);
    for (int i = 0; i < 3; i++) {
        tp_batch b = whole(&s);
        tp_ais_result r = {.lower = lower};
        tp_ais_opts o = brief();
        o.chains = i; /* none: refused */
        if (i < 2)
            assert_status(tp_model_ais(&s.model, s.tape, &b, NULL, o, &r),
                          i == 0 ? TP_EARG : TP_OK);
        else
            assert_ok(tp_model_simulate(&s.model, s.tape, NULL, BATCH, 1, &z, &x));
        tp_var a = tp_leaf(s.tape, &b.x), y = tp_sum(tp_square(a), TP_AXES(0, 1), false), gradient;
        assert_ok(tp_grad(1, &y, 1, &a, &gradient, (tp_grad_opts){0}));
    }
    tp_tensor_free(&z);
    tp_tensor_free(&x);
    specimen_free(&s);
}

static void test_labels(void **state)
{
    (void)state;
    tp_tensor x, z;
    specimen_make(&made, &tp_model_conditional_vae,
                  tiny_of(&tp_model_conditional_vae, TP_BERNOULLI), TP_F64);
    tp_batch b = whole(&made), other = b;
    tp_tensor shifted;
    double lower[BATCH], now[BATCH];
    tp_ais_result r = {.lower = lower}, again = {.lower = now};
    assert_ok(tp_model_ais(&made.model, made.tape, &b, NULL, brief(), &r));
    assert_ok(tp_clone(&shifted, &b.labels));
    for (int64_t i = 0; i < BATCH; i++)
        ((int64_t *)tp_data_mut(&shifted))[i] =
            (((int64_t *)tp_data_mut(&shifted))[i] + 1) % CLASSES;
    other.labels = shifted;
    assert_ok(tp_model_ais(&made.model, made.tape, &other, NULL, brief(), &again));
    for (int64_t i = 0; i < BATCH; i++)
        assert_true(lower[i] != now[i]);
    b.labels = (tp_tensor){0};
    refuse(b, NULL, brief(), false, TP_EARG,
           "model 'conditional_vae' wants labels, and there are none");
    assert_status(tp_model_simulate(&made.model, made.tape, NULL, 3, 1, &z, &x), TP_EARG);
    tp_tensor_free(&shifted);
    specimen_free(&made);
}

static void test_flows(void **state)
{
    (void)state;
    specimen_make(&made, &tp_model_planar_vae, tiny_of(&tp_model_planar_vae, TP_BERNOULLI), TP_F64);
    tp_batch b = whole(&made);
    tp_ais_opts o = brief();
    double lower[BATCH];
    tp_ais_result r = {.lower = lower};
    assert_ok(tp_model_ais(&made.model, made.tape, &b, NULL, o, &r));
    o.posterior = true;
    refuse(b, NULL, o, false, TP_EARG, "the posterior of 'planar_vae' goes through flows");
    specimen_free(&made);
}

int main(void)
{
    const property rows[] = {{"ais", check_type, false}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),  cmocka_unit_test(test_seed),
        cmocka_unit_test(test_progress), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_options),  cmocka_unit_test(test_labels),
        cmocka_unit_test(test_flows),    cmocka_unit_test(test_tape),
    };
    return rows_run(rows, 1, tests, sizeof tests / sizeof *tests);
}
