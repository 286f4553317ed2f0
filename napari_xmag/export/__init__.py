"""Files for review elsewhere: JSON, CSV, OME-TIFF, GeoJSON for QuPath, and a picture."""

from napari_xmag.export.folder import export_all
from napari_xmag.export.geojson import write_geojson, write_qupath
from napari_xmag.export.ome_tiff import write_heatmap_ome
from napari_xmag.export.overlay import write_overlay
from napari_xmag.qupath.origin import Origin

__all__ = [
    "Origin",
    "export_all",
    "write_geojson",
    "write_heatmap_ome",
    "write_overlay",
    "write_qupath",
]
