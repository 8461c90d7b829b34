#!/usr/bin/env python3
"""generate.py: what PyTorch says: values, gradients and trained weights that tapir must agree with.

Writes ops.safetensors, vae.safetensors, adam.safetensors and SHA256SUMS beside itself. Knows nothing of tapir:
every number comes from PyTorch and seeded NumPy draws. Inputs are rounded to f32 first, so that one f64 answer
judges both element types. More ops stand in algebra.py, convolution.py and pooling.py, VAEs of pictures in conv_vae.py,
optimizers in optim.py, layers in layers.py. Read next: README.md, then cases.def, which has tapir's side of every op case.
"""
import hashlib
import json
import pathlib
import struct

import numpy as np
import torch
import torch.nn.functional as F
from torch import distributions as D

import algebra
import conv_vae
import convolution
import pooling
from inputs import F32, F64, INF, Draw, grad_of, values

HERE = pathlib.Path(__file__).resolve().parent


# --- files ----------------------------------------------------------------------------------------

NAMES = {np.dtype("<f8"): "F64", np.dtype("<f4"): "F32", np.dtype("<i8"): "I64"}


def save(name, tensors):
    """8 bytes of header length, the JSON header padded to a multiple of 8, the data."""
    header, blobs, at = {}, [], 0
    for key, value in tensors.items():
        array = np.array(value.detach().numpy(), order="C")
        blob = array.tobytes()
        header[key] = {"dtype": NAMES[array.dtype], "shape": list(array.shape),
                       "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (HERE / name).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def write_sums():
    sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n"
            for p in sorted(HERE.glob("*.safetensors"))]
    (HERE / "SHA256SUMS").write_text("".join(sums))
    print("".join(sums), end="")


# --- ops ------------------------------------------------------------------------------------------

def pad(x, axis, start, step, size):
    shape = list(x.shape)
    shape[axis] = size
    places = torch.arange(start, start + step * x.shape[axis], step)
    return torch.zeros(shape, dtype=x.dtype).index_add(axis, places, x)


def scatter_add(x, index, axis, size):
    shape = list(x.shape)
    shape[axis] = size
    return torch.zeros(shape, dtype=x.dtype).scatter_add(axis, index, x)


def softplus(x):
    return F.softplus(x, threshold=50)  # the default of 20 is wrong in the ninth digit


def gaussian_kl(mu, logvar):
    return 0.5 * (mu * mu + torch.expm1(logvar) - logvar)


def normal(mu, logvar):
    return D.Normal(mu, torch.exp(0.5 * logvar))


def solve(l, b, transposed):
    l = torch.tril(l)
    return torch.linalg.solve_triangular(l.mT if transposed else l, b, upper=transposed)


class StraightThrough(torch.autograd.Function):
    """hard, with the gradient going to soft."""

    @staticmethod
    def forward(ctx, hard, soft):
        return hard.clone()

    @staticmethod
    def backward(ctx, gy):
        return None, gy


def attention(q, k, v):
    return torch.softmax(q @ k.mT * 0.5, -1) @ v


def arithmetic(d):
    yield "add_same", torch.add, [d.real(3, 4), d.real(3, 4)]
    yield "add_row_column", torch.add, [d.real(1, 4), d.real(3, 1)]
    yield "add_scalar", torch.add, [d.real(2, 3), d.real()]
    yield "sub_same", torch.sub, [d.real(3, 4), d.real(3, 4)]
    yield "sub_lead", torch.sub, [d.real(4), d.real(2, 3, 4)]
    yield "mul_same", torch.mul, [d.real(3, 4), d.real(3, 4)]
    yield "mul_middle", torch.mul, [d.real(2, 1, 4), d.real(3, 1)]
    yield "mul_square", lambda x: x * x + x, [d.real(3, 4)]
    yield "div_same", torch.div, [d.real(3, 4), d.real(3, 4, lo=0.5)]
    yield "div_column", torch.div, [d.real(3, 4), d.real(3, 1, lo=0.5)]
    yield "div_scalar_by", torch.div, [d.real(), d.real(5, lo=-3, hi=-0.5)]
    yield "maximum_same", torch.maximum, [d.real(3, 4), d.real(3, 4)]
    yield "maximum_ties", torch.maximum, [d.grid(6, 5), d.grid(6, 5)]
    yield "maximum_row_ties", torch.maximum, [d.grid(4, 5), d.grid(5)]
    yield "minimum_same", torch.minimum, [d.real(3, 4), d.real(3, 1)]
    yield "minimum_ties", torch.minimum, [d.grid(6, 5), d.grid(6, 5)]
    yield "greater", lambda a, b: (a > b).to(F64), [d.grid(4, 5), d.grid(5)]
    yield "where_same", lambda m, a, b: torch.where(m != 0, a, b), \
        [d.mask(3, 4), d.real(3, 4), d.real(3, 4)]
    yield "where_broadcast", lambda m, a, b: torch.where(m != 0, a, b), \
        [d.mask(3, 1), d.real(1, 4), d.real()]
    yield "where_infinite_branch", lambda m, a, b: torch.where(m != 0, a, b), \
        [values(1, 0, 1), values(1, INF, 2), values(-INF, 3, INF)]


