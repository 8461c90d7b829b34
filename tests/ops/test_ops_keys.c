/* test_ops_keys.c: a draw is a function of its whole key. Every operation and composition that has a key gives the
 * same bits for the same key, and other ones as soon as any part of it differs: a part that is dropped on the way
 * would repeat noise from step to step, or from layer to layer, and no distribution would look wrong.
 * The distributions themselves: tests/unit/test_noise.c, test_rng.c. */
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/compositions.h"
#include "tests/support/ops.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *part;
    tp_rng_key flipped;
} changes[] = {
    {"the seed", {1, 0, 0}}, {"the seed's upper half", {(uint64_t)1 << 32, 0, 0}},
    {"the step", {0, 1, 0}}, {"the step's upper half", {0, (uint64_t)1 << 32, 0}},
    {"the draw", {0, 0, 1}},
};
enum { CHANGES = sizeof changes / sizeof *changes };

static const tp_field *key_field(const tp_op *op)
{
    for (int i = 0; i < op->field_count; i++)
        if (op->fields[i].kind == TP_FIELD_KEY)
            return &op->fields[i];
    return NULL;
}

/* The sample's result, with the given bits of its key flipped. The caller frees it. */
static tp_tensor drawn(const tp_op *op, const tp_sample *s, tp_rng_key flipped)
{
    tp_tape *t;
    tp_tensor data[TP_SAMPLE_INPUTS], y;
    tp_var x[TP_SAMPLE_INPUTS];
    attr_room room;
    tp_rng_key key;
    char *at = (char *)room.bytes + key_field(op)->offset;
    assert_in_range(op->attr_size, 1, sizeof room);
    memcpy(room.bytes, s->attr, op->attr_size);
    memcpy(&key, at, sizeof key);
    key = (tp_rng_key){key.seed ^ flipped.seed, key.step ^ flipped.step, key.draw ^ flipped.draw};
    memcpy(at, &key, sizeof key);
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < s->n; i++) {
        assert_ok(tp_sample_fill(&s->x[i], TP_F64, 3 + (uint64_t)i, &data[i]));
        x[i] = tp_constant(t, &data[i]);
    }
    tp_var v = op_call(t, op, s->n, x, room.bytes);
    assert_ok(tp_tape_status(t));
    assert_ok(tp_clone(&y, tp_value(v)));
    tp_tape_free(t);
    for (int i = 0; i < s->n; i++)
        tp_tensor_free(&data[i]);
    return y;
}

static bool same(const tp_op *op, const tp_sample *s, tp_rng_key flipped)
{
    tp_tensor a = drawn(op, s, (tp_rng_key){0}), b = drawn(op, s, flipped);
    bool equal = equal_bits(&a, &b);
    tp_tensor_free(&a), tp_tensor_free(&b);
    return equal;
}

/* A small sample may come out alike by chance; not all of them. */
static bool matters(const tp_op *op, tp_rng_key flipped)
{
    bool differs = false;
    for (int k = 0; k < op->sample_count && !differs; k++)
        differs = !same(op, &op->samples[k], flipped);
    return differs;
}

static void test_keys(void **state)
{
    (void)state;
    int ops = 0, failures = 0;
    for (int i = 0; i < tested_count(); i++) {
        const tp_op *op = tested(i);
        if (key_field(op) == NULL)
            continue;
        ops++;
        if (matters(op, (tp_rng_key){0})) {
            print_error("%s: the same key gives other draws\n", op->name);
            failures++;
        }
        for (int k = 0; k < CHANGES; k++)
            if (!matters(op, changes[k].flipped)) {
                print_error("%s: %s does not matter\n", op->name, changes[k].part);
                failures++;
            }
    }
    printf("%d operations with a key\n", ops);
    assert_true(ops >= 7);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
