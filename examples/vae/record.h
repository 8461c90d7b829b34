/* record.h: what is said of an epoch, in metrics.jsonl, timing.jsonl and to people; and of a model that is measured.
 *
 * Read next: record.c, measure.h.
 */
#ifndef VAE_RECORD_H
#define VAE_RECORD_H

#include "measure.h"

typedef struct epoch_result {
    int64_t epoch, step;
    tp_stats train, test; /* of no samples if there is nothing to measure on */
    latents latents;      /* likewise */
    const char *measured; /* what those are called: "test" or "valid" */
    uint64_t best;        /* the best epoch by now; 0: it is not looked for */
    double samples_per_second, seconds;
} epoch_result;

/* A line each for metrics.jsonl, which the seed determines, and timing.jsonl, which it does not. */
void record_metrics(json *j, const epoch_result *e);
void record_timing(json *j, const epoch_result *e);
/* The same in short for people. */
void record_print(const epoch_result *e, int64_t epochs);

/* Keys with what was measured: the loss and its terms, recon and kl always and first; prefix stands before each name.
 * Terms are those of names; null where s has no samples. */
void record_stats(json *j, const char *prefix, const tp_stats *s, const tp_stats *names);
/* active_units, <prefix>kl_per_dimension and collapsed; null for what is not known. */
void record_latents(json *j, const char *prefix, const latents *l, const tp_stats *s,
                    uint64_t step);
/* What the latent space is used for, for people; a warning if the posterior has collapsed. Nothing for a model that
 * has none. */
void record_use(const run *r, const latents *l, const tp_stats *s, uint64_t step);

#endif
