/* test_ops_index.c: the index form of every op, evaluated element by element, is the op; that of its rules is what
 * the rules give; and every Jacobian has the structure that its row names, and none that is simpler. Wrong forms and
 * wrong structures must be refused by the same checks. */
#include "autograd/attrs.h"
#include "autograd/compose.h"
#include "autograd/explain/index.h"
#include "tests/support/check.h"
#include "tests/support/index_form.h"
#include "tests/support/ops.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Draws have no value to evaluate: test_draws looks at them. */
static bool is_draw(const tp_op *op)
{
    return strstr(op->index, " ~ ") != NULL;
}

/* log Σ e^x as it stands overflows where the op does not, unless long double reaches further than double: under
 * valgrind it does not, and there the limit that isfinite compares with is lost too. */
static bool reaches(const tp_sample *s)
{
    volatile long double low = s->n == 0 ? 0 : s->x[0].lo, e = expl(low), half = e / 2;
    return low < 700 || half < e;
}

static void test_forms(void **state)
{
    (void)state;
    int failures = 0, draws = 0;
    int64_t compared = 0;
    for (int i = 0; i < tp_op_count; i++) {
        draws += is_draw(tp_ops[i]);
        for (int k = 0; k < tp_ops[i]->sample_count && !is_draw(tp_ops[i]); k++) {
            char message[FORM_MESSAGE];
            if (!reaches(&tp_ops[i]->samples[k])) {
                printf("%s: '%s' left out\n", tp_ops[i]->name, tp_ops[i]->samples[k].note);
                continue;
            }
            if (form_check(tp_ops[i], &tp_ops[i]->samples[k], &compared, message))
                continue;
            print_error("%s, sample '%s': %s\n", tp_ops[i]->name, tp_ops[i]->samples[k].note,
                        message);
            failures++;
        }
    }
    printf("%lld elements\n", (long long)compared);
    assert_int_equal(failures, 0);
    assert_int_equal(draws, 4);
}

/* More axes than the samples have, and axes that broadcast on both sides. Attributes are structs of one field. */
static const struct {
    const tp_op *op;
    tp_sample sample;
} larger[] = {
    {&tp_op_sum,
     {"two of four, kept",
      1,
      {{TP_DIMS(2, 3, 2, 4)}},
      &(const tp_reduce_attr){{2, {-1, 1}}, true}}},
    {&tp_op_sum,
     {"two of four", 1, {{TP_DIMS(2, 3, 2, 4)}}, &(const tp_reduce_attr){{2, {2, 0}}, false}}},
    {&tp_op_mean,
     {"all of three", 1, {{TP_DIMS(2, 3, 2)}}, &(const tp_reduce_attr){{0, {0}}, true}}},
    {&tp_op_max, {"first", 1, {{TP_DIMS(3, 2, 2)}}, &(const tp_reduce_attr){{1, {0}}, true}}},
    {&tp_op_logsumexp,
     {"size 1", 1, {{TP_DIMS(1, 3, 1)}}, &(const tp_reduce_attr){{2, {0, 1}}, true}}},
    {&tp_op_log_softmax, {"second of four", 1, {{TP_DIMS(2, 3, 2, 2)}}, &(const int){1}}},
    {&tp_op_cumsum, {"third of four", 1, {{TP_DIMS(2, 1, 3, 2)}}, &(const int){-2}}},
    {&tp_op_permute, {"a cycle", 1, {{TP_DIMS(2, 3, 1, 4)}}, &(const tp_axes){4, {2, 0, 3, 1}}}},
    {&tp_op_permute, {"reversed", 1, {{TP_DIMS(2, 3, 1, 4)}}, &(const tp_axes){0, {0}}}},
    {&tp_op_expand, {"both ends", 1, {{TP_DIMS(1, 3, 1)}}, &(const tp_shape)TP_DIMS(2, 2, 3, 4)}},
    {&tp_op_concat,
     {"the middle",
      3,
      {{TP_DIMS(2, 1, 2)}, {TP_DIMS(2, 3, 2)}, {TP_DIMS(2, 2, 2)}},
      &(const int){1}}},
    {&tp_op_gather,
     {"the middle",
      2,
      {{TP_DIMS(3, 4, 2)}, {TP_DIMS(2, 3, 1), TP_FILL_INDEX, 0, 4, true}},
      &(const int){1}}},
    {&tp_op_matmul, {"both broadcast", 2, {{TP_DIMS(2, 1, 3, 2)}, {TP_DIMS(4, 2, 3)}}, NULL}},
    {&tp_op_matmul, {"a matrix, a batch", 2, {{TP_DIMS(3, 2)}, {TP_DIMS(2, 1, 2, 3)}}, NULL}},
    {&tp_op_linear, {"four axes", 3, {{TP_DIMS(2, 2, 2, 3)}, {TP_DIMS(4, 3)}, {TP_DIMS(4)}}, NULL}},
    {&tp_op_mul, {"both broadcast", 2, {{TP_DIMS(2, 1, 3)}, {TP_DIMS(4, 1)}}, NULL}},
    {&tp_op_div, {"size 1", 2, {{TP_DIMS(1, 1)}, {TP_DIMS(2, 1, 3), TP_FILL_POSITIVE}}, NULL}},
    {&tp_op_where,
     {"three shapes", 3, {{TP_DIMS(3, 1), TP_FILL_MASK}, {TP_DIMS(2, 1, 1)}, {TP_DIMS(2)}}, NULL}},
};

