"""convolution.py: cases of ops.safetensors for convolution in two dimensions, its transpose and its gradient by the
kernel. Height and width differ in nearly all, so that neither can be taken for the other.

PyTorch's own function for the gradient by the kernel is not asked: it is what autograd says of conv2d, once more
differentiable. Read next: generate.py.
"""
import torch
import torch.nn.functional as F

from inputs import grad_of

PLAIN = {}
ENCODER = {"stride": 2, "padding": 1}
ODD = {"stride": (3, 1), "padding": (1, 2), "dilation": (2, 1)}
DILATED = {"dilation": (3, 2)}
HALVES = {"groups": 2, "padding": (1, 0)}
APART = {"groups": 3, "stride": (1, 2), "padding": 1}
SPARSE = {"stride": (2, 3)}
WIDE = {"padding": (3, 2), "stride": (1, 2)}


def conv(options):
    return lambda x, w: F.conv2d(x, w, **options)


def transposed(options):
    return lambda x, w: F.conv_transpose2d(x, w, **options)


def weight(options, *shape):
    def of(x, y):
        w = torch.zeros(shape, dtype=x.dtype, requires_grad=True)
        return torch.autograd.grad(F.conv2d(x, w, **options), w, y, create_graph=True)[0]
    return of


def forward(d):
    yield "conv2d", conv(PLAIN), [d.real(2, 3, 6, 5), d.real(4, 3, 3, 2)]
    yield "conv2d_encoder", conv(ENCODER), [d.real(2, 2, 8, 6), d.real(3, 2, 4, 4)]
    yield "conv2d_odd", conv(ODD), [d.real(1, 2, 6, 5), d.real(3, 2, 2, 3)]
    yield "conv2d_dilated", conv(DILATED), [d.real(1, 2, 7, 6), d.real(2, 2, 2, 3)]
    yield "conv2d_groups", conv(HALVES), [d.real(2, 4, 3, 4), d.real(6, 2, 2, 3)]
    yield "conv2d_apart", conv(APART), [d.real(2, 3, 4, 5), d.real(6, 1, 3, 2)]
    yield "conv2d_one_by_one", conv(PLAIN), [d.real(2, 5, 3, 4), d.real(3, 5, 1, 1)]
    yield "conv2d_sparse", conv(SPARSE), [d.real(2, 2, 5, 7), d.real(2, 2, 1, 2)]
    yield "conv2d_wide_padding", conv(WIDE), [d.real(1, 2, 2, 3), d.real(2, 2, 2, 2)]
    yield "conv2d_whole_image", conv(PLAIN), [d.real(3, 2, 3, 4), d.real(5, 2, 3, 4)]
    yield "conv2d_larger", conv(ENCODER), [d.real(2, 3, 9, 11), d.real(17, 3, 3, 4)]
    yield "conv2d_nothing", conv(PLAIN), [d.real(0, 2, 4, 3), d.real(3, 2, 2, 2)]


def back(d):
    yield "conv_transpose2d", transposed(PLAIN), [d.real(2, 3, 3, 2), d.real(3, 2, 3, 2)]
    yield "conv_transpose2d_decoder", transposed(ENCODER), [d.real(2, 3, 4, 3), d.real(3, 2, 4, 4)]
    yield "conv_transpose2d_odd", transposed({**ODD, "output_padding": (2, 0)}), \
        [d.real(1, 2, 2, 5), d.real(2, 3, 2, 3)]
    yield "conv_transpose2d_dilated", transposed(DILATED), [d.real(1, 2, 3, 2), d.real(2, 2, 2, 3)]
    yield "conv_transpose2d_groups", transposed(HALVES), [d.real(2, 4, 3, 2), d.real(4, 3, 2, 3)]
    yield "conv_transpose2d_apart", transposed({**APART, "output_padding": (0, 1)}), \
        [d.real(2, 3, 3, 2), d.real(3, 2, 3, 2)]
    yield "conv_transpose2d_one_by_one", transposed(PLAIN), [d.real(2, 5, 3, 4), d.real(5, 3, 1, 1)]
    yield "conv_transpose2d_gaps", transposed(SPARSE), [d.real(2, 2, 3, 2), d.real(2, 2, 1, 2)]
    yield "conv_transpose2d_larger", transposed(ENCODER), [d.real(2, 17, 3, 4), d.real(17, 3, 3, 4)]


def by_kernel(d):
    yield "conv2d_weight", weight(PLAIN, 4, 3, 3, 2), [d.real(2, 3, 6, 5), d.real(2, 4, 4, 4)]
    yield "conv2d_weight_encoder", weight(ENCODER, 3, 2, 4, 4), [d.real(2, 2, 8, 6), d.real(2, 3, 4, 3)]
    yield "conv2d_weight_odd", weight(ODD, 3, 2, 2, 3), [d.real(1, 2, 6, 5), d.real(1, 3, 2, 7)]
    yield "conv2d_weight_groups", weight(HALVES, 6, 2, 2, 3), [d.real(2, 4, 3, 4), d.real(2, 6, 4, 2)]
    yield "conv2d_weight_apart", weight(APART, 6, 1, 3, 2), [d.real(2, 3, 4, 5), d.real(2, 6, 4, 3)]


def twice(d):
    """Second order: the first gradient is the value, its gradient is the answer."""
    yield "second_conv2d", grad_of(lambda x, w: torch.tanh(F.conv2d(x, w, **ODD))), \
        [d.real(1, 2, 6, 5), d.real(2, 2, 2, 3)]
    yield "second_conv2d_by_weight", grad_of(lambda w, x: torch.tanh(F.conv2d(x, w, **HALVES))), \
        [d.real(4, 1, 2, 3), d.real(2, 2, 3, 4)]
    yield "second_conv_transpose2d", \
        grad_of(lambda x, w: torch.tanh(F.conv_transpose2d(x, w, **ENCODER))), \
        [d.real(1, 3, 2, 3), d.real(3, 2, 4, 4)]


GROUPS = (forward, back, by_kernel, twice)
