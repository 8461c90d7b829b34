/* test_safetensors_calls.c: calls of save and load that are refused, and files that change or memory that ends under them:
 * all or nothing is done.
 *
 * Read next: tensor/io/safetensors.h, test_safetensors.c.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/unit/file_tests.h"

#include <stdio.h>
#include <unistd.h>

#include "tensor/io/safetensors.h"
#include "tensor/mem.h"

static void test_save_refusals(void **state)
{
    (void)state;
    const char *path = test_tmp("refused.safetensors");
    tp_tensor t = counted(TP_F32, TP_SHAPE(2)), empty = {0};
    const tp_named_tensor twice[3] = {{"a", &t}, {"b", &t}, {"a", &t}};
    const char *const odd[] = {"k", NULL}, *const again[] = {"k", "v", "l", "v", "k", "w", NULL};
    const char *const binary[] = {"k", "\xff", NULL};
    const char *const checksum[] = {TP_SAFETENSORS_CRC, "00000000", NULL};
    assert_status(tp_safetensors_save(path, twice, 1, checksum), TP_EARG);
    assert_message("metadata 'tapir.crc32' is written by itself");
    assert_status(tp_safetensors_save(path, twice, 3, NULL), TP_EARG);
    assert_message("two tensors are named 'a'");
    assert_status(tp_safetensors_save(path, &(tp_named_tensor){NULL, &t}, 1, NULL), TP_EARG);
    assert_status(tp_safetensors_save(path, &(tp_named_tensor){"a", NULL}, 1, NULL), TP_EARG);
    assert_status(tp_safetensors_save(path, &(tp_named_tensor){"a", &empty}, 1, NULL), TP_EARG);
    assert_status(tp_safetensors_save(path, &(tp_named_tensor){"__metadata__", &t}, 1, NULL),
                  TP_EARG);
    assert_message("reserved");
    assert_status(tp_safetensors_save(path, &(tp_named_tensor){"\xff", &t}, 1, NULL), TP_EARG);
    assert_message("UTF-8");
    assert_status(tp_safetensors_save(path, twice, -1, NULL), TP_EARG);
    assert_status(tp_safetensors_save(path, twice, 1, odd), TP_EARG);
    assert_message("'k' has no value");
    assert_status(tp_safetensors_save(path, twice, 1, again), TP_EARG);
    assert_status(tp_safetensors_save(path, twice, 1, binary), TP_EARG);
    assert_null(fopen(path, "rb")); /* nothing was written */
    assert_status(tp_safetensors_save(test_tmp("no/such/place"), twice, 1, NULL), TP_EIO);
    tp_tensor_free(&t);
}

static void test_load_refusals(void **state)
{
    (void)state;
    const char *path = test_tmp("load.safetensors");
    tp_tensor t = counted(TP_F32, TP_SHAPE(2, 3)), flat = counted(TP_F32, TP_SHAPE(6));
    tp_tensor whole = counted(TP_I64, TP_SHAPE(2, 3)), empty = {0};
    tp_safetensors s;
    assert_ok(tp_safetensors_save(path, &(tp_named_tensor){"w", &t}, 1, NULL));
    assert_ok(tp_safetensors_open(&s, path));
    assert_status(tp_safetensors_load(&s, "v\n", &t), TP_EVALUE);
    assert_message("no tensor 'v\\x0a'");
    assert_status(tp_safetensors_load_new(&s, "v", &empty), TP_EVALUE);
    assert_status(tp_safetensors_load(&s, "w", &flat), TP_ESHAPE);
    assert_message("'w' is f32[2,3], expected f32[6]");
    assert_status(tp_safetensors_load(&s, "w", &whole), TP_EDTYPE);
    assert_status(tp_safetensors_load(&s, "w", &empty), TP_EARG);
    FILE *f = fopen(path, "wb"); /* the file shrinks under the reader */
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_status(tp_safetensors_load_new(&s, "w", &empty), TP_EFORMAT);
    assert_message("tensor 'w'");
    assert_null(empty.storage);
    tp_safetensors_close(&s);
    assert_status(tp_safetensors_open(&s, test_tmp("missing")), TP_EIO);
    tp_tensor_free(&t);
    tp_tensor_free(&flat);
    tp_tensor_free(&whole);
}

