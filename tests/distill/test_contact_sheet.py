"""The picture of what was kept and left out."""

from pathlib import Path

import numpy as np
from PIL import Image

from napari_xmag.distill.contact_sheet import ContactSheet

GREEN, BLUE = (20, 160, 40), (30, 40, 200)


def field(color: tuple[int, int, int]) -> np.ndarray:
    return np.full((200, 200, 3), color, np.uint8)


def area(path: Path, color: tuple[int, int, int]) -> float:
    """Return how many thumbnails have a colour."""
    near = np.abs(np.asarray(Image.open(path)).astype(int) - color).max(-1) < 12
    return float(near.sum() / 144**2)


def test_every_field_is_shown_while_there_is_room(tmp_path: Path) -> None:
    sheet = ContactSheet()
    for _ in range(9):
        sheet.keep(field(GREEN))
    sheet.leave_out(field(BLUE), "blur")
    sheet.write(tmp_path / "s.jpg", "slide.svs", {"blur": 1})
    assert abs(area(tmp_path / "s.jpg", GREEN) - 9) < 0.1
    # Its reason stands on the lower part of what was left out.
    assert 0.7 < area(tmp_path / "s.jpg", BLUE) < 0.95


def test_of_many_fields_a_fair_sample_is_shown(tmp_path: Path) -> None:
    sheet = ContactSheet()
    for color in (GREEN, BLUE):
        for _ in range(300):
            sheet.keep(field(color))
    sheet.write(tmp_path / "s.jpg", "slide.svs", {})
    assert abs(area(tmp_path / "s.jpg", GREEN) + area(tmp_path / "s.jpg", BLUE) - 24) < 0.2
    assert 4 < area(tmp_path / "s.jpg", BLUE) < 20


def test_a_sheet_of_nothing_and_of_long_names(tmp_path: Path) -> None:
    ContactSheet().write(tmp_path / "s.jpg", "very-long-name " * 40, {"unreadable": 3})
    with Image.open(tmp_path / "s.jpg") as image:
        assert image.width == 1206
