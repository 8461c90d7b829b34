/* target.c: see target.h. */
#include "target.h"
#include "options.h"
#include "say.h"
#include "stop.h"

#include "tensor/io/file.h"

#include <stdio.h>
#include <string.h>

tp_status target_check(const char *path, const char *mark, bool *exists)
{
    char head[64] = "";
    tp_file f;
    *exists = !tp_file_missing(path);
    if (!*exists)
        return TP_OK;
    TP_TRY(tp_file_open(&f, path));
    size_t n = f.size < (int64_t)sizeof head ? (size_t)f.size : sizeof head - 1;
    tp_status s = tp_file_read_at(&f, 0, head, n);
    tp_file_close(&f);
    if (s == TP_OK && strncmp(head, mark, strlen(mark)) != 0)
        return tp_fail(TP_EIO, "--out %s: is there and is %s, which is not replaced", path,
                       tp_file_looks_like(head, n));
    return s;
}

int target_said(tp_status s, const char *path, bool existed)
{
    char out[SHOWN_TEXT];
    if (s != TP_OK)
        return complain_error(stop_exit_code());
    printf("%s %s\n", existed ? "replaced" : "wrote", shown(out, path));
    return EXIT_GOOD;
}
