"""Adds up the JUnit files that ctest wrote and prints the closing line of ./dev test.

Usage: count_tests.py REPORT.xml...
Exit status 1 when a report is missing, a test failed or was not run, or no test passed.
"""

import os
import sys
import xml.etree.ElementTree

# ctest calls both a test that skipped itself and one that could not start "skipped"; only these say the former.
SKIPPED_ITSELF = ("SKIP_REGULAR_EXPRESSION_MATCHED", "SKIP_RETURN_CODE", "Disabled")


def verdict(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped")
    if skipped is not None:
        return "skipped" if skipped.get("message", "").startswith(SKIPPED_ITSELF) else "failed"
    return "skipped" if case.get("status") == "disabled" else "passed"


def main(reports):
    names = {"passed": [], "failed": [], "skipped": []}
    broken = not reports
    for report in reports:
        run = os.path.basename(os.path.dirname(report))
        try:
            cases = xml.etree.ElementTree.parse(report).getroot().iter("testcase")
            for case in cases:
                names[verdict(case)].append(f"{run}: {case.get('name')}")
        except (OSError, xml.etree.ElementTree.ParseError) as error:
            print(f"error: no test results in {report}: {error}", file=sys.stderr)
            broken = True
    for kind in ("skipped", "failed"):
        for name in names[kind]:
            print(f"{kind}  {name}")
    print(f"{len(names['passed'])} passed, {len(names['failed'])} failed, {len(names['skipped'])} skipped", flush=True)
    return 1 if broken or names["failed"] or not names["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
