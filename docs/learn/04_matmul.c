/* 04_matmul.c: the gradient of a matrix product, index by index. Read 04_matmul.md beside it. */
#include "docs/learn/draw.h"
#include "docs/learn/page.h"

#include <stdio.h>
#include <string.h>

/* Three different sizes, so that a product that fits by accident is rare: y = a·b is [2,3]·[3,4] = [2,4]. */
enum { M = 2, K = 3, N = 4 };
static const double A[M * K] = {1, 2, 0, -1, 3, 1};
static const double B[K * N] = {1, 0, 2, -1, 2, 1, 0, 1, 0, -2, 1, 3};
static const double G[M * N] = {1, 2, 0, -1, 0, 1, 3, 2}; /* the gradient that arrives at y */

typedef struct product {
    tp_var a, b, g, y, loss;
} product;

/* The loss is Σ g ⊙ y, so that ȳ = ∂L/∂y is g, whatever y is. */
static product record(learn_page *p, const double *a)
{
    product r = {.a = learn_leaf(p, TP_SHAPE(M, K), a),
                 .b = learn_leaf(p, TP_SHAPE(K, N), B),
                 .g = learn_constant(p, TP_SHAPE(M, N), G)};
    r.y = tp_matmul(r.a, r.b);
    r.loss = tp_sum(tp_mul(r.y, r.g), TP_ALL_AXES, false);
    return r;
}

static tp_status forward(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    product r = record(&p, A);
    TP_TRY(learn_show("a", r.a));
    TP_TRY(learn_show("b", r.b));
    TP_TRY(learn_show("y", r.y));
    TP_TRY(learn_show("gradient that arrives, ȳ", r.g));
    learn_close(&p);
    return TP_OK;
}

/* What changes when one element of a does. */
static tp_status touch(void)
{
    learn_page p;
    double nudged[M * K], total = 0;
    TP_TRY(learn_open(&p));
    for (int i = 0; i < M * K; i++)
        nudged[i] = A[i] + (i == 1); /* a_01 + 1 */
    product before = record(&p, A), after = record(&p, nudged);
    TP_TRY(learn_show("y after − before", tp_sub(after.y, before.y)));
    for (int j = 0; j < N; j++) {
        printf("y_0%d moves by b_1%d = %2g, and the loss by %2g for each unit of it: %2g\n", j, j,
               B[N + j], G[j], B[N + j] * G[j]);
        total += B[N + j] * G[j];
    }
    printf("together %g; the loss has moved by %g\n", total,
           tp_item_of(after.loss) - tp_item_of(before.loss));
    learn_close(&p);
    return learn_expect("gradient of a_01", total, 3, 0);
}

/* The two sums with loops, and the two products of the rule, against backward. */
static tp_status rule(void)
{
    learn_page p;
    double by_a[M * K] = {0}, by_b[K * N] = {0};
    TP_TRY(learn_open(&p));
    product r = record(&p, A);
    TP_TRY(tp_backward(r.loss));
    for (int i = 0; i < M; i++)
        for (int k = 0; k < K; k++)
            for (int j = 0; j < N; j++) {
                by_a[i * K + k] += G[i * N + j] * B[k * N + j];
                by_b[k * N + j] += A[i * K + k] * G[i * N + j];
            }
    tp_var loops_a = learn_constant(&p, TP_SHAPE(M, K), by_a);
    tp_var loops_b = learn_constant(&p, TP_SHAPE(K, N), by_b);
    tp_var rule_a = tp_matmul(r.g, tp_transpose(r.b)), rule_b = tp_matmul(tp_transpose(r.a), r.g);
    TP_TRY(learn_show("ȳ·bᵀ", rule_a));
    TP_TRY(learn_show("aᵀ·ȳ", rule_b));
    printf("loops, products and backward differ by %g for a, %g for b\n",
           learn_distance(tp_value(loops_a), tp_value(rule_a)) +
               learn_distance(tp_leaf_grad(r.a), tp_value(rule_a)),
           learn_distance(tp_value(loops_b), tp_value(rule_b)) +
               learn_distance(tp_leaf_grad(r.b), tp_value(rule_b)));
    learn_close(&p);
    return TP_OK;
}

