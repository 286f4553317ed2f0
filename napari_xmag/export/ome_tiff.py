"""The heat map as a pyramidal OME-TIFF of exact numbers, placed on the slide in µm."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag._about import NOTICE, __version__
from napari_xmag.analyze.heatmap import HeatMap, attention_rank, heat_map
from napari_xmag.analyze.result import SlideResult
from napari_xmag.export.palette import ATTENTION_COLOR
from napari_xmag.files import whole_file
from napari_xmag.qupath.classes import RGB, class_color

_EVIDENCE = "evidence_"
_TILE = 64
_SMALLEST = 16
"""Levels are halved until both sides are no longer than this."""


def write_heatmap_ome(result: SlideResult, path: Path | str) -> None:
    """Write ``heatmap.ome.tif``: float32, one pixel for each place of the grid, NaN for glass.

    Channels are ``attention_rank``, ``attention`` and ``evidence_<class>``, each with a colour. The
    physical size is that of a patch; the plane position is the centre of the first pixel, counted
    in µm from the centre of the slide's first level-0 pixel (napari's convention). A map annotation
    repeats the placement in level-0 pixels.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    import tifffile

    maps = _channels(result)
    placed = next(iter(maps.values()))
    levels = _pyramid(np.stack([channel.pixels for channel in maps.values()]))
    options = {"tile": (_TILE, _TILE), "compression": "zlib", "photometric": "minisblack"}
    size_y, size_x = map(_exact, placed.scale_um(result.mpp))
    metadata = _metadata(result, list(maps), placed)
    with whole_file(Path(path)) as part, tifffile.TiffWriter(part, ome=True) as writer:
        for index, level in enumerate(levels):
            per_cm = (1e4 / (size_x * 2**index), 1e4 / (size_y * 2**index))
            writer.write(
                level,
                subifds=len(levels) - 1 if index == 0 else None,
                subfiletype=1 if index else 0,
                metadata=metadata if index == 0 else None,
                resolution=per_cm,
                resolutionunit="CENTIMETER",
                software=f"napari-xmag {__version__}",
                **options,
            )


def _channels(result: SlideResult) -> dict[str, HeatMap]:
    patches = result.patches
    values = {"attention_rank": attention_rank(patches.attention), "attention": patches.attention}
    for index, name in enumerate(result.classes):
        values[f"{_EVIDENCE}{name}"] = patches.evidence[:, index]
    return {name: heat_map(result, channel) for name, channel in values.items()}


def _channel_color(name: str) -> RGB:
    is_evidence = name.startswith(_EVIDENCE)
    return class_color(name.removeprefix(_EVIDENCE)) if is_evidence else ATTENTION_COLOR


def _exact(um: float) -> float:
    """Take off what multiplying by an inexact pixel size added: 127.99999999999999 is 128."""
    return float(f"{um:.12g}")


def _ome_color(color: RGB) -> int:
    """Return a colour as OME stores it: RGBA in a signed 32-bit integer."""
    return int.from_bytes(bytes((*color, 255)), "big", signed=True)


def _pyramid(pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    levels = [pixels]
    while max(levels[-1].shape[1:]) > _SMALLEST:
        levels.append(_halved(levels[-1]))
    return levels


def _halved(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of 2 × 2 pixels without the glass among them, (C, H, W) to (C, ⌈H/2⌉, ⌈W/2⌉)."""
    channels, height, width = pixels.shape
    even = ((0, 0), (0, height % 2), (0, width % 2))
    padded = np.pad(pixels, even, constant_values=np.nan)
    blocks = padded.reshape(channels, padded.shape[1] // 2, 2, padded.shape[2] // 2, 2)
    count = (~np.isnan(blocks)).sum(axis=(2, 4), dtype=np.float32)
    # Glass stays NaN. Not by nanmean and a filter of its warning: filters are those of all threads.
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float32] = np.nansum(blocks, axis=(2, 4), dtype=np.float32) / count
    return means


def _metadata(result: SlideResult, names: list[str], placed: HeatMap) -> dict[str, Any]:
    size_y, size_x = map(_exact, placed.scale_um(result.mpp))
    y, x = map(_exact, placed.translate_um(result.mpp))
    count = len(names)
    return {
        "axes": "CYX",
        "Creator": f"napari-xmag {__version__}",
        "Name": f"{result.slide['path']} attention and evidence",
        "Description": (
            f"{NOTICE} Heat map of {result.slide['path']} by {result.model['name']}. One pixel for "
            "each patch of the grid, NaN where there is glass. The plane position is the centre of "
            "the first pixel, in µm from the centre of the slide's first level-0 pixel."
        ),
        "PhysicalSizeX": size_x,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": size_y,
        "PhysicalSizeYUnit": "µm",
        "Channel": {"Name": names, "Color": [_ome_color(_channel_color(name)) for name in names]},
        "Plane": {
            "PositionX": [x] * count,
            "PositionXUnit": ["µm"] * count,
            "PositionY": [y] * count,
            "PositionYUnit": ["µm"] * count,
        },
        "MapAnnotation": {
            "Namespace": "napari-xmag/placement",
            "notice": NOTICE,
            "left edge of the first pixel, level-0 px": repr(placed.origin_x),
            "top edge of the first pixel, level-0 px": repr(placed.origin_y),
            "pixel width, level-0 px": repr(placed.stride_x),
            "pixel height, level-0 px": repr(placed.stride_y),
            "slide mpp x": repr(result.mpp.x),
            "slide mpp y": repr(result.mpp.y),
        },
    }
