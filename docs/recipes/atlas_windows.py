#!/usr/bin/env python3
"""Rebuild the windows of Pathology Atlas slides that a table names, to take fields from.

usage: atlas_windows.py CLONES TABLE OUT [--mpp 0.5]

CLONES holds the clones of github pathologyatlas/<case>, as CLONES/<case>, bare or not. TABLE has
the columns slide (<case>__<image>), commit, mpp, x, y, width, height (in level-0 pixels):
atlas_fields_large.csv (windows of 20 mm, each the densest of its image, as in atlas_slide.py),
atlas_fields_more.csv (of scans that state no pixel size; theirs was inferred from nuclei) or
atlas_fields.csv (of 4 mm, and of fewer cases).
Writes OUT/<slide>.tiff. With --mpp no level is written that is at least twice as fine: fields of
0.5 µm/px need a quarter of the pixels of a scan of 0.25 µm/px. Slides that are there are not
written again.
"""

import argparse
import csv
import math
from pathlib import Path

from atlas_slide import DeepZoom, Repository, require_clones, write

ENLARGED = 1.1  # more than this is too coarse


def main():
    """Rebuild what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clones", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mpp", type=float, help="µm/px that is fine enough")
    args = parser.parse_args()
    if not args.table.is_file():
        parser.error(f"there is no table {args.table}")
    args.out.mkdir(parents=True, exist_ok=True)
    with args.table.open(newline="") as stream:
        paths = {args.out / f"{row['slide']}.tiff": row for row in csv.DictReader(stream)}
    missing = {path: row for path, row in paths.items() if not path.exists()}
    require_clones(args.clones, (row["slide"].split("__")[0] for row in missing.values()))
    for path, row in missing.items():
        rebuild(row, args, path)


def rebuild(row, args, path):
    """Write one slide."""
    case, image = row["slide"].split("__")
    with Repository(args.clones / case) as repository:
        if not repository.commit.startswith(row["commit"]):
            raise SystemExit(f"{case}: expected commit {row['commit']}, not {repository.commit}")
        slide = DeepZoom(repository, f"{image}.dzi", float(row["mpp"]))
        box = [int(row[name]) for name in ("x", "y", "width", "height")]
        if args.mpp:
            steps = max(0, math.floor(math.log2(ENLARGED * args.mpp / slide.mpp)))
            slide.start_at(steps)
            box = [value >> steps for value in box]
        write(slide, path, box)
    print(path.name, slide.mpp, *box, flush=True)


if __name__ == "__main__":
    main()
