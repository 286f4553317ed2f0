#!/usr/bin/env python3
"""Time what is read of a network: its last stage, three stages, and their deviations.

usage: encoder_speed.py FOLDER … [--engines torch graph] [--rounds 5] [--tiles 32]
                        [--tile-px 256] [--mpp 2.0]

FOLDER is a plain network in timm's format. Prints a table in Markdown: tiles per CPU second on one
core, one after the other through the engine that `napari-xmag` uses, median of rounds in which all
rows take turns, and the time in proportion to that of the first folder's last stage in the same
engine. The pixels are random: no layer looks at them to decide what to do.
"""

import argparse
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from napari_xmag.markdown import table
from napari_xmag.nets.encoder import load_encoder, timm_spec
from napari_xmag.nets.engines.base import Engine
from napari_xmag.nets.engines.networks import LiveNetworks
from napari_xmag.nets.engines.open import EngineSettings, open_engine

READINGS = {
    "last stage": (1, "avg", "tiles"),
    "three stages, means": (3, "avg", "tiles"),
    "three stages, means and deviations": (3, "avg+std", "tiles"),
    "three stages, means of cells": (3, "avg", "cells"),
}


def main() -> None:
    """Let all rows take turns, and print the table."""
    args = arguments()
    torch.set_num_threads(1)
    engines = {
        (engine, str(folder), reading): opened(folder, reading, engine, args)
        for engine in args.engines
        for folder in args.folders
        for reading in READINGS
    }
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (args.tiles, args.tile_px, args.tile_px, 3), dtype=np.uint8)
    seconds = defaultdict(list)
    for number in range(args.rounds + 1):
        for row, engine in engines.items():
            taken = cpu_seconds(engine, pixels)
            if number:  # the first round pays for memory that later ones find
                seconds[row].append(taken)
    print(report({row: median(taken) for row, taken in seconds.items()}, args))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--engines", nargs="+", default=["torch", "graph"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiles", type=int, default=32)
    parser.add_argument("--tile-px", type=int, default=256)
    parser.add_argument("--mpp", type=float, default=2.0)
    return parser.parse_args()


def opened(folder: Path, reading: str, engine: str, args: argparse.Namespace) -> Engine:
    """Open an engine of one lane that reads the network in this way."""
    layers, embedding, granularity = READINGS[reading]
    spec = timm_spec(folder, mpp=args.mpp, tile_px=args.tile_px, layers=layers)
    student = load_encoder(folder, replace(spec, embedding=embedding)).student
    settings = EngineSettings(engine, "cpu", batch_size=1)
    found = open_engine(LiveNetworks(student, granularity), settings)
    found.open_lane()
    return found


def cpu_seconds(engine: Engine, pixels: np.ndarray) -> float:
    """Return what the process computed while it encoded the tiles, one by one."""
    begun = time.process_time()
    for tile in pixels:
        engine.encode(tile[None])
    return time.process_time() - begun


def report(seconds: dict[tuple[str, str, str], float], args: argparse.Namespace) -> str:
    """Say how many tiles a second, and how that compares."""
    first = str(args.folders[0])
    rows = [
        (
            engine,
            Path(folder).name,
            reading,
            f"{args.tiles / taken:.1f}",
            f"{taken / seconds[engine, first, next(iter(READINGS))]:.2f}",
        )
        for (engine, folder, reading), taken in seconds.items()
    ]
    return table(("engine", "network", "read", "tiles per CPU second", "time"), rows)


if __name__ == "__main__":
    main()
