#!/usr/bin/env bash
# vae train --resume: a run that is stopped by signals, killed, or made longer ends with the bytes of one that was
# never stopped; what a run cannot go on from is refused, and nothing is changed. Kills at every call: tests/fault.
set -u
. tests/tool/common.sh

# says CODE TEXT ARGS...: the exit code and all of standard error, but what slow machines are told to expect.
says() {
    local code=$1 text=$2 got
    shift 2
    "$vae" "$@" >stdout 2>stderr
    got=$?
    [ "$got" = "$code" ] || bad "exit $got, want $code: vae $*: $(cat stderr)"
    sed -i '/^vae: about .* to go$/d' stderr
    [ "$(cat stderr)" = "$text" ] || bad "vae $*: $(printf '\n got  %s\n want %s' "$(cat stderr)" "$text")"
}

# same A B: two runs have left the same bytes; timing is the one thing that may differ.
same() {
    local file
    for file in "$1"/*; do
        file=${file##*/}
        case $file in timing.jsonl) ;; *) cmp "$1/$file" "$2/$file" || bad "$file differs: $1 $2" ;; esac
    done
    [ "$(ls "$1")" = "$(ls "$2")" ] || bad "other files: $(ls "$1") | $(ls "$2")"
}

# stopped SIGNAL CODE ARGS...: runs until the first checkpoint is there, then sends the signal.
stopped() {
    local signal=$1 code=$2 dir=$3 got
    shift 3
    "$vae" train "$@" --checkpoint-every 5 >stdout 2>stderr &
    local process=$!
    for _ in $(seq 2000); do
        ls "$dir"/checkpoint-*.safetensors >/dev/null 2>&1 && break
        sleep 0.005
    done
    kill "-$signal" $process
    wait $process 2>/dev/null
    got=$?
    [ $got = "$code" ] || bad "exit $got after SIG$signal, want $code: $(cat stderr)"
}

settings=(--epochs 4 --hidden 24 --latent-dim 2 --batch-size 60)
good train --out whole "${settings[@]}"
[ "$(wc -l <whole/metrics.jsonl)" = 4 ] || bad "metrics of the whole run"

# Every signal, each time in a fresh run and then again in the same one.
signals="TERM:143 HUP:129 KILL:137"
case $TAPIR_FLAGS in *-fsanitize*) signals="TERM:143" ;; esac # the others show a sanitizer no other code
for signal in $signals; do
    rm -rf part
    stopped "${signal%:*}" "${signal#*:}" part --out part "${settings[@]}"
    if [ "${signal%:*}" != KILL ]; then
        grep -q "^vae: stopped by SIG${signal%:*} behind step [0-9]*; to go on: $vae train --resume part$" stderr ||
            bad "what SIG${signal%:*} says: $(cat stderr)"
        good eval --run part --data digits
    fi
    stopped "${signal%:*}" "${signal#*:}" part --resume part
    good train --resume part --threads 1 --checkpoint-every 0
    grep -q "^vae: goes on behind step [0-9]*, in epoch [0-9] of 4$" stderr || bad "resume says: $(cat stderr)"
    cp whole/config.json part/config.json # what may change is in it
    same whole part
done

# What it says can be copied, whatever the folders are called.
mkdir "o'ne" && ln -s "$TAPIR_BIN" "o'ne/bi n"
plain=$vae vae="o'ne/bi n/vae" odd="o'ne/\$p (ü)"
stopped TERM 143 "$odd" --out "$odd" --epochs 2 "${settings[@]:2}"
vae=$plain
eval "$(sed -n 's/.*; to go on: //p' stderr)" >stdout 2>stderr || bad "copied: $(cat stderr)"
[ -e "$odd/samples.png" ] || bad "copied, the command did something else"
grep -qxF "  'o'\\''ne/bi n/vae' eval --run 'o'\\''ne/\$p (ü)'" stdout || bad "what is next: $(cat stdout)"

