#!/usr/bin/env python3
"""Which held-out structures resemble structures that train: the largest share of a held-out structure's protein 5-mers
(of residues in the file) that one training structure holds, for each held-out one. One in ten is held out, by name.

    scripts/dev/shared_sequences.py STRUCTURES [--held-out FOLDER] [--above 0.4]
"""
import argparse
import gzip
import os
import sys

THREE = dict(zip(
    "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL MSE".split(),
    "ARNDCQEGHILKMFPSTWYVM"))


def held_out(name):
    """is_validation() of simulation/structures.cpp: the upper half of the name's FNV-1a hash, modulo ten."""
    value = 14695981039346656037
    for byte in name.encode():
        value = ((value ^ byte) * 1099511628211) % 2**64
    return (value >> 32) % 10 == 0


def words(path):
    """5-mers of the residues that have a CA; gaps in the numbers end a stretch."""
    found, text, last = set(), "", None
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", errors="replace") as file:
        for line in file:
            if line.startswith("ENDMDL"):
                break
            if line[:6] not in ("ATOM  ", "HETATM") or line[12:16] != " CA " or line[17:20] not in THREE:
                continue
            place = (line[21], int(line[22:26]))
            if place == last:
                continue
            if last is None or place[0] != last[0] or place[1] != last[1] + 1:
                text = ""
            text = (text + THREE[line[17:20]])[-5:]
            last = place
            if len(text) == 5:
                found.add(text)
    return found


def structures(folder):
    return {name.split(".")[0]: words(os.path.join(folder, name)) for name in sorted(os.listdir(folder))
            if ".pdb" in name or ".ent" in name}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--held-out", help="structures that never train, instead of one in ten of FOLDER")
    parser.add_argument("--above", type=float, default=0.4)
    options = parser.parse_args()
    every = structures(options.folder)
    if options.held_out:
        train, held = every, structures(options.held_out)
    else:
        train = {n: w for n, w in every.items() if not held_out(n)}
        held = {n: w for n, w in every.items() if held_out(n)}
    held = {n: w for n, w in held.items() if len(w) >= 20}
    if not held:
        sys.exit("no held-out structure with 20 residues of a protein")
    shares = []
    for name, mine in held.items():
        share, other = max((len(mine & w) / len(mine), n) for n, w in train.items())
        shares.append((share, name, other))
    shares.sort(reverse=True)
    alike = [s for s in shares if s[0] > options.above]
    for share, name, other in alike:
        print(f"{name}  {share:.2f} of its 5-mers in {other}")
    print(f"{len(alike)} of {len(held)} held-out structures with a protein share more than {options.above:g} with one that "
          f"trains; the largest share of the others: {max([s[0] for s in shares if s[0] <= options.above], default=0):.3f}")


if __name__ == "__main__":
    main()
