/* values.c: what a flag or a key of config.json is set to: text into the struct of options, and back.
 *
 * Which flags there are, and what each takes, stands in options.c. Read next: config.c. */
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- from text ---------------------------------------------------------------------------------- */

static tp_status outside(const flag *f, const char *text)
{
    return tp_fail(TP_EARG, "%s is outside %.15g to %.15g", text, f->min, f->max);
}

static bool is_integer(const char *text)
{
    size_t sign = *text == '-';
    return text[sign] != '\0' && strspn(text + sign, "0123456789") == strlen(text + sign);
}

static tp_status set_integer(int64_t *to, const flag *f, const char *text)
{
    if (!is_integer(text))
        return tp_fail(TP_EARG, "'%s' is not a whole number", text);
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    if (errno != 0 || (double)v < f->min || (double)v > f->max)
        return outside(f, text);
    *to = v;
    return TP_OK;
}

static tp_status set_seed(uint64_t *to, const char *text)
{
    if (!is_integer(text))
        return tp_fail(TP_EARG, "'%s' is not a whole number", text);
    errno = 0;
    unsigned long long v = strtoull(text, NULL, 10);
    if (errno != 0 || *text == '-')
        return tp_fail(TP_EARG, "%s is outside 0 to %llu", text, (unsigned long long)UINT64_MAX);
    *to = v;
    return TP_OK;
}

/* Decimal notation only: strtod also takes hexadecimal, infinities, NaN and space in front. */
static tp_status set_number(double *to, const flag *f, const char *text)
{
    char *end = NULL;
    double v = strspn(text, "0123456789+-.eE") == strlen(text) ? strtod(text, &end) : 0;
    if (end == NULL || end == text || *end != '\0')
        return tp_fail(TP_EARG, "'%s' is not a number", text);
    if (!isfinite(v))
        return tp_fail(TP_EARG, "%s is too large a number", text);
    if (v < f->min || v > f->max)
        return outside(f, text);
    *to = v;
    return TP_OK;
}

/* A list of at most `most` of them; what and example are for messages. */
static tp_status set_list(int64_t *to, int *n, int most, const flag *f, const char *text,
                          const char *what, const char *example)
{
    *n = 0;
    for (const char *at = text;; at++) {
        char one[32];
        size_t length = strcspn(at, ",");
        if (*n == most)
            return tp_fail(TP_EARG, "'%s' has more than %d %s", text, most, what);
        snprintf(one, sizeof one, "%.*s", (int)(length < 31 ? length : 31), at);
        if (!is_integer(one))
            return tp_fail(TP_EARG, "'%s' is not a list of %s as %s", text, what, example);
        TP_TRY(set_integer(&to[(*n)++], f, one));
        at += length;
        if (*at == '\0')
            return TP_OK;
    }
}

static tp_status set_sizes(sizes *to, const flag *f, const char *text)
{
    sizes made = {0};
    TP_TRY(set_list(made.size, &made.n, TP_MLP_LAYERS - 1, f, text, "sizes", "400 or 400,200"));
    *to = made;
    return TP_OK;
}

static tp_status set_indices(indices *to, const flag *f, const char *text)
{
    indices made = {0};
    TP_TRY(set_list(made.at, &made.n, INDICES_MOST, f, text, "dimensions", "0 or 3,7"));
    *to = made;
    return TP_OK;
}

static tp_status add_path(paths *to, const char *text)
{
    if (*text == '\0')
        return tp_fail(TP_EARG, "is empty");
    if (to->n == PATHS_MOST)
        return tp_fail(TP_EARG, "is given more than %d times", PATHS_MOST);
    to->at[to->n++] = text;
    return TP_OK;
}

static int find_option(const option_list *in, const char *name)
{
    int i = 0;
    while (i < in->n && strcmp(in->item[i].name, name) != 0)
        i++;
    return i;
}

/* One more, "warmup=1000" up to a comma. */
static tp_status set_one(option_list *to, const flag *f, const char *at)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    char name[NAME_SIZE], number[PATH_SIZE];
    size_t n = strspn(at, letters), whole = strcspn(at, ",");
    if (n == 0 || n >= sizeof name || at[n] != '=')
        return tp_fail(TP_EARG, "'%.*s' is not an option and its value as warmup=1000", (int)whole,
                       at);
    snprintf(name, sizeof name, "%.*s", (int)n, at);
    snprintf(number, sizeof number, "%.*s", (int)(whole - n - 1), at + n + 1);
    if (find_option(to, name) < to->n)
        return tp_fail(TP_EARG, "'%s' is there twice", name);
    if (to->n == TP_MODEL_OPTIONS)
        return tp_fail(TP_EARG, "more than %d options", TP_MODEL_OPTIONS);
    TP_TRY(set_number(&to->item[to->n].value, f, number));
    snprintf(to->item[to->n++].name, NAME_SIZE, "%s", name);
    return TP_OK;
}

