"""Fields from slides to shards: exact scale, reproducible, restartable."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_xmag.distill.prepare import PrepareConfig, Prepared, SlidePrepared, prepare
from napari_xmag.errors import ConfigError
from napari_xmag.fields.shards import read_index
from napari_xmag.fields.store import FieldStore
from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tiles import read_tile
from tests.slides import Pixels, draw_section

CONFIG = PrepareConfig(field_px=256, per_slide=6, min_tissue=0.5, stride=0.5)


def run(
    places: list[Path], out: Path, config: PrepareConfig = CONFIG, mpp: float | None = None
) -> list[SlidePrepared]:
    events = prepare(places, out, config, tiles_mpp=mpp)
    return [event for event in events if isinstance(event, SlidePrepared)]


def test_fields_show_their_box_at_the_exact_scale(aperio_slide: Path, tmp_path: Path) -> None:
    run([aperio_slide], tmp_path)
    records = read_index(tmp_path)
    assert len(records) == 6
    with closing(open_slide(aperio_slide)) as slide:
        store = FieldStore(tmp_path, records)
        for row, record in enumerate(records):
            assert record.width * 0.25 == pytest.approx(256 * 0.5)
            box = Box(record.x, record.y, record.width, record.height)
            expected = read_tile(slide, box, 256)
            assert np.abs(store.read(row).astype(int) - expected).mean() < 4  # JPEG


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
        FieldStore(tmp_path, records).read(0)
    shutil.move(shard, tmp_path / "elsewhere.tar")
    with pytest.raises(ConfigError, match=shard.name):
        FieldStore(tmp_path, records).read(0)
    with pytest.raises(ConfigError, match="index"):
        read_index(tmp_path / "nowhere")


def test_altered_fields_are_made_again_when_their_shard_is_gone(
    aperio_slide: Path, tmp_path: Path
) -> None:
    run([aperio_slide], tmp_path)
    before = read_index(tmp_path)
    (tmp_path / before[0].shard).unlink()
    run([aperio_slide], tmp_path)
    assert read_index(tmp_path) == before
    store = FieldStore(tmp_path, before)
    assert [store.read(row).shape for row in range(6)] == [(256, 256, 3)] * 6


def test_pictures_are_resampled_exactly_and_grouped_by_case(tmp_path: Path) -> None:
    section = draw_section(1800, 1500)[300:1200, 400:1400]
    for name in ("p1/a.png", "p1/b.png", "p2/a.png"):
        (tmp_path / "tiles" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(section).save(tmp_path / "tiles" / name)
    # 1000×900 px of 0.3 µm are 600×540 of 0.5 µm: 3×3 fields that overlap, 6 of them wanted.
    events = run([tmp_path / "tiles"], tmp_path / "out", mpp=0.3)
    records = read_index(tmp_path / "out")
    assert [event.fields for event in events] == [18]
    assert {(r.slide, r.case) for r in records} == {
        ("p1/a.png", "p1"),
        ("p1/b.png", "p1"),
        ("p2/a.png", "p2"),
    }
    assert len({record.shard for record in records}) == 1
    store = FieldStore(tmp_path / "out", records)
    for row, record in enumerate(records):
        left, top = record.x, record.y
        side = 256 * 0.5 / 0.3
        assert (record.width, record.height) == (pytest.approx(side), pytest.approx(side))
        expected = Image.fromarray(section).resize(
            (256, 256), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
        )
        assert np.abs(store.read(row) - np.asarray(expected, int)).mean() < 4  # JPEG


def test_pictures_added_later_are_added(tmp_path: Path) -> None:
    section = draw_section(900, 900)[200:700, 200:700]
    tiles, out = tmp_path / "tiles", tmp_path / "out"
    tiles.mkdir()
    for name in "ac":
        Image.fromarray(section).save(tiles / f"{name}.png")
    run([tiles], out, mpp=0.5)
    Image.fromarray(section).save(tiles / "b.png")
    run([tiles], out, mpp=0.5)
    records = read_index(out)
    assert sorted({record.slide for record in records}) == ["a.png", "b.png", "c.png"]
    assert len({(record.slide, record.x, record.y) for record in records}) == len(records)


def test_a_broken_picture_does_not_lose_those_beside_it(tmp_path: Path) -> None:
    section = draw_section(900, 900)[200:700, 200:700]
    for name in "ab":
        Image.fromarray(section).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:2000])
    *_, last = prepare([tmp_path], tmp_path / "out", CONFIG, tiles_mpp=0.5)
    assert isinstance(last, Prepared)
    assert [failed.slide for failed in last.failed] == ["b.png"]
    assert {record.slide for record in read_index(tmp_path / "out")} == {"a.png"}


def test_a_slide_that_breaks_off_leaves_no_shard(
    aperio_slide: Path, pyramid_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = iter(["", "", None])

    def fails_at_the_third(pixels: Pixels) -> str:
        if (reason := next(looked, "")) is None:
            raise ValueError("what nobody thought of")
        return reason

    monkeypatch.setattr("napari_xmag.distill.sampling.problem", fails_at_the_third)
    *_, last = prepare([aperio_slide, pyramid_slide], tmp_path, CONFIG)
    assert isinstance(last, Prepared)
    assert [failed.slide for failed in last.failed] == [aperio_slide.name]
    assert "what nobody thought of" in last.failed[0].error
    assert {record.slide for record in read_index(tmp_path)} == {pyramid_slide.name}
    assert len(list(tmp_path.glob("*.tar"))) == 1


def test_every_slide_has_a_contact_sheet(aperio_slide: Path, tmp_path: Path) -> None:
    run([aperio_slide], tmp_path)
    (sheet,) = (tmp_path / "reports").glob("*.jpg")
    with Image.open(sheet) as image:
        assert image.width > 1000


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_lost_or_doubled_after_kill_9(
    workers: int,
    aperio_slide: Path,
    pyramid_slide: Path,
    single_level_slide: Path,
    tmp_path: Path,
) -> None:
    slides = [aperio_slide, pyramid_slide, single_level_slide]
    run(slides, tmp_path / "whole")
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "napari_xmag.cli", "distill", "prepare", *map(str, slides)]
    command += ["--out", str(out), "--field-px", "256", "--per-slide", "6", "--stride", "0.5"]
    command += ["--min-tissue", "0.5", "--workers", str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert b"6 fields" in process.stdout.readline()
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "index.csv").exists()
    (out / f".part-0123abcd-{read_index(tmp_path / 'whole')[0].shard}").touch()
    *_, last = prepare(slides, out, CONFIG, workers=workers)
    assert isinstance(last, Prepared)
    assert not last.failed
    assert read_index(out) == read_index(tmp_path / "whole")
    assert not list(out.rglob(".part-*"))
    store = FieldStore(out, read_index(out))
    assert [store.read(row).shape for row in range(18)] == [(256, 256, 3)] * 18
