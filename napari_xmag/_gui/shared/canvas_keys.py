"""Keys of a dock that act while the canvas has the focus, beside napari's own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QWidget

from napari_xmag.layer_data import slide_key

Released = Callable[[], None]
Act = Callable[[], bool | Released]
_Before = Callable[[Any], Released | None] | None

_SIGNS = "+?"
"""Signs that napari's key bindings cannot name; Qt's shortcuts can."""


@dataclass(frozen=True, slots=True)
class CanvasKey:
    """One thing that keys do.

    Attributes
    ----------
    keys
        As napari writes them; any of them does it. The first is shown.
    words
        What it does, for tooltips and the list of keys.
    act
        Returns False where there is nothing to do, and napari's own key acts. What it returns else
        may be called when the key is let go after it was held down.
    """

    keys: tuple[str, ...]
    words: str
    act: Act

    @property
    def shown(self) -> str:
        """Return the key as people write it."""
        if self.keys[0] == "-":
            return "−"
        return self.keys[0].replace("Control", "Ctrl").replace("Escape", "Esc").replace("-", "+")


class CanvasKeys:
    """Gives keys to a viewer, and to the layers of slides, whose own keys would come first.

    Layers that are drawn or painted on keep all of napari's keys. What another dock bound to a key
    still acts where this one has nothing to do.

    Parameters
    ----------
    viewer
        Keeps the keys until `disconnect`.
    keys
        What they do.
    dock
        In whose window the signs count that only Qt can name.
    active
        Says whether the keys act at all.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        keys: Sequence[CanvasKey],
        dock: QWidget,
        active: Callable[[], bool],
    ) -> None:
        self._viewer, self._active = viewer, active
        self._acts = {name: key.act for key in keys for name in key.keys if name not in _SIGNS}
        self._bound: list[tuple[Any, _BoundKey]] = []
        self._shortcuts = [
            self._shortcut(name, key.act, dock)
            for key in keys
            for name in key.keys
            if name in _SIGNS
        ]
        self._bind(viewer)
        for layer in viewer.layers:
            self._bind_slide(layer)
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)

    def disconnect(self) -> None:
        """Give all keys back."""
        self._viewer.layers.events.inserted.disconnect(self._inserted)
        self._viewer.layers.events.removed.disconnect(self._removed)
        for owner in [self._viewer, *self._viewer.layers]:
            self._unbind(owner)
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts.clear()

    def _shortcut(self, sign: str, act: Act, dock: QWidget) -> QShortcut:
        shortcut = QShortcut(QKeySequence(sign), dock)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(lambda: self._active() and act())
        return shortcut

    def _inserted(self, event: Any) -> None:
        self._bind_slide(event.value)

    def _removed(self, event: Any) -> None:
        self._unbind(event.value)

    def _bind_slide(self, layer: Layer) -> None:
        if slide_key(layer) is not None and isinstance(layer, Image):
            self._bind(layer)

    def _bind(self, owner: Any) -> None:
        for name, act in self._acts.items():
            key = coerce_keybinding(name)
            bound = _BoundKey(self._viewer, key, act, self._active, owner.keymap.get(key))
            owner.bind_key(key, bound, overwrite=True)
            self._bound.append((owner, bound))

    def _unbind(self, owner: Any) -> None:
        """Take our keys off an owner; where another dock bound one later, that one stays."""
        for _, bound in [each for each in self._bound if each[0] is owner]:
            if owner.keymap.get(bound.key) is bound:
                owner.bind_key(bound.key, _living(bound.before), overwrite=True)
            bound.active = _never
        self._bound = [each for each in self._bound if each[0] is not owner]


@dataclass(eq=False)
class _BoundKey:
    """What napari calls for a key: ours, else what was there ``before``, else napari's own."""

    viewer: ViewerModel
    key: Any
    act: Act
    active: Callable[[], bool]
    before: _Before

    @property
    def __name__(self) -> str:
        """What napari asks of each bound function, to see whether it repeats."""
        return "xmag_key"

    def __call__(self, owner: Any) -> Released | None:
        done = self.active() and self.act()
        if done is False:
            return self.before(owner) if self.before is not None else self._press_own(owner)
        return done if callable(done) else None

    def _press_own(self, owner: Any) -> Released | None:
        for each, keymap in self._later_keymaps(owner):
            bound = _foreign(keymap.get(self.key))
            if callable(bound):
                done = MethodType(bound, each)()
                return done if callable(done) else None
        return None

    def _later_keymaps(self, owner: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the keymaps that napari would ask after the owner's own."""
        yield from ((owner, keymap) for keymap in _class_keymaps(owner))
        if owner is not self.viewer:
            yield self.viewer, self.viewer.keymap
            yield from ((self.viewer, keymap) for keymap in _class_keymaps(self.viewer))


def _class_keymaps(owner: Any) -> Iterator[Any]:
    return (
        vars(kind)["class_keymap"] for kind in type(owner).__mro__ if "class_keymap" in vars(kind)
    )


def _living(bound: _Before) -> _Before:
    """Leave out what docks had bound that are gone."""
    while isinstance(bound, _BoundKey) and bound.active is _never:
        bound = bound.before
    return bound


def _foreign(bound: Any) -> Any:
    """Leave out what docks bound to the viewer: they were asked with the layer's keys."""
    while isinstance(bound, _BoundKey):
        bound = bound.before
    return bound


def _never() -> bool:
    return False
