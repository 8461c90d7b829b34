# 5.sh: the baseline of the paper on normalizing flows, as a library reproduced it. Read next: lib.sh.
title="VAE with 40 latents, static MNIST"
from="Rezende and Mohamed (2015): 89.9; pythae's reproduction of it: 89.78 (its script vae.py gives the protocol)"
data_needed="mnist-binarized"
cost=9800
gate="the settings of the lowest validation loss: at most 89.9"
protocol="784-400-400-40-400-400-784, ReLU, static binarization (50,000 / 10,000 / 10,000), Adam 1e-4, times 10^(−1/5) after 200, 350, 500, \
750 and 1,000 of 1,100 epochs, batches of 100; the weights of the epoch with the lowest validation loss; −log p(x) of the 10,000 test \
images from 200 samples of q(z|x). And the same for 500 epochs ('two layers'), and so with one hidden layer on each side ('NLL'). \
Validation images choose among the three, and the gate is on the one that they choose."
departures="pythae's script as it stands has one layer and 500 epochs ('NLL'). That was run first and missed. Two layers, which stand in the script \
as a comment, were run next: the model published with 89.78 (clementchadebec/reproduced_vae, model.pt) is listed with 4 MB, as two layers would \
have (997,664 numbers of 4 bytes), where one has 2.7. That is a strong hint, not a proof; nobody here has opened the file. They missed by 0.09. \
Training to the end was run last: the script names 500 epochs, but rates until epoch 1,000, a list that it shares with vamp.py, which trains for 2,000. \
That there are 1,100 is ours, 100 of them at the last rate. Before it was begun the run of two layers had been gone on with until epoch 652, and looked at on \
validation images: their loss was lowest at epoch 504, 0.03 lower than within 500, and −log p(x) from 200 samples was 90.60, before 90.79. \
Two layers to the end are the run of two layers until epoch 500, number for number. Each of the three had the gate when it was run, and all were measured on test images. Tried with two layers on validation images alone: a rate that falls to 0 along a cosine over 500 epochs (loss \
95.57, −log p(x) 90.97), the same over 750 epochs, stopped at 338, and from 1e-3 to 1e-4 in 120 epochs, stopped at 62 (loss 97.95). Other seeds were not run. pythae takes \
the mean of five measurements, which moves the third decimal. Training and measuring were looked at: steps of the VAE of docs/speed.md, with 20 latents, \
are PyTorch's from the same weights and noise (tests/bench/race.py), and PyTorch measured 92.67 from the weights of one layer as well, in a program \
that is not kept."

items() {
    cat <<'END'
two layers to the end, validation loss | - | - | -
two layers, validation loss | - | - | -
one layer, validation loss | - | - | -
two layers to the end, k = 200 | 89.78 | - | 89.9
two layers, k = 200 | 89.78 | - | -
NLL, k = 200 | 89.9 | - | -
END
}

# settings NAME TITLE HIDDEN EPOCHS MILESTONES [ITEM]: trains and measures; ITEM is the title of what is measured, where it is another.
settings() {
    local best
    train $1 --data "$data/mnist-binarized" --binarize threshold --hidden $3 --latent-dim 40 --batch-size 100 --lr 1e-4 \
        --schedule multistep,gamma=0.630957,milestones=$5 --keep best --epochs $4
    best=$(curve $1 best_epoch last)
    result "$2, validation loss" "$(curve $1 valid_loss $best)" $1 $best
    measure $1 nll eval --split test --importance 200
    result "${6-$2}, k = 200" "$(figure $1.nll nll)" $1 nll
}

run() {
    settings long "two layers to the end" 400,400 1100 200+350+500+750+1000
    settings deep "two layers" 400,400 500 200+350
    settings vae "one layer" 400 500 200+350 NLL
    keep_picture "$out/$row/long/samples.png"
}
pictures() {
    echo "samples.png | Draws from the model of two layers, trained to the end."
}
