"""Work spread over processes: errors and deaths of some are not those of others."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dask
import distributed
import pytest

from napari_xmag.errors import ConfigError, DependencyError
from napari_xmag.workers import cluster
from napari_xmag.workers.cluster import on_workers


def halved(item: tuple[int, Path]) -> int:
    """Work that fails for odd numbers, always kills its worker for 6, and once for 4."""
    number, folder = item
    if number % 2:
        raise ValueError(f"{number} is odd")
    if number == 6:
        os._exit(1)
    if number == 4 and not (folder / "died").exists():
        (folder / "died").touch()
        os._exit(1)
    return number // 2


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_errors_and_dead_workers_do_not_lose_the_rest(tmp_path: Path) -> None:
    items = [(number, tmp_path) for number in (0, 1, 2, 4, 6)]
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        ended = [one for one in on_workers(halved, items, workers=2) if one is not None]
    outcomes = {item[0]: outcome for item, outcome in ended}
    assert len(ended) == len(outcomes) == 5
    assert [outcomes[number] for number in (0, 2, 4)] == [0, 1, 2]
    assert str(outcomes[1]) == "1 is odd"
    assert type(outcomes[6]).__name__ == "KilledWorker"


def kept_until_asked(item: tuple[str, Path]) -> str:
    """Work whose result the next item loses, and that waits for its sign when done again."""
    name, folder = item
    if name == "killer":
        _wait_for(folder / "came")
        if not (folder / "died").exists():
            (folder / "died").touch()
            os._exit(1)
    elif (folder / "died").exists():
        _wait_for(folder / "sign")
    return name


def _wait_for(path: Path) -> None:
    waited = threading.Event()
    while not path.exists():
        waited.wait(0.05)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_result_that_dies_with_its_worker_is_made_again(tmp_path: Path) -> None:
    items = [(name, tmp_path) for name in ("first", "second", "killer")]
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        ending = on_workers(kept_until_asked, items, workers=1)
        named: dict[str, object] = {}
        for ended in ending:
            if ended is None:
                # The window would stand still if the second were waited for.
                (tmp_path / "sign").touch()
                continue
            if not named:
                # By now the second is done too; the cluster is given time to see that it is lost.
                (tmp_path / "came").touch()
                _wait_for(tmp_path / "died")
                threading.Event().wait(1)
            named[ended[0][0]] = ended[1]
    assert named == {"first": "first", "second": "second", "killer": "killer"}


class Slow:
    """A client of a cluster from which a result takes 50 seconds, or says to."""

    key, status = "slow", "finished"

    def submit(self, *_: object, pure: bool) -> "Slow":
        return self

    def add_done_callback(self, done: Callable[["Slow"], None]) -> None:
        done(self)

    def cancelled(self) -> bool:
        return False

    def result(self, timeout: float) -> str:
        if timeout < 50:
            raise TimeoutError
        return "here"

    def cancel(self, futures: Sequence[object], *, force: bool) -> None:
        pass


def test_a_result_that_is_long_under_way_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def client(*_: object) -> Iterator[Slow]:
        yield Slow()

    monkeypatch.setattr(cluster, "_client", client)
    assert list(on_workers(abs, [-3])) == [None, None, (-3, "here")]


def test_a_scheduler_by_its_address() -> None:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        address = cluster.scheduler_address
        ended = [one for one in on_workers(abs, [-3, 4], scheduler=address) if one is not None]
    assert sorted(ended) == [(-3, 3), (4, 4)]


def test_without_dask_distributed_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DependencyError, match=r'pip install "napari-xmag\[cluster\]"'):
        list(on_workers(abs, [1], workers=2))


def test_no_scheduler_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_xmag.workers.cluster._CONNECT_SECONDS", 0.5)
    with pytest.raises(ConfigError, match=r"tcp://127\.0\.0\.1:9"):
        list(on_workers(abs, [1], scheduler="tcp://127.0.0.1:9"))
