"""Options that several commands share."""

import argparse
from pathlib import Path


def add_config(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the file and ``--set``, whose help shows the example (``fit.epochs=3``)."""
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="the settings file")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=c",
        dest="settings",
        help=f"change a value of the file, such as {example}; may be repeated",
    )


def mpp_option(text: str) -> float:
    """Return the µm per pixel of an option, written 0.25 or 0,25."""
    from napari_xmag.errors import GeometryError
    from napari_xmag.slide.mpp import typed_mpp

    try:
        return typed_mpp(text)
    except GeometryError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