static void test_larger(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof larger / sizeof *larger; i++) {
        char message[FORM_MESSAGE];
        int64_t compared = 0;
        if (!form_check(larger[i].op, &larger[i].sample, &compared, message))
            fail_msg("%s, '%s': %s", larger[i].op->name, larger[i].sample.note, message);
    }
}

/* Why a rule has no index form. */
static const struct {
    const char *op;
    int input;
    const char *why;
} without[] = {
    {"where", 0, "the mask gets no gradient"},
    {"cholesky", 0, "made of inverses, which have no short form by elements"},
    {"straight_through", 0, "hard gets no gradient"},
    {"gather", 1, "an index"},
    {"scatter_add", 1, "an index"},
    {"bce_with_logits", 1, "the target gets no gradient"},
};

static bool excused(const tp_op *op, int input)
{
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (strcmp(without[i].op, op->name) == 0 && without[i].input == input)
            return true;
    return false;
}

static void test_every_rule_has_a_form(void **state)
{
    (void)state;
    for (int i = 0; i < tp_op_count; i++) {
        const tp_op *op = tp_ops[i];
        int rules = op->arity == TP_ANY_ARITY ? 1 : op->arity;
        for (int k = 0; k < rules && op->smooth != TP_NO_GRADIENT; k++)
            if ((op->index_vjp[k] == NULL) != excused(op, k))
                fail_msg("%s: input %d should have an .index_vjp, or a reason here", op->name, k);
    }
}

/* --- structures --------------------------------------------------------------------------------- */

/* How much a structure says: the first three most. */
static int rank(tp_jacobian j)
{
    return j <= TP_JACOBIAN_SUM ? 0 : (int)j;
}

/* Whether it is true of all samples that can be looked at; *seen counts them. */
static bool holds(const tp_op *op, int input, tp_jacobian j, int *seen)
{
    *seen = 0;
    for (int k = 0; k < op->sample_count; k++) {
        bool looked;
        if (input >= op->samples[k].n)
            continue;
        if (!form_has_structure(op, &op->samples[k], input, j, &looked))
            return false;
        *seen += looked;
    }
    return true;
}

/* NULL, or what is wrong with what the row says. */
static const char *structure_wrong(const tp_op *op, int input, tp_jacobian claim)
{
    int seen, more;
    if (!holds(op, input, claim, &seen))
        return "it has not the structure that its row names";
    for (int j = TP_JACOBIAN_DIAGONAL;
         j <= TP_JACOBIAN_DENSE && claim != TP_JACOBIAN_NONE && seen > 0; j++)
        if (rank((tp_jacobian)j) < rank(claim) && holds(op, input, (tp_jacobian)j, &more))
            return "a structure that says more is true";
    return claim != TP_JACOBIAN_NONE && seen == 0 ? "no sample shows its structure" : NULL;
}