/* What is there and not in text stays. */
static tp_status set_options(option_list *to, const flag *f, const char *text)
{
    option_list given = {0}, made = *to;
    for (const char *at = text;; at++) {
        TP_TRY(set_one(&given, f, at));
        at += strcspn(at, ",");
        if (*at == '\0')
            break;
    }
    for (int i = 0; i < given.n; i++) {
        int k = find_option(&made, given.item[i].name);
        if (k == TP_MODEL_OPTIONS)
            return tp_fail(TP_EARG, "more than %d options", TP_MODEL_OPTIONS);
        made.item[k] = given.item[i];
        made.n += k == made.n;
    }
    *to = made;
    return TP_OK;
}

/* What stands in front of a comma, into word; *at goes on behind it, and is NULL behind the last. */
static void take_word(char word[PATH_SIZE], const char **at)
{
    size_t n = strcspn(*at, ",");
    snprintf(word, PATH_SIZE, "%.*s", (int)n, *at);
    *at = (*at)[n] == ',' ? *at + n + 1 : NULL;
}

/* "gamma=0.1" as name and numbers, of which there may be several with + between them. */
static tp_status take_field(const char **at, const flag *f, char name[NAME_SIZE],
                            double values[TP_MILESTONES], int *n)
{
    char word[PATH_SIZE], number[PATH_SIZE];
    take_word(word, at);
    size_t length = strcspn(word, "=");
    if (length == 0 || length >= NAME_SIZE || word[length] == '\0')
        return tp_fail(TP_EARG, "'%s' is not a field and its value as %s", word,
                       f->kind == OPTIMIZER ? "eps=1e-4" : "gamma=0.1");
    snprintf(name, NAME_SIZE, "%.*s", (int)length, word);
    *n = 0;
    for (const char *p = word + length + 1;; p++) {
        size_t end = strcspn(p, "+");
        while (p[end] == '+' && end > 0 && (p[end - 1] == 'e' || p[end - 1] == 'E'))
            end += 1 + strcspn(p + end + 1, "+"); /* that of an exponent */
        if (*n == TP_MILESTONES)
            return tp_fail(TP_EARG, "'%s' has more than %d numbers", word, TP_MILESTONES);
        snprintf(number, sizeof number, "%.*s", (int)end, p);
        TP_TRY(set_number(&values[(*n)++], f, number));
        p += end;
        if (*p == '\0')
            return TP_OK;
    }
}

/* Is it one that a flag of its own sets, or there twice? */
static tp_status check_field(const char *name, const char *text)
{
    char field[NAME_SIZE + 4];
    snprintf(field, sizeof field, ",%s=", name);
    if (strcmp(name, "lr") == 0)
        return tp_fail(TP_EARG, "lr has a flag of its own, --lr");
    const char *first = strstr(text, field);
    if (first != NULL && strstr(first + 1, field) != NULL)
        return tp_fail(TP_EARG, "'%s' is there twice", name);
    return TP_OK;
}

static tp_status set_optimizer(tp_optim *to, const flag *f, const char *text)
{
    char word[PATH_SIZE], name[NAME_SIZE];
    double value[TP_MILESTONES];
    const char *at = text;
    int n;
    tp_optim made;
    take_word(word, &at);
    TP_TRY(tp_optim_named(&made, word));
    while (at != NULL) {
        TP_TRY(take_field(&at, f, name, value, &n));
        TP_TRY(check_field(name, text));
        if (n > 1)
            return tp_fail(TP_EARG, "'%s' is one number", name);
        TP_TRY(tp_optim_set(&made, name, value[0]));
    }
    TP_TRY(tp_optim_check(&made));
    *to = made;
    return TP_OK;
}

static tp_status set_schedule(tp_schedule *to, const flag *f, const char *text)
{
    char word[PATH_SIZE], name[NAME_SIZE];
    double value[TP_MILESTONES];
    const char *at = text;
    int n;
    tp_schedule made;
    take_word(word, &at);
    TP_TRY(tp_schedule_named(&made, word));
    while (at != NULL) {
        TP_TRY(take_field(&at, f, name, value, &n));
        TP_TRY(check_field(name, text));
        TP_TRY(tp_schedule_set(&made, name, n, value));
    }
    TP_TRY(tp_schedule_check(&made));
    *to = made;
    return TP_OK;
}

static tp_status set_choice(int64_t *to, const flag *f, const char *text)
{
    char all[PATH_SIZE] = "";
    nearest near = nearest_to(text);
    for (int i = 0; f->choice(i) != NULL; i++) {
        if (strcmp(f->choice(i), text) == 0) {
            *to = i;
            return TP_OK;
        }
        nearest_offer(&near, f->choice(i));
        snprintf(all + strlen(all), sizeof all - strlen(all), i > 0 ? ", %s" : "%s", f->choice(i));
    }
    if (near.best != NULL)
        return tp_fail(TP_EARG, "there is no '%s'; did you mean '%s'?", text, near.best);
    return tp_fail(TP_EARG, "there is no '%s', only: %s", text, all);
}

