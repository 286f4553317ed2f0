"""Many slides in worker processes: the same results as one after another, whatever is killed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import distributed
import pytest

from napari_xmag.analyze import SlideResult
from napari_xmag.cli import CANCELLED, main
from tests.slides import draw_section, write_pyramid

pytestmark = pytest.mark.usefixtures("graphs_of_children")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small slides, two of them of one name."""
    folder = tmp_path_factory.mktemp("many")
    for seed, name in enumerate(("a", "b", "c", "d", "x/same", "y/same")):
        path = folder / f"{name}.tiff"
        path.parent.mkdir(exist_ok=True)
        write_pyramid(path, draw_section(1100, 800, seed=seed), factors=(1,))
    return folder


@pytest.fixture(scope="module")
def apart(
    slides: Path, tiny: str, session_graphs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Results of these slides, one after another in this process."""
    out = tmp_path_factory.mktemp("apart")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_xmag.nets.engines.graph_cache.graphs_folder", lambda: session_graphs)
        assert main(["analyze", str(slides), *options(tiny, out), "--workers", "0"]) == 0
    return out


def options(tiny: str, out: Path) -> list[str]:
    """Let no features be kept: they are rounded, and these tests compare tables byte by byte."""
    return ["--model", tiny, "--out", str(out), "--tissue", "whole", "--kept-features", "0"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def tables(out: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in out.glob("[!.]*/tiles.csv")}


def same_rows(one: Path, other: Path) -> bool:
    differing = {"seconds", "created"}
    first, second = (
        [{k: v for k, v in row.items() if k not in differing} for row in rows(out / "summary.csv")]
        for out in (one, other)
    )
    return first == second


def test_two_workers_give_the_same_and_a_second_run_keeps_it(
    slides: Path, apart: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out"
    command = ["analyze", str(slides), *options(tiny, out), "--workers", "2"]
    assert main([*command, "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {e["name"] for e in events if e["event"] == "finished"} == {
        *(f"{name}.tiff" for name in "abcd"),
        "same.tiff",
    }
    progress = [event for event in events if event["event"] == "progress"]
    assert (progress[-1]["done"], progress[-1]["total"]) == (6, 6)
    assert tables(out) == tables(apart)
    assert len(tables(out)) == 6
    assert same_rows(out, apart)
    written = {path: path.stat().st_mtime_ns for path in out.glob("*/*")}
    # what is whole stays; what lost a file, or is of other settings, is made anew
    (out / "b" / "overlay.png").unlink()
    assert main([*command[:-1], "0"]) == 0
    assert "6 of 6 slides analyzed, 5 of them earlier" in capsys.readouterr().out
    for path, when in written.items():
        assert (path.stat().st_mtime_ns > when) == (path.parent.name == "b")
    assert same_rows(out, apart)


@pytest.mark.parametrize(
    ("more", "kept"),
    [([], True), (["--force"], False), (["--min-tissue", "0.5"], False)],
    ids=["same", "force", "settings"],
)
def test_a_result_is_kept_only_if_it_would_be_the_same(
    more: list[str], kept: bool, slides: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    command = ["analyze", str(slides / "a.tiff"), *options(tiny, tmp_path / "out")]
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, *more]) == 0
    assert ("1 of them earlier" in capsys.readouterr().out) == kept


def test_edited_regions_make_another_result(
    slides: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    regions = tmp_path / "a.geojson"
    command = ["analyze", str(slides / "a.tiff"), *options(tiny, tmp_path / "out")]
    patches = []
    for side, before in ((300, 0), (300, 1), (700, 0)):
        ring = [[0, 0], [side, 0], [side, side], [0, side], [0, 0]]
        shape = {"type": "Polygon", "coordinates": [ring]}
        regions.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": shape}))
        assert main([*command, "--regions", str(regions)]) == 0
        assert (f"{before} of them earlier" in capsys.readouterr().out) == bool(before)
        patches.append(len(SlideResult.load(tmp_path / "out" / "a").patches))
    assert patches[0] == patches[1] < patches[2]


def run(*arguments: str) -> "subprocess.Popen[str]":
    code = (
        "import signal, sys\n"
        # A shell that runs the tests in its background lets them ignore the signal.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from napari_xmag.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "analyze", *arguments, "--progress", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_finished(process: "subprocess.Popen[str]") -> Iterator[dict[str, object]]:
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        yield event
        if event["event"] == "finished":
            return


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "zombie" in status.read_text()


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


@LINUX
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "terminate"])
def test_a_run_that_is_ended_goes_on_where_it_was(
    how: signal.Signals, slides: Path, apart: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out"
    command = [str(slides), *options(tiny, out)]
    with run(*command, "--workers", "1") as process:
        assert [event["event"] for event in until_finished(process)][-1] == "finished"
        workers = children(process.pid)
        assert workers
        process.send_signal(how)
        process.communicate()
    assert process.returncode == (-how if how == signal.SIGKILL else CANCELLED)
    for _ in range(600):
        if all(map(is_gone, workers)):
            break
        time.sleep(0.1)
    assert all(map(is_gone, workers))
    before = {path: path.stat().st_mtime_ns for path in out.glob("[!.]*/result.json")}
    assert 1 <= len(before) < 6
    assert main(["analyze", *command, "--workers", "0"]) == 0
    assert f"6 of 6 slides analyzed, {len(before)} of them earlier" in capsys.readouterr().out
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert tables(out) == tables(apart)
    assert same_rows(out, apart)


@LINUX
def test_a_worker_that_is_killed_costs_nothing(
    slides: Path, apart: Path, tiny: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with run(str(slides), *options(tiny, out), "--workers", "1") as process:
        for _ in until_finished(process):
            pass
        (worker, *_) = [
            pid for pid in children(process.pid) if "resource_tracker" not in command_of(pid)
        ]
        os.kill(worker, signal.SIGKILL)
        said, _ = process.communicate()
    assert process.returncode == 0
    ended = json.loads(said.splitlines()[-1])
    assert (ended["event"], ended["done"], ended["failed"]) == ("ended", 6, [])
    assert tables(out) == tables(apart)
    assert same_rows(out, apart)


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--workers", "-1"], "--workers"),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:9"], "--scheduler"),
        (["--patience", "0"], "--patience"),
    ],
)
def test_wrong_usage(
    wrong: list[str], said: str, slides: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out"
    assert main(["analyze", str(slides), *options(tiny, out), *wrong]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_cluster_gives_the_same(
    slides: Path, apart: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out"
    (slides.parent / "broken.svs").write_bytes(b"not a slide")
    command = [str(slides), str(slides.parent / "broken.svs"), *options(tiny, out)]
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        address = ["--scheduler", cluster.scheduler_address]
        assert main(["analyze", *command, *address]) == 1
        said = capsys.readouterr()
        assert "6 of 7 slides analyzed. " in said.out
        assert "broken.svs: FAILED" in said.err
        assert tables(out) == tables(apart)
        assert [row["slide"] for row in rows(out / "failed.csv")] == ["broken.svs"]
    assert main(["analyze", *command, "--workers", "0"]) == 1
    assert "6 of 7 slides analyzed, 6 of them earlier" in capsys.readouterr().out


def test_no_cluster_there(
    slides: Path, tiny: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_xmag.workers.cluster._CONNECT_SECONDS", 0.5)
    command = ["analyze", str(slides), *options(tiny, tmp_path / "out")]
    assert main([*command, "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "tcp://127.0.0.1:9" in capsys.readouterr().err
