#!/usr/bin/env python3
"""Measure what one GPU does for analysis: encoding, reading, slides from file to map.

usage: benchmark_gpu.py SLIDE OUT [--device cuda] [--parts encoding reading slides]
       [--networks bundled vit_base_patch14_dinov2] [--processes 1 8] [--slides 6] [--seconds 5]

encoding      tiles/s of the network alone on tiles that lie on the card, by batch size, as it is
              and compiled (the ceiling); then of the engine fed with tiles from memory, in lanes
reading       tiles/s read from the slide by 1, 4, 8 and 16 threads of one process
slides        slides a minute from file to the last export, --slides copies of SLIDE for each
              process, after one that warms up; each stage of one process

benchmark_gpu_learning.py measures training and distillation. Networks other than the bundled one
have random weights, which does not change their speed. Prints figures as JSON, and writes
OUT/figures.json after each part.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

BUNDLED, VIT = "bundled", "vit_base_patch14_dinov2"
_SAMPLE = 512

Figures = dict[str, Any]
Parts = dict[str, Callable[[argparse.Namespace], Figures]]


def main() -> None:
    """Measure the parts that were asked for."""
    parser = gpu_parser(__doc__, PARTS)
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--slides", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5.0)
    measure(parser.parse_args(), PARTS)


def measure(args: argparse.Namespace, measures: Parts) -> None:
    """Measure these parts, print their figures, and keep them as they come."""
    args.out.mkdir(parents=True, exist_ok=True)
    figures: Figures = {"machine": _machine(args.device)}
    for part in args.parts:
        begun = time.perf_counter()
        try:
            figures[part] = measures[part](args)
        except Exception as error:  # noqa: BLE001 - the other parts are worth having
            figures[part] = {"failed": f"{type(error).__name__}: {error}"}
        print(f"\n## {part} ({time.perf_counter() - begun:.0f} s)", flush=True)
        print(json.dumps(figures[part], indent=1, default=str), flush=True)
        (args.out / "figures.json").write_text(json.dumps(figures, indent=1, default=str) + "\n")


def gpu_parser(text: str | None, parts: Parts) -> argparse.ArgumentParser:
    """Return a command line of what all parts need; ``parts`` are what can be measured."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slide", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--networks", nargs="+", default=[BUNDLED, VIT])
    return parser


