"""A saved result that is dropped on the window: slide, map and marks are there again."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from napari.utils.notifications import notification_manager

from napari_xmag._gui import saved_results
from napari_xmag._gui.reader import get_reader, read_slides
from napari_xmag.errors import ResultError
from tests._gui.window import Window
from tests.slides import draw_section, write_pyramid

pytestmark = pytest.mark.window


@pytest.fixture
def far_away() -> Iterator[Path]:
    """A folder that is not searched, for none of those above it is that of a result."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def test_report_and_export_of_a_slide_come_back(
    window: Window, tmp_path: Path, far_away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = write_pyramid(tmp_path / "case.tiff", draw_section(3000, 2000, seed=14))
    folder = tmp_path / "out"
    session = window.open(slide)
    created = window.analyze().result.created
    window.type("N", "2")
    patch = session.cards[0].patch

    notification_manager.records.clear()
    window.widget.hand_on.report_button.click()
    dialog = window.widget.hand_on.report_dialog
    dialog.form.set_values({"folder": folder, "reviewer": "Dr. A. Reader"})
    dialog.accept()
    window.wait(lambda: (folder / "report.pdf").exists() and notification_manager.records)
    assert "Dr. A. Reader" in (folder / "report.html").read_text(encoding="utf-8")
    (told,) = notification_manager.records
    assert [name for name, _ in told.actions] == ["Open folder"]
    window.widget.controller.export(window.session, folder, "slide")
    window.wait((folder / "review.csv").exists)

    # Elsewhere nothing is known of the slide but what lies in the folder.
    monkeypatch.setenv("NAPARI_XMAG_HOME", str(tmp_path / "another-home"))
    window.viewer.layers.remove(session.layer)
    for name in ("result.json", "heatmap.ome.tif"):
        assert get_reader(folder / name) is not None
    window.viewer.open(folder, plugin="napari-xmag")
    window.wait(lambda: window.widget.state.current and window.session.cards)
    again = window.session
    assert again is not session
    assert (again.path, again.result.created) == (slide, created)
    assert again.map_layer in window.viewer.layers
    (said,) = again.reviews
    assert (said.verdict, said.place) == ("wrong", again.result.patches.box(patch))

    # The slide that is open already is not opened twice.
    again.result = None
    window.viewer.open(folder / "result.json", plugin="napari-xmag")
    window.wait(lambda: again.result is not None)
    assert window.widget.state.sessions == (again,)

    # A slide that does not lie beside is asked for.
    asked: list[str] = []
    moved = Path(shutil.move(slide, far_away / "moved.tiff"))
    monkeypatch.setattr(saved_results, "ask_for_slide", lambda why: asked.append(why) or moved)
    layers = saved_results.read_result(folder, read_slides)
    assert "case.tiff" in asked[0]
    assert layers[0][1]["metadata"]["napari-xmag"]["path"] == str(moved)
    monkeypatch.setattr(saved_results, "ask_for_slide", lambda _: None)
    with pytest.raises(ResultError, match=r"case\.tiff"):
        saved_results.read_result(folder, read_slides)
