/* target_json.c: any bytes to the JSON reader, read as whatever comes next. What the tool's
 * writer makes of a string reads as that string; sizes are what their digits say; nothing is touched outside of the text. */
#include "tests/fuzz/target.h"

#include <stdlib.h>
#include <string.h>

#include "examples/vae/json.h"
#include "tensor/io/json.h"

enum { DEPTH = 64 };

static tp_status read_string(tp_json *j)
{
    const char *s, *again;
    json written = {0};
    TP_TRY(tp_json_string(j, &s));
    TARGET_REQUIRE(s > j->start && s + strlen(s) < j->at);
    json_text(&written, s);
    TARGET_REQUIRE(!written.failed);
    tp_json second = tp_json_begin("again", written.text, (int64_t)written.used, 0, false);
    TARGET_REQUIRE(tp_json_string(&second, &again) == TP_OK && strcmp(s, again) == 0);
    TARGET_REQUIRE(tp_json_finish(&second) == TP_OK);
    json_free(&written);
    return TP_OK;
}

static tp_status read_number(tp_json *j)
{
    tp_json other = *j;
    const char *text;
    int n;
    int64_t size;
    tp_status s = tp_json_number(j, &text, &n);
    if (tp_json_size(&other, &size) != TP_OK)
        return s;
    TARGET_REQUIRE(s == TP_OK && text >= j->start && text + n <= j->at);
    TARGET_REQUIRE(size >= 0 && other.at == j->at);
    for (int64_t rest = size; n-- > 0; rest /= 10)
        TARGET_REQUIRE(rest % 10 == text[n] - '0');
    return TP_OK;
}

/* Values inside each other, without recursion: stack holds the brackets that are to close. */
static tp_status read_values(tp_json *j)
{
    char stack[DEPTH];
    int depth = 0;
    bool more = true;
    while (more) {
        bool key = depth > 0 && stack[depth - 1] == '}';
        if (key) {
            TP_TRY(read_string(j));
            TP_TRY(tp_json_expect(j, ':'));
        }
        bool object = tp_json_accept(j, '{'), list = !object && tp_json_accept(j, '[');
        char close = object ? '}' : ']';
        if ((object || list) && !tp_json_accept(j, close)) {
            if (depth == DEPTH)
                return tp_json_fail(j, "deeper than is looked into here");
            stack[depth++] = close;
            continue;
        }
        if (!object && !list) {
            tp_json other = *j;
            TP_TRY(tp_json_accept(&other, '"') ? read_string(j) : read_number(j));
        }
        more = false;
        while (depth > 0 && !more) {
            TP_TRY(tp_json_next(j, stack[depth - 1], &more));
            depth -= !more;
        }
    }
    return tp_json_finish(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size > 0 ? size : 1);
    TARGET_REQUIRE(text != NULL);
    memcpy(text, data, size);
    tp_json j = tp_json_begin("file", text, (int64_t)size, 8, size % 2 == 0);
    tp_status s = read_values(&j);
    target_check_status(s, 1u << TP_EFORMAT, "file: ");
    TARGET_REQUIRE(j.at >= text && j.at <= text + size);
    free(text);
    return 0;
}
