/* test_ops_refusals.c: what operations must refuse, and what happens then: the status and message of the row,
 * a poisoned result that later operations pass on without a crash, a first error that sticks, a reset that
 * clears it; in f32 and f64, with inputs in every layout. And for every op alike: empty vars, vars of another tape or before a reset, wrong types. */
#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/compositions.h"
#include "tests/support/coverage.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void need(bool ok, const tp_op *op, const char *note, const char *what)
{
    if (ok)
        return;
    print_error("%s, '%s': %s\n  last error: %s\n", op->name, note, what, tp_last_error());
    failures++;
}

/* --- the refusals of each row ------------------------------------------------------------------- */

/* Everything downstream of a failure is poisoned and keeps the first message. */
static void check_aftermath(tp_tape *t, const tp_op *op, const tp_refusal *f, tp_var y)
{
    char first[2048];
    snprintf(first, sizeof first, "%s", tp_tape_message(t));
    uint32_t length = tp_tape_length(t);
    tp_var z = tp_sum(tp_mul(tp_exp(y), tp_add(y, y)), TP_ALL_AXES, false);
    tp_var one = tp_full(t, TP_F64, TP_SHAPE(), 1), both = tp_concat((tp_var[]){one, z}, 2, 0);
    need(z.id == 0 && one.id == 0 && both.id == 0, op, f->note, "later results are not poisoned");
    need(tp_value(z) == NULL && tp_item_of(z) != tp_item_of(z), op, f->note, "poison has a value");
    need(tp_shape_of(z).ndim == 0 && tp_dtype_of(z) == TP_F32, op, f->note, "poison has a shape");
    need(!tp_needs_grad(z), op, f->note, "poison needs a gradient");
    need(tp_backward(z) == f->status, op, f->note, "backward of poison has another status");
    need(strcmp(tp_tape_message(t), first) == 0, op, f->note, "the first message did not stick");
    need(tp_tape_length(t) == length, op, f->note, "something was recorded after the failure");
}

/* A refusal as it is tried: as the row says it, or with f32 and f64 swapped, and with a layout. */
typedef struct trial {
    const tp_op *op;
    const tp_refusal *f;
    layout_kind kind;
    bool swapped;
    attr_room room;
    const void *attr;
    tp_tensor data[TP_SAMPLE_INPUTS], view[TP_SAMPLE_INPUTS];
} trial;

static tp_dtype other_type(tp_dtype d)
{
    return d == TP_F32 ? TP_F64 : d == TP_F64 ? TP_F32 : d;
}

/* The text with f32 and f64 swapped, unless it speaks of both alike. */
static void swap_types(char *text)
{
    if (strstr(text, "f32 or f64") != NULL)
        return;
    for (char *p = text; (p = strchr(p, 'f')) != NULL; p++)
        if (strncmp(p, "f32", 3) == 0 || strncmp(p, "f64", 3) == 0)
            memcpy(p, p[1] == '3' ? "f64" : "f32", 3);
}

/* The type of the first float input, or that the attributes ask for; i64 if there is neither. */
static tp_dtype refused_type(const tp_op *op, const tp_refusal *f)
{
    tp_dtype d = TP_I64;
    for (int i = f->n; i-- > 0;)
        d = tp_dtype_is_float(f->x[i].dtype) ? f->x[i].dtype : d;
    for (int i = 0; i < op->field_count; i++)
        if (op->fields[i].kind == TP_FIELD_DTYPE)
            memcpy(&d, (const char *)f->attr + op->fields[i].offset, sizeof d);
    return d;
}

/* False, and nothing to free, if the layout makes no difference, or the types. */
static bool make_trial(trial *r, const tp_op *op, const tp_refusal *f, layout_kind kind,
                       bool swapped)
{
    layout l[TP_SAMPLE_INPUTS];
    bool differs = kind == LAYOUT_CONTIGUOUS;
    *r = (trial){.op = op, .f = f, .kind = kind, .swapped = swapped};
    if (swapped && !tp_dtype_is_float(refused_type(op, f)))
        return false;
    r->attr = swapped ? attr_as(op, f->attr, other_type(refused_type(op, f)), &r->room) : f->attr;
    for (int i = 0; i < f->n; i++) {
        bool suits = layout_make(&l[i], kind, f->x[i].shape, TP_FILL_REAL);
        if (!suits)
            layout_make(&l[i], LAYOUT_CONTIGUOUS, f->x[i].shape, TP_FILL_REAL);
        differs |= suits;
    }
    for (int i = 0; i < f->n && differs; i++) {
        tp_tensor x;
        tp_dtype dtype = swapped ? other_type(f->x[i].dtype) : f->x[i].dtype;
        assert_ok(tp_tensor_new(&x, dtype, f->x[i].shape));
        assert_ok(tp_fill(&x, f->x[i].value));
        layout_store(&l[i], &x, &r->data[i]);
        r->view[i] = layout_view(&l[i], &r->data[i]);
        tp_tensor_free(&x);
    }
    return differs;
}

