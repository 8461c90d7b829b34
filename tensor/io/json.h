/* json.h: reading JSON by saying what has to come next, and the escapes of its strings. Private to the
 * library and its tools.
 *
 * A cursor over text in memory, strict as RFC 8259, without a tree, without recursion and without allocating:
 * the caller knows the few levels that its file has and refuses the rest. Duplicate keys are for the caller
 * to refuse, who knows which keys there are. Read next: safetensors_header.c, which reads so.
 */
#ifndef TP_TENSOR_IO_JSON_H
#define TP_TENSOR_IO_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include "tensor/status.h"

/* What is left to read, and what messages say: "path: where: expected '{', got 'x', at line 1, byte 7". */
typedef struct tp_json {
    char *at, *end;
    const char *path;
    const char *where; /* or NULL */
    const char *start;
    int64_t offset; /* of start in the file */
    int line;       /* 0: lines mean nothing here and are not mentioned */
} tp_json;

/* bytes of text that begin at offset of the file; a file that people edit counts its lines. Strings are decoded in
 * place: the text must stay, and can be read once. */
tp_json tp_json_begin(const char *path, char *text, int64_t bytes, int64_t offset, bool lines);

/* Records TP_EFORMAT with where the cursor is. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
tp_status
tp_json_fail(const tp_json *j, const char *format, ...);

/* Takes the character c if it comes next behind white space, which may be gone afterwards either way. */
bool tp_json_accept(tp_json *j, char c);
/* The same where nothing else may come: TP_EFORMAT. */
tp_status tp_json_expect(tp_json *j, char c);
/* Behind an element of a list or object: a comma (*more), or its closing bracket. TP_EFORMAT. */
tp_status tp_json_next(tp_json *j, char close, bool *more);
/* Only white space is left. TP_EFORMAT. */
tp_status tp_json_finish(tp_json *j);

/* A string, valid UTF-8 without NUL, in place and NUL-terminated. TP_EFORMAT. */
tp_status tp_json_string(tp_json *j, const char **string);
/* A number as it is written: length bytes of text, without a NUL behind. TP_EFORMAT. */
tp_status tp_json_number(tp_json *j, const char **text, int *length);
/* An integer from 0 to 2^63-1 without fraction or exponent. TP_EFORMAT. */
tp_status tp_json_size(tp_json *j, int64_t *value);

/* The character at *p as it stands in a string of JSON, without a NUL behind: itself, or an escape for quotes and
 * control characters (C1, too); U+FFFD for a byte that is not UTF-8. Moves *p behind it, returns the length. */
enum { TP_JSON_ESCAPE = 8 };
int tp_json_escape(char text[TP_JSON_ESCAPE], const char **p, const char *end);

#endif
