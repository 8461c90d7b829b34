/* dists.c: a scenario for every row of dist.def and of kl.def: draws, densities, moments, divergences, backward.
 * Read next: tables.c. */
#include "tests/fault/oom/oom.h"

/* The numbers of a case as tensors from at on. */
static tp_status keep(scene *s, const tp_dist_type *type, int at)
{
    for (int i = 0; i < type->params; i++) {
        const tp_dist_numbers *n = &type->cases[0].param[i];
        TP_TRY(tp_tensor_from(&s->t[at + i], TP_F64, n->shape, n->at));
        TP_TRY(oom_watch(s, &s->t[at + i]));
    }
    return TP_OK;
}

static tp_dist enter(scene *s, const tp_dist_type *type, int at)
{
    tp_var param[TP_DIST_PARAMS] = {{0}};
    for (int i = 0; i < type->params; i++)
        param[i] = tp_leaf(s->tape, &s->t[at + i]);
    tp_dist d = type->make(param);
    d.event_dims = tp_dist_rank(&d) > 0 ? tp_dist_rank(&d) : 1; /* the last axis */
    return d;
}

static tp_status note_sum(scene *s, int n, const tp_var *y)
{
    tp_var total = tp_sum(y[0], TP_ALL_AXES, false);
    for (int i = 1; i < n; i++)
        total = tp_add(total, tp_sum(y[i], TP_ALL_AXES, false));
    TP_TRY(oom_note_var(s, total));
    return tp_needs_grad(total) ? tp_backward(total) : TP_OK;
}

/* --- one distribution --------------------------------------------------------------------------------- */

static tp_status a_row(scene *s)
{
    TP_TRY(tp_tape_new(&s->tape));
    return keep(s, tp_dist_types[s->is->sample], 0);
}

static tp_status use_row(scene *s)
{
    tp_tape_reset(s->tape);
    tp_ctx c = tp_ctx_train(s->tape, 1, 0);
    tp_dist d = enter(s, tp_dist_types[s->is->sample], 0);
    bool pathwise = tp_dist_has_rsample(&d);
    tp_var some = pathwise ? tp_dist_rsample_n(d, &c, 2) : tp_dist_sample_n(d, &c, 2);
    tp_var z = pathwise ? tp_dist_rsample(d, &c) : tp_dist_sample(d, &c);
    tp_dist twice = tp_dist_repeat(d, TP_SHAPE(2));
    TP_TRY(oom_note_var(s, some));
    tp_var y[6] = {tp_dist_logprob(d, some), tp_dist_logprob(d, z)};
    int n = 2;
    if (d.type->mean != NULL)
        y[n++] = tp_dist_mean(d), y[n++] = tp_dist_variance(d);
    if (d.type->entropy != NULL)
        y[n++] = tp_dist_entropy(twice);
    if (pathwise)
        tp_dist_rsample_logprob(d, &c, &y[n++]);
    return note_sum(s, n, y);
}

/* --- two of them -------------------------------------------------------------------------------------- */

static tp_status a_pair(scene *s)
{
    const tp_kl_type *pair = &tp_kl_types[s->is->sample];
    TP_TRY(tp_tape_new(&s->tape));
    TP_TRY(keep(s, pair->q, 0));
    return keep(s, pair->p, TP_DIST_PARAMS);
}

static tp_status use_pair(scene *s)
{
    const tp_kl_type *pair = &tp_kl_types[s->is->sample];
    tp_tape_reset(s->tape);
    tp_ctx c = tp_ctx_train(s->tape, 1, 0);
    tp_dist q = enter(s, pair->q, 0), p = enter(s, pair->p, TP_DIST_PARAMS);
    tp_var error, y[] = {tp_kl(q, p), tp_event_sum(tp_kl_elements(q, p), 1)};
    TP_TRY(note_sum(s, 2, y));
    tp_no_grad_begin(s->tape);
    tp_var estimate = tp_kl_monte_carlo(q, p, &c, 3, &error);
    tp_no_grad_end(s->tape);
    TP_TRY(oom_note_var(s, estimate));
    return oom_note_var(s, error);
}

/* --- constructors that make something ------------------------------------------------------------------ */

static tp_status raw_numbers(scene *s)
{
    TP_TRY(tp_tape_new(&s->tape));
    return oom_draw(&s->t[0], TP_F32, TP_SHAPE(2, 2), 3);
}

static tp_status construct(scene *s)
{
    tp_tape_reset(s->tape);
    tp_var x = tp_leaf(s->tape, &s->t[0]), data = tp_detach(x), logdet; /* [2, 2] in (0,1) */
    tp_var row = tp_sum(x, TP_AXES(0), false), square = tp_matmul(x, tp_transpose(x));
    tp_dist part = tp_normal_fixed(x, 0);
    const tp_flow flow[] = {tp_flow_affine(row, row)};
    const tp_dist d[] = {tp_normal_softplus(x, x),
                         tp_normal_fixed(x, -1),
                         tp_normal_standard(x),
                         tp_normal_logvar(x, tp_logvar_above(tp_logvar_above_inverse(x, -6), -6)),
                         tp_bernoulli_logits(x),
                         tp_laplace_logscale(x, x),
                         tp_uniform_between(tp_shift(x, -5), x),
                         tp_mvn_raw(row, x),
                         tp_mvn_covariance(row, tp_add(square, tp_diag(tp_ones_like(row)))),
                         tp_mvn_cholesky(row, tp_diag(row)),
                         tp_mixture(row, part),
                         tp_transformed(part, 1, flow)};
    enum { N = sizeof d / sizeof *d };
    tp_flow planar = tp_flow_planar(x, x, row);
    tp_var y[N + 4], one = tp_softmax(data, -1), z = tp_flow_inverse(&flow[0], x, &logdet);
    for (int i = 0; i < N; i++)
        y[i] = tp_dist_logprob(d[i], i == 5 ? tp_shift(data, -1) : data);
    y[N] = tp_dist_logprob(tp_relaxed_one_hot(x, 0.5), one);
    y[N + 1] = tp_mul(tp_sum(z, TP_AXES(-1), false), logdet);
    y[N + 2] = tp_flow_forward(&planar, x, &y[N + 3]);
    TP_TRY(note_sum(s, N + 4, y));
    return oom_note_var(
        s, tp_dist_sample(tp_categorical_logits(data), &(tp_ctx){s->tape, TP_EVAL, {0}}));
}

int oom_dists(scenario *list, int room)
{
    int n = 0;
    for (int i = 0; i < tp_dist_type_count && n < room; i++)
        list[n++] = (scenario){
            .name = tp_dist_types[i]->name, .prepare = a_row, .act = use_row, .sample = i};
    for (int i = 0; i < tp_kl_type_count && n < room; i++)
        list[n++] =
            (scenario){.name = "a KL divergence", .prepare = a_pair, .act = use_pair, .sample = i};
    if (n < room)
        list[n++] =
            (scenario){.name = "make distributions", .prepare = raw_numbers, .act = construct};
    return n;
}
