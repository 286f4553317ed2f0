"""Packages that not every installation has: they come with an extra (``napari-xmag[cluster]``)."""

from importlib import import_module
from typing import Any

from napari_xmag.errors import DependencyError


def import_extra(module: str, extra: str, purpose: str) -> Any:
    """Import a module that an extra brings.

    Parameters
    ----------
    module
        Its name, dotted or not.
    extra
        The extra that brings it.
    purpose
        What it is needed for, in words.

    Raises
    ------
    DependencyError
        When it is not installed, with the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise DependencyError(
            expected=f"the package {package}, for {purpose}",
            found="that it is not installed",
            hint=f'Install it: pip install "napari-xmag[{extra}]"',
            causes=[error],
        ) from error
