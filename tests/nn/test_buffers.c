/* test_buffers.c: tensors that are kept but not learned: the list, their two values, and files.
 *
 * Training with them is test_buffers_train.c. Read next: nn/buffer.h.
 */
#include "tests/nn/fixture.h"

#include <stdio.h>
#include <string.h>

#include "nn/init.h"
#include "nn/optim.h"
#include "tensor/io/safetensors.h"
#include "tensor/mem.h"

typedef struct kept {
    tp_params ps;
    tp_parameter weight;
    tp_buffer mean, count;
} kept;

static void make(kept *k, tp_dtype dtype, uint64_t seed)
{
    *k = (kept){.ps = tp_params_make(dtype, seed)};
    assert_ok(tp_params_add_buffer(&k->ps, &k->mean, "n.mean", dtype, TP_SHAPE(2)));
    assert_ok(tp_params_add(&k->ps, &k->weight, "n.weight", TP_SHAPE(3)));
    assert_ok(tp_params_add_buffer(&k->ps, &k->count, "n.count", TP_I64, TP_SHAPE()));
    assert_ok(tp_init_uniform(&k->ps, &k->weight, 1));
}

static void assert_mean(const kept *k, double a, double b)
{
    const double want[] = {a, b};
    assert_tensor_close(&k->mean.value, want, 2, 0, 1e-15);
}

/* --- the list ----------------------------------------------------------------------------------- */

static void test_list(void **state)
{
    (void)state;
    size_t before = tp_mem().live_bytes;
    kept k;
    make(&k, TP_F64, 1);
    assert_int_equal(k.ps.n, 1);
    assert_int_equal(k.ps.buffers, 2);
    assert_int_equal(tp_params_count(&k.ps), 3);
    assert_ptr_equal(tp_params_find_buffer(&k.ps, "n.count"), &k.count);
    assert_null(tp_params_find_buffer(&k.ps, "n.weight"));
    assert_null(tp_params_find(&k.ps, "n.mean"));
    tp_parameter p = {0};
    tp_buffer b = {0};
    assert_status(tp_params_add(&k.ps, &p, "n.mean", TP_SHAPE(2)), TP_EARG);
    assert_message("E_ARG a parameter would be named 'n.mean', as a buffer is");
    assert_status(tp_params_add_buffer(&k.ps, &b, "n.weight", TP_F64, TP_SHAPE(2)), TP_EARG);
    assert_message("E_ARG a buffer would be named 'n.weight', as a parameter is");
    assert_status(tp_params_add_buffer(&k.ps, &b, "n.count", TP_F64, TP_SHAPE(2)), TP_EARG);
    assert_message("E_ARG a buffer would be named 'n.count', as a buffer is");
    assert_status(tp_params_add_buffer(&k.ps, &b, "negative", TP_F64, TP_SHAPE(-1)), TP_ESHAPE);
    assert_message("buffer 'negative': ");
    assert_null(b.value.storage);
    assert_int_equal(k.ps.buffers, 2);
    tp_params_free(&k.ps);
    assert_int_equal(k.ps.buffers, 0);
    assert_null(k.mean.value.storage);
    assert_int_equal(tp_mem().live_bytes, before);
}

static void test_many(void **state)
{
    (void)state;
    enum { MANY = 100 };
    static tp_buffer many[MANY];
    size_t before = tp_mem().live_bytes;
    tp_params ps = tp_params_make(TP_F32, 1);
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%d", i);
        assert_ok(tp_params_add_buffer(&ps, &many[i], name, TP_U8, TP_SHAPE(i)));
    }
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(ps.buffer[i], &many[i]);
    tp_params_free(&ps);
    assert_int_equal(tp_mem().live_bytes, before);
}

/* --- two values --------------------------------------------------------------------------------- */

static tp_var pair(tp_ctx *c, double a, double b)
{
    tp_var x[] = {tp_full(c->tape, TP_F64, TP_SHAPE(1), a),
                  tp_full(c->tape, TP_F64, TP_SHAPE(1), b)};
    return tp_concat(x, 2, 0);
}

/* What a forward pass writes counts when it is committed, once. */
static void test_commit(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    kept k;
    make(&k, TP_F64, 1);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_buffer_average(&c, &k.mean, pair(&c, 10, 20), 0.1);
    tp_buffer_count(&c, &k.count);
    assert_mean(&k, 0, 0);
    assert_true(tp_item(&k.count.value) == 0);
    tp_params_commit(&k.ps, f->tape);
    tp_params_commit(&k.ps, f->tape);
    assert_mean(&k, 1, 2);
    assert_true(tp_item(&k.count.value) == 1);
    tp_tape_reset(f->tape);
    tp_buffer_set(&c, &k.mean, pair(&c, 5, 6));
    tp_params_commit(&k.ps, f->tape);
    assert_mean(&k, 5, 6);
    assert_true(tp_item(&k.count.value) == 1);
    tp_params_free(&k.ps);
    fixture_free(f);
}

