"""A result whose flags make its numbers worthless gives no answer, and says why, everywhere."""

import dataclasses
import gzip
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.analyze import Flag, FlagCode, SlideResult, UnreadableTile, analyze_slide
from napari_xmag.analyze.abstain import NO_ANSWER
from napari_xmag.analyze.bars import band_words, class_bars
from napari_xmag.cli.analyze_report import summary
from napari_xmag.export.geojson import write_qupath
from napari_xmag.geometry import Box
from napari_xmag.nets.decision import close_classes, uncertain_band
from napari_xmag.nets.info import TrainingRange
from napari_xmag.qupath.metadata import image_description, image_metadata
from napari_xmag.slide.metadata import slide_metadata
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.sample_cohort import write_sample_cohort
from napari_xmag.slide.tissue import TissueMask
from tests.analyze.orange_model import orange_model
from tests.analyze.test_result import make_result

WORTHLESS = (
    FlagCode.NO_TISSUE,
    FlagCode.LITTLE_TISSUE,
    FlagCode.NOTHING_READABLE,
    FlagCode.DEGENERATE_MAP,
    FlagCode.OUT_OF_RANGE,
    FlagCode.TOO_COARSE,
    FlagCode.DEMONSTRATION,
)


def flagged(*codes: str) -> SlideResult:
    flags = tuple(Flag(code, f"About {code}.") for code in codes)
    return dataclasses.replace(make_result(), flags=flags)


@pytest.mark.parametrize("code", list(FlagCode))
def test_worthless_flags_and_no_others_take_the_answer_away(code: FlagCode) -> None:
    result = flagged(code, "mpp_by_hand")
    assert result.predicted == "malignant"
    if code in WORTHLESS:
        assert (result.answer, result.headline) == (None, NO_ANSWER)
        assert result.abstained == (f"About {code}.",)
        assert [flag.code for flag in result.warnings] == ["mpp_by_hand"]
    else:
        assert (result.answer, result.abstained) == ("malignant", ())
        assert result.warnings == result.flags


def test_a_demonstration_model_may_speak_of_the_programs_own_slides() -> None:
    result = flagged(FlagCode.DEMONSTRATION)
    shown = dataclasses.replace(result, slide={**result.slide, "sample": True})
    assert (result.answer, shown.answer) == (None, "malignant")
    assert [flag.code for flag in shown.warnings] == ["demonstration"]


@pytest.mark.parametrize(("lost", "answer"), [(40, "malignant"), (51, None)])
def test_most_tiles_unreadable(lost: int, answer: str | None) -> None:
    tile = UnreadableTile(Box(1, 2, 3, 4), "a broken JPEG")
    result = dataclasses.replace(flagged(FlagCode.UNREADABLE_TILES), unreadable=(tile,) * lost)
    assert result.tiles_read == 50
    assert result.answer == answer


def test_nothing_analysed_is_no_answer() -> None:
    empty = dataclasses.replace(make_result(0), flags=())
    assert empty.answer is None
    assert "No tile" in empty.abstained[0]


def test_all_words_say_that_there_is_no_answer(tmp_path: Path) -> None:
    result = flagged(FlagCode.OUT_OF_RANGE)
    result.save(tmp_path)
    data = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert (data["answer"], data["headline"]) == (None, NO_ANSWER)
    assert data["abstained"] == ["About out_of_range."]
    assert data["probability_of"] == {"benign": 0.4, "malignant": 0.6}
    assert SlideResult.load(tmp_path).abstained == result.abstained
    assert image_metadata(result)["XMAG prediction"] == NO_ANSWER
    assert NO_ANSWER in image_description(result)
    lines = summary("a.svs", result, tmp_path, ()).splitlines()
    assert lines[1].split(maxsplit=1) == ["prediction", NO_ANSWER]
    assert lines[2].split(maxsplit=1) == ["abstained", "About out_of_range."]


