"""The work of Teach, without a window."""

import csv
import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from napari_xmag._gui.teach.tasks import ExportedLesson, export
from napari_xmag.slide.open import open_slide
from napari_xmag.teach.classifier import fit
from napari_xmag.teach.session import TeachSession
from tests.slides import write_pyramid
from tests.teach.slides import prepared_slide, show, slide_id, tissue_kinds


def test_slides_of_one_name_are_exported_each_to_its_own_files(tmp_path: Path) -> None:
    session = TeachSession()
    for letter, count in zip("abc", (2, 3, 4), strict=True):
        slide = prepared_slide(tissue_kinds(), letter)
        session.open_slide(slide)
        show(session, slide, tissue_kinds(), ("Tumor", "Other"), count)
    paths = [tmp_path / name for name in ("x/case.tiff", "y/case.tiff", "y/CASE.tif")]
    with ExitStack() as stack:
        slides = {}
        for letter, path in zip("abc", paths, strict=True):
            path.parent.mkdir(exist_ok=True)
            write_pyramid(path, np.full((512, 512, 3), 200, np.uint8))
            slides[slide_id(letter)] = stack.enter_context(open_slide(path))
        (*_, done) = export(fit(session.request()), slides, tmp_path / "out")
    assert isinstance(done, ExportedLesson)
    assert len({str(file).casefold() for file in done.files}) == 7
    examples = [file for file in done.files if file.name.endswith("-examples.geojson")]
    names = [file.name.removesuffix("-examples.geojson") for file in examples]
    assert names == ["case", "case-bbbbbbbb", "CASE-cccccccc"]
    for file, count in zip(examples, (2, 3, 4), strict=True):
        features = json.loads(file.read_text())["features"]
        assert [len(each["geometry"]["coordinates"]) for each in features] == [count, count]
    with (tmp_path / "out" / "areas.csv").open() as stream:
        rows = [row["slide"] for row in csv.DictReader(stream)]
    assert list(dict.fromkeys(rows)) == ["case", "case-bbbbbbbb", "CASE.tif"]