/* A layer that is applied twice in a step goes on from where the first left off, as PyTorch's. */
static void test_twice(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    kept k;
    make(&k, TP_F64, 1);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    for (int i = 0; i < 2; i++) {
        tp_buffer_average(&c, &k.mean, pair(&c, 10, 20), 0.5);
        tp_buffer_count(&c, &k.count);
    }
    tp_params_commit(&k.ps, f->tape);
    assert_mean(&k, 7.5, 15);
    assert_true(tp_item(&k.count.value) == 2);
    tp_params_free(&k.ps);
    fixture_free(f);
}

/* A recording that was not committed is forgotten: the next begins with the value; and what another tape has recorded
 * is not this one's to commit. */
static void test_forgotten(void **state)
{
    (void)state;
    fixture *f = fixture_new(), *g = fixture_new();
    kept k;
    make(&k, TP_F64, 1);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0), other = tp_ctx_train(g->tape, 1, 0);
    tp_buffer_average(&c, &k.mean, pair(&c, 10, 20), 0.5);
    tp_buffer_count(&c, &k.count);
    tp_params_commit(&k.ps, g->tape);
    assert_mean(&k, 0, 0);
    tp_tape_reset(f->tape);
    tp_params_commit(&k.ps, f->tape);
    assert_mean(&k, 0, 0);
    tp_buffer_average(&c, &k.mean, pair(&c, 10, 20), 0.5);
    tp_buffer_count(&other, &k.count);
    tp_params_commit(&k.ps, f->tape);
    assert_mean(&k, 5, 10);
    assert_true(tp_item(&k.count.value) == 0);
    tp_params_commit(&k.ps, g->tape);
    assert_true(tp_item(&k.count.value) == 1);
    tp_tape *t = g->tape; /* a tape in the place of one that was freed is another one */
    tp_buffer_count(&other, &k.count);
    tp_tape_free(t);
    assert_ok(tp_tape_new(&g->tape));
    assert_ptr_equal(g->tape, t);
    tp_params_commit(&k.ps, g->tape);
    assert_true(tp_item(&k.count.value) == 1);
    tp_params_free(&k.ps);
    fixture_free(f);
    fixture_free(g);
}

static void test_eval(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    kept k;
    make(&k, TP_F64, 1);
    tp_ctx c = tp_ctx_eval(f->tape, 1, 0);
    tp_var x = pair(&c, 10, 20);
    uint32_t length = tp_tape_length(f->tape);
    tp_buffer_average(&c, &k.mean, x, 0.5);
    tp_buffer_set(&c, &k.mean, x);
    tp_buffer_count(&c, &k.count);
    tp_params_commit(&k.ps, f->tape);
    assert_mean(&k, 0, 0);
    assert_true(tp_item(&k.count.value) == 0);
    assert_int_equal(tp_tape_length(f->tape), length);
    tp_params_free(&k.ps);
    fixture_free(f);
}

/* No gradient goes through what a buffer is set to. */
static void test_no_gradient(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    kept k;
    make(&k, TP_F64, 1);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var w = tp_slice(tp_param(f->tape, &k.weight), 0, 0, 2, 1);
    assert_true(tp_needs_grad(w));
    tp_buffer_average(&c, &k.mean, w, 0.5);
    tp_var last = {f->tape, tp_tape_length(f->tape),
                   w.epoch}; /* what the average was computed by */
    assert_ok(tp_var_status(last));
    assert_false(tp_needs_grad(last));
    tp_params_free(&k.ps);
    fixture_free(f);
}

