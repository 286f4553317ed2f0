"""Results are written whole, with or without numbers, with or without pictures."""

import json
from pathlib import Path

from napari_xmag.evaluate import plots
from napari_xmag.evaluate.report import EncoderFigures, TaskReport, task_table, write_evaluation
from napari_xmag.evaluate.robustness_report import RobustnessTask, ShiftEntry, plot_robustness
from napari_xmag.plotting import COLORS
from napari_xmag.stats.metrics import FIGURES, Interval
from tests.pictures import color_places

NAN = float("nan")


def report(value: float, low: float = NAN) -> TaskReport:
    figures = dict.fromkeys(FIGURES, Interval(value, low, low + 0.1))
    above = dict.fromkeys(FIGURES, Interval(-0.05, -0.1, 0.0))
    entries = [
        EncoderFigures("teacher", "linear", figures),
        EncoderFigures("student", "linear", figures, above),
    ]
    return TaskReport("glas", ("a", "b"), 9, {"a": 4, "b": 5}, "Trained on 20.", entries, ["Note."])


def test_table_says_figures_differences_and_notes() -> None:
    words = task_table(report(0.9, 0.85))
    assert "N = 9 (4 a, 5 b). Trained on 20." in words
    assert words.count("| student | linear |") == 2
    assert "0.900 (0.850 … 0.950)" in words
    assert "Difference from teacher" in words
    assert "-0.050 (-0.100 … +0.000)" in words
    assert words.endswith("- Note.")


def test_what_cannot_be_had_is_none_in_words_and_null_in_json(tmp_path: Path) -> None:
    assert "| teacher | linear | – |" in task_table(report(NAN))
    assert "0.900 (no CI)" in task_table(report(0.9))
    write_evaluation(tmp_path, "probe", {"cache": Path("x")}, [report(NAN)], {}, task_table)
    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    figure = content["tasks"][0]["entries"][0]["figures"]["auc"]
    assert figure == {"value": None, "low": None, "high": None}
    assert content["versions"]["torch"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json", "results.md"]


def test_picture_is_drawn(tmp_path: Path) -> None:
    plots.plot_tasks([report(0.9, 0.85)], tmp_path)
    for color in COLORS[:2]:
        places = color_places(tmp_path / "glas.png", color)
        assert {place.split()[1] for place in places} == {"left", "right"}


def test_picture_of_robustness_is_drawn(tmp_path: Path) -> None:
    figures = Interval(0.9, 0.85, 0.95), Interval(-0.05, -0.1, 0.0), Interval(0.95, 0.9, 0.97)
    entries = [
        ShiftEntry(name, shift, 0.8, 0.7, *figures)
        for name in ("teacher", "student")
        for shift in ("stain 0.1", "blur 2 µm")
    ]
    plot_robustness(RobustnessTask("glas", 9, "", entries), tmp_path / "glas.png")
    for color in COLORS[:2]:
        assert len(color_places(tmp_path / "glas.png", color)) == 4
