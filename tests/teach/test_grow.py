"""Places without tissue that a person showed: encoded as a whole run would, and kept."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_xmag.analyze.engine import encode_slide
from napari_xmag.errors import TileReadError
from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.progress.heartbeat import finish
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import TissueChoice, whole_slide
from napari_xmag.teach import grow
from napari_xmag.teach.encode import ReadySlide, encoded_slide, kept_slide
from napari_xmag.teach.grow import grown_slide
from napari_xmag.teach.lesson import Example, Lesson
from napari_xmag.teach.prepared import kept_slides
from tests.slides import draw_section, write_pyramid
from tests.teach.test_encode import FAST


@pytest.mark.parametrize("finer", [False, True])
def test_places_on_glass_get_the_features_that_a_whole_run_gives_them(
    tiny: str, tmp_path: Path, finer: bool
) -> None:
    store, model = FeatureStore(tmp_path / "store"), StoredModel.open(Path(tiny))
    path = write_pyramid(tmp_path / "a.tiff", draw_section(1024, 768))
    with closing(open_slide(path)) as slide:
        ready = finish(encoded_slide(slide, model, store, FAST, finer=finer))
        whole = finish(
            encode_slide(slide, model, FeatureStore(tmp_path / "w"), FAST, whole_slide(slide))
        )
        before = ready.prepared
        free = before.free_inside(np.array([(-9, -9), (2000, -9), (2000, 2000), (-9, 2000)]))
        assert len(free) == len(whole) - len(before.features) >= 3
        places = np.concatenate([free[::2], [(-50.0, 9.0)], before.centers[:2]])
        grown = finish(grown_slide(slide, model, store, FAST, ready, places))
        after = grown.prepared
        assert len(after.features) == len(before.features) + len(free[::2])
        rows = whole.where(after.features.columns, after.features.rows)
        assert rows is not None
        np.testing.assert_allclose(
            np.asarray(after.features.features, float),
            np.asarray(whole.features[rows], float),
            atol=5e-3,
        )
        assert all(after.patch_at(x, y) is not None for x, y in free[::2].tolist())
        assert all(after.patch_at(x, y) is None for x, y in free[1::2].tolist())
        np.testing.assert_allclose(after.tissue[-len(free[::2]) :], 1, atol=0.15)
        unchanged = after.features.where(before.features.columns, before.features.rows)
        np.testing.assert_allclose(after.tissue[unchanged], before.tissue, atol=0.05)
        again = kept_slide(slide, model, store, FAST, finer=finer)
        assert again is not None
        assert again.prepared.features.mark == after.features.mark
        np.testing.assert_array_equal(again.mask.pixels, grown.mask.pixels)
        assert finish(grown_slide(slide, model, store, FAST, again, places)) is again
        assert again.only_with(places) is again
        # they are tissue only as long as somebody shows them
        one = again.only_with(free[:1])
        assert len(one.prepared.features) == len(before.features) + 1
        assert one.prepared.patches_inside(around(free[:1])).tolist() == [len(before.features)]
        example = Example(before.id, *free[0].tolist(), "Tumor")
        (closed,) = kept_slides(store, [before.id], before, Lesson(examples=(example,)))
        np.testing.assert_array_equal(closed.centers, one.prepared.centers)
        require_same(again.only_with(np.zeros((0, 2))), ready)
        more = finish(grown_slide(slide, model, store, FAST, again, free))
        assert len(more.prepared.features) == len(whole)
        require_same(kept_slide(slide, model, store, FAST, finer=finer), more)
        plain = finish(encoded_slide(slide, model, store, FAST))  # as if nobody had shown anything
        np.testing.assert_array_equal(plain.prepared.features.columns, before.features.columns)
        np.testing.assert_array_equal(plain.mask.pixels, ready.mask.pixels)


def around(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return places[0] + np.array([(-9.0, -9), (9, -9), (9, 9), (-9, 9)])


def require_same(found: ReadySlide | None, expected: ReadySlide) -> None:
    assert found is not None
    one, two = found.prepared, expected.prepared
    np.testing.assert_array_equal(found.mask.pixels, expected.mask.pixels)
    np.testing.assert_array_equal(one.features.features, two.features.features)
    np.testing.assert_array_equal(one.centers, two.centers)
    np.testing.assert_array_equal(one.map_tissue, two.map_tissue)
    assert one.grown == two.grown


def test_what_is_hardly_on_the_slide_or_cannot_be_read_costs_no_slide(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last column and row hold less than a tenth of a patch."""
    store, model = FeatureStore(tmp_path / "store"), StoredModel.open(Path(tiny))
    path = write_pyramid(tmp_path / "a.tiff", draw_section(1034, 780))
    with closing(open_slide(path)) as slide:
        ready = finish(encoded_slide(slide, model, store, FAST))
        before = ready.prepared
        columns = before.features.shape[1]
        beyond = before.features.origin_x + columns * before.features.stride_x - 1
        assert beyond - 1034 > 0.9 * before.features.stride_x
        free = before.free_inside(np.array([(-9, -9), (2000, -9), (2000, 2000), (-9, 2000)]))
        assert len(free)
        assert (free < [1034, 780]).all()
        assert (
            finish(grown_slide(slide, model, store, FAST, ready, np.array([[1033.0, 9]]))) is ready
        )
        with monkeypatch.context() as damage:
            damage.setattr(type(slide), "read", damaged)
            same = finish(grown_slide(slide, model, store, FAST, ready, free[:1])).prepared
        np.testing.assert_array_equal(same.features.features, before.features.features)
        assert [*same.features.unreadable.values()]
        again = kept_slide(slide, model, store, FAST)
        assert again is not None
        assert finish(grown_slide(slide, model, store, FAST, again, free[:1])) is again
        assert len(again.prepared.free_inside(around(free[:1]))) == 0


def damaged(*_: object, **__: object) -> None:
    raise TileReadError(expected="a tile", found="damage", hint="Copy the slide again.")


def test_what_the_store_holds_beyond_the_tissue_stays_and_is_not_encoded_again(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, model = FeatureStore(tmp_path / "store"), StoredModel.open(Path(tiny))
    path = write_pyramid(tmp_path / "a.tiff", draw_section(1024, 768))
    with closing(open_slide(path)) as slide:
        whole = finish(encode_slide(slide, model, store, FAST, whole_slide(slide)))
        ready = finish(encoded_slide(slide, model, store, FAST))
        free = ready.prepared.free_inside(np.array([(0, 0), (2000, 0), (2000, 2000), (0, 2000)]))
        monkeypatch.setattr(grow, "encode_slide", None)
        grown = finish(grown_slide(slide, model, store, FAST, ready, free[:2]))
        assert len(grown.prepared.features) == len(ready.prepared.features) + 2
        require_same(kept_slide(slide, model, store, FAST), grown)
        held = store.find(whole.key)
        assert held is not None
        assert held.mark == whole.mark


def test_tissue_that_was_not_found_but_given_is_not_taken_for_it(tiny: str, tmp_path: Path) -> None:
    store, model = FeatureStore(tmp_path / "store"), StoredModel.open(Path(tiny))
    path = write_pyramid(tmp_path / "a.tiff", draw_section(1024, 768))
    everything = replace(FAST, tissue=TissueChoice.WHOLE)
    with closing(open_slide(path)) as slide:
        given = finish(encoded_slide(slide, model, store, everything))
        assert kept_slide(slide, model, store, FAST) is None
        require_same(kept_slide(slide, model, store, everything), given)
