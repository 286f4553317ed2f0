"""Many damaged slides, each opened in a child process that may not die, hang or be surprised.

``python -m tests.fuzz.campaign --count 5000 --seed 1`` prints a table of what became of them.
"""

import argparse
import json
import math
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import numpy as np

from tests.fuzz.mutations import Keeps, Mutant, mutate
from tests.fuzz.seeds import SEEDS

_ROOT = Path(__file__).resolve().parents[2]
_MOST_BYTES = 3 * 2**30
_SECONDS = 90.0
_LEICA_CORNER = (40.0, 60.0)


@dataclass(frozen=True)
class Fate:
    """What became of one damaged slide.

    Attributes
    ----------
    kind
        Of slide.
    number
        Of the mutation; with the seed it makes the same file again.
    mutation
        What was done.
    words
        ``opened``, ``refused``, or what went wrong.
    """

    kind: str
    number: int
    mutation: str
    words: str

    @property
    def is_bad(self) -> bool:
        """Whether a user would have suffered."""
        return self.words not in ("opened", "refused")


def run(count: int, seed: int, first: int = 0) -> Iterator[Fate]:
    """Damage slides of every kind in turn and yield what became of each."""
    folder = Path(tempfile.mkdtemp(prefix="xmag-fuzz-"))
    try:
        originals = {}
        for number, (kind, slide) in enumerate(SEEDS.items()):
            path = folder / f"seed{number}{slide.suffix}"
            slide.write(path)
            originals[kind] = path.read_bytes()
            path.unlink()
        with _Victim() as victim:
            for number in range(first, first + count):
                kind = list(SEEDS)[number % len(SEEDS)]
                mutant = mutate(originals[kind], np.random.default_rng([seed, number]))
                yield _fate(victim, folder, kind, number, mutant)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fate(victim: "_Victim", folder: Path, kind: str, number: int, mutant: Mutant) -> Fate:
    # A folder each: the files of one folder would be looked through for parts of a DICOM slide.
    place = folder / str(number)
    place.mkdir()
    path = place / f"slide{SEEDS[kind].suffix}"
    path.write_bytes(mutant.data)
    corner = _LEICA_CORNER if kind == "Leica SCN" else (0.0, 0.0)
    words = victim.use(path, corner, mutant.keeps)
    shutil.rmtree(place)
    return Fate(kind, number, mutant.words, words)


class _Victim:
    """A child process; a new one takes the place of one that died."""

    def __enter__(self) -> "_Victim":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def use(self, path: Path, corner: tuple[float, float], keeps: Keeps) -> str:
        """Return what became of a file."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps([str(path), corner, keeps]) + "\n")
        self._child.stdin.flush()
        try:
            answer = self._said.get(timeout=_SECONDS)
        except queue.Empty:
            self._renew()
            return "hang"
        if not answer:
            code = self._child.wait()
            self._renew()
            return f"crash: the process ended with {code}"
        return str(json.loads(answer))

    def _renew(self) -> None:
        self._end()
        self._start()

    def _start(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.fuzz.victim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=_ROOT,
            preexec_fn=_limit if sys.platform == "linux" else None,
        )
        said: queue.Queue[str] = queue.Queue()
        Thread(target=_listen, args=(self._child, said), daemon=True).start()
        self._said = said

    def _end(self) -> None:
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            assert stream is not None
            stream.close()


def _listen(child: "subprocess.Popen[str]", said: "queue.Queue[str]") -> None:
    assert child.stdout is not None
    try:
        for line in child.stdout:
            said.put(line)
    except ValueError:  # closed at the end
        return
    said.put("")


def _limit() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))


def main() -> int:
    """Run a campaign, say what went wrong as it happens, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="end after so long")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    args = parser.parse_args()
    fates, begun = Counter[tuple[str, str]](), time.monotonic()
    done = 0
    for fate in run(args.count, args.seed, args.first):
        done += 1
        fates[fate.kind, fate.words.partition(":")[0]] += 1
        if fate.is_bad:
            print(f"{fate.number} {fate.kind}, {fate.mutation}: {fate.words}", flush=True)
        if time.monotonic() - begun > args.seconds:
            break
    words = sorted({word for _, word in fates})
    print("| slide | " + " | ".join(words) + " |")
    print("|---" * (len(words) + 1) + "|")
    for kind in SEEDS:
        print(f"| {kind} | " + " | ".join(str(fates[kind, word]) for word in words) + " |")
    print(f"{done} mutations of seed {args.seed} in {time.monotonic() - begun:.0f} s")
    return int(any(word not in ("opened", "refused") for _, word in fates))


if __name__ == "__main__":
    sys.exit(main())
