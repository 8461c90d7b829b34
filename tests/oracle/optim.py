#!/usr/bin/env python3
"""optim.py: what PyTorch's optimizers, schedules and clipping do with given gradients.

Writes optim.safetensors beside itself, and SHA256SUMS. Four parameters, one of them 0-d, one without a gradient in some
steps, one whose gradient is sometimes zero; 20 steps; values after each of them and the state after the last, in f64.
tapir's side of every case stands in test_oracle_optim.c and test_oracle_schedule.c. Read next: README.md.
"""
import warnings

import torch
from torch import optim
from torch.optim import lr_scheduler as lrs

from generate import save, write_sums
from inputs import F64, Draw

STEPS = 20
SHAPES = {"matrix": (2, 3), "late": (3,), "scalar": (), "zero": (2,)}
PRESENT = {  # late: not at first, not always; the other three have a gradient in every step
    "late": [t >= 3 and t % 5 != 0 for t in range(STEPS)],
}


def inputs(d):
    start = {k: d.real(*s) for k, s in SHAPES.items()}
    grads = {k: d.normal(STEPS, *s, scale=1.5) for k, s in SHAPES.items()}
    grads["zero"][::2] = 0
    grads["zero"][:, 1] = 0
    return start, grads


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p),
    "sgd_decay": lambda p: optim.SGD(p, lr=0.05, weight_decay=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9),
    "dampening": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3),
    "momentum_decay": lambda p: optim.SGD(p, lr=0.05, momentum=0.8, weight_decay=0.1, dampening=0.5),
    "nesterov": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "nesterov_decay": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: optim.Adam(p),
    "adam_options": lambda p: optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3),
    "adam_decay": lambda p: optim.Adam(p, lr=0.05, weight_decay=0.1),
    "amsgrad": lambda p: optim.Adam(p, lr=0.05, betas=(0.8, 0.7), amsgrad=True),
    "amsgrad_decay": lambda p: optim.Adam(p, lr=0.05, betas=(0.8, 0.7), amsgrad=True, weight_decay=0.1),
    "adamw": lambda p: optim.AdamW(p),
    "adamw_options": lambda p: optim.AdamW(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2),
    "adamw_amsgrad": lambda p: optim.AdamW(p, lr=0.05, betas=(0.8, 0.7), amsgrad=True),
    "adamw_no_decay": lambda p: optim.AdamW(p, lr=0.05, weight_decay=0),
    "rmsprop": lambda p: optim.RMSprop(p),
    "rmsprop_options": lambda p: optim.RMSprop(p, lr=0.05, alpha=0.8, eps=1e-3, weight_decay=0.1),
    "rmsprop_momentum": lambda p: optim.RMSprop(p, lr=0.02, momentum=0.7, weight_decay=0.1),
    "centered": lambda p: optim.RMSprop(p, lr=0.02, centered=True),
    "centered_momentum": lambda p: optim.RMSprop(p, lr=0.02, alpha=0.9, centered=True, momentum=0.7,
                                                 weight_decay=0.1),
    "adagrad": lambda p: optim.Adagrad(p),
    "adagrad_options": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.05, weight_decay=0.1,
                                               initial_accumulator_value=0.2, eps=1e-3),
}

# Of the states, in the order of tapir's.
STATES = {
    optim.SGD: ["momentum_buffer"],
    optim.Adam: ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
    optim.AdamW: ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
    optim.RMSprop: ["square_avg", "grad_avg", "momentum_buffer"],
    optim.Adagrad: ["sum"],
}


def run(start, grads, make, schedule=None, clip=None):
    leaves = {k: v.clone().requires_grad_(True) for k, v in start.items()}
    optimizer = make(list(leaves.values()))
    scheduler = schedule(optimizer) if schedule else None
    course = {k: [] for k in leaves}
    norms = []
    for t in range(STEPS):
        for k, p in leaves.items():
            p.grad = grads[k][t].clone() if PRESENT.get(k, [True] * STEPS)[t] else None
        if clip:
            norms.append(torch.nn.utils.clip_grad_norm_(leaves.values(), clip))
        optimizer.step()
        if scheduler:
            scheduler.step()
        for k, p in leaves.items():
            course[k].append(p.detach().clone())
    return leaves, optimizer, {k: torch.stack(v) for k, v in course.items()}, norms


