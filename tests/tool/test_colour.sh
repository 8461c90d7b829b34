#!/usr/bin/env bash
# Pictures in colour and of any size, from data to picture: --channels, which config.json keeps and every command heeds;
# the same bytes as PNG, npy or idx are the same run; and what does not fit is refused. Read next: test_data.sh.
set -uo pipefail

. tests/tool/common.sh

# fails CODE TEXT ARGS...: the exit code, the last line of standard error, nothing left.
fails() {
    local code=$1 text=$2 got
    shift 2
    "$vae" "$@" >stdout 2>stderr
    got=$?
    [ "$got" = "$code" ] && [ "$(tail -1 stderr)" = "vae: $text" ] ||
        bad "vae $*: exit $got$(printf '\n got  %s\n want %s' "$(cat stderr)" "vae: $text")"
    [ ! -e new ] || { bad "left behind by: vae $*" && rm -rf new; }
}

alike() { # A B FILES...: two runs have left the same bytes
    local a=$1 b=$2 file
    shift 2
    for file in "$@"; do cmp "$a/$file" "$b/$file" || bad "$file differs: $a $b"; done
}

has() { # TEXT: in standard output
    grep -qF -- "$1" stdout || bad "no '$1' in: $(cat stdout)"
}

keeps() { # RUN CHANNELS
    grep -qxF "  \"channels\": \"$2\"," "$1/config.json" || bad "$1 is not $2: $(cat "$1/config.json")"
}

# A PNG is grey (0) or in colour (2).
kind() {
    [ "$(od -An -tu1 -j25 -N1 "$1" | tr -d ' ')" = "$2" ] || bad "$1: not of colour type $2"
}

# --- pictures without a generator -----------------------------------------------------------------------

adler32() {
    od -An -v -tu1 -w4096 | awk 'BEGIN { a = 1 }
        { for (i = 1; i <= NF; i++) { a = (a + $i) % 65521; b = (b + a) % 65521 } }
        END { printf "%.0f", b * 65536 + a }'
}

chunk() { # NAME: with the data of standard input; a checksum as gzip's trailer has it, the other way round
    { printf '%s' "$1" && cat; } >chunk
    be32 $(($(wc -c <chunk) - 4))
    cat chunk
    # shellcheck disable=SC2046
    be32 $((0x$(printf '%s%s%s%s' $(gzip -c chunk | tail -c 8 | head -c 4 | od -An -tx1 | awk '{ print $4, $3, $2, $1 }'))))
}

# png HEIGHT WIDTH CHANNELS: of the bytes of standard input, row by row.
png() {
    local y
    for ((y = 0; y < $1; y++)); do printf '\0' && head -c $(($2 * $3)); done >rows
    printf '\x89PNG\r\n\x1a\n'
    { be32 "$2" && be32 "$1" && printf "\\10\\$(($3 - 1))\\0\\0\\0"; } | chunk IHDR
    { printf '\x78\x9c' && gzip -nc rows | tail -c +11 | head -c -8 && be32 "$(adler32 <rows)"; } | chunk IDAT
    chunk IEND </dev/null
}

# Planes of 20 x 24 out of the digits, and the same pixel by pixel.
gzip -dc "$data/train-images-idx3-ubyte.gz" | tail -c +17 | head -c 200000 >bytes
count=24
head -c $((count * 1440)) bytes >planes
mkdir -p colour/train colour/test grey mixed two
for ((k = 0; k < count; k++)); do
    name=$(printf %02d "$k").png
    tail -c +$((k * 1440 + 1)) planes | head -c 1440 | od -An -v -tu1 -w480 |
        awk '{ for (i = 1; i <= 480; i++) p[NR, i] = $i }
             END { for (i = 1; i <= 480; i++) for (c = 1; c <= 3; c++) printf "\\%03o", p[c, i] }' >text
    # shellcheck disable=SC2059
    printf "$(cat text)" | png 20 24 3 >"colour/train/$name"
    tail -c +$((k * 784 + 1)) bytes | png 13 9 1 >"grey/$name"
done
cp colour/train/0*.png colour/test/
kind colour/train/00.png 2
kind grey/00.png 0