/* Prints the step of a sweep that treats y. */
static tp_status explain(tp_var loss, tp_var y)
{
    tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s))
        if (s.at == y.id)
            TP_TRY(tp_explain_step(
                stdout, &s, (tp_explain_opts){.numbers = true, .check = true, .index = true}));
    return tp_sweep_end(&s);
}

static tp_status step(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    product r = record(&p, A);
    tp_name(r.a, "a", NULL, 0), tp_name(r.b, "b", NULL, 0), tp_name(r.y, "y", NULL, 0);
    tp_name(r.g, "g", NULL, 0);
    TP_TRY(explain(r.loss, r.y));
    learn_close(&p);
    return TP_OK;
}

/* --- which product fits ------------------------------------------------------------------------------------ */

typedef struct candidate {
    const char *text;
    bool b_first, turn_g, turn_b;
} candidate;

static const candidate candidates[] = {
    {"ȳ ·b ", false, false, false}, {"ȳ ·bᵀ", false, false, true}, {"ȳᵀ·b ", false, true, false},
    {"ȳᵀ·bᵀ", false, true, true},   {"b ·ȳ ", true, false, false}, {"b ·ȳᵀ", true, true, false},
    {"bᵀ·ȳ ", true, false, true},   {"bᵀ·ȳᵀ", true, true, true},
};

static tp_var multiply(candidate c, tp_var g, tp_var b)
{
    g = c.turn_g ? tp_transpose(g) : g;
    b = c.turn_b ? tp_transpose(b) : b;
    return c.b_first ? tp_matmul(b, g) : tp_matmul(g, b);
}

/* The first line of a message. */
static void say(const char *message)
{
    printf("%.*s\n", (int)strcspn(message, "\n"), message);
}

static tp_status placements(void)
{
    learn_page p;
    char shape[TP_SHAPE_TEXT];
    for (int i = 0; i < 8; i++) {
        TP_TRY(learn_open(&p));
        product r = record(&p, A);
        tp_var y = multiply(candidates[i], r.g, r.b);
        bool fits = tp_var_status(y) == TP_OK;
        const char *clash = strstr(tp_tape_message(p.tape), "inner");
        printf("%s  ", candidates[i].text);
        say(fits ? tp_shape_text(tp_shape_of(y), shape) : clash != NULL ? clash : "failed");
        learn_close(&p);
    }
    return TP_OK;
}

/* In the square case everything fits; differences of the loss decide. */
static tp_status square(void)
{
    const double a[] = {1, 2, 3, 4}, b[] = {2, 1, 0, 3}, g[] = {1, -1, 2, 1};
    learn_page p;
    double slope[4];
    TP_TRY(learn_open(&p));
    tp_var vb = learn_constant(&p, TP_SHAPE(2, 2), b), vg = learn_constant(&p, TP_SHAPE(2, 2), g);
    for (int i = 0; i < 4; i++) {
        double loss[2];
        for (int side = 0; side < 2; side++) {
            double moved[4];
            for (int k = 0; k < 4; k++)
                moved[k] = a[k] + (k == i ? (side ? 0.5 : -0.5) : 0);
            tp_var y = tp_matmul(learn_constant(&p, TP_SHAPE(2, 2), moved), vb);
            loss[side] = tp_item_of(tp_sum(tp_mul(y, vg), TP_ALL_AXES, false));
        }
        slope[i] = loss[1] - loss[0];
    }
    tp_var differences = learn_constant(&p, TP_SHAPE(2, 2), slope);
    TP_TRY(learn_show("differences", differences));
    for (int i = 0; i < 8; i++) {
        tp_var y = multiply(candidates[i], vg, vb);
        tp_var along = tp_sum(tp_mul(y, differences), TP_ALL_AXES, false);
        printf("%s = [%2g %2g; %2g %2g]   off by %2g, product with the truth %3g\n",
               candidates[i].text, learn_at(y, 0), learn_at(y, 1), learn_at(y, 2), learn_at(y, 3),
               learn_distance(tp_value(y), tp_value(differences)), tp_item_of(along));
    }
    learn_close(&p);
    return TP_OK;
}

