"""A report says what the result says, in HTML and in PDF, and nothing in it can break the page."""

import io
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_xmag import NOTICE
from napari_xmag.analyze import Flag, FlagCode, SlideResult, analyze_slide
from napari_xmag.analyze.heatmap import HeatMapView, MapLook
from napari_xmag.export import export_all
from napari_xmag.geometry import Box
from napari_xmag.report.content import ReportContent, report_content
from napari_xmag.report.model_card import read_card
from napari_xmag.report.write import write_report
from napari_xmag.review.evidence import foremost
from napari_xmag.review.store import ReviewStore, ViewState
from napari_xmag.review.verdicts import PlaceReview, Verdict
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_row import WorklistRow
from napari_xmag.slide.base import Slide
from napari_xmag.slide.open import open_slide
from tests.analyze.orange_model import orange_model
from tests.analyze.slides import Disturbed, damaged

EVIL = '<script>alert("x")</script> & "quotes" \x00\nsecond line {{ 7 * 7 }}'


@pytest.fixture(scope="module")
def slide(pyramid_slide: Path) -> Iterator[Slide]:
    with closing(open_slide(pyramid_slide)) as slide:
        yield slide


@pytest.fixture(scope="module")
def result(slide: Slide) -> SlideResult:
    return analyze_slide(slide, orange_model())


def said(result: SlideResult, patch: int, words: str = "a fold") -> PlaceReview:
    place = result.patches.box(patch)
    return PlaceReview(place, "other", "evidence", Verdict.WRONG, words, "Dr. Ä", "2026-11-26T01")


