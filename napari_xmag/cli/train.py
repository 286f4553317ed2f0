"""`napari-xmag train`: a slide model from a table of labelled slides."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag.cli import qupath_cohort
from napari_xmag.cli.settings import mpp_option
from napari_xmag.printable import printable

if TYPE_CHECKING:
    from napari_xmag.cohort.problems import Problem


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a slide model on labelled slides",
        description="Train a slide model on a table slide,label[,patient,split,mpp,site,regions] "
        "(CSV or Excel). Problems of the table are listed before anything starts (docs/train.md).",
    )
    parser.add_argument(
        "cohort",
        type=Path,
        metavar="COHORT",
        help="the table, or a QuPath project (project.qpproj)",
    )
    qupath_cohort.add_options(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for the results"
    )
    parser.add_argument(
        "--mode",
        choices=("head", "end-to-end"),
        help="head: train the head on the frozen encoder (minutes); end-to-end: then train "
        "encoder and head together",
    )
    parser.add_argument(
        "--encoder",
        type=Path,
        metavar="DIR",
        help="initial encoder (default: that of the bundled model)",
    )
    parser.add_argument(
        "--override-mpp",
        type=mpp_option,
        metavar="X",
        help="µm per pixel for all slides, overriding the table and the slide files",
    )
    parser.add_argument("--folds", type=int, metavar="K", help="K-fold cross-validation by patient")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument(
        "--config", type=Path, metavar="FILE.toml", help="settings, explained in docs/settings.md"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=c",
        dest="settings",
        help="change a setting, such as end_to_end.fit.epochs=5; may be repeated",
    )
    _add_short_forms(parser)
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="folder in which to keep features for other runs"
    )
    parser.add_argument(
        "--card", type=Path, metavar="FILE.md", help="additional sections for the model card"
    )
    parser.add_argument(
        "--tile-mpp",
        type=mpp_option,
        help="µm per pixel of tiles, for an encoder that does not state it",
    )
    parser.add_argument(
        "--tile-px", type=int, help="tile size in pixels, for an encoder that does not state it"
    )
    parser.set_defaults(run=run)


def _add_short_forms(parser: Any) -> None:
    """Add flags for settings that are often given."""
    parser.add_argument("--name", help="name of the model (default: my-model)")
    parser.add_argument("--display-name", help="name shown to users")
    parser.add_argument("--description", help="one sentence about the model")
    parser.add_argument(
        "--demonstration", action="store_true", default=None, help="mark as a demonstration model"
    )
    parser.add_argument("--licence", help="licence of the weights")
    parser.add_argument(
        "--granularity",
        choices=("cells", "tiles"),
        help="patches that the head weighs: the cells of each tile (a finer map), or whole tiles",
    )
    parser.add_argument("--attends", dest="granularity", help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, help="epochs of the head (fit.epochs)")
    parser.add_argument("--lr", type=float, help="peak learning rate of the head (fit.lr)")
    parser.add_argument("--seed", type=int, help="random seed for split, order and initial weights")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), help="where to train (default: auto)"
    )


def run(args: argparse.Namespace) -> int:
    """Train; return 0 when the model is written, 2 when the table has problems."""
    from napari_xmag.cli.progress import follow, show
    from napari_xmag.cohort.problems import TableError
    from napari_xmag.nets.memory import keep_freed_memory_of_threads
    from napari_xmag.progress.heartbeat import finish
    from napari_xmag.train.report.card import read_notes
    from napari_xmag.train.run import train

    keep_freed_memory_of_threads()
    # The first of the processes that torchrun started speaks for all.
    first = os.environ.get("RANK", "0") == "0"
    opening = qupath_cohort.opening(args, args.override_mpp)
    cohort = finish(show(opening) if first else opening)
    _print_all((*cohort.left_out, *cohort.problems))
    if cohort.problems:
        return 2
    notes = read_notes(args.card) if args.card else None
    events = train(
        cohort,
        _encoder(args),
        args.out,
        _config(args),
        cache=args.cache,
        notes=notes,
        resume=args.resume,
    )
    try:
        if first:
            return follow(events)
        finish(events)
    except TableError as error:
        _print_all(error.problems)
        return 2
    return 0


def _print_all(problems: "Iterable[Problem]") -> None:
    for problem in problems:
        print(printable(str(problem)), file=sys.stderr)


def _encoder(args: argparse.Namespace) -> Any:
    from napari_xmag.nets.encoder import load_encoder, timm_spec
    from napari_xmag.zoo import find_model

    folder = args.encoder or find_model()
    given = (args.tile_mpp, args.tile_px)
    if all(value is None for value in given):
        return load_encoder(folder)
    return load_encoder(folder, timm_spec(folder, mpp=given[0], tile_px=given[1]))


_SHORT = {
    "mode": "mode",
    "folds": "folds",
    "name": "name",
    "display_name": "display_name",
    "description": "description",
    "demonstration": "demonstration",
    "licence": "licence",
    "granularity": "granularity",
    "epochs": "fit.epochs",
    "lr": "fit.lr",
    "seed": "seed",
    "device": "device",
}


def _config(args: argparse.Namespace) -> Any:
    """Return the settings of the file, under those of the command line."""
    from napari_xmag.config import load_config
    from napari_xmag.train.config import TrainConfig

    short = [
        f"{setting}={_toml(getattr(args, flag))}"
        for flag, setting in _SHORT.items()
        if getattr(args, flag) is not None
    ]
    settings = [*short, *args.settings]
    return load_config(args.config, settings, TrainConfig, manual="docs/train.md")


def _toml(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