def elementwise(d):
    kinks = values(-1.5, -0.5, 0, 0, 0.25, 1, 2)
    extreme = values(-700, -90, -20, -1e-3, 0, 1e-3, 20, 90, 700)
    small = values(-1e-3, -1e-6, -1e-9, 0, 1e-9, 1e-6, 1e-3)
    yield "neg", torch.neg, [d.real(3, 4)]
    yield "abs_kink", torch.abs, [kinks]
    yield "affine", lambda x: -1.5 * x + 0.25, [d.real(3, 4)]
    yield "square", torch.square, [d.real(3, 4)]
    yield "sqrt", torch.sqrt, [d.real(3, 4, lo=0.3, hi=3)]
    yield "exp", torch.exp, [d.real(3, 4, lo=-5, hi=5)]
    yield "expm1", torch.expm1, [d.real(3, 4)]
    yield "expm1_small", torch.expm1, [small]
    yield "log", torch.log, [d.real(3, 4, lo=1e-3, hi=50)]
    yield "log1p", torch.log1p, [d.real(3, 4, lo=-0.9, hi=9)]
    yield "log1p_small", torch.log1p, [small]
    yield "sigmoid", torch.sigmoid, [d.real(3, 4, lo=-6, hi=6)]
    yield "sigmoid_extreme", torch.sigmoid, [extreme]
    yield "tanh", torch.tanh, [d.real(3, 4, lo=-3, hi=3)]
    yield "tanh_extreme", torch.tanh, [extreme]
    yield "relu_kink", torch.relu, [kinks]
    yield "relu", torch.relu, [d.real(4, 5)]
    yield "softplus", softplus, [d.real(3, 4, lo=-8, hi=8)]
    yield "softplus_extreme", softplus, [extreme]
    yield "clamp", lambda x: torch.clamp(x, -1, 0.5), [d.real(4, 5)]
    yield "clamp_edge", lambda x: torch.clamp(x, -0.5, 1), [kinks]
    yield "inside", lambda x: ((x >= -0.5) & (x <= 1)).to(F64), [kinks]


def reductions(d):
    x = lambda: d.real(2, 3, 4)
    lse = torch.logsumexp
    yield "sum_all", torch.sum, [x()]
    yield "sum_first", lambda v: v.sum(0), [x()]
    yield "sum_two_keep", lambda v: v.sum((0, 2), keepdim=True), [x()]
    yield "sum_last_negative", lambda v: v.sum(-1), [x()]
    yield "mean_all", torch.mean, [x()]
    yield "mean_middle", lambda v: v.mean(1), [x()]
    yield "mean_two_keep", lambda v: v.mean((0, 2), keepdim=True), [x()]
    yield "logsumexp_all", lambda v: lse(v, (0, 1, 2)), [x()]
    yield "logsumexp_last", lambda v: lse(v, -1), [x()]
    yield "logsumexp_first_keep", lambda v: lse(v, 0, keepdim=True), [x()]
    yield "logsumexp_large", lambda v: lse(v, 1), [values(1000, 1000, 1000, -1000).view(2, 2)]
    yield "logsumexp_infinite", lambda v: lse(v, 1), [values(1, -INF, 2, -INF, 3, 4).view(2, 3)]
    yield "log_softmax_last", lambda v: F.log_softmax(v, -1), [d.real(3, 4)]
    yield "log_softmax_middle", lambda v: F.log_softmax(v, 1), [x()]
    yield "log_softmax_large", lambda v: F.log_softmax(v, 1), [values(1000, -1000, 3, 4).view(2, 2)]
    yield "softmax", lambda v: torch.softmax(v, 0), [d.real(3, 4)]


