/* target_config.c: any bytes as config.json of the tool. What is read is written and read again as the same. The
 * message of a refusal shows what the file says; that it can be shown is for target_options.c. */
#include "tests/fuzz/target.h"

#include <string.h>

#include "examples/vae/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool named, again;
    options o = preset_options(0), second = preset_options(0);
    const char *path = target_file(data, size);
    size_t begun = target_begin(2 * size + (1 << 12));
    tp_status s = config_read(&o, path, &named);
    TARGET_REQUIRE(s == TP_OK || s == TP_EFORMAT || s == TP_EARG);
    TARGET_REQUIRE(s == TP_OK || strstr(tp_last_error(), path) != NULL);
    if (s == TP_OK) {
        json first = {0}, then = {0};
        tp_mem_set_budget(0); /* writing is not limited by what was read */
        config_write(&o, &first, false);
        path = target_file(first.text, first.used);
        TARGET_REQUIRE(!first.failed);
        TARGET_REQUIRE(config_read(&second, path, &again) == TP_OK);
        config_write(&second, &then, false);
        TARGET_REQUIRE(first.used == then.used && memcmp(first.text, then.text, then.used) == 0);
        json_free(&first);
        json_free(&then);
    }
    target_end(begun);
    return 0;
}
