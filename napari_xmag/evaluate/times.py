"""What was timed, in numbers for programs and tables for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_xmag._about import NOTICE
from napari_xmag.analyze.provenance import program_versions
from napari_xmag.evaluate.report import FORMAT
from napari_xmag.filenames import RESULTS, RESULTS_TABLE
from napari_xmag.files import whole_file, write_json
from napari_xmag.markdown import table


@dataclass(frozen=True)
class StageTime:
    """How long a stage takes for all tiles.

    Attributes
    ----------
    seconds
        For ``total`` tiles; extrapolated in proportion where fewer were measured.
    measured, total
        Tiles.
    """

    seconds: float
    measured: int
    total: int

    @property
    def extrapolated(self) -> bool:
        """Whether only a part was measured."""
        return self.measured < self.total


@dataclass(frozen=True)
class Way:
    """A slide's way with one encoder: tissue, plan, read, encode, head, one after the other."""

    name: str
    mpp: float
    tile_px: int
    parameters: int
    device: str
    precision: str
    tiles: int
    stages: Mapping[str, StageTime]

    @property
    def seconds(self) -> float:
        """All stages, one after the other."""
        return sum(stage.seconds for stage in self.stages.values())

    @property
    def overlapped(self) -> float:
        """The same when the tiles are read while others are encoded."""
        hidden = min(self.stages["read"].seconds, self.stages["encode"].seconds)
        return self.seconds - hidden

    @property
    def extrapolated(self) -> bool:
        """Whether a stage was measured in part."""
        return any(stage.extrapolated for stage in self.stages.values())


@dataclass(frozen=True)
class SlideTimes:
    """All that was timed on one slide.

    Attributes
    ----------
    analysis
        Seconds by stage of the whole analysis as the window runs it, with tiles, tiles_per_second
        and peak_memory_gb; empty when none was run.
    """

    slide: str
    width: int
    height: int
    ways: Sequence[Way]
    analysis: Mapping[str, float] = field(default_factory=dict)


def way_facts(way: Way) -> dict[str, Any]:
    """Return a way ready for JSON."""
    return {
        "name": way.name,
        "mpp": way.mpp,
        "tile_px": way.tile_px,
        "parameters": way.parameters,
        "device": way.device,
        "precision": way.precision,
        "tiles": way.tiles,
        "stages": {
            name: {
                "seconds": stage.seconds,
                "measured_tiles": stage.measured,
                "extrapolated": stage.extrapolated,
            }
            for name, stage in way.stages.items()
        },
        "seconds": way.seconds,
        "seconds_overlapped": way.overlapped,
        "slides_per_minute": 60 / way.seconds,
    }


def write_times(out: Path, config: Mapping[str, Any], slides: Sequence[SlideTimes]) -> None:
    """Write results.json and results.md.

    Raises
    ------
    ExportError
        When the folder cannot be written.
    """
    content = {
        "format": FORMAT,
        "kind": "speed",
        "notice": NOTICE,
        "slides": [
            {
                "slide": times.slide,
                "width": times.width,
                "height": times.height,
                "ways": [way_facts(way) for way in times.ways],
                "ratio": None if len(times.ways) < 2 else ratios(*times.ways),
                "analysis": dict(times.analysis),
            }
            for times in slides
        ],
        "machine": machine(),
        "config": config,
        "versions": program_versions(),
    }
    write_json(out / RESULTS, content)
    parts = [f"**{NOTICE}**", f"Machine: {machine()['words']}.", *map(slide_table, slides)]
    with whole_file(out / RESULTS_TABLE) as unfinished:
        unfinished.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return the cores and threads of this machine, and its GPU where there is one."""
    import os

    import torch

    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    words = f"{cores} CPU cores, {threads} threads" + (f", {gpu}" if gpu else "")
    return {"words": words, "cpu_cores": cores, "threads": threads, "gpu": gpu}


def ratios(coarse: Way, fine: Way) -> dict[str, float]:
    """Return how many times more the fine way takes, in tiles and in time."""
    return {
        "tiles": fine.tiles / coarse.tiles,
        "seconds": fine.seconds / coarse.seconds,
        "seconds_overlapped": fine.overlapped / coarse.overlapped,
    }


def slide_table(times: SlideTimes) -> str:
    """Return the times of a slide as Markdown."""
    ways = times.ways
    names = [
        f"{way.name} ({way.mpp:g} µm/px, {way.tile_px} px, {way.parameters / 1e6:.3g} M "
        f"parameters, {way.device}, {way.precision})"
        for way in ways
    ]
    rows = [("tiles", [str(way.tiles) for way in ways], [float(way.tiles) for way in ways])]
    for stage in ways[0].stages:
        found = [way.stages[stage] for way in ways]
        rows.append((f"{stage}, s", [_cell(item) for item in found], [i.seconds for i in found]))
    marks = ["about " if way.extrapolated else "" for way in ways]
    sums = {
        "sequential, s": [way.seconds for way in ways],
        "reading while encoding, s": [way.overlapped for way in ways],
        "slides per minute": [60 / way.seconds for way in ways],
    }
    for name, values in sums.items():
        cells = [f"{mark}{short(value)}" for mark, value in zip(marks, values, strict=True)]
        rows.append((name, cells, values))
    heading = ["stage", *names, *(["ratio"] if len(ways) == 2 else [])]
    parts = [
        f"## {times.slide} ({times.width}×{times.height} px)",
        table(heading, [_row(name, cells, values) for name, cells, values in rows]),
    ]
    if times.analysis:
        named = [(name.replace("_", " "), short(v)) for name, v in times.analysis.items()]
        parts += ["The complete analysis, as the window runs it:", table(("", ""), named)]
    return "\n\n".join(parts)


def short(value: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _cell(stage: StageTime) -> str:
    if not stage.extrapolated:
        return short(stage.seconds)
    return f"about {short(stage.seconds)} (from {stage.measured} of {stage.total} tiles)"


def _row(name: str, cells: Sequence[str], values: Sequence[float]) -> list[str]:
    ratio = [short(values[1] / values[0])] if len(values) == 2 and values[0] else []
    return [name, *cells, *ratio]
