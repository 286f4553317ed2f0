"""Tables that are not for classification are told so."""

from pathlib import Path

import pytest

from napari_xmag.cohort.labels import require_classes
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import CohortError


def rows(*labels: str) -> list[CohortRow]:
    return [CohortRow(n, Path(f"{n}.tiff"), label, str(n)) for n, label in enumerate(labels)]


def test_several_findings_in_one_label_are_refused() -> None:
    with pytest.raises(CohortError, match=r"several findings.*tumor; necrosis.*one model for each"):
        require_classes(rows("tumor", "necrosis", "tumor; necrosis"))


def test_times_are_refused() -> None:
    with pytest.raises(CohortError, match="60 different numbers"):
        require_classes(rows(*(f"{7.3 * n:.1f}" for n in range(1, 61))))


@pytest.mark.parametrize(
    "labels",
    [
        ("benign", "malignant") * 5,
        ("0", "1") * 20,
        ("1", "2", "3", "4", "5") * 3,
        ("HER2+", "HER2-", "ER+/PR-"),
        ("grade 1 | 2", "grade 3 | 4"),
    ],
)
def test_classes_are_classes(labels: tuple[str, ...]) -> None:
    require_classes(rows(*labels))
