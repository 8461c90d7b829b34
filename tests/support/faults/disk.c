/* disk.c: see disk.h. */
#define _GNU_SOURCE /* unshare */
#include "tests/support/faults/disk.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>

bool disk_mount(const char *directory, long bytes)
{
    static bool own;
    char size[32];
    snprintf(size, sizeof size, "size=%ld", bytes);
    if (!own &&
        (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0))
        return false;
    own = true;
    return mount("tapir", directory, "tmpfs", 0, size) == 0;
}

bool disk_read_only(const char *directory, bool read_only)
{
    return mount("none", directory, "none", MS_REMOUNT | (read_only ? MS_RDONLY : 0), "") == 0;
}

void disk_unmount(const char *directory)
{
    umount2(directory, MNT_DETACH);
}
