"""Groups stay on one side, whatever happens."""

import numpy as np
import pytest

from napari_xmag.errors import ConfigError
from napari_xmag.stats.folds import (
    bootstrap_units,
    fold_numbers,
    group_codes,
    grouped_folds,
    inner_folds,
    linked_groups,
)

GROUPS = np.repeat(np.arange(12), 5)
LABELS = GROUPS % 3


@pytest.mark.parametrize("folds", [3, 4, "leave-one-group-out"])
def test_no_group_on_both_sides_and_every_row_judged_once(folds: int | str) -> None:
    found = grouped_folds(LABELS, GROUPS, folds, seed=0)
    for train, test in found:
        assert not set(GROUPS[train]) & set(GROUPS[test])
        assert set(LABELS[train]) == {0, 1, 2}
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in found])), range(60))
    assert len(found) == (12 if folds == "leave-one-group-out" else folds)
    numbers = fold_numbers(found, 60)
    assert (numbers[found[1][1]] == 2).all()
    assert (numbers > 0).all()


def test_folds_repeat_with_their_seed() -> None:
    first, again, other = (
        fold_numbers(grouped_folds(LABELS, GROUPS, 4, seed), 60) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_classes_keep_their_shares() -> None:
    labels = np.r_[np.zeros(40, int), np.ones(20, int)]
    for _, test in grouped_folds(labels, np.arange(60), 5, seed=0):
        assert np.bincount(labels[test]).tolist() == [8, 4]


def test_too_few_groups_or_rows_or_a_class_of_one_group_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 13 groups"):
        grouped_folds(LABELS, GROUPS, 13, seed=0)
    with pytest.raises(ConfigError, match="of each class for 5"):
        grouped_folds([0] * 20 + [1] * 4, np.arange(24), 5, seed=0)
    with pytest.raises(ConfigError, match="a fold that lacks one"):
        grouped_folds([0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 2, 2], "leave-one-group-out", seed=0)


def test_inner_folds_keep_groups_where_they_can() -> None:
    for train, test in inner_folds(LABELS, GROUPS, 5, seed=0):
        assert not set(GROUPS[train]) & set(GROUPS[test])


def test_inner_folds_go_by_row_where_a_class_has_one_group() -> None:
    labels = np.r_[np.zeros(6, int), np.ones(6, int)]
    groups = np.r_[np.repeat([0, 1], 3), np.full(6, 2)]
    found = inner_folds(labels, groups, 5, seed=0)
    assert len(found) == 5
    assert all(set(labels[train]) == {0, 1} for train, _ in found)


def test_no_inner_folds_for_a_class_of_one_row() -> None:
    assert inner_folds([0, 0, 1], [0, 1, 2], 5, seed=0) == []


def test_copies_join_groups() -> None:
    # rows 1 and 2 are the same picture in groups 0 and 1; group 2 stands alone
    groups = linked_groups(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 3]))
    assert len(set(groups[:4])) == 1
    assert groups[4] != groups[0]


def test_what_is_drawn_together() -> None:
    many = np.arange(100) // 4
    assert bootstrap_units(many, "auto")[1] == "group"
    assert bootstrap_units(GROUPS, "auto")[1] == "row"
    units, name = bootstrap_units(GROUPS, "group")
    assert name == "group"
    np.testing.assert_array_equal(units, GROUPS)
    assert bootstrap_units(many, "row")[0].tolist() == list(range(100))


def test_codes() -> None:
    assert group_codes(["b", "a", "b"]).tolist() == [1, 0, 1]
