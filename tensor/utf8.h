/* utf8.h: text that others wrote (names in files, arguments), for messages and files. Depends on nothing else.
 * Read next: utf8.c. */
#ifndef TP_TENSOR_UTF8_H
#define TP_TENSOR_UTF8_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the UTF-8 character at p (end exclusive); 0 if it is malformed, a surrogate or too large. */
int tp_utf8_length(const char *p, const char *end);
bool tp_utf8_valid(const char *s);
/* The character at *p as it may be shown: as it is, or \xNN for each byte of what a terminal would obey (controls,
 * marks of direction), what nobody sees, and what is not UTF-8. Moves *p behind it, returns the length. */
enum { TP_VISIBLE = 20 };
int tp_visible(char text[TP_VISIBLE], const char **p, const char *end);

#ifdef __cplusplus
}
#endif
#endif
