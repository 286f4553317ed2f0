"""Slide tasks: patients stay whole, every slide is judged once a run, institutions stay apart."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag.errors import CohortError
from napari_xmag.evaluate.config import SlidesConfig
from napari_xmag.evaluate.slides import evaluate_slides
from napari_xmag.progress.events import RunFinished, SlideLeftOut
from tests.listener import Listener
from tests.slides import draw_section, write_pyramid
from tests.tables import FORMS

pytestmark = pytest.mark.usefixtures("blank_plots")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small slides of six patients, the dark ones malignant."""
    folder = tmp_path_factory.mktemp("cohort")
    lines = ["slide,label,patient"]
    for number in range(12):
        label = "malignant" if number % 2 else "benign"
        pixels = draw_section(900, 700, seed=number)
        if number % 2:
            pixels = np.where(pixels < 235, pixels * 0.6, pixels).astype(np.uint8)
        write_pyramid(folder / f"{number}.tiff", pixels, factors=(1,))
        lines.append(f"{number}.tiff,{label},{label}-{number // 4}")
    (folder / "cohort.csv").write_text("\n".join(lines))
    return folder / "cohort.csv"


def part(cohort: Path, name: str, chosen: list[int]) -> Path:
    heading, *lines = cohort.read_text().splitlines()
    path = cohort.with_name(name)
    path.write_text("\n".join([heading, *(lines[index] for index in chosen)]))
    return path


def config(encoder: Path, task: dict[str, Any]) -> SlidesConfig:
    return SlidesConfig.model_validate(
        {
            "encoders": [{"name": "tiny", "student": encoder}],
            "tasks": [{"name": "sections", **task}],
            "seeds": 2,
            "hidden": 8,
            "dropout": 0.0,
            "fit": {"epochs": 12, "lr": 0.01, "ema_decay": 0.5},
            "bootstrap": {"replicates": 40},
            "machine": {"device": "cpu"},
        }
    )