tp_status flag_set(options *o, const flag *f, const char *text)
{
    void *to = (char *)o + f->offset;
    if (strlen(text) > PATH_MAX_GIVEN)
        return tp_fail(TP_EARG, "is longer than %d bytes", PATH_MAX_GIVEN);
    switch (f->kind) {
    case INTEGER:
        return set_integer(to, f, text);
    case NUMBER:
        return set_number(to, f, text);
    case SEED:
        return set_seed(to, text);
    case SIZES:
        return set_sizes(to, f, text);
    case INDICES:
        return set_indices(to, f, text);
    case OPTION_LIST:
        return set_options(to, f, text);
    case OPTIMIZER:
        return set_optimizer(to, f, text);
    case SCHEDULE:
        return set_schedule(to, f, text);
    case CHOICE:
        return set_choice(to, f, text);
    case TEXT:
        if (*text == '\0')
            return tp_fail(TP_EARG, "is empty");
        snprintf(to, PATH_SIZE, "%s", text);
        return TP_OK;
    case PATHS:
        return add_path(to, text);
    case SWITCH:
        *(bool *)to = true;
        return TP_OK;
    }
    return TP_OK;
}

/* --- to text ------------------------------------------------------------------------------------ */

static void list_text(const option_list *from, char text[PATH_SIZE])
{
    size_t used = 0;
    for (int i = 0; i < from->n; i++) {
        char number[TP_NUMBER_TEXT];
        json_number_text(number, from->item[i].value);
        used += (size_t)snprintf(text + used, PATH_SIZE - used, i > 0 ? ",%s=%s" : "%s=%s",
                                 from->item[i].name, number);
    }
}

/* ",eps=0.0001" behind what is there already. */
static void add_field(char text[PATH_SIZE], const char *name, int n, const double *values)
{
    size_t used = strlen(text);
    used += (size_t)snprintf(text + used, PATH_SIZE - used, ",%s=", name);
    for (int i = 0; i < n; i++) {
        char number[TP_NUMBER_TEXT];
        used += (size_t)snprintf(text + used, PATH_SIZE - used, i > 0 ? "+%s" : "%s",
                                 json_number_text(number, values[i]));
    }
}

/* The name, and the fields that are not as they are by default. */
static void optimizer_text(const tp_optim *from, char text[PATH_SIZE])
{
    tp_optim standard;
    double value, usual;
    snprintf(text, PATH_SIZE, "%s", from->rule != NULL ? tp_optim_rule_name(from) : "");
    if (from->rule == NULL || tp_optim_named(&standard, text) != TP_OK)
        return;
    for (int i = 1; tp_optim_option(from, i, &value) != NULL; i++) {
        const char *name = tp_optim_option(&standard, i, &usual);
        if (value != usual)
            add_field(text, name, 1, &value);
    }
}

static void schedule_text(const tp_schedule *from, char text[PATH_SIZE])
{
    tp_schedule standard;
    double value[TP_MILESTONES], usual[TP_MILESTONES] = {0};
    int n, m;
    snprintf(text, PATH_SIZE, "%s", tp_schedule_name((int)from->kind));
    if (tp_schedule_named(&standard, text) != TP_OK)
        return;
    for (int i = 1; tp_schedule_field(from, i, &n, value) != NULL; i++) {
        const char *name = tp_schedule_field(&standard, i, &m, usual);
        if (n != m || value[0] != usual[0])
            add_field(text, name, n, value);
    }
}

void flag_text(const options *o, const flag *f, char text[PATH_SIZE])
{
    const void *from = (const char *)o + f->offset;
    const sizes *list = from;
    size_t used = 0;
    *text = '\0';
    switch (f->kind) {
    case INTEGER:
        if (*(const int64_t *)from >= (int64_t)f->min)
            snprintf(text, PATH_SIZE, "%lld", (long long)*(const int64_t *)from);
        break;
    case NUMBER:
        json_number_text(text, *(const double *)from);
        break;
    case SEED:
        snprintf(text, PATH_SIZE, "%llu", (unsigned long long)*(const uint64_t *)from);
        break;
    case SIZES:
        for (int i = 0; i < list->n; i++)
            used += (size_t)snprintf(text + used, PATH_SIZE - used, i > 0 ? ",%lld" : "%lld",
                                     (long long)list->size[i]);
        break;
    case OPTION_LIST:
        list_text(from, text);
        break;
    case OPTIMIZER:
        optimizer_text(from, text);
        break;
    case SCHEDULE:
        schedule_text(from, text);
        break;
    case CHOICE:
        if (*(const int64_t *)from != UNSAID)
            snprintf(text, PATH_SIZE, "%s", f->choice((int)*(const int64_t *)from));
        break;
    case TEXT:
        snprintf(text, PATH_SIZE, "%s", (const char *)from);
        break;
    case INDICES:
    case PATHS:
    case SWITCH: /* not part of config.json */
        break;
    }
}
