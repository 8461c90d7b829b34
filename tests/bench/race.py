#!/usr/bin/env python3
"""race.py: trains a VAE with tapir, PyTorch and JAX in turns, and says how much faster tapir is.

Each racer is a process of its own that sleeps until it is asked: tapir-racer (race_tapir.c), race_torch.py,
race_jax.py. First the peers' best settings are searched, then all must have the same losses for the same
weights, data and noise, then they race in interleaved rounds. Peers that are not installed, or do not work, are
left out.
Read next: docs/speed.md, then race_tapir.c and race_torch.py.
"""
import argparse
import contextlib
import gzip
import importlib.metadata
import importlib.util
import json
import math
import os
import pathlib
import platform
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BATCH, PIXELS = 128, 784
IMAGES = 60000 // BATCH * BATCH  # whole batches: no peer has to compile a second shape
# What sums in another order do to the losses: 1e-7 of them in most races, and 1e-5 has been seen.
CHECK_STEPS, CHECK_BOUND = 50, 1e-4
PAUSE = 0.06  # seconds: OpenMP threads spin some 20 ms after a round before they sleep


class Model:
    """What is trained: a line about it, and the multiply-adds of each layer forward, for one sample."""

    def __init__(self, about, layers, formats):
        self.about = about
        # A multiply-add in each of three products per layer; none for the gradient of the data.
        self.flop = 6 * sum(layers) - 2 * layers[0]
        self.formats = formats  # of pictures in memory, which each peer may choose from


# Kernels of 4x4 meet every pair of channels at every position of the smaller picture, borders included.
MODELS = {
    "vae-400": Model("784-400-20-400-784, ReLU, Bernoulli, Adam",
                     (784 * 400, 400 * 20, 400 * 20, 20 * 400, 400 * 784), {}),
    "vae-conv": Model("1x28x28-32x14x14-64x7x7-256-20 and back by 4x4 kernels, stride 2; ReLU, Bernoulli, Adam",
                      (14 * 14 * 16 * 1 * 32, 7 * 7 * 16 * 32 * 64, 3136 * 256, 256 * 20, 256 * 20, 20 * 256,
                       256 * 3136, 7 * 7 * 16 * 64 * 32, 14 * 14 * 16 * 32 * 1),
                      {"torch": ("contiguous", "channels_last"), "jax": ("NCHW", "NHWC")})}


class RaceError(Exception):
    """Something that ends the race, in words for the user."""


def say(*words):
    print(*words, flush=True)


# --- data -----------------------------------------------------------------------------------------

def mnist(directory):
    """The pixels of MNIST's training images, or None."""
    for name, opener in (("train-images-idx3-ubyte", open), ("train-images-idx3-ubyte.gz", gzip.open)):
        path = pathlib.Path(directory) / name
        if path.exists():
            with opener(path, "rb") as f:
                return f.read()[16:]
    return None


def synthetic():
    """As MNIST in what matters for speed: a fifth of the pixels lit, none at the rim, few beside it."""
    draw = random.Random(1)
    pixels = bytearray(IMAGES * PIXELS)
    for p in range(PIXELS):
        y, x = divmod(p, 28)
        r2 = ((x - 13.5)**2 + (y - 13.5)**2) / 100
        lit = round(256 * 0.66 * math.exp(-r2 * 1.1)) if r2 < 1.4 else 0
        table = bytes(min(255, 3 * v + 60) if v < lit else 0 for v in range(256))
        if 4 <= x < 24 and 4 <= y < 24 or lit:
            pixels[p::PIXELS] = draw.randbytes(IMAGES).translate(table)
        elif 2 <= x < 26 and 2 <= y < 26:  # lit now and then: Adam's moments decay to denormals
            pixels[p + PIXELS * draw.randrange(IMAGES)] = 200
    return pixels


