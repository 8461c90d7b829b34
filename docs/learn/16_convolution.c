/* 16_convolution.c: a convolution and its two adjoints. Strides, sizes and counts are in parts/16_layers.c. Read
 * 16_convolution.md beside it. */
#include "docs/learn/parts/16_grid.h"
#include "docs/learn/parts/16_layers.h"
#include "docs/learn/parts/16_picture.h"

#include <stdio.h>
#include <string.h>

enum { H = 4, K = 2, OH = 3 };
static const double X[H * H] = {1, 2, 0, 1, 0, 3, 1, -1, 2, 1, 1, 2, 1, 0, 2, 3};
static const double W[K * K] = {2, 1, -1, 3};
static const double G[OH * OH] = {1, 1, 2, -1, 0, 3, 2, -1, 1};

typedef struct window {
    tp_var x, w, y, g, loss;
} window;

/* The loss is Σ g ⊙ y, so that ȳ is g, as in chapter 4. */
static window record(learn_page *p)
{
    window r = {.x = learn_leaf(p, TP_SHAPE(1, 1, H, H), X),
                .w = learn_leaf(p, TP_SHAPE(1, 1, K, K), W),
                .g = learn_constant(p, TP_SHAPE(1, 1, OH, OH), G)};
    r.y = tp_conv2d(r.x, r.w, (tp_conv_opts){0});
    r.loss = tp_sum(tp_mul(r.y, r.g), TP_ALL_AXES, false);
    return r;
}

/* Prints " + a·b", and gives it. */
static double term(bool plus, double a, double b)
{
    printf(plus ? " +" : "");
    printf(a < 0 ? " (%g)·" : " %g·", a);
    printf(b < 0 ? "(%g)" : "%g", b);
    return a * b;
}

/* --- what it computes ---------------------------------------------------------------------------- */

static tp_status forward(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    window r = record(&p);
    TP_TRY(grid_show_var("x, the picture", r.x));
    TP_TRY(grid_show_var("w, the kernel", r.w));
    TP_TRY(grid_show_var("y", r.y));
    double sum = 0;
    printf("y_12 =");
    for (int u = 0; u < K; u++)
        for (int v = 0; v < K; v++)
            sum += term(u + v > 0, X[(1 + u) * H + 2 + v], W[u * K + v]);
    printf(" = %g\n", sum);
    TP_TRY(learn_expect("y_12", learn_at(r.y, 1 * OH + 2), sum, 0));
    learn_close(&p);
    return TP_OK;
}

static tp_status flip(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    window r = record(&p);
    tp_var other = tp_conv2d(r.x, grid_turned(r.w), (tp_conv_opts){0});
    TP_TRY(grid_show_var("what networks call convolution", r.y));
    TP_TRY(grid_show_var("with the kernel turned by 180°: convolution in mathematics", other));
    learn_close(&p);
    return TP_OK;
}

/* --- the matrices ---------------------------------------------------------------------------------- */

/* The numbers of the identity matrix of size n, as n images or kernels of one channel. */
static tp_var unit_vectors(learn_page *p, int n, int side)
{
    double at[H * H * H * H] = {0};
    for (int i = 0; i < n; i++)
        at[i * n + i] = 1;
    return learn_constant(p, TP_SHAPE(n, 1, side, side), at);
}

/* What unit vector c gives is column c of the matrix. */
static tp_status matrices(void)
{
    learn_page p;
    double by_x[OH * OH * H * H], by_w[OH * OH * K * K];
    TP_TRY(learn_open(&p));
    window r = record(&p);
    tp_var of_x = tp_conv2d(unit_vectors(&p, H * H, H), r.w, (tp_conv_opts){0}); /* [16,1,3,3] */
    tp_var of_w = tp_conv2d(r.x, unit_vectors(&p, K * K, K), (tp_conv_opts){0}); /* [1,4,3,3] */
    for (int row = 0; row < OH * OH; row++) {
        for (int c = 0; c < H * H; c++)
            by_x[row * H * H + c] = learn_at(of_x, c * OH * OH + row);
        for (int c = 0; c < K * K; c++)
            by_w[row * K * K + c] = learn_at(of_w, c * OH * OH + row);
    }
    grid_rows("∂y/∂x, 9×16: a row for each y, a column for each pixel", by_x, OH * OH, H * H, ".");
    grid_rows("∂y/∂w, 9×4: a row for each y, a column for each weight", by_w, OH * OH, K * K, "0");
    learn_close(&p);
    return TP_OK;
}

