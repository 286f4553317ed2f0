"""A whole training in small: a table of slides to a model in the zoo that analyses them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xmag import zoo
from napari_xmag.distill.encoder import Encoder, load_encoder, timm_spec
from napari_xmag.errors import CohortError
from napari_xmag.train.beat import finish
from napari_xmag.train.card import read_notes
from napari_xmag.train.cohort import Cohort, read_cohort
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.events import Finished, Progress
from napari_xmag.train.features import slide_features
from napari_xmag.train.fit import FitConfig
from napari_xmag.train.run import train
from tests.distill.test_run import save_tiny
from tests.slides import draw_section, write_pyramid

CONFIG = TrainConfig(
    name="tiny",
    hidden=16,
    dropout=0.0,
    fit=FitConfig(epochs=15, lr=3e-3, ema_decay=0.5),
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten small slides, the dark ones named malignant; two slides of each patient."""
    folder = tmp_path_factory.mktemp("cohort")
    rows = ["slide,label,patient"]
    for number in range(10):
        pixels = draw_section(900, 700, seed=number)
        if number % 2:
            pixels = np.where(pixels < 235, pixels * 0.8, pixels).astype(np.uint8)
        write_pyramid(folder / f"{number}.tiff", pixels)
        label = "malignant" if number % 2 else "benign"
        rows.append(f"{number}.tiff,{label},{label}-{number // 4}")
    (folder / "cohort.csv").write_text("\n".join(rows))
    return folder / "cohort.csv"


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    folder = save_tiny(tmp_path / "encoder", seed=3)
    return load_encoder(folder, timm_spec(folder, mpp=1.0, tile_px=128))


def test_from_a_table_to_a_model(table: Path, encoder: Encoder, tmp_path: Path) -> None:
    cohort = read_cohort(table)
    notes = {"Sources": "Drawn by the computer."}
    events = list(train(cohort, encoder, tmp_path / "run", CONFIG, notes=notes))
    assert any(isinstance(event, Progress) for event in events)
    finished = events[-1]
    assert isinstance(finished, Finished)

    model = zoo.load_model(finished.folder)
    assert model.info.classes == ("benign", "malignant")
    assert model.info.licence == "test-1.0"
    assert model.info.training_range is not None
    card = (finished.folder / "README.md").read_text()
    assert "## Sources\n\nDrawn by the computer." in card
    assert "| train | 3 | 3 | 3 |" not in card or "## Figures on slides" in card

    # What was written down is what the model in the folder says.
    with (tmp_path / "run" / "predictions.csv").open(newline="") as stream:
        predictions = list(csv.DictReader(stream))
    assert len(predictions) == 10
    by_patient: dict[str, set[str]] = {}
    for row in predictions:
        by_patient.setdefault(row["patient"], set()).add(row["split"])
    assert {len(splits) for splits in by_patient.values()} == {1}
    for row in predictions[:3]:
        path = table.parent / row["slide"]
        attends = model.info.attends
        features = finish(slide_features(path, None, model.student.eval(), attends=attends))
        with torch.inference_mode():
            logits = model.head(torch.from_numpy(features.features)).logits
        found = model.info.probabilities(logits.numpy())[1][1]
        assert found == pytest.approx(float(row["probability_malignant"]), abs=1e-3)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["metrics"]
    assert metrics["train"]["auc"] == 1.0


def test_features_are_kept_for_another_run(
    table: Path, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, cache = read_cohort(table, open_slides=False), tmp_path / "cache"
    finish(train(cohort, encoder, tmp_path / "one", CONFIG, cache=cache))
    assert len(list(cache.glob("*.npz"))) == 10
    monkeypatch.setattr(type(encoder.student), "forward", None)  # nothing is encoded again
    finish(train(cohort, encoder, tmp_path / "two", CONFIG, cache=cache))
    weights = [tmp_path / run / "model" / "head.safetensors" for run in ("one", "two")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_problems_stop_it_before_anything_starts(
    table: Path, encoder: Encoder, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(f"slide,label\n{table.parent / '0.tiff'},x\n{table.parent / 'none.tiff'},y\n")
    with pytest.raises(CohortError, match=r"row 3: none\.tiff is not there"):
        next(train(read_cohort(bad), encoder, tmp_path / "run", CONFIG))
    assert not (tmp_path / "run").exists()
    assert isinstance(read_cohort(bad), Cohort)


def test_notes_of_the_card(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("## One\n\ntext\n### still one\n\n## Two\nmore\n")
    assert read_notes(path) == {"One": "text\n### still one", "Two": "more"}