static void test_structures(void **state)
{
    (void)state;
    int failures = 0;
    for (int i = 0; i < tp_op_count; i++)
        for (int k = 0; k < (tp_ops[i]->arity < 0 ? 3 : tp_ops[i]->arity); k++) {
            tp_jacobian claim = tp_jacobian_of(tp_ops[i], k);
            const char *wrong = tp_ops[i]->smooth == TP_NO_GRADIENT && claim == TP_JACOBIAN_NONE
                                    ? NULL
                                    : structure_wrong(tp_ops[i], k, claim);
            if (wrong == NULL)
                continue;
            print_error("%s, input %d, '%s': %s\n", tp_ops[i]->name, k, tp_jacobian_name(claim),
                        wrong);
            failures++;
        }
    assert_int_equal(failures, 0);
}

/* No more entries differ from 0 than the structure lets; on some sample as many, unless the op selects by value. */
static void test_entries(void **state)
{
    (void)state;
    for (int i = 0; i < tp_op_count; i++)
        for (int k = 0; k < (tp_ops[i]->arity < 0 ? 1 : tp_ops[i]->arity); k++) {
            const tp_op *op = tp_ops[i];
            int tight = tp_jacobian_of(op, k) == TP_JACOBIAN_NONE;
            for (int n = 0; n < op->sample_count; n++) {
                int64_t entries;
                tp_blocks b;
                if (!form_entries(op, &op->samples[n], k, &entries, &b))
                    continue;
                bool windows = tp_format_field(op, "stride_h", 8) != NULL;
                int64_t most = windows ? b.rows * b.columns : b.entries; /* padding cuts blocks */
                if (entries > b.entries || b.count * b.height * b.width > most ||
                    (b.structure == TP_JACOBIAN_WINDOWS && entries < b.entries))
                    fail_msg("%s, sample '%s': %lld entries, not %lld", op->name,
                             op->samples[n].note, (long long)entries, (long long)b.entries);
                bool once =
                    b.structure == TP_JACOBIAN_SELECTION && entries == b.columns; /* pad, concat */
                tight += entries == b.entries || once;
            }
            bool selects = op->smooth != TP_SMOOTH || op == &tp_op_where;
            if (!tight && !selects)
                fail_msg("%s: no sample has as many entries as input %d might", op->name, k);
        }
}

/* --- the same checks see what is wrong ----------------------------------------------------------- */

/* Whether some sample refuses an op whose rows say something else. */
static bool refused(const tp_op *op, const char *index, int input, const char *index_vjp)
{
    tp_op broken = *op;
    broken.index = index != NULL ? index : op->index;
    if (index_vjp != NULL)
        broken.index_vjp[input] = index_vjp;
    for (int k = 0; k < op->sample_count; k++) {
        char message[FORM_MESSAGE];
        int64_t compared = 0;
        if (!form_check(&broken, &op->samples[k], &compared, message))
            return true;
    }
    return false;
}