def matrices(d):
    chol = lambda x: torch.linalg.cholesky((x + x.mT) / 2)
    yield "matmul", torch.matmul, [d.real(3, 5), d.real(5, 4)]
    yield "matmul_outer", torch.matmul, [d.real(7, 1), d.real(1, 6)]
    yield "matmul_inner", torch.matmul, [d.real(1, 9), d.real(9, 1)]
    yield "matmul_larger", torch.matmul, [d.real(33, 19), d.real(19, 17)]
    yield "matmul_batch", torch.matmul, [d.real(2, 3, 5), d.real(2, 5, 4)]
    yield "matmul_shared", torch.matmul, [d.real(2, 3, 5), d.real(5, 4)]
    yield "matmul_batch_broadcast", torch.matmul, [d.real(2, 1, 3, 2), d.real(3, 2, 4)]
    yield "matmul_gram", lambda x: x @ x.mT, [d.real(4, 3)]
    yield "linear", F.linear, [d.real(4, 5), d.real(3, 5), d.real(3)]
    yield "linear_larger", F.linear, [d.real(17, 33), d.real(35, 33), d.real(35)]
    yield "linear_lead", F.linear, [d.real(2, 3, 5), d.real(4, 5), d.real(4)]
    yield "cholesky", chol, [d.spd(3, 3)]
    yield "cholesky_batch", chol, [d.spd(2, 4, 4)]
    yield "triangular_solve", lambda l, b: solve(l, b, False), [d.lower(3, 3), d.real(3, 2)]
    yield "triangular_solve_transposed", lambda l, b: solve(l, b, True), [d.lower(4, 4), d.real(4, 2)]
    yield "triangular_solve_batch", lambda l, b: solve(l, b, False), [d.lower(3, 3), d.real(2, 3, 2)]
    yield "tril", torch.tril, [d.real(3, 3)]
    yield "tril_wide", lambda x: torch.tril(x, 1), [d.real(2, 3, 5)]


def rearranging(d):
    take = torch.gather
    yield "reshape", lambda x: x.reshape(2, 6), [d.real(3, 4)]
    yield "permute", lambda x: x.permute(2, 0, 1), [d.real(2, 3, 4)]
    yield "transpose", lambda x: x.mT, [d.real(2, 3, 4)]
    yield "expand", lambda x: x.expand(2, 3, 4), [d.real(3, 1)]
    yield "slice", lambda x: x[:, 1:3], [d.real(3, 5)]
    yield "slice_step", lambda x: x[1::2], [d.real(6, 2)]
    yield "slice_backward", lambda x: x.flip(1)[:, ::2], [d.real(2, 5)]
    yield "pad", lambda x: pad(x, 1, 1, 1, 6), [d.real(2, 3)]
    yield "pad_step", lambda x: pad(x, 0, 1, 2, 7), [d.real(3, 2)]
    yield "concat_rows", lambda a, b: torch.cat((a, b), 0), [d.real(2, 3), d.real(1, 3)]
    yield "concat_three", lambda a, b, c: torch.cat((a, b, c), 1), \
        [d.real(2, 1), d.real(2, 3), d.real(2, 2)]
    yield "concat_twice", lambda a: torch.cat((a, a), -1), [d.real(2, 3)]
    yield "gather_columns", lambda x, i: take(x, 1, i), [d.real(3, 5), d.index(5, 3, 4)]
    yield "gather_rows_fewer", lambda x, i: take(x, 0, i), [d.real(4, 5), d.index(4, 6, 3)]
    yield "scatter_add_columns", lambda x, i: scatter_add(x, i, 1, 4), [d.real(3, 6), d.index(4, 3, 6)]
    yield "scatter_add_rows", lambda x, i: scatter_add(x, i, 0, 3), [d.real(5, 2), d.index(3, 5, 2)]
    yield "detach", lambda x: x * x.detach(), [d.real(3, 4)]


