"""Analysis of a slide; ``napari_xmag.analyze(slide, model)`` yields its events, see `analyze`."""

from napari_xmag._callable import make_callable
from napari_xmag.analyze.engine import analyze, analyze_slide
from napari_xmag.analyze.events import AnalyzeEvent, SlideFinished, SlidePlanned, TilesDone, Waiting
from napari_xmag.analyze.flags import Flag, FlagCode
from napari_xmag.analyze.heatmap import HeatMap, HeatMapView, MapLook, heat_map, view_values
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
    "MapLook",
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

make_callable(__name__, "napari_xmag.analyze.engine")
