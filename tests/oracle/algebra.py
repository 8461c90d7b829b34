"""algebra.py: cases of ops.safetensors for the wider algebra: powers, error functions, reductions with ties, activations,
losses, classes, comparisons, and ways to rearrange. Each is (name, function, inputs[, inputs without gradient]).

Where PyTorch's own formula loses digits another stands here, and SciPy has to agree with it. Read next: generate.py.
"""
import numpy as np
import scipy.special
import torch
import torch.nn.functional as F

from inputs import F64, INF, NAN, grad_of, values


def agreed(y, x, f):
    """y, if SciPy's f(x) is the same to the last digits."""
    want = f(x.detach().numpy())
    assert np.allclose(y.detach().numpy(), want, rtol=2e-14, atol=0), (y, want)
    return y


def erfc(x):
    return agreed(torch.erfc(x), x, scipy.special.erfc)


def gelu(x):  # F.gelu cancels in the left tail
    return agreed(x * torch.erfc(-x * 0.5 ** 0.5) / 2, x, lambda v: v * scipy.special.ndtr(v))


def log_cosh(x, t):
    d = x - t
    return torch.log1p(2 * torch.square(torch.sinh(d / 2)))


def cross_entropy(x, t):
    return F.cross_entropy(x.movedim(-1, 1), t, reduction="none")


def squared_distance(x, y):
    return torch.square(x.unsqueeze(-2) - y.unsqueeze(-3)).sum(-1)


def logdet(x):
    return torch.logdet((x + x.mT) / 2)


def straight_through(hard, soft):
    return soft + (hard - soft).detach()


def hard_softmax(x):
    soft = torch.softmax(x / 0.5, -1)
    return straight_through(F.one_hot(x.argmax(-1), x.shape[-1]).to(F64), soft)


def one(f):
    """A comparison as 1 and 0, without gradient."""
    return lambda *x: f(*x).to(F64).detach()


def functions(d):
    small = values(-1e-3, -1e-6, -1e-9, 0, 1e-9, 1e-6, 1e-3)
    yield "pow_scalars", torch.pow, [d.real(lo=0.2, hi=3), d.real()]
    yield "pow_whole", torch.pow, [d.real(4, 5), d.tensor(d.rng.integers(-3, 4, (4, 5)))], (1,)
    yield "pow_of_zero", torch.pow, [values(0, 0, 0, 0), values(0, 1, 2, 3)]
    yield "pow_scalar_cube", lambda x: x ** 3, [d.real(3, 4)]
    yield "pow_scalar_fraction", lambda x: x ** -1.5, [d.real(3, 4, lo=0.3, hi=3)]
    yield "reciprocal", torch.reciprocal, [values(-1e3, -2, -1e-3, 1e-3, 0.5, 3)]
    yield "rsqrt", torch.rsqrt, [d.real(3, 4, lo=1e-3, hi=9)]
    yield "sin_small", torch.sin, [small]
    yield "sin_of_large", torch.sin, [values(-1e5, -1e3, 100, 1e4)]
    yield "cos_of_large", torch.cos, [values(-1e5, -1e3, 100, 1e4)]
    yield "erf_small", torch.erf, [small]
    yield "erf_extreme", torch.erf, [values(-INF, -30, -6, 6, 30, INF)]
    yield "erfc_tail", erfc, [values(2, 3, 4.5, 6, 8, 9)]
    yield "erfc_far", erfc, [values(12, 20, 26)]
    yield "scalar", lambda x: 0.375 * x, [d.real(3, 4)]
    yield "shift", lambda x: x + 2.5, [d.real(3, 4)]
    yield "zeros_like", one(torch.zeros_like), [d.real(2, 3)]
    yield "ones_like", one(torch.ones_like), [d.real(2, 3)]
    yield "round_halves", one(torch.round), [values(-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49, -7.51, 1e6)]
    yield "straight_through_round", lambda x: straight_through(x.round(), x), [d.real(3, 4, lo=-4, hi=4)], ()


