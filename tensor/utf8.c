/* utf8.c: what may be shown of text that others wrote. Read next: status.c, whose messages are made of it. */
#include "tensor/utf8.h"

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

/* C0, DEL and C1; U+200B-200F, 2028-202E and 2060-206F; the byte order mark. */
static bool hidden(const unsigned char *p, int n)
{
    if (n == 1)
        return p[0] < 32 || p[0] == 127;
    if (n == 2)
        return p[0] == 0xc2 && p[1] < 0xa0;
    if (n == 3 && p[0] == 0xe2 && p[1] == 0x80)
        return (p[2] >= 0x8b && p[2] <= 0x8f) || (p[2] >= 0xa8 && p[2] <= 0xae);
    return n == 3 && ((p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa0 && p[2] <= 0xaf) ||
                      (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf));
}

int tp_visible(char text[TP_VISIBLE], const char **p, const char *end)
{
    const unsigned char *c = (const unsigned char *)*p;
    int valid = tp_utf8_length(*p, end), n = valid > 0 ? valid : 1, used = 0;
    *p += n;
    if (valid == 0 || hidden(c, n))
        for (int i = 0; i < n; i++)
            used += snprintf(text + used, (size_t)(TP_VISIBLE - used), "\\x%02x", c[i]);
    else
        for (; used < n; used++)
            text[used] = (char)c[used];
    text[used] = '\0';
    return used;
}
