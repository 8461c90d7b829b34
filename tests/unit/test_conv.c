/* test_conv.c: convolution and its two adjoints against seven plain loops, at every ISA level.
 *
 * Geometries drawn at random and some large ones, whose images are more than one block; all layouts of the two inputs;
 * exact on small integers, within the bound of a sum on others; NaN and infinities where the loops have them and
 * nowhere else; equal bits for every number of threads. Gradients as such: tests/ops.
 */
#include "tests/support/check.h"
#include "tests/support/views.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/conv.h"
#include "tensor/kernels/kernels.h"
#include "tensor/layout.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

/* The three that meet; one of them comes out. */
typedef enum role { IMAGE, KERNEL, POSITION, ROLES } role;
static const char *const role_names[ROLES] = {"image", "kernel", "positions"};

typedef struct geometry {
    tp_shape shape[ROLES]; /* [n,c,h,w], [o,c/groups,kh,kw], [n,o,oh,ow] */
    tp_conv_opts o;
} geometry;

static tp_arena scratch;
static bool channels_last; /* what comes out, in memory */

/* --- geometries ---------------------------------------------------------------------------------- */

/* The i-th of a fixed sequence of whole numbers from lo to hi. */
static int64_t drawn(int64_t *i, int64_t lo, int64_t hi)
{
    double u = (random_value((*i)++) + 1) / 2;
    return lo + (int64_t)(u * (double)(hi - lo + 1));
}

/* False if the kernel does not fit. */
static bool finish(geometry *g)
{
    tp_shape *y = &g->shape[POSITION];
    *y = TP_SHAPE(g->shape[IMAGE].dim[0], g->shape[KERNEL].dim[0], 0, 0);
    for (int a = 0; a < 2; a++) {
        int64_t size = g->shape[IMAGE].dim[2 + a], kernel = g->shape[KERNEL].dim[2 + a];
        int64_t room = size + 2 * g->o.padding[a] - g->o.dilation[a] * (kernel - 1) - 1;
        if (room < 0)
            return false;
        y->dim[2 + a] = room / g->o.stride[a] + 1;
        assert_int_equal(tp_conv_positions(&g->o, a, size, kernel), y->dim[2 + a]);
        assert_int_equal(tp_conv_size(&g->o, a, y->dim[2 + a], kernel),
                         size - room % g->o.stride[a]);
    }
    return true;
}

static geometry draw_geometry(int64_t *i)
{
    geometry g;
    do {
        int64_t channels = drawn(i, 1, 4), filters = drawn(i, 1, 4), groups = drawn(i, 0, 2);
        g = (geometry){.o = {.groups = groups == 2 ? channels : 1 + groups}};
        filters *= g.o.groups, channels *= groups == 1 ? 2 : 1;
        g.shape[IMAGE] = TP_SHAPE(drawn(i, 0, 5), channels, drawn(i, 1, 12), drawn(i, 1, 12));
        g.shape[KERNEL] = TP_SHAPE(filters, channels / g.o.groups, drawn(i, 1, 5), drawn(i, 1, 5));
        for (int a = 0; a < 2; a++) {
            g.o.stride[a] = drawn(i, 1, 4);
            g.o.padding[a] = drawn(i, 0, 1) * drawn(i, 0, 6);
            g.o.dilation[a] = drawn(i, 1, 3);
        }
    } while (!finish(&g));
    return g;
}

#define OPTS(sh, sw, ph, pw, dh, dw, g)                                                            \
    {                                                                                              \
        {sh, sw}, {ph, pw}, {dh, dw}, g,                                                           \
        {                                                                                          \
            0, 0                                                                                   \
        }                                                                                          \
    }
