"""The Train widget without a napari window around it, driven as a user would."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytestqt.qtbot import QtBot

from napari_xmag._gui.train.widget import TrainWidget
from napari_xmag.progress.events import Progress
from tests._gui.window import PATIENCE

QUICK = {
    "name": "learned",
    "hidden": 16,
    "dropout": 0.0,
    "fit": {"epochs": 12, "lr": 3e-3, "ema_decay": 0.5},
}


@dataclass
class Desk:
    """A Train widget and what tests ask of it."""

    widget: TrainWidget
    bot: QtBot

    def wait(self, reached: Callable[[], object], timeout: int = PATIENCE) -> None:
        """Serve events until something is true."""
        self.bot.waitUntil(lambda: bool(reached()), timeout=timeout)

    def load(self, table: Path) -> None:
        """Open a table and wait until all its slides are checked."""
        control = self.widget.controller
        control.cohort.open_table(table)
        self.wait(lambda: self.widget.state.table == table and control.cohort.settled)

    def set(self, **values: object) -> None:
        """Give settings as a user does, field by field."""
        form = self.widget.settings.form
        form.set_values(values)
        form.changed.emit()
        self.wait(lambda: self.widget.controller.cohort.settled)

    def press(self) -> None:
        """Press *Train*, or *Cancel* while it runs."""
        button = self.widget.run.button
        assert button.isEnabled(), button.toolTip()
        button.click()

    def finish(self) -> None:
        """Wait until no training runs and what it left is shown."""
        state = self.widget.state
        self.wait(lambda: not self.widget.controller.busy)
        assert not state.failed, state.outcome
        self.wait(lambda: state.record is not None)


def heard(desk: Desk) -> list[Progress]:
    """Return a list that gathers the progress that the widget shows from now on."""
    found: list[Progress] = []
    desk.widget.state.events.progress.connect(lambda event: found.append(event) if event else None)
    return found
