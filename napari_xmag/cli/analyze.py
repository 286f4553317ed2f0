"""``napari-xmag analyze``: predictions, heat maps and exports for slides."""

import argparse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.cli import regions, slide_options, workers
from napari_xmag.errors import ConfigError, XmagError
from napari_xmag.filenames import SUMMARY_TABLE

if TYPE_CHECKING:
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.batch.analyze_job import AnalyzeJob
    from napari_xmag.batch.targets import Target
    from napari_xmag.cli.analyze_report import AnalyzeReport, Count
    from napari_xmag.cli.write_back import WriteBack
    from napari_xmag.features.store import FeatureStore

_DESCRIPTION = f"""\
Analyze whole slides: files, DICOM folders, and all slides in and below folders. For each slide,
DIR/<slide name>/ contains

  result.json       prediction, warnings, and everything needed to trace them
  tiles.csv         position, attention and evidence of every patch of the map
  heatmap.ome.tif   the same as exact pixel values, positioned in µm
  qupath.geojson.gz map, hotspots and measurements for QuPath: drag it onto the open slide
  tiles.geojson     the patches only, for any program that reads GeoJSON
  overlay.png       the heat map over the slide
  tissue.png        the tissue within regions, where regions were given

A second slide with the same name goes to <slide name>-2, the second image of a file to
<slide name>#2. Several slides are analyzed in parallel, each in its own process, so a file that
crashes its process does not affect the others. DIR then also contains summary.csv and summary.html,
with one row per slide, and failed.csv. After an interruption, run the command again: results made
with the same model and settings are kept.

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
    slide_options.add_slides(parser)
    parser.add_argument(
        "--model", metavar="M", help="model name or folder (default: the bundled model)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("xmag-results"),
        metavar="DIR",
        help="output folder, with a subfolder for each slide (default: xmag-results)",
    )
    slide_options.add_mpp(parser)
    regions.add_options(parser)
    parser.add_argument(
        "--write-back",
        action="store_true",
        help="write the predictions into the metadata of project.qpproj (close it in QuPath)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="analyze tiles spread evenly over the tissue and stop once the prediction is "
        "settled; the map has gaps",
    )
    workers.add_options(parser)
    slide_options.add_machine(parser)
    parser.add_argument(
        "--kept-features",
        type=float,
        default=20.0,
        metavar="GB",
        help="disk space for cached features, so that another model with the same encoder need "
        "not encode the slides again; 0 turns the cache off (default: 20)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Analyze; see `add_parser` for what is returned."""
    from napari_xmag.cli.analyze_report import reported

    return reported(args, _run)


def _run(args: argparse.Namespace, report: "AnalyzeReport") -> int:
    from napari_xmag.batch.targets import check_shown, find_targets
    from napari_xmag.cli.write_back import WriteBack

    settings = replace(slide_options.settings_of(args), quick=args.quick)
    slide_options.require_folder(args.out)
    found, targets = find_targets(args.slides)
    report.found(found)
    slide_options.require_no_choice(args.image, targets)
    check_shown(targets)
    answers = WriteBack(args.write_back)
    answers.require_project(targets)
    job = _job(args, settings, targets)
    count = _analyze(args, job, targets, report, answers)
    try:
        answers.write(report)
    except XmagError as error:
        report.refuse(error, count)
        raise
    report.close(count)
    return 1 if count.failed or found.unread else 0


def _job(
    args: argparse.Namespace, settings: "AnalyzeSettings", targets: "Sequence[Target]"
) -> "AnalyzeJob":
    from napari_xmag.batch.analyze_job import AnalyzeJob

    within = regions.regions_choice(args, targets)
    content = slide_options.open_wanted(args.model, args.device).content
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
        store=_store(args),
    )


def _store(args: argparse.Namespace) -> "FeatureStore | None":
    """Return where features are kept; None where that is switched off."""
    from napari_xmag.features.store import FeatureStore

    most = args.kept_features
    if not 0 <= most < float("inf"):
        raise ConfigError(
            expected="--kept-features of 0 GB or more", found=str(most), hint="Correct the number."
        )
    return FeatureStore.of_user(round(most * 2**30)) if most else None


def _analyze(
    args: argparse.Namespace,
    job: "AnalyzeJob",
    targets: "Sequence[Target]",
    report: "AnalyzeReport",
    answers: "WriteBack",
) -> "Count":
    """Analyze all targets and listen; return what became of them."""
    from napari_xmag.batch.summary import Summary
    from napari_xmag.cli.batch_listener import BatchListener

    who = workers.chosen(args, len(targets))
    several = len(targets) > 1 or (args.out / SUMMARY_TABLE).exists()
    tables = Summary(args.out, args.slides) if several else None
    listener = BatchListener(targets, tables, report, answers)
    with listener, closing(workers.work(job, targets, who)) as events:
        for number, event in events:
            listener.hear(number, event)
    return listener.count
