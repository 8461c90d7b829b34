/* explain.c: "vae explain": the gradients of one training step, derived and checked.
 *
 * Model, data, noise and order are those of training; the derivation is autograd/explain.h's. Read next: place.c,
 * stepper.c. */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "commands.h"
#include "explain.h"
#include "measure.h"
#include "say.h"

#include "nn/checkpoint.h"
#include "tensor/io/file.h"
#include "tensor/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- pages ---------------------------------------------------------------------------------------- */

tp_status page_open(page *p)
{
    *p = (page){0};
    p->to = open_memstream(&p->text, &p->bytes);
    return p->to != NULL ? TP_OK : tp_fail(TP_ENOMEM, "no memory for the derivation");
}

tp_status page_close(page *p, tp_status status)
{
    bool whole = !ferror(p->to);
    whole &= fclose(p->to) == 0;
    whole &=
        p->text != NULL; /* glibc gives it back in its right size, or not at all and says nothing */
    p->to = NULL;
    return whole ? status : tp_fail(TP_ENOMEM, "no memory for the derivation");
}

void page_free(page *p)
{
    if (p->to != NULL)
        fclose(p->to);
    free(p->text);
    *p = (page){0};
}

/* --- the step ------------------------------------------------------------------------------------- */

static bool is_behind(void *user, const tp_stats *so_far)
{
    const lesson *l = user;
    (void)so_far;
    return l->trainer.step < (uint64_t)l->r.o.after + l->begun;
}

static tp_status train(lesson *l)
{
    tp_stats stats;
    l->begun = l->trainer.step;
    l->trainer.on_batch = is_behind;
    l->trainer.user = l;
    while (is_behind(l, NULL))
        TP_TRY(tp_train_rest(&l->trainer, &l->batches, &stats));
    return TP_OK;
}

/* The minibatch that comes next; the end of an epoch is the start of another one. */
static tp_status next_batch(lesson *l, tp_batch *b)
{
    tp_trainer *t = &l->trainer;
    if (t->done.samples == l->batches.size) {
        t->done = (tp_stats){0};
        t->epoch++;
    }
    bool got;
    tp_batches_shuffle(&l->batches, t->seed, t->epoch);
    TP_TRY(tp_batches_skip(&l->batches, t->done.samples));
    return tp_batches_next(&l->batches, b, &got);
}

/* Its first images. */
static tp_status cut_batch(lesson *l, const tp_batch *b)
{
    int64_t n = l->r.o.images < b->n ? l->r.o.images : b->n;
    l->batch = (tp_batch){.n = n};
    TP_TRY(tp_view_slice(&b->x, 0, 0, n, 1, &l->batch.x));
    TP_TRY(tp_view_slice(&b->index, 0, 0, n, 1, &l->batch.index));
    return b->labels.storage == NULL ? TP_OK
                                     : tp_view_slice(&b->labels, 0, 0, n, 1, &l->batch.labels);
}

/* Where the run is: its last checkpoint, or if there is none the weights alone. */
static tp_status restore(lesson *l)
{
    tp_checkpoint c;
    const char *dir = l->r.o.run;
    TP_TRY(tp_checkpoint_open(&c, dir));
    if (c.note != NULL)
        note("%s", c.note);
    tp_status s = TP_OK;
    bool there = c.path != NULL;
    if (there)
        s = tp_checkpoint_load(&c, &l->trainer, &l->batches);
    tp_checkpoint_close(&c);
    if (there)
        return s;
    char path[PATH_SIZE];
    note("%s: no checkpoint: takes the weights of model.safetensors, at step 1", dir);
    return tp_params_load(&l->r.model.params, path_in(path, dir, "model.safetensors"));
}

static tp_status prepare(lesson *l, const options *o)
{
    tp_batch whole;
    TP_TRY(run_open(&l->r, o));
    if (*o->run == '\0')
        l->r.o.height = l->r.o.width = l->r.o.classes = l->r.o.examples = 0; /* the data say */
    TP_TRY(run_training_data(&l->r));
    TP_TRY(run_new_model(&l->r));
    TP_TRY(set_output_bias(&l->r));
    TP_TRY(run_trainer(&l->r, &l->batches, &l->optimizer, &l->trainer));
    if (*o->run != '\0')
        TP_TRY(restore(l));
    TP_TRY(train(l));
    TP_TRY(next_batch(l, &whole));
    return cut_batch(l, &whole);
}

