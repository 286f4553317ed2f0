"""Each slide has a result folder of its own, whatever it is called and whoever writes beside it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_xmag.errors import ExportError
from napari_xmag.export.result_folders import ResultFolders, result_name
from napari_xmag.files import safe_name

RESULT = "result.json"


def write(folder: Path, fingerprint: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).write_text(json.dumps({"slide": {"fingerprint": fingerprint}}))


def put(out: Path, *slides: tuple[str, str]) -> list[str]:
    """Write results of slides (name, fingerprint) in one run; return their folders."""
    folders, names = ResultFolders(out), []
    for name, fingerprint in slides:
        with folders.reserve(name, fingerprint) as folder:
            write(folder, fingerprint)
            names.append(folder.name)
    return names


def listed(out: Path) -> list[str]:
    return sorted(item.name for item in out.iterdir())


def test_slides_of_one_name_are_never_in_one_folder(tmp_path: Path) -> None:
    slides = [("case", "1"), ("case", "2"), ("case", "3")]
    assert put(tmp_path, *slides) == ["case", "case-2", "case-3"]
    assert listed(tmp_path) == ["case", "case-2", "case-3"]
    # other runs, in any order and alone
    assert put(tmp_path, *slides[::-1]) == ["case-3", "case-2", "case"]
    assert put(tmp_path, slides[1]) == ["case-2"]
    assert put(tmp_path, ("case", "4")) == ["case-4"]


def test_a_slide_that_is_called_like_a_second_one(tmp_path: Path) -> None:
    assert put(tmp_path, ("case-2", "1"), ("case", "2"), ("case", "3")) == [
        "case-2",
        "case",
        "case-3",
    ]


def test_copies_of_one_slide_in_one_run_keep_both_results(tmp_path: Path) -> None:
    assert put(tmp_path, ("case", "1"), ("case", "1")) == ["case", "case-2"]
    assert put(tmp_path, ("case", "1"), ("case", "1")) == ["case", "case-2"]


def test_copies_that_are_analyzed_at_once_stay_apart(tmp_path: Path) -> None:
    write(tmp_path / "case", "other")
    write(tmp_path / "case-3", "1")
    # as in processes of their own: neither knows what the other was given
    one, two, three = (ResultFolders(tmp_path) for _ in range(3))
    with (
        one.reserve("case", "1", 1, own=[3]) as first,
        two.reserve("case", "1", 2, own=[]) as second,
        three.reserve("case", "1", 2, own=[]) as third,
    ):
        assert [folder.name for folder in (first, second, third)] == ["case-3", "case-2", "case-4"]
        write(second, "1")
    with ResultFolders(tmp_path).reserve("case", "1", 2, own=[]) as more:
        assert more.name == "case-4"


def test_names_that_differ_in_case_only_are_one_on_many_systems(tmp_path: Path) -> None:
    assert put(tmp_path, ("Case", "1"), ("case", "2")) == ["Case", "case-2"]


@pytest.mark.parametrize("content", ["{", "[]", '{"slide": null}', None])
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / (RESULT if content else "notes.txt")).write_text(content or "mine")
    assert put(tmp_path, ("case", "1")) == ["case-2"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    assert put(tmp_path, ("case", "1")) == ["case"]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    folders = ResultFolders(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt), folders.reserve("case", "1"):
        raise KeyboardInterrupt
    assert listed(tmp_path / "out") == []


def test_a_run_that_was_killed_leaves_no_claim_to_the_next_one(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from napari_xmag.export.result_folders import ResultFolders\n"
        "with ResultFolders(Path(sys.argv[1])).reserve('case', '1'): os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(listed(tmp_path)) == 1
    assert put(tmp_path, ("case", "2")) == ["case"]
    assert listed(tmp_path) == ["case"]


def test_a_claim_of_another_machine_is_that_of_its_slide(tmp_path: Path) -> None:
    (tmp_path / ".case.claim").write_text("1\nffffff.1.0a1b2c")
    assert put(tmp_path, ("case", "2")) == ["case-2"]
    assert put(tmp_path, ("case", "1")) == ["case"]
    assert listed(tmp_path) == ["case", "case-2"]


def test_a_file_where_the_folder_of_a_slide_should_be(tmp_path: Path) -> None:
    (tmp_path / "case").write_text("mine")
    assert put(tmp_path, ("case", "1")) == ["case-2"]
    assert (tmp_path / "case").read_text() == "mine"


def test_two_runs_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    one, two = ResultFolders(tmp_path), ResultFolders(tmp_path)
    with one.reserve("case", "1") as first, two.reserve("case", "2") as second:
        write(first, "1")
        write(second, "2")
    assert {first.name, second.name} == {"case", "case-2"}
    assert listed(tmp_path) == ["case", "case-2"]


def test_many_processes_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import json, sys; from pathlib import Path\n"
        "from napari_xmag.export.result_folders import ResultFolders\n"
        "sys.stdin.readline()\n"
        "folders = ResultFolders(Path(sys.argv[1]))\n"
        "for number in range(20):\n"
        "    mark = f'{sys.argv[2]}-{number}'\n"
        "    with folders.reserve('case', mark) as folder:\n"
        "        folder.mkdir(exist_ok=True)\n"
        "        text = json.dumps({'slide': {'fingerprint': mark}})\n"
        "        (folder / 'result.json').write_text(text)\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], stdin=subprocess.PIPE)
        for name in "abc"
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"\n")
        worker.stdin.close()
    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    marks = {
        json.loads((folder / RESULT).read_text())["slide"]["fingerprint"]
        for folder in tmp_path.iterdir()
    }
    assert marks == {f"{name}-{number}" for name in "abc" for number in range(20)}


@pytest.mark.parametrize("below", ["file", "file/results"])
def test_a_file_where_the_folder_should_be(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ExportError, match="a folder for results"),
        ResultFolders(tmp_path / below).reserve("case", "1"),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("case", "case"),
        ("1.2.840.7", "1.2.840.7"),
        ("Präparat 病理 №1", "Präparat 病理 №1"),
        ("..", "slide"),
        (".", "slide"),
        ("", "slide"),
        ("a/../../b", "a_.._.._b"),
        ("..\\b", "_b"),
        ("CON", "CON_"),
        ("lpt1", "lpt1_"),
        ('a:b*c?"<>|', "a_b_c_____"),
        ("ends. ", "ends"),
        ("new\nline", "new_line"),
        ("turned\u202e", "turned_"),
        ("می\u200cبافت", "می\u200cبافت"),  # Persian writes with joiners
    ],
)
def test_names_are_safe_on_every_system(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_long_names_are_cut(tmp_path: Path) -> None:
    long = safe_name("é" * 300)
    assert 100 <= len(long.encode()) <= 200
    assert put(tmp_path, (long, "1"), (long, "2")) == [long, f"{long}-2"]


def test_what_a_result_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "1.2.840.7"
    (folder / "below").mkdir(parents=True)
    assert result_name(folder) == "1.2.840.7"
    assert result_name(folder / "below" / "..") == "1.2.840.7"
    assert result_name(tmp_path / "case.ome.tif") == "case.ome"
    assert result_name(tmp_path / "case.svs", 2) == "case#2"
    for odd in ("..svs", "...svs", ".svs", "..."):
        name = result_name(tmp_path / odd)
        assert (tmp_path / name).resolve().parent == tmp_path.resolve()
        assert name.strip(".")


def test_a_dicom_folder_called_by_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dicom").mkdir()
    monkeypatch.chdir(tmp_path / "dicom")
    assert result_name(Path()) == "dicom"
    assert result_name(Path("..")) == tmp_path.name
