"""From Train to Analyze: slides of a result are shown with their map, models handed over."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag._gui.shared.neighbour import AnalyzeDesk, find_analyze, open_analyze
from napari_xmag.zoo import ModelEntry, check_model, user_folder

if TYPE_CHECKING:
    from napari_xmag._gui.train.widget import TrainWidget


class Reviewer:
    """Acts on the Analyze widget of the same window.

    Parameters
    ----------
    widget
        The Train widget.
    """

    def __init__(self, widget: "TrainWidget") -> None:
        self._widget = widget
        widget.controller.model_added.connect(self._added)

    def let_go(self) -> None:
        """Follow nothing any more."""
        self._widget.controller.model_added.disconnect(self._added)

    def predictions(self) -> dict[Path, str]:
        """Return what a model predicted for the slides in the viewer."""
        analyze = find_analyze(self._widget.main_window())
        return dict(analyze.predictions()) if analyze is not None else {}

    def given_mpp(self, path: Path) -> float | None:
        """Return the pixel size that the user gave for a slide; None where its file states it."""
        analyze = find_analyze(self._widget.main_window())
        return analyze.given_mpp(path) if analyze is not None else None

    def use_model(self) -> None:
        """Copy the trained model among the user's own, and choose it in Analyze."""
        record = self._widget.state.record
        if record is None or record.model is None:
            return
        folder = record.model
        name = check_model(folder).name
        add = partial(self._widget.controller.add_model, folder)
        if (user_folder() / name).exists():
            words = f"You already have a model named {name}. Replace it with this one?"
            self._widget.ask("Replace the model?", words, "Replace", add)
        else:
            add()

    def show_slide(self, slide: Path, mpp: float | None) -> None:
        """Open a slide of the result and let the trained model draw its map."""
        record = self._widget.state.record
        analyze = self._analyze()
        if record is not None and record.model is not None:
            analyze.offer(trained_entry(record.model))
        analyze.map_slide(slide, mpp)

    def _analyze(self) -> AnalyzeDesk:
        return open_analyze(self._widget.viewer, self._widget.main_window())

    def _added(self, entry: ModelEntry) -> None:
        self._analyze().offer(entry)


def trained_entry(folder: Path) -> ModelEntry:
    """Return the entry of a model that lies in the folder of its training."""
    return ModelEntry(str(folder), folder, check_model(folder))