static const struct {
    const tp_op *op;
    const char *index, *vjp; /* vjp NULL: the value is given wrongly */
    int input;
} wrong[] = {
    {&tp_op_matmul, "y[…,i,j] = Σ_k #0[…,i,k]·#1[…,j,k]", NULL, 0},
    {&tp_op_matmul, "y[…,i,j] = Σ_k #0[…,k,i]·#1[…,k,j]", NULL, 0},
    {&tp_op_matmul, "y[…,j,i] = Σ_k #0[…,i,k]·#1[…,k,j]", NULL, 0},
    {&tp_op_matmul, NULL, "#0'[…,i,k] = Σ_j y'[…,i,j]·#1[…,j,k]", 0},
    {&tp_op_matmul, NULL, "#1'[…,k,j] = Σ_i #0[…,k,i]·y'[…,i,j]", 1},
    {&tp_op_linear, "y[…,j] = Σ_k #0[…,k]·#1[j,k]", NULL, 0},
    {&tp_op_linear, "y[…,j] = Σ_k #0[…,k]·#1[k,j] + #2[j]", NULL, 0},
    {&tp_op_linear, NULL, "#1'[k,j] = Σ_… y'[…,j]·#0[…,k]", 1},
    {&tp_op_linear, NULL, "#2'[j] = y'[0,j]", 2},
    {&tp_op_linear_relu, NULL, "#0'[…,k] = Σ_j y'[…,j]·#1[j,k]", 0},
    {&tp_op_sum, "y[…] = Σ_K #0[…,K@axes] / |K|", NULL, 0},
    {&tp_op_mean, NULL, "#0'[…,K@axes] = y'[…]", 0},
    {&tp_op_cumsum, "y[…,i@axis] = Σ_{k<i} #0[…,k@axis]", NULL, 0},
    {&tp_op_cumsum, NULL, "#0'[…,k@axis] = Σ_{i≤k} y'[…,i@axis]", 0},
    {&tp_op_log_softmax, NULL, "#0'[…,i@axis] = y'[…,i@axis]", 0},
    {&tp_op_logsumexp, NULL, "#0'[…,K@axes] = y'[…]·exp(#0[…,K@axes])", 0},
    {&tp_op_permute, "y[…@perm] = #0[…]", NULL, 0},
    {&tp_op_slice, "y[…,i@axis] = #0[…,(@start + i)@axis]", NULL, 0},
    {&tp_op_pad, "y[…,j@axis] = Σ_k [j = @step·k]·#0[…,k@axis]", NULL, 0},
    {&tp_op_gather, NULL, "#0'[…,k@axis] = Σ_j y'[…,j@axis]", 0},
    {&tp_op_scatter_add, "y[…,#1[…,k@axis]@axis] = #0[…,k@axis]", NULL, 0},
    {&tp_op_tril, "y[…,i,j] = [j ≤ i]·#0[…,i,j]", NULL, 0},
    {&tp_op_triangular_solve, "y[…,i,j] = (#1[…,i,j] − Σ_{k<i} #0[…,i,k]·y[…,k,j]) / #0[…,i,i]",
     NULL, 0},
    {&tp_op_cholesky, "y[…,i,j] = sqrt(#0[…,i,i])", NULL, 0},
    {&tp_op_concat, "y[…,j@axis] = Σ_# [@from < j < @to]·#*[…,(j − @from)@axis]", NULL, 0},
    {&tp_op_mul, NULL, "#0'[…] = y'[…]·#0[…]", 0},
    {&tp_op_sub, "y[…] = #1[…] − #0[…]", NULL, 0},
    {&tp_op_reparameterize, "y[…] = #0[…] + exp(#1[…])·#2[…]", NULL, 0},
    {&tp_op_reparameterize, NULL, "#1'[…] = y'[…]·exp(#1[…] / 2)·#2[…]", 1},
    {&tp_op_gaussian_kl, "y[…] = (#0[…]² + exp(#1[…]) − #1[…]) / 2", NULL, 0},
    {&tp_op_bce_with_logits, "y[…] = log(1 + exp(#0[…])) + #1[…]·#0[…]", NULL, 0},
    /* what cannot be read */
    {&tp_op_exp, "y[…] = exp(#0[…]", NULL, 0},
    {&tp_op_exp, "y[…] = exq(#0[…])", NULL, 0},
    {&tp_op_exp, "y[…] = exp(#0[…]) #0[…]", NULL, 0},
    {&tp_op_matmul, "y[…,i,j] = #0[…,i,k]·#1[…,k,j]", NULL, 0}, /* k has no value */
    {&tp_op_matmul, "y[…,i,j] = Σ_k Σ_k #0[…,i,k]·#1[…,k,j]", NULL, 0},
    {&tp_op_reshape, "y⟨n⟩ = #1⟨n⟩", NULL, 0},
};

