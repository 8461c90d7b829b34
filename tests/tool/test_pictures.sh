#!/usr/bin/env bash
# What people look at: traversals, interpolations, draws, scatter, learning curves and the report of a run. Files are whole,
# of their size, well-formed, the same for any number of threads; what they show is where it belongs; every model is drawn or
# refused with one sentence; hostile names stay text. Samples, reconstructions and the manifold: test_vae.sh, test_models.sh.
set -uo pipefail

. tests/tool/common.sh

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

# counted N TEXT FILE: so many lines hold it.
counted() {
    [ "$(grep -c -- "$2" "$3")" = "$1" ] || bad "$3 has $(grep -c -- "$2" "$3") lines with $2, want $1"
}

# well_formed FILE...: as XML; the report is so, too, beside being HTML.
well_formed() {
    if command -v xmllint >/dev/null; then
        xmllint --noout "$@" 2>wrong || bad "$(cat wrong)"
    elif command -v python3 >/dev/null; then
        python3 -c 'import sys, xml.dom.minidom as m; [m.parse(f) for f in sys.argv[1:]]' "$@" 2>wrong ||
            bad "$*: $(tail -1 wrong)"
    else
        echo "neither xmllint nor python3 is there: not checked whether $* are well-formed"
    fi
}

# --- small pictures that are not square, with labels ------------------------------------------------------

