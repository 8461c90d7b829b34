"""pooling.py: cases of ops.safetensors for windows over images and nearest neighbours. Each is (name, function, inputs).

Read next: generate.py.
"""
import torch
import torch.nn.functional as F

from inputs import F64, INF, NAN, grad_of, values


def unpool(h, w, *window, **more):
    """The adjoint of avg_pool2d, by PyTorch's own gradient of it."""
    def f(y):
        x = torch.zeros(*y.shape[:2], h, w, dtype=F64, requires_grad=True)
        return torch.autograd.grad(F.avg_pool2d(x, *window, **more), x, y, create_graph=True)[0]
    return f


def average(*window, **more):
    return lambda x: F.avg_pool2d(x, *window, **more)


def largest(*window):
    return lambda x: F.max_pool2d(x, *window)


def place(*window):
    return lambda x: F.max_pool2d(x, *window, return_indices=True)[1]


def nearest(*scale):
    return lambda x: F.interpolate(x, scale_factor=scale, mode="nearest")


def pooling(d):
    odd = values(NAN, 1, -INF, -INF, 2, 3, -INF, -INF, INF, 4, 0, -0.0, 5, INF, -0.0, 0).view(1, 1, 4, 4)
    x = lambda: d.real(2, 3, 7, 6)
    yield "avg_pool2d", average(2), [x()]
    yield "avg_pool2d_padded", average(3, 2, 1), [x()]
    yield "avg_pool2d_uneven", average((4, 2), (1, 3), (2, 1)), [x()]
    yield "avg_pool2d_apart", average((1, 2), (3, 4)), [x()]
    yield "avg_pool2d_divisor", average((2, 3), 1, divisor_override=4), [x()]
    yield "avg_pool2d_wide", average((5, 1), (2, 1)), [d.real(1, 2, 9, 40)]
    yield "avg_pool2d_all", average((7, 6)), [x()]
    yield "avg_pool2d_nothing", average(2), [d.real(0, 2, 4, 4)]
    yield "avg_unpool2d", unpool(7, 6, 2), [d.real(2, 3, 3, 3)]
    yield "avg_unpool2d_padded", unpool(7, 6, 3, 2, 1), [d.real(2, 3, 4, 3)]
    yield "avg_unpool2d_uneven", unpool(7, 6, (4, 2), (1, 3), (2, 1)), [d.real(2, 3, 8, 3)]
    yield "avg_unpool2d_divisor", unpool(7, 6, (2, 3), 1, divisor_override=4), [d.real(2, 3, 6, 4)]
    yield "max_pool2d", largest(2), [x()]
    yield "max_pool2d_padded", largest(3, 2, 1), [x()]
    yield "max_pool2d_uneven", largest((4, 2), (1, 3), (2, 1)), [x()]
    yield "max_pool2d_apart", largest((1, 2), (3, 4)), [x()]
    yield "max_pool2d_negative", largest(2, 1, 1), [d.real(1, 2, 3, 3, lo=-3, hi=-1)]
    yield "max_pool2d_ties", largest(3, 1, 1), [d.grid(2, 2, 5, 6)]
    yield "max_pool2d_odd", largest(2), [odd]
    yield "max_pool2d_wide", largest((2, 3), (1, 1)), [d.real(1, 2, 5, 40)]
    yield "argmax_pool2d", place(2), [x()]
    yield "argmax_pool2d_padded", place(3, 2, 1), [x()]
    yield "argmax_pool2d_ties", place((2, 3), 1, 1), [d.grid(2, 2, 5, 6)]
    yield "argmax_pool2d_odd", place(2), [odd]
    yield "upsample_nearest2d", nearest(2, 2), [d.real(2, 3, 4, 5)]
    yield "upsample_nearest2d_uneven", nearest(1, 3), [d.real(2, 2, 3, 2)]
    yield "second_avg_pool2d", grad_of(lambda v: torch.tanh(F.avg_pool2d(v, 3, 2, 1))), [d.real(1, 2, 5, 5)]
    yield "second_max_pool2d", grad_of(lambda v: torch.tanh(F.max_pool2d(v, 3, 2, 1))), [d.real(1, 2, 5, 5)]
    yield "second_upsample_nearest2d", grad_of(lambda v: torch.tanh(nearest(2, 3)(v))), [d.real(1, 2, 3, 2)]


GROUPS = (pooling,)
