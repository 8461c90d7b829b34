#!/usr/bin/env bash
# Every public function that can fail is called by a scenario of check_oom. A scenario ends with a run in which
# nothing fails, so a function that its object file refers to is one that it runs. Rows and compositions are called
# by their tables; what the models of models.def refer to runs with theirs. What need not be called stands in tests/fault/oom/unreached.txt, with a reason; a name there
# that is called after all, or is no function any more, is a failure too.
set -euo pipefail
cd "$TAPIR_SOURCE"
reasons=tests/fault/oom/unreached.txt

# Functions of a status, a var, a pointer or a struct that holds one of them, in the public headers but compose.h.
public()
{
    local header
    for header in $TAPIR_HEADERS; do
        [ "$header" = autograd/compose.h ] && continue
        sed -nE 's/^(tp_status|tp_var|tp_objective|tp_tc_parts|tp_dist|tp_sweep|void \*|char \*) ?(tp_[a-z0-9_]+)\(.*/\2/p' "$header"
    done | sort -u
}

objects=$(find "$TAPIR_BUILD" -path '*fault_check_oom.dir/fault/oom/*.o')
[ -n "$objects" ] || { echo "check_oom has not been built in $TAPIR_BUILD"; exit 1; }
models=$(sed -nE 's/^TP_MODEL\(([a-z0-9_]+)\).*/\1/p' models/models.def |
    while read -r name; do find "$TAPIR_BUILD" -path "*tapir_objects.dir/models/$name.c.o"; done)
[ -n "$models" ] || { echo "the models' objects are not found any more"; exit 1; }
called=$(nm -u $objects $models | sed -nE 's/^ *U (tp_[a-z0-9_]+)$/\1/p' | sort -u)

compare() # functions called: those that no scenario calls and no reason excuses
{
    comm -23 <(echo "$1") <(echo "$2") | comm -23 - <(sed -nE 's|^(tp_[a-z0-9_]+).*|\1|p' $reasons | sort)
}

missing=$(compare "$(public)" "$called")
stale=$(sed -nE 's|^(tp_[a-z0-9_]+).*|\1|p' $reasons | sort | comm -23 - <(comm -23 <(public) <(echo "$called")))
[ "$(public | wc -l)" -gt 90 ] || { echo "the public functions are not found any more"; exit 1; }

# The control: without one of the calls that one is missed.
[ "$(compare "$(public)" "$(echo "$called" | grep -vx tp_npy_load)")" = tp_npy_load ] || [ -n "$missing" ] ||
    { echo "the control was not found"; exit 1; }

[ -z "$missing" ] || printf 'no scenario calls %s\n' $missing
[ -z "$stale" ] || printf 'unreached.txt excuses %s, which is called or gone\n' $stale
[ -z "$missing$stale" ]
