"""From a result's files back to the slide, which is known by what it shows, not by its name."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_xmag.analyze import analyze_slide
from napari_xmag.cli import main
from napari_xmag.errors import ResultError
from napari_xmag.export import export_all
from napari_xmag.review.reopen import adopt, reopen
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.verdicts import PlaceReview, Verdict
from napari_xmag.slide.open import open_slide
from tests.analyze.orange_model import orange_model
from tests.slides import draw_section, write_pyramid


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``slides/a/case.tiff`` and its result in ``results/case``."""
    home = tmp_path_factory.mktemp("home")
    (home / "slides" / "a").mkdir(parents=True)
    path = write_pyramid(home / "slides" / "a" / "case.tiff", draw_section(1200, 900))
    with closing(open_slide(path)) as slide:
        result = analyze_slide(slide, orange_model())
        said = PlaceReview(
            result.patches.box(0), "other", "evidence", Verdict.WRONG, "fold", "A", "2026-01-02"
        )
        export_all(slide, result, home / "results" / "case", reviews=[said])
    return home


@pytest.fixture
def home(analyzed: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy to be changed."""
    shutil.copytree(analyzed, tmp_path / "home")
    return tmp_path / "home"


@pytest.mark.parametrize("name", ["", "result.json", "heatmap.ome.tif"])
def test_slide_map_and_ticks_come_back(home: Path, name: str) -> None:
    found = reopen(home / "results" / "case" / name)
    assert found.slide == home / "slides" / "a" / "case.tiff"
    assert (found.image, found.folder) == (1, home / "results" / "case")
    assert [(said.verdict, said.comment) for said in found.reviews] == [(Verdict.WRONG, "fold")]


def test_a_renamed_slide_is_known(home: Path) -> None:
    slide = home / "slides" / "a" / "case.tiff"
    renamed = slide.rename(home / "anonymous.tiff")
    assert reopen(home / "results" / "case").slide == renamed


def test_a_name_that_was_escaped_is_known(home: Path) -> None:
    slide = home / "slides" / "a" / "case.tiff"
    renamed = slide.rename(slide.with_name("ca\nse.tiff"))
    saved = home / "results" / "case" / "result.json"
    saved.write_text(saved.read_text("utf-8").replace('"case.tiff"', '"ca\\\\nse.tiff"'), "utf-8")
    for number in range(60):  # more than are looked at because they might be renamed
        (home / "slides" / f"{number}.tiff").touch()
    assert reopen(home / "results" / "case").slide == renamed


def test_another_slide_of_the_name_is_not_taken(home: Path, pyramid_slide: Path) -> None:
    shutil.copy(pyramid_slide, home / "slides" / "a" / "case.tiff")
    with pytest.raises(ResultError, match=r"another slide: .*case\.tiff"):
        reopen(home / "results" / "case")
    elsewhere = home.parent / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(ResultError, match=r"another slide: .*pyramid"):
        reopen(home / "results" / "case", [pyramid_slide])


def test_where_the_user_says(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    far = tmp_path_factory.mktemp("far") / "x.tiff"
    shutil.move(home / "slides" / "a" / "case.tiff", far)
    with pytest.raises(ResultError, match="Choose the slide file"):
        reopen(home / "results" / "case")
    assert reopen(home / "results" / "case", [far]).slide == far
    assert reopen(home / "results" / "case", [far.parent]).slide == far


@pytest.mark.parametrize("path", ["nowhere", "slides", "slides/a/case.tiff"])
def test_what_is_no_result(home: Path, path: str) -> None:
    with pytest.raises(ResultError, match=r"result\.json"):
        reopen(home / path)


def test_a_reopened_result_joins_what_is_saved(home: Path, tmp_path: Path) -> None:
    found = reopen(home / "results" / "case")
    store = ReviewStore(str(found.result.slide["fingerprint"]), tmp_path / "store")
    name = adopt(found, store)
    assert store.view().result == name == store.results()[0].id
    assert store.reviews() == found.reviews
    later = replace(found.reviews[0], verdict=Verdict.RIGHT, date="2026-03-01")
    store.record(later)
    adopt(found, store)
    assert store.reviews() == (later,)
    assert len(store.results()) == 1


def test_the_command_starts_napari_on_the_slide(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def start(command: list[str]) -> SimpleNamespace:
        started.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("napari_xmag.cli.open.subprocess.run", start)
    assert main(["open", str(home / "results" / "case")]) == 0
    ((_, *command),) = started
    assert command[:3] == ["-m", "napari", str(home / "slides" / "a" / "case.tiff")]
    mark = reopen(home / "results" / "case").result.slide["fingerprint"]
    assert ReviewStore(str(mark)).view().result
    assert len(ReviewStore(str(mark)).reviews()) == 1
    (home / "slides" / "a" / "case.tiff").unlink()
    assert main(["open", str(home / "results" / "case")]) == 1
    assert len(started) == 1
