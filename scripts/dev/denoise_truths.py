#!/usr/bin/env python3
"""What one pass of a denoiser takes from maps that have nothing wrong: the true maps of structures.

    scripts/dev/denoise_truths.py STRUCTURES [--weights FILE] [--box 48] [--pixel-size 2.5] [--program build/release/bin/cryored]

STRUCTURES is a folder of PDB or mmCIF files, or several files. A denoiser should leave such maps as they are: prints the
FSC of the pass to the truth, its least value and its mean over the shells, for each structure that fits the box, the
worst last. docs/training.md ("Heavy molecules") has the figures of the shipped weights.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile


def structure_files(arguments):
    for path in arguments:
        if os.path.isdir(path):
            yield from sorted(p for e in ("pdb", "pdb.gz", "cif", "cif.gz") for p in glob.glob(f"{path}/*.{e}"))
        else:
            yield path


def curve(options, structure):
    """FSC in the shells 1 .. box/2 - 1, or what the simulation says where it makes no map."""
    with tempfile.TemporaryDirectory() as folder:
        grid = ["--box", str(options.box), "--pixel-size", str(options.pixel_size)]
        made = subprocess.run([options.program, "simulate", structure, *grid, "--count", "10", "--out", folder],
                              capture_output=True, text=True)
        if made.returncode:
            return made.stderr.strip()
        truth, = glob.glob(f"{folder}/*/truth.mrc")
        denoised = f"{folder}/denoised.mrc"
        weights = ["--weights", options.weights] if options.weights else []
        subprocess.run([options.program, "denoise", truth, denoised, "--device", "cpu", *weights], check=True,
                       capture_output=True)
        fsc = subprocess.run([options.program, "fsc", truth, denoised, "--json"], check=True, capture_output=True)
        return json.loads(fsc.stdout)["fsc"][1:options.box // 2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", nargs="+")
    parser.add_argument("--weights")
    parser.add_argument("--box", type=int, default=48)
    parser.add_argument("--pixel-size", type=float, default=2.5)
    parser.add_argument("--program", default="build/release/bin/cryored")
    options = parser.parse_args()
    found, left_out = [], 0
    for path in structure_files(options.structures):
        fsc = curve(options, path)
        if isinstance(fsc, str):
            left_out += 1
            print(f"{path}: left out: {fsc}", file=sys.stderr)
            continue
        found.append((min(fsc), sum(fsc) / len(fsc), os.path.basename(path).split(".")[0]))
    if not found:
        sys.exit("no structure gave a map")
    print("structure  least FSC  mean FSC")
    for least, mean, name in sorted(found, reverse=True):
        print(f"{name:9}  {least:9.3f}  {mean:8.3f}")
    worst = [least for least, _, _ in found]
    print(f"{len(found)} structures, {left_out} left out; least FSC below 0.9 in {sum(x < 0.9 for x in worst)}, "
          f"below 0.95 in {sum(x < 0.95 for x in worst)}")


if __name__ == "__main__":
    main()
