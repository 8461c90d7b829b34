# coverage.awk: reads reasons (FILE | LINE OF CODE | WHY) and then what `gcov -t` wrote, and says which lines no
# test runs. Not a general reader of gcov's output. A line that stands in several functions or objects (a kernel is
# compiled once per instruction set) counts as run if one of them ran. Variables: must (files of which every
# line must run), least (per cent overall). Exit code 1 if something is missing.
# Read next: check_coverage.sh.

function trim(s) {
    gsub(/^[ \t]+|[ \t]+$/, "", s)
    return s
}

# A line that reports a failure or passes one on by its name.
function is_error(text) {
    return text ~ /tp_fail\(|png_error\(|tp_tape_poison\(|return TP_E[A-Z]+;|status = TP_E[A-Z]+;/
}

FILENAME == reasons {
    if ($0 !~ /^(#|[ \t]*$)/) {
        if (split($0, part, " [|] ") != 3) {
            print "not 'FILE | LINE | WHY': " $0
            wrong++
        }
        why[trim(part[1]) SUBSEP trim(part[2])] = trim(part[3])
    }
    next
}

/^ *-: *0:Source:/ {
    file = $0
    sub(/.*:Source:/, "", file)
    wanted = file ~ /^(tensor|autograd|nn|models|examples\/vae)\//
    next
}

wanted && /^ *([0-9]+|#+|=+)\*?: *[1-9][0-9]*:/ {
    split($0, part, ":")
    key = file SUBSEP part[2] + 0
    code[key] = trim(substr($0, length(part[1]) + length(part[2]) + 3))
    if (trim(part[1]) ~ /^[1-9]/)
        ran[key] = 1
}

END {
    for (key in code) {
        split(key, part, SUBSEP)
        layer = part[1]
        sub(/^examples\//, "", layer)
        sub(/\/.*/, "", layer)
        lines[layer]++
        total++
        strict += part[1] ~ must
        if (key in ran) {
            good[layer]++
            covered++
            continue
        }
        reason = part[1] SUBSEP code[key]
        if (reason in why) {
            used[reason]++
            excused++
        } else if (part[1] ~ must || is_error(code[key])) {
            printf "%s:%d: no test runs this: %s\n", part[1], part[2], code[key] | "sort"
            wrong++
        } else if (show) {
            printf "%s:%d: not run: %s\n", part[1], part[2], code[key] | "sort"
        }
    }
    close("sort")
    for (reason in why)
        if (!(reason in used)) {
            split(reason, part, SUBSEP)
            printf "%s: this has a reason why it cannot run, but it runs or is gone: %s\n", part[1], part[2]
            wrong++
        }
    percent = total > 0 ? 100 * covered / total : 0
    n = split("tensor autograd nn models vae", order, " ")
    for (i = 1; i <= n; i++)
        if (order[i] in lines)
            list = list (list == "" ? "" : ", ") sprintf("%s %.1f", order[i], 100 * good[order[i]] / lines[order[i]])
    if (percent < least) {
        printf "%.1f %% of the lines run, which is less than %s %%\n", percent, least
        wrong++
    }
    if (strict == 0) {
        print "no line of the files that need all of them was found"
        wrong++
    }
    if (wrong)
        exit 1
    printf "check-coverage: %.1f %% of %d lines (%s), loaders, checkpoints and error paths 100 %%, %d lines excused\n",
        percent, total, list, excused
}
