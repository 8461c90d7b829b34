/* checkpoint.h: all that a training run needs to go on as if it had never stopped, in one file.
 *
 * A directory keeps the two newest, "checkpoint-<steps done>.safetensors". Each appears complete or not at all and
 * carries a checksum; when the newest is damaged, the one before it is taken. A run that goes on from a
 * checkpoint ends with the same bytes as one that was never stopped: same binary, same instruction set.
 * Not the way to exchange weights: that is tp_params_save. Read next: checkpoint.c.
 */
#ifndef TP_NN_CHECKPOINT_H
#define TP_NN_CHECKPOINT_H

#include "nn/train.h"
#include "tensor/io/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the state of a run into directory: parameters and buffers by their names, the optimizer with its moments, where
 * the trainer is (step, epoch, batches and means of the epoch so far), its best epoch if it keeps one, seed, and what
 * the data are. Noise and
 * order follow from seed, step and epoch. texts are the caller's own: key, value, …, NULL, or NULL. Then all but the
 * two newest checkpoints are removed. May be called from on_batch.
 * TP_EARG if the directory holds a checkpoint of more steps, which must be of another run; TP_EIO, TP_ENOMEM. On
 * failure the older checkpoints are as they were. */
tp_status tp_checkpoint_save(const char *directory, const tp_trainer *t, tp_batches *b,
                             const char *const *texts);

/* An open checkpoint. */
typedef struct tp_checkpoint {
    char *path; /* NULL: there is none in the directory */
    char *note; /* what is wrong with newer ones, if they are damaged, and what is taken; or NULL */
    uint64_t step;
    tp_safetensors file;
} tp_checkpoint;

/* Opens the newest checkpoint in directory that is whole; one that cannot be read, or that is not as it was
 * written, is passed over with a note. No checkpoint at all is no failure: c->path is NULL then. TP_EIO or
 * TP_EFORMAT, that of the newest, if there are some but none is whole; TP_ENOMEM. On failure there is nothing
 * to close. */
tp_status tp_checkpoint_open(tp_checkpoint *c, const char *directory);

/* The text saved under key; NULL if there is none. Lives until the checkpoint is closed. */
const char *tp_checkpoint_text(const tp_checkpoint *c, const char *key);

/* Puts parameters, optimizer and trainer into the state that was saved; tp_train_rest then goes on. The model, kind
 * of optimizer, seed, data and batch size must be those of the run: TP_EFORMAT names what differs. The optimizer's
 * options become those that were saved; a schedule is not part of the file, the caller sets the same. A best epoch in the
 * file that the trainer does not keep, or its weights alone, are passed over; what it keeps must be there. TP_EIO,
 * TP_ENOMEM. On failure nothing is changed. Damaged checkpoints that the note speaks of are renamed to "….damaged", out of
 * the way of the next save. */
tp_status tp_checkpoint_load(const tp_checkpoint *c, tp_trainer *t, tp_batches *b);

/* Frees it; harmless on one without a file. */
void tp_checkpoint_close(tp_checkpoint *c);

#ifdef __cplusplus
}
#endif
#endif
