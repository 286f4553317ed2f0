"""The cache of views and teacher features: made once, kept when a run breaks."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xmag.errors import ConfigError, ExportError
from napari_xmag.fields.teacher_cache import cached_pairs
from napari_xmag.learn.distributed import Processes
from napari_xmag.nets.student import StudentSpec
from napari_xmag.progress.heartbeat import finish
from tests.fields.colors import SPEC, mean_color, records, run


def test_the_teacher_runs_once(tmp_path: Path) -> None:
    rows = records(tmp_path)
    network, teacher = mean_color()
    first = run(tmp_path, rows, teacher)
    calls = network.calls
    second = run(tmp_path, rows, teacher)
    assert network.calls == calls == 1 + 3  # once for its width
    assert np.array_equal(first.targets, second.targets)
    assert isinstance(second.targets, np.memmap)


def test_other_teacher_weights_make_another_cache(tmp_path: Path) -> None:
    rows = records(tmp_path)
    network, teacher = mean_color()
    first = run(tmp_path, rows, teacher)
    with torch.no_grad():
        network.gain.mul_(2)
    second = run(tmp_path, rows, teacher)
    np.testing.assert_allclose(second.targets, 2 * first.targets, rtol=1e-2)


def test_a_broken_run_leaves_no_half_cache(tmp_path: Path) -> None:
    rows = records(tmp_path)
    steps = cached_pairs(tmp_path, rows, mean_color()[1], SPEC, tmp_path / "cache")
    (tmp_path / "s.tar").unlink()
    with pytest.raises(ConfigError, match=r"s\.tar"):
        list(steps)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".part"]


def test_fields_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--field-px 256"):
        run(tmp_path, records(tmp_path), mean_color()[1], StudentSpec(mpp=2.0, tile_px=64))


def test_teacher_at_another_scale_than_its_own_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, (network, teacher) = records(tmp_path), mean_color()
    teacher.spec = replace(teacher.spec, title="Mean", mpp=0.5, tile_px=32)
    run(tmp_path, rows, teacher)
    assert not caplog.records
    teacher.spec = replace(teacher.spec, tile_px=28)
    run(tmp_path, rows, teacher)
    assert "Mean sees tissue at 0.571 µm/px; it was trained at 0.5" in caplog.text
    assert network.calls == 8


def test_what_is_said_of_a_teacher_changes_no_cache(tmp_path: Path) -> None:
    rows, (network, teacher) = records(tmp_path), mean_color()
    run(tmp_path, rows, teacher)
    teacher.spec = replace(teacher.spec, title="Mean", terms="other words", mpp=0.5)
    teacher.spec = replace(teacher.spec, licence="Apache-2.0")
    run(tmp_path, rows, teacher)
    assert network.calls == 4


def test_what_a_broken_run_has_made_is_kept(tmp_path: Path) -> None:
    rows, (network, teacher) = records(tmp_path, 5), mean_color()
    whole = run(tmp_path, rows, mean_color()[1])
    (folder,) = (tmp_path / "cache").iterdir()
    partial = folder.rename(folder.with_name(folder.name + ".part"))
    (partial / "done.bin").write_bytes(bytes([1, 0, 1, 1, 0]))
    targets = np.load(partial / "targets.npy", mmap_mode="r+")
    targets[[1, 4]] = 0
    targets.flush()
    again = run(tmp_path, rows, teacher)
    assert network.calls == 2
    assert np.array_equal(again.targets, whole.targets)
    assert not partial.exists()


@pytest.mark.parametrize("damage", ["zeroed", "cut", "another cache's", "without sums"])
@pytest.mark.parametrize("finished", [True, False])
def test_what_was_altered_is_told_and_made_anew(
    tmp_path: Path, damage: str, finished: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rows, teacher = records(tmp_path, 5), mean_color()[1]
    made = run(tmp_path, rows, teacher)
    whole = [np.array(values) for values in (made.views, made.targets)]
    (folder,) = (tmp_path / "cache").iterdir()
    if not finished:
        folder = folder.rename(folder.with_name(folder.name + ".part"))
    targets = folder / "targets.npy"
    data = targets.read_bytes()
    if damage == "zeroed":
        targets.write_bytes(data[:-64] + bytes(64))
    elif damage == "cut":
        targets.write_bytes(data[:-64])
    elif damage == "without sums":
        (folder / "sums.bin").unlink()
    else:
        other = mean_color()[1]
        with torch.no_grad():
            next(other.network.parameters()).mul_(2)
        run(tmp_path, rows, other)
        (strange,) = set((tmp_path / "cache").iterdir()) - {folder}
        shutil.rmtree(folder)
        shutil.move(strange, folder)
    again = run(tmp_path, rows, teacher)
    np.testing.assert_array_equal(again.views, whole[0])
    np.testing.assert_array_equal(again.targets, whole[1])
    assert "damaged and made anew" in caplog.text


def test_a_full_disk_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_xmag.fields.teacher_cache.os.fsync", full)
    with pytest.raises(ExportError, match="No space left on device"):
        run(tmp_path, records(tmp_path), mean_color()[1])


def test_threads_read_ahead_of_the_teacher(tmp_path: Path) -> None:
    rows = records(tmp_path, 70)
    one = run(tmp_path, rows, mean_color()[1])
    steps = cached_pairs(
        tmp_path, rows, mean_color()[1], SPEC, tmp_path / "other", processes=Processes(), threads=3
    )
    other = finish(steps)
    assert np.array_equal(one.targets, other.targets)
    assert np.array_equal(one.views, other.views)