/* --- back to the picture --------------------------------------------------------------------------- */

/* One element of x̄: the positions that see the pixel, and with which weight. */
static tp_status pixel(const char *name, tp_var x, int a, int b)
{
    double sum = 0;
    bool plus = false;
    printf("%s", name);
    for (int i = 0; i < OH; i++)
        for (int j = 0; j < OH; j++)
            if (a - i >= 0 && a - i < K && b - j >= 0 && b - j < K) {
                sum += term(plus, G[i * OH + j], W[(a - i) * K + b - j]);
                plus = true;
            }
    printf(" = %g\n", sum);
    return learn_expect(name, learn_grad_at(x, a * H + b), sum, 0);
}

static tp_status image(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    window r = record(&p);
    double by_hand[H * H] = {0};
    for (int i = 0; i < OH; i++) /* every position gives the kernel, times its ȳ, to what it saw */
        for (int j = 0; j < OH; j++)
            for (int u = 0; u < K; u++)
                for (int v = 0; v < K; v++)
                    by_hand[(i + u) * H + j + v] += G[i * OH + j] * W[u * K + v];
    TP_TRY(tp_backward(r.loss));
    TP_TRY(grid_show_var("ȳ, the gradient that arrives", r.g));
    TP_TRY(pixel("x̄_12 =", r.x, 1, 2));
    TP_TRY(grid_show("x̄", tp_leaf_grad(r.x)));
    tp_var back = tp_conv_transpose2d(r.g, r.w, (tp_conv_opts){0});
    tp_var wide = tp_conv2d(r.g, grid_turned(r.w), (tp_conv_opts){.padding = {K - 1, K - 1}});
    tp_var columns = tp_conv2d(unit_vectors(&p, H * H, H), r.w, (tp_conv_opts){0}); /* [16,1,3,3] */
    tp_var matrix = tp_matmul(tp_reshape(columns, TP_SHAPE(H * H, OH * OH)),
                              tp_reshape(r.g, TP_SHAPE(OH * OH, 1)));
    tp_var all[] = {learn_constant(&p, TP_SHAPE(1, 1, H, H), by_hand),
                    tp_reshape(matrix, TP_SHAPE(1, 1, H, H)), back, wide};
    static const char *const names[] = {"the stamps", "the 9×16 matrix, transposed, times ȳ",
                                        "conv_transpose2d(ȳ, w)", "conv2d(ȳ, w turned), padding 1"};
    for (int i = 0; i < 4; i++)
        printf("%s: off by %g\n", names[i], learn_distance(tp_leaf_grad(r.x), tp_value(all[i])));
    learn_close(&p);
    return TP_OK;
}

static tp_status inverse(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    window r = record(&p);
    TP_TRY(grid_show_var("there and back, conv_transpose2d(conv2d(x, w), w)",
                         tp_conv_transpose2d(r.y, r.w, (tp_conv_opts){0})));
    const double unseen[H * H] = {1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0};
    tp_var x = learn_constant(&p, TP_SHAPE(1, 1, H, H), unseen);
    TP_TRY(grid_show_var("a picture that this kernel does not see", x));
    TP_TRY(grid_show_var("its y", tp_conv2d(x, r.w, (tp_conv_opts){0})));
    learn_close(&p);
    return TP_OK;
}

/* --- back to the kernel ------------------------------------------------------------------------------ */

