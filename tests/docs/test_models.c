/* test_models.c: docs/reference/models.md is what the rows of models.def say, with what was measured on MNIST.
 *
 * The figures are those of tests/docs/mnist.txt, which tests/bench/models.sh has written; every model must have one. With
 * TAPIR_UPDATE_GOLDEN=1 the page is written anew. Read next: models/model.h. */
#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/uses.h"
#include "tests/support/golden.h"

enum { LINE = 512, CELL = 64 };

static FILE *open_source(const char *format, const char *name)
{
    char path[LINE], full[2 * LINE];
    snprintf(path, sizeof path, format, name);
    snprintf(full, sizeof full, "%s/%s", getenv("TAPIR_SOURCE"), path);
    FILE *f = fopen(full, "r");
    if (f == NULL)
        fail_msg("%s cannot be opened", full);
    return f;
}

static int lines_of(const tp_model_type *type)
{
    FILE *f = open_source("models/%s.c", type->name);
    char line[LINE];
    int n = 0;
    while (fgets(line, sizeof line, f) != NULL)
        n += strchr(line, '\n') != NULL;
    fclose(f);
    return n;
}

/* The measured line of a model: its cells, split at blanks. */
static void find_figures(const char *name, char loss[CELL], char nll[CELL], char active[CELL])
{
    FILE *f = open_source("%s", "tests/docs/mnist.txt");
    char line[LINE], first[CELL];
    bool found = false;
    while (!found && fgets(line, sizeof line, f) != NULL)
        found = sscanf(line, "%63s %63s %63s %63s", first, loss, nll, active) == 4 &&
                strcmp(first, name) == 0;
    fclose(f);
    if (!found)
        fail_msg("tests/docs/mnist.txt has no line for '%s': tests/bench/models.sh writes it",
                 name);
}

static void put_parts(FILE *f, const tp_model_type *t)
{
    const struct {
        const char *name;
        bool there;
    } parts[] = {{"posterior", t->posterior != NULL}, {"prior", t->prior != NULL},
                 {"decoder", t->decode != NULL},      {"code", t->code != NULL},
                 {"generate", t->generate != NULL},   {"log densities", t->densities != NULL},
                 {"log p(x)", t->logprob != NULL},    {"KL", t->kl != NULL},
                 {"adversary", t->adversary != NULL}, {"labels", t->labels},
                 {"per example", t->indexed},         {"discrete z", t->discrete},
                 {"pictures", t->pictures > 0}};
    const char *comma = "| ";
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].there) {
            fprintf(f, "%s%s", comma, parts[i].name);
            comma = ", ";
        }
    fputs(" ", f);
}

static void put_rows(FILE *f)
{
    fprintf(f,
            "| name | what it is | minimised | parts | lines | test loss | −log p(x) | active |\n"
            "|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < tp_model_type_count; i++) {
        const tp_model_type *t = tp_model_types[i];
        char loss[CELL], nll[CELL], active[CELL];
        find_figures(t->name, loss, nll, active);
        fprintf(f, "| `%s` ", t->name);
        put_cell(f, t->summary);
        put_cell(f, t->objective);
        put_parts(f, t);
        fprintf(f, "| %d | %s | %s | %s |\n", lines_of(t), loss, nll, active);
    }
}

static void put_options(FILE *f)
{
    fprintf(f,
            "| model | option | default | from | to | what it does |\n|---|---|---|---|---|---|\n");
    for (int i = 0; i < tp_model_type_count; i++) {
        const tp_model_type *t = tp_model_types[i];
        const tp_model_option *o = t->options;
        for (int k = 0; o != NULL && k < TP_MODEL_OPTIONS && o[k].name != NULL; k++) {
            fprintf(f, "| `%s` | `%s` | %g | %g | %g ", t->name, o[k].name, o[k].value, o[k].min,
                    o[k].max);
            put_cell(f, o[k].text);
            fprintf(f, "|\n");
        }
    }
}

static void put_sources(FILE *f)
{
    for (int i = 0; i < tp_model_type_count; i++)
        fprintf(f, "* `%s`: %s\n", tp_model_types[i]->name, tp_model_types[i]->source);
}

static void test_page(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    fprintf(
        f,
        "# Every model\n\n"
        "This page is what the rows of `models/models.def` say; a test compares it. `vae train --model NAME` trains\n"
        "any of them, `vae models` lists them with their options, [new-model.md](../new-model.md) adds one.\n\n"
        "Parts are what the file brings beside its loss; the rest is `models/uses.c`. Lines are those of the file,\n"
        "comments and all. The last three columns were measured on the 10,000 test images of MNIST after 10 epochs on the\n"
        "60,000 others, each pixel drawn once: `vae train --model NAME --data … --binarize static --epochs 10\n"
        "--batch-size 128`, all else as the model has it (mostly 784-400-20, ReLU, Adam 1e-3); then `vae eval --importance 100`.\n"
        "Loss is the objective in evaluation, in nats; −log p(x) an estimate from 100 samples of the posterior, or\n"
        "exact where the model knows it; active are latent dimensions that the data move. Objectives differ, so losses\n"
        "do not compare with each other; −log p(x) does, but for densities of real numbers (`gmm`, `linear_vae`) and for\n"
        "log p(x|y) of a model that is told the label (`conditional_vae`).\n"
        "Ten epochs are a budget, not the end of training. `tests/bench/models.sh` repeats it.\n\n");
    put_rows(f);
    fprintf(f, "\n## Options\n\n`--set NAME=VALUE`, or `tp_model_set`.\n\n");
    put_options(f);
    fprintf(f, "\n## Sources\n\n");
    put_sources(f);
    char *text = slurp(f);
    assert_file("docs/reference/models.md", text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
