"""Make the pictures of README and docs: the window on a slide, on the built-in sample, in training.

Run from the checkout, where a screen is missing under Xvfb::

    xvfb-run -a -s "-screen 0 1600x1000x24" .venv/bin/python docs/make_pictures.py SLIDE
    xvfb-run -a -s "-screen 0 1600x1000x24" .venv/bin/python docs/make_pictures.py --train

``--worklist`` makes the picture of a worklist; ``--train`` makes the pictures of docs/train.md, by
the steps that are told there; ``--teach docs/recipes/teach_lung.json SLIDE [OTHER …]`` those of
docs/teach.md, by recorded clicks.
"""

import argparse
import io
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QScrollArea

from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.shared import neighbour
from napari_xmag._gui.teach.state import TeachSlide
from napari_xmag._gui.teach.widget import TeachWidget
from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.slide.sample import sample_slide
from napari_xmag.slide.sample_cohort import write_sample_cohort

IMAGES = Path(__file__).parent / "images"
MAX_BYTES = 400_000
HOUR = 3600.0
EPOCHS_SHOWN = 25
CARRIED_PX = 480
LISTED = 10


class Photographer:
    """A window that is driven and photographed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.viewer.window.resize(1440, 900)
        self.viewer.window._qt_viewer.dockLayerControls.setVisible(False)
        _, self.widget = self.viewer.window.add_plugin_dock_widget("napari-xmag", "Analyze slide")
        self.wait(lambda: self.widget.state.model)
        self.pause(1)

    def pause(self, seconds: float) -> None:
        """Serve the window for some time, so that it draws."""
        loop = QEventLoop()
        QTimer.singleShot(int(1000 * seconds), loop.quit)
        loop.exec()

    def wait(self, reached: Callable[[], object], seconds: float = 120) -> None:
        """Serve the window until something is true."""
        end = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > end:
                raise TimeoutError("The window did not get that far.")
            self.pause(0.02)

    def open(self, path: Path) -> SlideSession:
        """Open a slide alone in the window."""
        self.viewer.layers.clear()
        self.viewer.open(path, plugin="napari-xmag")
        session = self.widget.state.current
        self.wait(lambda: session.slide is not None or session.problem)
        self.viewer.reset_view()
        self.pause(1.5)
        return session

    def scroll(self, part: float) -> None:
        """Scroll the widget, 0 to its top and 1 to its end."""
        self.pause(0.3)
        bar = self.widget.findChildren(QScrollArea)[0].verticalScrollBar()
        bar.setValue(round(part * bar.maximum()))

    def take(self, name: str) -> None:
        """Save the window as ``name``.png."""
        self.pause(0.8)
        self.keep(self.viewer.screenshot(canvas_only=False, flash=False), name)

    def keep(self, pixels: np.ndarray, name: str) -> None:
        """Save a picture as ``name``.png, in as many colours as the size allows."""
        picture = Image.fromarray(pixels).convert("RGB")
        for colors in (256, 128, 64, 32):
            data = io.BytesIO()
            picture.quantize(colors, kmeans=2).save(data, "png", optimize=True)
            if data.tell() <= MAX_BYTES:
                break
        (self.folder / f"{name}.png").write_bytes(data.getvalue())
        print(f"{name}.png: {data.tell() // 1000} kB, {colors} colours")


def during_run(window: Photographer, session: SlideSession) -> None:
    """Photograph a run on its way."""
    read = session.slide.read

    def slowly(box: object, level: int) -> object:
        time.sleep(0.25)  # a small slide would be done before the picture is taken
        return read(box, level)

    session.slide.read = slowly
    window.widget.run.button.click()
    window.wait(lambda: session.outcome or (session.scores and session.scores.known > 0))
    if session.outcome:
        raise SystemExit(session.outcome)
    window.take("during")
    session.slide.read = read
    window.wait(lambda: session.progress is None)
    window.wait(lambda: session.cards)


def photograph_slide(window: Photographer, path: Path) -> None:
    """Take the pictures of a slide of the user's."""
    session = window.open(path)
    window.widget.tissue.show_button.click()
    window.wait(lambda: session.tissue_layer is not None)
    window.take("tissue")
    during_run(window, session)
    window.take("after")
    window.wait(lambda: session.cards is not None)
    if not session.cards:  # nothing speaks for the class: what was looked at most, then
        window.widget.state.view = HeatMapView.RAW
        window.wait(lambda: session.cards)
    window.widget.hand_on.layout_button.setChecked(True)
    window.widget.strip.patches[0].picture.click()
    window.widget.strip.patches[0].right.click()
    window.take("review")
    window.widget.hand_on.layout_button.setChecked(False)


