"""Whole-slide analysis in napari with a compact student that works wholly at 5x.

>>> from napari_xmag import analyze_slide, export_all, load_model, open_slide
>>> slide = open_slide("biopsy.svs")  # doctest: +SKIP
>>> result = analyze_slide(slide, load_model())  # doctest: +SKIP
>>> export_all(slide, result, "results/biopsy")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING

from napari_xmag._about import NOTICE, __version__

if TYPE_CHECKING:
    from napari_xmag.analyze import SlideResult, analyze_slide
    from napari_xmag.export import export_all
    from napari_xmag.slide.open import list_images, open_slide
    from napari_xmag.zoo import list_models, load_model

_HOMES = {
    "SlideResult": "analyze",
    "analyze_slide": "analyze",
    "export_all": "export",
    "list_images": "slide.open",
    "list_models": "zoo",
    "load_model": "zoo",
    "open_slide": "slide.open",
}

__all__ = [
    "NOTICE",
    "SlideResult",
    "__version__",
    "analyze_slide",
    "export_all",
    "list_images",
    "list_models",
    "load_model",
    "open_slide",
]


def __getattr__(name: str) -> object:
    # Loaded on first use: opening a slide in the viewer must not wait for torch.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
