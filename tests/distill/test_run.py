"""A whole distillation in small: slides to shards to student; it learns, it repeats, it loads."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from napari_xmag.distill.config import DistillConfig, TeacherConfig, load_config
from napari_xmag.distill.encoder import load_encoder, timm_spec
from napari_xmag.distill.pairs import Pairs
from napari_xmag.distill.prepare import PrepareConfig, prepare
from napari_xmag.distill.run import distill, slide_centers
from napari_xmag.distill.shards import FieldRecord
from napari_xmag.errors import ConfigError, ModelError
from napari_xmag.nets.teacher import TeacherSpec, load_teacher
from napari_xmag.train.beat import finish
from napari_xmag.train.card import card_sections
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.events import EpochDone, Finished, Progress


def save_tiny(folder: Path, *, seed: int) -> Path:
    """Save a small network with random weights as a timm folder."""
    torch.manual_seed(seed)
    network = timm.create_model("test_resnet", pretrained=False, num_classes=0)
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    config = {
        "architecture": "test_resnet",
        "num_classes": 0,
        "pretrained_cfg": {
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "input_size": [3, 64, 64],
            "num_classes": 0,
            "license": "test-1.0",
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def fields(
    aperio_slide: Path, pyramid_slide: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("fields")
    config = PrepareConfig(field_px=512, per_slide=24, stride=0.25, min_tissue=0.5)
    finish(prepare([aperio_slide, pyramid_slide], out, config))
    return out


@pytest.fixture
def config(fields: Path, pyramid_slide: Path, tmp_path: Path) -> DistillConfig:
    save_tiny(tmp_path / "start", seed=1)
    save_tiny(tmp_path / "teacher", seed=2)
    text = f"""
        [data]
        fields = "{fields.as_posix()}"
        cache = "cache"
        validation = ["{pyramid_slide.name}"]
        [student]
        start = "local-dir:start"
        tile_px = 128
        mean = [0.5, 0.5, 0.5]
        std = [0.5, 0.5, 0.5]
        [teacher]
        name = "local-dir:teacher"
        licence = "CC-TEST"
        [loss]
        center = "none"
        [fit]
        epochs = 4
        lr = 3e-3
        ema_decay = 0.8
        [run]
        out = "student"
        batch_size = 8
        licence = "CC-TEST"
    """
    (tmp_path / "config.toml").write_text(text)
    return load_config(tmp_path / "config.toml")


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
    assert stages <= {"teacher", "training"}
    finished = events[-1]
    assert isinstance(finished, Finished)
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


def test_the_same_seed_gives_the_same_student(config: DistillConfig, tmp_path: Path) -> None:
    short = config.model_copy(update={"fit": config.fit.model_copy(update={"epochs": 1})})
    weights = []
    for name in ("one", "two"):
        out = short.run.model_copy(update={"out": tmp_path / name})
        finish(distill(short.model_copy(update={"run": out})))
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


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
    card = card_sections([], TrainConfig(name="tiny"), encoder, {"temperature": 1.0})
    words = card["Licence of the encoder's teacher"]
    assert "teacher (CC-TEST). May it be passed on? Ask first." in words
    assert "second (not stated)" in words
    assert str(tmp_path) not in words


def test_centers_of_all_training_fields_or_of_each_slide() -> None:
    targets = np.zeros((3, 4, 4, 2), np.float16)
    targets[:, :, :, 0] = np.array([1, 3, 8])[:, None, None]
    slides = ("a", "a", "held out")
    records = tuple(FieldRecord(str(i), "t", s, 0, 0, 1, 1, 0.5, "") for i, s in enumerate(slides))
    pairs = Pairs(np.zeros((3, 3, 8, 8), np.uint8), targets, records)
    training = np.array([0, 1])

    def first(kind: Literal["none", "all", "slide"]) -> dict[str, float]:
        return {s: float(c[0]) for s, c in slide_centers(pairs, training, kind).items()}

    assert first("none") == {"a": 0, "held out": 0}
    assert first("all") == {"a": 2, "held out": 2}
    assert first("slide") == {"a": 2, "held out": 8}


def test_too_few_fields_for_a_batch(config: DistillConfig) -> None:
    large = config.run.model_copy(update={"batch_size": 99})
    with pytest.raises(ConfigError, match="24 fields"):
        finish(distill(config.model_copy(update={"run": large})))


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
