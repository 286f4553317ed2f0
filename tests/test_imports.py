"""What an import may load, tried in fresh processes."""

import subprocess
import sys

import pytest

WINDOW = ("napari", "qtpy", "magicgui", "superqt", "PySide6", "PyQt6", "matplotlib")
HEAVY = ("torch", "timm", "torchvision", "sklearn")
READER = (
    "napari_xmag.slide.open",
    "napari_xmag.slide.pyramid",
    "napari_xmag.slide.tissue",
    "napari_xmag.slide.tiles",
    "napari_xmag.slide.metadata",
)
RESULTS = ("napari_xmag.analyze", "napari_xmag.export", "napari_xmag.zoo", "napari_xmag.cli")
NETWORKS = (
    "napari_xmag.nets.model",
    "napari_xmag.nets.device",
    "napari_xmag.analyze.encoder",
    "napari_xmag.distill",
    "napari_xmag.train",
)


def loaded_by(modules: tuple[str, ...]) -> set[str]:
    """Import modules in a fresh process; return the top-level packages that this loaded."""
    code = (
        f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("modules", [READER, RESULTS], ids=["reader", "results"])
def test_neither_a_window_nor_torch(modules: tuple[str, ...]) -> None:
    assert not loaded_by(modules) & {*WINDOW, *HEAVY}


def test_networks_need_no_window() -> None:
    assert not loaded_by(NETWORKS) & set(WINDOW)


def test_help_is_quick_and_light() -> None:
    code = (
        "import sys\n"
        "from napari_xmag.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split("LOADED")[1].split())
    assert "analyze" in done.stdout
    assert not loaded & {*WINDOW, *HEAVY, "numpy"}
