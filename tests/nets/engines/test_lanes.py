"""Lanes run batches side by side, hurry up where one takes long, and end."""

import threading
import time
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_xmag.nets.engines import lanes as lanes_module
from napari_xmag.nets.engines.base import HeadScores
from napari_xmag.nets.engines.lanes import EngineLanes


@dataclass
class SlowEngine:
    """Adds up pixels; each batch takes a while."""

    seconds: float = 0.0
    lanes: int = 2
    batch_size: int = 4
    name: Literal["torch"] = "torch"
    device: str = "cpu"
    precision: str = "float32"
    opened: list[str] = field(default_factory=list)
    closed: int = 0

    def take_less(self) -> None:
        self.batch_size //= 2

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(self.seconds)
        return pixels.sum((1, 2), dtype=np.float32)[:, None]

    def score(
        self, pixels: NDArray[np.uint8], tissue: NDArray[np.bool_], *, keep: bool = False
    ) -> HeadScores:
        raise NotImplementedError

    def open_lane(self) -> None:
        self.opened.append(threading.current_thread().name)

    def close(self) -> None:
        self.closed += 1


def tiles(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)


def test_batches_run_side_by_side_each_in_a_lane_of_its_own() -> None:
    engine = SlowEngine()
    lanes = EngineLanes(engine)
    both = threading.Barrier(2, timeout=10)

    def work(pixels: NDArray[np.uint8]) -> str:
        both.wait()
        return threading.current_thread().name

    names = [future.result() for future in [lanes.submit(work, tiles(1)) for _ in range(2)]]
    lanes.close()
    assert sorted(names) == sorted(engine.opened)
    assert len(set(names)) == 2
    assert engine.closed == 1


@pytest.mark.parametrize("count", [0, 1, 2, 7, 9])
def test_tiles_keep_their_order_whichever_lane_encodes_them(count: int) -> None:
    engine, pixels = SlowEngine(), tiles(count)
    lanes = EngineLanes(engine)
    np.testing.assert_array_equal(lanes.encode(pixels), engine.encode(pixels))
    lanes.close()


@pytest.mark.parametrize(("patient", "size"), [(False, 1), (True, 4)])
def test_batch_that_takes_long_is_halved(
    monkeypatch: pytest.MonkeyPatch, patient: bool, size: int
) -> None:
    monkeypatch.setattr(lanes_module, "_LONGEST_BATCH_SECONDS", 0.005)
    engine = SlowEngine(seconds=0.02, lanes=1)
    lanes = EngineLanes(engine, patient=patient)
    sizes = []
    for _ in range(5):
        sizes.append(engine.batch_size)
        lanes.submit(engine.encode, tiles(engine.batch_size)).result()
    lanes.close()
    assert engine.batch_size == size
    assert sizes[:2] == [4, 4]  # the first batch warms up


def test_closing_drops_what_waits() -> None:
    engine = SlowEngine(seconds=0.1, lanes=1)
    lanes = EngineLanes(engine)
    futures = [lanes.submit(engine.encode, tiles(1)) for _ in range(50)]
    lanes.close()
    assert sum(future.cancelled() for future in futures) >= 45


def test_errors_come_out_of_the_future() -> None:
    lanes = EngineLanes(SlowEngine())
    future = lanes.submit(lambda pixels: 1 // 0, tiles(1))
    with pytest.raises(ZeroDivisionError):
        future.result()
    lanes.close()
