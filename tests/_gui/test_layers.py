"""Slides as layers of a real viewer: placed right, read only where they are seen."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from napari._app_model import get_app_model
from napari.layers import Image
from napari.utils.notifications import notification_manager
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot

from napari_xmag._gui import layers
from napari_xmag._gui.analyze.map_layer import MapLook, colormap, show_map
from napari_xmag._gui.analyze.scores import PatchScores
from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.layers import toggle_true_colors
from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.geometry import Box, Mpp
from napari_xmag.layer_data import (
    METADATA_KEY,
    calibrate,
    is_calibrated,
    slide_layers,
    slide_path,
)
from napari_xmag.slide.base import Slide
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tiles import TileGrid, plan_tiles
from napari_xmag.slide.tissue import whole_slide
from tests.slides import write_pyramid

pytestmark = pytest.mark.window

GREEN = (0, 200, 0)
# At an odd place near the far corner, where rounded level sizes do the most harm.
SQUARE = Box(3237, 2111, 448, 448)
SIZE = (4007, 3019)
MakeViewer = Callable[..., Viewer]


@pytest.fixture
def viewer(make_napari_viewer: MakeViewer) -> Iterator[Viewer]:
    """A real window of a known size."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 700)
    yield viewer
    viewer.layers.clear()


def opened(viewer: Viewer, path: Path) -> Image:
    (layer,) = viewer.open(str(path), plugin="napari-xmag")
    return layer


@pytest.fixture(scope="module", params=[0.25, 0.4612])
def green_slide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Glass with one green square, at two mpp, in levels 1, 2 and 4."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 240, np.uint8)
    x, y, side = int(SQUARE.x), int(SQUARE.y), int(SQUARE.width)
    pixels[y : y + side, x : x + side] = GREEN
    path = tmp_path_factory.mktemp("green") / "green.tiff"
    return write_pyramid(
        path, pixels, mpp=request.param, factors=(1, 2, 4), compression="adobe_deflate"
    )


def seen(viewer: Viewer, qtbot: QtBot, color: tuple[float, ...]) -> NDArray[np.float64]:
    """Return left, right, top and bottom of a colour on the screen, in screen pixels."""
    qtbot.wait(50)
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float)
    rows, columns = np.nonzero(np.abs(picture - color).max(-1) < 60)
    assert len(rows), "the colour is not on the screen"
    return np.array([columns.min(), columns.max() + 1, rows.min(), rows.max() + 1], float)


def look_at_square(viewer: Viewer, mpp: Mpp, screen_px_per_px: float) -> None:
    x, y = SQUARE.center
    # A little beside the centre: whole numbers hide errors.
    viewer.scene.camera.center = (0.0, (y + 7.3) * mpp.y, (x - 5.1) * mpp.x)
    viewer.scene.camera.zoom = screen_px_per_px / mpp.x


def show_hot_tile(viewer: Viewer, layer: Image, slide: Slide, grid: TileGrid, tile: int) -> Image:
    """Add the map with one tile hot and all others transparent."""
    attention = np.full(len(grid.boxes), np.nan, np.float32)
    attention[tile] = 1
    scores = PatchScores(grid, ("square",), attention, attention[:, None], final=True)
    session = SlideSession(slide.path, layer, slide)
    show_map(viewer, session, scores, MapLook(HeatMapView.RAW, "", 1.0, 0.0))
    assert session.map_layer is not None
    return session.map_layer


def grid_on_square() -> TileGrid:
    """A grid of 2 × 2 tiles, the last of which is the square itself."""
    side = SQUARE.width
    boxes = [SQUARE.shifted(x, y) for y in (-side, 0) for x in (-side, 0)]
    return TileGrid(
        boxes=tuple(boxes),
        columns=np.array([0, 1, 0, 1]),
        rows=np.array([0, 0, 1, 1]),
        mpp=2.0,
        tile_px=56,
        stride_x=side,
        stride_y=side,
        origin_x=SQUARE.x - side,
        origin_y=SQUARE.y - side,
        shape=(2, 2),
    )


def test_a_map_pixel_covers_its_tile_at_every_zoom(
    viewer: Viewer, qtbot: QtBot, green_slide: Path
) -> None:
    slide = open_slide(green_slide)
    layer = opened(viewer, green_slide)
    hot = show_hot_tile(viewer, layer, slide, grid_on_square(), 3)
    hot_color = tuple(255 * colormap(HeatMapView.RAW).map(1.0)[0, :3])
    levels = set()
    for zoom in (0.06, 0.13, 0.24, 0.26, 0.6, 0.99, 1.07):
        look_at_square(viewer, slide.mpp, zoom)
        hot.visible = False
        green = seen(viewer, qtbot, GREEN)
        levels.add(layer.data_level)
        hot.visible = True
        heat = seen(viewer, qtbot, hot_color)
        assert np.abs(green - heat).max() <= 1.01, f"zoom {zoom}, level {layer.data_level}"
        assert heat[1] - heat[0] == pytest.approx(448 * zoom, abs=1.01)
    assert len(levels) >= 3


