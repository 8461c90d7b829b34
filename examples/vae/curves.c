/* curves.c: "vae curves", and the learning curves of a report. Read next: metrics.c, chart.c. */
#include "curves.h"
#include "chart.h"
#include "commands.h"
#include "metrics.h"
#include "run.h"
#include "say.h"
#include "target.h"

#include "tensor/mem.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIXES = 3, PANELS = 24, SERIES = PATHS_MOST * PREFIXES };
static const char *const prefixes[PREFIXES] = {"train_", "valid_", "test_"};
static const char *const sets[PREFIXES] = {"training", "validation", "test"};

static const struct {
    const char *name, *title, *unit;
} known[] = {
    {"loss", "loss", "nats"},
    {"bound", "lower bound of log p(x)", "nats"},
    {"recon", "reconstruction, E[−log p(x|z)]", "nats"},
    {"kl", "KL(q(z|x) ‖ p(z))", "nats"},
    {"kl1", "KL of the lower level", "nats"},
    {"kl2", "KL of the upper level", "nats"},
    {"nll", "−log p(x)", "nats"},
    {"active_units", "active units", "latent dimensions"},
};
enum { KNOWN = sizeof known / sizeof *known };

const char *curves_x_name(int i)
{
    static const char *const names[] = {"epochs", "steps", "samples", NULL};
    return names[i];
}

/* Everything on its way to the sheet. Large: in memory of its own. */
typedef struct book {
    const options *o;
    int runs;
    struct {
        const char *name;
        metrics m;
        double *x, *bound[PREFIXES]; /* −loss, if it is asked for */
    } run[PATHS_MOST];
    bool no_bound; /* of some run −loss is none, or is not known to be one */
    bool apart;
    int panels, legends;
    char term[PANELS][METRICS_NAME];
    chart_series series[PANELS][SERIES], legend[SERIES];
    char legend_name[SERIES][PATH_SIZE + 32];
    chart charts[PANELS];
} book;

/* --- reading --------------------------------------------------------------------------------------- */

static tp_status column(double **to, const metrics *m, const double *from, double factor)
{
    *to = tp_alloc((size_t)m->rows * sizeof **to);
    for (int64_t i = 0; *to != NULL && i < m->rows; i++)
        (*to)[i] = factor * from[i];
    return *to != NULL ? TP_OK : TP_ENOMEM;
}

/* How many images the run has seen in an epoch. */
static tp_status examples(const char *dir, double *n)
{
    char path[PATH_SIZE];
    bool named;
    options o = preset_options(0);
    TP_TRY(config_read(&o, path_in(path, dir, "config.json"), &named));
    if (o.examples == 0)
        return tp_fail(TP_EFORMAT, "%s: \"examples\" is missing: --x samples needs it", path);
    *n = (double)o.examples;
    return TP_OK;
}

/* Notes whether a run's −loss is a lower bound of log p(x), as far as its settings say it surely: the loss of a type with a β
 * weighs its KL with that alone, and options that are not as always may weigh something, too. Discrete latents are relaxed,
 * and with labels it is log p(x|y). Without settings it is not known. */
static tp_status note_bound(book *b, const char *dir)
{
    char path[PATH_SIZE];
    bool named;
    options o = preset_options(0);
    tp_model_config c;
    tp_status s = config_read(&o, path_in(path, dir, "config.json"), &named);
    if (s == TP_OK)
        s = options_model(&o, &c);
    bool sure = false;
    if (s == TP_OK) {
        const tp_model_type *type = tp_model_types[o.model];
        tp_model_config always = tp_model_defaults(type);
        sure = type->beta && tp_model_has_weights(type) && !type->discrete && !type->labels &&
               c.beta == 1 && memcmp(c.option, always.option, sizeof c.option) == 0;
    }
    b->no_bound = b->no_bound || !sure;
    return s == TP_ENOMEM ? s : TP_OK;
}

static tp_status read_run(book *b, const char *dir)
{
    char path[PATH_SIZE];
    int i = b->runs++;
    metrics *m = &b->run[i].m;
    double factor = 1;
    b->run[i].name = dir;
    TP_TRY(metrics_read(m, path_in(path, dir, "metrics.jsonl")));
    if (b->o->x == CURVES_SAMPLES)
        TP_TRY(examples(dir, &factor));
    const char *key = b->o->x == CURVES_STEPS ? "step" : "epoch";
    const double *x = metrics_column(m, key);
    if (x == NULL)
        return tp_fail(TP_EFORMAT, "%s: \"%s\" is missing", path, key);
    TP_TRY(column(&b->run[i].x, m, x, factor));
    for (int k = 0; k < PREFIXES; k++) {
        char name[METRICS_NAME];
        snprintf(name, sizeof name, "%sloss", prefixes[k]);
        const double *loss = metrics_column(m, name);
        if (loss != NULL)
            TP_TRY(column(&b->run[i].bound[k], m, loss, -1));
    }
    return TP_OK;
}

