"""All files of one result, in one folder, together or not at all."""

from pathlib import Path

from napari_xmag.analyze.result import SlideResult
from napari_xmag.export.geojson import Origin, write_geojson
from napari_xmag.export.ome_tiff import write_heatmap_ome
from napari_xmag.export.overlay import write_overlay
from napari_xmag.files import whole_folder
from napari_xmag.slide.base import Slide

NAMES = ("result.json", "tiles.csv", "heatmap.ome.tif", "tiles.geojson", "overlay.png")


def export_all(
    slide: Slide,
    result: SlideResult,
    folder: Path | str,
    origin: Origin | str = Origin.BOUNDS,
) -> dict[str, Path]:
    """Write everything that this program says of a slide.

    Parameters
    ----------
    slide
        The slide that was analysed, still open; for the picture.
    result
        Its result.
    folder
        Made when missing; files of the same names are replaced.
    origin
        Where (0, 0) lies in ``tiles.geojson``; see `Origin`.

    Returns
    -------
    Name of each file and its path.

    Raises
    ------
    TileReadError
        When the slide cannot be read any more.
    ExportError
        When the folder cannot be written; nothing half-written is left.
    """
    folder = Path(folder)
    with whole_folder(folder) as part:
        result.save(part)
        write_heatmap_ome(result, part / "heatmap.ome.tif")
        write_geojson(result, part / "tiles.geojson", origin)
        write_overlay(slide, result, part / "overlay.png")
    return {name: folder / name for name in NAMES}
