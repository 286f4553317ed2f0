"""Each picture of a file is opened once, and closed when it is done."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tifffile
from pydicom import Dataset

from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.batch.events import SlideBegun, SlideEvent, SlideFailed, SlideLabel, SlideWarned
from napari_xmag.batch.places import Place
from napari_xmag.batch.regions import RegionsChoice
from napari_xmag.batch.slide_job import BatchTask, SlideJob
from napari_xmag.batch.targets import Target
from napari_xmag.errors import TileReadError
from napari_xmag.qupath.annotation_files import AnnotationFiles
from napari_xmag.slide import open as opening
from napari_xmag.slide.base import Slide
from tests.dicom_slides import write_dicom
from tests.slides import draw_section


@dataclass(frozen=True, kw_only=True)
class Named(SlideJob):
    """Tells the size of each picture; the second is more than it can bear."""

    slides: list[Slide] = field(default_factory=list)

    def work(self, task: BatchTask, label: SlideLabel, slide: Slide) -> Iterator[SlideEvent]:
        self.slides.append(slide)
        if label.image == 2:
            raise ValueError("the second")
        yield SlideWarned(label, f"{slide.image.width}")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int | str | None]:
    """Which pictures were opened."""
    pictures: list[int | str | None] = []
    plain = opening.open_any

    def count(path: Path, image: int | str | None = None) -> Slide:
        pictures.append(image)
        return plain(path, image)

    monkeypatch.setattr(opening, "open_any", count)
    return pictures


def job(image: str | None = None) -> Named:
    regions = RegionsChoice(whole=False, path=None, classes=(), files=AnnotationFiles.of([]))
    return Named(settings=AnalyzeSettings(), regions=regions, image=image)


def written(path: Path, *widths: int) -> Path:
    with tifffile.TiffWriter(path, ome=True) as writer:
        for number, width in enumerate(widths):
            metadata = {"axes": "YXS", "Name": f"section {number}"}
            writer.write(
                draw_section(width, 200, seed=number), photometric="rgb", metadata=metadata
            )
    return path


def is_closed(slide: Slide) -> bool:
    try:
        slide.read(slide.bounds, 0)
    except TileReadError:
        return True
    return False


def test_each_picture_is_opened_once_and_closed(tmp_path: Path, opened: list[int]) -> None:
    doing = job()
    task = BatchTask(Target(written(tmp_path / "a.ome.tif", 300, 320, 340)), Place())
    events = list(doing(task))
    assert opened == [None, 1, 2, 3]  # first, to count them
    assert [e.words for e in events if isinstance(e, SlideWarned)] == ["300", "340"]
    (failed,) = (e for e in events if isinstance(e, SlideFailed))
    assert (failed.slide.image, "the second" in str(failed.error)) == (2, True)
    assert len(doing.slides) == 3


def test_what_is_left_out_or_not_wanted_is_not_done(tmp_path: Path, opened: list[int]) -> None:
    target = Target(written(tmp_path / "a.ome.tif", 300, 320, 340))
    without = [e for e in job()(BatchTask(target, Place(), frozenset({1, 2}))) if e]
    assert [e.words for e in without if isinstance(e, SlideWarned)] == ["340"]
    assert opened == [None, 3]
    opened.clear()
    one = list(job("1")(BatchTask(target, Place())))
    assert [e.words for e in one if isinstance(e, SlideWarned)] == ["300"]
    assert opened == ["1"]


def test_pictures_of_a_folder_keep_their_numbers(tmp_path: Path) -> None:
    """The first series cannot be shown."""

    def indexed(dataset: Dataset) -> None:
        dataset.PhotometricInterpretation = "PALETTE COLOR"

    for number in (1, 2, 3):
        write_dicom(
            tmp_path / f"{number}.dcm",
            [draw_section(300 + 20 * number, 200)],
            series=f"1.2.3.{number}",
            container="ABC"[number - 1],
            change=indexed if number == 1 else lambda dataset: None,
        )
    doing = job()
    begun = [e for e in doing(BatchTask(Target(tmp_path), Place())) if isinstance(e, SlideBegun)]
    assert [e.slide.image for e in begun] == [2, 3]
    assert [slide.image.width for slide in doing.slides] == [340, 360]


def test_a_slide_is_closed_where_the_listener_leaves(tmp_path: Path) -> None:
    doing = job()
    events = doing(BatchTask(Target(written(tmp_path / "a.ome.tif", 300)), Place()))
    assert not isinstance(next(events), SlideWarned)  # begun, and open by now
    next(events)
    assert not is_closed(doing.slides[0])
    events.close()
    assert is_closed(doing.slides[0])


def test_a_file_that_is_no_slide_fails_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "none.svs"
    path.write_bytes(b"no slide at all")
    (failed,) = (e for e in job()(BatchTask(Target(path), Place())) if isinstance(e, SlideFailed))
    assert "none.svs" in str(failed.error)
