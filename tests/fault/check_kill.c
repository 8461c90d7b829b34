/* check_kill.c: a process that is killed loses nothing, and a run that goes on ends with the same bytes.
 *
 * kill -9 before each file call and in the middle of each write: of a save of every sort of file, where the old
 * or the new version must be there, whole; and of "vae train", which then goes on and must end with the same
 * weights, curves, checkpoints and pictures as a run that nobody stopped. Then kills at random moments, several
 * to a run, and signals. "short" takes a few of each, "full" all. Full disks: check_disk.c.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/tapir.h"
#include "tensor/io/file.h"
#include "tests/support/faults/faults.h"
#include "tests/support/faults/scenes.h"
#include "tests/support/faults/spawn.h"
#include "tests/support/faults/train.h"

enum { OLD = 3, NEW = 4 };

static bool full;
static long injected, at_random, signals;
static uint32_t luck = 20240917;

static double chance(void)
{
    luck = luck * 1664525u + 1013904223u;
    return (double)(luck >> 8) / (1 << 24);
}

/* --- a save, in a process of its own --------------------------------------------------------------- */

/* A writer that truncates the file and writes it anew: the negative control. */
static tp_status put_in_place(const char *path, int version)
{
    char data[1000];
    memset(data, 'a' + version, sizeof data);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, sizeof data) != (ssize_t)sizeof data || close(fd) != 0)
        return tp_fail(TP_EIO, "%s", path);
    return TP_OK;
}

static tp_status get_in_place(const char *path, int *version)
{
    char *data;
    size_t n;
    TP_TRY(tp_file_read_all(path, 10000, &data, &n));
    *version = n == 1000 ? data[0] - 'a' : -1;
    tp_free(data, n + 1);
    return TP_OK;
}

static const scene in_place = {"in-place", true, put_in_place, get_in_place};

static const scene *scene_named(const char *name)
{
    for (int i = 0; i < scene_count; i++)
        if (strcmp(scenes[i].name, name) == 0)
            return &scenes[i];
    return strcmp(name, in_place.name) == 0 ? &in_place : &checkpoint_scene;
}

/* check_kill save <scene> <path> <kind> <n> */
static int save_and_die(char **argument)
{
    faults_arm(
        (fault_plan){.kind = (fault_kind)atoi(argument[2]), .at = strtol(argument[3], NULL, 10)});
    return scene_named(argument[0])->put(argument[1], NEW) == TP_OK ? 0 : 1;
}

static const char *self;

static int spawn_save(const scene *s, const char *path, fault_kind kind, long n)
{
    char kind_text[16], n_text[32];
    snprintf(kind_text, sizeof kind_text, "%d", (int)kind);
    snprintf(n_text, sizeof n_text, "%ld", n);
    return wait_for(spawn((const char *[]){self, "save", s->name, path, kind_text, n_text, NULL},
                          NULL, test_tmp("err")));
}

