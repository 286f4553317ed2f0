"""The main job as a person does it: open a slide, click *Analyze slide*, export.

Run by ``make demo``, or as ``python -m napari_xmag._gui.demo [SLIDE] [--stay]``.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from napari_xmag._about import NOTICE
from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.analyze.widget import AnalyzeWidget
from napari_xmag.analyze.result import SlideResult
from napari_xmag.cli.analyze_report import summary
from napari_xmag.cli.settings import mpp_option
from napari_xmag.errors import ConfigError, XmagError
from napari_xmag.export import export_all
from napari_xmag.export.result_folders import ResultFolders, result_name
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.sample import sample_slide

WIDGET = "Analyze slide"
SCREENSHOT = "screenshot.png"
_SIZE = 1560, 960
_SECONDS_TO_OPEN = 120.0
_SECONDS_TO_ANALYZE = 4 * 3600.0
_SECONDS_TO_SHOW = 30.0
_SECONDS_TO_DRAW = 1.5


def run_demo(
    viewer: napari.Viewer, path: Path, folder: Path, mpp: float | None = None
) -> SlideSession:
    """Open a slide in a window, analyze it, export, and take a screenshot of the window.

    Parameters
    ----------
    viewer
        With a window.
    path
        Slide file or folder.
    folder
        Where exports and screenshot go; made if needed.
    mpp
        µm per pixel, for a slide that states none.

    Raises
    ------
    XmagError
        When a step fails, or takes far longer than it should.
    """
    _, widget = viewer.window.add_plugin_dock_widget("napari-xmag", WIDGET)
    _settle()  # the dock takes room, and the slide shall fit what is left
    viewer.open(str(path), plugin="napari-xmag")
    session, slide = _open(widget, mpp)
    result = _analyze(widget, session)
    export_all(slide, result, folder)
    _wait(lambda: session.cards is not None or not len(result.patches), _SECONDS_TO_SHOW)
    _settle()
    viewer.screenshot(str(folder / SCREENSHOT), canvas_only=False, flash=False)
    return session


def _open(widget: AnalyzeWidget, mpp: float | None) -> tuple[SlideSession, Slide]:
    """Wait until the slide can be analyzed; give its pixel size as a person would."""
    session = widget.state.current
    if session is None:
        raise _failure("a whole slide", "no slide in the viewer")
    _wait(lambda: session.slide is not None or bool(session.problem), _SECONDS_TO_OPEN)
    if mpp is not None and session.slide is not None and session.mpp is None:
        asked = widget.chooser.pixel_size
        asked.field.setValue(mpp)
        asked.button.click()
        _wait(lambda: session.mpp is not None, _SECONDS_TO_OPEN)
    if session.slide is not None:
        require_mpp(session.slide)
    _wait(widget.run.button.isEnabled, _SECONDS_TO_OPEN)
    if session.slide is None or not widget.run.button.isEnabled():
        raise _failure("a slide and a model that are ready", widget.run.button.toolTip())
    return session, session.slide


def _analyze(widget: AnalyzeWidget, session: SlideSession) -> SlideResult:
    """Click, and wait for the result."""
    widget.run.button.click()
    _wait(lambda: bool(session.result or session.outcome), _SECONDS_TO_ANALYZE)
    if session.result is None:
        raise _failure("the analysis of the slide", session.outcome)
    return session.result


def _failure(wanted: str, found: str) -> ConfigError:
    return ConfigError(
        expected=wanted, found=found or "none in time", hint="The messages above may say why."
    )


def _wait(done: Callable[[], bool], seconds: float) -> None:
    """Let the window live until something is done, or the time is over."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def _settle() -> None:
    """Give the window time to lay out and draw what came last."""
    _wait(lambda: False, _SECONDS_TO_DRAW)


def report(session: SlideSession, folder: Path) -> str:
    """Return what came out of the demo, and where it lies, in words for the terminal."""
    result = session.result
    if result is None:
        return f"{session.path.name}: {session.outcome or 'no result'}"
    lines = [summary(session.path.name, result, folder.resolve(), notes=())]
    lines += [f"    {file.name}" for file in sorted(folder.iterdir())]
    return "\n".join([*lines, NOTICE])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0])
    parser.add_argument("slide", nargs="?", type=Path, help="default: the built-in sample slide")
    parser.add_argument("--mpp", type=mpp_option, help="µm per pixel, where the slide states none")
    parser.add_argument("--out", type=Path, default=Path("demo-results"), help="folder")
    parser.add_argument("--stay", action="store_true", help="leave the window open at the end")
    options = parser.parse_args(arguments)
    path = options.slide or sample_slide()
    try:
        open_slide(path).close()  # a file that cannot be read needs no window
        folders = ResultFolders(options.out)
        folder = folders.suggest(result_name(path), slide_fingerprint(path))
        viewer = napari.Viewer()
        viewer.window.resize(*_SIZE)
        session = run_demo(viewer, path, folder, options.mpp)
    except XmagError as error:
        print(error, file=sys.stderr)
        return 1
    print(report(session, folder))
    if options.stay:
        napari.run()
    else:
        viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
