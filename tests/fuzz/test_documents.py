"""Damaged documents of every kind that the program reads: used, or refused in words.

``XMAG_EXAMPLES=1000 pytest tests/fuzz/test_documents.py --hypothesis-seed=2`` tries more.
"""

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xmag.analyze.heatmap import HeatMapView, view_values
from napari_xmag.analyze.result import SlideResult
from napari_xmag.cohort.cohort import read_cohort, write_cohort
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import XmagError
from napari_xmag.export.geojson import write_geojson, write_qupath
from napari_xmag.export.result_folders import ResultFolders
from napari_xmag.features.patch_features import PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.filenames import ABOUT
from napari_xmag.geometry import Box, Mpp
from napari_xmag.learn.scalars import ScalarLog
from napari_xmag.qupath.project import read_project
from napari_xmag.qupath.regions import read_regions
from napari_xmag.review.reopen import image_of, reopen
from napari_xmag.review.store import ReviewStore, ViewState
from napari_xmag.review.verdicts import PlaceReview, Verdict, patches_of, read_review, write_review
from napari_xmag.review.worklist import COLUMNS, Worklist
from napari_xmag.review.worklist_row import RowStatus, WorklistRow
from napari_xmag.slide.mpp_store import remember_mpp, remembered_mpp
from napari_xmag.teach.lesson import Example, Lesson, SlideId
from napari_xmag.teach.saved_lesson import load_lesson, save_lesson
from napari_xmag.train.report.predictions import predict, write_predictions
from napari_xmag.train.report.record import read_run
from napari_xmag.train.run_folder import finished, read_config
from napari_xmag.zoo import check_model, save_model
from tests.analyze.test_result import make_result
from tests.features.test_store import keep, key
from tests.fuzz.damage import damaged_bytes, damaged_json, damaged_table, damaged_zip
from tests.nets.students import tiny_model
from tests.qupath.projects import entry, write_project

