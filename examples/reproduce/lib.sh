# lib.sh: for sourcing by examples/reproduce.sh and evidence.sh: what the rows are made of.
#
# A row is a file ROW.sh beside this one. It sets
#
#   title, from      what is reproduced, and who published it
#   data_needed      folders of --data
#   cost             seconds on two cores, about
#   gate             the gate in words
#   protocol, departures   how it is done, and where that is not what was published
#   not_run          why it cannot be run, or nothing
#
# and two functions: items prints a line "item | published | lowest | highest" for each number, with - for none; run does it,
# with the verbs below. evidence.sh shows the rest. Read next: 1.sh, the shortest row that trains.

reproduce=$root/examples/reproduce

die() {
    echo "reproduce.sh: $*" >&2
    exit 2
}

# Without leading zeros: bash takes 010 for 8.
is_whole() {
    [[ $1 =~ ^(0|[1-9][0-9]*)$ ]]
}

# --- rows -------------------------------------------------------------------------------------------

rows() {
    (cd "$reproduce" && printf '%s\n' [0-9]*.sh) | sed 's/\.sh$//' | sort -n
}

row_file() {
    echo "$reproduce/$1.sh"
}

# Beside the rows are other scripts, this one among them.
is_row() {
    is_whole "$1" && [ -f "$(row_file "$1")" ]
}

load_row() {
    row=$1 data_needed='' title='' from='' cost=0 gate='' protocol='' departures='' not_run=''
    items() { :; }
    pictures() { :; }
    . "$(row_file "$1")"
}

runnable_rows() {
    local each
    for each in $(rows); do
        (load_row "$each" && [ -n "$not_run" ] || echo "$each")
    done
}

list_rows() {
    local each
    printf '%-4s %8s  %-24s %s\n' row seconds needs what
    for each in $(rows); do
        (
            load_row "$each"
            printf '%-4s %8s  %-24s %s\n' "$each" "${cost/#0/-}" "$data_needed" "$title"
            [ -z "$not_run" ] || printf '%40snot run: %s\n' '' "$not_run"
        )
    done
    echo
    echo "examples/reproduce.sh ROW... --data DIR runs rows, --help says more."
}

# --- data -------------------------------------------------------------------------------------------

# How many images an idx file holds, plain or gzipped; nothing if it is none.
images_in() {
    local file=$1 bytes
    [ -f "$file" ] || file=$file.gz
    [ -f "$file" ] || return 0
    case $file in
    *.gz) bytes=$(gzip -dcq "$file" 2>/dev/null | head -c 8 | od -An -tu1) ;;
    *) bytes=$(head -c 8 "$file" | od -An -tu1) ;;
    esac || true # head leaves gzip before its end
    # shellcheck disable=SC2086
    set -- $bytes
    [ $# = 8 ] && [ "$1 $2 $3 $4" = "0 0 8 3" ] && echo $(($5 << 24 | $6 << 16 | $7 << 8 | $8))
}

# What data is known by: of each split the images and the white pixels, in whatever order the images are.
splits_of() {
    case $1 in
    mnist) printf '%s\n' "train 60000 314282" "t10k 10000 56835" ;;
    mnist-binarized) printf '%s\n' "train 50000 5118041" "valid 10000 1028036" "test 10000 1038896" ;;
    frey) echo "train 1965 0" ;;
    esac
}

# The published numbers are of the whole data and of no other: a part of them is refused, and so is what only looks like them.
check_data() {
    local name split want white got file
    for name in $data_needed; do
        [ -n "$data" ] || die "row $row needs the images '$name': name the folder they are in by --data DIR or" \
            "TAPIR_DATA; examples/reproduce/README.md says where they are from"
        while read -r split want white; do
            file=$data/$name/$split-images-idx3-ubyte
            got=$(images_in "$file") || true
            [ -n "$got" ] || die "row $row: no $name/${file##*/} (or .gz) in $data;" \
                "examples/reproduce/README.md says where it is from"
            [ "$got" = "$want" ] || die "row $row: $data/$name has $got ${split/#train/training} images, expected $want:" \
                "published numbers are of the whole data, not of a part"
            got=$({ if [ -f "$file" ]; then cat "$file"; else gzip -dc "$file.gz"; fi; } | tr -cd '\377' | wc -c)
            [ $((got)) = "$white" ] || die "row $row: $data/$name/${file##*/} has $((got)) white pixels, expected $white:" \
                "it is not the data the published numbers are of"
        done < <(splits_of "$name")
    done
}

