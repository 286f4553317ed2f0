"""Which part of each slide is analysed: options, and the mask that they mean."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.errors import ConfigError, TissueError

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.qupath.origin import Origin
    from napari_xmag.qupath.regions import Regions
    from napari_xmag.slide.base import Slide
    from napari_xmag.slide.tissue import TissueMask


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what says where to look."""
    parser.add_argument(
        "--tissue",
        default="auto",
        metavar="auto|whole",
        help="find tissue, or take everything scanned (default: auto); a GeoJSON file is taken as "
        "--regions",
    )
    parser.add_argument(
        "--regions",
        type=Path,
        metavar="FILE|DIR",
        help="only within these annotations of QuPath (.geojson, .geojson.gz, .zip); a folder "
        "holds a file named after each slide",
    )
    parser.add_argument(
        "--regions-class",
        nargs="+",
        default=[],
        metavar="NAME",
        help="only annotations of these classes (default: all that are not starred)",
    )
    parser.add_argument(
        "--qupath-origin",
        choices=("slide", "bounds"),
        default="bounds",
        help="where (0, 0) lies in GeoJSON, read or written: the corner of the scanned bounds, as "
        "QuPath has it, or of the whole slide (default: bounds)",
    )


@dataclass(frozen=True)
class RegionsChoice:
    """Where to look, from the command line.

    Attributes
    ----------
    whole
        Take glass too.
    path
        A file, a folder of files, or None for the whole slide.
    classes
        Classes to take; all but starred ones when empty.
    """

    whole: bool
    path: Path | None
    classes: tuple[str, ...]

    @classmethod
    def of(cls, args: argparse.Namespace, slides: int) -> "RegionsChoice":
        """Check the options.

        Raises
        ------
        ConfigError
            When they do not go together, or the file is not there.
        """
        path = args.regions
        if args.tissue not in ("auto", "whole"):
            path = path or Path(args.tissue)
        if path is not None and not path.exists():
            raise ConfigError(
                expected="--tissue to be auto or whole, and --regions a GeoJSON file or a folder",
                found=f"{path}, which is not there",
                hint="Check the name of the file.",
            )
        if path is None and args.regions_class:
            raise ConfigError(
                expected="--regions with --regions-class",
                found="no file of regions",
                hint="Name the file that the classes are in.",
            )
        if path is not None and path.is_file() and slides > 1:
            raise ConfigError(
                expected="regions for each slide",
                found=f"{path.name} alone for {slides} slides",
                hint="Give --regions a folder that holds <slide name>.geojson for each slide.",
            )
        return cls(args.tissue == "whole", path, tuple(args.regions_class))

    def require_each(self, images: Sequence[int | str | None]) -> None:
        """Do nothing when each picture of a file has regions of its own.

        Raises
        ------
        TissueError
            When one file of regions would serve for several pictures.
        """
        if self.path is not None and self.path.is_file() and len(images) > 1:
            raise TissueError(
                expected=f"regions of one picture in {self.path.name}",
                found=f"a slide file of {len(images)} pictures",
                hint="Name the picture with --image, or give a folder of regions in which those of "
                "the second are called <slide name>#2.geojson.",
            )

    def read(self, slide: Path, name: str = "", image: int | str | None = None) -> "Regions | None":
        """Read the regions of a slide; None where all of it is analysed.

        Parameters
        ----------
        slide
            Its file.
        name
            Another name that its file of regions may bear.
        image
            Which picture of the file.

        Raises
        ------
        TissueError
            When there is none, or it holds no region.
        ConfigError
            When a class that was asked for does not occur.
        """
        from napari_xmag.qupath.regions import read_regions

        if self.path is None:
            return None
        if not self.path.is_dir():
            return read_regions(self.path, self.classes)
        mark = "" if image in (None, 1, "1") else f"#{image}"
        path = _beside(self.path, slide, name, mark)
        return read_regions(path, self.classes)

    def mask(
        self, slide: "Slide", regions: "Regions | None", origin: "Origin"
    ) -> "TissueMask | None":
        """Return the tissue within the regions; None where it is still to be found."""
        from napari_xmag.qupath.regions import tissue_in_regions

        if regions is None:
            return None
        return tissue_in_regions(slide, regions, origin, only_tissue=not self.whole)


def _beside(folder: Path, slide: Path, name: str, mark: str) -> Path:
    candidates = list(_candidates(folder, slide, name, mark))
    for path in candidates:
        if path.is_file():
            return path
    raise TissueError(
        expected=f"regions of {slide.name} in {folder}",
        found=f"no {candidates[0].name}",
        hint="Export its annotations from QuPath under that name.",
    )


def _candidates(folder: Path, slide: Path, name: str, mark: str) -> Iterator[Path]:
    from napari_xmag.qupath.geojson_file import GEOJSON_SUFFIXES

    stems = dict.fromkeys([slide.stem, slide.name, name, Path(name).stem])
    for stem in filter(None, stems):
        for suffix in GEOJSON_SUFFIXES:
            yield folder / f"{stem}{mark}{suffix}"


def recorded(result: "SlideResult", regions: "Regions | None") -> "SlideResult":
    """Return a result that says in settings and flags which regions it is of."""
    from napari_xmag.qupath.regions import region_flags

    if regions is None:
        return result
    return replace(
        result,
        settings={**result.settings, "regions": regions.to_json()},
        flags=(*result.flags, *region_flags(regions, result)),
    )