def write_data(work, wanted):
    """Writes the images for the racers and says where they are from."""
    shared = pathlib.Path(os.environ.get("TAPIR_SHARED") or ROOT.parent / "shared")  # as the tests
    source = wanted or shared / "data" / "mnist"
    pixels = mnist(source)
    if wanted and pixels is None:
        raise RaceError(f"{wanted}: there is no train-images-idx3-ubyte, with or without .gz")
    label = f"MNIST ({source})" if pixels else "synthetic, in place of MNIST"
    pixels = pixels or synthetic()
    images = min(IMAGES, len(pixels) // PIXELS // BATCH * BATCH)
    if images < CHECK_STEPS * BATCH:
        raise RaceError(f"{source}: at least {CHECK_STEPS * BATCH} images of 28x28 are needed")
    header = struct.pack(">4i", 0x803, images, 28, 28)
    (work / "train-images-idx3-ubyte").write_bytes(header + pixels[:images * PIXELS])
    return f"{label}, {images} images"


# --- racers ---------------------------------------------------------------------------------------

class Racer:
    """A process that is asked one line and answers in one or more."""

    def __init__(self, name, command, setting=""):
        self.name, self.setting = name, setting
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True, bufsize=1)
        self.version = self.read().removeprefix("ready: ")
        self.rate = 0.0  # samples/s, as last measured

    def read(self):
        line = self.process.stdout.readline()
        if line == "":
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines()
            raise RaceError(f"{self.name} stopped: {said[-1] if said else 'it said nothing'}")
        return line.strip()

    def ask(self, line, answers=1):
        try:
            self.process.stdin.write(line + "\n")
        except BrokenPipeError:
            pass  # reading says why
        return [self.read() for _ in range(answers)]

    def losses(self, steps):
        return [float(line) for line in self.ask(f"check {steps}", steps)]

    def run(self, steps):
        """Trains, and returns samples/s."""
        seconds, done, loss = map(float, self.ask(f"round {max(1, int(steps))}")[0].split())
        if not math.isfinite(loss):
            raise RaceError(f"{self.name}: the loss is {loss}")
        self.rate = done * BATCH / seconds
        return self.rate

    def run_for(self, seconds):
        return self.run(self.rate * seconds / BATCH)

    def warm(self):
        self.run(20)  # compiles
        self.run(40)

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()


def start_tapir(path, work, model, threads):
    if path is None:
        found = [*ROOT.glob("build*/bin/tapir-racer"), *ROOT.glob("build*/*/bin/tapir-racer")]
        path = max(found, key=lambda p: p.stat().st_mtime, default=None)
    if path is None or not os.access(path, os.X_OK):
        raise RaceError(f"{path or 'tapir-racer'}: no such program. Build it with\n"
                        "  cmake -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build -j\n"
                        "or name it: --tapir BUILD/bin/tapir-racer")
    return Racer("tapir", [str(path), str(work), str(threads), model])


def start_peer(name, work, model, setting):
    command = [sys.executable, str(HERE / f"race_{name}.py"), str(work), model, json.dumps(setting)]
    return Racer(name, command, setting)


# --- the peers' best settings ---------------------------------------------------------------------

def stages(name, model, threads):
    """What to try, stage by stage: each entry changes the best setting so far."""
    fewer = [{"threads": t} for t in range(1, threads)]
    if name == "torch":
        first = {"threads": threads, "step": "eager", "adam": "plain", "data": "u8"}
        ways = [first, {**first, "adam": "foreach"}, {**first, "adam": "fused"},
                {**first, "step": "compile", "adam": "fused"}, {**first, "step": "whole"}]
    else:
        first = {"threads": threads, "scan": 1, "data": "u8"}
        ways = [first, {**first, "scan": 36}]
    formats = MODELS[model].formats.get(name)
    if formats:  # which one is better depends on who compiles
        ways = [{**way, "format": f} for f in formats for way in ways]
    return [ways, [{"data": "f32"}], fewer]


def text_of(setting):
    return " ".join(f"{key}={value}" for key, value in setting.items())


def measure(name, work, model, setting, seconds):
    """The best of five short slots, so that a busy machine spoils less."""
    racer = None
    try:
        racer = start_peer(name, work, model, setting)
        racer.warm()
        return max(racer.run_for(seconds / 5) for _ in range(5))
    except RaceError as e:
        say(f"  {text_of(setting)}: does not work here ({e})")
        return 0.0
    finally:
        if racer is not None:
            racer.close()


