#!/usr/bin/env bash
# The command-line tool on a few hundred digits: files and their form, determinism, config.json, and what
# it says and leaves behind when something is wrong. What it learns is tested in test_quality.sh.
set -uo pipefail

. tests/tool/common.sh

# --- data: idx files without a generator ----------------------------------------------------------

# images SPLIT COUNT HEIGHT WIDTH: the first bytes of the digits as pictures of that size.
images() {
    printf '\0\0\10\3'
    be32 "$2" && be32 "$3" && be32 "$4"
    gzip -dc "$data/$1-images-idx3-ubyte.gz" | tail -c +17 | head -c $(($2 * $3 * $4))
}

# labels SPLIT COUNT
labels() {
    printf '\0\0\10\1'
    be32 "$2"
    gzip -dc "$data/$1-labels-idx1-ubyte.gz" | tail -c +9 | head -c "$2"
}

mkdir small frey empty
images train 510 28 28 >small/train-images-idx3-ubyte
labels train 510 >small/train-labels-idx1-ubyte
images t10k 110 28 28 | gzip >small/t10k-images-idx3-ubyte.gz
images train 130 28 20 >frey/train-images-idx3-ubyte # no test images

# --- what works ------------------------------------------------------------------------------------

# good ARGS...: exits 0; output in $out and $err.
good() {
    "$vae" "$@" >stdout 2>stderr || bad "exit $?: vae $*: $(cat stderr)"
    out=$(cat stdout) err=$(cat stderr)
}

# has TEXT: standard output of the last call contains it.
has() {
    case $out in *"$1"*) ;; *) bad "no '$1' in: $out" ;; esac
}

train=(train --data small --epochs 2 --hidden 24 --latent-dim 3 --batch-size 50)
good "${train[@]}" --out a/deep/run --threads 1
has "epoch 1/2  train "
has "epoch 2/2  train "
has " eval --run a/deep/run"
ls a/deep/run >files
diff files - <<'END' || bad "files of a run"
checkpoint-11.safetensors
checkpoint-22.safetensors
config.json
metrics.jsonl
model.safetensors
reconstructions.png
samples.png
timing.jsonl
END
is_png a/deep/run/samples.png 466x466
is_png a/deep/run/reconstructions.png 582x118
keys() { sed 's/\[[^]]*\]/0/g; s/"\([a-z_]*\)": [^,}]*/\1/g' "$1" | tail -1; }
[ "$(wc -l <a/deep/run/metrics.jsonl)" = 2 ] || bad "metrics.jsonl has a line per epoch"
[ "$(keys a/deep/run/metrics.jsonl)" = "{epoch, step, train_loss, train_recon, train_kl, test_loss, \
test_recon, test_kl, active_units, test_kl_per_dimension, collapsed}" ] || bad "metrics.jsonl: $(keys a/deep/run/metrics.jsonl)"
[ "$(keys a/deep/run/timing.jsonl)" = "{epoch, samples_per_second, seconds, threads}" ] ||
    bad "timing.jsonl: $(keys a/deep/run/timing.jsonl)"
grep -q '"step": 22,' a/deep/run/metrics.jsonl || bad "510 images are 11 batches, the last one kept"

# Bytes depend on the seed, not on threads, repetition, the shape of the call, or the folder.
good "${train[@]}" --out b --threads=2
good train --config b/config.json --out c
good "${train[@]}" --out d --seed 2
for file in metrics.jsonl model.safetensors checkpoint-22.safetensors samples.png reconstructions.png; do
    cmp "a/deep/run/$file" "b/$file" || bad "$file with 1 and 2 threads"
    cmp "b/$file" "c/$file" || bad "$file from --config"
    cmp -s "b/$file" "d/$file" && bad "$file does not depend on the seed"
done
cmp b/config.json c/config.json || bad "config.json is not a fixed point"
(cd empty && "$vae" train --config ../b/config.json --epochs 1 --out ../e >/dev/null) ||
    bad "config.json from another folder"
[ "$(diff b/config.json e/config.json | grep -c '^>')" = 1 ] || bad "a flag goes over --config"
[ "$(head -1 b/metrics.jsonl)" = "$(cat e/metrics.jsonl)" ] || bad "an epoch depends on those after"
good train --preset manifold --epochs 1 --data small --hidden 16,8 --out m
grep -q '"hidden": \[16, *8\]' m/config.json || bad "--hidden 16,8: $(cat m/config.json)"
grep -q '"batch_size": 100' m/config.json || bad "--preset sets what no flag does"
is_png m/manifold.png 1162x1162
good train --config m/config.json --out m2
cmp m/config.json m2/config.json || bad "config.json with two hidden layers"

# The trap looks on and changes nothing.
good "${train[@]}" --trap --out trapped
for file in metrics.jsonl model.safetensors; do
    cmp "b/$file" "trapped/$file" || bad "$file with --trap"
