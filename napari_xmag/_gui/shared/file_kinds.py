"""Kinds of files that a dialog offers, as Qt names them."""

from napari_xmag.qupath.geojson_file import GEOJSON_SUFFIXES

GEOJSON = f"GeoJSON ({' '.join(f'*{suffix}' for suffix in GEOJSON_SUFFIXES)});;All files (*)"
