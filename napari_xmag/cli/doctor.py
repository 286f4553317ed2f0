"""``napari-xmag doctor``: what is installed, what works, what to do about the rest."""

import argparse
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from napari_xmag._about import __version__

# Packages, and the modules that they bring.
_PACKAGES = {
    "torch": "torch",
    "timm": "timm",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
    "scikit-image": "skimage",
    "tifffile": "tifffile",
    "openslide-python": "openslide",
}
_QT_BINDINGS = ("PySide6", "PyQt6", "PyQt5", "PySide2")
_WINDOW = 'pip install "napari-xmag[all]"'


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What it is.
    words
        What was found.
    hint
        What to do; empty when all is well.
    optional
        Whether everything else works without it.
    """

    name: str
    words: str
    hint: str = ""
    optional: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether it needs attention."""
        return bool(self.hint) and not self.optional

    @property
    def mark(self) -> str:
        """The two characters before it: ok, !! where it needs attention, -- where it may lack."""
        return "!!" if self.is_wrong else "--" if self.hint else "ok"


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="check the installation",
        description="Check the installation: versions, device, slide reading, models, and what "
        "only the window or a cluster needs. Exit code 0 when all is well, 1 when something needs "
        "attention.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print all findings; return 1 when one needs attention."""
    return show(findings())


def show(findings: Iterable[Finding]) -> int:
    """Print findings; return 1 when one needs attention."""
    findings = list(findings)
    wide = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{finding.mark}  {finding.name:{wide}}  {finding.words}")
        if finding.hint:
            print(f"    {'':{wide}}  -> {finding.hint}")
    wrong = sum(finding.is_wrong for finding in findings)
    verb = "needs" if wrong == 1 else "need"
    print(f"{wrong} of {len(findings)} {verb} attention." if wrong else "All is well.")
    return 1 if wrong else 0


def findings() -> Iterator[Finding]:
    """Yield what there is to say about this installation."""
    yield Finding("napari-xmag", f"{__version__} in {files('napari_xmag')}")
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    for name, module in _PACKAGES.items():
        found = _version(name, module)
        yield Finding(name, found or "not installed", "" if found else f"pip install {name}")
    yield _window()
    yield _cluster()
    yield _plugin()
    yield _openslide()
    yield _device()
    yield from _models()


def _version(package: str, module: str) -> str:
    """Return a package's version; empty when its module is not there to be imported."""
    try:
        return version(package) if find_spec(module) else ""
    except (PackageNotFoundError, ImportError):
        return ""


def _window() -> Finding:
    """Without napari this is an installation for the command line; with it a window is wanted."""
    napari = _version("napari", "napari")
    if not napari:
        words = "no napari: the command line and scripts work, the window does not"
        return Finding("window", words, _WINDOW, optional=True)
    for name in _QT_BINDINGS:
        if found := _version(name, name):
            return Finding("window", f"napari {napari} on {name} {found}")
    return Finding("window", f"napari {napari} without a Qt binding", _WINDOW)


def _cluster() -> Finding:
    found = _version("distributed", "distributed")
    if found:
        return Finding("cluster", f"dask.distributed {found}")
    words = "no dask.distributed: distill prepare works in one process"
    return Finding("cluster", words, 'pip install "napari-xmag[cluster]"', optional=True)


def _plugin() -> Finding:
    found = [
        point for point in entry_points(group="napari.manifest") if point.name == "napari-xmag"
    ]
    if not found:
        hint = "install the package: pip install napari-xmag (or pip install -e . in a checkout)"
        return Finding("napari plugin", "not known to napari", hint)
    if not files("napari_xmag").joinpath("napari.yaml").is_file():
        hint = "reinstall napari-xmag"
        return Finding("napari plugin", "its manifest napari.yaml is missing", hint)
    return Finding("napari plugin", "registered; Plugins > XMAG in napari")


def _openslide() -> Finding:
    try:
        import openslide
    except (ImportError, OSError) as error:  # the binding, or the library it loads
        hint = "pip install --upgrade openslide-python openslide-bin"
        return Finding("OpenSlide", f"does not load ({error})", hint)
    return Finding("OpenSlide", str(openslide.__library_version__))


def _device() -> Finding:
    try:
        import torch

        from napari_xmag.nets.device import available_devices, pick_device, pick_dtype
    except (ImportError, OSError) as error:
        hint = "pip install --upgrade torch torchvision timm (together, so that they match)"
        return Finding("device", f"torch does not load ({error})", hint)
    device = pick_device()
    precision = str(pick_dtype(device)).removeprefix("torch.")
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    others = [name for name in available_devices() if name != str(device)]
    also = f"; also {', '.join(others)}" if others else ""
    return Finding("device", f"{device} in {precision}{threads}{also}")


def _models() -> Iterator[Finding]:
    from napari_xmag.zoo import DEFAULT_MODEL, list_models

    entries = list_models()
    if DEFAULT_MODEL not in [entry.name for entry in entries]:
        hint = "reinstall napari-xmag, or name another model with --model"
        yield Finding("model", f"the bundled {DEFAULT_MODEL} is missing", hint)
    for entry in entries:
        hint = "fetch or copy it again, or remove its folder" if entry.problem else ""
        words = f"{entry.name} in {entry.folder}" + (f": {entry.problem}" if entry.problem else "")
        yield Finding("model", words, hint)
