/* structure.c: how much of the matrix ∂y/∂x of one node can differ from 0, from the structure that its row names.
 * Tests build the matrix and count. Read next: index.h. */
#include "autograd/explain/index.h"
#include "autograd/ops.h"

#include <string.h>

/* The elements of x on one line along the axes of the attribute; the empty list of axes means all. */
static int64_t line_length(const tp_node *node, tp_shape x)
{
    const tp_field *one = tp_format_field(node->op, "axis", 4);
    const tp_field *list = tp_format_field(node->op, "axes", 4);
    bool mask[TP_MAX_DIMS] = {false};
    int64_t n = 1;
    tp_axes axes = {0, {0}};
    if (one != NULL)
        axes = TP_AXES(*(const int *)((const char *)node->attr + one->offset));
    else if (list != NULL)
        axes = *(const tp_axes *)((const char *)node->attr + list->offset);
    if (tp_axes_mask(x, axes, mask) == TP_OK)
        for (int d = 0; d < x.ndim; d++)
            n *= mask[d] ? x.dim[d] : 1;
    return n;
}

static int64_t last_axes(tp_shape s, int axes)
{
    int64_t n = 1;
    for (int d = s.ndim < axes ? 0 : s.ndim - axes; d < s.ndim; d++)
        n *= s.dim[d];
    return n;
}

/* --- windows -------------------------------------------------------------------------------------- */

static int64_t attribute(const tp_node *node, const char *name, int axis, int64_t otherwise)
{
    tp_text full = {0};
    tp_text_add(&full, "%s_%c", name, "hw"[axis]);
    const tp_field *f = tp_format_field(node->op, full.data, full.used);
    return f == NULL ? otherwise : *(const int64_t *)((const char *)node->attr + f->offset);
}

/* Along one axis of a row with windows. */
typedef struct line {
    int64_t pixels, positions, kernel;
    bool given; /* positions give to pixels, instead of seeing them */
    tp_conv_opts o;
} line;

static line line_of(const tp_tape *tape, const tp_node *node, int axis)
{
    bool kernel =
        node->op == &tp_op_conv2d_weight; /* between pictures, of which it makes a kernel */
    const tp_shape *x = &tp_node_at(tape, node->x[0])->value.shape;
    const tp_shape *w = node->n < 2 ? NULL : &tp_node_at(tape, node->x[1])->value.shape;
    int64_t a = x->dim[2 + axis], b = (kernel ? w : &node->value.shape)->dim[2 + axis];
    line l = {.kernel = attribute(node, "kernel", axis, w == NULL ? 1 : w->dim[2 + axis])};
    l.o.stride[axis] = attribute(node, "stride", axis, 1);
    l.o.padding[axis] = attribute(node, "padding", axis, 0);
    l.o.dilation[axis] = attribute(node, "dilation", axis, 1);
    l.given = tp_conv_positions(&l.o, axis, a, l.kernel) != b;
    l.pixels = l.given ? b : a, l.positions = l.given ? a : b;
    return l;
}

/* How many pairs of a position and an element of the kernel there lie on a pixel, and not in the padding. */
static int64_t pairs(const line *l, int axis)
{
    int64_t n = 0, s = l->o.stride[axis];
    for (int64_t u = 0; u < l->kernel; u++) {
        int64_t zero = l->o.padding[axis] - l->o.dilation[axis] * u; /* pixel 0 is s·i from it */
        int64_t first = zero <= 0 ? 0 : (zero + s - 1) / s;
        int64_t end = zero + l->pixels <= 0 ? 0 : (zero + l->pixels - 1) / s + 1;
        end = end < l->positions ? end : l->positions;
        n += end > first ? end - first : 0;
    }
    return n;
}

/* Channels that meet, of one picture: all of a group's on one side with all on the other; of rows without a kernel
 * each with itself. */
