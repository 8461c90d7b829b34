#!/usr/bin/env bash
# No file call escapes the tests of faults: what the library and the tool import from the C library to deal
# with files is what tests/support/faults/faults.h lists. A call that it does not know must be added there.
set -uo pipefail

case "$TAPIR_FLAGS" in
*--coverage*) echo "skipped: what counts the lines writes files of its own" && exit 77 ;;
esac

# Everything of POSIX and glibc that opens, reads, changes, moves or removes files by name or descriptor.
# fwrite and its like are absent: the library prints to a FILE of its caller, the tool to its own streams.
calls=$(tr -s ' \n' '\n' <<'END'
open open64 openat openat64 creat creat64 fopen fopen64 fdopen freopen freopen64 tmpfile mkstemp mkstemp64
mkostemp read read64 pread pread64 readv preadv fread getline getdelim fgets fgetc fscanf lseek lseek64 write
pwrite pwrite64 writev pwritev sendfile copy_file_range splice ftruncate ftruncate64 truncate truncate64
fallocate posix_fallocate fsync fdatasync sync syncfs sync_file_range msync mmap mmap64 close dup dup2 dup3
rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat remove stat stat64 fstat fstat64 lstat
lstat64 fstatat fstatat64 statx access faccessat mkdir mkdirat rmdir opendir fdopendir readdir readdir64 scandir
nftw ftw chmod fchmod utimensat flock lockf __open_2 __open64_2 __openat_2 __read_chk __pread_chk
__pread64_chk __fread_chk __fgets_chk
END
)
known=$(sed -n '/define FAULT_CALLS/,/^$/p' "$TAPIR_SOURCE/tests/support/faults/faults.h" |
    grep -o 'X([a-z]*)' | tr -d 'X()' | grep -v '^$')

# escaped FILES: the file calls among their imports that faults.h does not know.
escaped() {
    nm -u "$@" 2>/dev/null | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' | sort -u |
        grep -Fx "$calls" | grep -Fxv "$known"
}

failures=0
bad() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

for file in "$TAPIR_BUILD/lib/libtapir.a" "$TAPIR_BIN/vae"; do
    [ -f "$file" ] || continue
    found=$(escaped "$file")
    [ -z "$found" ] || bad "$file calls $(echo $found), which faults.h does not know"
done

# The check must see one that escapes.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/escapes.c" <<'END'
#include <fcntl.h>
int escapes(void);
int escapes(void) { return openat(AT_FDCWD, "file", O_RDONLY); }
END
"$CC" -D_GNU_SOURCE -O2 -c "$tmp/escapes.c" -o "$tmp/escapes.o" || bad "the compiler"
[ "$(escaped "$tmp/escapes.o" | sed 's/64//')" = openat ] || bad "openat escapes unseen"

[ "$failures" = 0 ] && echo "fault-calls: $(echo "$known" | wc -l) calls known, none escapes"
[ "$failures" = 0 ]