def search(name, work, model, threads, seconds):
    """The fastest setting, None if none works, and all figures, as (setting, samples/s)."""
    best, best_rate, tried = {}, 0.0, []
    say(f"{name}: looking for its best setting")
    for stage in stages(name, model, threads):
        base = best
        for change in stage:
            setting = {**base, **change}
            rate = measure(name, work, model, setting, seconds)
            tried.append((setting, rate))
            if rate > 0:
                say(f"  {text_of(setting):65} {rate:9.0f} samples/s")
            if rate > best_rate:
                best, best_rate = setting, rate
        if best_rate == 0:
            return None, tried
    return best, tried


# --- the check ------------------------------------------------------------------------------------

def check(racers):
    """The largest relative difference of each peer's losses from tapir's."""
    wanted = racers[0].losses(CHECK_STEPS)
    worst = {}
    for racer in racers[1:]:
        off = [abs(got - want) / abs(want) for got, want in zip(racer.losses(CHECK_STEPS), wanted)]
        worst[racer.name] = max(off)
        step = off.index(max(off)) + 1
        say(f"  {racer.name}: {CHECK_STEPS} losses within {max(off):.2g} of tapir's (most at step {step})")
        if not max(off) <= CHECK_BOUND:
            raise RaceError(f"{racer.name} trains another model: more than {CHECK_BOUND:g} apart")
    return worst


# --- the race -------------------------------------------------------------------------------------

def probe(tapir):
    time.sleep(PAUSE)
    gflops = float(tapir.ask("probe")[0])
    time.sleep(PAUSE)
    return gflops


def race(racers, rounds, seconds):
    """Per round: samples/s of each racer, and the FMA probe around its turn (mean of before and after)."""
    for racer in racers:
        racer.warm()
        racer.run_for(seconds / 4)
    results = []
    for i in range(rounds):
        turn = i % len(racers)
        before = probe(racers[0])
        result = {}
        for racer in racers[turn:] + racers[:turn]:
            rate = racer.run_for(seconds)
            after = probe(racers[0])
            result[racer.name] = {"rate": rate, "probe": (before + after) / 2}
            before = after
        results.append(result)
        say(f"  round {i + 1}: " + ", ".join(f"{n} {result[n]['rate']:.0f}" for n in
                                             (racer.name for racer in racers)))
    return results


def spread(values):
    return {"value": statistics.median(values), "min": min(values), "max": max(values)}


def summary(racers, results, flop):
    """Rows of {name, value, unit, threads, min, max}, as tapir-bench writes them."""
    rows = []
    for racer in racers:
        turns = [result[racer.name] for result in results]
        threads = racer.setting["threads"]

        def row(name, unit, values):
            rows.append({"name": f"race/{racer.name}{name}", "unit": unit, "threads": threads,
                         **spread(values)})
        row("", "samples/s", [turn["rate"] for turn in turns])
        row("/of-probe", "%", [turn["rate"] * flop / turn["probe"] * 1e-7 for turn in turns])
        if racer is not racers[0]:
            row("/ratio", "x", [r["tapir"]["rate"] / r[racer.name]["rate"] for r in results])
    probes = [turn["probe"] for result in results for turn in result.values()]
    rows.append({"name": "race/probe", "unit": "GFLOPS", "threads": racers[0].setting["threads"],
                 **spread(probes)})
    return rows


def show(racers, rows, flop):
    by_name = {row["name"]: row for row in rows}

    def cell(name, digits):
        row = by_name.get(name)
        if row is None:
            return ""
        return f"{row['value']:.{digits}f} [{row['min']:.{digits}f}..{row['max']:.{digits}f}]"
    say(f"\n{'racer':6} {'samples/s, median [min..max]':>28} {'% of the FMA probe':>20} {'tapir is faster by':>20}")
    for racer in racers:
        name = f"race/{racer.name}"
        say(f"{racer.name:6} {cell(name, 0):>28} {cell(name + '/of-probe', 1):>20} {cell(name + '/ratio', 2):>20}")
    say(f"FMA probe: {cell('race/probe', 0)} GFLOPS; one sample trained is {flop / 1e6:.3f} MFLOP")


# --- the program ----------------------------------------------------------------------------------

