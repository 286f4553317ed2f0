"""`napari-xmag distill`: sample fields of slides, and distil a student from them."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the command and its steps."""
    parser = subparsers.add_parser(
        "distill",
        help="distil a 5x student from a 20x teacher",
        description="Distil a 5x student from a 20x teacher (docs/distill.md).",
    )
    parser.set_defaults(run=run)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    _add_prepare(steps)
    _add_run(steps)
    steps.add_parser("teachers", help="the known teachers, and what their licences allow")


def run(args: argparse.Namespace) -> int:
    """Run the step that was asked for; return the exit code."""
    if args.step == "teachers":
        return _teachers()
    return _prepare(args) if args.step == "prepare" else _run(args)


def _add_prepare(steps: Any) -> None:
    parser = steps.add_parser(
        "prepare",
        help="sample tissue fields of slides",
        description="Sample tissue fields at an exact pixel size into tar shards (webdataset "
        "layout) with an index. What is done already is kept: start it again after a break.",
    )
    parser.add_argument("slides", nargs="+", type=Path, metavar="SLIDE")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--per-slide", type=int, default=200, help="most fields of a slide (200)")
    parser.add_argument(
        "--field-px", type=int, default=1024, help="side of a field: 1024 for 256-px tiles, or 896"
    )
    parser.add_argument("--field-mpp", type=float, default=0.5, help="µm per pixel (0.5 is 20x)")
    parser.add_argument(
        "--stride", type=float, default=1.0, help="step of candidates in field sides (1)"
    )
    parser.add_argument("--min-tissue", type=float, default=0.6, help="least tissue (0.6)")
    parser.add_argument("--seed", type=int, default=0)


def _add_run(steps: Any) -> None:
    parser = steps.add_parser(
        "run",
        help="distil a student",
        description="Distil a student as a TOML file says (docs/distill.md explains each value).",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=c",
        dest="settings",
        help="change a value of the file, such as fit.epochs=3; may be repeated",
    )


def _prepare(args: argparse.Namespace) -> int:
    from pydantic import ValidationError

    from napari_xmag.cli.progress import show
    from napari_xmag.distill.prepare import PrepareConfig, Prepared, SlidePrepared, prepare

    try:
        config = PrepareConfig(
            mpp=args.field_mpp,
            field_px=args.field_px,
            per_slide=args.per_slide,
            stride=args.stride,
            min_tissue=args.min_tissue,
            seed=args.seed,
        )
    except ValidationError as error:
        print(f"Wrong usage: {error}")
        return 2
    failed = 0
    for event in show(prepare(args.slides, args.out, config)):
        if isinstance(event, SlidePrepared):
            left_out = ", ".join(f"{n} {reason}" for reason, n in event.rejected.items())
            words = event.error or f"{event.fields} fields" + (left_out and f" (not: {left_out})")
            print(f"{event.slide}: {words}", flush=True)
        if isinstance(event, Prepared):
            failed = len(event.failed)
            print(f"{event.fields} fields in {event.folder}; {failed} slides failed")
    return 1 if failed else 0


def _run(args: argparse.Namespace) -> int:
    from napari_xmag.cli.progress import follow
    from napari_xmag.distill.config import load_config
    from napari_xmag.distill.run import distill

    return follow(distill(load_config(args.config, args.settings)))


def _teachers() -> int:
    from napari_xmag.cli.columns import columns
    from napari_xmag.nets.teachers import TEACHERS

    rows = [("name", "feature", "tile", "mpp", "login", "licence", "pass students on?")]
    for name, spec in TEACHERS.items():
        feature = f"{spec.feature} {spec.width}"
        login = "yes" if spec.gated else "no"
        tile, mpp = f"{spec.tile_px} px", f"{spec.mpp:g}"
        rows.append((name, feature, tile, mpp, login, spec.licence, str(spec.sharing)))
    print(columns(rows))
    print("\nAny timm name, hf-hub:OWNER/NAME or local-dir:FOLDER serves as well. Terms in words:")
    for name, spec in TEACHERS.items():
        print(f"- {name}: {spec.terms}")
    return 0
