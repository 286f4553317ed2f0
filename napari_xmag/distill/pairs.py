"""Pairs of a student's 5x view and the teacher's 4×4 features of the same field, made once."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_xmag.distill.shards import FieldRecord, read_fields
from napari_xmag.errors import ConfigError
from napari_xmag.nets.device import autocast
from napari_xmag.nets.student import StudentSpec
from napari_xmag.nets.teacher import Teacher, field_features
from napari_xmag.train.beat import Pace, beating
from napari_xmag.train.events import Progress

log = logging.getLogger(__name__)

# What is only said about a teacher changes none of its features.
_SAID = {"title", "architecture", "mpp", "width", "gated", "sharing", "terms"}


@dataclass(frozen=True)
class Pairs:
    """Views and teacher features, memory-mapped, one row for each record.

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

    def grid(self, index: int) -> NDArray[np.float32]:
        """Return the targets of one field (cells, cells, sum of widths), teachers in order."""
        parts = [targets[index] for targets in (self.targets, *self.more)]
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        """Return view uint8 (3, H, W) and targets float32, see `grid`, of one field."""
        view = torch.from_numpy(np.array(self.views[index]))
        return view, torch.from_numpy(self.grid(index))

    def rows(self, slides: Sequence[str]) -> NDArray[np.intp]:
        """Return the rows whose slide is among ``slides``."""
        return np.flatnonzero([record.slide in slides for record in self.records])


def held_out(records: Sequence[FieldRecord], patterns: Sequence[str], seed: int) -> list[str]:
    """Return the slides kept for validation.

    Raises
    ------
    ConfigError
        When a pattern names no slide, or nothing would be left on one side.
    """
    slides = sorted({record.slide for record in records})
    for pattern in patterns:
        if not any(fnmatch(slide, pattern) for slide in slides):
            raise _bad_split(f"no slide like {pattern!r} among {', '.join(slides)}")
    if patterns:
        chosen = [s for s in slides if any(fnmatch(s, pattern) for pattern in patterns)]
    else:
        draw = np.random.default_rng(seed).permutation(len(slides))
        chosen = sorted(slides[i] for i in draw[: max(1, len(slides) // 8)])
    if not slides or len(chosen) == len(slides):
        raise _bad_split(f"{len(chosen)} of {len(slides)} slides held out")
    return chosen


def student_view(field: NDArray[np.uint8], tile_px: int) -> NDArray[np.uint8]:
    """Return a field (S, S, 3) as the student sees it: (3, tile_px, tile_px), Lanczos."""
    image = Image.fromarray(field).resize((tile_px, tile_px), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def cached_pairs(
    fields: Path,
    records: Sequence[FieldRecord],
    teacher: Teacher,
    spec: StudentSpec,
    cache: Path,
) -> Generator[Progress, None, Pairs]:
    """Open the cache for these fields, teacher and tile size, or make it.

    Raises
    ------
    ConfigError
        When the fields do not cover the student's tile, or a shard is broken.
    """
    _require_fit(records, spec)
    _say_scale(teacher, spec)
    folder = cache / _identity(records, teacher, spec)
    if not folder.exists():
        partial = folder.with_name(folder.name + ".part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield from _fill(partial, fields, records, teacher, spec)
        os.replace(partial, folder)
    return Pairs(
        np.load(folder / "views.npy", mmap_mode="r"),
        np.load(folder / "targets.npy", mmap_mode="r"),
        tuple(records),
    )


def _fill(
    folder: Path,
    fields: Path,
    records: Sequence[FieldRecord],
    teacher: Teacher,
    spec: StudentSpec,
) -> Generator[Progress, None, None]:
    pace = Pace("teacher", len(records))
    source, mpp = read_fields(fields, records), records[0].mpp
    views, targets = None, None
    for row in range(len(records)):
        view, grid = yield from beating(lambda: _pair(next(source), mpp, teacher, spec), pace)
        if views is None or targets is None:
            shape = (len(records), *view.shape)
            views = _array(folder / "views.npy", np.uint8, shape)
            targets = _array(folder / "targets.npy", np.float16, (len(records), *grid.shape))
        views[row], targets[row] = view, grid
        pace.add(1)
    for array in (views, targets):
        if array is not None:
            array.flush()
    about = {"teacher": asdict(teacher.spec), "fields": len(records)}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _pair(
    field: NDArray[np.uint8], mpp: float, teacher: Teacher, spec: StudentSpec
) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    wanted = round(spec.tile_px * spec.mpp / mpp)
    if field.shape[:2] != (wanted, wanted):
        raise ConfigError(
            wanted=f"fields of {wanted} px, which is what a tile of {spec.tile_px} px shows",
            found=f"{field.shape[1]}×{field.shape[0]} px",
            remedy=f"Prepare fields anew with --field-px {wanted}.",
        )
    device = teacher.mean.device
    pixels = torch.from_numpy(np.ascontiguousarray(field.transpose(2, 0, 1))).to(device)
    with autocast(device):
        grid = field_features(teacher, pixels, spec.cells)
    return student_view(field, spec.tile_px), grid.cpu().numpy().astype(np.float16)


def _array(
    path: Path, kind: type[np.generic], shape: tuple[int, ...]
) -> "np.memmap[tuple[int, ...], np.dtype[np.generic]]":
    return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)


def _identity(records: Sequence[FieldRecord], teacher: Teacher, spec: StudentSpec) -> str:
    """Hash of all that the cache depends on: other fields or teacher, other cache."""
    weights = hashlib.sha256()
    for name, tensor in sorted(teacher.network.state_dict().items()):
        weights.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    parts = [record.sha256 for record in records]
    spoken = asdict(teacher.spec)
    rule = {key: value for key, value in spoken.items() if key not in _SAID}
    rule["name"] = weights.hexdigest()
    parts += [json.dumps(rule, sort_keys=True), f"{spec.tile_px}/{spec.cells}"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def _require_fit(records: Sequence[FieldRecord], spec: StudentSpec) -> None:
    """A field must show exactly the student's tile, and cut evenly into cells."""
    if not records:
        raise ConfigError(
            wanted="fields to learn from", found="none", remedy="Run distill prepare first."
        )
    pixels = spec.tile_px * spec.mpp / records[0].mpp
    if abs(pixels - round(pixels)) > 1e-6 or round(pixels) % spec.cells:
        raise ConfigError(
            wanted=f"fields that cut evenly into {spec.cells}×{spec.cells} teacher tiles",
            found=f"{pixels:g} px for a tile of {spec.tile_px} px at {spec.mpp} µm/px",
            remedy="Choose another tile_px.",
        )


def _say_scale(teacher: Teacher, spec: StudentSpec) -> None:
    """Warn when the teacher sees tissue at another scale than it was made for."""
    made_for, side = teacher.spec.mpp, teacher.spec.tile_px
    if made_for is None or side is None:
        return
    seen = spec.tile_px * spec.mpp / spec.cells / side
    if abs(seen / made_for - 1) > 0.02:
        log.warning(
            "The teacher %s sees tissue at %.3g µm/px; it was made for %g.",
            teacher.spec.title,
            seen,
            made_for,
        )


def _bad_split(found: str) -> ConfigError:
    return ConfigError(
        wanted="slides to learn from and others held out for validation",
        found=found,
        remedy="Correct data.validation, or prepare more slides.",
    )


def shuffled(
    rows: NDArray[np.intp], size: int, seed: int, epoch: int
) -> Iterator[NDArray[np.intp]]:
    """Yield full batches of rows in an order that depends on seed and epoch alone."""
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    for start in range(0, len(order) - size + 1, size):
        yield order[start : start + size]
