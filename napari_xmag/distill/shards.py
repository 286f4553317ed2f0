"""Fields in tar files of the webdataset layout (key.jpg and key.json), and their index."""

import csv
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.analyze.files import whole_file
from napari_xmag.errors import ConfigError
from napari_xmag.geometry import Box

INDEX = "index.csv"
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


class ShardWriter:
    """Writes one shard under a temporary name; `finish` puts it in place."""

    def __init__(self, path: Path, *, slide: str, mpp: float, quality: int) -> None:
        self.records: list[FieldRecord] = []
        self._path, self._slide, self._mpp, self._quality = path, slide, mpp, quality
        self._partial = path.with_name(path.name + ".part")
        self._tar = tarfile.open(self._partial, "w")  # noqa: SIM115 - closed by finish or discard

    def add(self, box: Box, pixels: NDArray[np.uint8]) -> None:
        """Append a field as JPEG (4:4:4, so that stain edges keep their colour)."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=self._quality, subsampling=0)
        data = buffer.getvalue()
        record = FieldRecord(
            key=f"{self._path.stem}-{len(self.records):06d}",
            shard=self._path.name,
            slide=self._slide,
            x=box.x,
            y=box.y,
            width=box.width,
            height=box.height,
            mpp=self._mpp,
            sha256=hashlib.sha256(data).hexdigest(),
        )
        self._put(f"{record.key}.jpg", data)
        self._put(f"{record.key}.json", json.dumps(asdict(record)).encode())
        self.records.append(record)

    def finish(self) -> None:
        """Close the shard and give it its name."""
        self._tar.close()
        os.replace(self._partial, self._path)

    def discard(self) -> None:
        """Close the shard and leave nothing of it."""
        self._tar.close()
        self._partial.unlink(missing_ok=True)

    def _put(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))


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
    kinds = {field.name: float if field.name in _NUMBERS else str for field in fields(FieldRecord)}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [
                FieldRecord(**{name: kind(row[name]) for name, kind in kinds.items()})  # type: ignore[arg-type]
                for row in csv.DictReader(stream)
            ]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            wanted=f"a folder of fields with its {INDEX}",
            found=f"{type(error).__name__}: {error} in {path}",
            remedy="Make it with: napari-xmag distill prepare SLIDES --out FOLDER",
            causes=[error],
        ) from error


def read_fields(folder: Path, records: Iterable[FieldRecord]) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels (S, S, 3) of the records, in their order.

    Raises
    ------
    ConfigError
        When a shard is missing or broken, or a field is not what the index says; it is named.
    """
    shard, opened = "", None
    try:
        for record in records:
            try:
                if opened is None or record.shard != shard:
                    if opened is not None:
                        opened.close()
                    opened, shard = tarfile.open(folder / record.shard), record.shard  # noqa: SIM115
                yield _decode(opened, record)
            except (OSError, KeyError, tarfile.TarError) as error:
                raise _broken(record, f"{type(error).__name__}: {error}", [error]) from error
    finally:
        if opened is not None:
            opened.close()


def _decode(shard: tarfile.TarFile, record: FieldRecord) -> NDArray[np.uint8]:
    stream = shard.extractfile(f"{record.key}.jpg")
    data = stream.read() if stream is not None else b""
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise _broken(record, "another content than the index says")
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _broken(record: FieldRecord, found: str, causes: list[Exception] | None = None) -> ConfigError:
    return ConfigError(
        wanted=f"the field {record.key} in {record.shard}",
        found=found,
        remedy="Delete that shard and its report, then run distill prepare again.",
        causes=causes or (),
    )
