"""What is saved of a slide is there again: after a crash, beside other processes, after a rerun."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.analyze import PatchTable
from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.errors import ExportError, ResultError
from napari_xmag.geometry import Box
from napari_xmag.result_keys import with_entry
from napari_xmag.review import store as stores
from napari_xmag.review.store import ReviewStore, ViewState, remember_reviewer, reviewer
from napari_xmag.review.verdicts import PlaceReview, Verdict
from tests.analyze.test_result import assert_same, make_result
from tests.unfinished import NO_PROCESS, half_written

RIGHT = PlaceReview(Box(1, 2, 3, 4), "malignant", "evidence", Verdict.RIGHT, "gland", "A", "2026")

WRITER = """
import sys
from pathlib import Path
from napari_xmag.analyze.result import SlideResult
from napari_xmag.geometry import Box
from napari_xmag.review.store import ReviewStore, ViewState
from napari_xmag.review.verdicts import PlaceReview, Verdict
store = ReviewStore("abc", Path(sys.argv[1]))
result = SlideResult.load(sys.argv[4]) if len(sys.argv) > 4 else None
for number in range(int(sys.argv[3])):
    place = Box(float(sys.argv[2]), number, 1, 1)
    store.record(PlaceReview(place, verdict=Verdict.RIGHT, comment="x" * 500))
    store.save_view(ViewState(result="r" * 500, place=place))
    print(number, flush=True)
    if result is not None:
        store.save_result(result)
