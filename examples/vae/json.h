/* json.h: writes JSON into a growing text. config.c reads some of it back with tensor/io/json.h.
 *
 * Read next: config.c.
 */
#ifndef VAE_JSON_H
#define VAE_JSON_H

#include <stddef.h>
#include <stdint.h>
#include "tensor/status.h"
#include "tensor/text.h"

/* Zero-initialise; freed with json_free. Running out of memory is remembered until json_save. */
typedef struct json {
    char *text;
    size_t used, room;
    int failed;
} json;

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void json_raw(json *j, const char *format, ...);
/* A value, or a key whose value follows; commas come by themselves. separator is what stands behind
 * the comma before this key. */
void json_key(json *j, const char *key, const char *separator);
void json_text(json *j, const char *s);
void json_integer(json *j, int64_t v);
/* The shortest decimal that reads back as v, which is finite. */
char *json_number_text(char text[TP_NUMBER_TEXT], double v);
/* The same; null unless finite. */
void json_number(json *j, double v);
void json_null(json *j);
void json_free(json *j);
/* The text as a file, atomically. */
tp_status json_save(const json *j, const char *path);

#endif