static const geometry large[] = {
    {{TP_DIMS(40, 3, 29, 31), TP_DIMS(5, 3, 4, 4)}, OPTS(2, 2, 1, 1, 1, 1, 1)},
    {{TP_DIMS(40, 9, 29, 31), TP_DIMS(15, 3, 3, 2)}, OPTS(3, 2, 2, 3, 2, 1, 3)},
    {{TP_DIMS(130, 1, 28, 28), TP_DIMS(32, 1, 4, 4)}, OPTS(2, 2, 1, 1, 1, 1, 1)},
    {{TP_DIMS(2, 256, 6, 5), TP_DIMS(300, 256, 3, 3)}, OPTS(1, 1, 1, 1, 1, 1, 1)},
    {{TP_DIMS(2, 230, 9, 9), TP_DIMS(150, 115, 1, 1)}, OPTS(1, 1, 0, 0, 1, 1, 2)},
    {{TP_DIMS(3, 128, 17, 16), TP_DIMS(128, 1, 3, 3)}, OPTS(1, 1, 1, 1, 1, 1, 128)},
    {{TP_DIMS(1, 7, 64, 65), TP_DIMS(3, 7, 5, 4)}, OPTS(1, 1, 2, 6, 2, 3, 1)},
    {{TP_DIMS(700, 2, 3, 3), TP_DIMS(4, 2, 2, 2)}, OPTS(1, 1, 0, 0, 1, 1, 1)},
    {{TP_DIMS(5, 2, 300, 7), TP_DIMS(6, 2, 5, 1)}, OPTS(4, 1, 0, 0, 1, 1, 1)},
    {{TP_DIMS(1, 1, 260, 250), TP_DIMS(1, 1, 3, 3)}, OPTS(1, 1, 1, 1, 1, 1, 1)},
    {{TP_DIMS(3, 40, 8, 8), TP_DIMS(70, 40, 8, 8)}, OPTS(1, 1, 0, 0, 1, 1, 1)},
    {{TP_DIMS(9, 64, 7, 7), TP_DIMS(32, 64, 4, 4)}, OPTS(2, 2, 1, 1, 1, 1, 1)},
    /* bands of one high image, of a signal, and of one that is strided and dilated */
    {{TP_DIMS(1, 8, 8000, 1), TP_DIMS(8, 8, 9, 1)}, OPTS(1, 1, 4, 0, 1, 1, 1)},
    {{TP_DIMS(1, 4, 1, 30000), TP_DIMS(3, 4, 1, 9)}, OPTS(1, 1, 0, 4, 1, 1, 1)},
    {{TP_DIMS(2, 4, 1, 60001), TP_DIMS(6, 2, 1, 5)}, OPTS(1, 2, 0, 7, 1, 3, 2)},
};
enum { LARGE = sizeof large / sizeof *large };

static geometry large_geometry(int i)
{
    geometry g = large[i];
    assert_true(finish(&g));
    return g;
}

static void describe(const geometry *g, char *text, size_t size)
{
    char x[TP_SHAPE_TEXT], w[TP_SHAPE_TEXT];
    const tp_conv_opts *o = &g->o;
    snprintf(text, size,
             "image %s, kernel %s, stride %d,%d, padding %d,%d, dilation %d,%d, %d groups, %s",
             tp_shape_text(g->shape[IMAGE], x), tp_shape_text(g->shape[KERNEL], w),
             (int)o->stride[0], (int)o->stride[1], (int)o->padding[0], (int)o->padding[1],
             (int)o->dilation[0], (int)o->dilation[1], (int)o->groups, tp_isa());
}

/* --- the loops ----------------------------------------------------------------------------------- */

typedef struct sums {
    double *value, *size; /* of each element, Σ and Σ|·| */
    int64_t *terms;
    bool *
        open; /* a NaN or an infinity met the zeros of the padding, whose product is NaN, or is left out */
} sums;

static double *numbers(const tp_tensor *t)
{
    double *n = malloc(((size_t)tp_numel(t) + 1) * sizeof *n);
    assert_non_null(n);
    for (int64_t i = 0; i < tp_numel(t); i++)
        n[i] = tp_flat(t, i);
    return n;
}

static int64_t flat(tp_shape s, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return ((a * s.dim[1] + b) * s.dim[2] + c) * s.dim[3] + d;
}

/* All that one filter and one channel of its group have at one position. */
static void add_plane(const geometry *g, role out, double *const v[ROLES], sums *s, int64_t n,
                      int64_t o, int64_t c, int64_t i, int64_t j)
{
    const tp_shape *shape = g->shape;
    int64_t per = shape[KERNEL].dim[0] / g->o.groups;
    for (int64_t u = 0; u < shape[KERNEL].dim[2]; u++)
        for (int64_t w = 0; w < shape[KERNEL].dim[3]; w++) {
            int64_t at[ROLES], row = i * g->o.stride[0] + u * g->o.dilation[0] - g->o.padding[0];
            int64_t column = j * g->o.stride[1] + w * g->o.dilation[1] - g->o.padding[1];
            bool inside = row >= 0 && row < shape[IMAGE].dim[2] && column >= 0 &&
                          column < shape[IMAGE].dim[3];
            if (!inside && out == IMAGE)
                continue;
            at[IMAGE] = flat(shape[IMAGE], n, o / per * shape[KERNEL].dim[1] + c, row, column);
            at[KERNEL] = flat(shape[KERNEL], o, c, u, w);
            at[POSITION] = flat(shape[POSITION], n, o, i, j);
            double term = 1;
            for (int r = 0; r < ROLES; r++)
                term *= r == (int)out ? 1 : r == IMAGE && !inside ? 0 : v[r][at[r]];
            s->open[at[out]] |= !inside && isnan(term);
            if (!inside)
                continue;
            s->value[at[out]] += term;
            s->size[at[out]] += fabs(term);
            s->terms[at[out]]++;
        }
}

