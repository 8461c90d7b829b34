"""inputs.py: what the cases of generate.py and algebra.py are made from: seeded draws, and a gradient as a function."""
import numpy as np
import torch

F32, F64 = torch.float32, torch.float64
INF, NAN = float("inf"), float("nan")


class Draw:
    """Seeded draws, representable in f32, as f64 tensors."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def tensor(self, array):
        return torch.from_numpy(np.asarray(array, dtype=np.float32).astype(np.float64))

    def real(self, *shape, lo=-2.0, hi=2.0):
        return self.tensor(self.rng.uniform(lo, hi, shape))

    def normal(self, *shape, scale=1.0):
        return self.tensor(scale * self.rng.standard_normal(shape))

    def mask(self, *shape):
        return self.tensor(self.rng.integers(0, 2, shape))

    def grid(self, *shape):
        """A few integers: ties and kinks are hit."""
        return self.tensor(self.rng.integers(-1, 2, shape))

    def index(self, n, *shape):
        return torch.from_numpy(self.rng.integers(0, n, shape).astype(np.int64))

    def spd(self, *shape):
        a = self.rng.standard_normal(shape)
        return self.tensor(a @ np.swapaxes(a, -1, -2) + shape[-1] * np.eye(shape[-1]))

    def lower(self, *shape):
        """Well away from singular; what is above the diagonal must not matter."""
        return self.tensor(self.rng.uniform(-1, 1, shape) + 3 * np.eye(shape[-1]))


def values(*v):
    return torch.tensor(v, dtype=F64).to(F32).to(F64)


def grad_of(f):
    """d Σ f(x0, …) / d x0, itself differentiable: cases of second order."""
    def g(x, *rest):
        return torch.autograd.grad(f(x, *rest).sum(), x, create_graph=True)[0]
    return g
