"""Which fields are held out, and batches that depend on seed, epoch and field alone."""

from typing import Literal

import numpy as np
import pytest
import torch

from napari_xmag.distill.loader import FieldLoader, shuffled, slide_centers
from napari_xmag.errors import ConfigError
from napari_xmag.fields.pairs import CachedPairs, PairBatch
from napari_xmag.fields.shards import FieldRecord
from napari_xmag.fields.split import evenly_spaced, held_out, rows_of
from napari_xmag.fields.view_config import ViewConfig
from napari_xmag.learn.distributed import Processes
from napari_xmag.progress.heartbeat import finish

CPU = torch.device("cpu")


def rows_of_slides(*slides: str, cases: dict[str, str] | None = None) -> list[FieldRecord]:
    cases = cases or {}
    return [
        FieldRecord(f"{s}-{i}", "t", s, 0, 0, 1, 1, 0.5, "", cases.get(s, ""))
        for s in slides
        for i in range(2)
    ]


def test_whole_slides_are_held_out() -> None:
    some = rows_of_slides("a1.svs", "a2.svs", "b1.svs")
    assert held_out(some, ["a*"], seed=0) == ["a1.svs", "a2.svs"]
    assert len(held_out(some, [], seed=0)) == 1
    with pytest.raises(ConfigError, match=r"'c\*'"):
        held_out(some, ["c*"], seed=0)
    with pytest.raises(ConfigError, match="3 of 3"):
        held_out(some, ["*"], seed=0)


def test_slides_of_a_case_are_held_out_together() -> None:
    cases = {"1.svs": "P1", "2.svs": "P1", "3.svs": "P2", "4.svs": "P3"}
    some = rows_of_slides(*cases, cases=cases)
    assert held_out(some, ["P1"], seed=0) == held_out(some, ["2.svs"], seed=0) == ["P1"]
    assert rows_of(some, ["P1"]).tolist() == [0, 1, 2, 3]
    for seed in range(10):
        (drawn,) = held_out(some, [], seed)
        held = rows_of(some, [drawn])
        assert len(held) == (4 if drawn == "P1" else 2)


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    rows = np.arange(10)
    one = np.concatenate(list(shuffled(rows, 4, seed=1, epoch=2)))
    assert np.array_equal(one, np.concatenate(list(shuffled(rows, 4, seed=1, epoch=2))))
    assert not np.array_equal(one, np.concatenate(list(shuffled(rows, 4, seed=1, epoch=3))))
    assert len(set(one.tolist())) == 8


def test_few_rows_of_many_are_evenly_spread() -> None:
    assert evenly_spaced(np.arange(10, 21), 3).tolist() == [10, 15, 20]
    assert evenly_spaced(np.arange(3), 5).tolist() == [0, 1, 2]
    assert len(evenly_spaced(np.arange(3), 0)) == 0


def pairs(count: int = 24) -> CachedPairs:
    draw = np.random.default_rng(0)
    return CachedPairs(
        draw.integers(0, 255, (count, 3, 16, 16), dtype=np.uint8),
        draw.normal(size=(count, 4, 4, 5)).astype(np.float16),
        tuple(rows_of_slides(*(f"s{n}" for n in range(count // 2)))),
    )


def loader(
    source: CachedPairs, processes: Processes | None = None, threads: int = 0
) -> FieldLoader:
    center = {record.slide: np.full(5, 0.25, np.float32) for record in source.records}
    rows = np.arange(2, 24)
    config = ViewConfig(views=2)
    processes = processes or Processes()
    return FieldLoader(source, rows, config, 8, 3, CPU, center, processes, threads)


def test_processes_share_the_batches_of_one() -> None:
    source = pairs()
    whole = list(loader(source).epoch(1))
    parts = [list(loader(source, Processes(rank, 2)).epoch(1)) for rank in range(2)]
    assert len(whole) == len(loader(source)) == 2
    for number, batch in enumerate(whole):
        assert batch.views.shape == (16, 3, 16, 16)
        for name in ("views", "grid"):
            shares = [getattr(part[number], name) for part in parts]
            assert torch.equal(torch.cat(shares), getattr(batch, name))


def test_threads_change_nothing() -> None:
    source = pairs()

    def stacked(batches: list[PairBatch]) -> torch.Tensor:
        return torch.cat([batch.views for batch in batches])

    one, other = (stacked(list(loader(source, threads=n).epoch(0))) for n in (0, 3))
    assert torch.equal(one, other)


def test_plain_rows_come_once_unchanged_and_centred() -> None:
    source = pairs()
    seen = list(loader(source).plain())
    assert np.concatenate([rows for rows, _ in seen]).tolist() == list(range(2, 24))
    rows, batch = seen[1]
    assert torch.equal(batch.views, torch.from_numpy(source.views[rows]))
    expected = source.targets[rows].astype(np.float32) - 0.25
    np.testing.assert_allclose(batch.grid, expected, atol=1e-6)
    halves = [list(loader(source, Processes(rank, 2)).plain()) for rank in range(2)]
    both = [rows.tolist() for half in halves for rows, _ in half]
    assert sorted(row for rows in both for row in rows) == list(range(2, 24))


def test_centers_of_all_training_fields_or_of_each_slide() -> None:
    targets = np.zeros((3, 4, 4, 2), np.float16)
    targets[:, :, :, 0] = np.array([1, 3, 8])[:, None, None]
    slides = ("a", "a", "held out")
    records = tuple(FieldRecord(str(i), "t", s, 0, 0, 1, 1, 0.5, "") for i, s in enumerate(slides))
    source = CachedPairs(np.zeros((3, 3, 8, 8), np.uint8), targets, records)
    training = np.array([0, 1])

    def first(kind: Literal["none", "all", "slide"]) -> dict[str, float]:
        centers = finish(slide_centers(source, training, kind))
        return {slide: float(center[0]) for slide, center in centers.items()}

    assert first("none") == {"a": 0, "held out": 0}
    assert first("all") == {"a": 2, "held out": 2}
    assert first("slide") == {"a": 2, "held out": 8}