done
grep -q trap trapped/config.json && bad "--trap belongs to one call, not to the settings of a run"

# eval prints what the last line of metrics.jsonl says.
good eval --run b
[ "$(sed 's/.*"loss": \([^,]*\),.*/\1/' stdout)" = \
    "$(tail -1 b/metrics.jsonl | sed 's/.*"test_loss": \([^,]*\),.*/\1/')" ] || bad "eval: $out"
has '"samples": 110,'
has '"factorised_bernoulli": '
good eval --run b --split train
has '"samples": 510,'

good sample --run b --out s.png --count 5
[ "$out" = "wrote s.png" ] || bad "sample: $out"
is_png s.png 176x118
good sample --run b --out s64.png
cmp s64.png b/samples.png || bad "sample repeats samples.png"
good sample --run b --out s.png --seed 3
[ "$out" = "replaced s.png" ] || bad "sample: $out"
cmp -s s.png b/samples.png && bad "sample --seed"
good reconstruct --run b --out r.png
cmp r.png b/reconstructions.png || bad "reconstruct repeats reconstructions.png"
good manifold --run m --out g.png
cmp g.png m/manifold.png || bad "manifold repeats manifold.png"
good info --run b
has "encoder.0.weight     f32[24,784]"
has "decoder.2.bias       f32[784]"
good --version
[ "$out" = "vae (tapir) 0.1.0" ] || bad "version: $out"
good --help
good train --help
has "--latent-dim N "
has "--trap              stop at the first operation that gives NaN or an infinity, and name it
"

# Pictures that are not square, no test images, another likelihood, an autoencoder.
good train --data frey --epochs 1 --hidden 8 --likelihood gaussian --out f
case $err in *"frey: no test images"*) ;; *) bad "no word about test images: $err" ;; esac
grep -q '"test_loss": null' f/metrics.jsonl || bad "test_loss without test images"
is_png f/samples.png 338x466
good train --data small --epochs 1 --hidden 8 --model ae --out ae
[ ! -e ae/samples.png ] || bad "an autoencoder has no prior, but train drew samples"
grep -q '"train_kl": null' ae/metrics.jsonl || bad "an autoencoder has no KL"
good eval --run ae
has '"kl": null'

# Hands-on JSON readers agree.
if command -v python3 >/dev/null; then
    "$vae" eval --run b >eval.json
    python3 - <<'END' || bad "python3 does not read the JSON"
import json, struct
json.load(open("eval.json"))
config = json.load(open("b/config.json"))
assert config["hidden"] == [24] and config["seed"] == 1 and config["lr"] == 1e-3, config
for name in "metrics", "timing":
    for line in open(f"b/{name}.jsonl"):
        json.loads(line)
last = json.loads(line := open("b/metrics.jsonl").readlines()[-1])
assert abs(last["test_loss"] - last["test_recon"] - last["test_kl"]) < 1e-3, last
data = open("b/model.safetensors", "rb").read()
header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
inside = json.loads(header["__metadata__"]["config"])
assert inside["latent_dim"] == 3 and "threads" not in inside, inside
assert header["mu.weight"]["shape"] == [3, 24], header
END
fi

# --- usage errors: exit 2, one line, nothing made ---------------------------------------------------

# says CODE TEXT ARGS...: the exit code and all of standard error.
says() {
    local code=$1 text=$2 got
    shift 2
    "$vae" "$@" >stdout 2>stderr
    got=$?
    [ "$got" = "$code" ] || bad "exit $got, want $code: vae $*: $(cat stderr)"
    [ "$(cat stderr)" = "$text" ] || bad "vae $*: $(printf '\n got  %s\n want %s' "$(cat stderr)" "$text")"
    [ ! -e new ] || { bad "left behind by: vae $*" && rm -rf new; }
}

says 2 "vae: there is no command 'trian'; did you mean 'train'?" trian
says 2 "vae: there is no command 'xyzzy'; see '$vae --help'" xyzzy
says 2 "vae: train needs --out DIR: new or empty folder for the results, unless --resume is given" train
says 2 "vae: eval needs --run DIR: folder that 'train' wrote" eval
says 2 "vae: --epochs: '0.1x' is not a whole number" train --out new --epochs 0.1x
says 2 "vae: --epochs: -1 is outside 1 to 1000000" train --out new --epochs -1
says 2 "vae: --epochs: 0 is outside 1 to 1000000" train --out new --epochs 0
says 2 "vae: --epochs needs a value: --epochs N" train --out new --epochs
says 2 "vae: --epochs needs a value: --epochs N" train --epochs --out new
says 2 "vae: --lr: 'nan' is not a number" train --out new --lr nan
says 2 "vae: --lr: 'inf' is not a number" train --out new --lr inf
says 2 "vae: --lr: '0x1' is not a number" train --out new --lr 0x1
says 2 "vae: --lr: '1,5' is not a number" train --out new --lr 1,5
says 2 "vae: --lr: 1e999 is too large a number" train --out new --lr 1e999
says 2 "vae: --lr: -0.1 is outside 0 to 1000" train --out new --lr -0.1
says 2 "vae: --beta: '1.0.0' is not a number" train --out new --beta 1.0.0
says 2 "vae: --hidden: '400,,2' is not a list of sizes as 400 or 400,200" train --out new --hidden 400,,2
says 2 "vae: --hidden: '1,1,1,1,1,1,1,1' has more than 7 sizes" train --out new --hidden 1,1,1,1,1,1,1,1
says 2 "vae: --seed: 18446744073709551616 is outside 0 to 18446744073709551615" \
    train --out new --seed 18446744073709551616
