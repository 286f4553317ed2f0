"""Simulated clicks on composed slides: counts, truth and tables."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag.cli import main
from napari_xmag.config import checked
from napari_xmag.errors import CohortError, ConfigError
from napari_xmag.evaluate import bounds
from napari_xmag.evaluate.clicks import random_clicks, suggested_clicks, touched_islands
from napari_xmag.evaluate.composed import ComposedSlide
from napari_xmag.evaluate.teach import _measured, _Setting, evaluate_teach
from napari_xmag.evaluate.teach_config import TeachConfig
from napari_xmag.evaluate.teach_report import (
    CLICKS,
    ClickRow,
    TeachFigures,
    click_table,
    estimate_table,
    lift_table,
)
from napari_xmag.teach.settings import TeachSettings
from napari_xmag.zoo import save_model
from tests.analyze.orange_model import orange_tissue
from tests.nets.students import tiny_model
from tests.slides import GLASS, write_pyramid
from tests.teach.slides import kinds_of, prepared_slide, tissue_kinds

PINK = np.array((222, 160, 194), np.int16)


def island(kind: str, side: int, seed: int) -> np.ndarray:
    if kind == "orange":
        return orange_tissue(side, side)
    grain = np.random.default_rng(seed).integers(-30, 31, (side // 8 + 1,) * 2)
    texture = np.kron(grain, np.ones((8, 8), int))[:side, :side, None]
    return np.clip(PINK + texture, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three slides with two islands of each of two kinds."""
    folder = tmp_path_factory.mktemp("composed")
    truth = {}
    side = 400
    for number in range(4):
        pixels = np.full((2 * side + 300, 2 * side + 300, 3), GLASS, np.uint8)
        islands = []
        for place, kind in enumerate(("orange", "pink", "pink", "orange")):
            x, y = 100 + place % 2 * (side + 100), 100 + place // 2 * (side + 100)
            pixels[y : y + side, x : x + side] = island(kind, side, 10 * number + place)
            box = {"x": x, "y": y, "width": side, "height": side}
            islands.append({**box, "label": kind})
        name = f"slide-{number}.tiff"
        write_pyramid(folder / name, pixels, mpp=2.0, factors=(1,))
        truth[name] = islands
    (folder / "truth.json").write_text(json.dumps(truth))
    turned = folder / "again"  # the same names, other slides
    turned.mkdir()
    names = sorted(truth)
    for name, other in zip(names, reversed(names), strict=True):
        shutil.copy(folder / other, turned / name)
    turned_truth = {name: truth[other] for name, other in zip(names, reversed(names), strict=True)}
    (turned / "truth.json").write_text(json.dumps(turned_truth))
    save_model(tiny_model(), folder / "tiny")
    return folder


def config(composed: Path, **changes: Any) -> TeachConfig:
    values = {
        "sources": [
            {"name": "made", "folder": str(composed), "slides": 4},
            {"name": "again", "folder": str(composed / "again"), "slides": 3},
        ],
        "encoders": [{"name": "tiny", "model": str(composed / "tiny")}],
        "variants": [{"name": "as taught", "components": 8}],
        "clicks": [1, 4],
        "suggested_clicks": 3,
        "seeds": 1,
    }
    return checked(TeachConfig, values | changes)


def test_colours_that_differ_are_told_apart_by_their_mean(
    composed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "COMPONENTS", (8,))
    monkeypatch.setattr(bounds, "STRENGTHS", (0.03,))
    for _ in evaluate_teach(config(composed, bounds=True), tmp_path):
        pass
    with (tmp_path / CLICKS).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    of = {(row["encoder"], row["mode"], row["strategy"], row["clicks"]) for row in rows}
    assert ("mean colour", "within", "random", "4") in of
    assert ("tiny", "across", "random", "1") in of
    assert ("tiny", "within", "suggested", "1") in of
    assert ("mean colour", "within", "suggested", "1") not in of
    colour = [float(row["auc"]) for row in rows if row["encoder"] == "mean colour"]
    assert min(colour) > 0.99
    # a second source whose slides have the same names is another one
    carried = {(row["source"], row["clicks"]) for row in rows if row["mode"] == "carried"}
    assert carried == {
        (f"{a} to {b}", n) for a, b in (("made", "again"), ("again", "made")) for n in "05"
    }
    content = json.loads((tmp_path / "results.json").read_text())
    assert len(content["lift"]) == 2
    assert content["kind"] == "teach"
    report = (tmp_path / "results.md").read_text()
    assert "mean colour" in report
    asked = {(line["source"], line["question"]) for line in content["bounds"]}
    assert asked >= {("made", "within"), ("made", "across"), ("again", "within")}
    assert min(b["auc"] for b in content["bounds"] if b["encoder"] == "mean colour") > 0.99
    assert "What probes reach" in report


