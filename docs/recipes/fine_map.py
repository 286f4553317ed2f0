#!/usr/bin/env python3
"""Compare heads over cells with heads over tiles in finding what is smaller than a tile.

usage: fine_map.py OUT --glas GLAS --osteosarcoma FIELDS --oral FIELDS
       [--ways tiles frozen end-to-end] [--test 20] [--patch 100 250] [--islands 8 12]
       [--malignant 3 5] [--stain 0.05] [--same-cases]

OUT holds what compare_training.py made: models that learned on slides whose malignant islands are
larger than a tile. They are judged here, without learning anew, on slides whose malignant places
are patches of 100 to 250 µm within benign islands, composed from the test fields of the same seed
(compose_slides.py): no field of training is in them. Heads over tiles and over cells see the same
pixels in the same tiles, and are asked for the same patches (localise.py).

Figures go to OUT/fine-map/<source>-<seed>/<way>.json; what is there is not computed again. At the
end OUT/fine-map/results.csv and OUT/fine-map/results.md with mean and standard deviation over
seeds.
"""

import argparse
import json
from pathlib import Path

from compare_training import WAYS, write_table
from compose_slides import MPP, Recipe, add_options, compose_all, recipe_of
from localise import model_figures, rows_of

from napari_xmag.zoo import load_model

RECIPE = Recipe("glas", islands=(8, 12), malignant=(3, 5), patch=(100, 250), stain=0.05)


def main() -> None:
    """Judge each model of the folder, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    for source in MPP:
        parser.add_argument(f"--{source}", type=Path, help="its folder of fields")
    parser.add_argument("--ways", nargs="+", default=WAYS[2:], choices=WAYS[1:])
    parser.add_argument("--test", type=int, default=20)
    add_options(parser, RECIPE)
    args = parser.parse_args()
    for folder in sorted(path.parent for path in args.out.glob("*-*/slides")):
        source, _, seed = folder.name.rpartition("-")
        judged = args.out / "fine-map" / folder.name
        composed = judged / "slides"
        if not (composed / "cohort.csv").exists():
            counts = {"train": 0, "validation": 0, "test": args.test}
            compose_all(getattr(args, source), composed, recipe_of(source, args), counts, int(seed))
        for way in args.ways:
            model, done = folder / way / "model", judged / f"{way}.json"
            if model.exists() and not done.exists():
                figures = model_figures(load_model(model), composed, rows_of(composed, "test"))
                done.write_text(json.dumps(figures, indent=1))
                print(folder.name, way, json.dumps(figures), flush=True)
    write_table(args.out / "fine-map")


if __name__ == "__main__":
    main()
