"""``napari-xmag analyze``: predictions, heat maps and exports for slides."""

import argparse
import logging
import math
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.errors import ConfigError, ModelError, XmagError

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.cli.slides import ResultFolders
    from napari_xmag.nets.model import SlideModel
    from napari_xmag.slide.base import Slide
    from napari_xmag.slide.tissue import TissueMask

_log = logging.getLogger(__name__)

# What a damaged file or a full memory can raise besides our own errors: the next slide must not
# suffer for it.
_SLIDE_ERRORS = (XmagError, OSError, ValueError, RuntimeError, MemoryError)

_DESCRIPTION = f"""\
Analyze whole slides. For each, DIR/<slide name>/ receives

  result.json       prediction, warnings, and all that is needed to trace them
  tiles.csv         place, attention and evidence of every patch of the map
  heatmap.ome.tif   the same as a picture of exact numbers, placed in µm
  tiles.geojson     the patches with their measurements for QuPath: drop it on the open slide
  overlay.png       the heat map over the slide

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
        "--mpp", type=_positive, metavar="X", help="µm per pixel, for slides that do not state it"
    )
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


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def run(args: argparse.Namespace) -> int:
    """Analyze; see `add_parser` for what is returned."""
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.cli.slides import ResultFolders, find_slides

    settings = AnalyzeSettings(
        device=args.device,
        batch_size=args.batch_size,
        workers=args.workers,
        min_tissue=args.min_tissue,
        tissue="whole" if args.tissue == "whole" else "auto",
        precision=args.precision,
    )
    job = _Job(args, settings, _load(args), ResultFolders(args.out))
    slides = find_slides(args.slides)
    failed = [
        name for number, name in enumerate(slides, 1) if not job.do(name, number, len(slides))
    ]
    done = len(slides) - len(failed)
    print(f"{done} of {len(slides)} {'slide' if len(slides) == 1 else 'slides'} analyzed. {NOTICE}")
    if failed:
        print(f"Failed: {', '.join(path.name for path in failed)}", file=sys.stderr)
    return 1 if failed else 0


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


@dataclass(frozen=True)
class _Job:
    """What is the same for all slides."""

    args: argparse.Namespace
    settings: "AnalyzeSettings"
    model: "SlideModel"
    folders: "ResultFolders"

    def do(self, path: Path, number: int, count: int) -> bool:
        """Analyze one slide; say so, or why not."""
        from napari_xmag.cli.progress_line import ProgressLine

        line = ProgressLine(f"[{number}/{count}] {path.name}")
        try:
            self._analyze(path, line)
        except _SLIDE_ERRORS as error:
            line.clear()
            print(f"{path.name}: FAILED. {error}", file=sys.stderr)
            _log.info("%s", error.details() if isinstance(error, XmagError) else "", exc_info=True)
            return False
        except KeyboardInterrupt:
            line.clear()
            raise
        return True

    def _analyze(self, path: Path, line: Any) -> None:
        from napari_xmag.analyze.engine import analyze_slide
        from napari_xmag.export import export_all
        from napari_xmag.slide.mpp_store import remember_mpp
        from napari_xmag.slide.open import open_slide

        with closing(open_slide(path, self.args.mpp)) as slide:
            if self.args.mpp is not None and slide.mpp is not None:
                remember_mpp(path, slide.mpp)
            mask = self._regions(slide)
            result = analyze_slide(slide, self.model, self.settings, mask, line.show)
            folder = self.folders.take(path)
            export_all(slide, result, folder, self.args.qupath_origin)
        print(_summary(path.name, result, folder), flush=True)

    def _regions(self, slide: "Slide") -> "TissueMask | None":
        if self.args.tissue in ("auto", "whole"):
            return None
        from napari_xmag.slide.regions import read_geojson_regions
        from napari_xmag.slide.tissue import tissue_in_polygons

        bounds = slide.bounds
        at = (bounds.x, bounds.y) if self.args.qupath_origin == "bounds" else (0.0, 0.0)
        polygons = read_geojson_regions(self.args.tissue, origin_x=at[0], origin_y=at[1])
        return tissue_in_polygons(slide, polygons)


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
