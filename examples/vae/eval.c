/* eval.c: "vae eval", which measures a trained model on images and prints one JSON object, or a table.
 *
 * On the test images of its own data it prints what the last line of metrics.jsonl says, and what takes longer: the parts
 * of the ELBO from several draws, and −log p(x). Read next: measure.c, models/uses.h for log p(x). */
#include "commands.h"
#include "eval.h"
#include "record.h"
#include "say.h"
#include "stop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 10 }; /* for the ELBO, where --importance does not say how many */

static double negative_elbo(const evaluation *m)
{
    return m->elbo.reconstruction + m->elbo.kl;
}

static bool exact(const run *r)
{
    return r->model.type->logprob != NULL;
}

/* --- as JSON ---------------------------------------------------------------------------------------- */

static void write_value(json *j, const char *key, double value)
{
    json_key(j, key, " ");
    json_number(j, value);
}

static void write_elbo(json *j, const evaluation *m)
{
    write_value(j, "negative_elbo", negative_elbo(m));
    write_value(j, "negative_elbo_error", m->elbo.elbo_error);
    write_value(j, "elbo_reconstruction", m->elbo.reconstruction);
    write_value(j, "elbo_kl", m->elbo.kl);
    json_key(j, "elbo_draws", " ");
    json_integer(j, m->draws);
}

static void write_nll(json *j, const run *r, const evaluation *m)
{
    write_value(j, "nll", m->nll.nll);
    json_key(j, "nll_samples", " ");
    if (exact(r))
        json_text(j, "exact");
    else
        json_integer(j, m->draws);
    write_value(j, "nll_error", m->nll.nll_error);
    write_value(j, "nll_draws_error", m->nll.draws_error);
    if (m->elbo.examples == 0)
        return;
    write_value(j, "elbo_gap", negative_elbo(m) - m->nll.nll);
    write_value(j, "effective_samples", m->elbo.effective);
    write_value(j, "least_effective_samples", m->elbo.least_effective);
}

static tp_status print_json(const run *r, const evaluation *m)
{
    json j = {0};
    json_raw(&j, "{");
    json_key(&j, "run", " ");
    json_text(&j, r->o.run);
    json_key(&j, "split", " ");
    json_text(&j, r->test_split);
    json_key(&j, "samples", " ");
    json_integer(&j, m->stats.samples);
    record_stats(&j, "", &m->stats, &m->stats);
    record_latents(&j, "", &m->latents, &m->stats, UINT64_MAX);
    if (m->elbo.examples > 0)
        write_elbo(&j, m);
    if (m->nll.examples > 0)
        write_nll(&j, r, m);
    json_key(&j, "factorised_bernoulli", " ");
    if (m->has_baseline)
        json_number(&j, m->baseline);
    else
        json_null(&j);
    json_raw(&j, "}");
    tp_status status = j.failed ? tp_fail(TP_ENOMEM, "no memory for the result") : TP_OK;
    if (status == TP_OK)
        puts(j.text);
    json_free(&j);
    return status;
}

/* --- as a table ------------------------------------------------------------------------------------- */

static int falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static void print_latents(const latents *l)
{
    enum { IN_A_LINE = 10 };
    if (l->dims > 0)
        printf("active units      %8lld   of %lld: E[z|x] varies by more than 0.01 over x\n",
               (long long)l->active, (long long)l->dims);
    if (l->kl == NULL)
        return;
    qsort(l->kl, (size_t)l->kl_dims, sizeof *l->kl, falling);
    printf("KL of each dimension, largest first");
    for (int64_t i = 0; i < l->kl_dims; i++)
        printf("%s%6.2f", i % IN_A_LINE == 0 ? "\n  " : " ", l->kl[i]);
    printf("\n");
}

/* Nothing of one image, whose spread is not known. */
static const char *error_text(char text[48], double error)
{
    snprintf(text, 48, "   ");
    if (isfinite(error))
        snprintf(text, 48, "   ± %.2f over images; ", error);
    return text;
}

static void print_bounds(const run *r, const evaluation *m)
{
    char text[48];
    if (m->elbo.examples > 0) {
        printf("−ELBO             %8.2f%s%lld draws each\n", negative_elbo(m),
               error_text(text, m->elbo.elbo_error), (long long)m->draws);
        printf("  reconstruction  %8.2f   −log p(x|z)\n", m->elbo.reconstruction);
        printf("  KL              %8.2f   log q(z|x) − log p(z)\n", m->elbo.kl);
    }
    if (m->nll.examples == 0)
        return;
    printf("−log p(x)         %8.2f%s", m->nll.nll, error_text(text, m->nll.nll_error));
    if (exact(r))
        printf("exact\n");
    else if (isfinite(m->nll.draws_error))
        printf("%lld draws each, which add ± %.2g\n", (long long)m->draws, m->nll.draws_error);
    else
        printf("%lld draws each\n", (long long)m->draws);
    if (m->elbo.examples == 0)
        return;
    printf("gap               %8.2f   −ELBO less −log p(x)\n", negative_elbo(m) - m->nll.nll);
    printf("effective draws   %8.1f   of %lld; %.1f of the worst image\n", m->elbo.effective,
           (long long)m->draws, m->elbo.least_effective);
}

