/* tape.c: scenarios of autograd/: recording, going backward, checking, explaining. After a failure on a tape the next
 * act begins with tp_tape_reset, and must come to the same bits. Read next: models.c. */
#include "tests/fault/oom/oom.h"

#include "autograd/attrs.h"

/* w[0] [4,3] and w[1] [3] on a tape, data t[0] [5,3]. */
static tp_status begin(scene *s, tp_dtype dtype)
{
    TP_TRY(tp_tape_new(&s->tape));
    TP_TRY(tp_parameter_init(&s->w[0], "w", dtype, TP_SHAPE(4, 3)));
    TP_TRY(tp_parameter_init(&s->w[1], "b", dtype, TP_SHAPE(4)));
    TP_TRY(tp_random_normal(&s->w[0].value, (tp_rng_key){.seed = 1}));
    TP_TRY(tp_random_normal(&s->w[1].value, (tp_rng_key){.seed = 2}));
    TP_TRY(oom_draw(&s->t[0], dtype, TP_SHAPE(5, 3), 3));
    for (int i = 0; i < 2; i++)
        TP_TRY(oom_watch(s, &s->w[i].value));
    return oom_watch(s, &s->t[0]);
}

static tp_status begin_f32(scene *s)
{
    return begin(s, TP_F32);
}

static tp_status begin_f64(scene *s)
{
    return begin(s, TP_F64);
}

/* A gradient that had arrived before is as it was: backward adds all or nothing. */
static tp_status begin_with_gradient(scene *s)
{
    TP_TRY(begin(s, TP_F32));
    for (int i = 0; i < 2; i++) {
        TP_TRY(tp_fill(&s->w[i].grad, 0.25));
        s->w[i].has_grad = true;
        TP_TRY(oom_watch(s, &s->w[i].grad));
    }
    return TP_OK;
}

static tp_var loss_of(scene *s)
{
    tp_tape_reset(s->tape);
    tp_scope_begin(s->tape, "layer");
    tp_var x = tp_constant(s->tape, &s->t[0]);
    tp_var h = tp_linear(x, tp_param(s->tape, &s->w[0]), tp_param(s->tape, &s->w[1]));
    tp_scope_end(s->tape);
    tp_var a = tp_tanh(TP_NAME(h)), c = tp_mul(a, tp_exp(a)); /* [5,4] */
    return tp_sum(tp_add(c, tp_mean(a, TP_AXES(0), true)), TP_ALL_AXES, false);
}

static tp_status note_gradients(scene *s)
{
    for (int i = 0; i < 2; i++)
        TP_TRY(oom_note(s, tp_parameter_grad(&s->w[i])));
    return TP_OK;
}

static void forget_gradients(scene *s)
{
    tp_zero_grad(&s->w[0]);
    tp_zero_grad(&s->w[1]);
}

static const char *no_gradient_yet(scene *s)
{
    return s->w[0].has_grad || s->w[1].has_grad ? "a gradient arrived" : NULL;
}

static tp_status forward_only(scene *s)
{
    tp_var loss = loss_of(s);
    TP_TRY(tp_tape_status(s->tape));
    tp_no_grad_begin(s->tape);
    tp_var more = tp_square(loss);
    tp_no_grad_end(s->tape);
    return oom_note_var(s, more);
}

static tp_status step(scene *s)
{
    forget_gradients(s);
    TP_TRY(tp_backward(loss_of(s)));
    return note_gradients(s);
}

static tp_status step_release(scene *s)
{
    forget_gradients(s);
    TP_TRY(tp_backward_opts(loss_of(s), (tp_sweep_opts){.release = true}));
    return note_gradients(s);
}

static tp_status step_on_top(scene *s)
{
    for (int i = 0; i < 2; i++) {
        s->w[i].has_grad = true;
        TP_TRY(tp_fill(&s->w[i].grad, 0.25));
    }
    TP_TRY(tp_backward(loss_of(s)));
    TP_TRY(note_gradients(s));
    for (int i = 0; i < 2; i++) /* for those who watch */
        TP_TRY(tp_fill(&s->w[i].grad, 0.25));
    return TP_OK;
}

