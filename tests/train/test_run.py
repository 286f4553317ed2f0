"""A whole training in small: a table of slides to a model in the zoo that analyzes them."""

import csv
import json
import threading
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xmag import zoo
from napari_xmag.cohort.cohort import Cohort, read_cohort
from napari_xmag.cohort.problems import TableError
from napari_xmag.errors import CohortError, ConfigError
from napari_xmag.learn.fit import FitConfig
from napari_xmag.mil.features import slide_features
from napari_xmag.mil.tile_encoder import TileEncoder
from napari_xmag.nets.encoder import Encoder
from napari_xmag.nets.encoder_fingerprint import encoder_fingerprint
from napari_xmag.progress.events import (
    EpochDone,
    Progress,
    RegionsNoted,
    RunFinished,
    RunPlanned,
    SlideLeftOut,
    Stage,
)
from napari_xmag.progress.heartbeat import finish
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.report.card import read_notes
from napari_xmag.train.run import train
from napari_xmag.train.tiles import Indices, Pixels, SlideTiles, TileReader
from tests.qupath.shapes import annotation, collection, polygon, write
from tests.slides import draw_section, write_pyramid
from tests.train.cohorts import HEAD, WHOLE

pytestmark = pytest.mark.usefixtures("blank_plots")


def test_from_a_table_to_a_model(table: Path, encoder: Encoder, tmp_path: Path) -> None:
    cohort, out = read_cohort(table), tmp_path / "run"
    notes = {"Sources": "Drawn by the computer."}
    events = list(train(cohort, encoder, out, HEAD, notes=notes))
    assert any(isinstance(event, Progress) for event in events)
    plans = [event for event in events if isinstance(event, RunPlanned)]
    assert plans[0].plan.slides == 10
    finished = events[-1]
    assert isinstance(finished, RunFinished)

    model = zoo.load_model(finished.folder)
    assert model.info.classes == ("benign", "malignant")
    assert model.info.licence == "test-1.0"
    assert model.info.training_range is not None
    card = (finished.folder / "README.md").read_text()
    assert "## Sources\n\nDrawn by the computer." in card
    assert "## Performance" in card

    # What was written down is what the model in the folder says.
    predictions = _predictions(out)
    assert len(predictions) == 10
    by_patient: dict[str, set[str]] = {}
    for row in predictions:
        by_patient.setdefault(row["patient"], set()).add(row["split"])
    assert {len(splits) for splits in by_patient.values()} == {1}
    _require_what_the_model_says(finished.folder, out, table.parent)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["train"]["auc"] == 1.0
    kept = read_cohort(out / "cohort.csv", open_slides=False)
    assert [row.slide.resolve() for row in kept.rows] == [r.slide.resolve() for r in cohort.rows]
    assert {row.split for row in kept.rows} == {"train", "validation", "test"}
    assert json.loads((out / "versions.json").read_text())["torch"] == version("torch")
    assert not (out / "cache").exists()


def test_end_to_end_teaches_the_encoder(table: Path, encoder: Encoder, tmp_path: Path) -> None:
    before, out = encoder_fingerprint(encoder.student), tmp_path / "run"
    events = list(train(read_cohort(table), encoder, out, WHOLE))
    done = [event for event in events if isinstance(event, EpochDone)]
    assert [(e.stage, e.epoch) for e in done] == [
        (Stage.HEAD, 1),
        (Stage.HEAD, 2),
        (Stage.END_TO_END, 1),
        (Stage.END_TO_END, 2),
        (Stage.END_TO_END, 3),
    ]
    losses = [event.scalars["train_loss"] for event in done[2:]]
    assert losses[-1] < losses[0]
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    model = zoo.load_model(finished.folder)
    assert encoder_fingerprint(model.student) != before == encoder_fingerprint(encoder.student)
    norms = {n: b for n, b in model.student.named_buffers() if "running" in n}
    for name, value in encoder.student.named_buffers():
        assert name not in norms or torch.equal(value, norms[name])
    _require_what_the_model_says(finished.folder, out, table.parent)


