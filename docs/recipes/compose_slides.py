#!/usr/bin/env python3
"""Compose slides with a known truth from labelled fields.

usage: compose_slides.py FIELDS OUT [--source glas|osteosarcoma|oral] [--seed 0]
       [--train 60 --validation 20 --test 40] [--islands 10 16] [--malignant 1 3] [--patch 100 250]
       [--stain 0] [--same-cases] [--non-viable 0]

glas: FIELDS holds train/ and testA/, each with benign/ and malignant/ (colon glands, JPEG,
0.62 µm/px). Fields of `train` make the training and validation slides (no field in both), those of
`testA` the test slides.

osteosarcoma: FIELDS holds viable/ (called malignant) and non-tumor/ (called benign), JPEG of about
1.0 µm/px whose names begin with the case. Two cases make the training and validation slides, two
others the test slides; an odd seed swaps them. With --same-cases, other fields of the same four
cases are judged instead, two fifths of all: easier, since slides of a case share their stain. With
--non-viable N, malignant slides also bear N islands of non-viable-tumor/: a third class.

oral: FIELDS holds oscc/ (called malignant) and normal/ (called benign), JPEG of about 1.5 µm/px.
Two fifths of the fields make the test slides, the others training and validation. The patients are
not known: fields of one may be on both sides. Pictures that are in both folders are left out.

Benign slides are made of benign fields only; malignant slides hold a few malignant fields among
benign ones. Fields lie apart on glass, each mirrored to a larger island, so that a tile of 512 µm
fits in. With --patch every island is a benign field that bears a square of another one, of 100 to
250 µm and blended in at its edges: in malignant slides a few of these are malignant, all others
benign, so that an edge tells nothing. Writes OUT/*.tiff, OUT/cohort.csv for `napari-xmag train`,
and OUT/truth.json: the islands of each slide as x, y, width, height in level-0 pixels, with their
label, their field, and the patch that lies on each. OUT/regions.csv is the same table with the
islands as regions (OUT/*.geojson, as QuPath writes them): of all validation and test slides, and of
the share --regions of the training slides.

What is composed is no real slide: no tissue lies between the islands, and each island is a piece
of another patient.
"""

import argparse
import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image

from napari_xmag.nets.memory import keep_freed_memory
from napari_xmag.stain import change_stains, draw_stain_changes

MPP = {"glas": 0.62, "osteosarcoma": 1.0, "oral": 1.5}
GLASS = 243
COLUMNS = 4
CROP = 700
CASES = (("Case-48", "P9"), ("Case-4", "Case-3"))
LABELS = {"benign": "non-tumor", "malignant": "viable", "non-viable": "non-viable-tumor"}
ORAL_LABELS = {"benign": "normal", "malignant": "oscc"}
TEST_SHARE = 0.4

Fields = Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class Recipe:
    """What slides are made of.

    The fewest and most islands, malignant ones among them, the smallest and largest side of a
    patch in µm, how much the stains of slides differ, and whether test slides come from the cases
    of training; how many islands of osteosarcoma's third class malignant slides bear.
    """

    source: str
    islands: tuple[int, int] = (10, 16)
    malignant: tuple[int, int] = (1, 3)
    patch: tuple[float, float] | None = None
    stain: float = 0.0
    same_cases: bool = False
    non_viable: int = 0


