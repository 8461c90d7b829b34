/* file.h: what every reader and writer of files needs, and nothing about formats.
 *
 * Reads and writes loop until done or refused; a written file appears under its name complete or not at
 * all. Messages name the path. Also the two memory functions for libraries (zlib, libpng) whose free hook
 * is not told a size. Read next: npy.h, safetensors.h, idx.h, png.h.
 */
#ifndef TP_TENSOR_IO_FILE_H
#define TP_TENSOR_IO_FILE_H

#include <stddef.h>
#include <stdint.h>
#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- reading ------------------------------------------------------------------------------------ */

typedef struct tp_file {
    int fd;
    int64_t size; /* in bytes, when it was opened */
    char *path;
} tp_file;

/* Nothing has that name. Whatever else may be in the way of a file shows when it is opened. */
bool tp_file_missing(const char *path);
/* Opens a regular file (no pipe, device or directory) for reading. TP_EIO, TP_ENOMEM. */
tp_status tp_file_open(tp_file *f, const char *path);
/* Fills data with the bytes at offset. TP_EIO; TP_EFORMAT if the file ends before. */
tp_status tp_file_read_at(const tp_file *f, int64_t offset, void *data, size_t bytes);
void tp_file_close(tp_file *f);

/* The whole of a file of at most limit bytes, with a NUL behind it; freed with tp_free(data, bytes + 1).
 * TP_EIO, TP_ENOMEM; TP_EFORMAT if it is larger. */
tp_status tp_file_read_all(const char *path, size_t limit, char **data, size_t *bytes);

/* What the first bytes of a file suggest it is, for messages: "a PNG image", "a text file", …;
 * "an empty file" for n = 0, "binary data" when nothing is recognised. 16 bytes are enough. */
const char *tp_file_looks_like(const void *head, size_t n);
/* TP_EFORMAT for a file that is not what was expected ("an idx file"), by its first n bytes, the fewest such a
 * file can have being least; where says where they were, "" or " inside gzip". */
tp_status tp_file_unexpected(const char *path, const void *head, size_t n, size_t least,
                             const char *expected, const char *where);

/* --- writing ------------------------------------------------------------------------------------ */

/* A file on its way: bytes go to path.tmp-<process>-<number> in the same directory; commit makes them
 * path, replacing what was there, with its permissions (less the umask's). Only regular files (or links to them;
 * the link is replaced) are replaced. A process that is killed may leave the temporary behind, never a half-written path.
 * A failure removes the temporary, and later calls return the same status. */
typedef struct tp_file_writer {
    int fd;
    tp_status status;
    char *path, *temp;
    int64_t written; /* handed to the system; the rest waits in the buffer */
    uint32_t crc;    /* tp_crc32 of all bytes so far */
    size_t fill;
    unsigned char buffer[8192];
} tp_file_writer;

/* TP_EIO, TP_ENOMEM; after a failure there is nothing to abort. */
tp_status tp_file_begin(tp_file_writer *w, const char *path);
tp_status tp_file_write(tp_file_writer *w, const void *data, size_t bytes);
/* Overwrites bytes that were written at offset. w->crc does not notice. */
tp_status tp_file_patch(tp_file_writer *w, int64_t offset, const void *data, size_t bytes);
/* The elements of t (any strides) in row-major order, as they lie in memory; TP_ENOMEM if they must be copied
 * first and cannot, which leaves the writer as it was. */
tp_status tp_file_write_elements(tp_file_writer *w, const tp_tensor *t);
/* Writes out, fsyncs, closes, renames, fsyncs the directory. The writer is finished either way. Should only
 * the last step fail, path is the complete new file, and TP_EIO says that it may not survive a crash. */
tp_status tp_file_commit(tp_file_writer *w);
/* Gives up and removes the temporary; records no message. Harmless after a failure or commit. */
void tp_file_abort(tp_file_writer *w);

/* fsyncs the directory that path lies in, so that a name just made there survives a crash. TP_EIO, TP_ENOMEM. */
tp_status tp_file_sync_name(const char *path);

/* Removes the temporaries in directory that killed processes left; one that cannot be removed stays. Nobody may be
 * writing there. TP_EIO if the directory cannot be read. */
tp_status tp_file_clean(const char *directory);

/* CRC-32 (that of gzip and PNG) of what crc stands for, 0 for nothing, followed by data. */
uint32_t tp_crc32(uint32_t crc, const void *data, size_t bytes);

/* --- memory for foreign libraries --------------------------------------------------------------- */

/* tp_alloc with the size kept in front of the block. NULL after recording TP_ENOMEM. */
void *tp_block_alloc(size_t bytes);
void tp_block_free(void *p);

#ifdef __cplusplus
}
#endif
#endif
