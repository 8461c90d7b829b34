# 9.sh: between two bounds: is what the other rows measure near the truth? Read next: iwae.sh, lib.sh.
title="log p(x) between bounds, by annealed importance sampling"
from="Wu, Burda, Salakhutdinov and Grosse, On the Quantitative Analysis of Decoder-Based Generative Models (2017); \
code: tonywu95/eval_gen"
data_needed="mnist-binarized"
cost=3000
gate="upper minus lower at most 0.5 nats on simulated data, from either start; the estimate of 5,000 importance samples not above that of AIS by more"
protocol="The decoder of row 6, k = 5, which is trained if row 6 was not run. As for the paper's table 1: AIS from the prior with \
1,000 temperatures, and AIS from the encoder's q(z|x) with 100. Sigmoid schedule to p(z|x), 10 leapfrog steps a temperature, step \
sizes tuned to an acceptance of 0.65, 16 chains for each image. Of 100 images that the model draws itself a draw from p(z|x) is known, so that chains \
backward bound log p(x) from above (bidirectional Monte Carlo). Of 100 test images, from all over the split, log p(x) is estimated \
by AIS from both starts and from 5,000 samples of q(z|x)."
departures="Where bounds of simulated data are shown, the paper has 10,000 temperatures and 1,000 images of decoders \
of its own; its table 1 has both 1,000 and 10,000 (100 and 1,000 from the encoder), which differ by 0.06 (0.13) nats, and all test \
images. What more temperatures would be worth here is at most the gap, on simulated images; nothing says that it is the same on \
test images. Step sizes are found by 4 pilot chains that count for nothing (the paper adapts them on the \
way), so that the bounds hold exactly."

items() {
    cat <<'END'
simulated images, lower bound | - | - | -
simulated images, upper bound | - | - | -
simulated images, gap | - | - | 0.5
simulated images, gap from the encoder | - | - | 0.5
test images, AIS | - | - | -
test images, AIS from the encoder | - | - | -
test images, k = 5000 | - | - | -
test images, AIS + gap minus k = 5000 | - | 0 | -
END
}
. "$reproduce/iwae.sh"

run() {
    local n=100 steps=1000 near=100 # 7 minutes of two threads, once there is a model
    [ -z "$smoke" ] || n=10 steps=20 near=10
    train_iwae 6/k5 5 --data "$data/mnist-binarized" --binarize threshold
    measure 6/k5 simulated ais --chains 16 --steps $steps --leapfrog 10 --simulate $n
    measure 6/k5 simulated-near ais --chains 16 --steps $near --leapfrog 10 --start posterior --simulate $n
    measure 6/k5 ais ais --chains 16 --steps $steps --leapfrog 10 --count $n --split test
    measure 6/k5 ais-near ais --chains 16 --steps $near --leapfrog 10 --start posterior --count $n --split test --importance 5000
    result "simulated images, lower bound" "$(figure 6/k5.simulated log_p_lower)" 6/k5 simulated
    result "simulated images, upper bound" "$(figure 6/k5.simulated log_p_upper)" 6/k5 simulated
    result "simulated images, gap" "$(figure 6/k5.simulated gap)" 6/k5 simulated
    result "simulated images, gap from the encoder" "$(figure 6/k5.simulated-near gap)" 6/k5 simulated-near
    result "test images, AIS" "$(figure 6/k5.ais log_p_lower)" 6/k5 ais
    result "test images, AIS from the encoder" "$(figure 6/k5.ais-near log_p_lower)" 6/k5 ais-near
    result "test images, k = 5000" "$(figure 6/k5.ais-near log_p_importance)" 6/k5 ais-near
    result "test images, AIS + gap minus k = 5000" "$(calculate "$(figure 6/k5.ais log_p_lower) + \
        $(figure 6/k5.simulated gap) - ($(figure 6/k5.ais-near log_p_importance))")" 6/k5 ais
}
