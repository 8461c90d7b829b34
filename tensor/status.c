/* status.c: names of the codes and the per-thread message buffer.
 *
 * Names of files, tensors and chunks come from outside and end up in messages. Here is where everything passes,
 * so here they are made harmless to a terminal. Read next: utf8.h.
 */
#include "tensor/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tensor/utf8.h"

enum { MESSAGE_BYTES = 4096 };

static _Thread_local char message[MESSAGE_BYTES];
static _Thread_local size_t body; /* where the text after "<name> " starts */

static const struct {
    const char *name, *meaning;
} codes[] = {
#define TP_STATUS(id, name, meaning) {name, meaning},
#include "tensor/status.def"
#undef TP_STATUS
};

const char *tp_status_name(tp_status s)
{
    return (unsigned)s < TP_STATUS_COUNT ? codes[s].name : "E_?";
}

const char *tp_status_meaning(tp_status s)
{
    return (unsigned)s < TP_STATUS_COUNT ? codes[s].meaning : "not a status code";
}

const char *tp_last_error(void)
{
    return message;
}

/* Puts text at the end of the message, as it may be shown: what a terminal would obey comes out as \xNN. A line
 * break stays only before an indented line, as this library writes them; any other is part of a name. */
static void append(const char *text)
{
    size_t used = strlen(message);
    const char *end = text + strlen(text);
    while (text < end && used + TP_VISIBLE + sizeof "…" < sizeof message) {
        if (text[0] == '\n' && text[1] == ' ' && text[2] == ' ')
            message[used++] = *text++;
        else
            used += (size_t)tp_visible(message + used, &text, end);
    }
    snprintf(message + used, sizeof message - used, "%s", text < end ? "…" : "");
}

tp_status tp_fail(tp_status code, const char *format, ...)
{
    char text[MESSAGE_BYTES]; /* arguments may point into the message that is being replaced */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    body = (size_t)snprintf(message, sizeof message, "%s ", tp_status_name(code));
    append(text);
    return code;
}

void tp_fail_prefix(const char *format, ...)
{
    static const char cut[] = "…: ";
    char text[MESSAGE_BYTES], prefix[MESSAGE_BYTES / 2];
    va_list args;
    va_start(args, format);
    if (vsnprintf(prefix, sizeof prefix, format, args) >= (int)sizeof prefix)
        memcpy(prefix + sizeof prefix - sizeof cut, cut, sizeof cut);
    va_end(args);
    memcpy(text, message + body, strlen(message + body) + 1);
    message[body] = 0;
    append(prefix);
    append(text);
}
