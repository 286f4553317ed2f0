"""Results that are there already: whole, of the same slide, model, program and settings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import __version__
from napari_xmag.errors import ResultError
from napari_xmag.result_keys import ENTRY, REQUESTED

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.slide.base import Slide

# How fast, not what.
_OF_SPEED = {"workers", "batch_size"}


def requested(settings: "AnalyzeSettings", **more: Any) -> dict[str, Any]:
    """Return what was asked for, ready for JSON."""
    chosen = {key: value for key, value in asdict(settings).items() if key not in _OF_SPEED}
    return {**chosen, "tissue": str(settings.tissue), **more}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a result must be of.

    Attributes
    ----------
    fingerprint
        Of the slide.
    model
        SHA-256 of the model.
    request
        As of `requested`.
    """

    fingerprint: str
    model: str
    request: Mapping[str, Any]

    def find(self, folder: Path, slide: "Slide") -> "SlideResult | None":
        """Return the result in a folder if it is whole, and the same that would be made now."""
        from napari_xmag.analyze.result import SlideResult
        from napari_xmag.export.folder import NAMES

        if not all((folder / name).is_file() for name in NAMES):
            return None
        try:
            result = SlideResult.load(folder)
        except ResultError:
            return None
        return result if self._is(result) and _same_mpp(result, slide) else None

    def _is(self, result: "SlideResult") -> bool:
        return (
            result.slide.get("fingerprint") == self.fingerprint
            and result.model.get("sha256") == self.model
            and result.versions.get("napari-xmag") == __version__
            and _shared(result.settings.get(REQUESTED)) == _shared(self.request)
        )


def _shared(request: Any) -> Any:
    """Return a request without what tells images of QuPath apart: the folder is the image's own."""
    if not isinstance(request, Mapping):
        return request
    return {key: value for key, value in request.items() if key != ENTRY}


def _same_mpp(result: "SlideResult", slide: "Slide") -> bool:
    mpp = slide.mpp
    of_result = [result.slide.get(key) for key in ("mpp_x", "mpp_y", "mpp_source")]
    return mpp is not None and of_result == [mpp.x, mpp.y, str(slide.mpp_source)]
