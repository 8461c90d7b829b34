/* tables.c: a scenario for each sample of every row of ops.def and of every composition: forward, both kinds of
 * backward, and the gradient of the gradient. Read next: controls.c. */
#include "tests/fault/oom/oom.h"

#include "tests/support/compositions.h"
#include "tests/support/ops.h"

static tp_status draw_inputs(scene *s)
{
    const tp_sample *sample = &s->is->op->samples[s->is->sample];
    TP_TRY(tp_tape_new(&s->tape));
    for (int i = 0; i < sample->n; i++) {
        TP_TRY(tp_sample_fill(&sample->x[i], TP_F64, 1 + (uint64_t)i, &s->t[i]));
        TP_TRY(oom_watch(s, &s->t[i]));
    }
    return TP_OK;
}

/* The first floating input that a gradient is asked of, on the tape; all of them in x. */
static tp_var enter(scene *s, tp_var *x)
{
    const tp_sample *sample = &s->is->op->samples[s->is->sample];
    tp_var by = {0};
    tp_tape_reset(s->tape);
    for (int i = 0; i < sample->n; i++) {
        bool fixed = tp_sample_fixed(&sample->x[i]);
        x[i] = fixed ? tp_constant(s->tape, &s->t[i]) : tp_leaf(s->tape, &s->t[i]);
        if (!fixed && by.tape == NULL)
            by = x[i];
    }
    return by;
}

static tp_status run_sample(scene *s)
{
    const tp_op *op = s->is->op;
    const tp_sample *sample = &op->samples[s->is->sample];
    tp_var x[TP_SAMPLE_INPUTS], by = enter(s, x), g;
    tp_var y = tp_check_apply(s->tape, op, sample->n, x, sample->attr);
    TP_TRY(oom_note_var(s, y));
    if (by.tape == NULL || !tp_needs_grad(y))
        return TP_OK;
    tp_var loss = tp_sum(tp_square(y), TP_ALL_AXES, false);
    TP_TRY(
        tp_grad(1, &loss, 1, &by, &g, (tp_grad_opts){.create_graph = true, .allow_unused = true}));
    TP_TRY(oom_note_var(s, g));
    tp_var norm = tp_add(tp_sum(tp_square(g), TP_ALL_AXES, false), loss);
    TP_TRY(tp_backward(norm));
    for (int i = 0; i < sample->n; i++)
        if (tp_leaf_grad(x[i]) != NULL)
            TP_TRY(oom_note(s, tp_leaf_grad(x[i])));
    return TP_OK;
}

int oom_table(scenario *list, int room, int samples)
{
    int n = 0;
    for (int i = 0; i < tested_count(); i++)
        for (int k = 0; k < tested(i)->sample_count && k < samples && n < room; k++)
            list[n++] = (scenario){.name = tested(i)->name,
                                   .prepare = draw_inputs,
                                   .act = run_sample,
                                   .op = tested(i),
                                   .sample = k};
    return n;
}
