#!/usr/bin/env bash
# Hostile command lines: every flag of every command with values that make no sense, and every odd surrounding a
# program can be started in. Each call has its exact exit code and its exact standard error; what a call that
# fails leaves behind is a failure. "short" takes the flags of train and a few of each other command, "full" all.
# What the tool does when all is well is tested in test_vae.sh. Read next: examples/vae/options.c.
set -uo pipefail

. tests/tool/common.sh
mode=${1:-short}
for fd in /proc/$$/fd/*; do # what ctest has open: limits on files are counted
    fd=${fd##*/}
    [ "$fd" -gt 2 ] && [ "$fd" -lt 255 ] && eval "exec $fd>&-"
done
unset "${!OMP_@}" "${!GOMP_@}" "${!KMP_@}" "${!LC_@}" LANG
export OMP_WAIT_POLICY=passive TERM=dumb
sanitized=false some=3 # of how many nonsensical values the short form takes one for most flags
case $TAPIR_FLAGS in *-fsanitize*) sanitized=true some=9 ;; esac

calls=0

# compare NAME CODE WANT_CODE FILE TEXT: the exit code, and all of a file.
compare() {
    local got
    IFS= read -r -d '' got <"$4"
    got=${got%$'\n'}
    [ "$2" = "$3" ] || bad "$1: exit $2, want $3: $got"
    [ "$got" = "$5" ] || bad "$1"$'\n   got '"$got"$'\n  want '"$5"
    [ -e new ] && { bad "$1: left behind: $(ls new)" && rm -rf new; }
}

# says CODE TEXT ARGS…: exit code and standard error of "vae ARGS"; TEXT without "vae: ", empty for silence.
says() {
    local code=$1 text=${2:+vae: $2} got
    shift 2
    calls=$((calls + 1))
    "$vae" "$@" >stdout 2>stderr </dev/null
    got=$?
    compare "vae ${*@Q}" $got "$code" stderr "$text"
}

# around CODE TEXT COMMAND…: the same for a shell command that starts the tool as $vae. What OpenMP's runtime
# says about its environment is not the tool's, but nothing of it may be there twice.
around() {
    local code=$1 text=${2:+vae: $2} got
    shift 2
    calls=$((calls + 1))
    (eval "$@") >stdout 2>all </dev/null
    got=$?
    grep -a '^vae: ' all >stderr
    compare "$*" $got "$code" stderr "$text"
    [ -z "$(grep -av '^$' all | sort | uniq -d)" ] || bad "$*: said twice: $(cat all)"
}

# --- every flag, every value --------------------------------------------------------------------------

# Flags by kind: "command flag name-of-value least most", or what a choice is among.
integers="train epochs N 1 1000000
train batch-size N 1 1000000
train latent-dim N 1 1000000
train levels N 2 256
train threads N 0 256
train checkpoint-every N 0 1000000000
train valid N 0 1000000000
train patience N 0 1000000
sample count N 1 16384
eval importance K 1 1000000
traverse count N 1 64
interpolate count N 1 1024
scatter count N 1 1000000
traverse steps N 2 256
traverse image N 0 1000000000000000
reconstruct draws N 0 1000
report importance K 1 1000000
report threads N 0 256
ais importance K 1 1000000
ais count N 1 65536
ais simulate N 1 65536
ais steps T 1 1000000000
ais chains N 1 4096
ais leapfrog N 1 1000000
ais pilot N 0 4096
ais threads N 0 256
sample threads N 0 256
eval threads N 0 256
reconstruct threads N 0 256
manifold threads N 0 256
info threads N 0 256
explain threads N 0 256
explain batch-size N 1 1000000
explain after N 0 1000000000"
numbers="train lr X 0 1000
train beta X 0 1000000"
seeds="train seed N
train binarize-seed N
sample seed N
ais seed N"
lists="train hidden N,… 1 1000000"
choices="train preset NAME quick, pytorch-example, manifold
train model NAME $("$vae" models --names | paste -sd, | sed 's/,/, /g')
train likelihood NAME bernoulli, gaussian, gaussian_learned, categorical
train binarize NAME grey, threshold, static, dynamic
train activation NAME relu, tanh, sigmoid, softplus, identity
train init NAME pytorch, glorot
train output-bias NAME init, mean
train posterior-scale NAME logvar, softplus
train keep NAME last, best
curves x NAME epochs, steps, samples
ais start NAME prior, posterior
explain format NAME text, markdown, latex, html, dot, mermaid, svg"
texts="train out DIR
train data PATH
train resume DIR
train config FILE
eval run DIR
eval data PATH
eval split NAME
ais run DIR
ais data PATH
ais split NAME
sample run DIR
sample out FILE
reconstruct run DIR
reconstruct data PATH
reconstruct out FILE
manifold run DIR
manifold out FILE
traverse run DIR
traverse data PATH
traverse out FILE
interpolate run DIR
interpolate out FILE
scatter run DIR
scatter split NAME
scatter out FILE
curves out FILE
curves terms NAME,…
report run DIR
report data PATH
report out FILE
info run DIR
explain run DIR
explain data PATH
explain config FILE
explain at NAME[i,j]
explain out FILE"