def test_a_folder_without_truth_is_refused(composed: Path, tmp_path: Path) -> None:
    wrong = config(composed, sources=[{"name": "empty", "folder": str(tmp_path)}])
    with pytest.raises(CohortError, match=r"truth\.json"):
        list(evaluate_teach(wrong, tmp_path / "out"))
    with pytest.raises(ConfigError, match="students"):
        config(composed, encoders=[{"name": "x", "shape": "resnet18", "mpp": 2.0, "tile_px": 64}])
    assert main(["evaluate", "teach", str(tmp_path / "none.toml")]) == 2


@pytest.fixture
def striped() -> ComposedSlide:
    kinds = tissue_kinds()
    slide = prepared_slide(kinds)
    labels = kinds_of(slide, kinds)
    islands = labels * 2 + (slide.features.rows > 8)
    return ComposedSlide(slide, ("a", "b", "c"), labels, islands)


def test_clicks_stay_on_touched_islands(striped: ComposedSlide) -> None:
    draw = np.random.default_rng(0)
    allowed = touched_islands(striped, (0, 1), draw)
    for kind in (0, 1):
        mine = striped.labels == kind
        assert len(np.unique(striped.islands[mine & allowed])) == 1
        assert (mine & ~allowed).any()
    assert not (allowed & (striped.labels == 2)).any()
    clicks = random_clicks(striped, allowed, (0, 1), 5, draw)
    assert np.bincount(striped.labels[clicks]).tolist() == [5, 5]
    assert allowed[clicks].all()
    room = _Setting("s", "e", "v", TeachSettings()).room([striped], (0, 1))
    chosen = suggested_clicks(room, allowed, 4, draw)
    assert len(set(chosen.tolist())) == len(chosen) == 8
    assert allowed[chosen].all()
    judged = room.judged(room.taught_by({0: chosen}), {0: ~allowed})
    assert judged.auc > 0.95


def test_only_classes_that_a_slide_shows_are_left_unseen_on_it(
    striped: ComposedSlide, composed: Path
) -> None:
    """What remains of a slide of two of three classes is one, which nothing is told from."""
    two = replace(striped, labels=np.where(striped.labels == 1, -1, striped.labels))
    figures = TeachFigures()
    setting = _Setting("s", "e", "v", TeachSettings(components=8))
    for _ in _measured(setting, [striped, two], config(composed, clicks=[2]), figures):
        pass
    assert [row.unseen for row in figures.not_taught] == ["a", "b", "c"]
    assert len(figures.clicks) == 2


def test_intervals_are_over_slides_and_errors_over_what_was_said() -> None:
    def row(slide: str, auc: float, said: float | None) -> ClickRow:
        of = "s", "e", "v", "within", "random", 5, 0, slide
        return ClickRow(*of, auc, 0.8, said, 0.7 if said else 0.0, 0.85 if said else 1.0)

    rows = [row("1", 0.8, 0.9), row("1", 0.9, None), row("2", 0.6, 0.6)]
    (line,) = click_table(rows)
    mean, low, high = line["auc"]
    assert (mean, line["slides"]) == (pytest.approx((0.85 + 0.6) / 2), 2)
    assert 0.6 <= low < mean < high <= 0.851
    (own,) = estimate_table(rows)
    assert own["said"] == pytest.approx(2 / 3)
    assert own["bias"] == pytest.approx(-0.05)
    assert own["mean_error"] == pytest.approx(0.15)
    assert own["covered"] == 1


def test_the_lift_is_of_the_same_slide_and_the_same_clicks() -> None:
    def row(slide: str, clicks: int, seed: int, auc: float) -> ClickRow:
        of = "a to b", "e", "v", "carried", "random", clicks, seed, slide
        return ClickRow(*of, auc, 0.8, None, 0.0, 1.0)

    rows = [row("1", 0, 0, 0.6), row("1", 5, 0, 0.9), row("1", 0, 1, 0.7), row("1", 5, 1, 0.8)]
    rows += [row("2", 0, 0, 0.5), row("2", 5, 0, 0.5)]
    (line,) = lift_table(rows)
    assert line["lift"][0] == pytest.approx((0.2 + 0) / 2)
    assert (line["clicks"], line["slides"]) == (5, 2)
