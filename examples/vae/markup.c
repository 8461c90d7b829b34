/* markup.c: see markup.h. */
#include "markup.h"
#include "tensor/utf8.h"

#include <limits.h>
#include <string.h>

/* One character of s, and how many bytes it had. */
static int put_character(json *page, const char *s, const char *end)
{
    static const struct {
        char c;
        const char *name;
    } names[] = {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&quot;"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (*s == names[i].c) {
            json_raw(page, "%s", names[i].name);
            return 1;
        }
    int n = tp_utf8_length(s, end);
    unsigned char first = (unsigned char)*s, second = n > 1 ? (unsigned char)s[1] : 0;
    bool control = first < ' ' || first == 0x7f || (first == 0xc2 && second < 0xa0 && n == 2);
    bool nothing = n == 3 && first == 0xef && second == 0xbf && (unsigned char)s[2] >= 0xbe;
    if (n == 0 || control || nothing)
        json_raw(page, "\xef\xbf\xbd");
    else
        json_raw(page, "%.*s", n, s);
    return n > 0 ? n : 1;
}

void markup_short(json *page, const char *s, int most)
{
    const char *end = s + strlen(s);
    for (int i = 0; s < end && i < most; i++)
        s += put_character(page, s, end);
    if (s < end)
        json_raw(page, "…");
}

void markup_text(json *page, const char *s)
{
    markup_short(page, s, INT_MAX);
}

void markup_base64(json *page, const unsigned char *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { GROUPS = 1024 };
    char text[4 * GROUPS];
    while (bytes > 0) {
        size_t used = 0;
        for (int i = 0; i < GROUPS && bytes > 0; i++) {
            size_t n = bytes < 3 ? bytes : 3;
            unsigned long group = (unsigned long)data[0] << 16;
            group |= n > 1 ? (unsigned long)data[1] << 8 : 0;
            group |= n > 2 ? data[2] : 0;
            text[used++] = digits[group >> 18];
            text[used++] = digits[group >> 12 & 63];
            text[used++] = n > 1 ? digits[group >> 6 & 63] : '=';
            text[used++] = n > 2 ? digits[group & 63] : '=';
            data += n;
            bytes -= n;
        }
        json_raw(page, "%.*s", (int)used, text);
    }
}
