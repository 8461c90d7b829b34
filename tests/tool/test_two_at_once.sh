#!/usr/bin/env bash
# Two processes that begin a run in the same new folder: at every call between the first look at the folder and the
# lock, the other one is faster. It keeps all that it wrote, and the slower one is refused.
set -u
. tests/tool/common.sh
vae=$TAPIR_BUILD/tests/vae-faults
export GOMP_SPINCOUNT=2000 # or the program would start itself a second time

mkdir data
for split in train t10k; do
    { printf '\0\0\10\3\0\0\0\24\0\0\0\6\0\0\0\6'; head -c 720 "$TAPIR_SOURCE/LICENSE"; } >"data/$split-images-idx3-ubyte"
done
settings=(--data data --hidden 5 --latent-dim 2 --batch-size 10 --threads 1 --epochs 1)
TAPIR_FAULT=none:0 TAPIR_FAULT_CALLS=calls "$vae" train --out out "${settings[@]}" >stdout 2>&1 || bad "$(cat stdout)"
lock=$(grep -n -m 1 '^flock$' calls | cut -d : -f 1) # the call at place lock - 1
made=$(grep -n -m 1 '^mkdir$' calls | cut -d : -f 1)
[ -n "$lock" ] && [ -n "$made" ] && [ "$made" -lt "$lock" ] || bad "mkdir is call '$made', flock '$lock'"
bits() { (cd "$1" && find . -type f ! -name timing.jsonl -exec cksum {} + | sort); }
want=$(bits out)

# beaten N [HOLD]: stops before call N, lets another process have its whole run, then goes on. With HOLD another one
# has the lock, too.
beaten() {
    local code by=0
    rm -rf out
    TAPIR_FAULT=stop:$1 "$vae" train --out out "${settings[@]}" --seed 2 >stdout 2>stderr &
    local slower=$!
    for _ in $(seq 2000); do
        grep -q '^State:.T' /proc/$slower/status 2>/dev/null && break
        sleep 0.005
    done
    "$vae" train --out out "${settings[@]}" >/dev/null 2>other || bad "call $1: the faster one: $(cat other)"
    if [ -n "${2:-}" ]; then
        exec 9<out && flock -n 9 || bad "no lock"
        by=1
    fi
    kill -CONT $slower
    wait $slower
    code=$?
    [ $by = 0 ] || exec 9<&-
    [ $code = 1 ] || bad "call $1: exit $code"
    grep -qx "vae: --out out: .*\|vae: out: another process is training in it" stderr || bad "call $1: says $(cat stderr)"
    [ "$(bits out)" = "$want" ] || bad "call $1: what the faster one wrote has changed: $(ls out 2>&1)"
}

for ((call = made - 1; call < lock; call++)); do
    beaten "$call"
done
beaten $((lock - 1)) hold

echo "$((lock - made + 2)) moments"
verdict