@pytest.mark.parametrize("bounds", [None, Box(517, 333, 3401, 2600)], ids=["whole", "bounds"])
def test_the_hot_tile_lies_on_the_square(
    viewer: Viewer, qtbot: QtBot, green_slide: Path, bounds: Box | None
) -> None:
    slide = open_slide(green_slide)
    slide.bounds = bounds or slide.bounds
    grid = plan_tiles(slide, whole_slide(slide), mpp=2.0, tile_px=64)
    greens = [slide.read(box, 1)[..., 0] < 100 for box in grid.boxes]
    tile = int(np.argmax([green.mean() for green in greens]))
    layer = opened(viewer, green_slide)
    hot = show_hot_tile(viewer, layer, slide, grid, tile)
    hot_color = tuple(255 * colormap(HeatMapView.RAW).map(1.0)[0, :3])
    box = grid.boxes[tile]
    for zoom in (0.13, 0.3, 0.47):
        look_at_square(viewer, slide.mpp, zoom)
        hot.visible = False
        green = seen(viewer, qtbot, GREEN)
        hot.visible = True
        heat = seen(viewer, qtbot, hot_color)
        known = np.array([box.x - SQUARE.x, box.right - SQUARE.right, box.y - SQUARE.y])
        expected = green[:3] + known * zoom
        assert np.abs(heat[:3] - expected).max() <= 1.6
        middle = (heat[0::2] + heat[1::2]) / 2
        assert (np.abs(middle - (green[0::2] + green[1::2]) / 2) <= box.width * zoom / 2 + 1).all()


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Box]]:
    """Record every read of a slide as (level, box)."""
    from napari_xmag.slide.tiff.slide import TiffSlide

    reads: list[tuple[int, Box]] = []
    original = TiffSlide.read

    def read(self: TiffSlide, box: Box, level: int) -> NDArray[np.uint8]:
        reads.append((level, box))
        return original(self, box, level)

    monkeypatch.setattr(TiffSlide, "read", read)
    return reads


def test_panning_reads_only_what_is_seen(
    viewer: Viewer, qtbot: QtBot, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = count_reads(monkeypatch)
    layer = opened(viewer, sample)
    qtbot.wait(50)
    assert not [box for level, box in reads if level == 0], "opening reads a coarse level only"

    reads.clear()
    viewer.scene.camera.center = (0.0, 2000.0, 2500.0)
    viewer.scene.camera.zoom = 2.0  # one screen pixel for each of the slide's
    qtbot.wait(50)
    assert layer.data_level == 0
    fine = [box for level, box in reads if level == 0]
    height, width = viewer.window._qt_viewer.canvas.size
    around = Box(5000 - width / 2, 4000 - height / 2, width, height)
    assert fine
    for box in fine:
        assert box.intersection(around) is not None, "read although out of sight"
    chunk = 1024
    assert sum(box.width * box.height for box in fine) <= (width + 2 * chunk) * (height + 2 * chunk)

    reads.clear()
    viewer.scene.camera.center = (0.0, 2000.0, 2530.0)
    qtbot.wait(50)
    again = [box for level, box in reads if level == 0]
    assert len(again) <= len(fine) / 2, "what was read a moment ago is read again"


def test_a_layer_knows_its_slide(viewer: Viewer, pyramid_slide: Path) -> None:
    layer = opened(viewer, pyramid_slide)
    other = viewer.add_image(np.zeros((4, 4)))
    foreign = viewer.add_points(metadata={METADATA_KEY: {"role": "tissue", "path": "x"}})
    assert slide_path(layer) == pyramid_slide
    assert slide_path(other) is None
    assert slide_path(foreign) is None
    assert slide_layers(viewer) == [layer]


def test_a_slide_comes_into_um_when_its_pixel_size_is_known(
    viewer: Viewer, no_mpp_slide: Path
) -> None:
    layer = opened(viewer, no_mpp_slide)
    assert not is_calibrated(layer)
    calibrate(layer, Mpp(0.25, 0.5))
    assert is_calibrated(layer)
    assert tuple(layer.scale) == (0.5, 0.25)
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    np.testing.assert_allclose(viewer.layers.extent.world[1], [1499 * 0.5, 1999 * 0.25])


def test_slides_with_and_without_pixel_size_live_together(
    viewer: Viewer, qtbot: QtBot, no_mpp_slide: Path, pyramid_slide: Path
) -> None:
    bare, known = opened(viewer, no_mpp_slide), opened(viewer, pyramid_slide)
    qtbot.wait(50)
    calibrate(bare, Mpp(0.5, 0.5))
    assert bare.units == known.units


def test_true_colors_need_a_profile(viewer: Viewer, pyramid_slide: Path) -> None:
    layer = opened(viewer, pyramid_slide)
    before = layer.data
    toggle_true_colors(layer)
    assert layer.data is before
    assert "no colour profile" in notification_manager.records[-1].message


def test_true_colors_come_and_go_by_the_menu(
    viewer: Viewer, qtbot: QtBot, pyramid_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "srgb_transform", lambda _: lambda pixels: 255 - pixels)
    layer = opened(viewer, pyramid_slide)
    stored = np.asarray(layer.data[-1])
    command = get_app_model().commands
    command.execute_command("napari-xmag.true_colors").result()
    np.testing.assert_array_equal(np.asarray(layer.data[-1]), 255 - stored)
    command.execute_command("napari-xmag.true_colors").result()
    np.testing.assert_array_equal(np.asarray(layer.data[-1]), stored)
    assert slide_path(layer) == pyramid_slide
    assert is_calibrated(layer)
