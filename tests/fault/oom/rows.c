/* rows.c: three scenarios for every row of models.def: making the model, a step of training, all that can be done with it;
 * and what of models/ no row runs with its defaults. Read next: models/uses.h.
 */
#include "tests/fault/oom/oom.h"

#include "models/ae.h"
#include "models/gmm.h"
#include "models/made.h"
#include "models/vae.h"

enum { EXAMPLES = 5, SIDE = 4, WIDTH = SIDE * SIDE, BATCH = 3, CLASSES = 2, LATENTS = 2 };

static tp_model_config smallest(const tp_model_type *type)
{
    tp_model_config c = tp_model_defaults(type);
    c.data_dim = WIDTH;
    c.hidden[0] = 3;
    c.latent_dim = LATENTS;
    c.classes = CLASSES;
    c.examples = EXAMPLES;
    c.levels = 3;
    return c;
}

static tp_status note_model(scene *s, const tp_params *ps)
{
    for (int i = 0; i < ps->n; i++)
        TP_TRY(oom_note(s, &ps->item[i]->value));
    for (int i = 0; i < ps->buffers; i++)
        TP_TRY(oom_note(s, &ps->buffer[i]->value));
    return TP_OK;
}

static tp_status make_row(scene *s)
{
    const tp_model_type *type = tp_model_types[s->is->sample];
    tp_model_config c = smallest(type);
    for (const tp_model_option *o = type->options; o != NULL && o->name != NULL; o++)
        TP_TRY(tp_model_set(&c, type, o->name, o->value));
    TP_TRY(tp_model_init(&s->made_model, type, c, TP_F32, 1));
    return note_model(s, &s->made_model.params);
}

/* --- a step of training, and all uses ------------------------------------------------------------------- */

static tp_status a_model_of(scene *s, const tp_model_type *type, tp_dtype dtype)
{
    TP_TRY(tp_tensor_new(&s->data.x, TP_U8, TP_SHAPE(EXAMPLES, SIDE, SIDE)));
    TP_TRY(tp_tensor_new(&s->data.labels, TP_U8, TP_SHAPE(EXAMPLES)));
    for (int i = 0; i < EXAMPLES * WIDTH; i++)
        ((unsigned char *)tp_data_mut(&s->data.x))[i] = (unsigned char)(i * 37 % 256);
    for (int i = 0; i < EXAMPLES; i++)
        ((unsigned char *)tp_data_mut(&s->data.labels))[i] = (unsigned char)(i % CLASSES);
    TP_TRY(tp_model_init(&s->model, type, smallest(type), dtype, 1));
    TP_TRY(tp_tape_new(&s->tape));
    TP_TRY(tp_batches_init(&s->batches, &s->data, BATCH, dtype));
    const tp_params *ps = &s->model.params;
    for (int i = 0; i < ps->n && s->watched_count < OOM_WATCHED; i++)
        TP_TRY(oom_watch(s, &ps->item[i]->value));
    for (int i = 0; i < ps->buffers && s->watched_count < OOM_WATCHED; i++)
        TP_TRY(oom_watch(s, &ps->buffer[i]->value));
    return TP_OK;
}

static tp_status a_row(scene *s)
{
    return a_model_of(s, tp_model_types[s->is->sample], TP_F32);
}

static tp_status a_row_with_adam(scene *s)
{
    TP_TRY(a_row(s));
    return tp_adam_init(&s->optimizer, &s->model.params, tp_adam_defaults());
}

static const char *no_step(scene *s)
{
    return s->optimizer.step == 0 ? NULL : "the optimizer took a step";
}

static tp_status first_batch(scene *s, tp_batch *batch)
{
    bool got;
    tp_tape_reset(s->tape);
    tp_batches_rewind(&s->batches);
    return tp_batches_next(&s->batches, batch, &got);
}

static tp_status step_of_row(scene *s)
{
    tp_batch batch;
    TP_TRY(first_batch(s, &batch));
    tp_ctx c = tp_ctx_train(s->tape, 1, 0);
    c.index = &batch.index, c.labels = &batch.labels;
    tp_objective o = tp_model_loss(&s->model, &c, tp_constant(s->tape, &batch.x));
    tp_params_zero_grad(&s->model.params);
    TP_TRY(tp_backward(o.total));
    TP_TRY(tp_optimizer_step(&s->optimizer));
    tp_params_commit(&s->model.params, s->tape);
    return note_model(s, &s->model.params);
}

static tp_status note_dist(scene *s, tp_ctx *c, tp_dist p)
{
    TP_TRY(oom_note_var(s, tp_data_mean(p)));
    return oom_note_var(s, tp_data_sample(p, c));
}

