"""The sections of a model card that training writes."""

from dataclasses import replace
from pathlib import Path

import pytest

from napari_xmag.cohort.rows import CohortRow
from napari_xmag.nets.encoder import Encoder
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.report.card import card_sections
from napari_xmag.train.report.report import evaluate_predictions


@pytest.fixture
def encoder() -> Encoder:
    teacher = {"name": "big", "licence": "CC-BY-NC-4.0", "students_may_be_shared": "no",
               "terms": "Ask its makers."}  # fmt: skip
    return Encoder(None, "CC-BY-NC-4.0", {"teachers": [teacher]})  # type: ignore[arg-type]


def test_everything_that_was_measured_is_said(encoder: Encoder) -> None:
    rows = [
        CohortRow(n, Path(f"{n}.svs"), "ab"[n % 2], f"p{n // 2}", split, site=f"site {n % 3}")
        for n, split in enumerate(["train"] * 4 + ["validation"] * 4 + ["test"] * 4)
    ]
    logits = [[0.0, 1.0 if n % 2 else -1.0] for n in range(11)] + [[0.0, -3.0]]
    report = evaluate_predictions(rows, ("a", "b"), logits, 1.25, 0.625)
    config = TrainConfig(mode="end-to-end", tiles_per_epoch=64)
    card = card_sections(rows, config, encoder, report)
    assert "| test | 2 | 2 | 2 |" in card["Training data"]
    assert "test: site 0, site 1, site 2." in card["Training data"]
    assert "Only the test slides estimate" in card["Performance"]
    assert "| test | 4 | 2 | 0.500 | " in card["Performance"]
    assert "| test | b | 2 | 0.500 (" in card["Sensitivity and specificity"]
    assert "| test | b | 1 | 1 |" in card["Confusion matrix"]
    before, after = report.splits["test"].error_before, report.splits["test"].error_after
    assert f"| test | {before:.3f} | {after:.3f} |" in card["Calibration"]
    for words in (
        "64 tiles of each slide",
        "stain jitter 0.05",
        "Temperature 1.25",
        "Threshold 0.625: given",
    ):
        assert words in card["Training"]
    for epoch, words in (
        (3, "from end-to-end epoch 3"),
        (0, "did not improve on the head alone"),
    ):
        chosen = replace(report, best_epoch=epoch)
        assert words in card_sections(rows, config, encoder, chosen)["Training"]
    assert "big (CC-BY-NC-4.0)" in card["Licence of the encoder's teacher"]
    assert "May it be shared? No. Ask its makers." in card["Licence of the encoder's teacher"]