train_needs="train needs --out DIR: new or empty folder for the results, unless --resume is given"
run_needs="needs --run DIR: folder that 'train' wrote"
declare -A needs=([train]=$train_needs [eval]="eval $run_needs" [ais]="ais $run_needs" [sample]="sample $run_needs"
    [reconstruct]="reconstruct $run_needs" [manifold]="manifold $run_needs" [traverse]="traverse $run_needs"
    [interpolate]="interpolate $run_needs" [scatter]="scatter $run_needs" [report]="report $run_needs"
    [curves]="curves $run_needs; may be given several times, for several runs in one chart")

long=$(printf 'x%.0s' {1..961})
# What is nothing at all, as given and as a message shows it.
nonsense=(nan nan  inf inf  -inf -inf  NaN NaN  0x10 0x10  "''" "''"  '' ''  ' ' ' '  ' 1' ' 1'  '1 ' '1 '
    1_0 1_0  - -  '--1x' ''  $'1\n' '1\x0a'  $'\e[2J' '\x1b[2J'  $'\xff' '\xff'  $'\xc2\x9b1m' '\xc2\x9b1m'
    $'\xd9\xa3' $'\xd9\xa3'  $'\xe2\x80\xae1' '\xe2\x80\xae1'  1e+ 1e+  e5 e5  1.2.3 1.2.3  '$(id)' '$(id)'  %s%n %s%n
    '*' '*'  1/2 1/2  true true  null null)

# refused KIND COMMAND FLAG VALUE SHOWN LEAST MOST: the message for a value that is nonsense for every kind.
refused() {
    case $1 in
    integer | seed) echo "'$5' is not a whole number" ;;
    number) echo "'$5' is not a number" ;;
    list) echo "'$5' is not a list of sizes as 400 or 400,200" ;;
    choice) echo "there is no '$5', only: $6" ;;
    esac
}

# odd KIND COMMAND FLAG NAME LEAST MOST: every value that is odd for a flag.
odd() {
    local kind=$1 command=$2 flag=$3 name=$4 i value
    local missing="--$flag needs a value: --$flag $name"
    shift 4
    for ((i = 0; i < ${#nonsense[@]}; i += 2)); do
        value=${nonsense[i]}
        [ $((i % (2 * some))) -gt 0 ] && [ "$mode" = short ] && [ "$flag" != epochs ] && [ "$flag" != lr ] && continue
        if [ "$flag $value" = "model inf" ]; then # a beginning of info_vae
            says 2 "--model: there is no 'inf'; did you mean 'info_vae'?" "$command" --model inf
        elif [ "${value#--}" != "$value" ]; then
            says 2 "$missing" "$command" "--$flag" "$value"
        else
            says 2 "--$flag: $(refused "$kind" "$command" "$flag" "$value" "${nonsense[i + 1]}" "$@")" \
                "$command" "--$flag" "$value"
        fi
    done
    says 2 "$missing" "$command" "--$flag"
    says 2 "$missing" "$command" "--$flag" --help2
    says 2 "--$flag: is longer than 960 bytes" "$command" "--$flag" "$long"
    says 2 "--$flag is given twice" "$command" "--$flag" 1 "--$flag=1"
    says 2 "--$flag: $(refused "$kind" "$command" "$flag" '' '' "$@")" "$command" "--$flag="
    case $kind in # what is a number for some
    integer | list)
        says 2 "--$flag: -1 is outside $1 to $2" "$command" "--$flag" -1
        [ "$1" = 0 ] || says 2 "--$flag: 0 is outside $1 to $2" "$command" "--$flag" 0
        says 2 "--$flag: $(($2 + 1)) is outside $1 to $2" "$command" "--$flag" $(($2 + 1))
        says 2 "--$flag: 99999999999999999999 is outside $1 to $2" "$command" \
            "--$flag" 99999999999999999999
        for value in 1e999 1e3 1.0 +1; do
            says 2 "--$flag: $(refused "$kind" "$command" "$flag" "$value" $value)" "$command" "--$flag" $value
        done
        ;;
    number)
        says 2 "--$flag: 1e999 is too large a number" "$command" "--$flag" 1e999
        says 2 "--$flag: -1e999 is too large a number" "$command" "--$flag" -1e999
        says 2 "--$flag: -1 is outside $1 to $2" "$command" "--$flag" -1
        says 2 "--$flag: 1e7 is outside $1 to $2" "$command" "--$flag" 1e7
        says 2 "--$flag: '0,5' is not a number" "$command" "--$flag" 0,5
        ;;
    seed)
        says 2 "--$flag: -1 is outside 0 to 18446744073709551615" "$command" "--$flag" -1
        says 2 "--$flag: 18446744073709551616 is outside 0 to 18446744073709551615" "$command" \
            "--$flag" 18446744073709551616
        says 2 "--$flag: '1e3' is not a whole number" "$command" "--$flag" 1e3
        says 2 "--$flag: '1,5' is not a whole number" "$command" "--$flag" 1,5
        ;;
    choice)
        for value in 0 -1 1e999; do
            says 2 "--$flag: $(refused "$kind" "$command" "$flag" $value $value "$@")" "$command" "--$flag" $value
        done
        ;;
    esac
}

