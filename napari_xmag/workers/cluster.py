"""The same work on many things at once, by workers of dask, here or on a cluster."""

import logging
import queue
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from napari_xmag.errors import ConfigError, XmagError
from napari_xmag.extras import import_extra
from napari_xmag.progress.heartbeat import BEAT_SECONDS

Item = TypeVar("Item")
Result = TypeVar("Result")

_CONNECT_SECONDS = 20
_LOST = object()


def on_workers(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int = 1,
    scheduler: str | None = None,
) -> Generator[tuple[Item, Result | BaseException] | None, None, None]:
    """Do the work on each item and yield what came of it, as it comes.

    An item that takes its worker with it is tried again by others; one that always does so has
    dask's error, and the other items go on. Closing the generator ends the work.

    Parameters
    ----------
    work
        A function that workers can import; it must do no harm when done twice.
    workers
        Processes on this machine, where no scheduler is named.
    scheduler
        Address of a dask scheduler, such as ``tcp://10.0.0.1:8786``.

    Yields
    ------
    An item with its result or its error; None where a quarter second passes without any.

    Raises
    ------
    ConfigError
        When the scheduler does not answer, or goes away.
    DependencyError
        When dask.distributed is not installed.
    """
    killed = _dask().KilledWorker
    with _client(workers, scheduler) as client:
        suspects = []
        for ended in _submit(client, work, items):
            if ended is not None and isinstance(ended[1], killed):
                suspects.append(ended[0])
            else:
                yield ended
        # What dies beside a killer is counted with it; alone each shows what it does itself.
        for item in suspects:
            yield from _submit(client, work, [item])


def _submit(
    client: Any, work: Callable[[Item], Result], items: Sequence[Item]
) -> Generator[tuple[Item, Result | BaseException] | None, None, None]:
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
    futures = {}
    lost: list[Any] = []
    asked: Counter[Any] = Counter()
    for item in items:
        future = client.submit(work, item, pure=False)
        futures[future.key] = item, future
        future.add_done_callback(ended.put)
    try:
        while futures:
            try:
                future = ended.get(timeout=BEAT_SECONDS)
            except queue.Empty:
                yield None
                # The cluster does lost work again, but tells of the end of work only once.
                while lost:
                    ended.put(lost.pop())
                continue
            asked[future.key] += 1
            outcome = _outcome(future, _CONNECT_SECONDS * asked[future.key])
            if outcome is _LOST:
                lost.append(future)
                continue
            # Its future is let go, so that the cluster forgets the result.
            item, _ = futures.pop(future.key)
            yield item, outcome
    finally:
        client.cancel([future for _, future in futures.values()], force=True)


def _outcome(future: Any, seconds: float) -> Any:
    """Return what came of it, or _LOST where a worker took the result with it when it died.

    So does one that does not arrive in time: nothing tells it apart from one that was lost just
    now.
    """
    if future.cancelled():
        raise _unreachable("a broken connection")
    if future.status == "error":
        return future.exception()
    if future.status != "finished":
        return _LOST
    try:
        return future.result(timeout=seconds)
    except TimeoutError:
        return _LOST
    # Those asked again died with it too.
    except _dask().KilledWorker as error:
        return error


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    # Its diary of every connection would drown what is said of the slides.
    logging.getLogger("distributed").setLevel(logging.ERROR)
    if scheduler is not None:
        try:
            client = _dask().Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise _unreachable(f"none at {scheduler}", error) from error
        with client:
            yield client
        return
    with (
        # Any free port: the usual one may be another cluster's.
        _dask().LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        _dask().Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _dask() -> Any:
    return import_extra("distributed", "cluster", "work in several processes or on a cluster")


def _unreachable(found: str, *causes: BaseException) -> XmagError:
    return ConfigError(
        expected="a dask scheduler that answers",
        found=found,
        hint="Start one (dask scheduler) with workers (dask worker ADDRESS), then repeat the "
        "command: finished slides are kept.",
        causes=causes,
    )