def over_axes(d):
    x = lambda: d.real(2, 3, 4)
    var, norm = torch.var, torch.linalg.vector_norm
    yield "max_all", torch.amax, [x()]
    yield "max_two_keep", lambda v: v.amax((0, 2), keepdim=True), [x()]
    yield "max_ties", lambda v: v.amax(1), [d.grid(4, 6)]
    yield "max_infinite", lambda v: v.amax(1), [values(-INF, -INF, 1, INF, INF, 2).view(2, 3)]
    yield "argmax_last_negative", lambda v: v.argmax(-1), [x()]
    yield "argmax_ties", lambda v: v.argmax(1), [d.grid(5, 7)]
    yield "cumsum_middle", lambda v: v.cumsum(1), [x()]
    yield "cumsum_long", lambda v: v.cumsum(1), [d.real(2, 400)]
    yield "cumsum_nothing", lambda v: v.cumsum(0), [d.real(0, 3)]
    yield "sum_nothing", lambda v: v.sum(0), [d.real(0, 3)]
    yield "min_all", torch.amin, [x()]
    yield "min_two_keep", lambda v: v.amin((-1, 0), keepdim=True), [x()]
    yield "min_ties", lambda v: v.amin(1), [d.grid(4, 6)]
    yield "argmin_middle", lambda v: v.argmin(1), [x()]
    yield "argmin_ties", lambda v: v.argmin(-1, keepdim=True), [d.grid(5, 7)]
    yield "norm_all", norm, [x()]
    yield "norm_last_negative", lambda v: norm(v, dim=-1), [x()]
    yield "norm_two_keep", lambda v: norm(v, dim=(0, 2), keepdim=True), [x()]
    yield "norm_of_zero", lambda v: norm(v, dim=1), [values(0, 0, 3, 4, 0, -2).view(3, 2)]
    yield "norm_large_small", lambda v: norm(v, dim=1), [values(3e30, 4e30, 3e-30, -4e-30).view(2, 2)]
    yield "keep_axes", lambda v: v.sum((0, 2), keepdim=True), [x()]
    yield "sum_to", lambda v: v.sum_to_size(3, 1), [x()]
    yield "variance_all", lambda v: var(v, (0, 1, 2), correction=0), [x()]
    yield "variance_last", lambda v: var(v, -1, correction=1), [x()]
    yield "variance_two_keep", lambda v: var(v, (0, 2), correction=0, keepdim=True), [x()]
    yield "variance_off_centre", lambda v: var(v, 0, correction=1), [d.real(9, 2, lo=7, hi=9)]


def comparisons(d):
    a, b = values(1, NAN, 2, INF, -INF, 0, NAN), values(2, 1, 1, INF, INF, -0.0, NAN)
    for name, f in (("less", torch.lt), ("less_equal", torch.le), ("equal", torch.eq),
                    ("not_equal", torch.ne), ("greater_equal", torch.ge)):
        yield name + "_broadcast", one(f), [d.grid(4, 1), d.grid(5)]
        yield name + "_extreme", one(f), [a, b]
    yield "logical_and", one(torch.logical_and), [d.grid(4, 5), d.grid(5)]
    yield "logical_or", one(torch.logical_or), [d.grid(4, 5), d.grid(4, 1)]
    yield "logical_xor", one(torch.logical_xor), [d.grid(4, 5), d.grid()]
    yield "logical_not", one(torch.logical_not), [d.grid(4, 5)]
    yield "sign", one(torch.sign), [values(-INF, -2, -0.0, 0, 1e-30, 3, INF)]


