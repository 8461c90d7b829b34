/* say.c: complaints, notes and the progress bar. Read next: say.h. */
#define _POSIX_C_SOURCE 200809L
#include "say.h"

#include "tensor/status.h"
#include "tensor/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 4096 };

/* One write, so that lines of two processes do not mix. What operations say goes on in lines that two spaces begin; any
 * other line feed belongs to a name. */
static void print_line(const char *text, bool lines)
{
    char out[4 * MESSAGE + TP_VISIBLE] = "vae: ";
    size_t used = strlen(out);
    for (const char *end = text + strlen(text); text < end;) {
        if (lines && strncmp(text, "\n  ", 3) == 0)
            out[used++] = *text++;
        else
            used += (size_t)tp_visible(out + used, &text, end);
    }
    out[used++] = '\n';
    fflush(stdout); /* keeps the order where both go to one place */
    fwrite(out, 1, used, stderr);
}

const char *shown(char text[SHOWN_TEXT], const char *s)
{
    size_t used = 0;
    text[0] = '\0';
    for (const char *end = s + strlen(s); s < end && used + TP_VISIBLE < SHOWN_TEXT;)
        used += (size_t)tp_visible(text + used, &s, end);
    return text;
}

/* Bytes above 127 are letters of UTF-8, or escaped on the way out. */
static bool plain(char c)
{
    static const char marks[] = "%+,-./:=@_";
    return (c & 0x80) != 0 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (c != '\0' && strchr(marks, c) != NULL);
}

const char *shell_word(char text[SHOWN_TEXT], const char *s)
{
    static const char quote[] = "'\\''"; /* ends the quotes, a quote, begins them again */
    size_t used = 0, n = 0;
    while (plain(s[n]))
        n++;
    if (s[n] == '\0' && n > 0) {
        snprintf(text, SHOWN_TEXT, "%s", s);
        return text;
    }
    text[used++] = '\'';
    for (; *s != '\0' && used + sizeof quote + 1 < SHOWN_TEXT; s++) {
        if (*s == '\'')
            used += (size_t)snprintf(text + used, SHOWN_TEXT - used, "%s", quote);
        else
            text[used++] = *s;
    }
    text[used++] = '\'';
    text[used] = '\0';
    return text;
}

int complain(int code, const char *format, ...)
{
    char text[MESSAGE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_line(text, false);
    return code;
}

int complain_error(int code)
{
    const char *text = tp_last_error(), *space = strchr(text, ' ');
    print_line(space != NULL ? space + 1 : text, true);
    return code;
}

void note(const char *format, ...)
{
    char text[MESSAGE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_line(text, false);
}

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

char *time_text(double seconds, char text[TIME_TEXT])
{
    long long s = (long long)(seconds + 0.5);
    if (s < 3600)
        snprintf(text, TIME_TEXT, "%lld:%02lld", s / 60, s % 60);
    else
        snprintf(text, TIME_TEXT, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    return text;
}

/* --- the bar ------------------------------------------------------------------------------------ */

/* Samples, with what evaluation is worth, up to `done` samples of an epoch. */
static double work(const bar *b, int64_t epoch, int64_t done)
{
    return (double)(epoch - 1) * ((double)b->samples + b->evaluation) + (double)done;
}

bar bar_start(int64_t epochs, int64_t samples, int64_t evaluated, int64_t epoch, int64_t done)
{
    const char *term = getenv("TERM");
    bool dumb = term == NULL || strcmp(term, "dumb") == 0;
    /* evaluating a sample is the forward third of training on it */
    bar b = {.terminal = isatty(STDERR_FILENO) == 1 && !dumb,
             .epochs = epochs,
             .samples = samples,
             .evaluation = (double)evaluated / 3,
             .start = seconds_now()};
    b.before = work(&b, epoch, done);
    return b;
}

/* With rest seconds to go. */
static void show(bar *b, double fraction, double rest, const char *what)
{
    enum { WIDTH = 30, LONG = 10 };
    static const char full[] = "##############################";
    char left[TIME_TEXT];
    double now = seconds_now();
    if (!b->terminal) {
        if (!b->estimated && now - b->start > 1) {
            b->estimated = true;
            if (rest > LONG)
                note("about %s to go", time_text(rest, left));
        }
        return;
    }
    if (now - b->last < 0.1)
        return;
    b->last = now;
    fprintf(stderr, "\r%3d%% [%-*.*s] %s  %s left\033[K", (int)(100 * fraction), WIDTH,
            (int)(WIDTH * fraction), full, what, time_text(rest, left));
    fflush(stderr);
}

void bar_show(bar *b, int64_t epoch, int64_t done, double loss)
{
    char what[96];
    double whole = work(b, b->epochs + 1, 0), at = work(b, epoch, done);
    snprintf(what, sizeof what, "epoch %lld/%lld  train %.2f", (long long)epoch,
             (long long)b->epochs, loss);
    show(b, at / whole, (seconds_now() - b->start) * (whole - at) / (at - b->before), what);
}

void bar_part(bar *b, double part, const char *what)
{
    show(b, part, (seconds_now() - b->start) * (1 - part) / part, what);
}

void bar_clear(const bar *b)
{
    if (b->terminal && b->last > 0)
        fputs("\r\033[K", stderr);
}
