/* record.c: lines about an epoch, and what is said of the latent space at the end. Read next: train.c, eval.c. */
#include "record.h"
#include "say.h"

#include "tensor/parallel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- JSON ----------------------------------------------------------------------------------------- */

static void write_number(json *j, const char *prefix, const char *name, const double *v)
{
    char key[TP_TERM_NAME + 16];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    json_key(j, key, " ");
    if (v != NULL)
        json_number(j, *v);
    else
        json_null(j);
}

void record_stats(json *j, const char *prefix, const tp_stats *s, const tp_stats *names)
{
    bool known = s->samples > 0;
    write_number(j, prefix, "loss", known ? &s->loss : NULL);
    write_number(j, prefix, "recon", known ? stats_term(s, "recon") : NULL);
    write_number(j, prefix, "kl", known ? stats_term(s, "kl") : NULL);
    for (int i = 0; i < names->terms; i++) {
        const char *name = names->name[i];
        bool elsewhere = *prefix == '\0' && strcmp(name, "nll") == 0; /* eval says it itself */
        if (strcmp(name, "recon") != 0 && strcmp(name, "kl") != 0 && !elsewhere)
            write_number(j, prefix, name, known ? stats_term(s, name) : NULL);
    }
}

void record_latents(json *j, const char *prefix, const latents *l, const tp_stats *s, uint64_t step)
{
    char key[64];
    use u = l->samples > 0 ? latents_use(l, s, step) : USE_UNKNOWN;
    json_key(j, "active_units", " ");
    if (l->dims > 0)
        json_integer(j, l->active);
    else
        json_null(j);
    snprintf(key, sizeof key, "%skl_per_dimension", prefix);
    json_key(j, key, " ");
    if (l->kl != NULL) {
        json_raw(j, "[");
        for (int64_t i = 0; i < l->kl_dims; i++)
            json_number(j, l->kl[i]);
        json_raw(j, "]");
    } else {
        json_null(j);
    }
    json_key(j, "collapsed", " ");
    json_raw(j, u == USE_UNKNOWN ? "null" : u == USE_COLLAPSED ? "true" : "false");
}

void record_metrics(json *j, const epoch_result *e)
{
    json_raw(j, "{");
    json_key(j, "epoch", " ");
    json_integer(j, e->epoch);
    json_key(j, "step", " ");
    json_integer(j, e->step);
    char prefix[16];
    snprintf(prefix, sizeof prefix, "%s_", e->measured);
    record_stats(j, "train_", &e->train, &e->train);
    record_stats(j, prefix, &e->test, &e->train);
    record_latents(j, prefix, &e->latents, &e->test, (uint64_t)e->step);
    if (e->best > 0) {
        json_key(j, "best_epoch", " ");
        json_integer(j, (int64_t)e->best);
    }
    json_raw(j, "}\n");
}

void record_timing(json *j, const epoch_result *e)
{
    json_raw(j, "{");
    json_key(j, "epoch", " ");
    json_integer(j, e->epoch);
    json_key(j, "samples_per_second", " ");
    json_number(j, e->samples_per_second);
    json_key(j, "seconds", " ");
    json_number(j, e->seconds);
    json_key(j, "threads", " ");
    json_integer(j, tp_threads());
    json_raw(j, "}\n");
}

/* --- for people ----------------------------------------------------------------------------------- */

void record_print(const epoch_result *e, int64_t epochs)
{
    const tp_stats *shown = e->test.samples > 0 ? &e->test : &e->train;
    int width = snprintf(NULL, 0, "%lld", (long long)epochs);
    printf("epoch %*lld/%lld  train %.2f", width, (long long)e->epoch, (long long)epochs,
           e->train.loss);
    if (e->test.samples > 0)
        printf("  %s %.2f", e->measured, e->test.loss);
    for (int i = 0; i < shown->terms && shown->terms > 1; i++)
        printf("%s%s %.2f%s", i > 0 ? " " : "  (", shown->name[i], shown->term[i],
               i + 1 < shown->terms ? "" : ")");
    printf("  %.1fk samples/s\n", 1e-3 * e->samples_per_second);
}

/* The place of an option among those of the type; −1: it has none of that name. */
static int find_option(const tp_model_type *type, const char *name)
{
    for (int i = 0; type->options != NULL && i < TP_MODEL_OPTIONS; i++) {
        if (type->options[i].name == NULL)
            return -1;
        if (strcmp(type->options[i].name, name) == 0)
            return i;
    }
    return -1;
}

/* What this model, or else another one, has against a collapse. */
static void suggest(const run *r, uint64_t step)
{
    const tp_model_type *type = r->model.type, *other = tp_model_find("beta_vae");
    int warmup = find_option(type, "warmup"), capacity = find_option(type, "capacity");
    if (type->beta && r->o.beta > 0)
        note("  try a --beta below %g", r->o.beta);
    if (warmup >= 0) {
        double now = r->model.config.option[warmup], third = floor((double)step / 3);
        note("  try --set warmup=%g: the weight of the KL rises more slowly", fmax(third, 2 * now));
    }
    if (capacity >= 0)
        note("  try --set capacity=%g: so many nats are free",
             fmax(20, 2 * r->model.config.option[capacity]));
    else if (other != NULL && !type->discrete && find_option(other, "capacity") >= 0)
        note("  try --model beta_vae --set capacity=20: so many nats are asked for");
}

void record_use(const run *r, const latents *l, const tp_stats *s, uint64_t step)
{
    double kl = latents_kl(l, s);
    if (l->dims == 0 && isnan(kl))
        return;
    printf("latent space: ");
    if (l->dims > 0)
        printf("%lld of %lld dimensions active%s", (long long)l->active, (long long)l->dims,
               isnan(kl) ? "\n" : ", ");
    if (!isnan(kl))
        printf("KL %.3g nats\n", kl);
    if (latents_use(l, s, step) == USE_COLLAPSED) {
        note("the posterior has collapsed: q(z|x) is nearly the same for all x, so that z says "
             "nothing of them");
        suggest(r, step);
    } else if (10 * l->active < l->dims && step >= USE_STEPS) {
        note("few of the latent dimensions are active: a smaller --latent-dim may do as well");
    }
}
