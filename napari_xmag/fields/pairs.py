"""Pairs of a student's 5x view and the teachers' 4×4 features of the same field."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_xmag.errors import ConfigError
from napari_xmag.fields.shards import FieldRecord
from napari_xmag.fields.store import FieldStore
from napari_xmag.fields.views import FieldView
from napari_xmag.nets.device import autocast
from napari_xmag.nets.student import StudentSpec
from napari_xmag.nets.teachers.teacher import Teacher, field_features

Item = tuple[int, FieldView]
"""A field by its row, and one view of it."""

# A large teacher fills a GPU with the tiles of so many fields; on a CPU more at once are slower.
_FIELDS_AT_ONCE = 8


class PairBatch(NamedTuple):
    """Views uint8 (B, 3, H, W) and the teachers' features (B, cells, cells, D) of the same.

    D is the sum of the teachers' widths: their features side by side.
    """

    views: Tensor
    grid: Tensor


class Pairs(Protocol):
    """Where the pairs come from.

    Attributes
    ----------
    records
        The N fields.
    widths
        Length of each teacher's feature.
    """

    @property
    def records(self) -> tuple[FieldRecord, ...]:
        """The fields."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Length of each teacher's feature."""

    def load(self, items: Sequence[Item]) -> Any:
        """Read what a batch needs; any thread may do so."""

    def batch(self, loaded: Any, device: torch.device) -> PairBatch:
        """Return the batch of what was loaded, on the device."""

    def mean(self, row: int) -> NDArray[np.float64]:
        """Return the teachers' mean feature (D,) of an unchanged field."""


@dataclass(frozen=True)
class CachedPairs:
    """Views and teacher features, memory-mapped, one row for each record.

    The teachers saw each field once, as it is: in a mirrored view their features change places.

    Attributes
    ----------
    views
        uint8 (N, 3, tile_px, tile_px).
    targets
        float16 (N, cells, cells, D): ``[n, row, column]`` belongs to that part of the view.
    records
        The N fields.
    more
        Targets of further teachers, each (N, cells, cells, its own width).
    """

    views: NDArray[np.uint8]
    targets: NDArray[np.float16]
    records: tuple[FieldRecord, ...]
    more: tuple[NDArray[np.float16], ...] = ()

    @property
    def widths(self) -> tuple[int, ...]:
        """Length of each teacher's feature."""
        return tuple(targets.shape[-1] for targets in (self.targets, *self.more))

    def grid(self, row: int) -> NDArray[np.float32]:
        """Return the targets of one field (cells, cells, sum of widths), teachers in order."""
        parts = [targets[row] for targets in (self.targets, *self.more)]
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    def load(self, items: Sequence[Item]) -> PairBatch:
        """Return the batch on the CPU."""
        views = [view.student(torch.from_numpy(np.array(self.views[row]))) for row, view in items]
        grids = [view.grid(torch.from_numpy(self.grid(row))) for row, view in items]
        return PairBatch(torch.stack(views), torch.stack(grids))

    def batch(self, loaded: PairBatch, device: torch.device) -> PairBatch:
        """Return the batch on the device."""
        return PairBatch(loaded.views.to(device), loaded.grid.to(device))

    def mean(self, row: int) -> NDArray[np.float64]:
        """Return the teachers' mean feature (D,) of a field."""
        mean: NDArray[np.float64] = self.grid(row).mean(axis=(0, 1), dtype=np.float64)
        return mean


