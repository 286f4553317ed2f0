"""What the keys do while the canvas has the focus: one list for the keys and for their help."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_xmag._gui.shared.canvas_keys import Act, CanvasKey, Released
from napari_xmag._gui.shared.maps import map_to_show, maps_in_sight
from napari_xmag._gui.shared.section import Words, bold
from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.review.verdicts import Verdict

if TYPE_CHECKING:
    from napari_xmag._gui.analyze.controller import Controller

_OPACITY_STEP = 0.1
_VIEWS = tuple(HeatMapView)

_HELD = (
    "Hold M to see the slide without its map for a moment. Otherwise napari's own shortcuts apply."
)


def review_keys(
    control: "Controller", comment: Act, help_asked: Callable[[], None]
) -> list[CanvasKey]:
    """Return the keys of *Analyze slide*.

    Parameters
    ----------
    control
        Does what they ask for.
    comment
        Begins a comment on the place that is looked at.
    help_asked
        Shows the keys.
    """
    places = control.places

    def helped() -> bool:
        help_asked()
        return True

    return [
        CanvasKey(("N",), "next patch", lambda: places.step(1)),
        CanvasKey(("P",), "previous patch", lambda: places.step(-1)),
        CanvasKey(("1",), "right: the model should look here", _tick(control, Verdict.RIGHT)),
        CanvasKey(("2",), "wrong: the model should not look here", _tick(control, Verdict.WRONG)),
        CanvasKey(("C",), "comment on this patch", comment),
        CanvasKey(("Control-Z",), "undo the last mark or comment", places.undo),
        CanvasKey(("Control-Shift-Z",), "redo", places.redo),
        CanvasKey(
            ("M",), "show or hide the map; hold to peek at the slide", lambda: toggle_map(control)
        ),
        CanvasKey(("V",), "next view of the map", lambda: next_view(control)),
        CanvasKey(("+", "="), "make the map more opaque", lambda: fade(control, _OPACITY_STEP)),
        CanvasKey(("-",), "make the map less opaque", lambda: fade(control, -_OPACITY_STEP)),
        CanvasKey(("B",), "switch between this result and the previous one", control.swap_results),
        CanvasKey(("D",), "what differs from the result before", control.compare_results),
        CanvasKey(("H",), "show the whole slide", control.whole_slide),
        CanvasKey(("Escape",), "cancel the analysis", control.cancel),
        CanvasKey(("?",), "show the keyboard shortcuts", helped),
    ]


def _tick(control: "Controller", verdict: Verdict) -> Act:
    return lambda: control.places.toggle(verdict)


def toggle_map(control: "Controller") -> bool | Released:
    """Show or hide the map; what is returned does the opposite again."""
    session = control.state.current
    if session is None:
        return False
    seen = maps_in_sight(control.viewer, session.layer)
    layer = seen[0] if seen else map_to_show(control.viewer, session.layer)
    if layer is None:
        return False
    layer.visible = not seen

    def back() -> None:
        layer.visible = bool(seen)

    return back


def next_view(control: "Controller") -> bool:
    """Show the next view of the map."""
    session, state = control.state.current, control.state
    if session is None or session.scores is None:
        return False
    state.view = _VIEWS[(_VIEWS.index(state.view) + 1) % len(_VIEWS)]
    if session.map_layer is not None:
        session.map_layer.visible = True
    return True


def fade(control: "Controller", by: float) -> bool:
    """Make the map more or less opaque."""
    session, state = control.state.current, control.state
    if session is None or session.map_layer is None:
        return False
    state.opacity = round(min(max(state.opacity + by, 0.0), 1.0), 2)
    return True


class KeysDialog(QDialog):
    """Lists the keys.

    Parameters
    ----------
    keys
        What they do.
    parent
        The window.
    """

    def __init__(self, keys: Sequence[CanvasKey], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        form = QFormLayout()
        form.setHorizontalSpacing(18)
        for key in keys:
            form.addRow(bold(QLabel(key.shown)), QLabel(key.words))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("These keys work while the slide has the keyboard focus:"))
        layout.addLayout(form)
        layout.addWidget(Words(_HELD))
        layout.addWidget(buttons)
