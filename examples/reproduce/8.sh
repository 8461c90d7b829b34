# 8.sh: a row that is not run. Read next: lib.sh.
title="VampPrior, static MNIST"
from="Tomczak and Welling, VAE with a VampPrior (2018): 85.57; pythae's reproduction: 85.79"
data_needed="mnist-binarized"
gate="at most 85.9"
protocol="Gated dense layers 784-300-300-40 and their mirror, C = 500 pseudo-inputs, log-variances clamped to [−6, 2]; \
−log p(x) from 5,000 samples."
departures=""
not_run="vamp_vae has plain layers, and the paper's are gated"

items() {
    cat <<'END'
NLL, k = 5000 | 85.57 | - | 85.9
END
}
