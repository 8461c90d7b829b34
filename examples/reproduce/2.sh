# 2.sh: two models of a book, down to its scale of the loss. Read next: lib.sh.
title="VAE and two-level VAE of a book"
from="Saitoh, Deep Learning from Scratch 5 (2024), steps 7 and 8: training losses of each epoch, as published with its code"
data_needed="mnist"
cost=300
gate="after 30 epochs within 0.3, epochs 2 to 20 within 0.5"
protocol="Training loss per image, averaged over the epoch as training goes along, all 60,000 images, batches of 32. The book's \
loss is Σ(x−x̂)² + 2·KL: twice the negative ELBO of a normal distribution of variance 1 around x̂, without its constant. So \
what is shown is 2·(loss − 784/2·log 2π). VAE: 784-200-20, ReLU, x̂ = σ(…), Adam 3e-4. Two levels: hidden layers of 100, \
latents 20 and 20, Adam 1e-3, p(z1|z2) = N(μ(z2), 1), and the KL of z1 in closed form at the z2 that was drawn."
departures="Adam sees half of the book's gradient, which changes nothing but the weight of its ε = 1e-8. The first epoch has no \
gate: it is the sum of what 1,875 steps begin with."

items() {
    cat <<'END'
VAE, epoch 1   | 54.05 | - | -
VAE, epoch 2   | 45.28 | 44.78 | 45.78
VAE, epoch 3   | 43.45 | 42.95 | 43.95
VAE, epoch 5   | 41.60 | 41.10 | 42.10
VAE, epoch 10  | 39.97 | 39.47 | 40.47
VAE, epoch 20  | 39.03 | 38.53 | 39.53
VAE, epoch 30  | 38.60 | 38.30 | 38.90
two levels, epoch 1   | 49.70 | - | -
two levels, epoch 2   | 42.94 | 42.44 | 43.44
two levels, epoch 3   | 41.39 | 40.89 | 41.89
two levels, epoch 5   | 40.32 | 39.82 | 40.82
two levels, epoch 10  | 39.53 | 39.03 | 40.03
two levels, epoch 20  | 39.03 | 38.53 | 39.53
two levels, epoch 30  | 38.86 | 38.56 | 39.16
END
}

# The book's loss from ours.
book() {
    calculate "2 * ($1 - 784 / 2 * log(8 * atan2(1, 1)))"
}

run() {
    local e
    train vae --data "$data/mnist" --likelihood gaussian --hidden 200 --latent-dim 20 --lr 3e-4 --batch-size 32 --epochs 30
    train two --data "$data/mnist" --likelihood gaussian --model hierarchical_vae --hidden 100 --latent-dim 20 \
        --set latent2=20,hidden2=100,unit_variance=1,textbook_kl=1,one_activation=1 --lr 1e-3 --batch-size 32 --epochs 30
    for e in 1 2 3 5 10 20 30; do
        reached vae $e || continue
        result "VAE, epoch $e" "$(book "$(curve vae train_loss $e)")" vae $e
    done
    for e in 1 2 3 5 10 20 30; do
        reached two $e || continue
        result "two levels, epoch $e" "$(book "$(curve two train_loss $e)")" two $e
    done
}
