/* test_index_text.c: index forms as they are shown, for shapes that broadcast, reduce, lose and keep axes; what a
 * program's own row may get wrong. Whether they are true: tests/ops/test_ops_index.c. */
#include "autograd/attrs.h"
#include "autograd/explain/index.h"
#include "models/tapir.h"
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

static tp_tape *tape;

static tp_var leaf(const char *name, tp_shape shape)
{
    return tp_name(tp_full(tape, TP_F64, shape, 1), name, NULL, 0);
}

static void assert_written(tp_var y, int input, tp_formula f, const char *want)
{
    tp_text t = {0};
    assert_ok(tp_tape_status(tape));
    bool is = input < 0 ? tp_format_index(&t, &f, y.id) : tp_format_index_vjp(&t, &f, y.id, input);
    assert_true(is == (want != NULL));
    assert_string_equal(t.data, want == NULL ? "" : want);
}

static void assert_form(tp_var y, int input, bool tex, const char *want)
{
    assert_written(y, input, (tp_formula){.tape = tape, .tex = tex}, want);
}

static void begin(void)
{
    assert_ok(tp_tape_new(&tape));
}

static void test_linear(void **state)
{
    (void)state;
    begin();
    tp_var x = leaf("x", TP_SHAPE(2, 3)), w = leaf("W", TP_SHAPE(4, 3)), b = leaf("b", TP_SHAPE(4));
    tp_var h = tp_linear(x, w, b);
    TP_NAME(h);
    assert_form(h, -1, false, "h[i,j] = Σ_k x[i,k]·W[j,k] + b[j]");
    assert_form(h, -1, true, "h_{i,j} = \\sum_k x_{i,k} \\, W_{j,k} + b_{j}");
    assert_form(h, 0, false, "x̄[i,k] = Σ_j h̄[i,j]·W[j,k]");
    assert_form(h, 1, false, "W̄[j,k] = Σ_i h̄[i,j]·x[i,k]");
    assert_form(h, 1, true, "\\bar{W}_{j,k} = \\sum_i \\bar{h}_{i,j} \\, x_{i,k}");
    assert_form(h, 2, false, "b̄[j] = Σ_i h̄[i,j]");
    tp_var v = tp_linear(leaf("u", TP_SHAPE(3)), w, b);
    TP_NAME(v);
    assert_form(v, -1, false, "v[i] = Σ_j u[j]·W[i,j] + b[i]");
    assert_form(v, 1, false, "W̄[i,j] = v̄[i]·u[j]");
    tp_var r = tp_linear_relu(leaf("s", TP_SHAPE(2, 2, 3)), w, b);
    TP_NAME(r);
    assert_form(r, -1, false, "r[i,j,k] = max(Σ_l s[i,j,l]·W[k,l] + b[k], 0)");
    assert_form(r, 1, false, "W̄[k,l] = Σ_{i,j} [r[i,j,k] > 0]·r̄[i,j,k]·s[i,j,l]");
    tp_tape_free(tape);
}

static void test_broadcasting_is_a_sum(void **state)
{
    (void)state;
    begin();
    tp_var x = leaf("x", TP_SHAPE(2, 3)), row = leaf("w", TP_SHAPE(3)), one = leaf("s", TP_SHAPE());
    tp_var column = leaf("c", TP_SHAPE(2, 1));
    tp_var y = tp_mul(x, row);
    TP_NAME(y);
    assert_form(y, -1, false, "y[i,j] = x[i,j]·w[j]");
    assert_form(y, 0, false, "x̄[i,j] = ȳ[i,j]·w[j]");
    assert_form(y, 1, false, "w̄[j] = Σ_i ȳ[i,j]·x[i,j]");
    tp_var a = tp_add(x, one), d = tp_div(x, column);
    TP_NAME(a), TP_NAME(d);
    assert_form(a, 1, false, "s̄ = Σ_{i,j} ā[i,j]");
    assert_form(d, -1, false, "d[i,j] = x[i,j] / c[i,0]");
    assert_form(d, 1, false, "c̄[i,0] = Σ_j −d̄[i,j]·d[i,j] / c[i,0]");
    assert_form(d, 1, true, "\\bar{c}_{i,0} = \\sum_j -\\bar{d}_{i,j} \\, d_{i,j} / c_{i,0}");
    tp_var m = tp_matmul(leaf("A", TP_SHAPE(5, 2, 3)), leaf("B", TP_SHAPE(3, 4)));
    TP_NAME(m);
    assert_form(m, -1, false, "m[i,j,k] = Σ_l A[i,j,l]·B[l,k]");
    assert_form(m, 1, false, "B̄[l,k] = Σ_i Σ_j A[i,j,l]·m̄[i,j,k]");
    tp_tape_free(tape);
}

