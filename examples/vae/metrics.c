/* metrics.c: see metrics.h. */
#include "metrics.h"

#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void metrics_free(metrics *m)
{
    for (int i = 0; i < m->keys; i++)
        tp_free(m->column[i], (size_t)m->rows * sizeof(double));
    *m = (metrics){0};
}

static int find(const metrics *m, const char *name)
{
    int i = 0;
    while (i < m->keys && strcmp(m->name[i], name) != 0)
        i++;
    return i;
}

const double *metrics_column(const metrics *m, const char *name)
{
    int i = find(m, name);
    for (int64_t row = 0; i < m->keys && row < m->rows; row++)
        if (!isnan(m->column[i][row]))
            return m->column[i];
    return NULL;
}

/* The column of a key, which is made if there is none yet. */
static tp_status column_of(metrics *m, const tp_json *j, const char *name, double **to)
{
    int i = find(m, name);
    if (i == m->keys) {
        if (i == METRICS_KEYS || strlen(name) >= METRICS_NAME)
            return tp_json_fail(j, "more or longer names than a run writes");
        double *fresh = tp_alloc((size_t)m->rows * sizeof *fresh);
        if (fresh == NULL)
            return TP_ENOMEM;
        for (int64_t row = 0; row < m->rows; row++)
            fresh[row] = NAN;
        m->column[m->keys] = fresh;
        snprintf(m->name[m->keys++], METRICS_NAME, "%s", name);
    }
    *to = m->column[i];
    return TP_OK;
}

static bool word(tp_json *j, const char *w)
{
    size_t n = strlen(w);
    while (j->at < j->end && *j->at == ' ')
        j->at++;
    if ((size_t)(j->end - j->at) < n || memcmp(j->at, w, n) != 0)
        return false;
    j->at += n;
    return true;
}

static tp_status number(tp_json *j, double *to)
{
    const char *text;
    int length;
    TP_TRY(tp_json_number(j, &text, &length));
    *to = strtod(text, NULL); /* which ends where it ends: a NUL is behind the file */
    return TP_OK;
}

/* Behind a key. *kept: it was a number or null. */
static tp_status value(tp_json *j, double *to, bool *kept)
{
    *to = NAN;
    *kept = false;
    if (tp_json_accept(j, '[')) {
        for (bool more = !tp_json_accept(j, ']'); more;) {
            if (!word(j, "null"))
                TP_TRY(number(j, to));
            TP_TRY(tp_json_next(j, ']', &more));
        }
        return TP_OK;
    }
    if (word(j, "true") || word(j, "false"))
        return TP_OK;
    *kept = true;
    return word(j, "null") ? TP_OK : number(j, to);
}

static tp_status read_line(metrics *m, tp_json *j, int64_t row)
{
    TP_TRY(tp_json_expect(j, '{'));
    for (bool more = !tp_json_accept(j, '}'), kept; more;) {
        const char *name;
        double v, *column = NULL;
        TP_TRY(tp_json_string(j, &name));
        TP_TRY(tp_json_expect(j, ':'));
        TP_TRY(value(j, &v, &kept));
        if (kept) {
            TP_TRY(column_of(m, j, name, &column));
            column[row] = v;
        }
        TP_TRY(tp_json_next(j, '}', &more));
    }
    return TP_OK;
}

tp_status metrics_read(metrics *m, const char *path)
{
    enum { LIMIT = 1 << 28 };
    char *text;
    size_t bytes;
    *m = (metrics){0};
    TP_TRY(tp_file_read_all(path, LIMIT, &text, &bytes));
    for (size_t i = 0; i < bytes; i++)
        m->rows += text[i] == '\n';
    tp_json j = tp_json_begin(path, text, (int64_t)bytes, 0, true);
    tp_status s = m->rows > 0 ? TP_OK : tp_json_fail(&j, "no epoch is done yet");
    for (int64_t row = 0; row < m->rows && s == TP_OK; row++)
        s = read_line(m, &j, row);
    if (s == TP_OK)
        s = tp_json_finish(&j);
    tp_free(text, bytes + 1);
    if (s != TP_OK)
        metrics_free(m);
    return s;
}
