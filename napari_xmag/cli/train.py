"""`napari-xmag train`: a slide model from a table of labelled slides."""

import argparse
import sys
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a slide model on labelled slides",
        description="Train a slide model on a table slide,label[,patient,split,mpp] (CSV). "
        "Problems of the table are listed before anything starts (docs/train.md).",
    )
    parser.add_argument("cohort", type=Path, metavar="COHORT.csv")
    parser.add_argument("--encoder", required=True, type=Path, metavar="DIR")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--name", default="my-model", help="name of the model (my-model)")
    parser.add_argument("--display-name", default="", help="name for people")
    parser.add_argument("--description", default="", help="one sentence for the model chooser")
    parser.add_argument("--demonstration", action="store_true", help="mark as demonstration model")
    parser.add_argument("--licence", default="", help="licence of the weights")
    parser.add_argument(
        "--attends",
        choices=("cells", "tiles"),
        default="cells",
        help="what the head weighs: the cells of each tile (a finer map), or whole tiles",
    )
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--lr", type=float, default=3e-4, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep features for other runs")
    parser.add_argument("--card", type=Path, metavar="FILE.md", help="more sections for the card")
    parser.add_argument("--tile-mpp", type=float, help="for an encoder that does not say its mpp")
    parser.add_argument(
        "--tile-px", type=int, help="for an encoder that does not say its tile size"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train; return 0 when the model is written, 2 when the table has problems."""
    from napari_xmag.cli.progress import follow
    from napari_xmag.train.card import read_notes
    from napari_xmag.train.cohort import read_cohort
    from napari_xmag.train.run import train

    cohort = read_cohort(args.cohort)
    for problem in cohort.problems:
        print(problem, file=sys.stderr)
    if cohort.problems:
        return 2
    notes = read_notes(args.card) if args.card else None
    return follow(
        train(cohort, _encoder(args), args.out, _config(args), cache=args.cache, notes=notes)
    )


def _encoder(args: argparse.Namespace) -> Any:
    from napari_xmag.distill.encoder import load_encoder, timm_spec

    given = (args.tile_mpp, args.tile_px)
    if all(value is None for value in given):
        return load_encoder(args.encoder)
    return load_encoder(args.encoder, timm_spec(args.encoder, mpp=given[0], tile_px=given[1]))


def _config(args: argparse.Namespace) -> Any:
    from pydantic import ValidationError

    from napari_xmag.errors import ConfigError
    from napari_xmag.train.config import TrainConfig

    plain = TrainConfig()
    try:
        return TrainConfig(
            name=args.name,
            display_name=args.display_name,
            description=args.description,
            demonstration=args.demonstration,
            licence=args.licence,
            attends=args.attends,
            seed=args.seed,
            device=args.device,
            fit=type(plain.fit)(**{**plain.fit.model_dump(), "epochs": args.epochs, "lr": args.lr}),
        )
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError(
            wanted="settings in their range",
            found="; ".join(lines),
            remedy="Correct these values.",
            causes=[error],
        ) from error
