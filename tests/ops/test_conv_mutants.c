/* test_conv_mutants.c: the ways in which convolutions are wrong: padding at one end only, a kernel turned over or
 * transposed, strides and dilations forgotten, channels of other groups. Each keeps all shapes, as a real mistake would,
 * and each must be found: in a rule by the gradient check, in a value by PyTorch's numbers. That is asked of every row and
 * input; test_ops_mutants.c breaks all operations in ways that have nothing to do with what they are. */
#include <stdio.h>
#include <string.h>

#include "autograd/check.h"
#include "autograd/compose.h"
#include "autograd/node.h"
#include "autograd/ops/conv.h"
#include "tests/oracle/oracle.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/ops.h"

typedef enum mistake {
    PADDING_BEHIND,
    KERNEL_TURNED_OVER,
    KERNEL_TRANSPOSED,
    STRIDE_FORGOTTEN,
    DILATION_FORGOTTEN,
    GROUPS_MIXED,
    MISTAKES
} mistake;

static const char *const mistakes[MISTAKES] = {"padding behind the image only",
                                               "kernel turned over",
                                               "kernel transposed",
                                               "stride forgotten",
                                               "dilation forgotten",
                                               "groups mixed"};

enum { IMAGE, KERNEL, POSITION, ROLES };

/* The rows, and which of the three each computes from which two. */
static const struct {
    const tp_op *op;
    int out, in[2];
} rows[] = {{&tp_op_conv2d, POSITION, {IMAGE, KERNEL}},
            {&tp_op_conv_transpose2d, IMAGE, {POSITION, KERNEL}},
            {&tp_op_conv2d_weight, KERNEL, {IMAGE, POSITION}}};
enum { ROWS = sizeof rows / sizeof *rows };

/* --- a convolution with a mistake ---------------------------------------------------------------- */

/* It is a right one with other options, after and before maps that undo what they change of the shapes: there, back. */
typedef struct wrong {
    mistake how;
    tp_shape shape[ROLES];
    tp_conv_opts o, right;
} wrong;

static bool applies(const wrong *w)
{
    const int64_t *kernel = w->shape[KERNEL].dim, *places = w->shape[POSITION].dim;
    bool padding = false, stride = false, dilation = false;
    for (int a = 0; a < 2; a++) {
        padding |= w->right.padding[a] > 0;
        stride |= w->right.stride[a] > 1 && places[2 + a] > 1;
        dilation |= w->right.dilation[a] > 1 && kernel[2 + a] > 1;
    }
    bool can[MISTAKES] = {[PADDING_BEHIND] = padding,
                          [KERNEL_TURNED_OVER] = kernel[2] * kernel[3] > 1,
                          [KERNEL_TRANSPOSED] = kernel[2] == kernel[3] && kernel[2] > 1,
                          [STRIDE_FORGOTTEN] = stride,
                          [DILATION_FORGOTTEN] = dilation,
                          [GROUPS_MIXED] = w->right.groups > 1 && kernel[1] > 1};
    return can[w->how] && tp_shape_numel(w->shape[IMAGE]) > 0;
}

static wrong make(mistake how, const tp_shape shape[ROLES], tp_conv_opts o)
{
    wrong w = {how, {shape[IMAGE], shape[KERNEL], shape[POSITION]}, o, o};
    assert_ok(tp_conv_opts_check(&w.right));
    w.o = w.right;
    for (int a = 0; a < 2; a++) {
        w.o.output_padding[a] = 0;
        w.o.padding[a] = how == PADDING_BEHIND ? 0 : w.o.padding[a];
        w.o.stride[a] = how == STRIDE_FORGOTTEN ? 1 : w.o.stride[a];
        w.o.dilation[a] = how == DILATION_FORGOTTEN ? 1 : w.o.dilation[a];
    }
    return w;
}

/* Rows and columns of zeros behind v, up to that size; the first of v. */
static tp_var grown(tp_var v, int64_t height, int64_t width)
{
    return tp_pad(tp_pad(v, 2, 0, 1, height), 3, 0, 1, width);
}

static tp_var cut(tp_var v, int64_t height, int64_t width)
{
    return tp_slice(tp_slice(v, 2, 0, height, 1), 3, 0, width, 1);
}

