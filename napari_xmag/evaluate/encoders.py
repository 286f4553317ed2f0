"""The networks that are compared, all asked in one way."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from napari_xmag.evaluate.config import EncoderConfig, MachineConfig
from napari_xmag.nets.device import DeviceBatch, pick_device, ready_on
from napari_xmag.nets.encoder_fingerprint import encoder_fingerprint
from napari_xmag.nets.student import Student, StudentOutput, StudentSpec, build_student
from napari_xmag.nets.teachers.known import TEACHERS
from napari_xmag.nets.teachers.teacher import Teacher, load_teacher, untrained_teacher
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress


class _TakesTiles(Protocol):
    """A frozen network that turns uint8 tiles (B, 3, H, W) into features (B, D)."""

    def __call__(self, tiles: Tensor) -> Tensor: ...


class FrozenEncoder(nn.Module):
    """A teacher asked as a student is: tiles of one size at one mpp, one embedding each.

    Attributes
    ----------
    spec
        Its mpp and tile_px; the teacher normalizes by itself.
    dim
        Length of its feature.
    """

    scale: Tensor

    def __init__(self, teacher: Teacher, mpp: float, tile_px: int) -> None:
        super().__init__()
        self.teacher = teacher
        self.spec = StudentSpec(mpp=mpp, tile_px=tile_px, cells=1)
        self.register_buffer("scale", torch.ones(1), persistent=False)
        tile = torch.zeros(1, 3, tile_px, tile_px, dtype=torch.uint8)
        self.dim = int(cast(_TakesTiles, teacher)(tile).shape[1])

    def forward(self, tiles: Tensor) -> StudentOutput:
        """Encode uint8 tiles (B, 3, tile_px, tile_px)."""
        features = cast(_TakesTiles, self.teacher)(tiles)
        return StudentOutput(features, features.new_empty(len(features), 0, 1, 1))


@dataclass(frozen=True)
class TileSource:
    """An encoder, ready on its device.

    Attributes
    ----------
    identity
        Hash of all that decides its features.
    batch
        Device, precision and batch size.
    cache
        Folder where features are kept, or None.
    """

    student: Student
    identity: str
    batch: DeviceBatch
    cache: Path | None = None

    def facts(self) -> dict[str, Any]:
        """Return what identifies the encoder, ready for JSON."""
        student = self.student
        return {
            "mpp": student.spec.mpp,
            "tile_px": student.spec.tile_px,
            "dim": student.dim,
            "parameters": sum(parameter.numel() for parameter in student.parameters()),
            "precision": str(self.batch.dtype).removeprefix("torch."),
            "device": str(self.batch.device),
            "fingerprint": self.identity,
        }


def tile_source(config: EncoderConfig, machine: MachineConfig, cache: Path | None) -> TileSource:
    """Load an encoder onto its device.

    Raises
    ------
    ModelError
        When it cannot be loaded.
    ConfigError
        When there is no such device.
    """
    device = pick_device(machine.device)
    student = load(config)
    rules = []
    if isinstance(student, FrozenEncoder):
        rules = [student.teacher.spec.feature, student.teacher.spec.tile_px]
    identity = encoder_fingerprint(student, *rules)
    student = ready_on(student, device)
    if machine.batch_size is None:
        batch = DeviceBatch.find(student, device, machine.precision)
    else:
        batch = DeviceBatch(device, machine.batch_size, machine.precision)
    return TileSource(student, identity, batch, cache)


def load_source(
    config: EncoderConfig, machine: MachineConfig, cache: Path | None
) -> Generator[Progress, None, TileSource]:
    """Do as `tile_source`, and yield meanwhile."""
    loading = partial(tile_source, config, machine, cache)
    meter = ProgressMeter(Stage.LOADING, 0, item=config.name)
    return (yield from run_with_progress(loading, meter))


def load(config: EncoderConfig) -> Student:
    """Load an encoder as its settings say, on the CPU and in evaluation mode.

    A teacher comes as a `FrozenEncoder`, which answers wherever a student is encoded with.

    Raises
    ------
    ModelError
        When it cannot be loaded.
    """
    student = _load(config)
    if config.embedding is not None:
        spec = replace(student.spec, embedding=config.embedding)
        student = Student(student.backbone, spec, model_args=student.model_args)
    return student.eval().requires_grad_(False)


def _load(config: EncoderConfig) -> Student:
    if config.model is not None:
        from napari_xmag.zoo import load_model

        return load_model(config.model).student
    if config.student is not None:
        return _student(config.student, config)
    if config.teacher is not None:
        spec = config.teacher.spec()
        mpp, tile_px = config.mpp or spec.mpp, config.tile_px or spec.tile_px
        return _frozen(load_teacher(spec), mpp, tile_px)
    shape = cast(str, config.shape)
    if shape in TEACHERS:
        return _frozen(untrained_teacher(TEACHERS[shape]), config.mpp, config.tile_px)
    # the settings were checked: both are there
    sizes = cast(float, config.mpp), cast(int, config.tile_px)
    return build_student(shape, StudentSpec(*sizes, cells=1))


def _frozen(teacher: Teacher, mpp: float | None, tile_px: int | None) -> Student:
    sizes = cast(float, mpp), cast(int, tile_px)
    return cast(Student, FrozenEncoder(teacher, *sizes))


def _student(folder: Path, config: EncoderConfig) -> Student:
    from napari_xmag.nets.encoder import load_encoder, timm_spec

    spec = None
    if config.mpp is not None:
        spec = timm_spec(folder, mpp=config.mpp, tile_px=config.tile_px, layers=config.layers)
    return load_encoder(folder, spec).student
