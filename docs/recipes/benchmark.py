#!/usr/bin/env python3
"""Time the analysis of a slide and its parts, each in a process of its own, in turns.

usage: benchmark.py SLIDE [--model M] [--device D] [--repeats 3] [--engines graph torch]
                    [--lazyslide PYTHON] [--out benchmark.json]

Every round measures each row once, so that whatever else the machine does meets all of them:

- graph alone: the network in ONNX Runtime on random tiles, one on each core, and nothing else;
- encoding alone: the same tiles through the engine's lanes, with the head;
- reading alone: all tiles of the plan;
- whole analysis: from opening the slide to the result;
- whole command: `napari-xmag analyze` from its start to the last export, with peak memory.

With --lazyslide, LazySlide in that Python environment finds the tissue, cuts the same tiles and
computes the features of the same backbone, without head, map or exports (lazyslide_features.py).
Prints tables in Markdown: medians over the rounds, the fastest in brackets. Where rounds differ
much, other work was on the machine, and only ratios within a round mean something.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

Figures = dict[str, float]

_SAMPLE, _SECONDS = 64, 10.0


def main() -> None:
    """Measure all rows in turns and print the tables."""
    args = _arguments()
    if args.part:
        print(json.dumps(PARTS[args.part](args)))
        return
    rounds: dict[str, list[Figures]] = {}
    with TemporaryDirectory() as place:
        jobs = _jobs(args, Path(place))
        for number in range(args.repeats):
            for name, command in jobs.items():
                print(f"round {number + 1}: {name}", file=sys.stderr)
                rounds.setdefault(name, []).append(run(command))
    if args.out:
        args.out.write_text(json.dumps(rounds, indent=1) + "\n", encoding="utf-8")
    print(report(rounds, args.engines))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slide", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["graph", "torch"])
    parser.add_argument("--lazyslide", type=Path, metavar="PYTHON")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--engine", default="auto", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=_SECONDS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _jobs(args: argparse.Namespace, place: Path) -> dict[str, list[str]]:
    """Return the command of each row; every one prints its figures as JSON in its last line."""
    common = [str(args.slide), "--device", args.device, "--seconds", str(args.seconds)]
    model = ["--model", args.model] if args.model else []
    own = [sys.executable, __file__, *common, *model]
    jobs = {"graph alone": [*own, "--part", "graph"]} if "graph" in args.engines else {}
    for engine in args.engines:
        jobs[f"encoding alone, {engine}"] = [*own, "--part", "encoding", "--engine", engine]
    jobs["reading alone"] = [*own, "--part", "reading"]
    for engine in args.engines:
        jobs[f"whole analysis, {engine}"] = [*own, "--part", "analysis", "--engine", engine]
    command = [sys.executable, "-m", "napari_xmag.cli", "analyze", str(args.slide), *model]
    # a second round would neither analyze nor encode
    command += ["--force", "--kept-features", "0"]
    for engine in args.engines:
        options = ["--device", args.device, "--engine", engine, "--out", str(place / engine)]
        jobs[f"whole command, {engine}"] = [*command, *options]
    if args.lazyslide:
        jobs["LazySlide to features"] = _lazyslide(args, place)
    return jobs


def _lazyslide(args: argparse.Namespace, place: Path) -> list[str]:
    from napari_xmag.zoo import check_model, find_model

    folder = find_model(args.model)
    info = check_model(folder)
    script = Path(__file__).with_name("lazyslide_features.py")
    sizes = [str(info.tile_px), str(info.mpp)]
    return [str(args.lazyslide), str(script), str(args.slide), str(folder), *sizes, str(place)]


def run(command: Sequence[str]) -> Figures:
    """Run a row and return its figures, with wall and CPU seconds and the peak of its memory."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        output = process.stdout.read() if process.stdout else ""
        figures = _usage(process)
    figures["seconds"] = time.perf_counter() - begun
    if process.returncode:
        raise SystemExit(f"failed with exit code {process.returncode}: {' '.join(command)}")
    last = (output.strip().splitlines() or [""])[-1]
    return figures | (json.loads(last) if last.startswith("{") else {})


def _usage(process: subprocess.Popen[str]) -> Figures:
    """Wait for a process; return what the system says of it, where it says anything."""
    if not hasattr(os, "wait4"):
        process.wait()
        return {}
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    return {"cpu": usage.ru_utime + usage.ru_stime, "peak_gb": peak}


