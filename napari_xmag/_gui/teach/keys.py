"""The keys of Teach, while the canvas has the focus and the dock is in front."""

from collections.abc import Callable

from napari_xmag._gui.shared.canvas_keys import CanvasKey
from napari_xmag._gui.teach.controller import TeachController
from napari_xmag._gui.teach.state import TeachState, Tool

MOST_KEYS = 9


def teach_keys(controller: TeachController, state: TeachState) -> tuple[CanvasKey, ...]:
    """Return the keys: digits take classes, letters take tools, Ctrl+Z takes back."""
    return (
        *(_digit(controller, state, number) for number in range(1, MOST_KEYS + 1)),
        CanvasKey(("e",), "Erase examples", _taking(state, Tool.ERASE)),
        CanvasKey(("f",), "Find similar patches", _taking(state, Tool.SIMILAR)),
        CanvasKey(("l",), "Look: pan the slide", _taking(state, Tool.LOOK)),
        CanvasKey(("Control-Z",), "Undo", _doing(controller.undo)),
        CanvasKey(("Control-Shift-Z",), "Redo", _doing(controller.redo)),
    )


def _digit(controller: TeachController, state: TeachState, number: int) -> CanvasKey:
    def take() -> bool:
        if number > len(state.lesson.classes):
            return False
        controller.take_class(number)
        return True

    return CanvasKey((str(number),), f"Select class {number}", take)


def _taking(state: TeachState, tool: Tool) -> Callable[[], bool]:
    def take() -> bool:
        state.tool = tool
        return True

    return take


def _doing(act: Callable[[], None]) -> Callable[[], bool]:
    def done() -> bool:
        act()
        return True

    return done
