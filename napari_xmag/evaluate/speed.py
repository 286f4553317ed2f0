"""How long a slide takes at 5x and at 20x, stage by stage in one run."""

import time
from collections.abc import Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xmag.errors import TissueError
from napari_xmag.evaluate.config import EncoderConfig, SpeedConfig
from napari_xmag.evaluate.encoders import TileSource, load_source
from napari_xmag.evaluate.plots import plot_times
from napari_xmag.evaluate.times import SlideTimes, StageTime, Way, write_times
from napari_xmag.filenames import TIMES
from napari_xmag.nets.device import encode
from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.progress.events import Progress, RunFinished, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tiles import TileGrid, plan_tiles, read_tiles
from napari_xmag.slide.tissue import TissueMask, find_tissue

if TYPE_CHECKING:
    from napari_xmag.analyze.events import AnalyzeEvent
    from napari_xmag.slide.base import Slide

# Reading is fast within a row of tiles and slow between far places: a sample keeps whole runs.
_RUN = 64
_KEPT = 64
_HIDDEN, _CLASSES = 128, 2


def evaluate_speed(
    config: SpeedConfig, out: Path
) -> Generator[Progress | RunFinished, None, list[SlideTimes]]:
    """Time slides.

    Parameters
    ----------
    out
        Gets results.json and results.md.

    Returns
    -------
    The times of each slide.

    Raises
    ------
    XmagError
        When a slide does not open or an encoder does not load.
    """
    # the analysis comes first: its peak memory must not be that of the network it is compared with
    analyses: list[dict[str, float]] = [{} for _ in config.slides]
    if config.analysis and config.coarse.model is not None:
        analyses = []
        for path in config.slides:
            meter = ProgressMeter(Stage.ANALYZING, item=path.name)
            analyses.append((yield from run_with_progress(partial(_analyze, path, config), meter)))
    masks = []
    for path in config.slides:
        meter = ProgressMeter(Stage.TISSUE, item=path.name)
        masks.append((yield from run_with_progress(partial(_find_tissue, path, config), meter)))
    ways: list[list[Way]] = [[] for _ in config.slides]
    for settings in (config.coarse, config.fine):
        if settings is None:
            continue
        source = yield from load_source(settings, config.machine, None)
        for path, mask, found in zip(config.slides, masks, ways, strict=True):
            found.append((yield from _way(path, mask, settings, source, config)))
        del source  # the next network may be as large
    times = []
    for path, found, analysis in zip(config.slides, ways, analyses, strict=True):
        with open_slide(path, config.mpp) as slide:
            level = slide.levels[0]
        times.append(SlideTimes(path.name, level.width, level.height, found, analysis))
    write_times(out, config.model_dump(mode="json"), times)
    plot_times(times, out / TIMES)
    yield RunFinished(out, {"slides": [timed.slide for timed in times]})
    return times


def _analyze(path: Path, config: SpeedConfig) -> dict[str, float]:
    """Run the whole analysis and return its seconds by stage."""
    from napari_xmag.analyze.engine import analyze_slide
    from napari_xmag.analyze.events import TilesDone
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.zoo import load_model

    settings = AnalyzeSettings(
        device=config.machine.device,
        batch_size=config.machine.batch_size,
        workers=config.workers,
        min_tissue=config.min_tissue,
        precision=config.machine.precision,
    )
    model = load_model(config.coarse.model)
    begun = time.perf_counter()
    first: list[float] = []

    def listen(event: "AnalyzeEvent") -> None:
        if isinstance(event, TilesDone) and not first:
            first.append(time.perf_counter() - begun)

    with open_slide(path, config.mpp) as slide:
        result = analyze_slide(slide, model, settings, listen=listen)
    total = time.perf_counter() - begun
    return {
        **result.seconds,
        "opening_and_all": total,
        "first_map_pixels": first[0] if first else float("nan"),
        "tiles": float(len(result.patches)),
        "tiles_per_second": len(result.patches) / total,
        "peak_memory_gb": peak_memory_gb(),
    }


def peak_memory_gb() -> float:
    """Return the most memory this process has held, in GB; NaN where the system does not say."""
    import sys

    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)


def _find_tissue(path: Path, config: SpeedConfig) -> tuple[TissueMask, float]:
    """Open a slide and find its tissue: the same step, and the same seconds, for both ways."""
    begun = time.perf_counter()
    with open_slide(path, config.mpp) as slide:
        return find_tissue(slide), time.perf_counter() - begun


