"""``napari-xmag report``: a report of saved results, to read and to hand on."""

import argparse
import os
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.errors import ResultError, XmagError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_xmag.analyze.heatmap import MapLook
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.review.store import ViewState

    Written = tuple[SlideResult, Path, bytes]
    """A result, its report, and the picture of its map."""

_VIEWS = {"evidence": "EVIDENCE", "attention": "RAW", "rank": "RANK"}

_DESCRIPTION = f"""\
Write a report on each saved result: the slide next to its heat map, the prediction or why there is
none, warnings, the patches to review with their marks and comments, areas, slide and model. The
slide is searched for next to the result and identified by its fingerprint. For several results,
reports.html links to all reports.

{NOTICE}"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "report",
        help="write a report (HTML and PDF) on saved results",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULT",
        help="folder of a result, its result.json or heatmap.ome.tif; or a worklist (.json)",
    )
    parser.add_argument(
        "--slide",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="slides, or folders of slides, if they are not next to the results",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for the reports (default: next to each result)",
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
        help="what the map shows (default: the view last used in review, otherwise evidence)",
    )
    parser.add_argument(
        "--class", dest="class_name", metavar="NAME", help="class whose evidence is shown"
    )
    parser.add_argument("--reviewer", metavar="NAME", help="reviewer's name on the report")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the reports.

    Returns
    -------
    0 when all were written, 1 when one was not (it is named).
    """
    given: set[str] = set()
    jobs: list[_Job] = []
    written: list[Written] = []
    failed = 0
    for path in args.results:
        try:
            jobs += _jobs(args, path, given)
        except XmagError as error:
            failed += _tell_failed(str(path), error)
    for job in jobs:
        try:
            written.append(_write(args, job))
        except XmagError as error:
            failed += _tell_failed(job.name, error)
    if len(written) > 1:
        _write_overview(written)
    print(NOTICE)
    return 1 if failed else 0


def _tell_failed(name: str, error: XmagError) -> int:
    """Say why there is no report, and count it."""
    print(f"{name}: FAILED. {error}", file=sys.stderr)
    return 1


@dataclass(frozen=True)
class _Job:
    """One report to write.

    Attributes
    ----------
    name
        What was asked for.
    result
        The result's folder, or a file of it.
    near
        Where its slide may be.
    out
        Takes the report; None for the result's own folder.
    """

    name: str
    result: Path
    near: "tuple[Path, ...]"
    out: Path | None


def _jobs(args: argparse.Namespace, path: Path, given: set[str]) -> "list[_Job]":
    from napari_xmag.filenames import RESULT

    if path.suffix.lower() == ".json" and path.name != RESULT:
        return list(_of_worklist(args, path, given))
    name = (path.parent if path.is_file() else path).absolute().name
    out = None if args.out is None else args.out / _free(name, given)
    return [_Job(str(path), path, tuple(args.slide), out)]


def _of_worklist(args: argparse.Namespace, path: Path, given: set[str]) -> "Iterator[_Job]":
    from napari_xmag.files import safe_name
    from napari_xmag.review.store import ReviewStore
    from napari_xmag.review.worklist import Worklist

    parent = path.with_name(f"{path.stem}-reports") if args.out is None else args.out
    rows = Worklist.load(path).sorted()
    without = [f"{row.shown_name} ({row.status})" for row in rows if not row.result]
    if without:
        print(f"{path}: no result of {', '.join(without)}", file=sys.stderr)
    if len(without) == len(rows):
        raise ResultError(
            expected=f"at least one slide with a result in {path}",
            found="none with one" if rows else "no slides",
            hint="Analyze them first, or take results in: napari-xmag worklist LIST --results DIR.",
        )
    for row in rows:
        if row.result:
            folder = ReviewStore(row.fingerprint).result_folder(row.result)
            near = (row.slide, *args.slide)
            yield _Job(
                row.shown_name, folder, near, parent / _free(safe_name(row.shown_name), given)
            )


def _free(name: str, given: set[str]) -> str:
    """Return a name for a folder that no other report of this run has."""
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    free = next(item for item in names if item.casefold() not in given)
    given.add(free.casefold())
    return free


def _write_overview(written: "list[Written]") -> None:
    from napari_xmag.filenames import REPORTS
    from napari_xmag.report.overview import write_overview

    folders = [str(report.absolute().parent) for _, report, _ in written]
    path = Path(os.path.commonpath(folders)) / REPORTS
    write_overview(written, path)
    # As the others are called: by the way from where the command was given.
    near = path.is_relative_to(Path.cwd())
    print(f"written  {path.relative_to(Path.cwd()) if near else path}")


def _write(args: argparse.Namespace, job: _Job) -> "Written":
    from napari_xmag.analyze.tissue_used import tissue_again
    from napari_xmag.report.content import report_content
    from napari_xmag.report.write import write_content
    from napari_xmag.review.reopen import reopen, require_same_picture, reviews_of
    from napari_xmag.review.store import ReviewStore, reviewer
    from napari_xmag.slide.open import open_slide

    found = reopen(job.result, job.near)
    store = ReviewStore(str(found.result.slide["fingerprint"]))
    with open_slide(found.slide, image=found.image) as slide:
        require_same_picture(found.result, slide)
        content = report_content(
            slide,
            found.result,
            reviews_of(found, store),
            look=_look(args, store.view(), found.result.classes),
            reviewer=reviewer() if args.reviewer is None else args.reviewer,
            mask=tissue_again(slide, found.result, store.regions()),
        )
    files = write_content(content, job.out or found.folder, args.format)
    for file in files.values():
        print(f"written  {file}")
    return found.result, next(iter(files.values())), content.maps.map


def _look(args: argparse.Namespace, saved: "ViewState", classes: "Sequence[str]") -> "MapLook":
    """Return how the map is shown: as asked for, else as it was reviewed last."""
    from napari_xmag.analyze.heatmap import HeatMapView, MapLook

    view = saved.view if args.view is None else HeatMapView[_VIEWS[args.view]]
    # the slide may have been reviewed with another model since
    known = saved.class_name if saved.class_name in classes else ""
    class_name = known if args.class_name is None else args.class_name
    return MapLook(view, class_name, saved.opacity, saved.threshold)
