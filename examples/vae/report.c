/* report.c: "vae report": one page about a run that needs nothing else: no network, no script, no other file.
 *
 * What a model cannot have is left out. The page depends on the run, its images and the call alone. Read next: pictures.h,
 * curves.c, scatter.c, report_css.h. */
#include "commands.h"
#include "chart.h"
#include "curves.h"
#include "eval.h"
#include "markup.h"
#include "metrics.h"
#include "pictures.h"
#include "report_css.h"
#include "say.h"
#include "scatter.h"
#include "stop.h"
#include "target.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct report {
    run r;
    json page;
    evaluation m;
} report;

/* --- numbers --------------------------------------------------------------------------------------------- */

static void row(json *page, const char *name, const char *format, ...)
{
    char text[PATH_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_raw(page, "<tr><th scope=\"row\">");
    markup_text(page, name);
    json_raw(page, "</th><td>");
    markup_text(page, text);
    json_raw(page, "</td></tr>\n");
}

static void section(json *page, const char *id, const char *title)
{
    json_raw(page, "<section id=\"%s\">\n<h2>%s</h2>\n", id, title);
}

/* Nothing of one image, whose spread is not known. */
static const char *error_text(char text[32], double error)
{
    *text = '\0';
    if (isfinite(error))
        snprintf(text, 32, " ± %.2g", error);
    return text;
}

/* Bounds of log p(x) and log p(x), as far as they are known. */
static void put_evidence(report *p)
{
    const tp_evidence *elbo = &p->m.elbo, *nll = &p->m.nll;
    json *page = &p->page;
    char text[32];
    if (elbo->examples > 0) {
        row(page, "−ELBO", "%.6g%s nats over images, %lld draws each",
            elbo->reconstruction + elbo->kl, error_text(text, elbo->elbo_error),
            (long long)p->m.draws);
        row(page, "its reconstruction", "%.6g nats, −log p(x|z)", elbo->reconstruction);
        row(page, "its KL", "%.6g nats, log q(z|x) − log p(z)", elbo->kl);
    }
    if (nll->examples > 0 && p->r.model.type->logprob != NULL)
        row(page, "−log p(x)", "%.6g%s nats over images, exact", nll->nll,
            error_text(text, nll->nll_error));
    else if (nll->examples > 0)
        row(page, "−log p(x)", "%.6g%s nats over images, from %lld draws of q(z|x) each", nll->nll,
            error_text(text, nll->nll_error), (long long)p->m.draws);
}

/* Of which epoch the weights are, where that is not the last one. */
static void put_epoch(report *p)
{
    metrics m = {0};
    char path[PATH_SIZE];
    if (p->r.o.keep != KEEP_BEST ||
        metrics_read(&m, path_in(path, p->r.o.run, "metrics.jsonl")) != TP_OK)
        return;
    const double *best = metrics_column(&m, "best_epoch");
    if (best != NULL && !isnan(best[m.rows - 1]))
        row(&p->page, "weights", "of epoch %g, the best of %lld by validation loss",
            best[m.rows - 1], (long long)m.rows);
    metrics_free(&m);
}

static void put_numbers(report *p)
{
    const run *r = &p->r;
    json *page = &p->page;
    const latents *l = &p->m.latents;
    double kl = latents_kl(l, &p->m.stats);
    bool test = r->test.x.storage != NULL;
    section(page, "numbers", "Numbers");
    json_raw(page, "<table>\n");
    put_epoch(p);
    row(page, "measured on", "%lld images (%s)", (long long)p->m.stats.samples,
        test ? r->test_split : "train");
    row(page, "loss", "%.6g nats", p->m.stats.loss);
    for (int i = 0; i < p->m.stats.terms && p->m.stats.terms > 1; i++)
        row(page, p->m.stats.name[i], "%.6g", p->m.stats.term[i]);
    put_evidence(p);
    if (p->m.has_baseline)
        row(page, "independent pixels", "%.6g nats", p->m.baseline);
    if (l->dims > 0)
        row(page, "active units", "%lld of %lld", (long long)l->active, (long long)l->dims);
    if (l->kl != NULL && !isnan(kl) && stats_term(&p->m.stats, "kl") == NULL)
        row(page, "KL, all dimensions", "%.6g nats", kl);
    use u = latents_use(l, &p->m.stats, UINT64_MAX);
    if (u != USE_UNKNOWN)
        row(page, "posterior", "%s", u == USE_COLLAPSED ? "has collapsed" : "has not collapsed");
    row(page, "parameters", "%lld", (long long)tp_params_count(&r->model.params));
    json_raw(page, "</table>\n");
    if (p->m.nll.examples > 0 && r->o.likelihood == TP_BERNOULLI && eval_of_grey(r))
        json_raw(
            page,
            "<p class=\"note\">Of grey pixels the Bernoulli likelihood makes no log p(x): it can "
            "be compared with itself only.</p>\n");
}

static bool of_images(const char *name)
{
    static const char *const all[] = {"eval", "reconstruct", "scatter", "traverse", "interpolate"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i], name) == 0)
            return true;
    return false;
}

