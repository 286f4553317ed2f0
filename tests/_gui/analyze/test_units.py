"""Layers of slides with and without pixel size in one window: napari finds nothing to warn of."""

from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_xmag.layer_data import is_calibrated
from tests._gui.window import Window

pytestmark = pytest.mark.window


def units(window: Window) -> set[str]:
    """Return the units of all layers."""
    return {str(unit) for layer in window.viewer.layers for unit in layer.units}


def drawn(window: Window) -> None:
    """Draw the layers, in which napari compares units."""
    window.viewer.screenshot(flash=False)


def test_all_layers_bear_the_units_of_the_slide_in_sight(
    window: Window, no_mpp_slide: Path, pyramid_slide: Path, aperio_slide: Path
) -> None:
    notification_manager.records.clear()
    measured = window.open(pyramid_slide)
    window.analyze()
    window.type("N")
    square = np.array([[100, 100], [100, 300], [300, 300], [300, 100]])
    window.viewer.add_shapes([square], shape_type="polygon", units=measured.layer.units)
    drawn(window)
    assert units(window) == {"micrometer"}

    bare = window.open(no_mpp_slide)
    drawn(window)
    assert units(window) == {"pixel"}  # no scale that is not known
    assert is_calibrated(measured.layer)
    assert not is_calibrated(bare.layer)

    window.widget.controller.choose_slide(measured)
    drawn(window)
    assert units(window) == {"micrometer"}
    window.widget.controller.choose_slide(bare)
    again = window.open(aperio_slide)  # while the others bear pixels
    drawn(window)
    assert units(window) == {"micrometer"}
    assert is_calibrated(again.layer)
    assert not is_calibrated(bare.layer)
    window.widget.controller.choose_slide(bare)
    window.viewer.add_points([[50, 50]])
    window.widget.controller.set_pixel_size(0.5)
    window.wait(lambda: is_calibrated(bare.layer))
    drawn(window)
    assert units(window) == {"micrometer"}
    assert tuple(bare.layer.scale) == (0.5, 0.5)
    words = [record.message for record in notification_manager.records]
    assert not [message for message in words if "units" in message]


def test_without_a_panel_a_slide_bears_its_own_units(
    window: Window, no_mpp_slide: Path, pyramid_slide: Path
) -> None:
    window.open(pyramid_slide)
    window.widget.shut_down()
    (bare,) = window.viewer.open(no_mpp_slide, plugin="napari-xmag")
    assert {str(unit) for unit in bare.units} == {"pixel"}
    assert tuple(bare.scale) == (1, 1)
