/* ais.c: "vae ais": log p(x) by annealed importance sampling, of images or of data that the model draws itself, and one JSON
 * object about it. Of its own data it knows both sides of the truth. Read next: models/ais.h. */
#include "commands.h"
#include "eval.h"
#include "run.h"
#include "say.h"
#include "stop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { IMAGES = 100, TOGETHER = 2048 }; /* by default; chains of a batch, about */

/* Means over images of nats, with their standard errors. */
typedef struct mean {
    double value, error;
} mean;

typedef struct result {
    int64_t n, seen, now;  /* images: all, measured so far, in this batch */
    double *lower, *upper; /* [n]; upper: NULL unless simulated */
    double *weighed;       /* [n]: the estimates from draws of q(z|x); NULL: not wanted */
    double acceptance, effective, seconds;
    bar bar;
} result;

static mean mean_of(const double *x, const double *less, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (x[i] - (less != NULL ? less[i] : 0)) / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += pow(x[i] - (less != NULL ? less[i] : 0) - sum, 2);
    return (mean){sum, n > 1 ? sqrt(squares / (double)(n - 1) / (double)n) : NAN};
}

/* Whether the type knows log p(x). */
static bool exact(const run *r)
{
    return r->model.type->logprob != NULL;
}

/* --- as JSON ------------------------------------------------------------------------------------------- */

static void write_number(json *j, const char *key, double value)
{
    json_key(j, key, " ");
    json_number(j, value);
}

static void write_integer(json *j, const char *key, int64_t value)
{
    json_key(j, key, " ");
    json_integer(j, value);
}

static void write_mean(json *j, const char *key, const char *error, mean m)
{
    write_number(j, key, m.value);
    write_number(j, error, m.error);
}

static tp_status print_result(const run *r, const tp_ais_opts *o, const result *m)
{
    json j = {0};
    json_raw(&j, "{");
    json_key(&j, "run", " ");
    json_text(&j, r->o.run);
    json_key(&j, "split", " ");
    json_text(&j, r->o.simulate > 0 ? "simulated" : r->test_split);
    write_integer(&j, "samples", m->n);
    write_integer(&j, "chains", o->chains);
    write_integer(&j, "steps", o->temperatures);
    write_integer(&j, "leapfrog", o->leapfrog);
    json_key(&j, "start", " ");
    json_text(&j, ais_start_name(o->posterior));
    write_mean(&j, "log_p_lower", "log_p_lower_error", mean_of(m->lower, NULL, m->n));
    if (m->upper != NULL) {
        write_mean(&j, "log_p_upper", "log_p_upper_error", mean_of(m->upper, NULL, m->n));
        write_mean(&j, "gap", "gap_error", mean_of(m->upper, m->lower, m->n));
    }
    if (m->weighed != NULL) {
        write_mean(&j, "log_p_importance", "log_p_importance_error",
                   mean_of(m->weighed, NULL, m->n));
        json_key(&j, "importance_samples", " ");
        if (exact(r))
            json_text(&j, "exact");
        else
            json_integer(&j, r->o.importance);
        write_mean(&j, "importance_below_lower", "importance_below_lower_error",
                   mean_of(m->lower, m->weighed, m->n));
    }
    write_number(&j, "acceptance", m->acceptance);
    write_number(&j, "effective_chains", m->effective);
    write_number(&j, "seconds", m->seconds);
    json_raw(&j, "}");
    tp_status status = j.failed ? tp_fail(TP_ENOMEM, "no memory for the result") : TP_OK;
    if (status == TP_OK)
        puts(j.text);
    json_free(&j);
    return status;
}

/* --- what is measured ------------------------------------------------------------------------------------ */

/* All images of a measurement, in memory; z only of simulated ones. */
typedef struct images {
    tp_tensor x, z, index, labels; /* [n, data_dim], [n, nz], i64 [n] each */
} images;

static void images_free(images *i)
{
    tp_tensor_free(&i->x);
    tp_tensor_free(&i->z);
    tp_tensor_free(&i->index);
    tp_tensor_free(&i->labels);
}

/* Every so-manieth of d, so that all of it has its share however it is sorted: numbers and labels. */
static tp_status choose(const tp_dataset *d, int64_t n, images *out)
{
    TP_TRY(tp_tensor_new(&out->index, TP_I64, TP_SHAPE(n)));
    if (d->labels.storage != NULL)
        TP_TRY(tp_tensor_new(&out->labels, TP_I64, TP_SHAPE(n)));
    int64_t *index = tp_data_mut(&out->index);
    for (int64_t i = 0; i < n; i++) {
        index[i] = (int64_t)((double)i * (double)tp_dataset_size(d) / (double)n);
        if (out->labels.storage != NULL)
            TP_TRY(tp_set_flat(&out->labels, i, tp_flat(&d->labels, index[i])));
    }
    return TP_OK;
}

