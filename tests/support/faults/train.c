/* train.c: see train.h. */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/faults/train.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/tapir.h"
#include "tests/support/check.h"
#include "tests/support/faults/faults.h"
#include "tests/support/faults/scenes.h"
#include "tests/support/faults/spawn.h"

enum { TEXT = 8192, CALLS = 8192, SIDE = 8 };

static char reference[TEXT], programs[2][1024];
static double seconds;
static char call[CALLS][16];
static long calls;
static const char *data, *err;

static void make_images(const char *name, int count)
{
    unsigned char bytes[16 + 64 * SIDE * SIDE] = {0, 0, 8, 3,    0, 0, 0, 0,
                                                  0, 0, 0, SIDE, 0, 0, 0, SIDE};
    char path[1024];
    uint32_t x = 12345;
    bytes[7] = (unsigned char)count;
    for (int i = 0; i < count * SIDE * SIDE; i++) {
        x = x * 1664525u + 1013904223u;
        bytes[16 + i] = (unsigned char)(x >> 24);
    }
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", data, name);
    scene_file(path, bytes, 16 + (size_t)(count * SIDE * SIDE));
}

static void read_calls(const char *file)
{
    FILE *f = fopen(file, "r");
    while (f != NULL && calls < CALLS && fscanf(f, "%15s", call[calls]) == 1)
        calls++;
    if (f != NULL)
        fclose(f);
}

bool train_set_up(void)
{
    const char *build = getenv("TAPIR_BUILD"), *folder = test_tmp("reference");
    snprintf(programs[0], sizeof programs[0], "%s/tests/vae-faults", build ? build : "build");
    snprintf(programs[1], sizeof programs[1], "%s/bin/vae", build ? build : "build");
    for (int i = 0; i < 2; i++)
        if (access(programs[i], X_OK) != 0) {
            printf(
                "skipped: %s is not there: built without the examples, or TAPIR_BUILD is wrong\n",
                programs[i]);
            return false;
        }
    data = test_tmp("data");
    err = test_tmp("err");
    mkdir(data, 0700);
    make_images("train", 50); /* of which 10 are held back */
    make_images("t10k", 20);
    setenv("OMP_WAIT_POLICY", "passive", 1); /* also spares the tool its second start */
    setenv("TAPIR_FAULT_CALLS", test_tmp("calls"), 1);
    int code = train_run((train_opts){.folder = folder});
    unsetenv("TAPIR_FAULT_CALLS");
    snprintf(reference, sizeof reference, "%s", train_text(folder));
    read_calls(test_tmp("calls"));
    if (code != 0 || train_newest(folder) != TRAIN_STEPS)
        fail_msg("the reference run ends with %d: %s", code, train_error());
    folder_remove(folder);
    double start = now_seconds();
    code = train_run((train_opts){.folder = folder, .plain = true});
    seconds = now_seconds() - start;
    if (code != 0 || strcmp(train_text(folder), reference) != 0)
        fail_msg("the program with and without faults.c: %d: %s", code, train_error());
    folder_remove(folder);
    return true;
}

const char *train_reference(void)
{
    return reference;
}

double train_seconds(void)
{
    return seconds;
}

long train_calls(void)
{
    return calls;
}

const char *train_call(long n)
{
    return n >= 0 && n < calls ? call[n] : "none";
}

/* --- running ----------------------------------------------------------------------------------------- */

pid_t train_spawn(train_opts o)
{
    char fault[64], record[1100];
    const char *begin[] = {programs[o.plain],
                           "train",
                           "--data",
                           data,
                           "--out",
                           o.folder,
                           "--hidden",
                           "16",
                           "--epochs",
                           "4",
                           "--batch-size",
                           "8",
                           "--latent-dim",
                           "2",
                           "--valid",
                           "10",
                           "--keep",
                           "best",
                           "--lr",
                           "0.1",
                           "--threads",
                           "1",
                           "--checkpoint-every",
                           "2",
                           NULL};
    const char *go_on[] = {programs[o.plain], "train", "--resume", o.folder, NULL};
    const char *additions[3] = {fault};
    snprintf(fault, sizeof fault, "TAPIR_FAULT=%s", o.fault ? o.fault : "none:0");
    snprintf(record, sizeof record, "TAPIR_FAULT_RECORD=%s", o.record ? o.record : "");
    if (o.record != NULL)
        additions[1] = record;
    return spawn(o.resume ? go_on : begin, additions, err);
}

int train_run(train_opts o)
{
    return wait_for(train_spawn(o));
}

const char *train_error(void)
{
    static char text[TEXT];
    FILE *f = fopen(err, "rb");
    text[f != NULL ? fread(text, 1, sizeof text - 1, f) : 0] = 0;
    if (f != NULL)
        fclose(f);
    return text;
}

bool train_ends_well(const char *folder)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/config.json", folder);
    bool resume = access(path, F_OK) == 0;
    if (!resume)
        folder_remove(folder);
    int code = train_run((train_opts){.folder = folder, .resume = resume});
    const char *text = train_text(folder);
    bool same = code == 0 && strcmp(text, reference) == 0;
    if (!same)
        print_error("%s ends with %d: %s\n--- it leaves\n%s--- expected\n%s", folder, code,
                    train_error(), text, reference);
    return same;
}

/* --- looking ----------------------------------------------------------------------------------------- */

/* The step of a line about a checkpoint; -1 for any other. */
static int step_of(const char *line)
{
    int step = -1;
    return sscanf(line, "checkpoint-%d.safetensors ", &step) == 1 ? step : -1;
}

static bool has_newer(int step, const char *text)
{
    for (const char *line = text; *line != 0; line = strchr(line, '\n') + 1)
        if (step_of(line) > step)
            return true;
    return false;
}

const char *train_text(const char *folder)
{
    static char text[TEXT];
    const char *all = folder_text(folder), *next;
    size_t used = 0;
    for (const char *line = all; *line != 0; line = next) {
        next = strchr(line, '\n') + 1;
        bool old = step_of(line) >= 0 && has_newer(step_of(line), all);
        if (old || strncmp(line, "timing.jsonl ", 13) == 0)
            continue;
        memcpy(text + used, line, (size_t)(next - line));
        used += (size_t)(next - line);
    }
    text[used] = 0;
    return text;
}

int train_newest(const char *folder)
{
    tp_checkpoint c;
    if (access(folder, F_OK) != 0)
        return -1;
    if (tp_checkpoint_open(&c, folder) != TP_OK)
        return -2;
    int step = c.path != NULL ? (int)c.step : -1;
    tp_checkpoint_close(&c);
    return step;
}