# --- verbs of a row ---------------------------------------------------------------------------------

build() {
    . "$root/examples/setup.sh"
    need "${build_needs[@]}"
    (cd "$root" && cmake --preset release -DTAPIR_TESTS=OFF && cmake --build --preset release -j "$(nproc)") >&2
}

# Looks before anything takes time, and makes nothing.
can_append() {
    if [ -e "$1" ]; then
        [ ! -d "$1" ] && [ -r "$1" ] && [ -w "$1" ]
    else
        local folder
        folder=$(dirname -- "$1")
        [ -n "$1" ] && [ -d "$folder" ] && [ -w "$folder" ]
    fi
}

# What is running: the tool's version and, in a clone, the commit, with + if its sources were changed.
version() {
    local is commit
    is=$("$VAE" --version)
    is=${is##* }
    if commit=$(git -C "$root" rev-parse --short=10 HEAD 2>/dev/null); then
        git -C "$root" diff --quiet HEAD -- . ':!docs' 2>/dev/null || commit=$commit+
        is=$is-$commit
    fi
    echo "$is"
}

# A command as people would repeat it: vae, DATA and runs/reproduce instead of this machine's paths.
shown() {
    local word words=()
    for word in "$@"; do
        word=${word/#"$VAE"/vae}
        [ -z "$data" ] || word=${word/#"$data"/DATA}
        word=${word/#"$out"/runs/reproduce}
        words+=("$word")
    done
    echo "${words[*]}"
}

# number KEY: the number under that key in the JSON object on standard input.
number() {
    awk -v key="\"$1\": " '{
        at = index($0, key)
        if (at == 0) exit 1
        value = substr($0, at + length(key))
        sub(/[],} ].*/, "", value)
        if (value !~ /^-?[0-9]/) exit 1
        print value
        found = 1
        exit
    } END { exit !found }' || die "no number '$1' in what vae wrote"
}

# calculate EXPRESSION: in double precision.
calculate() {
    awk "BEGIN { printf \"%.8f\\n\", $1 }"
}

# Where a run is: NAME among those of the row, or ROW/NAME of another one, which two rows share then.
place() {
    case $1 in
    */*) echo "$out/$1" ;;
    *) echo "$out/$row/$1" ;;
    esac
}

# lock PATH: nobody else writes there until this call, and what it started, has ended: a training that was just stopped gets a
# moment to save. Where there is no flock, nothing is done.
lock() {
    local fd
    command -v flock >/dev/null || return 0
    exec {fd}>>"$1.lock"
    flock -w 3 "$fd" || die "another call is at work on $1; wait for it, or end it"
}

# train NAME FLAGS...: trains in the folder NAME, or goes on there. With --smoke N at most N epochs.
train() {
    local dir done flags=() what is code=0
    dir=$(place "$1")
    done=$dir.trained
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --epochs) flags+=(--epochs "$((smoke && smoke < $2 ? smoke : $2))") && shift 2 ;;
        *) flags+=("$1") && shift ;;
        esac
    done
    flags+=(--seed "$seed")
    what=$(shown vae train "${flags[@]}" --out "$dir")
    mkdir -p "${dir%/*}"
    lock "$dir"
    if [ -f "$done" ] || [ -f "$dir/config.json" ]; then
        local was
        was=$(head -1 "$done" 2>/dev/null || head -1 "$done.begun") || die "$dir was not trained by this script; remove it"
        [ "$was" = "$what" ] || die "$dir was trained by other settings; remove it, and $dir.trained*:" \
            $'\n  was' "$was" $'\n  now' "$what"
    fi
    [ ! -f "$done" ] || return 0
    if [ -f "$dir/config.json" ]; then
        "$VAE" train --resume "$dir" --threads "$threads" >&2 || code=$?
    else
        printf '%s\n' "$what" >"$done.begun"
        "$VAE" train "${flags[@]}" --threads "$threads" --out "$dir" >&2 || code=$?
    fi
    [ $code = 0 ] || die "row $row stopped; the same command goes on"
    is=$(version)
    printf '%s\n%s\n' "$what" "$is" >"$done.new"
    mv "$done.new" "$done"
}

# measure NAME KEY COMMAND FLAGS...: "vae COMMAND --run NAME FLAGS", once, while the weights are the same; figure NAME.KEY has its
# numbers.
measure() {
    local dir file key=$2 command=$3 begin seconds flags=() what is
    dir=$(place "$1")
    file=$dir.$key.json
    shift 3
    while [ $# -gt 0 ]; do
        case $1 in
        --importance) flags+=(--importance "$((smoke && 20 < $2 ? 20 : $2))") && shift 2 ;;
        *) flags+=("$1") && shift ;;
        esac
    done
    what=$(shown vae "$command" --run "$dir" "${flags[@]}")
    [ -f "$file" ] && [ "$(sed -n 2p "$file")" = "$what" ] && [ "$file" -nt "$dir/model.safetensors" ] && return 0
    begin=$(date +%s.%N)
    unfinished=$file.new
    "$VAE" "$command" --run "$dir" --threads "$threads" "${flags[@]}" >"$file.new" || die "row $row stopped; the same command goes on"
    seconds=$(calculate "$(date +%s.%N) - $begin")
    is=$(version)
    printf '%s\n%s\n%s\n' "$what" "$seconds" "$is" >>"$file.new"
    mv "$file.new" "$file"
    unfinished=
}

# A number of what measure wrote.
figure() {
    number "$2" < <(head -1 "$(place "$1").json")
}

# item_line ITEM: "published lowest highest".
item_line() {
    items | awk -F' *[|] *' -v item="$1" '$1 == item { print $2, $3, $4; found = 1 } END { exit !found }'
}

# reached NAME EPOCH: whether the learning curve goes so far, which only a smoke test may leave open.
reached() {
    [ -z "$smoke" ] || [ "$(epochs_of "$1")" -ge "$2" ]
}

# curve NAME KEY EPOCH: a number of the learning curve; epoch 'last' is the last one.
curve() {
    local line
    [ "$3" = last ] && line='$p' || line=$3p
    number "$2" < <(sed -n "$line" "$(place "$1")/metrics.jsonl")
}

epochs_of() {
    wc -l <"$(place "$1")/metrics.jsonl"
}

# seconds_of NAME [EPOCH]: how long training took, up to that epoch, in as many calls as it took.
seconds_of() {
    head -n "${2:-1000000000}" "$(place "$1")/timing.jsonl" | awk '{
        sub(/.*"seconds": /, "")
        sum += $0 + 0
    } END { print sum + 0 }'
}

# result ITEM VALUE NAME [EPOCH|KEY]: the number of an item; it is of the run NAME, of an epoch or of what measure wrote as KEY.
result() {
    local item=$1 value=$2 name=$3 key=${4-} line published low high verdict seconds epochs k=- what is by used
    local dir file
    dir=$(place "$name")
    file=$dir.$key.json
    line=$(item_line "$item") || die "row $row has no item '$item'"
    [[ $value =~ ^-?[0-9] ]] || die "row $row: '$value' is no number for '$item'"
    what=$(head -1 "$dir.trained") is=$(tail -1 "$dir.trained")
    if [[ $key =~ ^[0-9]+$ ]]; then
        seconds=$(seconds_of "$name" "$key") epochs=$key
    else
        seconds=$(seconds_of "$name") epochs=$(epochs_of "$name")
        if [ -n "$key" ]; then
            what="$what && $(sed -n 2p "$file")"
            seconds=$(calculate "$seconds + $(sed -n 3p "$file")")
            [[ $what =~ --importance\ ([0-9]+) ]] && k=${BASH_REMATCH[1]}
            by=$(sed -n 4p "$file")
            : "${by:=$is}"
            [ "$is" = "$by" ] || is=$is/$by # trained by one, measured by another
        fi
    fi
    read -r published low high <<<"$line"
    [ -n "$smoke" ] && verdict=smoke || verdict=$(verdict_of "$value" "$low" "$high")
    used=$(tail -1 "$dir/timing.jsonl" | number threads)
    printf '%-34s %14s %12s %22s  %s\n' "$item" "$(round "$value" "$published")" "$published" "$(gate_text "$low" "$high")" \
        "$verdict" >>"$out/$row/table"
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\n' "$row" "$item" "$value" "$published" "$low" "$high" \
        "$verdict" "$seconds" "$used" "$seed" "$k" "$epochs" "$is" "$what" >>"$out/$row/lines"
    [ "$verdict" != missed ] || echo "$item" >>"$out/$row/missed"
}

columns='row	item	ours	published	lowest	highest	verdict	seconds	threads	seed	k	epochs	version	command'

# Decimals of what was published, at least two.
round() {
    local decimals=${2##*.}
    [[ $2 == *.* ]] || decimals=
    printf "%.$((${#decimals} > 2 ? ${#decimals} : 2))f" "$1"
}

verdict_of() { # VALUE LOW HIGH
    awk -v x="$1" -v low="$2" -v high="$3" 'BEGIN {
        if (x !~ /^-?[0-9]/) print "missed"
        else if (low == "-" && high == "-") print "shown"
        else print (low == "-" || x + 0 >= low + 0) && (high == "-" || x + 0 <= high + 0) ? "met" : "missed"
    }'
}

gate_text() { # LOW HIGH
    case "$1 $2" in
    "- -") echo "none" ;;
    "- "*) echo "at most $2" ;;
    *" -") echo "at least $1" ;;
    *) echo "$1 to $2" ;;
    esac
}

# picture FILE COMMAND...: what a command of the tool draws, called among the runs of the row: charts show names of runs.
picture() {
    local file=$out/$row/$1
    shift
    rm -f "$file"
    (cd "$out/$row" && "$VAE" "$@" --out "$file" >&2) || die "row $row: cannot draw ${file##*/}"
    keep_picture "$file"
}