kind_of() { # KIND ROWS
    local command flag name least most
    while read -r command flag name least most; do
        if [ "$1" = choice ]; then
            odd choice "$command" "$flag" "$name" "$least${most:+ $most}"
        elif [ "$command" = train ] || [ "$mode" = full ] || [ "$flag" = count ]; then
            odd "$1" "$command" "$flag" "$name" "$least" "$most"
        else
            says 2 "--$flag: '1x' is not a whole number" "$command" "--$flag=1x"
            says 2 "--$flag is given twice" "$command" "--$flag" 1 "--$flag" 1
        fi
    done <<<"$2"
}
kind_of integer "$integers"
kind_of number "$numbers"
kind_of seed "$seeds"
kind_of list "$lists"
kind_of choice "$choices"
says 2 "--hidden: '1,,2' is not a list of sizes as 400 or 400,200" train --hidden 1,,2
says 2 "--hidden: '1,2,' is not a list of sizes as 400 or 400,200" train --hidden 1,2,
says 2 "--hidden: ',' is not a list of sizes as 400 or 400,200" train --hidden ,
says 2 "--hidden: '1,nan' is not a list of sizes as 400 or 400,200" train --hidden 1,nan
says 2 "--hidden: '1,1,1,1,1,1,1,1' has more than 7 sizes" train --hidden 1,1,1,1,1,1,1,1

# Options of models: a name and a number, once each.
set="is not an option and its value as warmup=1000"
for value in '' ' ' , a =1 a,b=1 1 '-1' 'A=1' $'\e[2J=1' a=1, ' a=1' "$(printf 'x%.0s' {1..32})=1"; do
    shown=${value%%,*}
    [ "$value" = a=1, ] && shown=
    [ "$value" = $'\e[2J=1' ] && shown='\x1b[2J=1'
    says 2 "--set: '$shown' $set" train --set "$value"
done
for value in nan inf '' 0x10 1x ' 1' $'\n'; do
    shown=$value
    [ "$value" = $'\n' ] && shown='\x0a'
    says 2 "--set: '$shown' is not a number" train --set "warmup=$value"
done
says 2 "--set: 1e999 is too large a number" train --set warmup=1e999
says 2 "--set: 1e301 is outside -1e+300 to 1e+300" train --set warmup=1e301
says 2 "--set: 'a' is there twice" train --set a=1,b=2,a=1
says 2 "--set: more than 6 options" train --set a=1,b=1,c=1,d=1,e=1,f=1,g=1
says 2 "--set needs a value: --set NAME=X,…" train --set
says 2 "--set is given twice" train --set a=1 --set a=2
says 2 "--set: is longer than 960 bytes" train --set "$long"
says 2 "model 'vae': there is no option 'x', only: warmup" train --out new --set x=1
says 2 "model 'vae': warmup is -1: 0 to 1e+09 needed" train --out new --set warmup=-1
says 2 "model 'ae': there is no option 'warmup'" train --out new --model ae --set warmup=1
says 2 "model 'ae': beta is 2, and its objective has none: 1 needed" train --out new --model ae --beta 2
says 2 "--levels: the gaussian likelihood has none; --likelihood categorical has" \
    train --out new --likelihood gaussian --levels 4

# Optimizers and schedules: a name, then fields with numbers.
declare -A all=([optimizer]="sgd, adam, adamw, rmsprop, adagrad"
    [schedule]="constant, step, multistep, exponential, cosine, linear") first=([optimizer]=adam [schedule]=step)
declare -A known=([optimizer]="adam has no option 'VALUE', only: lr, beta1, beta2, eps, weight_decay, amsgrad"
    [schedule]="schedule step has no 'VALUE', only: lr, gamma, step_size")
