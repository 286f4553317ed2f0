"""What a training says at the end: figures by hand, files that are read again, folds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import expit
from scipy.stats import binomtest

from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import ResultError
from napari_xmag.files import write_json
from napari_xmag.plotting import COLORS
from napari_xmag.progress.heartbeat import finish
from napari_xmag.train.report.kfold import summarise_folds
from napari_xmag.train.report.plots import plot_curves, plot_splits
from napari_xmag.train.report.predictions import write_predictions
from napari_xmag.train.report.report import (
    Report,
    evaluate_predictions,
    read_run,
    write_training_report,
)
from tests.pictures import color_places

CLASSES = ("benign", "malignant")


def row(name: str, label: int, split: str) -> CohortRow:
    """A slide ``patient-number`` of the class of that number."""
    return CohortRow(2, Path(f"/slides/{name}.svs"), CLASSES[label], name.split("-")[0], split)


def five(threshold: float | None = 0.5, temperature: float = 1.0) -> Report:
    """Three benign slides, two of them of patient a, and two malignant ones, all tested."""
    rows = [row("a-1", 0, "test"), row("a-2", 0, "test"), row("b-1", 0, "test"),
            row("c-1", 1, "test"), row("d-1", 1, "test")]  # fmt: skip
    logits = np.array([[0.0, score] for score in (-2.0, -1.0, 3.0, 1.0, 4.0)])
    return evaluate_predictions(rows, CLASSES, logits, temperature, threshold)


def test_figures_by_hand() -> None:
    found = five()
    assert list(found.splits) == ["test"]
    test = found.splits["test"]
    assert (test.slides, test.patients, test.resampled) == (5, 4, "group")
    assert test.counts == {"benign": 3, "malignant": 2}
    # of six pairs only b above c is in the wrong order; of the calls only b is wrong
    assert test.figures["auc"].value == pytest.approx(5 / 6)
    assert test.figures["accuracy"].value == pytest.approx(4 / 5)
    assert test.figures["balanced_accuracy"].value == pytest.approx((2 / 3 + 1) / 2)
    assert test.confusion == ((2, 1), (0, 2))
    assert test.sensitivity["malignant"].value == 1
    assert test.specificity["malignant"].value == pytest.approx(2 / 3)
    assert test.sensitivity["benign"].value == pytest.approx(2 / 3)
    # two patients, both right: Wilson leaves room for errors, which a bootstrap cannot
    assert test.sensitivity["malignant"].low == pytest.approx(0.342, abs=1e-3)
    assert test.roc["malignant"].auc == pytest.approx(5 / 6)
    correct = [item.correct for item in found.predictions]
    assert correct == [True, True, False, True, True]


def test_slides_of_one_patient_count_as_one_for_the_interval() -> None:
    """Of three patients with four slides each, two are right: 2 of 3, not 8 of 12."""
    rows = [row(f"{name}-{n}", 1, "test") for name in "abc" for n in range(4)]
    rows += [row(f"{name}-{n}", 0, "test") for name in "def" for n in range(2)]
    score = np.repeat([2.0, 1.0, -1.0, -2.0, -1.0, 3.0], [4, 4, 4, 2, 2, 2])
    logits = np.stack([np.zeros(18), score], axis=1)
    test = evaluate_predictions(rows, CLASSES, logits, 1.0, 0.5).splits["test"]
    expected = binomtest(2, 3).proportion_ci(0.95, method="wilson")
    for share in (test.sensitivity["malignant"], test.specificity["malignant"]):
        assert share.value == pytest.approx(2 / 3)
        assert (share.low, share.high) == pytest.approx((expected.low, expected.high))


def test_calls_follow_the_threshold_and_probabilities_the_temperature() -> None:
    found = five(threshold=0.8, temperature=2.0)
    chances = [item.probabilities[1] for item in found.predictions]
    assert chances == pytest.approx(list(expit([-1.0, -0.5, 1.5, 0.5, 2.0])))
    assert [item.predicted for item in found.predictions][2:] == [
        "malignant",
        "benign",
        "malignant",
    ]
    assert found.splits["test"].confusion == ((2, 1), (1, 1))
    assert (found.threshold, found.chosen) == (0.8, "given")
    softer = found.splits["test"]
    plain = five().splits["test"]
    assert softer.error_before == plain.error_before == plain.error_after
    assert softer.error_after != softer.error_before


def many(
    shift: float = 0.0, seed: int = 0, *, name: str = "p"
) -> tuple[list[CohortRow], np.ndarray]:
    """Forty slides of as many patients: the last ten tested, ten before them for validation."""
    draw = np.random.default_rng(seed)
    rows = [
        row(f"{name}{n}-{n}", n % 2, "train" if n < 20 else "validation" if n < 30 else "test")
        for n in range(40)
    ]
    second = draw.normal(0, 1, 40) + 4 * (np.arange(40) % 2) + shift
    return rows, np.stack([np.zeros(40), second], axis=1)


def test_a_model_that_calls_all_slides_malignant_gets_a_threshold() -> None:
    rows, logits = many(shift=4.0)
    found = evaluate_predictions(rows, CLASSES, logits, 1.0)
    assert 0.99 < found.threshold < 1
    assert found.chosen == "maximizes sensitivity + specificity on 10 validation slides"
    assert found.splits["test"].figures["balanced_accuracy"].value == 1
    assert (
        evaluate_predictions(rows, CLASSES, logits, 1.0, 0.5)
        .splits["test"]
        .figures["accuracy"]
        .value
        == 0.5
    )


def test_several_classes_have_no_threshold() -> None:
    rows = [replace(row(f"p{n}-1", 0, "test"), label="xyz"[n % 3]) for n in range(9)]
    logits = 3 * np.eye(3)[np.arange(9) % 3]
    found = evaluate_predictions(rows, ("x", "y", "z"), logits, 1.0, threshold=0.9)
    assert found.threshold == 0.5
    assert found.splits["test"].figures["auc"].value == 1
    assert set(found.splits["test"].roc) == {"x", "y", "z"}


def test_one_class_in_a_split_has_no_auc_and_is_still_written(tmp_path: Path) -> None:
    rows, logits = many()
    rows = [item for item in rows if item.split != "test" or item.label == "benign"]
    found = evaluate_predictions(rows, CLASSES, logits[: len(rows)], 1.0)
    assert np.isnan(found.splits["test"].figures["auc"].value)
    write_json(tmp_path / "metrics.json", found.metrics())
    assert read_run(tmp_path).metrics["test"]["auc"] is None
    assert plot_splits(tmp_path, {"test": found.splits["test"]}, CLASSES)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rows, logits = many()
    rows[0] = replace(rows[0], mpp=0.25, patient=str(rows[0].slide))
    found = evaluate_predictions(rows, CLASSES, logits, 1.5)
    (tmp_path / "scalars.csv").write_text(
        "stage,epoch,train_loss,validation_auc\nhead,1,0.7,0.5\nhead,2,0.5,0.75\n"
    )
    write_training_report(tmp_path, found)
    read = read_run(tmp_path)
    assert read.predictions == found.predictions
    assert read.predictions[0].mpp == 0.25
    assert (read.classes, read.splits) == (CLASSES, ("train", "validation", "test"))
    assert tuple(map(tuple, read.confusion("test"))) == found.splits["test"].confusion
    for label, counts in zip(CLASSES, read.confusion("train"), strict=True):
        for predicted, count in zip(CLASSES, counts, strict=True):
            assert len(read.slides("train", label, predicted)) == count
    assert read.curves == {
        "head": {"train_loss": ((1, 0.7), (2, 0.5)), "validation_auc": ((1, 0.5), (2, 0.75))}
    }
    assert read.metrics["test"]["auc"] == found.splits["test"].figures["auc"].value
    assert read.model is None
    for name in ("roc", "confusion", "calibration", "curves"):
        with Image.open(tmp_path / "plots" / f"{name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(2**24) or ()) > 20
    words = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| p39-39.svs | test | malignant | malignant |" in words
    assert "p1-1.svs" not in words  # training slides stand in the table only


def test_curves_are_drawn_by_stage_and_kind(tmp_path: Path) -> None:
    losses = {"train_loss": ((1, 0.7), (2, 0.5)), "validation_loss": ((1, 0.8), (2, 0.7))}
    single = {"train_loss": ((1, 0.4),), "train_auc": ((1, 0.8),), "validation_auc": ((1, 0.7),)}
    plot_curves(tmp_path / "curves.png", {"head": losses, "whole": single})
    first, second = (color_places(tmp_path / "curves.png", color) for color in COLORS[:2])
    assert first == {"top left", "top right", "bottom right"}
    assert second == {"top left", "bottom right"}


def test_an_unfinished_run_has_curves_and_no_predictions(tmp_path: Path) -> None:
    (tmp_path / "scalars.csv").write_text("stage,epoch,train_loss\nhead,1,0.7\n")
    read = read_run(tmp_path)
    assert (read.classes, read.predictions, read.splits, dict(read.metrics)) == ((), (), (), {})
    assert read.curves == {"head": {"train_loss": ((1, 0.7),)}}
    assert read_run(tmp_path / "nothing").curves == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("predictions.csv", "slide,label\n1,x\n"),
        ("metrics.json", "[1"),
        ("scalars.csv", "a,b\n1,2\n"),
    ],
)
def test_altered_files_are_refused_by_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ResultError, match=name):
        read_run(tmp_path)


def trained(folder: Path, seed: int, name: str) -> Report:
    """Write the predictions of a training in which ``seed`` test slides are far off."""
    rows, logits = many(seed=seed, name=name)
    logits[30 : 30 + 2 * seed : 2, 1] = 9  # every second slide is benign
    found = evaluate_predictions(rows, CLASSES, logits, 1.0, 0.5)
    write_predictions(folder / "predictions.csv", CLASSES, found.predictions)
    return found


def test_folds_give_mean_spread_and_every_slide_once(tmp_path: Path) -> None:
    folders = [tmp_path / "fold-1", tmp_path / "fold-2"]
    reports = [trained(folders[0], 0, "q"), trained(folders[1], 1, "p")]
    summary = finish(summarise_folds(folders, tmp_path / "all"))
    assert [item.fold for item in summary.predictions] == [1] * 10 + [2] * 10
    values = [report.splits["test"].figures["auc"].value for report in reports]
    assert len(set(values)) == 2
    metrics = summary.metrics()
    assert metrics["mean"]["auc"] == pytest.approx(np.mean(values))
    assert metrics["spread"]["auc"] == pytest.approx(np.std(values, ddof=1))
    assert [fold["auc"] for fold in metrics["folds"]] == pytest.approx(values)
    assert metrics["test"]["slides"] == 20

    read = read_run(tmp_path / "all")
    assert read.predictions == summary.predictions
    assert read.metrics["spread"]["auc"] == pytest.approx(metrics["spread"]["auc"])
    words = (tmp_path / "all" / "report.md").read_text(encoding="utf-8")
    assert f"| **mean ± SD** | **{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}** |" in words


def test_folds_have_a_column_of_patches_where_there_are_regions(tmp_path: Path) -> None:
    folders = [tmp_path / "fold-1", tmp_path / "fold-2"]
    for seed, folder in enumerate(folders):
        metrics = trained(folder, seed, "qp"[seed]).metrics()
        of_patches = {"patches": {"auc": 0.9}} if seed else {}
        write_json(folder / "metrics.json", metrics | {"test": metrics["test"] | of_patches})
    summary = finish(summarise_folds(folders, tmp_path / "all"))
    assert summary.metrics()["mean"]["patch_auc"] == 0.9
    words = (tmp_path / "all" / "report.md").read_text(encoding="utf-8")
    assert "AUC of patches in regions" in words


def test_folds_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    folders = [tmp_path / "fold-1", tmp_path / "fold-2"]
    for folder in folders:
        trained(folder, 0, "p")
    with pytest.raises(ResultError, match=r"p30-30\.svs.* tested twice"):
        finish(summarise_folds(folders, tmp_path / "all"))
    with pytest.raises(ResultError, match=r"predictions\.csv"):
        finish(summarise_folds([folders[0], tmp_path / "none"], tmp_path / "all"))
    assert not (tmp_path / "all").exists()
