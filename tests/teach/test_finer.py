"""A map of half the patch's side lies exactly where the tissue lies."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.analyze import AnalyzeSettings
from napari_xmag.analyze.engine import encode_slide
from napari_xmag.features.store import FeatureStore
from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import TissueMask, find_tissue
from napari_xmag.teach.annotations import map_features
from napari_xmag.teach.areas import areas
from napari_xmag.teach.classifier import Taught, fit
from napari_xmag.teach.finer import FinerGrid
from napari_xmag.teach.lesson import Lesson
from napari_xmag.teach.prepared import PreparedSlide, kept_slides, prepare_slide
from napari_xmag.teach.session import TeachSession
from napari_xmag.teach.suggest import find_similar
from napari_xmag.zoo import open_model, save_model
from tests.analyze.orange_model import orange_tissue
from tests.analyze.test_kept_features import finished
from tests.nets.students import tiny_model
from tests.qupath.rings import outline_rings
from tests.slides import draw_section, write_leica

FAST = AnalyzeSettings(engine="torch", precision="float32", batch_size=16)
ORANGE = Box(700, 380, 690, 570)
CORNER = 1501, 2003


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide with bounds on which an orange place lies off the grid of patches."""
    folder = tmp_path_factory.mktemp("finer")
    pixels = draw_section(2100, 1400, seed=3)
    x, y, w, h = (round(v) for v in (ORANGE.x, ORANGE.y, ORANGE.width, ORANGE.height))
    pixels[y : y + h, x : x + w] = orange_tissue(w, h)
    write_leica(folder / "slide.scn", pixels, mpp=1.0, offset=CORNER)
    save_model(tiny_model("tiny-encoder"), folder / "tiny-encoder")
    return folder


@pytest.fixture(scope="module")
def both(folder: Path) -> tuple[PreparedSlide, PreparedSlide]:
    """The slide as it is encoded once, and once more."""
    model, store = open_model(folder / "tiny-encoder"), FeatureStore(folder / "store")
    with closing(open_slide(folder / "slide.scn")) as slide:
        mask = find_tissue(slide)
        features = finished(encode_slide(slide, model, store, FAST, mask))
        aside = finished(encode_slide(slide, model, store, FAST, mask, aside=True))
    return prepare_slide(features, mask), prepare_slide(features, mask, aside)


def place() -> Box:
    return ORANGE.shifted(*CORNER)


def taught_on(slide: PreparedSlide) -> Taught:
    """Teach the orange place against tissue well outside of it."""
    session = TeachSession()
    session.open_slide(slide)
    x, y = slide.centers.T
    box = place()
    inside = (x > box.x + 64) & (x < box.right - 64) & (y > box.y + 64) & (y < box.bottom - 64)
    away = (x < box.x - 200) | (x > box.right + 200) | (y < box.y - 200) | (y > box.bottom + 200)
    session.mark(slide.id, np.flatnonzero(inside)[::2], "Tumor")
    session.mark(slide.id, np.flatnonzero(away)[::5], "Other")
    return fit(session.request())


def agreement(slide: PreparedSlide, taught: Taught, across: float = 0, down: float = 0) -> float:
    """Return intersection over union of the orange map and the orange place, if it were moved."""
    grid, box = slide.map_grid, place().shifted(across, down)
    x = grid.origin_x + (grid.columns + 0.5) * grid.stride_x
    y = grid.origin_y + (grid.rows + 0.5) * grid.stride_y
    truth = (x >= box.x) & (x < box.right) & (y >= box.y) & (y < box.bottom)
    found = taught.shown[slide.id].probabilities[:, 0] > 0.5
    return float((truth & found).sum() / (truth | found).sum())


def test_each_quarter_is_the_middle_of_its_two_patches(
    both: tuple[PreparedSlide, PreparedSlide],
) -> None:
    slide = both[1]
    grid, first = slide.finer, slide.features
    assert grid is not None
    second = grid.aside
    assert grid.stride_x == first.stride_x / 2
    in_both = (grid.first >= 0) & (grid.second >= 0)
    assert in_both.mean() > 0.8
    for quarter in np.flatnonzero(in_both):
        x = grid.origin_x + (grid.columns[quarter] + 0.5) * grid.stride_x
        y = grid.origin_y + (grid.rows[quarter] + 0.5) * grid.stride_y
        corners = [first.corners()[grid.first[quarter]], second.corners()[grid.second[quarter]]]
        for left, top, right, bottom in corners:
            assert left < x < right
            assert top < y < bottom
        middle = np.mean(corners, axis=0)
        assert ((middle[0] + middle[2]) / 2, (middle[1] + middle[3]) / 2) == pytest.approx((x, y))


def test_what_one_encoding_lacks_the_other_says() -> None:
    grid = FinerGrid.__new__(FinerGrid)
    object.__setattr__(grid, "first", np.array([0, -1, 1]))
    object.__setattr__(grid, "second", np.array([1, 0, -1]))
    first, second = np.array([[1.0], [3]], np.float32), np.array([[10.0], [20]], np.float32)
    np.testing.assert_array_equal(grid.joined(first, second), [[10.5], [10], [3]])


def test_the_finer_map_lies_where_the_coarse_one_lies(
    both: tuple[PreparedSlide, PreparedSlide],
) -> None:
    coarse, fine = (taught_on(slide) for slide in both)
    np.testing.assert_array_equal(coarse.classifier.weights, fine.classifier.weights)
    slide = both[1]
    here = agreement(slide, fine)
    assert here > 0.9
    step = slide.map_grid.stride_x
    for across in (-step, 0, step):
        for down in (-step, 0, step):
            if across or down:
                assert agreement(slide, fine, across, down) < here


def test_areas_outlines_and_likeness_are_those_of_the_finer_map(
    both: tuple[PreparedSlide, PreparedSlide],
) -> None:
    slide = both[1]
    taught = taught_on(slide)
    grid, labels = slide.map_grid, taught.shown[slide.id].labels
    found = {each.class_name: each for each in areas(taught, slide.id)}
    tumor = slide.map_tissue[labels == 0].sum() * grid.stride_x * grid.stride_y / 1e6
    assert found["Tumor"].mm2 == pytest.approx(tumor)
    outlines = map_features(taught, slide, Box(*CORNER, 2100, 1400))
    steps = np.concatenate([np.diff(ring, axis=0).ravel() for ring in outline_rings(outlines)])
    assert np.abs(steps[steps != 0]).min() == pytest.approx(grid.stride_x, abs=0.02)
    alike = find_similar(taught.layout, [slide], slide.id, 0)
    assert alike[slide.id].shape == labels.shape


def test_who_looks_for_kept_slides_gets_the_slides_own_grid(
    folder: Path, both: tuple[PreparedSlide, PreparedSlide]
) -> None:
    store = FeatureStore(folder / "store")
    (kept,) = kept_slides(store, [both[0].id], both[0], Lesson())
    assert not kept.features.key.aside
    assert len(list(FeatureStore(folder / "store").entries())) == 2


def test_glass_quarters_of_a_patch_have_no_place(
    both: tuple[PreparedSlide, PreparedSlide],
) -> None:
    features, finer = both[0].features, both[1].finer
    assert finer is not None
    pixels = np.zeros((1750, 1850), bool)
    pixels[:, :1100] = True
    grid = FinerGrid.of(features, finer.aside, TissueMask(pixels, 2.0, 2.0, "painted"))
    left = grid.origin_x + grid.columns * grid.stride_x
    assert 2200 - grid.stride_x <= left.max() < 2200
    assert (finer.origin_x + finer.columns * finer.stride_x).max() > 2200