static void test_axes(void **state)
{
    (void)state;
    begin();
    tp_var x = leaf("x", TP_SHAPE(2, 3));
    tp_var all = tp_mean(x, TP_ALL_AXES, false), kept = tp_sum(x, TP_AXES(0), true);
    tp_var rows = tp_logsumexp(x, TP_AXES(-1), false), l = tp_log_softmax(x, 1),
           c = tp_cumsum(x, 0);
    tp_var best = tp_argmax(x, 1, false), same = tp_sum(leaf("s", TP_SHAPE()), TP_ALL_AXES, false);
    TP_NAME(all), TP_NAME(kept), TP_NAME(rows), TP_NAME(l), TP_NAME(c), TP_NAME(best),
        TP_NAME(same);
    assert_form(all, -1, false, "all = Σ_{i,j} x[i,j] / 6");
    assert_form(all, 0, false, "x̄[i,j] = āll / 6");
    assert_form(kept, -1, false, "kept[0,j] = Σ_i x[i,j]");
    assert_form(kept, 0, false, "x̄[i,j] = k̄ept[0,j]");
    assert_form(rows, -1, false, "rows[i] = log(Σ_j exp(x[i,j]))");
    assert_form(rows, -1, true, "\\mathrm{rows}_{i} = \\log(\\sum_j e^{x_{i,j}})");
    assert_form(l, 0, false, "x̄[i,j] = l̄[i,j] − exp(l[i,j])·Σ_k l̄[i,k]");
    assert_form(c, -1, false, "c[i,j] = Σ_{k≤i} x[k,j]");
    assert_form(c, 0, true, "\\bar{x}_{k,j} = \\sum_{i\\ge k} \\bar{c}_{i,j}");
    assert_form(best, -1, true, "\\mathrm{best}_{i} = \\operatorname{arg\\,max}_j x_{i,j}");
    assert_form(same, -1, false, "same = s");
    tp_tape_free(tape);
}

static void test_places(void **state)
{
    (void)state;
    begin();
    tp_var x = leaf("x", TP_SHAPE(2, 6)), a = leaf("a", TP_SHAPE(2, 1));
    tp_var even = tp_slice(x, 1, 0, TP_SLICE_END, 2), back = tp_slice(x, 1, -1, TP_SLICE_END, -1);
    tp_var t = tp_permute(x, TP_AXES(1, 0)), j = tp_concat((tp_var[]){x, a}, 2, 1);
    tp_var flat = tp_reshape(x, TP_SHAPE(12)), p = tp_pad(x, 1, 1, 1, 8), lower = tp_tril(x, -1);
    TP_NAME(even), TP_NAME(back), TP_NAME(t), TP_NAME(j), TP_NAME(flat), TP_NAME(p), TP_NAME(lower);
    assert_form(even, -1, false, "even[i,j] = x[i,2j]");
    assert_form(back, -1, false, "back[i,j] = x[i, 5 − j]");
    assert_form(back, 0, false, "x̄[i,k] = Σ_j [k = 5 − j]·b̄ack[i,j]");
    assert_form(t, -1, false, "t[i,j] = x[j,i]");
    assert_form(t, 0, false, "x̄[j,i] = t̄[i,j]");
    assert_form(j, -1, false, "j[i,j] = [0 ≤ j < 6]·x[i,j] + [6 ≤ j < 7]·a[i, j − 6]");
    assert_form(j, 1, false, "ā[i,k] = j̄[i, k + 6]");
    assert_form(flat, -1, false, "flat⟨i⟩ = x⟨i⟩");
    assert_form(flat, -1, true, "\\mathrm{flat}_{\\langle i \\rangle} = x_{\\langle i \\rangle}");
    assert_form(p, 0, false, "x̄[i,k] = p̄[i, 1 + k]");
    assert_form(lower, -1, true, "\\mathrm{lower}_{i,j} = [j \\le i - 1] \\, x_{i,j}");
    tp_tape_free(tape);
}

