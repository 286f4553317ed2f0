#!/usr/bin/env python3
"""Teach a student by labelled pictures of several sources; judge it on the one it did not see.

usage: labelled_sources.py CONFIG.toml OUT --tasks NAME … [--encoder DIR] [--epochs 4]
       [--limit 60] [--rate 3e-5] [--seed 0]

CONFIG.toml names patch tasks as for `napari-xmag evaluate probe`; those of one folder of pictures
are of one source. Each source is left out in turn: the student (that of the bundled model) learns
all other tasks at once, --limit pictures of each class and no test pictures, with a linear head for
each that is thrown away. Heads begin at zero, batch norms keep their statistics, and the encoder
learns at the small --rate. OUT/without-TASKS gets student, which is not taught again, and probes of
these tasks before and after; OUT/results.md the table.
"""

import argparse
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import nn

from napari_xmag.cli.progress import show
from napari_xmag.config import load_config
from napari_xmag.evaluate.config import MANUAL, EncoderConfig, PatchConfig
from napari_xmag.evaluate.patches import evaluate_patches
from napari_xmag.evaluate.tiles import at_scale, centered, cut, labelled_tiles
from napari_xmag.fields.view_config import ViewConfig
from napari_xmag.fields.views import FieldView
from napari_xmag.learn.fit import Fit
from napari_xmag.learn.fit_config import FitConfig
from napari_xmag.markdown import table
from napari_xmag.nets.encoder import load_encoder, save_encoder
from napari_xmag.nets.memory import keep_freed_memory_of_threads
from napari_xmag.progress.heartbeat import finish
from napari_xmag.slide.picture import read_image_file
from napari_xmag.zoo import find_model

BATCH, HEAD_RATE, VIEWS = 32, 1e-3, ViewConfig(scanner_shift=0.3)


class Sources(nn.Module):
    """Classifies the pictures of several tasks, each by a head of its own."""

    def __init__(self, student, classes) -> None:
        super().__init__()
        self.student = student
        self.norm = nn.BatchNorm1d(student.dim, affine=False)
        self.heads = nn.ModuleList(nn.Linear(student.dim, count) for count in classes)
        for parameter in self.heads.parameters():  # else their random start moves the encoder
            nn.init.zeros_(parameter)

    def train(self, mode: bool = True) -> "Sources":
        """Set the mode; the student's batch norms keep their statistics."""
        super().train(mode)
        self.student.eval()
        return self

    def forward(self, batch):
        """Return the mean cross-entropy of pixels (B, 3, H, W), labels (B,) and tasks (B,)."""
        pixels, labels, tasks = batch
        features = self.norm(self.student(pixels).embedding)
        loss = features.new_zeros(())
        for number, head in enumerate(self.heads):
            own = tasks == number
            loss += nn.functional.cross_entropy(head(features[own]), labels[own], reduction="sum")
        return {"loss": loss / len(labels)}


def main() -> None:
    """Leave out each source in turn, and write the table."""
    args = arguments()
    keep_freed_memory_of_threads()
    config = load_config(args.config, [], PatchConfig, manual=MANUAL)
    tasks = [t.model_copy(update={"shots": ()}) for t in named(config.tasks, args.tasks)]
    spec = load_encoder(args.encoder).student.spec
    pictures = {task.name: pictures_of(task, spec, args) for task in tasks}
    rows = []
    for source in dict.fromkeys(task.tiles for task in tasks):
        unseen = tuple(task for task in tasks if task.tiles == source)
        folder = args.out / f"without-{'-'.join(task.name for task in unseen)}"
        if not (folder / "student" / "config.json").exists():
            teach([pictures[t.name] for t in tasks if t.tiles != source], folder / "student", args)
        rows += judged(config.model_copy(update={"tasks": unseen}), folder, args.encoder)
    text = table(("unseen task", "AUC before", "AUC taught", "difference"), rows)
    (args.out / "results.md").write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    lines = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=lines)
    for name in ("config", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--encoder", type=Path, default=find_model())
    for name, default in {"epochs": 4, "limit": 60, "rate": 3e-5, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()


def named(entries, names):
    """Return the tasks or encoders with these names; stop where a name is unknown."""
    known = [entry.name for entry in entries]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"There is no {', '.join(unknown)}; there are: {', '.join(known)}.")
    return [entry for entry in entries if entry.name in names]


def pictures_of(task, spec, args):
    """Return each picture's tiles (K, H, W, 3) at the student's scale, and its class."""
    alone = {"test": None, "test_mpp": None, "limit": args.limit}
    found = labelled_tiles(task.model_copy(update=alone), args.seed)
    classes = sorted({tile.label for tile in found})
    scaled = (at_scale(centered(read_image_file(t.path), t), t.mpp / spec.mpp) for t in found)
    tiles = [cut(pixels, spec.tile_px, "grid") for pixels in scaled]
    return [(k, classes.index(tile.label)) for k, tile in zip(tiles, found, strict=True)]


def teach(seen, out: Path, args) -> None:
    """Let the encoder learn all tasks at once, and write it."""
    encoder = load_encoder(args.encoder)
    task = Sources(encoder.student, [len({label for _, label in pictures}) for pictures in seen])
    settings = FitConfig(epochs=args.epochs, lr=HEAD_RATE, ema_decay=0.99)
    scales = {"student.": args.rate / HEAD_RATE}
    fit = Fit(task, settings, sum(map(len, seen)) // BATCH, nullcontext, scales)
    for done in show(fit.run(lambda epoch: batches(seen, epoch, args.seed))):
        print(out.parent.name, done.epoch, f"loss {done.scalars['train_loss']:.3f}", flush=True)
    save_encoder(fit.average.student, out, licence="not stated", origin={"begun": encoder.origin})


def batches(seen, epoch: int, seed: int):
    """Yield the pictures of all tasks in a new order, one tile of each, in a new view."""
    places = [(n, *picture) for n, pictures in enumerate(seen) for picture in pictures]
    draw = np.random.default_rng((seed, epoch))
    order = draw.permutation(len(places))
    for chosen in order[: len(order) // BATCH * BATCH].reshape(-1, BATCH):
        tasks, tiles, labels = zip(*(places[index] for index in chosen), strict=True)
        views = (FieldView.drawn(VIEWS, seed, epoch, int(index)) for index in chosen)
        images = (torch.from_numpy(draw.choice(k).transpose(2, 0, 1).copy()) for k in tiles)
        pixels = [view.student(image) for view, image in zip(views, images, strict=True)]
        yield torch.stack(pixels), torch.tensor(labels), torch.tensor(tasks)


def judged(config: PatchConfig, folder: Path, begun: Path) -> list[list[str]]:
    """Probe the encoder from which it began, and what it became, on the unseen source."""
    places = {"before": begun, "taught": folder / "student"}
    encoders = tuple(EncoderConfig(name=name, student=place) for name, place in places.items())
    config, rows = config.model_copy(update={"encoders": encoders}), []
    for report in finish(evaluate_patches(config, folder)):
        before, taught = (entry for entry in report.entries if entry.method == "linear")
        figures = before.figures, taught.figures, taught.above
        rows.append([report.name, *(str(found["auc"]) for found in figures)])
    return rows


if __name__ == "__main__":
    main()
