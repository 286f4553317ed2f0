"""Places without tissue that a person showed: encoded as a whole run would, and kept."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.analyze.engine import encode_slide
from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.progress.heartbeat import finish
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import whole_slide
from napari_xmag.teach.encode import encoded_slide, kept_slide
from napari_xmag.teach.grow import grown_slide
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
        assert kept_slide(slide, model, store, FAST, finer=finer) is None
        again = kept_slide(slide, model, store, FAST, finer=finer, grown=True)
        assert again is not None
        assert again.prepared.features.mark == after.features.mark
        np.testing.assert_array_equal(again.mask.pixels, grown.mask.pixels)
        assert finish(grown_slide(slide, model, store, FAST, again, places)) is again
        plain = finish(encoded_slide(slide, model, store, FAST))  # as if nobody had shown anything
        np.testing.assert_array_equal(plain.prepared.features.columns, before.features.columns)
        np.testing.assert_array_equal(plain.mask.pixels, ready.mask.pixels)