for flag in optimizer schedule; do
    for value in '' ' ' , a=1 1 '-1' ADAM $'\e[2J' "$(printf 'x%.0s' {1..60})"; do
        shown=${value%%,*}
        [ "$value" = $'\e[2J' ] && shown='\x1b[2J'
        says 2 "--$flag: there is no $flag '$shown', only: ${all[$flag]}" train "--$flag=$value"
    done
    example=$([ $flag = optimizer ] && echo eps=1e-4 || echo gamma=0.1)
    for value in '' ' ' =1 x 1 "$(printf 'x%.0s' {1..32})=1"; do
        says 2 "--$flag: '$value' is not a field and its value as $example" train "--$flag" "${first[$flag]},$value"
    done
    for value in nan inf '' 0x10 1x ' 1' e5; do
        says 2 "--$flag: '$value' is not a number" train "--$flag" "${first[$flag]},x=$value"
    done
    says 2 "--$flag: 1e999 is too large a number" train "--$flag" "${first[$flag]},x=1e999"
    says 2 "--$flag: 1e+301 is outside -1e+300 to 1e+300" train "--$flag" "${first[$flag]},x=1e+301"
    for value in x BETA1 $'\e' ' eps'; do
        shown=$value
        [ "$value" = $'\e' ] && shown='\x1b'
        says 2 "--$flag: ${known[$flag]/VALUE/$shown}" train "--$flag" "${first[$flag]},$value=1"
    done
    says 2 "--$flag: lr has a flag of its own, --lr" train "--$flag" "${first[$flag]},lr=1"
    says 2 "--$flag needs a value: --$flag NAME,…" train "--$flag"
    says 2 "--$flag is given twice" train "--$flag" "${first[$flag]}" "--$flag" "${first[$flag]}"
    says 2 "--$flag: is longer than 960 bytes" train "--$flag" "$long"
done
says 2 "--optimizer: adam: beta1 is -1, expected 0 <= x < 1" train --optimizer adam,beta1=-1
says 2 "--optimizer: adam: amsgrad is 2, expected 0 or 1" train --optimizer adam,amsgrad=2
says 2 "--schedule: schedule step: step_size is 1.5, expected a whole number >= 0" train --schedule step,step_size=1.5
says 2 "--schedule: schedule step: step_size is 1e+18, expected a whole number >= 0" train --schedule step,step_size=1e+18
says 2 "--schedule: schedule step: expected step_size > 0 and gamma > 0, got gamma 0.1, step_size 0" train --schedule step,step_size=0
says 2 "--schedule: schedule step: 2 values of gamma, expected 1" train --schedule step,gamma=1+2

# Names: everything but nothing is one.
while read -r command flag name; do
    says 2 "--$flag: is empty" "$command" "--$flag="
    says 2 "--$flag needs a value: --$flag $name" "$command" "--$flag"
    says 2 "--$flag: is longer than 960 bytes" "$command" "--$flag" "$long"
    says 2 "--$flag is given twice" "$command" "--$flag" a "--$flag=b"
done <<<"$texts"
for command in eval ais sample reconstruct manifold traverse interpolate scatter curves report; do
    says 2 "${needs[$command]}" "$command"
done
for command in sample reconstruct manifold traverse interpolate; do
    says 2 "$command needs --out FILE: picture to write (PNG)" "$command" --run none
done
for command in scatter curves; do
    says 2 "$command needs --out FILE: picture to write (SVG)" "$command" --run none
done
for value in ,1 1, 1,,2 1,x -1x 1e3; do
    says 2 "--dims: '$value' is not a list of dimensions as 0 or 3,7" traverse --dims "$value"
done
says 2 "--dims: -1 is outside 0 to 1000000" scatter --dims 0,-1
says 2 "--dims is given twice" traverse --dims 1 --dims=2
says 2 "--run: is empty" curves --run=
says 2 "--run needs a value: --run DIR" curves --run
says 2 "--run: is longer than 960 bytes" curves --run a --run "$long"
says 2 "--log takes no value" curves --log=1
says 2 "--spherical takes no value" interpolate --spherical=1

# --- what is no flag, and no command --------------------------------------------------------------------

for command in train eval ais sample reconstruct manifold traverse interpolate scatter report info explain; do
    says 2 "$command has no flag --nan; see '$vae $command --help'" "$command" --nan
    says 2 "$command takes flags only; 'nan' is none" "$command" nan
    says 2 "$command takes flags only; '' is none" "$command" ''
    says 2 "$command takes flags only; '--' is none" "$command" --
    says 2 "$command takes flags only; '-t' is none" "$command" -t
    says 2 "$command takes flags only; '\\x1b]0;x\\x07' is none" "$command" $'\e]0;x\a'
    says 2 "$command has no flag --\\x1b[m; see '$vae $command --help'" "$command" $'--\e[m'
    says 2 "$command has no flag --; see '$vae $command --help'" "$command" --=1
    says 2 "$command has no flag --Threads; did you mean --threads?" "$command" --Threads 1
    says 0 "" "$command" --help
