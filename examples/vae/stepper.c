/* stepper.c: "vae explain --interactive": the steps of backward one by one, forth and back.
 *
 * The sweep is over before the first prompt: each step's text is kept, so that back is as cheap as forth, and print knows
 * every gradient. why counts on a recording of its own. Read next: explain.c. */
#define _POSIX_C_SOURCE 200809L
#include "explain.h"
#include "say.h"

#include "autograd/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A step that was taken: what it says, and the gradient of the loss by the value that it treated, which the sweep forgets. */
typedef struct taken {
    page page;
    uint32_t id;
    tp_tensor gradient;
} taken;

typedef struct walk {
    lesson *l;
    tp_var loss;
    tp_sweep sweep; /* done, and open for the gradients of parameters */
    taken *step;    /* [steps] */

    int steps, capacity, at; /* at 0: before the first */
    tp_tape *other;
    tp_var twin; /* the loss on the other tape; the zero var: not recorded yet */
} walk;

/* --- taking all steps ----------------------------------------------------------------------------- */

static taken *add_step(walk *w)
{
    if (w->steps == w->capacity) {
        int capacity = 2 * w->capacity + 16;
        taken *grown = realloc(w->step, (size_t)capacity * sizeof *grown);
        if (grown == NULL) {
            tp_fail(TP_ENOMEM, "no memory for the steps");
            return NULL;
        }
        w->step = grown;
        w->capacity = capacity;
    }
    w->step[w->steps] = (taken){.id = w->sweep.at};
    return &w->step[w->steps++];
}

static tp_status take_step(walk *w)
{
    taken *t = add_step(w);
    if (t == NULL)
        return TP_ENOMEM;
    const tp_tensor *gy = tp_value(w->sweep.gy);
    TP_TRY(tp_tensor_new(&t->gradient, gy->dtype, gy->shape));
    TP_TRY(tp_copy(&t->gradient, gy));
    TP_TRY(page_open(&t->page));
    tp_explain_opts opts = w->l->opts;
    tp_explain_tally one = {0}, *all = &w->l->tally;
    opts.tally = &one;
    TP_TRY(page_close(&t->page, tp_explain_step(t->page.to, &w->sweep, opts)));
    all->steps++;
    all->ok += one.ok, all->wrong += one.wrong, all->skipped += one.skipped;
    if (one.worst > all->worst)
        all->worst = one.worst, all->worst_step = w->steps;
    return TP_OK;
}

static tp_status take_all(walk *w)
{
    w->loss = lesson_record(w->l, w->l->r.tape);
    TP_TRY(tp_var_status(w->loss));
    TP_TRY(notation_check(w->l, w->loss));
    w->sweep = tp_sweep_begin(w->loss, (tp_sweep_opts){.composed = w->l->opts.composed});
    TP_TRY(w->sweep.status);
    while (tp_sweep_next(&w->sweep))
        TP_TRY(take_step(w));
    return w->sweep.status;
}

/* --- commands ------------------------------------------------------------------------------------- */

static void show_step(const walk *w)
{
    if (w->at == 0)
        printf("before step 1 of %d: the forward pass is done; 'list' shows it\n", w->steps);
    else
        fputs(w->step[w->at - 1].page.text, stdout);
}

static tp_status move(walk *w, int to)
{
    if (to > w->steps)
        printf("that was the last of %d steps\n", w->steps);
    else if (to < 0)
        printf("this is before the first step\n");
    else {
        w->at = to;
        show_step(w);
    }
    return TP_OK;
}

static tp_status do_step(walk *w, const char *rest)
{
    (void)rest;
    return move(w, w->at + 1);
}

static tp_status do_back(walk *w, const char *rest)
{
    (void)rest;
    return move(w, w->at - 1);
}

static tp_status do_go(walk *w, const char *rest)
{
    char *end;
    long n = strtol(rest, &end, 10);
    if (end == rest || *end != '\0' || n < 0 || n > w->steps) {
        printf("go N: N from 0 to %d\n", w->steps);
        return TP_OK;
    }
    return move(w, (int)n);
}

static tp_status do_list(walk *w, const char *rest)
{
    (void)rest;
    tp_explain_opts opts = w->l->opts;
    opts.numbers = opts.index = false;
    TP_TRY(tp_explain_forward(stdout, w->loss, opts));
    for (int i = 0; i < w->steps; i++) {
        const char *text = w->step[i].page.text;
        printf("%s%.*s\n", i + 1 == w->at ? "> " : "  ", (int)strcspn(text, "\n"), text);
    }
    return TP_OK;
}

/* What is wrong with what was typed, which ends nothing. */
static tp_status say_error(void)
{
    const char *text = tp_last_error(), *space = strchr(text, ' ');
    char visible[SHOWN_TEXT];
    printf("%s\n", shown(visible, space != NULL ? space + 1 : text));
    return TP_OK;
}

/* The gradient of the loss by a value; NULL if none goes there. */
static const tp_tensor *gradient_of(const walk *w, tp_var v)
{
    for (int i = 0; i < w->steps; i++)
        if (w->step[i].id == v.id)
            return &w->step[i].gradient;
    tp_var g = tp_sweep_grad(&w->sweep, v);
    return g.id == 0 ? NULL : tp_value(g);
}

