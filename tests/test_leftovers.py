"""What killed processes left unfinished goes at the next run; what others write stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_xmag import leftovers
from napari_xmag.files import whole_file, whole_folder
from napari_xmag.leftovers import is_abandoned, owner, remove_leftovers
from tests.unfinished import NO_PROCESS, half_written

_KILLED = """
import os, signal, sys
from pathlib import Path
from napari_xmag.files import whole_file, whole_folder
with whole_file(Path(sys.argv[1]) / "a.txt") as one, whole_folder(Path(sys.argv[1]) / "b") as two:
    one.write_text("half")
    (two / "c.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_looked_at", set())


@pytest.mark.skipif(os.name == "nt", reason="processes cannot be asked there")
def test_what_a_killed_process_left_goes_at_the_next_write(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], env=os.environ)
    assert done.returncode == -9
    assert len(list(tmp_path.glob(".part-*"))) == 2
    with whole_file(tmp_path / "a.txt") as part:
        part.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_is_being_written_or_lies_on_another_machine_stays(tmp_path: Path) -> None:
    foreign = ".part-ffffff.1.abcdef-12345678-other"
    (tmp_path / foreign).touch()
    (tmp_path / ".part-mine").touch()
    with whole_folder(tmp_path / "b") as part:
        (part / "c.txt").touch()
        assert part.name.startswith(f".part-{owner()}-")
        leftovers._looked_at.clear()
        remove_leftovers(tmp_path)
        assert (part / "c.txt").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"b", foreign, ".part-mine"}
    # nobody writes for a week without a change
    os.utime(tmp_path / foreign, (1e9, 1e9))
    leftovers._looked_at.clear()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"b", ".part-mine"}


def test_a_process_of_the_same_number_before_a_restart_has_ended(tmp_path: Path) -> None:
    host, process, token = owner().split(".")
    assert not is_abandoned(owner(), tmp_path)
    assert is_abandoned(f"{host}.{process}.{'0' * len(token)}", tmp_path)
    assert not is_abandoned("somebody", tmp_path)


def test_a_folder_that_made_room_in_vain_goes_back(tmp_path: Path) -> None:
    for there in (False, True):
        part = half_written(tmp_path / "elsewhere", NO_PROCESS)
        aside = tmp_path / part.name.replace(".part-", ".old-").replace("something", "case")
        part.rename(aside)
        (aside / "result.json").write_text("newer" if there else "old")
        part.parent.rmdir()
        leftovers._looked_at.clear()
        remove_leftovers(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["case"]
        assert (tmp_path / "case" / "result.json").read_text() == "old"
