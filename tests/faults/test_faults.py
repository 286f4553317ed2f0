"""Processes killed, disks full, files gone, handles few: a run loses one slide at most, in words.

``make faults`` does more of it: other moments, 200 slides in one run.
"""

import csv
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from napari_xmag.analyze.result import SlideResult
from napari_xmag.batch.events import SlideBegun, SlideMoved
from napari_xmag.cli import main
from napari_xmag.cli.batch_listener import BatchListener
from napari_xmag.errors import ExportError
from napari_xmag.export.folder import NAMES
from napari_xmag.fields.teacher_cache import cached_pairs
from napari_xmag.progress.heartbeat import finish
from tests.fields.colors import SPEC, mean_color, records
from tests.slides import draw_section, write_pyramid

MORE = int(os.environ.get("XMAG_FAULTS", "0"))
"""How often what chance decides is tried; few times in a run of all tests."""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="signals and limits of Linux"),
    pytest.mark.usefixtures("graphs_of_children"),
]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    for seed, name in enumerate(("a", "b", "c", "x/same", "y/same")):
        path = folder / f"{name}.tiff"
        path.parent.mkdir(exist_ok=True)
        write_pyramid(path, draw_section(700, 500, seed=seed), factors=(1,))
    return folder


def command(slides: Path, tiny: str, out: Path, *more: str) -> list[str]:
    options = ["--model", tiny, "--out", str(out), "--tissue", "whole", "--workers", "0"]
    return ["analyze", str(slides), *options, *more]


def started(*arguments: str, limits: str = "") -> "subprocess.Popen[str]":
    main_of = "from napari_xmag.cli import main\nsys.exit(main(sys.argv[1:]))"
    code = f"import resource, sys; {limits}\n{main_of}"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results(out: Path) -> dict[str, SlideResult]:
    """Return the results below a folder; each of them is whole."""
    folders = [item for item in out.glob("[!.]*") if item.is_dir()] if out.is_dir() else []
    for folder in folders:
        assert {file.name for file in folder.iterdir()} >= set(NAMES), folder.name
    return {folder.name: SlideResult.load(folder) for folder in folders}


def leftovers(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob(".*") if path.name != ".lock"]


def test_killed_at_any_moment_a_run_goes_on(slides: Path, tiny: str, tmp_path: Path) -> None:
    out, home, rng = tmp_path / "out", tmp_path / "xmag-home", random.Random(5)
    for number in range(MORE or 1):
        workers = ["--workers", str(number % 2)]
        process = started(*command(slides, tiny, out, "--force", *workers))
        time.sleep(rng.uniform(1.0, 6.0))
        process.kill()
        process.communicate()
        found = results(out)
        assert len(found) <= 5
        marks = [result.slide["fingerprint"] for result in found.values()]
        assert len(set(marks)) == len(marks)
    assert main(command(slides, tiny, out, "--force")) == 0
    assert set(results(out)) == {"a", "b", "c", "same", "same-2"}
    assert leftovers(out, home / "features") == []


