"""`napari-xmag examples`: labelled slides made by the computer, to try a training with."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "examples",
        help="make labelled example slides to try training with",
        description="Create synthetic slides of two classes, even and crowded, and a table, "
        "cohort.csv, to try out training. They show no disease, and a model trained on them has "
        "no medical use (docs/train.md).",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="an empty or new folder")
    parser.add_argument("--slides", type=int, default=32, help="number of slides (default: 32)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the slides, name each, and print where the table lies; return 0."""
    from napari_xmag.filenames import COHORT
    from napari_xmag.slide.sample_cohort import write_sample_cohort

    for slide in write_sample_cohort(args.folder, args.slides):
        print(f"{slide.path.name}  {slide.label}  patient {slide.patient}", flush=True)
    print(args.folder / COHORT)
    return 0