static void put_flag(report *p, const char *name, const char *value)
{
    char word[SHOWN_TEXT];
    json_raw(&p->page, " --%s ", name);
    markup_text(&p->page, shell_word(word, value));
}

/* The images of the page, where a command would not take them by itself. */
static void put_images(report *p)
{
    const options *o = &p->r.o;
    char path[PATH_SIZE];
    bool named;
    options of_run = preset_options(0);
    if (config_read(&of_run, path_in(path, o->run, "config.json"), &named) == TP_OK &&
        strcmp(of_run.data, o->data) != 0)
        put_flag(p, "data", o->data);
    if (*o->split != '\0')
        put_flag(p, "split", o->split);
    else if (p->r.test.x.storage == NULL)
        put_flag(p, "split", "train");
}

/* The command that makes a figure; more is what stands behind run and images. */
static void put_command(report *p, const char *name, const char *more)
{
    json_raw(&p->page, "<pre><code>vae %s", name);
    put_flag(p, "run", p->r.o.run);
    if (of_images(name))
        put_images(p);
    json_raw(&p->page, "%s</code></pre>\n", more);
}

static void end_numbers(report *p)
{
    char more[64] = "";
    if (p->r.o.importance > 0)
        snprintf(more, sizeof more, " --importance %lld", (long long)p->r.o.importance);
    put_command(p, "eval", more);
    json_raw(&p->page, "</section>\n");
}

/* --- charts ----------------------------------------------------------------------------------------------- */

static tp_status put_curves(report *p)
{
    const options *o = &p->r.o;
    paths runs = {1, {o->run}};
    char path[PATH_SIZE];
    if (access(path_in(path, o->run, "metrics.jsonl"), F_OK) != 0)
        return TP_OK;
    section(&p->page, "curves", "Learning curves");
    json_raw(&p->page, "<div class=\"charts\">\n");
    TP_TRY(curves_draw(&p->page, &runs, o, true));
    json_raw(&p->page, "</div>\n");
    put_command(p, "curves", " --out curves.svg");
    json_raw(&p->page, "</section>\n");
    return TP_OK;
}

/* What each latent dimension costs, most first. */
static tp_status put_kl(report *p)
{
    const latents *l = &p->m.latents;
    if (l->kl == NULL)
        return TP_OK;
    latents as_codes = *l; /* ranked by KL alone, of all levels */
    as_codes.dims = l->kl_dims;
    int64_t *order = malloc((size_t)l->kl_dims * sizeof *order);
    double *numbers = malloc(2 * (size_t)l->kl_dims * sizeof *numbers);
    if (order != NULL && numbers != NULL) {
        char label[96] = "latent dimension, most first";
        if (l->kl_dims > l->dims)
            snprintf(label, sizeof label,
                     "latent dimension, most first; from %lld on of upper levels",
                     (long long)l->dims);
        picture_rank(&as_codes, order);
        for (int64_t i = 0; i < l->kl_dims; i++) {
            numbers[i] = (double)order[i];
            numbers[l->kl_dims + i] = l->kl[order[i]];
        }
        chart_series bars = {.x = numbers, .y = numbers + l->kl_dims, .n = l->kl_dims};
        chart c = {.kind = CHART_BARS,
                   .title = "KL(q(z|x) ‖ p(z)) of each latent dimension",
                   .x_label = label,
                   .y_label = "nats",
                   .series = &bars,
                   .n = 1};
        section(&p->page, "kl", "Use of the latent space");
        json_raw(&p->page, "<div class=\"charts\">\n");
        chart_svg(&p->page, &(chart_sheet){.title = c.title, .charts = &c, .n = 1, .columns = 1});
        json_raw(&p->page, "</div>\n");
        put_command(p, "eval", "");
        json_raw(&p->page, "</section>\n");
    }
    bool enough = order != NULL && numbers != NULL;
    free(order);
    free(numbers);
    return enough ? TP_OK : tp_fail(TP_ENOMEM, "no memory for the chart");
}