static tp_status leaf_step(scene *s)
{
    tp_tape_reset(s->tape);
    tp_var x = tp_leaf(s->tape, &s->t[0]);
    tp_var loss = tp_sum(tp_square(tp_sin(x)), TP_ALL_AXES, false);
    TP_TRY(tp_backward(loss));
    TP_TRY(tp_backward(loss)); /* adds up */
    return oom_note(s, tp_leaf_grad(x));
}

static tp_status new_tape(scene *s)
{
    TP_TRY(tp_tape_new(&s->made_tape));
    tp_var y = tp_exp(tp_constant(s->made_tape, &s->t[0]));
    tp_var own = tp_apply(&tp_op_neg, 1, &y, NULL);
    tp_var source = tp_apply_on(s->made_tape, &tp_op_abs, 1, &own, NULL);
    TP_TRY(tp_print_var(s->out, TP_NAME(source)));
    TP_TRY(oom_note_out(s));
    TP_TRY(tp_var_finite(source));
    return oom_note_var(s, source);
}

static tp_status single_steps(scene *s)
{
    tp_sweep sweep = tp_sweep_begin(loss_of(s), (tp_sweep_opts){.composed = true});
    forget_gradients(s);
    tp_status status = sweep.status;
    while (status == TP_OK && tp_sweep_next(&sweep)) {
        status = oom_note_var(s, sweep.gy);
        tp_sweep_grad(&sweep, tp_param(s->tape, &s->w[0]));
    }
    tp_status end = tp_sweep_end(&sweep);
    TP_TRY(status);
    TP_TRY(end);
    return note_gradients(s);
}

/* Gradients of gradients. */
static tp_status twice(scene *s)
{
    forget_gradients(s);
    tp_var loss = loss_of(s), w = tp_param(s->tape, &s->w[0]), g, gg;
    TP_TRY(tp_grad(1, &loss, 1, &w, &g, (tp_grad_opts){.create_graph = true}));
    tp_var norm = tp_sum(tp_square(g), TP_ALL_AXES, false);
    TP_TRY(tp_grad(1, &norm, 1, &w, &gg, (tp_grad_opts){.allow_unused = true}));
    TP_TRY(oom_note_var(s, g));
    TP_TRY(oom_note_var(s, gg));
    TP_TRY(tp_backward(norm));
    return oom_note(s, tp_parameter_grad(&s->w[0]));
}

static tp_status recompute(scene *s)
{
    forget_gradients(s);
    tp_tape_reset(s->tape);
    tp_var x = tp_param(s->tape, &s->w[0]);
    for (int i = 0; i < 10; i++) { /* more than the list of segments has room for at once */
        tp_recompute_begin(s->tape);
        x = tp_tanh(tp_mul(x, tp_sin(x)));
        tp_recompute_end(s->tape, 1, &x);
    }
    TP_TRY(tp_backward_opts(tp_sum(x, TP_ALL_AXES, false), (tp_sweep_opts){.release = true}));
    return oom_note(s, tp_parameter_grad(&s->w[0]));
}

static tp_status trapped_step(scene *s)
{
    tp_tape_trap(s->tape, true);
    forget_gradients(s);
    TP_TRY(tp_backward(loss_of(s)));
    TP_TRY(tp_backward(loss_of(s))); /* which the trap adds up beforehand */
    return note_gradients(s);
}

/* The trap closes in forward, in a fused rule and in a composed one. */
static tp_status divide_by_zero(scene *s)
{
    tp_tape_trap(s->tape, true);
    for (int where = 0; where < 3; where++) {
        tp_tape_reset(s->tape);
        tp_var w = tp_param(s->tape, &s->w[0]); /* [4,3] */
        tp_var zero = tp_scale(tp_reshape(tp_slice(w, 0, 0, 1, 1), TP_SHAPE(3, 1)), 0);
        tp_var huge = tp_full(s->tape, TP_F32, TP_SHAPE(1, 1), 3e38);
        tp_var none = tp_full(s->tape, TP_F32, TP_SHAPE(3), 0);
        tp_var y = where == 0   ? tp_log(zero)
                   : where == 1 ? tp_scale(tp_linear(huge, zero, none), 10)
                                : tp_sqrt(zero);
        if (where > 0)
            TP_TRY(tp_tape_status(s->tape)); /* forward is fine */
        tp_status status = tp_backward(tp_sum(y, TP_ALL_AXES, false));
        if (status != TP_ENONFINITE)
            return status == TP_OK ? tp_fail(TP_EVALUE, "the trap did not close") : status;
    }
    return TP_OK;
}

