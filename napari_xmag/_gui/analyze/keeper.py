"""What happens to a slide is saved as it happens, and comes back when the slide is opened again."""

from collections.abc import Callable, Sequence
from functools import partial

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_xmag._gui.analyze import tasks
from napari_xmag._gui.analyze.state import SlideSession, WindowState
from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.notices import tell_error, tell_warning
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ResultError, XmagError
from napari_xmag.review.history import ReviewHistory
from napari_xmag.review.reopen import require_same_mpp, require_same_picture
from napari_xmag.review.store import ReviewStore, SavedResult, ViewState
from napari_xmag.slide.tissue import TissueChoice

_SETTLED_MS = 300
"""A view is saved when it has not changed for so long: a dragged slider is one change."""

_SEEN = ("view", "class_name", "opacity", "threshold")


class Keeper:
    """Saves results and views of the slides of a window, and restores them.

    Verdicts and comments are saved by the slide's history, regions by the controller.

    Parameters
    ----------
    state
        Followed until `close`.
    jobs
        Does the reading and writing in threads.
    show
        Called with a slide, its result and the result's id when a saved result is to be shown;
        with None when the one that is shown is no longer saved.

    Attributes
    ----------
    regions_found
        Carries a slide, the polygons that were drawn on it, and the part that was chosen.
    compared
        Carries a slide, a result to compare with, and what both results are called.
    kept
        Carries a slide that was analyzed, and the id of its result, when that is saved.
    settled
        Carries a slide of which another result was asked for, when that is shown or cannot be.
    """

    regions_found = Signal(SlideSession, tuple, str)
    compared = Signal(SlideSession, SlideResult, tuple)
    kept = Signal(SlideSession, str)
    settled = Signal(SlideSession)

    def __init__(
        self,
        state: WindowState,
        jobs: Jobs,
        show: Callable[[SlideSession, SlideResult | None, str], None],
    ) -> None:
        self._state, self._jobs, self._show = state, jobs, show
        self._unsaved: SlideSession | None = None
        self._was_in_sight = False
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLED_MS)
        self._timer.timeout.connect(self._save_view)
        for name in _SEEN:
            getattr(state.events, name).connect(self._changed)
        state.events.current.connect(self._came_in_sight)

    def close(self) -> None:
        """Save what is not saved yet."""
        self._save_view()

    # opening

    def opened(self, session: SlideSession) -> None:
        """Look for what was saved of a slide that was just opened."""
        if session.slide_metadata is None:
            return
        session.store = ReviewStore(session.slide_metadata["fingerprint"])
        session.history = ReviewHistory(session.store)
        for name in ("place", "tissue", "shown_id"):
            getattr(session.events, name).connect(partial(self.touch, session))
        self._jobs.start(tasks.restore(session.store), partial(self._restored, session))

    def reload(self, session: SlideSession) -> None:
        """Show what is saved of a slide anew: something was added to it from outside."""
        if session.store is None or session.progress is not None:
            return  # not open yet: what is saved is read then
        session.history = ReviewHistory(session.store)
        session.result = None
        self._jobs.start(tasks.restore(session.store), partial(self._restored, session))

    def _restored(self, session: SlideSession, event: object) -> None:
        if not isinstance(event, tasks.Restored) or session not in self._state.sessions:
            return
        session.saved = event.saved
        for error in event.damage:
            tell_error(error)
        self.regions_found.emit(session, event.regions, event.view.tissue)
        busy = session.result is not None or session.progress is not None
        result = event.result
        if not busy and result is not None and not _fits(session, result):
            result = None
            others = [item.id for item in event.saved if item.id != event.id]
            self._show_first(session, others)
        if result is None and session is self._state.current:
            self._state.class_name = ""  # what was chosen for the slide before is not its evidence
        if result is None or busy:
            return
        if session is self._state.current:
            self._apply(event.view)
        self._show(session, result, event.id)

    def _came_in_sight(self) -> None:
        """Show a slide as it was shown last: another one may have changed the choices since."""
        self._save_view()
        session = self._state.current
        if session is not None and session.store is not None and session.result is not None:
            self._apply(session.store.view())

    def _apply(self, view: ViewState) -> None:
        for name in _SEEN:
            if getattr(self._state, name) != getattr(view, name):
                setattr(self._state, name, getattr(view, name))

    # results

    def keep(self, session: SlideSession, result: SlideResult) -> None:
        """Save a new result."""
        if session.store is not None:
            work = tasks.keep_result(session.store, result)
            self._jobs.start(work, partial(self._kept, session, result))

    def _kept(self, session: SlideSession, result: SlideResult, event: object) -> None:
        if isinstance(event, tasks.Saved):
            session.saved = event.saved
            if session.result is result:
                session.shown_id = event.id
            self.kept.emit(session, event.id)

    def choose(self, session: SlideSession, result_id: str) -> None:
        """Show one of the saved results."""
        if session.store is None or result_id == session.shown_id:
            return

        def loaded(event: object) -> None:
            if not isinstance(event, SlideResult) or session.progress is not None:
                return
            if _fits(session, event):
                self._show(session, event, result_id)

        ended = partial(self.settled.emit, session)
        self._jobs.start(tasks.load_result(session.store, result_id), loaded, ended)

    def compare(self, session: SlideSession, own: SavedResult, other: SavedResult) -> None:
        """Load another result, to show what differs from it in the one that is shown."""
        if session.store is None:
            return

        def loaded(event: object) -> None:
            if not isinstance(event, SlideResult) or session.shown_id != own.id:
                return
            if _fits(session, event):
                words = own.words_beside(other), other.words_beside(own)
                self.compared.emit(session, event, words)

        self._jobs.start(tasks.load_result(session.store, other.id), loaded)

    def delete(self, session: SlideSession, result_id: str) -> None:
        """Remove a saved result; the newest of the others that fits is shown in its place."""
        if session.store is None:
            return

        def deleted(event: object) -> None:
            if not isinstance(event, tasks.Saved):
                return
            session.saved = event.saved
            if session.shown_id == result_id:
                self._show(session, None, "")
                self._show_first(session, [item.id for item in event.saved])

        self._jobs.start(tasks.delete_result(session.store, result_id), deleted)

    def _show_first(self, session: SlideSession, ids: Sequence[str]) -> None:
        """Show the first of some saved results that can be read and fits, if there is one."""
        if session.store is None or session.mpp is None or not ids:
            return

        def loaded(event: object) -> None:
            busy = session.result is not None or session.progress is not None
            if busy or not isinstance(event, SlideResult):
                return
            if _fits(session, event, quiet=True):
                self._show(session, event, ids[0])
            else:
                self._show_first(session, ids[1:])

        def failed(error: Exception) -> None:
            tell_error(error)
            self._show_first(session, ids[1:])

        self._jobs.start(tasks.load_result(session.store, ids[0]), loaded, fail=failed)

    # views

    def touch(self, session: SlideSession, *_: object) -> None:
        """Save, in a moment, how a slide is shown."""
        if self._unsaved is not session:
            self._save_view()
        self._unsaved = session
        self._was_in_sight |= session is self._state.current
        self._timer.start()

    def _changed(self, *_: object) -> None:
        if self._state.current is not None:
            self.touch(self._state.current)

    def _save_view(self, *_: object) -> None:
        session, self._unsaved = self._unsaved, None
        seen, self._was_in_sight = self._was_in_sight, False
        self._timer.stop()
        if session is None or session.store is None or not _is_worth_saving(session):
            return
        try:
            session.store.save_view(self._view_of(session, session.store.view(), seen))
        except XmagError as error:
            tell_error(error)

    def _view_of(self, session: SlideSession, saved: ViewState, seen: bool) -> ViewState:
        """Return how a slide is shown; of one that was not in sight, the choices saved before."""
        state, place = self._state if seen else saved, None
        if session.place is not None and session.cards and session.result is not None:
            place = session.result.patches.box(session.cards[session.place].patch)
        return ViewState(
            session.shown_id,
            state.view,
            state.class_name,
            state.opacity,
            state.threshold,
            place,
            str(session.tissue),
        )


def _fits(session: SlideSession, result: SlideResult, *, quiet: bool = False) -> bool:
    """Return whether a saved result may be shown over a slide; say why not, unless quiet."""
    slide = session.slide
    if slide is None or slide.mpp is None:
        return False  # it is looked for again when the pixel size is given
    try:
        require_same_picture(result, slide)
        require_same_mpp(result, slide)
    except ResultError as error:
        if not quiet:
            tell_warning(f"A saved result is not shown. {error}")
        return False
    return True


def _is_worth_saving(session: SlideSession) -> bool:
    return session.result is not None or session.tissue is not TissueChoice.AUTO