def distributions(d):
    bce = lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none")
    yield "reparameterize", lambda m, v, e: m + torch.exp(0.5 * v) * e, \
        [d.real(3, 4), d.real(3, 4), d.normal(3, 4)]
    yield "gaussian_kl", gaussian_kl, [d.real(3, 4), d.real(3, 4)]
    yield "gaussian_kl_wide", gaussian_kl, [values(0, 3, 0, 0), values(1, -2, -100, 20)]
    yield "bce_with_logits", bce, [d.real(3, 4, lo=-5, hi=5), d.real(3, 4, lo=0, hi=1)]
    yield "bce_with_logits_bits", bce, [d.real(4, 5, lo=-5, hi=5), d.mask(4, 5)]
    yield "bce_with_logits_large", bce, [values(-100, 100, 1000, -30, 30), values(1, 0, 0.5, 0, 1)]
    yield "normal_logprob", lambda m, v, x: normal(m, v).log_prob(x).sum(-1), \
        [d.real(3, 4), d.real(3, 4), d.real(3, 4)]
    yield "normal_fixed_logprob", lambda m, x: D.Normal(m, np.exp(0.35)).log_prob(x).sum(-1), \
        [d.real(3, 4), d.real(3, 4)]
    yield "normal_kl_std", lambda m, v: D.kl_divergence(normal(m, v), D.Normal(0.0, 1.0)).sum(-1), \
        [d.real(3, 4), d.real(3, 4)]
    yield "bernoulli_logprob", \
        lambda x, t: D.Bernoulli(logits=x, validate_args=False).log_prob(t).sum(-1), \
        [d.real(3, 4, lo=-5, hi=5), d.real(3, 4, lo=0, hi=1)]
    yield "attention", attention, [d.real(2, 3, 4), d.real(2, 5, 4), d.real(2, 5, 3)]


def second_order(d):
    chol = lambda x: torch.linalg.cholesky((x + x.mT) / 2)
    yield "second_tanh", grad_of(torch.tanh), [d.real(3, 4)]
    yield "second_mul", grad_of(lambda x, y: x * x * y), [d.real(3, 4), d.real(4)]
    yield "second_div", grad_of(lambda x, y: y / x), [d.real(3, 4, lo=0.5), d.real(3, 1)]
    yield "second_log_softmax", grad_of(lambda x: torch.tanh(F.log_softmax(x, 1))), [d.real(3, 4)]
    yield "second_logsumexp", grad_of(lambda x: torch.logsumexp(x, 1)), [d.real(3, 4)]
    yield "second_softplus", grad_of(lambda x: torch.sigmoid(softplus(x))), [d.real(3, 4)]
    yield "second_linear", grad_of(lambda x, w, b: torch.tanh(F.linear(x, w, b))), \
        [d.real(2, 4), d.real(3, 4), d.real(3)]
    yield "second_cholesky", grad_of(lambda x: torch.tanh(chol(x))), [d.spd(3, 3)]
    yield "second_gather", grad_of(lambda x, i: torch.exp(torch.gather(x, 1, i))), \
        [d.real(3, 4), d.index(4, 3, 4)]
    yield "second_gaussian_kl", grad_of(lambda v, m: torch.square(gaussian_kl(m, v))), \
        [d.real(3, 4), d.real(3, 4)]
    yield "second_bce", \
        grad_of(lambda x, t: torch.square(F.binary_cross_entropy_with_logits(x, t, reduction="none"))), \
        [d.real(3, 4), d.real(3, 4, lo=0, hi=1)]


