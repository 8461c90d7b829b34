/* structure.c: how much of the matrix ∂y/∂x of one node can differ from 0, from the structure that its row names.
 * Tests build the matrix and count. Read next: index.h. */
#include "autograd/explain/index.h"

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

tp_blocks tp_index_blocks(const tp_tape *tape, uint32_t id, int input)
{
    const tp_node *node = tp_node_at(tape, id);
    tp_shape x = tp_node_at(tape, node->x[input])->value.shape;
    tp_blocks b = {.structure = tp_jacobian_of(node->op, input)};
    b.rows = tp_shape_numel(node->value.shape), b.columns = tp_shape_numel(x);
    if (b.structure == TP_JACOBIAN_NONE)
        return b;
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
    if (b.count > 0)
        tp_text_add(t, ", %lld %s of %lld×%lld", (long long)b.count,
                    b.count == 1 ? "block" : "blocks", (long long)b.height, (long long)b.width);
    if (b.structure == TP_JACOBIAN_DIAGONAL && b.rows > b.columns)
        tp_text_add(t, ", %lld rows for each element that was broadcast",
                    (long long)(b.rows / b.columns));
    tp_text_add(t, ": %lld of %lld entries can differ from 0", (long long)b.entries,
                (long long)(b.rows * b.columns));
}
