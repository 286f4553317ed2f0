"""A quick analysis sees a part of a slide, and gives the answer of the whole."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_xmag.analyze import AnalyzeSettings, FlagCode, analyze_slide
from napari_xmag.analyze.quick import LEAST_TILES, STANDARD_ERRORS, answer_margin
from napari_xmag.nets.heads.pooling import pool_scores
from napari_xmag.slide.reading_order import spread_passes
from tests.analyze.orange_model import orange_model
from tests.analyze.slides import PlainSlide, everything

INFO = replace(orange_model().info, classes=("benign", "malignant"), temperature=1.5)


def _made_up_slide(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns, attention logits and evidence of 1,600 tiles: areas, as in tissue."""
    rng = np.random.default_rng(seed)
    rows, columns = (axis.ravel() for axis in np.mgrid[:40, :40])
    areas = gaussian_filter(rng.normal(size=(40, 40)), 3, mode="wrap").ravel()
    areas /= areas.std()
    logit = (1.5 * areas + rng.normal(size=1600)).astype(np.float32)
    toward = rng.normal(0, 1.5) + areas + rng.normal(size=1600)
    return rows, columns, logit, np.stack([-toward, toward], 1).astype(np.float32)


def test_answer_of_a_part_is_that_of_the_whole() -> None:
    """The rule as it is used, on 300 slides whose truth is known."""
    same, shares = [], []
    for seed in range(300):
        rows, columns, logit, evidence = _made_up_slide(seed)
        whole = pool_scores(logit, evidence)[2].argmax()
        seen = np.empty(0, np.int64)
        for tiles in spread_passes(rows, columns):
            seen = np.sort(np.concatenate([seen, tiles]))
            margin = answer_margin(INFO, logit[seen], evidence[seen], seen, len(rows))
            if len(seen) >= LEAST_TILES and margin.distance > STANDARD_ERRORS * margin.error:
                break
        same.append(pool_scores(logit[seen], evidence[seen])[2].argmax() == whole)
        shares.append(len(seen) / len(rows))
    assert np.mean(same) >= 0.98
    assert np.mean(shares) < 0.5


def test_error_of_the_margin_is_that_of_repeated_samples() -> None:
    rng = np.random.default_rng(1)
    _, _, logit, evidence = _made_up_slide(5)
    true = answer_margin(INFO, logit, evidence, np.arange(1600), 1600)
    assert true.error == 0  # nothing is left to see
    found = []
    for _ in range(200):
        part = rng.choice(1600, 400, replace=False)
        found.append(answer_margin(INFO, logit[part], evidence[part], part, 1600))
    spread = np.std([margin.distance for margin in found])
    assert np.mean([margin.error for margin in found]) == pytest.approx(spread, rel=0.2)


def test_patches_of_one_tile_are_no_independent_evidence() -> None:
    _, _, logit, evidence = _made_up_slide(5)
    tiles = np.arange(400)
    once = answer_margin(INFO, logit[:400], evidence[:400], tiles, 1600)
    copies = [np.repeat(values, 16, 0) for values in (logit[:400], evidence[:400], tiles)]
    again = answer_margin(INFO, *copies, 1600)
    assert again.error == pytest.approx(once.error, rel=1e-4)


def test_margin_is_to_the_nearest_change() -> None:
    """At 50 % the answer is "too close"; it changes at odds of 1.5, scaled by the temperature."""
    even = np.zeros((2, 2), np.float32)
    flat, tiles = np.zeros(2, np.float32), np.arange(2)
    assert answer_margin(INFO, flat, even, tiles, 9).distance == pytest.approx(1.5 * np.log(1.5))
    strict = replace(INFO, threshold=0.9)
    assert answer_margin(strict, flat, even, tiles, 9).distance == pytest.approx(
        1.5 * (np.log(9) - np.log(1.5))
    )


def test_quick_analysis_says_what_it_saw(tmp_path: object) -> None:
    slide = PlainSlide(_file(tmp_path), tiles=600)
    mask, model = everything(slide), orange_model()
    whole = analyze_slide(slide, model, AnalyzeSettings(engine="graph"), mask)
    slide.reads = 0
    quick = analyze_slide(slide, model, AnalyzeSettings(engine="graph", quick=True), mask)
    seen = len(quick.patches)
    assert LEAST_TILES <= seen == slide.reads < 150
    assert quick.tiles_read == seen == quick.settings["tiles_seen"]
    assert quick.settings["tiles_planned"] == 600
    assert quick.predicted == whole.predicted
    np.testing.assert_allclose(quick.probabilities, whole.probabilities, atol=1e-3)
    flag = next(flag for flag in quick.flags if flag.code == FlagCode.QUICK)
    assert f"{seen} of 600 tiles" in flag.words
    assert FlagCode.QUICK not in {flag.code for flag in whole.flags}
    assert np.ptp(quick.patches.column) > 500  # from one end to the other


def _file(folder: object) -> object:
    path = folder / "plain.svs"  # type: ignore[operator]
    path.write_bytes(b"plain")
    return path