def activations(d):
    kinks = values(-1.5, -0.5, 0, 0, 0.25, 1, 2)
    extreme = values(-700, -90, -20, -1e-3, 0, 1e-3, 20, 90, 700)
    yield "logsigmoid", F.logsigmoid, [d.real(3, 4, lo=-8, hi=8)]
    yield "logsigmoid_tails", F.logsigmoid, [values(-700, -90, -20, -1e-3, 0, 1e-3, 5, 20, 36)]
    yield "leaky_relu", lambda x: F.leaky_relu(x, 0.125), [kinks]
    yield "elu", lambda x: F.elu(x, 1.5), [kinks]
    yield "elu_extreme", F.elu, [extreme]
    yield "gelu", gelu, [d.real(3, 4, lo=-4, hi=4)]
    yield "gelu_tail", gelu, [values(-6, -5.5, -5, -4, -3)]
    yield "silu", F.silu, [d.real(3, 4, lo=-6, hi=6)]
    yield "silu_extreme", F.silu, [extreme]


def losses(d):
    huber = lambda x, t: F.huber_loss(x, t, reduction="none", delta=0.75)
    ce = cross_entropy
    near = d.real(3, 4)
    yield "squared_error", lambda x, t: torch.square(x - t), [d.real(3, 4), d.real(3, 4)]
    yield "mse", F.mse_loss, [d.real(3, 4), d.real(3, 4)]
    yield "l1", lambda x, t: F.l1_loss(x, t, reduction="none"), [d.grid(4, 5), d.grid(4, 5)]
    yield "huber", huber, [d.real(4, 5), d.real(4, 5)]
    yield "huber_edges", huber, [values(-3, -0.75, -0.5, 0, 0.5, 0.75, 3), torch.zeros(7, dtype=F64)]
    yield "log_cosh", log_cosh, [d.real(3, 4), d.real(3, 4)]
    yield "log_cosh_near", log_cosh, [near, near + values(0, 2 ** -20, -2 ** -16, 2 ** -12)]
    yield "log_cosh_far", log_cosh, [values(-600, -40, 40, 600), values(0, 1, -1, 0)]
    yield "cross_entropy", ce, [d.real(4, 5), d.index(5, 4)]
    yield "cross_entropy_lead", ce, [d.real(2, 3, 4), d.index(4, 2, 3)]
    yield "cross_entropy_large", ce, [values(1000, -1000, 0, 3, 2, 1).view(2, 3),
                                      torch.tensor([1, 0])]
    yield "softmax_nothing", lambda v: torch.softmax(v, -1), [d.real(0, 3)]
    yield "softmax_large", lambda v: torch.softmax(v, -1), [values(1000, 999, -1000, 5, 5, 5).view(2, 3)]
    yield "gumbel_softmax", lambda v: torch.softmax(v / 0.5, -1), [d.real(4, 5)]
    yield "gumbel_softmax_hard", hard_softmax, [d.real(4, 5)]
    yield "one_hot", lambda i: F.one_hot(i, 5).to(F64), [d.index(5, 2, 3)]