def _opened(args: argparse.Namespace) -> Any:
    from napari_xmag.slide.open import open_slide

    return closing(open_slide(args.slide))


def _planned(slide: Any, model: Any) -> Any:
    from napari_xmag.slide.bag import plan_bag
    from napari_xmag.slide.tissue import find_tissue

    info = model.info
    mask = find_tissue(slide)
    return plan_bag(slide, mask, mpp=info.mpp, tile_px=info.tile_px, cells=model.cells)


def _model(args: argparse.Namespace) -> Any:
    from napari_xmag.zoo import open_model

    return open_model(args.model)


def _sample(args: argparse.Namespace, model: Any) -> Any:
    """Read random tiles, uint8 (k, S, S, 3), and the patches of each that hold tissue."""
    import numpy as np

    from napari_xmag.slide.tiles import read_tile

    with _opened(args) as slide:
        bag = _planned(slide, model)
        count = min(_SAMPLE, len(bag.tiles.boxes))
        chosen = np.random.default_rng(0).choice(len(bag.tiles.boxes), count, replace=False)
        boxes = [bag.tiles.boxes[index] for index in chosen]
        pixels = np.stack([read_tile(slide, box, bag.tiles.tile_px) for box in boxes])
    return pixels, bag.members[chosen] >= 0


def graph_alone(args: argparse.Namespace) -> Figures:
    """Return tiles a second of the network in ONNX Runtime, one tile on each core."""
    from napari_xmag.cores import usable_cores
    from napari_xmag.nets.engines.graph_engine import INPUT, OUTPUT
    from napari_xmag.nets.engines.open import graph_of
    from napari_xmag.nets.engines.runtime import open_session

    model = _model(args)
    pixels, _ = _sample(args, model)
    session, cores = open_session(graph_of(model)), usable_cores()

    def encode(index: int) -> None:
        session.run([OUTPUT], {INPUT: pixels[index % len(pixels)][None]})

    with ThreadPoolExecutor(cores) as pool:
        return _rate(lambda first: list(pool.map(encode, range(first, first + 8))), 8, args.seconds)


def encoding_alone(args: argparse.Namespace) -> Figures:
    """Return tiles a second of an engine, with its lanes and the head."""
    from napari_xmag.nets.engines.lanes import EngineLanes
    from napari_xmag.nets.engines.open import EngineSettings, open_engine

    model = _model(args)
    pixels, tissue = _sample(args, model)
    engine = open_engine(model, EngineSettings(args.engine, args.device))
    size = min(engine.batch_size, len(pixels))

    def score(first: int) -> None:
        futures = []
        for lane in range(4 * engine.lanes):
            start = (first + lane * size) % (len(pixels) - size + 1)
            part, of_tissue = pixels[start : start + size], tissue[start : start + size]
            futures.append(lanes.submit(lambda p, t=of_tissue: engine.score(p, t), part))
        for future in futures:
            future.result()

    with closing(EngineLanes(engine, patient=True)) as lanes:
        return _rate(score, 4 * engine.lanes * size, args.seconds)


def _rate(work: Callable[[int], object], tiles: int, seconds: float) -> Figures:
    work(0)  # warms up
    done, begun, spent = 0, time.perf_counter(), time.process_time()
    while not done or time.perf_counter() - begun < seconds:
        work(done)
        done += tiles
    wall, cpu = time.perf_counter() - begun, time.process_time() - spent
    return {"tiles_per_second": done / wall, "tiles_per_cpu_second": done / cpu}


def reading_alone(args: argparse.Namespace) -> Figures:
    """Return the seconds of tissue, plan, and reading all tiles."""
    from napari_xmag.slide.tiles import read_tiles

    with _opened(args) as slide:
        grid = _planned(slide, _model(args)).tiles
        begun, spent = time.perf_counter(), time.process_time()
        with closing(read_tiles(slide, grid.boxes, grid.tile_px)) as tiles:
            count = sum(tile is not None for tile in tiles)
        wall = time.perf_counter() - begun
    return {"tiles": count, "reading": wall, "reading_cpu": time.process_time() - spent}


