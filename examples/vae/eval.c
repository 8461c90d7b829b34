/* eval.c: "vae eval", which measures a trained model on images and prints one JSON object.
 *
 * On the test images of its own data it prints what the last line of metrics.jsonl says. Read next:
 * measure.c. */
#include "commands.h"
#include "measure.h"
#include "say.h"

#include <stdio.h>

static void write_optional(json *j, const char *key, const double *v)
{
    json_key(j, key, " ");
    if (v != NULL)
        json_number(j, *v);
    else
        json_null(j);
}

static tp_status write_result(const run *r, const tp_stats *s, const latents *l)
{
    double baseline = 0;
    bool has_baseline = r->train.x.storage != NULL && r->o.likelihood == TP_BERNOULLI;
    if (has_baseline)
        TP_TRY(factorised_bernoulli(r, &baseline));
    json j = {0};
    json_raw(&j, "{");
    json_key(&j, "run", " ");
    json_text(&j, r->o.run);
    json_key(&j, "split", " ");
    json_text(&j, r->test_split);
    json_key(&j, "samples", " ");
    json_integer(&j, s->samples);
    json_key(&j, "loss", " ");
    json_number(&j, s->loss);
    write_optional(&j, "recon", stats_term(s, "recon"));
    write_optional(&j, "kl", stats_term(s, "kl"));
    json_key(&j, "active_units", " ");
    json_integer(&j, l->active);
    if (l->kl != NULL) {
        json_key(&j, "kl_per_dimension", " ");
        json_raw(&j, "[");
        for (int64_t i = 0; i < l->dims; i++)
            json_number(&j, l->kl[i]);
        json_raw(&j, "]");
    }
    write_optional(&j, "factorised_bernoulli", has_baseline ? &baseline : NULL);
    json_raw(&j, "}");
    tp_status status = j.failed ? tp_fail(TP_ENOMEM, "no memory for the result") : TP_OK;
    if (status == TP_OK)
        puts(j.text);
    json_free(&j);
    return status;
}

static tp_status evaluate(run *r)
{
    TP_TRY(run_data(r));
    TP_TRY(run_load_model(r));
    if (r->test.x.storage == NULL)
        return tp_fail(TP_EIO,
                       "%s: nothing to evaluate on; --split train takes the training images",
                       r->o.data);
    tp_batches b;
    tp_stats stats;
    latents l = {0};
    tp_trainer t = {.tape = r->tape, .loss = tp_model_loss, .model = &r->model, .seed = r->o.seed};
    TP_TRY(run_batches(r, &b, &r->test, r->o.batch_size, TP_F32));
    tp_status s = tp_evaluate(&t, &b, &stats);
    if (s == TP_OK)
        s = measure_latents(r, &b, stats_term(&stats, "kl") != NULL, &l);
    if (s == TP_OK)
        s = write_result(r, &stats, &l);
    latents_free(&l);
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