LR = 0.3
SCHEDULES = {
    "constant": (10, lambda o: lrs.ConstantLR(o, factor=1)),
    "step": (25, lambda o: lrs.StepLR(o, 4)),
    "step_gamma": (25, lambda o: lrs.StepLR(o, 7, gamma=0.5)),
    "multistep": (25, lambda o: lrs.MultiStepLR(o, [3, 9, 9, 20])),
    "exponential": (25, lambda o: lrs.ExponentialLR(o, 0.9)),
    "cosine": (45, lambda o: lrs.CosineAnnealingLR(o, 10)),
    "cosine_min": (25, lambda o: lrs.CosineAnnealingLR(o, 20, eta_min=0.02)),
    "linear": (10, lambda o: lrs.LinearLR(o)),
    "linear_down": (15, lambda o: lrs.LinearLR(o, 1, 0, 12)),
    "warmup_cosine": (26, lambda o: lrs.SequentialLR(
        o, [lrs.LinearLR(o, 0.01, total_iters=6), lrs.CosineAnnealingLR(o, 20, eta_min=0.02)], [6])),
    "three": (30, lambda o: lrs.SequentialLR(
        o, [lrs.LinearLR(o, 0.1, total_iters=4), lrs.ConstantLR(o, factor=1), lrs.ExponentialLR(o, 0.8)],
        [4, 11])),
}


def rates(steps, make):
    optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = make(optimizer)
    out = []
    for _ in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return torch.tensor([float(v) for v in out], dtype=F64)


def write_optim():
    start, grads = inputs(Draw([2016]))
    out = {f"p.{k}": v for k, v in start.items()}
    out.update({f"g.{k}": v for k, v in grads.items()})
    out["present.late"] = torch.tensor([int(v) for v in PRESENT["late"]])
    for name, make in OPTIMIZERS.items():
        leaves, optimizer, course, _ = run(start, grads, make)
        out.update({f"{name}.{k}": v for k, v in course.items()})
        for k, p in leaves.items():
            kept = [optimizer.state[p].get(s) for s in STATES[type(optimizer)]]
            kept = [v for v in kept if v is not None]
            out.update({f"{name}.{k}.state{i}": v for i, v in enumerate(kept)})
    for name, (steps, make) in SCHEDULES.items():
        out[f"lr.{name}"] = rates(steps, make)
    # All at once: warm-up then cosine, the norm clipped, AdamW.
    _, _, course, norms = run(
        start, grads, lambda p: optim.AdamW(p, lr=0.1),
        lambda o: lrs.SequentialLR(o, [lrs.LinearLR(o, 0.1, total_iters=4), lrs.CosineAnnealingLR(o, 16)], [4]),
        clip=3.0)
    out.update({f"together.{k}": v for k, v in course.items()})
    out["together.norms"] = torch.stack(norms)
    # Clipped gradients of the first step; the norm is above the bound, then below.
    for tag, bound in (("small", 0.5), ("large", 100.0)):
        leaves = [v.clone().requires_grad_(True) for v in start.values()]
        for p, g in zip(leaves, grads.values()):
            p.grad = g[0].clone()
        out[f"clip.{tag}.norm"] = torch.nn.utils.clip_grad_norm_(leaves, bound)
        out.update({f"clip.{tag}.{k}": p.grad for k, p in zip(SHAPES, leaves)})
    for p, g in zip(leaves, grads.values()):
        p.grad = g[0].clone()
    torch.nn.utils.clip_grad_value_(leaves, 0.75)
    out.update({f"clip.value.{k}": p.grad for k, p in zip(SHAPES, leaves)})
    save("optim.safetensors", out)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # SequentialLR's own use of a deprecated argument
    torch.set_num_threads(1)
    write_optim()
    write_sums()
