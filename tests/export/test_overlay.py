"""The picture and the folder."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from napari_xmag import NOTICE
from napari_xmag.analyze import Flag, HeatMapView, SlideResult, analyze_slide
from napari_xmag.analyze.heatmap import MapLook, view_values
from napari_xmag.errors import ExportError, ResultError, TileReadError
from napari_xmag.export import export_all, lettering, write_overlay
from napari_xmag.export.folder import NAMES
from napari_xmag.export.map_picture import map_picture, slide_picture
from napari_xmag.export.result_folders import ResultFolders
from napari_xmag.geometry import Box
from napari_xmag.review.verdicts import PlaceReview, Verdict, read_review
from napari_xmag.slide.base import NoteCode, Slide
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import TissueMask, find_tissue, painted, tissue_in_polygons
from tests.analyze.orange_model import orange_model
from tests.analyze.slides import Disturbed, damaged
from tests.slides import draw_section, write_pyramid

PATIENT = "Maria Mustermann 1954-03-01"


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slide]:
    """A slide whose file names a patient."""
    path = tmp_path_factory.mktemp("slide") / "S-17.tiff"
    write_pyramid(path, draw_section(3000, 2000), description=PATIENT)
    with closing(open_slide(path)) as slide:
        assert PATIENT in "".join(slide.properties.values())
        yield slide


@pytest.fixture(scope="module")
def result(slide: Slide) -> SlideResult:
    return analyze_slide(slide, orange_model())


def shown(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_everything_is_written(slide: Slide, result: SlideResult, tmp_path: Path) -> None:
    files = export_all(slide, result, tmp_path / "out" / "S-17")
    assert tuple(files) == NAMES
    assert sorted(path.name for path in (tmp_path / "out" / "S-17").iterdir()) == sorted(NAMES)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["S-17"]
    assert SlideResult.load(tmp_path / "out" / "S-17").probabilities == result.probabilities


def test_another_slides_result_is_never_written_over(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    other = replace(result, slide={**result.slide, "fingerprint": "another slide"})
    export_all(slide, other, tmp_path / "S-17")
    before = (tmp_path / "S-17" / "result.json").read_bytes()
    with pytest.raises(ExportError, match="a result of another slide"):
        export_all(slide, result, tmp_path / "S-17")
    assert (tmp_path / "S-17" / "result.json").read_bytes() == before
    folders = ResultFolders(tmp_path)
    mark = result.slide["fingerprint"]
    assert folders.suggest("S-17", mark) == tmp_path / "S-17-2"
    assert folders.suggest("S-17", "another slide") == tmp_path / "S-17"
    assert [folder.name for folder in tmp_path.iterdir()] == ["S-17"]


def test_every_file_says_research_use_only(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    files = export_all(slide, result, tmp_path)
    for name, path in files.items():
        if name != "overlay.png":
            assert NOTICE.encode() in path.read_bytes(), name


def test_no_file_names_the_patient(slide: Slide, result: SlideResult, tmp_path: Path) -> None:
    for path in export_all(slide, result, tmp_path).values():
        assert b"Mustermann" not in path.read_bytes()
        assert str(slide.path.parent).encode() not in path.read_bytes()


def test_a_cut_slide_is_exported_with_its_missing_part_hatched(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    path = tmp_path / "cut.tiff"
    content = slide.path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with closing(open_slide(path)) as cut:
        found = analyze_slide(cut, orange_model())
        files = export_all(cut, found, tmp_path / "out")
        seen, whole = slide_picture(cut), slide_picture(slide)
    assert NoteCode.DAMAGED in {flag.code for flag in found.flags}
    assert tuple(files) == NAMES
    assert SlideResult.load(tmp_path / "out").flags == found.flags
    height = len(seen)
    read = slice(0, height // 4)
    np.testing.assert_allclose(seen[read].astype(int), whole[read].astype(int), atol=3)
    missing = seen[-height // 4 :].reshape(-1, 3).tolist()
    assert {tuple(color) for color in missing} == {(120,) * 3, (200,) * 3}


def test_a_failure_leaves_nothing(slide: Slide, result: SlideResult, tmp_path: Path) -> None:
    broken = Disturbed(slide, damaged(Box(0, 0, 3000, 2000)))
    with pytest.raises(TileReadError, match="nothing can be read"):
        export_all(broken, result, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_what_was_there(slide: Slide, result: SlideResult, tmp_path: Path) -> None:
    export_all(slide, result, tmp_path / "out")
    before = (tmp_path / "out" / "result.json").read_bytes()
    broken = Disturbed(slide, damaged(Box(0, 0, 3000, 2000)))
    with pytest.raises(TileReadError, match="nothing can be read"):
        export_all(broken, replace(result, created="later"), tmp_path / "out")
    assert (tmp_path / "out" / "result.json").read_bytes() == before


def test_a_second_export_replaces_the_first(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    export_all(slide, result, tmp_path, "bounds")
    (tmp_path / "notes.txt").write_text("mine")
    export_all(slide, result, tmp_path, "slide")
    data = json.loads((tmp_path / "tiles.geojson").read_text())
    assert data["napari_xmag"]["origin"] == "slide"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_files_of_something_else_are_never_written_over(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    (tmp_path / "overlay.png").write_text("mine")
    with pytest.raises(ExportError, match=r"overlay\.png of unknown origin"):
        export_all(slide, result, tmp_path)
    assert (tmp_path / "overlay.png").read_text() == "mine"
    assert [item.name for item in tmp_path.iterdir()] == ["overlay.png"]


def test_the_picture_shows_the_view_that_was_reviewed(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    shown_views = []
    for view in (HeatMapView.EVIDENCE, HeatMapView.RAW):
        export_all(slide, result, tmp_path / view.name, look=MapLook(view, "orange"))
        write_overlay(slide, result, tmp_path / "same.png", MapLook(view, "orange"))
        same = shown(tmp_path / "same.png")
        assert np.array_equal(shown(tmp_path / view.name / "overlay.png"), same)
        shown_views.append(same)
    assert not np.array_equal(*shown_views)


def test_what_was_said_stays_in_the_folder_until_it_is_taken_back(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    first, second = (
        PlaceReview(result.patches.box(patch), verdict=Verdict.RIGHT, date="2026-02-01")
        for patch in (0, 1)
    )
    files = export_all(slide, result, tmp_path, reviews=[first])
    assert read_review(files["review.csv"]) == (first,)
    # the slide is analyzed again by a program that knows of no words, then by one that knows others
    assert "review.csv" in export_all(slide, result, tmp_path)
    export_all(slide, result, tmp_path, reviews=[second])
    assert set(read_review(files["review.csv"])) == {first, second}
    older = replace(first, verdict=Verdict.WRONG, date="2026-01-01")
    export_all(slide, result, tmp_path, reviews=[older])
    assert set(read_review(files["review.csv"])) == {first, second}
    gone = [replace(said, verdict=None, date="2026-03-01") for said in (first, second)]
    assert "review.csv" not in export_all(slide, result, tmp_path, reviews=gone)
    assert not (tmp_path / "review.csv").exists()


def test_words_that_cannot_be_read_are_not_lost(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    export_all(slide, result, tmp_path)
    (tmp_path / "review.csv").write_text("x,y\n1,2\n")
    export_all(slide, result, tmp_path)
    assert (tmp_path / "review.csv").read_text() == "x,y\n1,2\n"
    said = PlaceReview(result.patches.box(0), verdict=Verdict.RIGHT)
    with pytest.raises(ResultError, match="verdicts on places"):
        export_all(slide, result, tmp_path, reviews=[said])
    assert (tmp_path / "review.csv").read_text() == "x,y\n1,2\n"


def test_a_place_that_cannot_be_written(slide: Slide, result: SlideResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match="may write to"):
        export_all(slide, result, tmp_path / "file" / "out")


def test_glass_is_left_alone(slide: Slide, result: SlideResult, tmp_path: Path) -> None:
    write_overlay(slide, result, tmp_path / "overlay.png")
    page = shown(tmp_path / "overlay.png")
    picture = slide_picture(slide)
    height, width = picture.shape[:2]
    top = (page.shape[0] - height) // 2
    blended = page[top : top + height, 28 : 28 + width].astype(int)
    changed = np.abs(blended - picture).max(axis=2) > 12
    assert not changed[:40].any()  # a strip of glass
    assert changed[height // 2, width // 2]


def painted_over(slide: Slide, result: SlideResult, mask: TissueMask | None = None) -> np.ndarray:
    """Return where a picture of 700 px has colours over the slide."""
    picture = map_picture(slide, result, MapLook(HeatMapView.RANK), 700, mask)
    return np.asarray((picture.map != picture.tissue).any(axis=2))


def mask_over(slide: Slide, mask: TissueMask, shape: tuple[int, int]) -> np.ndarray:
    """Return the mask at the middle of each pixel of a picture of the slide's bounds."""
    bounds, (height, width) = slide.bounds, shape
    x = bounds.x + (np.arange(width) + 0.5) * bounds.width / width
    y = bounds.y + (np.arange(height) + 0.5) * bounds.height / height
    return mask.pixels[np.ix_((y / mask.scale_y).astype(int), (x / mask.scale_x).astype(int))]