def run(settings: SlidesConfig, out: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    events = list(evaluate_slides(settings, out))
    assert isinstance(events[-1], RunFinished)
    (task,) = json.loads((out / "results.json").read_text(encoding="utf-8"))["tasks"]
    with (out / "sections-predictions.csv").open(newline="") as stream:
        return task, list(csv.DictReader(stream))


def test_folds_by_patient(cohort: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    task, rows = run(config(tiny_encoder, {"cohort": cohort, "folds": 3}), tmp_path)
    assert task["rows"] == 12
    assert task["entries"][0]["figures"]["auc"]["value"] > 0.9
    assert "3-fold cross-validation by patient (6 patients)" in task["division"]
    for seed in ("0", "1"):
        judged = [row for row in rows if row["run"] == seed]
        assert len({row["slide"] for row in judged}) == len(judged) == 12
        folds: dict[str, set[str]] = {}
        for row in judged:
            folds.setdefault(row["group"], set()).add(row["fold"])
        # all slides of a patient are judged by the same head, which saw none of them
        assert all(len(found) == 1 for found in folds.values())
    assert (tmp_path / "sections.png").exists()


def test_a_teacher_encodes_many_tiles_as_it_does_few(
    cohort: Path, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_xmag.mil.tile_encoder._WORTH_A_GRAPH", 1)
    teacher = {"name": f"local-dir:{tiny_network}"}
    settings = config(tiny_network, {"cohort": cohort, "folds": 2}).model_dump()
    settings |= {"encoders": [{"name": "t", "teacher": teacher, "mpp": 2.0, "tile_px": 64}]}
    settings |= {"seeds": 1, "machine": {"device": "cpu", "precision": "float32"}}
    task, rows = run(SlidesConfig.model_validate(settings), tmp_path)
    assert len(rows) == 12
    assert task["entries"][0]["facts"]["tiles_per_slide"] > 1


def test_a_head_over_cells_beside_one_over_tiles(
    cohort: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    encoders = [
        {"name": "tiles", "student": tiny_encoder},
        {"name": "cells", "student": tiny_encoder, "granularity": "cells"},
    ]
    settings = config(tiny_encoder, {"cohort": cohort, "folds": 2}).model_dump()
    settings |= {"encoders": encoders, "seeds": 1, "cache": tmp_path / "cache"}
    task, _ = run(SlidesConfig.model_validate(settings), tmp_path / "out")
    tiles, cells = (entry["facts"] for entry in task["entries"])
    assert tiles["patches_per_slide"] == tiles["tiles_per_slide"]
    assert 4 < cells["patches_per_slide"] / cells["tiles_per_slide"] <= 16
    teacher = {"name": "t", "teacher": {"name": "uni2-h"}, "granularity": "cells"}
    with pytest.raises(ValueError, match="no cells"):
        SlidesConfig.model_validate(settings | {"encoders": [teacher]})


def test_the_same_twice(cohort: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    settings = config(tiny_encoder, {"cohort": cohort, "folds": 2}).model_copy(
        update={"cache": tmp_path / "cache", "seeds": 1}
    )
    first, again = run(settings, tmp_path / "a"), run(settings, tmp_path / "b")
    assert first == again


def test_from_one_institution_to_another(cohort: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    first, other = part(cohort, "a.csv", list(range(8))), part(cohort, "b.csv", list(range(8, 12)))
    task, rows = run(config(tiny_encoder, {"cohort": first, "test": other}), tmp_path)
    assert {row["slide"] for row in rows} == {f"{number}.tiff" for number in range(8, 12)}
    assert task["counts"] == {"benign": 2, "malignant": 2}
    assert "trained on 8 slides of another table" in task["division"]


def test_a_blank_slide_is_left_out_and_named(
    cohort: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    glass = np.full((700, 900, 3), 243, np.uint8)
    write_pyramid(cohort.with_name("blank.tiff"), glass, factors=(1,))
    table = cohort.with_name("with-blank.csv")
    table.write_text(cohort.read_text() + "\nblank.tiff,benign,of its own\n")
    events = list(evaluate_slides(config(tiny_encoder, {"cohort": table, "folds": 3}), tmp_path))
    (left,) = [event for event in events if isinstance(event, SlideLeftOut)]
    assert left.slide.name == "blank.tiff"
    with (tmp_path / "sections-predictions.csv").open() as stream:
        assert len({row["slide"] for row in csv.DictReader(stream)}) == 12


def test_shared_patients_and_slides_are_refused(
    cohort: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    first, other = part(cohort, "a.csv", list(range(8))), part(cohort, "b.csv", list(range(6, 12)))
    settings = config(tiny_encoder, {"cohort": first, "test": other})
    with pytest.raises(CohortError, match=r"benign-1.*6\.tiff"):
        list(evaluate_slides(settings, tmp_path))


@pytest.mark.parametrize("form", ["semicolon", "unicode", "excel"])
def test_the_table_may_have_any_form(
    form: str, cohort: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    rows = [line.split(",") for line in cohort.read_text().splitlines()]
    table = FORMS[form](cohort.with_name(f"{form}.csv"), rows)
    settings = config(tiny_encoder, {"cohort": table, "folds": 3})
    task, _ = run(settings.model_copy(update={"seeds": 1}), tmp_path)
    assert task["counts"] == {"benign": 6, "malignant": 6}


SLOW = (
    "napari_xmag.cohort.cohort.read_table",
    "napari_xmag.cohort.problems._looked_at",
    "napari_xmag.evaluate.slides.grouped_folds",
    "napari_xmag.evaluate.encoders.load",
    "napari_xmag.slide.open.open_slide",
    "napari_xmag.slide.tissue.find_tissue",
    "napari_xmag.mil.head_training._moments",
    "napari_xmag.mil.head_training._evaluated",
    "napari_xmag.stats.metrics.figures",
    "napari_xmag.evaluate.slides.write_outcomes",
    "napari_xmag.evaluate.slides.write_evaluation",
    "napari_xmag.evaluate.slides.plot_tasks",
)


def test_no_slow_step_keeps_the_listener_waiting(
    cohort: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    listener.slow_down(monkeypatch, *SLOW)
    settings = config(tiny_encoder, {"cohort": cohort, "folds": 3})
    listener.listen(evaluate_slides(settings.model_copy(update={"seeds": 1}), tmp_path))
    assert set(SLOW) - listener.called == set()
    assert listener.silent == set()
