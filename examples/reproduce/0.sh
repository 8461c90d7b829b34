# 0.sh: the one number that is known exactly: independent pixels. Read next: lib.sh.
title="factorised Bernoulli, exactly"
from="exact: arithmetic on Larochelle's static binarization of MNIST"
data_needed="mnist-binarized"
cost=2
gate="both values to 1e-4"
protocol="Each pixel is white with its frequency in the 50,000 training images, clipped to [0.001, 0.999]; \
mean −log p(x) of the 10,000 test and 10,000 validation images, in nats. \`vae eval\` prints it beside what any model of \
these images reaches; the smallest VAE there is stands in for one."
departures="None."

items() {
    cat <<'END'
test       | 205.952026 | 205.951926 | 205.952126
validation | 206.484039 | 206.483939 | 206.484139
END
}

run() {
    train any --data "$data/mnist-binarized" --hidden 1 --latent-dim 1 --epochs 1 --batch-size 1000
    measure any test eval
    measure any valid eval --split valid
    result test "$(figure any.test factorised_bernoulli)" any test
    result validation "$(figure any.valid factorised_bernoulli)" any valid
}