/* A pixel of the picture at h,w, and an element of a kernel, with groups; lines by height and width. */
#define X(h, w) "#0[n,(c{@groups > 1:  + |#1:1|·⌊k / |#1:0 / @groups|⌋})," h "," w "]"
#define W(u, v) "#1[k,(c{@groups > 1:  − |#1:1|·⌊k / |#1:0 / @groups|⌋})," u "," v "]"
#define WT(u, v) "#1[c,(k{@groups > 1:  − |#1:1|·⌊c / |#1:0 / @groups|⌋})," u "," v "]"
#define H "(@stride_h·i + @dilation_h·u − @padding_h)"
#define V "(@stride_w·j + @dilation_w·v − @padding_w)"
#define U "((p + @padding_h − @stride_h·i) / @dilation_h)"
#define T "((q + @padding_w − @stride_w·j) / @dilation_w)"
#define VALUE(terms) "y[n,k,i,j] = Σ_{c,u,v} " terms
#define BY_X(terms) "#0'[n,c,p,q] = Σ_{k,i,j} y'[n,k,i,j]·" terms
#define PH "(@stride_h·i + u − @padding_h)"
#define PV "(@stride_w·j + v − @padding_w)"
#define POOLED(terms) "y[n,c,i,j] = Σ_{u<@kernel_h,v<@kernel_w} " terms
#define TURNED(terms) "y[n,k,p,q] = Σ_{c,i,j} #0[n,c,i,j]·" terms

static const struct {
    const tp_op *op;
    bool right; /* what the others are made from */
    const char *index, *vjp;
} windows[] = {
    {&tp_op_conv2d, true, VALUE(X(H, V) "·#1[k,c,u,v]; #0 = 0 outside"), NULL},
    {&tp_op_conv2d, false, VALUE(X(H, V) "·#1[k,c,u,v]"), NULL}, /* outside, and not said */
    {&tp_op_conv2d, false, VALUE(X(H, V) "·#1[k,c,u,v]; #1 = 0 outside"), NULL},
    {&tp_op_conv2d, false, VALUE(X(H, V) "·#1[k,c,u,v]; #0 = 1 outside"), NULL},
    {&tp_op_conv2d, false, VALUE(X(H, V) "·#1[k,c,u,v]; #0 = 0 inside"), NULL},
    {&tp_op_conv2d, false, VALUE(X(H, V) "·#1[k,c,v,u]; #0 = 0 outside"), NULL},
    {&tp_op_conv2d, false, VALUE(X(V, H) "·#1[k,c,u,v]; #0 = 0 outside"), NULL},
    {&tp_op_conv2d, false, VALUE("#0[n,c," H "," V "]·#1[k,c,u,v]; #0 = 0 outside"), NULL},
    {&tp_op_conv2d, false,
     VALUE(X("(i + @dilation_h·u − @padding_h)", V) "·#1[k,c,u,v]; #0 = 0 outside"), NULL},
    {&tp_op_conv2d, false,
     VALUE(X(H, "(@stride_w·j + v − @padding_w)") "·#1[k,c,u,v]; #0 = 0 outside"), NULL},
    {&tp_op_conv2d, false,
     VALUE(X(H, "(@stride_w·j + @dilation_w·v)") "·#1[k,c,u,v]; #0 = 0 outside"), NULL},
    {&tp_op_conv2d, false,
     VALUE(X(H, "(@stride_w·j − @dilation_w·v + @padding_w)") "·#1[k,c,u,v]; #0 = 0 outside"),
     NULL},
    {&tp_op_conv2d, true, NULL, BY_X(W(U, T) "; #1 = 0 outside")},
    {&tp_op_conv2d, false, NULL, BY_X(W(U, T))},
    {&tp_op_conv2d, false, NULL, BY_X(W(T, U) "; #1 = 0 outside")},
    {&tp_op_conv2d, false, NULL, BY_X("#1[k,c," U "," T "]; #1 = 0 outside")}, /* all groups */
    {&tp_op_conv2d, false, NULL, BY_X(W("(p + @padding_h − @stride_h·i)", T) "; #1 = 0 outside")},
    {&tp_op_conv2d, false, NULL, /* ⌊ ⌋ would see what lies between */
     BY_X(W("⌊(p + @padding_h − @stride_h·i) / @dilation_h⌋", T) "; #1 = 0 outside")},
    {&tp_op_conv2d, false, NULL,
     BY_X(W("((p − @padding_h − @stride_h·i) / @dilation_h)", T) "; #1 = 0 outside")},
    {&tp_op_conv2d, false, NULL,
     BY_X(W("((@stride_h·i − p − @padding_h) / @dilation_h)", T) "; #1 = 0 outside")},
    {&tp_op_conv_transpose2d, true, TURNED(WT(U, T) "; #1 = 0 outside"), NULL},
    {&tp_op_conv_transpose2d, false, TURNED(WT(U, T)), NULL},
    {&tp_op_conv_transpose2d, false, TURNED(W(U, T) "; #1 = 0 outside"), NULL},
    {&tp_op_conv_transpose2d, false,
     TURNED(WT(U, "((q − @stride_w·j) / @dilation_w)") "; #1 = 0 outside"), NULL},
    {&tp_op_avg_pool2d, true, POOLED("#0[n,c," PH "," PV "] / @divisor; #0 = 0 outside"), NULL},
    {&tp_op_avg_pool2d, false, POOLED("#0[n,c," PH "," PV "]; #0 = 0 outside"), NULL},
    {&tp_op_avg_pool2d, false, POOLED("#0[n,c," PV "," PH "] / @divisor; #0 = 0 outside"), NULL},
    {&tp_op_avg_pool2d, false, POOLED("#0[n,c," PH "," PV "] / @divisor"), NULL},
    {&tp_op_avg_pool2d, false,
     "y[n,c,i,j] = Σ_{u<@kernel_w,v<@kernel_h} #0[n,c," PH "," PV "] / @divisor; #0 = 0 outside",
     NULL},
    {&tp_op_avg_pool2d, false, NULL,
     "#0'[n,c,p,q] = Σ_{i,j} [0 ≤ p − @stride_h·i < @kernel_h]·[0 ≤ q − @stride_w·j < "
     "@kernel_w]·y'[n,c,i,j] / @divisor"}, /* without the padding */
    {&tp_op_max_pool2d, false,
     "y[n,c,i,j] = max_{u<@kernel_h,v<@kernel_w} #0[n,c," PH "," PV "]; #0 = 0 outside", NULL},
    {&tp_op_argmax_pool2d, false, /* in the window, not in the plane */
     "y[n,c,i,j] = argmax_{u<@kernel_h,v<@kernel_w} #0[n,c," PH "," PV "]; #0 = −inf outside",
     NULL},
    {&tp_op_upsample_nearest2d, false, "y[n,c,i,j] = #0[n,c,(⌊i / @scale_w⌋),(⌊j / @scale_h⌋)]",
     NULL},
    {&tp_op_upsample_nearest2d, false, NULL,
     "#0'[n,c,i,j] = Σ_{u<@scale_h,v<@scale_w} y'[n,c,(i + u),(j + v)]"},
};

