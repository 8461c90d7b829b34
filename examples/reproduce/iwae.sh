# iwae.sh: the IWAE of rows 6, 7 and 9: for sourcing by them.

# train_iwae NAME K FLAGS...
train_iwae() {
    local name=$1 k=$2
    shift 2
    train "$name" "$@" --model iwae --set samples="$k" --hidden 200,200 --latent-dim 50 --activation tanh \
        --init glorot --output-bias mean --optimizer adam,beta1=0.99,eps=5e-6 --batch-size 100 --lr 1e-3 \
        --schedule exponential,gamma=0.99235 --keep best --epochs 300
}
