#!/usr/bin/env bash
# examples/reproduce.sh: what it refuses, what it writes down, that it goes on where it was stopped. Then row 0 exactly and row 1 for
# three epochs, if the data are there (TAPIR_SHARED or ../shared); what row 0 measures is checked by hand in any case.
set -u
. tests/tool/common.sh
export VAE=$vae LC_ALL=C EPOCHS_OF_TEST=60
case $TAPIR_FLAGS in *-fsanitize*) EPOCHS_OF_TEST=20 ;; esac # they are slow

# The first of the digits, so that all of this takes little time.
first() { # SPLIT N
    be32 2051 && be32 "$2" && be32 28 && be32 28
    gzip -dc "$data/$1-images-idx3-ubyte.gz" | tail -c +17 | head -c $((784 * $2))
}
mkdir small
first train 1000 >small/train-images-idx3-ubyte
first t10k 200 >small/t10k-images-idx3-ubyte

# A copy with a row of its own: one gate that is met and one that cannot be.
mkdir -p source/examples
cp -r "$TAPIR_SOURCE/examples/reproduce.sh" "$TAPIR_SOURCE/examples/reproduce" source/examples/
mkdir source/docs
cat >source/examples/reproduce/99.sh <<'END'
title="a row of the test" from="nobody" data_needed="" cost=1 gate="none" protocol="a few digits" departures=""
items() {
    echo "loss | 200.5 | 0 | 1000"
    echo "too good | 1.25 | - | 1"
    echo "no gate | -3 | - | -"
}
run() {
    train a --data small --hidden 24 --latent-dim 2 --batch-size 60 --epochs $EPOCHS_OF_TEST
    measure a nll eval --importance 40
    eval "${BEFORE_RESULTS-}"
    result loss "$(curve a test_loss last)" a "$(epochs_of a)"
    result "too good" "$(figure a.nll nll)" a nll
    result "no gate" "$(calculate "-$(figure a.nll nll)")" a nll
}
END
script=source/examples/reproduce.sh

# says CODE PART ARGS...: exit code and a part of standard error.
says() {
    local code=$1 part=$2 got
    shift 2
    "$script" "$@" >stdout 2>stderr
    got=$?
    [ "$got" = "$code" ] || bad "exit $got, want $code: reproduce.sh $*: $(cat stderr)"
    [ -z "$part" ] || grep -qF -- "$part" stderr || bad "reproduce.sh $*: no '$part' in: $(cat stderr)"
}
unset TAPIR_DATA
says 2 "there is no row '77', only: 0 1 2 3" 77
for row in lib iwae evidence ../reproduce/99 099 ''; do
    says 2 "there is no row '$row', only: 0 1 2 3" "$row"
done
says 2 "there is no flag --dta; see --help" 1 --dta x
says 2 "--data needs a value" 1 --data
says 2 "--seed: 'x' is not a whole number" 1 --seed x
says 2 "--smoke: at least one epoch is needed" 1 --smoke 0
for flag in --seed --threads --smoke; do
    for number in '' 00 08 -1 1.5; do
        says 2 "$flag: '$number' is not a whole number" 1 $flag "$number"
    done
done
mkdir folder
for file in nowhere/x.tsv small/t10k-images-idx3-ubyte/x.tsv folder ''; do
    says 2 "--results: '$file' cannot be written" 99 --out refused --results "$file"
done
says 2 "--out: 'small/train-images-idx3-ubyte/x' cannot be made" 99 --out small/train-images-idx3-ubyte/x --results whole.tsv
[ ! -e refused ] && [ ! -e whole.tsv ] || bad "left behind by refused calls"
says 2 "row 8 cannot be run: vamp_vae has plain layers" 8
says 2 "row 1 needs the images 'mnist': name the folder they are in by --data DIR or TAPIR_DATA" 1
says 2 "row 1: no mnist/train-images-idx3-ubyte (or .gz) in nowhere" 1 --data nowhere
ln -s "$data" mnist
says 2 "row 1: ./mnist has 10000 training images, expected 60000" 1 --data .
printf 'not idx' >not && mkdir -p other/mnist && mv not other/mnist/train-images-idx3-ubyte
says 2 "row 1: no mnist/train-images-idx3-ubyte" 1 --data other
mkdir -p black/mnist # as many images, all of them black
{ be32 2051 && be32 60000 && be32 28 && be32 28 && head -c 47040000 /dev/zero; } | gzip -1 >black/mnist/train-images-idx3-ubyte.gz
says 2 "row 1: black/mnist/train-images-idx3-ubyte has 0 white pixels, expected 314282" 1 --data black
rm -r black
TAPIR_DATA=. "$script" 1 2>stderr
grep -q "10000 training images" stderr || bad "TAPIR_DATA: $(cat stderr)"
[ ! -e source/runs ] && [ -z "$(ls source/docs)" ] || bad "left behind by refused calls"
"$script" >stdout || bad "listing rows: exit $?"
grep -q "^99 *1 *a row of the test$" stdout && grep -q "^8 .*VampPrior" stdout && grep -q "not run: vamp_vae" stdout ||
    bad "the list: $(cat stdout)"
