#!/usr/bin/env python3
"""What B/K and the denoiser's output are worth in shells of half-maps, from the file that cryored-calibrate --samples writes.

    scripts/dev/confidence_samples.py SAMPLES.json [WEIGHTS.crw...]

Prints the correlation to the truth of y = B/K, of f(y), and of the map with lambda 1 for several weights of the prior, by the
half-map FSC in the shell; and a and b of the x = a y + b f that errs least. docs/red.md has such a table.
With weights files: the error of the map with the table of each, as cryored-calibrate prints it, and the mean lambda.
"""
import bisect
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


def table_of(weights):
    """The confidence table in the JSON at the head of a weights file."""
    with open(weights, "rb") as file:
        head = file.read(1 << 20)
    about = json.JSONDecoder().raw_decode(head[head.index(b"{"):].decode("latin-1"))[0]
    return about["confidence"]


def between(nodes, x):
    x = min(max(x, nodes[0]), nodes[-1])
    i = min(bisect.bisect_right(nodes, x) - 1, len(nodes) - 2)
    return i, (x - nodes[i]) / (nodes[i + 1] - nodes[i])


def table_lambda(table, s):
    if len(table["frequency_per_A"]) != 1:
        sys.exit("a table that depends on the frequency of the shell; allowed: one of nominal resolution and half-map FSC")
    i, u = between(table["nominal_per_A"], s["nominal_per_A"])
    j, v = between(table["half_map_fsc"], s["half_map_fsc"])
    row = [table["lambda"][k * len(table["half_map_fsc"]):] for k in (i, i + 1)]
    low, high = ((1 - v) * r[j] + v * r[j + 1] for r in row)
    return (1 - u) * low + u * high


def error(s, scale, weight):
    q = share(s, 1 + (weight - 1) * scale)
    a, b = 1 - q, scale * q
    return min(10, 1 + a * a * s["yy"] + b * b * s["ff"] + 2 * a * b * s["yf"] - 2 * a * s["yt"] - 2 * b * s["ft"])


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        samples = json.load(file)
    if len(sys.argv) > 2:
        for path in sys.argv[2:]:
            table = table_of(path)
            found = [table_lambda(table, s) for s in samples]
            errors = [error(s, scale, table["prior_weight"]) for s, scale in zip(samples, found)]
            print(f"{path}: error {mean(errors):.4f}, mean lambda {mean(found):.3f}, {len(samples)} shells")
        return
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
