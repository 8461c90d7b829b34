"""race_torch.py: PyTorch's side of the race; race.py starts it with a directory and a setting.

A setting is {"threads", "step", "adam", "data"}:
  step   eager: nothing compiled; compile: batch, forward and backward by torch.compile; whole: Adam too
  adam   plain, foreach or fused: how torch.optim.Adam works (not with step whole, which brings its own)
  data   u8: a batch is gathered and converted; f32: the images are converted once, before the race
Denormals are flushed, which only helps, and products stay in full f32. Read next: race_peer.py.
"""
import torch
import torch.nn.functional as F

import race_peer as peer

BETA1, BETA2, EPS, RATE = 0.9, 0.999, 1e-8, 1e-3
ADAM = {"plain": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


def loss_of(p, x, eps):
    h = F.relu(F.linear(x, p[0], p[1]))                         # [batch, 400]
    mu, logvar = F.linear(h, p[2], p[3]), F.linear(h, p[4], p[5])  # [batch, 20]
    z = mu + torch.exp(0.5 * logvar) * eps
    y = F.linear(F.relu(F.linear(z, p[6], p[7])), p[8], p[9])   # [batch, 784]
    recon = F.binary_cross_entropy_with_logits(y, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mu * mu - logvar.exp())
    return (recon + kl) / x.shape[0]


def gather(images, index):
    x = images.index_select(0, index)
    return x if x.dtype == torch.float32 else x.to(torch.float32).mul_(1 / 255)


def batch_loss(p, images, index, eps):
    return loss_of(p, gather(images, index), eps)


def compiled(function):
    return torch.compile(function, fullgraph=True, dynamic=False)


def step_with_optimizer(p, images, setting):
    """Autograd, then torch.optim.Adam."""
    for w in p:
        w.requires_grad_()
    adam = torch.optim.Adam(p, lr=RATE, betas=(BETA1, BETA2), eps=EPS, **ADAM[setting["adam"]])
    loss_now = compiled(batch_loss) if setting["step"] == "compile" else batch_loss

    def step(index, eps):
        adam.zero_grad(set_to_none=True)
        loss = loss_now(p, images, index, eps)
        loss.backward()
        adam.step()
        return loss
    return step


def whole_step(p, m, v, images, index, eps, scale, correction):
    """Everything, for one graph; scale is lr/(1-beta1^t), correction 1/sqrt(1-beta2^t)."""
    gradients, loss = torch.func.grad_and_value(loss_of)(p, gather(images, index), eps)
    for w, first, second, g in zip(p, m, v, gradients):
        first.mul_(BETA1).add_(g, alpha=1 - BETA1)
        second.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
        w.sub_(scale * first / (second.sqrt() * correction + EPS))
    return loss


def step_whole(p, images):
    m, v = [torch.zeros_like(w) for w in p], [torch.zeros_like(w) for w in p]
    scale, correction = torch.zeros(()), torch.zeros(())
    graph, t = compiled(whole_step), 0

    @torch.no_grad()
    def step(index, eps):
        nonlocal t
        t += 1
        scale.fill_(RATE / (1 - BETA1**t))
        correction.fill_((1 - BETA2**t)**-0.5)
        return graph(p, m, v, images, index, eps, scale, correction)
    return step


class Racer:
    def __init__(self, directory, setting):
        torch.set_flush_denormal(True)  # before the pool starts: its threads inherit it
        torch.set_num_threads(setting["threads"])
        self.version = f"torch {torch.__version__}"
        self.setting = setting
        self.images = torch.from_numpy(peer.read_images(directory))
        if setting["data"] == "f32":
            self.images = self.images.to(torch.float32).mul_(1 / 255)
        self.weights = peer.read_weights(directory)
        self.begin()

    def begin(self):
        p = [torch.tensor(w) for w in self.weights]
        whole = self.setting["step"] == "whole"
        self.step = step_whole(p, self.images) if whole else \
            step_with_optimizer(p, self.images, self.setting)

    def check(self, order, noise):
        self.begin()
        return [self.step(torch.from_numpy(i), torch.from_numpy(e)).item()
                for i, e in zip(order, noise)]

    def train(self, steps):
        done = 0
        while done < steps:
            for index in torch.randperm(len(self.images)).split(peer.BATCH)[:steps - done]:
                loss = self.step(index, torch.randn(peer.BATCH, peer.LATENT))
                done += 1
        return done, loss.item()


peer.serve(Racer)
