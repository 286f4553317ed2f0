#!/usr/bin/env python3
"""Compare ways of training on composed slides: whether end to end sees, and finds, more.

usage: compare_training.py OUT --glas GLAS --osteosarcoma FIELDS --oral FIELDS --start DIR
       [--encoder DIR] [--sources glas osteosarcoma oral] [--seeds 0 1 2] [--granularity cells]
       [--train 32 --validation 12 --test 24] [--islands 8 24] [--malignant 1 3] [--patch 100 250]
       [--stain 0.05] [--same-cases] [--epochs 4] [--regions 0.25] [--set a.b=c]

Slides are composed for each source of fields and each seed (compose_slides.py: training and test
slides share no field), and several ways learn on them:

rgb         the mean colour of each place, and the attention head on it
start       --start, a network that was not distilled, frozen, and the head
tiles       --encoder (the bundled student), frozen, and the head over whole tiles, asked for the
            patches of the cells
frozen      the same with the head over cells
end-to-end  the same, then encoder and head together
regions     frozen, and the head over cells learns from regions of a share of the slides, too
regions-end-to-end  the same, then encoder and head together, with the regions
start-regions, start-regions-end-to-end  the same two from --start

Figures on the test slides (localise.py): slide AUC, how well attention and evidence find the
malignant fields, and patch AUC. Each row is written to OUT/<source>-<seed>/<way>.json when it is
done and is not computed again; a training that was broken off goes on. At the end OUT/results.csv
and OUT/results.md with mean and standard deviation over seeds, and what end to end adds in each.
"""

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from compose_slides import MPP, Recipe, add_options, compose_all, recipe_of, write_regions
from localise import measured, model_figures, rows_of
from torch import nn

from napari_xmag.cli.progress import show
from napari_xmag.cohort.cohort import read_cohort
from napari_xmag.config import load_config
from napari_xmag.markdown import table
from napari_xmag.mil.features import slide_features
from napari_xmag.mil.head_training import Bags, train_head
from napari_xmag.mil.tile_encoder import TileEncoder
from napari_xmag.nets.encoder import load_encoder, timm_spec
from napari_xmag.nets.memory import keep_freed_memory_of_threads
from napari_xmag.nets.student import StudentOutput, StudentSpec
from napari_xmag.progress.events import EpochDone
from napari_xmag.progress.heartbeat import finish
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.run import train
from napari_xmag.zoo import find_model, load_model

WAYS = (
    "rgb",
    "start",
    "tiles",
    "frozen",
    "end-to-end",
    "regions",
    "regions-end-to-end",
    "start-regions",
    "start-regions-end-to-end",
)
HEAD_ALONE = {
    "end-to-end": "frozen",
    "regions-end-to-end": "regions",
    "start-regions-end-to-end": "start-regions",
}
FIGURES = {
    "auc": "slide AUC",
    "balanced_accuracy": "balanced accuracy",
    "localisation_auc_attention": "attention finds",
    "localisation_auc_evidence": "evidence finds",
    "patch_auc": "patch AUC",
}


class MeanColor(nn.Module):
    """Answers as a student: the mean colour of a tile, and of its cells."""

    def __init__(self, spec: StudentSpec) -> None:
        super().__init__()
        self.spec, self.dim, self.cell_dim = spec, 3, 3
        self.register_buffer("scale", torch.ones(1), persistent=False)

    def forward(self, pixels):
        """Return the mean colours of tiles (B, 3, H, W)."""
        images = pixels.float() / 255
        side = images.shape[-1] // self.spec.cells
        return StudentOutput(images.mean((2, 3)), nn.functional.avg_pool2d(images, side))


def main() -> None:
    """Do what is not done yet, and write the table."""
    args = arguments()
    keep_freed_memory_of_threads()
    for source in args.sources:
        for seed in args.seeds:
            folder = args.out / f"{source}-{seed}"
            composed = folder / "slides"
            if not (composed / "cohort.csv").exists():
                counts = {name: getattr(args, name) for name in ("train", "validation", "test")}
                fields = getattr(args, source)
                compose_all(fields, composed, recipe_of(source, args), counts, seed)
            write_regions(composed, args.regions)
            for way in args.ways:
                done = folder / f"{way}.json"
                if not done.exists():
                    figures = row(way, folder, composed, seed, args)
                    done.write_text(json.dumps(figures, indent=1))
                print(source, seed, way, done.read_text().replace("\n", ""), flush=True)
    write_table(args.out)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    for source in MPP:
        parser.add_argument(f"--{source}", type=Path, help="its folder of fields")
    parser.add_argument("--start", type=Path, help="folder of the network before distillation")
    parser.add_argument("--encoder", type=Path, help="the bundled model's when it is left out")
    parser.add_argument("--sources", nargs="+", default=["glas", "osteosarcoma"], choices=MPP)
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--granularity", choices=("cells", "tiles"), default="cells")
    for name, number in (("train", 32), ("validation", 12), ("test", 24)):
        parser.add_argument(f"--{name}", type=int, default=number)
    add_options(parser, Recipe("glas", islands=(8, 24), stain=0.05))
    parser.add_argument("--regions", type=float, default=1.0, help="share of training slides")
    parser.add_argument("--epochs", type=int, default=4, help="end to end")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    return parser.parse_args()


