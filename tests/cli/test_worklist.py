"""The command makes a list of slides and fills it with results that are there."""

import csv
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from napari_xmag.analyze import analyze_slide
from napari_xmag.cli import main
from napari_xmag.export import export_all
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.verdicts import PlaceReview, Verdict
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_row import RowStatus
from napari_xmag.slide.open import open_slide
from tests.analyze.orange_model import orange_model
from tests.slides import draw_section, write_pyramid


def test_slides_with_results_of_the_night(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    first = write_pyramid(slides / "a.tiff", draw_section(1200, 900))
    write_pyramid(slides / "b.tiff", draw_section(400, 300, seed=1))
    with closing(open_slide(first)) as slide:
        result = analyze_slide(slide, orange_model())
        said = PlaceReview(result.patches.box(0), verdict=Verdict.RIGHT, date="2026")
        export_all(slide, result, tmp_path / "out" / "a", reviews=[said])
    shutil.copytree(tmp_path / "out" / "a", tmp_path / "out" / "broken")
    (tmp_path / "out" / "broken" / "tiles.csv").unlink()
    listed = tmp_path / "today.json"
    command = ["worklist", str(listed), str(slides), "--results", str(tmp_path / "out")]

    assert main([*command, "--summary", str(tmp_path / "today.csv")]) == 1
    told = capsys.readouterr()
    assert "2 added" in told.out
    assert "broken: FAILED." in told.err
    done, waiting = Worklist.load(listed).sorted()
    assert (done.slide, done.headline) == (first, result.headline)
    assert waiting.status is RowStatus.WAITING
    store = ReviewStore(str(result.slide["fingerprint"]))
    assert store.load_result(done.result).probabilities == result.probabilities
    assert store.reviews() == (said,)
    with (tmp_path / "today.csv").open(newline="", encoding="utf-8-sig") as stream:
        assert len(list(csv.DictReader(stream))) == 2

    shutil.rmtree(tmp_path / "out" / "broken")
    assert main(command) == 0
    assert "0 added" in capsys.readouterr().out
