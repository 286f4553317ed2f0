"""What napari needs for its first slide, got ready in a thread before the window's own needs it."""

from contextlib import suppress
from importlib import import_module

_IMPORTED_LATE = (
    "OpenGL.arrays.nones",  # the first drawing
    "distributed",  # the first pixels of a dask array
    "pandas",  # the first shapes
    "scipy.ndimage",
    "skimage.filters",
)
"""What others import when it is first needed, which would hold up the window's thread then."""


def import_ahead() -> None:
    """Import them; units are left to the window's thread, for pint reads them in one at a time."""
    for module in _IMPORTED_LATE:
        with suppress(ImportError):  # who needs it in earnest says so
            import_module(module)
