#!/usr/bin/env python3
"""generate.py: tiny arrays as NumPy saves them, for tensor/io/npy.c to read, to write alike, and to refuse.

Writes *.npy and SHA256SUMS beside itself; knows nothing of tapir. What each file holds stands once more in
tests/unit/test_npy.c: elements count 1, 2, 3 … in row-major order unless the name says otherwise.
"""
import hashlib
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


def counted(dtype, *shape):
    return (np.arange(np.prod(shape, dtype=int)) + 1).astype(dtype).reshape(shape)


# Saved as any program would; tapir must write the same bytes.
SAVED = {
    "f4_2x3": counted("<f4", 2, 3),
    "f8_4": counted("<f8", 4),
    "i8_scalar": counted("<i8"),
    "u1_2x1x3": counted("|u1", 2, 1, 3),
    "f4_0x7": counted("<f4", 0, 7),
    "f4_1x1x1x1x1x1x1x2": counted("<f4", 1, 1, 1, 1, 1, 1, 1, 2),
    "i8_special": np.array([0, -1, 2**63 - 1, -(2**63), 2**53 + 1]),
    "f8_special": np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, np.finfo("f8").max]),
    "f4_13_stepped": counted("<f4", 26)[::2],  # a view: saved as its elements 1, 3, 5 …
}
FORTRAN = {
    "f4_2x3_fortran": np.asfortranarray(counted("<f4", 2, 3)),
    "i8_2x3x4_fortran": np.asfortranarray(counted("<i8", 2, 3, 4)),
}
VERSIONS = {"f8_3_version2": (2, 0), "f8_3_version3": (3, 0)}
REFUSED = {
    "big_endian": counted(">f4", 3),
    "i4": counted("<i4", 3),
    "f2": counted("<f2", 3),
    "bool": np.array([True, False]),
    "complex": counted("<c8", 3),
    "text": np.array(["a", "bc"]),
    "date": np.array(["2020-02-02"], dtype="M8[s]"),
    "record": np.array([(1, 2.0)], dtype=[("id", "<i8"), ("x", "<f4")]),
    "object": np.array([{"a": 1}, None], dtype=object),
    "nine_dimensions": counted("<f4", *[1] * 9),
}


def main():
    for old in HERE.glob("*.npy"):
        old.unlink()
    for name, array in {**SAVED, **FORTRAN, **REFUSED}.items():
        np.save(HERE / f"{name}.npy", array, allow_pickle=True)
    for name, version in VERSIONS.items():
        with open(HERE / f"{name}.npy", "wb") as f:
            np.lib.format.write_array(f, counted("<f8", 3), version=version)
    sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n"
            for p in sorted(HERE.glob("*.npy"))]
    (HERE / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    main()
