#!/usr/bin/env bash
# Every model that "vae models" lists, on a few small pictures: it is trained, measured, drawn and gone on with, whatever
# it has of encoder, prior and decoder; and what it has not is said. Also settings that models have of their own, and
# the monitor of posterior collapse, which is provoked. How well they learn is tested in tests/models.
set -uo pipefail

. tests/tool/common.sh

sanitized=false
case $TAPIR_FLAGS in *-fsanitize*) sanitized=true ;; esac

# patient: standard error without what slow machines are told to expect.
patient() {
    sed -i '/^vae: about .* to go$/d' stderr
}

# says CODE TEXT ARGS...: the exit code and all of standard error.
says() {
    local code=$1 text=$2 got
    shift 2
    "$vae" "$@" >stdout 2>stderr
    got=$?
    patient
    [ "$got" = "$code" ] || bad "exit $got, want $code: vae $*: $(cat stderr)"
    [ "$(cat stderr)" = "$text" ] || bad "vae $*: $(printf '\n got  %s\n want %s' "$(cat stderr)" "$text")"
    [ ! -e new ] || { bad "left behind by: vae $*" && rm -rf new; }
}

# number KEY FILE: its value in the last line; empty for null.
number() {
    sed -n "\$s/.*\"$1\": \\(-\\?[0-9][^],}]*\\).*/\\1/p" "$2"
}

# drawn FILE: a whole PNG with something in it.
drawn() {
    local head
    [ -s "$1" ] || { bad "no $1" && return; }
    head=$(od -An -tx1 -N16 "$1" | tr -d ' \n')
    [ "$head" = 89504e470d0a1a0a0000000d49484452 ] || bad "$1 is no PNG"
    [ "$(tail -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 49454e44ae426082 ] || bad "$1 has no end"
    [ "$(od -An -tu1 -j16 -N8 "$1" | tr -d ' 0\n')" != "" ] || bad "$1 is empty"
}

# --- the list -------------------------------------------------------------------------------------------

good models --names
names=$(cat stdout)
case $names in *vae*) ;; *) bad "models --names: $names" ;; esac
[ "$(printf '%s\n' "$names" | sort | uniq -d)" = "" ] || bad "a model is there twice: $names"
[ "$(printf '%s\n' "$names" | grep -cvx '[a-z0-9_]*')" = 0 ] || bad "odd names: $names"
good models
for name in $names; do
    grep -qx "$name: .*" stdout || bad "models does not list $name"
done
for what in minimises from --likelihood; do
    [ "$(grep -c "^  $what  *[^ ]" stdout)" = "$(printf '%s\n' "$names" | wc -l)" ] || bad "models: $what"
done
LC_ALL=C sed 's/[\x80-\xbf]//g' stdout | awk 'length > 100' >long
[ ! -s long ] || bad "models: wider than 100 columns: $(cat long)"
cp stdout listing
likelihoods() { sed -n "/^$1: /,/^\$/s/^  --likelihood  //p" listing; }

# --- each of them -----------------------------------------------------------------------------------------

# Bytes of the digits as pictures of 14 x 14: halves of rows in turn, ten classes.
mkdir data
for split in train:160:24c t10k:40:24c; do
    IFS=: read -r name count _ <<<"$split"
    octal=$(printf '\\%03o' "$count")
    {
        printf "\0\0\10\3\0\0\0$octal\0\0\0\16\0\0\0\16"
        gzip -dc "$data/$name-images-idx3-ubyte.gz" | tail -c +17 | head -c $((count * 196))
    } >"data/$name-images-idx3-ubyte"
    {
        printf "\0\0\10\1\0\0\0$octal"
        gzip -dc "$data/$name-labels-idx1-ubyte.gz" | tail -c +9 | head -c "$count"
    } >"data/$name-labels-idx1-ubyte"
done
small=(--data data --hidden 9,8 --latent-dim 2 --batch-size 20)

