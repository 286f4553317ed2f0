#!/usr/bin/env python3
"""Analyze many small slides by one worker and by several, and kill some of it in the middle.

usage: many_slides.py [--slides 100] [--workers 2] [--model M] [--keep FOLDER]

Makes small slides, and runs `napari-xmag analyze` on them:

- with one worker, and with several: wall and CPU seconds, and whether tiles.csv has the same bytes;
- with several, of which one is killed (SIGKILL) after a tenth of the slides, and the whole run
  after half of them; then once more, to its end: what is lost, doubled or different.

While they run, resident memory and open files of the workers are read from /proc after every slide.
Prints a table in Markdown. Linux only. Where other work is on the machine, CPU seconds say more
than wall seconds.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from napari_xmag.slide.sample_cohort import write_sample_cohort

Watch = Callable[["Run", int], None]


@dataclass
class Run:
    """One run of the command, and what was seen of it.

    Attributes
    ----------
    process
        The command.
    memory_mb, files
        After each slide: of the worker that has most.
    """

    process: "subprocess.Popen[str]"
    memory_mb: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0
    ended: dict[str, object] = field(default_factory=dict)

    def workers(self) -> list[int]:
        """Return the processes that analyze."""
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in listed if "spawn_main" in _text(child, "cmdline")]

    def look(self) -> None:
        """Note memory and open files."""
        workers = self.workers()
        memory = [_resident_mb(pid) for pid in workers]
        if memory:
            self.memory_mb.append(max(memory))
            self.files.append(max(_open_files(pid) for pid in workers))


def main() -> None:
    """Make the slides, run, kill, compare and print."""
    args = _arguments()
    with TemporaryDirectory() as temporary:
        place = args.keep or Path(temporary)
        slides = place / "slides"
        for _ in write_sample_cohort(slides, args.slides):
            pass
        # The graph of the model is made once, by whatever run is the first.
        analyze(args, min(slides.glob("*.tif")), place / "first", 1)
        one = analyze(args, slides, place / "one", 1)
        several = analyze(args, slides, place / "several", args.workers)
        killed = analyze(args, slides, place / "killed", args.workers, _killer(args.slides))
        before = {
            path: path.stat().st_mtime_ns for path in (place / "killed").glob("[!.]*/result.json")
        }
        resumed = analyze(args, slides, place / "killed", args.workers)
        kept = sum(path.stat().st_mtime_ns == when for path, when in before.items())
        print(_table({"1 worker": one, f"{args.workers} workers": several, "resumed": resumed}))
        print(f"\nSpeed-up: {one.wall / several.wall:.2f} (wall)")
        print(f"Same tiles.csv: {same(place / 'one', place / 'several')}")
        print(f"Killed with exit code {killed.process.returncode}, {len(before)} results whole;")
        print(f"resumed: {kept} of them kept, {resumed.ended}, same: ", end="")
        print(same(place / "one", place / "killed"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slides", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave slides and results here")
    return parser.parse_args()


def analyze(
    args: argparse.Namespace, slides: Path, out: Path, workers: int, watch: Watch | None = None
) -> Run:
    """Run the command to its end, or until ``watch`` kills it."""
    command = [sys.executable, "-m", "napari_xmag.cli", "analyze", str(slides), "--out", str(out)]
    command += ["--workers", str(workers), "--device", "cpu", "--progress", "json"]
    command += ["--kept-features", "0"]  # each run encodes for itself
    command += ["--model", args.model] if args.model else []
    begun, used = time.perf_counter(), _cpu_seconds()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run = Run(process)
        finished = 0
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "finished":
                finished += 1
                run.look()
                if watch is not None:
                    watch(run, finished)
            elif event["event"] == "ended":
                run.ended = {key: event.get(key, 0) for key in ("done", "reused", "failed")}
    run.wall, run.cpu = time.perf_counter() - begun, _cpu_seconds() - used
    return run


def same(one: Path, other: Path) -> bool:
    """Return whether all slides of both have the same tables of patches, to the byte."""
    tables = [
        {path.parent.name: path.read_bytes() for path in out.glob("[!.]*/tiles.csv")}
        for out in (one, other)
    ]
    return tables[0] == tables[1] and bool(tables[0])


def _killer(slides: int) -> Watch:
    def kill(run: Run, finished: int) -> None:
        if finished == max(slides // 10, 1):
            os.kill(run.workers()[0], signal.SIGKILL)
        elif finished == slides // 2:
            run.process.kill()

    return kill


def _table(runs: dict[str, Run]) -> str:
    heads = ("run", "done", "wall s", "CPU s", "memory MB, first fifth", "last fifth", "files", "")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, run in runs.items():
        fifth = max(len(run.memory_mb) // 5, 1)
        cells = (
            name,
            str(run.ended.get("done")),
            f"{run.wall:.1f}",
            f"{run.cpu:.1f}",
            f"{mean(run.memory_mb[:fifth]):.0f}",
            f"{mean(run.memory_mb[-fifth:]):.0f}",
            f"{mean(run.files[:fifth]):.1f}",
            f"{mean(run.files[-fifth:]):.1f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _text(pid: int | str, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:  # it has ended
        return ""


def _resident_mb(pid: int) -> float:
    for line in _text(pid, "status").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1e3
    return 0.0


def _open_files(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


if __name__ == "__main__":
    main()
