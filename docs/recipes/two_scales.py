#!/usr/bin/env python3
"""Probe students that read each tile at two scales: as it is, and at half the size.

usage: two_scales.py CONFIG.toml OUT --encoders NAME … [--tasks NAME …]

CONFIG.toml names encoders and patch tasks as for `napari-xmag evaluate probe`. The features of a
tile are those of the encoder beside those of the same tile averaged over 2x2 pixels, so that they
are twice as many and take a quarter more time; the network must take tiles of half the size, too.
OUT/results.md says for each encoder and task the AUC of linear probes at one scale and at two, and
the difference on the same resamples.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from labelled_sources import named
from torch import nn
from torch.nn.functional import avg_pool2d

from napari_xmag.config import load_config
from napari_xmag.evaluate.compare import compare
from napari_xmag.evaluate.config import MANUAL, PatchConfig
from napari_xmag.evaluate.features import tile_features
from napari_xmag.evaluate.patches import division, over_tasks, probe_folds
from napari_xmag.markdown import table
from napari_xmag.nets.student import StudentOutput
from napari_xmag.progress.heartbeat import finish


class TwoScales(nn.Module):
    """A student that sees each tile twice, the second time at half the size."""

    def __init__(self, student) -> None:
        super().__init__()
        self.student, self.spec, self.dim = student, student.spec, 2 * student.dim

    def forward(self, pixels):
        """Encode uint8 tiles (B, 3, tile_px, tile_px); the cells are those of the whole size."""
        fine = self.student(pixels)
        coarse = self.student(avg_pool2d(pixels.float() / 255, 2))
        return StudentOutput(torch.cat([fine.embedding, coarse.embedding], 1), fine.cells)


def main() -> None:
    """Encode the tiles of all tasks in both ways, probe, and write the table."""
    args = arguments()
    config = load_config(args.config, [], PatchConfig, manual=MANUAL)
    tasks = config.tasks if args.tasks is None else tuple(named(config.tasks, args.tasks))
    rows = []
    for encoder in named(config.encoders, args.encoders):
        chosen = config.model_copy(update={"encoders": (encoder,), "tasks": tasks})
        found, _ = finish(over_tasks(chosen, at_both))
        for patches, features in found:
            figures = judged(patches, features[encoder.name], config)
            rows.append([encoder.name, patches.task.name, *figures])
            print(*rows[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    text = table(("encoder", "task", "one scale", "two scales", "difference"), rows)
    (args.out / "results.md").write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    lines = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=lines)
    for name in ("config", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--encoders", nargs="+", required=True)
    parser.add_argument("--tasks", nargs="+")
    return parser.parse_args()


def at_both(name, patches, source):
    """Yield progress; return the features of all tiles at one scale and at two."""
    identity = f"{source.identity} at two scales"
    two = replace(source, student=TwoScales(source.student), identity=identity)
    tiles, hashes, crops = patches.tiles, patches.hashes, patches.task.crops
    one_scale = yield from tile_features(tiles, hashes, source, crops, item=name)
    two_scales = yield from tile_features(tiles, hashes, two, crops, item=name)
    return one_scale, two_scales


def judged(patches, features, config) -> list[str]:
    """Return the AUC at one scale, at two, and the difference, with intervals, in words."""
    # named as the encoder that `compare` states differences against
    outcomes = [
        probe_folds(patches, name, found, "linear", config.probe, config.seed)
        for name, found in zip((config.against, "two scales"), features, strict=True)
    ]
    name, words = patches.task.name, division(patches)
    one, two = finish(compare(name, patches.rows(), outcomes, config, words)).entries
    return [str(figures["auc"]) for figures in (one.figures, two.figures, two.above)]


if __name__ == "__main__":
    main()
