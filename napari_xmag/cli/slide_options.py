"""Options of every command that works on slides."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.cli.settings import mpp_option
from napari_xmag.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.batch.targets import Target
    from napari_xmag.nets.folders.stored import StoredModel


def add_slides(parser: argparse.ArgumentParser) -> None:
    """Add what is worked on."""
    parser.add_argument(
        "slides",
        nargs="+",
        type=Path,
        metavar="SLIDE",
        help="slide file, DICOM folder, folder of slides, or QuPath project (project.qpproj)",
    )


def add_mpp(parser: argparse.ArgumentParser) -> None:
    """Add which picture of a file is meant, and what its pixel size is."""
    parser.add_argument(
        "--image",
        metavar="N|NAME",
        help="in files with several images, only this one, or another focal plane (default: all "
        "images, of each the middle plane)",
    )
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--mpp",
        type=mpp_option,
        metavar="X",
        help="µm per pixel for slides whose file does not state it; remembered for these slides",
    )
    given.add_argument(
        "--override-mpp",
        type=mpp_option,
        metavar="X",
        help="µm per pixel for all slides, overriding what their files state",
    )


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add how slides are read and encoded, and how it is told."""
    parser.add_argument(
        "--force", action="store_true", help="redo slides that already have a result"
    )
    parser.add_argument(
        "--device", default="auto", metavar="D", help="auto, cpu, cuda or mps (default: auto)"
    )
    parser.add_argument(
        "--min-tissue",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="minimum fraction of tissue in a tile (default: 0.2)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="number of tiles encoded at once (default: chosen for the device)",
    )
    parser.add_argument(
        "--reading-threads",
        type=int,
        metavar="N",
        help="threads that read the tiles of a slide (default: one per core, at most 4)",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "float32"),
        default="auto",
        help="auto: half precision where it is faster; float32: the same result everywhere "
        "(default: auto)",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "torch", "graph", "compiled"),
        default="auto",
        help="what runs the network: torch: PyTorch; graph: an optimized graph, faster on CPUs, "
        "created on first use; compiled: PyTorch compiled for a GPU, which takes a minute and is "
        "worthwhile for large networks and many slides (default: auto)",
    )
    parser.add_argument(
        "--progress",
        choices=("text", "json"),
        default="text",
        help="json: events for other programs, one per line (docs/qupath.md; default: text)",
    )


def settings_of(args: argparse.Namespace) -> "AnalyzeSettings":
    """Return what these options say.

    Raises
    ------
    ConfigError
        When a value is out of its range.
    """
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.slide.tissue import TissueChoice

    return AnalyzeSettings(
        device=args.device,
        batch_size=args.batch_size,
        workers=args.reading_threads,
        min_tissue=args.min_tissue,
        tissue=TissueChoice.WHOLE if args.tissue == "whole" else TissueChoice.AUTO,
        precision=args.precision,
        engine=args.engine,
    )


def require_no_choice(image: str | None, targets: "Iterable[Target]") -> None:
    """Refuse to choose a picture of what is one picture already.

    Raises
    ------
    ConfigError
        When ``--image`` comes with images that QuPath shows.
    """
    if image is not None and any(target.shown is not None for target in targets):
        raise ConfigError(
            expected="--image with slide files only",
            found="images of QuPath, each of which is one image of its file",
            hint="Leave out --image, or name the slide file itself.",
        )


def require_folder(out: Path) -> None:
    """Refuse what is no folder, before anything is computed for it.

    Raises
    ------
    ConfigError
        When the path, or one above it, is a file.
    """
    nearest = next(path for path in (out, *out.absolute().parents) if os.path.exists(path))
    if not os.path.isdir(nearest):
        raise ConfigError(
            expected=f"--out {out} to be a folder",
            found=f"the file {nearest}",
            hint="Name an existing folder or a new one.",
        )


def open_wanted(model: str | None, device: str) -> "StoredModel":
    """Open what all slides need; a fault here is wrong usage.

    Raises
    ------
    ConfigError
        When there is no such model or device, or the model cannot be used.
    """
    from napari_xmag.zoo import open_model

    if device not in ("auto", "cpu"):
        from napari_xmag.nets.device import pick_device

        pick_device(device)
    try:
        return open_model(model)
    except ModelError as error:
        raise ConfigError(
            expected=error.expected, found=error.found, hint=error.hint, causes=(error,)
        ) from error
