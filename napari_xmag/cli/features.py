"""``napari-xmag features``: what an encoder makes of slides, kept for other programs."""

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.cli import regions, slide_options, workers

if TYPE_CHECKING:
    from napari_xmag.batch.features_job import FeaturesJob
    from napari_xmag.batch.targets import Target
    from napari_xmag.cli.analyze_report import AnalyzeReport

_DESCRIPTION = f"""\
Encode the tissue of slides and save the features of its patches in STORE: for each slide and
encoder a folder with features.npy (float16), places.npy and about.json (docs/features.md), and
index.csv, which lists the folders. After an interruption, run the command again: finished slides
are kept.

{NOTICE}"""

_EPILOG = """\
exit code: 0 all slides done, 1 some failed (each is named with the reason), 2 wrong usage

examples:
  napari-xmag features slides/ --out store
  napari-xmag features slides/ --model my-model --out store --workers 4"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "features",
        help="save the patch features of slides",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    slide_options.add_slides(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="STORE", help="folder for the features"
    )
    parser.add_argument(
        "--model",
        metavar="M",
        help="model whose encoder is used: name or folder (default: the bundled model)",
    )
    slide_options.add_mpp(parser)
    regions.add_options(parser)
    workers.add_options(parser)
    slide_options.add_machine(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Encode; see `add_parser` for what is returned."""
    from napari_xmag.cli.analyze_report import reported

    return reported(args, _run)


def _run(args: argparse.Namespace, report: "AnalyzeReport") -> int:
    from napari_xmag.batch.feature_index import FeatureIndex
    from napari_xmag.batch.targets import find_targets
    from napari_xmag.cli.batch_listener import BatchListener

    slide_options.require_folder(args.out)
    found, targets = find_targets(args.slides)
    report.found(found)
    slide_options.require_no_choice(args.image, targets)
    job = _job(args, targets)
    tables = FeatureIndex(args.out, args.slides)
    listener = BatchListener(targets, tables, report, verb="encoded")
    who = workers.chosen(args, len(targets))
    with listener, closing(workers.work(job, targets, who)) as events:
        for number, event in events:
            listener.hear(number, event)
    report.close(listener.count)
    return 1 if listener.count.failed or found.unread else 0


def _job(args: argparse.Namespace, targets: "Sequence[Target]") -> "FeaturesJob":
    from napari_xmag.batch.features_job import FeaturesJob

    settings = slide_options.settings_of(args)
    content = slide_options.open_wanted(args.model, args.device).content
    return FeaturesJob(
        model=content.folder.resolve(),
        model_sha256=content.info.sha256,
        out=args.out,
        settings=settings,
        regions=regions.regions_choice(args, targets),
        origin=args.qupath_origin,
        image=args.image,
        mpp=args.mpp,
        override_mpp=args.override_mpp,
        anew=args.force,
    )