def _machine(device: str) -> Figures:
    import timm
    import torch

    cuda = device.startswith("cuda")
    return {
        "card": torch.cuda.get_device_name() if cuda else platform.processor(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "python": platform.python_version(),
    }


def folder_of(network: str, out: Path) -> Path:
    """Return the folder of a slide model: the bundled one, or one of random weights over cells."""
    from napari_xmag.zoo import find_model, save_model

    if network == BUNDLED:
        return find_model(None)
    folder = out / "models" / network
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        save_model(_random_model(network), folder)
    return folder


def _random_model(network: str) -> Any:
    from napari_xmag.nets.heads.abmil import AttentionHead
    from napari_xmag.nets.info import ModelInfo
    from napari_xmag.nets.model import SlideModel
    from napari_xmag.nets.student import StudentSpec, build_student

    spec = StudentSpec(mpp=2.0, tile_px=224)
    student = build_student(network, spec)
    info = ModelInfo(
        name=network,
        display_name=network,
        classes=("a", "b"),
        mpp=2.0,
        tile_px=224,
        granularity="cells",
        demonstration=True,
    )
    return SlideModel(student, AttentionHead(student.cell_dim, 128, 2), info).eval()


def encoding(args: argparse.Namespace) -> Figures:
    """Return tiles a second of each network: alone on the card, and fed from memory."""
    return {network: _encoding(network, args) for network in args.networks}


def _encoding(network: str, args: argparse.Namespace) -> Figures:
    from napari_xmag.nets.engines.open import EngineSettings, open_engine
    from napari_xmag.nets.folders.stored import StoredModel

    model = StoredModel.open(folder_of(network, args.out))
    tiles = tiles_of(args.slide, model.info.mpp, model.info.tile_px, _SAMPLE)
    found: Figures = {}
    for engine_name in ("torch", "compiled"):
        begun = time.perf_counter()
        engine = open_engine(model, EngineSettings(engine_name, args.device))
        opened = time.perf_counter() - begun
        size = engine.batch_size
        alone = {size: _alone(engine, tiles, size, args.seconds)}
        if engine.name == "torch" and args.device != "cpu":  # a compiled network takes one size
            more = [other for other in (16, 32, 128, 256, 512) if other != size]
            alone |= {other: _alone(engine, tiles, other, args.seconds / 4) for other in more}
        fed = _fed(engine, tiles, model, args.seconds)
        found[engine.name] = {
            "opened_s": opened,
            "batch": size,
            "precision": engine.precision,
            "alone_tiles_per_s": dict(sorted(alone.items())),
            "fed_tiles_per_s": fed,
            "fed_share_of_ceiling": fed / max(alone.values()),
        }
    found["difference"] = _differences(model, tiles[:64], args.device)
    return found


def _alone(engine: Any, tiles: Any, size: int, seconds: float) -> float:
    """Return tiles/s of the network on tiles that lie on the device."""
    import torch

    from napari_xmag.nets.device import autocast

    device, student, batch = torch.device(engine.device), engine._student, engine._batch
    pixels = torch.from_numpy(np.resize(tiles, (size, *tiles.shape[1:]))).to(device)

    def once() -> None:
        with torch.inference_mode(), autocast(device, batch.dtype):
            student(pixels.permute(0, 3, 1, 2))

    return size * _per_second(once, seconds, device)


def _per_second(work: Callable[[], None], seconds: float, device: Any) -> float:
    """Return how often a second work is done, a few times queued at once."""
    import torch

    settle = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    for _ in range(3):
        work()
    settle()
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for _ in range(4):
            work()
        settle()
        done += 4
    return done / (time.perf_counter() - begun)


def _fed(engine: Any, tiles: Any, model: Any, seconds: float) -> float:
    """Return tiles/s of an engine in its lanes, from memory to the scores of the head."""
    from napari_xmag.nets.engines.lanes import EngineLanes

    size = engine.batch_size
    pixels = np.resize(tiles, (size, *tiles.shape[1:]))
    tissue = np.ones((size, model.cells**2), bool)
    with closing(EngineLanes(engine, patient=True)) as lanes:

        def start() -> Any:
            return lanes.submit(lambda given: engine.score(given, tissue), pixels)

        pending = [start() for _ in range(2 * engine.lanes)]
        pending[0].result()  # all lanes are at work
        done, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            pending.pop(0).result()
            pending.append(start())
            done += size
        return done / (time.perf_counter() - begun)


def _differences(model: Any, tiles: Any, device: str) -> Figures:
    """Return how far features, logits and answer of these tiles lie from float32 on the CPU."""
    from napari_xmag.nets.engines.open import EngineSettings, open_engine
    from napari_xmag.nets.heads.pooling import pool_scores

    exact = open_engine(model, EngineSettings("torch", "cpu", 8, "float32"))
    tissue = np.ones((len(tiles), model.cells**2), bool)

    def seen(engine: Any) -> tuple[Any, Any, Any]:
        scores = engine.score(tiles, tissue)
        logits = pool_scores(scores.attention_logit, scores.patch_evidence)[2]
        return engine.encode(tiles), scores.attention_logit, model.info.probabilities(logits)[1]

    expected, attention, answer = seen(exact)
    found: Figures = {"spread_of_logits": float(attention.std())}
    for name, precision in (("torch", "auto"), ("compiled", "auto"), ("torch", "float32")):
        engine = open_engine(model, EngineSettings(name, device, None, precision))
        features, logit, probability = seen(engine)
        product = (features * expected).sum(-1)
        cosine = product / np.linalg.norm(features, axis=-1) / np.linalg.norm(expected, axis=-1)
        found[f"{engine.name}, {engine.precision}"] = {
            "cosine_lowest_median": [float(cosine.min()), float(np.median(cosine))],
            "logit_largest_median": [
                float(np.quantile(np.abs(logit - attention), part)) for part in (1.0, 0.5)
            ],
            "probability": float(np.abs(np.subtract(probability, answer)).max()),
        }
    return found


def tiles_of(slide: Path, mpp: float, tile_px: int, count: int) -> Any:
    """Read tiles of the slide, evenly spread, uint8 (count, S, S, 3)."""
    from napari_xmag.slide.tiles import read_tiles

    with planned(slide, mpp, tile_px) as (opened, grid):
        chosen = np.linspace(0, len(grid.boxes) - 1, min(count, len(grid.boxes))).astype(int)
        boxes = [grid.boxes[index] for index in chosen]
        found = read_tiles(opened, boxes, tile_px, workers=_cores())
        pixels = np.stack([tile.pixels for tile in found if tile is not None])
    return np.resize(pixels, (count, *pixels.shape[1:]))


@contextmanager
def planned(path: Path, mpp: float, tile_px: int) -> Iterator[tuple[Any, Any]]:
    """Open a slide; give it with the tiles of its tissue."""
    from napari_xmag.slide.bag import plan_bag
    from napari_xmag.slide.open import open_slide
    from napari_xmag.slide.tissue import find_tissue

    with closing(open_slide(path)) as slide:
        yield slide, plan_bag(slide, find_tissue(slide), mpp=mpp, tile_px=tile_px).tiles


def _cores() -> int:
    from napari_xmag.cores import usable_cores

    return usable_cores()


def reading(args: argparse.Namespace) -> Figures:
    """Return tiles/s and cores in use, by the number of threads that read."""
    from napari_xmag.slide.tiles import read_tiles

    found = {}
    with planned(args.slide, 2.0, 256) as (slide, grid):
        for threads in (1, 4, 8, 16):
            begun, spent = time.perf_counter(), time.process_time()
            boxes = grid.boxes[:: 4 if threads == 1 else 1]
            count = sum(tile is not None for tile in read_tiles(slide, boxes, 256, workers=threads))
            wall = time.perf_counter() - begun
            found[threads] = {
                "tiles_per_s": count / wall,
                "cores": (time.process_time() - spent) / wall,
            }
    return found


def slides(args: argparse.Namespace) -> Figures:
    """Return slides a minute of each network, by the number of processes."""
    found: Figures = {}
    for network in args.networks:
        folder = folder_of(network, args.out)
        found[network] = {n: _slides(folder, n, args) for n in args.processes}
    return found


def _slides(folder: Path, processes: int, args: argparse.Namespace) -> Figures:
    """Let each process analyze its copies of the slide, all at once."""
    place = args.out / "slides"
    shutil.rmtree(place, ignore_errors=True)
    spawning = multiprocessing.get_context("spawn")
    ready, queue = spawning.Barrier(processes + 1), spawning.Queue()
    share = max(1, _cores() // processes)
    os.environ["OMP_NUM_THREADS"] = str(share)
    facts = args.slide, folder, args.device, args.slides, place, ready, queue
    workers = [spawning.Process(target=_worker, args=(n, *facts)) for n in range(processes)]
    for worker in workers:
        worker.start()
    del os.environ["OMP_NUM_THREADS"]
    ready.wait(timeout=240)
    begun = time.perf_counter()
    told = [queue.get(timeout=240) for _ in workers]
    wall = time.perf_counter() - begun
    for worker in workers:
        worker.join()
    stages = {key: median(each[key] for each in told) for key in told[0]}
    return {
        "slides_per_minute": 60 * processes * args.slides / wall,
        "threads_each": share,
        "seconds_of_a_slide": stages,
    }


def _worker(
    number: int,
    slide: Path,
    folder: Path,
    device: str,
    count: int,
    place: Path,
    ready: Any,
    out: Any,
) -> None:
    from napari_xmag.nets.folders.stored import StoredModel

    model = StoredModel.open(folder)
    _analyze(slide, model, device, place / f"warm-{number}")
    ready.wait(timeout=240)
    each = [_analyze(slide, model, device, place / f"{number}-{repeat}") for repeat in range(count)]
    out.put({key: median(one[key] for one in each) for key in each[0]})


def _analyze(path: Path, model: Any, device: str, out: Path) -> dict[str, float]:
    from napari_xmag.analyze.engine import analyze_slide
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.export import export_all
    from napari_xmag.slide.open import open_slide

    begun = time.perf_counter()
    with closing(open_slide(path)) as slide:
        result = analyze_slide(slide, model, AnalyzeSettings(device=device))
        analyzed = time.perf_counter()
        export_all(slide, result, out)
    now = time.perf_counter()
    whole = {"analysis": analyzed - begun, "exports": now - analyzed, "whole": now - begun}
    return {**result.seconds, **whole, "tiles": result.tiles_read}


PARTS: Parts = {
    "encoding": encoding,
    "reading": reading,
    "slides": slides,
}

if __name__ == "__main__":
    sys.exit(main())
