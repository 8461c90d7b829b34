/* generate_conv.c: makes up convolutions. What fits together is a formula of sizes and attributes, which renaming the sizes
 * of a sample hardly ever meets. Read next: generate.c. */
#include "tests/fuzz/fuzz.h"

bool fuzz_is_convolution(const tp_op *op)
{
    return op == &tp_op_conv2d || op == &tp_op_conv_transpose2d || op == &tp_op_conv2d_weight;
}

typedef struct conv {
    int64_t examples, channels, filters, groups; /* channels and filters of one group */
    int64_t size[2], kernel[2], positions[2], output_padding[2];
    int64_t stride[2], padding[2], dilation[2];
} conv;

static int64_t between(fuzz_generator *g, int64_t least, int64_t most)
{
    return least + fuzz_below(&g->rng, most - least + 1);
}

/* Small, of one axis; the image as large as its positions and output padding make it. */
static void draw_axis(fuzz_generator *g, conv *c, int a)
{
    c->positions[a] = between(g, 1, 5), c->kernel[a] = between(g, 1, 4);
    c->stride[a] = between(g, 1, 3), c->dilation[a] = between(g, 1, 2);
    c->padding[a] = fuzz_chance(&g->rng, 50) ? between(g, 0, 3) : 0;
    c->output_padding[a] = between(g, 0, c->stride[a] - 1);
    c->size[a] = (c->positions[a] - 1) * c->stride[a] + c->dilation[a] * (c->kernel[a] - 1) + 1 +
                 c->output_padding[a];
    while (2 * c->padding[a] >= c->size[a])
        c->padding[a]--;
    c->size[a] -= 2 * c->padding[a];
}

static conv draw_conv(fuzz_generator *g)
{
    conv c = {.examples = between(g, 0, 3),
              .channels = between(g, 1, 3),
              .filters = between(g, 1, 3),
              .groups = fuzz_chance(&g->rng, 60) ? 1 : between(g, 2, 3)};
    if (g->big && fuzz_chance(&g->rng, 50))
        c.examples = 100 * between(g, 1, 5);
    if (fuzz_chance(&g->rng, 3))
        c.channels = 0;
    for (int a = 0; a < 2; a++)
        draw_axis(g, &c, a);
    return c;
}

/* An earlier result as images, in place of those that were drawn; the kernel becomes one that fits. */
static void adopt(conv *c, tp_shape x)
{
    c->groups = x.dim[1] % c->groups == 0 ? c->groups : 1;
    c->examples = x.dim[0], c->channels = x.dim[1] / c->groups;
    for (int a = 0; a < 2; a++) {
        c->size[a] = x.dim[2 + a];
        int64_t room = c->size[a] + 2 * c->padding[a] - 1;
        while (c->kernel[a] > 1 && c->dilation[a] * (c->kernel[a] - 1) > room)
            c->kernel[a]--;
        c->positions[a] = (room - c->dilation[a] * (c->kernel[a] - 1)) / c->stride[a] + 1;
    }
}

/* A live var of four axes, none of them long; -1 if there is none. */
static int any_images(fuzz_generator *g, const fuzz_machine *m)
{
    int found = -1;
    for (int k = 0; k < g->p->count; k++) {
        tp_shape s = m->live[k] ? tp_shape_of(m->v[k]) : TP_SHAPE();
        bool fits = s.ndim == 4 && tp_dtype_of(m->v[k]) == g->dtype && s.dim[2] > 0 && s.dim[3] > 0;
        for (int d = 0; fits && d < 4; d++)
            fits = s.dim[d] <= 20;
        if (fits && (found < 0 || fuzz_chance(&g->rng, 60)))
            found = k;
    }
    return found;
}

static void set(fuzz_step *s, const char *name, int64_t value)
{
    const tp_field *f = fuzz_field(s->op, name);
    if (f != NULL)
        *(int64_t *)fuzz_at(f, s->attr.bytes) = value;
}

/* Two ones may be left out: zeros stand for them. */
static void set_pair(fuzz_generator *g, fuzz_step *s, const char *h, const char *w,
                     const int64_t v[2])
{
    bool unset = v[0] == 1 && v[1] == 1 && fuzz_chance(&g->rng, 50);
    set(s, h, unset ? 0 : v[0]);
    set(s, w, unset ? 0 : v[1]);
}

/* One attribute, or one size, becomes another: most of the time that is refused. */
static void disturb(fuzz_generator *g, fuzz_step *s, tp_shape *second)
{
    const int64_t wrong[] = {-1, 0, 1, 2, 3, 5, (int64_t)1 << 31, (int64_t)1 << 61, INT64_MAX};
    int64_t value = wrong[fuzz_below(&g->rng, (int64_t)(sizeof wrong / sizeof *wrong))];
    int field = (int)fuzz_below(&g->rng, s->op->field_count);
    if (fuzz_chance(&g->rng, 70))
        *(int64_t *)fuzz_at(&s->op->fields[field], s->attr.bytes) = value;
    else
        second->dim[fuzz_below(&g->rng, 4)] += between(g, 1, 2);
}

void fuzz_generate_convolution(fuzz_generator *g, const fuzz_machine *m, fuzz_step *s)
{
    conv c = draw_conv(g);
    bool back = s->op == &tp_op_conv_transpose2d;
    int known = !back && fuzz_chance(&g->rng, 60) ? any_images(g, m) : -1;
    if (known >= 0)
        adopt(&c, tp_shape_of(m->v[known]));
    int64_t in = c.channels * c.groups, out = c.filters * c.groups;
    tp_shape x = TP_SHAPE(c.examples, in, c.size[0], c.size[1]);
    tp_shape w = TP_SHAPE(out, c.channels, c.kernel[0], c.kernel[1]);
    tp_shape y = TP_SHAPE(c.examples, out, c.positions[0], c.positions[1]);
    tp_shape second = s->op == &tp_op_conv2d_weight ? y : w;
    set_pair(g, s, "stride_h", "stride_w", c.stride);
    set_pair(g, s, "dilation_h", "dilation_w", c.dilation);
    set(s, "padding_h", c.padding[0]), set(s, "padding_w", c.padding[1]);
    set(s, "output_padding_h", back ? c.output_padding[0] : 0);
    set(s, "output_padding_w", back ? c.output_padding[1] : 0);
    set(s, "kernel_h", c.kernel[0]), set(s, "kernel_w", c.kernel[1]);
    set(s, "groups", c.groups == 1 && fuzz_chance(&g->rng, 50) ? 0 : c.groups);
    if (fuzz_chance(&g->rng, 12))
        disturb(g, s, &second);
    s->n = 2;
    s->x[0] = known >= 0 ? known : fuzz_input(g, m, back ? y : x);
    s->x[1] = fuzz_input(g, m, second);
}
