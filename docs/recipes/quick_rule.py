#!/usr/bin/env python3
"""How often a quick analysis would have given the answer of the whole one.

usage: quick_rule.py RESULTS [--lattices 16] [--errors 2 3 4 5]

RESULTS: folders of whole analyses (result.json, tiles.csv) of slides in both classes of a model
with an attention head; a slide is positive where its path contains --positive. The tiles of each
are taken in passes as `napari-xmag analyze --quick` takes them, from lattices that lie elsewhere,
until the rule of napari_xmag/analyze/quick.py stops them. Prints a table in Markdown.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from napari_xmag.analyze.quick import LEAST_TILES, Margin, answer_margin
from napari_xmag.analyze.result import SlideResult
from napari_xmag.nets.decision import predict_class
from napari_xmag.nets.heads.pooling import pool_scores
from napari_xmag.nets.info import ModelInfo
from napari_xmag.slide.reading_order import spread_passes


@dataclass(frozen=True)
class Look:
    """What is known after some passes: share of tiles, their number, margin, answer."""

    share: float
    tiles: int
    margin: Margin
    probability: float
    predicted: int


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--positive", default="malignant")
    parser.add_argument("--lattices", type=int, default=16)
    parser.add_argument("--errors", type=float, nargs="+", default=[2.0, 3.0, 4.0, 5.0])
    args = parser.parse_args()
    trials: list[tuple[bool, list[Look]]] = []
    for path in sorted(args.results.rglob("result.json")):
        result, draw = SlideResult.load(path.parent), np.random.default_rng(0)
        label = args.positive in str(result.slide["path"])
        trials += [(label, list(looks(result, draw))) for _ in range(args.lattices)]
    print("| standard errors | same class | change of the AUC | tiles seen | probability moves |")
    print("|---|---|---|---|---|")
    for errors in args.errors:
        print(row(errors, trials))


def looks(result: SlideResult, draw: np.random.Generator) -> Iterator[Look]:
    """Look at a slide pass after pass, from a lattice that lies anywhere."""
    patches, cells = result.patches, round(result.model["tile_px"] * result.model["mpp"])
    cells = max(1, round(cells / (result.stride_x * result.mpp.x)))
    places, tile = np.unique(
        np.stack([patches.row // cells, patches.column // cells], 1), axis=0, return_inverse=True
    )
    evidence = (patches.evidence / patches.attention[:, None]).astype(np.float32)
    tile = tile.ravel()  # NumPy 2.0 gave it the shape of the input
    info = ModelInfo(
        name="of-result",
        display_name="of a result",
        classes=result.classes,
        mpp=result.model["mpp"],
        tile_px=result.model["tile_px"],
        temperature=float(result.model["temperature"]),
        threshold=result.threshold,
    )
    seen = np.zeros(len(places), bool)
    shift = draw.integers(0, 64, 2)
    for tiles in spread_passes(*(places + shift).T):
        seen[tiles] = True
        chosen = seen[tile.ravel()]
        yield look(
            info, patches.attention_logit[chosen], evidence[chosen], tile.ravel()[chosen], seen
        )


def look(
    info: ModelInfo,
    logit: NDArray[np.float32],
    evidence: NDArray[np.float32],
    tiles: NDArray[np.int64],
    seen: NDArray[np.bool_],
) -> Look:
    """Return what some tiles say."""
    margin = answer_margin(info, logit, evidence, tiles, len(seen))
    calibrated = info.probabilities(pool_scores(logit, evidence)[2])[1]
    predicted = int(predict_class(calibrated, info.threshold))
    return Look(float(seen.mean()), int(seen.sum()), margin, float(calibrated[1]), predicted)


def row(errors: float, trials: list[tuple[bool, list[Look]]]) -> str:
    """Return a row of the table."""
    labels, whole = [label for label, _ in trials], [found[-1] for _, found in trials]
    quick = [next((one for one in f if settled(one, errors)), f[-1]) for _, f in trials]
    given, full = (np.array([one.probability for one in ones]) for ones in (quick, whole))
    share = np.mean([one.share for one in quick])
    same = np.mean([a.predicted == b.predicted for a, b in zip(quick, whole, strict=True)])
    change = roc_auc_score(labels, given) - roc_auc_score(labels, full)
    moves = np.abs(given - full)
    large = f"{np.quantile(moves, 0.95):.3f}, {moves.max():.3f}"
    return f"| {errors:g} | {same:.1%} | {change:+.4f} | {share:.0%} | {large} |"


def settled(one: Look, errors: float) -> bool:
    """Return whether a quick analysis would stop here."""
    return one.tiles >= LEAST_TILES and one.margin.distance > errors * one.margin.error


if __name__ == "__main__":
    main()
