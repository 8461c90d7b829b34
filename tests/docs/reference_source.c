/* reference_source.c: see reference.h. */
#include "tests/docs/reference.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/io/file.h"
#include "tensor/mem.h"

void need(bool ok, const char *where, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "reference: %s: %s\n  last error: %s\n", where, what, tp_last_error());
    exit(1);
}

/* The text from..end with runs of blanks, and the stars that lead the lines of a comment, as one space. */
static void squeeze(char *to, size_t room, const char *from, const char *end)
{
    size_t n = 0;
    bool fresh = false;
    for (; from < end && n + 2 < room; from++) {
        if (isspace((unsigned char)*from)) {
            fresh |= *from == '\n';
            if (n > 0 && to[n - 1] != ' ')
                to[n++] = ' ';
        } else if (fresh && *from == '*') {
            fresh = false;
        } else {
            fresh = false;
            to[n++] = *from;
        }
    }
    while (n > 0 && to[n - 1] == ' ')
        n--;
    to[n] = '\0';
}

/* Gives rows first … n-1 the comment, or each its part of it. */
static void comment_rows(source *s, int first, const char *comment, const char *path)
{
    int parts = 1;
    for (const char *p = comment; (p = strstr(p, " | ")) != NULL; p += 3)
        parts++;
    need(parts == 1 || s->n == first || parts == s->n - first, path, comment);
    for (int i = first; i < s->n; i++) {
        const char *bar = strstr(comment, " | "), *end = comment + strlen(comment);
        squeeze(s->e[i].comment, sizeof s->e[i].comment, comment, bar != NULL ? bar : end);
        comment = bar != NULL ? bar + 3 : comment;
    }
}

static void begin_section(source *s, const char *comment, const char *path)
{
    const char *p = comment + strspn(comment, "- "), *end = p + strlen(p);
    while (end > p && (end[-1] == '-' || end[-1] == ' '))
        end--;
    need(s->sections < MAX_SECTIONS, path, "too many sections");
    squeeze(s->section[s->sections++], sizeof s->section[0], p, end);
}

/* A row TP_OP(name, (parameters)) or a declaration "type tp_name(parameters)", from p to end. */
static void add_entry(source *s, const char *p, const char *end, const char *path)
{
    char text[400];
    squeeze(text, sizeof text, p, end);
    bool row = strncmp(text, "TP_OP(", 6) == 0;
    const char *name = row ? text + 6 : strstr(text, " tp_") + 4;
    size_t length = strcspn(name, ",( ");
    const char *parameters = strchr(name, '(');
    need(s->n < MAX_ENTRIES && length < sizeof s->e->name && parameters != NULL, path, text);
    entry *e = &s->e[s->n++];
    snprintf(e->name, sizeof e->name, "%.*s", (int)length, name);
    if (row)
        snprintf(e->prototype, sizeof e->prototype, "tp_var tp_%.*s%.*s", (int)length, name,
                 (int)strlen(parameters) - 1, parameters);
    else
        snprintf(e->prototype, sizeof e->prototype, "%s", text);
    e->comment[0] = '\0';
    e->section = s->sections > 0 ? s->sections - 1 : 0;
}

static bool begins(const char *p, const char *what)
{
    return strncmp(p, what, strlen(what)) == 0;
}

void read_source(source *s, const char *path)
{
    char full[512], comment[1200] = "", *text;
    size_t n;
    int first = 0;
    snprintf(full, sizeof full, "%s/%s", TAPIR_SOURCE_DIR, path);
    need(tp_file_read_all(full, 1 << 20, &text, &n) == TP_OK, path, tp_last_error());
    for (const char *p = text; *p != '\0';) {
        const char *end;
        if (begins(p, "/*")) {
            end = strstr(p, "*/");
            need(end != NULL, path, "a comment does not end");
            comment_rows(s, first, comment, path);
            first = s->n;
            squeeze(comment, sizeof comment, p + 2, end);
            if (begins(comment, "---")) {
                begin_section(s, comment, path);
                comment[0] = '\0';
            }
            p = end + 2;
        } else if (begins(p, "TP_OP(")) {
            end = p + strcspn(p, "\n");
            while (end > p && end[-1] != ')')
                end--;
            add_entry(s, p, end, path);
            p = end;
        } else if (begins(p, "tp_var tp_") || begins(p, "void tp_") || begins(p, "tp_status tp_")) {
            end = p + strcspn(p, ";");
            add_entry(s, p, end, path);
            p = end;
        } else {
            p++;
        }
    }
    comment_rows(s, first, comment, path);
    need(s->n > 0, path, "nothing found");
    tp_free(text, n + 1);
}
