"""Who trains, who chooses, who judges: always whole patients."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from napari_xmag.cohort.rows import TEST, TRAIN, VALIDATION, CohortRow
from napari_xmag.errors import CohortError, ConfigError
from napari_xmag.files import real_path
from napari_xmag.stats.folds import Indices, group_codes, grouped_folds, linked_groups

Whole = Literal["patient", "site"]
"""What is never divided between training and test."""


def split_by_patient(
    rows: Sequence[CohortRow], *, validation: float, test: float, seed: int
) -> list[CohortRow]:
    """Return the rows with a split each; patients stay whole, classes keep their shares.

    Rows that have a split keep it. Where the table names test slides, none are drawn; likewise
    validation slides.

    Parameters
    ----------
    validation, test
        Shares of the patients of each class that are drawn.
    seed
        Seed of the draw.

    Raises
    ------
    CohortError
        When a patient would lie in two splits, or a class would not be among the training slides.
    """
    given = {row.split for row in rows}
    shares = {
        VALIDATION: 0.0 if VALIDATION in given else validation,
        TEST: 0.0 if TEST in given else test,
    }
    # A patient of whom one slide has a split lies there with all slides.
    patient_split = {row.patient: row.split for row in rows if row.split}
    # Rows named for training may not be drawn away from it; the table's word counts.
    free = [row for row in rows if row.patient not in patient_split]
    patient_split |= _draw_all(free, shares, np.random.default_rng(seed))
    result = [replace(row, split=row.split or patient_split[row.patient]) for row in rows]
    require_no_leak(result)
    require_all_classes(result)
    return result


def hold_out_sites(
    rows: Sequence[CohortRow], *, validation: float, test: float, seed: int
) -> list[CohortRow]:
    """Return the rows with a split each; the test slides are all slides of sites left out.

    Whole sites are drawn until about the share ``test`` of the slides is reached, one at least. The
    validation slides come from the other sites, by patient.

    Raises
    ------
    CohortError
        When a row names no site or has a split already, or a class comes from one site only.
    """
    sites = len({row.site for row in rows})
    parts = min(max(round(1 / test), 2), max(sites, 2)) if test else max(sites, 2)
    return folds_of(rows, parts, by="site", validation=validation, seed=seed)[0]


def folds_of(
    rows: Sequence[CohortRow], folds: int, *, by: Whole, validation: float, seed: int
) -> list[list[CohortRow]]:
    """Return the rows once for each fold; every slide is a test slide in exactly one of them.

    Parameters
    ----------
    folds
        How many, 2 or more.
    by
        What stays whole between training and test: patients, or sites with all their patients.
    validation
        Share of the patients of each class that is drawn from the rest of each fold.
    seed
        Seed of all draws.

    Raises
    ------
    CohortError
        When a row has a split already, a site is missing, or a class has too few patients or sites.
    """
    _require_undivided(rows)
    labels, groups = group_codes([row.label for row in rows]), _groups(rows, by)
    _require_spread(rows, groups, folds if by == "patient" else 2, by)
    try:
        parts = grouped_folds(labels, groups, folds, seed)
    except ConfigError as error:
        raise CohortError(
            expected=f"{folds} folds by {by} that all train on every class",
            found=error.found,
            hint=f"Use fewer folds or another seed, or add {by}s.",
            causes=[error],
        ) from error
    result = []
    for number, (_, test) in enumerate(parts, 1):
        judged = {rows[index].patient for index in test}
        draw = np.random.default_rng([seed, number])
        kept = [row for row in rows if row.patient not in judged]
        places = dict.fromkeys(judged, TEST) | _draw_all(kept, {VALIDATION: validation}, draw)
        result.append([replace(row, split=places[row.patient]) for row in rows])
        require_no_leak(result[-1])
        require_all_classes(result[-1])
    return result


def draw_split(
    rows: Sequence[CohortRow], *, by: Whole, folds: int, validation: float, test: float, seed: int
) -> list[list[CohortRow]]:
    """Return the rows as training will divide them: once for each fold, or once.

    Parameters
    ----------
    folds
        Number of folds; below 2 there is one division only.

    Raises
    ------
    CohortError
        When the rows cannot be divided so.
    """
    if folds > 1:
        return folds_of(rows, folds, by=by, validation=validation, seed=seed)
    divide = hold_out_sites if by == "site" else split_by_patient
    return [divide(rows, validation=validation, test=test, seed=seed)]


def require_no_leak(rows: Sequence[CohortRow]) -> None:
    """Refuse a patient or a slide in two splits, by name.

    Raises
    ------
    CohortError
        Naming the patients or slides.
    """
    for what, named in (
        ("patient", [(row.patient, row.split) for row in rows]),
        ("slide", [(str(real_path(row.slide)), row.split) for row in rows]),
    ):
        splits = Counter(name for name, _ in set(named))
        if leaking := sorted(name for name, places in splits.items() if places > 1):
            raise CohortError(
                expected=f"each {what} in one split",
                found=f"{', '.join(leaking)} in several",
                hint="Put all slides of a patient in one split, and name each slide once.",
            )


def require_all_classes(rows: Sequence[CohortRow], classes: Collection[str] = ()) -> None:
    """Refuse a division in which nothing is learned of a class.

    Parameters
    ----------
    classes
        Those that must be there besides those of the rows.

    Raises
    ------
    CohortError
        Naming the classes.
    """
    wanted = {row.label for row in rows} | set(classes)
    missing = wanted - {row.label for row in rows if row.split == TRAIN}
    if missing:
        raise CohortError(
            expected="training slides of every class",
            found=f"none of {', '.join(sorted(missing))}",
            hint="Add slides of that class, or change the split column.",
        )


def _groups(rows: Sequence[CohortRow], by: Whole) -> Indices:
    """Return int (N,), equal for rows that must stay together."""
    patients = group_codes([row.patient for row in rows])
    if by == "patient":
        return patients
    if nameless := [str(row.row) for row in rows if not row.site]:
        raise CohortError(
            expected="a site for each slide, to hold out whole sites",
            found=f"none in {'row' if len(nameless) == 1 else 'rows'} {', '.join(nameless[:10])}",
            hint="Fill in the column site, or divide by patient.",
        )
    # a patient seen at two sites ties them together
    return linked_groups(group_codes([row.site for row in rows]), patients)


def _require_undivided(rows: Sequence[CohortRow]) -> None:
    if divided := [str(row.row) for row in rows if row.split]:
        raise CohortError(
            expected="a cohort whose division is to be drawn",
            found=f"a split given in {len(divided)} rows ({', '.join(divided[:10])})",
            hint="Empty the column split, or train once with the division it gives.",
        )


def _require_spread(rows: Sequence[CohortRow], groups: Indices, fewest: int, by: Whole) -> None:
    spread = Counter(
        label for label, _ in {(r.label, g) for r, g in zip(rows, groups, strict=True)}
    )
    if rare := [f"{n} of {label}" for label, n in sorted(spread.items()) if n < fewest]:
        raise CohortError(
            expected=f"at least {fewest} {by}s of each class",
            found=", ".join(rare),
            hint=f"Use fewer folds, or add {by}s of these classes.",
        )


def _draw_all(
    rows: Sequence[CohortRow], shares: Mapping[str, float], draw: np.random.Generator
) -> dict[str, str]:
    """Return a split for each patient, class by class."""
    placed: dict[str, str] = {}
    for _, patients in sorted(_patients_by_label(rows).items()):
        placed |= _draw(patients, shares, draw)
    return placed


def _patients_by_label(rows: Sequence[CohortRow]) -> dict[str, list[str]]:
    by_label: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.patient not in by_label[row.label]:
            by_label[row.label].append(row.patient)
    return by_label


def _draw(
    patients: Sequence[str], shares: Mapping[str, float], draw: np.random.Generator
) -> dict[str, str]:
    order = [patients[i] for i in draw.permutation(len(patients))]
    placed: dict[str, str] = {}
    for name, share in shares.items():
        # Three patients or more of a class: each split that is asked for gets one at least.
        count = max(round(share * len(order)), 1) if share and len(order) > 2 else 0
        start = len(placed)
        placed |= dict.fromkeys(order[start : start + count], name)
    return placed | dict.fromkeys(order[len(placed) :], TRAIN)
