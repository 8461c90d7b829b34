"""race_peer.py: what the Python racers share: the files of a race and the loop that obeys race.py.

Knows neither PyTorch nor JAX. Read next: race_torch.py and race_jax.py, which differ only in how a step is made.
"""
import json
import os
import pathlib
import struct
import sys
import time

import numpy as np

BATCH, SIDE, LATENT = 128, 28, 20
PIXELS = SIDE * SIDE


def read_images(directory):
    """[n, 784] u8; n is a multiple of the batch"""
    raw = np.fromfile(directory / "train-images-idx3-ubyte", dtype=np.uint8)
    return raw[16:].reshape(-1, PIXELS)


def read_weights(directory):
    """The initial weights by their names, which are those that PyTorch gives them; all f32."""
    raw = (directory / "weights.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    weights = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(raw, np.float32, (end - begin) // 4, 8 + length + begin)
        weights[name] = flat.reshape(entry["shape"])
    return weights


def read_plan(directory):
    """Which examples make up each step, [steps, 128] i64, and its noise, [steps, 128, 20] f32."""
    order = np.fromfile(directory / "order.i64", dtype=np.int64).reshape(-1, BATCH)
    noise = np.fromfile(directory / "noise.f32", dtype=np.float32).reshape(-1, BATCH, LATENT)
    return order, noise


def arguments():
    """The race's directory, the model's name and this racer's setting, as race.py passes them."""
    return pathlib.Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])


def serve(make_racer):
    """Obeys until "quit" or the end of input, asleep in readline in between.

    A racer has .version, .check(order, noise) -> losses and .train(steps) -> (steps done, last loss), which
    returns when the work is done. Answers go to what was standard output; what libraries print does not.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    directory, _, setting = arguments()
    racer = make_racer(directory, setting)
    print("ready:", racer.version, file=answers)
    while True:
        word, _, number = sys.stdin.readline().strip().partition(" ")
        if word == "check":
            order, noise = read_plan(directory)
            for loss in racer.check(order[:int(number)], noise[:int(number)]):
                print(repr(float(loss)), file=answers)
        elif word == "round":
            begin = time.perf_counter()
            steps, loss = racer.train(int(number))
            print(f"{time.perf_counter() - begin:.6f} {steps} {loss:.6g}", file=answers)
        elif word in ("quit", ""):
            return
        else:
            sys.exit(f"{word}: no such command")
