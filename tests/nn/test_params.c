/* test_params.c: the list of named parameters: registering, counting, initial values, files.
 *
 * Read next: test_layers.c, which registers real layers.
 */
#include "tests/support/check.h"

#include <stdio.h>

#include "nn/init.h"
#include "tensor/io/safetensors.h"
#include "tensor/mem.h"

typedef struct pair {
    tp_params ps;
    tp_parameter a, b;
} pair;

/* Two parameters with initial values of their own. */
static void make(pair *p, tp_dtype dtype, uint64_t seed)
{
    *p = (pair){.ps = tp_params_make(dtype, seed)};
    assert_ok(tp_params_add(&p->ps, &p->a, "enc.weight", TP_SHAPE(3, 4)));
    assert_ok(tp_params_add(&p->ps, &p->b, "enc.bias", TP_SHAPE(3)));
    assert_ok(tp_init_uniform(&p->ps, &p->a, 0.5));
    assert_ok(tp_init_uniform(&p->ps, &p->b, 2));
}

static bool same_pair(const pair *x, const pair *y)
{
    return equal_bits(&x->a.value, &y->a.value) && equal_bits(&x->b.value, &y->b.value);
}

/* --- the list ----------------------------------------------------------------------------------- */

static void test_list(void **state)
{
    (void)state;
    pair p;
    make(&p, TP_F32, 1);
    assert_int_equal(p.ps.n, 2);
    assert_int_equal(tp_params_count(&p.ps), 15);
    assert_ptr_equal(tp_params_find(&p.ps, "enc.bias"), &p.b);
    assert_null(tp_params_find(&p.ps, "enc"));
    tp_parameter again = {0};
    assert_status(tp_params_add(&p.ps, &again, "enc.bias", TP_SHAPE(2)), TP_EARG);
    assert_message("two parameters are named 'enc.bias'");
    assert_int_equal(p.ps.n, 2);
    assert_null(again.value.storage);
    assert_status(tp_params_add(&p.ps, &again, "negative", TP_SHAPE(2, -1)), TP_ESHAPE);
    assert_int_equal(p.ps.n, 2);
    tp_params_free(&p.ps);
    assert_int_equal(p.ps.n, 0);
    assert_null(p.a.value.storage);
}

static void test_many(void **state)
{
    (void)state;
    enum { MANY = 100 };
    static tp_parameter many[MANY];
    size_t before = tp_mem().live_bytes;
    tp_params ps = tp_params_make(TP_F64, 1);
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        assert_ok(tp_params_add(&ps, &many[i], name, TP_SHAPE(i)));
    }
    assert_int_equal(tp_params_count(&ps), MANY * (MANY - 1) / 2);
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(ps.item[i], &many[i]);
    tp_params_free(&ps);
    assert_int_equal(tp_mem().live_bytes, before);
}

/* Draws depend on seed and place in the list, not on the dtype beyond rounding. */
static void test_initial_values(void **state)
{
    (void)state;
    pair x, y, other, rough;
    make(&x, TP_F64, 1);
    make(&y, TP_F64, 1);
    make(&other, TP_F64, 2);
    make(&rough, TP_F32, 1);
    assert_true(same_pair(&x, &y));
    assert_false(equal_bits(&x.a.value, &other.a.value));
    for (int64_t i = 0; i < 12; i++)
        assert_close(tp_flat(&rough.a.value, i), tp_flat(&x.a.value, i), 1e-7, 0);
    for (int64_t i = 0; i < 3; i++) /* the two are not the same draw scaled */
        assert_true(tp_flat(&x.b.value, i) != 4 * tp_flat(&x.a.value, i));
    tp_params_free(&x.ps);
    tp_params_free(&y.ps);
    tp_params_free(&other.ps);
    tp_params_free(&rough.ps);
}

/* --- files -------------------------------------------------------------------------------------- */

static void test_round_trip(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        pair x, y;
        const char *path = test_tmp("round.safetensors");
        const char *const metadata[] = {"model", "pair", "step", "7", NULL};
        make(&x, (tp_dtype)d, 1);
        make(&y, (tp_dtype)d, 2);
        assert_ok(tp_set_flat(&x.a.value, 0, -0.0)); /* bits that a text format would lose */
        assert_ok(tp_set_flat(&x.a.value, 1, 5e-324));
        assert_ok(tp_set_flat(&x.a.value, 2, 1.0 / 3));
        assert_ok(tp_params_save(&x.ps, path, metadata));
        assert_false(same_pair(&x, &y));
        assert_ok(tp_params_load(&y.ps, path));
        assert_true(same_pair(&x, &y));
        tp_safetensors file;
        assert_ok(tp_safetensors_open(&file, path));
        assert_int_equal(file.n, 2);
        assert_string_equal(file.entry[0].name, "enc.weight");
        assert_string_equal(tp_safetensors_metadata(&file, "step"), "7");
        tp_safetensors_close(&file);
        tp_params_free(&x.ps);
        tp_params_free(&y.ps);
    }
}