static void assert_structure(tp_var y, int input, const char *want)
{
    tp_text t = {0};
    tp_format_structure(&t, &(tp_formula){.tape = tape}, y.id, input);
    assert_string_equal(t.data, want);
}

static void test_windows(void **state)
{
    (void)state;
    begin();
    tp_var x = leaf("x", TP_SHAPE(2, 2, 6, 6)), w = leaf("W", TP_SHAPE(4, 2, 3, 3));
    tp_conv_opts half = {.stride = {2, 2}, .padding = {1, 1}};
    tp_var h = tp_conv2d(x, w, (tp_conv_opts){0}), s = tp_conv2d(x, w, half);
    tp_var u = tp_conv_transpose2d(s, leaf("V", TP_SHAPE(4, 3, 3, 3)), half);
    TP_NAME(h), TP_NAME(s), TP_NAME(u);
    assert_form(h, -1, false, "h[n,k,i,j] = Σ_{c,u,v} x[n, c, i + u, j + v]·W[k,c,u,v]");
    assert_form(h, 0, false,
                "x̄[n,c,p,q] = Σ_{k,i,j} h̄[n,k,i,j]·W[k, c, p − i, q − j];  W = 0 outside");
    assert_form(h, 1, false, "W̄[k,c,u,v] = Σ_{n,i,j} h̄[n,k,i,j]·x[n, c, i + u, j + v]");
    assert_form(
        s, -1, false,
        "s[n,k,i,j] = Σ_{c,u,v} x[n, c, 2i + u − 1, 2j + v − 1]·W[k,c,u,v];  x = 0 outside");
    assert_form(
        s, 0, false,
        "x̄[n,c,p,q] = Σ_{k,i,j} s̄[n,k,i,j]·W[k, c, p + 1 − 2i, q + 1 − 2j];  W = 0 outside");
    assert_form(
        u, -1, false,
        "u[n,k,p,q] = Σ_{c,i,j} s[n,c,i,j]·V[c, k, p + 1 − 2i, q + 1 − 2j];  V = 0 outside");
    assert_form(
        u, 1, false,
        "V̄[c,k,u,v] = Σ_{n,i,j} s[n,c,i,j]·ū[n, k, 2i + u − 1, 2j + v − 1];  ū = 0 outside");
    tp_var apart = tp_conv2d(x, w, (tp_conv_opts){.dilation = {2, 1}});
    TP_NAME(apart);
    assert_form(
        apart, 0, false,
        "x̄[n,c,p,q] = Σ_{k,i,j} āpart[n,k,i,j]·W[k, c, (p − i) / 2, q − j];  W = 0 outside and between");
    tp_var two = tp_conv2d(x, leaf("G", TP_SHAPE(4, 1, 1, 1)), (tp_conv_opts){.groups = 2});
    tp_var own = tp_conv2d(x, leaf("O", TP_SHAPE(2, 1, 1, 1)), (tp_conv_opts){.groups = 2});
    TP_NAME(two), TP_NAME(own);
    assert_form(two, -1, false,
                "two[n,k,i,j] = Σ_{c,u,v} x[n, c + ⌊k / 2⌋, i + u, j + v]·G[k,c,u,v]");
    assert_form(own, -1, false, "own[n,k,i,j] = Σ_{c,u,v} x[n, c + k, i + u, j + v]·O[k,c,u,v]");
    assert_structure(h, 0,
                     "windows of x with 18 elements: 2304 of 18432 entries can differ from 0");
    assert_structure(s, 0,
                     "windows of x with 18 elements: 1024 of 10368 entries can differ from 0");
    assert_structure(s, 1, "Kronecker, 4 blocks of 18×18: 1024 of 5184 entries can differ from 0");
    assert_structure(u, 0,
                     "windows of y with 27 elements: 1176 of 10800 entries can differ from 0");
    tp_tape_free(tape);
}

