"""The tissue that kept patches were planned on."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.features.store import FeatureStore
from napari_xmag.features.tissue import TISSUE, KeptTissue, keep_tissue, kept_tissue
from napari_xmag.slide.tissue import TissueChoice, TissueFindings, TissueMask
from tests.features.test_store import keep, key

FINDINGS = TissueFindings((241.5, 240.0, 243.25), 0.5, 0.01, 0.02, 0.03)


@pytest.mark.parametrize(("findings", "damaged"), [(FINDINGS, True), (None, False)])
def test_a_mask_comes_back_as_it_was(
    tmp_path: Path, findings: TissueFindings | None, damaged: bool
) -> None:
    draw = np.random.default_rng(0)
    pixels, lost = draw.random((2, 37, 53)) < 0.4
    mask = TissueMask(
        pixels, 31.7, 32.1, TissueChoice.AUTO, findings, lost & ~pixels if damaged else None
    )
    store = FeatureStore(tmp_path)
    kept = keep(store, key())
    places = [*zip(kept.columns.tolist(), kept.rows.tolist(), strict=True)]
    grown = frozenset(places[:2] if damaged else ())
    keep_tissue(store, kept, KeptTissue(mask, grown), 0.2)
    tissue = kept_tissue(store, kept, 0.2)
    assert tissue is not None
    assert tissue.grown == grown
    found = tissue.mask
    np.testing.assert_array_equal(found.pixels, pixels)
    assert (found.scale_x, found.scale_y, found.method) == (31.7, 32.1, TissueChoice.AUTO)
    assert found.findings == findings
    if mask.unreadable is None:
        assert found.unreadable is None
    else:
        np.testing.assert_array_equal(found.unreadable, mask.unreadable)
    assert kept_tissue(store, kept, 0.3) is None


def test_a_mask_that_says_too_little_is_found_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FeatureStore(tmp_path)
    kept = keep(store, key())
    store.keep_beside(kept, TISSUE, "at least 0.2", {"shape": np.array([3, 4])})
    assert kept_tissue(store, kept, 0.2) is None
    assert "found anew" in caplog.text