class Words(HTMLParser):
    """The words and tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words, self.tags, self.sources = "", [], []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def pages_of(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", pdf))


def test_both_forms_say_what_the_result_says(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    first = int(foremost(result, "other").patches[0])
    files = write_report(slide, result, tmp_path, [said(result, first)], reviewer="Dr. Ä")
    assert sorted(files) == ["report.html", "report.pdf"]
    page = Words(files["report.html"].read_text(encoding="utf-8"))
    for words in (
        *("pyramid.tiff", "other", NOTICE, "Dr. Ä", "✗ wrong", "a fold", result.tissue_words),
        *("Orange finder (orange, 000000000000)", result.slide["fingerprint"]),
        *("The mark is the threshold", "% of the evidence for other"),
    ):
        assert words in page.words, words
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "script" not in page.tags
    pdf = files["report.pdf"].read_bytes()
    assert pdf.startswith(b"%PDF")
    assert pages_of(pdf) in (2, 3)


def test_letters_that_the_pdf_cannot_show_are_marked(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    reader = pytest.importorskip("PySide6.QtPdf").QPdfDocument()
    first = int(foremost(result, "other").patches[0])

    def text_of(comment: str) -> str:
        review = said(result, first, comment)
        files = write_report(slide, result, tmp_path, [review], formats=["pdf"])
        reader.load(str(files["report.pdf"]))
        words = [reader.getAllText(page).text() for page in range(reader.pageCount())]
        reader.close()
        return " ".join(" ".join(words).split())

    shown = text_of("Größe ξ, ğışİ, Клетка, 5\xa0mm")
    assert "Größe ξ, ğışİ, Клетка, 5 mm" in shown
    assert "this document lacks" not in shown
    marked = text_of("有丝分裂 ok")
    assert "\ufffd\ufffd\ufffd\ufffd ok" in marked
    assert "The HTML report shows it." in marked


def test_hostile_words_break_nothing(slide: Slide, result: SlideResult, tmp_path: Path) -> None:
    hostile = replace(
        result,
        slide={**result.slide, "path": EVIL},
        classes=("orange", EVIL),
        flags=(Flag("x", EVIL), Flag(FlagCode.OUT_OF_RANGE, EVIL)),
    )
    review = replace(said(result, 0, EVIL * 200), class_name=EVIL, reviewer=EVIL)
    files = write_report(slide, hostile, tmp_path, [review], reviewer=EVIL)
    text = files["report.html"].read_text(encoding="utf-8")
    assert "<script" not in text
    assert "{{ 7 * 7 }}" in Words(text).words
    assert files["report.pdf"].read_bytes().startswith(b"%PDF")


def test_many_classes_and_warnings_fill_pages_and_do_not_fail(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    names = tuple(f"class {number} " + "x" * 60 for number in range(40))
    many = replace(
        result,
        classes=names,
        probabilities=(1 / 40,) * 40,
        patches=replace(
            result.patches,
            evidence=np.ones((len(result.patches), 40), np.float32),
        ),
        flags=tuple(Flag("mpp_by_hand", "Many words. " * 40) for _ in range(30)),
    )
    files = write_report(slide, many, tmp_path, formats=["pdf"])
    assert sorted(files) == ["report.pdf"]
    assert pages_of(files["report.pdf"].read_bytes()) > 3


def content(slide: Slide, result: SlideResult, **options: object) -> ReportContent:
    return report_content(slide, result, **options)  # type: ignore[arg-type]


def test_a_result_that_abstains(slide: Slide, result: SlideResult, tmp_path: Path) -> None:
    doubtful = replace(result, flags=(Flag(FlagCode.OUT_OF_RANGE, "It looks unlike those."),))
    it = content(slide, doubtful)
    assert (it.kind, it.headline, it.predicted) == ("abstained", "No reliable prediction", "")
    assert it.reasons == ("It looks unlike those.",)
    assert it.warnings == ()
    files = write_report(slide, doubtful, tmp_path, formats=["html"])
    words = Words(files["report.html"].read_text(encoding="utf-8")).words
    assert "Scores (not a reliable prediction)" in words


def test_places_lie_where_they_say(slide: Slide, result: SlideResult) -> None:
    it = content(slide, result)
    first = result.patches.box(int(foremost(result, "other").patches[0]))
    x, y = first.center
    assert it.places[0].where == f"x {x * 0.5 / 1000:.2f} mm, y {y * 0.5 / 1000:.2f} mm"
    with Image.open(io.BytesIO(it.places[0].picture)) as picture:
        shown = np.asarray(picture).astype(int)
    assert shown.shape == (400, 400, 3)  # 0.4 mm at 1 µm per pixel
    around = Box(x - 400, y - 400, 800, 800)
    truth = slide.read(around, 0).reshape(400, 2, 400, 2, 3).mean((1, 3))
    inside = shown[150:250, 150:250] - truth[150:250, 150:250]  # within the outline
    assert np.abs(inside).mean() < 8


def test_what_was_said_elsewhere_is_shown_too(slide: Slide, result: SlideResult) -> None:
    shown = set(foremost(result, "other").patches.tolist())
    elsewhere = next(patch for patch in range(len(result.patches)) if patch not in shown)
    it = content(slide, result, reviews=[said(result, elsewhere)])
    assert len(it.places) == len(shown) + 1
    assert (it.places[-1].verdict, it.places[-1].comment) == ("wrong", "a fold")
    assert it.places[-1].said_by == "Dr. Ä, 2026-11-26"
    attention = content(
        slide, result, reviews=[said(result, elsewhere)], look=MapLook(HeatMapView.RAW)
    )
    assert not any(place.comment for place in attention.places)  # it was said of another view


def test_a_place_that_cannot_be_read_leaves_a_gap(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    x, y = result.patches.box(int(foremost(result, "other").patches[0])).center
    broken = damaged(Box(x - 2000, y - 2000, 4000, 4000))
    coarse = slide.levels[-1].downsample

    def disturb(box: Box) -> None:
        if box.width < 1500 * coarse / 4:  # places, not the overview
            broken(box)

    it = content(Disturbed(slide, disturb), result)
    assert it.places[0].picture == b""
    write_report(Disturbed(slide, disturb), result, tmp_path)
    assert "This part of the file cannot be read" in (tmp_path / "report.html").read_text(
        encoding="utf-8"
    )


def test_without_tissue_there_is_still_a_report(slide: Slide, tmp_path: Path) -> None:
    from napari_xmag.slide.tissue import TissueMask

    nothing = TissueMask(np.zeros((1, 1), bool), 3000, 2000, "painted")
    empty = analyze_slide(slide, orange_model(), mask=nothing)
    it = content(slide, empty)
    assert (it.kind, it.places, it.bars) == ("abstained", (), ())
    assert len(write_report(slide, empty, tmp_path)) == 2


def test_the_card_in_short() -> None:
    text = (
        "# M\n\n## Performance\n\nWords.\n\n| split | AUC |\n| --- | --- |\n| train | 1 |\n"
        "| test | 0.9 (0.8 … 1) |\n\n## Limits\n\nOnly **colon**.\n\n## Training\n\nLong.\n"
    )
    card = read_card(text)
    assert card.figures == (("split", "test"), ("AUC", "0.9 (0.8 … 1)"))
    assert (card.limits, card.note) == (("Only colon.",), "")
    assert (
        read_card("nothing", demonstration=True)
        .limits[0]
        .startswith("This is a demonstration model")
    )
    assert "gives no performance figures" in read_card("nothing").note


def test_the_command_writes_reports_of_saved_results(
    slide: Slide, result: SlideResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_xmag.cli import main

    export_all(slide, result, tmp_path / "case", reviews=[said(result, 0)])
    command = ["report", str(tmp_path / "case"), str(tmp_path / "nowhere")]
    assert main([*command, "--slide", str(slide.path), "--format", "html"]) == 1
    told = capsys.readouterr()
    assert str(tmp_path / "case" / "report.html") in told.out
    assert "nowhere: FAILED." in told.err
    assert "a fold" in (tmp_path / "case" / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "case" / "report.pdf").exists()


def test_many_reports_are_reached_from_one_page(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    from napari_xmag.cli import main

    doubtful = replace(result, flags=(Flag(FlagCode.OUT_OF_RANGE, "<b>Unlike</b> those."),))
    for name, one in (("a case", doubtful), ("b", result)):
        one.save(tmp_path / "results" / name)
    names = [str(tmp_path / "results" / name) for name in ("a case", "b")]
    command = ["report", *names, "--slide", str(slide.path), "--format", "html"]
    assert main(command) == 0
    text = (tmp_path / "results" / "reports.html").read_text(encoding="utf-8")
    page = Words(text)
    links = [source for source in page.sources if source.endswith("report.html")]
    assert list(dict.fromkeys(links)) == ["b/report.html", "a%20case/report.html"]
    assert "No reliable prediction" in page.words
    assert "<b>Unlike" not in text
    assert text.count("data:image/jpeg") == 2

    # the same name twice, below one folder
    result.save(tmp_path / "more" / "b")
    doubles = [names[1], str(tmp_path / "more" / "b"), "--out", str(tmp_path / "out")]
    assert main([*command[:1], *doubles, *command[3:]]) == 0
    assert sorted(file.parent.name for file in (tmp_path / "out").glob("*/report.html")) == [
        "b",
        "b-2",
    ]


def test_reports_of_a_worklist(
    slide: Slide, result: SlideResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_xmag.cli import main

    store = ReviewStore(str(result.slide["fingerprint"]))
    store.save_view(ViewState(class_name="a class of another model", threshold=0.25))
    worklist = Worklist([WorklistRow(slide.path), WorklistRow(tmp_path / "waiting.svs")])
    worklist.finish((slide.path, 1), result, store.save_result(result))
    worklist.save(tmp_path / "today.json")
    assert main(["report", str(tmp_path / "today.json"), "--format", "html"]) == 0
    (report,) = (tmp_path / "today-reports").glob("*/*.html")
    assert report.parent.name == "pyramid.tiff"
    assert "Evidence for other" in report.read_text(encoding="utf-8")
    assert "Patches below 25 % of the strongest colour are hidden." in report.read_text("utf-8")
    assert "no result of waiting.svs (waiting)" in capsys.readouterr().err
    Worklist([WorklistRow(tmp_path / "waiting.svs")]).save(tmp_path / "tomorrow.json")
    both = [str(tmp_path / "tomorrow.json"), str(tmp_path / "today.json")]
    report.unlink()
    assert main(["report", *both, "--format", "html"]) == 1
    assert (
        f"{both[0]}: FAILED. Expected at least one slide with a result" in capsys.readouterr().err
    )
    assert report.exists()
