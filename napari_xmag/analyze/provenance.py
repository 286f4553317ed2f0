"""Where a result comes from: programs and model."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from napari_xmag._about import __version__
from napari_xmag.nets.info import ModelInfo

_PACKAGES = ("numpy", "onnxruntime", "openslide-python", "tifffile", "timm", "torch")


def program_versions() -> dict[str, str]:
    """Return the versions of everything that can change a number."""
    import openslide

    return {
        "napari-xmag": __version__,
        "python": platform.python_version(),
        **{name: package_version(name) for name in _PACKAGES},
        "openslide": openslide.__library_version__,
        "system": f"{platform.system()} {platform.machine()}",
    }


def package_version(name: str) -> str:
    """Return the version of an installed package; "missing" where it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def model_facts(info: ModelInfo) -> dict[str, Any]:
    """Return what identifies a model, ready for JSON."""
    return {
        "name": info.name,
        "display_name": info.display_name,
        "sha256": info.sha256,
        "classes": list(info.classes),
        "mpp": info.mpp,
        "tile_px": info.tile_px,
        "granularity": info.granularity,
        "head": info.head,
        "colors": [list(color) for color in info.colors],
        "temperature": info.temperature,
        "threshold": info.threshold,
        "demonstration": info.demonstration,
        "licence": info.licence,
    }