static sums add_up(const geometry *g, role out, const tp_tensor *const x[ROLES])
{
    size_t count = (size_t)tp_shape_numel(g->shape[out]) + 1;
    sums s = {calloc(count, sizeof(double)), calloc(count, sizeof(double)),
              calloc(count, sizeof(int64_t)), calloc(count, sizeof(bool))};
    double *v[ROLES] = {NULL};
    tp_shape y = g->shape[POSITION];
    assert_true(s.value != NULL && s.size != NULL && s.terms != NULL && s.open != NULL);
    for (int r = 0; r < ROLES; r++)
        v[r] = r == (int)out ? NULL : numbers(x[r]);
    for (int64_t n = 0; n < y.dim[0]; n++)
        for (int64_t o = 0; o < y.dim[1]; o++)
            for (int64_t c = 0; c < g->shape[KERNEL].dim[1]; c++)
                for (int64_t i = 0; i < y.dim[2]; i++)
                    for (int64_t j = 0; j < y.dim[3]; j++)
                        add_plane(g, out, v, &s, n, o, c, i, j);
    for (int r = 0; r < ROLES; r++)
        free(v[r]);
    return s;
}

static void sums_free(sums *s)
{
    free(s->value), free(s->size), free(s->terms), free(s->open);
}

/* --- what is tested ------------------------------------------------------------------------------ */

/* The one that comes out, from the other two; every element of it is NaN beforehand. */
static tp_tensor convolve(const geometry *g, role out, const tp_tensor *const x[ROLES])
{
    tp_tensor y;
    tp_conv_opts o = g->o;
    assert_ok(tp_tensor_new(&y, x[out == IMAGE ? KERNEL : IMAGE]->dtype, g->shape[out]));
    if (channels_last)
        tp_make_channels_last(&y);
    assert_ok(tp_fill(&y, (double)NAN));
    for (int a = 0; a < 2 && out == IMAGE; a++) {
        tp_shape s = g->shape[IMAGE], w = g->shape[KERNEL], p = g->shape[POSITION];
        o.output_padding[a] = s.dim[2 + a] - tp_conv_size(&o, a, p.dim[2 + a], w.dim[2 + a]);
    }
    if (out == POSITION)
        assert_ok(tp_conv_into(&y, x[IMAGE], x[KERNEL], &o, &scratch));
    else if (out == IMAGE)
        assert_ok(tp_conv_image_into(&y, x[POSITION], x[KERNEL], &o, &scratch));
    else
        assert_ok(tp_conv_kernel_into(&y, x[IMAGE], x[POSITION], &o, &scratch));
    tp_arena_reset(&scratch);
    return y;
}

typedef struct inputs {
    tp_tensor memory[ROLES], view[ROLES];
    const tp_tensor *x[ROLES]; /* NULL: it comes out */
} inputs;

/* The two that go in, in layouts of their own. */
static void make_inputs(inputs *in, const geometry *g, role out, tp_dtype dtype, int how,
                        double (*v)(int64_t))
{
    *in = (inputs){0};
    for (int r = 0; r < ROLES; r++) {
        if (r == (int)out)
            continue;
        layout l = (layout)(r == IMAGE || out == IMAGE ? how % LAYOUT_COUNT
                                                       : how / LAYOUT_COUNT % LAYOUT_COUNT);
        make_view(&in->memory[r], &in->view[r], dtype, g->shape[r], l, v);
        in->x[r] = &in->view[r];
    }
}

static void free_inputs(inputs *in)
{
    for (int r = 0; r < ROLES; r++)
        tp_tensor_free(&in->memory[r]);
}

static bool same(double got, double want)
{
    return got == want || (isnan(got) && isnan(want));
}