/* Loads a file of the given tensors into a pair: it must fail, say so, and change nothing. */
static void refuse(const char *name, tp_named_tensor *items, int n, const char *says)
{
    pair p, before;
    const char *path = test_tmp(name);
    make(&p, TP_F32, 1);
    make(&before, TP_F32, 1);
    assert_ok(tp_safetensors_save(path, items, n, NULL));
    assert_status(tp_params_load(&p.ps, path), TP_EFORMAT);
    assert_message(says);
    assert_message(name);
    assert_true(same_pair(&p, &before));
    tp_params_free(&p.ps);
    tp_params_free(&before.ps);
}

static void test_wrong_files(void **state)
{
    (void)state;
    tp_tensor weight, bias, bias64, bias4;
    assert_ok(tp_tensor_new(&weight, TP_F32, TP_SHAPE(3, 4)));
    assert_ok(tp_tensor_new(&bias, TP_F32, TP_SHAPE(3)));
    assert_ok(tp_tensor_new(&bias64, TP_F64, TP_SHAPE(3)));
    assert_ok(tp_tensor_new(&bias4, TP_F32, TP_SHAPE(4)));
    refuse("missing.st", (tp_named_tensor[]){{"enc.weight", &weight}}, 1,
           "tensor 'enc.bias' is missing");
    refuse("shape.st", (tp_named_tensor[]){{"enc.weight", &weight}, {"enc.bias", &bias4}}, 2,
           "tensor 'enc.bias' is f32[4], expected f32[3]");
    refuse("dtype.st", (tp_named_tensor[]){{"enc.weight", &weight}, {"enc.bias", &bias64}}, 2,
           "tensor 'enc.bias' is f64[3], expected f32[3]");
    refuse("extra.st",
           (tp_named_tensor[]){{"enc.weight", &weight}, {"enc.bias", &bias}, {"mu.bias", &bias}}, 3,
           "tensor 'mu.bias' is one too many");
    tp_tensor_free(&weight);
    tp_tensor_free(&bias);
    tp_tensor_free(&bias64);
    tp_tensor_free(&bias4);
}

/* Cuts the file to its first bytes. */
static void truncate_file(const char *path, const char *to, size_t bytes)
{
    char data[4096];
    FILE *in = fopen(path, "rb"), *out = fopen(to, "wb");
    assert_true(in != NULL && out != NULL && bytes <= sizeof data);
    assert_int_equal(fread(data, 1, bytes, in), bytes);
    assert_int_equal(fwrite(data, 1, bytes, out), bytes);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void test_damaged_files(void **state)
{
    (void)state;
    pair p, before;
    const char *whole = test_tmp("whole.st"), *part = test_tmp("part.st");
    make(&p, TP_F32, 1);
    make(&before, TP_F32, 1);
    assert_status(tp_params_load(&p.ps, test_tmp("nothing.st")), TP_EIO);
    assert_message("nothing.st");
    assert_ok(tp_params_save(&p.ps, whole, NULL));
    for (size_t bytes = 0; bytes < 150; bytes += 7) {
        truncate_file(whole, part, bytes);
        assert_status(tp_params_load(&p.ps, part), TP_EFORMAT);
        assert_true(same_pair(&p, &before));
    }
    assert_status(tp_params_save(&p.ps, test_tmp("no/such/directory.st"), NULL), TP_EIO);
    tp_params_free(&p.ps);
    tp_params_free(&before.ps);
}

/* A gradient belongs to the list's owner: zeroing forgets it without touching values. */
static void test_zero_grad(void **state)
{
    (void)state;
    pair p;
    make(&p, TP_F32, 1);
    p.a.has_grad = p.b.has_grad = true;
    tp_params_zero_grad(&p.ps);
    assert_null(tp_parameter_grad(&p.a));
    assert_null(tp_parameter_grad(&p.b));
    tp_params_free(&p.ps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),           cmocka_unit_test(test_many),
        cmocka_unit_test(test_initial_values), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wrong_files),    cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_zero_grad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
