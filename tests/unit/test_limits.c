/* test_limits.c: sizes beyond what there is: of memory, of a header, of a list. All are refused before anything is
 * allocated or written. Budgets and allocations that fail: tests/fault/check_oom.c. */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/data.h"
#include "tensor/io/safetensors.h"
#include "tensor/mem.h"

static void more_bytes_than_addresses(void **state)
{
    (void)state;
    tp_mem_stats before = tp_mem();
    tp_arena a = {0};
    assert_null(tp_alloc(SIZE_MAX));
    assert_message("more than the address space");
    assert_null(tp_alloc(SIZE_MAX / 2 + 1));
    assert_message("more than the address space");
    assert_null(tp_alloc_zero(SIZE_MAX));
    assert_null(tp_realloc(NULL, 0, SIZE_MAX));
    assert_null(tp_arena_alloc(&a, SIZE_MAX));
    assert_message("more than the address space");
    assert_null(tp_arena_alloc(&a, SIZE_MAX / 4));
    assert_message("more than any machine has");
    assert_int_equal(tp_mem().live_bytes, before.live_bytes);
    assert_int_equal(tp_mem().calls, before.calls);
    tp_arena_free(&a);
}

/* A control character takes six in JSON. */
static void a_header_beyond_what_is_read(void **state)
{
    (void)state;
    enum { BYTES = 17 * 1000 * 1000 };
    const char *path = test_tmp("long.safetensors");
    char *text = malloc(BYTES + 1);
    tp_tensor t;
    assert_non_null(text);
    memset(text, 1, BYTES);
    text[BYTES] = '\0';
    assert_ok(tp_tensor_new(&t, TP_F32, TP_SHAPE(2)));
    const char *const metadata[] = {"key", text, NULL};
    assert_status(tp_safetensors_save(path, &(tp_named_tensor){"t", &t}, 1, metadata), TP_EARG);
    assert_message("bytes is too long");
    assert_int_equal(access(path, F_OK), -1);
    tp_tensor_free(&t);
    free(text);
}

static void more_examples_than_an_epoch_has(void **state)
{
    (void)state;
    tp_batches b = {.size = 10, .batch_size = 4};
    const int64_t wrong[] = {-1, 3, 11, INT64_MIN, INT64_MAX}, right[] = {0, 8, 2};
    for (int i = 0; i < 5; i++) {
        assert_status(tp_batches_skip(&b, wrong[i]), TP_EARG);
        assert_message("cannot pass over ");
        assert_int_equal(b.at, 0);
    }
    for (int i = 0; i < 3; i++)
        assert_ok(tp_batches_skip(&b, right[i]));
    assert_int_equal(b.at, 10);
    assert_status(tp_batches_skip(&b, 1), TP_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_bytes_than_addresses),
        cmocka_unit_test(a_header_beyond_what_is_read),
        cmocka_unit_test(more_examples_than_an_epoch_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
