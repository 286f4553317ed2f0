"""The work of Teach, without a window."""

import csv
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag._gui.teach.encode_task import Encoded, RecentlyEncoded, encode
from napari_xmag._gui.teach.tasks import ExportedLesson, export
from napari_xmag.analyze import engine
from napari_xmag.features.store import FeatureStore
from napari_xmag.geometry import Mpp
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.slide.open import open_slide
from napari_xmag.teach.classifier import fit
from napari_xmag.teach.lesson import Example, Lesson
from napari_xmag.teach.session import TeachSession
from napari_xmag.zoo import ModelEntry
from tests.slides import draw_section, write_pyramid
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


def test_examples_on_glass_are_exported_with_the_others(tmp_path: Path) -> None:
    session = TeachSession()
    slide = prepared_slide(tissue_kinds())
    session.open_slide(slide)
    show(session, slide, tissue_kinds(), ("Tumor", "Other"), 2)
    session.add_examples(Lesson((), (Example(slide.id, 0.0, 0.0, "Tumor"),)))
    path = write_pyramid(tmp_path / "case.tiff", np.full((512, 512, 3), 200, np.uint8))
    with open_slide(path) as opened:
        list(export(fit(session.request()), {slide.id: opened}, tmp_path / "out"))
    features = json.loads((tmp_path / "out" / "case-examples.geojson").read_text())["features"]
    counts = {
        each["properties"]["classification"]["name"]: len(each["geometry"]["coordinates"])
        for each in features
    }
    assert counts == {"Tumor": 3, "Other": 2}


def test_a_slide_that_is_opened_again_is_not_encoded_again(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelEntry("tiny", Path(tiny), StoredModel.open(Path(tiny)).info)
    store, recent = FeatureStore(tmp_path / "features"), RecentlyEncoded()
    path = write_pyramid(tmp_path / "a.tiff", draw_section(1024, 768))

    def encoded(of: Path, mpp: Mpp | None = None, **finer: bool) -> Encoded:
        with open_slide(of, mpp=mpp) as slide:
            *_, found = encode(slide, model, store, recent, Lesson(), **({"finer": False} | finer))
        assert isinstance(found, Encoded)
        return found

    first = encoded(path)
    found: list[Any] = []
    plain = engine.find_tissue
    monkeypatch.setattr(engine, "find_tissue", lambda slide: found.append(slide) or plain(slide))
    assert encoded(path.rename(tmp_path / "renamed.tiff")) is first
    assert not found
    assert encoded(tmp_path / "renamed.tiff", finer=True).prepared.finer is not None
    assert encoded(tmp_path / "renamed.tiff", mpp=Mpp(1.0, 1.0)) is not first
    other = write_pyramid(tmp_path / "a.tiff", draw_section(1024, 768, seed=1))
    kept = encoded(other)
    assert kept.prepared.id != first.prepared.id
    assert len(found) == 3
    recent = RecentlyEncoded()  # as in another session
    assert encoded(other).prepared.features.mark == kept.prepared.features.mark
    assert len(found) == 3
