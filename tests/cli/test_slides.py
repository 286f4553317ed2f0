"""Which slides are meant, and where their results go."""

from pathlib import Path

from napari_xmag.cli.slides import ResultFolders, find_slides


def make(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())


def names(found: list[Path]) -> list[str]:
    return [path.name for path in found]


def test_slides_of_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "b.svs", "a.ndpi", "table.csv", ".hidden.svs")
    make(tmp_path / "dicom", "1.dcm", "2.dcm")
    make(tmp_path / "b-companion", "data.dat")
    assert names(find_slides([tmp_path])) == ["a.ndpi", "b.svs", "dicom"]


def test_dicom_folder_is_one_slide(tmp_path: Path) -> None:
    make(tmp_path / "series", "1.dcm", "2.dcm")
    assert find_slides([tmp_path / "series"]) == [tmp_path / "series"]


def test_stray_dicom_file_does_not_hide_slides(tmp_path: Path) -> None:
    make(tmp_path, "a.svs", "stray.dcm")
    assert names(find_slides([tmp_path])) == ["a.svs", "stray.dcm"]


def test_each_slide_once(tmp_path: Path) -> None:
    make(tmp_path, "a.svs")
    assert names(find_slides([tmp_path / "a.svs", tmp_path])) == ["a.svs"]


def test_unknown_paths_stay(tmp_path: Path) -> None:
    make(tmp_path / "empty")
    paths = [tmp_path / "nowhere.svs", tmp_path / "empty"]
    assert find_slides(paths) == paths


def test_folders_are_never_shared(tmp_path: Path) -> None:
    for folder in ("one", "two", "three"):
        make(tmp_path / folder, "case.svs")
        (tmp_path / folder / "case.svs").write_text(folder)
    folders = ResultFolders(tmp_path / "out")
    taken = [folders.take(tmp_path / name / "case.svs").name for name in ("one", "two", "three")]
    assert taken == ["case", "case.svs", "case-2"]


def test_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    make(tmp_path, "case.svs")
    make(tmp_path / "out" / "case", "result.json")
    assert ResultFolders(tmp_path / "out").take(tmp_path / "case.svs").name == "case.svs"


def test_dots_in_a_dicom_folder_are_kept(tmp_path: Path) -> None:
    make(tmp_path / "1.2.840.7", "a.dcm")
    assert ResultFolders(tmp_path / "out").take(tmp_path / "1.2.840.7").name == "1.2.840.7"
