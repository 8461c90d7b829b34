# 7.sh: as row 6, with fresh pixels in each epoch. Read next: iwae.sh, lib.sh.
title="IWAE with 1 and 5 samples, pixels drawn anew"
from="Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), table 1; code: yburda/iwae"
data_needed="mnist"
cost=5000
gate="k = 5: at most 86.0"
protocol="As row 6, with pixels drawn anew in each epoch and 59,600 images to learn from; the test images are drawn once."
departures="As row 6. The 400 images that are left for validation choose the epoch."

items() {
    cat <<'END'
k = 1 | 86.76 | - | -
k = 5 | 85.54 | - | 86.0
END
}
. "$reproduce/iwae.sh"

run() {
    local k
    for k in 1 5; do
        train_iwae k$k $k --data "$data/mnist" --valid 400 --binarize dynamic
        measure k$k nll eval --split test --importance 5000
        result "k = $k" "$(figure k$k.nll nll)" k$k nll
    done
}
