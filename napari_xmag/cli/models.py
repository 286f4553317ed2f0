"""`napari-xmag models`: list, check, add and fetch slide models."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_xmag.errors import ModelError

_HEADINGS = ("name", "mpp", "tile", "classes", "licence", "sha256", "problem")


def add_parser(subparsers: Any) -> None:
    """Add the command and its four steps."""
    parser = subparsers.add_parser(
        "models",
        help="list, check, add or fetch slide models",
        description="List, check, add or fetch slide models (docs/model_format.md).",
    )
    parser.set_defaults(run=run)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    steps.add_parser("list", help="all models; what is wrong with those that cannot be used")
    check = steps.add_parser("check", help="compare every file of models with its SHA-256")
    check.add_argument(
        "models", nargs="*", metavar="MODEL", help="names or folders; all models when none is given"
    )
    add = steps.add_parser("add", help="copy a model folder among your own models")
    add.add_argument("folder", type=Path, metavar="DIR")
    pull = steps.add_parser("pull", help="fetch a model from the Hugging Face hub")
    pull.add_argument("source", metavar="hf-hub:OWNER/NAME[@REVISION]")
    for step in (add, pull):
        step.add_argument("--replace", action="store_true", help="replace a model of that name")


def run(args: argparse.Namespace) -> int:
    """Run the step that was asked for.

    Returns
    -------
    0 when all is well, 1 when a model cannot be used, added or fetched.
    """
    from napari_xmag import zoo

    if args.step == "list":
        return _list()
    if args.step == "check":
        return _check(args.models)
    if args.step == "add":
        return _take(lambda: zoo.add_model(args.folder, replace=args.replace))
    return _take(lambda: zoo.pull_model(args.source, replace=args.replace))


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
    print(_table([_HEADINGS, *map(row, entries)]))
    return 1 if any(entry.problem for entry in entries) else 0


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


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows in columns; the last column is as wide as it likes."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)