static void test_wrong_windows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        if (refused(windows[i].op, windows[i].index, 0, windows[i].vjp) == windows[i].right)
            fail_msg("%s: '%s' %s", windows[i].op->name,
                     windows[i].vjp != NULL ? windows[i].vjp : windows[i].index,
                     windows[i].right ? "is refused" : "passes");
}

static void test_wrong_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (!refused(wrong[i].op, wrong[i].index, wrong[i].input, wrong[i].vjp))
            fail_msg("%s: '%s' passes", wrong[i].op->name,
                     wrong[i].vjp != NULL ? wrong[i].vjp : wrong[i].index);
}

static void test_wrong_structures(void **state)
{
    (void)state;
    static const struct {
        const tp_op *op;
        int input;
        tp_jacobian claim;
    } claims[] = {
        {&tp_op_matmul, 0, TP_JACOBIAN_DIAGONAL},
        {&tp_op_matmul, 0, TP_JACOBIAN_DENSE},
        {&tp_op_matmul, 0, TP_JACOBIAN_NONE},
        {&tp_op_linear, 1, TP_JACOBIAN_SELECTION},
        {&tp_op_linear, 2, TP_JACOBIAN_SUM},
        {&tp_op_exp, 0, TP_JACOBIAN_SELECTION},
        {&tp_op_exp, 0, TP_JACOBIAN_SUM},
        {&tp_op_exp, 0, TP_JACOBIAN_LINES},
        {&tp_op_exp, 0, TP_JACOBIAN_DENSE},
        {&tp_op_exp, 0, TP_JACOBIAN_KRONECKER},
        {&tp_op_log_softmax, 0, TP_JACOBIAN_DENSE},
        {&tp_op_log_softmax, 0, TP_JACOBIAN_DIAGONAL},
        {&tp_op_logsumexp, 0, TP_JACOBIAN_SUM},
        {&tp_op_logsumexp, 0, TP_JACOBIAN_KRONECKER},
        {&tp_op_sum, 0, TP_JACOBIAN_SELECTION},
        {&tp_op_mean, 0, TP_JACOBIAN_LINES},
        {&tp_op_expand, 0, TP_JACOBIAN_SUM},
        {&tp_op_permute, 0, TP_JACOBIAN_DIAGONAL},
        {&tp_op_cholesky, 0, TP_JACOBIAN_KRONECKER},
        {&tp_op_cholesky, 0, TP_JACOBIAN_LINES},
        {&tp_op_cumsum, 0, TP_JACOBIAN_SELECTION},
        {&tp_op_straight_through, 1, TP_JACOBIAN_NONE},
        {&tp_op_conv2d, 0, TP_JACOBIAN_KRONECKER},
        {&tp_op_conv2d, 1, TP_JACOBIAN_WINDOWS},
        {&tp_op_conv2d, 0, TP_JACOBIAN_DENSE},
        {&tp_op_conv_transpose2d, 1, TP_JACOBIAN_WINDOWS},
        {&tp_op_conv_transpose2d, 0, TP_JACOBIAN_SUM},
        {&tp_op_conv2d_weight, 0, TP_JACOBIAN_WINDOWS},
        {&tp_op_matmul, 0, TP_JACOBIAN_WINDOWS},
    };
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
        if (structure_wrong(claims[i].op, claims[i].input, claims[i].claim) == NULL)
            fail_msg("%s, input %d: '%s' passes", claims[i].op->name, claims[i].input,
                     tp_jacobian_name(claims[i].claim));
}