def test_only_tissue_has_colour(slide: Slide, result: SlideResult) -> None:
    over = painted_over(slide, result)
    tissue = mask_over(slide, find_tissue(slide), over.shape)
    assert over.sum() > 1000
    assert not (over & ~tissue).any()
    whole_patches = painted_over(slide, replace(result, tissue={}))
    assert (whole_patches & ~tissue).sum() > 100  # there is something to leave out
    # but for the borders of patches, which the mask's pixels straddle
    assert (over ^ (whole_patches & tissue)).sum() < 0.02 * over.sum()


def test_tissue_that_was_painted_is_that_of_the_picture(slide: Slide) -> None:
    pixels = np.zeros((200, 300), bool)
    pixels[60:140, 100:151] = True
    mask = painted(slide, pixels)
    result = analyze_slide(slide, orange_model(), mask=mask)
    over = painted_over(slide, result, mask)
    assert over.any()
    assert not (over & ~mask_over(slide, mask, over.shape)).any()
    # Earlier versions did not keep the mask: whole patches, never what the program would find.
    unknown = replace(result, mask=None)
    assert (painted_over(slide, unknown) & ~mask_over(slide, mask, over.shape)).any()


@pytest.mark.parametrize("view", list(HeatMapView))
def test_views_look_different(
    slide: Slide, result: SlideResult, view: HeatMapView, tmp_path: Path
) -> None:
    write_overlay(slide, result, tmp_path / "one.png", MapLook(view))
    others = [other for other in HeatMapView if other is not view]
    write_overlay(slide, result, tmp_path / "other.png", MapLook(others[0]))
    assert not np.array_equal(shown(tmp_path / "one.png"), shown(tmp_path / "other.png"))


