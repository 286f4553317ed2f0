#!/usr/bin/env python3
"""Time teaching on the features of a large slide, made by chance.

usage: teach_latency.py [--patches 15360] [--length 1792] [--clicks 60]

Keeps features of that size, opens them again, and clicks: each click fits and maps the whole slide.
Prints wall and processor seconds (of all cores together) and the largest memory, as Markdown.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_xmag.features.key import FeatureKey
from napari_xmag.features.store import FeatureStore
from napari_xmag.geometry import Box
from napari_xmag.markdown import table
from napari_xmag.slide.tiles import TileGrid
from napari_xmag.teach.classifier import Learner
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.session import TeachSession
from napari_xmag.teach.suggest import find_similar, suggest

COLUMNS = 128
KINDS = 4
STRIDE = 512.0

Times = list[tuple[float, float]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patches", type=int, default=15360)
    parser.add_argument("--length", type=int, default=1792)
    parser.add_argument("--clicks", type=int, default=60)
    args = parser.parse_args()
    times: dict[str, Times] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder))
        key, kinds = keep(store, args.patches, args.length)
        size = sum(file.stat().st_size for file in store.place(key).iterdir())
        click(store, key, kinds, args.clicks, times)
    rows = [(name, str(len(some)), *figures(some)) for name, some in times.items()]
    heads = ("step", "times", "median s", "95th percentile s", "processor s (median)")
    print(table(heads, rows))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\n{args.patches} patches, {args.length} features: {size / 1e6:.0f} MB on disk, "
        f"{peak:.2f} GB of memory at most"
    )


def keep(store: FeatureStore, patches: int, length: int) -> tuple[FeatureKey, np.ndarray]:
    """Keep features of some kinds of tissue in large patches; return their key and kinds."""
    draw = np.random.default_rng(0)
    rows, columns = np.divmod(np.arange(patches), COLUMNS)
    kinds = (columns // 16 + rows // 16) % KINDS
    boxes = tuple(
        Box(c * STRIDE, r * STRIDE, STRIDE, STRIDE) for r, c in zip(rows, columns, strict=True)
    )
    shape = int(rows.max()) + 1, COLUMNS
    grid = TileGrid(boxes, columns, rows, 2.0, 64, STRIDE, STRIDE, 0.0, 0.0, shape)
    key = FeatureKey("0" * 32, 1, "e" * 64, "cells", 2.0, 256, STRIDE, STRIDE, 0.0, 0.0)
    writer = store.writer(key, grid, precision="float32", names=("made", "made"), mpp=(0.25, 0.25))
    means = draw.normal(size=(KINDS, length))
    for start in range(0, patches, 1024):
        indices = np.arange(start, min(start + 1024, patches))
        noise = draw.normal(size=(len(indices), length))
        writer.add(indices, means[kinds[indices]] * 0.5 + noise)
    writer.finish()
    return key, kinds


def click(
    store: FeatureStore, key: FeatureKey, kinds: np.ndarray, clicks: int, times: dict[str, Times]
) -> None:
    """Open the slide, click on it, and time each step."""
    session, teacher = TeachSession(), Learner()
    names = [f"Kind {kind}" for kind in range(KINDS)]
    session.clear_classes()
    for name in names:
        session.add_class(name)
    draw = np.random.default_rng(1)
    with timed(times, "open: read, check, lay out"):
        features = store.find(key)
        assert features is not None
        slide = PreparedSlide(features, np.ones(len(features)))
        session.open_slide(slide)
        layout = teacher.layout(session.request())
    order = draw.permutation(len(kinds))[:clicks]
    for patch in order:
        session.mark(slide.id, [patch], names[kinds[patch]])
        if len({kinds[p] for p in order}) > 1 and session.lesson.slides:
            step(times, "click: fit and map", lambda: fitted(teacher, session))
    for patch in order[:20]:
        step(times, "find similar", lambda p=patch: find_similar(layout, [slide], slide.id, int(p)))
    taught = teacher.fit(session.request())
    step(times, "suggest twelve", lambda: suggest(taught))


def fitted(teacher: Learner, session: TeachSession) -> None:
    """Fit once two classes have examples."""
    if len({example.class_name for example in session.lesson.examples}) > 1:
        teacher.fit(session.request())


def step(times: dict[str, Times], name: str, work: Callable[[], object]) -> None:
    """Do some work and note how long it took."""
    with timed(times, name):
        work()


@contextmanager
def timed(times: dict[str, Times], name: str) -> Iterator[None]:
    """Note how long a block took."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    took = time.perf_counter() - wall, time.process_time() - processor
    times.setdefault(name, []).append(took)


def figures(some: Times) -> tuple[str, str, str]:
    """Return median and 95th percentile of the wall seconds, median of the processor's."""
    wall, processor = np.array(some).T
    high = np.quantile(wall, 0.95)
    return f"{np.median(wall):.3f}", f"{high:.3f}", f"{np.median(processor):.3f}"


if __name__ == "__main__":
    main()
