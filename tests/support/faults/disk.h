/* disk.h: real disks that are small or read-only, in memory, where the system lets this process mount them.
 *
 * They are mounted in a name space of this process's own, so nobody else sees them and they end with it.
 */
#ifndef TP_TESTS_DISK_H
#define TP_TESTS_DISK_H

#include <stdbool.h>

/* Mounts one of so many bytes on directory. false if that is not allowed here. */
bool disk_mount(const char *directory, long bytes);
bool disk_read_only(const char *directory, bool read_only);
void disk_unmount(const char *directory);

#endif