/* --- which charts ------------------------------------------------------------------------------------ */

/* Whether a key of metrics.jsonl names a curve as it is: neither what curves are drawn over nor a term on one set. */
static bool is_term(const char *key)
{
    static const char *const none[] = {"epoch", "step", "best_epoch"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (strcmp(key, none[i]) == 0)
            return false;
    for (int k = 0; k < PREFIXES; k++)
        if (strncmp(key, prefixes[k], strlen(prefixes[k])) == 0)
            return false;
    return true;
}

/* The curve of a term on one set of images; what has no set of its own is of those that the epochs are judged by: of the
 * validation images, if there are any. */
static const double *curve_of(const book *b, int r, int prefix, const char *term)
{
    enum { VALID = 1, TEST = 2 };
    char name[2 * METRICS_NAME];
    if (strcmp(term, "bound") == 0)
        return b->run[r].bound[prefix];
    snprintf(name, sizeof name, "%s%s", prefixes[prefix], term);
    const double *c = metrics_column(&b->run[r].m, name);
    int judged = b->run[r].bound[VALID] != NULL ? VALID : TEST;
    return c != NULL || prefix != judged || !is_term(term) ? c : metrics_column(&b->run[r].m, term);
}

static bool anywhere(const book *b, const char *term)
{
    for (int r = 0; r < b->runs; r++)
        for (int k = 0; k < PREFIXES; k++)
            if (curve_of(b, r, k, term) != NULL)
                return true;
    return false;
}

static bool has_panel(const book *b, const char *term)
{
    for (int i = 0; i < b->panels; i++)
        if (strcmp(b->term[i], term) == 0)
            return true;
    return false;
}

static void add_panel(book *b, const char *term)
{
    if (!has_panel(b, term) && b->panels < PANELS && anywhere(b, term))
        snprintf(b->term[b->panels++], METRICS_NAME, "%s", term);
}

static void add_all(book *b)
{
    for (int r = 0; r < b->runs; r++)
        for (int i = 0; i < b->run[r].m.keys; i++) {
            const char *term = b->run[r].m.name[i];
            for (int k = 0; k < PREFIXES; k++)
                if (strncmp(term, prefixes[k], strlen(prefixes[k])) == 0) {
                    term += strlen(prefixes[k]);
                    break;
                }
            add_panel(b, term);
        }
}

static tp_status no_curve(book *b, const char *term, size_t n)
{
    char all[PANELS * (METRICS_NAME + 2) + 8]; /* with commas, and "bound" */
    size_t used = 0;
    b->panels = 0;
    add_all(b);
    for (int i = 0; i < b->panels; i++)
        used += (size_t)snprintf(all + used, sizeof all - used, "%s, ", b->term[i]);
    snprintf(all + used, sizeof all - used, "bound");
    return tp_fail(TP_EARG, "--terms: no curve is called '%.*s', only: %s", (int)(n < 64 ? n : 64),
                   term, all);
}

static tp_status add_asked(book *b)
{
    for (const char *at = b->o->terms;; at++) {
        char term[METRICS_NAME];
        size_t n = strcspn(at, ",");
        snprintf(term, sizeof term, "%.*s", (int)n, at);
        if (n == 0 || n >= sizeof term || !anywhere(b, term))
            return no_curve(b, at, n);
        add_panel(b, term);
        at += n;
        if (*at == '\0')
            return TP_OK;
    }
}

/* --- the sheet ----------------------------------------------------------------------------------------- */

enum { SHOWN = 28 }; /* of a long path, with the set, in a legend over a single chart */

/* A part of a path: bytes [from, to). */
typedef struct part {
    const char *path;
    size_t from, to;
} part;

static bool within_character(const char *s)
{
    return ((unsigned char)*s & 0xc0) == 0x80;
}

/* SHOWN bytes of a path, those before the last `cut` bytes. A word that would end there in its middle stays whole, if it is
 * not long: beta-11 and beta-21 are not shown as beta-1 and beta-2. */
static part part_of(const char *path, size_t cut)
{
    enum { WORD = SHOWN / 2 };
    size_t n = strlen(path) - cut, to = n;
    while (isalnum((unsigned char)path[to]) && to < n + WORD)
        to++;
    while (within_character(path + to))
        to++;
    part p = {path, to > SHOWN ? to - SHOWN : 0, to};
    while (within_character(path + p.from))
        p.from++;
    return p;
}

static bool looks_the_same(part a, part b)
{
    return a.to - a.from == b.to - b.from && (a.from > 0) == (b.from > 0) &&
           memcmp(a.path + a.from, b.path + b.from, a.to - a.from) == 0;
}

static size_t common_end(const char *a, const char *b)
{
    size_t n = 0, in_a = strlen(a), in_b = strlen(b);
    while (n < in_a && n < in_b && a[in_a - 1 - n] == b[in_b - 1 - n])
        n++;
    return n;
}

/* What a legend shows of the path of a run: its end. Where other paths end so, too, what is before that common end: there is
 * what tells it from them. */
static part shown_of(const book *b, int r)
{
    const char *path = b->run[r].name;
    for (size_t cut = 0;;) {
        part p = part_of(path, cut);
        size_t least = SIZE_MAX;
        for (int i = 0; i < b->runs; i++) {
            const char *other = b->run[i].name;
            size_t common = common_end(path, other);
            if (common > cut && common < least && strcmp(path, other) != 0 &&
                looks_the_same(p, part_of(other, cut)))
                least = common;
        }
        if (least == SIZE_MAX)
            return p;
        cut = least;
    }
}

static void name_in_legend(book *b, int r, int prefix, chart_series s)
{
    int at = r * PREFIXES + prefix;
    char *name = b->legend_name[at];
    part p = shown_of(b, r);
    if (*name != '\0')
        return;
    if (b->runs == 1)
        snprintf(name, sizeof *b->legend_name, "%s", sets[prefix]);
    else
        snprintf(name, sizeof *b->legend_name, "%s%.*s%s, %s", p.from > 0 ? "…" : "",
                 (int)(p.to - p.from), p.path + p.from, p.path[p.to] != '\0' ? "…" : "",
                 sets[prefix]);
    s.name = name;
    b->legend[b->legends++] = s;
}

static void fill_panel(book *b, int panel)
{
    const char *term = b->term[panel], *title = term, *unit = "value";
    static const char *const labels[] = {"epochs", "steps", "training images seen"};
    static const int looks[PREFIXES] = {0, 2, 1}; /* of a single run */
    chart_series *to = b->series[panel];
    int n = 0;
    for (int r = 0; r < b->runs; r++)
        for (int k = 0; k < PREFIXES; k++) {
            const double *y = curve_of(b, r, k, term);
            if (y == NULL)
                continue;
            chart_series s = {.x = b->run[r].x, .y = y, .n = b->run[r].m.rows};
            s.look = b->runs == 1 ? looks[k] : r;
            s.dash = b->runs == 1 ? looks[k] : PREFIXES - 1 - k;
            s.marker = b->runs == 1 ? 0 : r + 1;
            name_in_legend(b, r, k, s);
            to[n++] = s;
        }
    for (int i = 0; i < KNOWN; i++)
        if (strcmp(term, known[i].name) == 0)
            title = known[i].title, unit = known[i].unit;
    if (strcmp(term, "bound") == 0 && b->no_bound)
        title = "−loss";
    b->charts[panel] = (chart){.kind = CHART_LINES,
                               .title = title,
                               .x_label = labels[b->o->x],
                               .y_label = unit,
                               .log_x = b->o->log,
                               .whole_x = true,
                               .zero = strcmp(term, "active_units") == 0,
                               .series = to,
                               .n = n};
}

static tp_status fill(book *b, json *out, const paths *runs)
{
    enum { WIDE = 2 };
    for (int i = 0; i < runs->n; i++)
        TP_TRY(read_run(b, runs->at[i]));
    if (*b->o->terms != '\0')
        TP_TRY(add_asked(b));
    else
        add_all(b);
    if (b->panels == 0)
        return tp_fail(TP_EFORMAT, "%s/metrics.jsonl: there are no curves", runs->at[0]);
    for (int i = 0; i < runs->n && has_panel(b, "bound"); i++)
        TP_TRY(note_bound(b, runs->at[i]));
    for (int i = 0; i < b->panels; i++)
        fill_panel(b, i);
    int each = b->apart ? 1 : b->panels;
    for (int i = 0; i < b->panels; i += each)
        chart_svg(out, &(chart_sheet){.title = b->apart ? b->charts[i].title : "Learning curves",
                                      .charts = b->charts + i,
                                      .n = each,
                                      .columns = WIDE,
                                      .legend = b->legend,
                                      .legends = b->legends});
    return TP_OK;
}

tp_status curves_draw(json *out, const paths *runs, const options *o, bool apart)
{
    book *b = calloc(1, sizeof *b);
    if (b == NULL)
        return tp_fail(TP_ENOMEM, "no memory for the curves");
    b->o = o;
    b->apart = apart;
    tp_status s = fill(b, out, runs);
    for (int i = 0; i < b->runs; i++) {
        size_t bytes = (size_t)b->run[i].m.rows * sizeof(double);
        tp_free(b->run[i].x, bytes);
        for (int k = 0; k < PREFIXES; k++)
            tp_free(b->run[i].bound[k], bytes);
        metrics_free(&b->run[i].m);
    }
    free(b);
    return s;
}

int command_curves(const options *o)
{
    json svg = {0};
    bool exists = false;
    tp_status s = target_check(o->out, TARGET_SVG, &exists);
    if (s == TP_OK)
        s = curves_draw(&svg, &o->runs, o, false);
    if (s == TP_OK)
        s = json_save(&svg, o->out);
    json_free(&svg);
    return target_said(s, o->out, exists);
}
