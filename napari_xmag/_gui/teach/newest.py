"""Work of which only the newest request counts."""

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from napari_xmag._gui.shared.jobs import Job, Jobs

_Request = TypeVar("_Request")


class Newest(Generic[_Request]):
    """Answers one request at a time; of those that come meanwhile, only the last.

    Parameters
    ----------
    jobs
        Runs the work.
    work
        Makes a generator of answers of a request; it ends early when a newer request is there.
    hear
        Gets what it yields, as long as no newer request is there.
    fail
        Gets the error that ended it.
    """

    def __init__(
        self,
        jobs: Jobs,
        work: Callable[[_Request], Generator[object, None, Any]],
        hear: Callable[[Any], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._jobs, self._work, self._hear, self._fail = jobs, work, hear, fail
        self._job: Job | None = None
        self._waiting: list[_Request] = []

    @property
    def busy(self) -> bool:
        """Whether something is under way or waits."""
        return self._job is not None

    def ask(self, request: _Request) -> None:
        """Answer a request as soon as the one under way can be left."""
        self._waiting = [request]
        if self._job is None:
            self._next()
        else:
            self._job.stop()

    def drop(self) -> None:
        """Answer nothing that was asked before."""
        self._waiting = []
        if self._job is not None:
            self._job.stop()

    def _next(self) -> None:
        request = self._waiting.pop()
        self._job = self._jobs.start(self._work(request), self._hear, self._end, self._tell)

    def _tell(self, error: Exception) -> None:
        if self._job is not None and not self._job.stopping:
            self._fail(error)

    def _end(self) -> None:
        self._job = None
        if self._waiting:
            self._next()
