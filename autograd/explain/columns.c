/* columns.c: a convolution as a product of matrices, by im2col (Chellapilla, Puri and Simard 2006): a column of im2col(x)
 * is what the kernel sees of x at one position of one picture; col2im adds columns back to where they were read. What
 * is picture, kernel and positions of the three rows: autograd/ops/conv.h. Read next: tensor/conv.c, which computes it
 * so, with rows for columns. */
#include "autograd/explain/index.h"
#include "autograd/ops.h"

typedef enum role { PICTURE, KERNEL, POSITIONS } role;

/* What the inputs of a row are, and then its result; false: it is no convolution. */
static bool roles_of(const tp_op *op, role of[3])
{
    const struct {
        const tp_op *op;
        role of[3];
    } rows[] = {
        {&tp_op_conv2d, {PICTURE, KERNEL, POSITIONS}},
        {&tp_op_conv_transpose2d, {POSITIONS, KERNEL, PICTURE}},
        {&tp_op_conv2d_weight, {PICTURE, POSITIONS, KERNEL}},
    };
    for (int i = 0; i < 3; i++)
        if (rows[i].op == op) {
            for (int k = 0; k < 3; k++)
                of[k] = rows[i].of[k];
            return true;
        }
    return false;
}

/* A matrix of the product: of which value, and how large. */
typedef struct matrix {
    uint32_t id;
    bool bar;
    int64_t rows, columns;
} matrix;

static void add_name(tp_text *t, const tp_formula *f, const matrix *m)
{
    tp_format_name(t, f, m->id, m->bar);
}

static void add_columns(tp_text *t, const tp_formula *f, const matrix *picture)
{
    tp_text_add(t, f->tex ? "\\operatorname{im2col}(" : "im2col(");
    add_name(t, f, picture);
    tp_text_add(t, ")");
}

/* In front of what is no part of the formula: of HTML an em space, which no browser takes away. */
static const char *gap(const tp_formula *f)
{
    return f->tex ? "\\qquad " : f->html ? "\xe2\x80\x83" : "   ";
}

static void add_sizes(tp_text *t, const tp_formula *f, int64_t rows, int64_t inner, int64_t columns)
{
    const char *format = f->tex ? "[%lld,%lld] = [%lld,%lld] \\cdot [%lld,%lld]"
                                : "[%lld,%lld] = [%lld,%lld]·[%lld,%lld]";
    tp_text_add(t, "%s", gap(f));
    tp_text_add(t, format, (long long)rows, (long long)columns, (long long)rows, (long long)inner,
                (long long)inner, (long long)columns);
}

/* Any of the three by the other two. */
static void add_product(tp_text *t, const tp_formula *f, const matrix m[3], role made)
{
    const matrix *w = &m[KERNEL], *y = &m[POSITIONS], *x = &m[PICTURE];
    const char *times = f->tex ? " \\cdot " : "·", *turned = f->tex ? "^\\top" : "ᵀ";
    add_name(t, f, &m[made]);
    tp_text_add(t, " = ");
    if (made == PICTURE) {
        tp_text_add(t, f->tex ? "\\operatorname{col2im}({" : "col2im(");
        add_name(t, f, w);
        tp_text_add(t, "%s%s%s", f->tex ? "}" : "", turned, times);
        add_name(t, f, y);
        tp_text_add(t, ")");
        add_sizes(t, f, x->rows, y->rows, x->columns);
        return;
    }
    add_name(t, f, made == KERNEL ? y : w);
    tp_text_add(t, "%s", times);
    add_columns(t, f, x);
    tp_text_add(t, "%s", made == KERNEL ? turned : "");
    if (made == KERNEL)
        add_sizes(t, f, w->rows, y->columns, w->columns);
    else
        add_sizes(t, f, y->rows, w->columns, y->columns);
}

bool tp_format_columns(tp_text *t, const tp_formula *f, uint32_t id, int input)
{
    const tp_node *node = tp_node_at(f->tape, id);
    role of[3];
    matrix m[3] = {{0}};
    tp_shape shape[3];
    if (node->op == NULL || !roles_of(node->op, of))
        return false;
    for (int i = 0; i < 3; i++) {
        uint32_t at = i < 2 ? node->x[i] : id;
        m[of[i]] = (matrix){.id = at, .bar = input >= 0 && (i == input || i == 2)};
        shape[of[i]] = tp_node_at(f->tape, at)->value.shape;
    }
    const tp_field *field = tp_format_field(node->op, "groups", 6);
    int64_t groups = *(const int64_t *)((const char *)node->attr + field->offset);
    const int64_t *w = shape[KERNEL].dim, *y = shape[POSITIONS].dim;
    int64_t seen = w[1] * w[2] * w[3], places = y[0] * y[2] * y[3];
    m[KERNEL].rows = m[POSITIONS].rows = w[0] / groups;
    m[KERNEL].columns = m[PICTURE].rows = seen;
    m[POSITIONS].columns = m[PICTURE].columns = places;
    add_product(t, f, m, of[input < 0 ? 2 : input]);
    if (groups > 1)
        tp_text_add(t, f->tex ? "%s\\text{in each of %lld groups}" : "%sin each of %lld groups",
                    gap(f), (long long)groups);
    return true;
}
