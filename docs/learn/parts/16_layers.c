/* 16_layers.c: see 16_layers.h. */
#include "docs/learn/parts/16_layers.h"

#include <stdio.h>
#include <string.h>

/* --- stride and sizes ----------------------------------------------------------------------------------- */

tp_status layers_sizes(void)
{
    tp_conv_opts o = {.stride = {2, 2}};
    TP_TRY(tp_conv_opts_check(&o));
    printf("kernel 3, stride 2\nimage   positions   they reach over   output_padding\n");
    for (int64_t size = 3; size <= 8; size++) {
        int64_t positions = tp_conv_positions(&o, 0, size, 3);
        int64_t reach = tp_conv_size(&o, 0, positions, 3);
        printf("%5d   %9d   %15d   %14d\n", (int)size, (int)positions, (int)reach,
               (int)(size - reach));
    }
    return TP_OK;
}

/* One row of pixels, so that everything fits on a line. */
tp_status layers_stamps(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var y = learn_constant(&p, TP_SHAPE(1, 1, 1, 2), (const double[]){1, 10});
    tp_var w = learn_constant(&p, TP_SHAPE(1, 1, 1, 3), (const double[]){1, 2, 3});
    tp_conv_opts five = {.stride = {1, 2}}, six = {.stride = {1, 2}, .output_padding = {0, 1}};
    tp_var back = tp_conv_transpose2d(y, w, five);
    TP_TRY(grid_show_line("y", y));
    TP_TRY(grid_show_line("conv_transpose2d(y, w), w = (1, 2, 3)", back));
    TP_TRY(grid_show_line("the same with output_padding 1", tp_conv_transpose2d(y, w, six)));
    tp_var spread = tp_pad(y, 3, 0, 2, 3); /* a zero in between */
    tp_var wide = tp_conv2d(spread, grid_turned(w), (tp_conv_opts){.padding = {0, 2}});
    TP_TRY(grid_show_line("y with gaps", spread));
    TP_TRY(grid_show_line("conv2d of it with (3, 2, 1), padding 2", wide));
    TP_TRY(grid_same("gaps", back, wide));
    tp_var x = learn_leaf(&p, TP_SHAPE(1, 1, 1, 6), (const double[]){4, 1, 3, 2, 5, 9});
    tp_var loss = grid_inner(tp_conv2d(x, w, five), y), seen;
    TP_TRY(tp_grad(1, &loss, 1, &x, &seen, (tp_grad_opts){0}));
    TP_TRY(grid_show_line("x̄ of six pixels, from the sweep", seen));
    learn_close(&p);
    return TP_OK;
}

/* The rule of a strided one by elements, as the framework shows it. */
tp_status layers_strided(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = learn_leaf(&p, TP_SHAPE(1, 1, 1, 6), (const double[]){4, 1, 3, 2, 5, 9});
    tp_var w = learn_leaf(&p, TP_SHAPE(1, 1, 1, 3), (const double[]){1, 2, 3});
    tp_var y = tp_conv2d(tp_name(x, "x", NULL, 0), tp_name(w, "w", NULL, 0),
                         (tp_conv_opts){.stride = {1, 2}});
    tp_var loss = tp_sum(tp_name(y, "y", NULL, 0), TP_ALL_AXES, false);
    tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&s))
        if (s.at == y.id)
            TP_TRY(tp_explain_step(stdout, &s, (tp_explain_opts){.index = true}));
    TP_TRY(tp_sweep_end(&s));
    learn_close(&p);
    return TP_OK;
}

tp_status layers_decoder(void)
{
    learn_page p;
    const struct {
        int64_t kernel;
        tp_conv_opts o;
    } way[] = {{4, {.stride = {2, 2}, .padding = {1, 1}}},
               {3, {.stride = {2, 2}, .padding = {1, 1}}},
               {3, {.stride = {2, 2}, .padding = {1, 1}, .output_padding = {1, 1}}}};
    for (int i = 0; i < 3; i++) {
        TP_TRY(learn_open(&p));
        tp_shape k = TP_SHAPE(1, 1, way[i].kernel, way[i].kernel);
        tp_var w = tp_full(p.tape, TP_F64, k, 1),
               x = tp_full(p.tape, TP_F64, TP_SHAPE(1, 1, 7, 7), 1);
        printf("kernel %d, stride 2, padding 1, output_padding %d: 7", (int)way[i].kernel,
               (int)way[i].o.output_padding[0]);
        for (int layer = 0; layer < 2; layer++) {
            x = tp_conv_transpose2d(x, w, way[i].o);
            printf(" → %d", (int)tp_shape_of(x).dim[2]);
        }
        printf("\n");
        TP_TRY(tp_var_status(x));
        learn_close(&p);
    }
    return TP_OK;
}