def with_regions(folder: Path) -> Path:
    """Write small slides that are darker on the right, their table, and regions of both halves.

    What a slide is labelled has nothing to do with its halves.
    """
    folder.mkdir()
    lines = ["slide,label,split,regions"]
    for number in range(8):
        halves = [
            annotation(polygon(rectangle(50 + 450 * side, 50, 350 - number, 600)), name)
            for side, name in enumerate(("Benign", "Malignant"))
        ]
        if number == 1:
            strange = annotation(polygon(rectangle(0, 0, 900, 700)), "Artefact")
            halves += [strange, annotation(polygon(rectangle(0, 0, 5, 5)), "Benign")]  # on glass
        pixels = draw_section(900, 700, seed=number)
        pixels[:, 450:] = np.where(pixels[:, 450:] < 235, pixels[:, 450:] * 0.6, pixels[:, 450:])
        write_pyramid(folder / f"{number}.tiff", pixels, factors=(1,))
        write(folder / f"{number}.geojson", collection(*halves))
        split = "train" if number < 4 else "validation" if number < 6 else "test"
        regions = "" if number == 0 else f"{number}.geojson"
        lines.append(f"{number}.tiff,{('benign', 'malignant')[number % 2]},{split},{regions}")
    (folder / "cohort.csv").write_text("\n".join(lines))
    return folder / "cohort.csv"


@pytest.mark.parametrize("gone", [True, False])
def test_regions_that_change_while_it_trains_are_refused_by_row(
    gone: bool, encoder: Encoder, tmp_path: Path
) -> None:
    table = with_regions(tmp_path / "slides")
    events = train(read_cohort(table), encoder, tmp_path / "run", HEAD)
    next(event for event in events if isinstance(event, RunPlanned))
    file = tmp_path / "slides" / "2.geojson"
    before = file.read_text()
    file.unlink() if gone else file.write_text(before.replace("Benign", "Malignant"))
    with pytest.raises(TableError, match=r"row 4: .*2\.geojson has changed since"):
        finish(events)
    assert not (tmp_path / "run" / "model").exists()

    # What the message says to do is what helps.
    file.write_text(before)
    finish(train(read_cohort(table), encoder, tmp_path / "run", HEAD, resume=True))
    assert (tmp_path / "run" / "model").exists()


def test_regions_are_read_once(encoder: Encoder, tmp_path: Path) -> None:
    """What changes after the labels were taken changes nothing, neither learned nor judged."""
    table = with_regions(tmp_path / "slides")
    aucs = []
    for name in ("one", "other"):
        settings = WHOLE.model_copy(update={"granularity": "cells"})
        for event in train(read_cohort(table), encoder, tmp_path / name, settings):
            if isinstance(event, EpochDone) and name == "other":
                for file in (tmp_path / "slides").glob("*.geojson"):
                    file.write_text("{}")
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        aucs.append(metrics["test"]["patches"]["auc"])
    assert aucs[0] == aucs[1]


def rectangle(x: float, y: float, width: float, height: float) -> list[list[float]]:
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]


def test_regions_teach_what_labels_of_slides_cannot(encoder: Encoder, tmp_path: Path) -> None:
    """Head alone with and without regions, then end to end: patches of test slides, and report."""
    cohort, aucs = read_cohort(with_regions(tmp_path / "slides")), {}
    head, whole = HEAD.model_dump() | {"granularity": "cells"}, WHOLE.model_dump()
    ways = {"without": head | {"regions": {"weight": 0.0}}, "with": head}
    ways["whole"] = whole | {"granularity": "cells"}
    for name, config in ways.items():
        out = tmp_path / name
        settings = TrainConfig.model_validate(config)
        events = list(train(cohort, encoder, out, settings, cache=tmp_path / "cache"))
        (noted,) = [str(event) for event in events if isinstance(event, RegionsNoted)]
        words = "Artefact: no label of the table; 1 of 3 areas and points on glass"
        assert noted.startswith(f"Regions of 1.tiff: {words}")
        (plan,) = [event.plan for event in events if isinstance(event, RunPlanned)]
        assert plan.regions == "on 3 of 4 training slides: benign, malignant"
        patches = json.loads((out / "metrics.json").read_text())["test"]["patches"]
        assert (patches["slides"], patches["patients"]) == (2, 2)
        assert min(patches["counts"].values()) > 40
        aucs[name] = patches["auc"]
        report = " ".join((out / "report.md").read_text().split())
        assert "## Patches in regions" in report
        assert noted in report
        epochs = [event.scalars for event in events if isinstance(event, EpochDone)]
        assert all(("train_patch_loss" in one) == (name != "without") for one in epochs)
        assert all("validation_patch_auc" in one for one in epochs)
    assert aucs["with"] > 0.95 > aucs["without"] + 0.1
    assert aucs["whole"] > 0.95
    assert epochs[-1]["train_patch_loss"] < epochs[0]["train_patch_loss"]


