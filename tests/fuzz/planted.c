/* planted.c: the negative control of the fuzzers: bugs that only some inputs reach, which check_fuzz.sh must find.
 * Nothing of tapir is in it. Read next: check_fuzz.sh. */
#include "tests/fuzz/target.h"

#include <stdlib.h>
#include <string.h>

/* "STOP" ends the process in any build but libFuzzer's. "PLNT", a count and as many bytes are read one place too far,
 * which only a sanitizer sees. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
#ifndef TAPIR_LIBFUZZER
    if (size == 4 && memcmp(data, "STOP", 4) == 0)
        abort();
#endif
    if (size < 6 || memcmp(data, "PLNT", 4) != 0 || data[4] != size - 5)
        return 0;
    uint8_t *payload = malloc(size - 5);
    if (payload == NULL)
        return 0;
    memcpy(payload, data + 5, size - 5);
    volatile uint8_t behind = payload[data[4]]; /* the bug */
    (void)behind;
    free(payload);
    return 0;
}
