"""The table counts slides of one patient that lie beyond, and slides of others that lie within."""

from dataclasses import replace

import numpy as np
import pytest
from unlike_slides import beyond_and_within, within_of_organs

from napari_xmag.teach.prepared import PreparedSlide
from tests.teach.slides import prepared_slide, tissue_kinds


def stained(letter: str, shift: float) -> PreparedSlide:
    slide = prepared_slide(tissue_kinds(), letter, seed=ord(letter))
    kept = slide.features
    return replace(slide, features=replace(kept, features=kept.features + np.float16(shift)))


def test_slides_on_the_wrong_side_are_counted() -> None:
    slides = [stained("a", 0), stained("b", 6), stained("c", 12), stained("d", 12)]
    patients = ["one", "one", "two", "two"]
    rows = {name: shares for name, *shares in beyond_and_within(slides, patients, 1)}
    assert rows["one"] == [1, 0]
    assert rows["two"] == [0, 0]
    assert rows["all"] == pytest.approx([0.5, 0])


def test_a_patient_without_a_further_slide_has_no_row() -> None:
    slides = [stained(letter, 0) for letter in "abcd"]
    rows = {name: shares for name, *shares in beyond_and_within(slides, [*"xxxy"], 2)}
    assert list(rows) == ["x", "all"]
    assert rows["x"] == [0, 1]


def test_slides_of_the_same_organ_and_of_others_are_counted_apart() -> None:
    slides = [stained(letter, 6 if letter in "cd" else 0) for letter in "abcdef"]
    patients = ["one", "two", "three", "four", "one", "five"]
    organs = ["colon", "colon", "skin", "skin", "colon", ""]
    same, foreign = within_of_organs(slides, patients, organs, 1)
    assert same == 1
    # only the slide of no organ is stained like the colon's
    assert 0 < foreign < 0.5
