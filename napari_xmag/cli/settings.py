"""The options of all commands that read a TOML file."""

import argparse
from pathlib import Path


def add_config(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the file and ``--set``, whose help shows the example (``fit.epochs=3``)."""
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=c",
        dest="settings",
        help=f"change a value of the file, such as {example}; may be repeated",
    )