static void assert_columns(tp_var y, int input, tp_formula f, const char *want)
{
    tp_text t = {0};
    f.tape = tape;
    assert_true(tp_format_columns(&t, &f, y.id, input) == (want != NULL));
    assert_string_equal(t.data, want == NULL ? "" : want);
}

/* Each of the three rows, and each of their rules, is one of the three products. */
static void test_matrices(void **state)
{
    (void)state;
    begin();
    tp_formula text = {0};
    tp_var x = leaf("x", TP_SHAPE(5, 2, 6, 6)), w = leaf("W", TP_SHAPE(4, 2, 3, 3));
    tp_var h = tp_conv2d(x, w, (tp_conv_opts){.stride = {1, 3}});
    tp_var u = tp_conv_transpose2d(h, w, (tp_conv_opts){0});
    tp_var k = tp_conv2d_weight(x, h, 3, 3, (tp_conv_opts){.stride = {1, 3}});
    TP_NAME(h), TP_NAME(u), TP_NAME(k);
    assert_columns(h, -1, text, "h = W·im2col(x)   [4,40] = [4,18]·[18,40]");
    assert_columns(h, 0, text, "x̄ = col2im(Wᵀ·h̄)   [18,40] = [18,4]·[4,40]");
    assert_columns(h, 1, text, "W̄ = h̄·im2col(x)ᵀ   [4,18] = [4,40]·[40,18]");
    assert_columns(u, -1, text, "u = col2im(Wᵀ·h)   [18,40] = [18,4]·[4,40]");
    assert_columns(u, 0, text, "h̄ = W·im2col(ū)   [4,40] = [4,18]·[18,40]");
    assert_columns(u, 1, text, "W̄ = h·im2col(ū)ᵀ   [4,18] = [4,40]·[40,18]");
    assert_columns(k, -1, text, "k = h·im2col(x)ᵀ   [4,18] = [4,40]·[40,18]");
    assert_columns(k, 0, text, "x̄ = col2im(k̄ᵀ·h)   [18,40] = [18,4]·[4,40]");
    assert_columns(k, 1, text, "h̄ = k̄·im2col(x)   [4,40] = [4,18]·[18,40]");
    assert_columns(
        u, -1, (tp_formula){.tex = true},
        "u = \\operatorname{col2im}({W}^\\top \\cdot h)\\qquad [18,40] = [18,4] \\cdot [4,40]");
    tp_var g = tp_conv2d(x, leaf("G", TP_SHAPE(4, 1, 3, 3)), (tp_conv_opts){.groups = 2});
    TP_NAME(g);
    assert_columns(g, 1, text, "Ḡ = ḡ·im2col(x)ᵀ   [2,9] = [2,80]·[80,9]   in each of 2 groups");
    assert_columns(tp_exp(x), -1, text, NULL);
    tp_tape_free(tape);
}

