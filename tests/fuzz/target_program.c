/* target_program.c: random programs of operations whose choices are the bytes, so that coverage steers them: the
 * generator and all comparisons of fuzz.h. A failure prints the program as C and aborts. */
#include "tests/fuzz/target.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_shared *shared;
    if (shared == NULL)
        shared = fuzz_shared_new();
    TARGET_REQUIRE(shared != NULL);
    fuzz_run_bytes(shared, data, size);
    const fuzz_failure *f = &shared->failure;
    if (f->kind == FUZZ_NONE)
        return 0;
    fprintf(stderr, "%s: %s: %s\n", f->op != NULL ? f->op->name : "?", fuzz_kind_text(f->kind),
            f->text);
    fuzz_print(stderr, shared);
    abort();
}
