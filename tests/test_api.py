"""The names that a first script imports from the top of the package."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import napari_xmag
from napari_xmag import errors
from napari_xmag.analyze import SlidePlanned
from napari_xmag.analyze.events import SlideFinished
from napari_xmag.slide.open import open_slide
from tests.nets.students import tiny_model

PROMISED = {
    "open_slide",
    "analyze",
    "analyze_slide",
    "AnalyzeSettings",
    "SlideResult",
    "heat_map",
    "export_all",
    "load_model",
    "list_models",
    "save_model",
    "read_cohort",
    "train",
}


def said_by(code: str) -> str:
    """Run code in a fresh process and return what it prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize("name", napari_xmag.__all__)
def test_every_public_name_is_there_and_explained(name):
    thing = getattr(napari_xmag, name)
    assert thing
    if not isinstance(thing, str):
        assert len(inspect.getdoc(thing) or "") > 20


def test_the_names_show_before_anything_is_loaded():
    shown = said_by("import napari_xmag; print(*dir(napari_xmag))").split()
    assert set(shown) >= PROMISED | set(napari_xmag.__all__)
    assert set(napari_xmag.__all__) >= PROMISED


def test_every_error_is_there():
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    raised = {kind.__name__ for kind in kinds if issubclass(kind, errors.XmagError)}
    assert len(raised) > 10
    assert raised <= set(napari_xmag.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="analyse"):
        napari_xmag.analyse


@pytest.mark.parametrize("name", ["open_slide", "read_cohort", "list_models", "TrainConfig"])
def test_neither_torch_nor_a_window_is_loaded_by(name):
    code = (
        f"import sys; from napari_xmag import {name}; "
        "print(sorted({'torch', 'napari', 'qtpy', 'magicgui', 'superqt'} & set(sys.modules)))"
    )
    assert said_by(code) == "[]"


@pytest.mark.parametrize(
    "first",
    ["pass", "import napari_xmag.analyze.heatmap", "from napari_xmag import analyze_slide, train"],
)
def test_packages_and_functions_of_one_name_are_the_same_whatever_came_first(first):
    code = (
        f"{first}\n"
        "import napari_xmag\n"
        "from napari_xmag import analyze, train\n"
        "import napari_xmag.analyze.heatmap as heatmap, napari_xmag.train.config as config\n"
        "print(callable(analyze), callable(train), napari_xmag.analyze is analyze, "
        "napari_xmag.train is train, heatmap.heat_map.__name__, config.TrainConfig.__name__)"
    )
    assert said_by(code) == "True True True True heat_map TrainConfig"


@pytest.mark.parametrize(("name", "home"), [("analyze", "engine"), ("train", "run")])
def test_a_callable_package_shows_the_signature_of_its_function(name, home):
    function = getattr(import_module(f"napari_xmag.{name}.{home}"), name)
    assert inspect.signature(getattr(napari_xmag, name)) == inspect.signature(function)


def test_calling_analyze_gives_the_events_of_an_analysis(pyramid_slide: Path):
    with open_slide(pyramid_slide) as slide:
        events = list(napari_xmag.analyze(slide, tiny_model()))
    assert any(isinstance(event, SlidePlanned) for event in events)
    assert isinstance(events[-1], SlideFinished)


def test_models_say_in_one_line_what_they_are():
    model = tiny_model()
    assert repr(model) == "<SlideModel tiny: benign, malignant; tiles of 64 px at 2 µm/px>"
    assert repr(model.student).startswith(
        "<Student vit_tiny_patch16_224: tiles of 64 px at 2 µm/px"
    )
    assert len(repr(model.info)) < 500
    name = "xmag-mobilenet-glas-demo: benign, malignant; cells of tiles of 256 px at 2 µm/px"
    assert repr(napari_xmag.open_model()) == f"<StoredModel {name}>"
