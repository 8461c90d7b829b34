/* json.c: the writer and the reader of flat objects.
 *
 * Numbers are printed and read in the "C" locale, which the tool never leaves. Read next: json.h. */
#include "json.h"

#include "tensor/io/file.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- writing ------------------------------------------------------------------------------------ */

void json_raw(json *j, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || j->failed)
        return;
    if (j->used + (size_t)n + 1 > j->room) {
        size_t room = 2 * j->room + (size_t)n + 256;
        char *text = realloc(j->text, room);
        if (text == NULL) {
            j->failed = 1;
            return;
        }
        j->text = text;
        j->room = room;
    }
    va_start(args, format);
    vsnprintf(j->text + j->used, j->room - j->used, format, args);
    va_end(args);
    j->used += (size_t)n;
}

/* A comma, unless this is the first thing inside its bracket or the value of a key. */
static void comma(json *j, const char *separator)
{
    char last = j->used > 0 ? j->text[j->used - 1] : '\n';
    if (strchr("{[\n ", last) == NULL)
        json_raw(j, ",%s", separator);
}

void json_text(json *j, const char *s)
{
    comma(j, " ");
    json_raw(j, "\"");
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 32 || c == 127)
            json_raw(j, "\\u%04x", c);
        else
            json_raw(j, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    json_raw(j, "\"");
}

void json_key(json *j, const char *key, const char *separator)
{
    comma(j, separator);
    json_raw(j, "\"%s\": ", key);
}

void json_integer(json *j, int64_t v)
{
    comma(j, " ");
    json_raw(j, "%lld", (long long)v);
}

void json_number(json *j, double v)
{
    char text[40];
    if (!isfinite(v)) {
        json_null(j);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    comma(j, " ");
    json_raw(j, "%s", text);
}

void json_null(json *j)
{
    comma(j, " ");
    json_raw(j, "null");
}

void json_free(json *j)
{
    free(j->text);
    *j = (json){0};
}

tp_status json_save(const json *j, const char *path)
{
    tp_file_writer w;
    if (j->failed)
        return tp_fail(TP_ENOMEM, "%s: no memory to put it together", path);
    TP_TRY(tp_file_begin(&w, path));
    TP_TRY(tp_file_write(&w, j->text, j->used));
    return tp_file_commit(&w);
}

/* --- reading ------------------------------------------------------------------------------------ */

enum { CONFIG_LIMIT = 1 << 16, VALUE_SIZE = 1024 };

typedef struct reader {
    const char *path, *at, *end, *start;
} reader;

static tp_status unexpected(const reader *r, const char *wanted)
{
    int line = 1;
    for (const char *p = r->start; p < r->at; p++)
        line += *p == '\n';
    if (r->at >= r->end)
        return tp_fail(TP_EFORMAT, "%s: line %d: the file ends where %s should be", r->path, line,
                       wanted);
    return tp_fail(TP_EFORMAT, "%s: line %d: expected %s", r->path, line, wanted);
}

static void skip_space(reader *r)
{
    while (r->at < r->end && strchr(" \t\r\n", *r->at) != NULL && *r->at != '\0')
        r->at++;
}

/* The character c behind any space, if it is there. */
static bool take(reader *r, char c)
{
    skip_space(r);
    if (r->at >= r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

/* The character behind a backslash; \u only for what one byte holds, which is all the writer makes. */
static bool unescape(reader *r, char *c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *known = r->at < r->end && *r->at != '\0' ? strchr(from, *r->at) : NULL;
    if (known != NULL) {
        *c = to[known - from];
        r->at++;
        return true;
    }
    char digits[3] = {0};
    if (r->end - r->at < 5 || strncmp(r->at, "u00", 3) != 0)
        return false;
    memcpy(digits, r->at + 3, 2);
    if (strspn(digits, "0123456789abcdefABCDEF") != 2)
        return false;
    *c = (char)strtol(digits, NULL, 16);
    r->at += 5;
    return *c > 0;
}

static tp_status read_string(reader *r, char *text, size_t size)
{
    size_t used = 0;
    if (!take(r, '"'))
        return unexpected(r, "a string");
    while (r->at < r->end && *r->at != '"') {
        char c = *r->at++;
        if ((unsigned char)c < 32 || (c == '\\' && !unescape(r, &c)))
            return unexpected(r, "a string without control characters or unknown escapes");
        if (used + 1 >= size)
            return unexpected(r, "a shorter string");
        text[used++] = c;
    }
    text[used] = '\0';
    return take(r, '"') ? TP_OK : unexpected(r, "the end of a string");
}

static tp_status read_number(reader *r, char *text, size_t size)
{
    skip_space(r);
    size_t n = 0;
    while (r->at + n < r->end && strchr("0123456789+-.eE", r->at[n]) != NULL && r->at[n] != '\0')
        n++;
    if (n == 0 || n >= size)
        return unexpected(r, "a number");
    memcpy(text, r->at, n);
    text[n] = '\0';
    r->at += n;
    return TP_OK;
}

static tp_status read_list(reader *r, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    take(r, '[');
    if (take(r, ']'))
        return TP_OK;
    do {
        if (used > 0 && used + 1 < size)
            text[used++] = ',';
        TP_TRY(read_number(r, text + used, size - used));
        used += strlen(text + used);
    } while (take(r, ','));
    return take(r, ']') ? TP_OK : unexpected(r, "',' or ']'");
}

static tp_status
read_member(reader *r, tp_status (*field)(void *, const char *, char, const char *), void *user)
{
    char key[64], text[VALUE_SIZE];
    TP_TRY(read_string(r, key, sizeof key));
    if (!take(r, ':'))
        return unexpected(r, "':'");
    skip_space(r);
    char first = r->at < r->end ? *r->at : '\0';
    char type = first == '"' ? 's' : first == '[' ? 'a' : 'n';
    if (type == 's')
        TP_TRY(read_string(r, text, sizeof text));
    else if (type == 'a')
        TP_TRY(read_list(r, text, sizeof text));
    else if (read_number(r, text, sizeof text) != TP_OK)
        return unexpected(r, "a string, a number or a list of numbers");
    tp_status s = field(user, key, type, text);
    if (s != TP_OK)
        tp_fail_prefix("%s: \"%s\": ", r->path, key);
    return s;
}

static tp_status
read_object(reader *r, tp_status (*field)(void *, const char *, char, const char *), void *user)
{
    if (!take(r, '{'))
        return unexpected(r, "'{'");
    if (!take(r, '}')) {
        do
            TP_TRY(read_member(r, field, user));
        while (take(r, ','));
        if (!take(r, '}'))
            return unexpected(r, "',' or '}'");
    }
    skip_space(r);
    return r->at == r->end ? TP_OK : unexpected(r, "the end of the file");
}

tp_status json_read(const char *path,
                    tp_status (*field)(void *user, const char *key, char type, const char *text),
                    void *user)
{
    char *data;
    size_t bytes;
    TP_TRY(tp_file_read_all(path, CONFIG_LIMIT, &data, &bytes));
    reader r = {path, data, data + bytes, data};
    tp_status s = read_object(&r, field, user);
    tp_free(data, bytes + 1);
    return s;
}
