"""What is asked before an export."""

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from napari_xmag._gui.analyze.dialogs.export import ExportDialog, ExportSettings
from napari_xmag.export import Origin

pytestmark = pytest.mark.window


def shown(qtbot: QtBot, folder: Path, *, has_bounds: bool) -> ExportDialog:
    dialog = ExportDialog(folder, has_bounds)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def test_the_suggested_folder_is_taken(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = shown(qtbot, tmp_path / "slide", has_bounds=False)
    with qtbot.waitSignal(dialog.accepted):
        dialog.accept()
    assert dialog.settings == ExportSettings(folder=tmp_path / "slide", origin=Origin.BOUNDS)
    assert not (tmp_path / "slide").exists()  # made by the export


def test_qupaths_corner_is_asked_only_where_it_matters(qtbot: QtBot, tmp_path: Path) -> None:
    assert ("origin",) not in shown(qtbot, tmp_path, has_bounds=False).form.fields
    dialog = shown(qtbot, tmp_path, has_bounds=True)
    chooser = dialog.form.fields["origin",].native
    assert chooser.isVisible()
    assert chooser.currentData() == Origin.BOUNDS
    chooser.setCurrentIndex(1 - chooser.currentIndex())
    dialog.accept()
    assert dialog.settings is not None
    assert dialog.settings.origin is Origin.SLIDE


@pytest.mark.parametrize("text", ["", "  "])
def test_without_a_folder_it_stays_open_and_says_so(
    text: str, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog = shown(qtbot, tmp_path, has_bounds=False)
    dialog.form.fields["folder",].line_edit.value = text
    dialog.accept()
    assert dialog.isVisible()
    assert dialog.settings is None
    assert dialog.form.problem.text().startswith("Folder: ")
