"""Labels that are no classes: training tells one class of several for each slide, nothing else."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from napari_xmag.cohort.cells import label_of
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import CohortError

_SEVERAL = re.compile(r"\S\s*[;|]\s*\S")
_MOST_CLASSES = 20


def require_classes(rows: Sequence[CohortRow]) -> None:
    """Refuse labels that name several findings of a slide, or times and measurements.

    Raises
    ------
    CohortError
        When the labels look so; survival and multi-label training are out of scope.
    """
    labels = Counter(row.label for row in rows)
    several = [label for label in labels if _SEVERAL.search(label)]
    if several and len(several) < len(labels):
        raise CohortError(
            expected="one class for each slide",
            found=f"several findings in one label ({several[0]!r})",
            hint="Train one model for each finding, with a table of its own: slides with "
            "several labels at once are not supported.",
        )
    numbers = [label for label in labels if _is_number(label)]
    if len(numbers) == len(labels) > max(_MOST_CLASSES, len(rows) // 2):
        raise CohortError(
            expected="one class for each slide",
            found=f"{len(labels)} different numbers as labels, such as {numbers[0]!r}",
            hint="Write classes (for instance low and high): survival times and measurements are "
            "not supported.",
        )


def class_key(name: str) -> str:
    """Return what names of one class have in common: other letters and separators do not count.

    Neither does the width of letters and digits, as East Asian keyboards write them.
    """
    plain = unicodedata.normalize("NFKC", label_of(name)).casefold()
    return " ".join(plain.replace("_", " ").replace("-", " ").split())


def _is_number(label: str) -> bool:
    try:
        float(label.replace(",", "."))
    except ValueError:
        return False
    return True