# drawing COMMAND PICTURE NAME: repeats the picture of the run, or says what there is not.
drawing() {
    local command=$1 picture=$2 name=$3
    if [ -e "$name/$picture" ]; then
        drawn "$name/$picture"
        good "$command" --run "$name" --out "$command.png"
        cmp "$command.png" "$name/$picture" || bad "$name: $command is not $picture"
        rm -f "$command.png"
        grep -q "^  $picture " "$name.said" || bad "$name: $picture is not named"
    else
        "$vae" "$command" --run "$name" --out new >stdout 2>stderr
        [ $? = 1 ] && grep -q "^vae: $name: $name " stderr || bad "$command of $name: $(cat stderr)"
        [ ! -e new ] || bad "$name: $command leaves a picture"
        grep -q "^  $picture " "$name.said" && bad "$name: $picture is named"
    fi
}

# compared KEY NAME: eval says what the last line of the curves does.
compared() {
    [ "$(number "$1" stdout)" = "$(number "test_$1" "$2/metrics.jsonl")" ] ||
        bad "$2: $1 is $(number "$1" stdout), in the curves $(number "test_$1" "$2/metrics.jsonl")"
}

exercise() { # NAME
    local name=$1
    good train --model "$name" "${small[@]}" --epochs 2 --out "$name"
    patient
    [ ! -s stderr ] || bad "$name: $(cat stderr)"
    cp stdout "$name.said"
    [ "$(grep -c "^epoch [12]/2  train [0-9.-]*" stdout)" = 2 ] || bad "$name: $(cat stdout)"
    [ "$(number train_loss "$name/metrics.jsonl")" != "" ] || bad "$name: $(cat "$name/metrics.jsonl")"
    ls "$name"/*.png >/dev/null 2>&1 || bad "$name has no pictures"
    good eval --run "$name"
    compared loss "$name"
    compared kl "$name"
    "$vae" eval --run "$name" --split train --importance 3 >stdout 2>stderr
    case $?:$(number nll stdout):$(cat stderr) in
    0:[0-9-]*:*) grep -q '"nll_samples": \(3\|"exact"\)' stdout || bad "$name: $(cat stdout)" ;;
    1::"vae: --importance: $name has no p(x) to measure") ;;
    *) bad "$name: eval --importance: $(cat stdout stderr)" ;;
    esac
    drawing sample samples.png "$name"
    drawing reconstruct reconstructions.png "$name"
    drawing manifold manifold.png "$name"
    good info --run "$name"
    # In two steps, the same.
    good train --model "$name" "${small[@]}" --epochs 1 --checkpoint-every 5 --out part
    good train --resume part --epochs 2 --checkpoint-every 0
    for file in model.safetensors metrics.jsonl checkpoint-16.safetensors config.json $(cd "$name" && ls ./*.png); do
        cmp "$name/$file" "part/$file" || bad "$name: resumed, $file is another"
    done
    rm -r part
}

for name in $names; do
    if $sanitized && [ "$name" != vae ]; then
        good train --model "$name" "${small[@]}" --epochs 1 --out "$name"
        good eval --run "$name" --split train
    else
        exercise "$name"
    fi
    # A likelihood that it cannot have is refused before anything is made.
    case " $(likelihoods "$name")," in *" gaussian_learned,"*) continue ;; esac
    says 2 "vae: model '$name': its likelihood cannot be gaussian_learned, only: $(likelihoods "$name")" \
        train --model "$name" "${small[@]}" --out new --likelihood gaussian_learned
done

# Curves can be read by others.
if command -v python3 >/dev/null; then
    python3 - $names <<'END' || bad "python3 does not read the curves"
import json, math, sys
for name in sys.argv[1:]:
    for line in open(f"{name}/metrics.jsonl"):
        last = json.loads(line, object_pairs_hook=lambda pairs: (
            pairs if len(dict(pairs)) == len(pairs) else sys.exit(f"{name}: a key is there twice")))
    last = dict(last)
    train = [k for k in last if k.startswith("train_")]
    assert all(isinstance(last[k], float) or last[k] is None for k in train), last
    assert len(train) >= 3 and last["collapsed"] is None, (name, last)
    kl = last["test_kl_per_dimension"]
    if kl is not None and last["test_kl"] is not None:
        assert abs(sum(kl) - last["test_kl"]) < 1e-4 * (1 + last["test_kl"]), (name, last)
END
fi

# --- labels, options and likelihoods ----------------------------------------------------------------------

grep -q '"classes": 10' vae/config.json && grep -q '"examples": 160' vae/config.json || bad "$(cat vae/config.json)"
good train "${small[@]}" --epochs 1 --set warmup=100 --out warm
grep -q '"set": {"warmup": 100}' warm/config.json || bad "$(cat warm/config.json)"
cmp -s warm/model.safetensors vae/model.safetensors && bad "--set does nothing"
good train --config warm/config.json --out warm2
cmp warm/model.safetensors warm2/model.safetensors || bad "--config forgets --set"
printf '{"model": "vae", "set": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}}' >six.json
says 2 "vae: --set: more than 6 options" train --config six.json --set g=1 --out seven
good train --config warm/config.json --model ae --out other # what is not its own is gone
grep -q '"set"' other/config.json && bad "$(cat other/config.json)"
cp -r warm edited && sed -i 's/"warmup": 100/"warmup": 200/' edited/config.json
says 1 "vae: edited/config.json: its settings are not those the run began with, which are in \
edited/checkpoint-8.safetensors" train --resume edited
sed -i 's/"warmup": 200/"warm": 200/' edited/config.json
says 1 "vae: edited/config.json: model 'vae': there is no option 'warm', only: warmup" sample --run edited --out new
says 2 "vae: model 'vae': there is no option 'warm', only: warmup" train --out new --set warm=1
says 2 "vae: model 'vae': warmup is -1: 0 to 1e+09 needed" train --out new --set warmup=-1
says 2 "vae: model 'ae': there is no option 'warmup'" train --out new --model ae --set warmup=1
says 2 "vae: model 'ae': beta is 2, and its objective has none: 1 needed" train --out new --model ae --beta 2
says 2 "vae: --levels: the bernoulli likelihood has none; --likelihood categorical has" train --out new --levels 4
good train "${small[@]}" --epochs 1 --likelihood categorical --levels 4 --out grey
drawn grey/samples.png
good eval --run grey
grep -q '"factorised_bernoulli": null' stdout || bad "independent bits beside grey levels: $(cat stdout)"

# A run from before there were options and labels.
cp -r vae before && sed -i '/"set"\|"classes"\|"examples"\|"levels"/d' before/config.json
good eval --run before
good train --resume before --epochs 3
good train --resume vae --epochs 3
for file in model.safetensors metrics.jsonl config.json; do cmp before/$file vae/$file || bad "before: $file"; done
cp -r ae before_ae && sed -i 's/"beta": 1/"beta": 2/' before_ae/config.json # once, any was taken from any model
good eval --run before_ae

# log p(x) from samples: more of them come nearer to it, from above, and all are better than the bound.
says 0 "vae: of grey pixels the Bernoulli likelihood makes no log p(x): nll can be compared with itself only" \
    eval --run vae --importance 1
cp stdout one
good eval --run vae --importance 40
grep -q '"nll_samples": 40' stdout || bad "nll: $(cat stdout)"
awk -v one="$(number nll one)" -v many="$(number nll stdout)" -v loss="$(number loss stdout)" \
    'BEGIN { exit !(many < one && many < loss && one < loss + 5 && many > 0) }' ||
    bad "nll: $(number nll one) of 1 sample, $(number nll stdout) of 40, loss $(number loss stdout)"
good train "${small[@]}" --epochs 1 --binarize static --out bits
says 0 "" eval --run bits --importance 2
says 1 "vae: --importance: ae has no p(x) to measure" eval --run ae --importance 2

# Without labels, where a model wants them.
mkdir bare && cp data/*-images-* bare/
for name in $(awk '/^[a-z]/ { sub(":", "", $1); name = $1 } /^  needs  *labels/ { print name }' listing); do
    says 1 "vae: model '$name': it wants labels, and the data have none" \
        train --model "$name" "${small[@]:2}" --data bare --out new
    good sample --run "$name" --count 20 --out classes.png # a column for each of ten classes
    [ "$(od -An -tu1 -j18 -N2 classes.png | tr -d '\n')" = "   1  46" ] || bad "$name: no ten columns"
done

# Numbers that no model but few can have.
mkdir floats
{
    printf '\x93NUMPY\1\0\x76\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 2), }"
    printf '\0\0\200\77\0\0\0\77\0\0\200\77\0\0\0\100' # 1, 1/2, 1, 2
} >floats/train.npy
alone="vae: $PWD/floats: no test images (a split t10k or test): going without"
for likelihood in bernoulli gaussian gaussian_learned categorical; do
    says 1 "vae: floats: the train images: x[1,0,1] = 2, expected 0 to 1: vae with the $likelihood likelihood takes \
no others" train --data floats --out new --likelihood $likelihood
done
case $names in *linear_vae*)
    says 0 "$alone" train --data floats --model linear_vae --epochs 1 --latent-dim 1 --out line
    ;;
esac

# --- posterior collapse -------------------------------------------------------------------------------------

digits=(train --epochs 2 --hidden 40 --latent-dim 8)
good "${digits[@]}" --out healthy
grep -q '^latent space: 8 of 8 dimensions active, KL [0-9.]* nats$' stdout || bad "healthy: $(cat stdout)"
grep -q collapse stderr && bad "a false alarm: $(cat stderr)"
tail -1 healthy/metrics.jsonl | grep -q '"active_units": 8, .*"collapsed": false}' || bad "$(tail -1 healthy/metrics.jsonl)"
good eval --run healthy
grep -q '"collapsed": false' stdout || bad "healthy: $(cat stdout)"
says 0 "vae: the posterior has collapsed: q(z|x) is nearly the same for all x, so that z says nothing of them
vae:   try a --beta below 50
vae:   try --set warmup=66: the weight of the KL rises more slowly$(
    case $names in *beta_vae*) printf '\n%s' \
        "vae:   try --model beta_vae --set capacity=20: so many nats are asked for" ;; esac)" \
    "${digits[@]}" --beta 50 --out collapsed
grep -q '^latent space: 0 of 8 dimensions active, KL 0.0[0-9.]* nats$' stdout || bad "collapsed: $(cat stdout)"
tail -1 collapsed/metrics.jsonl | grep -q '"active_units": 0, .*"collapsed": true}' || bad "$(tail -1 collapsed/metrics.jsonl)"
good eval --run collapsed
grep -q '"collapsed": true' stdout || bad "collapsed: $(cat stdout)"
# The remedy: a capacity, where there is one.
case $names in *beta_vae*)
    good "${digits[@]}" --model beta_vae --set capacity=20,steps=100 --out remedy
    tail -1 remedy/metrics.jsonl | grep -q '"collapsed": false}' || bad "$(tail -1 remedy/metrics.jsonl)"
    ;;
esac
# Many more dimensions than are needed are no collapse.
good train --epochs 2 --hidden 40 --latent-dim 400 --beta 4 --out wide
grep -qx 'vae: few of the latent dimensions are active: a smaller --latent-dim may do as well' stderr ||
    bad "wide: $(cat stdout stderr)"
grep -q collapsed stderr && bad "wide: $(cat stderr)"
tail -1 wide/metrics.jsonl | grep -q '"collapsed": false}' || bad "wide is flagged"
good train --data bare --model ae "${small[@]:2}" --epochs 20 --out plain # no posterior, no collapse
tail -1 plain/metrics.jsonl | grep -q '"test_kl_per_dimension": null, "collapsed": null}' || bad "$(tail -1 plain/metrics.jsonl)"
grep -q '^latent space: [0-2] of 2 dimensions active$' stdout || bad "plain: $(cat stdout)"

verdict