/* --- counting --------------------------------------------------------------------------------------------------- */

static const tp_conv_opts half = {.stride = {2, 2}, .padding = {1, 1}};

/* The two convolutions of conv_vae on 28 by 28 pixels, weights all ones. */
static void encoder(tp_var x, tp_var w[2], tp_var y[2])
{
    w[0] = tp_full(x.tape, tp_dtype_of(x), TP_SHAPE(32, 1, 4, 4), 1);
    w[1] = tp_full(x.tape, tp_dtype_of(x), TP_SHAPE(64, 32, 4, 4), 1);
    y[0] = tp_conv2d(x, w[0], half);
    y[1] = tp_conv2d(y[0], w[1], half);
}

static double numel(tp_var v)
{
    return (double)tp_numel(tp_value(v));
}

/* "[32,14,14]" of [1,32,14,14] */
static const char *of_one(tp_var v, char text[TP_SHAPE_TEXT])
{
    tp_shape s = tp_shape_of(v);
    return tp_shape_text(TP_SHAPE(s.dim[1], s.dim[2], s.dim[3]), text);
}

/* A convolution, and a dense layer between as many numbers. */
static tp_status count(tp_var x, tp_var w, tp_var y)
{
    char from[TP_SHAPE_TEXT], to[TP_SHAPE_TEXT];
    TP_TRY(tp_var_status(y));
    double seen = numel(w) / (double)tp_shape_of(w).dim[0]; /* numbers, by one y */
    double products = numel(y) * seen, dense = numel(x) * numel(y);
    printf("%s → %s\n", of_one(x, from), of_one(y, to));
    printf("    convolution %8.0f weights, %8.0f multiplications\n", numel(w), products);
    printf("    dense       %8.0f weights, %8.0f multiplications: %g and %g times as many\n", dense,
           dense, dense / numel(w), dense / products);
    return TP_OK;
}

tp_status layers_counts(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = tp_full(p.tape, TP_F32, TP_SHAPE(1, 1, 28, 28), 1), w[2], y[2];
    encoder(x, w, y);
    TP_TRY(count(x, w[0], y[0]));
    TP_TRY(count(y[0], w[1], y[1]));
    double fc = numel(y[1]) * 256;
    printf("then dense, %.0f to 256: %.0f weights, %.1f times those of both convolutions\n",
           numel(y[1]), fc, fc / (numel(w[0]) + numel(w[1])));
    double windows = 7. * 7 * 32 * 4 * 4;
    printf("im2col of the second layer: %.0f numbers, %g times the picture\n", windows,
           windows / numel(y[0]));
    learn_close(&p);
    return TP_OK;
}

static tp_status list_weights(const tp_model *m)
{
    char text[TP_SHAPE_TEXT];
    int64_t all = 0, convolved = 0;
    for (int i = 0; i < m->params.n; i++) {
        const tp_parameter *p = m->params.item[i];
        int64_t n = tp_shape_numel(p->value.shape);
        all += n, convolved += strstr(p->name, "conv") != NULL ? n : 0;
        if (p->value.shape.ndim > 1)
            printf("%-24s %-13s %7d\n", p->name, tp_shape_text(p->value.shape, text), (int)n);
    }
    printf("with biases %d, of which %d in convolutions: %.1f%%\n", (int)all, (int)convolved,
           100. * (double)convolved / (double)all);
    return TP_OK;
}

tp_status layers_model(void)
{
    const tp_model_type *type = tp_model_find("conv_vae");
    tp_model_config config = tp_model_defaults(type);
    tp_model m;
    config.data_dim = 28 * 28, config.data_shape = TP_SHAPE(28, 28);
    TP_TRY(tp_model_init(&m, type, config, TP_F32, 1));
    tp_status s = list_weights(&m);
    tp_model_free(&m);
    return s;
}