/* --- a rule that has lost its transpose, and the checker ------------------------------------------------------ */

static void lost_transpose(const tp_vjp_call *c, tp_var *gx)
{
    if (c->want[0])
        gx[0] = tp_matmul(c->gy, c->x[1]); /* should be ȳ·bᵀ */
    if (c->want[1])
        gx[1] = tp_matmul(tp_transpose(c->x[0]), c->gy);
}

typedef struct factors {
    tp_op op;
    tp_parameter a, b;
} factors;

static tp_var broken_product(tp_tape *t, void *user)
{
    factors *f = user;
    return tp_apply(&f->op, 2, (tp_var[]){tp_param(t, &f->a), tp_param(t, &f->b)}, NULL);
}

static tp_status broken_with(tp_shape a, tp_shape b)
{
    factors f = {.op = tp_op_matmul};
    tp_parameter *wrt[] = {&f.a, &f.b};
    f.op.vjp = lost_transpose;
    TP_TRY(tp_parameter_init(&f.a, "a", TP_F64, a));
    TP_TRY(tp_parameter_init(&f.b, "b", TP_F64, b));
    for (int64_t i = 0; i < tp_numel(&f.a.value); i++)
        TP_TRY(tp_set_flat(&f.a.value, i, (double)(i + 1)));
    for (int64_t i = 0; i < tp_numel(&f.b.value); i++)
        TP_TRY(tp_set_flat(&f.b.value, i, (double)(i * i - 3)));
    tp_check_report r = {0};
    tp_status s = tp_gradcheck(broken_product, &f, 2, wrt, (tp_check_opts){0}, &r);
    if (s == TP_EVALUE)
        printf("wrong at %s[%lld]: the rule says %.4f, differences say %.4f\n", r.parameter,
               (long long)r.index, r.analytic, r.numeric);
    else
        say(s == TP_OK ? "passed" : tp_last_error());
    tp_parameter_free(&f.a);
    tp_parameter_free(&f.b);
    return s == TP_OK ? tp_fail(TP_EVALUE, "a broken rule has passed") : TP_OK;
}

static tp_status broken(void)
{
    TP_TRY(broken_with(TP_SHAPE(M, K), TP_SHAPE(K, N)));
    return broken_with(TP_SHAPE(2, 2), TP_SHAPE(2, 2));
}

/* --- the linear layer ------------------------------------------------------------------------------------------ */

enum { ROWS = 4, IN = 3, OUT = 2 };
static const double X[ROWS * IN] = {1, 2, 0, 0, -1, 2, 3, 1, 1, -1, 0, 1};
static const double W[OUT * IN] = {2, -1, 0, 1, 3, -2};
static const double GY[ROWS * OUT] = {1, 0, 2, -1, -1, 1, 0, 3};

static tp_status linear(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = learn_leaf(&p, TP_SHAPE(ROWS, IN), X), w = learn_leaf(&p, TP_SHAPE(OUT, IN), W);
    tp_var b = learn_leaf(&p, TP_SHAPE(OUT), (const double[]){1, -2});
    tp_var g = learn_constant(&p, TP_SHAPE(ROWS, OUT), GY);
    tp_var y =
        tp_linear(tp_name(x, "x", NULL, 0), tp_name(w, "W", NULL, 0), tp_name(b, "b", NULL, 0));
    tp_name(y, "y", NULL, 0);
    TP_TRY(explain(tp_sum(tp_mul(y, g), TP_ALL_AXES, false), y));
    learn_close(&p);
    return TP_OK;
}

/* " name [a b; c d]" */
static void print_rows(const char *name, const double *at, int rows, int columns)
{
    printf("%s [", name);
    for (int i = 0; i < rows * columns; i++)
        printf("%s%2g", i == 0 ? "" : i % columns == 0 ? "; " : " ", at[i] + 0); /* no -0 */
    printf("]");
}

