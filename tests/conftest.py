"""Slides and settings that all tests share."""

import gc
import os
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path

# Several workers share the cores: torch, here and in what tests start, takes this one's share.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))

import numpy as np
import pytest
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

from napari_xmag.nets.engines import graph_cache
from napari_xmag.slide.sample import sample_slide
from tests.processes import ROOT
from tests.slides import draw_section, write_aperio, write_leica, write_pyramid


class _Shared(LoadScopeScheduling):
    """Gives tests to workers one by one, and those that share what takes long to make together."""

    def _split_scope(self, nodeid: str) -> str:
        module, *_ = nodeid.split("::")
        return module if _makes_something_once(ROOT / module) else nodeid


@cache
def _makes_something_once(module: Path) -> bool:
    return 'scope="module"' in module.read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Shared:
    """Distribute the tests over the workers."""
    return _Shared(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import all modules without the collector, which would walk through them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Collect without what was imported: napari's fixture collects twice a test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def float32_cpu() -> Generator[None]:
    """Let every CPU compute in float32, in this process: bfloat16 is too coarse to compare."""
    import torch

    from napari_xmag.nets.engines import open as opening

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.cpu, "get_capabilities", dict, raising=False)
        patched.setattr(opening, "cpu_multiplies_bfloat16", lambda: False)
        yield


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings and models of whoever runs the tests out of them, and the other way round."""
    monkeypatch.setenv("NAPARI_XMAG_HOME", str(tmp_path / "xmag-home"))


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what takes seconds to make, once for the tests of all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if workers else base) / "session"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def session_graphs(session_folder: Path) -> Path:
    """Folder of the graphs that all tests share: converting a network takes seconds."""
    folder = session_folder / "graphs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def _shared_graphs(session_graphs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Convert each network once for all tests."""
    monkeypatch.setattr(graph_cache, "graphs_folder", lambda: session_graphs)


@pytest.fixture
def blank_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write plots with nothing in them: to draw those of a small training takes longer than it."""
    monkeypatch.setattr("matplotlib.figure.Figure.draw", lambda *_: None)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a small model of random weights: 64-px tiles at 2 µm/px."""
    from napari_xmag.zoo import save_model
    from tests.nets.students import tiny_model

    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_model(tiny_model(), folder)
    return str(folder)


@pytest.fixture
def graphs_of_children(session_graphs: Path, tmp_path: Path) -> None:
    """Let processes that a test starts find the graphs that were converted for other tests."""
    home = tmp_path / "xmag-home"
    home.mkdir(exist_ok=True)
    (home / "graphs").symlink_to(session_graphs)


def _once(path: Path, write: Callable[[Path], Path]) -> Path:
    """Return a file that the first worker who needs it writes."""
    with FileLock(path.with_name(f".{path.name}.lock")):
        return path if path.exists() else write(path)


@pytest.fixture(scope="session")
def pyramid_slide(session_folder: Path) -> Path:
    """Tiled pyramidal TIFF, 3000×2000 px, 0.5 µm/px in resolution tags, levels 1 and 4."""
    return _once(
        session_folder / "pyramid.tiff",
        lambda path: write_pyramid(path, draw_section(3000, 2000)),
    )


@pytest.fixture(scope="session")
def aperio_slide(session_folder: Path) -> Path:
    """Aperio-like SVS, 4096×3072 px, 0.25 µm/px, 40x, levels 1, 4 and 16."""
    return _once(
        session_folder / "aperio.svs",
        lambda path: write_aperio(path, draw_section(4096, 3072, seed=1)),
    )


@pytest.fixture(scope="session")
def alpha_slide(session_folder: Path) -> Path:
    """3000×2000 px, 0.5 µm/px; the left 1000 px are unscanned: transparent and black."""
    return _once(session_folder / "alpha.tiff", _write_alpha)


def _write_alpha(path: Path) -> Path:
    pixels = draw_section(3000, 2000, center=(0.66, 0.5), seed=2)
    rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    rgba[:, :1000] = 0
    return write_pyramid(path, rgba, compression="adobe_deflate")


@pytest.fixture(scope="session")
def no_mpp_slide(session_folder: Path) -> Path:
    """2000×1500 px tiled TIFF that states no pixel size."""
    return _once(
        session_folder / "no-mpp.tiff",
        lambda path: write_pyramid(path, draw_section(2000, 1500, seed=3), mpp=None, factors=(1,)),
    )


@pytest.fixture(scope="session")
def single_level_slide(session_folder: Path) -> Path:
    """3000×2600 px tiled TIFF, 0.5 µm/px, without any coarse level."""
    return _once(
        session_folder / "single.tiff",
        lambda path: write_pyramid(path, draw_section(3000, 2600, seed=4), factors=(1,)),
    )


@pytest.fixture(scope="session")
def sample(session_folder: Path) -> Path:
    """The built-in sample slide; made once for all tests."""
    folder = session_folder / "sample"
    folder.mkdir(exist_ok=True)
    with FileLock(session_folder / ".sample.lock"):
        return sample_slide(folder)


@pytest.fixture(scope="session")
def bounds_slide(session_folder: Path) -> Path:
    """Leica SCN, 6000×5000 px, 0.5 µm/px; only 2000×1500 px at (1501, 2003) were scanned."""
    return _once(
        session_folder / "bounds.scn",
        lambda path: write_leica(path, draw_section(2000, 1500, seed=5)),
    )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data, from $XMAG_DATA or ../shared/data beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("XMAG_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real slides: {folder} does not exist; XMAG_DATA may name another folder")
    return folder


@pytest.fixture(scope="session")
def real_slides(real_data: Path) -> Path:
    """Folder of the real slides."""
    return real_data / "slides"
