# setup.sh: finds out which packages are missing and installs them with apt. For sourcing by
# examples/run.sh, tests/run.sh and .ci/run; it does nothing by itself. Read next: examples/run.sh.

# have THING: whether it works here, which says more than whether a package is listed as installed.
have() {
    case $1 in
    gcc | make | cmake | pkg-config | clang | g++) "$1" --version >/dev/null 2>&1 ;;
    libc) have_header gcc stdio.h ;;
    png | zlib) have_header gcc "$1.h" ;;
    cmocka) have_header gcc setjmp.h stdarg.h stddef.h stdint.h cmocka.h ;;
    clang-openmp)
        local out=0
        echo '#include <omp.h>
            int main(void) { return omp_get_max_threads() < 1; }' |
            clang -fopenmp -x c - -o "${TMPDIR:-/tmp}/tapir-openmp.$$" >/dev/null 2>&1 || out=1
        rm -f "${TMPDIR:-/tmp}/tapir-openmp.$$"
        return $out
        ;;
    *) echo "setup.sh: unknown thing: $1" >&2 && return 2 ;;
    esac
}

# have_header COMPILER HEADER...: whether the headers can be included in this order.
have_header() {
    local compiler=$1
    shift
    printf '#include <%s>\n' "$@" | "$compiler" -E -x c - >/dev/null 2>&1
}

# package_of THING: its name in Debian and Ubuntu.
package_of() {
    case $1 in
    libc) echo libc6-dev ;;
    png) echo libpng-dev ;;
    zlib) echo zlib1g-dev ;;
    cmocka) echo libcmocka-dev ;;
    clang-openmp) echo libomp-dev ;;
    *) echo "$1" ;;
    esac
}

# need THING...: returns when all are there, installing what is not; otherwise names the packages and
# exits 1.
need() {
    local thing packages=() sudo=()
    for thing in "$@"; do
        have "$thing" || packages+=("$(package_of "$thing")")
    done
    [ ${#packages[@]} -eq 0 ] && return 0

    if [ "$(id -u)" -ne 0 ]; then
        # Without a terminal sudo could only ask for its password in vain.
        if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            sudo=(sudo)
        else
            missing "neither root nor sudo" "${packages[@]}"
        fi
    fi
    command -v apt-get >/dev/null || missing "no apt-get" "${packages[@]}"

    echo "Installing with apt-get: ${packages[*]}"
    "${sudo[@]}" apt-get update -qq || echo "apt-get update failed; going on with the old lists" >&2
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" ||
        missing "apt-get install failed" "${packages[@]}"

    packages=()
    for thing in "$@"; do
        have "$thing" || packages+=("$(package_of "$thing")")
    done
    [ ${#packages[@]} -eq 0 ] || missing "installed, but they still do not work" "${packages[@]}"
}

# missing WHY PACKAGE...: the end of the line.
missing() {
    local why=$1
    shift
    echo "Missing packages ($why): $*" >&2
    echo "Those are their names in Debian and Ubuntu. Install them and run this again." >&2
    exit 1
}

# What every build needs. libc comes after gcc because gcc looks for it.
build_needs=(gcc libc make cmake pkg-config png zlib)
