/* mutants.c: see mutants.h. */
#include "tests/support/mutants.h"

#include <math.h>

#include "autograd/compose.h"
#include "autograd/node.h"
#include "tests/support/check.h"
#include "tests/support/ops.h"

static const double nudge = 1e-6;

const char *const mutations[MUTATIONS] = {
    "scaled",  "negated", "one element", "flipped",  "transposed",         "dropped",
    "swapped", "leaked",  "gy ignored",  "detached", "second order scaled"};
const char *const targets[TARGETS] = {"rule", "fused rule", "value"};

bool mutation_applies(mutation how, target what)
{
    return what == VALUE ? how <= FLIPPED : what == FUSED_RULE ? how <= SWAPPED : how < MUTATIONS;
}

/* --- rules -------------------------------------------------------------------------------------- */

static bool square(tp_var v)
{
    tp_shape s = tp_shape_of(v);
    return s.ndim >= 2 && s.dim[s.ndim - 1] == s.dim[s.ndim - 2] && s.dim[s.ndim - 1] > 1;
}

/* 1, but for the last element. */
static tp_var almost_ones(tp_var v)
{
    tp_shape s = tp_shape_of(v);
    tp_var factor = tp_full(v.tape, tp_dtype_of(v), TP_SHAPE(1), 1 + nudge);
    int64_t n = tp_shape_numel(s);
    tp_var both[] = {tp_full(v.tape, tp_dtype_of(v), TP_SHAPE(n - 1), 1), factor};
    return tp_reshape(tp_concat(both, 2, 0), s);
}

/* A contribution broken in one of the ways that need nothing else; v itself if that way does not suit it. */
static tp_var break_var(mutation how, tp_var v)
{
    tp_shape s = tp_shape_of(v);
    if (tp_shape_numel(s) == 0)
        return v;
    switch (how) {
    case SCALED:
        return tp_scale(v, 1 + nudge);
    case NEGATED:
        return tp_neg(v);
    case ONE_ELEMENT:
        return tp_mul(v, almost_ones(v));
    case FLIPPED:
        if (s.ndim == 0 || s.dim[s.ndim - 1] < 2)
            return v;
        return tp_slice(v, -1, -1, TP_SLICE_END, -1);
    case TRANSPOSED:
        return square(v) ? tp_transpose(v) : v;
    case DROPPED:
        return (tp_var){0};
    case DETACHED:
        return tp_detach(v);
    case SECOND_SCALED: {
        tp_var fixed = tp_detach(v);
        return tp_add(fixed, tp_scale(tp_sub(v, fixed), 1 + nudge));
    }
    default:
        return v;
    }
}

static bool swap(const mutant *m, const tp_vjp_call *c, tp_var *gx)
{
    tp_var other = gx[m->j];
    if (other.id == 0 || !tp_shape_equal(tp_shape_of(c->x[m->i]), tp_shape_of(c->x[m->j])))
        return false;
    gx[m->j] = gx[m->i];
    gx[m->i] = other;
    return true;
}

static bool ignore_gy(const mutant *m, const tp_vjp_call *c, tp_var *gx)
{
    tp_var g[8] = {{0}};
    tp_vjp_call with = *c;
    with.gy = tp_ones_like(c->gy);
    assert_in_range(c->n, 1, 8);
    m->op->vjp(&with, g);
    gx[m->i] = g[m->i];
    return true;
}

/* Estimators may give an input nothing. */
static bool leak(const mutant *m, const tp_vjp_call *c, tp_var *gx)
{
    if (gx[m->i].id != 0 || !c->want[m->i] ||
        !tp_shape_equal(tp_shape_of(c->x[m->i]), tp_shape_of(c->gy)))
        return false;
    gx[m->i] = c->gy;
    return true;
}

static void break_rule(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    mutant *m = user;
    if (op != m->op || m->i >= c->n || m->j >= c->n || (gx[m->i].id == 0 && m->how != LEAKED))
        return;
    if (m->how == LEAKED) {
        m->changed |= leak(m, c, gx);
    } else if (m->how == SWAPPED) {
        m->changed |= swap(m, c, gx);
    } else if (m->how == GY_IGNORED) {
        m->changed |= ignore_gy(m, c, gx);
    } else {
        tp_var g = break_var(m->how, gx[m->i]);
        m->changed |= g.id != gx[m->i].id;
        gx[m->i] = g;
    }
}

/* --- values ------------------------------------------------------------------------------------- */

static double broken(mutation how, const tp_tensor *x, int64_t i)
{
    int64_t n = tp_numel(x);
    double v = tp_flat(x, i), by = tp_dtype_is_float(x->dtype) ? nudge : 1;
    return how == SCALED                  ? v * (1 + by)
           : how == NEGATED               ? -v
           : how == FLIPPED               ? tp_flat(x, n - 1 - i)
           : /* ONE_ELEMENT */ i == n - 1 ? v + by * (1 + fabs(v))
                                          : v;
}

/* Puts a broken copy in the place of the result, which may be a view of an input. */
static void break_value(void *user, const tp_op *op, const tp_op_call *c)
{
    mutant *m = user;
    tp_tensor y;
    if (op != m->op)
        return;
    assert_ok(tp_arena_tensor(c->scratch, &y, c->y->dtype, c->y->shape));
    for (int64_t i = 0; i < tp_numel(&y); i++) {
        double v = broken(m->how, c->y, i);
        assert_ok(tp_set_flat(&y, i, v));
        m->changed |= tp_flat(&y, i) != tp_flat(c->y, i);
    }
    tp_tensor_drop(c->y);
    *c->y = y;
}

void mutant_release(tp_tape *t, mutant *m)
{
    t->rule_hook = m->what == VALUE ? NULL : break_rule;
    t->value_hook = m->what == VALUE ? break_value : NULL;
    t->rule_hook_user = t->value_hook_user = m;
}
