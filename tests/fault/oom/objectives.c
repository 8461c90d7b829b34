/* objectives.c: scenarios of nn/objective: every objective of a small Gaussian model, with its gradient. One that takes a
 * gradient on the way (tp_dreg) must leave the tape as usable as the others. And Markov chains and bounds by annealing, which
 * take one at each step, and ways through a latent space. Read next: tables.c. */
#include "tests/fault/oom/oom.h"

enum { BATCH = 3, D = 2, K = 2, M = 2 };

static tp_status prepare(scene *s)
{
    TP_TRY(tp_tape_new(&s->tape));
    TP_TRY(tp_parameter_init(&s->w[0], "mu", TP_F64, TP_SHAPE(BATCH, D)));
    TP_TRY(tp_random_normal(&s->w[0].value, (tp_rng_key){.seed = 1}));
    TP_TRY(oom_draw(&s->t[0], TP_F64, TP_SHAPE(M, K, BATCH, D), 2));
    TP_TRY(oom_watch(s, &s->w[0].value));
    return oom_watch(s, &s->t[0]);
}

/* log N(x; mu, 1) over the last axis, up to a constant */
static tp_var log_normal(tp_var x, tp_var mu)
{
    return tp_scale(tp_sum(tp_square(tp_sub(x, mu)), TP_AXES(-1), false), -0.5);
}

typedef struct drawn {
    tp_var mu, zs, z, log_q, log_prior, logprob, kl; /* [b,D] [M,K,b,D] [b,D] [b] … */
} drawn;

static drawn draw(scene *s)
{
    tp_tape_reset(s->tape);
    tp_var mu = tp_param(s->tape, &s->w[0]), eps = tp_constant(s->tape, &s->t[0]);
    drawn d = {.mu = mu, .zs = tp_add(mu, eps)};
    tp_var first = tp_slice(tp_slice(d.zs, 0, 0, 1, 1), 1, 0, 1, 1);
    tp_var zero = tp_scalar(s->tape, TP_F64, 0);
    d.z = tp_reshape(first, TP_SHAPE(BATCH, D));
    d.log_q = log_normal(d.z, tp_detach(mu));
    d.log_prior = log_normal(d.z, zero);
    d.logprob = log_normal(tp_shift(d.z, -1), zero);
    d.kl = tp_square(mu); /* [b, D] */
    return d;
}

static tp_status note(scene *s, int n, const tp_objective *o)
{
    tp_var sum = o[0].total;
    for (int i = 1; i < n; i++)
        sum = tp_add(sum, o[i].total);
    for (int i = 0; i < n; i++)
        TP_TRY(oom_note_var(s, o[i].total));
    tp_zero_grad(&s->w[0]);
    TP_TRY(tp_backward(sum));
    return oom_note(s, tp_parameter_grad(&s->w[0]));
}

static tp_status bounds(scene *s)
{
    drawn d = draw(s);
    tp_var kl = tp_sum(d.kl, TP_AXES(1), false);
    tp_var sampled = tp_sampled_kl(d.log_q, d.log_prior);
    tp_var two = tp_sample_mean(tp_stack((tp_var[]){d.logprob, d.logprob}, 2, 0));
    tp_var term = tp_free_bits(d.kl, 0.1);
    tp_objective o[] = {tp_negative_elbo(two, sampled, tp_elbo_defaults()),
                        tp_capacity_elbo(d.logprob, kl, 3, 0.5),
                        tp_free_bits_elbo(d.logprob, d.kl, 0.1),
                        tp_objective_of(1, &(tp_term){"bits", term, 2}),
                        tp_reconstruction(d.logprob),
                        tp_negative_loglikelihood(d.logprob)};
    return note(s, 6, o);
}

static tp_status importance(scene *s)
{
    drawn d = draw(s);
    tp_var zero = tp_scalar(s->tape, TP_F64, 0);
    tp_var prior = log_normal(d.zs, zero), logprob = log_normal(tp_shift(d.zs, -1), zero);
    tp_var log_w = tp_log_weight(logprob, prior, log_normal(d.zs, tp_detach(d.mu)));
    tp_var z = tp_reshape(tp_slice(d.zs, 0, 0, 1, 1), TP_SHAPE(K, BATCH, D));
    tp_var w = log_normal(z, zero); /* [K, batch] */
    tp_var baseline = tp_leave_one_out(w);
    tp_var score = tp_score_function(w, log_normal(tp_detach(z), d.mu), baseline);
    tp_var bound = tp_mean(tp_importance_logprob(score), TP_ALL_AXES, false);
    tp_objective o[] = {tp_iwae(w), tp_miwae(log_w), tp_dreg(w, z),
                        tp_objective_of(1, &(tp_term){"score", bound, 1})};
    return note(s, 4, o);
}