static tp_status take_images(run *r, images *out)
{
    tp_batches b;
    int64_t n = r->o.count > 0 ? r->o.count : IMAGES, size = tp_dataset_size(&r->test);
    n = n < size ? n : size;
    TP_TRY(choose(&r->test, n, out));
    TP_TRY(tp_tensor_new(&out->x, TP_F32, TP_SHAPE(n, tp_dataset_width(&r->test))));
    TP_TRY(run_batches(r, &b, &r->test, 1, TP_F32));
    tp_status s = tp_batches_gather(&b, tp_data(&out->index), n, &out->x);
    tp_batches_free(&b);
    return s;
}

/* Classes in turn, for a model that wants some. */
static tp_status draw_images(run *r, images *out)
{
    int64_t n = r->o.simulate;
    TP_TRY(tp_tensor_new(&out->index, TP_I64, TP_SHAPE(n)));
    int64_t *index = tp_data_mut(&out->index);
    for (int64_t i = 0; i < n; i++)
        index[i] = i;
    if (r->model.type->labels) {
        TP_TRY(tp_tensor_new(&out->labels, TP_I64, TP_SHAPE(n)));
        int64_t *label = tp_data_mut(&out->labels);
        for (int64_t i = 0; i < n; i++)
            label[i] = i % r->model.config.classes;
    }
    const tp_tensor *labels = out->labels.storage != NULL ? &out->labels : NULL;
    return tp_model_simulate(&r->model, r->tape, labels, n, r->o.seed, &out->z, &out->x);
}

/* Images from … to-1 as a batch of views. */
static tp_status batch_of(const images *all, int64_t from, int64_t to, tp_batch *b, tp_tensor *z)
{
    *b = (tp_batch){.n = to - from};
    TP_TRY(tp_view_slice(&all->x, 0, from, to, 1, &b->x));
    if (all->labels.storage != NULL)
        TP_TRY(tp_view_slice(&all->labels, 0, from, to, 1, &b->labels));
    if (all->z.storage != NULL)
        TP_TRY(tp_view_slice(&all->z, 0, from, to, 1, z));
    return tp_view_slice(&all->index, 0, from, to, 1, &b->index);
}

/* --- measuring ------------------------------------------------------------------------------------------- */

static bool on_progress(void *user, double done)
{
    result *m = user;
    bar_part(&m->bar, ((double)m->seen + done * (double)m->now) / (double)m->n, "annealing");
    return stop_signal() == 0;
}

static bool on_weighing(void *user, double done)
{
    result *m = user;
    bar_part(&m->bar, done, "importance samples");
    return stop_signal() == 0;
}

static tp_status stopped(int64_t done, int64_t all)
{
    return tp_fail(TP_EIO, "stopped by %s behind %lld of %lld images", stop_name(stop_signal()),
                   (long long)done, (long long)all);
}

static tp_status anneal(run *r, const images *all, tp_ais_opts o, result *m)
{
    int64_t most = TOGETHER / o.chains > 0 ? TOGETHER / o.chains : 1;
    int64_t batches = (m->n + most - 1) / most;
    o.on_progress = on_progress, o.user = m;
    for (int64_t i = 0; i < batches; i++) { /* of about equal size */
        tp_batch b;
        tp_tensor z;
        int64_t to = m->n * (i + 1) / batches;
        m->now = to - m->seen;
        TP_TRY(batch_of(all, m->seen, to, &b, &z));
        tp_ais_result part = {m->lower + m->seen, m->upper != NULL ? m->upper + m->seen : NULL, 0,
                              0, false};
        TP_TRY(tp_model_ais(&r->model, r->tape, &b, m->upper != NULL ? &z : NULL, o, &part));
        if (part.stopped)
            return stopped(m->seen, m->n);
        double share = (double)m->now / (double)m->n;
        m->acceptance += part.acceptance * share, m->effective += part.effective * share;
        m->seen = to;
    }
    return TP_OK;
}

