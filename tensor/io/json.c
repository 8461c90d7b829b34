/* json.c: the cursor of json.h.
 *
 * Every function skips white space, looks at the next character and either takes it or says what it found.
 * A decoded string is never longer than what was written, so it fits where it stood. Read next: json.h.
 */
#include "tensor/io/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tensor/utf8.h"

tp_json tp_json_begin(const char *path, char *text, int64_t bytes, int64_t offset, bool lines)
{
    return (tp_json){.at = text,
                     .end = text + bytes,
                     .path = path,
                     .start = text,
                     .offset = offset,
                     .line = lines ? 1 : 0};
}

/* --- messages ----------------------------------------------------------------------------------- */

tp_status tp_json_fail(const tp_json *j, const char *format, ...)
{
    char what[512], line[32] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (j->line > 0)
        snprintf(line, sizeof line, "line %d, ", j->line);
    return tp_fail(TP_EFORMAT, "%s: %s%s%s, at %sbyte %lld", j->path, j->where ? j->where : "",
                   j->where ? ": " : "", what, line, (long long)(j->at - j->start + j->offset));
}

/* How many characters from at on make one word or number. */
static int word_length(const tp_json *j)
{
    static const char inside[] = "0123456789+-."
                                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    int n = 0;
    while (n < j->end - j->at && n < INT32_MAX && j->at[n] != 0 && strchr(inside, j->at[n]) != NULL)
        n++;
    return n;
}

static tp_status expected(const tp_json *j, const char *wanted)
{
    enum { LONG = 24 };
    int n = word_length(j);
    if (j->at >= j->end)
        return tp_json_fail(j, "expected %s, got the end", wanted);
    if (n > 0)
        return tp_json_fail(j, "expected %s, got '%.*s%s'", wanted, n < LONG ? n : LONG, j->at,
                            n > LONG ? "..." : "");
    char got[TP_VISIBLE];
    const char *p = j->at;
    tp_visible(got, &p, j->end);
    return tp_json_fail(j, "expected %s, got '%s'", wanted, got);
}

/* --- punctuation -------------------------------------------------------------------------------- */

static void skip_space(tp_json *j)
{
    for (; j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r');
         j->at++)
        j->line += j->line > 0 && *j->at == '\n';
}

bool tp_json_accept(tp_json *j, char c)
{
    skip_space(j);
    if (j->at == j->end || *j->at != c)
        return false;
    j->at++;
    return true;
}

tp_status tp_json_expect(tp_json *j, char c)
{
    const char wanted[] = {'\'', c, '\'', 0};
    return tp_json_accept(j, c) ? TP_OK : expected(j, wanted);
}

tp_status tp_json_next(tp_json *j, char close, bool *more)
{
    const char wanted[] = {'\'', ',', '\'', ' ', 'o', 'r', ' ', '\'', close, '\'', 0};
    *more = tp_json_accept(j, ',');
    return *more || tp_json_accept(j, close) ? TP_OK : expected(j, wanted);
}

tp_status tp_json_finish(tp_json *j)
{
    skip_space(j);
    return j->at == j->end ? TP_OK : expected(j, "the end");
}

/* --- strings ------------------------------------------------------------------------------------ */

