"""Sum up a JUnit report; exit 1 when real-data tests were skipped though the data is there."""

import os
import sys
from pathlib import Path
from xml.etree import ElementTree


def main() -> int:
    """Print one line of figures, then each test skipped for want of data it has."""
    cases = list(ElementTree.parse(sys.argv[1]).iter("testcase"))
    skipped = [(case, case.find("skipped")) for case in cases if case.find("skipped") is not None]
    failed = [case for case in cases if {"failure", "error"} & {part.tag for part in case}]
    seconds = sum(float(case.get("time", 0)) for case in cases)
    print(f"{len(cases)} tests, {len(failed)} failed, {len(skipped)} skipped, {seconds:.0f} s")
    if not Path(os.environ["XMAG_DATA"]).is_dir():
        print("No real slides here: tests on them were skipped.")
        return 0
    blind = [case for case, why in skipped if "XMAG_DATA" in why.get("message", "")]
    for case in blind:
        print(f"skipped though the data is there: {case.get('classname')}::{case.get('name')}")
    return 1 if blind or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
