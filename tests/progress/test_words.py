"""What a long run says of itself, in words."""

from dataclasses import replace

import pytest

from napari_xmag.progress.events import Progress, RunPlan, Stage
from napari_xmag.progress.words import describe_progress, duration, plan_lines

LEFT = "80\N{NO-BREAK SPACE}s\N{NO-BREAK SPACE}left"
PLAN = RunPlan(
    slides=32,
    training_slides=22,
    validation_slides=5,
    measured_slides=3,
    tiles=651,
    tiles_per_slide=20,
    memory_gb=1.5,
    disk_gb=0.25,
    disk_free_gb=120.0,
    minutes=3.0,
    minutes_features=2.5,
    minutes_head=0.5,
    device="cpu",
    precision="float32",
)


def encoding(item: str, done: int, number: int = 1, **more: float) -> Progress:
    return Progress(Stage.ENCODING, done, 20, "tiles", item=item, number=number, items=4, **more)


def test_tiles_of_a_slide_are_a_part_of_all_slides() -> None:
    first, second = encoding("a.svs", 5, per_second=8.0), encoding("b.svs", 10, 2, per_second=35.2)
    assert first.share == pytest.approx(0.25 / 4)
    assert describe_progress(first) == "Encoding: 1 of 4, a.svs · 5 of 20 tiles · 8.0 tiles/s"
    assert second.share == pytest.approx(1.5 / 4)
    assert describe_progress(second).endswith("· 10 of 20 tiles · 35 tiles/s")


@pytest.mark.parametrize(
    "name", ["Dicom-case-12", "S12: A.svs", "fold 2: head", "1.2.840.7", "a · b.svs", "plan"]
)
def test_a_slide_may_have_any_name(name: str) -> None:
    told = replace(encoding(name, 3), fold=2, folds=5)
    assert describe_progress(told) == f"Fold 2 of 5: Encoding: 1 of 4, {name} · 3 of 20 tiles"
    assert (
        describe_progress(replace(told, fold=0, folds=0))
        == f"Encoding: 1 of 4, {name} · 3 of 20 tiles"
    )


def test_epoch_rate_and_rest_are_told() -> None:
    told = Progress(Stage.HEAD, 12, 160, "slides", 1.84, 80.4, epoch=3, epochs=40)
    assert told.share == pytest.approx(12 / 160)
    assert describe_progress(told) == (
        f"Training the head · epoch 3 of 40 · 12 of 160 slides · 1.8 slides/s · {LEFT}"
    )
    assert LEFT not in describe_progress(replace(told, done=160))


def test_what_nobody_knows_is_not_told() -> None:
    begun = Progress(Stage.LOADING)
    assert (begun.share, describe_progress(begun)) == (None, "Loading the encoder …")
    planning = Progress(Stage.PLANNING, 3, 4)
    assert (planning.share, describe_progress(planning)) == (0.75, "Measuring a few slides")
    assert describe_progress(Progress(Stage.ENCODING, item="a.svs")) == "Encoding: a.svs …"


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_has_words(stage: Stage) -> None:
    assert stage.words[:1].isupper()


def test_a_plan_in_lines() -> None:
    assert plan_lines(PLAN) == {
        "Slides": "32: 22 for training, 5 for validation",
        "Tiles": "651, about 20 per slide",
        "Time": "about 3 min (encoding 2 min 30 s, head 30 s)",
        "Memory": "about 1.5 GB",
        "Disk": "about 0.25 GB of 120 GB free",
        "Device": "cpu, float32",
        "Measured on": "3 slides",
    }
    whole = plan_lines(replace(PLAN, tiles_at_once=8, minutes_per_epoch=75.0))
    assert whole["Time"].endswith("head 30 s, each end-to-end epoch 75 min)")
    assert whole["Tiles at once"] == "8"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0.2, "0 s"),
        (59.4, "59 s"),
        (89.4, "89 s"),
        (125, "2 min 5 s"),
        (180, "3 min"),
        (2087, "35 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
