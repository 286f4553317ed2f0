"""Regions of slides as labels of patches: whose class they are, and which patches lie in them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xmag.cohort.labels import class_key
from napari_xmag.cohort.problems import Problem, TableError
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import ConfigError, TissueError
from napari_xmag.qupath.geometry import union
from napari_xmag.qupath.labelled_regions import (
    LabelledFile,
    LabelledRegion,
    label_boxes,
    read_labelled_file,
    unused_words,
)
from napari_xmag.qupath.origin import Origin, slide_frame
from napari_xmag.qupath.planes import shown_plane
from napari_xmag.train.config import RegionsConfig
from napari_xmag.train.region_files import RegionFiles, content_hash


@dataclass(frozen=True, eq=False)
class PatchLabels:
    """The classes of the patches of a slide.

    Attributes
    ----------
    labels
        Int64 (P,), below zero where no region names a class, or two name different ones.
    words
        What of the regions teaches nothing, and why; empty where all of them do.
    """

    labels: NDArray[np.int64]
    words: str = ""


def count_regions(row: CohortRow) -> int:
    """Return how many areas and points with a class the regions of a slide are.

    Raises
    ------
    TissueError
        When the file cannot be read or holds none.
    XmagError
        When the slide, whose focal plane decides, does not open.
    """
    return 0 if row.regions is None else sum(one.number for one in _read(row).regions)


class RegionClasses:
    """Which class of a cohort each class of its regions is.

    Parameters
    ----------
    classes
        Of the cohort.

    Raises
    ------
    ConfigError
        When a class is to be called what no slide is labelled.
    """

    def __init__(self, classes: Sequence[str], settings: RegionsConfig) -> None:
        self._classes = tuple(classes)
        self._known = {class_key(label): number for number, label in enumerate(classes)}
        for name, label in settings.renamed.items():
            if class_key(label) not in self._known:
                raise ConfigError(
                    expected=f"regions.classes to name labels of the table ({', '.join(classes)})",
                    found=f"{name} = {label}",
                    hint="Correct the label.",
                )
        renamed = settings.renamed.items()
        self._known |= {class_key(name): self._known[class_key(label)] for name, label in renamed}

    def number(self, name: str) -> int | None:
        """Return the index of the cohort's class, None where it has no such class."""
        return self._known.get(class_key(name))

    def require_known(self, rows: Sequence[CohortRow]) -> RegionFiles:
        """Read the regions of all slides, and see that something can be learned from them.

        Raises
        ------
        TableError
            When files cannot be read, or none of their classes is one of the cohort; by row.
        XmagError
            When a slide, whose focal plane decides, does not open.
        """
        problems: list[Problem] = []
        names: set[str] = set()
        known: dict[Path, frozenset[str]] = {}
        hashes: dict[Path, str] = {}
        for row in rows:
            if row.regions is None:
                continue
            try:
                hashes[row.regions] = content_hash(row.regions)
                found = {region.class_name for region in _read(row).regions}
            except TissueError as error:
                problems.append(unusable(row, error))
                continue
            names |= found
            known[row.regions] = frozenset(self._labels_of(found))
        if known and not problems and not any(known.values()):
            problems.append(self._no_label(names))
        if problems:
            hint = "Correct these rows." if any(problem.row for problem in problems) else ""
            raise TableError.of(problems, "readable regions with the classes of the table", hint)
        return RegionFiles(known, hashes)

    def _labels_of(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            number = self.number(name)
            if number is not None:
                yield self._classes[number]

    def _no_label(self, names: set[str]) -> Problem:
        labels = ", ".join(self._classes)
        words = f"the regions are {_listed(names)}, none of which is a label ({labels})"
        hint = 'Set regions.classes to the label of each that has one ("NAME = LABEL; …")'
        return Problem(0, words, hint)

    def of_patches(
        self, row: CohortRow, boxes: NDArray[np.float64], origin: Origin
    ) -> PatchLabels | None:
        """Label the patches of a slide by its regions; None where it has none.

        A patch has the class of the region in which its centre lies, or whose point lies in it.

        Parameters
        ----------
        boxes
            Float (P, 4): x, y, width, height in level-0 pixels.
        origin
            From where the regions count.

        Raises
        ------
        TissueError
            When the regions cannot be read.
        XmagError
            When the slide does not open.
        """
        if row.regions is None:
            return None
        file = _read(row, origin)
        found = file.regions
        known = [region for region in found if self.number(region.class_name) is not None]
        strange = {region.class_name for region in found} - {region.class_name for region in known}
        corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
        labels = self._labels(known, corners)
        words = [f"left out: {file.words}"] if file.words else []
        words += [f"{_listed(strange)}: no label of the table"] if strange else []
        if known and self.number(row.label) not in {self.number(one.class_name) for one in known}:
            words.append(f"none is {row.label}, the label of the slide")
        words += unused_words([region.shape for region in known], corners, labels >= 0)
        words += [] if (labels >= 0).any() else ["no patch has a class"]
        return PatchLabels(labels, "; ".join(words))

    def _labels(
        self, regions: Sequence[LabelledRegion], corners: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Label boxes (N, 4); regions that the cohort calls alike do not contradict each other."""
        together: dict[int, list[LabelledRegion]] = {}
        for region in regions:
            number = self.number(region.class_name)
            assert number is not None
            together.setdefault(number, []).append(region)
        merged = [
            replace(some[0], shape=union([region.shape for region in some]))
            for some in together.values()
        ]
        numbers = np.array([*together, -1])  # the last one for boxes of no class
        return numbers[label_boxes(merged, corners)]


def unusable(row: CohortRow, error: TissueError) -> Problem:
    """Return what is wrong with a row whose regions cannot be read or hold none."""
    words = f"the regions cannot be used: {error.found}"
    return Problem.of(row, words, error.hint.rstrip("."))


def _read(row: CohortRow, origin: Origin = Origin.BOUNDS) -> LabelledFile:
    """Read the regions of a slide, on the plane that is shown, in its own level-0 pixels."""
    from napari_xmag.slide.open import open_slide

    assert row.regions is not None
    with open_slide(row.slide, mpp=row.mpp) as slide:
        frame, plane = slide_frame(slide, origin), shown_plane(slide)
    return read_labelled_file(
        row.regions, origin_x=frame.x, origin_y=frame.y, plane=plane, log=False
    )


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