def analysis(args: argparse.Namespace) -> Figures:
    """Return the seconds of the whole analysis, by stage."""
    from napari_xmag.analyze.engine import analyze_slide
    from napari_xmag.analyze.settings import AnalyzeSettings

    begun, spent = time.perf_counter(), time.process_time()
    with _opened(args) as slide:
        settings = AnalyzeSettings(device=args.device, engine=args.engine)
        result = analyze_slide(slide, _model(args), settings)
    wall = time.perf_counter() - begun
    stages = {name: seconds for name, seconds in result.seconds.items() if name != "total"}
    whole = {"analysis": wall, "analysis_cpu": time.process_time() - spent}
    return {**stages, **whole, "tiles": result.tiles_read}


PARTS: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "graph": graph_alone,
    "encoding": encoding_alone,
    "reading": reading_alone,
    "analysis": analysis,
}


def report(rounds: dict[str, list[Figures]], engines: Sequence[str]) -> str:
    """Return the tables."""
    lines = [f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores", ""]
    lines += ["| on random tiles | tiles/s | tiles per CPU second |", "|---|---|---|"]
    lines += [
        f"| {name} | {_cell(found, 'tiles_per_second')} | {_cell(found, 'tiles_per_cpu_second')} |"
        for name, found in rounds.items()
        if "tiles_per_second" in found[0]
    ]
    lines += ["", "| | seconds | CPU seconds | peak, GB |", "|---|---|---|---|"]
    for name, found in rounds.items():
        if "tiles_per_second" not in found[0]:
            wall = next(key for key in ("reading", "analysis", "seconds") if key in found[0])
            cpu = "cpu" if wall == "seconds" else f"{wall}_cpu"
            cells = _cell(found, wall), _cell(found, cpu), _cell(found, "peak_gb")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    stages = [name for name in rounds if name.startswith("whole analysis")]
    for name in stages:
        parts = [key for key in rounds[name][0] if key in _STAGES]
        lines += ["", f"{name}: " + ", ".join(f"{k} {_cell(rounds[name], k)} s" for k in parts)]
    lines += ["", "| ratio, within each round | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in _ratios(rounds, engines)]
    return "\n".join(lines)


_STAGES = ("tissue", "plan", "model", "first_tiles", "read_wait", "encode", "head")


def _cell(found: Sequence[Figures], key: str) -> str:
    values = [figures[key] for figures in found if key in figures]
    if not values:
        return "–"
    best = max(values) if key.startswith("tiles") else min(values)
    return f"{median(values):.3g} ({best:.3g})"


def _ratios(rounds: dict[str, list[Figures]], engines: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, list[float]]] = []

    def add(name: str, upper: Sequence[float], lower: Sequence[float]) -> None:
        found.append((name, [a / b for a, b in zip(upper, lower, strict=True)]))

    def of(row: str, key: str) -> list[float]:
        return [figures[key] for figures in rounds[row]]

    for engine in engines:
        rates = of(f"encoding alone, {engine}", "tiles_per_second")
        tiles, reading = of("reading alone", "tiles"), of("reading alone", "reading")
        alone = [r + t / rate for r, t, rate in zip(reading, tiles, rates, strict=True)]
        analyzed = of(f"whole analysis, {engine}", "analysis")
        add(
            f"whole analysis to reading and encoding one after the other, {engine}", analyzed, alone
        )
    if "graph" in engines:
        rates = of("encoding alone, graph", "tiles_per_second")
        add("encoding to the graph alone, tiles/s", rates, of("graph alone", "tiles_per_second"))
    first = f"whole command, {engines[0]}"
    for row in (f"whole command, {other}" for other in engines[1:]):
        add(f"{row} to {engines[0]}, seconds", of(row, "seconds"), of(first, "seconds"))
        if "cpu" in rounds[first][0]:
            add(f"{row} to {engines[0]}, CPU seconds", of(row, "cpu"), of(first, "cpu"))
    if "LazySlide to features" in rounds:
        lazy = of("LazySlide to features", "seconds")
        add(f"LazySlide to features to {first}, seconds", lazy, of(first, "seconds"))
        if "cpu" in rounds[first][0]:
            spent = of("LazySlide to features", "cpu")
            add(f"LazySlide to features to {first}, CPU seconds", spent, of(first, "cpu"))
    return [
        (name, f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
        for name, values in found
    ]


if __name__ == "__main__":
    main()