def test_a_map_that_says_nothing_makes_no_hotspots(tmp_path: Path) -> None:
    def hotspots(result: SlideResult) -> int:
        write_qupath(result, tmp_path / "q.gz")
        features = json.loads(gzip.decompress((tmp_path / "q.gz").read_bytes()))["features"]
        return sum("hotspot" in item["properties"].get("name", "") for item in features)

    assert hotspots(flagged()) > 0
    assert hotspots(flagged(FlagCode.OUT_OF_RANGE)) == 0


def test_the_programs_own_slides_are_known_and_others_are_not(
    tmp_path: Path, sample: Path, pyramid_slide: Path
) -> None:
    made = next(iter(write_sample_cohort(tmp_path, 4))).path
    for path, expected in ((made, True), (sample, True), (pyramid_slide, False)):
        with closing(open_slide(path)) as slide:
            assert slide_metadata(slide)["sample"] is expected


def test_a_slide_unlike_those_of_training_abstains(pyramid_slide: Path) -> None:
    far = TrainingRange(
        mean=np.full(3, 9, np.float32),
        between=np.full(3, 0.01, np.float32),
        within=np.full(3, 0.01, np.float32),
        limit=1.0,
        slides=9,
    )
    with closing(open_slide(pyramid_slide)) as slide:
        result = analyze_slide(slide, orange_model(training_range=far))
        near = analyze_slide(slide, orange_model())
    assert result.probabilities == near.probabilities
    assert "unlike those" in result.abstained[0]
    assert near.answer == "other"
    assert near.tissue["choice"] == "auto"
    assert near.tissue_words.startswith("automatically detected tissue, ")


def test_the_tissue_says_how_it_came_about_and_how_much(pyramid_slide: Path) -> None:
    mask = TissueMask(np.ones((1, 1), bool), 3000, 2000, "painted")
    with closing(open_slide(pyramid_slide)) as slide:
        result = analyze_slide(slide, orange_model(), mask=mask)
    assert result.tissue == {"choice": "painted", "area_mm2": pytest.approx(1.5)}
    assert result.tissue_words == "tissue painted by hand, 1.5 mm²"
    regions = {"file": "case.geojson", "classes": {"Tumor": 2, "Stroma": 1}}
    drawn = dataclasses.replace(result, settings={**result.settings, "regions": regions})
    assert drawn.tissue_words == (
        "tissue within 3 regions of case.geojson (Tumor, Stroma), 1.5 mm²"
    )


def test_the_band_has_odds_within_a_factor() -> None:
    assert uncertain_band() == pytest.approx((0.4, 0.6))
    low, high = uncertain_band(0.875)
    assert (low / (1 - low), high / (1 - high)) == pytest.approx((7 / 1.5, 7 * 1.5))
    assert close_classes((0.45, 0.55)) == (0, 1)
    assert close_classes((0.3, 0.7)) == ()
    assert close_classes((0.3, 0.7), 0.7) == (0, 1)
    assert close_classes((0.1, 0.4, 0.5)) == (2, 1)
    assert close_classes((0.1, 0.3, 0.6)) == ()


def test_the_more_probable_class_below_its_threshold_is_explained() -> None:
    result = make_result()
    strict = dataclasses.replace(
        result, probabilities=(0.46, 0.54), model={**result.model, "threshold": 0.6}
    )
    assert strict.headline == "Uncertain: benign or malignant"
    (name, share, band), (other, rest, none) = class_bars(strict)
    assert (name, share, other, rest, none) == ("malignant", 0.54, "benign", 0.46, None)
    assert band is not None
    assert band.threshold == 0.6
    assert band.low < share < band.high


def test_shares_of_tissue_have_no_threshold() -> None:
    result = make_result()
    shares = dataclasses.replace(result, model={**result.model, "head": "patch_classifier"})
    assert class_bars(shares) == [("malignant", 0.6, None), ("benign", 0.4, None)]
    assert band_words(shares) == [
        "Each bar shows the share of the analyzed tissue that is assigned to the class."
    ]
    assert "threshold" in band_words(result)[0]
