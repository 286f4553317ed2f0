"""What lies in a folder and would be replaced there, though it is not of the slide in question."""

from collections.abc import Sequence
from pathlib import Path

from napari_xmag.export.result_folders import slide_of
from napari_xmag.filenames import REPORT_HTML, RESULT
from napari_xmag.files import parse_json


def occupant(folder: Path, fingerprint: str, names: Sequence[str]) -> str:
    """Return, in words, whose files would be replaced; empty where they are this slide's or none.

    Parameters
    ----------
    fingerprint
        Of the slide that is to be written.
    names
        Of the files that are to be written.
    """
    if (folder / RESULT).exists():
        return "" if slide_of(folder) == fingerprint else _slide_words(folder / RESULT)
    found = [name for name in names if (folder / name).exists()]
    if not found or _reports_on(folder / REPORT_HTML, fingerprint):
        return ""
    return f"{', '.join(found)} of something else"


def _slide_words(result: Path) -> str:
    try:
        path = parse_json(result.read_text(encoding="utf-8"))["slide"]["path"]
        return f"the result of another slide, {Path(str(path)).name}"
    except (OSError, ValueError, TypeError, KeyError):
        return f"a {RESULT} of something else"


def _reports_on(report: Path, fingerprint: str) -> bool:
    try:
        return fingerprint in report.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