/* How far y sees: the pixels that get a gradient from its element (row, row), and how much of it, from the one at
 * the edge to the next. */
static tp_status reach(const char *name, tp_var x, tp_var y, int row)
{
    int64_t size = tp_shape_of(x).dim[2];
    tp_var one = tp_slice(tp_slice(y, 2, row, row + 1, 1), 3, row, row + 1, 1), g;
    one = tp_slice(one, 1, 0, 1, 1);
    TP_TRY(tp_grad(1, &one, 1, &x, &g, (tp_grad_opts){0}));
    g = tp_sum(g, TP_AXES(0, 1, 2), false); /* [size] */
    int64_t first = 0, seen = 0;
    while (first < size && learn_at(g, first) == 0)
        first++;
    while (first + seen < size && learn_at(g, first + seen) != 0)
        seen++;
    printf("%s sees %d×%d pixels, weighted", name, (int)seen, (int)seen);
    for (int64_t i = first; i < first + seen; i++)
        printf(" %g", learn_at(g, i) / learn_at(g, first));
    printf("\n");
    return TP_OK;
}

tp_status layers_field(void)
{
    double ones[28 * 28];
    learn_page p;
    TP_TRY(learn_open(&p));
    for (int i = 0; i < 28 * 28; i++)
        ones[i] = 1;
    tp_var x = learn_leaf(&p, TP_SHAPE(1, 1, 28, 28), ones), w[2], y[2];
    encoder(x, w, y);
    TP_TRY(reach("y of layer 1", x, y[0], 7));
    TP_TRY(reach("y of layer 2", x, y[1], 3));
    learn_close(&p);
    return TP_OK;
}

/* --- how evenly a transposed convolution covers ------------------------------------------------------------------ */

static const char *const ways[LAYERS_WAYS] = {
    "transposed, kernel 3, stride 2",
    "transposed, kernel 4, stride 2",
    "each pixel four times, then kernel 3",
};

const char *layers_way(int which)
{
    return ways[which];
}

tp_var layers_cover(learn_page *p, int which)
{
    int64_t k = which == 1 ? 4 : 3;
    tp_var x = tp_full(p->tape, TP_F64, TP_SHAPE(1, 1, 6, 6), 1);
    tp_var w = tp_full(p->tape, TP_F64, TP_SHAPE(1, 1, k, k), 1);
    if (which == 0)
        return tp_conv_transpose2d(
            x, w, (tp_conv_opts){.stride = {2, 2}, .padding = {1, 1}, .output_padding = {1, 1}});
    if (which == 1)
        return tp_conv_transpose2d(x, w, half);
    tp_var larger = tp_upsample_nearest2d(x, 2, 2);
    return tp_conv2d(larger, w, (tp_conv_opts){.padding = {1, 1}});
}

tp_status layers_covered(void)
{
    for (int which = 0; which < LAYERS_WAYS; which++) {
        learn_page p;
        TP_TRY(learn_open(&p));
        tp_var y = layers_cover(&p, which);
        for (int i = 0; i < 2; i++) { /* two rows in the middle */
            tp_var row = tp_slice(y, 2, 5 + i, 6 + i, 1);
            TP_TRY(grid_show_line(i == 0 ? ways[which] : "", row));
        }
        learn_close(&p);
    }
    return TP_OK;
}

/* --- pooling -------------------------------------------------------------------------------------------------------- */

tp_status layers_pooling(void)
{
    const double pixels[] = {1, 5, 2, 0, 3, 4, 8, 1, 7, 0, 1, 1, 2, 6, 9, 9};
    const tp_pool_opts tiles = {.kernel = {2, 2}};
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = learn_leaf(&p, TP_SHAPE(1, 1, 4, 4), pixels), by_max, by_mean;
    tp_var g = learn_constant(&p, TP_SHAPE(1, 1, 2, 2), (const double[]){4, 8, -4, 12});
    tp_var most = tp_max_pool2d(x, tiles), mean = tp_avg_pool2d(x, tiles);
    const tp_grad_opts from = {.grad_outputs = &g};
    TP_TRY(tp_grad(1, &most, 1, &x, &by_max, from));
    TP_TRY(tp_grad(1, &mean, 1, &x, &by_mean, from));
    TP_TRY(grid_show_var("x", x));
    TP_TRY(grid_show_var("max_pool2d(x), the largest of each 2×2", most));
    TP_TRY(grid_show_var("ȳ", g));
    TP_TRY(grid_show_var("x̄ of max_pool2d", by_max));
    TP_TRY(grid_show_var("x̄ of avg_pool2d", by_mean));
    tp_var quarter = tp_full(p.tape, TP_F64, TP_SHAPE(1, 1, 2, 2), 0.25);
    TP_TRY(grid_same("the mean", mean, tp_conv2d(x, quarter, (tp_conv_opts){.stride = {2, 2}})));
    learn_close(&p);
    return TP_OK;
}