def photograph_sample(window: Photographer) -> None:
    """Take the picture of the built-in sample."""
    session = window.open(sample_slide())
    window.widget.run.button.click()
    window.wait(lambda: session.cards)
    window.take("sample")


def photograph_worklist(window: Photographer, folder: Path) -> None:
    """Take the picture of a worklist of ten example slides, some of them analyzed."""
    slides = [example.path for example in write_sample_cohort(folder / "worklist", LISTED)]
    _, listed = window.viewer.window.add_plugin_dock_widget("napari-xmag", "Worklist")
    listed.add_slides(slides)
    window.wait(lambda: len(listed.worklist) == LISTED)
    listed.run_or_pause()
    window.wait(lambda: sum(bool(row.result) for row in listed.worklist.rows) >= LISTED // 2, HOUR)
    listed.step(1)
    session = window.widget.state.current
    window.wait(lambda: session.cards is not None)
    listed.toggle_reviewed()
    window.pause(0.3)
    neighbour.dock_of(listed).raise_()
    window.take("worklist")
    listed.shut_down()


def photograph_training(window: Photographer, folder: Path) -> None:
    """Take the pictures of docs/train.md: example slides, settings, a training, its result."""
    _, train = window.viewer.window.add_plugin_dock_widget("napari-xmag", "Train")
    control, state = train.controller, train.state
    show = neighbour.dock_of(train).raise_
    control.cohort.make_examples(folder / "examples")
    window.wait(lambda: state.rows and control.cohort.settled, HOUR)
    window.viewer.open(state.rows[1].slide, plugin="napari-xmag")
    control.cohort.edit(5, "label", "")
    control.cohort.edit(8, "patient", "C03")
    window.wait(lambda: state.problems and control.cohort.settled)
    show()
    window.take("train_slides")
    control.cohort.open_table(folder / "examples" / "cohort.csv")
    window.wait(lambda: not state.problems and control.cohort.settled)
    train.pages.setCurrentWidget(train.settings)
    state.out = folder / "run"
    window.take("train_settings")
    train.run.button.click()
    window.wait(lambda: len(control.curves.stages) > EPOCHS_SHOWN or not control.busy, HOUR)
    window.take("train_curves")
    window.wait(lambda: state.record is not None or state.failed, HOUR)
    if state.failed:
        raise SystemExit(state.outcome)
    cell = next(cell for cell in train.result.matrix.cells.values() if cell.text() != "0")
    cell.click()
    window.take("train_result")
    # The first slide lies just out of the range of so few training slides, and has no prediction.
    train.result.slides.cellClicked.emit(1, 0)
    window.wait(lambda: window.widget.state.current and window.widget.state.current.cards)
    window.take("train_map")
    train.shut_down()


def photograph_teaching(window: Photographer, clicks: Path, slides: Sequence[Path]) -> None:
    """Take the pictures of docs/teach.md: recorded clicks, and the map that they teach.

    Slides after the first get no click: what was taught is carried to them, and once more after a
    few clicks on the first of these.
    """
    lesson = json.loads(clicks.read_text(encoding="utf-8"))
    window.viewer.layers.clear()
    _, teach = window.viewer.window.add_plugin_dock_widget("napari-xmag", "Teach")
    neighbour.dock_of(teach).raise_()
    control, state = teach.controller, teach.state
    control.start_over()
    open_for_teaching(window, teach, slides[0])
    click(window, teach, lesson["clicks"])
    for name in state.lesson.class_names:
        if not state.lesson.count(name):
            control.remove_class(name)
    window.wait(lambda: not control.busy, HOUR)
    tell_areas(teach)
    window.take(lesson["picture"])
    if len(slides) > 1:
        for slide in slides[1:]:
            open_for_teaching(window, teach, slide)
        rows = [maps(window, teach, slides[1:])]
        control.slides.shown.show(of(teach, slides[1]).layer)
        click(window, teach, lesson["corrections"])
        rows.append(maps(window, teach, slides[1:]))
        window.keep(np.vstack(rows), f"{lesson['picture']}_carried")
    teach.shut_down()


def open_for_teaching(window: Photographer, teach: TeachWidget, slide: Path) -> None:
    """Open a slide and wait until it is encoded."""
    window.viewer.open(slide, plugin="napari-xmag")
    window.wait(lambda: of(teach, slide) and of(teach, slide).prepared, HOUR)


def of(teach: TeachWidget, slide: Path) -> TeachSlide | None:
    """Return the slide of a path."""
    return next((shown for shown in teach.state.slides if shown.path == slide), None)


def click(window: Photographer, teach: TeachWidget, clicks: Sequence[tuple]) -> None:
    """Click on the slide in sight."""
    control, state = teach.controller, teach.state
    for name, x, y in clicks:
        if name not in state.lesson.class_names:
            control.add_class(name)
        patch = state.current.prepared.patch_at(x, y)
        if patch is None:
            raise SystemExit(f"There is no tissue at {x}, {y}.")
        control.mark(state.current.id, [patch], name)
    window.wait(lambda: not control.busy, HOUR)


def maps(window: Photographer, teach: TeachWidget, slides: Sequence[Path]) -> np.ndarray:
    """Return the maps of slides side by side, uint8 (H, W, 3), and tell their areas."""
    parts = []
    for slide in slides:
        teach.controller.slides.shown.show(of(teach, slide).layer)
        window.viewer.fit_to_view()
        window.wait(lambda: not teach.controller.busy, HOUR)
        window.pause(1.5)
        tell_areas(teach)
        picture = Image.fromarray(window.viewer.screenshot(flash=False)).convert("RGB")
        picture.thumbnail((CARRIED_PX, CARRIED_PX))
        parts.append(np.asarray(picture))
    return np.hstack(parts)


def tell_areas(teach: TeachWidget) -> None:
    """Print the areas of the slide in sight."""
    shown, lesson = teach.state.current, teach.state.lesson
    areas = ", ".join(f"{area.class_name} {area.share:.0%}" for area in teach.state.areas[shown.id])
    print(f"{shown.path.name}, {len(lesson.examples)} examples: {areas}")


def main() -> None:
    """Make the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path, nargs="?", help="slide file with a stated pixel size")
    parser.add_argument("--train", action="store_true", help="the pictures of docs/train.md")
    parser.add_argument("--worklist", action="store_true", help="the picture of a worklist")
    parser.add_argument(
        "--teach",
        type=Path,
        nargs="+",
        metavar=("CLICKS", "SLIDE"),
        help="pictures of docs/teach.md: recorded clicks, their slide, others to carry it to",
    )
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures")
    parser.add_argument("--work", type=Path, help="folder to train in, kept; slides there are used")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    window = Photographer(arguments.out)
    if arguments.slide:
        photograph_slide(window, arguments.slide)
        photograph_sample(window)
    if arguments.worklist:
        with TemporaryDirectory() as folder:
            photograph_worklist(window, arguments.work or Path(folder))
    if arguments.train:
        with TemporaryDirectory() as folder:
            photograph_training(window, arguments.work or Path(folder))
    if arguments.teach:
        photograph_teaching(window, arguments.teach[0], arguments.teach[1:])
    window.viewer.close()


if __name__ == "__main__":
    main()