def row(way, folder: Path, composed: Path, seed: int, args) -> dict[str, float]:
    """Train in one way and return the figures."""
    granularity = "tiles" if way == "tiles" else args.granularity
    settings = [
        f"mode={'end-to-end' if way.endswith('end-to-end') else 'head'}",
        f"granularity={granularity}",
        f"seed={seed}",
        f"end_to_end.fit.epochs={args.epochs}",
        *args.settings,
    ]
    config = load_config(None, settings, TrainConfig, manual="docs/train.md")
    name = "regions.csv" if "regions" in way else "cohort.csv"
    cohort = read_cohort(composed / name, open_slides=False)
    tested = rows_of(composed, "test")
    encoder = load_encoder(args.encoder or find_model())
    if way == "rgb":
        student = MeanColor(encoder.student.spec)
        features = [
            finish(slide_features(r.slide, None, TileEncoder(student, granularity)))
            for r in cohort.rows
        ]
        task = finish(
            train_head(Bags(list(cohort.rows), features, cohort.classes), config.head_settings)
        )
        found = [f for r, f in zip(cohort.rows, features, strict=True) if r.split == "test"]
        return measured(task.folded(), found, composed, tested)
    if way.startswith("start"):
        spec = encoder.student.spec
        sizes = {"mpp": spec.mpp, "tile_px": spec.tile_px, "layers": spec.layers}
        encoder = load_encoder(args.start, timm_spec(args.start, **sizes))
    out = folder / way
    for event in show(train(cohort, encoder, out, config, cache=folder / "cache", resume=True)):
        if isinstance(event, EpochDone):
            words = "  ".join(f"{name} {value:.3f}" for name, value in event.scalars.items())
            print(f"{folder.name} {way} {event.stage} {event.epoch}: {words}", flush=True)
    return model_figures(load_model(str(out / "model")), composed, tested, config.device)


def write_table(out: Path) -> None:
    """Write all rows as CSV; means over seeds, and what end to end adds, as Markdown."""
    rows, by_way = [], defaultdict(dict)
    for path in sorted(out.glob("*-*/*.json")):
        source, _, seed = path.parent.name.rpartition("-")
        figures = json.loads(path.read_text())
        rows.append({"source": source, "seed": seed, "way": path.stem, **figures})
        by_way[source, path.stem][seed] = figures
    with (out / "results.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    heads = ["fields", "way", "seeds", *FIGURES.values()]
    text = f"""Composed slides, no real ones. Mean ± standard deviation over seeds.

{table(heads, means(by_way))}

End to end against the head from which it started, seed by seed.

{table(heads, differences(by_way))}
"""
    (out / "results.md").write_text(text, encoding="utf-8")
    print(text)


def means(by_way) -> list[list]:
    """Return the means over seeds."""
    lines = []
    for source, way in sorted(by_way, key=lambda key: (key[0], WAYS.index(key[1]))):
        some = by_way[source, way].values()
        cells = [
            f"{np.mean([f[name] for f in some]):.3f} ± {np.std([f[name] for f in some]):.3f}"
            for name in FIGURES
        ]
        lines.append([source, way, len(some), *cells])
    return lines


def differences(by_way) -> list[list]:
    """Return what each way end to end adds to the same way with the head alone."""
    lines = []
    for source, way in sorted(by_way):
        base = by_way.get((source, HEAD_ALONE.get(way)), {})
        if seeds := sorted(base.keys() & by_way[source, way].keys()):
            cells = [
                ", ".join(f"{by_way[source, way][s][name] - base[s][name]:+.3f}" for s in seeds)
                for name in FIGURES
            ]
            lines.append([source, way, ", ".join(seeds), *cells])
    return lines


if __name__ == "__main__":
    main()
