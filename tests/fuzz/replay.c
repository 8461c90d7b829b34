/* replay.c: runs a target over the files of a corpus, as libFuzzer would, in any build.
 *
 *   fuzz-<name> FOLDER|FILE…    exits 1 if there is no file; what a target finds ends the process by a signal
 * Read next: target.h. */
#define _POSIX_C_SOURCE 200809L
#include "tests/fuzz/target.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/io/file.h"

enum { LARGEST = 1 << 24 };

/* The mutators of targets name it; nothing mutates here. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room)
{
    (void)data, (void)room;
    return size;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The file's bytes stand in a block of their exact size: a sanitizer sees a read beyond. */
static int replay_file(const char *path)
{
    char *data;
    size_t size;
    if (tp_file_read_all(path, LARGEST, &data, &size) != TP_OK) {
        fprintf(stderr, "%s\n", tp_last_error());
        exit(1);
    }
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL)
        exit(1);
    memcpy(exact, data, size);
    tp_free(data, size + 1);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

static int replay_folder(const char *path, DIR *folder)
{
    char *name[10000], whole[4096];
    int n = 0;
    for (struct dirent *e; (e = readdir(folder)) != NULL && n < 10000;)
        if (e->d_name[0] != '.' && (name[n] = strdup(e->d_name)) != NULL)
            n++;
    closedir(folder);
    qsort(name, (size_t)n, sizeof *name, by_name);
    for (int i = 0; i < n; i++) {
        snprintf(whole, sizeof whole, "%s/%s", path, name[i]);
        replay_file(whole);
        free(name[i]);
    }
    return n;
}

int main(int argc, char **argv)
{
    int n = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        n += folder != NULL ? replay_folder(argv[i], folder) : replay_file(argv[i]);
    }
    printf("replay: %d inputs, nothing found\n", n);
    return n == 0;
}
