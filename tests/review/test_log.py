"""What a log says is saved is there again, whatever the disk and other programs do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_xmag.errors import ExportError
from napari_xmag.review.log import RecordLog
from tests.processes import ROOT

resource = pytest.importorskip("resource", reason="needs a limit on the size of files")


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file grow beyond 2000 bytes: at that point the system writes a part, as when full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_record_that_fits_in_part_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "log.jsonl")
    saved = []
    for number in range(100):
        try:
            log.add({"number": number, "words": "x" * (30 + number % 7)})
            saved.append(number)
        except ExportError:
            pass
    assert 20 < len(saved) < 100
    assert [record["number"] for record in log.records()] == saved
    assert (tmp_path / "log.jsonl").read_bytes().endswith(b"}\n")


def test_a_log_that_cannot_be_shortened_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_xmag.review.log._MOST_BYTES", 100)
    log = RecordLog(tmp_path / "log.jsonl")

    def unreadable(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    log.add({"number": 0, "words": "x" * 60})
    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", unreadable)
        log.add({"number": 1, "words": "x" * 60})
    assert [record["number"] for record in log.records()] == [0, 1]


def test_a_record_is_refused_while_another_program_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_xmag.locks._LONG_WAIT_SECONDS", 0.1)
    log = RecordLog(tmp_path / "log.jsonl")
    code = (
        "import sys; from pathlib import Path; from napari_xmag.locks import surely_alone\n"
        "with surely_alone(Path(sys.argv[1])):\n    print('alone', flush=True)\n    input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "log.jsonl")]
    other = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "alone\n"
        with pytest.raises(ExportError, match="another program"):
            log.add({"number": 0})
    finally:
        other.kill()
        other.communicate()
    log.add({"number": 1})  # the lock of a program that was killed is free
    assert log.records() == [{"number": 1}]
