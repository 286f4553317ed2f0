"""``napari-xmag worklist``: a list of slides for review, filled from results that are there."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.errors import XmagError

if TYPE_CHECKING:
    from napari_xmag.review.worklist import Worklist

_DESCRIPTION = f"""\
Create a worklist, or add to one: slides with their status and results, in the order in which to
review them. Results of "napari-xmag analyze" are matched to slides by fingerprint, so that what was
analyzed overnight can be reviewed in the morning: open the list in the window.

{NOTICE}"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "worklist",
        help="make a list of slides to review, with their results",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("list", type=Path, metavar="LIST", help="the worklist, a .json file")
    parser.add_argument(
        "sources",
        nargs="*",
        type=Path,
        metavar="SOURCE",
        help="slides, folders, tables (CSV, Excel), project.qpproj or other worklists to add",
    )
    parser.add_argument(
        "--results",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="result folders, as written by napari-xmag analyze --out",
    )
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="write the list as a table (.csv or .xlsx)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the list.

    Returns
    -------
    0 when all was taken in, 1 when a result or an image of a project could not be read (it is
    named).
    """
    from napari_xmag.cli.slides import words_of_skipped
    from napari_xmag.review.worklist import Worklist
    from napari_xmag.review.worklist_sources import worklist_rows

    worklist = Worklist.load(args.list) if args.list.exists() else Worklist(path=args.list)
    found = worklist_rows(args.sources)
    for line in words_of_skipped(found.searched):
        print(line, file=sys.stderr)
    for name, reason in found.unusable:
        print(f"{name}: FAILED. {reason}", file=sys.stderr)
    added = worklist.add(found.rows)
    if not added:  # else it is saved
        worklist.save()
    print(f"{added} added to {args.list}")
    failed = _take_in(worklist, args.results)
    if args.summary is not None:
        worklist.write_summary(args.summary)
    counts = worklist.counts().items()
    print(", ".join(f"{count} {status}" for status, count in counts if count) or "no slides")
    print(NOTICE)
    return 1 if failed or found.unusable or found.searched.unread else 0


def _take_in(worklist: "Worklist", folders: list[Path]) -> int:
    """Fill rows from saved results; return how many results could not be read."""
    from napari_xmag.review.worklist_results import take_results

    failed = 0
    for taken in take_results(worklist, folders):
        if isinstance(taken.problem, XmagError):
            failed += 1
            print(f"{taken.folder}: FAILED. {taken.problem}", file=sys.stderr)
        elif taken.row is None:
            why = taken.why or "matches no slide in the list"
            print(f"{taken.folder}: {why}", file=sys.stderr)
        else:
            print(f"{taken.row.shown_name}: {taken.row.headline}")
    return failed