def shapes(d):
    yield "diag", torch.diag_embed, [d.real(2, 3)]
    yield "diagonal_above", lambda x: torch.diagonal(x, 1, -2, -1), [d.real(2, 3, 5)]
    yield "diagonal_below", lambda x: torch.diagonal(x, -2, -2, -1), [d.real(4, 3)]
    yield "triu", torch.triu, [d.real(3, 4)]
    yield "triu_below", lambda x: torch.triu(x, -1), [d.real(2, 4, 3)]
    yield "logdet", logdet, [d.spd(3, 3)]
    yield "logdet_batch", logdet, [d.spd(2, 4, 4)]
    yield "squared_distance", squared_distance, [d.real(4, 3), d.real(5, 3)]
    yield "squared_distance_batch", squared_distance, [d.real(2, 1, 4, 3), d.real(3, 2, 3)]
    yield "matmul_nothing", torch.matmul, [d.real(2, 0), d.real(0, 3)]
    yield "squeeze", lambda x: x.squeeze(-2), [d.real(2, 1, 3)]
    yield "unsqueeze", lambda x: x.unsqueeze(-1), [d.real(2, 3)]
    yield "flip", lambda x: x.flip(-1), [d.real(2, 3)]
    yield "stack_middle", lambda *x: torch.stack(x, 1), [d.real(2, 3), d.real(2, 3), d.real(2, 3)]
    yield "stack_last", lambda *x: torch.stack(x, -1), [d.real(2, 3), d.real(2, 3)]
    yield "split", lambda x: torch.split(x, (1, 3, 2), 1)[1], [d.real(2, 6)]
    yield "pad_constant", lambda x: F.pad(x, (2, 1), value=-1.5), [d.real(2, 3)]
    yield "pad_constant_first", lambda x: F.pad(x, (0, 0, 1, 3)), [d.real(2, 3)]
    yield "tile", lambda x: x.tile(1, 3), [d.real(2, 3)]
    yield "repeat", lambda x: x.repeat_interleave(2, 0), [d.real(2, 3)]
    yield "index_select", lambda x, i: x.index_select(0, i), [d.real(4, 3), d.index(4, 6)]
    yield "index_select_last", lambda x, i: x.index_select(-1, i), [d.real(2, 3, 4), d.index(4, 3)]
    yield "embedding", lambda w, i: F.embedding(i, w), [d.real(5, 3), d.index(5, 2, 4)]


def twice(d):
    """Second order: the first gradient is the value, its gradient is the answer."""
    cases = {
        "pow": (torch.pow, [d.real(3, 4, lo=0.3, hi=3), d.real(4)]),
        "pow_scalar": (lambda x: x ** -1.5, [d.real(3, 4, lo=0.3, hi=3)]),
        "reciprocal": (torch.reciprocal, [d.real(3, 4, lo=0.3, hi=3)]),
        "rsqrt": (torch.rsqrt, [d.real(3, 4, lo=0.3, hi=3)]),
        "sin": (torch.sin, [d.real(3, 4)]),
        "cos": (torch.cos, [d.real(3, 4)]),
        "erf": (torch.erf, [d.real(3, 4)]),
        "erfc": (torch.erfc, [d.real(3, 4)]),
        "logsigmoid": (F.logsigmoid, [d.real(3, 4)]),
        "elu": (lambda x: F.elu(x, 1.5), [d.real(3, 4)]),
        "gelu": (lambda x: x * (1 + torch.erf(x * 0.5 ** 0.5)) / 2, [d.real(3, 4)]),
        "silu": (F.silu, [d.real(3, 4)]),
        "log_cosh": (log_cosh, [d.real(3, 4), d.real(3, 4)]),
        "cumsum": (lambda x: torch.tanh(x.cumsum(1)), [d.real(3, 4)]),
        "max": (lambda x: torch.tanh(x.amax(1)), [d.real(3, 4)]),
        "variance": (lambda x: torch.sqrt(torch.var(x, 1)), [d.real(3, 4)]),
        "norm": (lambda x: torch.exp(torch.linalg.vector_norm(x, dim=1)), [d.real(3, 4)]),
        "logdet": (logdet, [d.spd(3, 3)]),
        "squared_distance": (lambda x, y: torch.exp(-squared_distance(x, y)), [d.real(3, 2), d.real(4, 2)]),
        "softmax": (lambda x: torch.square(torch.softmax(x, -1)), [d.real(3, 4)]),
        "linear_relu": (lambda x, w, b: torch.square(F.relu(F.linear(x, w, b))),
                        [d.real(2, 4), d.real(3, 4), d.real(3)]),
    }
    for name, (f, inputs) in cases.items():
        yield "second_" + name, grad_of(f), inputs
    yield "second_cross_entropy", grad_of(cross_entropy), [d.real(4, 5), d.index(5, 4)]


GROUPS = (functions, over_axes, comparisons, activations, losses, shapes, twice)