def wider(d):
    """Cases of later rows, at the end: the draws of the others stay what they were."""
    yield "linear_relu", lambda x, w, b: torch.relu(F.linear(x, w, b)), \
        [d.real(4, 5), d.real(3, 5), d.real(3)]
    yield "linear_relu_larger", lambda x, w, b: torch.relu(F.linear(x, w, b)), \
        [d.real(17, 33), d.real(35, 33), d.real(35)]
    yield "pow", torch.pow, [d.real(3, 4, lo=0.3, hi=3), d.real(3, 4)]
    yield "pow_row_column", torch.pow, [d.real(1, 4, lo=0.3, hi=3), d.real(3, 1)]
    yield "greater_equal", lambda a, b: torch.ge(a, b).to(F64), [d.grid(4, 5), d.grid(5)]
    yield "sin", torch.sin, [d.real(3, 4, lo=-20, hi=20)]
    yield "cos", torch.cos, [d.real(3, 4, lo=-20, hi=20)]
    yield "erf", torch.erf, [d.real(3, 4)]
    yield "erfc", torch.erfc, [d.real(3, 4, lo=-2, hi=4)]
    yield "max_last", lambda x: torch.amax(x, -1), [d.real(3, 5)]
    yield "max_two_keep_ties", lambda x: torch.amax(x, (0, 2), keepdim=True), [d.grid(2, 3, 4)]
    yield "argmax", lambda x: torch.argmax(x, 1), [d.real(3, 5)]
    yield "argmax_first_keep", lambda x: torch.argmax(x, 0, keepdim=True), [d.real(4, 3)]
    yield "cumsum", lambda x: torch.cumsum(x, 1), [d.real(3, 5)]
    yield "cumsum_first", lambda x: torch.cumsum(x, 0), [d.real(4, 2, 3)]
    yield "straight_through", StraightThrough.apply, [d.mask(3, 4), d.real(3, 4)]
    yield "round", lambda x: torch.round(x).detach(), [torch.cat((d.real(5, lo=-9, hi=9), values(0.5, 1.5, -2.5)))]


# What gets no gradient in tapir, by the start of the name: masks, indices, targets.
DATA_INPUTS = {"where": (0,), "gather": (1,), "scatter": (1,), "bce": (1,), "bernoulli": (1,),
               "straight": (0,), "second_gather": (1,), "second_bce": (1,)}


def data_inputs(name):
    return next((at for start, at in DATA_INPUTS.items() if name.startswith(start)), ())


def op_cases():
    groups = (arithmetic, elementwise, reductions, matrices, rearranging, distributions, second_order,
              wider)
    for seed, group in enumerate(groups + algebra.GROUPS + convolution.GROUPS + pooling.GROUPS):
        d = Draw([2013, seed])
        for name, f, inputs, *data in group(d):
            yield name, f, inputs, data[0] if data else data_inputs(name), d


def write_ops():
    out = {}
    for name, f, inputs, data, d in op_cases():
        wrt = [i for i, x in enumerate(inputs) if x.dtype == F64 and i not in data]
        for i in wrt:
            inputs[i].requires_grad_(True)
        y = f(*inputs)
        assert name + ".y" not in out, name
        for i, x in enumerate(inputs):
            out[f"{name}.x{i}"] = x
        out[f"{name}.y"] = y
        if not y.requires_grad:
            continue
        gy = d.normal(*y.shape)
        grads = torch.autograd.grad(y, [inputs[i] for i in wrt], gy, allow_unused=True)
        out[f"{name}.gy"] = gy
        for i, g in zip(wrt, grads):
            out[f"{name}.g{i}"] = g if g is not None else torch.zeros_like(inputs[i])
    save("ops.safetensors", out)


# --- the variational autoencoder ------------------------------------------------------------------

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "softplus": softplus}


class Vae:
    """Plain functions over a dict of weights under the names that torch.nn.Sequential would give."""

    def __init__(self, sizes, activation, likelihood, beta=1.0):
        self.sizes, self.activation = sizes, ACTIVATIONS[activation]
        self.likelihood, self.beta = likelihood, beta

    def init(self, d, scale):
        down = self.sizes[:-1]
        up = self.sizes[::-1]
        layers = [(f"encoder.{2 * i}", a, b) for i, (a, b) in enumerate(zip(down, down[1:]))]
        layers += [("mu", down[-1], up[0]), ("logvar", down[-1], up[0])]
        layers += [(f"decoder.{2 * i}", a, b) for i, (a, b) in enumerate(zip(up, up[1:]))]
        w = {}
        for name, a, b in layers:
            w[name + ".weight"] = d.real(b, a, lo=-scale / a ** 0.5, hi=scale / a ** 0.5)
            w[name + ".bias"] = d.real(b, lo=-scale / a ** 0.5, hi=scale / a ** 0.5)
        return w

    def mlp(self, w, name, layers, x, last):
        for i in range(layers):
            x = F.linear(x, w[f"{name}.{2 * i}.weight"], w[f"{name}.{2 * i}.bias"])
            x = self.activation(x) if last or i + 1 < layers else x
        return x

    def loss(self, w, x, eps):
        n = len(self.sizes) - 2
        h = self.mlp(w, "encoder", n, x, True)
        mu = F.linear(h, w["mu.weight"], w["mu.bias"])
        logvar = F.linear(h, w["logvar.weight"], w["logvar.bias"])
        z = mu + torch.exp(0.5 * logvar) * eps
        y = self.mlp(w, "decoder", n + 1, z, False)
        if self.likelihood == "bernoulli":
            recon = F.binary_cross_entropy_with_logits(y, x, reduction="sum") / len(x)
        else:
            recon = -D.Normal(torch.sigmoid(y), torch.ones_like(y)).log_prob(x).sum() / len(x)
        kl = -0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp()) / len(x)
        return recon + self.beta * kl, recon, kl