/* Every element is what the loops say: exactly, or within the bound of a sum of terms, each rounded. */
static void check(const geometry *g, role out, const inputs *in, bool exact)
{
    char text[300];
    tp_tensor y = convolve(g, out, in->x);
    sums want = add_up(g, out, in->x);
    double epsilon = y.dtype == TP_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
    for (int64_t i = 0; i < tp_numel(&y); i++) {
        double got = tp_flat(&y, i), off = fabs(got - want.value[i]);
        if (exact ? same(got, want.value[i])
                  : off <= ((double)want.terms[i] + 0.5) * epsilon * want.size[i])
            continue;
        if (want.open[i] && isnan(got))
            continue;
        describe(g, text, sizeof text);
        fail_msg("%s, %s: element %lld of the %s is %.17g instead of %.17g", text,
                 tp_dtype_name(y.dtype), (long long)i, role_names[out], got, want.value[i]);
    }
    sums_free(&want);
    tp_tensor_free(&y);
}

/* --- tests --------------------------------------------------------------------------------------- */

/* The levels that this processor has, one after the other; false behind the last. */
static bool next_level(int *level)
{
    static const char *const names[] = {"ref", "avx2", "avx512"};
    while (*level < 3)
        if (tp_set_isa(names[(*level)++]) == TP_OK)
            return true;
    return false;
}

/* Kernels beyond all bounds, whose reach no number holds. */
static void counts_of_positions(void **state)
{
    (void)state;
    const int64_t most = (int64_t)1 << 30, huge = (int64_t)1 << 61;
    tp_conv_opts o = {.stride = {3, 1}, .padding = {2, most}, .dilation = {2, most}};
    assert_ok(tp_conv_opts_check(&o));
    assert_int_equal(o.groups, 1);
    assert_int_equal(tp_conv_positions(&o, 0, 6, 5), 1);
    assert_int_equal(tp_conv_positions(&o, 0, 5, 5), 1);
    assert_int_equal(tp_conv_positions(&o, 0, 4, 5), 0);
    assert_int_equal(tp_conv_positions(&o, 0, 8, 5), 2);
    assert_int_equal(tp_conv_positions(&o, 0, 0, 1), 2);
    assert_int_equal(tp_conv_positions(&o, 0, 4, 0), 0);
    assert_int_equal(tp_conv_positions(&o, 0, huge, 1), (huge + 3) / 3 + 1);
    assert_int_equal(tp_conv_positions(&o, 1, 1, 3), 1);
    assert_int_equal(tp_conv_positions(&o, 1, huge, INT64_MAX), 0);
    assert_int_equal(tp_conv_positions(&o, 1, 4, ((int64_t)1 << 34) + 2), 0);
}

static void random_geometries(void **state)
{
    (void)state;
    int64_t i = 0;
    for (int level = 0; next_level(&level);)
        for (int k = 0; k < (SANITIZED ? 150 : 400); k++) {
            geometry g = draw_geometry(&i);
            channels_last = k % 5 < 2;
            for (int out = 0; out < ROLES; out++) {
                inputs in;
                make_inputs(&in, &g, (role)out, k % 4 ? TP_F32 : TP_F64, k, small_integer);
                check(&g, (role)out, &in, true);
                free_inputs(&in);
            }
        }
}

static void every_layout(void **state)
{
    (void)state;
    const geometry odd = {{TP_DIMS(3, 4, 7, 9), TP_DIMS(6, 2, 3, 2)}, OPTS(2, 1, 1, 2, 2, 3, 2)};
    geometry g = odd;
    assert_true(finish(&g));
    for (int how = 0; how < LAYOUT_COUNT * LAYOUT_COUNT; how++, channels_last = !channels_last)
        for (int out = 0; out < ROLES; out++)
            for (int d = TP_F32; d <= TP_F64; d++) {
                inputs in;
                make_inputs(&in, &g, (role)out, (tp_dtype)d, how, small_integer);
                check(&g, (role)out, &in, true);
                free_inputs(&in);
            }
}

/* Exactly with integers; with others, whose sums are long, within the bound. */
static void large_geometries(void **state)
{
    (void)state;
    for (int i = 0; i < LARGE; i++) {
        channels_last = i % 2 > 0;
        geometry g = large_geometry(i);
        for (int out = 0; out < ROLES; out++) {
            inputs in;
            make_inputs(&in, &g, (role)out, i % 4 ? TP_F32 : TP_F64, i % 3 ? 0 : i, small_integer);
            check(&g, (role)out, &in, true);
            free_inputs(&in);
            make_inputs(&in, &g, (role)out, TP_F32, 0, random_value);
            check(&g, (role)out, &in, false);
            free_inputs(&in);
        }
    }
}

