"""conv_vae.py: the VAE of pictures as modules of PyTorch's, under the names that their state_dict gives.

Cases of vae.safetensors beside those of generate.py, which imports this. Height and width are odd and even, so that both
paddings of the way back are met. Read next: test_oracle_vae.c.
"""
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import distributions as D
from torch import nn

HALVING = {"kernel_size": 4, "stride": 2, "padding": 1}


def layers(**parts):
    return nn.Sequential(OrderedDict(parts))


class Net(nn.Module):
    def __init__(self, shape, channels, hidden, latents, act, per_pixel):
        super().__init__()
        (c, h, w), (c1, c2) = shape, channels
        small = (c2, h // 2 // 2, w // 2 // 2)
        features = small[0] * small[1] * small[2]
        back = [{**HALVING, "output_padding": (h // k % 2, w // k % 2)} for k in (2, 1)]
        self.encoder = layers(
            conv=nn.Sequential(nn.Conv2d(c, c1, **HALVING), act(), nn.Conv2d(c1, c2, **HALVING), act()),
            flat=nn.Flatten(), fc=nn.Sequential(nn.Linear(features, hidden), act()))
        self.mu, self.logvar = nn.Linear(hidden, latents), nn.Linear(hidden, latents)
        self.decoder = layers(
            fc=nn.Sequential(nn.Linear(latents, hidden), act(), nn.Linear(hidden, features), act()),
            picture=nn.Unflatten(1, small),
            conv=nn.Sequential(nn.ConvTranspose2d(c2, c1, **back[0]), act(),
                               nn.ConvTranspose2d(c1, c * per_pixel, **back[1])))

    def forward(self, x, eps):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        return mu, logvar, self.decoder(mu + torch.exp(0.5 * logvar) * eps)


# −log p(x|z) of all of a batch x [n, c, h, w] from what the network makes, [n, c·per_pixel, h, w]

def bernoulli(y, x):
    return F.binary_cross_entropy_with_logits(y, x, reduction="sum")


def gaussian(y, x):
    return -D.Normal(torch.sigmoid(y), torch.ones_like(y)).log_prob(x).sum()


def gaussian_learned(y, x):
    mean, raw = y.chunk(2, dim=1)
    logvar = -6 + F.softplus(raw + 6, threshold=50)
    return -D.Normal(torch.sigmoid(mean), torch.exp(0.5 * logvar)).log_prob(x).sum()


def categorical(levels):
    def loss(y, x):
        logits = y.unflatten(1, (x.shape[1], levels)).movedim(2, 1)  # [n, levels, c, h, w]
        return F.cross_entropy(logits, torch.round(x * (levels - 1)).long(), reduction="sum")
    return loss


class ConvVae:
    """As Vae of generate.py: examples are rows of numbers."""

    def __init__(self, shape, latents, act, recon, per_pixel=1, beta=1.0):
        self.shape, self.recon, self.beta = shape, recon, beta
        self.sizes = (shape[0] * shape[1] * shape[2], latents)
        self.net = Net(shape, (3, 5), 6, latents, act, per_pixel).double()

    def init(self, d, scale):
        return {k: d.real(*v.shape, lo=-scale / v[0].numel() ** 0.5, hi=scale / v[0].numel() ** 0.5)
                for k, v in self.net.state_dict().items()}

    def loss(self, w, x, eps):
        x = x.unflatten(1, self.shape)
        mu, logvar, y = torch.func.functional_call(self.net, w, (x, eps))
        recon = self.recon(y, x) / len(x)
        kl = -0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp()) / len(x)
        return recon + self.beta * kl, recon, kl


CASES = {
    "conv_bernoulli": ConvVae((1, 9, 10), 4, nn.ReLU, bernoulli),
    "conv_gaussian": ConvVae((3, 6, 7), 3, nn.Tanh, gaussian, beta=4.0),
    "conv_learned": ConvVae((2, 5, 4), 2, nn.Tanh, gaussian_learned, per_pixel=2),
    "conv_categorical": ConvVae((2, 4, 11), 2, nn.ReLU, categorical(3), per_pixel=3),
}
