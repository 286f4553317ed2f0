#!/usr/bin/env python3
"""Compose slides with a known truth from labelled fields (GlaS: benign and malignant colon glands).

usage: compose_slides.py GLAS OUT [--seed 0] [--train 60 --validation 20 --test 40]

GLAS holds train/ and testA/, each with benign/ and malignant/ (JPEG, 0.62 µm/px). Benign slides
are made of benign fields only; malignant slides hold a few malignant fields among benign ones.
Fields lie apart on glass, each mirrored to a larger island, so that a tile of 512 µm fits in.
Fields of `train` make the training and validation slides (no field in both), those of `testA`
the test slides. Writes OUT/*.tiff, OUT/cohort.csv for `napari-xmag train`, and OUT/truth.json:
the islands of each slide as x, y, width, height in level-0 pixels, with their label.

What is composed is no real slide: no tissue lies between the islands, and each island is a piece
of another patient.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

MPP = 0.62
GLASS = 243
ISLANDS = (10, 17)
MALIGNANT = (1, 4)


def main() -> None:
    """Compose all slides."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("glas", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    for name, number in (("train", 60), ("validation", 20), ("test", 40)):
        parser.add_argument(f"--{name}", type=int, default=number)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(args.seed)
    rows, truth = [], {}
    for split, fields in field_splits(args.glas, draw).items():
        for number in range(getattr(args, split)):
            label = ("benign", "malignant")[number % 2]
            name = f"{split}-{number:03d}-{label}.tiff"
            pixels, truth[name] = compose(fields, label, draw)
            write_pyramid(args.out / name, pixels)
            rows.append({"slide": name, "label": label, "patient": name, "split": split})
    (args.out / "truth.json").write_text(json.dumps(truth, indent=1))
    with (args.out / "cohort.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["slide", "label", "patient", "split"])
        writer.writeheader()
        writer.writerows(rows)


def field_splits(glas: Path, draw: np.random.Generator) -> dict[str, dict[str, list[Path]]]:
    """Return the fields of each split by label; a fifth of GlaS train is for validation."""
    splits: dict[str, dict[str, list[Path]]] = {"train": {}, "validation": {}, "test": {}}
    for label in ("benign", "malignant"):
        fields = sorted((glas / "train" / label).glob("*.jpg"))
        fields = [fields[i] for i in draw.permutation(len(fields))]
        held = len(fields) // 5
        splits["validation"][label], splits["train"][label] = fields[:held], fields[held:]
        splits["test"][label] = sorted((glas / "testA" / label).glob("*.jpg"))
    return splits


def compose(fields, label, draw):
    """Return the pixels of one slide and its islands."""
    count = int(draw.integers(*ISLANDS))
    malignant = int(draw.integers(*MALIGNANT)) if label == "malignant" else 0
    kinds = ["malignant"] * malignant + ["benign"] * (count - malignant)
    columns = 4
    cell_width, cell_height = 1750, 1250
    canvas = np.full((-(-count // columns) * cell_height, columns * cell_width, 3), GLASS, np.uint8)
    islands = []
    for place, index in enumerate(draw.permutation(count)):
        kind = kinds[index]
        field = fields[kind][int(draw.integers(len(fields[kind])))]
        pixels = island(np.asarray(Image.open(field).convert("RGB")), draw)
        height, width = pixels.shape[:2]
        x = place % columns * cell_width + int(draw.integers(cell_width - width))
        y = place // columns * cell_height + int(draw.integers(cell_height - height))
        canvas[y : y + height, x : x + width] = pixels
        islands.append({"x": x, "y": y, "width": width, "height": height, "label": kind})
    return canvas, islands


def island(pixels, draw):
    """Flip a field at random and mirror it to twice its size."""
    if draw.random() < 0.5:
        pixels = pixels[:, ::-1]
    if draw.random() < 0.5:
        pixels = pixels[::-1]
    wide = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    return np.concatenate([wide, wide[::-1]], axis=0)


def write_pyramid(path, pixels):
    """Write a tiled pyramidal TIFF that states its pixel size."""
    with tifffile.TiffWriter(path) as writer:
        for factor in (1, 2, 4, 8):
            size = pixels.shape[1] // factor, pixels.shape[0] // factor
            image = Image.fromarray(pixels)
            level = image if factor == 1 else image.resize(size, Image.Resampling.LANCZOS)
            writer.write(
                np.asarray(level),
                tile=(256, 256),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 88},
                resolution=(1e4 / (MPP * factor),) * 2,
                resolutionunit="CENTIMETER",
                subfiletype=int(factor > 1),
                metadata=None,
            )


if __name__ == "__main__":
    main()
