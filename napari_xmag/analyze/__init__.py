"""Analysis of a slide: five lines from a file to a prediction, a heat map and exports.

>>> from napari_xmag.analyze import analyze_slide
>>> from napari_xmag.export import export_all
>>> from napari_xmag.slide.open import open_slide
>>> from napari_xmag.zoo import load_model
>>> slide = open_slide("slide.svs")  # doctest: +SKIP
>>> result = analyze_slide(slide, load_model())  # doctest: +SKIP
>>> export_all(slide, result, "results")  # doctest: +SKIP

`analyze` does the same step by step, as a generator of events for a window or a progress line.
"""

from napari_xmag.analyze.engine import analyze, analyze_slide
from napari_xmag.analyze.events import AnalyzeEvent, SlideFinished, SlidePlanned, TilesDone, Waiting
from napari_xmag.analyze.flags import Flag, FlagCode
from napari_xmag.analyze.heatmap import HeatMap, HeatMapView, heat_map, view_values
from napari_xmag.analyze.result import SlideResult, UnreadableTile
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.analyze.table import PatchTable

__all__ = [
    "AnalyzeEvent",
    "AnalyzeSettings",
    "Flag",
    "FlagCode",
    "HeatMap",
    "HeatMapView",
    "PatchTable",
    "SlideFinished",
    "SlidePlanned",
    "SlideResult",
    "TilesDone",
    "UnreadableTile",
    "Waiting",
    "analyze",
    "analyze_slide",
    "heat_map",
    "view_values",
]
