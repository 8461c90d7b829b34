# 10.sh: the figures of the first paper. Read next: lib.sh.
title="the figures of Auto-Encoding Variational Bayes"
from="Kingma and Welling, Auto-Encoding Variational Bayes (2014), figures 2, 4 and 5"
data_needed="mnist frey"
cost=1500
gate="figures drawn; the curves end in the order of the paper's"
protocol="One tanh layer of 500 (MNIST) or 200 (Frey faces) on each side, Adagrad, batches of 100, one draw of z. MNIST: grey \
pixels as Bernoulli targets; Frey: normal distributions with means in (0,1) and learned variances. The bound is shown against \
training images seen, 3 million of MNIST and 1.765 million of Frey; the paper went to 100 million, at 20 to 40 minutes a \
million. 3, 5, 10, 20 and 200 latents of MNIST, 2, 5, 10 and 20 of Frey; manifolds of 2 latents over equal parts of the prior; draws from 2, 5, 10 and 20 latents."
departures="Initial weights are U(±1/√fan_in), the paper's N(0, 0.01); no prior over the weights. Variances of Frey pixels have a \
floor of e^-6, which keeps the bound below 1,165 nats; the paper has none. The paper does not say what was held back of Frey: here the \
last 200 frames of the film, which are less like the others than frames from in between would be. Of the paper's \
learning rates, 0.01, 0.02 and 0.1, it is 0.01: the one with the best bound of the training images over the first epoch, for 10 latents \
of either data. Curves of training images are means over each epoch while it went on; the order of Frey is judged by \
them, as the few frames held back say little. 20 latents of Frey end 5.5 nats below 10 \
by training images and 0.3 above by those held back; whether longer training would change that was not tried."

items() {
    local d
    for d in 3 5 10 20 200; do
        echo "MNIST, bound of test images, $d latents | - | - | -"
    done
    echo "MNIST, 5 above 3 latents | - | 0 | -"
    echo "MNIST, 10 above 5 latents | - | 0 | -"
    echo "MNIST, 20 above 10 latents | - | 0 | -"
    echo "MNIST, 200 above 10 latents | - | 0 | -"
    for d in 2 5 10 20; do
        echo "Frey, bound of training images, $d latents | - | - | -"
    done
    for d in 2 5 10 20; do
        echo "Frey, bound of validation images, $d latents | - | - | -"
    done
    echo "Frey, 5 above 2 latents | - | 0 | -"
    echo "Frey, 10 above 5 latents | - | 0 | -"
    echo "Frey, 20 above 10 latents | - | 0 | -"
}

pictures() {
    cat <<'END'
mnist-curves.svg | Figure 2: lower bound of MNIST against training images seen, by number of latents.
frey-curves.svg | Figure 2: lower bound of Frey faces against training images seen, by number of latents.
mnist-manifold.png | Figure 4: MNIST in the plane of 2 latents.
frey-manifold.png | Figure 4: Frey faces in the plane of 2 latents.
mnist-2.png | Figure 5: draws from 2 latents.
mnist-5.png | Figure 5: draws from 5 latents.
mnist-10.png | Figure 5: draws from 10 latents.
mnist-20.png | Figure 5: draws from 20 latents.
END
}

# bound NAME SET: at the end of training.
bound() {
    calculate "-($(curve "$1" "$2_loss" last))"
}

runs_of() { # SOURCE DIMENSIONS...: flags
    local source=$1 d
    shift
    for d in "$@"; do
        printf '%s\n' --run $source-$d
    done
}

run() {
    local d flags common="--activation tanh --optimizer adagrad --lr 0.01 --batch-size 100"
    for d in 2 3 5 10 20 200; do
        train mnist-$d --data "$data/mnist" --hidden 500 --latent-dim $d $common --epochs 50
    done
    for d in 2 5 10 20; do
        train frey-$d --data "$data/frey" --valid 200 --likelihood gaussian_learned --hidden 200 --latent-dim $d \
            $common --epochs 1000
    done
    for d in 3 5 10 20 200; do
        result "MNIST, bound of test images, $d latents" "$(bound mnist-$d test)" mnist-$d
    done
    above MNIST test 5 3
    above MNIST test 10 5
    above MNIST test 20 10
    above MNIST test 200 10
    for d in 2 5 10 20; do
        result "Frey, bound of training images, $d latents" "$(bound frey-$d train)" frey-$d
        result "Frey, bound of validation images, $d latents" "$(bound frey-$d valid)" frey-$d
    done
    above Frey train 5 2
    above Frey train 10 5
    above Frey train 20 10
    mapfile -t flags < <(runs_of mnist 3 5 10 20 200)
    picture mnist-curves.svg curves "${flags[@]}" --terms bound --x samples --log
    mapfile -t flags < <(runs_of frey 2 5 10 20)
    picture frey-curves.svg curves "${flags[@]}" --terms bound --x samples --log
    for d in mnist frey; do
        picture $d-manifold.png manifold --run $d-2
    done
    for d in 2 5 10 20; do
        picture mnist-$d.png sample --run mnist-$d --count 64
    done
}

above() { # NAME SET MORE LESS
    local source=${1,,}
    result "$1, $3 above $4 latents" "$(calculate "$(bound $source-$3 "$2") - ($(bound $source-$4 "$2"))")" $source-$3
}
