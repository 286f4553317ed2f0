"""``napari-xmag analyze``: predictions, heat maps and exports for slides."""

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.cli import regions
from napari_xmag.cli.settings import mpp_option
from napari_xmag.errors import ConfigError, ModelError, XmagError

if TYPE_CHECKING:
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.cli.analyze_report import AnalyzeReport
    from napari_xmag.cli.targets import Target, WriteBack
    from napari_xmag.export.folder import ResultFolders
    from napari_xmag.nets.stored import StoredModel
    from napari_xmag.slide.base import Slide

_log = logging.getLogger(__name__)

_DESCRIPTION = f"""\
Analyze whole slides: files, DICOM folders, and all slides in and below folders. For each slide,
DIR/<slide name>/ receives

  result.json       prediction, warnings, and everything needed to trace them
  tiles.csv         position, attention and evidence of every patch of the map
  heatmap.ome.tif   the same as exact pixel values, placed in µm
  qupath.geojson.gz map, hotspots and measurements for QuPath: drop it on the open slide
  tiles.geojson     the patches alone, for any program that reads GeoJSON
  overlay.png       the heat map over the slide

A second slide of the same name gets <slide name>-2; the second picture of a file <slide name>#2.

{NOTICE}"""

_EPILOG = """\
exit code: 0 all slides done, 1 some failed (each is named with the reason), 2 wrong usage

examples:
  napari-xmag analyze biopsy.svs
  napari-xmag analyze slides/ --out results
  napari-xmag analyze scan.tif --mpp 0.25 --regions annotations.geojson --regions-class Tumor
  napari-xmag analyze project.qpproj --write-back"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "analyze",
        help="analyze slides: prediction, heat map, exports",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "slides",
        nargs="+",
        type=Path,
        metavar="SLIDE",
        help="slide file, DICOM folder, folder, or project.qpproj of QuPath",
    )
    parser.add_argument("--model", metavar="M", help="name or folder; the bundled one by default")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("xmag-results"),
        metavar="DIR",
        help="holds a folder for each slide (default: xmag-results)",
    )
    parser.add_argument(
        "--image",
        metavar="N|NAME",
        help="only this picture of files with several pictures (default: each of them)",
    )
    _add_mpp_options(parser)
    parser.add_argument(
        "--device", default="auto", metavar="D", help="auto, cpu, cuda or mps (default: auto)"
    )
    regions.add_options(parser)
    parser.add_argument(
        "--write-back",
        action="store_true",
        help="write the predictions into the metadata of project.qpproj (close it in QuPath)",
    )
    parser.add_argument(
        "--progress",
        choices=("text", "json"),
        default="text",
        help="json: events for other programs, one per line (docs/qupath.md; default: text)",
    )
    _add_machine_options(parser)
    parser.set_defaults(run=run)


def _add_mpp_options(parser: argparse.ArgumentParser) -> None:
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--mpp",
        type=mpp_option,
        metavar="X",
        help="µm per pixel of slides that do not state it; remembered for them",
    )
    given.add_argument(
        "--override-mpp",
        type=mpp_option,
        metavar="X",
        help="µm per pixel of all slides, in place of what they state",
    )


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-tissue",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="least share of tissue in a tile (default: 0.2)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="tiles encoded at once (default: what suits the device)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="reading threads (default: one per core, at most 4)",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "float32"),
        default="auto",
        help="auto: half precision where it is faster; float32: the same result everywhere "
        "(default: auto)",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "torch", "graph", "compiled"),
        default="auto",
        help="what runs the network: PyTorch; a graph of it that is faster on CPUs and made on "
        "first use; or PyTorch compiled for a GPU, which takes a minute and pays for large "
        "networks and many slides (default: auto)",
    )


def run(args: argparse.Namespace) -> int:
    """Analyze; see `add_parser` for what is returned."""
    report = _report(args.progress)
    try:
        return _run(args, report)
    finally:
        report.abandon()


def _report(progress: str) -> "AnalyzeReport":
    from napari_xmag.cli.analyze_report import TextReport
    from napari_xmag.cli.progress_json import JsonReport

    return JsonReport() if progress == "json" else TextReport()


def _run(args: argparse.Namespace, report: "AnalyzeReport") -> int:
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.cli.targets import WriteBack, check_shown, find_targets
    from napari_xmag.export.folder import ResultFolders
    from napari_xmag.slide.tissue import TissueChoice

    settings = AnalyzeSettings(
        device=args.device,
        batch_size=args.batch_size,
        workers=args.workers,
        min_tissue=args.min_tissue,
        tissue=TissueChoice.WHOLE if args.tissue == "whole" else TissueChoice.AUTO,
        precision=args.precision,
        engine=args.engine,
    )
    _require_folder(args.out)
    found, targets = find_targets(args.slides)
    report.found(found)
    check_shown(targets)
    within = regions.RegionsChoice.of(args, len(targets))
    answers = WriteBack(args.write_back)
    answers.require_project(targets)
    job = _Job(args, settings, _load(args), ResultFolders(args.out), within, report, answers)
    for number, target in enumerate(targets, 1):
        job.do(target, number, len(targets))
    report.close(job.count - len(job.failed), job.failed)
    answers.write(report)
    return 1 if job.failed or found.unread else 0


def _require_folder(out: Path) -> None:
    """Refuse what is no folder, before anything is computed for it."""
    nearest = next(path for path in (out, *out.absolute().parents) if os.path.exists(path))
    if not os.path.isdir(nearest):
        raise ConfigError(
            expected=f"--out {out} to be a folder",
            found=f"the file {nearest}",
            hint="Name a folder, or one that shall be made.",
        )


def _load(args: argparse.Namespace) -> "StoredModel":
    """Load what all slides need; a fault here is wrong usage."""
    from napari_xmag.zoo import open_model

    if args.device not in ("auto", "cpu"):
        from napari_xmag.nets.device import pick_device

        pick_device(args.device)
    try:
        return open_model(args.model)
    except ModelError as error:
        raise ConfigError(
            expected=error.expected, found=error.found, hint=error.hint, causes=(error,)
        ) from error


@dataclass
class _Job:
    """What is the same for all slides, and what became of them."""

    args: argparse.Namespace
    settings: "AnalyzeSettings"
    model: "StoredModel"
    folders: "ResultFolders"
    within: regions.RegionsChoice
    report: "AnalyzeReport"
    answers: "WriteBack"
    count: int = 0
    failed: list[str] = field(default_factory=list)

    def do(self, target: "Target", number: int, count: int) -> None:
        """Analyze the pictures of one file; say so, or why not."""
        images = target.images(self.args.image)
        for image in images:
            name = target.path.name if image in (None, 1) else f"{target.path.name} #{image}"
            self.report.begin(target.path, name, number, count)
            with self._told(name):
                self.within.require_each(images)
                self._analyze(target, image, name)

    @contextmanager
    def _told(self, name: str) -> "Iterator[None]":
        """Note if a slide fails: the next one must not suffer for it."""
        self.count += 1
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a damaged file or a full memory raises
            self.failed.append(name)
            ours = error if isinstance(error, XmagError) else _unexpected(name, error)
            self.report.fail(name, ours)
            _log.info("%s", ours.details(), exc_info=True)

    def _analyze(self, target: "Target", image: int | str | None, name: str) -> None:
        from napari_xmag.analyze.engine import analyze_slide
        from napari_xmag.export import export_all
        from napari_xmag.export.folder import result_name
        from napari_xmag.slide.fingerprint import slide_fingerprint

        path = target.path
        within = self.within.read(path, target.name, image)
        with self._open(target, image, name) as slide:
            number = slide.image.index
            mark = slide_fingerprint(path, number)
            origin = target.origin(slide, self.args.qupath_origin)
            with self.folders.reserve(result_name(path, number), mark) as folder:
                mask = self.within.mask(slide, within, origin)
                result = analyze_slide(slide, self.model, self.settings, mask, self.report.show)
                result = regions.recorded(result, within)
                export_all(slide, result, folder, origin)
        self.answers.add(target, result)
        self.report.finish(name, result, folder, () if within is None else (within.words,))

    def _open(self, target: "Target", image: int | str | None, name: str) -> "Slide":
        """Open a slide and give it the pixel size of the command line as far as that is meant."""
        from napari_xmag.geometry import Mpp
        from napari_xmag.slide.given_mpp import fill_mpp, override_mpp

        slide = target.open(image)
        words = ""
        if self.args.mpp is not None:
            words = fill_mpp(slide, Mpp(self.args.mpp, self.args.mpp))
        elif self.args.override_mpp is not None:
            words = override_mpp(slide, Mpp(self.args.override_mpp, self.args.override_mpp))
        if words:
            self.report.warn(name, words)
        return slide


def _unexpected(name: str, error: Exception) -> XmagError:
    return XmagError(
        expected=f"to analyze {name}",
        found=f"{type(error).__name__}: {error}",
        hint="The file may be damaged. Run again with -v for all that is known.",
        causes=[error],
    )
