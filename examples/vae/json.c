/* json.c: the growing text behind config.json, metrics.jsonl and timing.jsonl. Read next: json.h. */
#include "json.h"

#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/mem.h"
#include "tensor/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        char *text = tp_realloc(j->text, j->room, room);
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
    for (const char *end = s + strlen(s); s < end;) {
        char escaped[TP_JSON_ESCAPE];
        int n = tp_json_escape(escaped, &s, end);
        json_raw(j, "%.*s", n, escaped);
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

char *json_number_text(char text[TP_NUMBER_TEXT], double v)
{
    for (int digits = 15; digits <= 17; digits++)
        if (strtod(tp_number(text, 'g', digits, v), NULL) == v)
            break;
    return text;
}

void json_number(json *j, double v)
{
    char text[TP_NUMBER_TEXT];
    if (!isfinite(v)) {
        json_null(j);
        return;
    }
    comma(j, " ");
    json_raw(j, "%s", json_number_text(text, v));
}

void json_null(json *j)
{
    comma(j, " ");
    json_raw(j, "null");
}

void json_free(json *j)
{
    tp_free(j->text, j->room);
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