static tp_status put_scatter(report *p)
{
    if (!scatter_has(&p->r, &p->m.latents))
        return TP_OK;
    section(&p->page, "scatter", "Codes");
    json_raw(&p->page, "<div class=\"charts\">\n");
    TP_TRY(scatter_draw(&p->r, &p->m.latents, &p->page));
    json_raw(&p->page, "</div>\n");
    put_command(p, "scatter", " --out scatter.svg");
    json_raw(&p->page, "</section>\n");
    return TP_OK;
}

/* --- pictures ---------------------------------------------------------------------------------------------- */

typedef struct figure {
    const char *id, *title, *caption;
    picture_maker *make;
    const char *command, *more;
} figure;

static tp_status put_figure(report *p, const figure *f)
{
    char text[PICTURE_TEXT];
    section(&p->page, f->id, f->title);
    json_raw(&p->page, "<figure>\n");
    TP_TRY(picture_embed(&p->r, &p->m.latents, f->make, &p->page, f->title, text));
    json_raw(&p->page, "<figcaption>%s", f->caption);
    if (*text != '\0') {
        json_raw(&p->page, " Here, ");
        markup_text(&p->page, text);
        json_raw(&p->page, ".");
    }
    json_raw(&p->page, "</figcaption>\n</figure>\n");
    put_command(p, f->command, f->more);
    json_raw(&p->page, "</section>\n");
    return TP_OK;
}

/* Whether a grid has room for so many side by side: of large pictures some figures are left out. */
static bool fits(const run *r, int n)
{
    return picture_fitting(r, n) == n;
}

static tp_status put_reconstructions(report *p)
{
    enum { DRAWS = 3 };
    bool draws = p->r.model.type->posterior != NULL && fits(&p->r, 2 + DRAWS);
    figure f = {
        "reconstructions",
        "Reconstructions",
        draws ? "Images; below them what is decoded from the mean of q(z|x), and from three draws "
                "z ~ q(z|x)."
              : "Images; below them what is decoded from their codes.",
        picture_reconstructions,
        "reconstruct",
        draws ? " --draws 3 --out reconstructions.png" : " --out reconstructions.png"};
    if (!picture_has_reconstructions(&p->r))
        return TP_OK;
    p->r.o.draws = draws ? DRAWS : 0;
    tp_status s = put_figure(p, &f);
    p->r.o.draws = 0;
    return s;
}

