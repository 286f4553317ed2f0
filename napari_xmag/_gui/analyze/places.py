"""Walking through the places to review, and what is said of them."""

from collections.abc import Callable

from napari.components import ViewerModel

from napari_xmag._gui.analyze.map_layer import mark_patch
from napari_xmag._gui.analyze.state import SlideSession, Spot, WindowState
from napari_xmag._gui.shared.maps import maps_in_sight
from napari_xmag._gui.shared.notices import tell, tell_error
from napari_xmag._gui.shared.placing import look_at
from napari_xmag.errors import XmagError
from napari_xmag.geometry import Box
from napari_xmag.review.history import ReviewHistory
from napari_xmag.review.verdicts import PlaceReview, Verdict


class Places:
    """Acts on the places of the slide in sight: those whose pictures the strip shows.

    Every method that a key calls returns whether there was something to do.

    Parameters
    ----------
    viewer
        Whose camera goes to a place.
    state
        Names the slide in sight.
    """

    def __init__(self, viewer: ViewerModel, state: WindowState) -> None:
        self._viewer = viewer
        self._state = state

    def go_to(self, place: int) -> bool:
        """Look at a place, by its number from 0: outlined, without the map over it."""
        session = self._state.current
        if session is None or session.mpp is None or session.result is None:
            return False  # it is being loaded anew
        if not 0 <= place < len(session.cards or ()):
            return False
        box = self._box(session, place)
        mark_patch(self._viewer, session, box)
        look_at(self._viewer, session.layer, session.mpp, box)
        for layer in maps_in_sight(self._viewer, session.layer):
            layer.visible = False
        session.place = place
        return True

    def step(self, by: int) -> bool:
        """Go to the next place, or a previous one; at the ends there is none."""
        session = self._state.current
        if session is None or not session.cards:
            return False
        now = session.place
        first = 0 if by > 0 else len(session.cards) - 1
        wanted = first if now is None else now + by
        self.go_to(min(max(wanted, 0), len(session.cards) - 1))
        return True

    def mark(self, place: int, verdict: Verdict | None) -> bool:
        """Say that the model was right or wrong to look there; None takes it back."""
        session = self._state.current
        spot = session.spot(place) if session is not None else None
        if spot is None:
            return False
        view = str(self._state.view)
        self._say(
            spot.session,
            lambda history: history.mark(
                spot.place, verdict, class_name=spot.class_name, view=view
            ),
        )
        return True

    def toggle(self, verdict: Verdict) -> bool:
        """Give a verdict on the place that is looked at, or take the same one back."""
        session = self._state.current
        if session is None or session.place is None or not session.cards:
            return False
        said = session.said.get(session.cards[session.place].patch)
        same = said is not None and said.verdict is verdict
        return self.mark(session.place, None if same else verdict)

    def comment(self, spot: Spot, words: str) -> bool:
        """Write a comment, an empty one removes it; return whether it could be saved."""
        view = str(self._state.view)
        return self._say(
            spot.session,
            lambda history: history.comment(
                spot.place, words, class_name=spot.class_name, view=view
            ),
        )

    def undo(self) -> bool:
        """Take back what was said last."""
        session = self._state.current
        history = session.history if session is not None else None
        if session is None or history is None or not history.can_undo:
            return False
        self._take_back(session, "Undone", ReviewHistory.undo)
        return True

    def redo(self) -> bool:
        """Say again what was taken back last."""
        session = self._state.current
        history = session.history if session is not None else None
        if session is None or history is None or not history.can_redo:
            return False
        self._take_back(session, "Redone", ReviewHistory.redo)
        return True

    def _take_back(
        self, session: SlideSession, done: str, step: Callable[[ReviewHistory], PlaceReview | None]
    ) -> None:
        """Change what was said; say so where the strip does not show it."""
        changed: list[PlaceReview | None] = []
        saved = self._say(session, lambda history: changed.append(step(history)))
        review = changed[0] if saved and changed else None
        if review is not None and review.class_name != session.cards_for:
            of = f"as evidence for “{review.class_name}”" if review.class_name else "by attention"
            tell(f"{done}: a mark or comment on a patch {of}, which is not shown now.")

    def refresh(self, session: SlideSession) -> None:
        """Find again what was said of the patches of the result that is shown."""
        history, result, shown = session.history, session.result, session.cards_for
        if history is None:
            return
        session.reviews = history.reviews
        session.said = {} if result is None or shown is None else history.of(result, shown)

    def _say(self, session: SlideSession, say: Callable[[ReviewHistory], object]) -> bool:
        """Save something that is said; return whether that could be done, and tell why not."""
        saved = session.history is not None
        try:
            if session.history is not None:
                say(session.history)
        except XmagError as error:
            tell_error(error)
            saved = False
        self.refresh(session)
        return saved

    def _box(self, session: SlideSession, place: int) -> Box:
        assert session.result is not None
        assert session.cards is not None
        return session.result.patches.box(session.cards[place].patch)
