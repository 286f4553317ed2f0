"""Shards: readable by webdataset, and clear words where they are broken."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.errors import ConfigError, ExportError
from napari_xmag.fields.shards import (
    FieldRecord,
    read_index,
    write_index,
    write_shard,
)
from napari_xmag.fields.store import FieldStore
from napari_xmag.geometry import Box


def shard(folder: Path, count: int = 3) -> list[FieldRecord]:
    draw = np.random.default_rng(0)
    with write_shard(folder / "TCGA-01_x.tar", mpp=0.5, quality=90) as writer:
        for number in range(count):
            pixels = draw.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            writer.add(Box(number, 0, 64, 64), pixels, slide="TCGA-01.x.svs", case="TCGA-01")
    write_index(folder, writer.records)
    return writer.records


@pytest.mark.filterwarnings("ignore")
def test_webdataset_reads_the_same_fields(tmp_path: Path) -> None:
    import webdataset

    records = shard(tmp_path)
    dataset = webdataset.WebDataset(str(tmp_path / records[0].shard), shardshuffle=False)
    samples = list(dataset.decode("rgb8"))
    assert [sample["__key__"] for sample in samples] == [record.key for record in records]
    store = FieldStore(tmp_path, records)
    for row, (sample, record) in enumerate(zip(samples, records, strict=True)):
        assert np.array_equal(sample["jpg"], store.read(row))
        assert sample["json"]["sha256"] == record.sha256
        assert sample["json"]["case"] == "TCGA-01"


def test_the_index_gives_the_records_back(tmp_path: Path) -> None:
    records = shard(tmp_path)
    assert read_index(tmp_path) == records
    assert {record.case for record in records} == {"TCGA-01"}


def test_fields_without_a_case_have_that_of_their_slide(tmp_path: Path) -> None:
    record = FieldRecord("k", "s.tar", "a.svs", 0, 0, 1, 1, 0.5, "")
    assert record.case == "a.svs"
    write_index(tmp_path, [record])
    table = (tmp_path / "index.csv").read_text().splitlines()
    (tmp_path / "index.csv").write_text("\n".join(line.rsplit(",", 1)[0] for line in table))
    assert read_index(tmp_path) == [record]


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    records = shard(tmp_path)
    path = tmp_path / records[0].shard
    content = path.read_bytes()
    # Within the header, within a picture, and after the first field.
    for length in (0, 100, 700, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(ConfigError, match=r"TCGA-01_x\.tar.*Delete that shard"):
            FieldStore(tmp_path, records).read(2)


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    records = shard(tmp_path)
    path = tmp_path / records[0].shard
    with tarfile.open(path) as whole:
        kept = [(m, whole.extractfile(m).read()) for m in whole if "000001.jpg" not in m.name]  # type: ignore[union-attr]
    with tarfile.open(path, "w") as less:
        for member, data in kept:
            less.addfile(member, io.BytesIO(data))
    with pytest.raises(ConfigError, match=records[1].key):
        FieldStore(tmp_path, records).read(1)


def test_a_bad_index_is_named(tmp_path: Path) -> None:
    shard(tmp_path)
    path = tmp_path / "index.csv"
    path.write_text(path.read_text().replace("0.5", "half"))
    with pytest.raises(ConfigError, match=r"index\.csv"):
        read_index(tmp_path)


def test_a_shard_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    def broken() -> None:
        with write_shard(tmp_path / "s.tar", mpp=0.5, quality=90) as writer:
            writer.add(Box(0, 0, 8, 8), np.zeros((8, 8, 3), np.uint8), slide="s")
            raise ConfigError(expected="w", found="f", hint="r")

    with pytest.raises(ConfigError):
        broken()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with write_shard(tmp_path / "s.tar", mpp=0.5, quality=90) as writer:
        monkeypatch.setattr(tarfile.TarFile, "addfile", full)
        with pytest.raises(ExportError, match="No space left"):
            writer.add(Box(0, 0, 8, 8), np.zeros((8, 8, 3), np.uint8), slide="s")


def test_members_say_their_record(tmp_path: Path) -> None:
    records = shard(tmp_path)
    with tarfile.open(tmp_path / records[0].shard) as tar:
        stream = tar.extractfile(f"{records[2].key}.json")
        assert stream is not None
        assert FieldRecord(**json.load(stream)) == records[2]
