"""A folder is replaced as a whole or not at all, wherever the process is killed."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_xmag import replacing
from napari_xmag.errors import ExportError
from napari_xmag.files import whole_folder

_NAMES = ("a.txt", "b.txt", "c.txt")

# Each fork kills itself one step later than the one before, until one comes to its end.
_KILLED_EVERYWHERE = """
import json, os, signal, sys
from pathlib import Path
from napari_xmag import leftovers, replacing
from napari_xmag.files import whole_folder

STEPS = ("os.", "shutil.", "open")
place, exchange = Path(sys.argv[1]), sys.argv[2] == "exchange"
if not exchange:
    replacing._exchange = lambda one, other: False

def write(words):
    with whole_folder(place / "case", ["gone.txt"]) as part:
        for name in "abc":
            (part / f"{name}.txt").write_text(words)

def found():
    case = place / "case"
    return {file.name: file.read_text() for file in case.iterdir()} if case.is_dir() else None

def killed_at(step):
    seen = 0
    def hook(event, _):
        nonlocal seen
        seen += event.startswith(STEPS)
        if seen == step:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    write("new")
    os._exit(0)

states = []
for step in range(1, 1000):
    write("old")
    (place / "case" / "gone.txt").write_text("old")
    (place / "case" / "mine.txt").write_text("mine")
    child = os.fork()
    if not child:
        killed_at(step)
    code = os.waitpid(child, 0)[1]
    at_once = found()
    leftovers._looked_at.clear()
    leftovers.remove_leftovers(place)
    states.append((code, at_once, found(), [path.name for path in place.iterdir()]))
    if not code:
        break
print(json.dumps(states))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks")
@pytest.mark.parametrize("how", ["exchange", "two steps"])
def test_a_folder_is_the_old_or_the_new_one_wherever_the_process_is_killed(
    how: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _KILLED_EVERYWHERE, str(tmp_path), how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    states = json.loads(done.stdout)
    old = {**dict.fromkeys(_NAMES, "old"), "gone.txt": "old", "mine.txt": "mine"}
    new = {**dict.fromkeys(_NAMES, "new"), "mine.txt": "mine"}
    assert len(states) > 15
    assert states[-1][:3] == [0, new, new]
    for code, at_once, afterwards, names in states:
        assert code in (0, 9)
        assert at_once in (old, new) or (at_once is None and how == "two steps")
        assert afterwards in (old, new)
        assert names == ["case"]
    assert old in [state[2] for state in states]


def _filled(folder: Path) -> Path:
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / "mine.txt").write_text("mine")
    (folder / "link").symlink_to("notes/mine.txt")
    (folder / "a.txt").write_text("old")
    return folder


def _write(folder: Path, *names: str) -> None:
    with whole_folder(folder) as part:
        for name in names:
            (part / name).write_text("new")


def _content(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): file.read_text()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("where", ["anywhere", "current", "disk", "no room beside"])
def test_what_else_lies_there_stays(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _filled(tmp_path / "case")
    if where == "current":
        monkeypatch.chdir(folder)
    if where == "disk":
        monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == folder)
    if where == "no room beside":
        monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    before = folder.stat().st_ino
    _write(folder, "a.txt", "b.txt")
    kept = {"notes/mine.txt": "mine", "link": "mine"}
    assert _content(folder) == {"a.txt": "new", "b.txt": "new", **kept}
    assert (folder / "link").is_symlink()
    assert (folder.stat().st_ino == before) == (where != "anywhere")
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    folder = _filled(tmp_path / "disk" / "case")
    (tmp_path / "case").symlink_to(folder)
    _write(tmp_path / "case", "a.txt")
    assert (tmp_path / "case").is_symlink()
    assert _content(folder)["a.txt"] == "new"
    assert len(list(folder.parent.iterdir())) == 1


@pytest.mark.parametrize("where", ["anywhere", "current"])
def test_a_folder_called_as_a_file_is_not_lost(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _filled(tmp_path / "case")
    if where == "current":
        monkeypatch.chdir(folder)
    before = _content(folder)
    with pytest.raises(ExportError, match="something else of that name"):
        _write(folder, "a.txt", "notes")
    assert _content(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("where", ["anywhere", "current"])
def test_a_file_that_is_locked_loses_nothing(
    late: bool, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _filled(tmp_path / "case")
    if where == "current":
        monkeypatch.chdir(folder)
    before, rename = _content(folder), Path.rename

    def locked(self: Path, target: Path) -> Path:
        # as Windows says where another program has a file open
        comes, goes = self.name.startswith(".part-"), self == folder
        if self.name == "b.txt" or (comes if late else goes):
            raise PermissionError(errno.EACCES, "used by another program")
        return rename(self, target)

    monkeypatch.setattr(replacing, "_call", lambda: None)
    monkeypatch.setattr(Path, "rename", locked)
    with pytest.raises(ExportError, match="used by another program"):
        _write(folder, "a.txt", "b.txt")
    assert _content(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_folder_that_may_not_be_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _filled(tmp_path / "case")
    before = _content(folder)
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != folder)
    with pytest.raises(ExportError, match="Permission denied"):
        _write(folder, "a.txt")
    assert _content(folder) == before