def _way(
    path: Path,
    found: tuple[TissueMask, float],
    settings: EncoderConfig,
    source: TileSource,
    config: SpeedConfig,
) -> Generator[Progress, None, Way]:
    spec = source.student.spec
    name = settings.name
    stages: dict[str, StageTime] = {}
    with open_slide(path, config.mpp) as slide:
        mask, seconds = found
        begun = time.perf_counter()
        grid = plan_tiles(
            slide, mask, mpp=spec.mpp, tile_px=spec.tile_px, min_tissue=config.min_tissue
        )
        total = len(grid.boxes)
        stages["tissue"] = StageTime(seconds, total, total)
        stages["plan"] = StageTime(time.perf_counter() - begun, total, total)
        if not total:
            raise _no_tissue(path)
        meter = ProgressMeter(Stage.READING, total, item=name)
        work = partial(_read, slide, grid, config)
        stages["read"], sample = yield from run_with_progress(work, meter)
    meter = ProgressMeter(Stage.ENCODING, total, item=name)
    encoding = partial(_encode, source, sample, total, config.budget_seconds)
    stages["encode"] = yield from run_with_progress(encoding, meter)
    meter = ProgressMeter(Stage.POOLING, item=name)
    stages["head"] = yield from run_with_progress(partial(_pool, source, total), meter)
    return Way(
        name,
        spec.mpp,
        spec.tile_px,
        sum(parameter.numel() for parameter in source.student.parameters()),
        str(source.batch.device),
        str(source.batch.dtype).removeprefix("torch."),
        total,
        stages,
    )


def _no_tissue(path: Path) -> TissueError:
    return TissueError(
        expected=f"tissue tiles in {path.name}",
        found="none",
        hint="Choose another slide, or lower min_tissue.",
    )


def _read(
    slide: "Slide", grid: TileGrid, config: SpeedConfig
) -> tuple[StageTime, NDArray[np.uint8]]:
    """Read tiles until all are read or the budget is spent; keep some, uint8 (k, S, S, 3)."""
    boxes = [grid.boxes[index] for index in reading_order(len(grid.boxes))]
    stream = read_tiles(slide, boxes, grid.tile_px, workers=config.workers)
    kept: list[NDArray[np.uint8]] = []
    done = 0
    begun = time.perf_counter()
    with closing(stream) as tiles:
        for tile in tiles:
            done += tile is not None
            if tile is not None and tile.pixels is not None and len(kept) < _KEPT:
                kept.append(tile.pixels)
            if kept and time.perf_counter() - begun > config.budget_seconds:
                break
    seconds = time.perf_counter() - begun
    if not kept:
        raise _no_tissue(slide.path)
    return StageTime(seconds * len(boxes) / done, done, len(boxes)), np.stack(kept)


def reading_order(tiles: int) -> NDArray[np.int64]:
    """Return tiles in runs of neighbours, the runs in random order: any beginning is a sample."""
    runs = np.array_split(np.arange(tiles), -(-tiles // _RUN))
    order = np.random.default_rng(0).permutation(len(runs))
    return np.concatenate([runs[index] for index in order])


def _encode(source: TileSource, sample: NDArray[np.uint8], total: int, budget: float) -> StageTime:
    """Encode tiles, the sample over and over, until as many as there are or the budget is spent."""
    begun = time.perf_counter()
    encode(source.student, sample[:1], source.batch).cpu()
    single = time.perf_counter() - begun
    size = max(1, min(source.batch.size, total, len(sample), int(budget / 2 / single)))
    encode(source.student, sample[:size], source.batch).cpu()  # warms up
    done, begun = 0, time.perf_counter()
    while done < total and (not done or time.perf_counter() - begun < budget):
        number = min(size, total - done)
        encode(source.student, sample[:number], source.batch).cpu()
        done += number
    return StageTime((time.perf_counter() - begun) * total / done, done, total)


def _pool(source: TileSource, total: int) -> StageTime:
    """Weigh and sum as many features as there are tiles; their values do not matter."""
    head = AttentionHead(source.student.dim, _HIDDEN, _CLASSES).to(source.batch.device).eval()
    features = torch.randn(total, source.student.dim, device=source.batch.device)
    with torch.inference_mode():
        head(features[:1]).logits.cpu()
        begun = time.perf_counter()
        head(features).logits.cpu()
    return StageTime(time.perf_counter() - begun, total, total)
