"""Composed slides show what their truth says, and places are judged by it."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from compose_slides import Recipe, compose_all
from localise import malignant_share, split
from PIL import Image

from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide

COLORS = {"benign": (60, 180, 60), "malignant": (200, 40, 40)}
COUNTS = {"train": 2, "validation": 0, "test": 2}


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    """GlaS in small: every field of one colour."""
    for split_name in ("train", "testA"):
        for label, color in COLORS.items():
            folder = tmp_path / "fields" / split_name / label
            folder.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (560, 520), color).save(folder / f"{number}.jpg", quality=95)
    return tmp_path / "fields"


def color_of(path: Path, piece: dict) -> np.ndarray:
    """Return the colour of the middle of an island or a patch."""
    box = Box(piece["x"], piece["y"], piece["width"], piece["height"])
    middle = Box(box.x + box.width / 4, box.y + box.height / 4, box.width / 2, box.height / 2)
    with contextlib.closing(open_slide(path)) as slide:
        return np.median(slide.read(middle, 0).reshape(-1, 3), axis=0)


@pytest.mark.parametrize("patch", [None, (100, 250)])
def test_pixels_are_what_the_truth_says(
    fields: Path, tmp_path: Path, patch: tuple[float, float] | None
) -> None:
    out = tmp_path / "out"
    compose_all(fields, out, Recipe("glas", (4, 6), (1, 2), patch), COUNTS, seed=3)
    truth = json.loads((out / "truth.json").read_text())
    assert len(truth) == 4
    for name, islands in truth.items():
        pieces = [island["patch"] for island in islands] if patch else islands
        bad = [piece for piece in pieces if piece["label"] == "malignant"]
        assert bool(bad) == ("malignant" in name)
        assert len(bad) < len(pieces)
        for piece in pieces:
            assert np.allclose(color_of(out / name, piece), COLORS[piece["label"]], atol=12)
            if patch:
                assert 100 <= piece["width"] * 0.62 <= 251


def test_a_patch_counts_instead_of_the_island_below_it() -> None:
    benign = {"x": 0, "y": 0, "width": 1000, "height": 1000, "label": "benign"}
    patch = {"x": 100, "y": 100, "width": 200, "height": 100, "label": "malignant"}
    islands = [benign | {"patch": patch}]

    assert malignant_share(Box(120, 110, 50, 50), islands) == 1
    assert malignant_share(Box(100, 100, 200, 200), islands) == pytest.approx(0.5)
    assert malignant_share(Box(0, 0, 400, 400), islands) == pytest.approx(1 / 8)
    assert malignant_share(Box(200, 100, 200, 100), islands) == pytest.approx(0.5)
    assert malignant_share(Box(500, 500, 100, 100), islands) == 0
    assert malignant_share(Box(900, 900, 400, 400), islands) == 0
    assert malignant_share(Box(2000, 2000, 10, 10), islands) == 0

    places, squares = split(np.array([[0, 0, 400, 400]]), 4, islands)
    shares = np.array([malignant_share(square, islands) for square in squares])
    assert (places == 0).all()
    assert (shares > 0).sum() == 2  # the squares at (100, 100) and (200, 100)