static tp_status kernel(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    window r = record(&p);
    TP_TRY(tp_backward(r.loss));
    for (int u = 0; u < K; u++)
        for (int v = 0; v < K; v++) {
            double sum = 0;
            printf("w̄_%d%d =", u, v);
            for (int i = 0; i < OH; i++)
                for (int j = 0; j < OH; j++)
                    sum += term(i + j > 0, G[i * OH + j], X[(i + u) * H + j + v]);
            printf(" = %g\n", sum);
            TP_TRY(learn_expect("w̄", learn_grad_at(r.w, u * K + v), sum, 0));
        }
    tp_var as_kernel = tp_conv2d(r.x, r.g, (tp_conv_opts){0});
    printf("conv2d(x, ȳ), with ȳ as the kernel: off by %g\n",
           learn_distance(tp_leaf_grad(r.w), tp_value(as_kernel)));
    learn_close(&p);
    return TP_OK;
}

static tp_status step(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    window r = record(&p);
    tp_name(r.x, "x", NULL, 0), tp_name(r.w, "w", NULL, 0), tp_name(r.y, "y", NULL, 0);
    tp_sweep s = tp_sweep_begin(r.loss, (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s))
        if (s.at == r.y.id)
            TP_TRY(tp_explain_step(stdout, &s, (tp_explain_opts){TP_EXPLAIN_ALL}));
    TP_TRY(tp_sweep_end(&s));
    learn_close(&p);
    return TP_OK;
}

/* --- three functions of one form --------------------------------------------------------------------- */

/* Small whole numbers without a pattern, so that sums are exact. */
static tp_var whole_numbers(learn_page *p, tp_shape shape, unsigned seed)
{
    double at[128];
    for (int64_t i = 0; i < tp_shape_numel(shape); i++) {
        seed = seed * 1103515245u + 12345u;
        at[i] = (double)(seed >> 16 & 0xf) - 7;
    }
    return learn_leaf(p, shape, at);
}

static const tp_conv_opts uneven = {.stride = {2, 1}, .padding = {1, 0}};

static tp_status identities(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = whole_numbers(&p, TP_SHAPE(2, 2, 5, 4), 1);
    tp_var w = whole_numbers(&p, TP_SHAPE(3, 2, 3, 2), 2);
    tp_var y = whole_numbers(&p, TP_SHAPE(2, 3, 3, 3), 3);
    printf("⟨conv2d(x, w), y⟩           = %g\n",
           tp_item_of(grid_inner(tp_conv2d(x, w, uneven), y)));
    printf("⟨x, conv_transpose2d(y, w)⟩ = %g\n",
           tp_item_of(grid_inner(x, tp_conv_transpose2d(y, w, uneven))));
    printf("⟨w, conv2d_weight(x, y)⟩    = %g\n",
           tp_item_of(grid_inner(w, tp_conv2d_weight(x, y, 3, 2, uneven))));
    printf("the second with w turned    = %g\n",
           tp_item_of(grid_inner(x, tp_conv_transpose2d(y, grid_turned(w), uneven))));
    learn_close(&p);
    return TP_OK;
}

/* The name of the operation that made v. */
static int op_name(tp_var v, char text[TP_VAR_TEXT])
{
    return (int)strcspn(tp_var_text(v, text), "#");
}

static tp_status orders(void)
{
    char text[TP_VAR_TEXT];
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = whole_numbers(&p, TP_SHAPE(2, 2, 5, 4), 1);
    tp_var w = whole_numbers(&p, TP_SHAPE(3, 2, 3, 2), 2);
    tp_var y = whole_numbers(&p, TP_SHAPE(2, 3, 3, 3), 3);
    tp_var u = whole_numbers(&p, tp_shape_of(x), 4), v = whole_numbers(&p, tp_shape_of(w), 5);
    tp_var s = tp_conv2d(x, w, uneven), a, b, c;
    TP_TRY(tp_grad(1, &s, 1, &x, &a, (tp_grad_opts){.grad_outputs = &y, .create_graph = true}));
    TP_TRY(tp_grad(1, &a, 1, &w, &b, (tp_grad_opts){.grad_outputs = &u, .create_graph = true}));
    TP_TRY(tp_grad(1, &b, 1, &y, &c, (tp_grad_opts){.grad_outputs = &v}));
    TP_TRY(grid_same("a", a, tp_conv_transpose2d(y, w, uneven)));
    TP_TRY(grid_same("b", b, tp_conv2d_weight(u, y, 3, 2, uneven)));
    TP_TRY(grid_same("c", c, tp_conv2d(u, v, uneven)));
    printf("a = ∂⟨conv2d(x, w), y⟩/∂x   made by %.*s(y, w)\n", op_name(a, text), text);
    printf("b = ∂⟨a, u⟩/∂w              made by %.*s(u, y)\n", op_name(b, text), text);
    printf("c = ∂⟨b, v⟩/∂y              made by %.*s(u, v)\n", op_name(c, text), text);
    learn_close(&p);
    return TP_OK;
}

