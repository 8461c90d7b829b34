/* 05_broadcasting.c: a value that is repeated gets the sum of the gradients of its copies. Read 05_broadcasting.md
 * beside it. */
#include "docs/learn/draw.h"
#include "docs/learn/page.h"

#include <stdio.h>

/* Prints the step of a sweep that treats y. */
static tp_status explain(tp_var loss, tp_var y)
{
    tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s))
        if (s.at == y.id)
            TP_TRY(tp_explain_step(stdout, &s, (tp_explain_opts){.numbers = true, .check = true}));
    return tp_sweep_end(&s);
}

static tp_var named(tp_var v, const char *name)
{
    return tp_name(v, name, NULL, 0);
}

/* Σ a ⊙ b over all elements: ⟨a, b⟩. */
static tp_var inner(tp_var a, tp_var b)
{
    return tp_sum(tp_mul(a, b), TP_ALL_AXES, false);
}

static const double X[] = {1, 2, 3, 4, 5, 6};
static const double G[] = {1, 0, 2, -1, 3, 1};

/* One b for three x: first written out with three names, then as one. */
static tp_status smallest(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = learn_constant(&p, TP_SHAPE(3), X), g = learn_constant(&p, TP_SHAPE(3), G);
    tp_var three = learn_leaf(&p, TP_SHAPE(3), (const double[]){10, 10, 10});
    tp_var one = learn_leaf(&p, TP_SHAPE(), (const double[]){10});
    TP_TRY(learn_show("x + three copies of b", tp_add(x, three)));
    TP_TRY(learn_show("x + b", tp_add(x, one)));
    TP_TRY(tp_backward(inner(tp_add(x, three), g)));
    TP_TRY(tp_backward(inner(tp_add(x, one), g)));
    TP_TRY(learn_show_grad("gradient of the three copies", three));
    TP_TRY(learn_show_grad("gradient of b", one));
    learn_close(&p);
    return TP_OK;
}

static tp_status bias(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = named(learn_leaf(&p, TP_SHAPE(3, 2), X), "x");
    tp_var b = named(learn_leaf(&p, TP_SHAPE(2), (const double[]){10, 20}), "b");
    tp_var y = named(tp_add(x, b), "y");
    TP_TRY(learn_show("y", y));
    TP_TRY(explain(inner(y, learn_constant(&p, TP_SHAPE(3, 2), G)), y));
    learn_close(&p);
    return TP_OK;
}

/* A column times a row: both are repeated, each along the other's axis. */
static tp_status column_row(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var c = named(learn_leaf(&p, TP_SHAPE(2, 1), (const double[]){1, 2}), "c");
    tp_var r = named(learn_leaf(&p, TP_SHAPE(3), (const double[]){3, 4, 5}), "r");
    tp_var y = named(tp_mul(c, r), "y");
    TP_TRY(learn_show("y", y));
    TP_TRY(explain(inner(y, learn_constant(&p, TP_SHAPE(2, 3), G)), y));
    learn_close(&p);
    return TP_OK;
}

/* --- adjoint --------------------------------------------------------------------------------------------------- */

/* The Jacobian of expand from [2] to [3,2], by its columns: what a 1 at one place becomes. */
static tp_status jacobian(void)
{
    learn_page p;
    double column[2][6];
    TP_TRY(learn_open(&p));
    for (int i = 0; i < 2; i++) {
        tp_var unit = learn_constant(&p, TP_SHAPE(2), (const double[]){i == 0, i == 1});
        tp_var y = tp_expand(unit, TP_SHAPE(3, 2));
        for (int k = 0; k < 6; k++)
            column[i][k] = learn_at(y, k);
    }
    printf("repeat, A =      sum, Aᵀ =\n");
    for (int k = 0; k < 6; k++) {
        printf("  %g %g", column[0][k], column[1][k]);
        for (int j = 0; k < 2 && j < 6; j++)
            printf("%s%g", j == 0 ? "              " : " ", column[k][j]);
        printf("\n");
    }
    tp_var x = learn_constant(&p, TP_SHAPE(2), (const double[]){10, 20});
    tp_var y = learn_constant(&p, TP_SHAPE(3, 2), G);
    printf("<A x, y> = %g, <x, Aᵀ y> = %g\n", tp_item_of(inner(tp_expand(x, TP_SHAPE(3, 2)), y)),
           tp_item_of(inner(x, tp_sum(y, TP_AXES(0), false))));
    learn_close(&p);
    return TP_OK;
}

