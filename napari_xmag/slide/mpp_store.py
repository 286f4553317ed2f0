"""Pixel sizes that the user gave once, remembered for each slide."""

import logging
import os
from pathlib import Path

from napari_xmag.errors import GeometryError
from napari_xmag.files import parse_json, write_json
from napari_xmag.folders import config_folder
from napari_xmag.geometry import Mpp
from napari_xmag.slide.fingerprint import slide_fingerprint

_log = logging.getLogger(__name__)


def remember_mpp(path: str | os.PathLike[str], mpp: Mpp, image: int = 1) -> None:
    """Remember the pixel size of a slide that states none.

    Each slide has a file of its own, written whole: processes that remember at the same time lose
    nothing of one another's.

    Raises
    ------
    ExportError
        When the folder for settings cannot be written.
    """
    path = Path(path)
    content = {"name": path.name, "mpp_x": mpp.x, "mpp_y": mpp.y}
    write_json(_file(path, image), content)


def remembered_mpp(path: str | os.PathLike[str], image: int = 1) -> Mpp | None:
    """Return the pixel size remembered for a slide, or None."""
    path = Path(path)
    try:
        file = _file(path, image)
        entry = parse_json(file.read_text(encoding="utf-8"))
        return Mpp(float(entry["mpp_x"]), float(entry["mpp_y"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, GeometryError) as error:
        _log.warning("No pixel size can be remembered for %s: %s", path.name, error)
        return None


def _file(path: Path, image: int) -> Path:
    return config_folder() / "pixel-sizes" / f"{slide_fingerprint(path, image)}.json"
