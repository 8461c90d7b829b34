/* status.h: status codes and the message of the last failure.
 *
 * Every function that can fail returns a tp_status. The library never prints, exits or aborts: the
 * text of a failure waits in tp_last_error(), one buffer per thread, until the next failure there.
 * Read next: mem.h.
 */
#ifndef TP_TENSOR_STATUS_H
#define TP_TENSOR_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tp_status {
#define TP_STATUS(id, name, meaning) TP_##id,
#include "tensor/status.def"
#undef TP_STATUS
    TP_STATUS_COUNT
} tp_status;

/* The name of a code as messages print it, e.g. "E_SHAPE"; "E_?" for a number that is no code. */
const char *tp_status_name(tp_status s);

/* One line that says what the code means in general. */
const char *tp_status_meaning(tp_status s);

/* The full message of the last call that failed in this thread; "" before the first failure. */
const char *tp_last_error(void);

/* Records "<name of code> <formatted text>" as this thread's last error and returns code. Control characters,
 * marks of direction and bytes that are not UTF-8 come out as \xNN, whoever they come from; of line breaks only
 * those before two spaces stay. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
tp_status
tp_fail(tp_status code, const char *format, ...);

/* As tp_fail, but the text so far becomes the tail of a longer message: "<name> <prefix><old text>". */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
void tp_fail_prefix(const char *format, ...);

/* Leave the calling function with the status of expr unless it is TP_OK. */
#define TP_TRY(expr)                                                                               \
    do {                                                                                           \
        tp_status tp_try_status_ = (expr);                                                         \
        if (tp_try_status_ != TP_OK)                                                               \
            return tp_try_status_;                                                                 \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
