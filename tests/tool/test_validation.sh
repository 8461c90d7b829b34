#!/usr/bin/env bash
# Training that chooses: validation images, the best epoch, patience, optimizers and schedules; which images a run has
# looked at, and that a run which was stopped ends with the same bytes. Kills at every call: tests/fault.
set -uo pipefail
. tests/tool/common.sh

# says CODE TEXT ARGS...: the exit code and all of standard error; nothing is left in "new".
says() {
    local code=$1 text=$2 got
    shift 2
    "$vae" "$@" >stdout 2>stderr
    got=$?
    [ "$got" = "$code" ] || bad "exit $got, want $code: vae $*: $(cat stderr)"
    [ "$(cat stderr)" = "$text" ] || bad "vae $*: $(printf '\n got  %s\n want %s' "$(cat stderr)" "$text")"
    [ ! -e new ] || { bad "left behind by: vae $*" && rm -rf new; }
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

alike() { # A B FILES...
    local a=$1 b=$2 file
    shift 2
    for file in "$@"; do cmp "$a/$file" "$b/$file" || bad "$file differs: $a $b"; done
}

# number KEY FILE [LINE]: a number in a line of JSON, by default the last.
number() {
    sed -n "${3:-\$}p" "$2" | sed "s/.*\"$1\": \\([^,}]*\\).*/\\1/"
}

# idx SPLIT FROM COUNT NAME: so many digits, from that one on, as another split.
idx() {
    { printf '\0\0\10\3' && be32 "$3" && be32 28 && be32 28 &&
        gzip -dc "$data/$1-images-idx3-ubyte.gz" | tail -c +$((17 + $2 * 784)) | head -c $(($3 * 784)); } >"$4-images-idx3-ubyte"
    { printf '\0\0\10\1' && be32 "$3" &&
        gzip -dc "$data/$1-labels-idx1-ubyte.gz" | tail -c +$((9 + $2)) | head -c "$3"; } >"$4-labels-idx1-ubyte"
}

mkdir all own
idx train 0 400 all/train
idx t10k 0 110 all/t10k
idx train 0 300 own/train
idx train 300 100 own/valid
idx t10k 0 110 own/t10k

# --- which images ---------------------------------------------------------------------------------------

few=(train --epochs 2 --hidden 12 --latent-dim 2 --batch-size 50)
good "${few[@]}" --data all --valid 100 --out cut
grep -q "^epoch 2/2  train [0-9.]*  valid [0-9.]*  (recon " stdout || bad "what people see: $(cat stdout)"
grep -q "^best: epoch 2 with valid [0-9.]*; model.safetensors has the weights of epoch 2$" stdout || bad "best: $(cat stdout)"
keys() { sed 's/\[[^]]*\]/0/g; s/"\([a-z_]*\)": [^,}]*/\1/g' "$1" | tail -1; }
[ "$(keys cut/metrics.jsonl)" = "{epoch, step, train_loss, train_recon, train_kl, valid_loss, valid_recon, valid_kl, \
active_units, valid_kl_per_dimension, collapsed, best_epoch}" ] || bad "metrics: $(keys cut/metrics.jsonl)"
[ "$(number step cut/metrics.jsonl)" = 12 ] || bad "300 images are 6 batches"
for line in '"valid": 100' '"examples": 300'; do grep -qxF "  $line," cut/config.json || bad "no $line"; done

# Cut off or a split of their own: the same images, the same run. Pictures and curves are of them.
good "${few[@]}" --data own --out split
alike cut split metrics.jsonl reconstructions.png samples.png # the weights come with settings that differ
good eval --run cut --data all --split valid
[ "$(number loss stdout)" = "$(number valid_loss cut/metrics.jsonl)" ] || bad "eval of held back images: $(cat stdout)"
[ "$(number samples stdout)" = 100 ] || bad "held back: $(cat stdout)"
sed 's/"run": "[a-z]*"//' stdout >cut.json
good eval --run split --split valid
sed 's/"run": "[a-z]*"//' stdout | cmp - cut.json || bad "eval --split valid of both kinds"
for run in cut split; do
    good eval --run $run --split train
    [ "$(number samples stdout)" = 300 ] || bad "the training images of $run: $(cat stdout)"
    sed 's/"run": "[a-z]*"//' stdout >train-$run.json
    good eval --run $run
    [ "$(number samples stdout) $(grep -o '"split": "[a-z0-9]*"' stdout)" = '110 "split": "t10k"' ] || bad "test images: $(cat stdout)"
done
cmp train-cut.json train-split.json || bad "eval --split train of both kinds"
good eval --run split --data all --split train # other images: nothing is held back of them
[ "$(number samples stdout)" = 400 ] || bad "all images: $(cat stdout)"
mkdir bare && cp all/train* bare/
says 1 "vae: $PWD/bare: nothing to evaluate on; --split train takes the training images, --split valid those held back" \
    eval --run cut --data bare

# Training does not look at the test images, whatever they are.
mkdir blind && cp own/train* own/valid* blind/ && echo garbage >blind/t10k-images-idx3-ubyte
good "${few[@]}" --data blind --out seen
alike split seen model.safetensors metrics.jsonl checkpoint-12.safetensors reconstructions.png
idx t10k 200 5 own/t10k
good train --resume split --epochs 3
good train --resume cut --epochs 3
alike cut split metrics.jsonl samples.png

# A run from before there were validation images is measured on the test images, and goes on so.
good "${few[@]}" --data all --out old
sed -i '/"valid"/d' old/config.json
cp own/valid* all/
good train --resume old --epochs 3
grep -q '"test_loss": [0-9]' old/metrics.jsonl || bad "an old run: $(tail -1 old/metrics.jsonl)"
grep -q '"valid' old/config.json && bad "an old run has become another one"
good train --config old/config.json --keep best --out young # a new one by its settings has what others have
grep -q '"valid_loss": [0-9]' young/metrics.jsonl || bad "a new run of old settings: $(tail -1 young/metrics.jsonl)"
grep -qxF '  "valid": 0,' young/config.json || bad "a new run of old settings: $(grep valid young/config.json)"
rm all/valid*
says 1 "vae: $PWD/all: the validation images, the split valid, are not there any more" train --resume young
more=("${few[@]}") && more[2]=3
good "${more[@]}" --data all --out fresh
alike old fresh model.safetensors metrics.jsonl

# The draws of validation images are their own, and measuring repeats them.
for kind in static dynamic; do
    good "${few[@]}" --data own --binarize $kind --out $kind
    good eval --run $kind --split valid
    [ "$(number loss stdout)" = "$(number valid_loss $kind/metrics.jsonl)" ] || bad "$kind: $(cat stdout)"
done
mkdir twins && cp own/valid-images-idx3-ubyte twins/t10k-images-idx3-ubyte
good eval --run static --data twins
[ "$(number loss stdout)" != "$(number valid_loss static/metrics.jsonl)" ] || bad "test and validation images share their draws"

# --- the best epoch -------------------------------------------------------------------------------------

# 60 images, by heart: the validation loss soon rises.
mkdir heart
idx train 0 60 heart/train
idx train 300 100 heart/valid
hard=(train --data heart --hidden 100 --latent-dim 6 --batch-size 20 --lr 0.02 --beta 0.1)
good "${hard[@]}" --epochs 30 --out last
least() { # FILE: the first epoch with the lowest validation loss
    sed 's/.*"epoch": \([0-9]*\),.*"valid_loss": \([^,]*\),.*/\2 \1/' "$1" | sort -g -s -k1,1 | head -1 | cut -d' ' -f2
}
best=$(least last/metrics.jsonl)
[ "$best" -gt 1 ] && [ "$best" -lt 25 ] || bad "the best epoch is $best: this shows nothing"
[ "$(number best_epoch last/metrics.jsonl)" = "$best" ] || bad "best_epoch $(number best_epoch last/metrics.jsonl), want $best"
good "${hard[@]}" --epochs 30 --keep best --out best
alike last best metrics.jsonl
grep -q "^best: epoch $best with valid [0-9.]*; model.safetensors has the weights of epoch $best$" stdout || bad "best: $(cat stdout)"
good "${hard[@]}" --epochs "$best" --out short # the same weights as of a run that ends there
cut -c1- short/metrics.jsonl | cmp - <(head -"$best" best/metrics.jsonl) || bad "the first epochs"
good eval --run best --split valid
[ "$(number loss stdout)" = "$(number valid_loss best/metrics.jsonl "$best")" ] || bad "eval of the best: $(cat stdout)"
alike short best samples.png reconstructions.png
cmp -s last/model.safetensors best/model.safetensors && bad "--keep best keeps the last"
good sample --run best --out more.png
cmp more.png best/samples.png || bad "pictures are of the weights that are kept"

# Patience: behind the best epoch so many and no more; the rest is as if the run had been that long.
end=$((best + 5))
good "${hard[@]}" --epochs 30 --keep best --patience 5 --out patient
grep -q "^no lower validation loss in 5 epochs: ends behind epoch $end$" stdout || bad "patience: $(cat stdout)"
cmp patient/metrics.jsonl <(head -$end best/metrics.jsonl) || bad "the epochs of a patient run"
cp -r patient again
says 0 "vae: 5 epochs without a lower validation loss: the run has ended behind epoch $end" train --resume again
same patient again
says 0 "vae: 5 epochs without a lower validation loss: the run has ended behind epoch $end" train --resume again --epochs 50
cp patient/config.json again/ && cp patient/checkpoint* again/ && cp patient/model.safetensors again/
same patient again
says 0 "vae: 5 epochs without a lower validation loss: the run has ended behind epoch $end" train --resume again --epochs $end

# With little weight on it the KL is large, so that the loss with its whole weight begins with rising: that wears no
# patience out within the warm-up, and no epoch wins by its small weight.
good train --data heart --hidden 100 --latent-dim 6 --batch-size 20 --lr 0.003 --beta 20 --set warmup=36 --epochs 14 \
    --keep best --patience 2 --out warm # the warm-up takes 12 epochs
[ "$(wc -l <warm/metrics.jsonl)" = 14 ] || bad "patience within a warm-up: $(wc -l <warm/metrics.jsonl) epochs"
[ "$(printf '%s\n' $(number valid_loss warm/metrics.jsonl 1) $(number valid_loss warm/metrics.jsonl 2) \
    $(number valid_loss warm/metrics.jsonl 3) | sort -g | head -1)" = "$(number valid_loss warm/metrics.jsonl 1)" ] ||
    bad "the loss does not rise: this shows nothing"
[ "$(number best_epoch warm/metrics.jsonl)" = "$(least warm/metrics.jsonl)" ] || bad "the best of a warm-up"
for epoch in 1 6 14; do
    awk "BEGIN { d = $(number valid_loss warm/metrics.jsonl $epoch) - $(number valid_recon warm/metrics.jsonl $epoch) \
        - 20 * $(number valid_kl warm/metrics.jsonl $epoch); exit d * d > 1e-4 }" ||
        bad "the validation loss of epoch $epoch has not the whole KL"
done

# --- stopped and gone on with ---------------------------------------------------------------------------

# stopped ARGS...: runs in "part" until there are two checkpoints of the third epoch or later, then is killed.
stopped() {
    rm -rf part
    "$vae" "$@" --checkpoint-every 2 --out part >stdout 2>stderr &
    local process=$!
    for _ in $(seq 2000); do
        [ "$(ls part 2>/dev/null | sed -n 's/checkpoint-\([0-9]*\).*/\1/p' | sort -n | tail -1)0" -ge 70 ] && break
        sleep 0.002
    done
    kill -KILL $process
    wait $process 2>/dev/null
}
for _ in 1 2; do
    stopped "${hard[@]}" --epochs 30 --keep best --patience 5
    good train --resume part --checkpoint-every 0 --threads 1
    cp patient/config.json part/
    same patient part
done
# What was lost or damaged beside the checkpoint comes back, the weights of an epoch long past, too.
cp -r patient repaired && rm repaired/model.safetensors && echo junk >repaired/metrics.jsonl
"$vae" train --resume repaired >stdout 2>stderr || bad "repaired: $(cat stderr)"
same patient repaired
# The newest checkpoint damaged: the one before is gone on from.
cp -r patient damaged
printf x | dd of=damaged/checkpoint-$((3 * end)).safetensors bs=1 seek=9000 conv=notrunc 2>/dev/null
"$vae" train --resume damaged >stdout 2>stderr || bad "damaged: $(cat stderr)"
grep -q "goes on behind step $((3 * end - 3)), in epoch $end of 30$" stderr || bad "damaged: $(cat stderr)"
rm -f damaged/*.damaged
same patient damaged

# --- optimizers and schedules ---------------------------------------------------------------------------

# By name with the defaults, written out or not: the same run. Each does something else.
good "${few[@]}" --data all --out plain
good "${few[@]}" --data all --optimizer adam,beta1=0.9,eps=1e-8 --schedule constant --out named
alike plain named model.safetensors metrics.jsonl checkpoint-16.safetensors config.json
for name in sgd sgd,momentum=0.9,nesterov=1 adam,beta1=0.5 adam,amsgrad=1 adamw rmsprop,centered=1 adagrad,weight_decay=0.01; do
    good "${few[@]}" --data all --optimizer $name --out other
    cmp -s plain/model.safetensors other/model.safetensors && bad "--optimizer $name is as adam"
    good train --config other/config.json --out once
    same other once
    rm -r other once
done
# The first epoch, number 0, has the whole rate; from its milestone on half of it: as a run that is gone on with.
good "${few[@]}" --data all --schedule multistep,gamma=0.5,milestones=1 --out stepped
[ "$(head -1 plain/metrics.jsonl)" = "$(head -1 stepped/metrics.jsonl)" ] || bad "the rate of the first epoch"
cmp -s plain/model.safetensors stepped/model.safetensors && bad "a milestone does nothing"
good "${few[@]}" --data all --schedule multistep,gamma=0.5,milestones=2+5 --out later
alike plain later metrics.jsonl samples.png
good "${few[@]}" --data all --schedule step,step_size=1,gamma=0.5 --out same
alike stepped same metrics.jsonl samples.png
grep -qxF '  "schedule": "multistep,gamma=0.5,milestones=2+5",' later/config.json || bad "config: $(grep schedule later/config.json)"
good train --resume later --epochs 3
good "${more[@]}" --data all --schedule exponential,gamma=0.5 --out falling
cp -r stepped long && good train --resume long --epochs 3
[ "$(head -2 falling/metrics.jsonl)" = "$(head -2 long/metrics.jsonl)" ] || bad "two epochs of both schedules"
cmp -s falling/model.safetensors long/model.safetensors && bad "a third of the rate or a quarter"

# --- how a model begins ---------------------------------------------------------------------------------

for flags in "--activation tanh" "--init glorot" "--output-bias mean" "--posterior-scale softplus"; do
    # shellcheck disable=SC2086
    good "${few[@]}" --data all $flags --out begun
    cmp -s plain/model.safetensors begun/model.safetensors && bad "$flags does nothing"
    good train --config begun/config.json --out twice
    same begun twice
    good eval --run begun --data all
    [ "$(number loss stdout)" = "$(number test_loss begun/metrics.jsonl)" ] || bad "$flags: $(cat stdout)"
    good explain --run begun --data all --after 1 --batch-size 2 --out step.txt
    rm -r begun twice step.txt
done
first() { "$vae" "${few[@]}" --lr 0 --data all --out f "$@" >stdout 2>&1; number test_recon f/metrics.jsonl; rm -r f; }
[ "$(printf '%s\n' "$(first)" "$(first --output-bias mean)" | sort -g | head -1 | cut -c1)" = 2 ] ||
    bad "a decoder of the mean image begins near 206 nats, not at 543"

# --- what is refused ------------------------------------------------------------------------------------

none="there are no validation images; --valid N holds N training images back"
says 1 "vae: --keep best: $none" train --data all --keep best --out new
says 1 "vae: --patience: $none" train --data all --patience 3 --out new
says 1 "vae: own: --valid 5: the data have validation images, the split valid" train --data own --valid 5 --out new
says 1 "vae: all: --valid 400: there are 400 training images, and one must be left" train --data all --valid 400 --out new
says 2 "vae: --keep: there is no 'first', only: last, best" train --data all --keep first --out new
says 2 "vae: --optimizer: adam has no option 'beta', only: lr, beta1, beta2, eps, weight_decay, amsgrad" \
    train --optimizer adam,beta=0.5 --out new
says 2 "vae: --optimizer: there is no optimizer 'adma', only: sgd, adam, adamw, rmsprop, adagrad" train --optimizer adma --out new
says 2 "vae: --optimizer: there is no optimizer '', only: sgd, adam, adamw, rmsprop, adagrad" train --optimizer= --out new
says 2 "vae: --optimizer: lr has a flag of its own, --lr" train --optimizer adam,lr=1 --out new
says 2 "vae: --optimizer: 'eps' is there twice" train --optimizer adam,eps=1e-4,eps=1e-4 --out new
says 2 "vae: --optimizer: '' is not a number" train --optimizer adam,eps= --out new
says 2 "vae: --optimizer: 'eps' is not a field and its value as eps=1e-4" train --optimizer adam,eps --out new
says 2 "vae: --optimizer: '' is not a field and its value as eps=1e-4" train --optimizer adam, --out new
says 2 "vae: --optimizer: '0x1' is not a number" train --optimizer adam,eps=0x1 --out new
says 2 "vae: --optimizer: 'beta1' is one number" train --optimizer adam,beta1=0.5+0.6 --out new
says 2 "vae: --optimizer: sgd: nesterov with momentum 0 and dampening 0, expected momentum > 0 and dampening 0" \
    train --optimizer sgd,nesterov=1 --out new
says 2 "vae: --schedule: schedule step has no 'milestones', only: lr, gamma, step_size" \
    train --schedule step,milestones=3 --out new
says 2 "vae: --schedule: schedule multistep: expected milestones and gamma > 0, got gamma 0.1, 0 milestones" train --schedule multistep --out new
says 2 "vae: --schedule: there is no schedule 'poly', only: constant, step, multistep, exponential, cosine, linear" \
    train --schedule poly --out new
says 2 "vae: --schedule: 'milestones=$(seq -s+ 17)' has more than 16 numbers" \
    train --schedule "multistep,milestones=$(seq -s+ 17)" --out new
says 2 "vae: --schedule: '' is not a number" train --schedule multistep,milestones=1++2 --out new
says 2 "vae: --lr 0: a schedule scales it: more than 0 needed" train --lr 0 --schedule cosine,t_max=5 --out new
says 2 "vae: model 'ae': posterior_scale is softplus, and it has no posterior whose scale a head gives: logvar needed" \
    train --model ae --posterior-scale softplus --out new
says 1 "vae: --output-bias mean: model 'made': an output bias of the mean: it has no decoder with a bias for each pixel \
or channel" train --data all --model made --output-bias mean --out new
cp -r cut edited && sed -i 's/"keep": "last"/"keep": "best"/' edited/config.json
says 1 "vae: edited/config.json: its settings are not those the run began with, which are in \
edited/checkpoint-18.safetensors" train --resume edited
idx train 301 100 own/valid
"$vae" train --resume split >stdout 2>stderr
[ $? = 1 ] && grep -q "^vae: split/checkpoint-18.safetensors: valid_data_crc32 is [0-9]*, expected [0-9]*: the validation \
images have changed$" stderr || bad "other validation images: $(cat stderr)"
rm own/valid*
"$vae" train --resume split >stdout 2>stderr
[ $? = 1 ] && grep -q "valid_data_crc32 is [0-9]*, expected none\|test_data_crc32 is none, expected [0-9]*" stderr ||
    bad "no validation images any more: $(cat stderr)"

verdict