def test_many_words_make_a_taller_page(slide: Slide, result: SlideResult, tmp_path: Path) -> None:
    long = Flag("test", "A warning of many words. " * 40)
    write_overlay(slide, replace(result, flags=(long,) * 5), tmp_path / "long.png")
    write_overlay(slide, result, tmp_path / "short.png")
    long_page, page = shown(tmp_path / "long.png"), shown(tmp_path / "short.png")
    assert len(long_page) > len(page)
    # the frame of the notice stays at the foot
    foot = long_page[-75:-28, -200].astype(int)
    assert (foot[:, 0] - foot[:, 1]).max() > 100


def test_no_tissue(slide: Slide, tmp_path: Path) -> None:
    nothing = TissueMask(np.zeros((1, 1), bool), 3000, 2000, "painted")
    empty = analyze_slide(slide, orange_model(), mask=nothing)
    export_all(slide, empty, tmp_path)
    assert shown(tmp_path / "overlay.png").shape[1] > 1400


def test_picture_of_a_slide_of_one_level(single_level_slide: Path) -> None:
    with closing(open_slide(single_level_slide)) as slide:
        picture = slide_picture(slide, 300)
        seen: list[float] = []
        slide_picture(Disturbed(slide, lambda box: seen.append(box.width * box.height)), 300)
    assert picture.shape == (260, 300, 3)
    assert max(seen) < 2300**2
    # blocks join without a seam: tissue in the middle, glass all around
    assert picture[130, 150].min() < 215
    assert np.ptp(picture[:20].mean(axis=2)) < 12


@pytest.mark.parametrize("sign", "µ²−–×·…äéßčłñøα≤")
def test_the_font_has_every_sign_that_we_write(sign: str) -> None:
    missing = bytes(lettering.font(24).getmask("\uffff"))
    assert bytes(lettering.font(24).getmask(sign)) != missing


def test_fonts_are_found_where_matplotlib_says() -> None:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    assert lettering.font_folder().samefile(folder)


