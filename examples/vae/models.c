/* models.c: "vae models": which models there are, what each minimises, and what can be set. Read next: models/models.def. */
#include "commands.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 100, LABEL = 16, OPTION = 36 };

/* Characters, not bytes. */
static int columns(const char *s, size_t n)
{
    int count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

/* The words of text from column indent on, behind what is printed up to column at. */
static void print_words(int at, int indent, const char *text)
{
    at += printf("%*s", indent - at, "");
    for (bool first = true; *text != '\0'; first = false) {
        size_t n = strcspn(text, " ");
        int width = columns(text, n);
        if (!first && at + 1 + width > COLUMNS)
            at = printf("\n%*s", indent, "") - 1;
        else if (!first)
            at += printf(" ");
        printf("%.*s", (int)n, text);
        at += width;
        text += n + (text[n] == ' ');
    }
    putchar('\n');
}

static void print_line(const char *label, const char *text)
{
    print_words(printf("  %s", label), LABEL, text);
}

static void print_option(const char *label, const tp_model_option *o)
{
    int at = printf("  %-*s%s=%g ", LABEL - 2, label, o->name, o->value);
    print_words(at, at < OPTION ? OPTION : at, o->text);
}

static void print_likelihoods(const tp_model_type *type)
{
    char all[256] = "";
    for (int i = 0; tp_likelihood_name(i) != NULL; i++)
        if (type->likelihoods == 0 || (type->likelihoods & 1u << i) != 0)
            snprintf(all + strlen(all), sizeof all - strlen(all), *all != '\0' ? ", %s" : "%s",
                     tp_likelihood_name(i));
    print_line("--likelihood", all);
}

/* Where it is not what it is elsewhere. */
static void print_hidden(const tp_model_type *type)
{
    char text[32];
    int64_t units = tp_model_defaults(type).hidden[0];
    snprintf(text, sizeof text, "%lld by default", (long long)units);
    if (units != tp_model_defaults(&tp_model_vae).hidden[0])
        print_line("--hidden", text);
}

static void print_model(const tp_model_type *type)
{
    printf("\n%s: %s\n", type->name, type->summary);
    print_line("minimises", type->objective);
    print_line("from", type->source);
    print_likelihoods(type);
    print_hidden(type);
    if (type->beta)
        print_line("--beta", "β, the weight of the KL (1)");
    for (int i = 0; type->options != NULL && i < TP_MODEL_OPTIONS; i++) {
        if (type->options[i].name == NULL)
            break;
        print_option(i == 0 ? "--set" : "", &type->options[i]);
    }
    if (type->pictures > 0) {
        char text[80];
        snprintf(text, sizeof text, "pictures of at least %d by %d, grey or in colour",
                 (int)type->pictures, (int)type->pictures);
        print_line("needs", text);
    }
    if (type->labels)
        print_line("needs", "labels: a class for each image");
    if (type->indexed)
        print_line("has", "parameters for each training image");
}

int command_models(const options *o)
{
    if (!o->names)
        puts("What --model can be, and what it minimises. The first likelihood is the default, and "
             "so are the\nvalues of the options.");
    for (int i = 0; i < tp_model_type_count; i++) {
        if (o->names)
            puts(tp_model_types[i]->name);
        else
            print_model(tp_model_types[i]);
    }
    return EXIT_GOOD;
}
