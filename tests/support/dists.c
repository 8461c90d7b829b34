/* dists.c: see dists.h. */
#include "tests/support/dists.h"

#include <math.h>

/* --- a row's cases --------------------------------------------------------------------------------------- */

tp_dist dist_make(fixture *f, tp_dtype dtype, const tp_dist_type *type,
                  const tp_dist_numbers *param)
{
    tp_var v[TP_DIST_PARAMS] = {{0}};
    for (int i = 0; i < type->params; i++)
        v[i] = tp_constant(f->tape, fixture_tensor(f, dtype, param[i].shape, param[i].at));
    tp_dist d = type->make(v);
    d.event_dims = tp_dist_rank(&d);
    return d;
}

tp_dist dist_make_again(fixture *f, tp_dtype dtype, const tp_dist_type *type)
{
    tp_var v[TP_DIST_PARAMS] = {{0}};
    for (int i = 0; i < type->params; i++) {
        double *x = values_of(tp_constant(f->tape, &f->tensor[i]));
        v[i] = tp_constant(f->tape, fixture_tensor(f, dtype, f->tensor[i].shape, x));
        free(x);
    }
    tp_dist d = type->make(v);
    d.event_dims = tp_dist_rank(&d);
    return d;
}

tp_dist dist_flipped(tp_dist d)
{
    for (int i = 0; i < TP_DIST_PARAMS; i++)
        if (d.param[i].tape != NULL && tp_dist_shape(&d).ndim > d.type->rank)
            d.param[i] = tp_flip(d.param[i], 0);
    return d;
}

tp_var dist_x(fixture *f, tp_dtype dtype, const tp_dist_type *type, const tp_dist_numbers *x)
{
    tp_dtype own = type->support == TP_CLASSES ? TP_I64 : dtype;
    return tp_constant(f->tape, fixture_tensor(f, own, x->shape, x->at));
}

double *values_of(tp_var v)
{
    const tp_tensor *t = tp_value(v);
    if (t == NULL)
        fail_msg("no value: %s", tp_last_error());
    double *out = calloc((size_t)tp_numel(t) + 1, sizeof *out);
    assert_non_null(out);
    for (int64_t i = 0; i < tp_numel(t); i++)
        out[i] = tp_flat(t, i);
    return out;
}

/* --- grids ------------------------------------------------------------------------------------------------- */

enum { ORDER = 12, PANELS = 248, REAL_NODES = ORDER * PANELS };

/* Nodes and weights of Gauss and Legendre on [−1, 1], by Newton's method. */
static void gauss_legendre(double node[ORDER], double weight[ORDER])
{
    for (int i = 0; i < ORDER; i++) {
        double x = cos(3.14159265358979323846 * (i + 0.75) / (ORDER + 0.5)), slope = 0;
        for (int step = 0; step < 60; step++) {
            double p0 = 1, p1 = x;
            for (int k = 2; k <= ORDER; k++) {
                double p2 = ((2 * k - 1) * x * p1 - (k - 1) * p0) / k;
                p0 = p1, p1 = p2;
            }
            slope = ORDER * (x * p1 - p0) / (x * x - 1);
            x -= p1 / slope;
        }
        node[i] = x;
        weight[i] = 2 / ((1 - x * x) * slope * slope);
    }
}

/* Panels in units of the spread: fine near the mean, out to forty. An edge at 0, where a density may have a kink, and at
 * ±√3, where a uniform one ends. */
static double edge(int i)
{
    double t = i < 28 ? i - 40 : i <= 220 ? (i - 124) * 0.125 : i - 208;
    return t * sqrt(3) / (14 * 0.125);
}

static grid empty_grid(int64_t nodes, int64_t elements)
{
    grid g = {.nodes = nodes, .elements = elements, .width = 1};
    g.weight = calloc((size_t)(nodes * elements), sizeof *g.weight);
    assert_non_null(g.weight);
    return g;
}

/* The values as [nodes, draw…]. */
static void enter(fixture *f, grid *g, tp_dtype dtype, tp_shape draw, const double *x)
{
    tp_shape s = TP_SHAPE(g->nodes);
    for (int i = 0; i < draw.ndim; i++)
        s.dim[s.ndim++] = draw.dim[i];
    g->x = tp_constant(f->tape, fixture_tensor(f, dtype, s, x));
}

static grid grid_of_reals(fixture *f, tp_dist d)
{
    double node[ORDER], weight[ORDER], *mean = values_of(tp_dist_mean(d)),
                                       *variance = values_of(tp_dist_variance(d));
    tp_shape draw = tp_dist_shape(&d);
    int64_t n = tp_shape_numel(draw);
    grid g = empty_grid(REAL_NODES, n);
    double *x = calloc((size_t)(REAL_NODES * n), sizeof *x);
    assert_non_null(x);
    gauss_legendre(node, weight);
    for (int64_t i = 0; i < REAL_NODES * n; i++) {
        int panel = (int)(i / n / ORDER), k = ORDER - 1 - (int)(i / n % ORDER); /* ascending */
        double low = edge(panel), half = (edge(panel + 1) - low) / 2, sd = sqrt(variance[i % n]);
        x[i] = mean[i % n] + sd * (low + half * (1 + node[k]));
        g.weight[i] = sd * half * weight[k];
    }
    enter(f, &g, TP_F64, draw, x);
    free(x);
    free(mean);
    free(variance);
    return g;
}

