/* 03_jacobians.c: Jacobians, built once in order to see why they never are. Read 03_jacobians.md beside it. */
#include "docs/learn/draw.h"
#include "docs/learn/page.h"

#include <math.h>
#include <stdio.h>

/* A function of one tensor, and the numbers it is looked at. */
typedef struct function {
    const char *title;
    tp_var (*f)(tp_var x);
    tp_shape in;
    double x[12];
} function;

enum { MAX = 12 };
typedef struct matrix {
    int rows, columns;
    double at[MAX][MAX];
} matrix;

static void print_matrix(const char *name, const matrix *j)
{
    printf("%s, %d×%d\n", name, j->rows, j->columns);
    for (int r = 0; r < j->rows; r++) {
        for (int k = 0; k < j->columns; k++)
            printf("%10.4g", j->at[r][k]);
        printf("\n");
    }
}

/* --- the functions of this chapter -------------------------------------------------------------- */

static tp_var three_of_two(tp_var x)
{
    tp_var a = tp_slice(x, 0, 0, 1, 1), b = tp_slice(x, 0, 1, 2, 1); /* [1] each */
    tp_var parts[] = {tp_mul(a, b), tp_square(a), tp_add(a, tp_scale(b, 2))};
    return tp_concat(parts, 3, 0);
}

static tp_var sum(tp_var x)
{
    return tp_sum(x, TP_ALL_AXES, false);
}

static tp_var expand(tp_var x)
{
    return tp_expand(x, TP_SHAPE(3));
}

static tp_var softmax(tp_var x)
{
    return tp_softmax(x, -1);
}

/* A layer of three inputs and two outputs, on two examples. */
static const double batch_x[] = {1, 2, 3, -1, 0, 5}, layer_w[] = {2, 4, 6, 1, -3, 7};

static learn_page page; /* what the functions below are recorded on */

static tp_var layer_of_x(tp_var x)
{
    tp_var w = learn_constant(&page, TP_SHAPE(2, 3), layer_w);
    return tp_linear(x, w, tp_full(x.tape, TP_F64, TP_SHAPE(2), 0));
}

static tp_var layer_of_w(tp_var w)
{
    tp_var x = learn_constant(&page, TP_SHAPE(2, 3), batch_x);
    return tp_linear(x, w, tp_full(w.tape, TP_F64, TP_SHAPE(2), 0));
}

#define LN2 0.69314718055994531
#define LN3 1.09861228866810969
static const function functions[] = {
    {"y = (x₀x₁, x₀², x₀ + 2x₁)", three_of_two, TP_DIMS(2), {2, 3}},
    {"y = tanh(x)", tp_tanh, TP_DIMS(3), {0, LN2, -LN2}},
    {"y = Σ x", sum, TP_DIMS(3), {5, 6, 7}},
    {"y = expand(x)", expand, TP_DIMS(1), {5}},
    {"Y = XWᵀ, by X", layer_of_x, TP_DIMS(2, 3), {1, 2, 3, -1, 0, 5}},
    {"Y = XWᵀ, by W", layer_of_w, TP_DIMS(2, 3), {2, 4, 6, 1, -3, 7}},
    {"y = softmax(x)", softmax, TP_DIMS(3), {0, LN2, LN3}},
};
enum { THREE, TANH, SUM, EXPAND, BY_X, BY_W, SOFTMAX };

/* --- the full Jacobian, one row per unit cotangent ---------------------------------------------- */

static tp_status fill_row(matrix *j, int r, tp_var y, tp_var x)
{
    tp_tensor unit = {0};
    TP_TRY(tp_tensor_new(&unit, TP_F64, tp_shape_of(y))); /* zeros */
    TP_TRY(tp_set_flat(&unit, r, 1));
    tp_var e = tp_constant(y.tape, &unit), row;
    TP_TRY(tp_grad(1, &y, 1, &x, &row, (tp_grad_opts){.grad_outputs = &e, .allow_unused = true}));
    for (int k = 0; k < j->columns; k++)
        j->at[r][k] = tp_flat(tp_value(row), k);
    tp_tensor_free(&unit);
    return TP_OK;
}