/* --- derivations: a failure does not stick to the tape, and leaves nothing on it ------------------------ */

typedef tp_status (*explainer)(scene *s, tp_var loss);

static tp_status explain_on(scene *s, explainer explain)
{
    tp_var loss = loss_of(s);
    TP_TRY(tp_tape_status(s->tape));
    uint32_t length = tp_tape_length(s->tape);
    size_t bytes = tp_tape_bytes(s->tape);
    tp_status status = explain(s, loss);
    if (tp_tape_length(s->tape) != length || tp_tape_bytes(s->tape) != bytes)
        return tp_fail(TP_EVALUE, "the tape holds %zu bytes in %u entries, before %zu in %u",
                       tp_tape_bytes(s->tape), tp_tape_length(s->tape), bytes, length);
    if (tp_tape_status(s->tape) != TP_OK)
        return tp_fail(TP_EVALUE, "the failure sticks to the tape");
    TP_TRY(status);
    return oom_note_out(s);
}

static tp_status all_of_it(scene *s, tp_var loss)
{
    return tp_explain(s->out, loss, (tp_explain_opts){TP_EXPLAIN_ALL});
}

static tp_status in_latex(scene *s, tp_var loss)
{
    return tp_explain(s->out, loss, (tp_explain_opts){TP_EXPLAIN_ALL, .format = TP_EXPLAIN_TEX});
}

static tp_status one_number(scene *s, tp_var loss)
{
    return tp_explain_element(s->out, loss, tp_param(s->tape, &s->w[0]), 1, (tp_explain_opts){0});
}

static tp_status forward_list(scene *s, tp_var loss)
{
    return tp_explain_forward(s->out, loss, (tp_explain_opts){.numbers = true});
}

static tp_status page_of_it(scene *s, tp_var loss)
{
    return tp_explain(s->out, loss, (tp_explain_opts){TP_EXPLAIN_ALL, .format = TP_EXPLAIN_HTML});
}

static tp_status graph_of_it(scene *s, tp_var loss)
{
    return tp_explain_graph(s->out, loss, (tp_graph_opts){.format = TP_GRAPH_SVG, .fold = true});
}

static tp_status explain_page(scene *s)
{
    return explain_on(s, page_of_it);
}

static tp_status explain_graph(scene *s)
{
    return explain_on(s, graph_of_it);
}

static tp_status explain_whole(scene *s)
{
    return explain_on(s, all_of_it);
}

static tp_status explain_latex(scene *s)
{
    return explain_on(s, in_latex);
}

static tp_status explain_element(scene *s)
{
    return explain_on(s, one_number);
}

static tp_status explain_forward(scene *s)
{
    return explain_on(s, forward_list);
}

static tp_status explain_steps(scene *s)
{
    tp_sweep sweep = tp_sweep_begin(loss_of(s), (tp_sweep_opts){.release = true});
    forget_gradients(s);
    tp_status status = sweep.status;
    while (status == TP_OK && tp_sweep_next(&sweep))
        status = tp_explain_step(s->out, &sweep, (tp_explain_opts){.check = true});
    tp_status end = tp_sweep_end(&sweep);
    TP_TRY(status);
    TP_TRY(end);
    return oom_note_out(s);
}