def test_long_names_are_shortened_in_the_middle() -> None:
    short = lettering.cut_to_width("a-very-long-slide-name-indeed_0001.svs", 16, 150)
    assert lettering.width(short, 16) <= 150
    assert short.startswith("a-very")
    assert short.endswith("1.svs")
    assert all(
        lettering.width(line, 16) <= 90 for line in lettering.wrap_to_width("words " * 9, 16, 90)
    )


def test_pictures_hide_and_fade_what_the_window_does(
    slide: Slide, result: SlideResult, tmp_path: Path
) -> None:
    look = MapLook(HeatMapView.RANK, opacity=0.25, threshold=0.4)
    looks = look, MapLook(HeatMapView.RANK)
    pictures = [map_picture(slide, result, each, 700) for each in looks]
    over, before = (each.map.astype(int) - each.tissue for each in pictures)
    ranks = np.full(result.grid_shape, np.nan, np.float32)
    ranks[result.rows, result.columns] = view_values(result, HeatMapView.RANK)
    bounds, (height, width) = slide.bounds, over.shape[:2]
    x = bounds.x + (np.arange(width) + 0.5) * bounds.width / width - result.origin_x
    y = bounds.y + (np.arange(height) + 0.5) * bounds.height / height - result.origin_y
    rows = np.clip(y // result.stride_y, 0, result.grid_shape[0] - 1).astype(int)
    columns = np.clip(x // result.stride_x, 0, result.grid_shape[1] - 1).astype(int)
    weak = ranks[np.ix_(rows, columns)] < 0.4
    # but for the borders of patches, which the mask's pixels straddle
    assert before[weak].any(axis=1).mean() > 0.1
    assert over[weak].any(axis=1).mean() < 0.02
    # a quarter of the way to the colour, where it was a half
    off = np.abs(2 * over[~weak] - before[~weak]).max(axis=1) > 2
    assert off.mean() < 0.02
    assert before[~weak].any(axis=1).mean() > 0.1
    write_overlay(slide, result, tmp_path / "a.png", MapLook(HeatMapView.RANK))
    write_overlay(
        slide, result, tmp_path / "b.png", MapLook(HeatMapView.RANK, opacity=0.25, threshold=0.4)
    )
    assert (shown(tmp_path / "a.png") != shown(tmp_path / "b.png")).any()
    assert look.words == (
        "Patches below 40 % of the strongest colour are hidden. The map is shown at 25 % opacity."
    )
    assert MapLook().words == ""


@pytest.mark.parametrize("choice", ["painted", "regions"])
def test_tissue_that_a_person_chose_is_kept_with_the_result(
    slide: Slide, choice: str, tmp_path: Path
) -> None:
    base = slide.levels[0]
    if choice == "painted":
        pixels = np.zeros((base.height // 20, base.width // 20), bool)
        pixels[30:70, 40:90] = True
        mask = painted(slide, pixels)
    else:
        mask = tissue_in_polygons(slide, [np.array([(801, 603), (1807, 650), (1500, 1411)])])
    found = analyze_slide(slide, orange_model(), mask=mask)
    export_all(slide, found, tmp_path / "case", mask=mask)
    again = SlideResult.load(tmp_path / "case")
    assert again.mask is not None
    np.testing.assert_array_equal(again.mask.pixels, mask.pixels)
    assert (again.mask.scale_x, again.mask.scale_y) == (mask.scale_x, mask.scale_y)
    over = painted_over(slide, again)  # a later session, in which nothing is drawn
    assert (over == painted_over(slide, found, mask)).all()
    # Whoever paints over the file gets whole patches, not another's tissue.
    Image.fromarray(np.where(mask.pixels, 0, 170).astype(np.uint8)).save(
        tmp_path / "case" / "tissue.png"
    )
    assert SlideResult.load(tmp_path / "case").mask is None
    # With another choice it goes, but not what a person put there.
    export_all(slide, analyze_slide(slide, orange_model()), tmp_path / "case")
    assert not (tmp_path / "case" / "tissue.png").exists()
    (tmp_path / "case" / "tissue.png").write_bytes(b"mine")
    export_all(slide, analyze_slide(slide, orange_model()), tmp_path / "case")
    assert (tmp_path / "case" / "tissue.png").read_bytes() == b"mine"
