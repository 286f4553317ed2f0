"""Composed slides show what their truth says, and places are judged by it."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from compose_slides import Recipe, compose_all, oral_fields, write_regions
from localise import label_at_center, malignant_share, measured, split
from PIL import Image

from napari_xmag.cohort.cohort import read_cohort
from napari_xmag.geometry import Box
from napari_xmag.mil.features import SlideFeatures
from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.qupath.labelled_regions import read_labelled_regions
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
        assert all((fields / "train" / i["label"] / i["field"]).is_file() for i in islands)
        for piece in pieces:
            assert np.allclose(color_of(out / name, piece), COLORS[piece["label"]], atol=12)
            if patch:
                assert 100 <= piece["width"] * 0.62 <= 251


def test_no_field_of_the_oral_set_is_in_two_splits_or_bears_two_labels(tmp_path: Path) -> None:
    for folder, numbers in (("normal", range(10)), ("oscc", range(8, 24))):
        (tmp_path / folder).mkdir()
        for number in numbers:
            (tmp_path / folder / f"{number}.jpg").write_bytes(b"%d" % number)

    splits = oral_fields(tmp_path, np.random.default_rng(0))

    used = [field.name for fields in splits.values() for some in fields.values() for field in some]
    assert len(used) == len(set(used)) == 8 + 14
    assert not {"8.jpg", "9.jpg"} & set(used)
    assert [len(splits[split]["benign"]) for split in ("train", "validation", "test")] == [4, 1, 3]


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

    places, patches = split(np.array([[0, 0, 400, 400]]), 4, islands)
    shares = np.array([malignant_share(square, islands) for square in patches])
    assert (places == 0).all()
    assert (shares > 0).sum() == 2  # the patches at (100, 100) and (200, 100)


def knowing_head() -> AttentionHead:
    """Return a head that attends to a place, and calls it malignant, by its only feature."""
    head = AttentionHead(1, 1, 2).eval()
    with torch.no_grad():
        for layer in (head.value, head.gate, head.score):
            layer.bias.zero_()
        head.value.weight.fill_(1)
        head.gate.weight.fill_(1)
        head.attend.weight.fill_(1)
        head.score.weight.copy_(torch.tensor([[-1.0], [1.0]]))
    return head


def test_tiles_and_cells_are_asked_for_the_same_squares(tmp_path: Path) -> None:
    patch = {"x": 100, "y": 100, "width": 100, "height": 100, "label": "malignant"}
    island = {"x": 0, "y": 0, "width": 800, "height": 400, "label": "benign", "patch": patch}
    (tmp_path / "truth.json").write_text(json.dumps({"a": [island], "b": []}))
    rows = [{"slide": "a", "label": "malignant"}, {"slide": "b", "label": "benign"}]
    tiles = np.array([[0, 0, 400, 400], [400, 0, 400, 400.0]])
    cells = np.array([[x, y, 100, 100] for x in range(0, 800, 100) for y in range(0, 400, 100)])

    def finds(boxes: np.ndarray, parts: int) -> list[float]:
        share = [[malignant_share(Box(*box), [island])] for box in boxes]
        known, none = np.array(share, np.float32), np.zeros((len(boxes), 0), bool)
        features = [SlideFeatures(f, boxes, tiles, none) for f in (known, known * 0)]
        figures = measured(knowing_head(), features, tmp_path, rows, parts=parts)
        assert figures["auc"] == 1
        names = "localisation_auc_attention", "localisation_auc_evidence", "patch_auc"
        return [figures[name] for name in names]

    assert finds(cells, 1) == [1, 1, 1]
    # One of 32 patches is malignant: its tile lifts the 15 others beside it just as high.
    expected = pytest.approx((16 + 15 / 2) / 31, abs=1e-4)
    assert finds(tiles, 4) == [expected] * 3


def test_patches_of_all_slides_are_compared_without_attention(tmp_path: Path) -> None:
    """A benign slide that looks like the malignant patch costs patch AUC, and nothing else."""
    malignant = {"x": 0, "y": 0, "width": 100, "height": 100, "label": "malignant"}
    benign = {"x": 100, "y": 0, "width": 300, "height": 100, "label": "benign"}
    (tmp_path / "truth.json").write_text(json.dumps({"a": [malignant, benign], "b": [benign]}))
    rows = [{"slide": "a", "label": "malignant"}, {"slide": "b", "label": "benign"}]
    boxes = np.array([[x, 0, 100, 100.0] for x in (0, 100, 200, 300, 360)])
    known = [np.array([[1], [0], [0], [0], [0]], np.float32), np.ones((3, 1), np.float32)]
    none = np.zeros((5, 0), bool)
    features = [
        SlideFeatures(known[0], boxes, boxes, none),
        SlideFeatures(known[1], boxes[1:4], boxes[1:4], none[1:4]),
    ]
    figures = measured(knowing_head(), features, tmp_path, rows)
    assert figures["localisation_auc_evidence"] == 1
    # Above three patches, level with three; the last one has its centre beside the island.
    assert figures["patch_auc"] == 0.75
    assert label_at_center(Box(360, 0, 100, 100), [benign]) is None
    assert label_at_center(Box(300, 0, 100, 100), [benign | {"patch": malignant}]) == "benign"
    assert label_at_center(Box(0, 0, 100, 100), [benign | {"patch": malignant}]) == "malignant"


def test_regions_are_the_islands(fields: Path, tmp_path: Path) -> None:
    """Islands, and patches as holes in them; of half of the training slides, and of all others."""
    out = tmp_path / "out"
    counts = {"train": 4, "validation": 0, "test": 1}
    compose_all(fields, out, Recipe("glas", (2, 2), (1, 1), (100, 250)), counts, seed=3)
    write_regions(out, 0.5)
    cohort = read_cohort(out / "regions.csv", open_slides=False)
    assert [row.regions is not None for row in cohort.rows] == [True, True, False, False, True]
    row = cohort.rows[1]
    assert row.regions is not None
    areas = {region.class_name: region.shape.area for region in read_labelled_regions(row.regions)}
    islands = json.loads((out / "truth.json").read_text())[row.slide.name]
    expected = {"benign": 0, "malignant": 0}
    for island in islands:
        patch = island["patch"]
        own = patch["width"] * patch["height"]
        expected["benign"] += island["width"] * island["height"] - own
        expected[patch["label"]] += own
    assert areas == pytest.approx(expected)
