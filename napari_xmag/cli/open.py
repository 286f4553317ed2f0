"""``napari-xmag open``: a saved result back in napari, with its slide and what was said of it."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from napari_xmag._about import NOTICE


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "open",
        help="open a saved result in napari: slide, map and marks",
        description="Open a saved result in napari: the slide is searched for next to the result "
        f"and identified by its fingerprint; map, marks and comments are restored. {NOTICE}",
    )
    parser.add_argument(
        "result",
        type=Path,
        metavar="RESULT",
        help="folder of a result, or its result.json or heatmap.ome.tif",
    )
    parser.add_argument(
        "--slide",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="the slide, or a folder that contains it, if it is not next to the result",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Start napari.

    Returns
    -------
    What napari returned; errors are raised before it starts.
    """
    from napari_xmag.extras import import_extra
    from napari_xmag.review.reopen import adopt, reopen
    from napari_xmag.review.store import ReviewStore

    import_extra("napari", "all", "the window")
    found = reopen(args.result, args.slide)
    adopt(found, ReviewStore(str(found.result.slide["fingerprint"])))
    print(f"{found.slide}: {found.result.headline}. {NOTICE}", flush=True)
    # A process of its own: the command line never imports a window.
    command = [sys.executable, "-m", "napari", str(found.slide), "--plugin", "napari-xmag"]
    return subprocess.run([*command, "--with", "napari-xmag", "Analyze slide"]).returncode