def options():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    p = argparse.ArgumentParser(description="Race tapir against PyTorch and JAX at training a VAE.")
    p.add_argument("--model", choices=[*MODELS, "all"], default="vae-400", help="all: one after the other")
    p.add_argument("--tapir", type=pathlib.Path, help="tapir-racer (default: the newest in build*/)")
    p.add_argument("--data", help="directory of MNIST's training images (default: data/mnist below $TAPIR_SHARED or ../shared, else made-up ones)")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seconds", type=float, default=1.0, help="of one turn, and of one search")
    p.add_argument("--threads", type=int, default=cores, help="at most (default: all cores)")
    p.add_argument("--only", help="peers to race, of torch,jax")
    p.add_argument("--torch", type=json.loads, metavar="JSON", help="its setting: no search")
    p.add_argument("--jax", type=json.loads, metavar="JSON", help="its setting: no search")
    p.add_argument("--json", type=pathlib.Path, help="file for all figures (a list of races for --model all)")
    o = p.parse_args()
    if o.rounds < 1 or not o.seconds > 0 or o.threads < 1:
        p.error("rounds, seconds and threads must be positive")
    if o.json and not o.json.absolute().parent.is_dir():
        p.error(f"--json {o.json}: there is no such directory")
    o.peers = ("torch", "jax") if o.only is None else tuple(filter(None, o.only.split(",")))
    if not set(o.peers) <= {"torch", "jax"}:
        p.error("--only takes torch, jax or torch,jax")
    return o


def present(peers):
    """Those that are installed; says which are not."""
    found = []
    for name in peers:
        missing = [m for m in (name, "numpy") if importlib.util.find_spec(m) is None]
        if missing:
            say(f"{name} is left out: {', '.join(missing)} not installed")
        else:
            found.append(name)
    return found


def processor():
    with contextlib.suppress(OSError):
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def version_of(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def settings(o, model, data, tapir, peers):
    """Everything that a reader of the figures needs to know."""
    matters = ("OMP_", "GOMP_", "KMP_", "MKL_", "XLA_", "TAPIR_")
    runtime = {k: v for k, v in os.environ.items() if k.startswith(matters)}
    return {"model": f"{model}: {MODELS[model].about}", "batch": BATCH,
            "data": data, "flop_per_sample": MODELS[model].flop, "processor": processor(), "threads": o.threads,
            "load": round(os.getloadavg()[0], 2), "environment": runtime, "tapir": tapir.version,
            **{name: version_of(name) for name in peers},
            "python": platform.python_version(), "rounds": o.rounds, "seconds": o.seconds}


def whole_race(o, model, work, stack):
    data = write_data(work, o.data)
    tapir = start_tapir(o.tapir, work, model, o.threads)
    stack.callback(tapir.close)
    tapir.setting = {"threads": o.threads}
    tapir.ask(f"plan {CHECK_STEPS}")
    peers = present(o.peers)
    all_settings = settings(o, model, data, tapir, peers)
    for key, value in all_settings.items():
        say(f"{key + ':':16} {value}")
    if all_settings["load"] > 0.2 * (os.cpu_count() or 1):
        say("other programs are running: expect noise")
    racers, searched = [tapir], {}
    for name in peers:
        setting = getattr(o, name)
        if setting is None:
            setting, searched[name] = search(name, work, model, o.threads, o.seconds)
        if setting is None:
            say(f"{name} is left out: no setting works")
            continue
        racers.append(start_peer(name, work, model, setting))
        stack.callback(racers[-1].close)
        say(f"{name} races with {text_of(setting)}")
    say("check: the same weights, data and noise")
    worst = check(racers)
    say("race:")
    results = race(racers, o.rounds, o.seconds)
    rows = summary(racers, results, MODELS[model].flop)
    show(racers, rows, MODELS[model].flop)
    return {"settings": all_settings, "racers": {r.name: r.setting for r in racers}, "search": searched,
            "check": worst, "rounds": results, "results": rows}


def main():
    o = options()
    reports = []
    for model in MODELS if o.model == "all" else (o.model,):
        with tempfile.TemporaryDirectory() as work, contextlib.ExitStack() as stack:
            try:
                reports.append(whole_race(o, model, pathlib.Path(work), stack))
            except RaceError as e:
                print(f"race.py: {e}", file=sys.stderr)
                return 1
    if o.json:
        report = reports if o.model == "all" else reports[0]
        o.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