/* Where the limit is that of the type, the other may have room. */
static bool has_room(const trial *r, tp_tape *t)
{
    return r->swapped && r->f->status == TP_EVALUE && tp_tape_status(t) == TP_OK;
}

/* Whether it was refused, as it should be. */
static bool check_refusal(tp_tape *t, const trial *r)
{
    const tp_op *op = r->op;
    const tp_refusal *f = r->f;
    tp_var x[TP_SAMPLE_INPUTS];
    char start[64], says[256], note[160];
    int before = failures;
    snprintf(note, sizeof note, "%s%s, %s", f->note, r->swapped ? ", types swapped" : "",
             layout_names[r->kind]);
    snprintf(says, sizeof says, "%s", f->says);
    if (r->swapped)
        swap_types(says);
    for (int i = 0; i < f->n; i++)
        x[i] = tp_dtype_is_float(r->view[i].dtype) ? tp_leaf(t, &r->view[i])
                                                   : tp_constant(t, &r->view[i]);
    uint32_t length = tp_tape_length(t);
    size_t bytes = tp_tape_bytes(t);
    tp_var y = op_call(t, op, f->n, x, r->attr);
    if (has_room(r, t)) {
        tp_tape_reset(t);
        return false;
    }
    snprintf(start, sizeof start, "%s %s#%u: ", tp_status_name(f->status), op->name, length + 1);
    need(tp_tape_status(t) == f->status, op, note, "another status");
    need(strstr(tp_tape_message(t), says) != NULL, op, note, "another message");
    if (op->shape !=
        NULL) { /* of a composition, what comes before the part that refuses is recorded */
        need(strncmp(tp_tape_message(t), start, strlen(start)) == 0, op, note,
             "the message does not start with the op");
        need(tp_tape_length(t) == length, op, note, "the failure was recorded as a node");
        need(tp_tape_bytes(t) == bytes, op, note, "memory is held");
    }
    need(y.id == 0 && tp_value(y) == NULL, op, note, "the result is not poisoned");
    need(tp_var_status(y) == f->status, op, note, "the result has another status");
    check_aftermath(t, op, f, y);
    tp_tape_reset(t);
    need(tp_tape_status(t) == TP_OK && tp_tape_message(t)[0] == '\0', op, note,
         "the reset does not clear the failure");
    need(tp_value(tp_full(t, TP_F64, TP_SHAPE(), 1)) != NULL, op, note, "the tape stays broken");
    tp_tape_reset(t);
    return failures == before;
}

static void fill_cells(const trial *r)
{
    tp_dtype d = refused_type(r->op, r->f);
    for (int k = 0; k < 2; k++) { /* what has no float type is refused for both */
        tp_dtype cell = k == 0 ? TP_F32 : TP_F64;
        if (!tp_dtype_is_float(d) || (r->swapped ? other_type(d) : d) == cell)
            coverage_fill(r->op, cell, r->kind, COVERAGE_REFUSAL);
    }
}

static void test_rows(void **state)
{
    (void)state;
    int count = 0, tried = 0;
    tp_tape *t;
    failures = 0;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < tested_count(); i++)
        for (int k = 0; k < tested(i)->refusal_count; k++, count++)
            for (int how = 0; how < 2 * LAYOUT_COUNT; how++) {
                trial r;
                if (!make_trial(&r, tested(i), &tested(i)->refusals[k], (layout_kind)(how / 2),
                                how % 2 != 0))
                    continue;
                tried++;
                if (check_refusal(t, &r))
                    fill_cells(&r);
                for (int j = 0; j < TP_SAMPLE_INPUTS; j++)
                    tp_tensor_free(&r.data[j]);
            }
    tp_tape_free(t);
    printf("%d refusals, in %d ways\n", count, tried);
    assert_int_equal(failures, 0);
}