/* --- draws -------------------------------------------------------------------------------------- */

static void assert_moments(tp_var y, double mean, double variance)
{
    const tp_tensor *x = tp_value(y);
    int64_t n = tp_numel(x);
    double s = 0, q = 0;
    for (int64_t i = 0; i < n; i++)
        s += tp_flat(x, i);
    for (int64_t i = 0; i < n; i++)
        q += (tp_flat(x, i) - s / (double)n) * (tp_flat(x, i) - s / (double)n);
    assert_close(s / (double)n, mean, 5 * sqrt(variance / (double)n), 0);
    assert_close(q / (double)n, variance, 0, 0.05);
}

/* What stands behind the ~ of a draw, by mean and variance; of a permutation, element by element. The draws
 * themselves are tested in tests/unit and tests/determinism. */
static void test_draws(void **state)
{
    (void)state;
    tp_tape *t;
    tp_rng_key key = {5, 0, 0};
    assert_ok(tp_tape_new(&t));
    tp_shape s = TP_SHAPE(100, 100);
    assert_string_equal(tp_op_noise_normal.index, "y[…] ~ N(0, 1)");
    assert_moments(tp_noise_normal(t, TP_F64, s, key), 0, 1);
    assert_string_equal(tp_op_noise_uniform.index, "y[…] ~ U(0, 1)");
    assert_moments(tp_noise_uniform(t, TP_F64, s, key), 0.5, 1.0 / 12);
    assert_string_equal(tp_op_noise_bernoulli.index, "y[…] ~ Bernoulli(#0[…])");
    assert_moments(tp_noise_bernoulli(tp_full(t, TP_F64, s, 0.3), key), 0.3, 0.21);
    tp_var p = tp_noise_permutation(t, TP_SHAPE(3, 7), 1, key);
    tp_text form = {0};
    assert_true(tp_index_write(&form, t, p.id, -1));
    assert_string_equal(form.data, "y[i,:] ~ Permutations(7)");
    for (int row = 0; row < 3; row++) {
        int seen = 0;
        for (int i = 0; i < 7; i++)
            seen |= 1 << (int)tp_flat(tp_value(p), 7 * row + i);
        assert_int_equal(seen, (1 << 7) - 1);
    }
    tp_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_larger),
        cmocka_unit_test(test_every_rule_has_a_form),
        cmocka_unit_test(test_structures),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_wrong_forms),
        cmocka_unit_test(test_wrong_windows),
        cmocka_unit_test(test_wrong_structures),
        cmocka_unit_test(test_draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
