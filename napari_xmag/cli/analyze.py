"""``napari-xmag analyze``: predictions, heat maps and exports for slides."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.cli.settings import mpp_option
from napari_xmag.errors import ConfigError, ModelError, XmagError

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.cli.progress_line import ProgressLine
    from napari_xmag.export.folder import ResultFolders
    from napari_xmag.nets.model import SlideModel
    from napari_xmag.slide.base import Slide
    from napari_xmag.slide.tissue import TissueMask

_log = logging.getLogger(__name__)

_DESCRIPTION = f"""\
Analyze whole slides: files, DICOM folders, and all slides in and below folders. For each,
DIR/<slide name>/ receives

  result.json       prediction, warnings, and all that is needed to trace them
  tiles.csv         place, attention and evidence of every patch of the map
  heatmap.ome.tif   the same as a picture of exact numbers, placed in µm
  tiles.geojson     the patches with their measurements for QuPath: drop it on the open slide
  overlay.png       the heat map over the slide

A second slide of that name gets <slide name>-2; the second picture of a file <slide name>#2.

{NOTICE}"""

_EPILOG = """\
exit code: 0 all slides done, 1 some failed (each is named with the reason), 2 wrong usage

examples:
  napari-xmag analyze biopsy.svs
  napari-xmag analyze slides/ --out results
  napari-xmag analyze scan.tif --mpp 0.25 --tissue regions.geojson"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "analyze",
        help="predict, map and export slides",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "slides", nargs="+", type=Path, metavar="SLIDE", help="slide file, DICOM folder, or folder"
    )
    parser.add_argument("--model", metavar="M", help="name or folder; the bundled one by default")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("xmag-results"),
        metavar="DIR",
        help="holds a folder for each slide (default: xmag-results)",
    )
    parser.add_argument(
        "--image",
        metavar="N|NAME",
        help="only this picture of files that hold several (default: each of them)",
    )
    _add_mpp_options(parser)
    parser.add_argument(
        "--device", default="auto", metavar="D", help="auto, cpu, cuda or mps (default: auto)"
    )
    parser.add_argument(
        "--tissue",
        default="auto",
        metavar="auto|whole|GEOJSON",
        help="find tissue, take everything scanned, or only tissue in these regions "
        "(default: auto)",
    )
    parser.add_argument(
        "--qupath-origin",
        choices=("slide", "bounds"),
        default="bounds",
        help="where (0, 0) lies in GeoJSON, read or written: the corner of the scanned bounds, as "
        "QuPath has it, or of the whole slide (default: bounds)",
    )
    _add_machine_options(parser)
    parser.set_defaults(run=run)


def _add_mpp_options(parser: argparse.ArgumentParser) -> None:
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--mpp",
        type=mpp_option,
        metavar="X",
        help="µm per pixel, for slides that do not state it; remembered for them",
    )
    given.add_argument(
        "--override-mpp",
        type=mpp_option,
        metavar="X",
        help="µm per pixel, for all slides: in place of what they state, too",
    )


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-tissue", type=float, default=0.2, metavar="SHARE", help="of a tile (default: 0.2)"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="tiles encoded at once (default: what suits the device)",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="reading threads (default: one a core, at most 4)"
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "float32"),
        default="auto",
        help="auto is faster where the device allows; float32 is the same everywhere "
        "(default: auto)",
    )


def run(args: argparse.Namespace) -> int:
    """Analyze; see `add_parser` for what is returned."""
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.cli.slides import words_of_skipped
    from napari_xmag.export.folder import ResultFolders
    from napari_xmag.slide.find import find_slides

    settings = AnalyzeSettings(
        device=args.device,
        batch_size=args.batch_size,
        workers=args.workers,
        min_tissue=args.min_tissue,
        tissue="whole" if args.tissue == "whole" else "auto",
        precision=args.precision,
    )
    _require_folder(args.out)
    job = _Job(args, settings, _load(args), ResultFolders(args.out))
    found = find_slides(args.slides)
    for line in words_of_skipped(found):
        print(line, file=sys.stderr)
    for number, path in enumerate(found.slides, 1):
        job.do(path, f"[{number}/{len(found.slides)}]")
    done, count = job.count - len(job.failed), job.count
    print(f"{done} of {count} {'slide' if count == 1 else 'slides'} analyzed. {NOTICE}")
    if job.failed:
        print(f"Failed: {', '.join(job.failed)}", file=sys.stderr)
    return 1 if job.failed or found.unread else 0


def _require_folder(out: Path) -> None:
    """Refuse what is no folder, before anything is computed for it."""
    nearest = next(path for path in (out, *out.absolute().parents) if os.path.exists(path))
    if not os.path.isdir(nearest):
        raise ConfigError(
            expected=f"--out {out} to be a folder",
            found=f"the file {nearest}",
            hint="Name a folder, or one that shall be made.",
        )


