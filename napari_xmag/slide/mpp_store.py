"""Pixel sizes that the user gave once, remembered for each slide."""

import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from napari_xmag.errors import GeometryError
from napari_xmag.geometry import Mpp

_log = logging.getLogger(__name__)

HOME_VARIABLE = "NAPARI_XMAG_HOME"
_HEAD_AND_TAIL = 64 * 1024


def config_folder() -> Path:
    """Return the folder for settings; the variable NAPARI_XMAG_HOME names another one."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home) if home else user_config_path("napari-xmag")


def slide_fingerprint(path: Path) -> str:
    """Return a cheap hash of a slide: its size, its first and its last bytes.

    It stays the same when the slide is renamed or moved. Of a folder the files' sizes and the
    largest file are taken.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        files = sorted(item for item in path.iterdir() if item.is_file())
        digest.update(str([item.stat().st_size for item in files]).encode())
        path = max(files, key=lambda item: item.stat().st_size)
    size = path.stat().st_size
    digest.update(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_HEAD_AND_TAIL))
        file.seek(max(0, size - _HEAD_AND_TAIL))
        digest.update(file.read())
    return digest.hexdigest()[:32]


def remember_mpp(path: str | os.PathLike[str], mpp: Mpp) -> None:
    """Remember the pixel size of a slide that states none."""
    path = Path(path)
    known = _load()
    known[slide_fingerprint(path)] = {"name": path.name, "mpp_x": mpp.x, "mpp_y": mpp.y}
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=".slides-", suffix=".json")
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(known, stream, indent=1, ensure_ascii=False)
    Path(temporary).replace(file)


def remembered_mpp(path: str | os.PathLike[str]) -> Mpp | None:
    """Return the pixel size remembered for a slide, or None."""
    known = _load()
    entry = known.get(slide_fingerprint(Path(path))) if known else None
    try:
        return None if entry is None else Mpp(float(entry["mpp_x"]), float(entry["mpp_y"]))
    except (KeyError, TypeError, ValueError, GeometryError):
        _log.warning("The pixel size remembered for %s cannot be used.", path)
        return None


def _file() -> Path:
    return config_folder() / "slides.json"


def _load() -> dict[str, Any]:
    try:
        known = json.loads(_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("The remembered pixel sizes in %s cannot be read: %s", _file(), error)
        return {}
    return known if isinstance(known, dict) else {}
