"""One labelled slide, and the parts a cohort is divided into."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_xmag.cohort.cells import is_missing, label_of, one_form, patient_of

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True, slots=True)
class CohortRow:
    """One labelled slide.

    Attributes
    ----------
    row
        Line of the table, as a spreadsheet counts (the heading is line 1).
    slide
        Path of the slide.
    label
        Its class, in the form of `label_of`; empty while nobody has named it.
    patient
        Whom it belongs to, in the form of `patient_of`; the slide itself, as its path, where
        nobody is named.
    split
        ``train``, ``validation``, ``test``, or empty when it is to be drawn.
    mpp
        Pixel size given in the table in µm, or None.
    site
        Where the slide comes from (hospital, scanner), or empty.
    regions
        GeoJSON of parts of the slide with classes of their own, or None.
    name
        What the slide is called where it comes from (an image of a QuPath project), or empty.
    """

    row: int
    slide: Path
    label: str
    patient: str = ""
    split: str = ""
    mpp: float | None = None
    site: str = ""
    regions: Path | None = None
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", label_of(self.label))
        if self.patient != str(self.slide):  # a path stays as the file system writes it
            object.__setattr__(self, "patient", patient_of(self.patient) or str(self.slide))
        object.__setattr__(self, "site", "" if is_missing(self.site) else one_form(self.site))

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return self.name or f"row {self.row}"

    @property
    def named_patient(self) -> str:
        """The patient, or nothing where the slide stands for itself."""
        return "" if self.patient == str(self.slide) else self.patient


def slide_names(rows: Sequence[CohortRow]) -> list[str]:
    """Return what each slide is called: its name, and its folder where a name comes twice."""
    names = Counter(row.slide.name for row in rows)
    return [
        row.slide.name
        if names[row.slide.name] == 1
        else f"{row.slide.parent.name}/{row.slide.name}"
        for row in rows
    ]
