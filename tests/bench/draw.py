#!/usr/bin/env python3
"""Draws the scaling rows of tapir-bench as line charts in SVG; needs nothing but Python.

    build/release/bin/tapir-bench --json --filter scale | tests/bench/draw.py docs/images

writes speed-hidden.svg, speed-batch.svg and speed-threads.svg into the directory. Colours are middle tones on
no background, so that the charts can be read on white and on black.
"""
import json
import math
import sys

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 44, 56
INK, GRID, LINE = "#7d8590", "#7d859040", "#2f81f7"

CHARTS = {
    "hidden": ("Width of the hidden layers (batch 128)", "hidden units", True),
    "batch": ("Size of the batch (400 hidden units)", "samples per batch", True),
    "threads": ("Threads (400 hidden units, batch 128)", "threads", False),
}


def points(rows, what):
    """[(x, samples/s, percent of the FMA probe)] of the rows scale/<what>-<x>, by x."""
    values = {row["name"]: row["value"] for row in rows}
    found = []
    for name, value in values.items():
        head, _, x = name.rpartition("-")
        if head == f"scale/{what}" and x.isdigit():
            found.append((int(x), value, values[name + "/of-probe"]))
    return sorted(found)


def nice_step(span):
    """1, 2 or 5 times a power of ten: about five steps to the span."""
    power = 10 ** math.floor(math.log10(span / 5))
    return next(power * k for k in (1, 2, 5, 10) if span / (power * k) <= 6)


def thousands(value):
    return f"{value / 1000:.3g}k" if value >= 1000 else f"{value:.3g}"


class Axes:
    """Maps a chart's numbers to the picture; x may be logarithmic, y starts at 0."""

    def __init__(self, found, logarithmic):
        self.scale = math.log2 if logarithmic else float
        self.low, self.high = self.scale(found[0][0]), self.scale(found[-1][0])
        top = max(value for _, value, _ in found) * 1.15
        self.step = nice_step(top)
        self.top = math.ceil(top / self.step) * self.step

    def x(self, value):
        width = WIDTH - LEFT - RIGHT - 40
        if self.high == self.low:
            return LEFT + 20 + width / 2
        return LEFT + 20 + width * (self.scale(value) - self.low) / (self.high - self.low)

    def y(self, value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.top


def text(x, y, words, anchor="middle", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{words}</text>'


def grid(axes, found):
    right = WIDTH - RIGHT
    for i in range(round(axes.top / axes.step) + 1):
        y = axes.y(i * axes.step)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{GRID}"/>'
        yield text(LEFT - 8, y + 4, thousands(i * axes.step), "end")
    for x, _, _ in found:
        yield text(axes.x(x), HEIGHT - BOTTOM + 20, x)


def chart(what, found):
    title, label, logarithmic = CHARTS[what]
    axes = Axes(found, logarithmic)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="sans-serif" font-size="13" fill="{INK}">',
        f"<title>{title}: samples trained per second</title>",
        text(WIDTH / 2, 22, title, extra='font-size="15" font-weight="bold"'),
        text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 12, label),
        text(0, 0, "samples/s  (%: of the FMA probe)", extra=f'transform="translate(18 {HEIGHT / 2:.0f}) rotate(-90)"'),
        *grid(axes, found),
    ]
    path = " ".join(f"{axes.x(x):.1f},{axes.y(v):.1f}" for x, v, _ in found)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2.5"/>')
    for x, value, share in found:
        parts.append(f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(value):.1f}" r="4" fill="{LINE}"/>')
        parts.append(text(axes.x(x), axes.y(value) - 10, f"{share:.0f} %", extra='font-size="12"'))
    return "\n".join(parts + ["</svg>", ""])


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: tapir-bench --json --filter scale | draw.py DIRECTORY")
    rows = json.load(sys.stdin)
    for what in CHARTS:
        found = points(rows, what)
        if not found:
            sys.exit(f"draw.py: no rows scale/{what}-… on the standard input")
        with open(f"{sys.argv[1]}/speed-{what}.svg", "w", encoding="utf-8") as file:
            file.write(chart(what, found))


if __name__ == "__main__":
    main()
