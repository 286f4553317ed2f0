"""`napari-xmag evaluate`: how good encoders are, and how fast."""

import argparse
from collections.abc import Generator
from pathlib import Path
from typing import Any

from napari_xmag.cli.settings import add_config
from napari_xmag.filenames import RESULTS_TABLE

_DESCRIPTIONS = {
    "probe": "Evaluate encoders on labelled tiles: logistic regression and nearest neighbours on "
    "frozen features.",
    "slides": "Evaluate encoders on labelled slides: an attention head on frozen features, "
    "cross-validated by patient or trained at one institution and tested at another.",
    "agreement": "Measure how much of a teacher's features students retain, on held-out cases.",
    "robustness": "Compare features of images with those of the same images under changes of "
    "stain, focus, compression and brightness.",
    "teach": "Measure how accuracy grows with the number of clicks, using simulated users on "
    "composed slides.",
    "speed": "Time the analysis of a slide at 5x and at 20x.",
}


def add_parser(subparsers: Any) -> None:
    """Add the command and its kinds."""
    parser = subparsers.add_parser(
        "evaluate",
        help="evaluate encoders on tiles and slides, and time them",
        description="Evaluate encoders on tiles and slides, and time them (docs/evaluate.md).",
    )
    parser.set_defaults(run=run)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for kind, words in _DESCRIPTIONS.items():
        _add_kind(kinds, kind, words)


def _add_kind(kinds: Any, kind: str, words: str) -> None:
    parser = kinds.add_parser(kind, help=words, description=f"{words} See docs/evaluate.md.")
    add_config(parser, "tasks.0.folds=3")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"folder for the results (default: xmag-{kind})",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the tables, say where they lie; return 0."""
    from napari_xmag.cli.progress import show
    from napari_xmag.progress.events import RunFinished, SlideLeftOut

    out = args.out or Path(f"xmag-{args.kind}")
    for event in show(_events(args, out)):
        if isinstance(event, SlideLeftOut):
            print(event)
        if isinstance(event, RunFinished):
            print((event.folder / RESULTS_TABLE).read_text(encoding="utf-8"))
            print(f"Written: {event.folder}")
    return 0


def _events(args: argparse.Namespace, out: Path) -> Generator[Any, None, Any]:
    from napari_xmag.config import load_config
    from napari_xmag.evaluate.config import (
        MANUAL,
        AgreementConfig,
        PatchConfig,
        RobustnessConfig,
        SlidesConfig,
        SpeedConfig,
    )

    if args.kind == "probe":
        from napari_xmag.evaluate.patches import evaluate_patches

        patches = load_config(args.config, args.settings, PatchConfig, manual=MANUAL)
        return evaluate_patches(patches, out)
    if args.kind == "agreement":
        from napari_xmag.evaluate.agreement import evaluate_agreement

        agreeing = load_config(args.config, args.settings, AgreementConfig, manual=MANUAL)
        return evaluate_agreement(agreeing, out)
    if args.kind == "robustness":
        from napari_xmag.evaluate.robustness import evaluate_robustness

        shifted = load_config(args.config, args.settings, RobustnessConfig, manual=MANUAL)
        return evaluate_robustness(shifted, out)
    if args.kind == "slides":
        from napari_xmag.evaluate.slides import evaluate_slides

        slides = load_config(args.config, args.settings, SlidesConfig, manual=MANUAL)
        return evaluate_slides(slides, out)
    if args.kind == "teach":
        from napari_xmag.evaluate.teach import evaluate_teach
        from napari_xmag.evaluate.teach_config import TeachConfig

        teaching = load_config(args.config, args.settings, TeachConfig, manual=MANUAL)
        return evaluate_teach(teaching, out)
    from napari_xmag.evaluate.speed import evaluate_speed

    speed = load_config(args.config, args.settings, SpeedConfig, manual=MANUAL)
    return evaluate_speed(speed, out)
