"""What is said of a taught map: suggestions, likeness, how right it is, areas."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.nets.heads.patch_classifier import NOT_TAUGHT
from napari_xmag.teach.areas import areas, write_areas
from napari_xmag.teach.classifier import fit
from napari_xmag.teach.estimate import estimate
from napari_xmag.teach.regions import example_regions
from napari_xmag.teach.session import TeachSession
from napari_xmag.teach.suggest import find_similar, suggest, uncertainties
from tests.teach.slides import (
    MPP,
    STRIDE_X,
    STRIDE_Y,
    kinds_of,
    prepared_slide,
    show,
    slide_id,
    tissue_kinds,
)

KINDS = tissue_kinds(30, 36)
NAMES = ("Tumor", "Other", "Stroma")


@pytest.fixture(scope="module")
def session() -> TeachSession:
    session = TeachSession()
    slide = prepared_slide(KINDS)
    session.open_slide(slide)
    session.open_slide(prepared_slide(KINDS[::-1], "b", seed=3))
    show(session, slide, KINDS, NAMES, count=8)
    return session


def test_suggestions_are_unsure_without_label_and_differ(session: TeachSession) -> None:
    taught = fit(session.request())
    found = suggest(taught, 10)
    assert len({(item.slide, item.patch) for item in found}) == 10
    for item in found:
        unsure = uncertainties(taught.maps[item.slide])
        assert unsure[item.patch] > np.median(unsure)
    mine = set(taught.examples.patches.tolist())
    assert not mine & {item.patch for item in found if item.slide == slide_id()}


def test_edges_of_the_tissue_are_suggested_last(session: TeachSession) -> None:
    request = session.request()
    edges = {}
    slides = []
    for slide in request.slides:
        edge = np.arange(len(slide.features)) % 3 > 0
        edges[slide.id] = edge
        slides.append(replace(slide, tissue=np.where(edge, 0.02, 1.0)))
    taught = fit(replace(request, slides=tuple(slides)))
    assert not any(edges[item.slide][item.patch] for item in suggest(taught, 10))


def test_what_is_not_taught_comes_first(session: TeachSession) -> None:
    lesson = session.lesson.without_class("Stroma")
    request = session.request()
    taught = fit(type(request)(lesson, request.slides, request.opened))
    first = suggest(taught, 1)[0]
    slide = request.slide(first.slide)
    kinds = KINDS if first.slide == slide_id() else KINDS[::-1]
    assert not first.is_taught
    assert kinds_of(slide, kinds)[first.patch] == 2


def test_no_more_is_suggested_than_there_is() -> None:
    session = TeachSession()
    slide = prepared_slide(tissue_kinds(2, 6))
    session.open_slide(slide)
    session.mark(slide.id, [0], "Tumor")
    session.mark(slide.id, [5], "Other")
    assert {item.patch for item in suggest(fit(session.request()), 50)} == {1, 2, 3, 4}
    session.mark(slide.id, [1, 2, 3, 4], "Other")
    assert suggest(fit(session.request()), 50) == []
    session.close_slide(slide.id)  # it goes on teaching
    assert suggest(fit(session.request()), 50) == []


def test_patches_like_a_place_are_found_on_all_slides(session: TeachSession) -> None:
    layout = fit(session.request()).layout
    slide = session.slides[0]
    patch = int(np.flatnonzero(kinds_of(slide, KINDS) == 1)[40])
    found = find_similar(layout, session.slides, slide.id, patch)
    assert found[slide.id][patch] == pytest.approx(1, abs=1e-5)
    for prepared, kinds in zip(session.slides, (KINDS, KINDS[::-1]), strict=True):
        same = kinds_of(prepared, kinds) == 1
        values = found[prepared.id]
        assert np.median(values[same]) > np.median(values[~same]) + 0.5


def test_regions_hang_together_by_nearness(session: TeachSession) -> None:
    alone = TeachSession()
    slide = prepared_slide(KINDS)
    alone.open_slide(slide)
    index = {
        (int(c), int(r)): n
        for n, (c, r) in enumerate(zip(slide.features.columns, slide.features.rows, strict=True))
    }
    for place in ((2, 2), (5, 2), (8, 3), (20, 20), (22, 22), (30, 5)):
        alone.mark(slide.id, [index[place]], "Tumor" if place[0] < 15 else "Other")
    taught = fit(alone.request())
    regions = example_regions(taught.examples, taught.request.slides)
    assert [len(np.unique(regions[:3])), len(np.unique(regions[3:5]))] == [1, 1]
    assert len(np.unique(regions)) == 3


def test_the_estimate_says_when_there_are_too_few_examples(session: TeachSession) -> None:
    few = TeachSession()
    slide = prepared_slide(KINDS)
    few.open_slide(slide)
    few.mark(slide.id, np.flatnonzero(kinds_of(slide, KINDS) == 0)[:30], "Tumor")
    few.mark(slide.id, np.flatnonzero(kinds_of(slide, KINDS) == 1)[-30:], "Other")
    found = estimate(fit(few.request()))
    assert found.balanced_accuracy is None
    assert "Too few" in found.words
    assert "Tumor (1)" in found.words


def test_the_estimate_is_near_what_all_patches_say(session: TeachSession) -> None:
    taught = fit(session.request())
    found = estimate(taught)
    truth = kinds_of(session.slides[0], KINDS)
    right = taught.maps[slide_id()].probabilities.argmax(1) == truth
    real = np.mean([right[truth == kind].mean() for kind in range(3)])
    assert found.balanced_accuracy is not None
    assert found.low <= real <= found.high
    assert 0.3 > found.high - found.low > 0


def test_whole_slides_are_held_out_where_several_teach() -> None:
    session = TeachSession()
    # what tells the kinds apart on one slide says nothing on the other
    turned = prepared_slide((KINDS + 1) % 3, "b", seed=3)
    of_turned = kinds_of(turned, KINDS)
    draw = np.random.default_rng(5)
    for slide, of in ((prepared_slide(KINDS), None), (turned, of_turned)):
        session.open_slide(slide)
        kinds = kinds_of(slide, KINDS) if of is None else of
        for kind, name in enumerate(("Tumor", "Other")):
            session.mark(slide.id, draw.choice(np.flatnonzero(kinds == kind), 12, False), name)
        if of is None:
            alone = estimate(fit(session.request()))
    together = estimate(fit(session.request()))
    assert alone.balanced_accuracy is not None
    assert alone.balanced_accuracy > 0.9
    assert "held-out regions" in alone.words
    assert together.balanced_accuracy is not None
    assert together.balanced_accuracy < 0.6
    assert "held-out slides" in together.words


def test_a_few_corrections_on_a_second_slide_hold_out_no_slide() -> None:
    other = TeachSession()
    for slide, count in ((prepared_slide(KINDS), 12), (prepared_slide(KINDS, "b", seed=3), 1)):
        other.open_slide(slide)
        show(other, slide, KINDS, ("Tumor", "Other"), count=count)
    found = estimate(fit(other.request()))
    assert found.balanced_accuracy is not None
    assert "held-out regions" in found.words


def test_noise_is_estimated_as_noise() -> None:
    session = TeachSession()
    slide = prepared_slide(KINDS)
    session.open_slide(slide)
    draw = np.random.default_rng(4)
    chosen = draw.choice(len(slide.features), 60, False)
    session.mark(slide.id, chosen[:30], "Tumor")
    session.mark(slide.id, chosen[30:], "Other")
    found = estimate(fit(session.request()))
    assert found.balanced_accuracy is None or found.low < 0.55


def test_areas_are_those_of_the_map_and_of_the_tissue(session: TeachSession) -> None:
    taught = fit(session.request())
    slide = session.slides[0]
    found = areas(taught, slide.id)
    assert [item.class_name for item in found] == [*NAMES, NOT_TAUGHT]
    labels = taught.maps[slide.id].labels
    patch = STRIDE_X * MPP[0] * STRIDE_Y * MPP[1] / 1e6
    for label, item in zip((0, 1, 2, -1), found, strict=True):
        count = int((labels == label).sum())
        assert item.mm2 == pytest.approx(count * patch)
        assert item.share == pytest.approx(count / len(labels))
        assert item.low <= item.share <= item.high
    assert sum(item.share for item in found) == pytest.approx(1)
    few = TeachSession()
    few.open_slide(slide)
    show(few, slide, KINDS, NAMES, count=1)
    drawn = areas(fit(few.request()), slide.id)
    assert all(item.low < item.high for item in drawn[:3])


def test_areas_of_many_slides_are_one_table(session: TeachSession, tmp_path: Path) -> None:
    taught = fit(session.request())
    warnings = "", "may be wrong"
    rows = [
        (slide.name, areas(taught, slide.id, intervals=False), warning)
        for slide, warning in zip(session.slides, warnings, strict=True)
    ]
    write_areas(rows, tmp_path / "areas.csv")
    with (tmp_path / "areas.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["slide"] for line in lines] == ["a.svs"] * 4 + ["b.svs"] * 4
    assert float(lines[0]["area_mm2"]) == pytest.approx(rows[0][1][0].mm2, rel=1e-4)
    assert [line["warning"] for line in lines] == [""] * 4 + ["may be wrong"] * 4
    assert "research" in lines[0]["notice"].lower()