static int64_t channel_pairs(const tp_tape *tape, const tp_node *node)
{
    bool kernel = node->op == &tp_op_conv2d_weight;
    const tp_node *w = kernel ? node : tp_node_at(tape, node->x[node->n < 2 ? 0 : 1]);
    tp_shape s = w->value.shape;
    return node->n < 2 ? s.dim[1] : s.dim[0] * s.dim[1];
}

/* Each of a position, an element of the kernel and a pair of channels is an entry, whatever is differentiated by. */
static tp_blocks blocks_of_windows(const tp_tape *tape, const tp_node *node, int input, tp_blocks b)
{
    bool kernel = node->op == &tp_op_conv2d_weight;
    line h = line_of(tape, node, 0), w = line_of(tape, node, 1);
    tp_shape x = tp_node_at(tape, node->x[kernel ? input : 0])->value.shape;
    int64_t n = channel_pairs(tape, node);
    b.entries = x.dim[0] * n * pairs(&h, 0) * pairs(&w, 1);
    if (b.structure == TP_JACOBIAN_WINDOWS) {
        b.given = h.given || w.given;
        tp_shape side = b.given ? x : node->value.shape;
        b.width = side.dim[1] > 0 ? n / side.dim[1] * h.kernel * w.kernel : 0;
        return b;
    }
    b.count = kernel ? x.dim[1] : node->value.shape.dim[1];
    b.width = b.count > 0 ? b.columns / b.count : 0;
    b.height = b.count > 0 ? b.rows / b.count : 0;
    return b;
}

tp_blocks tp_index_blocks(const tp_tape *tape, uint32_t id, int input)
{
    const tp_node *node = tp_node_at(tape, id);
    tp_shape x = tp_node_at(tape, node->x[input])->value.shape;
    tp_blocks b = {.structure = tp_jacobian_of(node->op, input)};
    b.rows = tp_shape_numel(node->value.shape), b.columns = tp_shape_numel(x);
    if (b.structure == TP_JACOBIAN_NONE)
        return b;
    if (b.structure == TP_JACOBIAN_WINDOWS || tp_format_field(node->op, "groups", 6) != NULL)
        return blocks_of_windows(tape, node, input, b);
    b.entries = b.structure == TP_JACOBIAN_SUM ? b.columns : b.rows;
    if (b.structure ==
        TP_JACOBIAN_KRONECKER) /* what a product sums over is the first factor's last axis */
        b.width = last_axes(tp_node_at(tape, node->x[0])->value.shape, 1);
    else if (b.structure == TP_JACOBIAN_LINES)
        b.width = line_length(node, x);
    else if (b.structure == TP_JACOBIAN_DENSE)
        b.width = last_axes(x, 2);
    else
        return b;
    b.entries = b.rows * b.width;
    b.count = b.width > 0 ? b.columns / b.width : 0;
    b.height = b.count > 0 ? b.rows / b.count : 0;
    return b;
}

void tp_format_structure(tp_text *t, const tp_formula *f, uint32_t id, int input)
{
    tp_blocks b = tp_index_blocks(f->tape, id, input);
    tp_text_add(t, "%s", tp_jacobian_name(b.structure));
    if (b.structure == TP_JACOBIAN_NONE || b.entries == 0)
        return;
    if (b.structure == TP_JACOBIAN_WINDOWS)
        tp_text_add(t, " of %s with %lld elements", b.given ? "y" : "x", (long long)b.width);
    if (b.count > 0)
        tp_text_add(t, ", %lld %s of %lld×%lld", (long long)b.count,
                    b.count == 1 ? "block" : "blocks", (long long)b.height, (long long)b.width);
    if (b.structure == TP_JACOBIAN_DIAGONAL && b.rows > b.columns)
        tp_text_add(t, ", %lld rows for each element that was broadcast",
                    (long long)(b.rows / b.columns));
    tp_text_add(t, ": %lld of %lld entries can differ from 0", (long long)b.entries,
                (long long)(b.rows * b.columns));
}