/* --- one matrix product ------------------------------------------------------------------------------------ */

/* x [1,1,H,H] -> [9,4]: a row for each position, what the kernel sees there. */
static tp_var im2col(tp_var x)
{
    tp_var column[K * K];
    for (int u = 0; u < K; u++)
        for (int v = 0; v < K; v++) {
            tp_var seen = tp_slice(tp_slice(x, 2, u, u + OH, 1), 3, v, v + OH, 1);
            column[u * K + v] = tp_reshape(seen, TP_SHAPE(OH * OH));
        }
    return tp_stack(column, K * K, 1);
}

static tp_status columns(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    window r = record(&p);
    tp_var cols = im2col(r.x), w = tp_reshape(r.w, TP_SHAPE(K * K, 1)), by_cols, x_back, ones;
    tp_var g = tp_reshape(r.g, TP_SHAPE(OH * OH, 1));
    TP_TRY(grid_same("y", tp_reshape(tp_matmul(cols, w), TP_SHAPE(1, 1, OH, OH)), r.y));
    tp_var w_back = tp_reshape(tp_matmul(tp_transpose(cols), g), TP_SHAPE(1, 1, K, K));
    by_cols = tp_matmul(g, tp_transpose(w)); /* [9,4], what col2im puts together */
    TP_TRY(tp_grad(1, &cols, 1, &r.x, &x_back, (tp_grad_opts){.grad_outputs = &by_cols}));
    TP_TRY(tp_backward(r.loss));
    printf("w̄ = colsᵀ·ȳ: off by %g\n", learn_distance(tp_value(w_back), tp_leaf_grad(r.w)));
    printf("x̄ = col2im(ȳ·wᵀ): off by %g\n", learn_distance(tp_value(x_back), tp_leaf_grad(r.x)));
    tp_var each = tp_ones_like(cols);
    TP_TRY(tp_grad(1, &cols, 1, &r.x, &ones, (tp_grad_opts){.grad_outputs = &each}));
    TP_TRY(grid_show_var("col2im of ones: in how many windows a pixel is", ones));
    learn_close(&p);
    return TP_OK;
}

static tp_status answers(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    window r = record(&p);
    TP_TRY(tp_backward(r.loss));
    TP_TRY(pixel("1: x̄_03 =", r.x, 0, 3));
    TP_TRY(pixel("1: x̄_21 =", r.x, 2, 1));
    learn_close(&p);
    return layers_answers();
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"forward", forward},
                                        {"flip", flip},
                                        {"matrices", matrices},
                                        {"image", image},
                                        {"inverse", inverse},
                                        {"kernel", kernel},
                                        {"step", step},
                                        {"identities", identities},
                                        {"orders", orders},
                                        {"sizes", layers_sizes},
                                        {"stamps", layers_stamps},
                                        {"strided", layers_strided},
                                        {"decoder", layers_decoder},
                                        {"columns", columns},
                                        {"counts", layers_counts},
                                        {"model", layers_model},
                                        {"field", layers_field},
                                        {"covered", layers_covered},
                                        {"pooling", layers_pooling},
                                        {"turned", layers_turned},
                                        {"answers", answers},
                                        {"picture-windows", picture_windows},
                                        {"picture-matrix", picture_matrix},
                                        {"picture-covered", picture_covered},
                                        {0}});
}
