"""Names and paths of anyone in what is written: words, that say no more than they must."""

import csv
import json
import os
import re
import socket
import sys
import zipfile
from pathlib import Path

import pytest

from napari_xmag.analyze.result import SlideResult
from napari_xmag.cli import main
from napari_xmag.cohort.cohort import read_cohort, write_cohort
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.cohort.table import read_table
from napari_xmag.errors import CohortError, ConfigError, ResultError
from napari_xmag.learn.scalars import ScalarLog
from napari_xmag.markdown import escaped, table
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_row import RowStatus
from napari_xmag.train.report.predictions import predict, read_predictions, write_predictions
from napari_xmag.train.run_folder import finished, read_config
from tests.slides import draw_section, write_pyramid


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("benign\n# Malignant", "cannot be seen"),
        ("be\x07nign", "cannot be seen"),
        ("be\u202enign", "cannot be seen"),
        ("x" * 100_000, "a name of 100,000 letters"),
    ],
)
def test_labels_that_cannot_be_shown_are_told_by_row(
    tmp_path: Path, label: str, words: str
) -> None:
    with (tmp_path / "c.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["slide", "label"], ["a.svs", "benign"], ["b.svs", label]])
    problems = read_cohort(tmp_path / "c.csv", open_slides=False).problems
    assert any(problem.row == 3 and words in problem.words for problem in problems)
    assert all(len(str(problem)) < 500 for problem in problems if words in problem.words)


def test_names_in_markdown_are_words() -> None:
    name = "a|b\n# Heading <script>alert(1)</script> [x](http://y) **bold** `code` & ![i](j)"
    line = table(["slide"], [[escaped(name)]]).splitlines()
    assert len(line) == 3
    assert "<script" not in line[2]
    # Every mark that means something stands behind a backslash.
    assert not re.search(r"(?<!\\)[`*\[\]#!]", line[2])


def test_a_cell_of_400_mb_and_a_bomb_are_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / "large.csv").open("wb") as stream:
        stream.truncate(400 * 2**20)
    with (
        zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w") as part,
    ):
        for _ in range(200):
            part.write(bytes(2**20))
    for name in ("large.csv", "bomb.xlsx"):
        with pytest.raises(CohortError, match="more than the limit of 134,217,728"):
            read_table(tmp_path / name, ["slide", "label"])


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml"])
@pytest.mark.parametrize("content", [b"<broken", b"", b"<a/>", None])
def test_broken_workbooks_are_refused_in_words(
    tmp_path: Path, part: str, content: bytes | None
) -> None:
    path = tmp_path / "table.xlsx"
    write_cohort(path, [CohortRow(2, tmp_path / "a.svs", "benign")])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert part in parts
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            if name != part:
                archive.writestr(name, data)
            elif content is not None:
                archive.writestr(name, content)
    with pytest.raises(CohortError, match=r"table\.xlsx"):
        read_table(path, ["slide", "label"])


def test_paths_are_seen_from_the_table_and_patients_stay_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / "alice.example"
    (home / "runs" / "one").mkdir(parents=True)
    monkeypatch.chdir(home)
    rows = [
        CohortRow(2, home / "slides" / "a.svs", "benign"),
        CohortRow(3, Path("slides") / "b.svs", "malignant"),
    ]
    run = home / "runs" / "one"
    write_cohort(run / "cohort.csv", rows)
    write_predictions(
        run / "predictions.csv",
        ["benign", "malignant"],
        predict(rows, ["benign", "malignant"], [[1, 0], [0, 1]], 1.0),
    )
    for name in ("cohort.csv", "predictions.csv"):
        text = (run / name).read_text(encoding="utf-8-sig")
        assert "alice" not in text
        assert "../../slides/a.svs" in text
    again = read_cohort(run / "cohort.csv", open_slides=False).rows
    _, predictions = read_predictions(run / "predictions.csv")
    wanted = [home / "slides" / "a.svs", home / "slides" / "b.svs"]
    assert [Path(os.path.normpath(row.slide)) for row in again] == wanted
    assert [item.slide for item in predictions] == wanted
    assert [item.patient for item in predictions] == [str(path) for path in wanted]


def test_tensorboards_files_do_not_name_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "ward7-pc.hospital.example")
    with ScalarLog(tmp_path) as log:
        log.write(1, {"loss": 1.0})
        log.write(2, {"loss": 0.5})
    with ScalarLog(tmp_path) as log:
        log.write(3, {"loss": 0.25})
    names = [path.name for path in (tmp_path / "tensorboard").iterdir()]
    assert names
    assert not [name for name in names if "ward7" in name or "hospital" in name]


@pytest.mark.parametrize("text", ["[" * 50_000, "NaN", "[1]", '{"config": 1}', "{}", "\xff", ""])
def test_broken_settings_and_figures_of_a_run_are_refused_in_words(
    tmp_path: Path, text: str
) -> None:
    for name in ("config.json", "metrics.json"):
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        read_config(tmp_path)
    if text in ("{}", '{"config": 1}'):
        assert (finished(tmp_path) or {}) == json.loads(text)
    else:
        with pytest.raises(ResultError):
            finished(tmp_path)


@pytest.mark.usefixtures("graphs_of_children")
@pytest.mark.skipif(sys.platform != "linux", reason="other systems forbid such names")
def test_slides_of_hostile_names_are_analyzed_and_told(
    tmp_path: Path, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    plain = write_pyramid(slides / "plain.tiff", draw_section(600, 500), factors=(1,))
    names = (b"B\xe4r.tiff", b"two\nlines.tiff", b"\x1b[31mred.tiff", "症例\u3000一.tiff".encode())
    for number, name in enumerate(names):
        # a byte behind the picture makes each a slide of its own
        other = Path(os.fsdecode(os.fsencode(slides) + b"/" + name))
        other.write_bytes(plain.read_bytes() + bytes([number]))
    (slides / "loop.svs").symlink_to("loop.svs")

    out = tmp_path / "out"
    assert main(["analyze", str(slides), "--model", tiny, "--out", str(out), "--workers", "0"]) == 1
    told = capsys.readouterr()
    assert "loop.svs: FAILED" in told.err
    assert "FAILED" not in told.err.replace("loop.svs: FAILED", "")
    assert "\x1b" not in told.out + told.err
    assert "5 of 6 slides analyzed" in told.out
    found = {SlideResult.load(folder).slide["path"] for folder in out.iterdir() if folder.is_dir()}
    shown = {r"B\udce4r.tiff", r"two\nlines.tiff", r"\x1b[31mred.tiff", "症例\u3000一.tiff"}
    assert found == {"plain.tiff", *shown}
    assert {folder.name for folder in out.iterdir() if folder.is_dir()} >= {"症例\u3000一"}
    for name in ("summary.csv", "failed.csv"):
        (out / name).read_text(encoding="utf-8-sig")
    folders = [str(folder) for folder in out.iterdir() if folder.is_dir()]
    assert main(["report", *folders, "--slide", str(slides)]) == 0
    listed = str(tmp_path / "list.json")
    assert main(["worklist", listed, str(slides), "--results", str(out)]) == 0
    assert [row.status for row in Worklist.load(listed).rows].count(RowStatus.ABSTAINED) == 5