/* 0, 1, … n − 1. */
static grid grid_of_whole_numbers(fixture *f, tp_dist d, int64_t count, tp_dtype dtype)
{
    tp_shape draw = tp_dist_shape(&d);
    int64_t n = tp_shape_numel(draw);
    grid g = empty_grid(count, n);
    double *x = calloc((size_t)(count * n), sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count * n; i++) {
        x[i] = (double)(i / n);
        g.weight[i] = 1;
    }
    enter(f, &g, dtype, draw, x);
    free(x);
    return g;
}

/* A lattice in the plane (or on the line) of real numbers: for a smooth function that is as good as any rule. */
enum { SIDE = 110 };

/* Vectors of one or two numbers; where they are is asked of a thousand draws. */
static grid grid_of_vectors(fixture *f, tp_dist d)
{
    enum { SOME = 1000 };
    tp_ctx c = tp_ctx_eval(f->tape, 4, 0);
    tp_shape draw = tp_dist_shape(&d);
    int64_t n = tp_shape_numel(draw), width = draw.dim[draw.ndim - 1];
    int64_t nodes = width == 1 ? SIDE : SIDE * SIDE;
    double *z = values_of(tp_dist_sample_n(d, &c, SOME));
    grid g = empty_grid(nodes, n / width);
    double *x = calloc((size_t)(nodes * n), sizeof *x);
    assert_true(x != NULL && width <= 2);
    g.width = width;
    for (int64_t i = 0; i < g.nodes * g.elements; i++)
        g.weight[i] = 1;
    for (int64_t e = 0; e < n; e++) {
        double mean = 0, square = 0;
        for (int64_t i = e; i < SOME * n; i += n) {
            mean += z[i] / SOME;
            square += z[i] * z[i] / SOME;
        }
        double step = 18 * sqrt(square - mean * mean) / SIDE;
        for (int64_t k = 0; k < nodes; k++) {
            int64_t at = e % width == 0 ? k % SIDE : k / SIDE;
            x[k * n + e] = mean + step * ((double)at + 0.5 - SIDE / 2.0);
            g.weight[k * g.elements + e / width] *= step;
        }
    }
    enter(f, &g, TP_F64, draw, x);
    free(x);
    free(z);
    return g;
}

/* Vectors of three that add up to 1, out of the plane by softmax, whose Jacobian is their product. */
static grid grid_of_simplex(fixture *f, tp_dist d)
{
    tp_shape draw = tp_dist_shape(&d);
    int64_t n = tp_shape_numel(draw), nodes = SIDE * SIDE;
    grid g = empty_grid(nodes, n / 3);
    double *x = calloc((size_t)(nodes * n), sizeof *x), step = 82.0 / SIDE;
    assert_true(x != NULL && draw.dim[draw.ndim - 1] == 3);
    g.width = 3;
    for (int64_t i = 0; i < nodes * n / 3; i++) {
        double a = step * ((double)(i / g.elements % SIDE) + 0.5 - SIDE / 2.0),
               b = step * ((double)(i / g.elements / SIDE) + 0.5 - SIDE / 2.0);
        double top = fmax(fmax(a, b), 0), sum = exp(a - top) + exp(b - top) + exp(-top);
        x[3 * i] = exp(a - top) / sum;
        x[3 * i + 1] = exp(b - top) / sum;
        x[3 * i + 2] = exp(-top) / sum;
        g.weight[i] = step * step * x[3 * i] * x[3 * i + 1] * x[3 * i + 2];
    }
    enter(f, &g, TP_F64, draw, x);
    free(x);
    return g;
}

grid grid_make(fixture *f, tp_dist d)
{
    tp_shape logits = tp_shape_of(d.param[0]);
    switch (d.type->support) {
    case TP_REALS:
        return tp_dist_rank(&d) == 0 ? grid_of_reals(f, d) : grid_of_vectors(f, d);
    case TP_BITS:
        return grid_of_whole_numbers(f, d, 2, TP_F64);
    case TP_CLASSES:
        return grid_of_whole_numbers(f, d, logits.dim[logits.ndim - 1], TP_I64);
    case TP_SIMPLEX:
        return grid_of_simplex(f, d);
    }
    fail_msg("%s: no grid for its support", d.type->name);
    return (grid){0};
}

void grid_free(grid *g)
{
    free(g->weight);
    *g = (grid){0};
}

double grid_integral(const grid *g, const double *f, int64_t element)
{
    double sum = 0;
    for (int64_t i = element; i < g->nodes * g->elements; i += g->elements)
        sum += g->weight[i] == 0 ? 0 : g->weight[i] * f[i];
    return sum;
}
