"""Work of which only the newest request counts."""

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from qtpy.QtCore import QTimer

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
        self._rest = QTimer()
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._go_on)

    @property
    def busy(self) -> bool:
        """Whether something is under way or waits."""
        return self._job is not None or self._rest.isActive()

    def ask(self, request: _Request, after: float = 0.0) -> None:
        """Answer a request as soon as the one under way can be left.

        Parameters
        ----------
        after
            Seconds of rest before it; replaced by a newer one meanwhile, it costs nothing.
        """
        self.drop()
        self._waiting = [request]
        if after:
            self._rest.start(round(1000 * after))
        else:
            self._go_on()

    def drop(self) -> None:
        """Answer nothing that was asked before."""
        self._rest.stop()
        self._waiting = []
        if self._job is not None:
            self._job.stop()

    def _go_on(self) -> None:
        if self._job is not None or self._rest.isActive() or not self._waiting:
            return
        request = self._waiting.pop()
        self._job = self._jobs.start(self._work(request), self._hear, self._end, self._tell)

    def _tell(self, error: Exception) -> None:
        if self._job is not None and not self._job.stopping:
            self._fail(error)

    def _end(self) -> None:
        self._job = None
        self._go_on()
