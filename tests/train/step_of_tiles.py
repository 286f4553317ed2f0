"""Take an end-to-end step on one slide of so many tiles and print the highest memory as JSON.

usage: step_of_tiles.py TILES [--granularity cells] [--steps 1]
"""

import argparse
import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from napari_xmag.learn.fit import Fit, FitConfig
from napari_xmag.train.end_to_end import BagBatch, TileBag
from tests.train.tile_bags import DrawnTiles, drawn_labels, drawn_slide, tiny_task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tiles", type=int)
    parser.add_argument("--granularity", choices=("tiles", "cells"), default="cells")
    parser.add_argument("--steps", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    task = tiny_task("resnet", args.granularity, chunk=8)
    tiles = drawn_slide("slide", args.tiles, cells=2 if args.granularity == "cells" else 1)
    fit = Fit(task, FitConfig(epochs=args.steps), 1, nullcontext)
    begun = time.perf_counter()
    with ThreadPoolExecutor(1) as thread:
        for _ in range(args.steps):
            bag = TileBag(tiles, 1, np.arange(args.tiles), patches=drawn_labels(tiles))
            reader = DrawnTiles()
            fit.step(BagBatch([bag], 1.0, reader, thread))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / (2**20 if sys.platform == "darwin" else 2**10)
    seconds = time.perf_counter() - begun
    facts = {"tiles": args.tiles, "peak_mb": round(megabytes, 1), "seconds": round(seconds, 1)}
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