static tp_status jacobian(const function *f, matrix *j)
{
    TP_TRY(learn_open(&page));
    tp_var x = learn_leaf(&page, f->in, f->x), y = f->f(x);
    TP_TRY(tp_var_status(y));
    j->rows = (int)tp_numel(tp_value(y)), j->columns = (int)tp_numel(tp_value(x));
    for (int r = 0; r < j->rows; r++)
        TP_TRY(fill_row(j, r, y, x));
    learn_close(&page);
    return TP_OK;
}

static tp_status show(int which)
{
    matrix j;
    TP_TRY(jacobian(&functions[which], &j));
    print_matrix(functions[which].title, &j);
    return TP_OK;
}

static tp_status full(void)
{
    return show(THREE);
}

static tp_status structures(void)
{
    TP_TRY(show(TANH));
    TP_TRY(show(SUM));
    return show(EXPAND);
}

static tp_status layer(void)
{
    TP_TRY(show(BY_X));
    return show(BY_W);
}

/* --- a row vector from the left, a column from the right ----------------------------------------- */

static tp_status vjp(void)
{
    const function *f = &functions[THREE];
    const double v[] = {1, -1, 2};
    matrix j;
    TP_TRY(jacobian(f, &j));
    TP_TRY(learn_open(&page));
    tp_var x = learn_leaf(&page, f->in, f->x), y = f->f(x);
    tp_var cotangent = learn_constant(&page, TP_SHAPE(3), v), g;
    TP_TRY(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){.grad_outputs = &cotangent}));
    for (int k = 0; k < 2; k++) {
        double product = 0;
        for (int r = 0; r < 3; r++)
            product += v[r] * j.at[r][k];
        TP_TRY(learn_expect("v·J", tp_flat(tp_value(g), k), product, 1e-14));
    }
    printf("v = (1, -1, 2): v·J = (%.0f, %.0f), by one sweep\n", tp_flat(tp_value(g), 0),
           tp_flat(tp_value(g), 1));
    if (tp_backward(y) != TP_OK)
        printf("without v:      %s\n", tp_last_error());
    learn_close(&page);
    return TP_OK;
}

/* J·u out of two backward sweeps: g = v·J is linear in v, so its derivative by v along u is J·u. */
static tp_status jvp(void)
{
    const function *f = &functions[THREE];
    const double u[] = {1, -1}, anything[] = {1, 1, 1};
    matrix j;
    TP_TRY(jacobian(f, &j));
    TP_TRY(learn_open(&page));
    tp_var x = learn_leaf(&page, f->in, f->x), y = f->f(x);
    tp_var v = learn_leaf(&page, TP_SHAPE(3), anything), g;
    tp_var direction = learn_constant(&page, TP_SHAPE(2), u), ju;
    TP_TRY(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){.grad_outputs = &v, .create_graph = true}));
    TP_TRY(tp_grad(1, &g, 1, &v, &ju, (tp_grad_opts){.grad_outputs = &direction}));
    printf("u = (1, -1)      by two sweeps   J times u\n");
    for (int r = 0; r < 3; r++) {
        double product = j.at[r][0] * u[0] + j.at[r][1] * u[1];
        TP_TRY(learn_expect("J·u", tp_flat(tp_value(ju), r), product, 1e-14));
        printf("  (J·u)[%d]      %11.4f   %11.4f\n", r, tp_flat(tp_value(ju), r), product);
    }
    learn_close(&page);
    return TP_OK;
}

/* --- size --------------------------------------------------------------------------------------- */

static double numel(tp_var v)
{
    return (double)tp_numel(tp_value(v));
}