/* A file that ends early behind our back, and a place that cannot be written: what was there stays, all of it. */
static void test_all_or_none(void **state)
{
    (void)state;
    const char *path = test_tmp("both.safetensors");
    tp_tensor a = counted(TP_F32, TP_SHAPE(40)), b = counted(TP_F32, TP_SHAPE(1)), empty = {0},
              wide;
    tp_tensor kept;
    tp_safetensors s;
    assert_ok(tp_safetensors_save(path, (tp_named_tensor[]){{"b", &b}, {"a", &a}}, 2, NULL));
    assert_ok(tp_safetensors_open(&s, path));
    assert_ok(tp_fill(&a, 7));
    assert_ok(tp_clone(&kept, &a));
    assert_ok(tp_view_expand(&b, TP_SHAPE(40), &wide));
    assert_status(tp_safetensors_load_all(&s, (tp_named_tensor[]){{"a", &a}, {"b", &empty}}, 2),
                  TP_EARG);
    assert_message("both.safetensors: tensor 'b' cannot be loaded into an empty handle");
    check_equal(&a, &kept);
    assert_int_equal(truncate(path, s.data + 100), 0);
    assert_status(tp_safetensors_load(&s, "a", &a), TP_EFORMAT);
    assert_message("tensor 'a'");
    check_equal(&a, &kept);
    tp_safetensors_close(&s);
    assert_ok(tp_safetensors_save(path, (tp_named_tensor[]){{"a", &kept}, {"w", &wide}}, 2, NULL));
    assert_ok(tp_safetensors_open(&s, path));
    assert_ok(tp_fill(&a, 8));
    assert_status(tp_safetensors_load_all(&s, (tp_named_tensor[]){{"a", &a}, {"w", &wide}}, 2),
                  TP_EARG);
    assert_message("tensor 'w' cannot be loaded into a tensor whose elements share memory");
    assert_ok(tp_fill(&kept, 8));
    check_equal(&a, &kept);
    tp_safetensors_close(&s);
    tp_tensor_free(&kept);
    tp_tensor_free(&a);
    tp_tensor_free(&b);
}

/* Whatever allocation fails, the status is TP_ENOMEM and nothing leaks. */
static void test_out_of_memory(void **state)
{
    (void)state;
    const char *path = test_tmp("memory.safetensors");
    static char names[40][16];
    tp_named_tensor items[40];
    const char *const metadata[] = {"key", "value", NULL};
    tp_tensor t = counted(TP_F32, TP_SHAPE(30, 20)), view;
    assert_ok(tp_view_transpose(&t, 0, 1, &view));
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        items[i] = (tp_named_tensor){names[i], &view};
    }
    assert_ok(tp_safetensors_save(path, items, 40, metadata));
    size_t live = tp_mem().live_bytes;
    int failed_saves = 0, failed_opens = 0, failed_loads = 0;
    for (size_t budget = 64; budget < 16000; budget += 64) {
        tp_safetensors s;
        tp_mem_set_budget(live + budget);
        tp_status saved = short_of_memory(tp_safetensors_save(path, items, 40, metadata), path);
        tp_status opened = short_of_memory(tp_safetensors_open(&s, path), path);
        tp_mem_set_budget(0);
        failed_saves += saved != TP_OK;
        failed_opens += opened != TP_OK;
        if (opened == TP_OK) {
            tp_mem_set_budget(tp_mem().live_bytes + budget);
            failed_loads += short_of_memory(tp_safetensors_load_all(&s, items, 40), path) != TP_OK;
            tp_mem_set_budget(0);
            tp_safetensors_close(&s);
        }
        assert_int_equal(tp_mem().live_bytes, live);
    }
    assert_true(failed_saves > 10 && failed_opens > 10 && failed_loads > 10);
    tp_tensor_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_refusals),
        cmocka_unit_test(test_load_refusals),
        cmocka_unit_test(test_all_or_none),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
