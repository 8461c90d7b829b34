/* explain.c: one derivation, from the forward list to the gradients, in any format. What a step consists of is
 * collected by step.c; how it looks is up to the formats. Read next: step.h. */
#include "autograd/explain/page.h"

static const tp_writer *writer_of(tp_explain_format format)
{
    static const tp_writer *const writers[] = {
        [TP_EXPLAIN_TEXT] = &tp_writer_text,
        [TP_EXPLAIN_MARKDOWN] = &tp_writer_markdown,
        [TP_EXPLAIN_TEX] = &tp_writer_tex,
        [TP_EXPLAIN_HTML] = &tp_writer_html,
    };
    if ((unsigned)format < sizeof writers / sizeof *writers)
        return writers[format];
    tp_fail(TP_EARG, "tp_explain: there is no format %d", (int)format);
    return NULL;
}

static tp_page page_of(FILE *out, const tp_explain_opts *o, const tp_passage *passage)
{
    return (tp_page){
        .out = out,
        .o = o,
        .passage = passage,
        .look = {.tape = passage->tape,
                 .tex = o->format == TP_EXPLAIN_TEX || o->format == TP_EXPLAIN_MARKDOWN,
                 .html = o->format == TP_EXPLAIN_HTML,
                 .notation = &o->notation}};
}

tp_status tp_explain_forward(FILE *out, tp_var root, tp_explain_opts o)
{
    const tp_node *node = tp_node_of(root);
    const tp_writer *w = writer_of(o.format);
    if (node == NULL || w == NULL)
        return w == NULL ? TP_EARG : tp_var_status(root);
    tp_passage passage;
    TP_TRY(tp_passage_new(&passage, root));
    tp_page page = page_of(out, &o, &passage);
    w->forward(&page);
    tp_passage_free(&passage);
    return tp_text_written(out, "tp_explain");
}

static void count_finding(tp_explain_tally *tally, const tp_finding *f, int step)
{
    tally->ok += f->verdict == TP_AGREES;
    tally->wrong += f->verdict == TP_DIFFERS;
    tally->skipped += f->verdict == TP_SKIPPED;
    double share = f->verdict == TP_SKIPPED ? 0 : f->error / f->bound;
    if (share > tally->worst) {
        tally->worst = share;
        tally->worst_step = step;
    }
}

static void count(tp_explain_tally *tally, const tp_step *s)
{
    tally->steps++;
    for (int i = 0; i < s->parts; i++)
        if (s->part[i].checked)
            count_finding(tally, &s->part[i].check, s->number);
}

static tp_status write_step(tp_page *page, const tp_writer *w, const tp_sweep *s)
{
    tp_step step;
    TP_TRY(tp_step_begin(&step, s, page->passage, page->o, &page->look));
    count(&page->tally, &step);
    w->step(page, &step);
    tp_step_end(&step);
    return step.status != TP_OK ? step.status : tp_text_written(page->out, "tp_explain");
}

tp_status tp_explain_step(FILE *out, const tp_sweep *s, tp_explain_opts o)
{
    if (s->tape == NULL || !s->tape->live || s->tape->reset_epoch != s->epoch || s->n == 0 ||
        s->status != TP_OK)
        return tp_fail(TP_EARG, "tp_explain_step: the sweep has not just taken a step");
    const tp_writer *w = writer_of(o.format);
    if (w == NULL)
        return TP_EARG;
    tp_passage passage;
    TP_TRY(tp_passage_new(&passage, tp_var_at(s->tape, s->root)));
    tp_passage_mark(&passage);
    tp_page page = page_of(out, &o, &passage);
    tp_status status = write_step(&page, w, s);
    tp_passage_free(&passage);
    if (o.tally != NULL)
        *o.tally = page.tally;
    return status;
}

/* --- the whole derivation ----------------------------------------------------------------------- */

static tp_status write_sweep(tp_page *page, const tp_writer *w, tp_sweep *s)
{
    tp_status status = TP_OK;
    while (status == TP_OK && tp_sweep_next(s))
        status = write_step(page, w, s);
    TP_TRY(status != TP_OK ? status : s->status);
    w->gradients(page, s);
    if (w->end != NULL)
        w->end(page);
    return tp_text_written(page->out, "tp_explain");
}

static tp_status write_all(tp_page *page, tp_passage *passage, const tp_writer *w, tp_sweep *s)
{
    TP_TRY(s->status);
    tp_passage_mark(passage);
    if (w->begin != NULL)
        w->begin(page);
    TP_TRY(page->status);
    w->forward(page);
    return write_sweep(page, w, s);
}

/* What failed is the caller's to handle, the tape stays usable. */
static void forget_failure(tp_tape *t, tp_status before)
{
    if (before != TP_OK)
        return;
    t->status = TP_OK;
    t->message[0] = '\0';
}

tp_status tp_explain(FILE *out, tp_var root, tp_explain_opts o)
{
    TP_TRY(tp_var_status(root));
    const tp_writer *w = writer_of(o.format);
    if (w == NULL)
        return TP_EARG;
    tp_passage passage;
    TP_TRY(tp_passage_new(&passage, root));
    tp_status before = root.tape->status;
    tp_page page = page_of(out, &o, &passage);
    page.whole = true;
    tp_sweep s = tp_sweep_begin(root, (tp_sweep_opts){.composed = o.composed});
    tp_status status = write_all(&page, &passage, w, &s);
    s.done = false; /* as if abandoned: no gradient is written */
    tp_sweep_end(&s);
    forget_failure(root.tape, before);
    tp_passage_free(&passage);
    if (o.tally != NULL)
        *o.tally = page.tally;
    return status;
}

/* --- one number ----------------------------------------------------------------------------------- */

static tp_status write_element(tp_page *page, tp_passage *passage, const tp_writer *w, tp_sweep *s,
                               tp_var v, int64_t at)
{
    tp_element e;
    TP_TRY(s->status);
    tp_passage_mark(passage);
    tp_status status = tp_element_new(&e, s, passage, v, at);
    if (status == TP_ENOMEM)
        tp_fail_prefix("tp_explain_element: ");
    TP_TRY(status);
    if (page->o->document && w->begin != NULL)
        w->begin(page);
    w->element(page, &e);
    if (page->o->document && w->end != NULL)
        w->end(page);
    count_finding(&page->tally, &e.check, 0);
    tp_element_free(&e);
    return tp_text_written(page->out, "tp_explain_element");
}

tp_status tp_explain_element(FILE *out, tp_var root, tp_var v, int64_t at, tp_explain_opts o)
{
    TP_TRY(tp_var_status(root));
    TP_TRY(tp_var_status(v));
    const tp_writer *w = writer_of(o.format);
    if (w == NULL)
        return TP_EARG;
    tp_passage passage;
    TP_TRY(tp_passage_new(&passage, root));
    tp_status before = root.tape->status;
    tp_page page = page_of(out, &o, &passage);
    tp_sweep s = tp_sweep_begin(root, (tp_sweep_opts){.composed = o.composed});
    tp_status status = write_element(&page, &passage, w, &s, v, at);
    s.done = false;
    tp_sweep_end(&s);
    forget_failure(root.tape, before);
    tp_passage_free(&passage);
    if (o.tally != NULL)
        *o.tally = page.tally;
    return status;
}
