"""Which slides were meant, and where the results of each go."""

import json
from collections.abc import Iterable
from pathlib import Path

from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.slide.open import is_slide


def find_slides(paths: Iterable[Path]) -> list[Path]:
    """Return the slides named, and those in the folders named, each once.

    A folder of nothing but DICOM files is one slide. A path that is no slide stays in the list, so
    that opening it says why.
    """
    found: dict[Path, None] = {}
    for path in paths:
        inside = _in_folder(path) if path.is_dir() else []
        found.update(dict.fromkeys(inside or [path]))
    return list(found)


def _in_folder(folder: Path) -> list[Path]:
    slides = [item for item in sorted(folder.iterdir()) if _is_visible(item) and is_slide(item)]
    only_dicom = all(item.suffix.lower() == ".dcm" for item in slides)
    return [] if only_dicom and is_slide(folder) else slides


def _is_visible(path: Path) -> bool:
    return not path.name.startswith(".")


class ResultFolders:
    """Gives each slide its own folder.

    A slide's folder is named after its stem. When that belongs to another slide, of this run or an
    earlier one, the whole name is taken, and then numbers.

    Parameters
    ----------
    parent
        Holds the folders of all slides.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._taken: set[Path] = set()

    def take(self, slide: Path) -> Path:
        """Return the folder for the results of a slide, which need not exist yet."""
        stem = slide.name if slide.is_dir() else slide.stem
        mark = slide_fingerprint(slide)
        names = [stem, slide.name]
        while True:
            for name in names:
                folder = self._parent / name
                if folder not in self._taken and _owner(folder) in ("", mark):
                    self._taken.add(folder)
                    return folder
            names = [f"{stem}-{len(names)}", *names]


def _owner(folder: Path) -> str:
    """Return the fingerprint of the slide whose result lies in a folder; empty for none."""
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        return str(result["slide"]["fingerprint"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, TypeError, KeyError):
        return "something else"