/* --- what keepdim is for ----------------------------------------------------------------------------------------- */

static tp_status keepdim(void)
{
    const double square[] = {1, 2, 6, 4, 5, 9, 0, 1, 2};
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = learn_constant(&p, TP_SHAPE(3, 3), square);
    tp_var kept = tp_mean(x, TP_AXES(1), true), dropped = tp_mean(x, TP_AXES(1), false);
    TP_TRY(learn_show("mean of each row, kept", kept));
    TP_TRY(learn_show("rows without their mean", tp_sub(x, kept)));
    TP_TRY(learn_show("the same without keepdim", tp_sub(x, dropped)));
    tp_var wide = learn_constant(&p, TP_SHAPE(2, 3), X);
    tp_sub(wide, tp_mean(wide, TP_AXES(1), false));
    printf("a matrix that is not square: %s\n", tp_tape_message(p.tape));
    learn_close(&p);
    return TP_OK;
}

static tp_status mean(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = named(learn_leaf(&p, TP_SHAPE(2, 3), X), "x");
    tp_var m = named(tp_mean(x, TP_AXES(1), false), "m");
    TP_TRY(explain(inner(m, learn_constant(&p, TP_SHAPE(2), (const double[]){6, -3})), m));
    learn_close(&p);
    return TP_OK;
}

/* --- two bugs ------------------------------------------------------------------------------------------------------ */

/* y = x + b with the rule for b left out of summing, and with a mean in its place. */
static void unsummed(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = c->gy;
    gx[1] = c->gy;
}

static void averaged(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = c->gy;
    gx[1] = tp_mean(c->gy, TP_AXES(0), false);
}

typedef struct layer {
    tp_op op;
    tp_tensor x;
    tp_parameter b;
} layer;

static tp_var apply_layer(tp_tape *t, void *user)
{
    layer *l = user;
    return tp_apply(&l->op, 2, (tp_var[]){tp_constant(t, &l->x), tp_param(t, &l->b)}, NULL);
}

static tp_status try_rule(const char *name, void (*vjp)(const tp_vjp_call *, tp_var *))
{
    layer l = {.op = tp_op_add};
    tp_check_report r = {0};
    tp_parameter *wrt[] = {&l.b};
    l.op.vjp = vjp;
    l.op.broadcasts = false; /* the sweep is not to sum: the rule says it does */
    TP_TRY(tp_tensor_from(&l.x, TP_F64, TP_SHAPE(3, 2), X));
    TP_TRY(tp_parameter_init(&l.b, "b", TP_F64, TP_SHAPE(2)));
    tp_status s = tp_gradcheck(apply_layer, &l, 1, wrt, (tp_check_opts){0}, &r);
    if (s == TP_EVALUE)
        printf("%s: %s[%lld] is %.4f, differences say %.4f: a factor of %.4f\n", name, r.parameter,
               (long long)r.index, r.analytic, r.numeric, r.numeric / r.analytic);
    else
        printf("%s: %s\n", name, s == TP_OK ? "passed" : tp_last_error());
    tp_parameter_free(&l.b);
    tp_tensor_free(&l.x);
    return s == TP_OK ? tp_fail(TP_EVALUE, "a broken rule has passed") : TP_OK;
}

static tp_status bugs(void)
{
    TP_TRY(try_rule("not summed", unsummed));
    return try_rule("averaged", averaged);
}

/* --- more pairs ------------------------------------------------------------------------------------------------------ */

typedef struct pair {
    const char *map, *adjoint;
    tp_shape from, to;
    tp_var (*a)(tp_var x, tp_var index), (*at)(tp_var y, tp_var index);
} pair;