static tp_status size(void)
{
    tp_tape *tape;
    tp_tensor x_value = {0}, w_value = {0}, b_value = {0};
    TP_TRY(tp_tape_new(&tape));
    TP_TRY(tp_tensor_new(&x_value, TP_F32, TP_SHAPE(128, 784)));
    TP_TRY(tp_tensor_new(&w_value, TP_F32, TP_SHAPE(400, 784)));
    TP_TRY(tp_tensor_new(&b_value, TP_F32, TP_SHAPE(400)));
    tp_var of[] = {tp_leaf(tape, &x_value), tp_leaf(tape, &w_value), tp_leaf(tape, &b_value)};
    tp_var y = tp_linear(of[0], of[1], of[2]), g[3];
    TP_TRY(tp_grad(1, &y, 3, of, g, (tp_grad_opts){0}));
    static const char *const names[] = {"X", "W", "b"};
    printf("y [128,400]   Jacobian                 not zero     as bytes          v·J as bytes\n");
    const double filled[] = {128. * 400 * 784, 128. * 400 * 784, 128. * 400};
    for (int i = 0; i < 3; i++)
        printf("by %s          %5.0f × %-6.0f     %13.0f     %12.0f   %11.0f\n", names[i], numel(y),
               numel(of[i]), filled[i], 4 * numel(y) * numel(of[i]), 4 * numel(g[i]));
    double all = numel(of[0]) + numel(of[1]) + numel(of[2]);
    printf("together %.1f GB against %.2f MB, %.0f times as much\n", 4e-9 * numel(y) * all,
           4e-6 * all, numel(y));
    tp_tape_free(tape);
    tp_tensor_free(&x_value);
    tp_tensor_free(&w_value);
    tp_tensor_free(&b_value);
    return TP_OK;
}

/* The framework's own words about it. */
static tp_status never(void)
{
    const int64_t batch = 128, in = 784, out = 400;
    tp_tape *tape;
    tp_tensor x_value = {0}, w_value = {0}, b_value = {0};
    TP_TRY(tp_tape_new(&tape));
    TP_TRY(tp_tensor_new(&x_value, TP_F32, TP_SHAPE(batch, in)));
    TP_TRY(tp_tensor_new(&w_value, TP_F32, TP_SHAPE(out, in)));
    TP_TRY(tp_tensor_new(&b_value, TP_F32, TP_SHAPE(out)));
    TP_TRY(tp_fill(&x_value, 1));
    TP_TRY(tp_fill(&w_value, 1));
    tp_var x = tp_leaf(tape, &x_value), W = tp_leaf(tape, &w_value), b = tp_leaf(tape, &b_value);
    tp_var y = tp_linear(TP_NAME(x), TP_NAME(W), TP_NAME(b));
    tp_var L = tp_sum(TP_NAME(y), TP_ALL_AXES, false);
    tp_sweep s = tp_sweep_begin(TP_NAME(L), (tp_sweep_opts){.composed = true});
    tp_sweep_next(&s); /* the sum */
    tp_sweep_next(&s);
    TP_TRY(tp_explain_step(stdout, &s, (tp_explain_opts){.jacobian = true}));
    TP_TRY(tp_sweep_end(&s));
    tp_tape_free(tape);
    tp_tensor_free(&x_value);
    tp_tensor_free(&w_value);
    tp_tensor_free(&b_value);
    return TP_OK;
}

/* --- what a gradient costs ---------------------------------------------------------------------- */

/* x₀·x₁·…: the gradient's element i is the product of all the others. */
static tp_status product_costs(int n)
{
    tp_tape *tape;
    tp_tensor number[100] = {{0}};
    tp_var x[100], y;
    TP_TRY(tp_tape_new(&tape));
    for (int i = 0; i < n; i++) {
        TP_TRY(tp_tensor_from(&number[i], TP_F64, TP_SHAPE(), &(double){1 + 1.0 / (i + 1)}));
        x[i] = tp_leaf(tape, &number[i]);
    }
    y = x[0];
    for (int i = 1; i < n; i++)
        y = tp_mul(y, x[i]);
    double forward = n - 1, backward = 0;
    tp_sweep s = tp_sweep_begin(y, (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s))
        backward += s.rule_end - s.first; /* what the rule recorded: multiplications only */
    TP_TRY(tp_sweep_end(&s));
    double first = tp_item(tp_leaf_grad(x[0])), product = tp_item_of(y);
    TP_TRY(learn_expect("the product of the others", first, product / 2, 1e-12 * product));
    printf("%5d   %7.0f   %8.0f   %5.2f   %16.0f   %17.0f\n", n, forward, backward,
           (forward + backward) / forward, (double)n * (n - 2), 2 * n * forward);
    tp_tape_free(tape);
    for (int i = 0; i < n; i++)
        tp_tensor_free(&number[i]);
    return TP_OK;
}