short=(train --epochs 2 --hidden 8 --latent-dim 2 --batch-size 8)
same=(model.safetensors metrics.jsonl reconstructions.png samples.png manifold.png)

# --- colour ----------------------------------------------------------------------------------------------

good "${short[@]}" --data colour --out run
keeps run colour
for line in '"height": 20' '"width": 24'; do grep -q "^  $line,$" run/config.json || bad "no $line"; done
is_png run/samples.png 402x338 # twice 24 and 2 between, 8 times
is_png run/reconstructions.png 502x86
is_png run/manifold.png 1002x842
for name in samples reconstructions manifold; do kind run/$name.png 2; done
good info --run run
has "channels     colour"
has "encoder.0.weight     f32[8,1440]"
good sample --run run --out s.png && cmp s.png run/samples.png || bad "sample"
good sample --run run --count 2 --out s.png && is_png s.png 102x44 && kind s.png 2
good reconstruct --run run --out r.png && cmp r.png run/reconstructions.png || bad "reconstruct"
good manifold --run run --out g.png && cmp g.png run/manifold.png || bad "manifold"
good traverse --run run --count 2 --out t.png && is_png t.png 452x86 && kind t.png 2
good interpolate --run run --count 2 --steps 3 --out i.png && is_png i.png 252x86 && kind i.png 2
good report --run run --out r.html
[ "$(grep -c '<img ' r.html)" = 5 ] || bad "a report in colour has $(grep -c '<img ' r.html) pictures"
good eval --run run
has '"split": "test", "samples": 10,'
good explain --run run --batch-size 2 --out step.txt
good explain --data colour --hidden 4 --latent-dim 2 --out new.txt
grep -qF '1440' new.txt || bad "explain --data: not of 1440 numbers"

# The pictures are those that were read: the first of them stands in reconstructions.png as its file has it.
if command -v python3 >/dev/null; then
    python3 - <<'END' || bad "reconstructions.png does not show the test images"
import struct, zlib