static tp_var column(tp_var x, tp_var i)
{
    return (void)i, tp_expand(x, TP_SHAPE(3, 4));
}
static tp_var rows_sum(tp_var y, tp_var i)
{
    return (void)i, tp_sum(y, TP_AXES(1), true);
}
static tp_var every_other(tp_var x, tp_var i)
{
    return (void)i, tp_slice(x, 0, 1, 6, 2);
}
static tp_var put_back(tp_var y, tp_var i)
{
    return (void)i, tp_pad(y, 0, 1, 2, 6);
}
static tp_var pick(tp_var x, tp_var i)
{
    return tp_gather(x, i, 0);
}
static tp_var add_in(tp_var y, tp_var i)
{
    return tp_scatter_add(y, i, 0, 3);
}
static tp_var turn(tp_var x, tp_var i)
{
    return (void)i, tp_permute(x, TP_AXES(1, 2, 0));
}
static tp_var turn_back(tp_var y, tp_var i)
{
    return (void)i, tp_permute(y, TP_AXES(2, 0, 1));
}
static tp_var shape_as(tp_var x, tp_var i)
{
    return (void)i, tp_reshape(x, TP_SHAPE(6));
}
static tp_var shape_back(tp_var y, tp_var i)
{
    return (void)i, tp_reshape(y, TP_SHAPE(2, 3));
}
static tp_var sums(tp_var x, tp_var i)
{
    return (void)i, tp_cumsum(x, 0);
}
static tp_var sums_back(tp_var y, tp_var i)
{
    return (void)i, tp_flip(tp_cumsum(tp_flip(y, 0), 0), 0);
}

static const pair pairs[] = {
    {"expand [3,1] to [3,4]", "sum of the rows", TP_DIMS(3, 1), TP_DIMS(3, 4), column, rows_sum},
    {"slice 1:6:2", "pad with zeros", TP_DIMS(6), TP_DIMS(3), every_other, put_back},
    {"gather 2, 0, 2, 2", "scatter_add", TP_DIMS(3), TP_DIMS(4), pick, add_in},
    {"permute (1,2,0)", "permute (2,0,1)", TP_DIMS(2, 3, 2), TP_DIMS(3, 2, 2), turn, turn_back},
    {"reshape [2,3] to [6]", "reshape back", TP_DIMS(2, 3), TP_DIMS(6), shape_as, shape_back},
    {"cumsum", "cumsum from the end", TP_DIMS(5), TP_DIMS(5), sums, sums_back},
};

/* ⟨A x, y⟩ and ⟨x, Aᵀ y⟩ in small integers, and Aᵀ y against what backward makes of y. */
static tp_status check_pair(const pair *q)
{
    double x[12], y[12];
    learn_page p;
    TP_TRY(learn_open(&p));
    for (int i = 0; i < 12; i++)
        x[i] = i * i % 7 - 1, y[i] = i * 4 % 7 - 2;
    tp_var vx = learn_leaf(&p, q->from, x), vy = learn_constant(&p, q->to, y), grad;
    p.dtype = TP_I64;
    tp_var index = learn_constant(&p, TP_SHAPE(4), (const double[]){2, 0, 2, 2});
    tp_var ax = q->a(vx, index), aty = q->at(vy, index);
    TP_TRY(tp_grad(1, &ax, 1, &vx, &grad, (tp_grad_opts){.grad_outputs = &vy}));
    printf("%-22s %-20s %6g %8g   %g\n", q->map, q->adjoint, tp_item_of(inner(ax, vy)),
           tp_item_of(inner(vx, aty)), learn_distance(tp_value(grad), tp_value(aty)));
    tp_status s =
        learn_expect("<x, Aᵀ y>", tp_item_of(inner(vx, aty)), tp_item_of(inner(ax, vy)), 0);
    learn_close(&p);
    return s;
}

static tp_status adjoints(void)
{
    printf("%-22s %-20s %6s %8s   %s\n", "A", "Aᵀ", "<Ax,y>", "<x,Aᵀy>", "Aᵀy − backward");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        TP_TRY(check_pair(&pairs[i]));
    return TP_OK;
}

/* --- exercises --------------------------------------------------------------------------------------------------------- */