# keep_picture FILE: for docs/evidence.md, if the results are for it; of seed 1.
keep_picture() {
    [ -z "$smoke" ] && [ "$seed" = 1 ] && [ "$results" = "$root/docs/evidence.tsv" ] || return 0
    mkdir -p "$root/docs/images/evidence"
    cp "$1" "$root/docs/images/evidence/$row-${1##*/}"
}

# run_row ROW: it ends with 0 if there is a verdict; items that missed their gate are in the file "missed" then.
run_row() {
    unfinished=
    trap '[ -z "$unfinished" ] || rm -f "$unfinished"' EXIT
    trap 'exit 2' INT TERM HUP # as soon as the command at work has ended, which gets the signal too
    load_row "$1"
    echo "row $row: $title"
    mkdir -p "$out/$row"
    lock "$out/$row/row"
    rm -f "$out/$row/table" "$out/$row/lines" "$out/$row/missed"
    run
    printf '\n%-34s %14s %12s %22s  %s\n' item ours published gate verdict
    cat "$out/$row/table"
    echo "threads $(cut -f9 "$out/$row/lines" | sort -u | paste -sd,), seed $seed," \
        "$(cut -f8 "$out/$row/lines" | sort -n | tail -1) seconds for the longest item"
    if [ -n "$smoke" ]; then
        echo "a smoke test of at most $smoke epochs: nothing is written down, nothing is judged"
        return 0
    fi
    [ -s "$results" ] || printf '%s\n' "$columns" >"$results"
    grep -Fxv -f "$results" "$out/$row/lines" >"$out/$row/new" || [ $? = 1 ] # what was not measured anew is there already
    cat "$out/$row/new" >>"$results"
    if [ -f "$out/$row/missed" ]; then
        echo "row $row: missed: $(paste -sd, "$out/$row/missed")"
        return 0
    fi
    echo "row $row: every gate is met"
}
