/* target_options.c: any arguments to the tool: settings that can be written and read again, or a complaint.
 *
 * The input is a letter for the command, then arguments, a line each, up to a NUL; what is behind it is the file that
 * "@" names. Read next: examples/vae/options.h. */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "tests/fuzz/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/vae/options.h"

enum { ARGUMENTS = 24, LONGEST = 2048, LONGEST_LINE = 1 << 15 };

/* What was said since stderr became a stream in memory: one line, fit for a terminal. */
static void check_said(const char *said, size_t n)
{
    char line[LONGEST_LINE];
    TARGET_REQUIRE(n > 6 && n < sizeof line && strncmp(said, "vae: ", 5) == 0);
    TARGET_REQUIRE(said[n - 1] == '\n' && strlen(said) == n);
    memcpy(line, said, n - 1);
    line[n - 1] = '\0';
    target_check_text(line);
}

/* Splits text into lines, in place; "@" becomes path. */
static int split(char *text, char *path, char **argv)
{
    int argc = 0;
    for (char *at = text; at != NULL && *at != '\0' && argc < ARGUMENTS;) {
        char *end = strchr(at, '\n');
        if (end != NULL)
            *end++ = '\0';
        argv[argc++] = strcmp(at, "@") == 0 ? path : at;
        at = end;
    }
    return argc;
}

/* Every setting as text is the same setting. */
static void check_settings(const options *o)
{
    for (int i = 0; i < flag_count; i++) {
        char text[PATH_SIZE], again[PATH_SIZE];
        options copy = *o;
        flag_text(o, &flags[i], text);
        if (*text == '\0')
            continue; /* a switch, or what nobody has said */
        TARGET_REQUIRE(flag_set(&copy, &flags[i], text) == TP_OK);
        flag_text(&copy, &flags[i], again);
        TARGET_REQUIRE(strcmp(text, again) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const char *name;
        command command;
    } commands[] = {
        {"train", TRAIN}, {"eval", EVAL},         {"sample", SAMPLE}, {"reconstruct", RECONSTRUCT},
        {"info", INFO},   {"manifold", MANIFOLD}, {"models", MODELS}, {"explain", EXPLAIN}};
    char text[LONGEST + 1], *argv[ARGUMENTS + 1] = {NULL}, path[64];
    size_t n = 0;
    if (size == 0)
        return 0;
    for (; n + 1 < size && n < LONGEST && data[n + 1] != 0; n++)
        text[n] = (char)data[n + 1];
    text[n] = '\0';
    size_t rest = n + 2 < size ? n + 2 : size;
    snprintf(path, sizeof path, "%s", target_file(data + rest, size - rest));
    size_t begun = target_begin(2 * size + (1 << 12));
    unsigned which = data[0] % (sizeof commands / sizeof *commands);
    options o = {.program = "vae"};
    int argc = split(text, path, argv);
    char *said = NULL;
    size_t length = 0;
    FILE *kept = stderr;
    stderr = open_memstream(&said, &length); /* glibc's stderr is a variable */
    TARGET_REQUIRE(stderr != NULL);
    int code = options_read(&o, commands[which].command, commands[which].name, argc, argv);
    fclose(stderr);
    stderr = kept;
    TARGET_REQUIRE(code == EXIT_GOOD || code == EXIT_BAD || code == EXIT_USAGE);
    TARGET_REQUIRE((length > 0) == (code != EXIT_GOOD));
    if (length > 0)
        check_said(said, length);
    free(said);
    TARGET_REQUIRE(strcmp(o.program, "vae") == 0);
    if (code == EXIT_GOOD && !o.help)
        check_settings(&o);
    target_end(begun);
    return 0;
}
