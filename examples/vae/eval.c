/* eval.c: "vae eval", which measures a trained model on images and prints one JSON object.
 *
 * On the test images of its own data it prints what the last line of metrics.jsonl says. Read next:
 * measure.c. */
#include "commands.h"
#include "record.h"
#include "say.h"

#include <stdio.h>

/* What is measured beside the loss. */
typedef struct result {
    tp_stats stats;
    latents latents;
    bool has_nll, has_baseline;
    double nll, baseline; /* nats */
} result;

static tp_status print_result(const run *r, const result *m)
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
    if (m->has_nll) {
        json_key(&j, "nll", " ");
        json_number(&j, m->nll);
        json_key(&j, "nll_samples", " ");
        if (r->model.type->logprob != NULL)
            json_text(&j, "exact");
        else
            json_integer(&j, r->o.importance);
    }
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

static tp_status measure(run *r, tp_batches *b, result *m)
{
    const tp_model_type *type = r->model.type;
    tp_trainer t = {.tape = r->tape, .loss = tp_model_loss, .model = &r->model, .seed = r->o.seed};
    TP_TRY(tp_evaluate(&t, b, &m->stats));
    TP_TRY(measure_latents(r, b, &m->latents));
    m->has_nll = r->o.importance > 0 || type->logprob != NULL;
    if (m->has_nll) {
        int64_t samples = r->o.importance > 0 ? r->o.importance : 1;
        TP_TRY(tp_model_nll(&r->model, r->tape, b, r->o.seed, samples, &m->nll));
    }
    m->has_baseline = r->train.x.storage != NULL && r->o.likelihood == TP_BERNOULLI;
    return m->has_baseline ? factorised_bernoulli(r, &m->baseline) : TP_OK;
}

static tp_status evaluate(run *r)
{
    TP_TRY(run_data(r));
    TP_TRY(run_load_model(r));
    if (r->test.x.storage == NULL)
        return tp_fail(TP_EIO,
                       "%s: nothing to evaluate on; --split train takes the training images",
                       r->o.data);
    if (r->o.importance > 0 && !tp_model_has_nll(r->model.type))
        return tp_fail(TP_EARG, "--importance: %s has no p(x) to measure", r->model.type->name);
    if (r->o.importance > 0 && r->o.likelihood == TP_BERNOULLI && r->o.binarize == TP_BINARIZE_GREY)
        note("of grey pixels the Bernoulli likelihood makes no log p(x): nll can be compared with "
             "itself only");
    tp_batches b;
    result m = {0};
    TP_TRY(run_batches(r, &b, &r->test, r->o.batch_size, TP_F32));
    tp_status s = measure(r, &b, &m);
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
    return s == TP_OK ? EXIT_GOOD : complain_error(EXIT_BAD);
}