says 2 "vae: --threads: 257 is outside 0 to 256" train --out new --threads 257
says 2 "vae: --seed is given twice" train --out new --seed 1 --seed=2
says 2 "vae: --out: is empty" train --out ''
says 2 "vae: --trap takes no value" train --out new --trap=1
says 2 "vae: train takes flags only; '1' is none" train --out new --trap 1
says 2 "vae: --trap is given twice" train --out new --trap --trap
says 2 "vae: eval has no flag --trap; see '$vae eval --help'" eval --run b --trap
says 2 "vae: train has no flag --epoch; did you mean --epochs?" train --out new --epoch 3
says 2 "vae: train has no flag --batch; did you mean --batch-size?" train --out new --batch 3
says 2 "vae: train has no flag --xyzzy; see '$vae train --help'" train --out new --xyzzy
says 2 "vae: train takes flags only; 'new' is none" train new
says 2 "vae: --preset: there is no 'quik'; did you mean 'quick'?" train --out new --preset quik
says 2 "vae: --model: there is no 'gan', only: $("$vae" models --names | paste -sd, | sed 's/,/, /g')" train --out new --model gan
says 2 "vae: --likelihood: there is no 'bernouli'; did you mean 'bernoulli'?" \
    train --out new --likelihood bernouli
says 2 "vae: --preset quick: m/config.json is of preset manifold and settles everything; give one of \
the two" train --out new --preset quick --config m/config.json
"$vae" >stdout 2>stderr
[ $? = 2 ] && [ ! -s stdout ] && grep -q "^usage: " stderr || bad "usage without a command"

# --- data and system errors: exit 1, nothing left ----------------------------------------------------

fails() { # TEXT ARGS...
    local text=$1
    shift
    says 1 "$text" "$@"
}

fails "vae: nowhere: there is no such folder or file" train --out new --data nowhere
fails "vae: empty: no data: neither train-images-idx3-ubyte (or .gz) nor train.npy is there, nor a folder train of \
*.png, nor *.png themselves" \
    train --out new --data empty
fails "vae: s.png: looks like a PNG image, expected a folder, an idx or an npy file" train --out new --data s.png
fails "vae: --out b: the folder is not empty, and nothing is ever overwritten: name a new one, or go on in it with \
--resume" \
    train --data small --out b
fails "vae: --out s.png: Not a directory" train --data small --out s.png
fails "vae: none/config.json: cannot open: No such file or directory" eval --run none
fails "vae: b has 3 latent dimensions; a manifold is drawn for 2" manifold --run b --out new
fails "vae: --out stdout: is there and is an empty file, which is not replaced" \
    sample --run b --out stdout
fails "vae: frey: the train images are 28x20, expected 28x28" eval --run b --data frey
fails "vae: $PWD/small: no data: neither valid-images-idx3-ubyte (or .gz) nor valid.npy is there, nor a folder \
valid of *.png" \
    eval --run b --split valid

# fails_with PART ARGS...: as fails, where the message holds more.
fails_with() {
    local part=$1 got
    shift
    "$vae" "$@" >stdout 2>stderr
    got=$?
    [ "$got" = 1 ] || bad "exit $got, want 1: vae $*"
    grep -qF -- "$part" stderr || bad "vae $*: no '$part' in: $(cat stderr)"
    grep -q '^vae: ' stderr || bad "vae $*: $(cat stderr)"
    [ ! -e new ] || { bad "left behind by: vae $*" && rm -rf new; }
}

