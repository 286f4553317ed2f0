"""A working day in small: ten slides of a list, run and reviewed with the keyboard alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_xmag._gui.worklist.widget import WorklistWidget
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.verdicts import Verdict
from napari_xmag.review.worklist import Worklist
from napari_xmag.slide.fingerprint import slide_fingerprint
from tests._gui.window import Window
from tests.slides import draw_section, write_pyramid

pytestmark = pytest.mark.window

COUNT = 10
Said = set[tuple[Verdict | None, str]]


@pytest.fixture
def listed(window: Window) -> Iterator[WorklistWidget]:
    """The worklist beside *Analyze slide* in one window."""
    widget = WorklistWidget(window.viewer)
    window.viewer.window.add_dock_widget(widget, name="Worklist")
    yield widget
    widget.shut_down()


def focused(window: Window) -> QWidget:
    """Return what gets the keys."""
    main = window.viewer.window._qt_window
    return main.focusWidget() or main


def press(window: Window, *keys: str) -> None:
    """Press keys wherever the focus is."""
    for key in keys:
        QTest.keySequence(focused(window), QKeySequence(key))


def show_places(window: Window) -> None:
    """Wait for the slide in sight; weights at random may speak for no class, attention does."""
    window.wait(lambda: window.session.cards is not None)
    while not window.session.cards:
        press(window, "V")
        window.wait(lambda: window.session.cards is not None)


def review(window: Window, number: int) -> Said:
    """Tick two places of the slide in sight, or its only one twice, and comment on the second.

    Returns
    -------
    What is said of the slide then.
    """
    session, comment = window.session, f"slide {number}: a fold"
    press(window, "N", "1" if number % 2 else "2")
    press(window, "M", "V", "V", "V", "M")  # through all views, and back
    window.wait(lambda: session.cards)
    press(window, "N", "N", "2", "C")
    QTest.keyClicks(focused(window), comment)
    press(window, "Return", "H", "R")
    first = Verdict.RIGHT if number % 2 else Verdict.WRONG
    if len(session.cards) > 1:
        return {(first, ""), (Verdict.WRONG, comment)}
    # the same key again takes a verdict back
    return {(None if first is Verdict.WRONG else Verdict.WRONG, comment)}


def test_ten_slides_are_reviewed_by_keys_alone(
    window: Window, listed: WorklistWidget, tmp_path: Path
) -> None:
    day = tmp_path / "day"
    day.mkdir()
    drawn = [draw_section(1200, 900, seed=20 + number) for number in range(COUNT)]
    slides = [write_pyramid(day / f"{number:02}.tiff", each) for number, each in enumerate(drawn)]
    listed.add_slides([day])
    window.wait(lambda: len(listed.worklist) == COUNT)
    listed.worklist.save(tmp_path / "list.json")

    listed.buttons["Run"].setFocus(Qt.FocusReason.TabFocusReason)
    press(window, "Space")
    window.wait(lambda: listed.worklist.next_waiting() is None and not listed.runner.running)
    seen, expected = [], []
    for number in range(COUNT):
        press(window, "W")
        window.wait(lambda: window.widget.state.current and window.session.path not in seen)
        show_places(window)
        seen.append(window.session.path)
        expected.append(review(window, number))
    assert sorted(seen) == sorted(slides)
    press(window, "Shift+W")  # the tick of the slide before is taken back, and given again
    window.wait(lambda: window.session.path == seen[-2] and window.session.cards)
    assert window.session.said
    press(window, "Ctrl+Z", "Ctrl+Shift+Z", "R", "R")

    saved = Worklist.load(tmp_path / "list.json")
    assert all(row.reviewed for row in saved.rows)
    for path, words in zip(seen, expected, strict=True):
        said = ReviewStore(slide_fingerprint(path)).reviews()
        assert {(each.verdict, each.comment) for each in said} == words
    assert max(map(len, expected)) == 2
    # Nine slides made room: only the one in sight is open.
    assert window.widget.state.sessions == (window.session,)
