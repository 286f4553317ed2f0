"""The networks that are compared, all asked in one way."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from napari_xmag.evaluate.config import EncoderConfig, MachineConfig
from napari_xmag.evaluate.shapes import build_shape
from napari_xmag.nets.device import DeviceBatch, pick_device, place
from napari_xmag.nets.student import Student, StudentOutput, StudentSpec
from napari_xmag.nets.teacher import Teacher, TeacherSpec, load_teacher


class _TakesTiles(Protocol):
    """A frozen network that turns uint8 tiles (B, 3, H, W) into features (B, D)."""

    def __call__(self, tiles: Tensor) -> Tensor: ...


class FrozenEncoder(nn.Module):
    """A teacher asked as a student is: tiles of one size at one mpp, one embedding each.

    Attributes
    ----------
    spec
        Its mpp and tile_px; the teacher normalises by itself.
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
    identity = fingerprint(student, config)
    student = place(student, device)
    if machine.batch_size is None:
        batch = DeviceBatch.find(student, device, machine.precision)
    else:
        batch = DeviceBatch(device, machine.batch_size, machine.precision)
    return TileSource(student, identity, batch, cache)


def load(config: EncoderConfig) -> Student:
    """Load an encoder as its settings say, on the CPU and in evaluation mode.

    A teacher comes as a `FrozenEncoder`, which answers wherever a student is encoded with.

    Raises
    ------
    ModelError
        When it cannot be loaded.
    """
    student = _load(config)
    return student.eval().requires_grad_(False)


def _load(config: EncoderConfig) -> Student:
    if config.model is not None:
        from napari_xmag.zoo import load_model

        return load_model(config.model).student
    if config.student is not None:
        return _student(config.student, config.mpp, config.tile_px)
    # the settings were checked: both are there
    mpp, tile_px = cast(float, config.mpp), cast(int, config.tile_px)
    if config.teacher is not None:
        teacher = load_teacher(config.teacher.spec())
    else:
        shape = cast(str, config.shape)
        teacher = Teacher(build_shape(shape, tile_px), TeacherSpec(shape, feature="cls"))
    return cast(Student, FrozenEncoder(teacher, mpp, tile_px))


def _student(folder: Path, mpp: float | None, tile_px: int | None) -> Student:
    from napari_xmag.distill.encoder import load_encoder, timm_spec

    spec = None if mpp is None else timm_spec(folder, mpp=mpp, tile_px=tile_px)
    return load_encoder(folder, spec).student


def fingerprint(encoder: nn.Module, config: EncoderConfig) -> str:
    """Return a hash of all that decides an encoder's features: weights, scale and rule."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        value = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    spec = asdict(cast(Student, encoder).spec)
    rule = config.teacher.model_dump(exclude={"name", "licence"}) if config.teacher else {}
    digest.update(repr((sorted(spec.items()), sorted(rule.items()))).encode())
    return digest.hexdigest()
