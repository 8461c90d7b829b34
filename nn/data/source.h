/* Private to nn/data/: where a data set comes from.
 *
 * source.c finds out what a path is, read.c reads arrays, pictures.c folders of PNG. Each reader makes a
 * whole data set or leaves *d alone. Read next: source.c.
 */
#ifndef TP_NN_DATA_SOURCE_H
#define TP_NN_DATA_SOURCE_H

#include "nn/data.h"

enum { TP_SOURCE_PATH = 1024 };

typedef enum tp_source_kind {
    TP_SOURCE_NONE,
    TP_SOURCE_IDX,
    TP_SOURCE_NPY,
    TP_SOURCE_PICTURES
} tp_source_kind;

typedef struct tp_source {
    tp_source_kind kind;
    char x[TP_SOURCE_PATH];      /* file or folder */
    char labels[TP_SOURCE_PATH]; /* "": there are none */
} tp_source;

/* Finds a split as tp_dataset_read says; NONE is no failure. */
tp_status tp_source_find(tp_source *s, const char *path, const char *split);

/* idx or npy. */
tp_status tp_read_arrays(tp_dataset *d, const tp_source *s);

/* A folder of PNG, or of folders of them. */
tp_status tp_read_pictures(tp_dataset *d, const char *folder, tp_channels channels);
/* Whether a folder is such a one, and holds no arrays; takes no memory. */
tp_status tp_holds_pictures(const char *folder, bool *yes);

/* "<folder>/<name>": TP_EIO if that is too long. */
tp_status tp_source_path(char path[TP_SOURCE_PATH], const char *folder, const char *name);
/* What has a name; a link to nothing is nothing. TP_EIO if that cannot be found out. */
typedef enum tp_source_seen { TP_SEEN_NOTHING, TP_SEEN_FOLDER, TP_SEEN_FILE } tp_source_seen;
tp_status tp_source_look(const char *path, tp_source_seen *what);

#endif