static tp_status put_pictures(report *p)
{
    const tp_model_type *type = p->r.model.type;
    figure samples = {"samples",       "Samples", "Means of p(x|z) of draws z from the prior.",
                      picture_samples, "sample",  " --out samples.png"};
    if (type->labels)
        samples.caption =
            "Means of p(x|z, y) of draws z from the prior, a column for each class y.";
    else if (type->decode == NULL) /* no z */
        samples.caption =
            "Draws of x, one pixel behind the other: of each its mean, given those before.";
    static const figure manifold = {
        "manifold",
        "The latent plane",
        "Means of p(x|z) at equal steps of probability under the prior; z0 grows to the right, z1 upwards.",
        picture_manifold,
        "manifold",
        " --out manifold.png"};
    static const figure traversals = {
        "traversals",
        "Traversals",
        "In each row one latent dimension goes from −3 to 3 standard deviations of its prior, or of the codes "
        "if there is no such prior; the others are held at the mean.",
        picture_traversals,
        "traverse",
        " --out traversals.png"};
    static const figure interpolations = {
        "interpolations",
        "Interpolations",
        "In each row an image, what is decoded on the straight line from its code to that of another, and "
        "the other.",
        picture_interpolations,
        "interpolate",
        " --out interpolations.png"};
    bool plane = false;
    TP_TRY(put_reconstructions(p));
    if (tp_model_has_samples(type))
        TP_TRY(put_figure(p, &samples));
    TP_TRY(picture_has_manifold(&p->r, &plane));
    if (plane)
        TP_TRY(put_figure(p, &manifold));
    TP_TRY(put_scatter(p));
    if (!picture_has_walks(&p->r))
        return TP_OK;
    TP_TRY(put_figure(p, &traversals));
    return fits(&p->r, 4) ? put_figure(p, &interpolations) : TP_OK;
}

/* --- the page ------------------------------------------------------------------------------------------------ */

static void put_settings(report *p)
{
    char text[PATH_SIZE];
    section(&p->page, "settings", "Settings");
    json_raw(&p->page, "<table>\n");
    for (int i = 0; i < flag_count; i++) {
        if (!flags[i].config || flags[i].offset == offsetof(options, threads))
            continue; /* threads change nothing */
        flag_text(&p->r.o, &flags[i], text);
        if (*text != '\0')
            row(&p->page, flags[i].name, "%s", text);
    }
    json_raw(&p->page, "</table>\n");
    put_command(p, "info", "");
    json_raw(&p->page, "</section>\n");
}

static void put_head(report *p)
{
    const tp_model_type *type = p->r.model.type;
    json *page = &p->page;
    json_raw(page,
             TARGET_REPORT "\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
                           "content=\"width=device-width, initial-scale=1\"/>\n<title>%s: ",
             type->name);
    markup_text(page, p->r.o.run);
    json_raw(page,
             "</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n<header>\n<h1>%s: ", report_css,
             type->name);
    markup_text(page, p->r.o.run);
    json_raw(page, "</h1>\n<p>");
    markup_text(page, type->summary);
    json_raw(page, " (");
    markup_text(page, type->source);
    json_raw(page, "). It minimises</p>\n<p class=\"formula\">");
    markup_text(page, type->objective);
    json_raw(page, "</p>\n</header>\n");
}

static tp_status fill(report *p)
{
    tp_batches b;
    run *r = &p->r;
    TP_TRY(run_data(r));
    run_note_untested(r);
    TP_TRY(run_load_model(r));
    if (r->o.importance > 0 && !tp_model_has_nll(r->model.type))
        return tp_fail(TP_EARG, "--importance: %s has no p(x) to measure", r->model.type->name);
    TP_TRY(run_batches(r, &b, picture_images(r), r->o.batch_size, TP_F32));
    tp_status s = eval_measure(r, &b, &p->m);
    tp_batches_free(&b);
    TP_TRY(s);
    put_head(p);
    put_numbers(p);
    end_numbers(p);
    TP_TRY(put_curves(p));
    TP_TRY(put_kl(p));
    TP_TRY(put_pictures(p));
    put_settings(p);
    json_raw(&p->page, "</main>\n</body>\n</html>\n");
    return TP_OK;
}

int command_report(const options *o)
{
    report p = {0};
    char out[PATH_SIZE];
    bool exists = false;
    if (*o->out != '\0')
        snprintf(out, sizeof out, "%s", o->out);
    else
        path_in(out, o->run, "report.html");
    tp_status s = run_open(&p.r, o);
    if (s == TP_OK)
        s = target_check(out, TARGET_REPORT, &exists);
    if (s == TP_OK)
        s = fill(&p);
    if (s == TP_OK && stop_signal() != 0)
        s = tp_fail(TP_EIO, "stopped by %s: no page is written", stop_name(stop_signal()));
    if (s == TP_OK)
        s = json_save(&p.page, out);
    latents_free(&p.m.latents);
    json_free(&p.page);
    run_close(&p.r);
    return target_said(s, out, exists);
}