tp_var lesson_record(lesson *l, tp_tape *t)
{
    tp_trainer of = l->trainer;
    of.tape = t;
    return tp_train_record(&of, &l->batch).total;
}

/* --- formats --------------------------------------------------------------------------------------- */

/* What such a file is called, and what stands near the beginning of those that this command writes and of no others:
 * whole, and of one number. */
static const struct {
    const char *suffix, *kind, *mark, *mark_at;
} formats[] = {
    [FORMAT_TEXT] = {".txt", "a derivation", "forward: what ", "why ∂"},
    [FORMAT_MARKDOWN] = {".md", "a derivation in Markdown", "# One training step of ", "### Why ∂"},
    [FORMAT_LATEX] = {".tex", "a derivation in LaTeX", "{One training step of ", "*{Why "},
    [FORMAT_HTML] = {".html", "the page of a derivation", "<title>One training step of ",
                     "<h2>Why ∂"},
    [FORMAT_DOT] = {".dot", "a graph for DOT", "digraph tape {", NULL},
    [FORMAT_MERMAID] = {".mmd", "a graph for Mermaid", "flowchart TB\n  n", NULL},
    [FORMAT_SVG] = {".svg", "a graph as SVG", "class=\"graph\"", NULL},
};

static bool is_graph(int64_t format)
{
    return format == FORMAT_DOT || format == FORMAT_MERMAID || format == FORMAT_SVG;
}

static tp_status settle_opts(lesson *l)
{
    static const tp_explain_format pages[] = {[FORMAT_TEXT] = TP_EXPLAIN_TEXT,
                                              [FORMAT_MARKDOWN] = TP_EXPLAIN_MARKDOWN,
                                              [FORMAT_LATEX] = TP_EXPLAIN_TEX,
                                              [FORMAT_HTML] = TP_EXPLAIN_HTML};
    const options *o = &l->r.o;
    snprintf(l->title, sizeof l->title, "One training step of %s", l->r.model.type->name);
    l->opts = (tp_explain_opts){TP_EXPLAIN_ALL, .composed = o->composed, .title = l->title,
                                .tally = &l->tally};
    if (!is_graph(o->format))
        l->opts.format = pages[o->format];
    return notation_settle(l);
}

/* --- what is written ------------------------------------------------------------------------------ */

/* What is asked for, by name or suffix. */
static int settle_format(options *o)
{
    const char *dot = strrchr(o->out, '.');
    for (int i = 0; o->format == UNSAID && format_name(i) != NULL; i++)
        if (dot != NULL && strcmp(dot, formats[i].suffix) == 0)
            o->format = i;
    if (o->format == UNSAID && *o->out != '\0')
        return complain(
            EXIT_USAGE,
            "--out %s: of no format by its suffix, .txt, .md, .tex, .html, .dot, .mmd or "
            ".svg; --format names one",
            o->out);
    if (o->format == UNSAID)
        o->format = FORMAT_TEXT;
    if (is_graph(o->format) && *o->at != '\0')
        return complain(EXIT_USAGE, "--at: %s is the graph of the whole step",
                        format_name((int)o->format));
    if (!o->interactive)
        return EXIT_GOOD;
    const char *other = *o->at != '\0' ? "at" : *o->out != '\0' ? "out" : NULL;
    if (other != NULL || o->format != FORMAT_TEXT)
        return complain(EXIT_USAGE,
                        "--%s: not with --interactive, which writes text to standard output",
                        other != NULL ? other : "format");
    return EXIT_GOOD;
}

