#!/usr/bin/env python3
"""interchange.py: weights that PyTorch trained, for tapir to load, and files of tapir's, read by safetensors.torch.

  interchange.py make         trains the small VAE and writes pytorch_vae.safetensors, interchange.safetensors and
                              SHA256SUMS beside itself: what test_interchange.c reads
  interchange.py train DIR    the same for the VAE of PyTorch's examples, 784-400-20, into DIR
  interchange.py check DIR    compares with what tapir wrote into DIR; prints and writes DIR/interchange.txt

check_pytorch.sh runs the last two around the C program. Knows nothing of tapir but its files, and starts
no program. Read next: README.md.
"""
import gzip
import hashlib
import json
import pathlib
import struct
import sys

import numpy as np
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
DIGITS = HERE / "../../examples/data/train-images-idx3-ubyte.gz"


NAMES = {"fc1": "encoder.0", "fc21": "mu", "fc22": "logvar", "fc3": "decoder.0", "fc4": "decoder.2"}


def save_for_tapir(model, path):
    state = {}
    for name, value in model.state_dict().items():
        layer, kind = name.split(".")
        state[f"{NAMES[layer]}.{kind}"] = value
    safetensors.torch.save_file(state, path)


class VAE(nn.Module):
    """The VAE of PyTorch's examples, under its names: fc1, fc21, fc22, fc3, fc4."""

    def __init__(self, width, hidden, latent):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, width)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def loss(self, x):
        mu, logvar = self.encode(x)
        y = self.decode(mu + torch.exp(0.5 * logvar) * torch.randn_like(mu))
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return F.binary_cross_entropy(y, x, reduction="sum") + kl


def digits(count, shrink):
    raw = gzip.decompress(DIGITS.read_bytes())
    images = torch.frombuffer(bytearray(raw[16:16 + count * 784]), dtype=torch.uint8)
    x = images.view(count, 1, 28, 28).to(torch.float32) / 255
    return F.avg_pool2d(x, shrink).flatten(1)


def train(x, hidden, latent, epochs):
    torch.manual_seed(1)
    model = VAE(x.shape[1], hidden, latent)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for batch in x[torch.randperm(len(x))].split(128):
            adam.zero_grad()
            model.loss(batch).backward()
            adam.step()
    return model


def write(model, x, weights, reference):
    """weights as a user of PyTorch saves them; reference: a batch and what the model makes of it."""
    safetensors.torch.save_file(model.state_dict(), weights)
    out = {"x": x}
    for name, dtype in (("f32", torch.float32), ("f64", torch.float64)):
        with torch.no_grad():
            mu, logvar = model.to(dtype).encode(x.to(dtype))
            out |= {f"mu.{name}": mu, f"logvar.{name}": logvar, f"y.{name}": model.decode(mu)}
    safetensors.torch.save_file(out, reference)


# --- reading tapir's files -------------------------------------------------------------------------

DTYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "U8": torch.uint8}


def parse(path):
    """Header and data, by the description of the format alone."""
    raw = path.read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8:8 + n]), raw[8 + n:]


def compare_file(path):
    """safetensors.torch finds the tensors that stand in the file: names, shapes, types and bytes."""
    header, data = parse(path)
    metadata = header.pop("__metadata__", None)
    loaded = safetensors.torch.load_file(path)
    assert sorted(loaded) == sorted(header), path
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        t = loaded[name]
        assert t.dtype == DTYPES[entry["dtype"]], name
        assert list(t.shape) == entry["shape"], name
        assert t.contiguous().numpy().tobytes() == data[begin:end], name
    with safetensors.safe_open(path, "pt") as f:
        assert (f.metadata() or None) == metadata, path
    return len(loaded), len(metadata or {})


def expect_mixed(path):
    """The file whose content is known: element i is (7 i + 3) mod 251, for every type and odd shapes."""
    shapes = {"a matrix": [3, 5], "scalar": [], "empty": [0, 4], "deep": [2, 1, 3, 1, 2]}
    loaded = safetensors.torch.load_file(path)
    for tag, dtype in (("f32", torch.float32), ("f64", torch.float64), ("i64", torch.int64),
                       ("u8", torch.uint8)):
        for what, shape in shapes.items():
            t = loaded.pop(f"{what}/{tag} \u03bc\"\\")
            n = int(np.prod(shape))
            want = (torch.arange(n) * 7 + 3) % 251
            assert t.dtype == dtype and torch.equal(t, want.to(dtype).view(shape)), what
    assert not loaded


def check(folder):
    lines = [f"PyTorch {torch.__version__.split('+')[0]}, safetensors {safetensors.__version__}"]
    files = sorted(folder.glob("tapir_*.safetensors"))
    assert len(files) == 3, files
    for path in files:
        tensors, texts = compare_file(path)
        lines.append(f"{path.name}: {tensors} tensors, {texts} texts: names, shapes, types, bytes equal")
    expect_mixed(folder / "tapir_mixed.safetensors")
    damaged = folder / "damaged"  # a comparison that cannot fail would say nothing
    raw = bytearray((folder / "tapir_mixed.safetensors").read_bytes())
    raw[-1] ^= 1
    damaged.write_bytes(raw)
    try:
        expect_mixed(damaged)
    except AssertionError:
        lines.append("a changed byte was noticed")
    else:
        raise SystemExit("a changed byte was not noticed")
    want = safetensors.torch.load_file(folder / "interchange.safetensors")
    got = safetensors.torch.load_file(folder / "y.safetensors")
    for name, bound in (("f32", 1e-5), ("f64", 1e-12)):
        off = (got[f"y.{name}"] - want[f"y.{name}"]).abs().max().item()
        assert off <= bound, (name, off)
        lines.append(f"784-400-20, {len(want['x'])} digits in {name}: reconstructions within {bound:g}")
    text = "\n".join(lines) + "\n"
    (folder / "interchange.txt").write_text(text)
    print(text, end="")


def main():
    torch.set_num_threads(1)
    if sys.argv[1:] == ["make"]:
        x = digits(4000, 2)
        model = train(x, 24, 4, 8)
        write(model, x[:12].clone(), HERE / "pytorch_vae.safetensors", HERE / "interchange.safetensors")
        sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n"
                for p in sorted(HERE.glob("*.safetensors"))]
        (HERE / "SHA256SUMS").write_text("".join(sums))
    elif len(sys.argv) == 3 and sys.argv[1] == "train":
        folder = pathlib.Path(sys.argv[2])
        x = digits(1500, 1)
        model = train(x, 400, 20, 1)
        save_for_tapir(model, folder / "renamed.safetensors")
        write(model, x[:100].clone(), folder / "pytorch_vae.safetensors", folder / "interchange.safetensors")
    elif len(sys.argv) == 3 and sys.argv[1] == "check":
        check(pathlib.Path(sys.argv[2]))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