static tp_status answers(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = learn_constant(&p, TP_SHAPE(3, 2), X), g = learn_constant(&p, TP_SHAPE(3, 2), G);
    tp_var s = learn_leaf(&p, TP_SHAPE(), (const double[]){2});
    TP_TRY(tp_backward(inner(tp_mul(x, s), g)));
    printf("1: gradient of s = %g\n", learn_grad_at(s, 0));

    tp_var c = learn_leaf(&p, TP_SHAPE(2, 1), (const double[]){1, 2});
    tp_var r = learn_leaf(&p, TP_SHAPE(1, 3), (const double[]){3, 4, 5});
    TP_TRY(tp_backward(inner(tp_add(c, r), learn_constant(&p, TP_SHAPE(2, 3), G))));
    printf("2: gradient of c = (%g, %g), of r = (%g, %g, %g)\n", learn_grad_at(c, 0),
           learn_grad_at(c, 1), learn_grad_at(r, 0), learn_grad_at(r, 1), learn_grad_at(r, 2));

    tp_var v = learn_leaf(&p, TP_SHAPE(3), (const double[]){7, 1, 4});
    tp_var centred = tp_sub(v, tp_mean(v, TP_ALL_AXES, false));
    TP_TRY(tp_backward(inner(centred, learn_constant(&p, TP_SHAPE(3), G))));
    printf("3: gradient of v = (%g, %g, %g)\n", learn_grad_at(v, 0), learn_grad_at(v, 1),
           learn_grad_at(v, 2));

    tp_var target = learn_constant(&p, TP_SHAPE(4, 1), (const double[]){1, 2, 3, 4});
    tp_var guess = learn_constant(&p, TP_SHAPE(4), (const double[]){1, 2, 3, 4});
    tp_var wrong = tp_mean(tp_square(tp_sub(guess, target)), TP_ALL_AXES, false);
    printf("4: the mean square is %g\n", tp_item_of(wrong));
    tp_mse(guess, target);
    printf("   tp_mse: %s\n", tp_tape_message(p.tape));
    learn_close(&p);
    return TP_OK;
}

/* --- the picture --------------------------------------------------------------------------------------------------------- */

enum { CELL = 34 };

static void cells(int x, int y, int rows, int columns, const double *numbers)
{
    static const char *const colour[] = {"#bcdcf5", "#fbd9a5", "#fff"};
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" "
                   "stroke=\"#444\"/>\n<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                   x + j * CELL, y + i * CELL, CELL, CELL, colour[j], x + j * CELL + CELL / 2,
                   y + i * CELL + 23, numbers[i * columns + j]);
}

static void arrow(int x, int from, int to)
{
    int tip = to > from ? -8 : 8;
    printf("<path d=\"M%d %dV%d\" stroke=\"#444\" stroke-width=\"2\"/>\n"
           "<path d=\"M%d %dl-5 %dh10z\" fill=\"#444\"/>\n",
           x, from, to + tip, x, to, tip);
}

static void words(int x, int y, const char *text)
{
    draw_text(x, y, "middle", DRAW_INK, "%s", text);
}

static tp_status picture(void)
{
    const double b[] = {10, 20}, copies[] = {10, 20, 10, 20, 10, 20}, sum[] = {6, 0};
    draw_begin(580, 300, "A bias is copied into each row; the gradients of the rows are summed");
    words(140, 28, "forward: b is repeated");
    cells(106, 60, 1, 2, b), words(60, 83, "b [2]");
    arrow(123, 98, 138), arrow(157, 98, 138);
    cells(106, 142, 3, 2, copies), words(52, 198, "in y [3,2]");
    words(420, 28, "backward: its gradients are summed");
    cells(386, 60, 1, 2, sum), words(340, 83, "b̄ [2]");
    arrow(403, 138, 98), arrow(437, 138, 98);
    cells(386, 142, 3, 2, G), words(340, 198, "ȳ [3,2]");
    words(280, 282, "each number is copied three times; its three gradients are added");
    draw_end();
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"smallest", smallest},
                                        {"bias", bias},
                                        {"column-row", column_row},
                                        {"jacobian", jacobian},
                                        {"keepdim", keepdim},
                                        {"mean", mean},
                                        {"bugs", bugs},
                                        {"adjoints", adjoints},
                                        {"answers", answers},
                                        {"picture-sum", picture},
                                        {0}});
}
