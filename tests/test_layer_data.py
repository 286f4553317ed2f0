"""Slide, map and tissue as layers that a script makes: placed in µm, without a window."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer

from napari_xmag.analyze import HeatMapView, SlideResult, analyze_slide
from napari_xmag.errors import ConfigError, MppMissingError
from napari_xmag.geometry import Box
from napari_xmag.layer_data import (
    map_layer_data,
    slide_layer_data,
    slide_layers,
    slide_path,
    tissue_layer_data,
)
from napari_xmag.slide.base import Slide
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import TissueMask
from tests.analyze.orange_model import TILE_UM, orange_model, orange_tissue
from tests.slides import draw_section, write_pyramid

MPP_X, MPP_Y = 0.5, 0.4
# In pixels of level 0; neither at a tile's corner nor at the same number in x and y.
SQUARE = Box(1301, 703, round(TILE_UM / MPP_X), round(TILE_UM / MPP_Y))


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slide]:
    """A section with an orange square and pixels that are wider than high."""
    pixels = draw_section(3000, 2200)
    x, y = int(SQUARE.x), int(SQUARE.y)
    pixels[y : y + int(SQUARE.height), x : x + int(SQUARE.width)] = orange_tissue(
        int(SQUARE.width), int(SQUARE.height)
    )
    path = tmp_path_factory.mktemp("layers") / "square.tiff"
    with open_slide(write_pyramid(path, pixels, mpp=(MPP_X, MPP_Y))) as slide:
        yield slide


@pytest.fixture(scope="module")
def result(slide: Slide) -> SlideResult:
    """The analysis of it; the model attends to orange."""
    return analyze_slide(slide, orange_model())


def layer_of(data: tuple) -> Image | Labels:
    return Layer.create(*data)


def covered(layer: Image | Labels, row: int, column: int) -> tuple[float, float, float, float]:
    """Return left, right, top and bottom of a layer's pixel in µm."""
    top, left = layer.data_to_world((row - 0.5, column - 0.5))
    bottom, right = layer.data_to_world((row + 0.5, column + 0.5))
    return left, right, top, bottom


def test_a_slide_is_a_pyramid_in_um(slide: Slide) -> None:
    layer = layer_of(slide_layer_data(slide))
    assert layer.multiscale
    assert layer.rgb
    assert tuple(layer.scale) == (MPP_Y, MPP_X)
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert slide_path(layer) == slide.path


@pytest.mark.parametrize("view", list(HeatMapView))
def test_the_hottest_map_pixel_lies_on_the_square(
    slide: Slide, result: SlideResult, view: HeatMapView
) -> None:
    layer = layer_of(map_layer_data(slide, result, view, "orange"))
    row, column = np.unravel_index(np.nanargmax(layer.data), layer.data.shape)
    left, right, top, bottom = covered(layer, row, column)
    # A slide's first pixel has its centre at 0, so its corner lies half a pixel before.
    x, y = (SQUARE.center[0] - 0.5) * MPP_X, (SQUARE.center[1] - 0.5) * MPP_Y
    assert left <= x <= right
    assert top <= y <= bottom
    assert right - left == pytest.approx(TILE_UM, rel=0.01)
    assert bottom - top == pytest.approx(TILE_UM, rel=0.01)
    assert slide_path(layer) is None


def test_glass_is_transparent_in_the_map(slide: Slide, result: SlideResult) -> None:
    layer = layer_of(map_layer_data(slide, result))
    assert np.isnan(layer.data).any()
    assert layer.colormap.map(np.array([np.nan]))[0, 3] == 0
    assert (layer.colormap.map(np.array([0.0, 1.0]))[:, 3] == 1).all()


def test_the_colours_of_evidence_are_even_on_both_sides(slide: Slide, result: SlideResult) -> None:
    low, high = layer_of(map_layer_data(slide, result, HeatMapView.EVIDENCE)).contrast_limits
    # the same for all slides: if all patches had the strongest colour, the score would be ±10
    assert (low, high) == pytest.approx((-10 / len(result.patches), 10 / len(result.patches)))


def test_a_class_that_the_model_lacks_is_refused(slide: Slide, result: SlideResult) -> None:
    with pytest.raises(ConfigError, match="orange, other"):
        map_layer_data(slide, result, HeatMapView.EVIDENCE, "green")


def test_a_tissue_mask_covers_the_slide_to_its_corners(slide: Slide) -> None:
    pixels = np.zeros((22, 30), bool)
    pixels[21, 29] = True
    layer = layer_of(tissue_layer_data(slide, TissueMask(pixels, 100, 100, "painted")))
    assert isinstance(layer, Labels)
    assert layer.data[21, 29] == 1
    left, right, top, bottom = covered(layer, 21, 29)
    corners = np.array([2900, 3000, 2100, 2200]) - 0.5
    np.testing.assert_allclose((left, right, top, bottom), corners * [MPP_X, MPP_X, MPP_Y, MPP_Y])


def test_no_map_lies_on_a_slide_of_unknown_size(no_mpp_slide: Path, result: SlideResult) -> None:
    with open_slide(no_mpp_slide) as bare, pytest.raises(MppMissingError):
        map_layer_data(bare, result)


def test_a_script_finds_the_slides_of_a_viewer(slide: Slide, result: SlideResult) -> None:
    class Viewer:
        layers = (
            layer_of(map_layer_data(slide, result)),
            layer_of(slide_layer_data(slide)),
            Image(np.zeros((4, 4))),
        )

    assert slide_layers(Viewer()) == [Viewer.layers[1]]
