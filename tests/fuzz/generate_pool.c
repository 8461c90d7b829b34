/* generate_pool.c: makes up windows over images, which renaming the sizes of a sample seldom fits together. Read next:
 * generate.c. */
#include "tests/fuzz/fuzz.h"

bool fuzz_is_pool(const tp_op *op)
{
    return op == &tp_op_avg_pool2d || op == &tp_op_avg_unpool2d || op == &tp_op_max_pool2d ||
           op == &tp_op_argmax_pool2d;
}

static int64_t between(fuzz_generator *g, int64_t least, int64_t most)
{
    return least + fuzz_below(&g->rng, most - least + 1);
}

static void set(fuzz_step *s, const char *name, int64_t value)
{
    const tp_field *f = fuzz_field(s->op, name);
    if (f != NULL)
        *(int64_t *)fuzz_at(f, s->attr.bytes) = value;
}

/* One attribute becomes another: most of the time that is refused. */
static void disturb(fuzz_generator *g, fuzz_step *s)
{
    const int64_t wrong[] = {-1, 0, 1, 2, 3, 5, (int64_t)1 << 31, (int64_t)1 << 61, INT64_MAX};
    int field = (int)fuzz_below(&g->rng, s->op->field_count);
    *(int64_t *)fuzz_at(&s->op->fields[field], s->attr.bytes) =
        wrong[fuzz_below(&g->rng, (int64_t)(sizeof wrong / sizeof *wrong))];
}

void fuzz_generate_pool(fuzz_generator *g, const fuzz_machine *m, fuzz_step *s)
{
    static const char *const names[2][4] = {{"kernel_h", "stride_h", "padding_h", "height"},
                                            {"kernel_w", "stride_w", "padding_w", "width"}};
    tp_shape x = TP_SHAPE(between(g, 0, 3), between(g, 1, 3), 0, 0), y = x;
    if (g->big && fuzz_chance(&g->rng, 50))
        x.dim[0] = y.dim[0] = 100 * between(g, 1, 5);
    bool apart = fuzz_chance(&g->rng, 40);
    for (int a = 0; a < 2; a++) {
        int64_t kernel = between(g, 1, 4), stride = apart ? kernel : between(g, 1, 3);
        int64_t padding = fuzz_chance(&g->rng, 50) ? between(g, 0, kernel / 2) : 0;
        x.dim[2 + a] = kernel + between(g, 0, 5);
        y.dim[2 + a] = (x.dim[2 + a] + 2 * padding - kernel) / stride + 1;
        set(s, names[a][0], kernel);
        set(s, names[a][1], apart ? 0 : stride);
        set(s, names[a][2], padding);
        set(s, names[a][3], x.dim[2 + a]);
    }
    set(s, "divisor", fuzz_chance(&g->rng, 70) ? 0 : between(g, 1, 5));
    if (fuzz_chance(&g->rng, 12))
        disturb(g, s);
    s->n = 1;
    s->x[0] = fuzz_input(g, m, s->op == &tp_op_avg_unpool2d ? y : x);
}
