"""Packages that not every installation has: they come with an extra (``napari-xmag[cluster]``)."""

from importlib import import_module
from typing import Any

from napari_xmag.errors import DependencyError


def import_extra(module: str, extra: str, purpose: str, *, alone: bool = False) -> Any:
    """Import a module that an extra brings.

    Parameters
    ----------
    module
        Its name, dotted or not.
    extra
        The extra that brings it.
    purpose
        What it is needed for, in words.
    alone
        Tell to install the package itself: the extra brings far more than that.

    Raises
    ------
    DependencyError
        When it is not installed, with the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package, chosen = module.partition(".")[0], f'"napari-xmag[{extra}]"'
        raise DependencyError(
            expected=f"the package {package}, for {purpose}",
            found="that it is not installed",
            hint=f"Install it: pip install {package if alone else chosen}",
            causes=[error],
        ) from error
