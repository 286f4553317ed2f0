"""Take an end-to-end step on one slide of so many tiles and print the highest memory as JSON.

usage: step_of_tiles.py TILES [MORE TILES …] [--granularity cells] [--steps 1]
"""

import argparse
import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from napari_xmag.learn.fit import Fit, FitConfig
from napari_xmag.train.end_to_end import BagBatch, TileBag
from tests.train.tile_bags import DrawnTiles, drawn_labels, drawn_slide, tiny_task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tiles", type=int, nargs="+", help="numbers of tiles, rising")
    parser.add_argument("--granularity", choices=("tiles", "cells"), default="cells")
    parser.add_argument("--steps", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for count in args.tiles:
        sys.stdout.write(json.dumps(measured(count, args.granularity, args.steps)) + "\n")


def measured(count: int, granularity: Literal["tiles", "cells"], steps: int) -> dict[str, float]:
    """Return the highest memory of this process after the steps, and what they took."""
    task = tiny_task("resnet", granularity, chunk=8)
    tiles = drawn_slide("slide", count, cells=2 if granularity == "cells" else 1)
    fit = Fit(task, FitConfig(epochs=steps), 1, nullcontext)
    begun = time.perf_counter()
    with ThreadPoolExecutor(1) as thread:
        for _ in range(steps):
            bag = TileBag(tiles, 1, np.arange(count), patches=drawn_labels(tiles))
            reader = DrawnTiles()
            fit.step(BagBatch([bag], 1.0, reader, thread))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / (2**20 if sys.platform == "darwin" else 2**10)
    seconds = time.perf_counter() - begun
    return {"tiles": count, "peak_mb": round(megabytes, 1), "seconds": round(seconds, 1)}


if __name__ == "__main__":
    main()