/* --- the same for every op ---------------------------------------------------------------------- */

enum { EMPTY, OTHER_TAPE, STALE, INTEGERS, BYTES, MIXED };
static const char *const abuses[] = {
    "an empty var", "a var of another tape", "a stale var", "i64 input", "u8 input", "mixed types"};
static const tp_status expected[] = {TP_ETAPE,  TP_ETAPE,  TP_ESTALE,
                                     TP_EDTYPE, TP_EDTYPE, TP_EDTYPE};

/* Input bad of the op's first sample is abused. */
static void check_abuse(const tp_op *op, int abuse, int bad)
{
    const tp_sample *s = &op->samples[0];
    tp_tensor data[TP_SAMPLE_INPUTS];
    tp_var x[TP_SAMPLE_INPUTS];
    tp_tape *t, *other;
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_tape_new(&other));
    tp_var old = tp_full(t, TP_F64, TP_SHAPE(), 1);
    tp_tape_reset(t);
    for (int i = 0; i < s->n; i++) {
        tp_dtype dtype = i != bad            ? TP_F64
                         : abuse == INTEGERS ? TP_I64
                         : abuse == BYTES    ? TP_U8
                         : abuse == MIXED    ? TP_F32
                                             : TP_F64;
        if (dtype == TP_I64 || dtype == TP_U8)
            assert_ok(tp_tensor_new(&data[i], dtype, s->x[i].shape));
        else
            assert_ok(tp_sample_fill(&s->x[i], dtype, 1, &data[i]));
        x[i] = tp_constant(i == bad && abuse == OTHER_TAPE ? other : t, &data[i]);
        if (i == bad && abuse == EMPTY)
            x[i] = (tp_var){0};
        if (i == bad && abuse == STALE)
            x[i] = old;
    }
    tp_var y = op_call(t, op, s->n, x, s->attr);
    tp_status got = tp_tape_status(t) != TP_OK ? tp_tape_status(t) : tp_tape_status(other);
    if (s->n == 1 && abuse == EMPTY) /* there is no tape to blame: the var itself says it */
        got = tp_var_status(y);
    if (s->n == 1 && abuse == OTHER_TAPE) /* is simply an op on the other tape */
        need(tp_value(y) != NULL && y.tape == other, op, s->note, "an op on another tape failed");
    else
        need(got == expected[abuse] && tp_value(y) == NULL, op, s->note, abuses[abuse]);
    tp_tape_free(t);
    tp_tape_free(other);
    for (int i = 0; i < s->n; i++)
        tp_tensor_free(&data[i]);
}

static void test_abuse(void **state)
{
    (void)state;
    int count = 0;
    failures = 0;
    for (int i = 0; i < tested_count(); i++)
        for (int bad = 0; bad < tested(i)->samples[0].n; bad++)
            for (int abuse = EMPTY; abuse <= MIXED; abuse++) {
                if (abuse >= INTEGERS && tested(i)->mixed_dtypes)
                    continue; /* the row's own refusals say what it takes */
                if (abuse == MIXED && tested(i)->samples[0].n < 2)
                    continue;
                check_abuse(tested(i), abuse, bad);
                count++;
            }
    printf("%d abuses\n", count);
    assert_int_equal(failures, 0);
}

/* A number of inputs that is not the op's. */
static void test_arity(void **state)
{
    (void)state;
    tp_tape *t;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < tp_op_count; i++) {
        const tp_op *op = tp_ops[i];
        if (op->arity == TP_ANY_ARITY)
            continue;
        tp_tape_reset(t);
        tp_var one = tp_full(t, TP_F64, TP_SHAPE(2, 2), 1), x[5] = {one, one, one, one, one};
        tp_var y = tp_apply(op, op->arity + 1, x, op->samples[0].attr);
        assert_int_equal(tp_tape_status(t), TP_EARG);
        assert_non_null(strstr(tp_tape_message(t), "needed"));
        assert_int_equal(y.id, 0);
    }
    tp_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_abuse),
        cmocka_unit_test(test_arity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0 || !coverage_done();
}
