"""What the panel says of a result: an answer, doubt, or that there is none."""

import dataclasses
from collections.abc import Callable

import pytest
from pytestqt.qtbot import QtBot

from napari_xmag._gui.analyze.prediction_panel import PredictionPanel
from napari_xmag._gui.shared.section import ACCENT
from napari_xmag.analyze import Flag, FlagCode, SlideResult
from tests.analyze.test_result import make_result

pytestmark = pytest.mark.window

Show = Callable[[SlideResult], PredictionPanel]


@pytest.fixture
def show(qtbot: QtBot) -> Show:
    """Show a result in a panel."""
    panel = PredictionPanel()
    panel.resize(320, 400)
    qtbot.addWidget(panel)
    panel.show()

    def shown(result: SlideResult) -> PredictionPanel:
        panel.show_result(result)
        return panel

    return shown


def result_of(malignant: float, threshold: float = 0.5, *flags: FlagCode) -> SlideResult:
    result = make_result()
    return dataclasses.replace(
        result,
        probabilities=(1 - malignant, malignant),
        model={**result.model, "threshold": threshold},
        flags=tuple(Flag(code, f"About {code}.") for code in flags),
    )


def has_accent(panel: PredictionPanel) -> bool:
    """Say whether any bar is drawn in the colour of an answer."""
    for bar in panel.bars:
        picture = bar.grab().toImage()
        row = range(picture.width())
        height = range(picture.height())
        if any(picture.pixelColor(x, y) == ACCENT for y in height for x in row):
            return True
    return False


def test_an_answer_is_the_headline_and_its_bar_is_coloured(show: Show) -> None:
    panel = show(result_of(0.9))
    assert panel.headline.text() == "malignant"
    assert [(bar.name, bar.answer) for bar in panel.bars] == [
        ("malignant", True),
        ("benign", False),
    ]
    assert has_accent(panel)


@pytest.mark.parametrize(
    ("threshold", "answer"), [(0.98, "benign"), (0.025, "malignant")], ids=["late", "early"]
)
def test_the_models_threshold_decides_and_is_told(
    show: Show, threshold: float, answer: str
) -> None:
    panel = show(result_of(0.6, threshold))
    assert panel.headline.text() == answer
    assert [bar.name for bar in panel.bars if bar.answer] == [answer]
    assert f"malignant above {100 * threshold:.3g} %" in panel.note.text()
    assert panel.bars[0].band is not None
    assert panel.bars[0].band.threshold == threshold


def test_close_to_the_threshold_no_class_is_marked(show: Show) -> None:
    panel = show(result_of(0.46))
    assert panel.headline.text() == "Uncertain: benign or malignant"
    assert not any(bar.answer for bar in panel.bars)
    assert not has_accent(panel)


def test_without_an_answer_the_reason_comes_first_and_bars_are_grey(show: Show) -> None:
    panel = show(result_of(0.9, 0.5, FlagCode.MPP_BY_HAND, FlagCode.OUT_OF_RANGE))
    assert panel.headline.text() == "No reliable prediction"
    told = [row.words.text() for row in panel.flags]
    assert told == ["⚠  About out_of_range.", "⚠  About mpp_by_hand."]
    top = [
        widget.mapTo(panel, widget.rect().topLeft()).y() for widget in (panel.flags[0], *panel.bars)
    ]
    assert top == sorted(top)
    assert not has_accent(panel)
    assert [bar.probability for bar in panel.bars] == pytest.approx([0.9, 0.1])


def test_a_result_says_what_it_is_of(show: Show) -> None:
    result = result_of(0.9)
    words = show(result).about.text()
    assert result.model_words in words
    assert result.tissue_words in words
    assert f"· {result.created[:4]}" in words
