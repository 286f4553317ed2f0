"""Fields from slides to shards: exact scale, reproducible, restartable."""

import json
import shutil
import tarfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.distill.prepare import PrepareConfig, Prepared, SlidePrepared, prepare
from napari_xmag.distill.shards import read_fields, read_index
from napari_xmag.errors import ConfigError
from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tiles import read_tile

CONFIG = PrepareConfig(field_px=256, per_slide=6, min_tissue=0.5, stride=0.5)


def run(slides: list[Path], out: Path, config: PrepareConfig = CONFIG) -> list[SlidePrepared]:
    return [e for e in prepare(slides, out, config) if isinstance(e, SlidePrepared)]


def test_fields_show_their_box_at_the_exact_scale(aperio_slide: Path, tmp_path: Path) -> None:
    run([aperio_slide], tmp_path)
    records = read_index(tmp_path)
    assert len(records) == 6
    with closing(open_slide(aperio_slide)) as slide:
        for record, pixels in zip(records, read_fields(tmp_path, records), strict=True):
            assert record.width * 0.25 == pytest.approx(256 * 0.5)
            box = Box(record.x, record.y, record.width, record.height)
            expected = read_tile(slide, box, 256)
            assert np.abs(pixels.astype(int) - expected).mean() < 4  # JPEG


def test_shards_have_the_webdataset_layout(aperio_slide: Path, tmp_path: Path) -> None:
    run([aperio_slide], tmp_path)
    records = read_index(tmp_path)
    with tarfile.open(tmp_path / records[0].shard) as shard:
        names = shard.getnames()
        assert names == [f"{r.key}.{suffix}" for r in records for suffix in ("jpg", "json")]
        stream = shard.extractfile(f"{records[2].key}.json")
        assert stream is not None
        assert json.load(stream)["sha256"] == records[2].sha256


def test_same_seed_same_fields(aperio_slide: Path, pyramid_slide: Path, tmp_path: Path) -> None:
    run([aperio_slide], tmp_path / "alone")
    run([pyramid_slide, aperio_slide], tmp_path / "in company")
    run([aperio_slide], tmp_path / "other", CONFIG.model_copy(update={"seed": 1}))

    def boxes(name: str) -> set[tuple[float, float]]:
        records = read_index(tmp_path / name)
        return {(r.x, r.y) for r in records if r.slide == aperio_slide.name}

    assert boxes("alone") == boxes("in company")
    assert boxes("alone") != boxes("other")


def test_a_slide_without_mpp_is_refused_by_name_and_the_rest_goes_on(
    no_mpp_slide: Path, pyramid_slide: Path, tmp_path: Path
) -> None:
    *_, last = prepare([no_mpp_slide, pyramid_slide], tmp_path, CONFIG)
    assert isinstance(last, Prepared)
    assert last.fields == 6
    assert [failed.slide for failed in last.failed] == [no_mpp_slide.name]
    assert no_mpp_slide.name in last.failed[0].error


def test_starting_again_after_a_break_loses_and_doubles_nothing(
    aperio_slide: Path, pyramid_slide: Path, tmp_path: Path
) -> None:
    slides = [aperio_slide, pyramid_slide]
    run(slides, tmp_path / "whole")
    events = prepare(slides, tmp_path / "broken", CONFIG)
    while not isinstance(next(events), SlidePrepared):
        pass
    next(events)  # within the second slide
    events.close()
    assert len(list((tmp_path / "broken").glob("*.tar"))) == 1
    assert not list((tmp_path / "broken").glob("*.part"))
    run(slides, tmp_path / "broken")
    whole, again = read_index(tmp_path / "whole"), read_index(tmp_path / "broken")
    assert again == whole
    assert len({record.key for record in again}) == 12


def test_other_settings_in_the_same_folder_are_refused(aperio_slide: Path, tmp_path: Path) -> None:
    run([aperio_slide], tmp_path)
    with pytest.raises(ConfigError, match="per_slide"):
        run([aperio_slide], tmp_path, CONFIG.model_copy(update={"per_slide": 5}))


def test_altered_and_missing_shards_are_named(aperio_slide: Path, tmp_path: Path) -> None:
    run([aperio_slide], tmp_path)
    records = read_index(tmp_path)
    shard = tmp_path / records[0].shard
    content = bytearray(shard.read_bytes())
    content[700] ^= 255  # within the first JPEG
    shard.write_bytes(content)
    with pytest.raises(ConfigError, match=records[0].key):
        list(read_fields(tmp_path, records))
    shutil.move(shard, tmp_path / "elsewhere.tar")
    with pytest.raises(ConfigError, match=shard.name):
        list(read_fields(tmp_path, records))
    with pytest.raises(ConfigError, match="index"):
        read_index(tmp_path / "nowhere")
