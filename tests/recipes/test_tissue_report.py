"""The tissue report has a row for every slide, and compares with a mask where one lies beside."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tissue_report import find_all, sheet

from tests.slides import draw_section, write_pyramid

WIDTH, HEIGHT = 800, 600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A section with a mask of half of it, one without pixel size, and a file that is no slide."""
    section = draw_section(WIDTH, HEIGHT)
    write_pyramid(tmp_path / "section.tiff", section, mpp=2.0, factors=(1,))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ellipse = ((x / WIDTH - 0.5) / 0.32) ** 2 + ((y / HEIGHT - 0.5) / 0.36) ** 2 < 1
    left = ellipse & (x < WIDTH / 2)
    Image.fromarray(left).save(tmp_path / "section_tissue_mask.png")
    write_pyramid(tmp_path / "unknown.tiff", section, mpp=None, factors=(1,))
    (tmp_path / "broken.svs").write_bytes(b"no slide")
    return tmp_path


def test_every_slide_is_a_row(folder: Path) -> None:
    rows = {finding.name: finding.row for finding in find_all(folder, assumed_mpp=2.0)}

    assert set(rows) == {"section.tiff", "unknown.tiff", "broken.svs"}
    _, tissue, pen, smears, kept, flags, overlap = rows["section.tiff"]
    assert float(tissue) == pytest.approx(100 * np.pi * 0.32 * 0.36, abs=1)
    assert (pen, smears, kept, flags) == ("0.00", "0.00", "0.00", "")
    # The mask is half of the tissue, so it covers half of the union.
    assert float(overlap) == pytest.approx(0.5, abs=0.03)
    assert rows["unknown.tiff"][1] == tissue
    assert rows["unknown.tiff"][-1] == ""
    assert "Expected" in rows["broken.svs"][5]


def test_a_slide_without_pixel_size_says_so(folder: Path) -> None:
    (unknown,) = (f for f in find_all(folder, None) if f.name == "unknown.tiff")
    assert "pixel size" in unknown.failed


def test_the_sheet_shows_the_outline_of_what_was_found(folder: Path) -> None:
    findings = list(find_all(folder, assumed_mpp=2.0))
    drawn = np.asarray(sheet(findings))

    assert drawn.shape == (960, 960, 3)
    outline = (drawn == (0, 170, 70)).all(axis=2)
    place = [finding.name for finding in findings].index("section.tiff")
    rows, columns = np.nonzero(outline[place // 2 * 480 :, place % 2 * 480 :][:480, :480])
    # The ellipse is 64 % as wide as the picture, which is 464 pixels wide.
    assert np.ptp(columns) == pytest.approx(0.64 * 464, abs=8)
    assert np.ptp(rows) == pytest.approx(0.72 * 348, abs=8)
