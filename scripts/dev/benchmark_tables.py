#!/usr/bin/env python3
"""The two tables of docs/results.md from the records of the refinement benchmark.

Usage: benchmark_tables.py [RESULTS]      (default: benchmarks/refine/results)

First one seed of the usual data sets, a column for each refinement: FSC 0.5 to the truth inside its mask in A, in
brackets after the denoiser's last pass; median angular error in degrees; half-map FSC 0.143 in A. Then mean and
standard deviation over the seeds.
"""

import json
import pathlib
import statistics
import sys

MODES = {"known-angles": "known angles", "plain": "plain", "plain+denoise": "plain, one denoising",
         "cw-red": "CW-RED", "red": "RED", "per-shell": "default"}


def read(folder):
    """{data set: {mode: record}}; where a mode has several networks, the last by file name."""
    sets = {}
    for path in sorted(pathlib.Path(folder).glob("*_box*/*.json")):
        record = json.loads(path.read_text())
        if record["score"]["version"] < 3:  # angles were measured otherwise (docs/refinements.md)
            record["score"]["final"]["angular_error"]["median_deg"] = None
        sets.setdefault(record["data_set"], {})[record["mode"]] = record
    return sets


def masked(part):
    return part["fsc_0.5_masked_A"]


def number(value):
    return "-" if value is None else f"{value:.1f}"


def judged(record):
    """As judged() in evaluation/benchmark_summary.hpp: without a denoiser's last word; None where there is none."""
    final = record["score"]["final"]
    if record["mode"] in ("known-angles", "plain", "plain+denoise", "gaussian") or record["end"] == "converged":
        return final["to_truth"]
    raw = final.get("raw_to_truth")
    return raw if raw and "fsc" in raw else None


def denoised(record):
    final = record["score"]["final"]
    return final.get("denoised_to_truth") or (final["to_truth"] if judged(record) is not final["to_truth"] else None)


def cell(record):
    if record is None:
        return ""
    final, mode = record["score"]["final"], record["mode"]
    text = number(masked(judged(record)) if judged(record) else None)
    if mode in ("known-angles", "plain+denoise"):
        return text
    if mode != "plain" and denoised(record) and largest_lambda(record) > 0:
        text += f" ({masked(denoised(record)):.1f})"
    text += f"; {number(final['angular_error']['median_deg'])}; {final['half_map_fsc_0.143_A']:.1f}"
    return text + (" (hopeless)" if record["end"] == "hopeless" else "")


def largest_lambda(record):
    values = [half.get("lambda") or 0 for it in record["score"]["iterations"] for half in it.get("reconstructions") or []]
    return max(values, default=0)


def row(values):
    print("| " + " | ".join(values) + " |")


def one_seed(sets):
    names = [n for n in sets if n.count("_") == 3]
    order = {id: i for i, id in enumerate(("4LW4", "3L89", "3H11", "1XU1"))}
    key = lambda n: (-float(n.split("_snr")[1]), order.get(n.split("_")[0], 99), n)
    row(["data set", *MODES.values()])
    row(["---"] * (len(MODES) + 1))
    for name in sorted(names, key=key):
        row([f"{name.split('_')[0]}, SNR {name.split('_snr')[1]}", *(cell(sets[name].get(m)) for m in MODES)])


def spread(values):
    values = [v for v in values if v is not None]
    if not values:
        return ""
    if len(values) < 3:
        return f"{statistics.mean(values):.1f} ({len(values)})"
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def seeds(sets):
    families = {}
    for name in sets:
        base = name.split("_seed")[0]
        if f"{base}_seed2" in sets:
            families.setdefault(base, []).append(sets[name])
    columns = [("plain", masked, "to_truth", "plain"), ("plain+denoise", masked, "to_truth", "plain, one denoising"),
               ("cw-red", masked, "to_truth", "CW-RED"),
               ("per-shell", masked, "to_truth", "default"),
               ("per-shell", masked, "denoised_to_truth", "denoised"),
               ("plain", lambda a: a["median_deg"], "angular_error", "angular error, plain"),
               ("cw-red", lambda a: a["median_deg"], "angular_error", "CW-RED"),
               ("per-shell", lambda a: a["median_deg"], "angular_error", "default"),
               ("plain", lambda a: a, "half_map_fsc_0.143_A", "half-map FSC 0.143, plain"),
               ("cw-red", lambda a: a, "half_map_fsc_0.143_A", "CW-RED"),
               ("per-shell", lambda a: a, "half_map_fsc_0.143_A", "default")]
    row(["data set", *(c[3] for c in columns)])
    row(["---"] * (len(columns) + 1))
    for base, members in families.items():
        def value(member, mode, read_part, part):
            final = member[mode]["score"]["final"] if mode in member else {}
            return read_part(final[part]) if part in final else None
        row([base.replace("_box48_n2000_snr", ", SNR "),
             *(spread([value(m, mode, f, part) for m in members]) for mode, f, part, _ in columns)])


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    sets = read(sys.argv[1] if len(sys.argv) > 1 else here / "benchmarks/refine/results")
    one_seed(sets)
    print()
    seeds(sets)


if __name__ == "__main__":
    main()
