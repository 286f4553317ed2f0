"""Probes that see all other islands: they find what is there, and nothing where nothing is."""

from dataclasses import replace

import numpy as np
import pytest

from napari_xmag.evaluate import bounds as module
from napari_xmag.evaluate.bounds import BoundRow, _Probe, bound_table, bounds
from napari_xmag.evaluate.composed import ComposedSlide
from napari_xmag.nets.heads.patch_classifier import PlacedPatches
from tests.teach.slides import kinds_of, prepared_slide, tissue_kinds


def composed(letter: str, side: int) -> ComposedSlide:
    """Three tissues in stripes, each of which is four islands."""
    kinds = tissue_kinds()
    slide = prepared_slide(kinds, letter, seed=side)
    labels = kinds_of(slide, kinds)
    islands = labels * 4 + slide.features.rows // 4
    return ComposedSlide(slide, ("a", "b", "c"), labels, islands, side)


@pytest.fixture(autouse=True)
def _few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPONENTS", (8,))
    monkeypatch.setattr(module, "STRENGTHS", (0.03, 0.3))


def test_tissues_that_differ_are_told_apart_and_an_unseen_one_is_found() -> None:
    rows = list(bounds("made", "e", [composed("a", 0), composed("b", 1)]))
    assert {row.question for row in rows} == {"within", "across", "unseen"}
    assert {row.unseen for row in rows if row.question == "unseen"} == {"a", "b", "c"}
    assert min(row.auc for row in rows) > 0.98
    assert min(row.hit for row in rows if row.question == "unseen") > 0.95
    assert all(np.isnan(row.hit) for row in rows if row.question != "unseen")


def without(slide: ComposedSlide, *kinds: int) -> ComposedSlide:
    """The slide with nothing known where these kinds are."""
    is_gone = np.isin(slide.labels, kinds)
    labels, islands = (np.where(is_gone, -1, of) for of in (slide.labels, slide.islands))
    return replace(slide, labels=labels, islands=islands)


def across(slides: list[ComposedSlide]) -> dict[str, tuple[float, float]]:
    """AUC and accuracy of each slide by the other side, on features that overlap."""
    draw = np.random.default_rng(5)
    placed = [
        PlacedPatches(of[:, :4] + draw.normal(0, 3, (len(of), 4)).astype(np.float32))
        for of in (slide.prepared.features.features.astype(np.float32) for slide in slides)
    ]
    rows = _Probe("made", "e", 4, 0.03).across(slides, placed)
    return {row.slide: (row.auc, row.balanced_accuracy) for row in rows}


@pytest.mark.parametrize("lacking", [0, 1, 2])
@pytest.mark.parametrize("side", [0, 1])
def test_sides_are_compared_by_the_classes_of_both(side: int, lacking: int) -> None:
    """As if nobody had named the class that only one side shows."""
    whole = [composed("a", 0), composed("b", 1), composed("c", 0)]
    lame = [without(slide, lacking) if slide.side == side else slide for slide in whole]
    found = across(lame)
    assert list(found) == ["a.svs", "c.svs", "b.svs"]
    assert all(0.6 < auc < 0.99 for auc, _ in found.values())
    assert found == across([without(slide, lacking) for slide in whole])


def test_slides_of_one_class_of_both_sides_are_left_out() -> None:
    slides = [composed("a", 0), without(composed("b", 1), 2), without(composed("c", 0), 1)]
    assert list(across(slides)) == ["a.svs", "b.svs"]
    # one class on both sides, and nothing to tell it from
    assert not across([without(composed("a", 0), 1), without(composed("b", 1), 2)])


def test_islands_whose_class_is_chance_are_not_told_apart() -> None:
    """Each island looks its own way: a probe that had seen a part of one would know the rest."""
    draw = np.random.default_rng(3)
    slide = composed("a", 0)
    own = draw.normal(0, 3, (12, 24))[slide.islands]
    features = (own + draw.normal(0, 0.5, own.shape)).astype(np.float16)
    prepared = replace(slide.prepared, features=replace(slide.prepared.features, features=features))
    labels = draw.permutation(np.arange(12) % 2)[slide.islands]
    chance = replace(slide, prepared=prepared, labels=labels, classes=("a", "b"))
    assert all(row.auc < 0.75 for row in bounds("made", "e", [chance]))


def test_the_table_has_the_best_probe_of_each_question() -> None:
    def row(strength: float, slide: str, auc: float, hit: float = float("nan")) -> BoundRow:
        return BoundRow("s", "e", "within", slide, 64, strength, "", auc, auc / 2, hit)

    rows = [row(1, "a", 0.5), row(1, "b", 0.7), row(2, "a", 0.9), row(2, "b", 0.4)]
    (line,) = bound_table(rows)
    assert line["auc"] == pytest.approx(0.65)
    assert line["balanced_accuracy"] == pytest.approx(0.325)
    assert line["hit"] is None
    assert line["slides"] == 2