static tp_status aggregates(scene *s)
{
    drawn d = draw(s);
    tp_var kl = tp_sum(d.kl, TP_AXES(1), false);
    tp_var mmd = tp_mmd(d.z, tp_detach(d.mu), (tp_mmd_opts){.kernel = TP_MMD_IMQ});
    tp_var pair = tp_square(tp_sub(tp_unsqueeze(d.z, 1), tp_unsqueeze(d.mu, 0))); /* [b, b, D] */
    tp_tc_parts parts = tp_tc_decompose(pair, d.log_prior, (tp_tc_opts){.data_size = 9});
    tp_var there = tp_sum(d.z, TP_AXES(1), false);
    tp_var shuffled = tp_sum(tp_shuffle_dimensions(d.z, (tp_rng_key){3, 0, 0}), TP_AXES(1), false);
    tp_var apart = tp_discriminator_loss(there, shuffled);
    tp_var again = tp_mmd_of_batch(d.z, tp_detach(d.mu), TP_MMD_RBF, 0);
    tp_objective o[] = {tp_wae(d.logprob, again, 10), tp_info_elbo(d.logprob, kl, mmd, 0.5, 2),
                        tp_tc_elbo(d.logprob, parts, (tp_tc_weights){1, 2, 3}),
                        tp_factor_elbo(d.logprob, kl, there, apart, 2),
                        tp_dip_elbo(d.logprob, kl, d.mu, d.z, (tp_dip_opts){1, 2})};
    return note(s, 5, o);
}

/* --- annealing ------------------------------------------------------------------------------------------- */

static tp_status small_vae(scene *s)
{
    tp_model_config c = tp_model_defaults(&tp_model_vae);
    c.data_dim = 5, c.hidden[0] = 4, c.latent_dim = D;
    TP_TRY(tp_model_init(&s->model, &tp_model_vae, c, TP_F32, 1));
    for (int i = 0; i < s->model.params.n; i++)
        TP_TRY(oom_watch(s, &s->model.params.item[i]->value));
    return tp_tape_new(&s->tape);
}

static tp_status anneal(scene *s)
{
    double lower[BATCH], upper[BATCH];
    tp_ais_opts o = tp_ais_defaults();
    tp_ais_result r = {.lower = lower, .upper = upper};
    o.chains = 2, o.temperatures = 3, o.leapfrog = 2, o.pilot = 1, o.posterior = true;
    TP_TRY(tp_model_simulate(&s->model, s->tape, NULL, BATCH, 1, &s->made[0], &s->made[1]));
    tp_batch b = {.x = s->made[1], .n = BATCH};
    TP_TRY(tp_model_ais(&s->model, s->tape, &b, &s->made[0], o, &r));
    TP_TRY(oom_note_memory(s, lower, sizeof lower));
    return oom_note_memory(s, upper, sizeof upper);
}

static void record_normal(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    (void)user;
    part[0] = log_normal(z, tp_scalar(c->tape, TP_F64, 0));
}

static tp_status run_chains(scene *s, tp_hmc *h)
{
    TP_TRY(tp_hmc_step(h));
    tp_hmc_adapt(h, 0.65);
    TP_TRY(tp_hmc_step(h));
    TP_TRY(oom_note(s, &h->at.z));
    return oom_note(s, &h->step);
}

static tp_status chains(scene *s)
{
    tp_hmc h;
    tp_tensor z;
    tp_hmc_density normal = {.record = record_normal, .parts = 1};
    tp_hmc_opts o = tp_hmc_defaults();
    o.leapfrog = 2;
    TP_TRY(tp_view_select(&s->t[0], 0, 0, &z)); /* [K, BATCH, D] */
    TP_TRY(tp_hmc_init(&h, s->tape, normal, o, &z));
    tp_status status = run_chains(s, &h);
    tp_hmc_free(&h);
    return status;
}

/* --- ways through a latent space --------------------------------------------------------------------------- */

static tp_status two_codes(scene *s)
{
    TP_TRY(oom_draw(&s->t[0], TP_F32, TP_SHAPE(3, 4), 1));
    TP_TRY(oom_draw(&s->t[1], TP_F32, TP_SHAPE(3, 4), 2));
    TP_TRY(oom_watch(s, &s->t[0]));
    return oom_watch(s, &s->t[1]);
}

static tp_status walk(scene *s)
{
    tp_tensor first;
    const tp_walk ways[] = {{2, -1, 1}, {0, 0, 3}};
    TP_TRY(tp_view_select(&s->t[0], 0, 0, &first));
    TP_TRY(tp_traverse(&s->made[0], &first, ways, 2, 5));
    TP_TRY(tp_interpolate(&s->made[1], &s->t[0], &s->t[1], 5, TP_SPHERICAL));
    TP_TRY(oom_note(s, &s->made[0]));
    return oom_note(s, &s->made[1]);
}

const scenario oom_objectives[] = {
    {.name = "bounds", .prepare = prepare, .act = bounds},
    {.name = "bounds from importance weights", .prepare = prepare, .act = importance},
    {.name = "objectives of whole minibatches", .prepare = prepare, .act = aggregates},
    {.name = "Hamiltonian Monte Carlo", .prepare = prepare, .act = chains},
    {.name = "bounds by annealing", .prepare = small_vae, .act = anneal},
    {.name = "ways between codes", .prepare = two_codes, .act = walk},
};
const int oom_objectives_count = (int)(sizeof oom_objectives / sizeof *oom_objectives);
