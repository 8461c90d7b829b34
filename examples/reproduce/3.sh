# 3.sh: the Gaussian VAE that a paper on other latent spaces compares with. Read next: lib.sh.
title="VAEs with 2, 5 and 20 latents"
from="Davidson et al., Hyperspherical Variational Auto-Encoders (2018), table 1, N-VAE; code: nicola-decao/s-vae-tf"
data_needed="mnist"
cost=2400
gate="log p(x) at least −136.6, −110.5 and −89.4"
protocol="784-256-128-d-128-256-784, ReLU, σ = softplus(…), Glorot's initial weights with biases 0, Adam 1e-3, batches of 64, \
pixels drawn anew in each epoch. 50,000 images to learn from, 10,000 for validation. The weight of the KL rises to 1 within 100 \
epochs; training ends when 50 epochs have brought no lower validation loss, and the weights of the lowest are taken. log p(x) of \
the test images, drawn once, from 500 samples of q(z|x)."
departures="The last 10,000 training images are the validation images; the paper does not say which ones were. At most 1,000 \
epochs. The paper's numbers are means of several runs, ours is one."

items() {
    cat <<'END'
2 latents  | -135.73 | -136.6 | -
5 latents  | -110.21 | -110.5 | -
20 latents | -88.90 | -89.4 | -
END
}

run() {
    local d
    for d in 2 5 20; do # 782 steps an epoch
        train latents-$d --data "$data/mnist" --valid 10000 --binarize dynamic --hidden 256,128 --latent-dim $d \
            --posterior-scale softplus --init glorot --set warmup=78200 --batch-size 64 --lr 1e-3 \
            --keep best --patience 50 --epochs 1000
        measure latents-$d nll eval --importance 500
        result "$d latents" "$(calculate "-$(figure latents-$d.nll nll)")" latents-$d nll
    done
    picture manifold.png manifold --run latents-2
}
pictures() {
    echo "manifold.png | The plane of 2 latents."
}
