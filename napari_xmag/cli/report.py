"""``napari-xmag report``: a report of saved results, to read and to hand on."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.errors import XmagError

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.review.store import ViewState

    Written = tuple[SlideResult, Path, Path]
    """A result, its folder, and its report."""

_VIEWS = {"evidence": "EVIDENCE", "attention": "RAW", "rank": "RANK"}

_DESCRIPTION = f"""\
Write a report of each saved result: the slide beside its map, the answer or why there is none,
warnings, the places to look at with what was said of them, areas, slide and model. The slide is
looked for beside the result and known by its fingerprint. Of several results, reports.html leads to
all of them.

{NOTICE}"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "report",
        help="write a report (HTML and PDF) of saved results",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULT",
        help="folder of a result, or its result.json or heatmap.ome.tif",
    )
    parser.add_argument(
        "--slide",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="slides, or folders of slides, where they do not lie beside the results",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="holds the reports (default: beside each result)"
    )
    parser.add_argument(
        "--format",
        nargs="+",
        choices=("html", "pdf"),
        default=["html", "pdf"],
        help="what to write (default: both)",
    )
    parser.add_argument(
        "--view",
        choices=tuple(_VIEWS),
        help="what the map shows (default: as reviewed last, else evidence)",
    )
    parser.add_argument("--class", dest="class_name", metavar="NAME", help="class of the evidence")
    parser.add_argument("--reviewer", metavar="NAME", help="name on the report")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the reports.

    Returns
    -------
    0 when all were written, 1 when one was not (it is named).
    """
    written = []
    for path in args.results:
        try:
            written.append(_write(args, path))
        except XmagError as error:
            print(f"{path}: FAILED. {error}", file=sys.stderr)
    if len(written) > 1:
        _write_overview(args, written)
    print(NOTICE)
    return 0 if len(written) == len(args.results) else 1


def _write_overview(args: argparse.Namespace, written: "list[Written]") -> None:
    from napari_xmag.filenames import REPORTS
    from napari_xmag.report.overview import write_overview

    folders = [str(folder.absolute()) for _, folder, _ in written]
    parent = Path(os.path.commonpath(folders)) if args.out is None else args.out
    write_overview(written, parent / REPORTS)
    print(f"written  {parent / REPORTS}")


def _write(args: argparse.Namespace, path: Path) -> "Written":
    from napari_xmag.report.write import write_report
    from napari_xmag.review.reopen import reopen, reviews_of
    from napari_xmag.review.store import ReviewStore, reviewer
    from napari_xmag.slide.open import open_slide

    found = reopen(path, args.slide)
    store = ReviewStore(str(found.result.slide["fingerprint"]))
    shown = _shown(args, store.view())
    with open_slide(found.slide, image=found.image) as slide:
        files = write_report(
            slide,
            found.result,
            found.folder if args.out is None else args.out / found.folder.absolute().name,
            reviews_of(found, store),
            formats=args.format,
            view=shown.view,
            class_name=shown.class_name,
            reviewer=reviewer() if args.reviewer is None else args.reviewer,
        )
    for file in files.values():
        print(f"written  {file}")
    return found.result, found.folder, next(iter(files.values()))


def _shown(args: argparse.Namespace, saved: "ViewState") -> "ViewState":
    """Return how the map is shown: as asked for, else as it was reviewed last."""
    from dataclasses import replace

    from napari_xmag.analyze.heatmap import HeatMapView

    view = saved.view if args.view is None else HeatMapView[_VIEWS[args.view]]
    class_name = saved.class_name if args.class_name is None else args.class_name
    return replace(saved, view=view, class_name=class_name)