static tp_status write_graph(const lesson *l, FILE *to, tp_var loss)
{
    static const tp_graph_format graphs[] = {[FORMAT_DOT] = TP_GRAPH_DOT,
                                             [FORMAT_MERMAID] = TP_GRAPH_MERMAID,
                                             [FORMAT_SVG] = TP_GRAPH_SVG};
    return tp_explain_graph(to, loss,
                            (tp_graph_opts){.format = graphs[l->r.o.format],
                                            .fold = !l->r.o.unfold,
                                            .notation = l->opts.notation});
}

static tp_status write_derivation(lesson *l, FILE *to)
{
    const options *o = &l->r.o;
    TP_TRY(settle_opts(l));
    tp_var loss = lesson_record(l, l->r.tape);
    TP_TRY(tp_var_status(loss));
    TP_TRY(notation_check(l, loss));
    if (is_graph(o->format))
        return write_graph(l, to, loss);
    if (*o->at == '\0')
        return tp_explain(to, loss, l->opts);
    return place_explain(to, loss, o->at, &l->opts);
}

static bool is_ours(int64_t format, const char *head)
{
    const char *at = formats[format].mark_at;
    return strstr(head, formats[format].mark) != NULL || (at != NULL && strstr(head, at) != NULL);
}

/* A file may be replaced by one of its kind. */
static tp_status check_target(const options *o)
{
    char head[1024] = "";
    tp_file f;
    if (tp_file_missing(o->out))
        return TP_OK;
    TP_TRY(tp_file_open(&f, o->out));
    size_t n = f.size < (int64_t)sizeof head ? (size_t)f.size : sizeof head - 1;
    tp_status s = tp_file_read_at(&f, 0, head, n);
    tp_file_close(&f);
    if (s == TP_OK && !is_ours(o->format, head))
        return tp_fail(TP_EIO, "--out %s: is there and is %s, not %s: it is not replaced", o->out,
                       tp_file_looks_like(head, n), formats[o->format].kind);
    return s;
}

static tp_status deliver(const page *p, const char *path)
{
    tp_file_writer w;
    if (*path == '\0')
        return fwrite(p->text, 1, p->bytes, stdout) == p->bytes && fflush(stdout) == 0
                   ? TP_OK
                   : tp_fail(TP_EIO, "cannot write to standard output");
    TP_TRY(tp_file_begin(&w, path));
    TP_TRY(tp_file_write(&w, p->text, p->bytes));
    return tp_file_commit(&w);
}

static tp_status write_page(lesson *l, const options *o)
{
    page p;
    if (*o->out != '\0')
        TP_TRY(check_target(o)); /* before what takes time, too */
    TP_TRY(prepare(l, o));
    TP_TRY(page_open(&p));
    tp_status s = page_close(&p, write_derivation(l, p.to));
    if (s == TP_OK)
        s = deliver(&p, o->out);
    page_free(&p);
    return s;
}

/* --- the command ---------------------------------------------------------------------------------- */

/* What people want to know who do not read it all. */
static int verdict(const lesson *l)
{
    const tp_explain_tally *t = &l->tally;
    char worst[TP_NUMBER_TEXT];
    if (t->steps > 0)
        note(
            "%d steps backward; rules checked: %d ok, %d wrong, %d skipped; worst error %s of its bound, at step %d",
            t->steps, t->ok, t->wrong, t->skipped, tp_number(worst, 'g', 1, t->worst),
            t->worst_step);
    if (t->wrong > 0)
        return complain(EXIT_BAD, "a gradient is wrong: the derivation marks where");
    return EXIT_GOOD;
}

int command_explain(const options *asked)
{
    lesson l = {0};
    options o = *asked;
    int code = settle_format(&o);
    if (code != EXIT_GOOD)
        return code;
    tp_status s = o.interactive ? prepare(&l, &o) : write_page(&l, &o);
    if (s == TP_OK && o.interactive) {
        s = settle_opts(&l);
        if (s == TP_OK)
            s = lesson_walk(&l);
    }
    code = s != TP_OK ? complain_error(EXIT_BAD) : verdict(&l);
    notation_free(&l);
    tp_optimizer_free(&l.optimizer);
    tp_batches_free(&l.batches);
    run_close(&l.r);
    return code;
}
