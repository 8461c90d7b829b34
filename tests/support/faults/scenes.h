/* scenes.h: one row for each sort of file: how the library writes it, how it reads it, and what must come out.
 *
 * A file holds a version, a small number that decides every value in it, so that a test can say which version
 * it finds, whole. Read next: tests/fault/test_io_faults.c, test_lost_writes.c, check_kill.c.
 */
#ifndef TP_TESTS_SCENES_H
#define TP_TESTS_SCENES_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/status.h"

typedef struct scene {
    const char *name;
    bool written; /* by the library; otherwise put is the test's own and meets no fault */
    tp_status (*put)(const char *path, int version);
    /* The version in the file, -1 if its values are of none. */
    tp_status (*get)(const char *path, int *version);
} scene;

extern const scene scenes[];
extern const int scene_count;
/* Its path is a folder, which must be there; each version is a checkpoint of so many steps in it. */
extern const scene checkpoint_scene;

/* Writes text as a whole file, in the plainest way; aborts if it cannot. */
void scene_file(const char *path, const void *data, size_t bytes);

/* A line for each file of a folder, sorted: its name, size and a hash of its bytes. In a buffer that the next
 * call but three overwrites. Equal text means equal folders. */
const char *folder_text(const char *folder);
/* Removes a folder with all that is in it; none there is fine. */
void folder_remove(const char *folder);
/* Descriptors that this process has open. */
int open_descriptors(void);

#endif