damaged() { # a copy of small to damage
    rm -rf damaged && cp -r small damaged
}
damaged && head -c 9000 small/train-images-idx3-ubyte >damaged/train-images-idx3-ubyte
fails_with "damaged/train-images-idx3-ubyte: " train --data damaged --out new
damaged && head -c 900 small/t10k-images-idx3-ubyte.gz >damaged/t10k-images-idx3-ubyte.gz
fails_with "damaged/t10k-images-idx3-ubyte.gz: " train --data damaged --out new
damaged && labels train 509 >damaged/train-labels-idx1-ubyte
fails_with "do not match 510 images" train --data damaged --out new
damaged && : >damaged/train-images-idx3-ubyte
fails_with "an empty file" train --data damaged --out new
damaged && images t10k 100 28 20 | gzip >damaged/t10k-images-idx3-ubyte.gz
fails_with "the t10k images are 28x20, expected 28x28" train --data damaged --out new
fails_with "vae: training step " train --data small --hidden 8 --lr 1000 --beta 1e6 --out new/deep/run
# With the trap the run ends where the first number goes wrong, one operation before the loss notices.
diverge=(train --data small --hidden 8 --lr 1000 --beta 1e6 --out new/deep/run)
fails_with "vae: training step 2: KL: gaussian_kl#" "${diverge[@]}"
grep -q "^  input 1: f32\[100,20\] *'logvar' = heads: " stderr || bad "divergence: no line of its own for logvar: $(cat stderr)"
fails_with "vae: training step 2: reparameterize: reparameterize#" "${diverge[@]}" --trap
for part in " of 2000 elements, the first at [" "  input 1: f32[100,20]    'logvar' = heads: " \
    "  domain of reparameterize: e^{logvar/2} is finite up to "; do
    grep -qF -- "$part" stderr || bad "--trap: no '$part' in: $(cat stderr)"
done
fails_with "small/config.json: " train --config small/config.json --out new

cp -r b broken && head -c 5000 b/model.safetensors >broken/model.safetensors
fails_with "broken/model.safetensors: " sample --run broken --out new
cp b/model.safetensors broken/ && sed -i 's/"latent_dim": 3/"latent_dim": 4/' broken/config.json
fails_with "tensor 'mu.weight' is f32[3,24], expected f32[4,24]" sample --run broken --out new
fails_with "ae: ae has no prior to draw from" sample --run ae --out new

# config TEXT PART: a config.json that is refused.
config() {
    printf '%s' "$1" >config.json
    fails_with "vae: config.json: $2" train --config config.json --out new
}
config '' "expected '{', got the end, at line 1, byte 0"
config '{' "expected a string, got the end, at line 1, byte 1"
config '{} x' "expected the end, got 'x', at line 1, byte 3"
config '{"epochs": "3"}' "\"epochs\": expected a number, got '\"', at line 1, byte 11"
config '{"epochs": 3, "epochs": 4}' '"epochs": is there twice, at line 1, byte 23'
config '{"epoch": 3}' '"epoch": there is no such setting; did you mean "epochs"?'
config '{"lr": nan}' "\"lr\": expected a number, got 'nan', at line 1, byte 7"
config '{"lr": 1e999}' '"lr": 1e999 is too large a number'
config '{"lr": 0x1}' "\"lr\": expected a number, got '0x1'"
config '{"epochs": 3.5}' "\"epochs\": '3.5' is not a whole number"
config '{"preset": "quik"}' "\"preset\": there is no 'quik'; did you mean 'quick'?"
config '{"preset": 1}' "\"preset\": expected a string, got '1'"
config '{"hidden": [1,]}' "\"hidden\": expected a number, got ']', at line 1, byte 14"
config '{"hidden": 3}' "\"hidden\": expected '[', got '3'"
config '{"hidden": []}' "\"hidden\": '' is not a list of sizes as 400 or 400,200"
config '{"data": "a\u0000b"}' "\"data\": a NUL in a string, at line 1, byte 17"
config '{
  "tapir": "x\ny",
  "epochs": 3 "lr": 1
}' "expected ',' or '}', got '\"', at line 3, byte 35"

# A disk that is full: the first epoch leaves nothing behind.
(
    ulimit -f 8
    "$vae" train --data small --epochs 1 --hidden 200 --out new >/dev/null 2>limited
    [ $? = 1 ]
) || bad "exit code when files cannot grow"
grep -q "checkpoint-6.safetensors: cannot write: " limited || bad "a full disk: $(cat limited)"
[ ! -e new ] || bad "a full disk leaves files"

# Standard output that is full, closed, or left by its reader.
if [ -w /dev/full ]; then
    "$vae" --help >/dev/full 2>stderr
    [ $? = 1 ] && grep -q "vae: cannot write to standard output" stderr || bad "/dev/full"
fi
"$vae" --help >&- 2>stderr
[ $? = 1 ] && grep -q "vae: standard output is closed" stderr || bad "closed standard output"
"$vae" train --data small --epochs 200 --hidden 8 --out left 2>stderr | head -1 >/dev/null
[ "${PIPESTATUS[0]}" = 1 ] && grep -q "cannot write to standard output" stderr || bad "reader left"
good eval --run left # what was finished is whole

verdict