static void test_functions_and_numbers(void **state)
{
    (void)state;
    begin();
    tp_var x = leaf("x", TP_SHAPE(2)), s = tp_sqrt(x), q = tp_square(x), e = tp_exp(x);
    tp_var m = tp_affine(x, -1, -2), big = tp_affine(x, 1e6, 0), up = tp_clamp(x, -INFINITY, 1);
    tp_var n = tp_noise_normal(tape, TP_F64, TP_SHAPE(2), (tp_rng_key){0, 0, 0}), w = tp_pow(x, e);
    TP_NAME(s), TP_NAME(q), TP_NAME(m), TP_NAME(big), TP_NAME(up), TP_NAME(n), TP_NAME(w);
    assert_form(s, -1, false, "s[i] = √(x[i])");
    assert_form(s, -1, true, "s_{i} = \\sqrt{x_{i}}");
    assert_form(q, -1, true, "q_{i} = x_{i}^2");
    assert_form(m, -1, false, "m[i] = −x[i] − 2");
    assert_form(big, -1, false, "big[i] = 1e+06·x[i]");
    assert_form(big, -1, true, "\\mathrm{big}_{i} = 1 \\cdot 10^{6} \\, x_{i}");
    assert_form(up, -1, false, "up[i] = min(max(x[i], −∞), 1)");
    assert_form(w, -1, true, "w_{i} = x_{i}^{{{}v_{4}}_{i}}");
    assert_form(n, -1, false, "n[i] ~ N(0, 1)");
    assert_form(n, -1, true, "n_{i} \\sim \\mathcal{N}(0, 1)");
    assert_form(tp_abs(x), 0, false, "x̄[i] = v̄10[i]·([x[i] > 0] − [x[i] < 0])");
    tp_tape_free(tape);
}

static void test_structure(void **state)
{
    (void)state;
    begin();
    tp_var x = leaf("x", TP_SHAPE(5, 3)), w = leaf("W", TP_SHAPE(4, 3)), b = leaf("b", TP_SHAPE(4));
    tp_var h = tp_linear(x, w, b), row = leaf("r", TP_SHAPE(3));
    assert_structure(h, 0, "Kronecker, 5 blocks of 4×3: 60 of 300 entries can differ from 0");
    assert_structure(h, 1, "Kronecker, 4 blocks of 5×3: 60 of 240 entries can differ from 0");
    assert_structure(h, 2, "selection: 20 of 80 entries can differ from 0");
    assert_structure(tp_exp(x), 0, "diagonal: 15 of 225 entries can differ from 0");
    assert_structure(
        tp_mul(x, row), 1,
        "diagonal, 5 rows for each element that was broadcast: 15 of 45 entries can differ from 0");
    assert_structure(tp_sum(x, TP_AXES(1), false), 0, "sum: 15 of 75 entries can differ from 0");
    assert_structure(tp_log_softmax(x, -1), 0,
                     "lines, 5 blocks of 3×3: 45 of 225 entries can differ from 0");
    assert_structure(tp_logsumexp(x, TP_ALL_AXES, false), 0,
                     "lines, 1 block of 1×15: 15 of 15 entries can differ from 0");
    assert_structure(tp_detach(x), 0, "none");
    assert_structure(tp_exp(leaf("e", TP_SHAPE(0, 3))), 0, "diagonal");
    tp_tape_free(tape);
}

static void test_without_form(void **state)
{
    (void)state;
    begin();
    tp_tensor data;
    assert_ok(tp_tensor_new(&data, TP_F64, TP_SHAPE(2)));
    tp_var a = leaf("a", TP_SHAPE(2, 3, 3)), x = leaf("x", TP_SHAPE(3, 1));
    tp_var hard = tp_constant(tape, &data);
    tp_var y = tp_triangular_solve(a, x, false), st = tp_straight_through(hard, hard);
    assert_form(hard, -1, false, NULL); /* no op made it */
    assert_form(st, 0, false, NULL);    /* the rule gives it nothing */
    assert_form(y, 1, false,
                NULL); /* the right side is the same for both matrices: x̄ would mean two things */
    tp_tape_free(tape);
    tp_tensor_free(&data);
}