/* From a channel's group first to its group last, or back. */
static tp_var mixed(tp_var x, int64_t first, int64_t second)
{
    tp_shape s = tp_shape_of(x);
    tp_var v = tp_reshape(x, TP_SHAPE(s.dim[0], first, second, s.dim[2], s.dim[3]));
    return tp_reshape(tp_permute(v, TP_AXES(0, 2, 1, 3, 4)), s);
}

static tp_var image_there(const wrong *w, tp_var x)
{
    const int64_t *s = w->shape[IMAGE].dim, *p = w->right.padding;
    return w->how == PADDING_BEHIND ? grown(x, s[2] + 2 * p[0], s[3] + 2 * p[1])
           : w->how == GROUPS_MIXED ? mixed(x, w->o.groups, s[1] / w->o.groups)
                                    : x;
}

static tp_var image_back(const wrong *w, tp_var x)
{
    const int64_t *s = w->shape[IMAGE].dim;
    return w->how == PADDING_BEHIND ? cut(x, s[2], s[3])
           : w->how == GROUPS_MIXED ? mixed(x, s[1] / w->o.groups, w->o.groups)
                                    : x;
}

/* Its own adjoint, too. */
static tp_var kernel_there(const wrong *w, tp_var k)
{
    return w->how == KERNEL_TURNED_OVER  ? tp_flip(tp_flip(k, 2), 3)
           : w->how == KERNEL_TRANSPOSED ? tp_transpose(k)
                                         : k;
}

/* Of the size of image that the wrong one sees. */
static int64_t size_seen(const wrong *w, int a)
{
    int64_t size = w->shape[IMAGE].dim[2 + a];
    return w->how == PADDING_BEHIND ? size + 2 * w->right.padding[a] : size;
}

static int64_t places_seen(const wrong *w, int a)
{
    return tp_conv_positions(&w->o, a, size_seen(w, a), w->shape[KERNEL].dim[2 + a]);
}

/* What role out is, from the other two. */
static tp_var compute(const wrong *w, int out, const tp_var v[ROLES])
{
    const int64_t *kernel = w->shape[KERNEL].dim, *places = w->shape[POSITION].dim;
    tp_var x = {0}, k = {0}, y = {0};
    tp_conv_opts o = w->o;
    if (out != IMAGE)
        x = image_there(w, v[IMAGE]);
    if (out != KERNEL)
        k = kernel_there(w, v[KERNEL]);
    if (out == POSITION)
        return cut(tp_conv2d(x, k, o), places[2], places[3]);
    y = grown(v[POSITION], places_seen(w, 0), places_seen(w, 1));
    if (out == KERNEL)
        return kernel_there(w, tp_conv2d_weight(x, y, kernel[2], kernel[3], o));
    for (int a = 0; a < 2; a++)
        o.output_padding[a] =
            size_seen(w, a) - tp_conv_size(&o, a, places_seen(w, a), kernel[2 + a]);
    return image_back(w, tp_conv_transpose2d(y, k, o));
}

/* --- breaking a tape ----------------------------------------------------------------------------- */

typedef struct mutant {
    int row, input; /* input < 0: the value */
    mistake how;
    bool changed;
} mutant;

static wrong wrong_of(const mutant *m, tp_shape a, tp_shape b, tp_shape y, const void *attr)
{
    tp_shape s[ROLES];
    s[rows[m->row].in[0]] = a, s[rows[m->row].in[1]] = b, s[rows[m->row].out] = y;
    return make(m->how, s, ((const tp_conv_attr *)attr)->opts);
}

static void break_rule(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    mutant *m = user;
    if (op != rows[m->row].op || gx[m->input].id == 0)
        return;
    wrong w = wrong_of(m, tp_shape_of(c->x[0]), tp_shape_of(c->x[1]), tp_shape_of(c->gy), c->attr);
    tp_var v[ROLES];
    v[rows[m->row].in[0]] = c->x[0], v[rows[m->row].in[1]] = c->x[1], v[rows[m->row].out] = c->gy;
    if (!applies(&w))
        return;
    gx[m->input] = compute(&w, rows[m->row].in[m->input], v);
    m->changed = true;
}

