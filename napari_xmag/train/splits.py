"""Who trains, who chooses, who judges: always whole patients."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_xmag.errors import CohortError
from napari_xmag.train.cohort import SPLITS, TEST, TRAIN, VALIDATION, CohortRow


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
    free = _patients_by_label([row for row in rows if _free(row, patient_split)])
    draw = np.random.default_rng(seed)
    for _, patients in sorted(free.items()):
        patient_split |= _draw(patients, shares, draw)
    result = [replace(row, split=row.split or patient_split[row.patient]) for row in rows]
    require_no_leak(result)
    _require_all_classes(result)
    return result


def require_no_leak(rows: Sequence[CohortRow]) -> None:
    """Refuse a patient in two splits, by name.

    Raises
    ------
    CohortError
        Naming the patients.
    """
    places: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        places[row.patient].add(row.split)
    leaking = sorted(patient for patient, found in places.items() if len(found) > 1)
    if leaking:
        raise CohortError(
            wanted="each patient in one split",
            found=f"{', '.join(leaking)} in several",
            remedy="Put all slides of a patient in one split.",
        )


def _free(row: CohortRow, patient_split: dict[str, str]) -> bool:
    # Rows named for training may not be drawn away from it; the table's word counts.
    return row.patient not in patient_split


def _patients_by_label(rows: Sequence[CohortRow]) -> dict[str, list[str]]:
    by_label: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.patient not in by_label[row.label]:
            by_label[row.label].append(row.patient)
    return by_label


def _draw(
    patients: Sequence[str], shares: dict[str, float], draw: np.random.Generator
) -> dict[str, str]:
    order = [patients[i] for i in draw.permutation(len(patients))]
    placed: dict[str, str] = {}
    for name, share in shares.items():
        # Two patients or more of a class: each split that is asked for gets one at least.
        count = max(round(share * len(order)), 1) if share and len(order) > 2 else 0
        start = len(placed)
        placed |= dict.fromkeys(order[start : start + count], name)
    return placed | dict.fromkeys(order[len(placed) :], TRAIN)


def _require_all_classes(rows: Sequence[CohortRow]) -> None:
    everywhere = {row.label for row in rows}
    for split in SPLITS:
        present = {row.label for row in rows if row.split == split}
        if split == TRAIN and present != everywhere:
            raise CohortError(
                wanted="training slides of every class",
                found=f"none of {', '.join(sorted(everywhere - present))}",
                remedy="Add slides of that class, or change the split column.",
            )
