"""Options that say which part of each slide is analyzed."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.batch.regions import RegionsChoice
from napari_xmag.errors import ConfigError

if TYPE_CHECKING:
    from napari_xmag.batch.targets import Target


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what says where to look."""
    parser.add_argument(
        "--tissue",
        default="auto",
        metavar="auto|whole",
        help="auto: find tissue; whole: everything that was scanned (default: auto); a GeoJSON "
        "file is treated as --regions",
    )
    parser.add_argument(
        "--regions",
        type=Path,
        metavar="FILE|DIR",
        help="analyze only inside these QuPath annotations (.geojson, .geojson.gz, .zip), or a "
        "folder with one file named after each slide",
    )
    parser.add_argument(
        "--regions-class",
        nargs="+",
        default=[],
        metavar="NAME",
        help="only annotations of these classes (default: all except starred ones such as Ignore*)",
    )
    add_origin(parser, "GeoJSON files, read or written")


def add_origin(parser: argparse.ArgumentParser, where: str) -> None:
    """Add the option that says where (0, 0) is in some files."""
    parser.add_argument(
        "--qupath-origin",
        choices=("slide", "bounds"),
        default="bounds",
        help=f"where (0, 0) is in {where}: bounds: the corner of the scanned area, as in QuPath; "
        "slide: the corner of the whole slide (default: bounds)",
    )


def regions_choice(args: argparse.Namespace, targets: "Sequence[Target]") -> RegionsChoice:
    """Return what the options say, checked.

    Raises
    ------
    ConfigError
        When they do not go together, or the file is not there.
    """
    from napari_xmag.qupath.annotation_files import AnnotationFiles

    path = args.regions
    if args.tissue not in ("auto", "whole"):
        path = path or Path(args.tissue)
    if args.regions is None and path is not None and not path.exists():
        raise ConfigError(
            expected="--tissue to be auto or whole",
            found=args.tissue,
            hint="Give a file of regions with --regions.",
        )
    if path is not None and not path.exists():
        raise ConfigError(
            expected="--regions to be a GeoJSON file or a folder",
            found=f"{path}, which does not exist",
            hint="Check the name of the file.",
        )
    if path is None and args.regions_class:
        raise ConfigError(
            expected="--regions with --regions-class",
            found="no file of regions",
            hint="Name the file that the classes are in.",
        )
    if path is not None and path.is_file() and len(targets) > 1:
        raise ConfigError(
            expected="regions for each slide",
            found=f"{path.name} alone for {len(targets)} slides",
            hint="Give --regions a folder that holds <slide name>.geojson for each slide.",
        )
    # they travel with each task, so only where a folder is searched
    in_folder = path is not None and path.is_dir()
    files = AnnotationFiles.of(target.annotated for target in targets if in_folder)
    return RegionsChoice(args.tissue == "whole", path, tuple(args.regions_class), files)