/* Versions OLD - 1 and OLD in a fresh folder. */
static void lay_out(const scene *s, const char *folder, const char *path)
{
    folder_remove(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    faults_arm((fault_plan){.at = -1}); /* which spares the time of fsync */
    for (int version = OLD - 1; version <= OLD; version++)
        assert_ok(s->put(path, version));
    faults_disarm();
}

/* The number of kills after which neither version was there. */
static long sweep_save(const scene *s)
{
    const char *folder = test_tmp("saves");
    const char *path = s == &checkpoint_scene ? folder : test_tmp("saves/file");
    long lost = 0, died = 0;
    for (int kind = FAULT_KILL_BEFORE; kind <= FAULT_KILL_AFTER; kind++)
        for (long n = 0, ended = -SIGKILL; ended == -SIGKILL; n++) {
            int version = -1;
            lay_out(s, folder, path);
            ended = spawn_save(s, path, (fault_kind)kind, n);
            assert_true(ended == -SIGKILL || ended == 0);
            bool whole = s->get(path, &version) == TP_OK &&
                         (version == NEW || (version == OLD && ended != 0));
            lost += !whole;
            died += ended != 0;
            faults_arm((fault_plan){.at = -1}); /* what the dead one left is in nobody's way */
            tp_status next = s->put(path, NEW + 1);
            faults_disarm();
            assert_ok(next);
        }
    assert_true(died >= 3); /* or nothing was killed */
    injected += s == &in_place ? 0 : died;
    folder_remove(folder);
    return lost;
}

static void test_saves(void **state)
{
    (void)state;
    assert_true(sweep_save(&in_place) > 0);
    assert_int_equal(sweep_save(&checkpoint_scene), 0);
    for (int i = 0; i < scene_count; i++) {
        bool chosen = full || strcmp(scenes[i].name, "params") == 0;
        if (chosen && scenes[i].written && strcmp(scenes[i].name, "grid") != 0)
            assert_int_equal(sweep_save(&scenes[i]), 0);
    }
}

/* --- training, killed at a chosen call -------------------------------------------------------------- */

/* Kills a new run, looks at what is there, and lets it go on. Returns the newest checkpoint. */
static int kill_at(const char *kind, long n)
{
    char fault[64];
    const char *folder = test_tmp("injected");
    folder_remove(folder);
    snprintf(fault, sizeof fault, "%s:%ld", kind, n);
    int ended = train_run((train_opts){.folder = folder, .fault = fault});
    if (ended != -SIGKILL)
        fail_msg("%s: ends with %d: %s", fault, ended, train_error());
    int newest = train_newest(folder);
    if (newest == -2 || !train_ends_well(folder))
        fail_msg("%s (%s): newest checkpoint %d: %s", fault, train_call(n), newest,
                 newest == -2 ? tp_last_error() : "");
    injected++;
    return newest;
}

static void test_injected(void **state)
{
    (void)state;
    long calls = train_calls();
    double step = full ? 1 : (double)calls / 9.3;
    int before = -1;
    for (double at = full ? 0 : 0.4 * step; at < (double)calls; at += step) {
        long n = (long)at;
        if (strcmp(train_call(n), "pwrite") == 0)
            kill_at("kill-half", n);
        int newest = kill_at("kill-before", n);
        /* Old or new: never back, and with every call looked at never two steps at once. */
        if (newest < before || (full && newest > before + 3))
            fail_msg("call %ld: checkpoint %d after %d", n, newest, before);
        before = newest;
    }
    assert_in_range(before, full ? TRAIN_STEPS : TRAIN_STEPS / 2, TRAIN_STEPS);
}

/* --- training, killed at random --------------------------------------------------------------------- */

/* The program itself, several kills to a run, each within what a run takes. */
static void test_random(void **state)
{
    (void)state;
    const char *folder = test_tmp("random");
    long wanted = full ? 100 : 6;
    for (int chain = 0; at_random < wanted; chain++) {
        int newest = -1;
        bool resume = false;
        folder_remove(folder);
        for (int kills = 0; kills < 4 && at_random < wanted; kills++) {
            char path[1024];
            pid_t pid =
                train_spawn((train_opts){.folder = folder, .resume = resume, .plain = true});
            sleep_seconds(chance() * train_seconds() * (resume ? 0.7 : 1.2));
            kill(pid, SIGKILL);
            int ended = wait_for(pid), now = train_newest(folder);
            if (ended != -SIGKILL && ended != 0)
                fail_msg("chain %d: ends with %d: %s", chain, ended, train_error());
            if (now < newest)
                fail_msg("chain %d: checkpoint %d after %d", chain, now, newest);
            newest = now;
            at_random += ended == -SIGKILL;
            snprintf(path, sizeof path, "%s/config.json", folder);
            resume = access(path, F_OK) == 0;
            if (ended == 0)
                break;
            if (!resume)
                folder_remove(folder);
        }
        assert_true(train_ends_well(folder));
    }
}

/* --- signals ---------------------------------------------------------------------------------------- */

static void test_signals(void **state)
{
    (void)state;
    const char *folder = test_tmp("signals");
    long wanted = full ? 40 : 4, stopped = 0, tries = 0;
    for (; stopped < wanted && tries < 20 * wanted; tries++) {
        int number = tries % 2 ? SIGTERM : SIGINT;
        folder_remove(folder);
        pid_t pid = train_spawn((train_opts){.folder = folder, .plain = tries % 4 < 2});
        sleep_seconds(chance() * train_seconds());
        kill(pid, number);
        int ended = wait_for(pid);
        if (ended == -number || ended == 0) /* before training began, or after it was done */
            continue;
        if (ended != 128 + number || train_newest(folder) < 1)
            fail_msg("signal %d: ends with %d: %s", number, ended, train_error());
        assert_non_null(strstr(train_error(), number == SIGINT ? "SIGINT" : "SIGTERM"));
        assert_non_null(strstr(train_error(), "train --resume"));
        assert_true(train_ends_well(folder));
        stopped++;
    }
    if (stopped < wanted)
        fail_msg("only %ld of %ld signals came while there was training", stopped, tries);
    signals += stopped;
}

/* A save that hangs, as on a network that is gone: the first signal waits for it, the second does not. */
static void test_second_signal(void **state)
{
    (void)state;
    const char *folder = test_tmp("stalled");
    for (int number = SIGINT; number <= SIGTERM; number += SIGTERM - SIGINT) {
        char fault[64];
        bool late;
        long n = train_calls() / 2;
        while (strcmp(train_call(n), "fsync") != 0)
            n++;
        snprintf(fault, sizeof fault, "stall:%ld", n);
        folder_remove(folder);
        pid_t pid = train_spawn((train_opts){.folder = folder, .fault = fault});
        while (train_newest(folder) < 6)
            sleep_seconds(1e-3);
        sleep_seconds(0.1 + 2 * train_seconds()); /* it hangs by now */
        kill(pid, number);
        sleep_seconds(0.05);
        kill(pid, number);
        int ended = wait_within(pid, 20, &late);
        if (late || (ended != -number && ended != 128 + number))
            fail_msg("two signals %d: ends %s with %d", number, late ? "late" : "in time", ended);
        assert_true(train_ends_well(folder));
        signals += 2;
    }
}

/* --- negative controls ------------------------------------------------------------------------------ */

/* Rewrites a checkpoint with one tensor set to zero, checksum right: a state that forgot something. */
static void forget(const char *path, const char *what)
{
    enum { TENSORS = 64, TEXTS = 64 };
    tp_safetensors file;
    tp_tensor tensor[TENSORS];
    tp_named_tensor item[TENSORS];
    const char *metadata[2 * TEXTS + 1];
    int n = 0, m = 0, forgotten = 0;
    assert_ok(tp_safetensors_open(&file, path));
    for (; n < file.n; n++) {
        const char *name = file.entry[n].name;
        assert_ok(tp_safetensors_load_new(&file, name, &tensor[n]));
        item[n] = (tp_named_tensor){name, &tensor[n]};
        if (what == NULL || strncmp(name, what, strlen(what)) != 0)
            continue;
        memset(tp_data_mut(&tensor[n]), 0, (size_t)file.entry[n].bytes);
        forgotten++;
    }
    for (int i = 0; i < 2 * file.metadata_n; i += 2)
        if (strcmp(file.metadata[i], TP_SAFETENSORS_CRC) != 0) {
            metadata[m++] = file.metadata[i];
            metadata[m++] = file.metadata[i + 1];
        }
    metadata[m] = NULL;
    assert_true(forgotten > 0 || what == NULL);
    assert_ok(tp_safetensors_save(path, item, n, metadata));
    for (int i = 0; i < n; i++)
        tp_tensor_free(&tensor[i]);
    tp_safetensors_close(&file);
}

/* Just before the file number k of a run gets its name: config.json, checkpoints 2, 4 and 5, three results, … */
static long before_rename(int k)
{
    int renames = 0;
    long n = 0;
    while (n < train_calls() && (strcmp(train_call(n), "rename") != 0 || ++renames < k))
        n++;
    return n;
}

/* A run that goes on without one part of its state must not end as the reference does: otherwise comparing the
 * two would prove nothing. */
static void test_forgotten_state_is_caught(void **state)
{
    (void)state;
    static const char *const parts[] = {"optimizer.first.",
                                        "optimizer.second.",
                                        "optimizer.updates",
                                        "trainer.means",
                                        "trainer.best_epoch",
                                        "trainer.best_loss",
                                        "best."};
    const char *folder = test_tmp("forgets");
    char fault[64], path[1024];
    for (int i = -1; i < (int)(sizeof parts / sizeof *parts); i++) {
        /* In the middle of an epoch: the first, or behind the best one. */
        int newest = -1, wanted = i >= 0 && strstr(parts[i], "best") != NULL ? 12 : 4;
        for (int k = 4; newest < wanted; k++) {
            snprintf(fault, sizeof fault, "kill-before:%ld", before_rename(k));
            folder_remove(folder);
            assert_int_equal(train_run((train_opts){.folder = folder, .fault = fault}), -SIGKILL);
            newest = train_newest(folder);
        }
        assert_int_equal(newest, wanted);
        snprintf(path, sizeof path, "%s/checkpoint-%d.safetensors", folder, newest);
        forget(path, i < 0 ? NULL : parts[i]);
        assert_int_equal(train_newest(folder), newest); /* the checksum is right */
        assert_int_equal(train_run((train_opts){.folder = folder, .resume = true}), 0);
        bool same = strcmp(train_text(folder), train_reference()) == 0;
        if (same != (i < 0)) /* the same surgery with nothing forgotten does no harm */
            fail_msg("a run that forgot %s ends with %s bytes", i < 0 ? "nothing" : parts[i],
                     same ? "the same" : "other");
    }
}

/* One byte of the newest is wrong: the one before is taken, with a note, and the end is the same. */
static void test_damage_falls_back(void **state)
{
    (void)state;
    const char *folder = test_tmp("damaged");
    char fault[64], path[1024];
    snprintf(fault, sizeof fault, "kill-before:%ld", before_rename(6));
    folder_remove(folder);
    assert_int_equal(train_run((train_opts){.folder = folder, .fault = fault}), -SIGKILL);
    int newest = train_newest(folder);
    snprintf(path, sizeof path, "%s/checkpoint-%d.safetensors", folder, newest);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -100, SEEK_END), 0);
    int byte = getc(f);
    assert_int_equal(fseek(f, -100, SEEK_END), 0);
    putc(byte ^ 1, f);
    assert_int_equal(fclose(f), 0);
    int older = train_newest(folder);
    assert_true(older > 0 && older < newest);
    assert_int_equal(train_run((train_opts){.folder = folder, .resume = true}), 0);
    assert_non_null(strstr(train_error(), strrchr(path, '/') + 1));
    snprintf(path, sizeof path, "%s/checkpoint-%d.safetensors.damaged", folder, newest);
    assert_int_equal(unlink(path), 0); /* set aside, for whoever wants to look at it */
    assert_string_equal(train_text(folder), train_reference());
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc == 6 && strcmp(argv[1], "save") == 0)
        return save_and_die(argv + 2);
    full = argc > 1 && strcmp(argv[1], "full") == 0;
    const struct CMUnitTest saves[] = {cmocka_unit_test(test_saves)};
    const struct CMUnitTest runs[] = {
        cmocka_unit_test(test_forgotten_state_is_caught),
        cmocka_unit_test(test_damage_falls_back),
        cmocka_unit_test(test_injected),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_second_signal),
    };
    int failed = cmocka_run_group_tests(saves, NULL, NULL);
    bool ready = train_set_up();
    if (ready)
        failed += cmocka_run_group_tests(runs, NULL, NULL);
    printf("check-kill: %ld injected kills, %ld random kills, %ld signals: %s%s\n", injected,
           at_random, signals,
           failed ? "FAILED" : "old or new every time, every resumed run byte-identical",
           ready ? "" : " (training left out: no vae)");
    return failed != 0;
}
