"""Probes that see all other islands: they find what is there, and nothing where nothing is."""

from dataclasses import replace

import numpy as np
import pytest

from napari_xmag.evaluate import bounds as module
from napari_xmag.evaluate.bounds import BoundRow, bound_table, bounds
from napari_xmag.evaluate.composed import ComposedSlide
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