VAE_CASES = {
    "relu_bernoulli": Vae((20, 16, 4), "relu", "bernoulli"),
    "relu_gaussian": Vae((20, 16, 4), "relu", "gaussian"),
    "tiny_bernoulli": Vae((3, 4, 2), "tanh", "bernoulli"),
    "tiny_gaussian": Vae((3, 4, 2), "tanh", "gaussian", beta=4.0),
    "deep_bernoulli": Vae((20, 12, 7, 4), "softplus", "bernoulli", beta=0.5),
    **conv_vae.CASES,
}


def write_vae():
    out = {}
    for seed, (name, model) in enumerate(VAE_CASES.items()):
        d = Draw([2014, seed])
        w = model.init(d, scale=2.0)
        x = d.real(9, model.sizes[0], lo=0, hi=1)
        eps = d.normal(9, model.sizes[-1])
        out.update({f"{name}.w.{k}": v for k, v in w.items()})
        out.update({f"{name}.x": x, f"{name}.eps": eps})
        for dtype, tag in ((F64, "f64"), (F32, "f32")):
            leaves = {k: v.clone().to(dtype).detach().requires_grad_(True) for k, v in w.items()}
            parts = model.loss(leaves, x.to(dtype), eps.to(dtype))
            parts[0].backward()
            for part, value in zip(("loss", "recon", "kl"), parts):
                out[f"{name}.{tag}.{part}"] = value
            out.update({f"{name}.{tag}.g.{k}": v.grad for k, v in leaves.items()})
    save("vae.safetensors", out)


# --- optimizers -----------------------------------------------------------------------------------

TRAINED = Vae((12, 10, 3), "relu", "bernoulli")
BATCH = 8
RUNS = {
    "adam": (200, lambda p: torch.optim.Adam(p)),
    "sgd": (20, lambda p: torch.optim.SGD(p, lr=1e-2)),
    "momentum": (20, lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9)),
}


def train(w, x, eps, steps, make, dtype):
    leaves = {k: v.clone().to(dtype).detach().requires_grad_(True) for k, v in w.items()}
    x, eps = x.to(dtype), eps.to(dtype)
    optimizer = make(list(leaves.values()))
    losses = []
    for step in range(steps):
        first = step * BATCH % len(x)
        optimizer.zero_grad()
        loss = TRAINED.loss(leaves, x[first:first + BATCH], eps[step])[0]
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return leaves, torch.stack(losses)


def write_adam():
    d = Draw([2015])
    w = TRAINED.init(d, scale=1.0)
    x = d.real(5 * BATCH, TRAINED.sizes[0], lo=0, hi=1)
    eps = d.normal(max(steps for steps, _ in RUNS.values()), BATCH, TRAINED.sizes[-1])
    out = {"x": x, "eps": eps}
    out.update({f"w.{k}": v for k, v in w.items()})
    for run, (steps, make) in RUNS.items():
        for dtype, tag in ((F64, "f64"), (F32, "f32")):
            leaves, losses = train(w, x, eps, steps, make, dtype)
            out[f"{run}.{tag}.losses"] = losses
            if dtype == F64:
                out.update({f"{run}.w.{k}": v for k, v in leaves.items()})
    save("adam.safetensors", out)


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    write_ops()
    write_vae()
    write_adam()
    write_sums()


if __name__ == "__main__":
    main()