def _load(args: argparse.Namespace) -> "SlideModel":
    """Load what all slides need; a fault here is wrong usage."""
    from napari_xmag.nets.device import pick_device
    from napari_xmag.zoo import load_model

    if args.tissue not in ("auto", "whole") and not Path(args.tissue).is_file():
        raise ConfigError(
            expected="--tissue to be auto, whole or a GeoJSON file",
            found=args.tissue,
            hint="Check the name of the file.",
        )
    pick_device(args.device)
    try:
        return load_model(args.model)
    except ModelError as error:
        raise ConfigError(
            expected=error.expected, found=error.found, hint=error.hint, causes=(error,)
        ) from error


@dataclass
class _Job:
    """What is the same for all slides, and what became of them."""

    args: argparse.Namespace
    settings: "AnalyzeSettings"
    model: "SlideModel"
    folders: "ResultFolders"
    count: int = 0
    failed: list[str] = field(default_factory=list)

    def do(self, path: Path, place: str) -> None:
        """Analyze the pictures of one file; say so, or why not."""
        for image in self._images(path):
            name = path.name if image in (None, 1) else f"{path.name} #{image}"
            with self._told(name, place) as line:
                self._analyze(path, image, name, line)

    def _images(self, path: Path) -> "Sequence[int | str | None]":
        """Return the pictures that are wanted; opening a file that has none says why."""
        from napari_xmag.slide.open import list_images

        if self.args.image is not None:
            return [self.args.image]
        try:
            return [image.index for image in list_images(path)]
        except Exception:  # noqa: BLE001 - opening it again says what is wrong
            return [None]

    @contextmanager
    def _told(self, name: str, place: str) -> "Iterator[ProgressLine]":
        """Show how one slide gets on, and note if it fails: the next one must not suffer for it."""
        from napari_xmag.cli.progress_line import ProgressLine

        line = ProgressLine(f"{place} {name}")
        self.count += 1
        try:
            yield line
        except Exception as error:  # noqa: BLE001 - whatever a damaged file or a full memory raises
            line.clear()
            self.failed.append(name)
            ours = error if isinstance(error, XmagError) else _unexpected(name, error)
            print(f"{name}: FAILED. {ours}", file=sys.stderr)
            _log.info("%s", ours.details(), exc_info=True)
        except KeyboardInterrupt:
            line.clear()
            raise

    def _analyze(
        self, path: Path, image: int | str | None, name: str, line: "ProgressLine"
    ) -> None:
        from napari_xmag.analyze.engine import analyze_slide
        from napari_xmag.export import export_all
        from napari_xmag.export.folder import result_name
        from napari_xmag.slide.fingerprint import slide_fingerprint

        with closing(self._open(path, image, name)) as slide:
            number = slide.image.index
            mark = slide_fingerprint(path, number)
            with self.folders.reserve(result_name(path, number), mark) as folder:
                mask = self._regions(slide)
                result = analyze_slide(slide, self.model, self.settings, mask, line.show)
                export_all(slide, result, folder, self.args.qupath_origin)
        print(_summary(name, result, folder), flush=True)

    def _open(self, path: Path, image: int | str | None, name: str) -> "Slide":
        """Open a slide and give it the pixel size of the command line as far as that is meant."""
        from napari_xmag.geometry import Mpp
        from napari_xmag.slide.given_mpp import fill_mpp, override_mpp
        from napari_xmag.slide.open import open_slide

        slide = open_slide(path, image=image)
        words = ""
        if self.args.mpp is not None:
            words = fill_mpp(slide, Mpp(self.args.mpp, self.args.mpp))
        elif self.args.override_mpp is not None:
            words = override_mpp(slide, Mpp(self.args.override_mpp, self.args.override_mpp))
        if words:
            print(f"{name}: {words}", file=sys.stderr)
        return slide

    def _regions(self, slide: "Slide") -> "TissueMask | None":
        if self.args.tissue in ("auto", "whole"):
            return None
        from napari_xmag.slide.regions import read_geojson_regions
        from napari_xmag.slide.tissue import tissue_in_polygons

        bounds = slide.bounds
        at = (bounds.x, bounds.y) if self.args.qupath_origin == "bounds" else (0.0, 0.0)
        polygons = read_geojson_regions(self.args.tissue, origin_x=at[0], origin_y=at[1])
        return tissue_in_polygons(slide, polygons)


def _unexpected(name: str, error: Exception) -> XmagError:
    return XmagError(
        expected=f"to analyze {name}",
        found=f"{type(error).__name__}: {error}",
        hint="The file may be damaged. Run again with -v for all that is known.",
        causes=[error],
    )


def _summary(name: str, result: "SlideResult", folder: Path) -> str:
    from napari_xmag.progress.words import duration

    shares = sorted(zip(result.probabilities, result.classes, strict=False), reverse=True)
    words = ", ".join(f"{name} {100 * share:.1f} %" for share, name in shares)
    count, seconds = result.tiles_read, result.seconds["total"]
    tiles = "1 tile" if count == 1 else f"{count} tiles"
    lines = [
        name,
        f"  prediction  {words or 'none'}",
        *([f"  called      {result.predicted} ({result.rule})"] if result.rule else []),
        *(f"  warning     {flag.words}" for flag in result.flags),
        f"  analyzed    {tiles} in {duration(seconds)}, {count / seconds:.0f} tiles/s",
        f"  written to  {folder}",
    ]
    return "\n".join(lines)
