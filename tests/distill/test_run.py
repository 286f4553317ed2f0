"""A whole distillation in small: slides to shards to student; it learns, it repeats, it loads."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from napari_xmag.distill.config import DistillConfig, TeacherConfig
from napari_xmag.distill.run import distill
from napari_xmag.errors import ConfigError, ModelError
from napari_xmag.fields.pairs import CachedPairs, Item, PairBatch
from napari_xmag.fields.shards import read_index
from napari_xmag.fields.views import FieldView
from napari_xmag.learn.checkpoint import load_checkpoint
from napari_xmag.learn.scalars import read_scalars
from napari_xmag.nets.encoder import load_encoder, timm_spec
from napari_xmag.nets.student import Student
from napari_xmag.nets.teachers.teacher import TeacherSpec, load_teacher
from napari_xmag.progress.events import EpochDone, Progress, RunFinished, Stage
from napari_xmag.progress.heartbeat import finish
from napari_xmag.train.report.card import origin_sections
from tests.distill.tiny import QUICK, changed, save_tiny


@pytest.mark.usefixtures("float32_cpu")
def test_from_slides_to_a_student(config: DistillConfig) -> None:
    events = list(distill(config))
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert [event.epoch for event in epochs] == [1, 2, 3, 4]
    first, last = epochs[0].scalars, epochs[-1].scalars
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert last["validation_loss"] < first["validation_loss"]
    assert last["train_loss"] == pytest.approx(
        last["train_global"] + 0.5 * last["train_local"], rel=1e-3
    )
    stages = {event.stage for event in events if isinstance(event, Progress)}
    assert stages - {Stage.CENTERING} == {Stage.TEACHER, Stage.TRAINING}
    units = {event.unit for event in events if isinstance(event, Progress)}
    assert units == {"fields"}
    assert 0 < last["validation_agreement"] <= 1
    assert last["validation_agreement"] == pytest.approx(
        (last["validation_agreement_global"] + last["validation_agreement_local"]) / 2
    )
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.metrics["validation_slides"] == [config.data.validation[0]]

    encoder = load_encoder(finished.folder)
    assert encoder.licence == "CC-TEST"
    assert encoder.origin["teacher_licence"] == "CC-TEST"
    assert encoder.student.spec == config.student.spec()
    plain = timm.create_model(f"local-dir:{finished.folder}", pretrained=True)
    pixels = torch.randint(0, 255, (2, 3, 128, 128), dtype=torch.uint8)
    with torch.inference_mode():
        expected = plain.eval().forward_features((pixels / 255 - 0.5) / 0.5).mean((2, 3))
        found = encoder.student.eval()(pixels).embedding
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("targets", ["cached", "online"])
def test_broken_and_resumed_it_gives_the_same_student(
    config: DistillConfig, tmp_path: Path, targets: str
) -> None:
    config = changed(
        config, fit={"epochs": 2}, data={**QUICK, "targets": targets}, augment={"views": 1}
    )
    finish(distill(changed(config, run={"out": tmp_path / "whole"})))
    events = distill(config)
    while not isinstance(event := next(events), EpochDone) or event.epoch < 1:
        pass
    events.close()
    assert not config.run.out.exists()
    with pytest.raises(ConfigError, match=r"after epoch 1.*--resume.*--restart"):
        finish(distill(config))
    with pytest.raises(ConfigError, match=r"augment\.flips was 0\.5, now 0\.1"):
        finish(distill(changed(config, augment={"flips": 0.1}), resume=True))
    epochs = [e.epoch for e in distill(config, resume=True) if isinstance(e, EpochDone)]
    assert epochs == [2]
    assert weights(config.run.out) == weights(tmp_path / "whole")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("lost", [(), ("checkpoint.safetensors",)])
def test_a_run_that_has_ended_is_left_alone(config: DistillConfig, lost: tuple[str, ...]) -> None:
    config = changed(config, fit={"epochs": 1}, data=QUICK)
    done = list(distill(config))[-1]
    records = config.run.record_folder
    for name in lost:
        (records / name).unlink()
    before = contents(records), contents(config.run.out)
    again = list(distill(config, resume=True))
    assert again[-1] == done
    assert not [event for event in again if isinstance(event, EpochDone)]
    for other in ({"fit": {"epochs": 2}}, {"data": {**QUICK, "training_fields": 8}}):
        with pytest.raises(ConfigError, match=r"(epochs was 1|training_fields was null), now"):
            finish(distill(changed(config, **other), resume=True))
    assert (contents(records), contents(config.run.out)) == before


@pytest.mark.parametrize(
    ("lost", "found", "resumed"),
    [
        ((), "after epoch 1.*--resume", "flips was"),
        (("checkpoint.safetensors",), "which has ended.*--resume", "flips was"),
        (("checkpoint.safetensors", "ended.json"), "a student in", "no such records"),
    ],
)
def test_nothing_of_an_earlier_run_is_overwritten_unasked(
    config: DistillConfig, lost: tuple[str, ...], found: str, resumed: str
) -> None:
    config = changed(config, fit={"epochs": 1}, data=QUICK)
    finish(distill(config))
    records = config.run.record_folder
    for name in lost:
        (records / name).unlink()
    before = contents(records), contents(config.run.out)
    other = changed(config, augment={"flips": 0.1})
    with pytest.raises(ConfigError, match=rf"{found}.*--restart"):
        finish(distill(other))
    with pytest.raises(ConfigError, match=rf"{resumed}"):
        finish(distill(other, resume=True))
    assert (contents(records), contents(config.run.out)) == before


def test_a_run_broken_off_after_its_last_epoch_has_all_figures(config: DistillConfig) -> None:
    config = changed(config, fit={"epochs": 1}, data=QUICK)
    events = distill(config)
    while not isinstance(event := next(events), EpochDone):
        pass
    events.close()
    assert not config.run.out.exists()
    done = list(distill(config, resume=True))[-1]
    assert isinstance(done, RunFinished)
    figures = {name: value for name, value in event.scalars.items() if "validation" in name}
    assert len(figures) > 2
    for name, value in figures.items():
        assert done.metrics[name] == pytest.approx(value, rel=1e-4)


def test_a_student_that_was_removed_or_is_of_another_licence_is_written_again(
    config: DistillConfig,
) -> None:
    config = changed(config, fit={"epochs": 1}, data=QUICK)
    finish(distill(config))
    before = weights(config.run.out)
    shutil.rmtree(config.run.out)
    finish(distill(config, resume=True))
    assert weights(config.run.out) == before
    (config.run.out / "model.safetensors").unlink()
    finish(distill(config, resume=True))
    assert weights(config.run.out) == before
    finish(distill(changed(config, run={"licence": "CC-OTHER"}), resume=True))
    assert load_encoder(config.run.out).licence == "CC-OTHER"
    assert weights(config.run.out) == before


def test_the_student_of_another_run_is_not_taken_for_the_one_asked_for(
    config: DistillConfig, tmp_path: Path
) -> None:
    config = changed(config, fit={"epochs": 1}, data=QUICK)
    finish(distill(config))
    other = changed(config, run={"out": tmp_path / "other"}, augment={"flips": 0.1})
    finish(distill(other))
    assert weights(other.run.out) != weights(config.run.out)
    records = {"out": other.run.out, "records": config.run.record_folder}
    finish(distill(changed(config, run=records), resume=True))
    assert weights(other.run.out) == weights(config.run.out)


def test_records_lie_beside_the_student(config: DistillConfig) -> None:
    config = changed(config, fit={"epochs": 2}, data=QUICK)
    finish(distill(config))
    folder = config.run.out.with_name("student-run")
    assert {path.name for path in folder.iterdir()} == {
        "checkpoint.safetensors", "scalars.csv", "tensorboard", "config.json", "ended.json",
    }  # fmt: skip
    assert [row["epoch"] for row in read_scalars(folder)] == [1, 2]
    assert json.loads((folder / "config.json").read_text())["fit"]["epochs"] == 2
    finish(distill(config, restart=True))
    assert [row["epoch"] for row in read_scalars(folder)] == [1, 2]


def test_online_teachers_see_what_the_student_sees(config: DistillConfig) -> None:
    config = changed(
        config,
        fit={"epochs": 2},
        data={**QUICK, "targets": "online", "cache": None},
        loss={"center": "all"},
        augment={"views": 1},
    )
    events = list(distill(config))
    losses = [e.scalars["train_loss"] for e in events if isinstance(e, EpochDone)]
    assert losses[1] < losses[0]
    assert not list(config.run.out.parent.glob("cache"))
    assert load_encoder(config.run.out).origin["targets"] == "online"


def test_held_out_fields_are_never_learned_from(
    config: DistillConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: set[str] = set()
    original = CachedPairs.load

    def watched(self: CachedPairs, items: Sequence[Item]) -> PairBatch:
        if any(view != FieldView() for _, view in items):
            learned.update(self.records[row].slide for row, _ in items)
        return original(self, items)

    monkeypatch.setattr(CachedPairs, "load", watched)
    finish(distill(changed(config, fit={"epochs": 1}, data=QUICK)))
    assert learned
    assert not learned & set(config.data.validation)


def test_a_part_of_the_fields_is_learned_from_with_the_features_of_all(
    config: DistillConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: set[int] = set()
    original = CachedPairs.load

    def watched(self: CachedPairs, items: Sequence[Item]) -> PairBatch:
        if any(view != FieldView() for _, view in items):
            learned.update(row for row, _ in items)
        return original(self, items)

    monkeypatch.setattr(CachedPairs, "load", watched)
    few = changed(config, fit={"epochs": 1}, data={**QUICK, "training_fields": 8})
    done = list(distill(few))[-1]
    assert isinstance(done, RunFinished)
    assert done.metrics["fields"] == len(learned) == 8
    of_training = [
        row
        for row, record in enumerate(read_index(config.data.fields))
        if record.slide not in config.data.validation
    ]
    assert learned < set(of_training)
    assert {of_training[0], of_training[-1]} <= learned

    again = list(distill(changed(config, fit={"epochs": 1}, data=QUICK), restart=True))
    assert Stage.TEACHER not in {event.stage for event in again if isinstance(event, Progress)}


def test_the_best_epoch_may_be_kept(config: DistillConfig) -> None:
    config = changed(
        config,
        run={"keep": "best"},
        fit={"epochs": 3, "patience": 1, "lr": 0.5},
        data=QUICK,
    )
    epochs = [event for event in distill(config) if isinstance(event, EpochDone)]
    figures = [event.scalars["validation_agreement"] for event in epochs]
    state = load_file(config.run.out / "model.safetensors")
    tensors, facts = load_checkpoint(config.run.record_folder / "checkpoint.safetensors")
    assert facts["best"]["value"] == max(figures)
    part = "average" if facts["best"]["epoch"] == len(epochs) else "best"
    for name, value in state.items():
        assert torch.equal(value, tensors[f"{part}/student.backbone.{name}"])


def test_recomputed_activations_change_nothing(config: DistillConfig, tmp_path: Path) -> None:
    config = changed(config, fit={"epochs": 1}, data=QUICK)
    finish(distill(config))
    lean = changed(config, student={"checkpointing": True}, run={"out": tmp_path / "lean"})
    finish(distill(lean))
    kept, again = (load_file(f / "model.safetensors") for f in (config.run.out, lean.run.out))
    for name, value in kept.items():
        torch.testing.assert_close(again[name], value, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_student(config: DistillConfig, tmp_path: Path) -> None:
    short = config.model_copy(update={"fit": config.fit.model_copy(update={"epochs": 1})})
    weights = []
    for name in ("one", "two"):
        out = short.run.model_copy(update={"out": tmp_path / name})
        finish(distill(short.model_copy(update={"run": out})))
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_a_student_of_two_layers_learns_and_says_so(config: DistillConfig) -> None:
    section = config.student.model_copy(update={"layers": 2})
    finish(distill(config.model_copy(update={"student": section})))
    one, two = config.student.spec(), load_encoder(config.run.out).student
    assert two.spec == replace(one, layers=2)
    assert two.dim > Student(two.backbone, one).dim


def test_two_teachers_and_their_licences_reach_the_card(
    config: DistillConfig, tmp_path: Path
) -> None:
    second = TeacherConfig(name=f"local-dir:{save_tiny(tmp_path / 'second', seed=3)}", weight=0.5)
    fit = config.fit.model_copy(update={"epochs": 1})
    both = config.model_copy(update={"more_teachers": (second,), "fit": fit})
    finish(distill(both))
    caches = {json.loads(about.read_text())["teacher"]["name"] for about in
              config.data.cache.glob("*/about.json")}  # fmt: skip
    assert {Path(name).name for name in caches} >= {"teacher", "second"}
    encoder = load_encoder(config.run.out)
    assert [teacher["name"] for teacher in encoder.origin["teachers"]] == ["teacher", "second"]
    card = origin_sections(encoder)
    words = card["Licence of the encoder's teacher"]
    assert "teacher (CC-TEST). May it be shared? Ask first." in words
    assert "second (not stated)" in words
    assert str(tmp_path) not in words


def test_too_few_fields_for_a_batch(config: DistillConfig) -> None:
    large = config.run.model_copy(update={"batch_size": 99})
    with pytest.raises(ConfigError, match="12 fields"):
        finish(distill(config.model_copy(update={"run": large})))


def test_without_fields_nothing_is_written(config: DistillConfig, tmp_path: Path) -> None:
    missing = config.model_copy(
        update={"data": config.data.model_copy(update={"fields": tmp_path / "gone"})}
    )
    with pytest.raises(ConfigError, match=r"no file .*gone"):
        finish(distill(missing))
    assert not config.run.record_folder.exists()


def test_an_altered_student_is_refused(config: DistillConfig, tmp_path: Path) -> None:
    short = config.model_copy(update={"fit": config.fit.model_copy(update={"epochs": 1})})
    finish(distill(short))
    weights = config.run.out / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="others"):
        load_encoder(config.run.out)


def test_a_plain_network_must_be_told_its_tiles(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "plain", seed=0)
    with pytest.raises(ModelError, match="--tile-mpp"):
        load_encoder(folder)
    encoder = load_encoder(folder, timm_spec(folder, mpp=2.0, tile_px=128))
    assert encoder.student.spec.mean == (0.5, 0.5, 0.5)
    assert encoder.licence == "test-1.0"


def test_an_unknown_teacher_is_named() -> None:
    with pytest.raises(ModelError, match="no_such_network"):
        load_teacher(TeacherSpec("no_such_network"))
