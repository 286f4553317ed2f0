"""Whatever dye it has, tissue is tissue."""

from pathlib import Path

import numpy as np
import pytest

from tests.slide.tissue.sections import HEIGHT, WIDTH, ellipse, find, share
from tests.slides import Color, draw_section

# Ground and nuclei (or what else is dark) of stains, as they look in the microscope.
STAINS: dict[str, tuple[Color, Color]] = {
    "picrosirius red": ((200, 40, 50), (70, 20, 20)),
    "Masson, aniline blue": ((88, 128, 208), (110, 20, 60)),
    "Masson, light green": ((120, 190, 150), (90, 30, 50)),
    "Goldner": ((110, 180, 160), (60, 40, 60)),
    "alcian blue": ((120, 190, 220), (200, 60, 80)),
    "green chromogen": ((90, 170, 110), (60, 80, 150)),
    "DAB": ((190, 160, 130), (90, 60, 120)),
    "strong DAB": ((110, 60, 25), (60, 40, 60)),
    "PAS": ((210, 120, 180), (120, 40, 120)),
    "van Gieson": ((235, 190, 70), (120, 50, 40)),
    "silver": ((190, 190, 190), (30, 30, 30)),
}


@pytest.mark.parametrize("stain", STAINS)
def test_special_stains_are_tissue_and_no_pen(tmp_path: Path, stain: str) -> None:
    stroma, nuclei = STAINS[stain]
    section = draw_section(WIDTH, HEIGHT, stroma=stroma, nuclei=nuclei, seed=11)
    mask = find(tmp_path, section)
    assert share(mask, ellipse()) > 0.95
    assert share(mask, ~ellipse()) < 0.01
    assert mask.findings is not None
    assert mask.findings.pen < 0.05
    assert mask.findings.kept == 0


def test_a_stain_of_one_smooth_colour_is_kept_and_said(tmp_path: Path) -> None:
    blue = (60, 90, 190)
    section = np.where(ellipse()[..., None], blue, 243).astype(np.uint8)
    mask = find(tmp_path, section)
    assert share(mask, ellipse()) > 0.97
    assert mask.findings is not None
    assert mask.findings.kept > 0.9
