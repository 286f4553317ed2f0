"""Figures of the patches in regions: by another library, with intervals of patients."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from napari_xmag.cohort.rows import CohortRow
from napari_xmag.progress.heartbeat import finish
from napari_xmag.train.report import tables
from napari_xmag.train.report.patches import PATCH_REPLICATES, PatchReport, patch_reports

CLASSES = ("benign", "malignant")


@dataclass
class Judged:
    """Evidence and classes of the labelled patches of a slide."""

    evidence: np.ndarray
    patches: np.ndarray


def slides(count: int, labelled: int = 30) -> tuple[list[CohortRow], list[Judged]]:
    """Test slides of as many patients, and one training slide without labelled patches."""
    draw = np.random.default_rng(0)
    rows = [CohortRow(n, Path(f"{n}.svs"), "benign", f"p{n}", "test") for n in range(count)]
    judged = []
    for _ in rows:
        patches = draw.integers(0, 2, labelled)
        evidence = draw.normal(size=(labelled, 2))
        evidence[:, 1] += patches
        judged.append(Judged(evidence, patches))
    none = Judged(np.empty((0, 2)), np.empty(0, np.int64))
    return [*rows, replace(rows[0], patient="q", split="train")], [*judged, none]


def report(count: int) -> tuple[PatchReport, list[Judged]]:
    rows, judged = slides(count)
    steps = patch_reports(rows, CLASSES, judged, seed=0)
    done = 0
    while True:
        try:
            done += next(steps)
        except StopIteration as stop:
            found: dict[str, PatchReport] = stop.value
            break
    assert done == PATCH_REPLICATES
    assert list(found) == ["test"]
    return found["test"], judged


def test_figures_are_those_of_all_labelled_patches() -> None:
    found, judged = report(8)
    truth = np.concatenate([slide.patches for slide in judged])
    evidence = np.concatenate([slide.evidence for slide in judged])
    assert (found.patches, found.slides, found.patients) == (240, 8, 8)
    assert found.counts == {"benign": int((truth == 0).sum()), "malignant": int(truth.sum())}
    auc = roc_auc_score(truth, softmax(evidence, axis=1)[:, 1])
    assert found.figures["auc"].value == pytest.approx(auc)
    balanced = balanced_accuracy_score(truth, evidence.argmax(1))
    assert found.figures["balanced_accuracy"].value == pytest.approx(balanced)
    assert found.figures["auc"].low < auc < found.figures["auc"].high
    words = tables.patches({"test": found})
    assert f"| 8 | 8 | {tables.with_interval(found.figures['auc'])} |" in words
    assert found.metrics()["auc"] == found.figures["auc"].value


def test_few_patients_have_no_interval() -> None:
    found, _ = report(4)
    assert np.isfinite(found.figures["auc"].value)
    assert np.isnan([found.figures["auc"].low, found.figures["auc"].high]).all()


def test_no_labelled_patches_are_no_report() -> None:
    rows, judged = slides(3, labelled=0)
    assert finish(patch_reports(rows, CLASSES, judged, seed=0)) == {}