/* W̄ once more: one outer product per example, added up. */
static tp_status outer(void)
{
    double sum[OUT * IN] = {0};
    for (int n = 0; n < ROWS; n++) {
        double one[OUT * IN];
        for (int k = 0; k < OUT * IN; k++) {
            one[k] = GY[n * OUT + k / IN] * X[n * IN + k % IN];
            sum[k] += one[k];
        }
        printf("example %d:", n);
        print_rows(" ȳ =", GY + n * OUT, 1, OUT);
        print_rows(", x =", X + n * IN, 1, IN);
        print_rows(", outer product", one, OUT, IN);
        printf("\n");
    }
    print_rows("sum: W̄ =", sum, OUT, IN);
    printf("\n");
    return learn_expect("W̄[0,0]", sum[0], -2, 0);
}

/* --- what it costs --------------------------------------------------------------------------------------------- */

/* Multiplications of the matrix products in a step, read off a sweep; per example, for a batch of one. */
static tp_status count(tp_var root, bool print)
{
    long long ahead = 0, by_w = 0, by_x = 0;
    tp_sweep s = tp_sweep_begin(root, (tp_sweep_opts){0});
    while (tp_sweep_next(&s)) {
        if (s.n != 3 || s.contribution[2].id == 0) /* not x, W and a bias that learns */
            continue;
        tp_shape shape = tp_shape_of(s.contribution[1]); /* [out, in] */
        long long w = shape.dim[0] * shape.dim[1], x = s.contribution[0].id != 0 ? w : 0;
        ahead += w, by_w += w, by_x += x;
        if (print)
            printf("%4lld -> %3lld   forward %6lld   for W %6lld   for x %6lld\n",
                   (long long)shape.dim[1], (long long)shape.dim[0], w, w, x);
    }
    printf("forward %lld, backward %lld + %lld: %.3f times as much\n", ahead, by_w, by_x,
           (double)(by_w + by_x) / (double)ahead);
    if (print)
        printf("together %lld multiplications, %.2f million operations\n", ahead + by_w + by_x,
               2e-6 * (double)(ahead + by_w + by_x));
    return tp_sweep_end(&s);
}

/* The layers of a VAE for pictures of 28 by 28 pixels, 20 latents. */
static tp_status cost(void)
{
    static const int64_t encoder[] = {784, 400}, decoder[] = {20, 400, 784};
    tp_params ps = tp_params_make(TP_F32, 1);
    tp_nn_mlp enc, dec;
    tp_nn_linear mu, logvar;
    learn_page p;
    tp_tensor x = {0};
    TP_TRY(learn_open(&p));
    TP_TRY(tp_tensor_new(&x, TP_F32, TP_SHAPE(1, 784)));
    TP_TRY(tp_nn_mlp_init(&enc, &ps, "enc", encoder, 1, TP_RELU, TP_RELU));
    TP_TRY(tp_nn_linear_init(&mu, &ps, "mu", 400, 20));
    TP_TRY(tp_nn_linear_init(&logvar, &ps, "logvar", 400, 20));
    TP_TRY(tp_nn_mlp_init(&dec, &ps, "dec", decoder, 2, TP_RELU, TP_IDENTITY));
    tp_ctx c = tp_ctx_train(p.tape, 1, 0);
    tp_var h = tp_nn_mlp_apply(&enc, &c, tp_constant(p.tape, &x));
    tp_dist q =
        tp_normal_logvar(tp_nn_linear_apply(&mu, &c, h), tp_nn_linear_apply(&logvar, &c, h));
    tp_var logits = tp_nn_mlp_apply(&dec, &c, tp_dist_rsample(q, &c));
    TP_TRY(count(tp_sum(logits, TP_ALL_AXES, false), true));
    learn_close(&p);
    tp_params_free(&ps);
    tp_tensor_free(&x);
    return TP_OK;
}

/* --- exercises --------------------------------------------------------------------------------------------------- */