mkdir data
for split in train:160 t10k:40; do
    name=${split%:*} count=${split#*:}
    {
        printf '\0\0\10\3' && be32 "$count" && be32 14 && be32 10
        gzip -dc "$data/$name-images-idx3-ubyte.gz" | tail -c +17 | head -c $((count * 140))
    } >"data/$name-images-idx3-ubyte"
    {
        printf '\0\0\10\1' && be32 "$count"
        gzip -dc "$data/$name-labels-idx1-ubyte.gz" | tail -c +9 | head -c "$count"
    } >"data/$name-labels-idx1-ubyte"
done
small=(train --data data --batch-size 20)
one=("${small[@]}" --hidden 20 --latent-dim 3 --epochs 20 --lr 0.01)
good "${one[@]}" --out run
grep -q ' report --run run$' stdout || bad "train does not name the report: $(cat stdout)"

# --- grids ----------------------------------------------------------------------------------------------------

# A picture is 20 by 28 pixels, with 2 between: w columns are 22·w + 2, h rows 30·h + 2.
good traverse --run run --out t.png
is_png t.png 200x92 # 9 columns, 3 dimensions
[ "$(sed 's/KL [0-9.e-]* nats/KL/g; s/z[012]/z/g' stdout)" = "wrote t.png
rows from above: z (KL), z (KL), z (KL)" ] || bad "traverse: $(cat stdout)"
sed -n '$s/.*above: //p' stdout | sed 's/), /)\n/g' | sed 's/.*KL \([^ ]*\) .*/\1/' | sort -gr -c || bad "not by KL: $(cat stdout)"
good traverse --run run --out t1.png --threads 1 --data data
cmp t.png t1.png || bad "traverse depends on threads"
good traverse --run run --out d.png --dims 2,0 --steps 5
is_png d.png 112x62
grep -q '^rows from above: z2 (KL .*), z0 (KL .*)$' stdout || bad "--dims: $(cat stdout)"
good traverse --run run --out one.png --count 1 --image 7
is_png one.png 200x32
good traverse --run run --out other.png --count 1 --image 8
cmp -s one.png other.png && bad "--image does nothing"
says 1 "vae: --dims: there is no latent dimension 3, only 0 to 2" traverse --run run --out new --dims 0,3
says 1 "vae: --image: there is no image 40, only 0 to 39" traverse --run run --out new --image 40
says 2 "vae: --dims: '1,,2' is not a list of dimensions as 0 or 3,7" traverse --run run --out new --dims 1,,2
says 2 "vae: --steps: 1 is outside 2 to 256" traverse --run run --out new --steps 1

good interpolate --run run --out i.png
is_png i.png 244x242 # 9 between 2 images, 8 pairs
good interpolate --run run --out s.png --spherical
is_png s.png 244x242
cmp -s i.png s.png && bad "--spherical does nothing"
good interpolate --run run --out few.png --count 2 --steps 3
is_png few.png 112x62
good interpolate --run run --out many.png --count 1000
is_png many.png 244x602 # 40 images are 20 pairs

good reconstruct --run run --out r.png
is_png r.png 222x62
good reconstruct --run run --out draws.png --draws 3
is_png draws.png 222x152
if command -v python3 >/dev/null; then
    python3 - <<'END' || bad "the grids do not show what they say"
import struct, zlib
def read(path):
    data, at, lines = open(path, "rb").read(), 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR": w, h = struct.unpack(">II", data[at + 8:at + 16])
        if kind == b"IDAT": lines += data[at + 8:at + 8 + n]
        at += n + 12
    raw, rows, above = zlib.decompress(lines), [], bytes(w)
    for y in range(h):
        f, line = raw[y * (w + 1)], bytearray(raw[y * (w + 1) + 1:(y + 1) * (w + 1)])
        for x in range(w):
            a, b, c = line[x - 1] if x else 0, above[x], above[x - 1] if x else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line[x] = (line[x] + [0, a, b, (a + b) // 2, paeth][f]) & 255
        rows.append(bytes(line)); above = line
    return rows
def cell(rows, column, row): # without the frame
    return [r[22 * column + 2:22 * column + 22] for r in rows[30 * row + 2:30 * row + 30]]
r, d, i, few, t = (read(n + ".png") for n in ("r", "draws", "i", "few", "t"))
images = open("data/t10k-images-idx3-ubyte", "rb").read()[16:]
def shown(n): # a test image, twice as large
    return [bytes(v for v in images[140 * n + 10 * y:140 * n + 10 * y + 10] for _ in "ab") for y in range(14) for _ in "ab"]
for k in range(10):
    assert cell(r, k, 0) == cell(d, k, 0) == shown(4 * k), "images"
    assert cell(r, k, 1) == cell(d, k, 1), "means"
    assert len({str(cell(d, k, row)) for row in (1, 2, 3, 4)}) == 4, "draws are all different"
for row in range(8): # 16 images spread over 40
    assert cell(i, 0, row) == shown(row * 40 // 16) and cell(i, 10, row) == shown((row + 8) * 40 // 16), "ends"
assert len({str(cell(t, 4, row)) for row in range(3)}) == 1, "the middle of all traversals is one code"
assert len({str(cell(t, k, 0)) for k in range(9)}) == 9, "a traversal changes the picture"
# At the ends of the way lie the reconstructions: image 0 is the first of both grids.
assert cell(i, 1, 0) == cell(r, 0, 1) and cell(few, 1, 0) == cell(r, 0, 1), "the way begins at the code"
END
fi

# --- charts ------------------------------------------------------------------------------------------------------

good scatter --run run --out s.svg
[ "$(cat stdout)" = "wrote s.svg" ] || bad "scatter: $(cat stdout)"
good scatter --run run --out s1.svg --threads 1
cmp s.svg s1.svg || bad "scatter depends on threads"
points() { grep '<path class="d"' "$1" | grep -o M | wc -l; }
[ "$(points s.svg)" = 40 ] || bad "scatter has $(points s.svg) points of 40 images"
labels=$(tail -c +9 data/t10k-labels-idx1-ubyte | od -An -v -tu1 -w1 | sort -u | wc -l)
counted "$labels" '<path class="d"' s.svg
counted "$labels" 'class="n">[0-9]</text>' s.svg # the legend
good scatter --run run --out s.svg --count 7 --dims 2,1
[ "$(cat stdout)" = "replaced s.svg" ] && [ "$(points s.svg)" = 7 ] || bad "--count: $(points s.svg)"
grep -q '>z2 (KL .* nats)</text>' s.svg && grep -q '>z1 (KL .* nats)</text>' s.svg || bad "axes of --dims 2,1"
says 1 "vae: --dims: a plane has two dimensions, got 3" scatter --run run --out new --dims 0,1,2
says 1 "vae: --dims: there is no latent dimension 9, only 0 to 2" scatter --run run --out new --dims 0,9
says 1 "vae: --out run/config.json: is there and is a text file, which is not replaced" \
    scatter --run run --out run/config.json
says 1 "vae: --out t.png: is there and is a PNG image, which is not replaced" scatter --run run --out t.png

good "${one[@]}" --model ae --out "a<b&\"c'"
good curves --run run --out c.svg
counted 7 '<polyline class="l"' c.svg # loss, recon and KL of two sets; active units
counted 1 '>training</text>' c.svg
counted 1 '>test</text>' c.svg
for title in loss 'KL(q(z|x) ‖ p(z))' 'active units' epochs nats; do
    grep -qF ">$title</text>" c.svg || bad "curves: no $title"
done
good curves --run run --run "a<b&\"c'" --terms loss,kl --x samples --log --out two.svg
counted 6 '<polyline class="l"' two.svg # an autoencoder has no KL
counted 4 ', t[a-z]*</text>' two.svg
grep -qF ">a&lt;b&amp;&quot;c', test</text>" two.svg || bad "the name in the legend: $(grep ', test' two.svg)"
grep -qF '>training images seen</text>' two.svg || bad "--x samples"
grep -q '>2000</text>' two.svg || bad "--log: 160 to 3200 images: $(grep 'class="m"' two.svg)"
well_formed s.svg c.svg two.svg
good curves --run run --terms bound --out b.svg
grep -qF '>lower bound of log p(x)</text>' b.svg && grep -q '>−[0-9]*</text>' b.svg || bad "bound"
says 1 "vae: --terms: no curve is called 'kll', only: loss, recon, kl, active_units, bound" curves --run run --out new --terms loss,kll
says 1 "vae: --terms: no curve is called '', only: loss, recon, kl, active_units, bound" curves --run run --out new --terms loss,
says 1 "vae: none/metrics.jsonl: cannot open: No such file or directory" curves --run none --out new
says 2 "vae: curves needs --run DIR: folder that 'train' wrote; may be given several times, for several runs in one chart" \
    curves --out new
says 2 "vae: --run: is empty" curves --run run --run= --out new
many=() && for i in {1..17}; do many+=(--run run); done
says 2 "vae: --run: is given more than 16 times" curves "${many[@]}" --out new
says 2 "vae: --x: there is no 'time', only: epochs, steps, samples" curves --run run --out new --x time
cp -r run bad
printf '{"epoch": 1, "step": 9, "train_loss": 1%070d}\n{"epoch": 2, "step": 18, "train_loss": 3}\n' 0 >bad/metrics.jsonl
good curves --run bad --out long.svg
grep -q '>1e+70<' long.svg || bad "1e70 in seventy-one digits: $(grep 'class="e"' long.svg)"
[ "$(sed -n 's/.*class="m">\([0-9.]*\)<.*/\1/p' long.svg | tr '\n' ' ')" = "1 2 " ] ||
    bad "epochs between whole ones: $(grep 'class="m"' long.svg)"
printf '{"epoch": 1, "x": }\n' >bad/metrics.jsonl
says 1 "vae: bad/metrics.jsonl: expected a number, got '}', at line 1, byte 18" curves --run bad --out new
: >bad/metrics.jsonl
says 1 "vae: bad/metrics.jsonl: no epoch is done yet, at line 1, byte 0" curves --run bad --out new
printf '{"epoch": 1, "step": 9, "train_loss": 538.0\n' >bad/metrics.jsonl
says 1 "vae: bad/metrics.jsonl: expected ',' or '}', got the end, at line 2, byte 44" curves --run bad --out new
printf '{"epoch": 1, "step": 9, "train_lo\n' >bad/metrics.jsonl
says 1 "vae: bad/metrics.jsonl: a control character in a string, at line 1, byte 33" curves --run bad --out new

# Validation images have curves of their own, and what is measured once an epoch is of them. A long path shows its end.
long=$(printf 'é/%.0s' {1..60})run
mkdir -p "${long%/run}"
good "${one[@]}" --valid 40 --keep best --out "$long"
good curves --run "$long" --out valid.svg
counted 7 '<polyline class="l"' valid.svg
counted 1 '>validation</text>' valid.svg
counted 0 '>test</text>\|best_epoch' valid.svg
good curves --run "$long" --run run --terms active_units --out both.svg
counted 2 '<polyline class="l"' both.svg
grep -q 'class="n">…\(é/\|/\)[é/]*/run, validation</text>' both.svg || bad "a long path: $(grep validation both.svg)"
well_formed both.svg

# Ticks and points stay inside the axes, whatever the numbers are: of a chart, x is 70 to 414 and y 36 to 238 below the legend.
if command -v awk >/dev/null; then
    numbers=(1 2 1e-300 1e300 -1e12 1e-9 0 123456789.25 null 3 1e308 7 -0.001 5e5)
    : >bad/metrics.jsonl
    for ((i = 0; i < ${#numbers[@]}; i++)); do
        printf '{"epoch": %d, "train_loss": %s, "train_a": %s, "test_<&": [1, null], "test_b": %s, "x": true, "flat": 3}\n' \
            $((i + 1)) "${numbers[i]}" "$((i % 2))e-7" "1000000.0$i" >>bad/metrics.jsonl
    done
    for more in "" --log; do
        good curves --run bad --out odd.svg $more
        well_formed odd.svg
        counted 7 '<polyline class="l"' odd.svg # the loss in four stretches: null, and what is too large
        grep -o '<polyline[^>]*>' odd.svg | sed 's/.*points="//; s/"\/>//; s/ /\n/g' | awk -F, '
            { x = $1 % 430; y = ($2 - 34) % 290; if (!(x >= 69.9 && x <= 414.1 && y >= 35.9 && y <= 238.1)) { print; wrong = 1 } }
            END { exit wrong || NR < 40 }' || bad "points outside the axes"
        grep -q 'nan\|inf' odd.svg && bad "no numbers: $(grep 'nan\|inf' odd.svg)"
    done
fi

# --- the report ------------------------------------------------------------------------------------------------------

good report --run run
[ "$(cat stdout)" = "wrote run/report.html" ] || bad "report: $(cat stdout)"
good report --run run --threads 1
[ "$(cat stdout)" = "replaced run/report.html" ] || bad "report: $(cat stdout)"
good report --run run --out page.html
cmp page.html run/report.html || bad "a report depends on the call"
well_formed page.html
sections() { sed -n 's/^<section id="\(.*\)">$/\1/p' "$1" | tr '\n' ' '; }
[ "$(sections page.html)" = "numbers curves kl reconstructions samples scatter traversals interpolations settings " ] ||
    bad "sections: $(sections page.html)"
counted 4 '<img alt="[A-Z][a-z]*" src="data:image/png;base64,iVBORw0KGgo' page.html
counted 6 '<svg xmlns' page.html # four curves, KL, scatter
counted 3 '<rect class="b"' page.html
counted 0 'https\?://[^w]\|<script\|<link' page.html
grep -qF '<p class="formula">E_q[−log p(x|z)] + β·KL(q(z|x) ‖ N(0,1))</p>' page.html || bad "no formula"
good eval --run run
loss=$(sed 's/.*"loss": \([0-9.]*\).*/\1/' stdout)
grep -qF "<td>$(awk -v x="$loss" 'BEGIN { printf "%.6g", x }') nats</td>" page.html || bad "the loss is not eval's $loss"
# Each figure has a command, which makes it.
grep -o '<code>[^<]*</code>' page.html | sed 's/<[^>]*>//g' >commands
counted 9 '^vae [a-z]* --run run' commands
while read -r _ command; do
    eval "good $command"
done <commands
for name in reconstructions samples traversals interpolations; do
    base64 -w0 "$name.png" >encoded
    grep -qF -f encoded page.html || bad "the command for $name.png gives another picture"
done
sed -n '/<svg/,/<\/svg>/p' scatter.svg | diff - <(awk '/id="scatter"/ { on = 1 } /<svg/ && on { p = 1 } p { print } /<\/svg>/ && p { exit }' page.html) ||
    bad "the command for scatter.svg gives another chart"

# Of other images: the commands name them.
mkdir "o'ther" && cp data/* "o'ther/" && mv "o'ther/t10k-images-idx3-ubyte" "o'ther/valid-images-idx3-ubyte"
good report --run run --data "o'ther" --split valid --out page.html
grep -o '<code>[^<]*</code>' page.html | sed "s/<[^>]*>//g; s/&#39;/'/g" >commands
[ "$(grep -c -- ' --data .*ther.* --split valid' commands)" = 6 ] || bad "other images: $(cat commands)"
read -r _ command < <(grep eval commands | head -1)
eval "good $command"
grep -q '"split": "valid", "samples": 40, ' stdout || bad "$command: $(cat stdout)"
good report --run run --data "o'ther" --out page.html
grep -q '<td>160 images (train)</td>' page.html || bad "without test images"
[ "$(grep -c -- '<code>.* --split train' page.html)" = 6 ] || bad "training images: $(grep '<code>' page.html)"

good report --run "a<b&\"c'" --out hostile.html
well_formed hostile.html
grep -qF "<h1>ae: a&lt;b&amp;&quot;c'</h1>" hostile.html || bad "title: $(grep '<h1>' hostile.html)"
[ "$(sections hostile.html)" = "numbers curves reconstructions scatter traversals interpolations settings " ] ||
    bad "sections of ae: $(sections hostile.html)"
cp -r run $'\e[2J\xff<script>\xc2\x9b\xef\xbf\xbf'
good report --run $'\e[2J\xff<script>\xc2\x9b\xef\xbf\xbf' --out odd.html
well_formed odd.html
grep -qF '<h1>vae: �[2J�&lt;script&gt;��</h1>' odd.html || bad "title: $(grep '<h1>' odd.html)"
says 1 "vae: --out t.png: is there and is a PNG image, which is not replaced" report --run run --out t.png
printf '<!DOCTYPE html>\n<html>' >foreign.html
says 1 "vae: --out foreign.html: is there and is a web page, which is not replaced" report --run run --out foreign.html
good "${small[@]}" --hidden 9 --epochs 1 --binarize static --latent-dim 2 --out plane
good report --run plane --importance 5
grep -q '<td>[0-9.]* ± [0-9.]* nats over images, from 5 draws of q(z|x) each</td>' plane/report.html || bad "--importance"
sections plane/report.html | grep -q ' manifold ' || bad "no manifold: $(sections plane/report.html)"
says 1 "vae: --importance: ae has no p(x) to measure" report --run "a<b&\"c'" --importance 5 --out new
# Stopped while it measures: a sentence, and no page.
"$vae" report --run plane --importance 1000000 --out stopped.html >stdout 2>stderr &
process=$!
for _ in $(seq 3000); do
    grep -q 'to go$' stderr && break
    sleep 0.01
done
kill -TERM $process
wait $process 2>/dev/null
got=$?
[ $got = 143 ] && grep -q '^vae: log p(x): stopped by SIGTERM' stderr && [ ! -e stopped.html ] ||
    bad "a stopped report: exit $got, $(cat stderr)"
good report --run run --split train --out split.html
counted 6 '<code>vae [a-z]* --run run --split train' split.html
mv data/t10k-images-idx3-ubyte away
"$vae" report --run run --out none.html >/dev/null 2>stderr || bad "without test images: $(cat stderr)"
grep -q '<td>160 images (train)</td>' none.html || bad "without test images"
# The commands of a page about other images ask for those.
counted 6 '<code>vae \(eval\|reconstruct\|scatter\|traverse\|interpolate\) --run run --split train' none.html
good eval --run run --split train
loss=$(sed 's/.*"loss": \([0-9.]*\).*/\1/' stdout)
grep -qF "<td>$(awk -v x="$loss" 'BEGIN { printf "%.6g", x }') nats</td>" none.html || bad "the loss is not eval's $loss"
mv away data/t10k-images-idx3-ubyte

# --- every model --------------------------------------------------------------------------------------------------------

drawn() { # NAME COMMAND FILE MARK MESSAGE ARGS…: the file, or one sentence
    local name=$1 command=$2 file=$3 mark=$4 message=$5 code
    shift 5
    "$vae" "$command" --run "$name" --out "$name-$file" "$@" >stdout 2>stderr
    code=$?
    if [ $code = 0 ]; then
        LC_ALL=C grep -qa "$mark" "$name-$file" || bad "$name: $command"
    elif [ $code != 1 ] || [ "$(cat stderr)" != "vae: $message" ] || [ -e "$name-$file" ]; then
        bad "$name: $command: exit $code: $(cat stderr)"
    fi
    return $code
}
case $TAPIR_FLAGS in *-fsanitize*) names="vae made vq_vae conditional_vae" ;; *) names=$("$vae" models --names) ;; esac
for name in $names; do
    good "${small[@]}" --epochs 1 --hidden 9,8 --latent-dim 3 --model "$name" --out "$name"
    nowhere="$name: $name has no code of real numbers to decode: there is nothing to go along"
    ways=
    drawn "$name" traverse t.png PNG "$nowhere" && ways+=t
    drawn "$name" interpolate i.png PNG "$nowhere" && ways+=i
    drawn "$name" scatter s.svg '<svg' "$name: $name has no codes of two real numbers or more: there is no plane" && ways+=s
    none="--draws: $name has no q(z|x) to draw from, only one code for each image"
    [ "$name" = made ] && none="made: made has no code to reconstruct from; 'sample' shows what it does"
    drawn "$name" reconstruct d.png PNG "$none" --draws 2 || [ "$name" != vae ] || bad "vae has draws"
    drawn "$name" curves c.svg '<svg' ""
    good report --run "$name"
    well_formed "$name/report.html"
    case "$name:$ways $(sections "$name/report.html")" in
    *:"tis "*scatter*traversals*interpolations*) ;;
    *:" "*scatter* | *:" "*traversals* | *:" "*interpolations*) bad "$name: $ways, $(sections "$name/report.html")" ;;
    vq_vae:" "* | gumbel_vae:" "* | made:" "* | gmm:" "*) ;;
    *) bad "$name: $ways, $(sections "$name/report.html")" ;;
    esac
    case $name in
    made) of="Draws of x, one pixel behind the other" ;;
    conditional_vae) of="Means of p(x|z, y) of draws z from the prior, a column for each class y" ;;
    *) of="Means of p(x|z) of draws z from the prior" ;;
    esac
    [[ $(sections "$name/report.html") != *samples* ]] || grep -qF "$of" "$name/report.html" || bad "$name: samples of what"
    upper=$(grep -cF "from 3 on of upper levels" "$name/report.html")
    [ "$upper" = "$([ "$name" = hierarchical_vae ] && echo 1 || echo 0)" ] || bad "$name: $upper charts name upper levels"
done
good "${small[@]}" --epochs 2 --valid 40 --keep best --out kept
good report --run kept
grep -q '<td>of epoch [12], the best of 2 by validation loss</td>' kept/report.html || bad "--keep best: of which epoch the weights are"
grep -q 'by validation loss' run/report.html && bad "the last epoch is called the best"

verdict