def test_two_runs_at_once_into_one_folder(slides: Path, tiny: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    runs = [started(*command(slides / name, tiny, out)) for name in ("x", "y")]
    ended = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ended
    found = results(out)
    assert set(found) == {"same", "same-2"}
    assert len({result.slide["fingerprint"] for result in found.values()}) == 2
    assert leftovers(out) == []


@contextmanager
def small_disk(tmp_path: Path, size: int) -> Iterator[Path]:
    """Give a folder on a disk of so many bytes; where none can be mounted, limit its files."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True
    )
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if mounted.returncode:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 8, before[1]))
    try:
        yield place
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        if not mounted.returncode:
            subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("size", [2**14, 2**17])
def test_a_full_disk(size: int, slides: Path, tiny: str, tmp_path: Path, capsys: Captured) -> None:
    with small_disk(tmp_path, size) as disk:
        assert main(command(slides, tiny, disk / "out")) == 1
        said = capsys.readouterr().err
        assert "No space left" in said or "File too large" in said
        assert "Traceback" not in said
        results(disk / "out")
        assert leftovers(disk) == []


def test_a_full_disk_for_what_a_teacher_sees(tmp_path: Path) -> None:
    rows, (_, teacher) = records(tmp_path), mean_color()
    with (
        small_disk(tmp_path, 2**14) as disk,
        pytest.raises(ExportError, match=r"No space left|File too large"),
    ):
        finish(cached_pairs(tmp_path, rows, teacher, SPEC, disk / "cache"))
    made = finish(cached_pairs(tmp_path, rows, teacher, SPEC, tmp_path / "cache"))
    assert len(made.records) == len(rows)


def test_a_full_disk_keeps_the_result_that_was_there(
    slides: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    with small_disk(tmp_path, 2**20) as disk:
        one = command(slides / "a.tiff", tiny, disk / "out")
        assert main(one) == 0
        before = {file.name: file.read_bytes() for file in (disk / "out" / "a").iterdir()}
        room = shutil.disk_usage(disk).free
        if room < 2**21:  # mounted, not only limited
            (disk / "filler").write_bytes(bytes(max(room - 2**15, 0)))
            assert main([*one, "--force"]) == 1
            assert "No space left" in capsys.readouterr().err
        assert {file.name: file.read_bytes() for file in (disk / "out" / "a").iterdir()} == before
        assert leftovers(disk) == []


@pytest.mark.parametrize("below", ["", "/results"])
def test_a_file_where_the_folder_should_be(
    below: str, slides: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "file").write_text("mine")
    out = Path(f"{tmp_path / 'file'}{below}")
    for workers in ("0", "2"):
        assert main([*command(slides, tiny, out), "--workers", workers]) == 2
        assert "folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_slides_that_go_or_change_while_others_are_analyzed(
    slides: Path, tiny: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "slides"
    shutil.copytree(slides, mine)
    other = write_pyramid(tmp_path / "other.tiff", draw_section(700, 500, seed=9), factors=(1,))
    hear = BatchListener.hear

    def meddle(self: BatchListener, number: int, event: object) -> None:
        if isinstance(event, SlideBegun) and event.slide.name == "a.tiff":
            (mine / "b.tiff").unlink()
        if isinstance(event, SlideMoved) and event.slide.name == "c.tiff" and other.exists():
            other.replace(mine / "c.tiff")
        hear(self, number, event)  # type: ignore[arg-type]

    monkeypatch.setattr(BatchListener, "hear", meddle)
    out = tmp_path / "out"
    assert main(command(mine, tiny, out)) == 1
    assert set(results(out)) == {"a", "same", "same-2"}
    with (out / "failed.csv").open(newline="", encoding="utf-8-sig") as stream:
        reasons = {row["slide"]: row["reason"] for row in csv.DictReader(stream)}
    assert "no such file" in reasons["b.tiff"]
    assert "to stay as it was" in reasons["c.tiff"]
    assert "Traceback" not in capsys.readouterr().err


def test_few_handles(slides: Path, tiny: str, tmp_path: Path) -> None:
    limits = "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))"
    run = started(*command(slides / "x", tiny, tmp_path / "out", "--workers", "1"), limits=limits)
    _, said = run.communicate()
    assert "Traceback" not in said
    assert (run.returncode, len(results(tmp_path / "out"))) == (0, 1), said


@pytest.mark.skipif(not MORE, reason="make faults")
def test_200_slides_in_one_run_take_no_more_memory_than_20(tiny: str, tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    for number in range(200):
        pixels = draw_section(900, 700, seed=number)
        write_pyramid(folder / f"{number:03}.tiff", pixels, factors=(1,))
    arguments = command(folder, tiny, tmp_path / "out", "--workers", "1", "--progress", "json")
    used: list[int] = []
    with started(*arguments) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if json.loads(line)["event"] == "finished":
                used.append(_memory_of_workers(run.pid))
    assert (run.returncode, len(used)) == (0, 200)
    growth = (max(used[-20:]) - max(used[15:30])) / 2**20
    sys.stdout.write(f"{used[20] >> 20} MB after 20 slides, {used[-2] >> 20} MB after 199\n")
    assert growth < 30


def _memory_of_workers(pid: int) -> int:
    sizes = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            sizes.append(child.memory_info().rss)
        except psutil.NoSuchProcess:  # it has ended with the last slide
            continue
    return max(sizes, default=0)
