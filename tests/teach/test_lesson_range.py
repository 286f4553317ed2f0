"""How far a slide may lie from the slides of a lesson."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.info import TrainingRange
from napari_xmag.nets.slides_range import slides_range
from napari_xmag.slide.open import open_slide
from napari_xmag.teach.classifier import Learner, Taught, fit
from napari_xmag.teach.encode import encoded_slide
from napari_xmag.teach.lesson_range import lesson_range, unlike_slides
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.session import TeachSession
from napari_xmag.teach.steps import answer_of
from napari_xmag.zoo import open_model
from tests.teach.slides import prepared_slide, show, slide_id, tissue_kinds

KINDS = tissue_kinds()
NAMES = ("Tumor", "Other", "Stroma")
FOREIGN = ("glycogenstorage__HE", "morphea__HE")


def stained(slide: PreparedSlide, shift: float) -> PreparedSlide:
    """Return a slide all of whose features are higher, as by another stain."""
    features = slide.features
    return replace(
        slide, features=replace(features, features=features.features + np.float16(shift))
    )


def lesson_on(letters: str, shift: float = 0.0) -> Taught:
    """Return what examples on some slides teach; slide z is open too, and has another stain."""
    session = TeachSession()
    for number, letter in enumerate(letters):
        slide = prepared_slide(KINDS, letter, seed=number)
        session.open_slide(slide)
        show(session, slide, KINDS, NAMES)
    session.open_slide(stained(prepared_slide(KINDS, "z", seed=9), shift))
    return fit(session.request())


@pytest.mark.parametrize("letters", ["a", "ab", "abc"])
def test_a_slide_of_another_stain_lies_out_of_range(letters: str) -> None:
    assert unlike_slides(lesson_on(letters)) == {}
    (words,) = unlike_slides(lesson_on(letters, shift=4)).values()
    assert "unlike those with examples" in words
    assert "times the usual distance" in words


def test_a_slide_with_examples_is_never_unlike() -> None:
    taught = lesson_on("a", shift=4)
    session = TeachSession()
    for slide in taught.request.slides:
        session.open_slide(slide)
        show(session, slide, KINDS, NAMES)
    assert unlike_slides(fit(session.request())) == {}


def test_a_slide_that_is_not_open_is_not_judged() -> None:
    taught = lesson_on("a", shift=4)
    assert unlike_slides(replace(taught, request=replace(taught.request, opened=1))) == {}


def test_a_slide_of_few_patches_has_no_range() -> None:
    session = TeachSession()
    few = prepared_slide(tissue_kinds(2, 3)[:, :3])
    session.open_slide(few)
    show(session, few, tissue_kinds(2, 3), NAMES, count=1)
    taught = fit(session.request())
    assert lesson_range(taught) is None
    assert unlike_slides(taught) == {}
    session.open_slide(prepared_slide(KINDS, "z"))
    (words,) = unlike_slides(fit(session.request())).values()
    assert "Too little tissue bears examples" in words


def test_a_slide_of_few_patches_takes_no_range_away() -> None:
    session = TeachSession()
    for letter, kinds in (("a", KINDS), ("b", KINDS), ("c", KINDS), ("d", KINDS[:2, :3])):
        slide = prepared_slide(kinds, letter, seed=ord(letter))
        session.open_slide(slide)
        names = NAMES if kinds is KINDS else NAMES[:1]
        show(session, slide, kinds, names, count=1)
    session.open_slide(stained(prepared_slide(KINDS, "z", seed=9), 6))
    assert list(unlike_slides(fit(session.request()))) == [slide_id("z")]


def test_the_range_is_found_once_for_the_same_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []

    def counted(features: Sequence[Any], places: Sequence[Any]) -> TrainingRange | None:
        found.append(len(features))
        return slides_range(features, places)

    monkeypatch.setattr("napari_xmag.teach.lesson_range.slides_range", counted)
    session, learner = TeachSession(), Learner()
    first, second = prepared_slide(KINDS, "a"), prepared_slide(KINDS, "b", seed=1)
    for slide in (first, second):
        session.open_slide(slide)
    for seed in range(3):
        show(session, first, KINDS, NAMES, count=2, seed=seed)
        unlike_slides(learner.fit(session.request()))
    assert found == [1]
    show(session, second, KINDS, NAMES, count=2)
    lesson_range(learner.fit(session.request()))
    assert found == [1, 2]


def test_a_slide_whose_distance_is_no_number_is_unlike() -> None:
    taught = lesson_on("a")
    *_, last = taught.request.slides
    features = last.features.features.copy()
    features[0] = np.nan
    broken = replace(last, features=replace(last.features, features=features))
    slides = (*taught.request.slides[:-1], broken)
    assert list(unlike_slides(replace(taught, request=replace(taught.request, slides=slides)))) == [
        broken.id
    ]


@pytest.fixture(scope="module")
def biopsies(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, PreparedSlide]:
    """Five biopsies of the Pathology Atlas: three of one colon, a liver and a skin."""
    encoder = open_model()
    store = FeatureStore(tmp_path_factory.mktemp("features"))
    found = {}
    for name in (*(f"crohn-colonoscopic-biopsy__HE{n}" for n in (2, 3, 4)), *FOREIGN):
        with open_slide(real_data / "atlas" / f"{name}.tiff") as slide:
            found[name] = answer_of(encoded_slide(slide, encoder, store)).prepared
    return found


def test_a_real_liver_is_unlike_a_colon_and_another_colon_of_the_case_is_not(
    biopsies: dict[str, PreparedSlide],
) -> None:
    session = TeachSession()
    first, *others = biopsies.values()
    for slide in (first, *others):
        session.open_slide(slide)
    middle = len(first.features) // 2
    for name, patch in (("Tumor", 0), ("Other", middle)):
        session.mark(first.id, np.array([patch]), name)
    unlike = unlike_slides(fit(session.request()))
    found = [slide.id in unlike for slide in others]
    assert found == [False, False, True, True]
