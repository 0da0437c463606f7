#!/usr/bin/env python3
"""What B/K and the denoiser's output are worth in shells of half-maps, from the file that cryored-calibrate --samples writes.

    scripts/dev/confidence_samples.py SAMPLES.json

Prints the correlation to the truth of y = B/K, of f(y), and of the map with lambda 1 for several weights of the prior, by the
half-map FSC in the shell; and a and b of the x = a y + b f that errs least. docs/red.md has such a table.
"""
import json
import math
import sys

BANDS = ((0.05, 0.143), (0.143, 0.35), (0.35, 0.6), (0.6, 0.85), (0.85, 0.97), (0.97, 1.01))
WEIGHTS = (1, 2, 4, 8, 16, 64)


def correlation(s, a, b):
    power = a * a * s["yy"] + b * b * s["ff"] + 2 * a * b * s["yf"]
    return (a * s["yt"] + b * s["ft"]) / math.sqrt(power) if power > 0 else 0


def share(s, weight):
    fsc = min(max(s["half_map_fsc"], 0.001), 0.999)
    return weight * (1 - fsc) / (fsc + weight * (1 - fsc))


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else float("nan")


def best(samples):
    """a, b that minimise the mean of |a y + b f - t|^2 / |t|^2; shells of next to no truth count at most once."""
    yy = ff = yf = yt = ft = 0
    for s in samples:
        weight = 1 / max(1, s["ff"], s["yy"])
        yy, ff, yf = yy + weight * s["yy"], ff + weight * s["ff"], yf + weight * s["yf"]
        yt, ft = yt + weight * s["yt"], ft + weight * s["ft"]
    determinant = yy * ff - yf * yf
    return (yt * ff - ft * yf) / determinant, (ft * yy - yt * yf) / determinant


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        samples = json.load(file)
    rows = [("y", lambda s: correlation(s, 1, 0)), ("f(y)", lambda s: correlation(s, 0, 1))]
    for weight in WEIGHTS:
        rows.append((f"lambda 1, w = {weight}", lambda s, w=weight: correlation(s, 1 - share(s, w), share(s, w))))
    bands = [[s for s in samples if low <= s["half_map_fsc"] < high] for low, high in BANDS]
    print("| half-map FSC |", " | ".join(f"{low:g} to {high:g}" for low, high in BANDS), "|")
    print("| --- |" + " --- |" * len(BANDS))
    print("| shells |", " | ".join(str(len(band)) for band in bands), "|")
    for name, of in rows:
        print(f"| {name} |", " | ".join(f"{mean(map(of, band)):.2f}" for band in bands), "|")
    found = [best(band) if len(band) > 1 else (float("nan"),) * 2 for band in bands]
    for i, name in enumerate(("best a", "best b")):
        print(f"| {name} |", " | ".join(f"{pair[i]:.2f}" for pair in found), "|")


if __name__ == "__main__":
    main()
