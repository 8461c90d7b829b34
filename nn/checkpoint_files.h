/* Private to checkpoint.c: the names of checkpoints in a directory. Read next: checkpoint_files.c. */
#ifndef TP_NN_CHECKPOINT_FILES_H
#define TP_NN_CHECKPOINT_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/status.h"

/* "<directory>/checkpoint-<step>.safetensors<ending>", freed with tp_free_string; NULL without memory. */
char *tp_checkpoint_path(const char *directory, uint64_t step, const char *ending);

/* Decimal digits up to the end of the text or to `end`, as checkpoints are named and counted. */
bool tp_checkpoint_count(const char *text, const char *end, uint64_t *value);

/* The largest step below `below` of a checkpoint in directory; *found is false if there is none. TP_EIO. */
tp_status tp_checkpoint_newest(const char *directory, uint64_t below, uint64_t *step, bool *found);

/* All but the two newest go. The new one is safe by now: what cannot be removed is no failure. */
void tp_checkpoint_remove_old(const char *directory);

/* Moves the damaged ones, which are newer than the one at that path and step, out of the way. TP_EIO, TP_ENOMEM. */
tp_status tp_checkpoint_set_aside(const char *newest_whole, uint64_t step);

#endif
