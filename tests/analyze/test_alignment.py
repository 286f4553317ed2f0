"""The hot spot lies on the square, in every file that leaves the program."""

import json
import xml.etree.ElementTree as ElementTree
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_xmag.analyze import HeatMapView, heat_map
from napari_xmag.export import write_geojson, write_heatmap_ome, write_overlay
from napari_xmag.nets.device import DeviceBatch, encode, pick_device, ready_on
from napari_xmag.nets.student import StudentSpec, build_student
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tiles import plan_tiles, read_tile
from napari_xmag.slide.tissue import find_tissue
from tests.analyze.conftest import Found
from tests.slides import write_pyramid

OME = {"ome": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}


def assert_on_square(found: Found, x: float, y: float) -> None:
    """Compare with the patch's middle, in level-0 pixels; a tile is as large as the square."""
    middle_x, middle_y = found.square.center
    assert abs(x - middle_x) <= found.square.width / 2 + 1
    assert abs(y - middle_y) <= found.square.height / 2 + 1


def hottest(pixels: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(np.nanargmax(pixels), pixels.shape)
    return int(row), int(column)


def test_square_is_predicted(found: Found) -> None:
    assert found.result.predicted == "orange"
    assert found.result.patches.attention.max() > 0.5


@pytest.mark.parametrize("view", list(HeatMapView))
def test_map_in_micrometres(found: Found, view: HeatMapView) -> None:
    heat = heat_map(found.result, view, "orange")
    mpp = found.result.mpp
    row, column = hottest(heat.pixels)
    (scale_y, scale_x), (y, x) = heat.scale_um(mpp), heat.translate_um(mpp)
    # napari counts from the centre of the slide's first pixel
    assert_on_square(found, (x + column * scale_x) / mpp.x + 0.5, (y + row * scale_y) / mpp.y + 0.5)


@pytest.mark.parametrize("origin", ["slide", "bounds"])
def test_geojson(found: Found, origin: str, tmp_path: Path) -> None:
    write_geojson(found.result, tmp_path / "tiles.geojson", origin)
    data = json.loads((tmp_path / "tiles.geojson").read_text())
    hot = max(data["features"], key=lambda item: item["properties"]["measurements"]["Attention"])
    corners = np.array(hot["geometry"]["coordinates"][0])
    x, y = corners[:4].mean(axis=0)
    bounds = found.slide.bounds
    corner = (bounds.x, bounds.y) if origin == "bounds" else (0, 0)
    assert_on_square(found, x + corner[0], y + corner[1])
    stated = data["napari_xmag"]
    assert (stated["origin"], stated["origin_x"], stated["origin_y"]) == (origin, *corner)


def test_ome_tiff(found: Found, tmp_path: Path) -> None:
    path = tmp_path / "heatmap.ome.tif"
    write_heatmap_ome(found.result, path)
    with tifffile.TiffFile(path) as tif:
        attention = tif.series[0].asarray()[1]
        pixels = ElementTree.fromstring(tif.ome_metadata).find(".//ome:Pixels", OME)
    assert pixels is not None
    plane = pixels.find("ome:Plane", OME)
    assert plane is not None
    row, column = hottest(attention)
    x = float(plane.attrib["PositionX"]) + column * float(pixels.attrib["PhysicalSizeX"])
    y = float(plane.attrib["PositionY"]) + row * float(pixels.attrib["PhysicalSizeY"])
    mpp = found.result.mpp
    assert_on_square(found, x / mpp.x + 0.5, y / mpp.y + 0.5)


def test_overlay_paints_the_square_red(found: Found, tmp_path: Path) -> None:
    write_overlay(found.slide, found.result, tmp_path / "overlay.png")
    with Image.open(tmp_path / "overlay.png") as image:
        page = np.asarray(image).astype(int)
    bounds = found.slide.bounds
    width = round(bounds.width / max(1, max(bounds.width, bounds.height) / 1400))
    scale, margin = width / bounds.width, 28
    top = (page.shape[0] - round(bounds.height * scale)) // 2
    x, y = found.square.center
    red, green, blue = page[
        round(top + (y - bounds.y) * scale), round(margin + (x - bounds.x) * scale)
    ]
    # half the orange of the square, half the dark red of the hottest tile
    assert red > green + 40
    assert red > blue + 40


def cosines_between_levels(path: Path, teacher: Path) -> np.ndarray:
    """Read tiles from the coarse level and from level 0; compare a real network's features."""
    spec = StudentSpec(2.0, 256, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    device = pick_device("cpu")
    student = ready_on(build_student(f"local-dir:{teacher}", spec), device)
    batch = DeviceBatch(device, 4, "float32")
    with closing(open_slide(path)) as slide:
        boxes = plan_tiles(slide, find_tissue(slide), mpp=2.0, tile_px=256).boxes[:8]
        coarse = np.stack([read_tile(slide, box, 256) for box in boxes])
        slide.levels = slide.levels[:1]
        fine = np.stack([read_tile(slide, box, 256) for box in boxes])
    assert not np.array_equal(coarse, fine)  # two levels were read
    first, second = encode(student, coarse, batch).numpy(), encode(student, fine, batch).numpy()
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(axis=1) / lengths)


@pytest.mark.real_data
def test_features_agree_between_levels(real_data: Path, tmp_path: Path) -> None:
    tissue = np.asarray(Image.open(real_data / "slides" / "bench_region.jpg"))
    path = write_pyramid(tmp_path / "tissue.tiff", tissue[:4096], mpp=0.25, factors=(1, 4))
    teacher = real_data / "teachers" / "mobilenetv1_100_in1k"
    assert cosines_between_levels(path, teacher).min() >= 0.99


@pytest.mark.real_data
def test_features_agree_between_levels_of_a_scan(real_data: Path) -> None:
    # its coarse level was compressed again, which costs a pale tile up to 0.02
    path = real_data / "slides" / "lung-squamous-cell-carcinoma__HE3.tiff"
    cosines = cosines_between_levels(path, real_data / "teachers" / "mobilenetv1_100_in1k")
    assert np.median(cosines) >= 0.99
    assert cosines.min() >= 0.97