"$script" --help >stdout || bad "help: exit $?"
grep -q -- "--smoke N" stdout || bad "the help: $(cat stdout)"

# Not stopped; then stopped and called again; both give the same numbers.
says 1 "" 99 --out whole --results whole.tsv
grep -qE '^loss +[0-9]+\.[0-9]{2} +200.5 +0 to 1000  met$' stdout || bad "the table: $(cat stdout)"
grep -qE '^too good +[0-9.]+ +1.25 +at most 1  missed$' stdout || bad "the table: $(cat stdout)"
grep -qE '^no gate +-[0-9.]+ +-3 +none  shown$' stdout || bad "the table: $(cat stdout)"
[ "$(tail -1 stdout)" = "row 99: missed: too good" ] || bad "the last line: $(tail -1 stdout)"
[ "$(wc -l <whole.tsv)" = 4 ] || bad "results: $(cat whole.tsv)"
awk -F'\t' 'NF != 14 { print "columns: " NF; exit 1 }' whole.tsv || bad "results: $(cat whole.tsv)"
grep -qE $'^99\ttoo good\t[0-9.]+\t1.25\t-\t1\tmissed\t[0-9.]+\t[0-9]+\t1\t40\t'$EPOCHS_OF_TEST$'\t0\\.[0-9a-f.-]+\tvae train --data small .* --seed 1 --out runs/reproduce/99/a && vae eval --run runs/reproduce/99/a --importance 40$' \
    whole.tsv || bad "results: $(cat whole.tsv)"

# What goes wrong in a row is no verdict, neither met nor missed.
for wrong in false 'no-such-command' 'echo "$no_such_variable"' 'mkdir late.tsv' 'rm "$out/$row/a/timing.jsonl"'; do
    cp -r whole wrong
    BEFORE_RESULTS=$wrong says 2 "row 99 has no verdict" 99 --out wrong --results late.tsv
    ! grep -q "every gate is met" stdout || bad "$wrong, and every gate is met"
    rm -rf wrong late.tsv
done
[ ! -c /dev/full ] || says 2 "row 99 has no verdict" 99 --out whole --results /dev/full

# stopped SIGNAL CODE WHOM FILE: a call in the folder part, stopped when FILE has something in it. WHOM is the script alone, or its
# group, which is what a terminal stops.
stopped() {
    local signal=$1 code=$2 whom=$3 file=$4 process got
    set -m # or it would ignore SIGINT
    "$script" 99 --out part --results part.tsv >stdout 2>stderr &
    set +m
    process=$!
    for _ in $(seq 2000); do
        [ -s "$file" ] && break
        sleep 0.005
    done
    [ "$whom" = alone ] && kill -s "$signal" $process || kill -s "$signal" -- -$process
    wait $process 2>/dev/null
    got=$?
    [ $got = "$code" ] || bad "exit $got, want $code, after SIG$signal: $(cat stderr)"
    grep -q "^reproduce.sh: stopped by SIG$signal; the same command goes on$" stderr || bad "SIG$signal: $(cat stderr)"
    ! command -v flock >/dev/null || flock -n part/99/a.lock true || bad "SIG$signal: what it started is at work"
    [ ! -e part.tsv ] || bad "a row that was stopped has results"
}
for how in "INT 130 alone" "HUP 129 alone" "INT 130 group" "TERM 143 group" "TERM 143 alone"; do
    rm -rf part
    # shellcheck disable=SC2086
    stopped $how part/99/a/metrics.jsonl
    [ ! -e part/99/a.trained ] && [ "$(wc -l <part/99/a/metrics.jsonl)" -lt $EPOCHS_OF_TEST ] ||
        bad "it was over before it could be stopped"
    grep -q "^vae: stopped by SIG${how%% *} behind step" stderr || bad "$how: nothing was saved: $(cat stderr)"
