"""race_torch.py: PyTorch's side of the race; race.py starts it with a directory, a model and a setting.

A setting is {"threads", "step", "adam", "data", "format"}:
  step    eager: nothing compiled; compile: batch, forward and backward by torch.compile; whole: Adam too
  adam    plain, foreach or fused: how torch.optim.Adam works (not with step whole, which brings its own)
  data    u8: a batch is gathered and converted; f32: the images are converted once, before the race
  format  contiguous or channels_last: pictures and kernels in memory (of a model that has any)
Denormals are flushed, which only helps, and products stay in full f32. Read next: race_peer.py.
"""
import torch
import torch.nn.functional as F

import race_peer as peer

BETA1, BETA2, EPS, RATE = 0.9, 0.999, 1e-8, 1e-3
ADAM = {"plain": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
_, MODEL, SETTING = peer.arguments()
FORMAT = torch.channels_last if SETTING.get("format") == "channels_last" else torch.contiguous_format


# --- the models -----------------------------------------------------------------------------------
# The weights p of a model have the names of tapir's.

def linear(p, name, x):
    return F.linear(x, p[name + ".weight"], p[name + ".bias"])


def conv(p, name, x):
    return F.conv2d(x, p[name + ".weight"], p[name + ".bias"], stride=2, padding=1)


def conv_transpose(p, name, x):
    return F.conv_transpose2d(x, p[name + ".weight"], p[name + ".bias"], stride=2, padding=1)


def encode_400(p, x):
    return F.relu(linear(p, "encoder.0", x))                    # [batch, 400]


def decode_400(p, z):
    return linear(p, "decoder.2", F.relu(linear(p, "decoder.0", z)))


def encode_conv(p, x):
    h = x.view(-1, 1, peer.SIDE, peer.SIDE).to(memory_format=FORMAT)
    h = F.relu(conv(p, "encoder.conv.0", h))                         # [batch, 32, 14, 14]
    h = F.relu(conv(p, "encoder.conv.2", h))                         # [batch, 64, 7, 7]
    return F.relu(linear(p, "encoder.fc.0", h.flatten(1)))         # [batch, 256]


def decode_conv(p, z):
    h = F.relu(linear(p, "decoder.fc.2", F.relu(linear(p, "decoder.fc.0", z))))
    h = h.view(-1, 64, 7, 7).to(memory_format=FORMAT)
    h = F.relu(conv_transpose(p, "decoder.conv.0", h))               # [batch, 32, 14, 14]
    return conv_transpose(p, "decoder.conv.2", h).flatten(1)


ENCODE, DECODE = {"vae-400": (encode_400, decode_400), "vae-conv": (encode_conv, decode_conv)}[MODEL]


def loss_of(p, x, eps):
    h = ENCODE(p, x)
    mu, logvar = linear(p, "mu", h), linear(p, "logvar", h)     # [batch, 20]
    y = DECODE(p, mu + torch.exp(0.5 * logvar) * eps)           # [batch, 784]
    recon = F.binary_cross_entropy_with_logits(y, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mu * mu - logvar.exp())
    return (recon + kl) / x.shape[0]


# --- a step ---------------------------------------------------------------------------------------

def gather(images, index):
    x = images.index_select(0, index)
    return x if x.dtype == torch.float32 else x.to(torch.float32).mul_(1 / 255)


def batch_loss(p, images, index, eps):
    return loss_of(p, gather(images, index), eps)


def compiled(function):
    return torch.compile(function, fullgraph=True, dynamic=False)


def step_with_optimizer(p, images, setting):
    """Autograd, then torch.optim.Adam."""
    for w in p.values():
        w.requires_grad_()
    adam = torch.optim.Adam(p.values(), lr=RATE, betas=(BETA1, BETA2), eps=EPS, **ADAM[setting["adam"]])
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
    for name, g in gradients.items():
        first, second = m[name], v[name]
        first.mul_(BETA1).add_(g, alpha=1 - BETA1)
        second.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
        p[name].sub_(scale * first / (second.sqrt() * correction + EPS))
    return loss


def step_whole(p, images):
    m, v = ({name: torch.zeros_like(w) for name, w in p.items()} for _ in range(2))
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
        p = {name: torch.tensor(w) for name, w in self.weights.items()}
        p = {name: w.to(memory_format=FORMAT) if w.dim() == 4 else w for name, w in p.items()}
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
