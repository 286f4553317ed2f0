"""Whole patients, fair shares, the table's word."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from napari_xmag.errors import CohortError
from napari_xmag.train.cohort import CohortRow
from napari_xmag.train.splits import split_by_patient


def rows(patients: int = 40, slides: int = 3, **splits: str) -> list[CohortRow]:
    """Slides of patients p0, p1, …; every fourth patient is of class y."""
    return [
        CohortRow(n * slides + s, Path(f"{n}-{s}.svs"), "y" if n % 4 == 0 else "x", f"p{n}",
                  splits.get(f"p{n}", ""))
        for n in range(patients)
        for s in range(slides)
    ]  # fmt: skip


def test_patients_stay_whole_and_classes_keep_their_shares() -> None:
    result = split_by_patient(rows(), validation=0.2, test=0.3, seed=0)
    places = defaultdict(set)
    for row in result:
        places[row.patient].add(row.split)
    assert {len(found) for found in places.values()} == {1}
    counts = Counter((row.label, row.split) for row in result)
    assert counts == {
        ("x", "train"): 45, ("x", "validation"): 18, ("x", "test"): 27,
        ("y", "train"): 15, ("y", "validation"): 6, ("y", "test"): 9,
    }  # fmt: skip


def test_the_seed_decides() -> None:
    def places(seed: int) -> list[str]:
        return [r.split for r in split_by_patient(rows(), validation=0.2, test=0.2, seed=seed)]

    assert places(1) == places(1)
    assert places(1) != places(2)


def test_splits_of_the_table_are_kept_and_nobody_is_drawn_beside_them() -> None:
    given = rows(p4="test", p5="test", p8="train")
    result = split_by_patient(given, validation=0.2, test=0.2, seed=0)
    assert {row.patient for row in result if row.split == "test"} == {"p4", "p5"}
    assert {row.split for row in result if row.patient == "p8"} == {"train"}
    assert any(row.split == "validation" for row in result)


def test_a_slide_without_split_follows_its_patient() -> None:
    some = rows(patients=8)
    some[0] = CohortRow(0, some[0].slide, some[0].label, "p0", "test")
    result = split_by_patient(some, validation=0.0, test=0.0, seed=0)
    assert [row.split for row in result[:3]] == ["test"] * 3


def test_a_patient_in_two_splits_is_refused_by_name() -> None:
    some = rows(patients=8)
    some[0] = CohortRow(0, some[0].slide, some[0].label, "p0", "test")
    some[1] = CohortRow(1, some[1].slide, some[1].label, "p0", "train")
    with pytest.raises(CohortError, match="p0"):
        split_by_patient(some, validation=0.0, test=0.0, seed=0)


def test_a_class_without_training_slides_is_refused() -> None:
    some = rows(patients=4, p0="test")
    with pytest.raises(CohortError, match="none of y"):
        split_by_patient(some, validation=0.0, test=0.2, seed=0)
