#!/usr/bin/env bash
# "vae explain": every model in text and HTML, every format, one number with all its paths, a step of a run, files that
# are in the way, and a session of --interactive against a golden one. What the pages say is tested in tests/autograd.
set -uo pipefail

. tests/tool/common.sh
golden=$TAPIR_SOURCE/tests/golden/explain_session.txt

sanitized=false
case $TAPIR_FLAGS in *-fsanitize*) sanitized=true ;; esac

# says CODE TEXT ARGS...: the exit code and all of standard error, without "vae: "; nothing on standard output, no file.
says() {
    local code=$1 text=$2 got
    shift 2
    "$vae" explain "$@" >stdout 2>stderr </dev/null
    got=$?
    [ "$got" = "$code" ] || bad "exit $got, want $code: explain $*: $(cat stderr)"
    [ "$(cat stderr)" = "vae: $text" ] || bad "explain $*: $(printf '\n got  %s\n want vae: %s' "$(cat stderr)" "$text")"
    [ ! -s stdout ] || bad "explain $*: it fails and prints: $(head -3 stdout)"
    [ -z "$(find . -name 'new*' -o -name '*.tmp-*')" ] || { bad "left behind by: explain $*: $(ls)" && rm -f new* ./*.tmp-*; }
}

# sound ARGS...: exits 0, every check is ok, and nothing else is said.
sound() {
    "$vae" explain "$@" >stdout 2>stderr </dev/null || bad "exit $?: explain $*: $(cat stderr)"
    grep -Eq '^vae: [0-9]+ steps backward; rules checked: [0-9]+ ok, 0 wrong, [0-9]+ skipped; worst error [0-9e.-]+ of its bound, at step [0-9]+$' stderr ||
        bad "explain $*: $(cat stderr)"
    [ "$(wc -l <stderr)" = 1 ] || bad "explain $*: also says $(head -1 stderr)"
}

tiny=(--hidden 5 --latent-dim 2 --batch-size 2)

# --- every model ----------------------------------------------------------------------------------------

# Every operation lies in a scope; only what comes from outside does not.
scopeless() {
    awk '/^  #[0-9]/ { line = $0; getline next_one; if (line " " next_one !~ /   in [a-zA-Z]/ && line !~ /: data/) print line }' "$1"
}
for name in $("$vae" models --names); do
    $sanitized && [ "$name" = planar_vae ] && continue # hundreds of steps
    sound --model "$name" "${tiny[@]}" --out "$name.txt"
    [ ! -s stdout ] || bad "$name: --out and standard output: $(head -3 stdout)"
    grep -q '^step 1: ' "$name.txt" || bad "$name: no steps"
    grep -q ' skipped; ' "$name.txt" || bad "$name: the page does not say how the checks ended"
    ! grep -q 'FAIL\|NOT FINITE' "$name.txt" || bad "$name: $(grep 'FAIL\|NOT FINITE' "$name.txt")"
    [ -z "$(scopeless "$name.txt")" ] || bad "$name: in no scope: $(scopeless "$name.txt")"
    sound --model "$name" "${tiny[@]}" --out "$name.html"
    [ -s "$name.html" ] || bad "$name: an empty page"
done
for scope in encoder heads reparameterize decoder reconstruction KL loss; do
    grep -q "^step [0-9]*: .*   in $scope\b" vae.txt || bad "vae: no step in $scope"
done

# --- formats --------------------------------------------------------------------------------------------

for pair in text:txt:forward markdown:md:'# One training step of vae' latex:tex:'\documentclass' html:html:'<!' \
    dot:dot:digraph mermaid:mmd:flowchart svg:svg:'<svg'; do
    IFS=: read -r format suffix begins <<<"$pair"
    "$vae" explain "${tiny[@]}" --out page.$suffix >stdout 2>stderr || bad "$format: $(cat stderr)"
    case $(head -1 page.$suffix) in "$begins"*) ;; *) bad "$format begins with $(head -1 page.$suffix)" ;; esac
    "$vae" explain "${tiny[@]}" --format $format >piped 2>stderr || bad "$format: $(cat stderr)"
    cmp piped page.$suffix || bad "$format: a file is not what is printed"
    "$vae" explain "${tiny[@]}" --format $format --out page.$suffix >stdout 2>stderr || bad "$format: replacing: $(cat stderr)"
    cmp piped page.$suffix || bad "$format: replaced by something else"
done
"$vae" explain "${tiny[@]}" --unfold --out whole.dot 2>stderr || bad "--unfold: $(cat stderr)"
[ "$(grep -c 'label=' whole.dot)" -gt "$(grep -c 'label=' page.dot)" ] || bad "--unfold shows no more"
for scope in encoder heads reparameterize decoder reconstruction KL loss; do
    grep -q "label=\"$scope\\\\n" page.dot || bad "no box $scope: $(grep label= page.dot)"
done
if command -v pdflatex >/dev/null; then # two of each name, in a symbol with an exponent
    sound --model hierarchical_vae "${tiny[@]}" --out both.tex
    pdflatex -interaction=nonstopmode -halt-on-error both.tex >stdout 2>&1 || bad "LaTeX: $(grep -A3 '^!' stdout)"
fi
sound "${tiny[@]}" # text, without being told
cmp stdout page.txt || bad "text is not the default"
# a lecture's notation
sound "${tiny[@]}" --gradient partial --symbols 'mu=m,encoder.0.weight=W₁'
grep -qF '∂L/∂W₁ += ' stdout && grep -qF '∂L/∂m += ' stdout || bad "--symbols: $(grep '+=' stdout)"
sound "${tiny[@]}" --gradient delta --symbols 'mu=m_1' --format latex
grep -qF '\delta_{m_1} &\mathrel{+}=' stdout || bad "--symbols in LaTeX: $(grep 'mathrel' stdout)"

sound "${tiny[@]}" --composed
! grep -q '(fused)' stdout || bad "--composed: $(grep '(fused)' stdout)"
grep -q '(fused)' page.txt || bad "nothing is fused"
sound --hidden 3 --batch-size=7 && grep -q 'x: data.*f32\[7,784\]' stdout || bad "seven images: $(head -3 stdout)"
sound --batch-size 1 --hidden 3 && grep -q 'x: data.*f32\[1,784\]' stdout || bad "one image: $(head -3 stdout)"

# --- convolutions -----------------------------------------------------------------------------------------

# has TEXT: it stands in the derivation.
has() {
    grep -qF -- "$1" conv.txt || bad "conv_vae: no '$1': $(grep -A9 ': conv' conv.txt | cut -c1-200)"
}
small=(--model conv_vae "${tiny[@]}" --set channels1=3,channels2=4)
sound "${small[@]}" --out conv.txt
has 'conv2d(v8, encoder.conv.2.weight), stride 2, padding 1   f32[2,4,7,7]'
has 'v11[n,k,i,j] = Σ_{c,u,v} v8[n, c, 2i + u − 1, 2j + v − 1]·encoder.conv.2.weight[k,c,u,v];  v8 = 0 outside'
has 'v̄8[n,c,p,q] = Σ_{k,i,j} v̄11[n,k,i,j]·encoder.conv.2.weight[k, c, p + 1 − 2i, q + 1 − 2j];  encoder.conv.2.weight = 0 outside'
has 'v11 = encoder.conv.2.weight·im2col(v8)   [4,98] = [4,48]·[48,98]'
has 'v̄8 = col2im(encoder.conv.2.weightᵀ·v̄11)   [48,98] = [48,4]·[4,98]'
has '∂v11/∂v8 is 392×1176, windows of x with 48 elements: 16224 of 460992 entries can differ from 0'
has '∂v11/∂encoder.conv.2.weight is 392×192, Kronecker, 4 blocks of 98×48: 16224 of 75264 entries can differ from 0'
has 'conv_transpose2d(v39, decoder.conv.2.weight), stride 2, padding 1   f32[2,1,28,28]'
for suffix in md html svg; do
    "$vae" explain "${small[@]}" --out conv.$suffix 2>stderr || bad "conv_vae as $suffix: $(cat stderr)"
done
grep -qF '\operatorname{im2col}(v_{8})' conv.md || bad "conv_vae in Markdown: $(grep im2col conv.md)"
grep -qF 'encoder' conv.svg && ! grep -qF 'conv2d' conv.svg || bad "conv_vae's graph is not folded"
sound "${small[@]}" --out conv.tex
if command -v pdflatex >/dev/null; then
    pdflatex -interaction=nonstopmode -halt-on-error conv.tex >stdout 2>&1 || bad "LaTeX of conv_vae: $(grep -A3 '^!' stdout)"
fi
"$vae" explain "${small[@]}" --at 'encoder.conv.2.weight[1,2,0,3]' --out conv.txt 2>stderr || bad "--at in a kernel: $(cat stderr)"
has 'it moves 19 of the 392 elements of v11 = conv2d(v8, encoder.conv.2.weight), stride 2, padding 1'
has 'ēncoder.conv.2.weight[k,c,u,v] = Σ_{n,i,j} v̄11[n,k,i,j]·v8[n, c, 2i + u − 1, 2j + v − 1];  v8 = 0 outside'
tail -1 conv.txt | grep -q 'in all; finite difference: ok ' || bad "--at in a kernel: $(tail -1 conv.txt)"

# --- one number -------------------------------------------------------------------------------------------

# at NAME[i]: sums that agree; the last line.
at() {
    "$vae" explain "${tiny[@]}" --at "$1" >stdout 2>stderr || bad "--at $1: $(cat stderr)"
    [ ! -s stderr ] || bad "--at $1: $(cat stderr)"
    grep -q '^why ∂loss/∂' stdout && tail -1 stdout | grep -q 'in all; finite difference: ok ' || bad "--at $1: $(cat stdout)"
}
for place in 'z[0,1]' 'mu[1,0]' 'μ[1,0]' 'log σ²[1,0]' logvar.bias[1] 'decoder.2.weight[3,4]' 'encoder.0.weight[4, 210]' kl \
    'recon[]' v28 '#28' 'h#4[0,0]'; do
    at "$place"
done
"$vae" explain "${tiny[@]}" --at 'z[0,1]' --out page.html 2>stderr || bad "--at as HTML: $(cat stderr)"
needed="a name, and where it has several numbers a place behind it, as z[0,1], is needed"
says 1 "there is no 'encoder.0.wieght'; did you mean 'encoder.0.weight'?" "${tiny[@]}" --at 'encoder.0.wieght[0,0]'
says 1 "there is no 'xylophone' in this step" "${tiny[@]}" --at xylophone --out new.txt
says 1 "z has shape [2,2]: its axis 0 has no place 2" "${tiny[@]}" --at 'z[2,0]'
says 1 "z has shape [2,2]: its axis 1 has no place 99999999999" "${tiny[@]}" --at 'z[0,99999999999]'
says 1 "z has shape [2,2]: 2 numbers name a place in it, not 1" "${tiny[@]}" --at 'z[0]'
says 1 "z has shape [2,2]: 2 numbers name a place in it, not 3" "${tiny[@]}" --at 'z[0,0,0]'
says 1 "z has shape [2,2]: 2 numbers name a place in it, not 0" "${tiny[@]}" --at 'z[]'
says 1 "kl has shape []: 0 numbers name a place in it, not 1" "${tiny[@]}" --at 'kl[0]'
says 1 "z has shape [2,2]: which of its numbers? As z[0,0]" "${tiny[@]}" --at z
for odd in '[' '[0,0]' 'z[0,0' 'z[0,0]]' 'z[0]0]'; do
    says 1 "'$odd' names nothing: $needed" "${tiny[@]}" --at "$odd"
done
for odd in '-1,0]' 'a,b]' '0,]' ',0]' '0;0]' '0 0]' '+1,0]'; do
    says 1 "'[$odd' is no place as [2,1]" "${tiny[@]}" --at "z[$odd"
done
says 1 "eps[0,0]: no gradient of the loss goes there" "${tiny[@]}" --at 'eps[0,0]'
"$vae" explain --model hierarchical_vae "${tiny[@]}" --at 'mu[0,0]' >stdout 2>stderr
[ $? = 1 ] && grep -Eq "^vae: [0-9] values are called 'mu': name one by its number, as mu#[0-9]+ or mu#[0-9]+$" stderr ||
    bad "a name of several: $(cat stderr)"
place=$(sed -n 's/.* or \(mu#[0-9]*\)$/\1/p' stderr)
"$vae" explain --model hierarchical_vae "${tiny[@]}" --at "$place[0,0]" >stdout 2>stderr || bad "$place: $(cat stderr)"

# --- a rule that is wrong ---------------------------------------------------------------------------------

wrong=$TAPIR_BUILD/tests/vae-wrong
for rule in linear linear_relu reparameterize gaussian_kl bce_with_logits add conv2d conv_transpose2d; do
    of=()
    [[ $rule != conv* ]] || of=(--model conv_vae)
    TAPIR_WRONG_RULE=$rule "$wrong" explain "${of[@]}" "${tiny[@]}" --out wrong.txt >stdout 2>stderr
    [ $? = 1 ] || bad "a wrong $rule is found right"
    [ "$(tail -1 stderr)" = "vae: a gradient is wrong: the derivation marks where" ] || bad "a wrong $rule: $(cat stderr)"
    [ "$(grep -c FAIL wrong.txt)" = "$(sed -n 's/.* \([0-9]*\) wrong.*/\1/p' stderr)" ] || bad "a wrong $rule: $(cat stderr)"
    awk -v rule="$rule" '/^step [0-9]/ { here = $3 } /FAIL/ && here != rule { exit 1 }' wrong.txt || bad "a wrong $rule: others are blamed"
done
TAPIR_WRONG_RULE=add "$wrong" explain "${tiny[@]}" --at 'mu[0,1]' >stdout 2>stderr
[ $? = 1 ] && grep -q FAIL stdout || bad "a wrong add, in one number: $(cat stdout stderr)"
"$wrong" explain "${tiny[@]}" --out wrong.txt >stdout 2>stderr || bad "nothing is wrong: $(cat stderr)"
TAPIR_WRONG_RULE=add "$wrong" explain "${tiny[@]}" --interactive <<<q >stdout 2>stderr
[ $? = 1 ] || bad "a wrong add, in a session: $(cat stderr)"

# --- calls that make no sense -----------------------------------------------------------------------------

says 2 "--out new.xyz: of no format by its suffix, .txt, .md, .tex, .html, .dot, .mmd or .svg; --format names one" --out new.xyz
says 2 "--out new: of no format by its suffix, .txt, .md, .tex, .html, .dot, .mmd or .svg; --format names one" --out new
says 2 "--format: there is no 'htm'; did you mean 'html'?" --format htm
says 2 "--gradient: there is no 'nabla', only: bar, partial, delta" --gradient nabla
says 1 "--symbols: there is no 'mm'; did you mean 'mu'?" --symbols mm=m
says 1 "--symbols: 'mu' is not NAME=TEXT" --symbols mu
says 1 "--symbols: 'mu=' is not NAME=TEXT" --symbols h=a,mu=
says 2 "--format: there is no 'pdf', only: text, markdown, latex, html, dot, mermaid, svg" --format pdf
for format in dot mermaid svg; do
    says 2 "--at: $format is the graph of the whole step" --at 'z[0,0]' --format $format
done
says 2 "--out: not with --interactive, which writes text to standard output" --interactive --out new.txt
says 2 "--at: not with --interactive, which writes text to standard output" --interactive --at 'z[0,0]'
says 2 "--format: not with --interactive, which writes text to standard output" --interactive --format html
says 2 "--model: the run has its settings; without --run it is free" --run none --model ae
says 1 "none/config.json: cannot open: No such file or directory" --run none
says 1 "nowhere: there is no such folder or file" --data nowhere
"$vae" explain --help >stdout 2>stderr || bad "explain --help"
for flag in model preset set data hidden latent-dim batch-size seed run after at format out gradient symbols composed \
    unfold interactive; do
    grep -q "^  --$flag " stdout || bad "explain --help does not know --$flag"
done
LC_ALL=C sed 's/[\x80-\xbf]//g' stdout | awk 'length > 130' >long
[ ! -s long ] || bad "explain --help: $(cat long)"
"$vae" --help | grep -q '^  explain  ' || bad "--help does not list explain"

# --- files in the way ---------------------------------------------------------------------------------------

echo "int main(void) { return 0; }" >source.txt && cp source.txt before
says 1 "--out source.txt: is there and is a text file, not a derivation: it is not replaced" "${tiny[@]}" --out source.txt
cmp source.txt before || bad "a file was overwritten"
# Of the same format, but not from here.
for other in README.md docs/learn/README.md; do
    cp "$TAPIR_SOURCE/$other" other.md
    says 1 "--out other.md: is there and is a text file, not a derivation in Markdown: it is not replaced" "${tiny[@]}" --out other.md
    cmp other.md "$TAPIR_SOURCE/$other" || bad "a page in Markdown was overwritten"
done
printf '<!DOCTYPE html>\n<title>mine</title>\n' >other.html
printf '\\documentclass{article}\n' >other.tex
printf 'digraph mine {}\n' >other.dot
for other in other.html other.tex other.dot; do
    cp $other before
    "$vae" explain "${tiny[@]}" --out $other >stdout 2>stderr
    [ $? = 1 ] && grep -q "it is not replaced$" stderr && cmp $other before || bad "$other was overwritten: $(cat stderr)"
done
# And what is from here is.
for format in txt md tex html; do
    for what in '--at=mu[0,1]' --composed '--at=mu[0,1]'; do
        "$vae" explain "${tiny[@]}" "$what" --out again.$format >stdout 2>stderr || bad "again.$format: $(cat stderr)"
    done
done
says 1 "--out page.md: is there and is a text file, not the page of a derivation: it is not replaced" "${tiny[@]}" --format html --out page.md
says 1 "missing/new.html: cannot create: No such file or directory" "${tiny[@]}" --out missing/new.html
mkdir folder.txt
says 1 "folder.txt: is a directory, expected a regular file" "${tiny[@]}" --out folder.txt
cp page.html kept.html
(
    ulimit -f 2
    "$vae" explain "${tiny[@]}" --out new.txt >stdout 2>limited
    [ $? = 1 ] && grep -q "^vae: new.txt: cannot write: " limited || echo "a full disk: $(cat limited)"
    "$vae" explain "${tiny[@]}" --out page.txt >stdout 2>limited
    [ $? = 1 ] || echo "a full disk, replacing"
) >full
[ ! -s full ] || bad "$(cat full)"
cmp piped page.svg || bad "a page has changed"
[ -z "$(find . -name 'new*' -o -name '*.tmp-*')" ] || bad "a full disk leaves files"
if [ -w /dev/full ]; then
    "$vae" explain "${tiny[@]}" >/dev/full 2>stderr
    [ $? = 1 ] && grep -qx "vae: cannot write to standard output" stderr || bad "/dev/full: $(cat stderr)"
    "$vae" explain "${tiny[@]}" --interactive >/dev/full 2>stderr <<<list
    [ $? = 1 ] && grep -q "^vae: .*cannot write\|^vae: cannot write to standard output" stderr || bad "/dev/full, a session: $(cat stderr)"
fi

# --- a run, and steps ---------------------------------------------------------------------------------------

head_of() { sed -n '/^  #[0-9]*  recon/,/^  #[0-9]*  loss/p' "$1"; }
good train --hidden 5 --latent-dim 2 --epochs 1 --batch-size 2000 --out run --set warmup=10
sound --run run --batch-size 2 --out run.txt
grep -q 'key (seed 1, step 5, ' run.txt || bad "the step behind a run: $(grep 'key (' run.txt)"
grep -q '  v[0-9]* = 0.5·kl' run.txt || bad "the weight of the KL behind a run: $(grep 'kl' run.txt | head -3)"
sound --hidden 5 --latent-dim 2 --set warmup=10 --batch-size 2 --out fresh.txt
grep -q 'key (seed 1, step 0, ' fresh.txt || bad "the first step: $(grep 'key (' fresh.txt)"
# As many steps as the run has taken come to the same place.
good train --hidden 5 --latent-dim 2 --epochs 1 --out hundred
sound --run hundred --batch-size 2 --out hundred.txt
sound --hidden 5 --latent-dim 2 --batch-size 2 --after 100 --out steps.txt
cmp hundred.txt steps.txt || bad "--after and --run differ: $(diff hundred.txt steps.txt | head -4)"
sound --run hundred --after 1 --batch-size 2
grep -q 'key (seed 1, step 101, ' stdout || bad "one more step: $(grep 'key (' stdout)"
rm hundred/checkpoint-*
"$vae" explain --run hundred --batch-size 2 >stdout 2>stderr || bad "without checkpoint: $(cat stderr)"
grep -qx 'vae: hundred: no checkpoint: takes the weights of model.safetensors, at step 1' stderr || bad "$(cat stderr)"

# --- a session ------------------------------------------------------------------------------------------------

# Numbers with a point may end otherwise on another machine; what is said and where may not.
plain() { sed -E 's/-?[0-9]+(\.[0-9]+)?e[-+][0-9]+/#/g; s/-?[0-9]+\.[0-9]+/#/g; s/  +#/ #/g'; }
session() {
    "$vae" explain "${tiny[@]}" --interactive "$@" 2>stderr
}
printf '%s\n' help '' n step back b back back 'go 12' why 'why z[0,1]' 'print z' 'p z[0,1]' 'print mu.bias' 'print eps' \
    'print x[0,0]' print 'print zz' 'why eps[0,0]' 'why z' prnit xyzzy 'go 17' 'go x' 'go 16' n list '   back  ' 'q now' |
    session >raw || bad "a session: $(cat stderr)"
plain <raw >said
grep -q '^vae: 16 steps backward; rules checked: 28 ok, 0 wrong, 0 skipped; ' stderr || bad "a session: $(cat stderr)"
if [ -n "${TAPIR_UPDATE_GOLDEN-}" ]; then cp said "$golden"; fi
cmp said "$golden" || bad "a session: $(diff "$golden" said | head -20)"
# Each step is what the page says of it.
printf '\n%.0s' {1..16} | session | grep -v '^\[[0-9]*/16\]' | sed 1d | plain >walked
sed -n '/^step 1: /,/^gradients/p' page.txt | grep -v '^$\|^gradients' | plain >steps
diff walked steps >difference || bad "steps are not those of the page: $(head difference)"
session </dev/null >said || bad "no input: $(cat stderr)"
[ "$(tail -1 said)" = "[0/16] " ] || bad "no input: $(cat said)"
printf 'quit' | session >said && tail -1 said | grep -qx '\[0/16\] quit' || bad "no line feed: $(cat said)"
head -c 100000 /dev/zero | tr '\0' 'x' | session >said && grep -q "^there is no command 'xxx" said || bad "a long line"
printf '\e[2J\0\n\xff\n' | session >said
! LC_ALL=C grep -q $'\e\|\xff' said || bad "a terminal would obey"

verdict
