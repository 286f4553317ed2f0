"""What napari needs for its first slide."""

import subprocess
import sys

_CHECK = """
import sys
from napari_xmag._gui.shared.import_ahead import import_ahead
import_ahead()
wanted = {"OpenGL.arrays.nones", "distributed", "pandas", "scipy.ndimage", "skimage.filters"}
assert wanted <= sys.modules.keys(), wanted - sys.modules.keys()
assert "pint" not in sys.modules  # its registry, half read in a thread, would lack units elsewhere
"""


def test_all_of_it_is_there_and_units_are_left_alone() -> None:
    subprocess.run([sys.executable, "-c", _CHECK], check=True)
