"""The heat map over the slide as one picture that explains itself."""

import zlib
from pathlib import Path

from PIL import Image

from napari_xmag.analyze.heatmap import AS_MADE, MapLook
from napari_xmag.analyze.result import SlideResult
from napari_xmag.export.map_picture import draw_scale_bar, map_picture
from napari_xmag.export.panel import panel
from napari_xmag.files import whole_file
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueMask

_LEAST_HEIGHT = 640
_MARGIN = 28


def write_overlay(
    slide: Slide,
    result: SlideResult,
    path: Path | str,
    look: MapLook = AS_MADE,
    mask: TissueMask | None = None,
) -> None:
    """Write ``overlay.png``: slide, heat map, legend, scale bar, prediction, flags and notice.

    Parameters
    ----------
    slide
        The slide that was analyzed, still open.
    result
        Its result.
    look
        How the map is shown; an empty class stands for the predicted one.
    mask
        The tissue that was analyzed; see `map_picture`.

    Raises
    ------
    TileReadError
        When nothing of the slide can be read any more.
    ExportError
        When the file cannot be written.
    """
    look = look.of(result)
    shown = map_picture(slide, result, look, mask=mask)
    image = Image.fromarray(shown.map)
    draw_scale_bar(image, slide.bounds, result.mpp)
    ends = shown.low, shown.high
    words = panel(result, look, ends, max(image.height, _LEAST_HEIGHT))
    page = _page(image, words)
    with whole_file(Path(path)) as part:
        # Pictures of tissue hardly repeat: to search them for repetitions takes most of an export
        # and saves a few percent.
        page.save(part, format="PNG", compress_type=zlib.Z_RLE)


def _page(image: Image.Image, words: Image.Image) -> Image.Image:
    size = image.width + words.width + 3 * _MARGIN, words.height + 2 * _MARGIN
    page = Image.new("RGB", size, "white")
    page.paste(image, (_MARGIN, (page.height - image.height) // 2))
    page.paste(words, (image.width + 2 * _MARGIN, _MARGIN))
    return page