static tp_status do_print(walk *w, const char *rest)
{
    place p;
    if (*rest == '\0') {
        printf("print NAME: a value and its gradient, whole; NAME[i,j]: one number\n");
        return TP_OK;
    }
    if (place_find(&p, w->loss, w->l->symbols, rest) != TP_OK)
        return say_error();
    const tp_tensor *g = gradient_of(w, p.var);
    if (p.index >= 0)
        printf("%s = %.6g\n", rest, tp_flat(tp_value(p.var), p.index));
    else
        TP_TRY(tp_print_var(stdout, p.var));
    if (g == NULL)
        printf("no gradient goes there\n");
    else if (p.index >= 0)
        printf("∂loss/∂%s = %.6g\n", rest, tp_flat(g, p.index));
    else {
        printf("the gradient of the loss by it\n");
        TP_TRY(tp_print(stdout, g));
    }
    return TP_OK;
}

/* The line of the step that says why its rule is what it is. */
static void show_reason(const walk *w)
{
    const char *line = w->at == 0 ? NULL : strstr(w->step[w->at - 1].page.text, "    why: ");
    if (line != NULL)
        printf("%.*s\n", (int)strcspn(line + 4, "\n"), line + 4);
    else
        printf("%s\n", w->at == 0 ? "why NAME[i,j]: every path from a number to the loss"
                                  : "its rule gives no reason");
}

static tp_status do_why(walk *w, const char *rest)
{
    if (*rest == '\0') {
        show_reason(w);
        return TP_OK;
    }
    if (w->twin.tape == NULL) {
        TP_TRY(tp_tape_new(&w->other));
        w->twin = lesson_record(w->l, w->other);
    }
    TP_TRY(tp_var_status(w->twin));
    tp_explain_opts opts = w->l->opts;
    opts.tally = NULL; /* that of the steps */
    tp_status s = place_explain(stdout, w->twin, rest, &opts);
    return s == TP_EARG ? say_error() : s;
}

static tp_status do_help(walk *w, const char *rest);

static const struct {
    const char *name, *shorter, *text;
    tp_status (*run)(walk *w, const char *rest);
} commands[] = {
    {"step", "n", "the next step; Enter alone does the same", do_step},
    {"back", "b", "the step before", do_back},
    {"go", "g", "go N: step N", do_go},
    {"print", "p", "print NAME: a value and its gradient; NAME[i,j]: one number", do_print},
    {"why", "w", "why this rule; why NAME[i,j]: every path from that number to the loss", do_why},
    {"list", "l", "the forward pass, and all steps", do_list},
    {"help", "h", "this list", do_help},
    {"quit", "q", "the end, as the end of input is", NULL},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static tp_status do_help(walk *w, const char *rest)
{
    (void)w, (void)rest;
    for (int i = 0; i < COMMANDS; i++)
        printf("%-6s%-3s%s\n", commands[i].name, commands[i].shorter, commands[i].text);
    return TP_OK;
}

static tp_status unknown(const char *word)
{
    char visible[SHOWN_TEXT];
    nearest near = nearest_to(word);
    for (int i = 0; i < COMMANDS; i++)
        nearest_offer(&near, commands[i].name);
    shown(visible, word);
    if (near.best != NULL)
        printf("there is no command '%s'; did you mean '%s'?\n", visible, near.best);
    else
        printf("there is no command '%s'; 'help' lists them\n", visible);
    return TP_OK;
}

/* One line that was typed, without its end; *quit: it was the last. */
static tp_status obey(walk *w, char *line, bool *quit)
{
    char *word = line + strspn(line, " \t"), *rest = word + strcspn(word, " \t");
    if (*rest != '\0')
        *rest++ = '\0';
    rest += strspn(rest, " \t");
    for (size_t n = strlen(rest); n > 0 && strchr(" \t", rest[n - 1]) != NULL; n--)
        rest[n - 1] = '\0';
    if (*word == '\0')
        return do_step(w, rest);
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(word, commands[i].name) == 0 || strcmp(word, commands[i].shorter) == 0) {
            *quit = commands[i].run == NULL;
            return *quit ? TP_OK : commands[i].run(w, rest);
        }
    return unknown(word);
}

enum { LINE = 1024 };

/* A line without its end; what is too long is dropped. False at the end of input. */
static bool read_line(char line[LINE])
{
    int n = 0, c = getchar();
    if (c == EOF)
        return false;
    for (; c != EOF && c != '\n'; c = getchar())
        if (n + 1 < LINE)
            line[n++] = (char)c;
    n -= n > 0 && line[n - 1] == '\r';
    line[n] = '\0';
    return true;
}

/* A session reads the same whoever drives it: prompts are there for scripts, too, and then what a terminal shows anyway. */
static tp_status talk(walk *w)
{
    char line[LINE];
    bool quit = false, terminal = isatty(STDIN_FILENO) == 1;
    char visible[SHOWN_TEXT];
    tp_status s = TP_OK;
    printf(
        "%s: %d steps from the loss back to its parameters. Enter takes one, 'help' lists what else "
        "there is.\n",
        w->l->title, w->steps);
    while (s == TP_OK && !quit) {
        printf("[%d/%d] ", w->at, w->steps);
        if (fflush(stdout) != 0) {
            s = tp_fail(TP_EIO, "cannot write to standard output");
            break;
        }
        if (!read_line(line)) {
            putchar('\n');
            break;
        }
        if (!terminal)
            printf("%s\n", shown(visible, line));
        s = obey(w, line, &quit);
    }
    return s;
}

tp_status lesson_walk(lesson *l)
{
    walk w = {.l = l};
    tp_status s = take_all(&w);
    if (s == TP_OK)
        s = talk(&w);
    for (int i = 0; i < w.steps; i++)
        page_free(&w.step[i].page), tp_tensor_free(&w.step[i].gradient);
    free(w.step);
    if (w.sweep.tape != NULL) {
        w.sweep.done = false; /* looked at, not taken: no gradient is kept */
        tp_sweep_end(&w.sweep);
    }
    tp_tape_free(w.other);
    return s;
}