static void test_markup_and_notation(void **state)
{
    (void)state;
    static const tp_symbol symbols[] = {{"W", "Ω", "\\Omega"}, {NULL, NULL, NULL}};
    static const tp_notation lecture = {.symbols = symbols, .sign = TP_SIGN_PARTIAL};
    begin();
    tp_var x = leaf("x", TP_SHAPE(2, 3)), w = leaf("W", TP_SHAPE(4, 3)), b = leaf("b", TP_SHAPE(4));
    tp_var h = tp_linear(x, w, b), c = tp_cumsum(leaf("s", TP_SHAPE(3)), 0), two = tp_square(h);
    TP_NAME(h), TP_NAME(c), TP_NAME(two);
    tp_formula html = {.tape = tape, .html = true};
    assert_written(h, 2, html,
                   "<a class=\"v bar\" href=\"#n3\">b</a><sub>j</sub> = Σ<sub>i</sub> "
                   "<a class=\"v bar\" href=\"#n4\">h</a><sub>i,j</sub>");
    assert_written(c, 0, html,
                   "<a class=\"v bar\" href=\"#n5\">s</a><sub>j</sub> = Σ<sub>i≥j</sub> "
                   "<a class=\"v bar\" href=\"#n6\">c</a><sub>i</sub>");
    tp_formula named = {.tape = tape, .notation = &lecture};
    assert_written(h, -1, named, "h[i,j] = Σ_k x[i,k]·Ω[j,k] + b[j]");
    assert_written(h, 1, named, "∂L/∂Ω[j,k] = Σ_i ∂L/∂h[i,j]·x[i,k]");
    named.tex = true;
    assert_written(h, -1, named, "h_{i,j} = \\sum_k x_{i,k} \\, \\Omega_{j,k} + b_{j}");
    tp_tape_free(tape);
}

/* Rows of a program's own may say anything: it is shown as far as it makes sense. */
static void test_broken_rows(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "y",
        "y[",
        "y[…",
        "y[…]",
        "y[…] = #",
        "y[…] = #7[…]",
        "y[…] = #0[i,j,k,l]",
        "y[…] = #0[…,i@none]",
        "y[…] = @none",
        "@none ? y[…] = 1 : y[…] = 2",
        "@",
        "Σ_",
        "y[…] = Σ_",
        "y[…] = Σ_{k",
        "y[…] = Σ_K K",
        "y[…] = #0[(",
        "y[…] = max_",
        "y[…] = |K|",
        "y[…] = Σ_# #*[@from]",
        "y[…] = )]}⟩",
        "y⟨n⟩ = #0⟨",
        "y[…] = ((((((((((((((((((((((((((((((((((((#0[…]",
        "y[i,i,i,i,i,i,i,i,i,i,i,i] = 0",
        "y[…,K@keepdim] = @keepdim·@axes",
        "y[…,K@axes] = #0[…]·@from",
        "y[…,k@axes] = #0[…@axes]",
        "@keepdim ? y = 1",
        "",
        "#*'[…] = 1",
    };
    begin();
    tp_var x = leaf("x", TP_SHAPE(2, 3));
    tp_reduce_attr axes = {{1, {0}}, false};
    for (size_t i = 0; i < 4 * (sizeof rows / sizeof *rows); i++) {
        tp_op broken = i % 2 ? tp_op_exp : tp_op_sum;
        broken.index = i % 4 < 2 ? rows[i / 4] : broken.index;
        broken.index_vjp[0] = rows[i / 4];
        tp_var y = tp_apply(&broken, 1, &x, i % 2 ? NULL : &axes);
        tp_text t = {0};
        tp_formula f = {.tape = tape, .tex = i % 3 == 1, .html = i % 3 == 2};
        assert_ok(tp_tape_status(tape));
        tp_format_index(&t, &f, y.id);
        tp_format_index_vjp(&t, &f, y.id, 0);
        tp_format_index_vjp(&t, &f, y.id, 7);
        assert_true(strlen(t.data) < 2000);
    }
    tp_tape_free(tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_broadcasting_is_a_sum),
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_matrices),
        cmocka_unit_test(test_functions_and_numbers),
        cmocka_unit_test(test_without_form),
        cmocka_unit_test(test_markup_and_notation),
        cmocka_unit_test(test_broken_rows),
        cmocka_unit_test(test_structure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
