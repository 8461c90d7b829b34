# 5.sh: the baseline of the paper on normalizing flows, as a library reproduced it. Read next: lib.sh.
title="VAE with 40 latents, static MNIST"
from="Rezende and Mohamed (2015): 89.9; pythae's reproduction of it: 89.78 (its script vae.py gives the protocol)"
data_needed="mnist-binarized"
cost=2400
gate="at most 89.9"
protocol="784-400-400-40-400-400-784, ReLU, static binarization (50,000 / 10,000 / 10,000), Adam 1e-4, times 10^(−1/5) after 200 \
and 350 of 500 epochs, batches of 100; the weights of the epoch with the lowest validation loss; −log p(x) of the 10,000 test images \
from 200 samples of q(z|x). And the same with one hidden layer on each side ('NLL')."
departures="pythae's script has one hidden layer of 400 on each side, and a second one as a comment. Its number is of two: the model \
that it was measured of is published as a file of 4 MB, the size of two layers (997,664 numbers of 4 bytes) and not of one (676,864). \
Rate, batches and epochs are of a later version of the script; those of that day are not known. pythae takes the \
mean of five measurements, which moves the third decimal. The paper has a network and a training of its own, with 400 maxout units \
of 4 pieces each. Nothing was found to be wrong in how one layer is trained or measured: steps are those of PyTorch from the same \
weights and noise (tests/bench/race.py), and PyTorch, given the trained weights, measures 92.67 as well."

items() {
    cat <<'END'
two layers, k = 200 | 89.78 | - | 89.9
NLL, k = 200 | 89.9 | - | 89.9
END
}

# depth NAME HIDDEN ITEM: trains and measures.
depth() {
    local name=$1 hidden=$2 item=$3
    train $name --data "$data/mnist-binarized" --binarize threshold --hidden $hidden --latent-dim 40 --batch-size 100 --lr 1e-4 \
        --schedule multistep,gamma=0.630957,milestones=200+350 --keep best --epochs 500
    measure $name nll eval --split test --importance 200
    result "$item" "$(figure $name.nll nll)" $name nll
}

run() {
    depth deep 400,400 "two layers, k = 200"
    depth vae 400 "NLL, k = 200"
    keep_picture "$out/$row/deep/samples.png"
}
pictures() {
    echo "samples.png | Draws from the model of two layers."
}
