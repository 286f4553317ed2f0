"""``napari-xmag analyze``: predictions, heat maps and exports for slides."""

import argparse
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.cli import regions, workers
from napari_xmag.cli.settings import mpp_option
from napari_xmag.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.batch.job import AnalyzeJob
    from napari_xmag.batch.targets import Target
    from napari_xmag.cli.analyze_report import AnalyzeReport, Count
    from napari_xmag.cli.write_back import WriteBack
    from napari_xmag.nets.stored import StoredModel

# Of a process that shares the machine with others; a thread that waits for the disk costs nothing.
_LEAST_READERS, _MOST_READERS = 2, 4

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
Several slides are analyzed side by side, in processes of their own: a file that kills its process
costs no other slide. DIR then holds summary.csv and summary.html too, a row for each slide, and
failed.csv. After an interruption, run it again: what is done with the same model and settings is
kept.

{NOTICE}"""

_EPILOG = """\
exit code: 0 all slides done, 1 some failed (each is named with the reason), 2 wrong usage

examples:
  napari-xmag analyze biopsy.svs
  napari-xmag analyze slides/ --out results
  napari-xmag analyze slides/ --out results --workers 8
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
    parser.add_argument(
        "--force", action="store_true", help="analyze slides that are done already, too"
    )
    workers.add_options(parser)
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
        "--reading-threads",
        type=int,
        metavar="N",
        help="threads that read the tiles of a slide (default: one per core, at most 4)",
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
    from napari_xmag.batch.targets import check_shown, find_targets
    from napari_xmag.cli.write_back import WriteBack

    settings = _settings(args)
    _require_folder(args.out)
    found, targets = find_targets(args.slides)
    report.found(found)
    check_shown(targets)
    answers = WriteBack(args.write_back)
    answers.require_project(targets)
    job = _job(args, settings, len(targets))
    count = _analyze(args, job, targets, report, answers)
    report.close(count)
    answers.write(report)
    return 1 if count.failed or found.unread else 0


def _settings(args: argparse.Namespace) -> "AnalyzeSettings":
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.slide.tissue import TissueChoice

    return AnalyzeSettings(
        device=args.device,
        batch_size=args.batch_size,
        workers=args.reading_threads,
        min_tissue=args.min_tissue,
        tissue=TissueChoice.WHOLE if args.tissue == "whole" else TissueChoice.AUTO,
        precision=args.precision,
        engine=args.engine,
    )


def _job(args: argparse.Namespace, settings: "AnalyzeSettings", slides: int) -> "AnalyzeJob":
    from napari_xmag.batch.job import AnalyzeJob

    within = regions.regions_choice(args, slides)
    content = _load(args).content
    return AnalyzeJob(
        model=content.folder.resolve(),
        model_sha256=content.info.sha256,
        settings=settings,
        out=args.out,
        regions=within,
        origin=args.qupath_origin,
        image=args.image,
        mpp=args.mpp,
        override_mpp=args.override_mpp,
        anew=args.force,
    )


def _analyze(
    args: argparse.Namespace,
    job: "AnalyzeJob",
    targets: "Sequence[Target]",
    report: "AnalyzeReport",
    answers: "WriteBack",
) -> "Count":
    """Analyze all targets and listen; return what became of them."""
    from napari_xmag.batch.job import LightJob, SlideTask
    from napari_xmag.batch.places import plan_places
    from napari_xmag.batch.run import run_batch
    from napari_xmag.cli.batch_listener import BatchListener

    how = workers.chosen(args, len(targets))
    if how.scheduler is not None:
        job = replace(job, out=job.out.resolve(), regions=job.regions.absolute())
        targets = [replace(target, path=target.path.absolute()) for target in targets]
    tasks = [
        SlideTask(replace(target, project=None), place)
        for target, place in zip(targets, plan_places(targets), strict=True)
    ]
    if how.count and job.settings.workers is None:
        reading = min(max(how.threads, _LEAST_READERS), _MOST_READERS)
        job = replace(job, settings=replace(job.settings, workers=reading))
    listener = BatchListener(targets, args.slides, args.out, report, answers)
    with listener, closing(run_batch(LightJob(job) if how.count else job, tasks, how)) as events:
        for number, event in events:
            listener.hear(number, event)
    return listener.count


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