@pytest.mark.parametrize(("side", "epochs"), [("train", 22), ("test", 20)])
def test_the_encoder_joins_a_head_that_learned_from_regions_in_full(
    side: str, epochs: int, encoder: Encoder, tmp_path: Path
) -> None:
    """Regions of test slides teach nothing, so that with them alone the head learns for 20."""
    table = with_regions(tmp_path / "slides")
    lines = [
        line if f",{side}," in line else line.rpartition(",")[0] + ","
        for line in table.read_text().split("\n")
    ]
    table.write_text("\n".join(["slide,label,split,regions", *lines[1:]]))
    settings = WHOLE.model_dump() | {"granularity": "cells", "fit": {"epochs": 22, "lr": 3e-3}}
    settings["end_to_end"]["fit"]["epochs"] = 1
    config = TrainConfig.model_validate(settings)
    events = list(train(read_cohort(table), encoder, tmp_path / "run", config))
    done = [
        event.epoch
        for event in events
        if isinstance(event, EpochDone) and event.stage == Stage.HEAD
    ]
    assert done[-1] == epochs
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert written["config"]["end_to_end"]["head_epochs"] is None
    assert f"{epochs} epochs" in (tmp_path / "run" / "model" / "README.md").read_text()


def test_a_worse_encoder_is_not_kept(table: Path, encoder: Encoder, tmp_path: Path) -> None:
    """Steps far too long: what the head had learned before is lost in the first epoch."""
    together = {"head_epochs": 15, "encoder_rate": 1.0, "fit": {"epochs": 1, "lr": 0.3}}
    config = TrainConfig.model_validate(
        HEAD.model_dump() | {"mode": "end-to-end", "granularity": "tiles", "end_to_end": together}
    )
    alone = config.model_copy(update={"mode": "head"})
    finish(train(read_cohort(table), encoder, tmp_path / "head", alone))
    finish(train(read_cohort(table), encoder, tmp_path / "whole", config))
    head, whole = (
        zoo.load_model(tmp_path / name / "model").state_dict() for name in ("head", "whole")
    )
    assert all(torch.equal(whole[name], tensor) for name, tensor in head.items())
    assert (
        "did not improve on the head alone"
        in (tmp_path / "whole" / "model" / "README.md").read_text()
    )
    assert "did not improve on the head alone" in (tmp_path / "whole" / "report.md").read_text()