static void test_refusals(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    kept k;
    make(&k, TP_F64, 1);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = pair(&c, 10, 20);
    tp_buffer_set(&c, &k.mean, tp_full(f->tape, TP_F64, TP_SHAPE(3), 1));
    assert_status(tp_tape_status(f->tape), TP_ESHAPE);
    assert_string_equal(tp_tape_message(f->tape),
                        "E_SHAPE buffer 'n.mean': cannot copy f64[3] into f64[2]");
    tp_buffer_average(&c, &k.mean, x, 0.5); /* on a tape that has failed: nothing */
    assert_string_equal(tp_tape_message(f->tape),
                        "E_SHAPE buffer 'n.mean': cannot copy f64[3] into f64[2]");
    tp_tape_reset(f->tape);
    tp_buffer_set(&c, &k.mean, x);
    assert_status(tp_tape_status(f->tape), TP_ESTALE);
    assert_non_null(strstr(tp_tape_message(f->tape), "buffer 'n.mean': var"));
    tp_tape_reset(f->tape);
    tp_buffer_set(&c, &k.mean, tp_full(f->tape, TP_F32, TP_SHAPE(2), 1));
    assert_string_equal(tp_tape_message(f->tape),
                        "E_DTYPE buffer 'n.mean': it is f64 and would become f32");
    tp_tape_reset(f->tape);
    tp_buffer_average(&c, &k.mean, tp_full(f->tape, TP_F32, TP_SHAPE(2), 1), 0.5);
    assert_status(tp_tape_status(f->tape), TP_EDTYPE);
    assert_mean(&k, 0, 0);
    tp_params_free(&k.ps);
    fixture_free(f);
}

/* Optimizers know of parameters only. */
static void test_optimizer(void **state)
{
    (void)state;
    kept k;
    tp_optimizer adam;
    make(&k, TP_F64, 1);
    assert_ok(tp_adam_init(&adam, &k.ps, tp_adam_defaults()));
    assert_int_equal(adam.n, 1);
    assert_ok(tp_fill(&k.mean.value, 3));
    assert_ok(tp_fill(&k.weight.grad, 1));
    k.weight.has_grad = true;
    assert_ok(tp_optimizer_step(&adam));
    assert_mean(&k, 3, 3);
    tp_optimizer_free(&adam);
    tp_params_free(&k.ps);
}

/* --- files -------------------------------------------------------------------------------------- */

static bool same(const kept *a, const kept *b)
{
    return equal_bits(&a->weight.value, &b->weight.value) &&
           equal_bits(&a->mean.value, &b->mean.value) &&
           equal_bits(&a->count.value, &b->count.value);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        kept a, b;
        const char *path = test_tmp("round.safetensors");
        make(&a, (tp_dtype)d, 1);
        make(&b, (tp_dtype)d, 2);
        assert_ok(tp_set_flat(&a.mean.value, 0, -0.0));
        assert_ok(tp_set_flat(&a.mean.value, 1, 1.0 / 3));
        assert_ok(tp_fill(&a.count.value, 1LL << 40));
        assert_ok(tp_params_save(&a.ps, path, NULL));
        assert_false(same(&a, &b));
        assert_ok(tp_params_load(&b.ps, path));
        assert_true(same(&a, &b));
        tp_safetensors file;
        assert_ok(tp_safetensors_open(&file, path));
        assert_int_equal(file.n, 3);
        assert_int_equal(tp_safetensors_find(&file, "n.count")->dtype, TP_I64);
        tp_safetensors_close(&file);
        tp_params_free(&a.ps);
        tp_params_free(&b.ps);
    }
}

/* A file without a buffer, or with one of another type, is refused, and nothing changes. */
static void test_wrong_files(void **state)
{
    (void)state;
    static const char *const says[] = {"tensor 'n.mean' is missing", "tensor 'n.count'"};
    for (int i = 0; i < 2; i++) {
        kept a, before;
        tp_tensor weight, mean, count;
        const char *path = test_tmp("wrong.safetensors");
        make(&a, TP_F64, 1);
        make(&before, TP_F64, 1);
        assert_ok(tp_tensor_new(&weight, TP_F64, TP_SHAPE(3)));
        assert_ok(tp_tensor_new(&mean, TP_F64, TP_SHAPE(2)));
        assert_ok(tp_tensor_new(&count, TP_F64, TP_SHAPE()));
        const tp_named_tensor items[] = {
            {"n.weight", &weight}, {"n.count", &count}, {"n.mean", &mean}};
        assert_ok(tp_safetensors_save(path, items, 2 + i, NULL));
        assert_status(tp_params_load(&a.ps, path), TP_EFORMAT);
        assert_message(says[i]);
        assert_true(same(&a, &before));
        tp_tensor_free(&weight);
        tp_tensor_free(&mean);
        tp_tensor_free(&count);
        tp_params_free(&a.ps);
        tp_params_free(&before.ps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),        cmocka_unit_test(test_many),
        cmocka_unit_test(test_commit),      cmocka_unit_test(test_twice),
        cmocka_unit_test(test_forgotten),   cmocka_unit_test(test_eval),
        cmocka_unit_test(test_no_gradient), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_optimizer),   cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wrong_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