/* --- the layout of weights ------------------------------------------------------------------------------------------ */

tp_status layers_turned(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var h = tp_full(p.tape, TP_F32, TP_SHAPE(1, 64, 7, 7), 0);
    tp_var right = tp_full(p.tape, TP_F32, TP_SHAPE(64, 32, 4, 4), 0);
    tp_var wrong = tp_full(p.tape, TP_F32, TP_SHAPE(32, 64, 4, 4), 0);
    char shape[TP_SHAPE_TEXT];
    tp_var y = tp_conv_transpose2d(h, right, half);
    TP_TRY(tp_var_status(y));
    printf("weight [64,32,4,4]: %s\n", tp_shape_text(tp_shape_of(y), shape));
    y = tp_conv_transpose2d(h, wrong, half);
    const char *message = tp_tape_message(p.tape);
    printf("weight [32,64,4,4]: %.*s\n", (int)strcspn(message, "\n"), message);
    bool refused = tp_var_status(y) == TP_ESHAPE;
    learn_close(&p);
    return refused ? TP_OK : tp_fail(TP_EVALUE, "a weight turned over was taken");
}

/* --- exercises ---------------------------------------------------------------------------------------------------------- */

static tp_status one_by_one(void)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = learn_constant(&p, TP_SHAPE(1, 3, 1, 2), (const double[]){1, 2, 3, -1, 0, 4});
    tp_var w = learn_constant(&p, TP_SHAPE(2, 3), (const double[]){1, 2, 3, -1, 0, 1});
    tp_var y = tp_conv2d(x, tp_reshape(w, TP_SHAPE(2, 3, 1, 1)), (tp_conv_opts){0});
    tp_var rows = tp_permute(x, TP_AXES(0, 2, 3, 1)); /* [1,1,2,3]: channels last */
    tp_var layer = tp_linear(rows, w, tp_full(p.tape, TP_F64, TP_SHAPE(2), 0));
    TP_TRY(grid_same("1×1", y, tp_permute(layer, TP_AXES(0, 3, 1, 2))));
    printf("3: conv2d with a 1×1 kernel against linear: off by 0\n");
    learn_close(&p);
    return TP_OK;
}

static tp_status dilated(void)
{
    double ones[32 * 32];
    learn_page p;
    TP_TRY(learn_open(&p));
    for (int i = 0; i < 32 * 32; i++)
        ones[i] = 1;
    tp_var x = learn_leaf(&p, TP_SHAPE(1, 1, 32, 32), ones), y = x, z = x;
    tp_var w = tp_full(p.tape, TP_F64, TP_SHAPE(1, 1, 3, 3), 1);
    for (int64_t d = 1; d <= 4; d *= 2) {
        y = tp_conv2d(y, w, (tp_conv_opts){.dilation = {d, d}, .padding = {d, d}});
        z = tp_conv2d(z, w, (tp_conv_opts){.padding = {1, 1}});
    }
    TP_TRY(reach("5: y of three layers", x, z, 16));
    TP_TRY(reach("5: y with dilations 1, 2, 4", x, y, 16));
    learn_close(&p);
    return TP_OK;
}

tp_status layers_answers(void)
{
    tp_conv_opts o = {.stride = {3, 3}, .padding = {2, 2}};
    TP_TRY(tp_conv_opts_check(&o));
    int64_t n = tp_conv_positions(&o, 0, 30, 5);
    printf("2: %d positions, back to %d pixels\n", (int)n, (int)tp_conv_size(&o, 0, n, 5));
    TP_TRY(one_by_one());
    printf("4: two of 3×3 have %d weights, one of 5×5 has %d, %.2f times as many\n",
           2 * 64 * 64 * 9, 64 * 64 * 25, 25. / 18);
    return dilated();
}
