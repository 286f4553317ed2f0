"""`napari-xmag models`: list, check, add and fetch slide models."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_xmag.cli.columns import columns
from napari_xmag.cli.settings import mpp_option
from napari_xmag.errors import ModelError

_HEADINGS = ("name", "mpp", "tile", "classes", "licence", "sha256", "problem")


def add_parser(subparsers: Any) -> None:
    """Add the command and its steps."""
    parser = subparsers.add_parser(
        "models",
        help="list, check, add or download slide models; import a published student",
        description="List, check, add or download slide models (docs/model_format.md), or import a "
        "published student (docs/teachers.md).",
    )
    parser.set_defaults(run=run)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    every = steps.add_parser(
        "list", help="list all models, and what is wrong with those that cannot be used"
    )
    every.add_argument(
        "--json", action="store_true", help="print JSON on one line, for other programs"
    )
    check = steps.add_parser("check", help="compare every file of models with its SHA-256")
    check.add_argument(
        "models", nargs="*", metavar="MODEL", help="names or folders (default: all models)"
    )
    add = steps.add_parser("add", help="copy a model folder to your own models")
    add.add_argument("folder", type=Path, metavar="DIR", help="the model folder to copy")
    pull = steps.add_parser("pull", help="download a model from the Hugging Face hub")
    pull.add_argument(
        "source", metavar="hf-hub:OWNER/NAME[@REVISION]", help="model on the Hugging Face hub"
    )
    for step in (add, pull):
        step.add_argument(
            "--replace", action="store_true", help="replace an existing model of that name"
        )
    _add_import(steps)


def run(args: argparse.Namespace) -> int:
    """Run the step that was asked for.

    Returns
    -------
    0 when all is well, 1 when a model cannot be used, added, fetched or imported.
    """
    from napari_xmag import zoo

    if args.step == "list":
        return _list_json() if args.json else _list()
    if args.step == "check":
        return _check(args.models)
    if args.step == "add":
        return _take(lambda: zoo.add_model(args.folder, replace=args.replace))
    if args.step == "import":
        return _import(args)
    return _take(lambda: zoo.pull_model(args.source, replace=args.replace))


def _add_import(steps: Any) -> None:
    parser = steps.add_parser(
        "import",
        help="make a student folder from a published checkpoint, such as AI4PATH/XMAG's",
        description="Make a student folder from a published checkpoint; napari-xmag train makes a "
        "slide model from it.",
    )
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT.safetensors", help="the published weights"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for the student"
    )
    parser.add_argument(
        "--layout",
        choices=["dinov2"],
        default="dinov2",
        help="naming scheme of its weights (default: dinov2)",
    )
    parser.add_argument(
        "--mpp", type=mpp_option, default=2.0, help="µm per pixel of its tiles (default: 2.0)"
    )
    parser.add_argument(
        "--tile-px", type=int, default=224, help="side of its tiles in pixels (default: 224)"
    )
    parser.add_argument(
        "--licence", default="not stated", help="licence of its weights, as stated by its authors"
    )


def _import(args: argparse.Namespace) -> int:
    from napari_xmag.distill.published import import_student

    try:
        student = import_student(
            args.checkpoint, args.out, mpp=args.mpp, tile_px=args.tile_px, licence=args.licence
        )
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{student.architecture}, feature of {student.dim}, tiles of {args.tile_px} px at "
        f"{args.mpp:g} µm/px: {args.out}"
    )
    return 0


def _list() -> int:
    from napari_xmag.zoo import ModelEntry, list_models

    def row(entry: ModelEntry) -> tuple[str, ...]:
        info = entry.info
        if info is None:
            return (entry.name, *[""] * (len(_HEADINGS) - 2), entry.problem)
        name = f"{entry.name} (demonstration)" if info.demonstration else entry.name
        tile, classes = f"{info.tile_px} px", ", ".join(info.classes)
        return (name, f"{info.mpp:g}", tile, classes, info.licence, info.sha256[:12], "")

    entries = list_models()
    if not entries:
        print("No models. Add one with: napari-xmag models add DIR")
        return 0
    print(columns([_HEADINGS, *map(row, entries)]))
    return 1 if any(entry.problem for entry in entries) else 0


def _list_json() -> int:
    from napari_xmag.zoo import list_models

    models = [
        {
            "name": entry.name,
            "display_name": entry.info.display_name if entry.info else entry.name,
            "problem": entry.problem,
        }
        for entry in list_models()
    ]
    print(json.dumps({"models": models}))
    return 0


def _check(names: Sequence[str]) -> int:
    from napari_xmag.zoo import check_model, find_model, list_models

    failed = 0
    for name in names or [str(entry.folder) for entry in list_models(verify=False)]:
        try:
            info = check_model(find_model(name))
            print(f"{info.name}: complete and unaltered (SHA-256 {info.sha256})")
        except ModelError as error:
            failed += 1
            print(f"{name}: {error}", file=sys.stderr)
    return 1 if failed else 0


def _take(get: Callable[[], Any]) -> int:
    try:
        entry = get()
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Added {entry.name} to {entry.folder}")
    return 0