static tp_status products(void)
{
    printf("    n   forward   backward   total/  each by itself   central quotients\n");
    printf("                             forward\n");
    TP_TRY(product_costs(4));
    TP_TRY(product_costs(10));
    return product_costs(100);
}

static tp_status chain(void)
{
    double left = 20. * 400 + 400. * 784, right = 20. * 400 * 784 + 20. * 784;
    printf("1×20 · 20×400 · 400×784\n");
    printf("from the left:  1·20·400 + 1·400·784    = %8.0f multiplications\n", left);
    printf("from the right: 20·400·784 + 1·20·784   = %8.0f multiplications, %.1f times\n", right,
           right / left);
    return TP_OK;
}

static tp_status exercises(void)
{
    matrix j;
    TP_TRY(show(SOFTMAX));
    TP_TRY(jacobian(&functions[SOFTMAX], &j));
    const double s[] = {1. / 6, 2. / 6, 3. / 6}, v[] = {6, 0, 0};
    double inner = 0;
    for (int i = 0; i < 3; i++)
        inner += s[i] * v[i];
    printf("v = (6, 0, 0): s ⊙ (v − s·v) = (");
    for (int i = 0; i < 3; i++) {
        TP_TRY(learn_expect("softmax", s[i] * (v[i] - inner), 6 * j.at[0][i], 1e-14));
        printf("%s%.4f", i > 0 ? ", " : "", s[i] * (v[i] - inner));
    }
    printf(")\n");
    matrix x;
    TP_TRY(jacobian(&functions[BY_X], &x));
    printf("ones through the layer: (");
    for (int k = 0; k < 6; k++)
        printf("%s%.0f", k > 0 ? ", " : "", x.at[0][k] + x.at[1][k] + x.at[2][k] + x.at[3][k]);
    printf(")\n");
    return TP_OK;
}

/* --- the picture -------------------------------------------------------------------------------- */

static void put_matrix(double x, double y, const matrix *j, const char *title)
{
    const double cell = 42;
    draw_text(x, y - 10, "start", DRAW_INK, "%s", title);
    for (int r = 0; r < j->rows; r++)
        for (int k = 0; k < j->columns; k++) {
            double value = j->at[r][k], left = x + cell * k, top = y + 28 * r;
            printf("<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"28\" fill=\"%s\" "
                   "stroke=\"%s\"/>\n",
                   left, top, cell, value != 0 ? "#cfe0f3" : "white", DRAW_GREY);
            if (value != 0)
                draw_text(left + cell / 2, top + 19, "middle", DRAW_INK,
                          value == floor(value) ? "%.0f" : "%.2f", value);
        }
}

static tp_status picture_structure(void)
{
    static const struct {
        int which;
        double x, y;
        const char *title;
    } places[] = {{TANH, 20, 40, "tanh: diagonal"},
                  {SUM, 200, 40, "sum: a row of ones"},
                  {EXPAND, 380, 40, "expand: a column"},
                  {SOFTMAX, 520, 40, "softmax: full"},
                  {BY_X, 20, 180, "X·Wᵀ by X: W once per example"},
                  {BY_W, 330, 180, "X·Wᵀ by W: an example per output"}};
    draw_begin(680, 310, "Jacobians of six operations; most of their elements are zero");
    for (int i = 0; i < 6; i++) {
        matrix j;
        TP_TRY(jacobian(&functions[places[i].which], &j));
        put_matrix(places[i].x, places[i].y, &j, places[i].title);
    }
    draw_end();
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"full", full},
                                        {"vjp", vjp},
                                        {"structures", structures},
                                        {"layer", layer},
                                        {"size", size},
                                        {"never", never},
                                        {"chain", chain},
                                        {"jvp", jvp},
                                        {"products", products},
                                        {"exercises", exercises},
                                        {"picture-structure", picture_structure},
                                        {0}});
}