@dataclass(frozen=True)
class OnlinePairs:
    """Pairs made anew for each view, as published: the teachers see what the student sees.

    Attributes
    ----------
    store
        The fields.
    teachers
        On their device.
    spec
        What the student expects of its tiles.
    """

    store: FieldStore
    teachers: tuple[Teacher, ...]
    spec: StudentSpec

    @property
    def records(self) -> tuple[FieldRecord, ...]:
        """The fields."""
        return self.store.records

    @property
    def widths(self) -> tuple[int, ...]:
        """Length of each teacher's feature."""
        mpp = self.records[0].mpp
        return tuple(feature_width(teacher, self.spec, mpp) for teacher in self.teachers)

    def load(self, items: Sequence[Item]) -> list[tuple[Tensor, Tensor, list[FieldView]]]:
        """Decode each field once: its pixels at 20x and at 5x, and the views wanted of it."""
        views: dict[int, list[FieldView]] = {}
        for row, view in items:
            views.setdefault(row, []).append(view)
        return [(*self._scales(row), wanted) for row, wanted in views.items()]

    def batch(
        self, loaded: list[tuple[Tensor, Tensor, list[FieldView]]], device: torch.device
    ) -> PairBatch:
        """Make the views at both scales and let the teachers see theirs."""
        views, fields = [], []
        for field, small, wanted in loaded:
            field, small = field.to(device), small.to(device)
            views += [view.student(small) for view in wanted]
            fields += [view.pixels(field) for view in wanted]
        return PairBatch(torch.stack(views), self._taught(fields))

    def mean(self, row: int) -> NDArray[np.float64]:
        """Return the teachers' mean feature (D,) of a field."""
        grid = self._taught([self._scales(row)[0].to(self._device)])
        return grid.mean((0, 1, 2)).double().cpu().numpy()

    @property
    def _device(self) -> torch.device:
        return self.teachers[0].mean.device

    def _scales(self, row: int) -> tuple[Tensor, Tensor]:
        field = self.store.read(row)
        require_size(field, self.spec, self.records[row].mpp)
        small = torch.from_numpy(student_view(field, self.spec.tile_px))
        return torch.from_numpy(np.ascontiguousarray(field.transpose(2, 0, 1))), small

    def _taught(self, fields: list[Tensor]) -> Tensor:
        """Return the teachers' features (B, cells, cells, D) of fields (3, S, S)."""
        step = 1 if self._device.type == "cpu" else _FIELDS_AT_ONCE
        grids = []
        for start in range(0, len(fields), step):
            some = torch.stack(fields[start : start + step])
            grids.append(taught(self.teachers, some, self.spec.cells))
        return torch.cat(grids)


def taught(teachers: Sequence[Teacher], fields: Tensor, cells: int) -> Tensor:
    """Return the teachers' features float32 (B, cells, cells, D) of uint8 fields (B, 3, S, S)."""
    with autocast(fields.device):
        return torch.cat([field_features(teacher, fields, cells) for teacher in teachers], dim=-1)


def feature_width(teacher: Teacher, spec: StudentSpec, mpp: float) -> int:
    """Return the length of a teacher's feature of a tile of fields at ``mpp`` µm/px."""
    side = round(spec.tile_px * spec.mpp / mpp) // spec.cells
    tile = torch.zeros(1, 3, side, side, dtype=torch.uint8, device=teacher.mean.device)
    return int(teacher(tile).shape[-1])


def student_view(field: NDArray[np.uint8], tile_px: int) -> NDArray[np.uint8]:
    """Return a field (S, S, 3) as the student sees it: (3, tile_px, tile_px), Lanczos."""
    image = Image.fromarray(field).resize((tile_px, tile_px), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def require_size(field: NDArray[np.uint8], spec: StudentSpec, mpp: float) -> None:
    """Refuse a field (S, S, 3) that does not show exactly the student's tile.

    Raises
    ------
    ConfigError
        When it does not.
    """
    wanted = round(spec.tile_px * spec.mpp / mpp)
    if field.shape[:2] != (wanted, wanted):
        raise ConfigError(
            expected=f"fields of {wanted} px, which is what a tile of {spec.tile_px} px shows",
            found=f"{field.shape[1]}×{field.shape[0]} px",
            hint=f"Prepare the fields again with --field-px {wanted}.",
        )


def require_fit(records: Sequence[FieldRecord], spec: StudentSpec) -> None:
    """Refuse fields that do not cut evenly into cells.

    Raises
    ------
    ConfigError
        When they do not, or there are none.
    """
    if not records:
        raise ConfigError(
            expected="fields for training", found="none", hint="Run distill prepare first."
        )
    pixels = spec.tile_px * spec.mpp / records[0].mpp
    if abs(pixels - round(pixels)) > 1e-6 or round(pixels) % spec.cells:
        raise ConfigError(
            expected=f"fields that cut evenly into {spec.cells}×{spec.cells} teacher tiles",
            found=f"{pixels:g} px for a tile of {spec.tile_px} px at {spec.mpp} µm/px",
            hint="Choose another tile_px.",
        )
