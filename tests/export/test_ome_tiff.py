"""The heat map as OME-TIFF, read back by tifffile and as XML."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag import NOTICE
from napari_xmag.analyze import HeatMapView, heat_map
from napari_xmag.export import write_heatmap_ome
from napari_xmag.geometry import Mpp
from tests.analyze.test_result import make_result

NAMES = ["attention_rank", "attention", "evidence_benign", "evidence_malignant"]
OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "heatmap.ome.tif"
    write_heatmap_ome(make_result(), path)
    return path


def test_numbers_are_exact(path: Path) -> None:
    result = make_result()
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        pixels = tif.series[0].asarray()
        assert tif.series[0].axes == "CYX"
    assert pixels.dtype == np.float32
    assert pixels.shape == (4, 7, 10)
    np.testing.assert_array_equal(pixels[0], heat_map(result, HeatMapView.RANK).pixels)
    np.testing.assert_array_equal(pixels[1], heat_map(result, HeatMapView.RAW).pixels)
    for index, name in enumerate(result.classes):
        expected = heat_map(result, result.patches.evidence[:, index]).pixels
        np.testing.assert_array_equal(pixels[2 + index], expected, err_msg=name)
    assert np.isnan(pixels[:, 5:]).all()


def test_description_is_complete(path: Path) -> None:
    result, mpp = make_result(), Mpp(0.25, 0.2500000001)
    with tifffile.TiffFile(path) as tif:
        assert tif.ome_metadata is not None
        image = ElementTree.fromstring(tif.ome_metadata).find(f"{OME}Image")
    assert image is not None
    assert NOTICE in (image.findtext(f"{OME}Description") or "")
    pixels = image.find(f"{OME}Pixels")
    assert pixels is not None
    assert pixels.attrib["Type"] == "float"
    assert [item.attrib["Name"] for item in pixels.iter(f"{OME}Channel")] == NAMES
    heat = heat_map(result, result.patches.attention)
    assert pixels.attrib["PhysicalSizeXUnit"] == pixels.attrib["PhysicalSizeYUnit"] == "µm"
    assert pixels.attrib["PhysicalSizeX"] == "512.0"
    colors = [item.attrib["Color"] for item in pixels.iter(f"{OME}Channel")]
    assert len(set(colors[1:])) == 3
    assert all(int(color) & 255 == 255 for color in colors)
    size = float(pixels.attrib["PhysicalSizeY"]), float(pixels.attrib["PhysicalSizeX"])
    assert size == pytest.approx(heat.scale_um(mpp), rel=1e-9)
    planes = list(pixels.iter(f"{OME}Plane"))
    assert len(planes) == 4
    for plane in planes:
        place = float(plane.attrib["PositionY"]), float(plane.attrib["PositionX"])
        assert place == pytest.approx(heat.translate_um(mpp), rel=1e-9)
        assert plane.attrib["PositionXUnit"] == plane.attrib["PositionYUnit"] == "µm"
    # the order that the OME schema demands
    order = [child.tag.removeprefix(OME) for child in pixels]
    assert order == ["Channel"] * 4 + ["TiffData"] + ["Plane"] * 4


def test_placement_is_repeated_in_pixels(path: Path) -> None:
    with tifffile.TiffFile(path) as tif:
        assert tif.ome_metadata is not None
        notes = ElementTree.fromstring(tif.ome_metadata).iter(f"{OME}M")
        found = {note.attrib["K"]: note.text for note in notes}
    assert found["left edge of the first pixel, level-0 px"] == "1501.0"
    assert found["top edge of the first pixel, level-0 px"] == "2003.0"
    assert found["notice"] == NOTICE


def test_pyramid_averages_without_glass(tmp_path: Path) -> None:
    result = make_result(12)
    wide = replace(result, grid_shape=(25, 37))
    write_heatmap_ome(wide, tmp_path / "wide.ome.tif")
    with tifffile.TiffFile(tmp_path / "wide.ome.tif") as tif:
        levels = tif.series[0].levels
        assert [level.shape for level in levels] == [(4, 25, 37), (4, 13, 19), (4, 7, 10)]
        assert all(level.keyframe.is_tiled for level in levels)
        finest, half = levels[0].asarray(), levels[1].asarray()
    np.testing.assert_allclose(half[1, 0, 0], np.nanmean(finest[1, :2, :2]), rtol=1e-6)
    # tiles 10 and 11 lie in the second row, with glass beside them
    np.testing.assert_allclose(half[1, 0, 1], np.nanmean(finest[1, :2, 2:4]), rtol=1e-6)
    assert np.isnan(half[1, 5:]).all()


def test_no_tiles(tmp_path: Path) -> None:
    write_heatmap_ome(make_result(0), tmp_path / "empty.ome.tif")
    assert np.isnan(tifffile.imread(tmp_path / "empty.ome.tif")).all()