/* Sums of nothing: no examples, no channels. */
static void nothing_to_add(void **state)
{
    (void)state;
    channels_last = false;
    const geometry all[] = {
        {{TP_DIMS(0, 2, 5, 4), TP_DIMS(3, 2, 2, 3)}, OPTS(1, 1, 0, 0, 1, 1, 1)},
        {{TP_DIMS(2, 0, 5, 4), TP_DIMS(3, 0, 2, 3)}, OPTS(1, 1, 0, 0, 1, 1, 1)},
        {{TP_DIMS(2, 2, 5, 4), TP_DIMS(0, 2, 2, 3)}, OPTS(1, 1, 0, 0, 1, 1, 1)},
    };
    for (int k = 0; k < 3; k++)
        for (int out = 0; out < ROLES; out++) {
            inputs in;
            geometry g = all[k];
            assert_true(finish(&g));
            make_inputs(&in, &g, (role)out, TP_F32, 0, small_integer);
            check(&g, (role)out, &in, true);
            free_inputs(&in);
        }
}

/* NaN or an infinity somewhere in one input reaches what depends on it and nothing else: not the other examples, channels
 * and groups, nor positions that do not see it. Padding is seen: its zeros times NaN may be NaN. */
static void special_numbers_stay_where_they_are(void **state)
{
    (void)state;
    channels_last = false;
    const double special[] = {(double)NAN, HUGE_VAL, -HUGE_VAL};
    int64_t i = 1000000;
    for (int level = 0; next_level(&level);)
        for (int k = 0; k < 150; k++) {
            geometry g = draw_geometry(&i);
            for (int out = 0; out < ROLES; out++)
                for (int r = 0; r < ROLES; r++) {
                    inputs in;
                    make_inputs(&in, &g, (role)out, k % 4 ? TP_F32 : TP_F64, 0, small_integer);
                    int64_t n = r == out ? 0 : tp_numel(in.x[r]);
                    if (n > 0)
                        assert_ok(tp_set_flat(&in.view[r], drawn(&i, 0, n - 1), special[k % 3]));
                    check(&g, (role)out, &in, true);
                    free_inputs(&in);
                }
        }
}

/* One image that is NaN leaves the others as they are, bit by bit, however many are in a block. */
static void examples_are_apart(void **state)
{
    (void)state;
    channels_last = false;
    for (int i = 0; i < LARGE; i++)
        for (int out = 0; out < ROLES; out += POSITION) { /* of a kernel all examples are a sum */
            geometry g = large_geometry(i);
            inputs in;
            tp_tensor one;
            role from = out == IMAGE ? POSITION : IMAGE;
            make_inputs(&in, &g, (role)out, TP_F32, 0, random_value);
            tp_tensor before = convolve(&g, (role)out, in.x);
            int64_t examples = g.shape[IMAGE].dim[0], sick = examples / 2;
            assert_ok(tp_view_slice(&in.view[from], 0, sick, sick + 1, 1, &one));
            assert_ok(tp_fill(&one, (double)NAN));
            tp_tensor after = convolve(&g, (role)out, in.x);
            int64_t per = tp_numel(&before) / examples;
            const float *a = tp_data(&before), *b = tp_data(&after);
            size_t size = (size_t)per * sizeof *a;
            for (int64_t n = 0; n < examples; n++)
                assert_int_equal(memcmp(a + n * per, b + n * per, size) == 0, n != sick);
            free_inputs(&in);
            tp_tensor_free(&before), tp_tensor_free(&after);
        }
}

/* Each geometry and type at one level. */
static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 5};
    for (int level = 0; next_level(&level);)
        for (int i = level - 1; i < 2 * LARGE; i += 3)
            for (int out = 0; out < ROLES; out++) {
                geometry g = large_geometry(i / 2);
                inputs in;
                tp_tensor y[4];
                make_inputs(&in, &g, (role)out, i % 2 ? TP_F32 : TP_F64, i % 3, random_value);
                channels_last = i % 4 > 1;
                for (int t = 0; t < 4; t++) {
                    assert_ok(tp_set_threads(threads[t]));
                    y[t] = convolve(&g, (role)out, in.x);
                    assert_true(equal_bits(&y[0], &y[t]));
                }
                for (int t = 0; t < 4; t++)
                    tp_tensor_free(&y[t]);
                free_inputs(&in);
            }
    assert_ok(tp_set_threads(1));
}

static int clean(void **state)
{
    (void)state;
    tp_arena_free(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_positions),
        cmocka_unit_test(random_geometries),
        cmocka_unit_test(every_layout),
        cmocka_unit_test(large_geometries),
        cmocka_unit_test(nothing_to_add),
        cmocka_unit_test(special_numbers_stay_where_they_are),
        cmocka_unit_test(examples_are_apart),
        cmocka_unit_test(bits_do_not_depend_on_threads),
    };
    return cmocka_run_group_tests(tests, NULL, clean) != 0;
}