"""


@pytest.fixture
def store(tmp_path: Path) -> ReviewStore:
    return ReviewStore("abc", tmp_path / "reviews")


def writer(folder: Path, column: int, count: int, *result: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *map(str, (folder, column, count, *result))],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_results_live_side_by_side_and_a_rerun_replaces_its_own(store: ReviewStore) -> None:
    result = make_result()
    other = replace(result, model={**result.model, "sha256": "1" * 64}, created="2025-02-01")
    part = replace(result, tissue={"choice": "painted", "area_mm2": 2.0}, created="2025-03-01")
    ids = [store.save_result(one) for one in (result, other, part)]
    assert [saved.id for saved in store.results()] == [ids[2], ids[1], ids[0]]
    assert "painted by hand, 2 mm²" in store.results()[0].words
    assert_same(store.load_result(ids[0]), result)

    again = store.save_result(replace(result, created="2025-04-01"))
    assert [saved.id for saved in store.results()] == [again, ids[2], ids[1]]
    store.delete_result(again)
    assert [saved.id for saved in store.results()] == [ids[2], ids[1]]
    with pytest.raises(ResultError):
        store.load_result(again)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_newer_of_one_second_comes_first(store: ReviewStore, swapped: bool) -> None:
    # A result of an earlier version has whole seconds.
    moments = ("22:02:05+00:00", "22:02:05.114+00:00", "22:02:05.115+00:00", "22:02:06+00:00")
    for number in reversed(range(4)) if swapped else range(4):
        result = make_result()
        model = {**result.model, "sha256": str(number) * 64}
        created = f"2026-11-27T{moments[number]}"
        store.save_result(replace(result, model=model, created=created))
    assert [saved.sha256[0] for saved in store.results()] == ["3", "2", "1", "0"]


def test_an_earlier_id_leads_to_the_result_of_the_rerun(store: ReviewStore) -> None:
    earlier = store.save_result(make_result())
    later = store.save_result(replace(make_result(), created="2026-02-02T00:00:00+00:00"))
    assert earlier != later
    assert store.load_result(earlier).created == "2026-02-02T00:00:00+00:00"
    store.delete_result(earlier)  # that one is gone already
    assert [saved.id for saved in store.results()] == [later]
    store.delete_result(later)
    with pytest.raises(ResultError):
        store.load_result(earlier)


def test_the_result_of_the_rerun_is_shown_next(store: ReviewStore) -> None:
    def save(entry: str, hour: int) -> str:
        settings, created = with_entry({}, entry), f"2026-02-02T{hour}:00:00+00:00"
        return store.save_result(replace(make_result(), settings=settings, created=created))

    earlier, later = save("left", 10), save("left", 11)
    save("right", 12)
    assert store.show_next(earlier)
    assert store.view().result == later
    assert not store.show_next(earlier)


def test_another_slides_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="Präparat 7"):
        ReviewStore("another", tmp_path).save_result(make_result())
    assert list(tmp_path.iterdir()) == []


def test_slides_have_nothing_in_common(store: ReviewStore, tmp_path: Path) -> None:
    store.record(RIGHT)
    store.save_result(make_result())
    other = ReviewStore("abd", tmp_path / "reviews")
    assert (other.reviews(), other.results(), other.view()) == ((), (), ViewState())


def test_the_number_of_results_is_bounded(
    store: ReviewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MOST_RESULTS", 3)
    result = make_result()
    for number in range(5):
        model = {**result.model, "sha256": str(number) * 64}
        newest = store.save_result(replace(result, model=model, created=f"2025-0{number + 1}"))
    assert len(store.results()) == 3
    assert store.results()[0].id == newest


def test_the_room_of_all_results_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MOST_BYTES", 1)
    result = make_result()
    first, second = (ReviewStore(name, tmp_path) for name in ("abc", "abd"))
    first.record(RIGHT)
    first.save_result(result)
    second.save_result(replace(result, slide={**result.slide, "fingerprint": "abd"}))
    assert (first.results(), len(second.results())) == ((), 1)
    assert first.reviews() == (RIGHT,)


def test_what_a_killed_process_left_half_written_goes(store: ReviewStore, tmp_path: Path) -> None:
    results = tmp_path / "reviews" / "abc" / "results"
    parts = [half_written(results, process) for process in (os.getpid(), NO_PROCESS)]
    store.save_result(make_result())
    assert [item for item in results.iterdir() if item.name.startswith(".")] == parts[:1]


def test_view_and_regions_come_back(store: ReviewStore) -> None:
    view = ViewState("id", HeatMapView.RAW, "benign", 0.25, 0.5, Box(1, 2, 3, 4), "regions")
    store.save_view(view)
    polygon = np.array([[0.5, 1], [10, 1], [5, 9.25]])
    store.save_regions([polygon, polygon + 1])
    assert store.view() == view
    np.testing.assert_array_equal(store.regions(), [polygon, polygon + 1])


def test_what_is_damaged_hides_nothing_else(store: ReviewStore, tmp_path: Path) -> None:
    store.record(RIGHT)
    folder = tmp_path / "reviews" / "abc"
    log = folder / "places.jsonl"
    log.write_bytes(log.read_bytes() + b'{"x": 1, "verd')  # killed in the middle
    (folder / "view.json").write_text("{}}")
    (folder / "regions.json").write_text('{"polygons": 7}')
    (folder / "results" / "damaged").mkdir(parents=True)
    (folder / "results" / "damaged" / "result.json").write_text("[1")
    second = replace(RIGHT, place=Box(7, 7, 7, 7))
    store.record(second)
    assert store.reviews() == (RIGHT, second)
    assert (store.view(), store.regions(), store.results()) == (ViewState(), (), ())


def test_two_processes_lose_nothing_of_each_others(tmp_path: Path) -> None:
    writers = [writer(tmp_path, column, 40) for column in (1, 2)]
    for process in writers:
        process.communicate(timeout=120)
        assert process.returncode == 0
    reviews = ReviewStore("abc", tmp_path).reviews()
    places = sorted((said.place.x, said.place.y) for said in reviews)
    assert places == [(column, float(number)) for column in (1, 2) for number in range(40)]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that kills")
def test_a_killed_process_leaves_all_that_it_had_said(tmp_path: Path) -> None:
    store, draw = ReviewStore("abc", tmp_path / "store"), np.random.default_rng(0)
    result = make_result()
    result.save(tmp_path / "result")
    for column in range(3):
        process = writer(tmp_path / "store", column, 100_000, tmp_path / "result")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(float(draw.uniform(0, 0.05)))
        process.kill()
        told = 1 + sum(1 for _ in process.stdout)
        process.wait()
        process.stdout.close()
        saved = sorted(r.place.y for r in store.reviews() if r.place.x == column)
        assert saved[:told] == [float(number) for number in range(told)]
        assert store.view().place is not None
        for kept in store.results():
            assert_same(store.load_result(kept.id), result)
    store.record(RIGHT)  # the lock of the dead is free
    assert RIGHT in store.reviews()


def test_a_long_log_is_rewritten_with_what_counts(
    store: ReviewStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_xmag.review.log._MOST_BYTES", 5000)
    for number in range(100):
        store.record(replace(RIGHT, comment=str(number)))
    assert store.reviews() == (replace(RIGHT, comment="99"),)
    assert (tmp_path / "reviews" / "abc" / "places.jsonl").stat().st_size < 5500


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = ReviewStore("abc", tmp_path / "file")
    for save in (lambda: store.record(RIGHT), lambda: store.save_view(ViewState())):
        with pytest.raises(ExportError):
            save()
    assert (store.reviews(), store.results()) == ((), ())


def test_the_reviewer_is_remembered(tmp_path: Path) -> None:
    assert reviewer() == ""
    remember_reviewer(" Dr.  Ä. Muster ")
    assert reviewer() == "Dr. Ä. Muster"
    saved = json.loads((tmp_path / "xmag-home" / "reviewer.json").read_text(encoding="utf-8"))
    assert saved == {"name": "Dr. Ä. Muster"}


def test_no_patient_and_no_folder_is_saved(store: ReviewStore, tmp_path: Path) -> None:
    store.save_result(make_result())
    for file in (tmp_path / "reviews").rglob("*.json"):
        assert str(tmp_path) not in file.read_text(encoding="utf-8")


def test_an_empty_result_is_saved_too(store: ReviewStore) -> None:
    empty = replace(make_result(0), patches=PatchTable.empty(2))
    assert len(store.load_result(store.save_result(empty)).patches) == 0


def test_results_of_images_that_show_one_picture_are_all_kept(store: ReviewStore) -> None:
    one, other = (
        replace(make_result(), settings=with_entry({}, entry)) for entry in ("first", "second")
    )
    first, second = store.save_result(one), store.save_result(other)
    assert {item.id for item in store.results()} == {first, second}
    assert store.show_next(first)
    assert (store.view().result, store.show_next(first)) == (first, False)
    again = store.save_result(one)
    assert store.show_next(first)  # of which the newer one took the place
    assert (store.view().result, store.show_next(again)) == (again, False)
