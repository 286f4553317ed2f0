"""Whole patients, fair shares, the table's word."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from napari_xmag.cohort.cohort import CohortRow
from napari_xmag.cohort.splits import (
    draw_split,
    folds_of,
    hold_out_sites,
    split_by_patient,
)
from napari_xmag.errors import CohortError


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


def test_a_slide_in_two_splits_is_refused_under_any_patient() -> None:
    some = rows(patients=8, slides=1, p0="train", p1="test")
    some[1] = replace(some[1], slide=Path(some[0].slide))
    with pytest.raises(CohortError, match=r"0-0\.svs in several"):
        split_by_patient(some, validation=0.0, test=0.0, seed=0)


def at_sites(sites: int = 5) -> list[CohortRow]:
    """Twenty patients of two slides, dealt to the sites; every second patient is of class y."""
    return [
        CohortRow(2 + 2 * n + s, Path(f"{n}-{s}.svs"), "xy"[n // sites % 2], f"p{n}",
                  site=f"s{n % sites}")
        for n in range(20)
        for s in range(2)
    ]  # fmt: skip


@pytest.mark.parametrize("by", ["patient", "site"])
def test_every_slide_is_tested_once_and_nobody_twice(by: str) -> None:
    cohort = at_sites()
    folds = folds_of(cohort, 5, by=by, validation=0.25, seed=3)
    tested = [row.slide for fold in folds for row in fold if row.split == "test"]
    assert sorted(tested) == sorted(row.slide for row in cohort)
    for fold in folds:
        assert [row.slide for row in fold] == [row.slide for row in cohort]
        for kept in ("patient", by):
            judged = {getattr(row, kept) for row in fold if row.split == "test"}
            assert not judged & {getattr(row, kept) for row in fold if row.split != "test"}
        counts = Counter((row.label, row.split) for row in fold)
        # of 16 patients left, 8 of each class, a quarter validates
        assert counts == {
            ("x", "train"): 12, ("x", "validation"): 4, ("x", "test"): 4,
            ("y", "train"): 12, ("y", "validation"): 4, ("y", "test"): 4,
        }  # fmt: skip


def test_folds_repeat_with_their_seed() -> None:
    first, again, other = (
        folds_of(rows(), 4, by="patient", validation=0.2, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_folds_refuse_a_table_that_is_divided_already() -> None:
    with pytest.raises(CohortError, match=r"a split given in 3 rows \(0, 1, 2\)"):
        folds_of(rows(p0="test"), 4, by="patient", validation=0.2, seed=0)


def test_more_folds_than_patients_of_a_class_are_refused() -> None:
    with pytest.raises(CohortError, match="found 2 of y"):
        folds_of(rows(patients=8), 3, by="patient", validation=0.2, seed=0)


def test_a_site_is_held_out_whole() -> None:
    result = hold_out_sites(at_sites(), validation=0.25, test=0.2, seed=0)
    assert len({row.site for row in result if row.split == "test"}) == 1
    assert len({row.site for row in result if row.split != "test"}) == 4
    assert sum(row.split == "test" for row in result) == 8


def test_a_patient_of_two_sites_ties_them() -> None:
    cohort = at_sites()
    cohort[0] = replace(cohort[0], site="s1")  # p0 is of s0 as well
    for fold in folds_of(cohort, 4, by="site", validation=0.2, seed=0):
        assert len({row.split == "test" for row in fold if row.site in ("s0", "s1")}) == 1


def test_sites_that_cannot_be_held_out_are_refused() -> None:
    cohort = at_sites()
    cohort[3] = replace(cohort[3], site="")
    with pytest.raises(CohortError, match="none in row 5"):
        hold_out_sites(cohort, validation=0.2, test=0.2, seed=0)
    confounded = [replace(row, site=row.label) for row in cohort]
    with pytest.raises(CohortError, match="found 1 of x, 1 of y"):
        hold_out_sites(confounded, validation=0.2, test=0.2, seed=0)


def test_one_way_to_ask_for_all_divisions() -> None:
    shares = {"validation": 0.2, "test": 0.2, "seed": 0}
    cohort = at_sites()
    assert draw_split(cohort, by="patient", folds=0, **shares) == [
        split_by_patient(cohort, **shares)
    ]
    assert draw_split(cohort, by="site", folds=0, **shares) == [hold_out_sites(cohort, **shares)]
    assert len(draw_split(cohort, by="site", folds=3, **shares)) == 3
