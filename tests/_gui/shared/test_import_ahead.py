"""What napari needs for its first slide."""

import sys

from napari.utils.transforms import Affine

from napari_xmag._gui.shared.import_ahead import import_ahead


def test_all_of_it_is_there_and_units_are_known() -> None:
    import_ahead()
    assert {"OpenGL.arrays.nones", "distributed", "pandas", "scipy.ndimage"} <= sys.modules.keys()
    assert [str(unit) for unit in Affine(units=("um", "um")).units] == ["micrometer"] * 2
