/* status.c: names of the codes and the per-thread message buffer. */
#include "tensor/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

tp_status tp_fail(tp_status code, const char *format, ...)
{
    char text[MESSAGE_BYTES]; /* arguments may point into the message that is being replaced */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    body = (size_t)snprintf(message, sizeof message, "%s ", tp_status_name(code));
    snprintf(message + body, sizeof message - body, "%.*s", (int)(sizeof message - body - 1), text);
    return code;
}

void tp_fail_prefix(const char *format, ...)
{
    char text[MESSAGE_BYTES], prefix[512];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    memcpy(text, message + body, strlen(message + body) + 1);
    snprintf(message + body, sizeof message - body, "%s%.*s", prefix, MESSAGE_BYTES - 600, text);
}
