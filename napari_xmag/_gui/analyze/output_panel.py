"""What lies below the panel: exports, reports, and a layout that leaves room for the slide."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QMessageBox, QPushButton, QWidget

from napari_xmag._gui.analyze import tasks
from napari_xmag._gui.analyze.controller import Controller
from napari_xmag._gui.analyze.dialogs.export import ExportDialog
from napari_xmag._gui.analyze.dialogs.report import ReportDialog, ReportSettings
from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.shared.notices import tell_error, tell_written
from napari_xmag.errors import XmagError
from napari_xmag.export.folder import NAMES, SOMETIMES
from napari_xmag.export.occupant import occupant
from napari_xmag.export.result_folders import ResultFolders, result_name
from napari_xmag.filenames import REPORT_HTML, REPORT_PDF
from napari_xmag.review.store import remember_reviewer, reviewer


class OutputPanel(QWidget):
    """The buttons below the panel: *Export*, *Report* and *Review layout*.

    Parameters
    ----------
    control
        Knows the slide in sight and its result.

    Attributes
    ----------
    layout_asked
        Says whether napari's own docks are to be put away.
    """

    layout_asked = Signal(bool)

    def __init__(self, control: Controller) -> None:
        super().__init__()
        self._control = control
        self.export_button = QPushButton("Export …")
        self.export_button.setToolTip(
            "Save the prediction, the maps and the patches to files, for QuPath or other programs."
        )
        self.report_button = QPushButton("Report …")
        self.report_button.setToolTip("Write a report on this slide to share (HTML and PDF).")
        self.export_button.clicked.connect(self._ask_export)
        self.report_button.clicked.connect(self._ask_report)
        self.layout_button = QPushButton("Review layout")
        self.layout_button.setCheckable(True)
        self.layout_button.setToolTip("Hide napari's layer list and controls, or show them again.")
        self.layout_button.toggled.connect(self.layout_asked)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 8, 2)
        row.setSpacing(6)
        row.addWidget(self.export_button, 1)
        row.addWidget(self.report_button, 1)
        row.addWidget(self.layout_button, 1)
        self.show_session(None)

    def show_session(self, session: SlideSession | None) -> None:
        """Let the buttons be pressed where there is a result."""
        ready = session is not None and session.result is not None
        self.export_button.setEnabled(ready)
        self.report_button.setEnabled(ready)

    def _folder(self, session: SlideSession) -> Path:
        """Return a folder of the slide's own."""
        fingerprint = str((session.slide_metadata or {}).get("fingerprint", ""))
        folders = ResultFolders(Path.home() / "xmag-results")
        return folders.suggest(result_name(session.path, session.image), fingerprint)

    def _ask_export(self) -> None:
        session = self._control.state.current
        if session is None or session.slide is None or session.slide_metadata is None:
            return
        bounds = session.slide.bounds
        dialog = ExportDialog(self._folder(session), bool(bounds.x or bounds.y), self)
        dialog.accepted.connect(lambda: self._export(session, dialog))
        dialog.finished.connect(dialog.deleteLater)
        self.export_dialog = dialog
        dialog.open()  # not exec: the window stays alive behind it

    def _export(self, session: SlideSession, dialog: ExportDialog) -> None:
        settings = dialog.settings
        if settings is not None:
            write = partial(self._control.export, session, origin=settings.origin)
            self._into(session, settings.folder, (*NAMES, *SOMETIMES), write, self._ask_export)

    def _into(
        self,
        session: SlideSession,
        folder: Path,
        names: Sequence[str],
        write: Callable[[Path], None],
        ask_again: Callable[[], None],
    ) -> None:
        """Write into a folder, or ask for another one where something else's files lie in it."""
        fingerprint = str((session.slide_metadata or {}).get("fingerprint", ""))
        found = occupant(folder, fingerprint, names)
        if not found:
            write(folder)
            return
        free = ResultFolders(folder.parent).suggest(folder.name, fingerprint)
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("The folder is taken")
        box.setText(f"{folder} holds {found}. Nothing of it will be replaced.")
        take = box.addButton(f"Use {free.name}", QMessageBox.ButtonRole.AcceptRole)
        box.addButton("Choose another folder …", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(take)
        box.buttonClicked.connect(lambda button: write(free) if button is take else ask_again())
        box.finished.connect(box.deleteLater)
        self.question = box
        box.open()

    def _ask_report(self) -> None:
        session = self._control.state.current
        if session is None or session.result is None or session.slide_metadata is None:
            return
        dialog = ReportDialog(self._folder(session), reviewer(), self)
        dialog.accepted.connect(lambda: self._report(session, dialog.settings))
        dialog.finished.connect(dialog.deleteLater)
        self.report_dialog = dialog
        dialog.open()

    def _report(self, session: SlideSession, settings: ReportSettings | None) -> None:
        slide, result, control = session.slide, session.result, self._control
        if settings is None or slide is None or result is None:
            return
        if settings.reviewer != reviewer():
            try:
                remember_reviewer(settings.reviewer)
            except XmagError as error:
                tell_error(error)
        look = control.results.look_of(session)
        mask = control.mask_of(session)
        # as it is saved: another window may review the slide, too
        said = session.reviews if session.store is None else session.store.reviews()

        def write(folder: Path) -> None:
            request = tasks.ReportRequest(
                slide, result, said, look, settings.reviewer, folder, mask
            )
            words = f"The report on {session.path.name} was saved in {folder}"
            control.jobs.start(tasks.report(request), partial(_tell, words))

        self._into(session, settings.folder, (REPORT_HTML, REPORT_PDF), write, self._ask_report)


def _tell(words: str, event: object) -> None:
    if isinstance(event, tasks.Exported):
        tell_written(words, event.files)