def read(path):
    data, at, pixels = open(path, "rb").read(), 8, b""
    while at < len(data):
        n, name = struct.unpack(">I4s", data[at:at + 8])
        if name == b"IHDR":
            width, height = struct.unpack(">II", data[at + 8:at + 16])
        if name == b"IDAT":
            pixels += data[at + 8:at + 8 + n]
        at += 12 + n
    raw, rows, above = zlib.decompress(pixels), [], bytes(3 * width)
    for y in range(height):
        kind, line = raw[y * (3 * width + 1)], bytearray(raw[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
        for i in range(len(line)):
            a, b, c = line[i - 3] if i >= 3 else 0, above[i], above[i - 3] if i >= 3 else 0
            d = [abs(b - c), abs(a - c), abs(a + b - 2 * c)]
            line[i] = line[i] + [0, a, b, (a + b) // 2, [a, b, c][d.index(min(d))]][kind] & 255
        rows.append(above := bytes(line))
    return rows

grid = read("run/reconstructions.png")
for k in range(10):
    image = read(f"colour/test/{k:02}.png")
    for y in range(20):
        for x in range(24):
            at = 3 * (2 + k * 50 + 2 * x)
            assert grid[2 + 2 * y][at:at + 3] == image[y][3 * x:3 * x + 3], (k, y, x)
END
fi

# A stop and a resume, and the settings of the run once more.
good train --epochs 1 "${short[@]:3}" --data colour --out part
good train --resume part --epochs 2
alike run part "${same[@]}" checkpoint-6.safetensors
good train --config run/config.json --out again
alike run again config.json "${same[@]}" checkpoint-6.safetensors

# The same bytes as arrays.
mkdir npy idx
{ npy '|u1' "$count, 3, 20, 24" && cat planes; } >npy/train.npy
{ npy '|u1' "10, 3, 20, 24" && head -c 14400 planes; } >npy/test.npy
{ printf '\0\0\10\4' && be32 $count && be32 3 && be32 20 && be32 24 && cat planes; } | gzip >idx/train-images-idx3-ubyte.gz
{ printf '\0\0\10\4' && be32 10 && be32 3 && be32 20 && be32 24 && head -c 14400 planes; } >idx/t10k-images-idx3-ubyte
for form in npy idx; do
    good "${short[@]}" --data $form --out of_$form
    alike run of_$form "${same[@]}" checkpoint-6.safetensors
done
good eval --run run --data npy

# --- grey, and both ---------------------------------------------------------------------------------------

good "${short[@]}" --data grey --out of_grey
keeps of_grey grey
is_png of_grey/samples.png 162x226
kind of_grey/samples.png 0
grep -qa channels of_grey/model.safetensors && bad "a setting of old is not told as it was"
good "${short[@]}" --data grey --channels grey --out of_grey2
alike of_grey of_grey2 config.json "${same[@]}" checkpoint-6.safetensors
good "${short[@]}" --data colour --channels grey --out greyed
keeps greyed grey
kind greyed/samples.png 0
good info --run greyed
has "encoder.0.weight     f32[8,480]"
good eval --run greyed
good "${short[@]}" --data grey --channels colour --out coloured
keeps coloured colour
kind coloured/samples.png 2
is_png coloured/samples.png 162x226

# One in colour, and all are; what a run is, its test images are.
cp grey/*.png mixed/
head -c 351 planes | png 13 9 3 >mixed/99.png
good "${short[@]}" --data mixed --out of_mixed
keeps of_mixed colour
good eval --run of_mixed --data grey --split train
good eval --run of_grey --data mixed --split train
has '"samples": 25,'

# Classes are folders.
mkdir classes classes/a classes/b
cp colour/train/0*.png classes/a/ && cp colour/train/1*.png classes/b/
good "${short[@]}" --data classes --model conditional_vae --out labelled
kind labelled/samples.png 2
is_png labelled/samples.png 102x1346 # 64 in two columns

# --- sizes ------------------------------------------------------------------------------------------------

# Large pictures are drawn as they are, and fewer of them where a PNG has no room.
{ npy '|u1' "4, 3, 70, 10" && head -c 8400 bytes; } >large.npy
good "${short[@]}" --data large.npy --out large
is_png large/samples.png 98x578
{ npy '|u1' "2, 3000, 1" && head -c 6000 bytes; } >tall.npy
good "${short[@]}" --data tall.npy --out tall
is_png tall/samples.png 8x6006
is_png tall/reconstructions.png 8x6006
is_png tall/manifold.png 8x6006
{ npy '|u1' "1, 1, 1, 8189" && head -c 8189 bytes; } >wide.npy
fails 1 "wide.npy: the train images are 1x8189, expected at most 8188 a side" "${short[@]}" --data wide.npy --out new
{ npy '|u1' "2, 1, 1, 8188" && head -c 16376 bytes; } >wide.npy
good "${short[@]}" --data wide.npy --out wide
is_png wide/reconstructions.png 8192x8
{ npy '|u1' "2, 3, 3" && head -c 18 bytes; } >tiny.npy
good "${short[@]}" --data tiny.npy --out tiny

# --- convolutions -----------------------------------------------------------------------------------------

# conv RUN CHANNELS PICTURE SAMPLES DATA...: trained, stopped and gone on with, drawn and measured.
conv() {
    local run=$1 shape=$2 drawn=$3
    shift 3
    conv=(--model conv_vae --set channels1=3,channels2=4 --hidden 8 --latent-dim 2 --batch-size 8)
    good train --epochs 2 "${conv[@]}" "$@" --out "$run"
    good train --epochs 1 "${conv[@]}" "$@" --out part_"$run"
    good train --resume part_"$run" --epochs 2
    alike "$run" part_"$run" "${same[@]}"
    is_png "$run/samples.png" "$drawn"
    good info --run "$run"
    has "f32[3,$shape,4,4]" # kernels of 4 x 4, of so many channels
    good sample --run "$run" --out s.png && cmp s.png "$run/samples.png" || bad "sample"
    good reconstruct --run "$run" --out r.png && cmp r.png "$run/reconstructions.png" || bad "reconstruct"
    good manifold --run "$run" --out g.png && cmp g.png "$run/manifold.png" || bad "manifold"
    good eval --run "$run" --split train --importance 3
    has '"nll": '
}

good models
sed -n '/^conv_vae: /,/^$/p' stdout | grep -qx '  needs         pictures of at least 4 by 4, grey or in colour' ||
    bad "models: conv_vae: $(cat stdout)"
mkdir digits
{ printf '\0\0\10\3' && be32 40 && be32 28 && be32 28 && head -c 31360 bytes; } >digits/train-images-idx3-ubyte
conv conv_digits 1 466x466 --data digits
kind conv_digits/samples.png 0
conv conv_colour 3 402x338 --data colour
for name in samples reconstructions manifold; do kind conv_colour/$name.png 2; done
good eval --run conv_colour
conv conv_grey 1 162x226 --data grey
conv conv_array 3 402x338 --data npy
alike conv_colour conv_array "${same[@]}"
good train --epochs 1 --model conv_vae --latent-dim 2 --data grey --out usual
grep -qxF '  "hidden": [256],' usual/config.json || bad "--hidden of conv_vae: $(cat usual/config.json)"
fails 1 "model 'conv_vae': pictures of 3 rows and 3 columns: at least 4 each needed" \
    train --model conv_vae --data tiny.npy --out new
fails 1 "$data: the train images are 28x28 in grey, expected 20x24 in colour: only PNG are turned from one into the \
other" eval --run conv_colour --data "$data"

# --- what does not fit ------------------------------------------------------------------------------------

cp colour/train/00.png two/a.png && cp grey/00.png two/b.png
fails 1 "two/b.png: is 13x9 (height x width), expected 20x24 as a.png" train --data two --out new
expected="expected count, height, width, or count, 3, height, width in colour"
{ npy '|u1' "4, 5" && head -c 20 bytes; } >flat.npy
fails 1 "flat.npy: the train images have shape [4,5], $expected" train --data flat.npy --out new
{ npy '|u1' "4, 20, 24, 3" && head -c 5760 bytes; } >last.npy
fails 1 "last.npy: the train images have shape [4,20,24,3], $expected; in NumPy, x.transpose(0, 3, 1, 2) puts \
channels first" train --data last.npy --out new
{ npy '|u1' "4, 2, 3, 5" && head -c 120 bytes; } >two.npy
fails 1 "two.npy: the train images have shape [4,2,3,5], $expected" train --data two.npy --out new
only="only PNG are turned from one into the other"
fails 1 "npy/train.npy: the train images are 20x24 in colour, expected 20x24 in grey: $only" \
    train --data npy/train.npy --channels grey --out new
{ npy '|u1' "4, 20, 24" && head -c 1920 bytes; } >grey.npy
fails 1 "grey.npy: the train images are 20x24 in grey, expected 20x24 in colour: $only" \
    train --data grey.npy --config run/config.json --out new
fails 1 "grey.npy: the train images are 20x24 in grey, expected 20x24 in colour: $only" \
    eval --run run --data grey.npy --split train
fails 1 "$data: the train images are 28x28 in grey, expected 20x24 in colour: $only" eval --run run --data "$data"
fails 1 "npy: the train images are 20x24 in colour, expected 20x24 in grey: $only" eval --run greyed --data npy
fails 1 "grey: the train images are 13x9, expected 20x24" eval --run run --data grey --split train
cp -r part other && sed -i 's/"channels": "colour"/"channels": "grey"/' other/config.json
fails 1 "other/config.json: its settings are not those the run began with, which are in \
other/checkpoint-6.safetensors" train --resume other --epochs 3
fails 2 "--channels: there is no 'color'; did you mean 'colour'?" train --data colour --channels color --out new
fails 2 "--channels: there is no 'rgb', only: grey, colour, auto" train --data colour --channels rgb --out new
fails 2 "eval has no flag --channels; see '$vae eval --help'" eval --run run --channels grey

# A run from before there was colour took PNG as grey, and goes on doing so.
cp -r greyed old && sed -i '/"channels"/d' old/config.json
good eval --run old
good train --resume old --epochs 3
good train --resume greyed --epochs 3
alike old greyed config.json "${same[@]}" checkpoint-9.safetensors
cp greyed/config.json new.json && sed -i '/"channels"/d' new.json
good train --config new.json --out old2
alike old2 greyed config.json "${same[@]}"

verdict