done
says 1 " in epoch " 99 --out part --results part.tsv
cmp whole/99/a/metrics.jsonl part/99/a/metrics.jsonl || bad "other curves after a stop"
cmp <(cut -f3 whole.tsv) <(cut -f3 part.tsv) || bad "other numbers after a stop"

# A measurement that is stopped, or fails, leaves nothing of its own.
cat >slow <<'END'
#!/usr/bin/env bash
[ "$1" != eval ] || { echo "half of it" && echo $$ >measuring && exec sleep 60; }
exec "$FAST" "$@"
END
sed 's/exec sleep 60/exit 1/' slow >broken
chmod +x slow broken
mv part.tsv kept.tsv
mv part/99/a.nll.json kept.json
FAST=$vae VAE=$PWD/slow stopped TERM 143 alone measuring
! kill -0 "$(cat measuring)" 2>/dev/null || bad "the measurement goes on behind its script"
FAST=$vae VAE=$PWD/broken says 2 "row 99 stopped; the same command goes on" 99 --out part --results part.tsv
[ -z "$(find part/99 -name '*.json*' ! -path "part/99/a/*")" ] || bad "left behind: $(ls part/99)"
says 1 "" 99 --out part --results part.tsv
cmp <(cut -f3 kept.tsv) <(cut -f3 part.tsv) || bad "other numbers after a measurement was stopped"

# A second call trains and measures nothing, and adds nothing; other settings are refused.
cp part/99/a/timing.jsonl before
says 1 "" 99 --out part --results part.tsv
[ ! -s stderr ] && cmp before part/99/a/timing.jsonl || bad "trained again: $(cat stderr)"
[ "$(wc -l <part.tsv)" = 4 ] || bad "other lines the second time: $(cat part.tsv)"
EPOCHS_OF_TEST=61 says 2 "was trained by other settings" 99 --out part --results part.tsv
[ "$(wc -l <part.tsv)" = 4 ] || bad "a refused call has results"
if command -v flock >/dev/null; then
    { flock 9 && says 2 "another call is at work on $PWD/part/99/row" 99 --out part --results part.tsv; } 9>>part/99/row.lock
    { flock 9 && says 2 "another call is at work on $PWD/part/99/a" 99 --out part --results part.tsv; } 9>>part/99/a.lock
    [ "$(wc -l <part.tsv)" = 4 ] || bad "a second call at once has results"
fi
says 1 "" 99 --out part --results part.tsv --seed 2
[ "$(tail -1 part.tsv | cut -f10)" = 2 ] && [ -d part/seed-2/99/a ] || bad "a second seed: $(tail -1 part.tsv)"

# A smoke test leaves no results, and judges nothing.
says 0 "" 99 --out part --results part.tsv --smoke 2
grep -q "nothing is written down" stdout && [ "$(wc -l <part.tsv)" = 7 ] || bad "a smoke test: $(cat stdout)"
[ "$(wc -l <part-smoke/99/a/metrics.jsonl)" = 2 ] || bad "epochs of a smoke test"

# The page of these results; a number that contradicts its gate is refused.
evidence=source/examples/reproduce/evidence.sh
"$evidence" write part.tsv page.md >/dev/null && "$evidence" check part.tsv page.md || bad "evidence.sh"
grep -qF '| too good, seed 2 | ' page.md && grep -qF '| [99](#row-99) | a row of the test | none | **missed** (2 of 4 numbers) |' page.md ||
    bad "the page: $(tail -30 page.md)"
cp page.md whole.md
echo "an older page" >page.md
ln page.md older.md
"$evidence" write part.tsv page.md >stdout || bad "evidence.sh: exit $?"
[ "$(cat stdout)" = "page.md: brought up to date" ] && cmp page.md whole.md && [ ! -e page.md.new ] || bad "the page: $(cat stdout)"
[ "$(cat older.md)" = "an older page" ] || bad "the page is written in place, and is half of one for a while"
[ -z "$("$evidence" write part.tsv page.md)" ] || bad "a page that is up to date is written"
sed 's/\tmissed\t/\tmet\t/' part.tsv >wrong.tsv
"$evidence" check wrong.tsv page.md 2>stderr && bad "a wrong verdict is not noticed"
grep -q "too good: the verdict is met, its gate says missed" stderr || bad "a wrong verdict: $(cat stderr)"

# Text of zeros and ones as idx.
printf '0 1 1 0\n1 0 0 0\n' >two.amat
"$TAPIR_SOURCE/examples/reproduce/idx.sh" 2 2 two.amat >two || bad "idx.sh"
[ "$(od -An -v -tx1 two | tr -d ' \n')" = 00000803000000020000000200000002"00ffff00ff000000" ] || bad "idx.sh: $(od -tx1 two)"
idx_says() { # CODE TEXT ARGS...: all of standard error, and nothing else
    local code=$1 text=$2 got
    shift 2
    "$TAPIR_SOURCE/examples/reproduce/idx.sh" "$@" >stdout 2>stderr
    got=$?
    [ $got = "$code" ] && [ ! -s stdout ] && [ "$(cat stderr)" = "$text" ] || bad "exit $got: idx.sh $*: $(cat stdout stderr)"
}
for size in 028 a 0 -2 '' 2.5 '2+2'; do
    idx_says 2 "idx.sh: HEIGHT and WIDTH are whole numbers from 1, got '$size' and '2'" "$size" 2 two.amat
    idx_says 2 "idx.sh: HEIGHT and WIDTH are whole numbers from 1, got '2' and '$size'" 2 "$size" two.amat
done
idx_says 1 "idx.sh: two.amat: line 1 has 4 values, expected 6 for images of 2x3" 2 3 two.amat
printf '0 1 1 0\n1 0 0\n0 1 1 0 1\n' >shifted.amat # as many as three images have
idx_says 1 "idx.sh: shifted.amat: line 2 has 3 values, expected 4 for images of 2x2" 2 2 shifted.amat
printf '0 1 1 0\n\n' >gap.amat
idx_says 1 "idx.sh: gap.amat: line 2 has 0 values, expected 4 for images of 2x2" 2 2 gap.amat
printf '0 1 2 0\n' >other.amat
idx_says 1 "idx.sh: other.amat: 1 of its characters are neither 0 nor 1" 2 2 other.amat
: >empty.amat
idx_says 1 "idx.sh: empty.amat: no image" 2 2 empty.amat

# What row 0 measures, by hand: frequencies 0, 1, 1/2 and 1/4 of the training pixels, the first two clipped.
mkdir hand
{ be32 2051 && be32 4 && be32 2 && be32 2 && printf '\0\377\377\377\0\377\377\0\0\377\0\0\0\377\0\0'; } >hand/train-images-idx3-ubyte
{ be32 2051 && be32 2 && be32 2 && be32 2 && printf '\377\0\0\377\0\377\0\377'; } >hand/test-images-idx3-ubyte
good train --data hand --hidden 1 --latent-dim 1 --epochs 1 --out by-hand
good eval --run by-hand
awk '{
    sub(/.*"factorised_bernoulli": /, "")
    want = -(log(0.001) + log(0.999)) + log(2) + log(4) # x of the first two is on in half of the test images
    if ($0 - want > 1e-12 || want - $0 > 1e-12) { print "independent pixels: " $0 ", by hand " want; exit 1 }
}' stdout || bad "the factorised Bernoulli"

# The rows themselves.
shared=${TAPIR_SHARED:-$TAPIR_SOURCE/../shared}/data
if [ ! -d "$shared/mnist-binarized" ] || [ ! -d "$shared/mnist" ]; then
    echo "rows 0 and 1 skipped: no mnist and mnist-binarized in $shared"
    verdict
fi
says 0 "" 0 --data "$shared" --out rows --results rows.tsv
[ "$(cut -f7 rows.tsv | tail -2 | paste -sd' ')" = "met met" ] || bad "row 0: $(cat stdout)"
case "$TAPIR_FLAGS" in
*-O[23]*) ;;
*) echo "row 1 skipped: not compiled for speed" && verdict ;;
esac
says 0 "" 1 --data "$shared" --out rows --results rows.tsv --smoke 3
awk '$1 == "epoch" { got[$2] = $3 } END {
    printf "row 1, test loss after epochs 1 to 3: %s %s %s\n", got[1], got[2], got[3]
    exit !(got[1] > 123 && got[1] < 131 && got[2] > 115.1 && got[2] < 116.5 && got[3] > 111.2 && got[3] < 113.2)
}' stdout || bad "row 1 is off the published curve, 127.30 115.79 112.22"
verdict
