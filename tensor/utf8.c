/* utf8.c: what may be shown of text that others wrote. Read next: status.c, whose messages are made of it. */
#include "tensor/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

int tp_utf8_length(const char *text, const char *end)
{
    const unsigned char *p = (const unsigned char *)text;
    int n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
    if (n == 0 || end - text < n)
        return 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

bool tp_utf8_valid(const char *s)
{
    const char *end = s + strlen(s);
    for (int n = 1; s < end && n > 0; s += n)
        n = tp_utf8_length(s, end);
    return s == end;
}

/* The code point of a valid character of n bytes. */
static uint32_t code_point(const unsigned char *p, int n)
{
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (int i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

/* Unicode's controls and format characters (Cc, Cf), separators of lines, and tags. Of Cf only those that stand for
 * something that is seen are left out: the signs that enclose Arabic, Syriac, Kaithi and Egyptian text. */
static bool hidden(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0, 0x1f},         {0x7f, 0x9f},     {0xad, 0xad},       {0x61c, 0x61c},
                  {0x180e, 0x180e},  {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},
                  {0xfeff, 0xfeff},  {0xfff9, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
                  {0xe0000, 0xe0fff}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

int tp_visible(char text[TP_VISIBLE], const char **p, const char *end)
{
    const unsigned char *c = (const unsigned char *)*p;
    int valid = tp_utf8_length(*p, end), n = valid > 0 ? valid : 1, used = 0;
    *p += n;
    if (valid == 0 || hidden(code_point(c, n)))
        for (int i = 0; i < n; i++)
            used += snprintf(text + used, (size_t)(TP_VISIBLE - used), "\\x%02x", c[i]);
    else
        for (; used < n; used++)
            text[used] = (char)c[used];
    text[used] = '\0';
    return used;
}