/* Four hexadecimal digits at the cursor; -1 if they are not there. */
static int32_t hex4(tp_json *j)
{
    int32_t v = 0;
    if (j->end - j->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = j->at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    j->at += 4;
    return v;
}

static char *put_utf8(char *out, int32_t c)
{
    int tail = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const int first[] = {0, 0xc0, 0xe0, 0xf0};
    *out++ = (char)(first[tail] | c >> 6 * tail);
    while (tail-- > 0)
        *out++ = (char)(0x80 | (c >> 6 * tail & 0x3f));
    return out;
}

/* The rest of \uXXXX, surrogate pairs included, as UTF-8 at *out. */
static tp_status unescape_unicode(tp_json *j, char **out)
{
    int32_t c = hex4(j), low = -1;
    if (c >= 0xd800 && c < 0xdc00 && j->end - j->at >= 2 && j->at[0] == '\\' && j->at[1] == 'u') {
        j->at += 2;
        low = hex4(j);
    }
    if (c >= 0xd800 && c < 0xe000 && (low < 0xdc00 || low > 0xdfff))
        return tp_json_fail(j, "half of a surrogate pair");
    if (c <= 0)
        return tp_json_fail(j, c == 0 ? "a NUL in a string" : "a bad \\u escape");
    *out = put_utf8(*out, low < 0 ? c : 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
    return TP_OK;
}

/* The character at the cursor, escaped or not, to *out. */
static tp_status string_character(tp_json *j, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if ((unsigned char)*j->at < 32)
        return tp_json_fail(j, "a control character in a string");
    if (*j->at != '\\') {
        int n = tp_utf8_length(j->at, j->end);
        if (n == 0)
            return tp_json_fail(j, "a string that is not UTF-8");
        memmove(*out, j->at, (size_t)n);
        *out += n;
        j->at += n;
        return TP_OK;
    }
    char c = j->end - j->at < 2 ? 0 : j->at[1];
    const char *known = c != 0 ? strchr(from, c) : NULL;
    if (known == NULL && c != 'u')
        return tp_json_fail(j, "an unknown escape");
    j->at += 2;
    if (known == NULL)
        return unescape_unicode(j, out);
    *(*out)++ = to[known - from];
    return TP_OK;
}

tp_status tp_json_string(tp_json *j, const char **string)
{
    if (!tp_json_accept(j, '"'))
        return expected(j, "a string");
    char *out = j->at;
    *string = out;
    while (j->at < j->end && *j->at != '"')
        TP_TRY(string_character(j, &out));
    if (j->at >= j->end)
        return tp_json_fail(j, "a string without end");
    j->at++;
    *out = 0; /* at most on the closing quote */
    return TP_OK;
}

int tp_json_escape(char text[TP_JSON_ESCAPE], const char **p, const char *end)
{
    const unsigned char *c = (const unsigned char *)*p;
    int n = tp_utf8_length(*p, end), used = 0;
    *p += n > 0 ? n : 1;
    if (n == 0)
        return snprintf(text, TP_JSON_ESCAPE, "\\ufffd");
    if (c[0] < 32 || c[0] == 127)
        return snprintf(text, TP_JSON_ESCAPE, "\\u%04x", c[0]);
    if (c[0] == 0xc2 && c[1] < 0xa0)
        return snprintf(text, TP_JSON_ESCAPE, "\\u%04x", c[1]);
    if (c[0] == '"' || c[0] == '\\')
        text[used++] = '\\';
    for (int i = 0; i < n; i++)
        text[used++] = (char)c[i];
    return used;
}

/* --- numbers ------------------------------------------------------------------------------------ */

static int digits_at(const char *p, int n)
{
    int i = 0;
    while (i < n && p[i] >= '0' && p[i] <= '9')
        i++;
    return i;
}

/* The length of the number at the cursor, as the grammar has it; 0 if there is none. */
static int number_length(const tp_json *j)
{
    const char *p = j->at;
    int n = word_length(j), i = n > 0 && p[0] == '-', whole = digits_at(p + i, n - i);
    if (whole == 0 || (whole > 1 && p[i] == '0'))
        return 0;
    i += whole;
    if (i < n && p[i] == '.') {
        int part = digits_at(p + i + 1, n - i - 1);
        i = part > 0 ? i + 1 + part : n + 1;
    }
    if (i < n && (p[i] == 'e' || p[i] == 'E')) {
        i += 1 + (i + 1 < n && (p[i + 1] == '+' || p[i + 1] == '-'));
        int part = digits_at(p + i, n - i);
        i = part > 0 ? i + part : n + 1;
    }
    return i == n ? n : 0;
}

tp_status tp_json_number(tp_json *j, const char **text, int *length)
{
    skip_space(j);
    *text = j->at;
    *length = number_length(j);
    if (*length == 0)
        return expected(j, "a number");
    j->at += *length;
    return TP_OK;
}

tp_status tp_json_size(tp_json *j, int64_t *value)
{
    skip_space(j);
    int n = number_length(j);
    if (n == 0 || digits_at(j->at, n) < n)
        return expected(j, "a non-negative integer");
    int64_t v = 0;
    for (int i = 0; i < n; i++) {
        int digit = j->at[i] - '0';
        if (v > (INT64_MAX - digit) / 10)
            return expected(j, "an integer below 2^63");
        v = v * 10 + digit;
    }
    j->at += n;
    *value = v;
    return TP_OK;
}