static tp_status answers(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    product r = record(&p, A);
    TP_TRY(tp_backward(r.loss));
    printf("1: gradient of b_12 = %g\n", learn_grad_at(r.b, 1 * N + 2));

    /* y = aᵀ·b with a [K,M]: L = Σ g ⊙ y with g [M,N] */
    const double a_turned[K * M] = {1, -1, 2, 3, 0, 1};
    tp_var a = learn_leaf(&p, TP_SHAPE(K, M), a_turned);
    tp_var loss = tp_sum(tp_mul(tp_matmul(tp_transpose(a), r.b), r.g), TP_ALL_AXES, false);
    TP_TRY(tp_backward(loss));
    tp_var rule_a = tp_matmul(r.b, tp_transpose(r.g));
    printf("2: b·ȳᵀ against backward: off by %g\n",
           learn_distance(tp_leaf_grad(a), tp_value(rule_a)));

    tp_var x = learn_leaf(&p, TP_SHAPE(2, 1), (const double[]){2, -1});
    tp_var s = learn_constant(&p, TP_SHAPE(2, 2), (const double[]){1, 4, 0, 3});
    TP_TRY(tp_backward(tp_reshape(tp_matmul(tp_matmul(tp_transpose(x), s), x), TP_SHAPE())));
    printf("3: gradient of xᵀ·S·x = [%g %g]\n", learn_grad_at(x, 0), learn_grad_at(x, 1));

    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_mlp net;
    TP_TRY(
        tp_nn_mlp_init(&net, &ps, "net", (const int64_t[]){2, 64, 64, 1}, 3, TP_TANH, TP_IDENTITY));
    tp_ctx c = tp_ctx_train(p.tape, 1, 0);
    tp_var row = learn_constant(&p, TP_SHAPE(1, 2), (const double[]){1, 2});
    printf("4: ");
    TP_TRY(count(tp_sum(tp_nn_mlp_apply(&net, &c, row), TP_ALL_AXES, false), false));
    tp_params_free(&ps);
    learn_close(&p);
    return TP_OK;
}

/* --- the picture --------------------------------------------------------------------------------------------------- */

enum { CELL = 30 };

/* A matrix of empty cells; row and column, or -1, are filled, the cell where they meet darker. */
static void grid(int x, int y, int rows, int columns, int row, int column, const char *name)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            bool in_row = i == row || row < 0, in_column = j == column || column < 0;
            bool marked = (row >= 0 || column >= 0) && in_row && in_column;
            printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" "
                   "stroke=\"#444\"/>\n",
                   x + j * CELL, y + i * CELL, CELL, CELL, marked ? "#8ec5f0" : "#fff");
        }
    printf("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x + columns * CELL / 2,
           y - 10, name);
}

static void sign(int x, int y, const char *text)
{
    printf("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x, y, text);
}

static tp_status picture(void)
{
    draw_begin(640, 560, "Which elements meet in a matrix product, forward and backward");
    sign(320, 28, "forward: row i of a and column j of b meet in y_ij");
    grid(70, 82, M, K, 1, -1, "a [2,3]"), sign(190, 117, "·");
    grid(220, 67, K, N, -1, 2, "b [3,4]"), sign(370, 117, "=");
    grid(400, 82, M, N, 1, 2, "y [2,4]");
    sign(320, 200, "what does a_ik touch? all of row i of y, through row k of b");
    grid(70, 254, M, K, 1, 1, "a [2,3]"), sign(190, 289, "·");
    grid(220, 239, K, N, 1, -1, "b [3,4]"), sign(370, 289, "=");
    grid(400, 254, M, N, 1, -1, "y [2,4]");
    sign(320, 372, "backward: row i of ȳ meets column k of bᵀ, the row k of before");
    grid(70, 440, M, N, 1, -1, "ȳ [2,4]"), sign(220, 475, "·");
    grid(250, 410, N, K, -1, 1, "bᵀ [4,3]"), sign(370, 475, "=");
    grid(400, 440, M, K, 1, 1, "ā [2,3]");
    draw_end();
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"forward", forward},
                                        {"touch", touch},
                                        {"rule", rule},
                                        {"step", step},
                                        {"placements", placements},
                                        {"square", square},
                                        {"broken", broken},
                                        {"linear", linear},
                                        {"outer", outer},
                                        {"cost", cost},
                                        {"answers", answers},
                                        {"picture-indices", picture},
                                        {0}});
}
