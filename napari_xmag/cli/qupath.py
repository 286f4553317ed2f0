"""``napari-xmag qupath``: put the scripts into QuPath, take them out, see whether they work."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_xmag.cli.doctor import Finding, show

_STEPS = """\
In QuPath:
  once     {menu} > Add to menu, then Run > Run in the script editor
  always   Extensions > XMAG > Analyze slide
See docs/qupath.md for step-by-step instructions."""


def add_parser(subparsers: Any) -> None:
    """Add the command and its steps."""
    parser = subparsers.add_parser(
        "qupath",
        help="run XMAG inside QuPath: install its scripts, remove them, check them",
        description="Run XMAG inside QuPath (0.5 to 0.7): a script in QuPath's user folder starts "
        "this installation on the open slide and imports the result (docs/qupath.md).",
    )
    parser.set_defaults(run=run)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    helps = {
        "install": "write the scripts into QuPath's user folder",
        "uninstall": "remove the scripts from QuPath's user folder",
        "doctor": "look for QuPath, check each script and try its command",
    }
    for name, words in helps.items():
        step = steps.add_parser(name, help=words)
        step.add_argument(
            "folder",
            nargs="?",
            type=Path,
            metavar="DIR",
            help="QuPath's user folder (default: all of QuPath/v0.5 and later in your home)",
        )


def run(args: argparse.Namespace) -> int:
    """Run the step that was asked for.

    Returns
    -------
    0 when all is well, 1 when something needs attention.
    """
    if args.step == "doctor":
        return show(_findings(args.folder))
    from napari_xmag.qupath.install import MENU, install, require_folders, uninstall

    for folder in require_folders(args.folder):
        paths = install(folder) if args.step == "install" else uninstall(folder)
        for path in paths:
            print(f"{'written' if args.step == 'install' else 'removed'}  {path}")
        if not paths:
            print(f"no XMAG scripts in {folder}")
    if args.step == "install":
        print(_STEPS.format(menu=MENU))
    else:
        print("If Add to menu was run, clear Edit > Preferences > General > Startup script path.")
    return 0


def _findings(named: Path | None) -> Iterator[Finding]:
    from napari_xmag.errors import ExportError
    from napari_xmag.qupath.install import installed_scripts, require_folders

    try:
        folders = require_folders(named)
    except ExportError as error:
        yield Finding("QuPath", error.found, error.hint)
        return
    for found in installed_scripts(folders):
        again = f'napari-xmag qupath install "{found.folder}"'
        for fault in found.faults:
            yield Finding("QuPath", f"{found.folder}: {fault}", again)
        if not found.faults:
            yield Finding("QuPath", f"{found.folder}: starts {' '.join(found.command)}")