# SIGINT, from a process that does not ignore it as those in the background do.
rm -rf part
python=$(command -v python3 || true)
if [ -n "$python" ]; then
    "$python" - "$vae" "${settings[@]}" <<'END' || bad "SIGINT"
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
p = subprocess.Popen([sys.argv[1], "train", "--out", "part", "--checkpoint-every", "1"] + sys.argv[2:],
                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
while not (os.path.isdir("part") and any(f.startswith("checkpoint-") for f in os.listdir("part"))):
    time.sleep(0.002)
p.send_signal(signal.SIGINT)
_, err = p.communicate()
assert p.returncode == 130, (p.returncode, err)
assert "stopped by SIGINT behind step" in err, err
END
    good train --resume part --checkpoint-every 0
    same whole part
fi

# A signal that the caller ignores stays ignored, as under nohup.
(
    trap '' HUP
    stopped HUP 0 part2 --out part2 "${settings[@]}"
    exit $failures
) || bad "an ignored SIGHUP ended the run"
cp whole/config.json part2/
rm -f part2/checkpoint-665.safetensors && cp whole/checkpoint-501.safetensors part2/ # kept within the last epoch
same whole part2

# Killed before the first checkpoint: it starts from the beginning.
mkdir early && cp whole/config.json early/
says 0 "vae: early: no checkpoint yet: starts from the beginning" train --resume early
same whole early

# Longer than it was meant to be: the same as if it had been meant so.
good train --out short --epochs 2 "${settings[@]:2}"
says 0 "vae: all 2 epochs are done; a larger --epochs goes on behind them" train --resume short
good train --resume short --epochs 4
same whole short
says 1 "vae: --epochs 3: the run is in epoch 4 already" train --resume short --epochs 3
same whole short

# What was lost or damaged beside the checkpoint comes back.
cp -r whole repaired
rm repaired/model.safetensors repaired/samples.png && echo junk >repaired/metrics.jsonl
: >"repaired/model.safetensors.tmp-123-4"
good train --resume repaired
same whole repaired

# A damaged checkpoint: the one before it.
cp -r whole damaged
newest=checkpoint-668.safetensors older=checkpoint-501.safetensors
printf x | dd of=damaged/$newest bs=1 seek=9000 conv=notrunc 2>/dev/null
"$vae" train --resume damaged >stdout 2>stderr || bad "damaged checkpoint: $(cat stderr)"
grep -q "^vae: damaged/$newest: damaged: its bytes have the checksum " stderr || bad "damage: $(cat stderr)"
grep -q "^vae: goes on behind step 501, in epoch 4 of 4$" stderr || bad "damage: $(cat stderr)"
[ -e damaged/$newest.damaged ] || bad "the damaged checkpoint is kept"
rm -f damaged/$newest.damaged
same whole damaged
[ "$(grep -o '"epoch": [0-9]*' damaged/timing.jsonl | tr -d '\n')" = '"epoch": 1"epoch": 2"epoch": 3"epoch": 4' ] ||
    bad "timing of each epoch: $(cat damaged/timing.jsonl)"
for file in $newest $older; do printf x | dd of=damaged/$file bs=1 seek=9000 conv=notrunc 2>/dev/null; done
before=$(cat damaged/* | cksum)
"$vae" train --resume damaged >stdout 2>stderr
[ $? = 1 ] && grep -q "; no older checkpoint is whole$" stderr || bad "two damaged: $(cat stderr)"
[ "$before" = "$(cat damaged/* | cksum)" ] || bad "a refusal changed something"

# --- what is refused ------------------------------------------------------------------------------------

keeps="a run that goes on keeps its folder and its settings, all but --data, --epochs, --checkpoint-every, --trap \
and --threads"
for flag in "--lr 0.1" "--seed 2" "--hidden 8" "--preset quick" "--config whole/config.json" "--out other"; do
    # shellcheck disable=SC2086
    says 2 "vae: ${flag%% *}: $keeps" train --resume whole $flag
done
says 1 "vae: nowhere/config.json: cannot open: No such file or directory" train --resume nowhere
mkdir empty && says 1 "vae: empty/config.json: cannot open: No such file or directory" train --resume empty
says 1 "vae: --out whole: the folder is not empty, and nothing is ever overwritten: name a new one, or go on \
in it with --resume" train --out whole
cp -r whole edited && sed -i 's/"beta": 1/"beta": 2/' edited/config.json
says 1 "vae: edited/config.json: its settings are not those the run began with, which are in \
edited/checkpoint-668.safetensors" train --resume edited
mkdir other
images() { # NAME COUNT: 28x28 pictures of zeros
    { printf '\0\0\10\3\0\0' && printf "\\x$(printf %02x $(($2 / 256)))\\x$(printf %02x $(($2 % 256)))" &&
        printf '\0\0\0\34\0\0\0\34' && head -c $(($2 * 784)) /dev/zero; } >"other/$1-images-idx3-ubyte"
}
images train 10000
images t10k 10
"$vae" train --resume whole --data other >stdout 2>stderr
[ $? = 1 ] && grep -q "^vae: whole/checkpoint-668.safetensors: data_crc32 is [0-9]*, expected [0-9]*: the training \
data have changed, or how they are binarized$" stderr || bad "other data: $(cat stderr)"
images train 100
says 1 "vae: whole/checkpoint-668.safetensors: examples is 10000, expected 100: the run has a data set of another size" \
    train --resume whole --data other

mkdir smaller
for split in train t10k; do
    { printf '\0\0\10\3\0\0\0\144\0\0\0\16\0\0\0\16' && head -c $((100 * 196)) /dev/zero; } >smaller/$split-images-idx3-ubyte
done
says 1 "vae: smaller: the train images are 14x14, expected 28x28" train --resume whole --data smaller
# The test images count as well: or the curves would be of two data sets.
mkdir tests && cp "$TAPIR_SOURCE"/examples/data/train-* tests/
says 1 "vae: $PWD/tests: no test images (a split t10k or test): going without
vae: whole/checkpoint-668.safetensors: test_data_crc32 is $(grep -ao '"test_data_crc32":"[0-9]*"' whole/$newest |
    grep -o '[0-9]*"$' | tr -d '"'), expected none: the test images have changed" train --resume whole --data tests
cp other/t10k-images-idx3-ubyte tests/
"$vae" train --resume whole --data tests >stdout 2>stderr
[ $? = 1 ] && grep -q "^vae: whole/$newest: test_data_crc32 is [0-9]*, expected [0-9]*: the test images have changed$" \
    stderr || bad "other test data: $(cat stderr)"

# One at a time.
"$vae" train --out busy --epochs 100000 "${settings[@]:2}" >stdout 2>busy.err &
busy=$!
for _ in $(seq 2000); do [ -e busy/config.json ] && break || sleep 0.005; done
says 1 "vae: busy: another process is training in it" train --resume busy
kill -KILL $busy
wait $busy 2>/dev/null
same whole whole

verdict
