# 4.sh: classes as latents. Read next: lib.sh.
title="VAE with 20 latents of 10 classes, by Gumbel-Softmax"
from="Jang, Gu and Poole, Categorical Reparameterization with Gumbel-Softmax (2017), table 1"
data_needed="mnist-binarized"
cost=400
gate="at most 101.5"
protocol="784-200-(20×10)-200-784, static binarization (50,000 / 10,000 / 10,000), temperature max(0.5, e^(−1e-4·step)) in \
training. Measured with classes that are drawn, not relaxed: the bound of 1,000 samples on the test images. The epoch is the one of \
the lowest validation loss."
departures="Adam instead of SGD with momentum, with the learning rate of row 6 (1e-3 falling to 1e-4 over 300 epochs) instead \
of one chosen among six; batches of 100; ReLU; the prior is uniform, the paper's is learned; the temperature falls with every step, \
not every 500."

items() {
    cat <<'END'
bound, k = 1000 | 101.5 | - | 101.5
END
}

run() {
    train gumbel --data "$data/mnist-binarized" --binarize threshold --model gumbel_vae --hidden 200 --latent-dim 20 \
        --set categories=10,tau_min=0.5,rate=1e-4 --batch-size 100 --lr 1e-3 \
        --schedule exponential,gamma=0.99235 --keep best --epochs 300
    measure gumbel nll eval --split test --importance 1000
    result "bound, k = 1000" "$(figure gumbel.nll nll)" gumbel nll
    keep_picture "$out/$row/gumbel/samples.png"
}
pictures() {
    echo "samples.png | Draws from the model."
}
