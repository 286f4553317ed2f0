"""The names that a first script imports from the top of the package."""

import subprocess
import sys

import pytest

import napari_xmag


@pytest.mark.parametrize("name", napari_xmag.__all__)
def test_every_public_name_is_there(name):
    assert getattr(napari_xmag, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        napari_xmag.analyse


def test_opening_a_slide_loads_neither_torch_nor_a_window():
    code = (
        "import sys; from napari_xmag import open_slide; "
        "print(sorted({'torch', 'napari', 'qtpy', 'magicgui', 'superqt'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