static void break_value(void *user, const tp_op *op, const tp_op_call *c)
{
    mutant *m = user;
    if (op != rows[m->row].op)
        return;
    wrong w = wrong_of(m, c->x[0]->shape, c->x[1]->shape, c->y->shape, c->attr);
    tp_var v[ROLES] = {{0}};
    tp_tape *t;
    if (!applies(&w))
        return;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < 2; i++)
        v[rows[m->row].in[i]] = tp_constant(t, c->x[i]);
    const tp_tensor *y = tp_value(compute(&w, rows[m->row].out, v));
    assert_ok(tp_tape_status(t));
    assert_ok(tp_copy(c->y, y));
    tp_tape_free(t);
    m->changed = true;
}

static void release(tp_tape *t, mutant *m)
{
    t->rule_hook = m->input < 0 ? NULL : break_rule;
    t->value_hook = m->input < 0 ? break_value : NULL;
    t->rule_hook_user = t->value_hook_user = m;
}

/* --- who notices --------------------------------------------------------------------------------- */

ORACLE_FIXTURE("ops.safetensors");

typedef struct suspect {
    mutant *m;
    laid_out *sample;
} suspect;

static tp_var run_mutant(tp_tape *t, void *user)
{
    suspect *s = user;
    release(t, s->m);
    return laid_out_run(t, s->sample);
}

/* Of how many samples with the mistake in them the gradient check was content. */
static int unnoticed_rules(mutant *m, int *broken)
{
    static const layout_kind plain[TP_SAMPLE_INPUTS] = {LAYOUT_CONTIGUOUS};
    const tp_op *op = rows[m->row].op;
    int missed = 0;
    for (int k = 0; k < op->sample_count; k++) {
        laid_out s;
        suspect both = {m, &s};
        if (!laid_out_make(&s, op, &op->samples[k], TP_F64, plain, 31))
            continue;
        m->changed = false;
        tp_check_opts o = {.order = 1, .all_up_to = 96};
        tp_status status = tp_gradcheck(run_mutant, &both, s.wrt_count, s.wrt, o, NULL);
        bool found = status == TP_EVALUE && strstr(tp_last_error(), "gradient is wrong") != NULL;
        assert_true(m->changed || status == TP_OK);
        *broken += m->changed;
        missed += m->changed && !found;
        laid_out_free(&s);
    }
    return missed;
}

static bool is_wrong(mutant *m, int k)
{
    problem p = problem_load(&file, oracle_cases[k].name);
    tp_tape *t;
    tp_var x[CASE_INPUTS] = {{0}};
    assert_ok(tp_tape_new(&t));
    release(t, m);
    for (int i = 0; i < p.n; i++)
        x[i] = tp_leaf(t, &p.x[i]);
    const tp_tensor *y = tp_value(oracle_cases[k].run(x));
    assert_non_null(y);
    bool off = !tp_shape_equal(y->shape, p.y.shape);
    for (int64_t i = 0; !off && i < tp_numel(&p.y); i++)
        off = !close_enough(tp_flat(y, i), tp_flat(&p.y, i), 1e-13 * largest(&p.y), 1e-12);
    tp_tape_free(t);
    problem_free(&p);
    return off;
}

static int unnoticed_values(mutant *m, int *broken)
{
    int missed = 0;
    for (int k = 0; k < oracle_case_count; k++) {
        if (strstr(oracle_cases[k].name, "conv") == NULL)
            continue;
        m->changed = false;
        bool found = is_wrong(m, k);
        assert_true(m->changed || !found);
        *broken += m->changed;
        missed += m->changed && !found;
    }
    return missed;
}

/* All of a kind, for every row and mistake: there is a place for it, and it is seen in every one. */
static void hunt(int first, int last, int (*unnoticed)(mutant *, int *))
{
    int all = 0, missed = 0;
    for (int row = 0; row < ROWS; row++)
        for (int how = 0; how < MISTAKES; how++)
            for (int input = first; input <= last; input++) {
                mutant m = {row, input, (mistake)how, false};
                int broken = 0, gone = unnoticed(&m, &broken);
                if (broken == 0 || gone > 0)
                    print_error("%s, input %d, %s: unnoticed in %d of %d\n", rows[row].op->name,
                                input, mistakes[how], gone, broken);
                missed += broken == 0 || gone > 0;
                all += broken;
            }
    printf("%d mistakes\n", all);
    assert_int_equal(missed, 0);
}

static void test_rules(void **state)
{
    (void)state;
    hunt(0, 1, unnoticed_rules);
}

static void test_values(void **state)
{
    (void)state;
    hunt(-1, -1, unnoticed_values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, open_file, close_file) != 0;
}