/* log p(x) of the same images from draws of q(z|x); exactly where the type knows it. */
static tp_status weigh(run *r, const images *all, result *m)
{
    tp_batches b;
    tp_dataset d = {.x = all->x};
    tp_evidence e;
    tp_evidence_opts o = {.seed = r->o.seed, .samples = r->o.importance, .each = m->weighed};
    o.samples = exact(r) ? 0 : o.samples;
    o.on_progress = on_weighing, o.user = m;
    if (all->labels.storage != NULL)
        TP_TRY(tp_tensor_new(&d.labels, TP_U8, all->labels.shape));
    tp_status s = d.labels.storage != NULL ? tp_copy(&d.labels, &all->labels) : TP_OK;
    if (s == TP_OK && (s = tp_batches_init(&b, &d, r->o.batch_size, TP_F32)) == TP_OK) {
        s = tp_model_evidence(&r->model, r->tape, &b, o, &e);
        tp_batches_free(&b);
    }
    if (s == TP_OK && e.examples < m->n)
        s = stopped(e.examples, m->n);
    for (int64_t i = 0; i < m->n; i++)
        m->weighed[i] = -m->weighed[i];
    tp_tensor_free(&d.labels);
    return s;
}

static tp_status measure(run *r, const images *all, const tp_ais_opts *o)
{
    result m = {.n = all->x.shape.dim[0]};
    size_t n = (size_t)m.n;
    double *memory = calloc(3 * n, sizeof *memory);
    if (memory == NULL)
        return tp_fail(TP_ENOMEM, "no memory for the bounds");
    m.lower = memory;
    m.upper = r->o.simulate > 0 ? memory + n : NULL;
    m.weighed = r->o.importance > 0 ? memory + 2 * n : NULL;
    stop_watch();
    m.bar = bar_start(1, 1, 0, 1, 0);
    /* Weighing takes seconds, annealing minutes: a stop loses nothing of the latter. */
    tp_status s = m.weighed != NULL ? weigh(r, all, &m) : TP_OK;
    m.bar = bar_start(1, 1, 0, 1, 0);
    if (s == TP_OK)
        s = anneal(r, all, *o, &m);
    m.seconds = seconds_now() - m.bar.start;
    bar_clear(&m.bar);
    if (s == TP_OK)
        s = print_result(r, o, &m);
    free(memory);
    return s;
}

/* --- the command ----------------------------------------------------------------------------------------- */

static tp_ais_opts settings(const options *o)
{
    tp_ais_opts a = tp_ais_defaults();
    a.chains = o->chains > 0 ? o->chains : a.chains;
    a.temperatures = o->steps > 0 ? o->steps : a.temperatures;
    a.leapfrog = o->leapfrog > 0 ? o->leapfrog : a.leapfrog;
    a.pilot = o->pilot != UNSAID ? o->pilot : a.pilot;
    a.posterior = o->start != 0;
    a.seed = o->seed;
    return a;
}

/* What only shows behind minutes otherwise. */
static tp_status check(const run *r)
{
    const tp_model_type *type = r->model.type;
    if (!tp_model_has_ais(type))
        return tp_fail(TP_EARG, "ais: %s has no prior over real vectors with a decoder",
                       type->name);
    if (r->o.start != 0 && type->posterior == NULL)
        return tp_fail(TP_EARG, "--start posterior: %s has none", type->name);
    if (r->o.importance > 0 && !tp_model_has_nll(type))
        return tp_fail(TP_EARG, "--importance: %s has no p(x) to measure", type->name);
    return TP_OK;
}

static tp_status find_images(run *r, images *out)
{
    if (r->o.simulate > 0)
        return draw_images(r, out);
    if (r->test.x.storage == NULL)
        return tp_fail(
            TP_EIO,
            "%s: nothing to measure; --split train takes the training images, --simulate "
            "some that the model draws",
            r->o.data);
    if (r->o.likelihood == TP_BERNOULLI && eval_of_grey(r))
        note(
            "of grey pixels the Bernoulli likelihood makes no log p(x): what comes out can be compared with "
            "itself only");
    return take_images(r, out);
}

static tp_status run_ais(run *r)
{
    images all = {0};
    tp_ais_opts o = settings(&r->o);
    if (r->o.simulate == 0)
        TP_TRY(run_data(r));
    TP_TRY(run_load_model(r));
    TP_TRY(check(r));
    tp_status s = find_images(r, &all);
    if (s == TP_OK)
        s = measure(r, &all, &o);
    images_free(&all);
    return s;
}

int command_ais(const options *o)
{
    if (o->simulate > 0 && (o->count > 0 || *o->split != '\0'))
        return complain(
            EXIT_USAGE,
            "--simulate: the model draws the images; --count and --split are for others");
    run r;
    tp_status s = run_open(&r, o);
    if (s == TP_OK)
        s = run_ais(&r);
    run_close(&r);
    if (s == TP_OK)
        return EXIT_GOOD;
    return complain_error(stop_exit_code());
}
