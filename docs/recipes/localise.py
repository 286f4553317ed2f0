#!/usr/bin/env python3
"""Measure a model on composed slides, where the places of the malignant fields are known.

usage: localise.py MODEL COMPOSED [--split test]

COMPOSED is a folder made by compose_slides.py. Prints slide figures, and how well attention and
the evidence for "malignant" find the malignant islands: the area under the ROC curve over the
cells of each malignant slide, mean over slides. ``patch_auc`` is that over the cells of all slides
together whose centres lie in islands, by what each says for itself, without attention: what a loss
on regions teaches, and the figure of a training for patches in regions. A model over whole tiles
is asked for the same patches. A square counts as malignant when malignant
islands, or malignant patches on them, cover at least half of what islands cover of it; those with
less, but some, are left out.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from napari_xmag.geometry import Box
from napari_xmag.mil.features import SlideFeatures, slide_features
from napari_xmag.mil.tile_encoder import TileEncoder
from napari_xmag.nets.device import pick_device, ready_on
from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.model import SlideModel
from napari_xmag.nets.student import Student
from napari_xmag.progress.heartbeat import finish
from napari_xmag.stats.metrics import slide_metrics
from napari_xmag.zoo import load_model

CLASSES = ("benign", "malignant")


def main() -> None:
    """Analyze the slides of a split and print the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("composed", type=Path)
    parser.add_argument("--split", default="test")
    args = parser.parse_args()
    rows = rows_of(args.composed, args.split)
    print(json.dumps(model_figures(load_model(args.model), args.composed, rows), indent=1))


def model_figures(
    model: SlideModel, composed: Path, rows: Sequence[dict[str, str]], device: str = "auto"
) -> dict[str, float]:
    """Return the figures of a model, over the patches of its cells in any case."""
    features = encoded(model.student, composed, rows, model.info.granularity, device)
    parts = model.student.spec.cells if model.info.granularity == "tiles" else 1
    return measured(model.head, features, composed, rows, model.info.temperature, parts)


def rows_of(composed: Path, split: str) -> list[dict[str, str]]:
    """Return the rows of one split."""
    with (composed / "cohort.csv").open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["split"] == split]


def encoded(
    student: Student,
    composed: Path,
    rows: Sequence[dict[str, str]],
    granularity: Granularity,
    device: str = "auto",
) -> list[SlideFeatures]:
    """Return the features of slides."""
    student = ready_on(student, pick_device(device))
    with closing(TileEncoder(student, granularity, slides=len(rows))) as encoder:
        return [finish(slide_features(composed / row["slide"], None, encoder)) for row in rows]


@torch.inference_mode()
def measured(
    head: AttentionHead,
    features: Sequence[SlideFeatures],
    composed: Path,
    rows: Sequence[dict[str, str]],
    temperature: float = 1.0,
    parts: int = 1,
) -> dict[str, float]:
    """Return the figures of a head whose second class is malignant.

    With ``parts`` each patch counts as so many times so many squares of its value, those that
    touch an island: so heads over tiles and over cells are asked for the same squares.
    """
    truth = json.loads((composed / "truth.json").read_text())
    logits, found, patches = [], {"attention": [], "evidence": []}, []
    for row, item in zip(rows, features, strict=True):
        output = head.cpu()(torch.from_numpy(item.features))
        logits.append(output.logits / temperature)
        islands = truth[row["slide"]]
        owners, squares = split(item.boxes, parts, islands)
        own = (output.patch_evidence[:, 1] - output.patch_evidence[:, 0]).numpy()
        for owner, square in zip(owners, squares, strict=True):
            if label := label_at_center(square, islands):
                patches.append((label == "malignant", own[owner]))
        owners, is_malignant = clear_squares(owners, squares, islands)
        if len(set(is_malignant)) < 2:
            continue  # a benign slide, or all of its islands are malignant
        for name, values in (
            ("attention", output.attention_logit),
            ("evidence", output.evidence[:, 1]),
        ):
            found[name].append(roc_auc_score(is_malignant, values.numpy()[owners]))
    labels = [CLASSES.index(row["label"]) for row in rows]
    figures = slide_metrics(labels, torch.stack(logits).double().softmax(1).numpy())
    figures |= {f"localisation_auc_{name}": float(np.mean(v)) for name, v in found.items()}
    figures["patch_auc"] = roc_auc_score(*zip(*patches, strict=True))
    return {name: round(float(value), 4) for name, value in figures.items()}


def label_at_center(square: Box, islands: list[dict]) -> str | None:
    """Return whose the centre of a square is, as training labels patches; None beside islands."""
    for island in islands:
        for piece in (island.get("patch"), island):
            if piece and all(
                0 <= getattr(square, axis) + getattr(square, side) / 2 - piece[axis] < piece[side]
                for axis, side in (("x", "width"), ("y", "height"))
            ):
                return piece["label"]
    return None


def clear_squares(
    owners: np.ndarray, squares: Sequence[Box], islands: list[dict]
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out squares of two classes; return the others' patches, and which are malignant."""
    shares = np.array([malignant_share(square, islands) for square in squares])
    clear = (shares == 0) | (shares >= 0.5)
    return owners[clear], shares[clear] > 0


def split(boxes: np.ndarray, parts: int, islands: list[dict]) -> tuple[np.ndarray, list[Box]]:
    """Return the squares that patches (N, 4) are cut into, and the patch of each."""
    if parts == 1:
        return np.arange(len(boxes)), [Box(*box) for box in boxes]
    found = [
        (patch, square)
        for patch, (x, y, width, height) in enumerate(boxes)
        for row in range(parts)
        for column in range(parts)
        if touches(
            square := Box(
                x + column * width / parts, y + row * height / parts, width / parts, height / parts
            ),
            islands,
        )
    ]
    return np.array([patch for patch, _ in found], np.intp), [square for _, square in found]


def touches(square: Box, islands: list[dict]) -> bool:
    """Say whether a square shows a part of an island."""
    return any(covered(square, island) for island in islands)


def malignant_share(tile: Box, islands: list[dict]) -> float:
    """Return which part of the island area in a tile is malignant."""
    areas = {"benign": 0.0, "malignant": 0.0}
    for island in islands:
        patch = island.get("patch")
        hidden = covered(tile, patch) if patch else 0.0
        areas[island["label"]] += covered(tile, island) - hidden
        if patch:
            areas[patch["label"]] += hidden
    total = sum(areas.values())
    return areas["malignant"] / total if total else 0.0


def covered(tile: Box, piece: dict) -> float:
    """Return the area of a tile that an island or a patch covers."""
    common = tile.intersection(Box(piece["x"], piece["y"], piece["width"], piece["height"]))
    return common.width * common.height if common else 0.0


if __name__ == "__main__":
    main()
