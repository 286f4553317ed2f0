"""Packages that can be called like their main function.

``napari_xmag.analyze`` is a package, and what a script calls. Python binds such a name to the
package as soon as anything in it is imported; so the package itself answers the call, and the name
means the same whatever was imported before.
"""

import inspect
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    _home: str

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._main(*arguments, **named)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._main)

    @property
    def _main(self) -> Any:
        return getattr(import_module(self._home), self.__name__.rpartition(".")[2])


def make_callable(package: str, home: str) -> None:
    """Let a package be called like the function of its name.

    Parameters
    ----------
    package
        Its ``__name__``.
    home
        Module that holds the function; imported when it is called.
    """
    module = sys.modules[package]
    module.__class__ = _CallablePackage
    module._home = home  # type: ignore[attr-defined]