def test_cancelling_does_not_wait_for_the_step(
    table: Path, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step reads sixteen tiles there and back; told to end at the third, it reads no more."""
    slow = WHOLE.model_copy(update={"end_to_end": WHOLE.end_to_end.model_copy(update={"chunk": 1})})
    within, told, read = threading.Event(), threading.Event(), list[int]()

    class Held(TileReader):
        def read(self, tiles: SlideTiles, indices: Indices) -> Pixels:
            if len(read) == 2:
                within.set()
                assert told.wait(60)
            pixels = super().read(tiles, indices)
            read.append(len(pixels))
            return pixels

        def stop(self) -> None:
            super().stop()
            told.set()

    monkeypatch.setattr("napari_xmag.train.end_to_end_stage.TileReader", Held)
    events = train(read_cohort(table, open_slides=False), encoder, tmp_path / "run", slow)
    last = next(event for event in events if within.is_set())
    assert isinstance(last, Progress)
    assert (last.stage, last.unit) == (Stage.END_TO_END, "tiles")
    events.close()
    assert read == [1, 1]


def test_features_are_kept_for_another_run(
    table: Path, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, cache = read_cohort(table, open_slides=False), tmp_path / "cache"
    finish(train(cohort, encoder, tmp_path / "one", HEAD, cache=cache))
    assert len(list(cache.glob("*.npz"))) == len(list(cache.glob("*.npy"))) == 10
    monkeypatch.setattr("napari_xmag.mil.features._Encoding.run", None)  # nothing is encoded again
    finish(train(cohort, encoder, tmp_path / "two", HEAD, cache=cache))
    weights = [tmp_path / run / "model" / "head.safetensors" for run in ("one", "two")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_problems_stop_it_before_anything_starts(
    table: Path, encoder: Encoder, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(f"slide,label\n{table.parent / '0.tiff'},x\n{table.parent / 'none.tiff'},y\n")
    with pytest.raises(CohortError, match=r"row 3: none\.tiff does not exist"):
        next(train(read_cohort(bad), encoder, tmp_path / "run", HEAD))
    assert not (tmp_path / "run").exists()
    assert isinstance(read_cohort(bad), Cohort)


def with_blank(table: Path, folder: Path, label: str = "benign") -> Path:
    """Write the table again with a slide of nothing but glass."""
    glass = np.full((700, 900, 3), 243, np.uint8)
    glass += np.random.default_rng(0).integers(0, 3, glass.shape, np.uint8)
    write_pyramid(folder / "blank.tiff", glass)
    heading, *rows = table.read_text().splitlines()
    rows = [f"{table.parent}/{row}" for row in rows] + [f"blank.tiff,{label},of its own"]
    (folder / "cohort.csv").write_text("\n".join([heading, *rows]))
    return folder / "cohort.csv"


@pytest.mark.parametrize("config", [HEAD, WHOLE], ids=["head", "end to end"])
def test_a_blank_slide_is_left_out_and_named(
    table: Path, encoder: Encoder, tmp_path: Path, config: TrainConfig
) -> None:
    cohort, out = read_cohort(with_blank(table, tmp_path)), tmp_path / "run"
    events = list(train(cohort, encoder, out, config))
    (left,) = [event for event in events if isinstance(event, SlideLeftOut)]
    assert str(left) == "blank.tiff is left out: no tissue"
    assert isinstance(events[-1], RunFinished)
    assert len(_predictions(out)) == 10
    assert json.loads((out / "metrics.json").read_text())["left_out"] == [str(left)]
    for text in (out / "report.md", out / "model" / "README.md"):
        assert str(left) in text.read_text()


def test_a_blank_slide_is_left_out_of_every_fold(
    table: Path, encoder: Encoder, tmp_path: Path
) -> None:
    folds = HEAD.model_copy(update={"folds": 2, "fit": FitConfig(epochs=1)})
    cohort, out = read_cohort(with_blank(table, tmp_path)), tmp_path / "run"
    events = list(train(cohort, encoder, out, folds))
    left = [event for event in events if isinstance(event, SlideLeftOut)]
    assert [(event.fold, event.slide.name) for event in left] == [
        (1, "blank.tiff"),
        (2, "blank.tiff"),
    ]
    assert isinstance(events[-1], RunFinished)


def test_a_class_of_blank_slides_only_is_told(
    table: Path, encoder: Encoder, tmp_path: Path
) -> None:
    cohort = read_cohort(with_blank(table, tmp_path, label="third"))
    with pytest.raises(CohortError, match="none of third"):
        finish(train(cohort, encoder, tmp_path / "run", HEAD))


def test_a_run_is_not_written_over(table: Path, encoder: Encoder, tmp_path: Path) -> None:
    cohort, out = read_cohort(table, open_slides=False), tmp_path / "run"
    for event in train(cohort, encoder, out, HEAD):
        if isinstance(event, EpochDone):
            break
    with pytest.raises(ConfigError, match="resume that run"):
        finish(train(cohort, encoder, out, HEAD))
    others = HEAD.model_copy(update={"hidden": 8, "device": "cpu"})
    with pytest.raises(ConfigError, match="hidden was 16, now 8") as error:
        finish(train(cohort, encoder, out, others, resume=True))
    assert "device" not in str(error.value)


def test_each_fold_has_its_run_and_all_a_summary(
    table: Path, encoder: Encoder, tmp_path: Path
) -> None:
    cohort, out = read_cohort(table, open_slides=False), tmp_path / "run"
    folds = HEAD.model_copy(update={"folds": 2, "fit": FitConfig(epochs=2)})
    events = train(cohort, encoder, out, folds)
    for event in events:
        if isinstance(event, EpochDone) and (event.fold, event.stage) == (2, Stage.HEAD):
            break
    events.close()
    first = (out / "fold-1" / "model" / "head.safetensors").stat().st_mtime_ns
    assert not (out / "fold-2" / "model").exists()
    finished = list(train(cohort, encoder, out, folds, resume=True))[-1]
    assert isinstance(finished, RunFinished)
    assert finished.folder == out
    assert (out / "fold-1" / "model" / "head.safetensors").stat().st_mtime_ns == first
    tested = [
        row["slide"]
        for number in (1, 2)
        for row in _predictions(out / f"fold-{number}")
        if row["split"] == "test"
    ]
    assert len(tested) == len(set(tested)) == 10
    assert (out / "report.md").exists()


def test_notes_of_the_card(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("## One\n\ntext\n### still one\n\n## Two\nmore\n")
    assert read_notes(path) == {"One": "text\n### still one", "Two": "more"}


def _predictions(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def _require_what_the_model_says(model_folder: Path, out: Path, slides: Path) -> None:
    model = zoo.load_model(model_folder)
    for row in _predictions(out)[:3]:
        path = slides / Path(row["slide"]).name
        encoder = TileEncoder(model.student.eval(), model.info.granularity)
        features = finish(slide_features(path, None, encoder))
        with torch.inference_mode():
            logits = model.head(torch.from_numpy(np.array(features.features))).logits
        found = model.info.probabilities(logits.numpy())[1][1]
        assert found == pytest.approx(float(row["probability_malignant"]), abs=1e-3)
