"""Fifty windows one after another: memory grows little, and no slide stays open."""

import ctypes
import gc
import os
import sys
from pathlib import Path

import psutil
import pytest
from napari import Viewer
from napari.utils import resize_dask_cache
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QCoreApplication, QEvent

from napari_xmag._gui.analyze.widget import AnalyzeWidget
from tests._gui.window import PATIENCE
from tests.slides import draw_section, write_pyramid

WINDOWS = 50
SETTLED = 20  # until then, napari alone grows as well: it loads libraries and fills caches

pytestmark = [
    pytest.mark.window,
    pytest.mark.skipif(sys.platform != "linux", reason="memory as Linux counts it"),
    pytest.mark.skipif(not os.environ.get("XMAG_FAULTS"), reason="run by make faults"),
]


def test_windows_give_back_what_they_took(qtbot: QtBot, tmp_path: Path) -> None:
    slide = write_pyramid(tmp_path / "slide.tiff", draw_section(3000, 2000))
    process, used = psutil.Process(), []
    for _ in range(WINDOWS):
        show(slide, qtbot)
        tidy()
        used.append(process.memory_info().rss)
        assert [file.path for file in process.open_files() if file.path == str(slide)] == []
    growth = (used[-1] - used[SETTLED - 1]) / (WINDOWS - SETTLED) / 2**20
    megabytes = [memory >> 20 for memory in used]
    sys.stdout.write(f"{growth:.2f} MB a window, once settled; MB after each: {megabytes}\n")
    assert growth <= 1.0


def show(slide: Path, qtbot: QtBot) -> None:
    """Open a window with a slide and the panel, and close it."""
    viewer = Viewer(show=True)
    widget = AnalyzeWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Analyze slide")
    viewer.open(slide, plugin="napari-xmag")
    qtbot.waitUntil(
        lambda: bool(widget.state.current and widget.state.current.slide), timeout=PATIENCE
    )
    widget.shut_down()
    viewer.close()


def tidy() -> None:
    """Let Qt and Python remove what was closed, and napari its cache of up to a tenth of memory."""
    resize_dask_cache(0)
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QCoreApplication.processEvents()
        gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