/* The values between were dropped, and are worked out beside the tape. */
static tp_status explain_dropped(scene *s)
{
    tp_tape_reset(s->tape);
    forget_gradients(s);
    tp_var y = tp_param(s->tape, &s->w[0]);
    tp_recompute_begin(s->tape);
    y = tp_tanh(tp_mul(y, tp_sin(y)));
    tp_recompute_end(s->tape, 1, &y);
    tp_var loss = tp_sum(y, TP_ALL_AXES, false);
    TP_TRY(tp_tape_status(s->tape));
    TP_TRY(tp_explain(s->out, loss, (tp_explain_opts){.numbers = true, .check = true}));
    return oom_note_out(s);
}

/* --- checks --------------------------------------------------------------------------------------------- */

static tp_var check_fn(tp_tape *t, void *user)
{
    scene *s = user;
    return tp_tanh(
        tp_linear(tp_constant(t, &s->t[0]), tp_param(t, &s->w[0]), tp_param(t, &s->w[1])));
}

static tp_status gradcheck(scene *s)
{
    tp_check_report r;
    tp_parameter *wrt[] = {&s->w[0], &s->w[1]};
    TP_TRY(tp_gradcheck(check_fn, s, 2, wrt,
                        (tp_check_opts){.order = 2, .all_up_to = 2, .elements = 1, .directions = 1},
                        &r));
    return oom_note_memory(s, &r.worst, sizeof r.worst);
}

static tp_status check_op(scene *s)
{
    tp_check_report r;
    TP_TRY(tp_check_op(&tp_op_straight_through, &r));
    return oom_note_memory(s, &r.worst, sizeof r.worst);
}

static tp_status fill_sample(scene *s)
{
    const tp_sample_input in = {TP_DIMS(3, 3), TP_FILL_SPD, 0, 0, false};
    TP_TRY(tp_sample_fill(&in, TP_F32, 7, &s->made[0]));
    return oom_note(s, &s->made[0]);
}

const scenario oom_tape[] = {
    {.name = "forward", .prepare = begin_f32, .act = forward_only},
    {.name = "tape step, f32", .prepare = begin_f32, .act = step, .intact = no_gradient_yet},
    {.name = "tape step, f64", .prepare = begin_f64, .act = step, .intact = no_gradient_yet},
    {.name = "tape step that releases",
     .prepare = begin_f32,
     .act = step_release,
     .intact = no_gradient_yet},
    {.name = "a gradient beside another", .prepare = begin_with_gradient, .act = step_on_top},
    {.name = "gradients of a leaf", .prepare = begin_f32, .act = leaf_step},
    {.name = "a new tape, print a var", .prepare = begin_f32, .act = new_tape},
    {.name = "single steps", .prepare = begin_f32, .act = single_steps, .intact = no_gradient_yet},
    {.name = "gradients of gradients",
     .prepare = begin_f64,
     .act = twice,
     .intact = no_gradient_yet},
    {.name = "recompute", .prepare = begin_f32, .act = recompute, .intact = no_gradient_yet},
    {.name = "the trap open", .prepare = begin_f32, .act = trapped_step},
    {.name = "the trap closes", .prepare = begin_f32, .act = divide_by_zero},
    {.name = "explain", .prepare = begin_f32, .act = explain_whole, .intact = no_gradient_yet},
    {.name = "explain in LaTeX",
     .prepare = begin_f32,
     .act = explain_latex,
     .intact = no_gradient_yet},
    {.name = "explain one number",
     .prepare = begin_f32,
     .act = explain_element,
     .intact = no_gradient_yet},
    {.name = "explain as a page", .prepare = begin_f32, .act = explain_page},
    {.name = "explain the graph", .prepare = begin_f32, .act = explain_graph},
    {.name = "explain what was dropped", .prepare = begin_f32, .act = explain_dropped},
    {.name = "explain forward", .prepare = begin_f32, .act = explain_forward},
    {.name = "explain steps",
     .prepare = begin_f32,
     .act = explain_steps,
     .intact = no_gradient_yet},
    {.name = "gradient check", .prepare = begin_f64, .act = gradcheck, .says = "tp_gradcheck"},
    {.name = "check of an operation", .act = check_op, .says = "op straight_through"},
    {.name = "samples", .act = fill_sample},
};
const int oom_tape_count = (int)(sizeof oom_tape / sizeof *oom_tape);
