/* metrics.h: reads back the curves of a run, metrics.jsonl. Read next: metrics.c, record.h, which writes it. */
#ifndef VAE_METRICS_H
#define VAE_METRICS_H

#include "tensor/status.h"

#include <stdint.h>

enum { METRICS_KEYS = 64, METRICS_NAME = 64 };

/* A table of a row for each line. Zero-initialise; freed with metrics_free. */
typedef struct metrics {
    int64_t rows;
    int keys;
    char name[METRICS_KEYS][METRICS_NAME];
    double *column[METRICS_KEYS]; /* NaN where a line has null or no such key */
} metrics;

/* Keys with a number or null, in the order of the file; lists and truth values are passed over. TP_EIO, TP_EFORMAT, TP_ENOMEM. */
tp_status metrics_read(metrics *m, const char *path);
void metrics_free(metrics *m);
/* A column of the table, or NULL; one without any number counts as none. */
const double *metrics_column(const metrics *m, const char *name);

#endif
