"""Fields in tar files of the webdataset layout (key.jpg and key.json), and their index."""

import csv
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.errors import ConfigError, ExportError
from napari_xmag.filenames import INDEX
from napari_xmag.files import whole_file
from napari_xmag.geometry import Box

_NUMBERS = {"x", "y", "width", "height", "mpp"}


@dataclass(frozen=True, slots=True)
class FieldRecord:
    """One field: where it lies and what its file must hash to.

    Attributes
    ----------
    key
        Name of its files in the shard, without suffix.
    shard
        File name of the tar it lies in.
    slide
        File name of its slide.
    x, y, width, height
        Box in level-0 pixels.
    mpp
        µm per pixel of the field's own pixels.
    sha256
        Of the JPEG.
    case
        Whose tissue it is: fields of one case are held out together. That of the slide when none
        is given.
    """

    key: str
    shard: str
    slide: str
    x: float
    y: float
    width: float
    height: float
    mpp: float
    sha256: str
    case: str = ""

    def __post_init__(self) -> None:
        if not self.case:
            object.__setattr__(self, "case", self.slide)


class ShardWriter:
    """Appends fields to a shard that `write_shard` opened."""

    def __init__(self, tar: tarfile.TarFile, path: Path, mpp: float, quality: int) -> None:
        self.records: list[FieldRecord] = []
        self._tar, self._path, self._mpp, self._quality = tar, path, mpp, quality

    def add(self, box: Box, pixels: NDArray[np.uint8], *, slide: str, case: str = "") -> None:
        """Append a field of a slide as JPEG (4:4:4, so that stain edges keep their colour)."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=self._quality, subsampling=0)
        data = buffer.getvalue()
        record = FieldRecord(
            key=f"{self._path.stem}-{len(self.records):06d}",
            shard=self._path.name,
            slide=slide,
            x=box.x,
            y=box.y,
            width=box.width,
            height=box.height,
            mpp=self._mpp,
            sha256=hashlib.sha256(data).hexdigest(),
            case=case,
        )
        self._put(f"{record.key}.jpg", data)
        self._put(f"{record.key}.json", json.dumps(asdict(record)).encode())
        self.records.append(record)

    def _put(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        try:
            self._tar.addfile(member, io.BytesIO(data))
        except OSError as error:
            raise ExportError(
                expected=f"to write {self._path.name} in {self._path.parent}",
                found=error.strerror or str(error),
                hint="Choose a folder that you may write to, with enough free space.",
                causes=[error],
            ) from error


@contextmanager
def write_shard(path: Path, *, mpp: float, quality: int) -> Iterator[ShardWriter]:
    """Open a shard; it is there when the block has ended well, and not at all otherwise.

    Parameters
    ----------
    mpp
        µm per pixel of its fields.
    quality
        Of the JPEGs, up to 100.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    with whole_file(path) as part, tarfile.open(part, "w") as tar:
        yield ShardWriter(tar, path, mpp, quality)


def write_index(folder: Path, records: Iterable[FieldRecord]) -> None:
    """Write ``index.csv``, all of it or nothing."""
    with (
        whole_file(folder / INDEX) as part,
        part.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, [field.name for field in fields(FieldRecord)])
        writer.writeheader()
        writer.writerows(asdict(record) for record in records)


def read_index(folder: Path) -> list[FieldRecord]:
    """Read the index of a folder of shards.

    Raises
    ------
    ConfigError
        When there is none, or a row cannot be read.
    """
    path = folder / INDEX
    expected = f"a folder of fields with its {INDEX}"
    hint = "Create it with: napari-xmag distill prepare SLIDES --out FOLDER"
    if not path.exists():
        raise ConfigError(expected=expected, found=f"no file {path}", hint=hint)
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [_record(row) for row in csv.DictReader(stream)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            expected=expected,
            found=f"{type(error).__name__}: {error} in {path}",
            hint=hint,
            causes=[error],
        ) from error


def _record(row: dict[str, str]) -> FieldRecord:
    names = [field.name for field in fields(FieldRecord) if field.name in row]
    values: dict[str, Any] = {
        name: float(row[name]) if name in _NUMBERS else row[name] for name in names
    }
    return FieldRecord(**values)


def decode_field(data: bytes, record: FieldRecord) -> NDArray[np.uint8]:
    """Return the pixels (S, S, 3) of a field from its JPEG.

    Raises
    ------
    ConfigError
        When it is not what the index says.
    """
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise broken_field(record, "a content that differs from the index")
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def broken_field(
    record: FieldRecord, found: str, causes: list[Exception] | None = None
) -> ConfigError:
    """Return the error that names a field which cannot be read."""
    return ConfigError(
        expected=f"the field {record.key} in {record.shard}",
        found=found,
        hint="Delete that shard, then run distill prepare again.",
        causes=causes or (),
    )
