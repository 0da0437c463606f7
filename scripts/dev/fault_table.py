"""Prints the table of faults from the JUnit files that ctest wrote, as Markdown.

Usage: fault_table.py REPORT.xml...

Tests of the suites Faults* print lines "FAULT|what was done|how often|what came of it" (tests/faults/faults.hpp).
Where a fault was done with its short and its full count, the full one is shown. A test that failed, was skipped or
printed no such line is named as such. Exit status 1 when there was no such test, or one failed.
"""

import re
import sys
import xml.etree.ElementTree

sys.path.insert(0, sys.path[0])
from count_tests import verdict


def cases(reports):
    for report in reports:
        for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
            if case.get("name", "").startswith("Faults"):
                yield case


def rows(reports):
    """One row a fault, and the tests without one."""
    found, others = {}, []
    for case in cases(reports):
        name, result = case.get("name"), verdict(case)
        output = case.findtext("system-out") or ""
        lines = re.findall(r"^FAULT\|(.*?)\|(\d+)\|(.*?)\s*$", output, re.MULTILINE)
        if result != "passed" or not lines:
            others.append((result if result != "passed" else "passed, but said nothing", name))
            continue
        for fault, count, outcome in lines:
            # The same test, short and in full.
            key = (name.replace("FaultsLong", "Faults"), fault)
            row = (fault, int(count), outcome, float(case.get("time") or 0), name)
            if key not in found or row[1] >= found[key][1]:
                found[key] = row
    return list(found.values()), others


def main(reports):
    table, others = rows(reports)
    print("| fault | times | what came of it | seconds | test |")
    print("|---|---|---|---|---|")
    for fault, count, outcome, seconds, name in sorted(table, key=lambda row: row[4].replace("FaultsLong", "Faults")):
        print(f"| {fault} | {count:,} | {outcome} | {seconds:.0f} | `{name}` |")
    for result, name in others:
        print(f"\n{result}: {name}")
    failed = any(result not in ("passed", "skipped") for result, _ in others)
    return 1 if failed or not table else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