Data = st.DataObject
SAID = PlaceReview(Box(1501, 2003, 9, 9), "malignant", "evidence", Verdict.RIGHT, "a\nb", "A")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sound document of each kind."""
    folder = tmp_path_factory.mktemp("sound")
    make_result().save(folder / "result")
    write_review([SAID], folder / "result" / "review.csv")
    save_model(tiny_model(), folder / "model")
    keep(FeatureStore(folder / "store"), key())
    rows = [CohortRow(n, folder / f"{n}.svs", "ab"[n % 2], f"p{n}", site="x") for n in range(4)]
    for name in ("cohort.csv", "cohort.xlsx"):
        write_cohort(folder / name, rows)
    write_run(folder / "run", rows)
    slide = SlideId("a" * 32)
    save_lesson(Lesson(examples=(Example(slide, 10.5, 20, "Tumor"),)), folder / "lesson.json")
    list_ = Worklist([WorklistRow(folder / "a.svs", flags=("pen_marks",), area_mm2=1.5)])
    list_.save(folder / "worklist.json")
    write_project(folder / "project.qpproj", entry(1, builder(), metadata={"label": "a"}))
    (folder / "regions.geojson").write_text(json.dumps(regions()))
    return folder


def write_run(run: Path, rows: list[CohortRow]) -> None:
    run.mkdir()
    write_predictions(
        run / "predictions.csv", ["a", "b"], predict(rows, ["a", "b"], [[1.5, -0.25]] * 4, 1.0)
    )
    (run / "config.json").write_text(json.dumps({"config": {"mode": "head"}, "decisive": {}}))
    (run / "metrics.json").write_text(json.dumps({"test": {"auc": 0.5, "accuracy": None}}))
    with ScalarLog(run) as log:
        log.write(1, {"loss": 1.0, "auc": 0.5}, "head")


def builder() -> dict[str, Any]:
    """Return how QuPath describes a slide that need not be there."""
    length = {"value": 0.5, "unit": "\u00b5m"}
    return {
        "builderType": "uri",
        "providerClassName": "qupath.lib.images.servers.openslide.OpenslideServerBuilder",
        "uri": "file:/slides/a.svs",
        "args": ["--no-crop"],
        "metadata": {
            "name": "a.svs",
            "width": 100,
            "height": 90,
            "isRGB": True,
            "pixelCalibration": {"pixelWidth": length, "pixelHeight": length},
        },
    }


def regions() -> dict[str, Any]:
    ring = [[0, 0], [100, 0], [100, 80], [0, 0]]
    shape = {"type": "MultiPolygon", "coordinates": [[ring, [[5, 1], [6, 1], [6, 2], [5, 1]]]]}
    about = {
        "objectType": "annotation",
        "classification": {"name": "Tumor: Positive", "color": [200, 0, 0]},
        "isLocked": False,
    }
    feature = {"type": "Feature", "id": "PathObject", "geometry": shape, "properties": about}
    plane = shape | {"plane": {"c": -1, "z": 0, "t": 0}}
    return {"type": "FeatureCollection", "features": [feature, feature | {"geometry": plane}]}


@contextmanager
def copied(sound: Path, name: str) -> Iterator[Path]:
    """Give a copy of a sound document, for one example."""
    place = sound.parent / f"try-{uuid4().hex}"
    place.mkdir()
    try:
        source, copy = sound / name, place / Path(name).name
        shutil.copytree(source, copy) if source.is_dir() else shutil.copyfile(source, copy)
        yield copy
    finally:
        shutil.rmtree(place, ignore_errors=True)


def tried(use: Callable[[], object]) -> None:
    """Use a damaged document: well, or refused in words."""
    words = ""
    try:
        use()
    except XmagError as error:
        words = str(error)
    assert not words or 40 < len(words) < 5000


def use_result(folder: Path) -> None:
    """Do with a saved result what window, exports and reports do."""
    result = SlideResult.load(folder)
    assert result.headline
    assert result.tissue_words
    assert result.model_words
    assert result.rule is not None
    assert len(result.warnings) <= len(result.flags)
    repr(result)
    assert result.tiles_read >= 0
    for view in HeatMapView:
        assert len(view_values(result, view, result.classes[0])) == len(result.patches)
    write_geojson(result, folder / "again.geojson")
    write_qupath(result, folder / "again.gz", reviews=[SAID])
    patches_of(result, [SAID])
    result.save(folder / "again")
    image_of(result)
    reopen(folder, [folder])


def use_store(folder: Path, result: str) -> None:
    store = ReviewStore("abc", folder)
    store.reviews()
    store.view()
    store.regions()
    assert len(store.results()) <= 1
    store.load_result(result)


def use_worklist(path: Path) -> None:
    rows = Worklist.load(path)
    for column in COLUMNS:
        rows.sorted(column)
    assert sum(rows.counts().values()) == len(rows)
    for row in rows.rows:
        assert row.shown_name is not None
        assert row.status is not RowStatus.RUNNING
    rows.write_summary(path.with_suffix(".csv"))
    rows.save()


def use_lesson(path: Path) -> None:
    lesson = load_lesson(path)
    save_lesson(lesson, path)
    assert load_lesson(path) == lesson
    assert all(0 <= part <= 255 for color in lesson.colors.values() for part in color)
    assert np.isfinite([[item.x, item.y] for item in lesson.examples]).all()


def use_cohort(path: Path) -> None:
    cohort = read_cohort(path, open_slides=False)
    repr(cohort)
    assert all(map(str, cohort.problems))
    cohort.require_good()
    write_cohort(path.with_name("again.csv"), cohort.rows)


def use_run(folder: Path) -> None:
    tried(lambda: read_config(folder))
    tried(lambda: finished(folder))
    record = read_run(folder)
    for split in record.splits:
        record.confusion(split)


def use_regions(path: Path) -> None:
    found = read_regions(path)
    assert found.words
    assert np.isfinite(found.shape.area)
    assert all(np.isfinite(line).all() for line in found.corners(1, 2))
    json.dumps(found.to_json())


def use_project(path: Path) -> None:
    for one in read_project(path).entries:
        assert one.name is not None
        assert one.image.path


JSON = {
    "result/result.json": lambda path: use_result(path.parent),
    "lesson.json": use_lesson,
    "worklist.json": use_worklist,
    "project.qpproj": use_project,
    "regions.geojson": use_regions,
    "run/config.json": lambda path: use_run(path.parent),
    "run/metrics.json": lambda path: use_run(path.parent),
}


@pytest.mark.parametrize("name", JSON)
@given(data=st.data())
def test_json(name: str, sound: Path, data: Data) -> None:
    raw = data.draw(damaged_json(json.loads((sound / name).read_bytes())))
    folder, _, file = name.rpartition("/")
    with copied(sound, folder or file) as copy:
        path = copy / file if folder else copy
        path.write_bytes(raw)
        tried(lambda: JSON[name](path))


TABLES = {
    "result/tiles.csv": lambda path: use_result(path.parent),
    "result/review.csv": read_review,
    "cohort.csv": use_cohort,
    "run/predictions.csv": lambda path: use_run(path.parent),
    "run/scalars.csv": lambda path: use_run(path.parent),
}


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
def test_tables(name: str, sound: Path, data: Data) -> None:
    rows = list(csv.reader(io.StringIO((sound / name).read_text(encoding="utf-8-sig"))))
    raw = data.draw(damaged_table(rows[:6] if name == "cohort.csv" else rows))
    folder, _, file = name.rpartition("/")
    with copied(sound, folder or file) as copy:
        path = copy / file if folder else copy
        path.write_bytes(raw)
        tried(lambda: TABLES[name](path))


@given(data=st.data())
def test_workbooks(sound: Path, data: Data) -> None:
    raw = data.draw(damaged_zip((sound / "cohort.xlsx").read_bytes()))
    with copied(sound, "cohort.xlsx") as path:
        path.write_bytes(raw)
        tried(lambda: use_cohort(path))


@given(data=st.data())
def test_what_is_saved_of_a_slide(sound: Path, data: Data) -> None:
    """What was said, how it was shown and its results; only a result may be refused."""
    with copied(sound, "lesson.json") as path:
        store = ReviewStore("abc", path.parent)
        store.record(SAID)
        store.save_view(ViewState(place=SAID.place))
        store.save_regions([np.array([[1, 2], [3, 4], [5, 6.5]])])
        result = store.save_result(make_result(3))
        names = ("places.jsonl", "view.json", "regions.json", f"results/{result}/result.json")
        file = path.parent / "abc" / data.draw(st.sampled_from(names))
        file.write_bytes(data.draw(damaged_json(json.loads(file.read_bytes()))))
        if not file.name.startswith("result"):
            assert store.load_result(result)
        tried(lambda: use_store(path.parent, result))


@given(data=st.data())
def test_pixel_sizes_that_are_remembered(sound: Path, data: Data) -> None:
    with copied(sound, "lesson.json") as slide, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_XMAG_HOME", str(slide.parent / "home"))
        remember_mpp(slide, Mpp(0.25, 0.5))
        (file,) = (slide.parent / "home" / "pixel-sizes").iterdir()
        file.write_bytes(data.draw(damaged_json(json.loads(file.read_bytes()))))
        found = remembered_mpp(slide)
        assert found is None or (found.x > 0 and found.y > 0)


@given(data=st.data())
def test_kept_features(sound: Path, data: Data) -> None:
    name = f"store/{key().name}"
    with copied(sound, name) as folder:
        file = folder / data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
        raw = file.read_bytes()
        damage = damaged_json(json.loads(raw)) if file.name == ABOUT else damaged_bytes(raw)
        file.write_bytes(data.draw(damage))

        def use() -> None:
            found = PatchFeatures.load(folder)
            repr(found)
            assert found.corners().shape == (len(found), 4)
            found.where(found.columns, found.rows)

        tried(use)


def _pin(folder: Path) -> None:
    """Make the hashes true again, as whoever means harm would."""
    config = json.loads((folder / "config.json").read_bytes())
    for name in config["xmag"]["files"]:
        config["xmag"]["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))


@given(data=st.data())
def test_settings_of_a_model(sound: Path, data: Data) -> None:
    with copied(sound, "model") as folder:
        path = folder / "config.json"
        path.write_bytes(data.draw(damaged_json(json.loads(path.read_bytes()))))
        tried(lambda: check_model(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "head.safetensors", "README.md"])
@given(data=st.data())
def test_weights_and_card_of_a_model(name: str, sound: Path, data: Data) -> None:
    with copied(sound, "model") as folder:
        raw = (folder / name).read_bytes()
        size = int.from_bytes(raw[:8], "little")
        if name.endswith("safetensors") and data.draw(st.booleans()):
            header = data.draw(damaged_json(json.loads(raw[8 : 8 + size])))
            (folder / name).write_bytes(
                len(header).to_bytes(8, "little") + header + raw[8 + size :]
            )
        else:
            (folder / name).write_bytes(data.draw(damaged_bytes(raw)))
        _pin(folder)
        tried(lambda: check_model(folder))


@given(data=st.data())
def test_folders_of_results_are_those_of_their_slides(sound: Path, data: Data) -> None:
    """A slide gets a folder of its own, whatever lies where it would go."""
    with copied(sound, "result") as folder:
        path = folder / "result.json"
        path.write_bytes(data.draw(damaged_json(json.loads(path.read_bytes()))))
        with ResultFolders(folder.parent).reserve("result", "another-slide") as given_folder:
            assert given_folder != folder
