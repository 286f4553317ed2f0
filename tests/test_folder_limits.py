"""Folders that grow stay within a limit, though not all of them is counted each time."""

from pathlib import Path

from napari_xmag.folder_limits import bytes_of, note_count, surely_fits


def item(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.mkdir()
    (path / "file").write_bytes(bytes(size))
    return path


def test_what_is_not_counted_fits_nowhere(tmp_path: Path) -> None:
    assert not surely_fits(item(tmp_path, "a", 1), tmp_path, 1000)


def test_a_limit_is_never_passed_unseen(tmp_path: Path) -> None:
    note_count(tmp_path, 960)
    assert surely_fits(item(tmp_path, "a", 40), tmp_path, 1000)
    assert not surely_fits(item(tmp_path, "b", 1), tmp_path, 1000)


def test_others_may_add_too_so_it_is_counted_now_and_then(tmp_path: Path) -> None:
    note_count(tmp_path, 0)
    fits = [surely_fits(item(tmp_path, str(n), 20), tmp_path, 1000) for n in range(3)]
    assert fits == [True, True, False]
    note_count(tmp_path, 60)
    assert surely_fits(item(tmp_path, "next", 20), tmp_path, 1000)


def test_what_another_process_removed_takes_nothing(tmp_path: Path) -> None:
    assert bytes_of(tmp_path / "gone") == 0
