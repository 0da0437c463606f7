"""The table of ./dev bench ablation, in Markdown: one line per finished run below FOLDER, in the order of VARIANTS."""

import json
import os
import statistics
import sys

SEEDS = ("baseline", "seed-2", "seed-3")


def last_validation(folder):
    with open(os.path.join(folder, "log.jsonl"), encoding="utf-8") as log:
        return [json.loads(line) for line in log][-1]


def processor_seconds(folder):
    with open(os.path.join(folder, "processor_seconds"), encoding="utf-8") as file:
        return sum(float(word) for line in file for word in line.split())


def main():
    folder, variants = sys.argv[1:]
    with open(variants, encoding="utf-8") as file:
        names = [line.split(maxsplit=1) for line in file.read().splitlines()]
    rows = []
    for name, *change in names:
        run = os.path.join(folder, name)
        if not os.path.exists(os.path.join(run, "finished")):
            continue
        rows.append((name, " ".join(change), last_validation(run), processor_seconds(run)))
    if not rows:
        sys.exit(f"{folder}: no finished run")
    print("| variant | options | FSC before | FSC after | worst shell | steps | CPU s a step |")
    print("|---|---|---|---|---|---|---|")
    for name, change, line, seconds in rows:
        words = f"`{change}`" if change else ""
        print(f"| {name} | {words} | {line['fsc_in']:.3f} | {line['fsc_out']:.4f} | {line['worst_shell']:.3f} | "
              f"{line['step']} | {seconds / line['step']:.3f} |")
    seeds = [line["fsc_out"] for name, _, line, _ in rows if name in SEEDS]
    if len(seeds) > 1:
        print(f"\nFSC after, over {len(seeds)} seeds of the baseline: mean {statistics.mean(seeds):.4f}, "
              f"standard deviation {statistics.stdev(seeds):.4f}, range {max(seeds) - min(seeds):.4f}.")


main()