static void print_table(const run *r, const evaluation *m)
{
    char name[SHOWN_TEXT];
    printf("%s, %s of %lld %s images, in nats an image\n", shown(name, r->o.run),
           r->model.type->name, (long long)m->stats.samples, r->test_split);
    printf("loss              %8.2f  ", m->stats.loss);
    for (int i = 0; i < m->stats.terms; i++)
        printf(" %s %.2f", m->stats.name[i], m->stats.term[i]);
    printf("\n");
    print_bounds(r, m);
    if (m->has_baseline)
        printf("single pixels     %8.2f   −log p(x) if they did not depend on each other\n",
               m->baseline);
    print_latents(&m->latents);
}

/* --- measuring ---------------------------------------------------------------------------------------- */

typedef struct watch {
    bar bar;
    char what[64];
} watch;

static bool on_progress(void *user, double done)
{
    watch *w = user;
    bar_part(&w->bar, done, w->what);
    return stop_signal() == 0;
}

/* From so many draws for each image; 0: exactly. */
static tp_status evidence(run *r, tp_batches *b, int64_t draws, tp_evidence *e)
{
    stop_watch();
    watch w = {.bar = bar_start(1, 1, 0, 1, 0)};
    if (draws > 0)
        snprintf(w.what, sizeof w.what, "%lld draws for each image", (long long)draws);
    else
        snprintf(w.what, sizeof w.what, "log p(x)");
    tp_evidence_opts opts = {
        .seed = r->o.seed, .samples = draws, .on_progress = on_progress, .user = &w};
    tp_status s = tp_model_evidence(&r->model, r->tape, b, opts, e);
    bar_clear(&w.bar);
    if (s == TP_OK && stop_signal() != 0)
        s = tp_fail(TP_EIO, "log p(x): stopped by %s behind %lld of %lld images",
                    stop_name(stop_signal()), (long long)e->examples, (long long)b->size);
    return s;
}

tp_status eval_measure(run *r, tp_batches *b, evaluation *m)
{
    const tp_model_type *type = r->model.type;
    tp_trainer t = {.tape = r->tape, .loss = tp_model_loss, .model = &r->model, .seed = r->o.seed};
    TP_TRY(tp_evaluate(&t, b, &m->stats));
    TP_TRY(measure_latents(r, b, &m->latents));
    m->draws = r->o.importance > 0 ? r->o.importance : DRAWS;
    if (tp_model_has_weights(type))
        TP_TRY(evidence(r, b, m->draws, &m->elbo));
    if (exact(r))
        TP_TRY(evidence(r, b, 0, &m->nll));
    else if (r->o.importance > 0)
        m->nll = m->elbo;
    m->has_baseline =
        r->train.x.storage != NULL && r->test.x.storage != NULL && r->o.likelihood == TP_BERNOULLI;
    return m->has_baseline ? factorised_bernoulli(r, &m->baseline) : TP_OK;
}

/* Bits need no --binarize: they are what it makes. */
bool eval_of_grey(const run *r)
{
    const tp_tensor *x = r->test.x.storage != NULL ? &r->test.x : &r->train.x;
    double white = x->dtype == TP_U8 ? 255 : 1;
    if (r->o.binarize != TP_BINARIZE_GREY)
        return false;
    for (int64_t i = 0; i < tp_numel(x); i++) {
        double v = tp_flat(x, i);
        if (v != 0 && v != white)
            return true;
    }
    return false;
}

static tp_status print_result(const run *r, const evaluation *m)
{
    if (!r->o.table)
        return print_json(r, m);
    print_table(r, m);
    return TP_OK;
}

static tp_status evaluate(run *r)
{
    TP_TRY(run_data(r));
    TP_TRY(run_load_model(r));
    if (r->test.x.storage == NULL)
        return tp_fail(TP_EIO,
                       "%s: nothing to evaluate on; --split train takes the training images%s",
                       r->o.data, r->o.valid > 0 ? ", --split valid those held back" : "");
    if (r->o.importance > 0 && !tp_model_has_nll(r->model.type))
        return tp_fail(TP_EARG, "--importance: %s has no p(x) to measure", r->model.type->name);
    if (r->o.importance > 0 && r->o.likelihood == TP_BERNOULLI && eval_of_grey(r))
        note("of grey pixels the Bernoulli likelihood makes no log p(x): nll can be compared with "
             "itself only");
    tp_batches b;
    evaluation m = {0};
    TP_TRY(run_batches(r, &b, &r->test, r->o.batch_size, TP_F32));
    tp_status s = eval_measure(r, &b, &m);
    if (s == TP_OK)
        s = print_result(r, &m);
    latents_free(&m.latents);
    tp_batches_free(&b);
    return s;
}

int command_eval(const options *o)
{
    run r;
    tp_status s = run_open(&r, o);
    if (s == TP_OK)
        s = evaluate(&r);
    run_close(&r);
    if (s == TP_OK)
        return EXIT_GOOD;
    return complain_error(stop_exit_code());
}
