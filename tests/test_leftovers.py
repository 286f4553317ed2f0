"""What killed processes left unfinished goes at the next run; what others write stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_xmag import files
from napari_xmag.files import part_prefix, remove_leftovers, whole_file, whole_folder

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
    monkeypatch.setattr(files, "_looked_at", set())


@pytest.mark.skipif(os.name == "nt", reason="processes cannot be asked there")
def test_what_a_killed_process_left_goes_at_the_next_write(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], env=os.environ)
    assert done.returncode == -9
    assert len(list(tmp_path.glob(".part-*"))) == 2
    with whole_file(tmp_path / "a.txt") as part:
        part.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_is_being_written_or_lies_on_another_machine_stays(tmp_path: Path) -> None:
    (tmp_path / ".part-ffffff.1-12345678-other").touch()
    (tmp_path / ".part-old").touch()
    with whole_folder(tmp_path / "b") as part:
        (part / "c.txt").touch()
        assert part.name.startswith(part_prefix())
        files._looked_at.clear()
        remove_leftovers(tmp_path)
        assert (part / "c.txt").exists()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"b", ".part-ffffff.1-12345678-other", ".part-old"}
