#!/usr/bin/env bash
# Reproduces published numbers: a row of examples/reproduce/ from the data to the verdict.
#
#   examples/reproduce.sh                        the rows, what they cost and what they need
#   examples/reproduce.sh ROW... [flags]         runs these; 'all' is every row that can be run
#
#   --data DIR      folder with mnist, mnist-binarized and frey (or TAPIR_DATA); examples/reproduce/README.md has the sources
#   --out DIR       where runs go (runs/reproduce); what is there already is gone on with, or taken as it is
#   --results FILE  where a line for each number goes (docs/evidence.tsv)
#   --seed N        of weights, order and noise (1)
#   --threads N     0: one for each core (0)
#   --smoke N       at most N epochs and 20 importance samples, in DIR-smoke; nothing is written down, nothing judged
#
# A row can be stopped at any time and called again; while one call is at work on it, another is refused.
# Exit codes: 0 every gate was met; 1 one was missed; 2 no verdict, whatever went wrong;
# 128 + n stopped by signal n: what was training has saved.
# examples/reproduce/evidence.sh makes docs/evidence.md of the results. Read next: reproduce/lib.sh, reproduce/1.sh.
set -euo pipefail
export LC_ALL=C
root=$(cd -P "$(dirname "$0")/.." && pwd)
. "$root/examples/reproduce/lib.sh"

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0"
    exit "$1"
}

data=${TAPIR_DATA-} out=$root/runs/reproduce results=$root/docs/evidence.tsv seed=1 threads=0 smoke=
wanted=()
while [ $# -gt 0 ]; do
    case $1 in
    --data | --out | --results | --seed | --threads | --smoke)
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
        --seed | --threads | --smoke) is_whole "$2" || die "$1: '$2' is not a whole number" ;;
        esac
        printf -v "${1#--}" %s "$2"
        shift 2
        ;;
    -h | --help) usage 0 ;;
    -*) die "there is no flag $1; see --help" ;;
    *) wanted+=("$1") && shift ;;
    esac
done
[ "$smoke" != 0 ] || die "--smoke: at least one epoch is needed"

if [ ${#wanted[@]} -eq 0 ]; then
    list_rows
    exit 0
fi
[ "${wanted[*]}" != all ] || mapfile -t wanted < <(runnable_rows)
for row in "${wanted[@]}"; do # before anything that takes time
    is_row "$row" || die "there is no row '$row', only: $(rows | paste -sd' ')"
    (
        load_row "$row"
        [ -z "$not_run" ] || die "row $row cannot be run: $not_run"
        check_data
    ) || exit 2
done

[ -n "$smoke" ] || can_append "$results" || die "--results: '$results' cannot be written"

if [ -z "${VAE-}" ]; then
    VAE=$root/build/release/bin/vae
    [ -x "$VAE" ] || (build) || die "cannot build $VAE"
fi
[ -x "$VAE" ] || die "VAE=$VAE: there is no such program"
VAE=$(cd -P "$(dirname "$VAE")" && pwd)/${VAE##*/}
[ -z "$smoke" ] || out=$out-smoke
[ "$seed" = 1 ] || out=$out/seed-$seed
mkdir -p "$out" || die "--out: '$out' cannot be made"
out=$(cd -P "$out" && pwd)
[ ! -d "$data" ] || data=$(cd -P "$data" && pwd) # runs remember it, and go on when called from elsewhere

# stop SIGNAL: passes it on to the row at work, and waits until it has ended.
stop() {
    local row
    for row in $(jobs -p); do
        kill -s "$1" -- "-$row" 2>/dev/null || true
        wait "$row" || true
    done
    echo "reproduce.sh: stopped by SIG$1; the same command goes on" >&2 || true
    exit $((128 + $(kill -l "$1")))
}
for signal in INT TERM HUP; do
    trap "stop $signal" $signal
done

worst=0
for row in "${wanted[@]}"; do
    code=0
    # With || behind it, a row would go on past what fails. It is a group of processes of its own (-m): what a terminal sends to
    # ours would reach it twice, and a second signal ends a training before it has saved.
    set -m
    run_row "$row" </dev/null &
    set +m
    wait $! || code=$?
    [ $code = 0 ] || die "row $row has no verdict"
    [ ! -f "$out/$row/missed" ] || worst=1
done
exit $worst
