/* markup.h: text and pictures inside SVG and HTML. The page is the growing text of json.h.
 *
 * Read next: chart.h, report.c.
 */
#ifndef VAE_MARKUP_H
#define VAE_MARKUP_H

#include "json.h"

/* s, which others wrote, as text or as an attribute in double quotes: <, >, & and " escaped, U+FFFD for what XML or UTF-8 do
 * not have. */
void markup_text(json *page, const char *s);
/* The same, cut behind so many characters with "…". */
void markup_short(json *page, const char *s, int most);
/* Bytes in base64 (RFC 4648). */
void markup_base64(json *page, const unsigned char *data, size_t bytes);

#endif
