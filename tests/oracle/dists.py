#!/usr/bin/env python3
"""dists.py: what torch.distributions says: log_prob with its gradients, entropy, mean, variance, and KL divergences.

Writes dists.safetensors and brings SHA256SUMS up to date. Names: <row>.param0 …, <row>.x, <row>.logprob, <row>.g0 …
(of the sum of log_prob), <row>.mean …; kl.<q>.<p>.q0 …, .p0 …, .y, .gq0 …. Knows nothing of tapir. Read next:
test_oracle_dists.c.
"""
import torch
from torch import distributions as D

from generate import save, write_sums
from inputs import Draw

TEMPERATURE = 0.7


def affine_twice(mu, logvar, s):
    maps = [D.AffineTransform(s, torch.exp(0.5 * s), event_dim=1),
            D.AffineTransform(s ** 2, torch.exp(-s), event_dim=1)]
    return D.TransformedDistribution(D.Independent(normal(mu, logvar), 1), maps)


def normal(mu, logvar):
    return D.Normal(mu, torch.exp(0.5 * logvar))


def mvn(mu, cholesky):
    return D.MultivariateNormal(mu, scale_tril=torch.tril(cholesky))


MAKE = {
    "normal": normal,
    "bernoulli": lambda a: D.Bernoulli(logits=a),
    "categorical": lambda a: D.Categorical(logits=a),
    "laplace": lambda mu, s: D.Laplace(mu, torch.exp(s)),
    "uniform": D.Uniform,
    "mvn": mvn,
    "relaxed_one_hot": lambda a: D.RelaxedOneHotCategorical(torch.tensor(TEMPERATURE, dtype=torch.float64), logits=a,
                                                            validate_args=False),
    "mixture": lambda mu, logvar, a: D.MixtureSameFamily(D.Categorical(logits=a), normal(mu, logvar)),
    "transformed": affine_twice,
}


def params(name, d):
    if name in ("bernoulli", "categorical", "relaxed_one_hot"):
        return [d.real(5, 4, lo=-4, hi=4)]
    if name == "mvn":
        return [d.real(5, 3), d.lower(5, 3, 3)]
    if name == "uniform":
        low = d.real(5, 4)
        return [low, low + d.real(5, 4, lo=0.5, hi=4).round(decimals=2).float().double()]
    if name == "transformed":
        return [d.real(5, 3), d.real(5, 3), d.real(3)]
    return [d.real(5, 4) for _ in range(3 if name == "mixture" else 2)]


def point(name, d, p):
    """An x: representable in f32 like everything else."""
    if name == "bernoulli":
        return d.mask(5, 4)
    if name == "categorical":
        return d.index(4, 5)
    if name == "uniform":
        return (p[0] + (p[1] - p[0]) * d.real(5, 4, lo=0.1, hi=0.9)).float().double()
    if name == "relaxed_one_hot":
        return torch.softmax(d.real(5, 4), -1).float().double()
    return d.real(*{"mvn": (5, 3), "transformed": (5, 3), "mixture": (5,)}.get(name, (5, 4)))


def put(out, name, d):
    p = [x.requires_grad_() for x in params(name, d)]
    x, dist = point(name, d, [q.detach() for q in p]), MAKE[name](*p)
    logprob = dist.log_prob(x)
    out[f"{name}.x"], out[f"{name}.logprob"] = x, logprob
    grads = torch.autograd.grad(logprob.sum(), p, allow_unused=True)
    for i, (q, g) in enumerate(zip(p, grads)):
        out[f"{name}.param{i}"] = q
        out[f"{name}.g{i}"] = torch.zeros_like(q) if g is None else g
    if name == "categorical":
        out[f"{name}.mean"], out[f"{name}.variance"] = dist.probs, dist.probs * (1 - dist.probs)
    elif name not in ("relaxed_one_hot", "transformed"):
        out[f"{name}.mean"], out[f"{name}.variance"] = dist.mean, dist.variance
    if name not in ("relaxed_one_hot", "transformed", "mixture"):
        out[f"{name}.entropy"] = dist.entropy()


def as_mvn(name, p):
    return MAKE[name](*p) if name == "mvn" else mvn(p[0], torch.diag_embed(torch.exp(0.5 * p[1])))


def put_kl(out, q, p, d):
    shape = (5, 3) if "mvn" in (q, p) else (5, 4)
    a = [x.requires_grad_() for x in (params(q, d) if q in ("mvn", "uniform") or p != "mvn" else [d.real(*shape), d.real(*shape)])]
    b = [x.requires_grad_() for x in (params(p, d) if p != "normal" or q != "mvn" else [d.real(*shape), d.real(*shape)])]
    if (q, p) == ("uniform", "uniform"):
        b = [(a[0] - 1).detach().float().double().requires_grad_(), (a[1] + 0.5).detach().float().double().requires_grad_()]
    make = as_mvn if "mvn" in (q, p) else (lambda name, x: MAKE[name](*x))
    y = D.kl_divergence(make(q, a), make(p, b))
    grads = torch.autograd.grad(y.sum(), a + b)
    out[f"kl.{q}.{p}.y"] = y
    for side, xs, gs in (("q", a, grads[:len(a)]), ("p", b, grads[len(a):])):
        for i, (x, g) in enumerate(zip(xs, gs)):
            out[f"kl.{q}.{p}.{side}{i}"], out[f"kl.{q}.{p}.g{side}{i}"] = x, g


PAIRS = [("normal", "normal"), ("bernoulli", "bernoulli"), ("categorical", "categorical"), ("laplace", "laplace"),
         ("uniform", "uniform"), ("mvn", "mvn"), ("mvn", "normal"), ("normal", "mvn"), ("laplace", "normal"),
         ("uniform", "normal"), ("normal", "laplace")]


def main():
    torch.set_num_threads(1)
    out = {}
    for i, name in enumerate(MAKE):
        put(out, name, Draw(100 + i))
    for i, (q, p) in enumerate(PAIRS):
        put_kl(out, q, p, Draw(200 + i))
    save("dists.safetensors", out)
    write_sums()


if __name__ == "__main__":
    main()
