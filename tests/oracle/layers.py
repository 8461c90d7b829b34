#!/usr/bin/env python3
"""layers.py: what PyTorch's layers compute, forward and backward, in training and in eval mode.

Writes layers.safetensors and SHA256SUMS beside itself. Knows nothing of tapir. A case is a module with the names of
PyTorch's state_dict: <case>.w.<name> before, then for every step k its input x<k>, output y<k>, cotangent gy<k>, gradients
gx<k> and g<k>.<name>, and the buffers behind it, b<k>.<name>; then the same in eval mode, as step "eval". <case>.new.<name>
is what a fresh module holds, where that is not drawn. Read next: test_oracle_layers.c.
"""
import torch
from torch import nn

from generate import save, write_sums
from inputs import F64, Draw


class Gated(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.h, self.g = nn.Linear(i, o), nn.Linear(i, o)

    def forward(self, x):
        return self.h(x) * torch.sigmoid(self.g(x))


class Masked(nn.Linear):
    def __init__(self, mask):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def forward(self, x):
        return nn.functional.linear(x, self.mask * self.weight, self.bias)


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


MASK = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]], dtype=F64)

# module, shape of x (None: indices), steps in training
CASES = {
    "bn": (nn.BatchNorm1d(5), (7, 5), 3),
    "bn_images": (nn.BatchNorm2d(3, eps=1e-3, momentum=0.3), (4, 3, 2, 3), 3),
    "ln": (nn.LayerNorm(6), (4, 6), 1),
    "ln_images": (nn.LayerNorm((2, 3), eps=1e-2), (5, 2, 3), 1),
    "gated": (Gated(4, 3), (6, 4), 1),
    "masked": (Masked(MASK), (5, 3), 1),
    "residual": (Residual(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 4)), (5, 4), 1),
    "embedding": (nn.Embedding(6, 4), None, 1),
    "conv": (nn.Conv2d(3, 4, (2, 3)), (2, 3, 4, 5), 1),
    "conv_groups": (nn.Conv2d(4, 6, 3, (2, 1), (1, 2), (1, 2), 2), (2, 4, 5, 6), 1),
    "conv_transpose": (nn.ConvTranspose2d(3, 4, (2, 3)), (2, 3, 3, 2), 1),
    "conv_transpose_groups": (nn.ConvTranspose2d(4, 6, 3, (2, 3), (1, 2), (1, 2), 2, dilation=(1, 2)), (2, 4, 3, 3), 1),
}
FRESH = ("bn", "bn_images", "ln", "ln_images")


def step(out, key, module, x, gy):
    """key is "<case>.%s<step>"."""
    module.zero_grad()
    if x.is_floating_point():
        x.requires_grad_(True)
    y = module(x)
    gy = gy(*y.shape)
    y.backward(gy)
    out.update({key % "x": x, key % "y": y, key % "gy": gy})
    if x.is_floating_point():
        out[key % "gx"] = x.grad
    out.update({f"{key % 'g'}.{name}": p.grad.clone() for name, p in module.named_parameters()})
    out.update({f"{key % 'b'}.{name}": b.clone() for name, b in module.named_buffers()})


def main():
    torch.set_num_threads(1)
    out = {}
    for seed, (name, (module, shape, steps)) in enumerate(CASES.items()):
        d = Draw([2018, seed])
        module.double()
        if name in FRESH:
            out.update({f"{name}.new.{k}": v.clone() for k, v in module.state_dict().items()})
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(d.real(*p.shape))
        out.update({f"{name}.w.{k}": v.clone() for k, v in module.state_dict().items()})
        draw = (lambda: d.index(6, 3, 5)) if shape is None else (lambda: d.normal(*shape) + d.real(*shape[1:]))
        x = [draw() for _ in range(steps)]
        for k in range(steps):
            step(out, f"{name}.%s{k}", module, x[k].clone(), d.real)
        module.eval()
        step(out, f"{name}.%seval", module, x[0].clone(), d.real)
    save("layers.safetensors", out)
    write_sums()


if __name__ == "__main__":
    main()
