#!/usr/bin/env python3
"""Compare what a model says of two scans, or two files, of the same tissue.

usage: compare_scans.py A B [A B …] [--model NAME]

Both slides of a pair show the same field from the same corner, at whatever resolution. Patches are
matched by their place in µm: those whose centres lie within half a patch of one another. Prints a
table: how many patches both have, the rank correlation of attention and of evidence over them, and
answer and probability of each; then the median of these correlations.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree
from scipy.stats import spearmanr

from napari_xmag.analyze.engine import analyze_slide
from napari_xmag.markdown import table
from napari_xmag.slide.open import open_slide
from napari_xmag.zoo import find_model, load_model

HEADING = ("pair", "patches", "matched", "attention", "evidence", "answers", "probabilities")


def main() -> None:
    """Analyze all slides and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slides", type=Path, nargs="+", metavar="SLIDE")
    parser.add_argument("--model", help="name or folder (default: the bundled one)")
    args = parser.parse_args()
    if len(args.slides) % 2:
        parser.error("name two slides for each pair")
    model = load_model(args.model or find_model())
    rows = []
    for one, other in zip(args.slides[::2], args.slides[1::2], strict=True):
        results = []
        for path in (one, other):
            with open_slide(path) as slide:
                results.append(analyze_slide(slide, model))
        names = one.name if one.name == other.name else f"{one.name} / {other.name}"
        rows.append([names, *agreement(*results)])
    print(table(HEADING, [*rows, median(rows)]))


def median(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a row with the medians of both correlations, and the range of each."""
    cells = []
    for column in (HEADING.index("attention"), HEADING.index("evidence")):
        values = [float(row[column]) for row in rows]
        cells.append(f"{np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    return ["median (range)", "", "", *cells, "", ""]


def agreement(one, other) -> list[str]:
    """Return the cells of a pair's row."""
    first, second = matched(one, other)
    a, b = one.patches, other.patches
    attention = spearmanr(a.attention_logit[first], b.attention_logit[second]).statistic
    evidence = spearmanr(a.evidence[first, -1], b.evidence[second, -1]).statistic
    return [
        f"{len(a)} / {len(b)}",
        f"{len(first)}",
        f"{attention:.3f}",
        f"{evidence:.3f}",
        f"{one.answer or 'abstains'} / {other.answer or 'abstains'}",
        f"{one.probabilities[-1]:.3f} / {other.probabilities[-1]:.3f} {one.classes[-1]}",
    ]


def matched(one, other) -> tuple[np.ndarray, np.ndarray]:
    """Return which patches of both lie at the same place, each at most once."""
    centers = [centers_um(result) for result in (one, other)]
    half = min(one.stride_x * one.slide["mpp_x"], other.stride_x * other.slide["mpp_x"]) / 2
    distance, nearest = KDTree(centers[1]).query(centers[0])
    _, back = KDTree(centers[0]).query(centers[1])
    mutual = back[nearest] == np.arange(len(nearest))
    first = np.flatnonzero(mutual & (distance < half))
    return first, nearest[first]


def centers_um(result) -> np.ndarray:
    """Return the centres of patches (P, 2) in µm."""
    patches, slide = result.patches, result.slide
    x = (patches.x + patches.width / 2) * slide["mpp_x"]
    return np.stack([x, (patches.y + patches.height / 2) * slide["mpp_y"]], axis=1)


if __name__ == "__main__":
    main()
