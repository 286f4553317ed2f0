#!/usr/bin/env python3
"""Rebuild a cohort of 5x editions at full resolution, so that a teacher at 20x can be asked too.

usage: atlas_cohort.py CLONES COHORT.csv OUT

CLONES holds the clones of github pathologyatlas/<case>, as CLONES/<case>, bare or not. COHORT.csv
lies beside its editions, <case>__<image>.tiff, and has the columns slide, label, patient,
source_mpp and repository. Writes the window that each edition shows as OUT/<case>__<image>.tiff,
and OUT/cohort.csv. Slides that are there are not written again.
"""

import argparse
import csv
from pathlib import Path

from atlas_slide import DeepZoom, Repository, require_clones, same_window, write

COLUMNS = ["slide", "label", "patient"]


def main():
    """Rebuild what is missing, then write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clones", type=Path)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    if not args.cohort.is_file():
        parser.error(f"there is no table {args.cohort}")
    args.out.mkdir(parents=True, exist_ok=True)
    with args.cohort.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    missing = [row for row in rows if not (args.out / row["slide"]).exists()]
    require_clones(args.clones, map(case, missing))
    for row in missing:
        rebuild(row, args)
    with (args.out / "cohort.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def case(row):
    """Return the name of a slide's repository."""
    return Path(row["repository"]).name


def rebuild(row, args):
    """Write one slide of the cohort."""
    image = Path(row["slide"]).stem.split("__")[1] + ".dzi"
    with Repository(args.clones / case(row)) as repository:
        name = next(name for name in sorted(repository.names) if Path(name).name == image)
        slide = DeepZoom(repository, name, float(row["source_mpp"]))
        box = same_window(slide, args.cohort.parent / row["slide"])
        write(slide, args.out / row["slide"], box)
    print(row["slide"], slide.mpp, *box, flush=True)


if __name__ == "__main__":
    main()
