"""Whole-slide analysis in napari with a compact student that works wholly at 5x.

>>> from napari_xmag import analyze_slide, export_all, load_model, open_slide
>>> with open_slide("biopsy.svs") as slide:  # doctest: +SKIP
...     result = analyze_slide(slide, load_model())
...     export_all(slide, result, "results/biopsy")

``analyze`` and ``train`` do long work step by step: they yield small events, and stop when they are
closed.
"""

from importlib import import_module

import lazy_loader

# Loaded on first use: opening a slide in the viewer must not wait for torch. The names are those of
# ``__init__.pyi``.
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# Packages that are called like their main function; see `napari_xmag._callable`.
_CALLABLE = ("analyze", "train")


def __getattr__(name: str) -> object:
    return import_module(f"{__name__}.{name}") if name in _CALLABLE else _load(name)