done
says 2 "curves has no flag --nan; see '$vae curves --help'" curves --nan
says 2 "curves has no flag --threads; see '$vae curves --help'" curves --threads 1
says 0 "" curves --help
says 2 "models has no flag --xyz; see '$vae models --help'" models --xyz
says 2 "models has no flag --name; did you mean --names?" models --name
says 2 "models has no flag --threads; see '$vae models --help'" models --threads 1
says 2 "models takes flags only; 'vae' is none" models vae
says 2 "models takes flags only; '' is none" models ''
says 2 "--names takes no value" models --names=1
says 2 "--names is given twice" models --names --names
says 0 "" models --help
says 2 "there is no command 'Train'; did you mean 'train'?" Train
says 2 "there is no command ''; see '$vae --help'" ''
says 2 "there is no command '--'; see '$vae --help'" --
says 2 "there is no command '\\x0a\\xff'; see '$vae --help'" $'\n\xff'
says 2 "there is no command '${long:1:64}'; see '$vae --help'" "$long"
says 2 "train takes flags only; '${long:1}' is none" train "$long$long"
says 2 "--table takes no value" eval --table=1
says 2 "--trap takes no value" train --trap=
says 2 "--trap is given twice" train --trap --trap
says 2 "--interactive takes no value" explain --interactive=yes
says 2 "--composed is given twice" explain --composed --composed
says 2 "$train_needs" train --lr 0.5 --seed 18446744073709551615 --threads 0 --beta 0 --hidden 1,2

# --- names of files ------------------------------------------------------------------------------------

# odd names as they are given, and as they are shown
names=('a b' 'a b'  $'a\nb' 'a\x0ab'  $'\e[2J' '\x1b[2J'  $'\xff\xfe' '\xff\xfe'  $'\xc2\x85' '\xc2\x85'
    "it's" "it's"  'a"b' 'a"b'  '%s%n' '%s%n'  -x -x  '~' '~'  'grüße' 'grüße'  'a\b' 'a\b')
