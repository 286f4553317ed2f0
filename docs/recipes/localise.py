#!/usr/bin/env python3
"""Measure a model on composed slides, where the places of the malignant fields are known.

usage: localise.py MODEL COMPOSED [--split test]

COMPOSED is a folder made by compose_slides.py. Prints slide figures, and how well attention and
the evidence for "malignant" find the malignant islands: the area under the ROC curve over the
tiles (or cells) of each malignant slide, mean over slides. A place counts as malignant when
malignant islands cover at least half of what islands cover of it; tiles with less, but some, are
left out.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from napari_xmag.geometry import Box
from napari_xmag.nets.device import place
from napari_xmag.train.beat import finish
from napari_xmag.train.features import slide_features
from napari_xmag.train.metrics import slide_metrics
from napari_xmag.zoo import load_model


def main() -> None:
    """Analyse the slides of a split and print the figures as JSON."""
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("composed", type=Path)
    parser.add_argument("--split", default="test")
    args = parser.parse_args()
    model = load_model(args.model)
    place(model.student, torch.device("cpu"))
    truth = json.loads((args.composed / "truth.json").read_text())
    with (args.composed / "cohort.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == args.split]
    malignant = model.info.classes.index("malignant")
    probabilities, found = [], {"attention": [], "evidence": []}
    for row in rows:
        features = finish(
            slide_features(
                args.composed / row["slide"], None, model.student, attends=model.info.attends
            )
        )
        with torch.inference_mode():
            output = model.head(torch.from_numpy(features.features))
        probabilities.append(model.info.probabilities(output.logits.numpy())[1])
        if row["label"] == "malignant":
            shares = [malignant_share(Box(*box), truth[row["slide"]]) for box in features.boxes]
            clear = np.array([share == 0 or share >= 0.5 for share in shares])
            known = np.array(shares)[clear] > 0
            for name, values in (
                ("attention", output.attention_logit.numpy()),
                ("evidence", output.evidence[:, malignant].numpy()),
            ):
                found[name].append(roc_auc_score(known, values[clear]))
    labels = [model.info.classes.index(row["label"]) for row in rows]
    figures = slide_metrics(labels, probabilities, model.info.classes)
    figures |= {f"localisation_auc_{name}": float(np.mean(v)) for name, v in found.items()}
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=1))


def malignant_share(tile: Box, islands: list[dict]) -> float:
    """Return which part of the island area in a tile is malignant."""
    areas = {"benign": 0.0, "malignant": 0.0}
    for island in islands:
        common = tile.intersection(Box(island["x"], island["y"], island["width"], island["height"]))
        areas[island["label"]] += common.width * common.height if common else 0.0
    total = sum(areas.values())
    return areas["malignant"] / total if total else 0.0


if __name__ == "__main__":
    main()
