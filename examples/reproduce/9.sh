# 9.sh: between two bounds: is what the other rows measure near the truth? Read next: iwae.sh, lib.sh.
title="log p(x) between bounds, by annealed importance sampling"
from="Wu, Burda, Salakhutdinov and Grosse, On the Quantitative Analysis of Decoder-Based Generative Models (2017); \
code: tonywu95/eval_gen"
data_needed="mnist-binarized"
cost=1500
gate="upper minus lower at most 0.5 nats on simulated data; the estimate of 5,000 importance samples not above that of AIS by more"
protocol="The decoder of row 6, k = 5. Sigmoid schedule from p(z) to p(z|x), 10 leapfrog steps a temperature, step sizes tuned to an \
acceptance of 0.65, 16 chains for each image. Of 100 images that the model draws itself a draw from p(z|x) is known, so that chains \
backward bound log p(x) from above (bidirectional Monte Carlo). Of 100 test images, from all over the split, log p(x) is estimated \
by AIS and from 5,000 samples of q(z|x)."
departures="1,000 temperatures, the paper has 10,000: the gap says what they would be worth. Step sizes are found by 4 pilot chains \
that count for nothing, so that the bounds hold exactly."

items() {
    cat <<'END'
simulated images, lower bound | - | - | -
simulated images, upper bound | - | - | -
simulated images, gap | - | - | 0.5
test images, AIS | - | - | -
test images, k = 5000 | - | - | -
test images, AIS + gap minus k = 5000 | - | 0 | -
END
}
. "$reproduce/iwae.sh"

run() {
    local n=100 steps=1000
    [ -z "$smoke" ] || n=10 steps=20
    train_iwae 6/k5 5 --data "$data/mnist-binarized" --binarize threshold
    measure 6/k5 simulated ais --chains 16 --steps $steps --leapfrog 10 --simulate $n
    measure 6/k5 ais ais --chains 16 --steps $steps --leapfrog 10 --count $n --split test --importance 5000
    result "simulated images, lower bound" "$(figure 6/k5.simulated log_p_lower)" 6/k5 simulated
    result "simulated images, upper bound" "$(figure 6/k5.simulated log_p_upper)" 6/k5 simulated
    result "simulated images, gap" "$(figure 6/k5.simulated gap)" 6/k5 simulated
    result "test images, AIS" "$(figure 6/k5.ais log_p_lower)" 6/k5 ais
    result "test images, k = 5000" "$(figure 6/k5.ais log_p_importance)" 6/k5 ais
    result "test images, AIS + gap minus k = 5000" \
        "$(calculate "$(figure 6/k5.ais log_p_lower) + $(figure 6/k5.simulated gap) - ($(figure 6/k5.ais log_p_importance))")" 6/k5 ais
}