for ((i = 0; i < ${#names[@]}; i += 2)); do
    given=${names[i]} shown=${names[i + 1]}
    says 1 "$shown/config.json: cannot open: No such file or directory" info --run "$given"
    says 1 "$shown: there is no such folder or file" train --out new --data "$given"
    says 1 "$shown: cannot open: No such file or directory" train --out new --config="$given"
    : >"$given"
    says 1 "--out $shown: Not a directory" train --out "$given"
    what="looks like an empty file, expected a folder, an idx or an npy file"
    [ "$given" = $'\xff\xfe' ] && what="its absolute path is not UTF-8, so config.json cannot name it"
    says 1 "$shown: $what" train --out new --data "$given"
    says 1 "$shown: expected '{', got the end, at line 1, byte 0" train --out new --config="$given"
    rm -- "$given"
done

deep=$(printf '/%.0s' {1..960})
ln -s nowhere dangling && ln -s loop loop && : >file && mkdir full empty && : >full/file
says 1 "--out file: Not a directory" train --out file
says 1 "--out file/new: Not a directory" train --out file/new
says 1 "--out loop: Too many levels of symbolic links" train --out loop
says 1 "--out /dev/null: Not a directory" train --out /dev/null
says 1 "--out dangling: is not a folder" train --out dangling
says 1 "--out /proc/new: cannot be made: No such file or directory" train --out /proc/new
says 1 "--out ${long:1}: File name too long" train --out "${long:1}"
says 1 "--out full: the folder is not empty, and nothing is ever overwritten: name a new one" train --out full
says 1 "--out $deep: the folder is not empty, and nothing is ever overwritten: name a new one" \
    train --out "$deep"
says 1 "empty: no data: neither train-images-idx3-ubyte (or .gz) nor train.npy is there, nor a folder train of *.png, nor *.png themselves" \
    train --out new --data empty
says 1 "empty: is a directory, expected a regular file" train --out new --config empty
says 1 "/dev/zero: is a pipe or device, expected a regular file" train --out new --config /dev/zero
says 1 "dangling: cannot open: No such file or directory" train --out new --config dangling
head -c 65537 /dev/zero >zeros
says 1 "zeros: has 65537 bytes, expected at most 65536" train --out new --config zeros
for value in '1|expected '"'{'"', got '"'1'"', at line 1, byte 8' '{"a": "1"}|expected a number, got '"'\"'"', at line 1, byte 14' \
    '{"a": 1, "a": 2}|'"'a'"' is there twice' '{"a,b=1": 2}|'"'a,b=1'"' is not the name of an option, at line 1, byte 16' \
    '{"": 2}|'"'=2' $set" '{"a" 2}|expected '"':'"', got '"'2'"', at line 1, byte 13' \
    '{"a": 1 2|expected '"','"' or '"'}'"', got '"'2'"', at line 1, byte 16'; do
    printf '{"set": %s}' "${value%%|*}" >set.json
    says 1 "set.json: \"set\": ${value#*|}" train --out new --config set.json
done
printf '{"set": {"x": 1}}' >set.json
says 1 "set.json: model 'vae': there is no option 'x', only: warmup" train --out new --config set.json
says 2 "model 'ae': there is no option 'y'" train --out new --config set.json --model ae --set y=1
printf '{"\\u001b[2J": 1}' >escape.json
says 1 'escape.json: "\x1b[2J": there is no such setting, at line 1, byte 13' \
    train --out new --config escape.json

# --- a small run to work with ---------------------------------------------------------------------------

# idx COUNT HEIGHT WIDTH: pictures with a pattern, without a generator.
idx() {
    local i text='\0\0\10\3'
    for i in "$@"; do text+=$(printf '\\0\\0\\0\\%o' "$i"); done
    for ((i = 0; i < $1 * $2 * $3; i++)); do text+=$(printf '\\%o' $((i * 7919 % 251))); done
    printf "$text"
}
mkdir data
idx 20 3 3 >data/train-images-idx3-ubyte
idx 10 3 3 >data/test-images-idx3-ubyte
small=(train --data data --hidden 4 --latent-dim 2 --epochs 2 --batch-size 5 --lr 0.0625)
says 0 "" "${small[@]}" --out run
says 0 "" sample --run run --out run.png

# --- the environment ------------------------------------------------------------------------------------

# threads COUNT COMMAND…: "vae info" runs, with exactly so many threads.
cores=$("$vae" info --threads 0 | sed -n 's/^threads .* of \([0-9]*\) cores$/\1/p')
"$vae" info | grep -q '^OpenMP *yes' || cores=1
threads() {
    local want=$1
    [ "$cores" = 1 ] && want=1
    shift
    around 0 "" "$@"
    grep -q "^threads  *$want of" stdout || bad "$*: $(grep ^threads stdout), want $want"
}
for value in abc -1 0 1e9 99999 257 '' , ,4 '" "' 0x4 4x nan 99999999999999999999; do
    threads "$cores" "OMP_NUM_THREADS=$value" '$vae info'
    threads "$cores" "unset OMP_WAIT_POLICY; OMP_NUM_THREADS=$value" '$vae info'
done
threads 3 OMP_NUM_THREADS=3 '$vae info'
threads 3 OMP_NUM_THREADS=3 '$vae info --threads 0'
threads 4 OMP_NUM_THREADS=4,2 '$vae info'
threads 2 OMP_NUM_THREADS=4,2 '$vae info --threads 2'
threads 1 OMP_NUM_THREADS=abc '$vae info --threads 1'
if [ "$cores" -gt 1 ]; then
    around 0 "runs on 1 of 4 threads: more cannot be had here" OMP_THREAD_LIMIT=1 '$vae info --threads 4'
    around 0 "runs on 3 of 256 threads: more cannot be had here" OMP_THREAD_LIMIT=3 '$vae info --threads 256'
fi
threads 1 OMP_THREAD_LIMIT=1 OMP_NUM_THREADS=7 '$vae info'
threads "$cores" OMP_THREAD_LIMIT=-1 '$vae info'
threads 256 '$vae info --threads 256'
for setting in OMP_DYNAMIC=true OMP_DYNAMIC=x OMP_NESTED=true OMP_SCHEDULE=x OMP_PROC_BIND=x OMP_PLACES=x \
    OMP_WAIT_POLICY=x GOMP_SPINCOUNT=x GOMP_SPINCOUNT=-1 OMP_STACKSIZE=x OMP_STACKSIZE=-1 OMP_THREAD_LIMIT=1 \
    OMP_CANCELLATION=x OMP_MAX_ACTIVE_LEVELS=x LC_ALL=nowhere.UTF-8 LANG=$'\e[2J' TERM= TMPDIR=/nowhere \
    MALLOC_ARENA_MAX=x; do
    around 0 "" "export ${setting@Q};" '$vae sample --run run --out again.png'
    cmp run.png again.png || bad "${setting@Q} changes a picture"
    rm -f again.png
done
around 0 "" 'env -i $vae sample --run run --out again.png'
cmp run.png again.png || bad "an empty environment changes a picture"

# A locale with a decimal comma, made by localedef where none is installed: numbers stay as they are.
if localedef -i de_DE -f UTF-8 "$tmp/de_DE.UTF-8" >/dev/null 2>&1 || locale -a 2>/dev/null | grep -qi '^de_DE'; then
    [ -d "$tmp/de_DE.UTF-8" ] && export LOCPATH=$tmp
    [ "$(LC_ALL=de_DE.UTF-8 printf %.1f 0,5 2>&1)" = 0,5 ] || bad "de_DE.UTF-8 has no comma: this tests nothing"
    export LC_ALL=de_DE.UTF-8
    says 0 "" "${small[@]}" --out comma
    says 0 "" sample --run comma --out comma.png
    says 2 "--lr: '0,5' is not a number" train --lr 0,5
    says 2 "--lr: -0.5 is outside 0 to 1000" train --lr -0.5
    unset LC_ALL LOCPATH
    for file in config.json metrics.jsonl model.safetensors; do
        cmp run/$file comma/$file || bad "$file in a locale with commas"
    done
else
    echo "no locale with a decimal comma can be made here"
fi

# --- standard streams -----------------------------------------------------------------------------------

closed="standard output is closed"
around 0 "" '$vae info <&-'
around 1 "$closed" '$vae info >&-'
around 0 "" '$vae info 2>&-'
around 1 "$closed" '$vae info <&- >&-'
around 0 "" '$vae info <&- 2>&-'
around 1 "" '$vae info >&- 2>&-'
around 1 "" '$vae info <&- >&- 2>&-'
around 2 "" '$vae train --lr nan 2>&-'
around 1 "$closed" '$vae train --lr nan >&-'
around 1 "$closed" '$vae "${small[@]}" --out new >&-'
around 0 "" '$vae "${small[@]}" --out blind <&- 2>&-'
cmp run/model.safetensors blind/model.safetensors || bad "closed streams change a model"
around 1 "" '$vae "${small[@]}" --out new <&- >&- 2>&-'
if [ -w /dev/full ]; then
    full="cannot write to standard output"
    around 1 "$full" '$vae --help >/dev/full'
    around 1 "$full" '$vae --version >/dev/full'
    around 1 "$full" '$vae train --help >/dev/full'
    around 1 "$full" '$vae info --run run >/dev/full'
    around 1 "$full" '$vae eval --run run >/dev/full'
    around 1 "$full" '$vae sample --run run --out again.png >/dev/full'
    around 2 "" '$vae 2>/dev/full'
    around 2 "" '$vae train --lr nan 2>/dev/full'
    around 2 "--lr: 'nan' is not a number" '$vae train --lr nan >/dev/full'
    around 1 "" '$vae info >/dev/full 2>&1'
    kept="vae: the run is kept up to its last checkpoint; to go on: $vae train --resume"
    around 1 "$full"$'\n'"$kept short" '$vae "${small[@]}" --out short >/dev/full'
    says 0 "" sample --run short --out again.png
fi
# A reader that has left.
mkfifo pipe
left='exec 3<>pipe 4>pipe 3<&-; '
around 1 "cannot write to standard output" "$left"'$vae info >&4'
around 1 "cannot write to standard output" "$left"'$vae train --help >&4'
around 1 "cannot write to standard output" "$left"'$vae sample --run run --out again.png >&4'
around 1 "cannot write to standard output
vae: the run is kept up to its last checkpoint; to go on: $vae train --resume alone" \
    "$left"'$vae "${small[@]}" --out alone >&4'
around 2 "" "$left"'$vae train --lr nan 2>&4'
around 0 "" "$left"'$vae "${small[@]}" --out deaf 2>&4'
cmp run/model.safetensors deaf/model.safetensors || bad "a reader that left changes a model"

# --- limits, places and names of the program ------------------------------------------------------------

around 1 "--out few: Too many open files" 'ulimit -n 4; exec $vae "${small[@]}" --out few'
[ ! -e few ] || bad "too few files: left behind"
around 0 "" 'ulimit -n 5; exec $vae "${small[@]}" --out few'
cmp run/model.safetensors few/model.safetensors || bad "few files change a model"
if ! $sanitized; then # sanitizers take memory of their own
    around 1 "model 'vae': parameter 'encoder.2.weight': f32[9000,1000000]: cannot allocate 36000000000 bytes: out of memory" \
        'ulimit -v 4000000; exec $vae train --data data --hidden 1000000,9000 --out new'
    if ldd "$vae" | grep -q libgomp && [ "$cores" -gt 1 ]; then # stacks for none or some of the threads, where libgomp would end the process
        around 0 "runs on 1 of 4 threads: more cannot be had here" OMP_STACKSIZE=1000G '$vae info --threads 4'
        around 0 "runs on N of 256 threads: more cannot be had here" \
            "(ulimit -v 500000; exec \$vae info --threads 256) 2>&1 >&3 | sed 's/on [0-9]* of/on N of/' >&2" 3>stdout
    fi
fi
around 1 "--out new: cannot be made: No such file or directory" \
    'mkdir gone; cd gone; rmdir ../gone; exec $vae train --out new'
around 1 "new: there is no such folder or file" \
    'mkdir gone; cd gone; rmdir ../gone; exec $vae train --out new --data new'
around 0 "" 'mkdir gone; cd gone; rmdir ../gone; exec $vae eval --run "$tmp/run" --data "$tmp/data"'
around 2 "there is no command 'x'; see 'vae --help'" "exec -a '' \$vae x"
around 2 "there is no command 'x'; see '\\x1b[2J\\x0a --help'" "exec -a \$'\\e[2J\\n' \$vae x"
around 2 "" "exec -a \$'\\e[2J' \$vae"
grep -q '^usage: \\x1b\[2J command \[flags\]$' all || bad "usage with an odd name: $(cat all)"
around 0 "" "exec -a '' \$vae sample --run run --out again.png"

# Files that stand where a picture should go, and names that stdout shows.
says 1 "--out run/config.json: is there and is a text file, which is not replaced" \
    sample --run run --out run/config.json
says 1 "/dev/null: is a pipe or device, expected a regular file" sample --run run --out /dev/null
says 1 "pipe: is a pipe or device, expected a regular file" sample --run run --out pipe
says 1 "run: is a directory, expected a regular file" sample --run run --out run
says 1 "nowhere/x.png: cannot create: No such file or directory" sample --run run --out nowhere/x.png
says 0 "" sample --run run --out $'\e[2J\xff.png'
[ "$(cat stdout)" = 'wrote \x1b[2J\xff.png' ] || bad "wrote: $(cat -v stdout)"
cp -r run $'\e[2J\n\xc2\x9b'
says 0 "" info --run $'\e[2J\n\xc2\x9b'
grep -qF 'run            \x1b[2J\x0a\xc2\x9b' stdout || bad "info: $(cat -v stdout)"
says 0 "" eval --run $'\e[2J\n\xc2\x9b'
grep -qF '{"run": "\u001b[2J\u000a\u009b", "split"' stdout || bad "eval: $(cat -v stdout)"
cp -r data $'data\xff'
says 1 'data\xff: its absolute path is not UTF-8, so config.json cannot name it' \
    train --data $'data\xff' --out new
says 0 "" eval --run run --data $'data\xff'

# --- going on -------------------------------------------------------------------------------------------

for flag in --out=new --config=file --preset=quick --model=ae --set=warmup=3 --levels=3 --hidden=5 --latent-dim=3 --likelihood=gaussian \
    --binarize=static --binarize-seed=3 --beta=2 --batch-size=7 --lr=0.5 --seed=2 --valid=3 --keep=best --patience=2 \
    --optimizer=sgd --schedule=step,step_size=1 --activation=tanh --init=glorot --output-bias=mean \
    --posterior-scale=softplus; do
    says 2 "${flag%%=*}: a run that goes on keeps its folder and its settings, all but --data, --epochs, \
--checkpoint-every, --trap and --threads" train --resume run "$flag"
done
says 2 "--resume is given twice" train --resume run --resume run
says 1 "none/config.json: cannot open: No such file or directory" train --resume none
says 1 "empty/config.json: cannot open: No such file or directory" train --resume empty
says 1 "file/config.json: cannot open: Not a directory" train --resume file
says 1 "dangling/config.json: cannot open: No such file or directory" train --resume dangling
says 1 '\x1b[2J/config.json: cannot open: No such file or directory' train --resume $'\e[2J'
says 1 "--epochs 1: the run is in epoch 2 already" train --resume run --epochs 1
says 1 "nowhere: there is no such folder or file" train --resume run --data nowhere
says 2 "--epochs: 0 is outside 1 to 1000000" train --resume run --epochs 0
says 0 "all 2 epochs are done; a larger --epochs goes on behind them" train --resume run
says 0 "goes on behind step 8, in epoch 3 of 3" train --resume run/ --epochs 3 --checkpoint-every 1000000000
longer=("${small[@]}") && longer[8]=3
says 0 "" "${longer[@]}" --out three
cmp run/model.safetensors three/model.safetensors || bad "three epochs are not two and one"

# --- the check itself -----------------------------------------------------------------------------------

# broken CALL…: a wrong expectation, which must fail.
broken() {
    local before=$failures count=$calls
    "$@" >/dev/null
    if [ "$failures" = "$before" ]; then
        echo "FAILED: not noticed: ${*@Q}" && failures=$((before + 1))
    else
        failures=$before
    fi
    calls=$count
}
broken says 2 "--lr: 'nan' is no number" train --lr nan
broken says 1 "--lr: 'nan' is not a number" train --lr nan
broken says 2 "" train --lr nan
broken says 0 "about to go" --version
broken around 0 "" 'mkdir new; $vae --version'
broken around 2 "" '$vae train --lr nan; $vae train --lr nan 2>&1 | sed s/vae://p >&2'
broken around 2 "--lr: '\\x1b' is not a number" 'printf "vae: --lr: %b is not a number\n" "\47\33\47" >&2; exit 2'
broken threads 2 '$vae info --threads 1'

if [ "$failures" -gt 0 ]; then
    echo "check-command-line: $failures failures"
    exit 1
fi
echo "check-command-line: $calls calls, every exit code and message as written"
