"""Folds that keep whole groups (patients, cases) on one side."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xmag.errors import ConfigError

Indices = NDArray[np.intp]
Fold = tuple[Indices, Indices]
"""Rows to train on and rows to test on."""

LEAVE_ONE_OUT = "leave-one-group-out"
_GROUPS_WORTH_DRAWING = 20


def group_codes(groups: Sequence[str] | NDArray[np.generic]) -> Indices:
    """Return int (N,), 0 … G-1, equal for equal names."""
    return np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.intp)


def linked_groups(groups: Indices, copies: Indices) -> Indices:
    """Join groups that share a row: int (N,), equal for rows linked by group or by copy.

    Parameters
    ----------
    copies
        Int (N,), equal for rows of the same content.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first = int(groups.max()) + 1
    size = first + int(copies.max()) + 1
    links = coo_array((np.ones(len(groups)), (groups, first + copies)), shape=(size, size))
    names = connected_components(links, directed=False)[1][groups]
    return group_codes(names)


def grouped_folds(
    labels: ArrayLike,
    groups: ArrayLike,
    folds: int | Literal["leave-one-group-out"],
    seed: int,
) -> list[Fold]:
    """Divide rows into folds; a group is never on both sides, classes keep their shares.

    Parameters
    ----------
    labels, groups
        Int (N,).
    folds
        Number of folds, or one for each group.

    Raises
    ------
    ConfigError
        When there are too few groups or rows, or a fold would train without one of the classes.
    """
    from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

    truth, group = np.asarray(labels, np.intp), np.asarray(groups, np.intp)
    _require_enough(truth, group, folds)
    splitter = (
        LeaveOneGroupOut()
        if folds == LEAVE_ONE_OUT
        else StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    )
    result = list(splitter.split(np.empty((len(truth), 1)), truth, group))
    for train, test in result:
        missing = np.setdiff1d(truth, truth[train])
        if len(missing) or not len(test):
            raise ConfigError(
                expected="every class among the training rows of each fold",
                found="a fold that lacks one, because too few groups have it",
                hint="Use fewer folds, another seed, or more groups of that class.",
            )
    return result


def _require_enough(
    truth: Indices, group: Indices, folds: int | Literal["leave-one-group-out"]
) -> None:
    groups = len(np.unique(group))
    # counted for present classes only: a class without a row has no fold to be in
    fewest = int(np.unique(truth, return_counts=True)[1].min())
    wanted = 2 if isinstance(folds, str) else folds
    if groups < wanted:
        raise ConfigError(
            expected=f"at least {wanted} groups",
            found=str(groups),
            hint="Use fewer folds, or check the names of the groups.",
        )
    if not isinstance(folds, str) and fewest < folds:
        raise ConfigError(
            expected=f"at least {folds} rows of each class for {folds} folds",
            found=f"{fewest} of the rarest class",
            hint="Use fewer folds, or more of that class.",
        )


def fold_numbers(folds: Sequence[Fold], rows: int) -> NDArray[np.int64]:
    """Return int (rows,): the fold (from 1) in which each row is judged, 0 where in none."""
    numbers = np.zeros(rows, np.int64)
    for number, (_, test) in enumerate(folds, 1):
        numbers[test] = number
    return numbers


def inner_folds(labels: ArrayLike, groups: ArrayLike, most: int, seed: int) -> list[Fold]:
    """Divide training rows to choose a setting: by group where that can be, else by row.

    Empty when a class has a single row: then nothing can be chosen.
    """
    from sklearn.model_selection import StratifiedKFold

    truth, group = np.asarray(labels, np.intp), np.asarray(groups, np.intp)
    spread = min(len(np.unique(group[truth == label])) for label in np.unique(truth))
    if spread >= 2:
        try:
            return grouped_folds(truth, group, min(most, spread), seed)
        except ConfigError:
            pass  # no fold may lack a class; rows of one group then lie on both sides
    fewest = int(np.unique(truth, return_counts=True)[1].min())
    if fewest < 2:
        return []
    splitter = StratifiedKFold(min(most, fewest), shuffle=True, random_state=seed)
    return list(splitter.split(np.empty((len(truth), 1)), truth))


def bootstrap_units(groups: Indices, unit: Literal["auto", "row", "group"]) -> tuple[Indices, str]:
    """Return what is drawn together, int (N,), and its name: ``row`` or ``group``.

    Few groups make a bootstrap of groups meaningless (some draws lack a class, and an interval of
    four cases covers too little), so auto takes rows then.
    """
    number = len(np.unique(groups))
    by_group = unit == "group" or (unit == "auto" and number >= _GROUPS_WORTH_DRAWING)
    if by_group and number < len(groups):
        return groups, "group"
    return np.arange(len(groups)), "row"