def main() -> None:
    """Compose all slides."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fields", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--source", choices=tuple(MPP), default="glas")
    parser.add_argument("--seed", type=int, default=0)
    for name, number in (("train", 60), ("validation", 20), ("test", 40)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--regions", type=float, default=1.0, help="share of training slides")
    add_options(parser)
    args = parser.parse_args()
    counts = {split: getattr(args, split) for split in ("train", "validation", "test")}
    compose_all(args.fields, args.out, recipe_of(args.source, args), counts, args.seed)
    write_regions(args.out, args.regions)


def add_options(parser: argparse.ArgumentParser, recipe: Recipe | None = None) -> None:
    """Add what a recipe leaves open, with its values as defaults."""
    recipe = recipe or Recipe("glas")
    parser.add_argument("--islands", type=int, nargs=2, default=recipe.islands)
    parser.add_argument("--malignant", type=int, nargs=2, default=recipe.malignant)
    parser.add_argument("--patch", type=float, nargs=2, metavar="µm", default=recipe.patch)
    parser.add_argument("--stain", type=float, default=recipe.stain)
    parser.add_argument("--same-cases", action="store_true")
    parser.add_argument("--non-viable", type=int, default=recipe.non_viable)


def recipe_of(source: str, args: argparse.Namespace) -> Recipe:
    """Return the recipe that a command line asks for."""
    patch = tuple(args.patch) if args.patch else None
    islands, malignant = tuple(args.islands), tuple(args.malignant)
    rest = args.stain, args.same_cases, args.non_viable
    return Recipe(source, islands, malignant, patch, *rest)


def compose_all(
    folder: Path, out: Path, recipe: Recipe, counts: Mapping[str, int], seed: int
) -> None:
    """Compose so many slides of each split; the table is written last."""
    keep_freed_memory()  # half of the time went into pages of large arrays
    out.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    if recipe.source == "glas":
        splits = glas_fields(folder, draw)
    elif recipe.source == "oral":
        splits = oral_fields(folder, draw)
    else:
        splits = bone_fields(folder, seed, recipe.same_cases)
        if not recipe.non_viable:
            for fields in splits.values():
                fields.pop("non-viable")
    rows, truth = [], {}
    for split, fields in splits.items():
        for number in range(counts[split]):
            label = ("benign", "malignant")[number % 2]
            name = f"{split}-{number:03d}-{label}.tiff"
            pixels, truth[name] = compose(fields, label, recipe, draw)
            write_pyramid(out / name, pixels, MPP[recipe.source])
            rows.append({"slide": name, "label": label, "patient": name, "split": split})
    (out / "truth.json").write_text(json.dumps(truth, indent=1))
    with (out / "cohort.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["slide", "label", "patient", "split"])
        writer.writeheader()
        writer.writerows(rows)


def write_regions(out: Path, share: float) -> None:
    """Write the islands of each slide as annotations, and the table that names them."""
    truth = json.loads((out / "truth.json").read_text())
    with (out / "cohort.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    learned = [row["slide"] for row in rows if row["split"] == "train"]
    without = set(learned[round(share * len(learned)) :])
    for row in rows:
        name = Path(row["slide"]).with_suffix(".geojson").name
        features = [feature for island in truth[row["slide"]] for feature in annotations(island)]
        (out / name).write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        row["regions"] = "" if row["slide"] in without else name
    with (out / "regions.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def annotations(island: Mapping) -> list[dict]:
    """Return an island as annotation; a patch on it is another one, and a hole in the first."""
    patch = island.get("patch")
    pieces = [(island, [patch] if patch else []), *([(patch, [])] if patch else [])]
    return [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring(box) for box in (piece, *holes)]},
            "properties": {
                "objectType": "annotation",
                "classification": {"name": piece["label"]},
            },
        }
        for piece, holes in pieces
    ]


def ring(box: Mapping[str, int]) -> list[list[int]]:
    """Return the closed outline of a box."""
    x, y = box["x"], box["y"]
    right, bottom = x + box["width"], y + box["height"]
    return [[x, y], [right, y], [right, bottom], [x, bottom], [x, y]]


def glas_fields(glas: Path, draw: np.random.Generator) -> dict[str, Fields]:
    """Return the fields of each split by label; a fifth of GlaS train is for validation."""
    splits: dict[str, dict[str, list[Path]]] = {"train": {}, "validation": {}, "test": {}}
    for label in ("benign", "malignant"):
        fields = sorted((glas / "train" / label).glob("*.jpg"))
        splits["train"][label], splits["validation"][label] = _parted(fields, draw)
        splits["test"][label] = sorted((glas / "testA" / label).glob("*.jpg"))
    return splits


def bone_fields(folder: Path, seed: int, same_cases: bool) -> dict[str, Fields]:
    """Return the fields of each split by label.

    Training and test have other cases, or if ``same_cases`` only other fields.
    """
    draw = np.random.default_rng([seed, 1])
    learned, judged = (CASES[seed % 2], CASES[1 - seed % 2])
    splits: dict[str, dict[str, list[Path]]] = {"train": {}, "validation": {}, "test": {}}
    for label, name in LABELS.items():
        fields = sorted((folder / name).glob("*.jpg"))
        if same_cases:
            known, splits["test"][label] = _parted(fields, draw, TEST_SHARE)
        else:
            cases = {field: re.match(r"Case-\d+|P\d+", field.name)[0] for field in fields}
            known = [field for field in fields if cases[field] in learned]
            splits["test"][label] = [field for field in fields if cases[field] in judged]
        splits["train"][label], splits["validation"][label] = _parted(known, draw)
    return splits


def oral_fields(folder: Path, draw: np.random.Generator) -> dict[str, Fields]:
    """Return the fields of each split by label, without pictures that bear both labels."""
    splits: dict[str, dict[str, list[Path]]] = {"train": {}, "validation": {}, "test": {}}
    pictures = {
        label: {field: field.read_bytes() for field in sorted((folder / name).glob("*.jpg"))}
        for label, name in ORAL_LABELS.items()
    }
    both = set(pictures["benign"].values()) & set(pictures["malignant"].values())
    for label, found in pictures.items():
        fields = [field for field, picture in found.items() if picture not in both]
        known, splits["test"][label] = _parted(fields, draw, TEST_SHARE)
        splits["train"][label], splits["validation"][label] = _parted(known, draw)
    return splits


def _parted(
    fields: list[Path], draw: np.random.Generator, share: float = 0.2
) -> tuple[list[Path], list[Path]]:
    fields = [fields[i] for i in draw.permutation(len(fields))]
    held = max(int(len(fields) * share), 1)
    return fields[held:], fields[:held]


def compose(fields: Fields, label: str, recipe: Recipe, draw: np.random.Generator):
    """Return the pixels of one slide and its islands."""
    count = int(draw.integers(recipe.islands[0], recipe.islands[1] + 1))
    few = recipe.malignant
    malignant = int(draw.integers(few[0], few[1] + 1)) if label == "malignant" else 0
    third = recipe.non_viable if label == "malignant" else 0
    kinds = ["malignant"] * malignant + ["non-viable"] * third
    kinds += ["benign"] * (count - len(kinds))
    kinds = [kinds[index] for index in draw.permutation(count)]
    below = ["benign"] * count if recipe.patch else kinds
    sources = []
    pieces = []
    for kind in below:
        sources.append(drawn(fields[kind], draw))
        pieces.append(island(sources[-1], draw))
    height, width = (max(piece.shape[axis] for piece in pieces) + 120 for axis in (0, 1))
    rows = -(-count // COLUMNS)
    canvas = np.full((rows * height, COLUMNS * width, 3), GLASS, np.uint8)
    islands = []
    for place, piece in enumerate(pieces):
        high, wide = piece.shape[:2]
        x = place % COLUMNS * width + int(draw.integers(width - wide))
        y = place // COLUMNS * height + int(draw.integers(height - high))
        canvas[y : y + high, x : x + wide] = piece
        box = {"x": x, "y": y, "width": wide, "height": high}
        islands.append(box | {"label": below[place], "field": sources[place].name})
        if recipe.patch:
            side = round(draw.uniform(*recipe.patch) / MPP[recipe.source])
            pixels = square(drawn(fields[kinds[place]], draw), side, draw)
            patch = lay(pixels, canvas, islands[-1], draw)
            islands[-1]["patch"] = patch | {"label": kinds[place]}
    return stained(canvas, recipe.stain, draw), islands


def drawn(some: Sequence[Path], draw: np.random.Generator) -> Path:
    """Return one of these fields."""
    return some[int(draw.integers(len(some)))]


def island(field: Path, draw: np.random.Generator):
    """Cut a large field, flip it at random and mirror it to twice its size."""
    pixels = np.asarray(Image.open(field).convert("RGB"))
    if min(pixels.shape[:2]) > CROP:
        pixels = cut(pixels, CROP, draw)
    pixels = flipped(pixels, draw)
    wide = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    return np.concatenate([wide, wide[::-1]], axis=0)


def square(field: Path, side: int, draw: np.random.Generator):
    """Cut a square out of a field and flip it at random."""
    return flipped(cut(np.asarray(Image.open(field).convert("RGB")), side, draw), draw)


def cut(pixels, side: int, draw: np.random.Generator):
    """Return a square of a picture."""
    y, x = (int(draw.integers(pixels.shape[axis] - side)) for axis in (0, 1))
    return pixels[y : y + side, x : x + side]


def flipped(pixels, draw: np.random.Generator):
    """Return a picture mirrored at random in both directions."""
    if draw.random() < 0.5:
        pixels = pixels[:, ::-1]
    return pixels[::-1] if draw.random() < 0.5 else pixels


def lay(patch, canvas, island: Mapping[str, int], draw: np.random.Generator) -> dict[str, int]:
    """Lay a square on an island, blended in over a twelfth of its side; return its place."""
    side = len(patch)
    x = island["x"] + int(draw.integers(island["width"] - side))
    y = island["y"] + int(draw.integers(island["height"] - side))
    ramp = np.minimum(1, (np.arange(side) + 0.5) / (side / 12))
    ramp = np.minimum(ramp, ramp[::-1])
    weight = np.minimum.outer(ramp, ramp)[..., None]
    part = canvas[y : y + side, x : x + side]
    part[:] = (weight * patch + (1 - weight) * part).round()
    return {"x": x, "y": y, "width": side, "height": side}


def stained(canvas, strength: float, draw: np.random.Generator):
    """Stain a whole slide a little stronger or weaker; glass stays as it is."""
    if not strength:
        return canvas
    generator = torch.Generator().manual_seed(int(draw.integers(2**31)))
    factors, _ = draw_stain_changes(1, strength, generator)
    for top in range(0, len(canvas), 512):
        part = torch.from_numpy(canvas[top : top + 512]).permute(2, 0, 1)[None].float() / 255
        white = GLASS / 255
        changed = change_stains(part / white, factors, torch.zeros(1, 3)) * white
        canvas[top : top + 512] = (changed[0] * 255).round().byte().permute(1, 2, 0).numpy()
    return canvas


def write_pyramid(path, pixels, mpp):
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
                resolution=(1e4 / (mpp * factor),) * 2,
                resolutionunit="CENTIMETER",
                subfiletype=int(factor > 1),
                metadata=None,
            )


if __name__ == "__main__":
    main()