static tp_status uses_of_row(scene *s)
{
    const tp_model *m = &s->model;
    tp_batch batch;
    tp_var kl;
    double nll;
    TP_TRY(first_batch(s, &batch));
    tp_ctx c = tp_ctx_eval(s->tape, 1, 0);
    c.index = &batch.index, c.labels = &batch.labels;
    tp_var x = tp_constant(s->tape, &batch.x);
    if (tp_model_has_code(m->type) && m->type->decode != NULL)
        TP_TRY(oom_note_var(s, tp_model_reconstruct(m, &c, x)));
    if (tp_model_has_code(m->type))
        TP_TRY(oom_note_var(s, tp_model_code(m, &c, x)));
    if (tp_model_has_samples(m->type))
        TP_TRY(note_dist(s, &c, tp_model_generate(m, &c, BATCH)));
    if (m->type->posterior != NULL && m->type->decode != NULL) {
        tp_var z = tp_dist_sample(tp_model_posterior(m, &c, x), &c);
        TP_TRY(oom_note_var(s, tp_data_mean(tp_model_decode(m, &c, z))));
    }
    if (m->type->prior != NULL)
        TP_TRY(oom_note_var(s, tp_dist_sample(tp_model_prior(m, &c), &c)));
    if (tp_model_has_weights(m->type))
        TP_TRY(oom_note_var(s, tp_model_log_weight(m, &c, x, 2)));
    if (tp_model_kl(m, &c, x, &kl))
        TP_TRY(oom_note_var(s, kl));
    TP_TRY(tp_tape_status(s->tape));
    if (!tp_model_has_nll(m->type))
        return TP_OK;
    TP_TRY(tp_model_nll(m, s->tape, &s->batches, 1, 2, &nll));
    TP_TRY(oom_note_memory(s, &nll, sizeof nll));
    if (!tp_model_has_weights(m->type))
        return TP_OK;
    tp_evidence_opts opts = {.seed = 1, .samples = 2};
    tp_evidence e;
    TP_TRY(tp_model_evidence(m, s->tape, &s->batches, opts, &e));
    return oom_note_memory(s, &e, sizeof e);
}

/* --- what no row runs with its defaults --------------------------------------------------------------------- */

static tp_status a_mixture(scene *s)
{
    TP_TRY(oom_draw(&s->t[0], TP_F64, TP_SHAPE(EXAMPLES, WIDTH), 3));
    return a_model_of(s, tp_model_find("gmm"), TP_F64);
}

static tp_status em_step(scene *s)
{
    double logprob;
    tp_matmul_release();
    TP_TRY(tp_gmm_em_step(&s->model, &s->t[0], &logprob));
    oom_note_memory(s, &logprob, sizeof logprob);
    return note_model(s, &s->model.params);
}

static tp_status a_made(scene *s)
{
    return a_model_of(s, tp_model_find("made"), TP_F32);
}

static tp_status draws_of_made(scene *s)
{
    tp_batch batch;
    TP_TRY(first_batch(s, &batch));
    tp_ctx c = tp_ctx_eval(s->tape, 1, 0);
    tp_var drawn = tp_made_draw(&s->model, &c, 2);
    TP_TRY(oom_note_var(s, drawn));
    return oom_note_var(s, tp_dist_mean(tp_made_conditionals(&s->model, &c, drawn)));
}

static tp_status an_autoencoder(scene *s)
{
    return a_model_of(s, &tp_model_ae, TP_F64);
}

static tp_status check_gradient(scene *s)
{
    const tp_check_opts few = {.all_up_to = -1, .directions = 1, .elements = -1};
    tp_batch batch;
    tp_check_report report;
    TP_TRY(tp_model_check(s->model.type, &s->model.config));
    TP_TRY(first_batch(s, &batch));
    TP_TRY(tp_model_gradcheck(&s->model, &batch, few, &report));
    return oom_note_memory(s, &report.analytic, sizeof report.analytic);
}

static tp_status vectors(scene *s)
{
    TP_TRY(tp_tape_new(&s->tape));
    return oom_draw(&s->t[0], TP_F32, TP_SHAPE(BATCH, WIDTH), 3);
}

/* A codebook, sparse codes, and a distribution without its gradients. */
static tp_status codes(scene *s)
{
    static tp_nn_codebook book; /* where it is freed from */
    tp_tape_reset(s->tape);
    s->made_params = tp_params_make(TP_F32, 1);
    TP_TRY(tp_nn_codebook_init(&book, &s->made_params, "codebook", 3, WIDTH,
                               (tp_nn_codebook_opts){.decay = 0.9}));
    tp_ctx c = tp_ctx_eval(s->tape, 1, 0);
    tp_var x = tp_leaf(s->tape, &s->t[0]);
    TP_TRY(oom_note_var(s, tp_nn_codebook_vectors(&book, &c)));
    TP_TRY(oom_note_var(s, tp_add(tp_sparsity_l1(x), tp_sparsity_kl(x, 0.1))));
    tp_dist q = tp_normal_standard(x);
    TP_TRY(oom_note_var(s, tp_dist_detach(q).param[0]));
    TP_TRY(oom_note_var(s, tp_dist_enter(q, s->tape).param[0]));
    return tp_tape_status(s->tape);
}

static const scenario others[] = {
    {.name = "a step of expectation maximisation", .prepare = a_mixture, .act = em_step},
    {.name = "draws of an autoregressive model", .prepare = a_made, .act = draws_of_made},
    {.name = "check a model's gradient", .prepare = an_autoencoder, .act = check_gradient},
    {.name = "codes", .prepare = vectors, .act = codes},
};

int oom_rows(scenario *list, int room)
{
    int n = 0;
    for (int i = 0; i < tp_model_type_count && n + 3 <= room; i++) {
        const char *name = tp_model_types[i]->name;
        list[n++] = (scenario){.name = name, .act = make_row, .sample = i};
        list[n++] = (scenario){.name = name,
                               .prepare = a_row_with_adam,
                               .act = step_of_row,
                               .intact = no_step,
                               .sample = i};
        list[n++] = (scenario){.name = name, .prepare = a_row, .act = uses_of_row, .sample = i};
    }
    for (int i = 0; i < (int)(sizeof others / sizeof *others) && n < room; i++)
        list[n++] = others[i];
    return n;
}
